//! Functions that return rows. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::{pattern, string};
use super::function;
use crate::functions::Body::{Catalog, Rows, Set, Table};
use crate::functions::Function;
use crate::types::kinds::{
    AnyArray, AnyElement, Bool, Int4, Int8, Interval, Numeric, QuotedChar, Record, Regclass, Text, TextArray,
    Timestamp, Timestamptz,
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
    function(1686, "pg_get_keywords", &[], Record, Catalog).stable().returning(&[
        ("word", Text),
        ("catcode", QuotedChar),
        ("barelabel", Bool),
        ("catdesc", Text),
        ("baredesc", Text),
    ]),
    function(2331, "unnest", &[AnyArray], AnyElement, Set),
    function(2763, "regexp_matches", &[Text, Text], TextArray, Rows(pattern::regexp_matches)),
    function(2764, "regexp_matches", &[Text, Text, Text], TextArray, Rows(pattern::regexp_matches)),
    function(2765, "regexp_split_to_table", &[Text, Text], Text, Rows(pattern::regexp_split_to_table)),
    function(2766, "regexp_split_to_table", &[Text, Text, Text], Text, Rows(pattern::regexp_split_to_table)),
    function(3035, "pg_listening_channels", &[], Text, Catalog).stable().returning(&[]),
    function(3259, "generate_series", &[Numeric, Numeric, Numeric], Numeric, Set),
    function(3260, "generate_series", &[Numeric, Numeric], Numeric, Set),
    // No table is partitioned.
    function(3423, "pg_partition_tree", &[Regclass], Record, Table(|_, _, _| Ok(Vec::new())))
        .volatile()
        .returning(&[("relid", Regclass), ("parentrelid", Regclass), ("isleaf", Bool), ("level", Int4)]),
    function(3425, "pg_partition_ancestors", &[Regclass], Regclass, Rows(|_| Ok(Vec::new())))
        .volatile()
        .naming("relid"),
    function(6160, "string_to_table", &[Text, Text], Text, Rows(string::string_to_table)).lenient(),
    function(6161, "string_to_table", &[Text, Text, Text], Text, Rows(string::string_to_table)).lenient(),
    function(13208, "_pg_expandarray", &[AnyArray], Record, Set).returning(&[("x", AnyElement), ("n", Int4)]),
];
