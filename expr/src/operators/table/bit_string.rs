//! Operators of strings of bits. Rows of PostgreSQL 15's `pg_operator`, by its OIDs.

use super::{Row, row};
use crate::types::kinds::{Bit, Bool, Int4, Varbit};

pub(super) const OPERATORS: &[Row] = &[
    row(1784, "=", Some(Bit), Bit, Bool, 1581),
    row(1785, "<>", Some(Bit), Bit, Bool, 1582),
    row(1786, "<", Some(Bit), Bit, Bool, 1595),
    row(1787, ">", Some(Bit), Bit, Bool, 1593),
    row(1788, "<=", Some(Bit), Bit, Bool, 1594),
    row(1789, ">=", Some(Bit), Bit, Bool, 1592),
    row(1791, "&", Some(Bit), Bit, Bit, 1673),
    row(1792, "|", Some(Bit), Bit, Bit, 1674),
    row(1793, "#", Some(Bit), Bit, Bit, 1675),
    row(1794, "~", None, Bit, Bit, 1676),
    row(1795, "<<", Some(Bit), Int4, Bit, 1677),
    row(1796, ">>", Some(Bit), Int4, Bit, 1678),
    row(1797, "||", Some(Varbit), Varbit, Varbit, 1679),
    row(1804, "=", Some(Varbit), Varbit, Bool, 1666),
    row(1805, "<>", Some(Varbit), Varbit, Bool, 1667),
    row(1806, "<", Some(Varbit), Varbit, Bool, 1671),
    row(1807, ">", Some(Varbit), Varbit, Bool, 1669),
    row(1808, "<=", Some(Varbit), Varbit, Bool, 1670),
    row(1809, ">=", Some(Varbit), Varbit, Bool, 1668),
];
