//! The order of joins, and which side of each is kept in memory.
//!
//! Inner joins beside each other are one group of inputs and conditions, of which [`search`] finds what is joined first. Semi and
//! anti joins above a group leave rows of it out: they are met by the input that alone is asked, where that leaves much out, else at the
//! end.
//!
//! The right side of a join is kept: it is the smaller one, but for a left side of so few rows that each is looked up.
//! Where nothing is known, all stays as it was written. So it does where rows are locked.

mod edges;
mod search;

use expr::{Expr, TypeKind};

use self::edges::{Edge, asked, edges, first_of_each_class, part_of};
use self::search::Input;
use super::condition::may_move;
use super::equality::equal_sides;
use super::estimate::{Estimates, LOOKUPS_MAX, has_index, rows_max};
use crate::logical::walk::{children_mut, columns_made, walk};
use crate::logical::{ColumnId, ColumnSet, Distinct, DistinctKind, Join, Node};
use crate::plan::JoinKind;

/// More inputs than this stay in their order.
const INPUTS_MAX: usize = 64;

/// A group of more conditions than this stays in its order.
const CONDITIONS_MAX: usize = 1000;

/// A side that is so many times smaller is worth changing a join over.
const SMALLER: f64 = 1.5;

/// A semi join that leaves less than this is done first.
const REDUCING: f64 = 0.5;

/// Orders the joins of a tree.
pub(super) fn order(node: &mut Node, estimates: &Estimates<'_>) {
    if is_group(node) {
        let (inputs, conditions) = extent(node);
        if (2..=INPUTS_MAX).contains(&inputs) && conditions <= CONDITIONS_MAX && !locks(node) {
            let mut group = Group::default();
            group.collect(node.take());
            for input in &mut group.inputs {
                order(input, estimates);
            }
            for reducer in &mut group.reducers {
                order(&mut reducer.right, estimates);
            }
            *node = group.joined(estimates);
            return;
        }
    }
    for child in children_mut(node) {
        order(child, estimates);
    }
    if let Node::Join(join) = node {
        turn(join, estimates);
    }
}

/// Whether a node is a join that belongs to a group.
fn is_group(node: &Node) -> bool {
    let Node::Join(join) = node else { return false };
    matches!(join.kind, JoinKind::Inner | JoinKind::Semi | JoinKind::Anti)
        && !join.lateral
        && join.conditions.iter().all(may_move)
}

/// How many inputs and conditions a group has.
fn extent(node: &Node) -> (usize, usize) {
    let (mut inputs, mut conditions) = (0_usize, 0_usize);
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        match node {
            Node::Join(join) if is_group(node) => {
                conditions = conditions.saturating_add(join.conditions.len());
                open.push(&join.left);
                if join.kind == JoinKind::Inner {
                    open.push(&join.right);
                }
            }
            _ => inputs = inputs.saturating_add(1),
        }
    }
    (inputs, conditions)
}

fn locks(node: &Node) -> bool {
    let mut locks = false;
    walk(node, &mut |node| locks |= matches!(node, Node::Get(get) if get.lock.is_some()));
    locks
}

/// Inner joins beside each other.
#[derive(Default)]
struct Group {
    inputs: Vec<Node>,
    conditions: Vec<Expr>,
    /// The semi and anti joins, the outermost first.
    reducers: Vec<Join>,
}

/// Some of a group's inputs, joined.
struct Part {
    node: Node,
    rows: f64,
    /// A bit for each input.
    inputs: u64,
}

impl Group {
    fn collect(&mut self, node: Node) {
        if !is_group(&node) {
            return self.inputs.push(node);
        }
        let Node::Join(join) = node else { return };
        let mut join = *join;
        if join.kind == JoinKind::Inner {
            self.collect(join.left);
            self.collect(join.right);
            self.conditions.extend(join.conditions);
            return;
        }
        let left = join.left.take();
        self.reducers.push(join);
        self.collect(left);
    }

