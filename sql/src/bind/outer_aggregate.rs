//! Aggregates over no column of the query that they stand in, but over those of a query around it: they are that one's.

use expr::Expr;

use super::Binder;
use super::level::{Aggregates, Clause, Level, LevelKind, Windows};
use super::placeholder::Stands;
use crate::error::{Error, Result};

/// How many slots and references each level had before an aggregate was bound.
pub(super) struct Noted(Vec<(usize, usize)>);

impl Binder<'_> {
    pub(super) fn noted(&self) -> Noted {
        Noted(self.levels.iter().map(|level| (level.pending.len(), level.references.len())).collect())
    }

    /// What may stand within an aggregate, and what is wrong with one here unless a query around it has it.
    pub(super) fn within_any_aggregate(&mut self, at: usize) -> Result<(Clause, Option<Error>)> {
        let is_inner = self.levels.len() > self.floor().saturating_add(1);
        let clause = self.level()?.clause;
        match may_aggregate(clause, at) {
            Err(refused) if !is_inner => Err(refused),
            may => Ok((within(clause), may.err())),
        }
    }

    /// The query around that an aggregate over these belongs to: the nearest of those whose columns they read. Then they
    /// become expressions over its row. `None`: it belongs to the query at hand.
    ///
    /// # Errors
    /// 42803 if that may have none where the query at hand stands.
    pub(super) fn moved_out(
        &mut self,
        noted: &Noted,
        mut parts: Vec<&mut Expr>,
        at: usize,
    ) -> Result<Option<usize>> {
        let (mut slots, mut is_own) = (Vec::new(), false);
        for part in &parts {
            part.walk(&mut |expr| match expr {
                Expr::Column { .. } => is_own = true,
                Expr::Parameter { index, .. } => slots.push(*index),
                _ => {}
            });
        }
        if is_own || slots.is_empty() {
            return Ok(None);
        }
        let around = self.floor()..self.levels.len().saturating_sub(1);
        let is_read = |level: &Level| level.pending.iter().any(|binding| slots.contains(&binding.slot));
        let nearest = around.rev().find(|place| self.levels.get(*place).is_some_and(is_read));
        let Some(place) = nearest else { return Ok(None) };
        let Some(level) = self.levels.get_mut(place) else { return Ok(None) };
        if level.kind == LevelKind::Lateral {
            let message = "aggregate functions are not allowed in FROM clause of their own query level";
            return Err(Error::new("42803", message).at(at));
        }
        may_aggregate(level.clause, at)?;
        for part in &mut parts {
            let mut is_nested = false;
            part.rewrite(&mut |expr| {
                let Expr::Parameter { index, .. } = expr else { return };
                let slot = *index;
                if let Some(binding) = level.pending.iter().find(|binding| binding.slot == slot) {
                    let columns = binding.value.columns();
                    is_nested |=
                        columns.iter().any(|index| matches!(Stands::of(*index), Stands::Aggregate(_)));
                    *expr = binding.value.clone();
                }
            });
            if is_nested {
                return Err(nested(level.aggregate_at.unwrap_or(at)));
            }
        }
        // Nothing else reads what was noted for them.
        if let Some((slots, references)) = noted.0.get(place) {
            level.pending.truncate(*slots);
            level.references.truncate(*references);
        }
        Ok(Some(place))
    }
}

/// What may stand within an aggregate that stands in a clause.
pub(super) fn within(clause: Clause) -> Clause {
    Clause { aggregates: Aggregates::Nested, windows: Windows::Aggregated, ..clause }
}

/// 42803 if no aggregate may stand in a clause.
pub(super) fn may_aggregate(clause: Clause, at: usize) -> Result<()> {
    match clause.aggregates {
        Aggregates::Allowed => Ok(()),
        Aggregates::Refused => {
            let message = format!("aggregate functions are not allowed in {}", clause.name);
            Err(Error::new("42803", message).at(at))
        }
        Aggregates::Nested => Err(nested(at)),
    }
}

fn nested(at: usize) -> Error {
    Error::new("42803", "aggregate function calls cannot be nested").at(at)
}
