//! Arithmetic of numeric, with PostgreSQL's rules for the scale of results.
