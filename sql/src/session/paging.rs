//! LIMIT and OFFSET, both of them parameters: what lies beyond the two is not read.
//!
//! Where they are constants the optimiser tells sorts and scans the sum. A plan that is kept for strings with any numbers in
//! these places gets the sum as an expression, and is used for numbers that have one.

use expr::{Datum, Expr, SessionContext, TypeKind, resolve};

use crate::plan::walk::{children_mut, roots_mut};
use crate::plan::{Node, Plan};

/// A LIMIT and an OFFSET, by the places of their parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) limit: usize,
    pub(super) offset: usize,
}

impl Page {
    /// Whether these numbers, in the parameters' places, have a sum that is a number of rows.
    pub(super) fn has_sum(self, values: &[Datum]) -> bool {
        let rows = |place: usize| match values.get(place) {
            Some(Datum::Int4(rows)) => u32::try_from(*rows).ok().map(i64::from),
            Some(Datum::Int8(rows)) => Some(*rows).filter(|rows| *rows >= 0),
            _ => None,
        };
        rows(self.limit)
            .zip(rows(self.offset))
            .is_some_and(|(limit, offset)| limit.checked_add(offset).is_some())
    }
}

/// Tells what is below a LIMIT and an OFFSET that are parameters how many rows will be asked for; where they are.
pub(super) fn bound_by_parameters(plan: &mut Plan, context: &SessionContext) -> Vec<Page> {
    let mut pages = Vec::new();
    roots_mut(plan).into_iter().for_each(|root| bound_below(root, context, &mut pages));
    pages
}

fn bound_below(node: &mut Node, context: &SessionContext, pages: &mut Vec<Page>) {
    if let Node::Limit(both) = node
        && let (Some(limit), Some(offset)) = (&both.limit, &both.offset)
        && let (Some(limit_place), Some(offset_place)) = (parameter(limit), parameter(offset))
        && let Some(target) = bounded(&mut both.input)
        && target.is_none()
        && let Ok(sum) = resolve::operator_call("+", Some(limit.clone()), offset.clone(), context)
    {
        *target = Some(sum);
        pages.push(Page { limit: limit_place, offset: offset_place });
    }
    for input in children_mut(node) {
        bound_below(input, context, pages);
    }
}

/// Computes the sums, once numbers stand in their places.
pub(super) fn compute(plan: &mut Plan) {
    roots_mut(plan).into_iter().for_each(compute_below);
}

fn compute_below(node: &mut Node) {
    if let Node::Limit(both) = node
        && let Some(wanted) = bounded(&mut both.input)
        && let Some(Expr::Call { args, .. }) = wanted
        && let [
            Expr::Literal { value: Datum::Int8(limit), .. },
            Expr::Literal { value: Datum::Int8(offset), .. },
        ] = args.as_slice()
        && let Some(sum) = limit.checked_add(*offset)
    {
        *wanted = Some(Expr::literal(Datum::Int8(sum), TypeKind::Int8));
    }
    for input in children_mut(node) {
        compute_below(input);
    }
}

/// Where a node below a LIMIT keeps how many rows it will be asked for, as the optimiser has it.
fn bounded(node: &mut Node) -> Option<&mut Option<Expr>> {
    match node {
        Node::Project(project) => bounded(&mut project.input),
        Node::Sort(sort) => Some(&mut sort.limit),
        Node::Scan(scan) => Some(&mut scan.limit),
        _ => None,
    }
}

/// The parameter that a number of rows is, cast or not.
fn parameter(expression: &Expr) -> Option<usize> {
    match expression {
        Expr::Parameter { index, ty } => matches!(ty.kind, TypeKind::Int4 | TypeKind::Int8).then_some(*index),
        Expr::Cast { operand, .. } => parameter(operand),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_rows_have_a_sum_if_there_are_so_many() {
        let has_sum = |values: [Datum; 2]| Page { limit: 0, offset: 1 }.has_sum(&values);
        assert!(has_sum([Datum::Int4(1), Datum::Int4(i32::MAX)]));
        assert!(has_sum([Datum::Int8(i64::MAX), Datum::Int4(0)]));
        assert!(!has_sum([Datum::Int8(i64::MAX), Datum::Int4(1)]));
        assert!(!has_sum([Datum::Int4(-1), Datum::Int4(5)]));
        assert!(!has_sum([Datum::Int4(1), Datum::Null]));
    }
}
