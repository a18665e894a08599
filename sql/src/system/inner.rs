//! Functions that types and casts are made of: rows of `pg_proc` that other catalogs name, and that are no functions here. Values
//! of made types are read and written by their types; a cast is done by itself, and `int4(x)` is another word for it.

use std::collections::BTreeSet;

use expr::TypeKind;
use expr::casts::{self, CastRow};
use expr::functions;
use expr::volatility::Volatility;

use super::record::{Records, Value};
use super::{OWNER_OID, World};

/// A text that ends with a zero: a type of functions that no statement calls.
pub(super) const CSTRING_OID: u32 = 2275;
/// What the server keeps for itself: a type of functions that no statement calls.
pub(super) const INTERNAL_OID: u32 = 2281;

const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const INT4: u32 = 23;
const OID: u32 = 26;
const RECORD: u32 = 2249;
const ANY: u32 = 2276;
const ANYARRAY: u32 = 2277;
const ANYENUM: u32 = 3500;
const ANYRANGE: u32 = 3831;

/// What types name: OIDs, names, arguments and results.
const OF_TYPES: &[(u32, &str, &[u32], u32)] = &[
    (750, "array_in", &[CSTRING_OID, OID, INT4], ANYARRAY),
    (751, "array_out", &[ANYARRAY], CSTRING_OID),
    (2290, "record_in", &[CSTRING_OID, OID, INT4], RECORD),
    (2291, "record_out", &[RECORD], CSTRING_OID),
    (2400, "array_recv", &[INTERNAL_OID, OID, INT4], ANYARRAY),
    (2401, "array_send", &[ANYARRAY], BYTEA),
    (2402, "record_recv", &[INTERNAL_OID, OID, INT4], RECORD),
    (2403, "record_send", &[RECORD], BYTEA),
    (2597, "domain_in", &[CSTRING_OID, OID, INT4], ANY),
    (2598, "domain_recv", &[INTERNAL_OID, OID, INT4], ANY),
    (3506, "enum_in", &[CSTRING_OID, OID], ANYENUM),
    (3507, "enum_out", &[ANYENUM], CSTRING_OID),
    (3532, "enum_recv", &[INTERNAL_OID, OID], ANYENUM),
    (3533, "enum_send", &[ANYENUM], BYTEA),
    (3816, "array_typanalyze", &[INTERNAL_OID], BOOL),
    (3834, "range_in", &[CSTRING_OID, OID, INT4], ANYRANGE),
    (3835, "range_out", &[ANYRANGE], CSTRING_OID),
    (3836, "range_recv", &[INTERNAL_OID, OID, INT4], ANYRANGE),
    (3837, "range_send", &[ANYRANGE], BYTEA),
    (3916, "range_typanalyze", &[INTERNAL_OID], BOOL),
    (6179, "array_subscript_handler", &[INTERNAL_OID], INTERNAL_OID),
];

/// The casts whose functions are none here, the first of each: it is called as the type is that it makes.
fn of_casts() -> impl Iterator<Item = &'static CastRow> {
    let mut seen: BTreeSet<u32> = functions::all().map(|function| function.oid()).collect();
    casts::all().iter().filter(move |cast| cast.function != 0 && seen.insert(cast.function))
}

/// The name of such a function, and how many are of that name.
pub(super) fn name(oid: u32) -> Option<(&'static str, usize)> {
    if let Some((_, name, ..)) = OF_TYPES.iter().find(|(own, ..)| *own == oid) {
        return Some((*name, 1));
    }
    let name = of_casts().find(|cast| cast.function == oid)?.to.name();
    let count = of_casts().filter(|cast| cast.to.name() == name).count();
    Some((name, count.saturating_add(functions::by_name(name).len())))
}

/// What a cast's function takes: to a type from itself it fits a value to a modifier.
fn arguments(cast: &CastRow) -> Vec<i64> {
    let mut arguments = vec![i64::from(cast.from.oid())];
    if cast.from == cast.to {
        arguments.push(INT4.into());
        // Whether it is asked for by name: only then more letters than fit are cut.
        if matches!(cast.to, TypeKind::Bpchar | TypeKind::Varchar) {
            arguments.push(BOOL.into());
        }
    }
    arguments
}

pub(super) fn pg_proc(world: &World<'_>, records: &mut Records<'_>) {
    let mut push =
        |oid: u32, name: &str, schema: u32, arguments: Vec<i64>, result: u32, volatility: Volatility| {
            records.push(&[
                ("oid", oid.into()),
                ("proname", name.into()),
                ("pronamespace", schema.into()),
                ("proowner", OWNER_OID.into()),
                ("prolang", super::LANGUAGE_INTERNAL_OID.into()),
                ("procost", Value::Real(1.0)),
                ("prorows", Value::Real(0.0)),
                ("provariadic", 0_u32.into()),
                ("prokind", "f".into()),
                ("proisstrict", (result != ANY).into()),
                ("proretset", false.into()),
                ("provolatile", volatility.letter().to_string().into()),
                ("proparallel", "s".into()),
                ("pronargs", arguments.len().into()),
                ("pronargdefaults", 0_u32.into()),
                ("prorettype", result.into()),
                ("proargtypes", Value::Ints(arguments)),
                ("prosrc", name.into()),
            ]);
        };
    if let Some(schema) = world.namespace(None) {
        for (oid, name, arguments, result) in OF_TYPES {
            let volatility = match *result {
                INTERNAL_OID => Volatility::Immutable,
                _ => Volatility::Stable,
            };
            let arguments = arguments.iter().map(|own| i64::from(*own)).collect();
            push(*oid, name, schema, arguments, *result, volatility);
        }
    }
    for cast in of_casts() {
        let Some(schema) = world.namespace(cast.extension()) else { continue };
        push(cast.function, cast.to.name(), schema, arguments(cast), cast.to.oid(), cast.volatility);
    }
}
