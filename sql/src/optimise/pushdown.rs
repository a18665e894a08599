//! Conditions move down to where the rows come from.
//!
//! A condition stays where it is if evaluating it earlier could change the answer: it is volatile, it reads a column
//! that exists only above, or it would take rows away from the side of an outer join that is kept whole.

use expr::operators::Comparison;
use expr::{Expr, TypeKind};

use super::condition::{add, all, conjuncts, may_move, reads_only, substitute};
use super::take;
use crate::plan::{Aggregate, Filter, Join, JoinKind, JoinStrategy, Node};

/// Moves every condition of the tree as far down as it can go.
pub(super) fn push_down(node: &mut Node) {
    let pushed = push(take(node), Vec::new());
    *node = pushed;
}

/// The node with `conditions`, over its output, applied as deep as possible.
fn push(node: Node, mut conditions: Vec<Expr>) -> Node {
    match node {
        Node::Filter(filter) => {
            let (movable, fixed): (Vec<_>, Vec<_>) =
                conjuncts(filter.predicate).into_iter().partition(may_move);
            if fixed.is_empty() {
                conditions.extend(movable);
                return push(*filter.input, conditions);
            }
            // What is volatile sees the rows that it saw before: nothing passes it from above.
            above(above(push(*filter.input, movable), fixed), conditions)
        }
        Node::Project(mut project) => {
            let (through, stay): (Vec<_>, Vec<_>) = conditions.into_iter().partition(|condition| {
                let read = condition.columns();
                read.iter().all(|column| project.expressions.get(*column).is_some_and(may_move))
            });
            let through = through.into_iter().map(|condition| substitute(condition, &project.expressions));
            *project.input = push(take(&mut project.input), through.collect());
            above(Node::Project(project), stay)
        }
        Node::Join(join) => push_join(join, conditions),
        Node::Apply(mut apply) => {
            let width = apply.input.width();
            let (through, stay): (Vec<_>, Vec<_>) =
                conditions.into_iter().partition(|condition| reads_only(condition, |column| column < width));
            *apply.input = push(take(&mut apply.input), through);
            push_down(&mut apply.subquery);
            above(Node::Apply(apply), stay)
        }
        Node::Aggregate(aggregate) => push_aggregate(aggregate, conditions),
        Node::Sort(mut sort) if sort.limit.is_none() => {
            *sort.input = push(take(&mut sort.input), conditions);
            Node::Sort(sort)
        }
        Node::Distinct(mut distinct) if distinct.on.is_none() => {
            *distinct.input = push(take(&mut distinct.input), conditions);
            Node::Distinct(distinct)
        }
        Node::SetOperation(mut operation) => {
            *operation.left = push(take(&mut operation.left), conditions.clone());
            *operation.right = push(take(&mut operation.right), conditions);
            Node::SetOperation(operation)
        }
        Node::VirtualScan(mut scan) => {
            add(&mut scan.filter, conditions);
            Node::VirtualScan(scan)
        }
        Node::Scan(mut scan) if scan.limit.is_none() => {
            if scan.lock.is_some() {
                add(&mut scan.recheck, conditions.clone());
            }
            add(&mut scan.filter, conditions);
            Node::Scan(scan)
        }
        mut node @ (Node::Sort(_)
        | Node::Distinct(_)
        | Node::Limit(_)
        | Node::Scan(_)
        | Node::FunctionScan(_)
        | Node::Values(_)) => {
            for input in super::inputs(&mut node) {
                push_down(input);
            }
            above(node, conditions)
        }
    }
}

/// The node under a filter, if there is anything to filter by.
fn above(node: Node, conditions: Vec<Expr>) -> Node {
    match all(conditions) {
        Some(predicate) => Node::Filter(Filter { input: Box::new(node), predicate }),
        None => node,
    }
}

