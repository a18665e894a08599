//! Operators of the extension `vector`, by OIDs of our own.

use super::{Row, row};
use crate::types::kinds::{Bool, Float8, Vector};

pub(super) const OPERATORS: &[Row] = &[
    row(9801, "<->", Some(Vector), Vector, Float8, 9801),
    row(9802, "<#>", Some(Vector), Vector, Float8, 9822),
    row(9803, "<=>", Some(Vector), Vector, Float8, 9803),
    row(9804, "<+>", Some(Vector), Vector, Float8, 9804),
    row(9805, "+", Some(Vector), Vector, Vector, 9810),
    row(9806, "-", Some(Vector), Vector, Vector, 9811),
    row(9807, "*", Some(Vector), Vector, Vector, 9812),
    row(9808, "||", Some(Vector), Vector, Vector, 9813),
    row(9809, "<", Some(Vector), Vector, Bool, 9814),
    row(9810, "<=", Some(Vector), Vector, Bool, 9815),
    row(9811, "=", Some(Vector), Vector, Bool, 9816),
    row(9812, "<>", Some(Vector), Vector, Bool, 9817),
    row(9813, ">=", Some(Vector), Vector, Bool, 9818),
    row(9814, ">", Some(Vector), Vector, Bool, 9819),
];
