//! Functions of enums. What values a type has is known from the type of the argument, which may be NULL.

use crate::compare::compare;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::types::Type;

fn values(types: &[Type], session: &SessionContext) -> Result<Vec<Datum>> {
    let ty = types.first().ok_or_else(|| Error::internal("a function of enums without an argument"))?;
    session.catalog.enum_values(ty.kind)
}

fn empty(types: &[Type]) -> Error {
    let name = types.first().map_or("enum", |ty| ty.kind.display_name());
    Error::new("55000", format!("enum {name} contains no values"))
}

pub(super) fn first(_: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    values(types, session)?.into_iter().next().ok_or_else(|| empty(types))
}

pub(super) fn last(_: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    values(types, session)?.pop().ok_or_else(|| empty(types))
}

pub(super) fn all(_: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    Ok(Datum::Array(values(types, session)?.into()))
}

/// Those between two; NULL bounds nothing.
pub(super) fn range(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let (lower, upper) = (args.first().unwrap_or(&Datum::Null), args.get(1).unwrap_or(&Datum::Null));
    let within = |value: &Datum| {
        (lower.is_null() || compare(lower, value).is_le())
            && (upper.is_null() || compare(value, upper).is_le())
    };
    let kept: Vec<Datum> = values(types, session)?.into_iter().filter(within).collect();
    Ok(Datum::Array(kept.into()))
}

pub(super) fn order(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(compare(left, right) as i32))
}

pub(super) fn smaller(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(if compare(left, right).is_lt() { left.clone() } else { right.clone() })
}

pub(super) fn larger(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(if compare(left, right).is_gt() { left.clone() } else { right.clone() })
}
