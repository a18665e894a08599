//! Operators of the extension `citext`, by OIDs of our own.

use super::{Row, row};
use crate::types::kinds::{Bool, Citext, Text};

pub(super) const OPERATORS: &[Row] = &[
    row(9901, "=", Some(Citext), Citext, Bool, 9904),
    row(9902, "<>", Some(Citext), Citext, Bool, 9905),
    row(9903, "<", Some(Citext), Citext, Bool, 9906),
    row(9904, "<=", Some(Citext), Citext, Bool, 9907),
    row(9905, ">", Some(Citext), Citext, Bool, 9908),
    row(9906, ">=", Some(Citext), Citext, Bool, 9909),
    row(9907, "~~", Some(Citext), Citext, Bool, 9915),
    row(9908, "~~*", Some(Citext), Citext, Bool, 9915),
    row(9909, "!~~", Some(Citext), Citext, Bool, 9916),
    row(9910, "!~~*", Some(Citext), Citext, Bool, 9916),
    row(9911, "~", Some(Citext), Citext, Bool, 9917),
    row(9912, "~*", Some(Citext), Citext, Bool, 9917),
    row(9913, "!~", Some(Citext), Citext, Bool, 9918),
    row(9914, "!~*", Some(Citext), Citext, Bool, 9918),
    row(9915, "~~", Some(Citext), Text, Bool, 9919),
    row(9916, "~~*", Some(Citext), Text, Bool, 9919),
    row(9917, "!~~", Some(Citext), Text, Bool, 9920),
    row(9918, "!~~*", Some(Citext), Text, Bool, 9920),
    row(9919, "~", Some(Citext), Text, Bool, 9921),
    row(9920, "~*", Some(Citext), Text, Bool, 9921),
    row(9921, "!~", Some(Citext), Text, Bool, 9922),
    row(9922, "!~*", Some(Citext), Text, Bool, 9922),
    row(9923, "~<~", Some(Citext), Citext, Bool, 9937),
    row(9924, "~<=~", Some(Citext), Citext, Bool, 9938),
    row(9925, "~>~", Some(Citext), Citext, Bool, 9939),
    row(9926, "~>=~", Some(Citext), Citext, Bool, 9940),
];
