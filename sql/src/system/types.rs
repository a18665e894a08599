//! `pg_type`, `pg_cast` and `pg_proc`.

use expr::TypeKind;
use expr::casts::{self, CastContext, CastMethod};
use expr::functions::{self, FunctionKind};
use expr::types::Category;

use super::record::{Records, Value};
use super::{COLLATION_C_OID, COLLATION_DEFAULT_OID, OWNER_OID};
use crate::catalog::PG_CATALOG_OID;

/// `typalign`
pub(super) fn alignment(kind: TypeKind) -> String {
    kind.row().alignment.letter().to_string()
}

/// `typstorage`
pub(super) fn storage(kind: TypeKind) -> &'static str {
    match kind {
        TypeKind::Numeric => "m",
        kind if kind.is_vector() => "p",
        kind if kind.length() == -1 => "x",
        _ => "p",
    }
}

/// `typcollation`
pub(super) fn collation(kind: TypeKind) -> u32 {
    match kind.element().unwrap_or(kind) {
        TypeKind::Name => COLLATION_C_OID,
        kind if kind.is_string() => COLLATION_DEFAULT_OID,
        _ => 0,
    }
}

pub(super) fn pg_type(records: &mut Records<'_>) {
    for kind in TypeKind::all() {
        let is_pseudo = kind.category() == Category::Pseudo;
        let length = kind.length();
        records.push(&[
            ("oid", kind.oid().into()),
            ("typname", kind.name().into()),
            ("typnamespace", PG_CATALOG_OID.into()),
            ("typowner", OWNER_OID.into()),
            ("typlen", i32::from(length).into()),
            ("typbyval", matches!(length, 1 | 2 | 4 | 8).into()),
            ("typtype", if is_pseudo { "p" } else { "b" }.into()),
            ("typcategory", kind.category().letter().to_string().into()),
            ("typispreferred", kind.is_preferred().into()),
            ("typisdefined", true.into()),
            ("typdelim", ",".into()),
            ("typelem", kind.element().map_or(0, TypeKind::oid).into()),
            ("typarray", kind.array().map_or(0, TypeKind::oid).into()),
            ("typalign", alignment(kind).into()),
            ("typstorage", storage(kind).into()),
            ("typtypmod", (-1).into()),
            ("typcollation", collation(kind).into()),
        ]);
    }
}

pub(super) fn pg_cast(records: &mut Records<'_>) {
    for cast in casts::all() {
        let context = match cast.context {
            CastContext::Implicit => "i",
            CastContext::Assignment => "a",
            CastContext::Explicit => "e",
        };
        let method = match (cast.function, cast.method) {
            (0, CastMethod::ThroughText) => "i",
            (0, _) => "b",
            _ => "f",
        };
        records.push(&[
            ("oid", cast.oid.into()),
            ("castsource", cast.from.oid().into()),
            ("casttarget", cast.to.oid().into()),
            ("castfunc", cast.function.into()),
            ("castcontext", context.into()),
            ("castmethod", method.into()),
        ]);
    }
}

pub(super) fn pg_proc(records: &mut Records<'_>) {
    for function in functions::all() {
        let kind = match function.kind {
            FunctionKind::Aggregate => "a",
            FunctionKind::Window => "w",
            FunctionKind::Scalar | FunctionKind::Set => "f",
        };
        let variadic = function.args.last().filter(|_| function.variadic).map_or(0, |last| last.oid());
        let last = function.args.len().saturating_sub(1);
        let argument = |(place, argument): (usize, &TypeKind)| {
            let repeated = function.variadic && place == last;
            i64::from(argument.array().filter(|_| repeated).unwrap_or(*argument).oid())
        };
        let arguments = function.args.iter().enumerate().map(argument).collect();
        records.push(&[
            ("oid", function.oid().into()),
            ("proname", function.name.into()),
            ("pronamespace", PG_CATALOG_OID.into()),
            ("proowner", OWNER_OID.into()),
            ("prolang", super::LANGUAGE_INTERNAL_OID.into()),
            ("procost", Value::Real(1.0)),
            ("prorows", Value::Real(if function.kind == FunctionKind::Set { 1000.0 } else { 0.0 })),
            ("provariadic", variadic.into()),
            ("prokind", kind.into()),
            ("proisstrict", function.strict.into()),
            ("proretset", (function.kind == FunctionKind::Set).into()),
            ("provolatile", function.volatility.letter().to_string().into()),
            ("proparallel", "s".into()),
            ("pronargs", function.args.len().into()),
            ("pronargdefaults", function.defaults.into()),
            ("prorettype", function.result.oid().into()),
            ("proargtypes", Value::Ints(arguments)),
            ("prosrc", function.name.into()),
        ]);
    }
}
