//! Values in their binary format. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::bytea;
use super::function;
use crate::functions::Body::Typed;
use crate::functions::Function;
use crate::types::kinds::{
    Bit, Bool, Bpchar, Bytea, Cidr, Date, Float4, Float8, Inet, Int2, Int4, Int8, Interval, Json, Jsonb,
    Jsonpath, Macaddr, Macaddr8, Money, Name, Numeric, Oid, PgLsn, PgSnapshot, QuotedChar, Regclass,
    Regnamespace, Regproc, Regprocedure, Regrole, Regtype, Text, Time, Timestamp, Timestamptz, Timetz,
    TxidSnapshot, Uuid, Varbit, Varchar, Xid, Xid8,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(324, "json_send", &[Json], Bytea, Typed(bytea::sent)),
    function(2405, "int2send", &[Int2], Bytea, Typed(bytea::sent)),
    function(2407, "int4send", &[Int4], Bytea, Typed(bytea::sent)),
    function(2409, "int8send", &[Int8], Bytea, Typed(bytea::sent)),
    function(2413, "byteasend", &[Bytea], Bytea, Typed(bytea::sent)),
    function(2415, "textsend", &[Text], Bytea, Typed(bytea::sent)).stable(),
    function(2419, "oidsend", &[Oid], Bytea, Typed(bytea::sent)),
    function(2423, "namesend", &[Name], Bytea, Typed(bytea::sent)).stable(),
    function(2425, "float4send", &[Float4], Bytea, Typed(bytea::sent)),
    function(2427, "float8send", &[Float8], Bytea, Typed(bytea::sent)),
    function(2431, "bpcharsend", &[Bpchar], Bytea, Typed(bytea::sent)).stable(),
    function(2433, "varcharsend", &[Varchar], Bytea, Typed(bytea::sent)).stable(),
    function(2435, "charsend", &[QuotedChar], Bytea, Typed(bytea::sent)),
    function(2437, "boolsend", &[Bool], Bytea, Typed(bytea::sent)),
    function(2445, "regprocsend", &[Regproc], Bytea, Typed(bytea::sent)),
    function(2447, "regproceduresend", &[Regprocedure], Bytea, Typed(bytea::sent)),
    function(2453, "regclasssend", &[Regclass], Bytea, Typed(bytea::sent)),
    function(2455, "regtypesend", &[Regtype], Bytea, Typed(bytea::sent)),
    function(2457, "bit_send", &[Bit], Bytea, Typed(bytea::sent)),
    function(2459, "varbit_send", &[Varbit], Bytea, Typed(bytea::sent)),
    function(2461, "numeric_send", &[Numeric], Bytea, Typed(bytea::sent)),
    function(2469, "date_send", &[Date], Bytea, Typed(bytea::sent)),
    function(2471, "time_send", &[Time], Bytea, Typed(bytea::sent)),
    function(2473, "timetz_send", &[Timetz], Bytea, Typed(bytea::sent)),
    function(2475, "timestamp_send", &[Timestamp], Bytea, Typed(bytea::sent)),
    function(2477, "timestamptz_send", &[Timestamptz], Bytea, Typed(bytea::sent)),
    function(2479, "interval_send", &[Interval], Bytea, Typed(bytea::sent)),
    function(2493, "cash_send", &[Money], Bytea, Typed(bytea::sent)),
    function(2495, "macaddr_send", &[Macaddr], Bytea, Typed(bytea::sent)),
    function(2497, "inet_send", &[Inet], Bytea, Typed(bytea::sent)),
    function(2499, "cidr_send", &[Cidr], Bytea, Typed(bytea::sent)),
    function(2962, "uuid_send", &[Uuid], Bytea, Typed(bytea::sent)),
    function(3239, "pg_lsn_send", &[PgLsn], Bytea, Typed(bytea::sent)),
    function(2441, "xidsend", &[Xid], Bytea, Typed(bytea::sent)),
    function(2942, "txid_snapshot_send", &[TxidSnapshot], Bytea, Typed(bytea::sent)),
    function(5058, "pg_snapshot_send", &[PgSnapshot], Bytea, Typed(bytea::sent)),
    function(5083, "xid8send", &[Xid8], Bytea, Typed(bytea::sent)),
    function(3447, "macaddr8_send", &[Macaddr8], Bytea, Typed(bytea::sent)),
    function(3803, "jsonb_send", &[Jsonb], Bytea, Typed(bytea::sent)),
    function(4004, "jsonpath_send", &[Jsonpath], Bytea, Typed(bytea::sent)),
    function(4088, "regnamespacesend", &[Regnamespace], Bytea, Typed(bytea::sent)),
    function(4095, "regrolesend", &[Regrole], Bytea, Typed(bytea::sent)),
];
