//! Key spans: the part of an index that a condition leaves, as expressions that become keys when values are known.
//!
//! A condition such as `a = $1 AND b > 5 AND b <= $2` over an index on `(a, b, …)` is the span with the prefix
//! `[$1]` and the bounds `> 5`, `<= $2` on the column after it. Comparing with NULL is never true, so a span whose
//! values turn out NULL is empty, and a bounded span leaves out the NULLs of its column.

use expr::{Datum, EvalContext, Expr, Type, TypeKind};
use keys::Span;
use keys::encode::Direction;

use crate::catalog::{IndexDescriptor, TableDescriptor};
use crate::error::{Error, Result};

/// A span of an index. Its expressions name no columns; integers may be of another width than their column.
#[derive(Debug, Clone, Default)]
pub struct KeySpan {
    /// What the first columns of the key are equal to.
    pub prefix: Vec<Expr>,
    /// From where on the column after the prefix is wanted, in the order of values (whatever the index's).
    pub lower: Option<KeyBound>,
    /// Up to where.
    pub upper: Option<KeyBound>,
}

/// One end of a span.
#[derive(Debug, Clone)]
pub struct KeyBound {
    /// The end.
    pub value: Expr,
    /// Whether it belongs to the span.
    pub inclusive: bool,
}

impl KeySpan {
    /// Whether it holds at most one row: all columns of a unique index are given.
    pub fn is_point(&self, index: &IndexDescriptor) -> bool {
        index.unique && self.prefix.len() == index.columns.len()
    }

    /// The keys, for the values at hand; `None` if there can be none. Of a point: all keys with those columns, that
    /// is the row's key and what may follow it.
    pub fn keys(
        &self,
        tenant: u8,
        table: &TableDescriptor,
        index: &IndexDescriptor,
        context: &EvalContext<'_>,
    ) -> Result<Option<Span>> {
        let mut key = keys::sql::index_prefix(tenant, index.id).to_vec();
        let mut columns = index.columns.iter();
        for value in &self.prefix {
            let (ty, direction) = key_column(table, columns.next())?;
            match fit(value.evaluate(context)?, ty.kind) {
                Fit::Value(datum) => expr::key::encode_datum(&datum, ty, direction, &mut key)?,
                Fit::Null | Fit::Below | Fit::Above => return Ok(None),
            }
        }
        if self.lower.is_none() && self.upper.is_none() {
            return Ok(Some(Span::prefix(key)));
        }
        let (ty, direction) = key_column(table, columns.next())?;
        let edges = Edges { key, ty, direction };
        let (Some(lower), Some(upper)) = (edges.lower(self, context)?, edges.upper(self, context)?) else {
            return Ok(None);
        };
        let span = if direction.is_descending() { Span::new(upper, lower) } else { Span::new(lower, upper) };
        Ok(if span.is_empty() { None } else { Some(span) })
    }
}

fn key_column(
    table: &TableDescriptor,
    key: Option<&crate::catalog::IndexColumn>,
) -> Result<(Type, Direction)> {
    let found = key.and_then(|key| {
        let column = table.columns.iter().find(|column| column.id == key.column)?;
        Some((column.ty, key.direction()))
    });
    found.ok_or_else(|| Error::internal("a key span is wider than its index"))
}

/// The keys at which the values of one column begin and end.
struct Edges {
    key: Vec<u8>,
    ty: Type,
    direction: Direction,
}

impl Edges {
    /// Where the least wanted value is: the start of an ascending span, the end of a descending one.
    fn lower(&self, span: &KeySpan, context: &EvalContext<'_>) -> Result<Option<bytes::Bytes>> {
        let before = !self.direction.is_descending();
        let Some(bound) = &span.lower else { return self.open(before).map(Some) };
        match fit(bound.value.evaluate(context)?, self.ty.kind) {
            Fit::Value(datum) => self.at(&datum, before == bound.inclusive).map(Some),
            Fit::Below => self.open(before).map(Some),
            Fit::Null | Fit::Above => Ok(None),
        }
    }

    /// Where the greatest wanted value is.
    fn upper(&self, span: &KeySpan, context: &EvalContext<'_>) -> Result<Option<bytes::Bytes>> {
        let before = self.direction.is_descending();
        let Some(bound) = &span.upper else { return self.open(before).map(Some) };
        match fit(bound.value.evaluate(context)?, self.ty.kind) {
            Fit::Value(datum) => self.at(&datum, before == bound.inclusive).map(Some),
            Fit::Above => self.open(before).map(Some),
            Fit::Null | Fit::Below => Ok(None),
        }
    }

    /// The key before or behind all keys with this value.
    fn at(&self, value: &Datum, before: bool) -> Result<bytes::Bytes> {
        let mut key = self.key.clone();
        expr::key::encode_datum(value, self.ty, self.direction, &mut key)?;
        Ok(if before { key.into() } else { keys::span::prefix_end(&key) })
    }

    /// The key before or behind all values that are not NULL.
    fn open(&self, before: bool) -> Result<bytes::Bytes> {
        match (before, self.direction.nulls_first()) {
            (true, true) => self.at(&Datum::Null, false),
            (true, false) => Ok(self.key.clone().into()),
            (false, true) => Ok(keys::span::prefix_end(&self.key)),
            (false, false) => self.at(&Datum::Null, true),
        }
    }
}

/// A value beside the range of a column's type.
pub(crate) enum Fit {
    /// It is one of them.
    Value(Datum),
    /// It is NULL.
    Null,
    /// It is less than all of them.
    Below,
    /// It is greater than all of them.
    Above,
}

/// The value as one of the column's type: integers may be of another width.
pub(crate) fn fit(value: Datum, kind: TypeKind) -> Fit {
    let wide = match (&value, kind) {
        (Datum::Null, _) => return Fit::Null,
        (Datum::Int2(narrow), TypeKind::Int4 | TypeKind::Int8) => i64::from(*narrow),
        (Datum::Int4(narrow), TypeKind::Int2 | TypeKind::Int8) => i64::from(*narrow),
        (Datum::Int8(wide), TypeKind::Int2 | TypeKind::Int4) => *wide,
        _ => return Fit::Value(value),
    };
    let outside = if wide < 0 { Fit::Below } else { Fit::Above };
    match kind {
        TypeKind::Int2 => i16::try_from(wide).map_or(outside, |narrow| Fit::Value(Datum::Int2(narrow))),
        TypeKind::Int4 => i32::try_from(wide).map_or(outside, |narrow| Fit::Value(Datum::Int4(narrow))),
        _ => Fit::Value(Datum::Int8(wide)),
    }
}
