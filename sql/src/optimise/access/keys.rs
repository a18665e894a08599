//! What the indexes of a scan's table are made of, over the rows that the scan answers.

use expr::{Expr, TypeKind};

use super::super::fold::folded;
use crate::plan::Scan;
use crate::plan::implied::implied;
use crate::plan::same::same;

/// The expressions in keys of indexes, with their places.
pub(in crate::optimise) struct KeyExpressions(Vec<(usize, Expr)>);

impl KeyExpressions {
    /// Those that the scan's columns suffice for.
    pub(in crate::optimise) fn of(scan: &Scan) -> Self {
        let bound = scan.table.key_expressions().filter_map(|(place, expression)| {
            Some((place, over_output(expression.bound.as_ref()?, &scan.columns)?))
        });
        Self(bound.collect())
    }

    /// The place and type of the one that an operand is.
    pub(in crate::optimise) fn place_of(&self, operand: &Expr) -> Option<(usize, TypeKind)> {
        let (place, own) = self.0.iter().find(|(_, own)| same(own, operand))?;
        Some((*place, own.ty().kind))
    }
}

/// The ids of the partial indexes that have all rows of which conditions over a scan's rows are true.
pub(super) fn implied_indexes(scan: &Scan, conditions: &[Expr]) -> Vec<u64> {
    let conditions: Vec<&Expr> = conditions.iter().collect();
    let holds = |predicate: &Expr| {
        over_output(predicate, &scan.columns).is_some_and(|predicate| implied(&conditions, &predicate))
    };
    let partial = scan.table.indexes.iter().filter(|index| {
        let predicate = index.options.predicate.as_ref().and_then(|predicate| predicate.bound.as_ref());
        predicate.is_some_and(|predicate| holds(predicate))
    });
    partial.map(|index| index.id).collect()
}

/// An expression over the columns of a table as one over some of them; `None`: it needs others too.
fn over_output(expression: &Expr, columns: &[usize]) -> Option<Expr> {
    let mut is_whole = true;
    let mut moved = expression.clone();
    moved.rewrite(&mut |part| {
        if let Expr::Column { index, .. } = part {
            match columns.iter().position(|own| own == index) {
                Some(place) => *index = place,
                None => is_whole = false,
            }
        }
    });
    is_whole.then(|| folded(moved))
}