    fn joined(self, estimates: &Estimates<'_>) -> Node {
        let Self { inputs, conditions, reducers } = self;
        let made: Vec<ColumnSet> = inputs.iter().map(columns_made).collect();
        let edges = edges(conditions, &inputs, &made, estimates);
        let mut parts: Vec<Part> = Vec::with_capacity(inputs.len());
        for (bit, node) in inputs.into_iter().enumerate() {
            let rows = estimates.rows(&node);
            parts.push(Part { node, rows, inputs: 1 << bit });
        }
        let mut late = Vec::new();
        for reducer in reducers.into_iter().rev() {
            let inputs = asked(&reducer.conditions, &made);
            match parts.iter_mut().find(|part| part.inputs == inputs) {
                Some(part) => late.extend(reduced(reducer, part, estimates)),
                None => late.push(reducer),
            }
        }
        let mut node = joined(parts, edges, estimates);
        for reducer in late {
            let mut reducer = Join { left: node, ..reducer };
            turn(&mut reducer, estimates);
            node = Node::Join(Box::new(reducer));
        }
        node
    }
}

/// Lets a semi join leave rows of one input out, if that makes it much smaller; else it is given back.
fn reduced(reducer: Join, part: &mut Part, estimates: &Estimates<'_>) -> Option<Join> {
    let mut reducer = Join { left: part.node.take(), ..reducer };
    let met = estimates.met(&reducer);
    let left = if reducer.kind == JoinKind::Semi { met } else { 1.0 - met };
    if left > REDUCING {
        part.node = reducer.left.take();
        return Some(reducer);
    }
    turn(&mut reducer, estimates);
    part.rows = (part.rows * left).max(1.0);
    part.node = Node::Join(Box::new(reducer));
    None
}

/// Joins all parts, one step after the other.
fn joined(mut parts: Vec<Part>, mut edges: Vec<Edge>, estimates: &Estimates<'_>) -> Node {
    let inputs: Vec<Input<'_>> =
        parts.iter().map(|part| Input { node: &part.node, rows: part.rows }).collect();
    for step in search::steps(&inputs, &edges, estimates) {
        let place = |inputs: u64| parts.iter().position(|part| part.inputs == inputs);
        let (Some(left), Some(right)) = (place(step.0), place(step.1)) else { break };
        let (left, right) = (left.min(right), left.max(right));
        let second = parts.remove(right);
        let first = parts.remove(left);
        let inputs = first.inputs | second.inputs;
        let (met, later): (Vec<_>, Vec<_>) = edges.into_iter().partition(|edge| edge.inputs & !inputs == 0);
        edges = later;
        let rows = part_of(met.iter()) * first.rows * second.rows;
        let counts = first_of_each_class();
        let conditions = met.into_iter().flat_map(|edge| edge.conditions).filter(counts);
        let conditions: Vec<Expr> = conditions.map(|condition| condition.is).collect();
        let (kept, streamed) = if is_streamed(&first, &second, &conditions, estimates) {
            (second, first)
        } else {
            (first, second)
        };
        let join = Join {
            kind: JoinKind::Inner,
            left: streamed.node,
            right: kept.node,
            lateral: false,
            asked: false,
            conditions,
        };
        parts.insert(left, Part { node: Node::Join(Box::new(join)), rows: rows.max(1.0), inputs });
    }
    let rest = edges.into_iter().flat_map(|edge| edge.conditions).map(|condition| condition.is).collect();
    let joined = parts.pop().map_or_else(Node::one_row, |part| part.node);
    joined.filtered(rest)
}

/// Whether the first of two inputs goes past the second, which is kept.
fn is_streamed(first: &Part, second: &Part, conditions: &[Expr], estimates: &Estimates<'_>) -> bool {
    let looks_up =
        |left: &Part, right: &Part| looks_up((&left.node, left.rows), &right.node, conditions, estimates);
    match (looks_up(first, second), looks_up(second, first)) {
        (true, false) => true,
        (false, true) => false,
        _ => first.rows * SMALLER >= second.rows,
    }
}

/// Whether the rows of a node will be looked up in a table: they are few, or few beside those of the table.
fn looks_up(
    (node, rows): (&Node, f64),
    table: &Node,
    conditions: &[Expr],
    estimates: &Estimates<'_>,
) -> bool {
    let conditions: Vec<&Expr> = conditions.iter().collect();
    matches!(table, Node::Get(_))
        && has_index(table, &conditions)
        && (rows_max(node).is_some_and(|rows| rows <= LOOKUPS_MAX)
            || estimates.lookup((node, rows), table, &conditions) < 1.0)
}

