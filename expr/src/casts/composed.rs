//! A record as a value of a composite type: each of its fields becomes an attribute.

use std::sync::Arc;

use super::{CastContext, apply, find, impossible};
use crate::codec;
use crate::datum::Datum;
use crate::datum::record::Record;
use crate::error::Result;
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};

/// The record as a value of the type.
///
/// # Errors
/// 42846: it has other fields; 23502, 23514: a domain refuses one; what the casts of its fields say.
pub(super) fn composed(
    value: &Datum,
    to: TypeKind,
    explicit: bool,
    session: &SessionContext,
) -> Result<Datum> {
    let refused = || impossible(TypeKind::Record, to);
    let (Datum::Record(record), Some(attributes)) = (value, session.catalog.attributes(to)) else {
        return Err(refused());
    };
    let Some(given) = record.shape() else { return Err(refused()) };
    if given.len() != attributes.len() {
        let few = given.len() < attributes.len();
        let detail = if few { "Input has too few columns." } else { "Input has too many columns." };
        return Err(refused().with_detail(detail));
    }
    let mut fields = Vec::with_capacity(attributes.len());
    for ((_, from, field), ty) in given.of(record).zip(attributes.types()) {
        let over = session.catalog.over(ty.kind).unwrap_or(*ty);
        if !field.is_null() && !becomes(from.kind, over.kind, explicit) {
            let (from, ty, column) =
                (from.kind.display_name(), ty.kind.display_name(), fields.len().saturating_add(1));
            let detail = format!("Cannot cast type {from} to {ty} in column {column}.");
            return Err(refused().with_detail(detail));
        }
        let field = apply(field.clone(), from, over, explicit, session)?;
        fields.push(judged(field, *ty, session)?);
    }
    Ok(Datum::Record(Arc::new(Record::composite(fields)?)))
}

/// Whether a field becomes an attribute.
fn becomes(from: TypeKind, to: TypeKind, explicit: bool) -> bool {
    let context = if explicit { CastContext::Explicit } else { CastContext::Assignment };
    from == TypeKind::Record && to.is_composite()
        || find(from, to).is_some_and(|cast| cast.context <= context)
}

/// The attribute as a value of its type, if that is a domain, or arrays of one.
fn judged(field: Datum, ty: Type, session: &SessionContext) -> Result<Datum> {
    if let (Datum::Array(items), Some(element)) = (&field, ty.kind.element())
        && element.is_domain()
        && !ty.kind.is_domain()
    {
        for item in items.iter() {
            codec::judged(item.clone(), element, session)?;
        }
    }
    codec::judged(field, ty.kind, session)
}
