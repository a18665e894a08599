//! Joins that look rows up in an index instead of reading a whole table.
//!
//! Worth it where the left side is known to be small: then the right side runs once for each left row, with the left
//! row's values in slots, as a scan of few keys.

use expr::Expr;

use super::access::choose;
use super::condition::{add, substitute};
use crate::plan::walk::children_mut;
use crate::plan::{Binding, Join, JoinKind, JoinStrategy, Node, Project, Scan};

/// Up to so many left rows are looked up one by one.
const LOOKUPS_MAX: usize = 256;

/// Turns hash joins into lookups where that reads less.
pub(super) fn look_up(node: &mut Node, slots: &mut usize) {
    for input in children_mut(node) {
        look_up(input, slots);
    }
    if let Node::Join(join) = node {
        convert(join, slots);
    }
}

fn convert(join: &mut Join, slots: &mut usize) {
    if !matches!(join.kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti)
        || rows_max(&join.left).is_none_or(|rows| rows > LOOKUPS_MAX)
    {
        return;
    }
    let JoinStrategy::Hash { left_keys, right_keys } = &join.strategy else { return };
    let (scan, chosen) = match join.right.as_ref() {
        Node::Scan(scan) => (scan, None),
        // A hash table would keep only these of the scan's columns.
        Node::Project(project) => match project.input.as_ref() {
            Node::Scan(scan) => (scan, Some(&project.expressions)),
            _ => return,
        },
        _ => return,
    };
    if scan.spans.is_some() || scan.lock.is_some() {
        return;
    }
    let mut bindings = Vec::with_capacity(left_keys.len());
    let mut conditions = Vec::with_capacity(left_keys.len());
    for (left, right) in left_keys.iter().zip(right_keys) {
        let right = match chosen {
            None => right.clone(),
            Some(chosen) => substitute(right.clone(), chosen),
        };
        let slot = slots.saturating_add(bindings.len());
        let ty = left.ty();
        // The comparison of the join itself, with the left side's value in a slot.
        let Some(equals) = expr::operators::equality(ty.kind) else { return };
        let args = vec![narrowed(&right), Expr::Parameter { index: slot, ty }];
        conditions.push(match args.first().map(|right| right.ty().kind) {
            Some(kind) if kind == ty.kind => Expr::call(equals, args, expr::TypeKind::Bool),
            Some(kind) => match expr::operators::find("=", Some(kind), ty.kind) {
                Some(operator) => Expr::call(operator.function, args, expr::TypeKind::Bool),
                None => return,
            },
            None => return,
        });
        bindings.push(Binding { slot, value: left.clone() });
    }
    let mut looked_up: Box<Scan> = scan.clone();
    add(&mut looked_up.filter, conditions);
    choose(&mut looked_up);
    let bound = looked_up.table.index(looked_up.index).zip(looked_up.spans.as_ref());
    let few = bound.is_some_and(|(_, spans)| spans.iter().all(|span| !span.prefix.is_empty()));
    if few {
        *slots = slots.saturating_add(bindings.len());
        let project = chosen.map(|chosen| chosen.to_vec());
        *join.right = match project {
            None => Node::Scan(looked_up),
            Some(expressions) => {
                Node::Project(Project { input: Box::new(Node::Scan(looked_up)), expressions })
            }
        };
        join.strategy = JoinStrategy::Dependent { bindings };
    }
}

/// The column itself, where only the hash needed it wider.
fn narrowed(key: &Expr) -> Expr {
    match key {
        Expr::Cast { operand, explicit: false, .. } if matches!(operand.as_ref(), Expr::Column { .. }) => {
            operand.as_ref().clone()
        }
        key => key.clone(),
    }
}

/// A bound on the rows of a node that needs no statistics; `None` if there is none.
fn rows_max(node: &Node) -> Option<usize> {
    match node {
        Node::Scan(scan) => {
            let index = scan.table.index(scan.index)?;
            let spans = scan.spans.as_ref()?;
            spans.iter().all(|span| span.is_point(index)).then_some(spans.len())
        }
        Node::Values(values) => Some(values.rows.len()),
        Node::Filter(filter) => rows_max(&filter.input),
        Node::Project(project) => rows_max(&project.input),
        Node::Apply(apply) => rows_max(&apply.input),
        Node::Sort(sort) => rows_max(&sort.input),
        Node::Distinct(distinct) => rows_max(&distinct.input),
        Node::Limit(limit) => match limit.limit.as_ref() {
            Some(Expr::Literal { value: expr::Datum::Int8(rows), .. }) => {
                let rows = usize::try_from(*rows).ok();
                rows.into_iter().chain(rows_max(&limit.input)).min()
            }
            _ => rows_max(&limit.input),
        },
        Node::Aggregate(aggregate) if aggregate.keys.is_empty() => Some(1),
        Node::Aggregate(aggregate) => rows_max(&aggregate.input),
        Node::Join(join) if matches!(join.kind, JoinKind::Semi | JoinKind::Anti) => rows_max(&join.left),
        Node::Join(join) => match join.strategy {
            JoinStrategy::Dependent { .. } if is_point_scan(&join.right) => rows_max(&join.left),
            _ => rows_max(&join.left)?.checked_mul(rows_max(&join.right)?),
        },
        Node::FunctionScan(_) | Node::VirtualScan(_) | Node::Append(_) | Node::SetOperation(_) => None,
    }
}

fn is_point_scan(node: &Node) -> bool {
    rows_max(node) == Some(1)
}
