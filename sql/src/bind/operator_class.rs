//! The operator classes that CREATE INDEX may name. Each sorts as its type does: byte by byte, where it is a text.

use expr::TypeKind;
use expr::types::Order;

use crate::catalog::IndexMethod;
use crate::error::{Error, Result};

/// Classes that some types may have, and are not called as one.
const OF_SOME: [(&str, &[TypeKind]); 10] = [
    ("bit_ops", &[TypeKind::Bit, TypeKind::Varbit]),
    ("varbit_ops", &[TypeKind::Bit, TypeKind::Varbit]),
    ("cidr_ops", &[TypeKind::Inet, TypeKind::Cidr]),
    ("inet_ops", &[TypeKind::Inet, TypeKind::Cidr]),
    ("text_ops", &[TypeKind::Text, TypeKind::Varchar]),
    ("varchar_ops", &[TypeKind::Text, TypeKind::Varchar]),
    ("text_pattern_ops", &[TypeKind::Text, TypeKind::Varchar]),
    ("varchar_pattern_ops", &[TypeKind::Text, TypeKind::Varchar]),
    ("bpchar_ops", &[TypeKind::Bpchar]),
    ("bpchar_pattern_ops", &[TypeKind::Bpchar]),
];

/// The classes of other types.
const OTHERS: [&str; 23] = [
    "array_ops",
    "bool_ops",
    "bytea_ops",
    "char_ops",
    "date_ops",
    "float4_ops",
    "float8_ops",
    "int2_ops",
    "int4_ops",
    "int8_ops",
    "interval_ops",
    "jsonb_ops",
    "macaddr8_ops",
    "macaddr_ops",
    "money_ops",
    "name_ops",
    "numeric_ops",
    "oid_ops",
    "time_ops",
    "timestamp_ops",
    "timestamptz_ops",
    "timetz_ops",
    "uuid_ops",
];

/// The class that a type has by itself.
fn default_class(kind: TypeKind) -> String {
    match kind {
        TypeKind::Varchar => "text_ops".to_owned(),
        TypeKind::QuotedChar => "char_ops".to_owned(),
        TypeKind::Cidr => "inet_ops".to_owned(),
        kind if kind.element().is_some() => "array_ops".to_owned(),
        kind => format!("{}_ops", kind.name()),
    }
}

/// Whether a type has a class of its own for a method.
pub(super) fn has_default_class(kind: TypeKind, method: IndexMethod) -> bool {
    let is_hashed = !matches!(kind.base(), TypeKind::Bit | TypeKind::Varbit | TypeKind::Money);
    kind.order() != Order::None && (method == IndexMethod::Btree || is_hashed)
}

/// The class of this name for a type, unless it is the one that it has anyway.
pub(super) fn operator_class(name: &str, kind: TypeKind, method: IndexMethod) -> Result<Option<String>> {
    let default = default_class(kind);
    if name == default {
        return Ok(None);
    }
    let of_some = OF_SOME.iter().find(|(own, _)| *own == name);
    if of_some.is_some_and(|(_, kinds)| kinds.contains(&kind)) {
        return Ok(Some(name.to_owned()));
    }
    if of_some.is_some() || OTHERS.contains(&name) {
        let shown = kind.display_name();
        let message = format!("operator class \"{name}\" does not accept data type {shown}");
        return Err(Error::new("42804", message));
    }
    let message = format!("operator class \"{name}\" does not exist for access method \"{}\"", method.name());
    Err(Error::new("42704", message))
}
