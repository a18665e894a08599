//! Sequences: what their numbers are, and where the last of them is kept.

use expr::{Type, TypeKind};

use crate::catalog::{Column, ColumnId, Constraints, IndexId, Oid, RowSecurity, TableDescriptor, TableKind};

/// A sequence of numbers.
///
/// # Invariants
/// - `min ≤ start ≤ max` and `min ≤ initial.last ≤ max`, and both bounds are of its type; the increment is not 0, the
///   cache at least 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceDescriptor {
    /// smallint, integer or bigint.
    pub ty: TypeKind,
    /// START WITH
    pub start: i64,
    /// INCREMENT BY
    pub increment: i64,
    /// MINVALUE
    pub min: i64,
    /// MAXVALUE
    pub max: i64,
    /// CACHE: how many numbers a session takes at once.
    pub cache: i64,
    /// CYCLE
    pub cycle: bool,
    /// Where its state is kept once a number has been drawn. Swapped by whatever restarts or alters it in a transaction.
    pub state: IndexId,
    /// What the state is until then.
    pub initial: SequenceState,
    /// The column that it goes with.
    pub owner: Option<SequenceOwner>,
}

/// How far a sequence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceState {
    /// The last number that was drawn, or the first that will be.
    pub last: i64,
    /// Whether it was drawn.
    pub is_called: bool,
}

/// The column that a sequence goes with: it is dropped with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceOwner {
    /// The table.
    pub table: Oid,
    /// The column.
    pub column: ColumnId,
    /// The column is an identity column, whose values the sequence makes.
    pub identity: Option<Identity>,
}

/// GENERATED … AS IDENTITY
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// ALWAYS: no other values, unless a statement overrides that.
    Always,
    /// BY DEFAULT
    ByDefault,
}

impl SequenceDescriptor {
    /// The bounds of a type of sequences; `None`: it is none.
    pub fn bounds(ty: TypeKind) -> Option<(i64, i64)> {
        match ty {
            TypeKind::Int2 => Some((i16::MIN.into(), i16::MAX.into())),
            TypeKind::Int4 => Some((i32::MIN.into(), i32::MAX.into())),
            TypeKind::Int8 => Some((i64::MIN, i64::MAX)),
            _ => None,
        }
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        let Some((least, greatest)) = Self::bounds(self.ty) else {
            return Err("its type is none of sequences");
        };
        let within = |value: i64| (self.min..=self.max).contains(&value);
        if self.min < least || self.max > greatest || self.min > self.max {
            return Err("its bounds are none");
        }
        if !within(self.start) || !within(self.initial.last) {
            return Err("it begins outside of its bounds");
        }
        if self.increment == 0 || self.cache < 1 {
            return Err("it has no increment or no cache");
        }
        Ok(())
    }

    /// The numbers after a state: the first of them, and how many there are of `wanted` up to its bound. `None`: it has come
    /// to its end.
    pub fn after(&self, state: SequenceState, wanted: u64) -> Option<(i64, u64)> {
        let first = match state.is_called {
            false => state.last,
            true => match state
                .last
                .checked_add(self.increment)
                .filter(|next| (self.min..=self.max).contains(next))
            {
                Some(next) => next,
                None if self.cycle && self.increment > 0 => self.min,
                None if self.cycle => self.max,
                None => return None,
            },
        };
        let room = if self.increment > 0 { self.max.abs_diff(first) } else { first.abs_diff(self.min) };
        let further = room.checked_div(self.increment.unsigned_abs()).unwrap_or(0);
        Some((first, wanted.min(further.saturating_add(1)).max(1)))
    }

    /// The number `places` after another one: there is one, as [`SequenceDescriptor::after`] told.
    pub fn step(&self, from: i64, places: u64) -> i64 {
        let distance = i128::from(self.increment).saturating_mul(i128::from(places));
        let reached = i128::from(from).saturating_add(distance).clamp(self.min.into(), self.max.into());
        i64::try_from(reached).unwrap_or(from)
    }
}

/// The columns that a sequence has as a relation.
pub(super) fn relation(oid: Oid, schema: &str, name: &str) -> TableDescriptor {
    let column = |id, name: &str, kind| Column {
        id,
        name: name.to_owned(),
        ty: Type::plain(kind),
        not_null: true,
        default: None,
        generated: None,
        hidden: false,
        missing: None,
    };
    TableDescriptor {
        oid,
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind: TableKind::Sequence,
        columns: vec![
            column(1, "last_value", TypeKind::Int8),
            column(2, "log_cnt", TypeKind::Int8),
            column(3, "is_called", TypeKind::Bool),
        ],
        indexes: Vec::new(),
        constraints: Constraints::default(),
        row_security: RowSecurity::default(),
        materialised: None,
        audit: audit::Classes::NONE,
        next_column_id: 4,
        schema_version: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(increment: i64, min: i64, max: i64, cycle: bool) -> SequenceDescriptor {
        SequenceDescriptor {
            ty: TypeKind::Int8,
            start: min,
            increment,
            min,
            max,
            cache: 1,
            cycle,
            state: 2000,
            initial: SequenceState { last: min, is_called: false },
            owner: None,
        }
    }

    #[test]
    fn numbers_end_at_the_bound() {
        let called = |last| SequenceState { last, is_called: true };
        let up = sequence(3, 1, 10, false);
        assert_eq!(up.check(), Ok(()));
        assert_eq!(up.after(up.initial, 100), Some((1, 4)));
        assert_eq!(up.step(1, 3), 10);
        assert_eq!(up.after(called(7), 100), Some((10, 1)));
        assert_eq!(up.after(called(10), 1), None);
        let down = sequence(-1, -3, -1, true);
        assert_eq!(down.after(called(-2), 5), Some((-3, 1)));
        assert_eq!(down.after(called(-3), 5), Some((-1, 3)));
        let whole = sequence(1, i64::MIN, i64::MAX, false);
        assert_eq!(whole.after(called(i64::MAX), 1), None);
        assert_eq!(whole.after(called(i64::MAX - 1), 33), Some((i64::MAX, 1)));
    }
}
