//! Arrays. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::array;
use super::function;
use crate::functions::Body::{Many, One, Two, Typed};
use crate::functions::Function;
use crate::types::kinds::{
    AnyArray, AnyCompatible, AnyCompatibleArray, AnyElement, Bool, Int4, Int4Array, OidVector, Text,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        378,
        "array_append",
        &[AnyCompatibleArray, AnyCompatible],
        AnyCompatibleArray,
        Many(array::append),
    )
    .lenient(),
    function(
        379,
        "array_prepend",
        &[AnyCompatible, AnyCompatibleArray],
        AnyCompatibleArray,
        Many(array::prepend),
    )
    .lenient(),
    function(
        383,
        "array_cat",
        &[AnyCompatibleArray, AnyCompatibleArray],
        AnyCompatibleArray,
        Many(array::concatenate),
    )
    .lenient(),
    function(384, "array_to_string", &[AnyArray, Text, Text], Text, Typed(array::to_string))
        .stable()
        .lenient(),
    function(395, "array_to_string", &[AnyArray, Text], Text, Typed(array::to_string)).stable(),
    function(747, "array_dims", &[AnyArray], Text, One(array::dimensions_text)),
    function(748, "array_ndims", &[AnyArray], Int4, One(array::dimensions)),
    function(1193, "array_fill", &[AnyElement, Int4Array], AnyArray, Many(array::fill)).lenient(),
    function(1286, "array_fill", &[AnyElement, Int4Array, Int4Array], AnyArray, Many(array::fill)).lenient(),
    function(1349, "oidvectortypes", &[OidVector], Text, Typed(array::type_names)).stable(),
    function(2091, "array_lower", &[AnyArray, Int4], Int4, Many(array::lower)),
    function(2092, "array_upper", &[AnyArray, Int4], Int4, Many(array::upper)),
    function(2176, "array_length", &[AnyArray, Int4], Int4, Many(array::length)),
    function(2747, "arrayoverlap", &[AnyArray, AnyArray], Bool, Two(array::overlaps)),
    function(2748, "arraycontains", &[AnyArray, AnyArray], Bool, Two(array::contains)),
    function(2749, "arraycontained", &[AnyArray, AnyArray], Bool, Two(array::contained)),
    function(
        3167,
        "array_remove",
        &[AnyCompatibleArray, AnyCompatible],
        AnyCompatibleArray,
        Many(array::remove),
    )
    .lenient(),
    function(
        3168,
        "array_replace",
        &[AnyCompatibleArray, AnyCompatible, AnyCompatible],
        AnyCompatibleArray,
        Many(array::replace),
    )
    .lenient(),
    function(3179, "cardinality", &[AnyArray], Int4, One(array::cardinality)),
    function(3277, "array_position", &[AnyCompatibleArray, AnyCompatible], Int4, Many(array::position))
        .lenient(),
    function(3278, "array_position", &[AnyCompatibleArray, AnyCompatible, Int4], Int4, Many(array::position))
        .lenient(),
    function(
        3279,
        "array_positions",
        &[AnyCompatibleArray, AnyCompatible],
        Int4Array,
        Many(array::positions),
    )
    .lenient(),
    function(6172, "trim_array", &[AnyArray, Int4], AnyArray, Many(array::trim)),
    function(3218, "width_bucket", &[AnyCompatible, AnyCompatibleArray], Int4, Two(array::width_bucket)),
];
