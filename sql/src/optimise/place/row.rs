//! Where columns stand: in the row at hand, or in one around it, which is read through a slot.

use std::collections::HashMap;

use expr::Expr;

use super::Placement;
use crate::error::{Error, Result};
use crate::logical::ColumnId;
use crate::plan::{Binding, SortKey};

/// An outer row that the subtree at hand may read.
pub(super) struct Frame {
    places: HashMap<ColumnId, usize>,
    slots: HashMap<ColumnId, usize>,
    bindings: Vec<Binding>,
}

impl Placement<'_> {
    /// Expressions are over this row from now on. Its number, by which it is come back to.
    pub(super) fn enter(&mut self, row: &[ColumnId]) -> usize {
        self.rows = self.rows.saturating_add(1);
        self.row = self.rows;
        self.stand(row, 0);
        self.row
    }

    /// The columns stand in the row at hand from this place on.
    pub(super) fn stand(&mut self, columns: &[ColumnId], from: usize) {
        for (place, column) in (from..).zip(columns) {
            if let Some(known) = self.places.get_mut(*column) {
                *known = (self.row, place);
            }
        }
    }

    /// Where a column stands in the row at hand.
    fn place_of(&self, column: ColumnId) -> Option<usize> {
        self.places.get(column).filter(|(row, _)| *row == self.row).map(|(_, place)| *place)
    }

    /// An expression over the row at hand.
    pub(super) fn over(&mut self, mut expression: Expr) -> Result<Expr> {
        let mut missing = None;
        expression.rewrite(&mut |part| {
            if let Expr::Column { index, ty } = part {
                match self.place_of(*index) {
                    Some(place) => *index = place,
                    None => match self.outer(*index) {
                        Some(slot) => *part = Expr::Parameter { index: slot, ty: *ty },
                        None => missing = Some(*index),
                    },
                }
            }
        });
        match missing {
            None => Ok(expression),
            Some(column) => {
                Err(Error::internal(format!("column {column} of a plan is read where it is not")))
            }
        }
    }

    pub(super) fn all_over(&mut self, expressions: Vec<Expr>) -> Result<Vec<Expr>> {
        expressions.into_iter().map(|expression| self.over(expression)).collect()
    }

    pub(super) fn keys_over(&mut self, keys: Vec<SortKey>) -> Result<Vec<SortKey>> {
        let mut placed = Vec::with_capacity(keys.len());
        for key in keys {
            placed.push(SortKey { expression: self.over(key.expression)?, ..key });
        }
        Ok(placed)
    }

    /// The slot of an outer row's column.
    fn outer(&mut self, column: ColumnId) -> Option<usize> {
        for frame in self.frames.iter_mut().rev() {
            if let Some(slot) = frame.slots.get(&column) {
                return Some(*slot);
            }
            if let Some(place) = frame.places.get(&column) {
                let slot = *self.slots;
                *self.slots = slot.saturating_add(1);
                let value = Expr::Column { index: *place, ty: self.columns.ty(column) };
                frame.bindings.push(Binding { slot, value });
                frame.slots.insert(column, slot);
                return Some(slot);
            }
        }
        None
    }

    /// Places what reads these columns of the row at hand, or of one around, through slots.
    pub(super) fn beside<T>(
        &mut self,
        read: &[ColumnId],
        place: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Vec<Binding>)> {
        let places = read.iter().filter_map(|column| Some((*column, self.place_of(*column)?))).collect();
        self.frames.push(Frame { places, slots: HashMap::new(), bindings: Vec::new() });
        let placed = place(self);
        let frame = self.frames.pop().ok_or_else(|| Error::internal("an outer row was lost"))?;
        Ok((placed?, frame.bindings))
    }
}
