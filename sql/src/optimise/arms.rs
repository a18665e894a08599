//! A subquery in an arm that may stay closed carries the arm's condition.
//!
//! ```text
//! CASE WHEN c THEN (SELECT …) END     the subquery's rows, of those for which c holds
//! COALESCE(a, (SELECT …))             … for which a is NULL
//! ```
//!
//! So a subquery that is run for each row is not for those whose arm is closed: it costs nothing there, and ends in no error that
//! nobody has asked for. One that does not depend on the row runs once at most, and is left alone.

use expr::Expr;

use super::condition::{may_fail, may_move};
use crate::logical::walk::{children_mut, columns_free, columns_made, readers, walk};
use crate::logical::{Apply, ColumnId, ColumnSet, Columns, Node, Output};

/// Subqueries beside more others than this are left alone.
const SUBQUERIES_MAX: usize = 64;

/// Gives the subqueries of a plan the conditions of their arms.
pub(super) fn guard(output: &mut Output, columns: &Columns) {
    let mut has_subqueries = false;
    walk(&output.node, &mut |node| has_subqueries |= matches!(node, Node::Apply(_)));
    if has_subqueries {
        let readers = readers(output, columns.len());
        guard_below(&mut output.node, &readers);
    }
}

fn guard_below(node: &mut Node, readers: &[usize]) {
    match node {
        Node::Compute(compute) => {
            if let Node::Apply(apply) = compute.input.as_mut() {
                let asking: Vec<&Expr> = compute.computed.iter().map(|(_, expression)| expression).collect();
                guard_apply(apply, &asking, readers);
            }
        }
        Node::Filter(filter) => {
            if let Node::Apply(apply) = filter.input.as_mut() {
                let asking: Vec<&Expr> = filter.conditions.iter().collect();
                guard_apply(apply, &asking, readers);
            }
        }
        _ => {}
    }
    children_mut(node).into_iter().for_each(|child| guard_below(child, readers));
}

fn guard_apply(apply: &mut Apply, asking: &[&Expr], readers: &[usize]) {
    if apply.subqueries.len() > SUBQUERIES_MAX {
        return;
    }
    let of_row = columns_made(&apply.input);
    let answers: ColumnSet = apply.subqueries.iter().map(|subquery| subquery.column).collect();
    let can_be_asked_before = |condition: &Expr| {
        let columns = condition.columns();
        let mut has_operand = false;
        condition.walk(&mut |part| has_operand |= matches!(part, Expr::CaseOperand { .. }));
        !has_operand
            && !columns.is_empty()
            && !columns.into_iter().any(|column| answers.contains(column))
            && may_move(condition)
            && !may_fail(condition)
    };
    for subquery in &mut apply.subqueries {
        let is_alone = readers.get(subquery.column) == Some(&1);
        let depends = columns_free(&subquery.rows.node).iter().any(|column| of_row.contains(column));
        if !is_alone || !depends {
            continue;
        }
        let found = asking.iter().find_map(|expression| conditions_of(expression, subquery.column));
        let conditions: Vec<Expr> =
            found.unwrap_or_default().into_iter().filter(can_be_asked_before).collect();
        let rows = subquery.rows.node.take();
        subquery.rows.node = rows.filtered(conditions);
    }
}

/// What holds wherever a part of the expression asks for the column; `None` if none does.
fn conditions_of(expression: &Expr, column: ColumnId) -> Option<Vec<Expr>> {
    match expression {
        Expr::Column { index, .. } => (*index == column).then(Vec::new),
        Expr::Case { operand, branches, otherwise, .. } => {
            for (condition, result) in branches {
                if let Some(mut conditions) = conditions_of(result, column) {
                    conditions.push(spelled(operand.as_deref(), condition));
                    return Some(conditions);
                }
            }
            let mut conditions = otherwise.as_ref().and_then(|result| conditions_of(result, column));
            if let Some(conditions) = &mut conditions {
                conditions.extend(branches.iter().map(|(condition, _)| Expr::IsBool {
                    operand: Box::new(spelled(operand.as_deref(), condition)),
                    value: Some(true),
                    negated: true,
                }));
            }
            conditions.or_else(|| in_parts(expression, column))
        }
        Expr::Coalesce { args, .. } => {
            let (place, mut conditions) = args
                .iter()
                .enumerate()
                .find_map(|(place, arg)| Some((place, conditions_of(arg, column)?)))?;
            let before = args.iter().take(place);
            conditions
                .extend(before.map(|arg| Expr::IsNull { operand: Box::new(arg.clone()), negated: false }));
            Some(conditions)
        }
        _ => in_parts(expression, column),
    }
}

/// A condition of CASE with its operand in it. What stands for that of a CASE within stays as it is.
fn spelled(operand: Option<&Expr>, condition: &Expr) -> Expr {
    let mut condition = condition.clone();
    let mut has_case = false;
    condition.walk(&mut |part| has_case |= matches!(part, Expr::Case { .. }));
    if let Some(operand) = operand
        && !has_case
    {
        condition.rewrite(&mut |part| {
            if matches!(part, Expr::CaseOperand { .. }) {
                *part = operand.clone();
            }
        });
    }
    condition
}

fn in_parts(expression: &Expr, column: ColumnId) -> Option<Vec<Expr>> {
    expression.children().into_iter().find_map(|part| conditions_of(part, column))
}
