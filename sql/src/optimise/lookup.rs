//! Joins that look rows up in an index instead of reading a whole table.
//!
//! Worth it where the left side is known to be small, or costs less to look up than the right side to read: then the right
//! side runs once for each left row, with the left row's values in slots, as a scan of few keys.

use expr::{Datum, Expr};

use super::access::choose;
use super::condition::{add, substitute};
use super::cost;
use super::estimate::Estimates;
use crate::plan::walk::children_mut;
use crate::plan::{Binding, Join, JoinKind, JoinStrategy, Node, Project, Scan};

/// Up to so many left rows are looked up one by one.
const LOOKUPS_MAX: usize = 256;

/// Turns hash joins into lookups where that reads less.
pub(super) fn look_up(node: &mut Node, slots: &mut usize, estimates: &Estimates<'_>) {
    LookingUp { slots, estimates }.node(node, None);
}

struct LookingUp<'l> {
    slots: &'l mut usize,
    estimates: &'l Estimates<'l>,
}

impl LookingUp<'_> {
    /// `wanted`: about so many of the node's rows will be asked for.
    fn node(&mut self, node: &mut Node, wanted: Option<f64>) {
        let below = match node {
            Node::Limit(limit) => match &limit.limit {
                Some(Expr::Literal { value: Datum::Int8(rows), .. }) => Some(*rows as f64),
                _ => None,
            },
            Node::Project(_) | Node::Apply(_) | Node::LockRows(_) => wanted,
            // Most joins follow references, which lead to one row each.
            Node::Join(join) if matches!(join.kind, JoinKind::Inner | JoinKind::Left) => wanted,
            _ => None,
        };
        for (place, input) in children_mut(node).into_iter().enumerate() {
            self.node(input, below.filter(|_| place == 0));
        }
        if let Node::Join(join) = node {
            self.convert(join, below);
        }
    }

    fn convert(&mut self, join: &mut Join, wanted: Option<f64>) {
        if !matches!(join.kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti) {
            return;
        }
        let is_small = rows_max(&join.left).is_some_and(|rows| rows <= LOOKUPS_MAX);
        let left_rows = join.left_rows.min(wanted.unwrap_or(f64::INFINITY));
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
        if scan.spans.is_some() {
            return;
        }
        let mut bindings = Vec::with_capacity(left_keys.len());
        let mut conditions = Vec::with_capacity(left_keys.len());
        for (left, right) in left_keys.iter().zip(right_keys) {
            let right = match chosen {
                None => right.clone(),
                Some(chosen) => substitute(right.clone(), chosen),
            };
            let slot = self.slots.saturating_add(bindings.len());
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
        if looked_up.lock.is_some() {
            add(&mut looked_up.recheck, conditions.clone());
        }
        add(&mut looked_up.filter, conditions);
        choose(&mut looked_up);
        let Some(spans) = &looked_up.spans else { return };
        let is_bound = spans.iter().all(|span| !span.prefix.is_empty());
        if is_bound
            && (is_small || left_rows * self.cost(&looked_up) < self.estimates.rows_of_table(&scan.table))
        {
            *self.slots = self.slots.saturating_add(bindings.len());
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

    /// What it costs to look up what belongs to one left row.
    fn cost(&self, looked_up: &Scan) -> f64 {
        let Some(index) = looked_up.table.index(looked_up.index) else { return f64::INFINITY };
        let spans = looked_up.spans.as_deref().unwrap_or_default();
        let given = spans.iter().map(|span| span.prefix.len()).min().unwrap_or(0);
        let columns = looked_up.table.key_columns(index).take(given);
        let rows = self.estimates.rows_with(&looked_up.table, columns);
        let is_point = index.primary && spans.iter().all(|span| span.point(index).is_some());
        cost::look_up(rows, is_point, index.primary) * spans.len() as f64
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
pub(super) fn rows_max(node: &Node) -> Option<usize> {
    match node {
        Node::Scan(scan) => {
            let index = scan.table.index(scan.index)?;
            let spans = scan.spans.as_ref()?;
            spans.iter().all(|span| span.point(index).is_some()).then_some(spans.len())
        }
        Node::Values(values) => Some(values.rows.len()),
        Node::Filter(filter) => rows_max(&filter.input),
        Node::Project(project) => rows_max(&project.input),
        Node::Apply(apply) => rows_max(&apply.input),
        Node::Window(window) => rows_max(&window.input),
        Node::Sort(sort) => rows_max(&sort.input),
        Node::LockRows(lock) => rows_max(&lock.input),
        Node::Distinct(distinct) => rows_max(&distinct.input),
        Node::Limit(limit) => match limit.limit.as_ref() {
            Some(Expr::Literal { value: expr::Datum::Int8(rows), .. }) => {
                let rows = usize::try_from(*rows).ok();
                rows.into_iter().chain(rows_max(&limit.input)).min()
            }
            _ => rows_max(&limit.input),
        },
        Node::Aggregate(aggregate) if aggregate.keys.is_empty() && aggregate.sets.is_empty() => Some(1),
        Node::Aggregate(aggregate) if aggregate.sets.is_empty() => rows_max(&aggregate.input),
        Node::Aggregate(_) => None,
        Node::Join(join) if matches!(join.kind, JoinKind::Semi | JoinKind::Anti) => rows_max(&join.left),
        Node::Join(join) => match join.strategy {
            JoinStrategy::Dependent { .. } if is_point_scan(&join.right) => rows_max(&join.left),
            _ => rows_max(&join.left)?.checked_mul(rows_max(&join.right)?),
        },
        Node::Common(common) => rows_max(&common.input),
        Node::FunctionScan(_)
        | Node::Past(_)
        | Node::VirtualScan(_)
        | Node::ProjectSet(_)
        | Node::Append(_)
        | Node::SetOperation(_)
        | Node::Recursive(_)
        | Node::Working(_)
        | Node::Modify(_) => None,
    }
}

fn is_point_scan(node: &Node) -> bool {
    rows_max(node) == Some(1)
}
