//! Operators of ranges. Rows of PostgreSQL 15's `pg_operator`, by its OIDs.

use super::{Row, row};
use crate::types::kinds::{AnyElement, AnyRange, Bool};

pub(super) const OPERATORS: &[Row] = &[
    row(3882, "=", Some(AnyRange), AnyRange, Bool, 3855),
    row(3883, "<>", Some(AnyRange), AnyRange, Bool, 3856),
    row(3884, "<", Some(AnyRange), AnyRange, Bool, 3871),
    row(3885, "<=", Some(AnyRange), AnyRange, Bool, 3872),
    row(3886, ">=", Some(AnyRange), AnyRange, Bool, 3873),
    row(3887, ">", Some(AnyRange), AnyRange, Bool, 3874),
    row(3888, "&&", Some(AnyRange), AnyRange, Bool, 3857),
    row(3889, "@>", Some(AnyRange), AnyElement, Bool, 3858),
    row(3890, "@>", Some(AnyRange), AnyRange, Bool, 3859),
    row(3891, "<@", Some(AnyElement), AnyRange, Bool, 3860),
    row(3892, "<@", Some(AnyRange), AnyRange, Bool, 3861),
    row(3893, "<<", Some(AnyRange), AnyRange, Bool, 3863),
    row(3894, ">>", Some(AnyRange), AnyRange, Bool, 3864),
    row(3895, "&<", Some(AnyRange), AnyRange, Bool, 3865),
    row(3896, "&>", Some(AnyRange), AnyRange, Bool, 3866),
    row(3897, "-|-", Some(AnyRange), AnyRange, Bool, 3862),
    row(3898, "+", Some(AnyRange), AnyRange, AnyRange, 3867),
    row(3899, "-", Some(AnyRange), AnyRange, AnyRange, 3869),
    row(3900, "*", Some(AnyRange), AnyRange, AnyRange, 3868),
];
