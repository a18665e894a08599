//! Functions that return rows. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::function;
use crate::functions::Body::Set;
use crate::functions::Function;
use crate::types::kinds::{
    AnyArray, AnyElement, Bool, Int4, Int8, Interval, Numeric, Timestamp, Timestamptz,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(938, "generate_series", &[Timestamp, Timestamp, Interval], Timestamp, Set),
    function(939, "generate_series", &[Timestamptz, Timestamptz, Interval], Timestamptz, Set).stable(),
    function(1066, "generate_series", &[Int4, Int4, Int4], Int4, Set),
    function(1067, "generate_series", &[Int4, Int4], Int4, Set),
    function(1068, "generate_series", &[Int8, Int8, Int8], Int8, Set),
    function(1069, "generate_series", &[Int8, Int8], Int8, Set),
    function(1191, "generate_subscripts", &[AnyArray, Int4, Bool], Int4, Set),
    function(1192, "generate_subscripts", &[AnyArray, Int4], Int4, Set),
    function(2331, "unnest", &[AnyArray], AnyElement, Set),
    function(3259, "generate_series", &[Numeric, Numeric, Numeric], Numeric, Set),
    function(3260, "generate_series", &[Numeric, Numeric], Numeric, Set),
];
