//! Numbers of transactions, and snapshots. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::xid::{self, as_bigint};
use super::function;
use crate::accumulate;
use crate::compare::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use crate::functions::Body::{Aggregate, One, Ordered, Rows, Two};
use crate::functions::Function;
use crate::lsn;
use crate::types::kinds::{Bool, Int4, Int8, PgSnapshot, TxidSnapshot, Xid, Xid8};

pub(super) const FUNCTIONS: &[Function] = &[
    function(68, "xideq", &[Xid, Xid], Bool, Ordered(Equal)),
    function(1319, "xideqint4", &[Xid, Int4], Bool, Two(xid::equals_integer)),
    function(2945, "txid_snapshot_xmin", &[TxidSnapshot], Int8, One(|own| xid::xmin(own, as_bigint))),
    function(2946, "txid_snapshot_xmax", &[TxidSnapshot], Int8, One(|own| xid::xmax(own, as_bigint))),
    function(2947, "txid_snapshot_xip", &[TxidSnapshot], Int8, Rows(|args| xid::running(args, as_bigint))),
    function(2948, "txid_visible_in_snapshot", &[Int8, TxidSnapshot], Bool, Two(xid::is_bigint_seen)),
    function(3308, "xidneq", &[Xid, Xid], Bool, Ordered(NotEqual)),
    function(3309, "xidneqint4", &[Xid, Int4], Bool, Two(xid::differs_from_integer)),
    function(5034, "xid8lt", &[Xid8, Xid8], Bool, Ordered(Less)),
    function(5035, "xid8gt", &[Xid8, Xid8], Bool, Ordered(Greater)),
    function(5036, "xid8le", &[Xid8, Xid8], Bool, Ordered(LessOrEqual)),
    function(5037, "xid8ge", &[Xid8, Xid8], Bool, Ordered(GreaterOrEqual)),
    function(5062, "pg_snapshot_xmin", &[PgSnapshot], Xid8, One(|own| xid::xmin(own, lsn::datum))),
    function(5063, "pg_snapshot_xmax", &[PgSnapshot], Xid8, One(|own| xid::xmax(own, lsn::datum))),
    function(5064, "pg_snapshot_xip", &[PgSnapshot], Xid8, Rows(|args| xid::running(args, lsn::datum))),
    function(5065, "pg_visible_in_snapshot", &[Xid8, PgSnapshot], Bool, Two(xid::is_seen)),
    function(5071, "xid", &[Xid8], Xid, One(xid::lower_half)),
    function(5084, "xid8eq", &[Xid8, Xid8], Bool, Ordered(Equal)),
    function(5085, "xid8ne", &[Xid8, Xid8], Bool, Ordered(NotEqual)),
    function(5096, "xid8cmp", &[Xid8, Xid8], Int4, Two(xid::order)),
    function(5099, "max", &[Xid8], Xid8, Aggregate(&accumulate::GREATEST)),
    function(5100, "min", &[Xid8], Xid8, Aggregate(&accumulate::LEAST)),
];
