//! Operators of places in a write-ahead log. Rows of PostgreSQL 15's `pg_operator`, by its OIDs.

use super::{Row, row};
use crate::types::kinds::{Bool, Numeric, PgLsn};

pub(super) const OPERATORS: &[Row] = &[
    row(3222, "=", Some(PgLsn), PgLsn, Bool, 3233),
    row(3223, "<>", Some(PgLsn), PgLsn, Bool, 3236),
    row(3224, "<", Some(PgLsn), PgLsn, Bool, 3231),
    row(3225, ">", Some(PgLsn), PgLsn, Bool, 3235),
    row(3226, "<=", Some(PgLsn), PgLsn, Bool, 3232),
    row(3227, ">=", Some(PgLsn), PgLsn, Bool, 3234),
    row(3228, "-", Some(PgLsn), PgLsn, Numeric, 3237),
    row(5025, "+", Some(PgLsn), Numeric, PgLsn, 5022),
    row(5026, "+", Some(Numeric), PgLsn, PgLsn, 5023),
    row(5027, "-", Some(PgLsn), Numeric, PgLsn, 5024),
];
