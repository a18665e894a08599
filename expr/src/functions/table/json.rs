//! JSON. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::{json_make, json_path, json_text, jsonb, table_json};
use super::function;
use crate::compare::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use crate::functions::Body::{Many, One, Ordered, Rows, Session, SessionRows, Table, Two, Typed};
use crate::functions::Function;
use crate::types::kinds::{
    Any, AnyArray, AnyElement, Bool, Int4, Json, Jsonb, Jsonpath, Record, Text, TextArray,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        1177,
        "jsonb_path_exists_tz",
        &[Jsonb, Jsonpath, Jsonb, Bool],
        Bool,
        Session(json_path::path_exists_tz),
    )
    .with_defaults(2)
    .stable(),
    function(
        1179,
        "jsonb_path_query_tz",
        &[Jsonb, Jsonpath, Jsonb, Bool],
        Jsonb,
        SessionRows(json_path::path_query_tz),
    )
    .with_defaults(2)
    .stable(),
    function(
        1180,
        "jsonb_path_query_array_tz",
        &[Jsonb, Jsonpath, Jsonb, Bool],
        Jsonb,
        Session(json_path::path_query_array_tz),
    )
    .with_defaults(2)
    .stable(),
    function(
        2023,
        "jsonb_path_query_first_tz",
        &[Jsonb, Jsonpath, Jsonb, Bool],
        Jsonb,
        Session(json_path::path_query_first_tz),
    )
    .with_defaults(2)
    .stable(),
    function(
        2030,
        "jsonb_path_match_tz",
        &[Jsonb, Jsonpath, Jsonb, Bool],
        Bool,
        Session(json_path::path_match_tz),
    )
    .with_defaults(2)
    .stable(),
    function(4005, "jsonb_path_exists", &[Jsonb, Jsonpath, Jsonb, Bool], Bool, Many(json_path::path_exists))
        .with_defaults(2),
    function(4006, "jsonb_path_query", &[Jsonb, Jsonpath, Jsonb, Bool], Jsonb, Rows(json_path::path_query))
        .with_defaults(2),
    function(
        4007,
        "jsonb_path_query_array",
        &[Jsonb, Jsonpath, Jsonb, Bool],
        Jsonb,
        Many(json_path::path_query_array),
    )
    .with_defaults(2),
    function(
        4008,
        "jsonb_path_query_first",
        &[Jsonb, Jsonpath, Jsonb, Bool],
        Jsonb,
        Many(json_path::path_query_first),
    )
    .with_defaults(2),
    function(4009, "jsonb_path_match", &[Jsonb, Jsonpath, Jsonb, Bool], Bool, Many(json_path::path_match))
        .with_defaults(2),
    function(4010, "jsonb_path_exists_opr", &[Jsonb, Jsonpath], Bool, Two(json_path::path_exists_operator)),
    function(4011, "jsonb_path_match_opr", &[Jsonb, Jsonpath], Bool, Two(json_path::path_match_operator)),
    function(3153, "array_to_json", &[AnyArray], Json, Typed(json_make::array_to_json)).stable(),
    function(3154, "array_to_json", &[AnyArray, Bool], Json, Typed(json_make::array_to_json)).stable(),
    function(3155, "row_to_json", &[Record], Json, Typed(json_make::to_json)).stable(),
    function(3156, "row_to_json", &[Record, Bool], Json, Typed(json_make::row_to_json)).stable(),
    function(3176, "to_json", &[AnyElement], Json, Typed(json_make::to_json)).stable(),
    function(3198, "json_build_array", &[Any], Json, Typed(json_make::build_array))
        .stable()
        .lenient()
        .variadic(),
    function(3199, "json_build_array", &[], Json, Typed(json_make::build_array)).stable().lenient(),
    function(3200, "json_build_object", &[Any], Json, Typed(json_make::build_object))
        .stable()
        .lenient()
        .variadic(),
    function(3201, "json_build_object", &[], Json, Typed(json_make::build_object)).stable().lenient(),
    function(3202, "json_object", &[TextArray], Json, Many(json_text::object)),
    function(3203, "json_object", &[TextArray, TextArray], Json, Many(json_text::object)),
    function(3204, "json_to_record", &[Json], Record, Table(table_json::record)).stable(),
    function(3205, "json_to_recordset", &[Json], Record, Table(table_json::record_set)).stable(),
    function(3209, "jsonb_populate_record", &[AnyElement, Jsonb], AnyElement, Typed(table_json::populate))
        .stable()
        .lenient(),
    function(3207, "jsonb_array_length", &[Jsonb], Int4, One(jsonb::array_length)),
    function(3208, "jsonb_each", &[Jsonb], Record, Table(table_json::document_each))
        .returning(&[("key", Text), ("value", Jsonb)]),
    function(3210, "jsonb_typeof", &[Jsonb], Text, One(jsonb::type_of)),
    function(3214, "jsonb_object_field_text", &[Jsonb, Text], Text, Two(jsonb::field_text)),
    function(3215, "jsonb_array_element", &[Jsonb, Int4], Jsonb, Two(jsonb::element)),
    function(3216, "jsonb_array_element_text", &[Jsonb, Int4], Text, Two(jsonb::element_text)),
    function(3217, "jsonb_extract_path", &[Jsonb, Text], Jsonb, Many(jsonb::extract_path)).variadic(),
    function(3219, "jsonb_array_elements", &[Jsonb], Jsonb, Rows(jsonb::elements)).naming("value"),
    function(3261, "json_strip_nulls", &[Json], Json, One(json_text::strip_nulls)),
    function(3262, "jsonb_strip_nulls", &[Jsonb], Jsonb, One(jsonb::strip_nulls)),
    function(3263, "jsonb_object", &[TextArray], Jsonb, Many(jsonb::object)),
    function(3264, "jsonb_object", &[TextArray, TextArray], Jsonb, Many(jsonb::object)),
    function(3271, "jsonb_build_array", &[Any], Jsonb, Typed(json_make::build_jsonb_array))
        .stable()
        .lenient()
        .variadic(),
    function(3272, "jsonb_build_array", &[], Jsonb, Typed(json_make::build_jsonb_array)).stable().lenient(),
    function(3273, "jsonb_build_object", &[Any], Jsonb, Typed(json_make::build_jsonb_object))
        .stable()
        .lenient()
        .variadic(),
    function(3274, "jsonb_build_object", &[], Jsonb, Typed(json_make::build_jsonb_object)).stable().lenient(),
    function(3301, "jsonb_concat", &[Jsonb, Jsonb], Jsonb, Two(jsonb::concatenate)),
    function(3302, "jsonb_delete", &[Jsonb, Text], Jsonb, Two(jsonb::delete_key)),
    function(3303, "jsonb_delete", &[Jsonb, Int4], Jsonb, Two(jsonb::delete_element)),
    function(3304, "jsonb_delete_path", &[Jsonb, TextArray], Jsonb, Two(jsonb::delete_path)),
    function(3305, "jsonb_set", &[Jsonb, TextArray, Jsonb, Bool], Jsonb, Many(jsonb::set)).with_defaults(1),
    function(3306, "jsonb_pretty", &[Jsonb], Text, One(jsonb::pretty)),
    function(3343, "jsonb_delete", &[Jsonb, TextArray], Jsonb, Many(jsonb::delete_keys)),
    function(3490, "jsonb_to_record", &[Jsonb], Record, Table(table_json::record)).stable(),
    function(3491, "jsonb_to_recordset", &[Jsonb], Record, Table(table_json::record_set)).stable(),
    function(3465, "jsonb_array_elements_text", &[Jsonb], Text, Rows(jsonb::elements_text)).naming("value"),
    function(
        3475,
        "jsonb_populate_recordset",
        &[AnyElement, Jsonb],
        AnyElement,
        Table(table_json::populate_set),
    )
    .stable()
    .lenient(),
    function(
        3960,
        "json_populate_record",
        &[AnyElement, Json, Bool],
        AnyElement,
        Typed(table_json::populate),
    )
    .stable()
    .lenient()
    .with_defaults(1),
    function(
        3961,
        "json_populate_recordset",
        &[AnyElement, Json, Bool],
        AnyElement,
        Table(table_json::populate_set),
    )
    .stable()
    .lenient()
    .with_defaults(1),
    function(3478, "jsonb_object_field", &[Jsonb, Text], Jsonb, Two(jsonb::field)),
    function(3579, "jsonb_insert", &[Jsonb, TextArray, Jsonb, Bool], Jsonb, Many(jsonb::insert))
        .with_defaults(1),
    function(3787, "to_jsonb", &[AnyElement], Jsonb, Typed(json_make::to_jsonb)).stable(),
    function(3931, "jsonb_object_keys", &[Jsonb], Text, Rows(jsonb::keys)),
    function(3932, "jsonb_each_text", &[Jsonb], Record, Table(table_json::document_each_text))
        .returning(&[("key", Text), ("value", Text)]),
    function(3940, "jsonb_extract_path_text", &[Jsonb, Text], Text, Many(jsonb::extract_path_text))
        .variadic(),
    function(3947, "json_object_field", &[Json, Text], Json, Two(json_text::field)),
    function(3948, "json_object_field_text", &[Json, Text], Text, Two(json_text::field_text)),
    function(3949, "json_array_element", &[Json, Int4], Json, Two(json_text::element)),
    function(3950, "json_array_element_text", &[Json, Int4], Text, Two(json_text::element_text)),
    function(3951, "json_extract_path", &[Json, Text], Json, Many(json_text::extract_path)).variadic(),
    function(3953, "json_extract_path_text", &[Json, Text], Text, Many(json_text::extract_path_text))
        .variadic(),
    function(3955, "json_array_elements", &[Json], Json, Rows(json_text::elements)).naming("value"),
    function(3956, "json_array_length", &[Json], Int4, One(json_text::array_length)),
    function(3957, "json_object_keys", &[Json], Text, Rows(json_text::keys)),
    function(3958, "json_each", &[Json], Record, Table(table_json::each))
        .returning(&[("key", Text), ("value", Json)]),
    function(3959, "json_each_text", &[Json], Record, Table(table_json::each_text))
        .returning(&[("key", Text), ("value", Text)]),
    function(3968, "json_typeof", &[Json], Text, One(json_text::type_of)),
    function(3969, "json_array_elements_text", &[Json], Text, Rows(json_text::elements_text)).naming("value"),
    function(4038, "jsonb_ne", &[Jsonb, Jsonb], Bool, Ordered(NotEqual)),
    function(4039, "jsonb_lt", &[Jsonb, Jsonb], Bool, Ordered(Less)),
    function(4040, "jsonb_gt", &[Jsonb, Jsonb], Bool, Ordered(Greater)),
    function(4041, "jsonb_le", &[Jsonb, Jsonb], Bool, Ordered(LessOrEqual)),
    function(4042, "jsonb_ge", &[Jsonb, Jsonb], Bool, Ordered(GreaterOrEqual)),
    function(4043, "jsonb_eq", &[Jsonb, Jsonb], Bool, Ordered(Equal)),
    function(4046, "jsonb_contains", &[Jsonb, Jsonb], Bool, Two(jsonb::contains)),
    function(4047, "jsonb_exists", &[Jsonb, Text], Bool, Two(jsonb::exists)),
    function(4048, "jsonb_exists_any", &[Jsonb, TextArray], Bool, Two(jsonb::exists_any)),
    function(4049, "jsonb_exists_all", &[Jsonb, TextArray], Bool, Two(jsonb::exists_all)),
    function(4050, "jsonb_contained", &[Jsonb, Jsonb], Bool, Two(jsonb::contained)),
    function(5054, "jsonb_set_lax", &[Jsonb, TextArray, Jsonb, Bool, Text], Jsonb, Many(jsonb::set_lax))
        .lenient()
        .with_defaults(2),
    // PostgreSQL has none of these.
    function(9003, "jsonb_merge_patch", &[Jsonb, Jsonb], Jsonb, Two(jsonb::merge_patch)),
    function(9004, "jsonb_canonical", &[Jsonb], Text, One(jsonb::canonical)),
];
