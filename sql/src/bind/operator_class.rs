//! The operator classes that CREATE INDEX may name. Each sorts as its type does: byte by byte, where it is a text.

use expr::TypeKind;
use expr::types::Order;

use crate::catalog::IndexMethod;
use crate::error::{Error, Result};

/// Classes that some types may have, and are not called as one.
const OF_SOME: [(&str, &[TypeKind]); 11] = [
    ("bit_ops", &[TypeKind::Bit, TypeKind::Varbit]),
    ("varbit_ops", &[TypeKind::Bit, TypeKind::Varbit]),
    ("cidr_ops", &[TypeKind::Inet, TypeKind::Cidr]),
    ("inet_ops", &[TypeKind::Inet, TypeKind::Cidr]),
    ("text_ops", &[TypeKind::Text, TypeKind::Varchar]),
    ("varchar_ops", &[TypeKind::Text, TypeKind::Varchar]),
    ("text_pattern_ops", &[TypeKind::Text, TypeKind::Varchar]),
    ("varchar_pattern_ops", &[TypeKind::Text, TypeKind::Varchar]),
    ("citext_pattern_ops", &[TypeKind::Citext]),
    ("bpchar_ops", &[TypeKind::Bpchar]),
    ("bpchar_pattern_ops", &[TypeKind::Bpchar]),
];

/// Whether a type has a class of its own for a method.
pub(super) fn has_default_class(kind: TypeKind, method: IndexMethod) -> bool {
    match (kind.order(), method) {
        (Order::None, _) | (Order::Hashed, IndexMethod::Btree) => false,
        (_, IndexMethod::Btree) => true,
        (_, IndexMethod::Hash) => kind.hashes(),
    }
}

/// Whether some type has a class of this name by itself: of a method, if it has none of the other.
fn is_default_of_some(name: &str, method: IndexMethod) -> bool {
    let is_meant = |kind: &TypeKind| kind.is_ordered() || has_default_class(*kind, method);
    let classed = TypeKind::all().filter(|kind| kind.is_storable() && is_meant(kind));
    classed.chain([TypeKind::Enum]).any(|kind| kind.class() == name)
}

/// The class of this name for a type, unless it is the one that it has anyway.
pub(super) fn operator_class(name: &str, kind: TypeKind, method: IndexMethod) -> Result<Option<String>> {
    if name == kind.class() && (kind.order() != Order::Hashed || has_default_class(kind, method)) {
        return Ok(None);
    }
    let of_some = OF_SOME.iter().find(|(own, _)| *own == name);
    if of_some.is_some_and(|(_, kinds)| kinds.contains(&kind.base())) {
        return Ok(Some(name.to_owned()));
    }
    if kind.base() == TypeKind::Citext && of_some.is_some_and(|(_, kinds)| kinds.contains(&TypeKind::Text)) {
        return Err(Error::unsupported(format!("operator class \"{name}\" of a column of type citext")));
    }
    if of_some.is_some() || is_default_of_some(name, method) {
        let shown = kind.display_name();
        let message = format!("operator class \"{name}\" does not accept data type {shown}");
        return Err(Error::new("42804", message));
    }
    let message = format!("operator class \"{name}\" does not exist for access method \"{}\"", method.name());
    Err(Error::new("42704", message))
}
