//! The casts between types: rows of PostgreSQL 15's `pg_cast`, by its OIDs. One row is all that a new one costs. Casts to and
//! from strings through text, and of arrays by their elements, are rules of [`super::find`].

use super::CastContext::{self, Assignment, Explicit, Implicit};
use super::CastMethod::{self, Bits, By, Same, ThroughText};
use super::convert::{
    character, character_code, json_to_bool, json_to_float4, json_to_float8, json_to_int2, json_to_int4,
    json_to_int8, json_to_numeric, oid_bits, time_to_interval, to_bool, to_date, to_float4, to_float8,
    to_int2, to_int4, to_int8, to_numeric, to_oid, to_time, to_timestamp, to_timestamptz, truth_word,
    without_blanks,
};
use crate::types::TypeKind;
use crate::types::kinds::{
    Bool, Bpchar, Date, Float4, Float8, Int2, Int4, Int8, Interval, Json, Jsonb, Name, Numeric, Oid,
    QuotedChar, Regclass, Regnamespace, Regproc, Regrole, Regtype, Text, Time, Timestamp, Timestamptz,
    Varchar,
};
use crate::volatility::Volatility;

/// A row of `pg_cast`.
#[derive(Debug)]
pub struct CastRow {
    /// `oid`
    pub oid: u32,
    /// `castsource`
    pub from: TypeKind,
    /// `casttarget`
    pub to: TypeKind,
    /// `castfunc`: 0 = none
    pub function: u32,
    /// `castcontext`
    pub context: CastContext,
    /// How it is done here.
    pub method: CastMethod,
    /// How much the result depends on the session.
    pub volatility: Volatility,
}

const fn row(
    oid: u32,
    from: TypeKind,
    to: TypeKind,
    function: u32,
    context: CastContext,
    method: CastMethod,
) -> CastRow {
    CastRow { oid, from, to, function, context, method, volatility: Volatility::Immutable }
}

impl CastRow {
    const fn stable(mut self) -> Self {
        self.volatility = Volatility::Stable;
        self
    }
}

