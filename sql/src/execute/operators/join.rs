//! What all joins share: pairs, their condition, and the rows that found no partner.

use expr::{Datum, Expr, Row};

use crate::error::Result;
use crate::execute::context::Context;
use crate::plan::JoinKind;

/// The shape of a join.
pub(super) struct Shape {
    pub(super) kind: JoinKind,
    pub(super) left_width: usize,
    pub(super) right_width: usize,
    pub(super) condition: Option<Expr>,
}

impl Shape {
    /// Whether left rows without partner are answered.
    pub(super) fn keeps_left(&self) -> bool {
        matches!(self.kind, JoinKind::Left | JoinKind::Full)
    }

    /// Whether right rows without partner are answered.
    pub(super) fn keeps_right(&self) -> bool {
        matches!(self.kind, JoinKind::Right | JoinKind::Full)
    }

    /// The pair, if the condition holds of it.
    pub(super) fn pair(&self, cx: &Context<'_>, left: &Row, right: &Row) -> Result<Option<Row>> {
        let mut pair = Vec::with_capacity(left.len().saturating_add(right.len()));
        pair.extend(left.iter().cloned());
        pair.extend(right.iter().cloned());
        Ok(cx.holds_if_any(self.condition.as_ref(), &pair)?.then_some(pair))
    }

    /// A left row without partner.
    pub(super) fn left_alone(&self, mut left: Row) -> Row {
        left.resize(self.left_width.saturating_add(self.right_width), Datum::Null);
        left
    }

    /// A right row without partner.
    pub(super) fn right_alone(&self, right: &Row) -> Row {
        let mut row = vec![Datum::Null; self.left_width];
        row.extend(right.iter().cloned());
        row
    }
}
