//! Columns and parameters that stand for something whose place is not known yet.
//!
//! ```text
//! Column(SUBQUERY + k)     the answer of the k-th subquery that was put aside at this level
//! Column(AGGREGATE + k)    the k-th aggregate of this level
//! Column(WINDOW + k)       the k-th window function of this level
//! Column(GROUPING + k)     the k-th GROUPING() of this level
//! Column(SUBQUERY_ROW + i) within the test of ANY: the i-th column of the subquery's row
//! Parameter(SLOT + k)      the k-th slot
//! ```

use expr::{Expr, Type};

use crate::plan::{GuardCondition, Plan, walk};

/// Above the width of any row.
const BASE: usize = 1 << 24;
pub(super) const SUBQUERY: usize = BASE;
/// What the numbers begin with of what is put aside over rows before they are grouped.
pub(super) const ARGUMENTS: usize = BASE / 2;
pub(super) const AGGREGATE: usize = 2 * BASE;
pub(super) const SUBQUERY_ROW: usize = 3 * BASE;
const SLOT: usize = 4 * BASE;
pub(super) const WINDOW: usize = 5 * BASE;
pub(super) const GROUPING: usize = 6 * BASE;

/// What a column's number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// A column of the row.
    Column(usize),
    Subquery(usize),
    Aggregate(usize),
    SubqueryRow(usize),
    Window(usize),
    Grouping(usize),
}

impl Stands {
    pub(super) fn of(index: usize) -> Self {
        let place = index % BASE;
        match index / BASE {
            0 => Self::Column(index),
            1 => Self::Subquery(place),
            2 => Self::Aggregate(place),
            5 => Self::Window(place),
            6 => Self::Grouping(place),
            _ => Self::SubqueryRow(place),
        }
    }
}

/// The value of a slot.
pub(super) fn slot(number: usize, ty: Type) -> Expr {
    Expr::Parameter { index: slot_index(number), ty }
}

/// A slot's number among all parameters, before they are numbered.
pub(super) fn slot_index(number: usize) -> usize {
    SLOT.saturating_add(number)
}

/// Gives slots the numbers behind the parameters.
pub(super) fn number_slots(plan: &mut Plan, parameters: usize) {
    let number = |index: usize| index.checked_sub(SLOT).map(|slot| parameters.saturating_add(slot));
    walk::expressions_mut(plan, &mut |expr| {
        expr.rewrite(&mut |part| {
            if let Expr::Parameter { index, .. } = part
                && let Some(numbered) = number(*index)
            {
                *index = numbered;
            }
        });
    });
    walk::guards_mut(plan, &mut |guard| {
        if let GuardCondition::Asked { slot, .. } = &mut guard.condition
            && let Some(numbered) = number(*slot)
        {
            *slot = numbered;
        }
    });
    walk::bindings_mut(plan, &mut |binding| {
        if let Some(numbered) = number(binding.slot) {
            binding.slot = numbered;
        }
    });
}
