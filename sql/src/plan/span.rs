//! Key spans: the part of an index that a condition leaves, as expressions that become keys when values are known.
//!
//! A condition such as `a = $1 AND b > 5 AND b <= $2` over an index on `(a, b, …)` is the span with the prefix
//! `[= $1]` and the bounds `> 5`, `<= $2` on the column after it; `a = ANY ($1)` is as many spans as the array has
//! elements. Comparing with NULL is never true, so a span whose values turn out NULL is empty, and a bounded span leaves
//! out the NULLs of its column.

use expr::{Datum, EvalContext, Expr, Type, TypeKind};
use keys::Span;
use keys::encode::Direction;

use crate::catalog::{IndexDescriptor, TableDescriptor};
use crate::error::{Error, Result};

/// A span of an index. Its expressions name no columns; integers may be of another width than their column.
#[derive(Debug, Clone, Default)]
pub struct KeySpan {
    /// What the first columns of the key are.
    pub prefix: Vec<KeyPart>,
    /// From where on the columns after the prefix are wanted, in the order of values (whatever the index's).
    pub lower: Option<KeyBound>,
    /// Up to where.
    pub upper: Option<KeyBound>,
    /// The NULLs of the column after the prefix are left out, bounded or not.
    pub not_null: bool,
}

/// What a column of a key is.
#[derive(Debug, Clone)]
pub enum KeyPart {
    /// Equal to this.
    Equal(Expr),
    /// Equal to an element of this array.
    OneOf(Expr),
    /// NULL.
    Null,
}

/// One end of a span.
#[derive(Debug, Clone)]
pub struct KeyBound {
    /// The end: of the column after the prefix, and perhaps of those behind it, which then have its direction and are
    /// compared as rows are.
    pub values: Vec<Expr>,
    /// Whether it belongs to the span.
    pub inclusive: bool,
}

impl KeyPart {
    /// What it is equal to, if that is all it says.
    fn equal(&self) -> Option<&Expr> {
        match self {
            Self::Equal(value) => Some(value),
            Self::OneOf(_) | Self::Null => None,
        }
    }

    /// Its expression, if it has one.
    pub fn value(&self) -> Option<&Expr> {
        match self {
            Self::Equal(value) | Self::OneOf(value) => Some(value),
            Self::Null => None,
        }
    }

    /// The same, to be changed in place.
    pub fn value_mut(&mut self) -> Option<&mut Expr> {
        match self {
            Self::Equal(value) | Self::OneOf(value) => Some(value),
            Self::Null => None,
        }
    }
}

impl KeySpan {
    /// What all columns of a unique index are equal to, if that is what it says: then it holds at most one row.
    pub fn point(&self, index: &IndexDescriptor) -> Option<Vec<&Expr>> {
        let is_whole = index.unique && self.prefix.len() == index.columns.len();
        if is_whole { self.prefix.iter().map(KeyPart::equal).collect() } else { None }
    }

    /// Whether each of its keys holds at most one row: all columns of a unique index are given.
    pub fn is_of_points(&self, index: &IndexDescriptor) -> bool {
        let is_given = |part: &KeyPart| !matches!(part, KeyPart::Null);
        index.unique && self.prefix.len() == index.columns.len() && self.prefix.iter().all(is_given)
    }

    /// Whether it is one piece of the index.
    pub fn is_one_piece(&self) -> bool {
        !self.prefix.iter().any(|part| matches!(part, KeyPart::OneOf(_)))
    }

    /// The keys, for the values at hand. Of a point: all keys with those columns, that is the row's key and what may follow
    /// it.
    pub fn keys(
        &self,
        tenant: u8,
        table: &TableDescriptor,
        index: &IndexDescriptor,
        context: &EvalContext<'_>,
    ) -> Result<Vec<Span>> {
        let mut keys = vec![keys::sql::index_prefix(tenant, index.id).to_vec()];
        let mut columns = index.columns.iter();
        for part in &self.prefix {
            let (ty, direction) = key_column(table, columns.next())?;
            let values = part.values(ty.kind, context)?;
            keys = match values.as_slice() {
                [value] => {
                    for key in &mut keys {
                        expr::key::encode_datum(value, ty, direction, key)?;
                    }
                    keys
                }
                values => extended(&keys, values, ty, direction)?,
            };
        }
        if self.lower.is_none() && self.upper.is_none() && !self.not_null {
            return Ok(keys.into_iter().map(Span::prefix).collect());
        }
        let mut bounded = Vec::with_capacity(columns.len());
        for column in columns {
            bounded.push(key_column(table, Some(column))?);
        }
        let Some((_, direction)) = bounded.first().copied() else { return Err(too_wide()) };
        let mut spans = Vec::with_capacity(keys.len());
        for key in keys {
            let edges = Edges { key, direction, columns: &bounded };
            let (Some(lower), Some(upper)) = (edges.lower(self, context)?, edges.upper(self, context)?)
            else {
                return Ok(Vec::new());
            };
            let span =
                if direction.is_descending() { Span::new(upper, lower) } else { Span::new(lower, upper) };
            if !span.is_empty() {
                spans.push(span);
            }
        }
        Ok(spans)
    }
}

