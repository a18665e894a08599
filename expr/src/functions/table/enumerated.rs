//! Enums. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::enumerated;
use super::function;
use crate::accumulate;
use crate::compare::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use crate::functions::Body::{Aggregate, Ordered, Two, Typed};
use crate::functions::Function;
use crate::types::kinds::{AnyArray, AnyEnum, Bool, Int4};

pub(super) const FUNCTIONS: &[Function] = &[
    function(3508, "enum_eq", &[AnyEnum, AnyEnum], Bool, Ordered(Equal)),
    function(3509, "enum_ne", &[AnyEnum, AnyEnum], Bool, Ordered(NotEqual)),
    function(3510, "enum_lt", &[AnyEnum, AnyEnum], Bool, Ordered(Less)),
    function(3511, "enum_gt", &[AnyEnum, AnyEnum], Bool, Ordered(Greater)),
    function(3512, "enum_le", &[AnyEnum, AnyEnum], Bool, Ordered(LessOrEqual)),
    function(3513, "enum_ge", &[AnyEnum, AnyEnum], Bool, Ordered(GreaterOrEqual)),
    function(3514, "enum_cmp", &[AnyEnum, AnyEnum], Int4, Two(enumerated::order)),
    function(3524, "enum_smaller", &[AnyEnum, AnyEnum], AnyEnum, Two(enumerated::smaller)),
    function(3525, "enum_larger", &[AnyEnum, AnyEnum], AnyEnum, Two(enumerated::larger)),
    function(3526, "max", &[AnyEnum], AnyEnum, Aggregate(&accumulate::GREATEST)),
    function(3527, "min", &[AnyEnum], AnyEnum, Aggregate(&accumulate::LEAST)),
    function(3528, "enum_first", &[AnyEnum], AnyEnum, Typed(enumerated::first)).stable().lenient(),
    function(3529, "enum_last", &[AnyEnum], AnyEnum, Typed(enumerated::last)).stable().lenient(),
    function(3530, "enum_range", &[AnyEnum, AnyEnum], AnyArray, Typed(enumerated::range)).stable().lenient(),
    function(3531, "enum_range", &[AnyEnum], AnyArray, Typed(enumerated::all)).stable().lenient(),
];
