//! Operators of money. Rows of PostgreSQL 15's `pg_operator`, by its OIDs.

use super::{Row, row};
use crate::types::kinds::{Bool, Float4, Float8, Int2, Int4, Int8, Money};

pub(super) const OPERATORS: &[Row] = &[
    row(843, "*", Some(Money), Float4, Money, 846),
    row(844, "/", Some(Money), Float4, Money, 847),
    row(845, "*", Some(Float4), Money, Money, 848),
    row(900, "=", Some(Money), Money, Bool, 888),
    row(901, "<>", Some(Money), Money, Bool, 889),
    row(902, "<", Some(Money), Money, Bool, 890),
    row(903, ">", Some(Money), Money, Bool, 892),
    row(904, "<=", Some(Money), Money, Bool, 891),
    row(905, ">=", Some(Money), Money, Bool, 893),
    row(906, "+", Some(Money), Money, Money, 894),
    row(907, "-", Some(Money), Money, Money, 895),
    row(908, "*", Some(Money), Float8, Money, 896),
    row(909, "/", Some(Money), Float8, Money, 897),
    row(912, "*", Some(Money), Int4, Money, 864),
    row(913, "/", Some(Money), Int4, Money, 865),
    row(914, "*", Some(Money), Int2, Money, 866),
    row(915, "/", Some(Money), Int2, Money, 867),
    row(916, "*", Some(Float8), Money, Money, 919),
    row(917, "*", Some(Int4), Money, Money, 862),
    row(918, "*", Some(Int2), Money, Money, 863),
    row(3346, "*", Some(Money), Int8, Money, 3344),
    row(3347, "/", Some(Money), Int8, Money, 3345),
    row(3349, "*", Some(Int8), Money, Money, 3399),
    row(3825, "/", Some(Money), Money, Float8, 3822),
];
