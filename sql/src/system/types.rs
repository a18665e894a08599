//! `pg_type`.

use expr::TypeKind;
use expr::types::Category;

use super::record::Records;
use super::{COLLATION_C_OID, COLLATION_DEFAULT_OID, OWNER_OID};
use crate::catalog::PG_CATALOG_OID;

/// `typalign`
pub(super) fn alignment(kind: TypeKind) -> &'static str {
    match kind {
        TypeKind::Bool | TypeKind::QuotedChar | TypeKind::Name | TypeKind::Uuid => "c",
        TypeKind::Int2 => "s",
        TypeKind::Int8
        | TypeKind::Float8
        | TypeKind::Timestamp
        | TypeKind::Timestamptz
        | TypeKind::Interval => "d",
        _ => "i",
    }
}

/// `typstorage`
pub(super) fn storage(kind: TypeKind) -> &'static str {
    match kind {
        TypeKind::Numeric => "m",
        kind if kind.length() == -1 => "x",
        _ => "p",
    }
}

pub(super) fn pg_type(records: &mut Records<'_>) {
    for kind in TypeKind::ALL.iter().copied() {
        let is_pseudo = kind.category() == Category::Pseudo;
        let collation = match kind {
            TypeKind::Name => COLLATION_C_OID,
            kind if kind.is_string() => COLLATION_DEFAULT_OID,
            _ => 0,
        };
        let length = kind.length();
        let name = kind.name();
        // Arrays share one pair of functions; the names of the others follow a few patterns.
        let (input, output) = if name.starts_with('_') { ("array_in", "array_out") } else { ("", "") };
        let _ = (input, output);
        records.push(&[
            ("oid", kind.oid().into()),
            ("typname", name.into()),
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
            ("typcollation", collation.into()),
        ]);
    }
}