impl KeyPart {
    /// The values of a column of this type that it may have.
    fn values(&self, kind: TypeKind, context: &EvalContext<'_>) -> Result<Vec<Datum>> {
        let value = |value| match fit(value, kind) {
            Fit::Value(datum) => Some(datum),
            Fit::Null | Fit::Below | Fit::Above => None,
        };
        Ok(match self {
            Self::Equal(expression) => value(expression.evaluate(context)?).into_iter().collect(),
            Self::Null => vec![Datum::Null],
            Self::OneOf(array) => match array.evaluate(context)? {
                Datum::Array(items) => items.iter().cloned().filter_map(value).collect(),
                _ => Vec::new(),
            },
        })
    }
}

/// Each key with each of the values behind it.
fn extended(keys: &[Vec<u8>], values: &[Datum], ty: Type, direction: Direction) -> Result<Vec<Vec<u8>>> {
    let mut extended = Vec::with_capacity(keys.len().saturating_mul(values.len()));
    for key in keys {
        for value in values {
            expr::work::parts(1)?;
            let mut key = key.clone();
            expr::key::encode_datum(value, ty, direction, &mut key)?;
            extended.push(key);
        }
    }
    // Each is read once, and neighbours together.
    extended.sort_unstable();
    extended.dedup();
    Ok(extended)
}

fn key_column(
    table: &TableDescriptor,
    key: Option<&crate::catalog::IndexColumn>,
) -> Result<(Type, Direction)> {
    let found = key.and_then(|key| Some((table.key_type(key)?, key.direction())));
    found.ok_or_else(too_wide)
}

fn too_wide() -> Error {
    Error::internal("a key span is wider than its index")
}

/// The keys at which the values of the column after a prefix begin and end.
struct Edges<'e> {
    key: Vec<u8>,
    direction: Direction,
    /// It and those behind it.
    columns: &'e [(Type, Direction)],
}

/// The values of a bound.
enum End {
    /// All of them.
    At(Vec<Datum>),
    /// The first, with nothing said of the others: whatever has it is within.
    First(Datum),
    Null,
    Below,
    Above,
}

impl Edges<'_> {
    /// Where the least wanted value is: the start of an ascending span, the end of a descending one.
    fn lower(&self, span: &KeySpan, context: &EvalContext<'_>) -> Result<Option<bytes::Bytes>> {
        let before = !self.direction.is_descending();
        let Some(bound) = &span.lower else { return self.open(before).map(Some) };
        match self.end(bound, context)? {
            End::At(values) => self.at(&values, before == bound.inclusive).map(Some),
            End::First(value) => self.at(&[value], before).map(Some),
            End::Below => self.open(before).map(Some),
            End::Null | End::Above => Ok(None),
        }
    }

    /// Where the greatest wanted value is.
    fn upper(&self, span: &KeySpan, context: &EvalContext<'_>) -> Result<Option<bytes::Bytes>> {
        let before = self.direction.is_descending();
        let Some(bound) = &span.upper else { return self.open(before).map(Some) };
        match self.end(bound, context)? {
            End::At(values) => self.at(&values, before == bound.inclusive).map(Some),
            End::First(value) => self.at(&[value], before).map(Some),
            End::Above => self.open(before).map(Some),
            End::Null | End::Below => Ok(None),
        }
    }

    /// The values of a bound, as far as they fit their columns.
    fn end(&self, bound: &KeyBound, context: &EvalContext<'_>) -> Result<End> {
        let mut values = Vec::with_capacity(bound.values.len());
        for (value, (ty, _)) in bound.values.iter().zip(self.columns) {
            match (fit(value.evaluate(context)?, ty.kind), values.first()) {
                (Fit::Value(datum), _) => values.push(datum),
                (Fit::Null, None) => return Ok(End::Null),
                (Fit::Below, None) => return Ok(End::Below),
                (Fit::Above, None) => return Ok(End::Above),
                (_, Some(first)) => return Ok(End::First(Datum::clone(first))),
            }
        }
        Ok(End::At(values))
    }

    /// The key before or behind all keys with these values.
    fn at(&self, values: &[Datum], before: bool) -> Result<bytes::Bytes> {
        let mut key = self.key.clone();
        for (value, (ty, direction)) in values.iter().zip(self.columns) {
            expr::key::encode_datum(value, *ty, *direction, &mut key)?;
        }
        Ok(if before { key.into() } else { keys::span::prefix_end(&key) })
    }

    /// The key before or behind all values that are not NULL.
    fn open(&self, before: bool) -> Result<bytes::Bytes> {
        match (before, self.direction.nulls_first()) {
            (true, true) => self.at(&[Datum::Null], false),
            (true, false) => Ok(self.key.clone().into()),
            (false, true) => Ok(keys::span::prefix_end(&self.key)),
            (false, false) => self.at(&[Datum::Null], true),
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
