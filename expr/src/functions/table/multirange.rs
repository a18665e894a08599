//! Multiranges. Rows of PostgreSQL 15's `pg_proc`, by its OIDs. What makes one of a range makes it of several, too: in
//! PostgreSQL these are two functions.

use super::super::extent;
use super::super::multirange::{self, around, by_bounds};
use super::function;
use crate::accumulate;
use crate::compare::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use crate::functions::Body::{Aggregate, Many, One, Ordered, Rows, Two};
use crate::functions::Function;
use crate::types::kinds::{
    AnyElement, AnyMultirange, AnyRange, Bool, Date, Datemultirange, Daterange, Int4, Int4Multirange,
    Int4Range, Int8, Int8Multirange, Int8Range, Numeric, Nummultirange, Numrange, Timestamp, Timestamptz,
    Tsmultirange, Tsrange, Tstzmultirange, Tstzrange,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(1293, "unnest", &[AnyMultirange], AnyRange, Rows(multirange::ranges)),
    function(4228, "range_merge", &[AnyMultirange], AnyRange, One(around)),
    function(4235, "lower", &[AnyMultirange], AnyElement, One(|spans| extent::lower(&around(spans)?))),
    function(4236, "upper", &[AnyMultirange], AnyElement, One(|spans| extent::upper(&around(spans)?))),
    function(4237, "isempty", &[AnyMultirange], Bool, One(|spans| extent::is_empty(&around(spans)?))),
    function(4238, "lower_inc", &[AnyMultirange], Bool, One(|spans| extent::holds_lower(&around(spans)?))),
    function(4239, "upper_inc", &[AnyMultirange], Bool, One(|spans| extent::holds_upper(&around(spans)?))),
    function(4240, "lower_inf", &[AnyMultirange], Bool, One(|spans| extent::lacks_lower(&around(spans)?))),
    function(4241, "upper_inf", &[AnyMultirange], Bool, One(|spans| extent::lacks_upper(&around(spans)?))),
    function(4244, "multirange_eq", &[AnyMultirange, AnyMultirange], Bool, Ordered(Equal)),
    function(4245, "multirange_ne", &[AnyMultirange, AnyMultirange], Bool, Ordered(NotEqual)),
    function(
        4246,
        "range_overlaps_multirange",
        &[AnyRange, AnyMultirange],
        Bool,
        Two(multirange::is_overlapped),
    ),
    function(
        4247,
        "multirange_overlaps_range",
        &[AnyMultirange, AnyRange],
        Bool,
        Two(multirange::overlaps_range),
    ),
    function(
        4248,
        "multirange_overlaps_multirange",
        &[AnyMultirange, AnyMultirange],
        Bool,
        Two(multirange::overlaps),
    ),
    function(
        4249,
        "multirange_contains_elem",
        &[AnyMultirange, AnyElement],
        Bool,
        Two(multirange::contains_value),
    ),
    function(
        4250,
        "multirange_contains_range",
        &[AnyMultirange, AnyRange],
        Bool,
        Two(multirange::contains_range),
    ),
    function(
        4251,
        "multirange_contains_multirange",
        &[AnyMultirange, AnyMultirange],
        Bool,
        Two(multirange::contains),
    ),
    function(
        4252,
        "elem_contained_by_multirange",
        &[AnyElement, AnyMultirange],
        Bool,
        Two(multirange::is_value_within),
    ),
    function(
        4253,
        "range_contained_by_multirange",
        &[AnyRange, AnyMultirange],
        Bool,
        Two(multirange::is_range_within),
    ),
    function(
        4254,
        "multirange_contained_by_multirange",
        &[AnyMultirange, AnyMultirange],
        Bool,
        Two(multirange::is_within),
    ),
    function(
        4255,
        "range_adjacent_multirange",
        &[AnyRange, AnyMultirange],
        Bool,
        Two(|range, spans| extent::is_adjacent(range, &around(spans)?)),
    ),
    function(
        4256,
        "multirange_adjacent_multirange",
        &[AnyMultirange, AnyMultirange],
        Bool,
        Two(|left, right| by_bounds(left, right, extent::is_adjacent)),
    ),
    function(
        4257,
        "multirange_adjacent_range",
        &[AnyMultirange, AnyRange],
        Bool,
        Two(|spans, range| extent::is_adjacent(&around(spans)?, range)),
    ),
    function(
        4258,
        "range_before_multirange",
        &[AnyRange, AnyMultirange],
        Bool,
        Two(|range, spans| extent::is_before(range, &around(spans)?)),
    ),
    function(
        4259,
        "multirange_before_range",
        &[AnyMultirange, AnyRange],
        Bool,
        Two(|spans, range| extent::is_before(&around(spans)?, range)),
    ),
    function(
        4260,
        "multirange_before_multirange",
        &[AnyMultirange, AnyMultirange],
        Bool,
        Two(|left, right| by_bounds(left, right, extent::is_before)),
    ),
    function(
        4261,
        "range_after_multirange",
        &[AnyRange, AnyMultirange],
        Bool,
        Two(|range, spans| extent::is_behind(range, &around(spans)?)),
    ),
    function(
        4262,
        "multirange_after_range",
        &[AnyMultirange, AnyRange],
        Bool,
        Two(|spans, range| extent::is_behind(&around(spans)?, range)),
    ),
    function(
        4263,
        "multirange_after_multirange",
        &[AnyMultirange, AnyMultirange],
        Bool,
        Two(|left, right| by_bounds(left, right, extent::is_behind)),
    ),
    function(
        4264,
        "range_overleft_multirange",
        &[AnyRange, AnyMultirange],
        Bool,
        Two(|range, spans| extent::ends_within(range, &around(spans)?)),
    ),
    function(
        4265,
        "multirange_overleft_range",
        &[AnyMultirange, AnyRange],
        Bool,
        Two(|spans, range| extent::ends_within(&around(spans)?, range)),
    ),
    function(
        4266,
        "multirange_overleft_multirange",
        &[AnyMultirange, AnyMultirange],
        Bool,
        Two(|left, right| by_bounds(left, right, extent::ends_within)),
    ),
    function(
        4267,
        "range_overright_multirange",
        &[AnyRange, AnyMultirange],
        Bool,
        Two(|range, spans| extent::begins_within(range, &around(spans)?)),
    ),
    function(
        4268,
        "multirange_overright_range",
        &[AnyMultirange, AnyRange],
        Bool,
        Two(|spans, range| extent::begins_within(&around(spans)?, range)),
    ),
    function(
        4269,
        "multirange_overright_multirange",
        &[AnyMultirange, AnyMultirange],
        Bool,
        Two(|left, right| by_bounds(left, right, extent::begins_within)),
    ),
    function(
        4270,
        "multirange_union",
        &[AnyMultirange, AnyMultirange],
        AnyMultirange,
        Two(multirange::union),
    ),
    function(
        4271,
        "multirange_minus",
        &[AnyMultirange, AnyMultirange],
        AnyMultirange,
        Two(multirange::difference),
    ),
    function(
        4272,
        "multirange_intersect",
        &[AnyMultirange, AnyMultirange],
        AnyMultirange,
        Two(multirange::intersection),
    ),
    function(4274, "multirange_lt", &[AnyMultirange, AnyMultirange], Bool, Ordered(Less)),
    function(4275, "multirange_le", &[AnyMultirange, AnyMultirange], Bool, Ordered(LessOrEqual)),
    function(4276, "multirange_ge", &[AnyMultirange, AnyMultirange], Bool, Ordered(GreaterOrEqual)),
    function(4277, "multirange_gt", &[AnyMultirange, AnyMultirange], Bool, Ordered(Greater)),
    function(4280, "int4multirange", &[], Int4Multirange, Many(|ranges| multirange::made(ranges, Int4))),
    function(
        4282,
        "int4multirange",
        &[Int4Range],
        Int4Multirange,
        Many(|ranges| multirange::made(ranges, Int4)),
    )
    .variadic()
    .lenient(),
    function(4283, "nummultirange", &[], Nummultirange, Many(|ranges| multirange::made(ranges, Numeric))),
    function(
        4285,
        "nummultirange",
        &[Numrange],
        Nummultirange,
        Many(|ranges| multirange::made(ranges, Numeric)),
    )
    .variadic()
    .lenient(),
    function(4286, "tsmultirange", &[], Tsmultirange, Many(|ranges| multirange::made(ranges, Timestamp))),
    function(
        4288,
        "tsmultirange",
        &[Tsrange],
        Tsmultirange,
        Many(|ranges| multirange::made(ranges, Timestamp)),
    )
    .variadic()
    .lenient(),
    function(
        4289,
        "tstzmultirange",
        &[],
        Tstzmultirange,
        Many(|ranges| multirange::made(ranges, Timestamptz)),
    ),
    function(
        4291,
        "tstzmultirange",
        &[Tstzrange],
        Tstzmultirange,
        Many(|ranges| multirange::made(ranges, Timestamptz)),
    )
    .variadic()
    .lenient(),
    function(4292, "datemultirange", &[], Datemultirange, Many(|ranges| multirange::made(ranges, Date))),
    function(
        4294,
        "datemultirange",
        &[Daterange],
        Datemultirange,
        Many(|ranges| multirange::made(ranges, Date)),
    )
    .variadic()
    .lenient(),
    function(4295, "int8multirange", &[], Int8Multirange, Many(|ranges| multirange::made(ranges, Int8))),
    function(
        4297,
        "int8multirange",
        &[Int8Range],
        Int8Multirange,
        Many(|ranges| multirange::made(ranges, Int8)),
    )
    .variadic()
    .lenient(),
    function(4298, "multirange", &[AnyRange], AnyMultirange, One(multirange::of_range)),
    function(4301, "range_agg", &[AnyRange], AnyMultirange, Aggregate(&accumulate::extent::GATHERED)),
    function(
        4389,
        "range_intersect_agg",
        &[AnyMultirange],
        AnyMultirange,
        Aggregate(&accumulate::extent::SHARED_BY_MANY),
    ),
    function(
        4541,
        "range_contains_multirange",
        &[AnyRange, AnyMultirange],
        Bool,
        Two(|range, spans| extent::contains(range, &around(spans)?)),
    ),
    function(
        4542,
        "multirange_contained_by_range",
        &[AnyMultirange, AnyRange],
        Bool,
        Two(|spans, range| extent::is_within(&around(spans)?, range)),
    ),
    function(
        6227,
        "range_agg",
        &[AnyMultirange],
        AnyMultirange,
        Aggregate(&accumulate::extent::GATHERED_OF_MANY),
    ),
];
