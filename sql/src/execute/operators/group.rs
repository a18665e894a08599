//! Keys of hash tables: values alike in the sense of GROUP BY.

use std::hash::{DefaultHasher, Hash, Hasher};

use expr::types::Order;
use expr::{Datum, Expr, Row, Type};

/// About what an entry of a hash table takes beside its key's row.
pub(crate) const ENTRY_BYTES: usize = 64;

/// Values that are equal if they would fall into one group: NULLs are alike, `1.0` and `1.00` are.
#[derive(Debug, Clone)]
pub(crate) struct GroupKey(pub(crate) Row);

impl PartialEq for GroupKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(left, right)| expr::group_eq(left, right))
    }
}

impl Eq for GroupKey {}

impl Hash for GroupKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for value in &self.0 {
            expr::group_hash(value, state);
        }
    }
}

impl GroupKey {
    /// The values of these expressions as a key.
    pub(crate) fn of(expressions: &[Expr], mut values: Row) -> Self {
        for (expression, value) in expressions.iter().zip(&mut values) {
            if is_padded(expression.ty()) {
                unpad(value);
            }
        }
        Self(values)
    }

    /// A hash that has nothing to do with those of other levels.
    pub(crate) fn hash_at(&self, level: u32) -> u64 {
        let mut hasher = DefaultHasher::new();
        level.hash(&mut hasher);
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Whether a NULL is among the values: then nothing equals it in a join.
    pub(crate) fn has_null(&self) -> bool {
        self.0.iter().any(|value| matches!(value, Datum::Null))
    }
}

/// The columns of rows in which blanks at the end do not count: those of char(n).
#[derive(Debug, Default)]
pub(crate) struct Padded(Vec<usize>);

impl Padded {
    /// Of rows of these types.
    pub(crate) fn of(types: &[Type]) -> Self {
        let padded = types.iter().enumerate().filter(|(_, ty)| is_padded(**ty));
        Self(padded.map(|(place, _)| place).collect())
    }

    /// A row as a key.
    pub(crate) fn key(&self, mut row: Row) -> GroupKey {
        for place in &self.0 {
            row.get_mut(*place).into_iter().for_each(unpad);
        }
        GroupKey(row)
    }
}

/// Whether blanks at the end of a type's values do not count.
pub(super) fn is_padded(ty: Type) -> bool {
    ty.kind.order() == Order::BlankPadded
}

/// Cuts off the blanks at the end of a text.
pub(super) fn unpad(value: &mut Datum) {
    if let Datum::Text(text) = value
        && text.ends_with(' ')
    {
        *value = Datum::text(text.trim_end_matches(' '));
    }
}
