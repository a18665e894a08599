//! Equalities between the two sides of a join: what can be hashed.

use expr::operators::{Comparison, comparison};
use expr::{Expr, TypeKind};

use super::condition::may_move;
use crate::logical::ColumnSet;

/// The sides of `left = right`, where each reads columns of its own side and none of the other's.
pub(super) fn equal_sides(condition: &Expr, left: &ColumnSet, right: &ColumnSet) -> Option<(Expr, Expr)> {
    let Expr::Call { function, args, .. } = condition else { return None };
    let [first, second] = args.as_slice() else { return None };
    if comparison(*function) != Some(Comparison::Equal) || !may_move(condition) {
        return None;
    }
    let is_of = |expression: &Expr, own: &ColumnSet, other: &ColumnSet| {
        let read = expression.columns();
        read.iter().any(|column| own.contains(*column)) && !read.iter().any(|column| other.contains(*column))
    };
    if is_of(first, left, right) && is_of(second, right, left) {
        return widen(first.clone(), second.clone());
    }
    if is_of(second, left, right) && is_of(first, right, left) {
        return widen(second.clone(), first.clone());
    }
    None
}

/// Both sides in one type: equal already, or integers of different widths.
fn widen(left: Expr, right: Expr) -> Option<(Expr, Expr)> {
    let (a, b) = (left.ty().kind, right.ty().kind);
    if a == b {
        return Some((left, right));
    }
    let is_integer = |kind| matches!(kind, TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8);
    if !is_integer(a) || !is_integer(b) {
        return None;
    }
    let wide = |operand: Expr| match operand.ty().kind {
        TypeKind::Int8 => operand,
        _ => Expr::Cast { operand: Box::new(operand), to: TypeKind::Int8.into(), explicit: false },
    };
    Some((wide(left), wide(right)))
}
