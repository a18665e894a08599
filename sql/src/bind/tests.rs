//! Statements bound against a catalog.
