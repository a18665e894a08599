//! Places in a write-ahead log. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::lsn;
use super::function;
use crate::accumulate;
use crate::compare::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use crate::functions::Body::{Aggregate, One, Ordered, Two};
use crate::functions::Function;
use crate::types::kinds::{Bool, Numeric, PgLsn};

pub(super) const FUNCTIONS: &[Function] = &[
    function(3165, "pg_wal_lsn_diff", &[PgLsn, PgLsn], Numeric, Two(lsn::distance)),
    function(3231, "pg_lsn_lt", &[PgLsn, PgLsn], Bool, Ordered(Less)),
    function(3232, "pg_lsn_le", &[PgLsn, PgLsn], Bool, Ordered(LessOrEqual)),
    function(3233, "pg_lsn_eq", &[PgLsn, PgLsn], Bool, Ordered(Equal)),
    function(3234, "pg_lsn_ge", &[PgLsn, PgLsn], Bool, Ordered(GreaterOrEqual)),
    function(3235, "pg_lsn_gt", &[PgLsn, PgLsn], Bool, Ordered(Greater)),
    function(3236, "pg_lsn_ne", &[PgLsn, PgLsn], Bool, Ordered(NotEqual)),
    function(3237, "pg_lsn_mi", &[PgLsn, PgLsn], Numeric, Two(lsn::distance)),
    function(4189, "max", &[PgLsn], PgLsn, Aggregate(&accumulate::GREATEST)),
    function(4190, "min", &[PgLsn], PgLsn, Aggregate(&accumulate::LEAST)),
    function(5022, "pg_lsn_pli", &[PgLsn, Numeric], PgLsn, Two(lsn::plus)),
    function(5023, "numeric_pl_pg_lsn", &[Numeric, PgLsn], PgLsn, Two(lsn::number_plus)),
    function(5024, "pg_lsn_mii", &[PgLsn, Numeric], PgLsn, Two(lsn::minus)),
    function(6103, "pg_lsn", &[Numeric], PgLsn, One(lsn::of_number)),
];
