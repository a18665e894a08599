//! Operators of numbers of transactions. Rows of PostgreSQL 15's `pg_operator`, by its OIDs.

use super::{Row, row};
use crate::types::kinds::{Bool, Int4, Xid, Xid8};

pub(super) const OPERATORS: &[Row] = &[
    row(352, "=", Some(Xid), Xid, Bool, 68),
    row(353, "=", Some(Xid), Int4, Bool, 1319),
    row(3315, "<>", Some(Xid), Xid, Bool, 3308),
    row(3316, "<>", Some(Xid), Int4, Bool, 3309),
    row(5068, "=", Some(Xid8), Xid8, Bool, 5084),
    row(5072, "<>", Some(Xid8), Xid8, Bool, 5085),
    row(5073, "<", Some(Xid8), Xid8, Bool, 5034),
    row(5074, ">", Some(Xid8), Xid8, Bool, 5035),
    row(5075, "<=", Some(Xid8), Xid8, Bool, 5036),
    row(5076, ">=", Some(Xid8), Xid8, Bool, 5037),
];
