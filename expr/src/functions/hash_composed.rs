//! Hashes of values that are made of others: arrays, records, ranges and multiranges.

use super::arguments::{array, integer, mismatch};
use super::hash::{self, Hash};
use crate::codec;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::extent::{Extent, Spans};
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};

/// Which hash is asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    seed: u64,
    /// Whether it is the one of 64 bits.
    is_extended: bool,
    session: &'a SessionContext,
}

/// `hash_array` and its like: of 32 bits, or by a seed of 64.
pub(super) fn composed(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let kind = types.first().ok_or_else(mismatch)?.kind;
    match args {
        [value] => {
            let asked = Asked { seed: 0, is_extended: false, session };
            Ok(Datum::Int4(of(value, kind, asked)? as u32 as i32))
        }
        [value, seed] => {
            let asked = Asked { seed: integer(seed)? as u64, is_extended: true, session };
            Ok(Datum::Int8(of(value, kind, asked)? as i64))
        }
        _ => Err(mismatch()),
    }
}

/// The hash of a value of a type, of NULL 0. 42883 if the type has none, 0A000 if it has one here alone.
fn of(value: &Datum, kind: TypeKind, asked: Asked<'_>) -> Result<u64> {
    let kind = kind.base();
    if let Some(element) = kind.element() {
        check(element, asked)?;
        return match value {
            Datum::Null => Ok(0),
            value => together(1, array(value)?.iter().map(|item| of(item, element, asked))),
        };
    }
    match value {
        Datum::Null => check(kind, asked).map(|()| 0),
        Datum::Record(record) => {
            let shape = match record.shape() {
                Some(shape) => shape.clone(),
                None => codec::attributes(kind, asked.session)?,
            };
            let fields = shape.types().iter().enumerate().map(|(place, ty)| {
                let field = record.fields().get(place).unwrap_or(&Datum::Null);
                of(field, ty.kind, asked)
            });
            together(0, fields)
        }
        value if kind.ranges().is_some() => {
            let spans = Spans::of(value)?;
            together(1, spans.ranges().iter().map(|range| of_range(range, None, asked)))
        }
        value if kind.subtype().is_some() => of_range(&Extent::of(value)?, kind.subtype(), asked),
        value => simple(kind, asked)?(value, asked.seed),
    }
}

/// One hash after the other.
fn together(first: u64, hashes: impl Iterator<Item = Result<u64>>) -> Result<u64> {
    let mut together = first;
    for hash in hashes {
        together = together.wrapping_mul(31).wrapping_add(hash?);
    }
    Ok(together)
}

/// That of a range: what bounds it has, and these.
fn of_range(range: &Extent, subtype: Option<TypeKind>, asked: Asked<'_>) -> Result<u64> {
    let subtype = subtype.unwrap_or(range.subtype().like());
    let bound = |bound: Datum| of(&bound, subtype, asked);
    let mut hash = hash::number(range.flags().into(), asked.seed) ^ bound(range.value_of(range.lower()))?;
    // Each half by itself.
    hash = u64::from(((hash >> 32) as u32).rotate_left(1)) << 32 | u64::from((hash as u32).rotate_left(1));
    Ok(hash ^ bound(range.value_of(range.upper()))?)
}

/// That a type has a hash.
fn check(kind: TypeKind, asked: Asked<'_>) -> Result<()> {
    let kind = kind.base();
    let is_composed =
        kind.element().is_some() || kind.is_record() || kind.ranges().is_some() || kind.subtype().is_some();
    if is_composed { Ok(()) } else { simple(kind, asked).map(|_| ()) }
}

/// The hash of a type whose values are of one piece.
fn simple(kind: TypeKind, asked: Asked<'_>) -> Result<Hash> {
    Ok(match kind {
        TypeKind::Bool => hash::truth,
        TypeKind::QuotedChar => hash::quoted_char,
        TypeKind::Name | TypeKind::Text | TypeKind::Varchar => hash::text,
        TypeKind::Bpchar => hash::bpchar,
        TypeKind::Int2 | TypeKind::Int4 | TypeKind::Oid | TypeKind::Xid => hash::int,
        TypeKind::Int8 | TypeKind::Time => hash::bigint,
        TypeKind::Date => hash::day,
        TypeKind::Float4 | TypeKind::Float8 => hash::real,
        TypeKind::Numeric => hash::decimal,
        TypeKind::Timestamp | TypeKind::Timestamptz => hash::timestamp,
        TypeKind::Timetz => hash::timetz,
        TypeKind::Interval => hash::interval_length,
        TypeKind::Uuid => hash::uuid,
        TypeKind::Inet | TypeKind::Cidr => hash::network,
        TypeKind::Bytea | TypeKind::Macaddr | TypeKind::Macaddr8 => hash::octets,
        TypeKind::PgLsn | TypeKind::Xid8 => hash::lsn,
        kind if kind.is_reg() => hash::int,
        TypeKind::Jsonb | TypeKind::Citext => return Err(refused(kind)),
        kind if kind.is_enum() => return Err(refused(kind)),
        kind => {
            let what = if asked.is_extended { "an extended hash function" } else { "a hash function" };
            let shown = kind.display_name();
            return Err(Error::new("42883", format!("could not identify {what} for type {shown}")));
        }
    })
}

fn refused(kind: TypeKind) -> Error {
    Error::unsupported(format!("PostgreSQL's hash of type {}", kind.display_name()))
}