/// Lets the rows of the right side of a join lead to those of the left, where they are few beside them: through an index, by
/// which, where rows are locked, no others are. Whether it has.
fn lead(join: &mut Join, estimates: &Estimates<'_>) -> bool {
    let asked = match join.kind {
        JoinKind::Inner if locks(&join.left) => Vec::new(),
        JoinKind::Semi => match asked_values(join) {
            Some(asked) => asked,
            None => return false,
        },
        _ => return false,
    };
    if join.lateral || join.asked || rows_max(&join.left).is_some() {
        return false;
    }
    let (left_rows, rows) = (estimates.rows(&join.left), estimates.rows(&join.right));
    let leads = if locks(&join.left) && is_page(&join.right) {
        // So many rows are to be locked, whatever their number is.
        let conditions: Vec<&Expr> = join.conditions.iter().collect();
        matches!(join.left, Node::Get(_)) && has_index(&join.left, &conditions)
    } else {
        (left_rows > rows || rows_max(&join.right).is_some())
            && looks_up((&join.right, rows), &join.left, &join.conditions, estimates)
    };
    if !leads {
        return false;
    }
    std::mem::swap(&mut join.left, &mut join.right);
    if join.kind == JoinKind::Semi {
        join.kind = JoinKind::Inner;
        // Each row has one partner, then.
        if rows_max(&join.left).is_none_or(|rows| rows > 1) {
            let (input, kind) = (join.left.take(), DistinctKind::All(asked));
            join.left = Node::Distinct(Box::new(Distinct { input, kind }));
        }
    }
    true
}

/// Whether a node has no more rows than a LIMIT says, whose number is known when it is run.
fn is_page(node: &Node) -> bool {
    match node {
        Node::Limit(limit) => {
            limit.limit.as_ref().is_some_and(|rows| !matches!(rows, Expr::Literal { .. }))
                || is_page(&limit.input)
        }
        Node::Filter(filter) => is_page(&filter.input),
        Node::Compute(compute) => is_page(&compute.input),
        Node::Sort(sort) => is_page(&sort.input),
        Node::LockRows(input) => is_page(input),
        Node::Distinct(distinct) => is_page(&distinct.input),
        Node::Common(common) => is_page(&common.rows.node),
        _ => false,
    }
}

/// The columns of the right side whose values a semi join asks for, if equality with them is all that it asks.
fn asked_values(join: &Join) -> Option<Vec<ColumnId>> {
    let (left, right) = (columns_made(&join.left), columns_made(&join.right));
    let mut asked = Vec::with_capacity(join.conditions.len());
    for condition in &join.conditions {
        let (_, value) = equal_sides(condition, &left, &right)?;
        let column = match &value {
            Expr::Column { index, .. } => *index,
            // Different integers stay different in a wider type.
            Expr::Cast { operand, to, .. } if to.kind == TypeKind::Int8 => match operand.as_ref() {
                Expr::Column { index, ty } if matches!(ty.kind, TypeKind::Int2 | TypeKind::Int4) => *index,
                _ => return None,
            },
            _ => return None,
        };
        if !asked.contains(&column) {
            asked.push(column);
        }
    }
    (!asked.is_empty()).then_some(asked)
}

/// Makes the smaller side of a join the one that is kept.
fn turn(join: &mut Join, estimates: &Estimates<'_>) {
    if lead(join, estimates) {
        return;
    }
    let turned = match join.kind {
        JoinKind::Left => JoinKind::Right,
        JoinKind::Semi => JoinKind::RightSemi,
        JoinKind::Anti => JoinKind::RightAnti,
        _ => return,
    };
    let rows = estimates.rows(&join.left);
    if join.lateral
        || looks_up((&join.left, rows), &join.right, &join.conditions, estimates)
        || locks(&join.left)
        || locks(&join.right)
    {
        return;
    }
    if rows * SMALLER >= estimates.rows(&join.right) {
        return;
    }
    let (left, right) = (columns_made(&join.left), columns_made(&join.right));
    if join.conditions.iter().any(|condition| equal_sides(condition, &left, &right).is_some()) {
        std::mem::swap(&mut join.left, &mut join.right);
        join.kind = turned;
        join.asked = false;
    }
}