/// Conditions on the keys of groups hold of each of their rows.
fn push_aggregate(mut aggregate: Aggregate, conditions: Vec<Expr>) -> Node {
    let keys = aggregate.keys.len();
    let (through, stay): (Vec<_>, Vec<_>) = conditions.into_iter().partition(|condition| {
        keys > 0 && reads_only(condition, |column| aggregate.keys.get(column).is_some_and(may_move))
    });
    let through = through.into_iter().map(|condition| substitute(condition, &aggregate.keys));
    *aggregate.input = push(take(&mut aggregate.input), through.collect());
    above(Node::Aggregate(aggregate), stay)
}

fn push_join(mut join: Join, conditions: Vec<Expr>) -> Node {
    let width = join.left.width();
    let of_left = |condition: &Expr| reads_only(condition, |column| column < width);
    let of_right = |condition: &Expr| {
        let read = condition.columns();
        !read.is_empty() && read.iter().all(|column| *column >= width)
    };
    let (keeps_left, keeps_right) = match join.kind {
        JoinKind::Inner => (false, false),
        JoinKind::Left => (true, false),
        JoinKind::Right => (false, true),
        JoinKind::Full => (true, true),
    };
    let (mut left, mut right, mut pairs, mut stay) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // From above: a row that an outer join fills with NULLs must still meet the condition as such.
    for condition in conditions {
        if of_left(&condition) && !keeps_right {
            left.push(condition);
        } else if of_right(&condition) && !keeps_left {
            right.push(condition);
        } else if join.kind == JoinKind::Inner && may_move(&condition) {
            pairs.push(condition);
        } else {
            stay.push(condition);
        }
    }
    // Its own: a row of the side that is kept whole stays, matched or not.
    for condition in join.condition.take().map_or_else(Vec::new, conjuncts) {
        if !may_move(&condition) {
            pairs.push(condition);
        } else if of_left(&condition) && !keeps_left {
            left.push(condition);
        } else if of_right(&condition) && !keeps_right {
            right.push(condition);
        } else {
            pairs.push(condition);
        }
    }
    let right: Vec<_> = right
        .into_iter()
        .map(|condition| condition.map_columns(&|column| column.saturating_sub(width)))
        .collect();
    *join.left = push(take(&mut join.left), left);
    *join.right = push(take(&mut join.right), right);
    if matches!(join.strategy, JoinStrategy::NestedLoop) {
        pairs = hash_equal_keys(&mut join, pairs, width);
    }
    join.condition = all(pairs);
    above(Node::Join(join), stay)
}

/// Turns `left = right` conditions into keys to hash; what remains is checked of each pair.
fn hash_equal_keys(join: &mut Join, pairs: Vec<Expr>, width: usize) -> Vec<Expr> {
    let (mut left_keys, mut right_keys, mut remaining) = (Vec::new(), Vec::new(), Vec::new());
    for pair in pairs {
        match equal_sides(&pair, width) {
            Some((left, right)) => {
                left_keys.push(left);
                right_keys.push(right);
            }
            None => remaining.push(pair),
        }
    }
    if !left_keys.is_empty() {
        join.strategy = JoinStrategy::Hash { left_keys, right_keys };
    }
    remaining
}

/// The sides of an equality between the two inputs of a join, each over its own input.
fn equal_sides(pair: &Expr, width: usize) -> Option<(Expr, Expr)> {
    let Expr::Call { function, args, .. } = pair else { return None };
    let [first, second] = args.as_slice() else { return None };
    if expr::operators::comparison(*function) != Some(Comparison::Equal) || !may_move(pair) {
        return None;
    }
    let side = |expression: &Expr, left: bool| {
        let read = expression.columns();
        !read.is_empty() && read.iter().all(|column| (*column < width) == left)
    };
    let (left, right) = match () {
        () if side(first, true) && side(second, false) => (first, second),
        () if side(second, true) && side(first, false) => (second, first),
        () => return None,
    };
    let right = right.clone().map_columns(&|column| column.saturating_sub(width));
    widen(left.clone(), right)
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
