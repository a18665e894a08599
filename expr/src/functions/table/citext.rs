//! Functions of the extension `citext`, by OIDs of our own.

use super::super::{citext, like, pattern};
use super::function;
use crate::accumulate;
use crate::compare::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use crate::functions::Body::{Aggregate, Many, One, Ordered, Rows, Two};
use crate::functions::{Body, Function};
use crate::types::TypeKind;
use crate::types::kinds::{Bool, Bpchar, Citext, Inet, Int4, Text, TextArray};

const fn row(
    oid: u32,
    name: &'static str,
    args: &'static [TypeKind],
    result: TypeKind,
    body: Body,
) -> Function {
    function(oid, name, args, result, body).of_extension("citext")
}

pub(super) const FUNCTIONS: &[Function] = &[
    row(9901, "citext", &[Bpchar], Citext, One(citext::of_padded)),
    row(9902, "citext", &[Bool], Citext, One(citext::of_bool)),
    row(9903, "citext", &[Inet], Citext, One(citext::of_network)),
    row(9904, "citext_eq", &[Citext, Citext], Bool, Ordered(Equal)),
    row(9905, "citext_ne", &[Citext, Citext], Bool, Ordered(NotEqual)),
    row(9906, "citext_lt", &[Citext, Citext], Bool, Ordered(Less)),
    row(9907, "citext_le", &[Citext, Citext], Bool, Ordered(LessOrEqual)),
    row(9908, "citext_gt", &[Citext, Citext], Bool, Ordered(Greater)),
    row(9909, "citext_ge", &[Citext, Citext], Bool, Ordered(GreaterOrEqual)),
    row(9910, "citext_cmp", &[Citext, Citext], Int4, Two(citext::compare)),
    row(9911, "citext_smaller", &[Citext, Citext], Citext, Two(citext::smaller)),
    row(9912, "citext_larger", &[Citext, Citext], Citext, Two(citext::larger)),
    row(9913, "min", &[Citext], Citext, Aggregate(&accumulate::LAST_LEAST)),
    row(9914, "max", &[Citext], Citext, Aggregate(&accumulate::LAST_GREATEST)),
    row(9915, "texticlike", &[Citext, Citext], Bool, Two(like::ilike)),
    row(9916, "texticnlike", &[Citext, Citext], Bool, Two(like::not_ilike)),
    row(9917, "texticregexeq", &[Citext, Citext], Bool, Two(pattern::regex_match_fold)),
    row(9918, "texticregexne", &[Citext, Citext], Bool, Two(pattern::regex_not_match_fold)),
    row(9919, "texticlike", &[Citext, Text], Bool, Two(like::ilike)),
    row(9920, "texticnlike", &[Citext, Text], Bool, Two(like::not_ilike)),
    row(9921, "texticregexeq", &[Citext, Text], Bool, Two(pattern::regex_match_fold)),
    row(9922, "texticregexne", &[Citext, Text], Bool, Two(pattern::regex_not_match_fold)),
    row(9923, "regexp_match", &[Citext, Citext], TextArray, Many(citext::regexp_match)),
    row(9924, "regexp_match", &[Citext, Citext, Text], TextArray, Many(citext::regexp_match)),
    row(9925, "regexp_matches", &[Citext, Citext], TextArray, Rows(citext::regexp_matches)),
    row(9926, "regexp_matches", &[Citext, Citext, Text], TextArray, Rows(citext::regexp_matches)),
    row(9927, "regexp_replace", &[Citext, Citext, Text], Text, Many(citext::regexp_replace)),
    row(9928, "regexp_replace", &[Citext, Citext, Text, Text], Text, Many(citext::regexp_replace)),
    row(9929, "regexp_split_to_array", &[Citext, Citext], TextArray, Many(citext::regexp_split_to_array)),
    row(
        9930,
        "regexp_split_to_array",
        &[Citext, Citext, Text],
        TextArray,
        Many(citext::regexp_split_to_array),
    ),
    row(9931, "regexp_split_to_table", &[Citext, Citext], Text, Rows(citext::regexp_split_to_table)),
    row(9932, "regexp_split_to_table", &[Citext, Citext, Text], Text, Rows(citext::regexp_split_to_table)),
    row(9933, "strpos", &[Citext, Citext], Int4, Two(citext::strpos)),
    row(9934, "replace", &[Citext, Citext, Citext], Text, Many(citext::replace)),
    row(9935, "split_part", &[Citext, Citext, Int4], Text, Many(citext::split_part)),
    row(9936, "translate", &[Citext, Citext, Text], Text, Many(citext::translate)),
    row(9937, "citext_pattern_lt", &[Citext, Citext], Bool, Ordered(Less)),
    row(9938, "citext_pattern_le", &[Citext, Citext], Bool, Ordered(LessOrEqual)),
    row(9939, "citext_pattern_gt", &[Citext, Citext], Bool, Ordered(Greater)),
    row(9940, "citext_pattern_ge", &[Citext, Citext], Bool, Ordered(GreaterOrEqual)),
    row(9941, "citext_pattern_cmp", &[Citext, Citext], Int4, Two(citext::compare)),
];
