//! Window functions. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::function;
use crate::functions::Body::Window;
use crate::functions::{Function, WindowFunction};
use crate::types::kinds::{AnyCompatible, AnyElement, Float8, Int4, Int8};

pub(super) const FUNCTIONS: &[Function] = &[
    function(3100, "row_number", &[], Int8, Window(WindowFunction::RowNumber)),
    function(3101, "rank", &[], Int8, Window(WindowFunction::Rank)),
    function(3102, "dense_rank", &[], Int8, Window(WindowFunction::DenseRank)),
    function(3103, "percent_rank", &[], Float8, Window(WindowFunction::PercentRank)),
    function(3104, "cume_dist", &[], Float8, Window(WindowFunction::CumeDist)),
    function(3105, "ntile", &[Int4], Int4, Window(WindowFunction::Ntile)),
    function(3106, "lag", &[AnyElement], AnyElement, Window(WindowFunction::Lag)),
    function(3107, "lag", &[AnyElement, Int4], AnyElement, Window(WindowFunction::Lag)),
    function(3108, "lag", &[AnyCompatible, Int4, AnyCompatible], AnyCompatible, Window(WindowFunction::Lag)),
    function(3109, "lead", &[AnyElement], AnyElement, Window(WindowFunction::Lead)),
    function(3110, "lead", &[AnyElement, Int4], AnyElement, Window(WindowFunction::Lead)),
    function(
        3111,
        "lead",
        &[AnyCompatible, Int4, AnyCompatible],
        AnyCompatible,
        Window(WindowFunction::Lead),
    ),
    function(3112, "first_value", &[AnyElement], AnyElement, Window(WindowFunction::FirstValue)),
    function(3113, "last_value", &[AnyElement], AnyElement, Window(WindowFunction::LastValue)),
    function(3114, "nth_value", &[AnyElement, Int4], AnyElement, Window(WindowFunction::NthValue)),
];
