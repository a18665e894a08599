//! regclass, regtype and their like: OIDs that are written as the names of what they stand for.

use crate::datum::Datum;
use crate::error::Result;
use crate::session::SessionContext;
use crate::text;
use crate::types::TypeKind;

pub(super) fn parse(text: &str, kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    if text == "-" {
        return Ok(Datum::Oid(0));
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text::parse_oid(text).map(Datum::Oid);
    }
    match TypeKind::from_name(text).filter(|_| kind == TypeKind::Regtype) {
        Some(of_type) => Ok(Datum::Oid(of_type.oid())),
        None => session.catalog.reg_oid(kind, text).map(Datum::Oid),
    }
}

pub(super) fn write(value: &Datum, kind: TypeKind, session: &SessionContext, out: &mut String) {
    let Datum::Oid(oid) = *value else { return };
    if oid == 0 {
        return out.push('-');
    }
    match session.catalog.reg_name(kind, oid) {
        Some(name) => out.push_str(&name),
        None => match TypeKind::from_oid(oid).filter(|_| kind == TypeKind::Regtype) {
            Some(of_type) => out.push_str(of_type.display_name()),
            None => text::write_integer(i64::from(oid), out),
        },
    }
}
