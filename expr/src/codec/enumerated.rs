//! Enums: their labels, which only the catalog knows. A value is the key of its label.

use crate::binary::{self, Input};
use crate::datum::Datum;
use crate::error::Result;
use crate::session::SessionContext;
use crate::text;
use crate::types::TypeKind;

pub(super) fn parse(text: &str, kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    session.catalog.enum_value(kind, text)
}

/// A key without a label, which no value of a catalog's enum has, is written as what it is.
pub(super) fn write(value: &Datum, kind: TypeKind, session: &SessionContext, out: &mut String) {
    let Datum::Bytea(key) = value else { return };
    match session.catalog.enum_label(kind, key) {
        Some(label) => out.push_str(&label),
        None => text::write_hex(key, out),
    }
}

pub(super) fn receive(input: &mut Input<'_>, kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    let label = binary::receive_text(input)?;
    session.catalog.enum_value(kind, label.as_str().unwrap_or_default())
}

pub(super) fn send(value: &Datum, kind: TypeKind, session: &SessionContext, out: &mut Vec<u8>) {
    let mut label = String::new();
    write(value, kind, session, &mut label);
    out.extend_from_slice(label.as_bytes());
}
