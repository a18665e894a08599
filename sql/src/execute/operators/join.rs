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
    /// Whether right rows without partner are answered.
    fn keeps_right(&self) -> bool {
        matches!(self.kind, JoinKind::Right | JoinKind::Full)
    }

    /// Whether left rows without partner are answered.
    pub(super) fn keeps_left(&self) -> bool {
        matches!(self.kind, JoinKind::Left | JoinKind::Full | JoinKind::Anti)
    }

    /// Whether it only matters for a left row whether it has a partner.
    pub(super) fn asks_left(&self) -> bool {
        matches!(self.kind, JoinKind::Semi | JoinKind::Anti)
    }

    /// Whether it only matters for a right row whether it has a partner.
    pub(super) fn asks_right(&self) -> bool {
        matches!(self.kind, JoinKind::RightSemi | JoinKind::RightAnti)
    }

    /// Whether it has to be known which right rows have found a partner.
    pub(super) fn marks_right(&self) -> bool {
        self.keeps_right() || self.asks_right()
    }

    /// What is answered of a left row, all of whose possible partners were looked at, beside its pairs.
    pub(super) fn left_done(&self, left: Row, found: bool) -> Option<Row> {
        match self.kind {
            JoinKind::Left | JoinKind::Full => (!found).then(|| self.left_alone(left)),
            JoinKind::Semi => found.then_some(left),
            JoinKind::Anti => (!found).then_some(left),
            _ => None,
        }
    }

    /// What is answered of a right row once all left rows have gone past it, beside its pairs.
    pub(super) fn right_done(&self, right: &Row, found: bool) -> Option<Row> {
        match self.kind {
            JoinKind::Right | JoinKind::Full => (!found).then(|| self.right_alone(right)),
            JoinKind::RightSemi => found.then(|| right.clone()),
            JoinKind::RightAnti => (!found).then(|| right.clone()),
            _ => None,
        }
    }

    /// Whether the condition holds of a pair of which only that counts.
    pub(super) async fn fits(&self, cx: &mut Context<'_>, left: &Row, right: &Row) -> Result<bool> {
        Ok(self.condition.is_none() || self.pair(cx, left, right).await?.is_some())
    }

    /// The pair, if the condition holds of it.
    pub(super) async fn pair(&self, cx: &mut Context<'_>, left: &Row, right: &Row) -> Result<Option<Row>> {
        let mut pair = Vec::with_capacity(left.len().saturating_add(right.len()));
        pair.extend(left.iter().cloned());
        pair.extend(right.iter().cloned());
        let holds = cx.settled(|cx| cx.holds_if_any(self.condition.as_ref(), &pair)).await?;
        Ok(holds.then_some(pair))
    }

    /// A left row without partner.
    fn left_alone(&self, mut left: Row) -> Row {
        left.resize(self.left_width.saturating_add(self.right_width), Datum::Null);
        left
    }

    /// A right row without partner.
    fn right_alone(&self, right: &Row) -> Row {
        let mut row = vec![Datum::Null; self.left_width];
        row.extend(right.iter().cloned());
        row
    }
}
