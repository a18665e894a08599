//! What all joins share: pairs, their condition, and the rows that found no partner.

use expr::{Datum, Expr, Row};

use crate::error::Result;
use crate::execute::context::Context;
use crate::plan::JoinKind;
use crate::questions::Question;

/// The shape of a join.
pub(super) struct Shape {
    pub(super) kind: JoinKind,
    pub(super) left_width: usize,
    pub(super) right_width: usize,
    pub(super) condition: Option<Expr>,
}

/// What becomes of a pair.
pub(super) enum Attempt {
    /// The condition holds of it.
    Holds(Row),
    /// It does not.
    Fails,
    /// It asks this about it.
    Asks(Question, Row),
}

/// Notes that the condition does not hold of a pair.
pub(super) fn note_removed(cx: &Context<'_>) {
    cx.tally(|truth| truth.removed_pairs = truth.removed_pairs.saturating_add(1));
}

fn joined(left: &Row, right: &Row) -> Row {
    let mut pair = Vec::with_capacity(left.len().saturating_add(right.len()));
    pair.extend_from_slice(left);
    pair.extend_from_slice(right);
    pair
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

    /// What becomes of a pair at once. Where only counts that there is one, and there is no condition, it is not made.
    pub(super) fn attempt(&self, cx: &Context<'_>, left: &Row, right: &Row) -> Result<Attempt> {
        let Some(condition) = &self.condition else {
            let counts = self.asks_left() || self.asks_right();
            return Ok(Attempt::Holds(if counts { Row::new() } else { joined(left, right) }));
        };
        let pair = joined(left, right);
        let attempt = cx.attempt(|cx| cx.holds(condition, &pair));
        match attempt {
            Ok(holds) => {
                if holds? {
                    return Ok(Attempt::Holds(pair));
                }
                note_removed(cx);
                Ok(Attempt::Fails)
            }
            Err(question) => Ok(Attempt::Asks(question, pair)),
        }
    }

    /// The pair, if the condition holds of it.
    pub(super) async fn pair(&self, cx: &mut Context<'_>, left: &Row, right: &Row) -> Result<Option<Row>> {
        let pair = joined(left, right);
        let Some(condition) = &self.condition else { return Ok(Some(pair)) };
        let holds = cx.settled(|cx| cx.holds(condition, &pair)).await?;
        if !holds {
            note_removed(cx);
        }
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