/// All rows, by OID. From a type to itself is what fits a value to a modifier: [`crate::length`].
pub(super) const CASTS: &[CastRow] = &[
    row(10000, Int8, Int2, 714, Assignment, By(to_int2)),
    row(10001, Int8, Int4, 480, Assignment, By(to_int4)),
    row(10002, Int8, Float4, 652, Implicit, By(to_float4)),
    row(10003, Int8, Float8, 482, Implicit, By(to_float8)),
    row(10004, Int8, Numeric, 1781, Implicit, By(to_numeric)),
    row(10005, Int2, Int8, 754, Implicit, By(to_int8)),
    row(10006, Int2, Int4, 313, Implicit, By(to_int4)),
    row(10007, Int2, Float4, 236, Implicit, By(to_float4)),
    row(10008, Int2, Float8, 235, Implicit, By(to_float8)),
    row(10009, Int2, Numeric, 1782, Implicit, By(to_numeric)),
    row(10010, Int4, Int8, 481, Implicit, By(to_int8)),
    row(10011, Int4, Int2, 314, Assignment, By(to_int2)),
    row(10012, Int4, Float4, 318, Implicit, By(to_float4)),
    row(10013, Int4, Float8, 316, Implicit, By(to_float8)),
    row(10014, Int4, Numeric, 1740, Implicit, By(to_numeric)),
    row(10015, Float4, Int8, 653, Assignment, By(to_int8)),
    row(10016, Float4, Int2, 238, Assignment, By(to_int2)),
    row(10017, Float4, Int4, 319, Assignment, By(to_int4)),
    row(10018, Float4, Float8, 311, Implicit, By(to_float8)),
    row(10019, Float4, Numeric, 1742, Assignment, By(to_numeric)),
    row(10020, Float8, Int8, 483, Assignment, By(to_int8)),
    row(10021, Float8, Int2, 237, Assignment, By(to_int2)),
    row(10022, Float8, Int4, 317, Assignment, By(to_int4)),
    row(10023, Float8, Float4, 312, Assignment, By(to_float4)),
    row(10024, Float8, Numeric, 1743, Assignment, By(to_numeric)),
    row(10025, Numeric, Int8, 1779, Assignment, By(to_int8)),
    row(10026, Numeric, Int2, 1783, Assignment, By(to_int2)),
    row(10027, Numeric, Int4, 1744, Assignment, By(to_int4)),
    row(10028, Numeric, Float4, 1745, Implicit, By(to_float4)),
    row(10029, Numeric, Float8, 1746, Implicit, By(to_float8)),
    row(10034, Int4, Bool, 2557, Explicit, By(to_bool)),
    row(10035, Bool, Int4, 2558, Explicit, By(to_int4)),
    row(10037, Int8, Oid, 1287, Implicit, By(to_oid)),
    row(10038, Int2, Oid, 313, Implicit, By(to_oid)),
    row(10039, Int4, Oid, 0, Implicit, Bits(to_oid)),
    row(10040, Oid, Int8, 1288, Assignment, By(to_int8)),
    row(10041, Oid, Int4, 0, Assignment, Bits(oid_bits)),
    row(10042, Oid, Regproc, 0, Implicit, Same),
    row(10043, Regproc, Oid, 0, Implicit, Same),
    row(10044, Int8, Regproc, 1287, Implicit, By(to_oid)),
    row(10045, Int2, Regproc, 313, Implicit, By(to_oid)),
    row(10046, Int4, Regproc, 0, Implicit, Bits(to_oid)),
    row(10047, Regproc, Int8, 1288, Assignment, By(to_int8)),
    row(10048, Regproc, Int4, 0, Assignment, Bits(oid_bits)),
    row(10074, Oid, Regclass, 0, Implicit, Same),
    row(10075, Regclass, Oid, 0, Implicit, Same),
    row(10076, Int8, Regclass, 1287, Implicit, By(to_oid)),
    row(10077, Int2, Regclass, 313, Implicit, By(to_oid)),
    row(10078, Int4, Regclass, 0, Implicit, Bits(to_oid)),
    row(10079, Regclass, Int8, 1288, Assignment, By(to_int8)),
    row(10080, Regclass, Int4, 0, Assignment, Bits(oid_bits)),
    row(10088, Oid, Regtype, 0, Implicit, Same),
    row(10089, Regtype, Oid, 0, Implicit, Same),
    row(10090, Int8, Regtype, 1287, Implicit, By(to_oid)),
    row(10091, Int2, Regtype, 313, Implicit, By(to_oid)),
    row(10092, Int4, Regtype, 0, Implicit, Bits(to_oid)),
    row(10093, Regtype, Int8, 1288, Assignment, By(to_int8)),
    row(10094, Regtype, Int4, 0, Assignment, Bits(oid_bits)),
    row(10109, Text, Regclass, 1079, Implicit, ThroughText).stable(),
    row(10110, Varchar, Regclass, 1079, Implicit, ThroughText).stable(),
    row(10111, Oid, Regrole, 0, Implicit, Same),
    row(10112, Regrole, Oid, 0, Implicit, Same),
    row(10113, Int8, Regrole, 1287, Implicit, By(to_oid)),
    row(10114, Int2, Regrole, 313, Implicit, By(to_oid)),
    row(10115, Int4, Regrole, 0, Implicit, Bits(to_oid)),
    row(10116, Regrole, Int8, 1288, Assignment, By(to_int8)),
    row(10117, Regrole, Int4, 0, Assignment, Bits(oid_bits)),
    row(10118, Oid, Regnamespace, 0, Implicit, Same),
    row(10119, Regnamespace, Oid, 0, Implicit, Same),
    row(10120, Int8, Regnamespace, 1287, Implicit, By(to_oid)),
    row(10121, Int2, Regnamespace, 313, Implicit, By(to_oid)),
    row(10122, Int4, Regnamespace, 0, Implicit, Bits(to_oid)),
    row(10123, Regnamespace, Int8, 1288, Assignment, By(to_int8)),
    row(10124, Regnamespace, Int4, 0, Assignment, Bits(oid_bits)),
    row(10125, Text, Bpchar, 0, Implicit, Same),
    row(10126, Text, Varchar, 0, Implicit, Same),
    row(10127, Bpchar, Text, 401, Implicit, By(without_blanks)),
    row(10128, Bpchar, Varchar, 401, Implicit, By(without_blanks)),
    row(10129, Varchar, Text, 0, Implicit, Same),
    row(10130, Varchar, Bpchar, 0, Implicit, Same),
    row(10131, QuotedChar, Text, 946, Implicit, Same),
    row(10132, QuotedChar, Bpchar, 860, Assignment, Same),
    row(10133, QuotedChar, Varchar, 946, Assignment, Same),
    row(10134, Name, Text, 406, Implicit, Same),
    row(10135, Name, Bpchar, 408, Assignment, Same),
    row(10136, Name, Varchar, 1401, Assignment, Same),
    row(10137, Text, QuotedChar, 944, Assignment, ThroughText),
    row(10138, Bpchar, QuotedChar, 944, Assignment, ThroughText),
    row(10139, Varchar, QuotedChar, 944, Assignment, ThroughText),
    row(10140, Text, Name, 407, Implicit, Same),
    row(10141, Bpchar, Name, 409, Implicit, By(without_blanks)),
    row(10142, Varchar, Name, 1400, Implicit, Same),
    row(10143, QuotedChar, Int4, 77, Explicit, By(character_code)),
    row(10144, Int4, QuotedChar, 78, Explicit, By(character)),
    row(10152, Date, Timestamp, 2024, Implicit, By(to_timestamp)),
    row(10153, Date, Timestamptz, 1174, Implicit, By(to_timestamptz)).stable(),
    row(10154, Time, Interval, 1370, Implicit, By(time_to_interval)),
    row(10156, Timestamp, Date, 2029, Assignment, By(to_date)),
    row(10157, Timestamp, Time, 1316, Assignment, By(to_time)),
    row(10158, Timestamp, Timestamptz, 2028, Implicit, By(to_timestamptz)).stable(),
    row(10159, Timestamptz, Date, 1178, Assignment, By(to_date)).stable(),
    row(10160, Timestamptz, Time, 2019, Assignment, By(to_time)).stable(),
    row(10161, Timestamptz, Timestamp, 2027, Assignment, By(to_timestamp)).stable(),
    row(10163, Interval, Time, 1419, Assignment, By(to_time)),
    row(10191, Bool, Text, 2971, Assignment, By(truth_word)),
    row(10196, Bool, Varchar, 2971, Assignment, By(truth_word)),
    row(10201, Bool, Bpchar, 2971, Assignment, By(truth_word)),
    row(10204, Bpchar, Bpchar, 668, Implicit, Same),
    row(10205, Varchar, Varchar, 669, Implicit, Same),
    row(10206, Time, Time, 1968, Implicit, Same),
    row(10207, Timestamp, Timestamp, 1961, Implicit, Same),
    row(10208, Timestamptz, Timestamptz, 1967, Implicit, Same),
    row(10209, Interval, Interval, 1200, Implicit, Same),
    row(10213, Numeric, Numeric, 1703, Implicit, Same),
    row(10214, Json, Jsonb, 0, Assignment, ThroughText),
    row(10215, Jsonb, Json, 0, Assignment, ThroughText),
    row(10216, Jsonb, Bool, 3556, Explicit, By(json_to_bool)),
    row(10217, Jsonb, Numeric, 3449, Explicit, By(json_to_numeric)),
    row(10218, Jsonb, Int2, 3450, Explicit, By(json_to_int2)),
    row(10219, Jsonb, Int4, 3451, Explicit, By(json_to_int4)),
    row(10220, Jsonb, Int8, 3452, Explicit, By(json_to_int8)),
    row(10221, Jsonb, Float4, 3453, Explicit, By(json_to_float4)),
    row(10222, Jsonb, Float8, 2580, Explicit, By(json_to_float8)),
];
