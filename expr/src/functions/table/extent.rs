//! Ranges. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::extent;
use super::function;
use crate::accumulate;
use crate::compare::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use crate::datum::Datum;
use crate::error::Result;
use crate::functions::Body::{Aggregate, Many, One, Ordered, Two};
use crate::functions::Function;
use crate::types::TypeKind;
use crate::types::kinds::{
    AnyElement, AnyRange, Bool, Date, Daterange, Int4, Int4Range, Int8, Int8Range, Numeric, Numrange, Text,
    Timestamp, Timestamptz, Tsrange, Tstzrange,
};

/// What makes a range of its bounds.
const fn constructor(
    oid: u32,
    name: &'static str,
    args: &'static [TypeKind],
    result: TypeKind,
    made: fn(&[Datum]) -> Result<Datum>,
) -> Function {
    function(oid, name, args, result, Many(made)).lenient()
}

pub(super) const FUNCTIONS: &[Function] = &[
    constructor(3840, "int4range", &[Int4, Int4], Int4Range, |args| extent::made(args, Int4)),
    constructor(3841, "int4range", &[Int4, Int4, Text], Int4Range, |args| extent::made(args, Int4)),
    constructor(3844, "numrange", &[Numeric, Numeric], Numrange, |args| extent::made(args, Numeric)),
    constructor(3845, "numrange", &[Numeric, Numeric, Text], Numrange, |args| extent::made(args, Numeric)),
    function(3848, "lower", &[AnyRange], AnyElement, One(extent::lower)),
    function(3849, "upper", &[AnyRange], AnyElement, One(extent::upper)),
    function(3850, "isempty", &[AnyRange], Bool, One(extent::is_empty)),
    function(3851, "lower_inc", &[AnyRange], Bool, One(extent::holds_lower)),
    function(3852, "upper_inc", &[AnyRange], Bool, One(extent::holds_upper)),
    function(3853, "lower_inf", &[AnyRange], Bool, One(extent::lacks_lower)),
    function(3854, "upper_inf", &[AnyRange], Bool, One(extent::lacks_upper)),
    function(3855, "range_eq", &[AnyRange, AnyRange], Bool, Ordered(Equal)),
    function(3856, "range_ne", &[AnyRange, AnyRange], Bool, Ordered(NotEqual)),
    function(3857, "range_overlaps", &[AnyRange, AnyRange], Bool, Two(extent::overlaps)),
    function(3858, "range_contains_elem", &[AnyRange, AnyElement], Bool, Two(extent::contains_value)),
    function(3859, "range_contains", &[AnyRange, AnyRange], Bool, Two(extent::contains)),
    function(3860, "elem_contained_by_range", &[AnyElement, AnyRange], Bool, Two(extent::is_value_within)),
    function(3861, "range_contained_by", &[AnyRange, AnyRange], Bool, Two(extent::is_within)),
    function(3862, "range_adjacent", &[AnyRange, AnyRange], Bool, Two(extent::is_adjacent)),
    function(3863, "range_before", &[AnyRange, AnyRange], Bool, Two(extent::is_before)),
    function(3864, "range_after", &[AnyRange, AnyRange], Bool, Two(extent::is_behind)),
    function(3865, "range_overleft", &[AnyRange, AnyRange], Bool, Two(extent::ends_within)),
    function(3866, "range_overright", &[AnyRange, AnyRange], Bool, Two(extent::begins_within)),
    function(3867, "range_union", &[AnyRange, AnyRange], AnyRange, Two(extent::union)),
    function(3868, "range_intersect", &[AnyRange, AnyRange], AnyRange, Two(extent::intersection)),
    function(3869, "range_minus", &[AnyRange, AnyRange], AnyRange, Two(extent::difference)),
    function(3871, "range_lt", &[AnyRange, AnyRange], Bool, Ordered(Less)),
    function(3872, "range_le", &[AnyRange, AnyRange], Bool, Ordered(LessOrEqual)),
    function(3873, "range_ge", &[AnyRange, AnyRange], Bool, Ordered(GreaterOrEqual)),
    function(3874, "range_gt", &[AnyRange, AnyRange], Bool, Ordered(Greater)),
    constructor(3933, "tsrange", &[Timestamp, Timestamp], Tsrange, |args| extent::made(args, Timestamp)),
    constructor(3934, "tsrange", &[Timestamp, Timestamp, Text], Tsrange, |args| {
        extent::made(args, Timestamp)
    }),
    constructor(3937, "tstzrange", &[Timestamptz, Timestamptz], Tstzrange, |args| {
        extent::made(args, Timestamptz)
    }),
    constructor(3938, "tstzrange", &[Timestamptz, Timestamptz, Text], Tstzrange, |args| {
        extent::made(args, Timestamptz)
    }),
    constructor(3941, "daterange", &[Date, Date], Daterange, |args| extent::made(args, Date)),
    constructor(3942, "daterange", &[Date, Date, Text], Daterange, |args| extent::made(args, Date)),
    constructor(3945, "int8range", &[Int8, Int8], Int8Range, |args| extent::made(args, Int8)),
    constructor(3946, "int8range", &[Int8, Int8, Text], Int8Range, |args| extent::made(args, Int8)),
    function(4057, "range_merge", &[AnyRange, AnyRange], AnyRange, Two(extent::around)),
    function(4450, "range_intersect_agg", &[AnyRange], AnyRange, Aggregate(&accumulate::extent::SHARED)),
];
