//! End-to-end tests, the deterministic simulation and the house rules.
