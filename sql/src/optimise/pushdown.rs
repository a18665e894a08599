//! Conditions move down to where the rows come from.
//!
//! A condition stays where it is if evaluating it earlier could change the answer: it is volatile, it reads a column
//! that exists only above, or it would take rows away from the side of an outer join that is kept whole.

use expr::operators::Comparison;
use expr::{Expr, TypeKind};

use super::condition::{add, all, conjuncts, may_move, reads_only, substitute};
use super::take;
use crate::plan::walk::children_mut;
use crate::plan::{Aggregate, Apply, Filter, Join, JoinKind, JoinStrategy, Node, budget};

/// How many filters may be put between the subqueries of one [`Apply`]; each makes the plan two nodes deeper.
const SPLITS_MAX: usize = 8;
/// A condition is not rewritten in terms of what a projection computes if that makes it larger than this many parts.
const PARTS_MAX: usize = 4096;

/// Moves every condition of the tree as far down as it can go.
pub(super) fn push_down(node: &mut Node) {
    push(node, Vec::new());
}

/// Applies `conditions`, over the node's output, as deep as possible.
fn push(node: &mut Node, mut conditions: Vec<Expr>) {
    match node {
        Node::Filter(filter) => {
            let predicate = std::mem::replace(&mut filter.predicate, Expr::literal(true, TypeKind::Bool));
            let (movable, fixed): (Vec<_>, Vec<_>) = conjuncts(predicate).into_iter().partition(may_move);
            *node = take(&mut filter.input);
            if fixed.is_empty() {
                conditions.extend(movable);
                return push(node, conditions);
            }
            // What is volatile sees the rows that it saw before: nothing passes it from above.
            push(node, movable);
            above(node, fixed);
            above(node, conditions);
        }
        Node::Project(project) => {
            let (mut through, mut stay) = (Vec::new(), Vec::new());
            for condition in conditions {
                match over_input(&condition, &project.expressions) {
                    Some(over) => through.push(over),
                    None => stay.push(condition),
                }
            }
            push(&mut project.input, through);
            above(node, stay);
        }
        Node::Join(join) => {
            let stay = push_join(join, conditions);
            above(node, stay);
        }
        Node::Apply(_) => push_apply(node, conditions),
        Node::Aggregate(aggregate) => {
            let stay = push_aggregate(aggregate, conditions);
            above(node, stay);
        }
        Node::Sort(sort) if sort.limit.is_none() => push(&mut sort.input, conditions),
        Node::Distinct(distinct) if distinct.on.is_none() => push(&mut distinct.input, conditions),
        Node::Append(append) => append.inputs.iter_mut().for_each(|input| push(input, conditions.clone())),
        Node::SetOperation(operation) => {
            push(&mut operation.left, conditions.clone());
            push(&mut operation.right, conditions);
        }
        Node::VirtualScan(scan) => add(&mut scan.filter, conditions),
        Node::Scan(scan) if scan.limit.is_none() => {
            if scan.lock.is_some() {
                add(&mut scan.recheck, conditions.clone());
            }
            add(&mut scan.filter, conditions);
        }
        Node::Sort(_)
        | Node::Distinct(_)
        | Node::Limit(_)
        | Node::Scan(_)
        | Node::FunctionScan(_)
        | Node::Values(_) => {
            children_mut(node).into_iter().for_each(push_down);
            above(node, conditions);
        }
    }
}

/// Puts the node under a filter, if there is anything to filter by.
fn above(node: &mut Node, conditions: Vec<Expr>) {
    if let Some(predicate) = all(conditions) {
        let input = Box::new(take(node));
        *node = Node::Filter(Filter { input, predicate });
    }
}

/// A condition over what a projection computes as one over its input.
fn over_input(condition: &Expr, expressions: &[Expr]) -> Option<Expr> {
    let mut parts = budget::parts(condition);
    for column in condition.columns() {
        let expression = expressions.get(column).filter(|expression| may_move(expression))?;
        parts = parts.saturating_add(budget::parts(expression));
    }
    (parts <= PARTS_MAX).then(|| substitute(condition.clone(), expressions))
}

/// Conditions that read only the input, or only the answers of the first subqueries, are met before the others run.
fn push_apply(node: &mut Node, conditions: Vec<Expr>) {
    let Node::Apply(apply) = node else { return };
    let width = apply.input.width();
    let (below, mut rest): (Vec<_>, Vec<_>) =
        conditions.into_iter().partition(|condition| reads_only(condition, |column| column < width));
    push(&mut apply.input, below);
    apply.subqueries.iter_mut().for_each(|subquery| push_down(&mut subquery.node));
    let mut subqueries = std::mem::take(&mut apply.subqueries).into_iter().peekable();
    let mut known = width;
    let mut splits = 0;
    *node = take(&mut apply.input);
    let mut together = Vec::new();
    while let Some(subquery) = subqueries.next() {
        together.push(subquery);
        known = known.saturating_add(1);
        let met = |condition: &Expr| reads_only(condition, |column| column < known);
        let splits_here = splits < SPLITS_MAX && rest.iter().any(met);
        if splits_here || subqueries.peek().is_none() {
            let input = Box::new(take(node));
            *node = Node::Apply(Apply { input, subqueries: std::mem::take(&mut together) });
            let (now, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(met);
            above(node, now);
            rest = later;
            splits += 1;
        }
    }
    above(node, rest);
}

/// Conditions on the keys of groups hold of each of their rows.
fn push_aggregate(aggregate: &mut Aggregate, conditions: Vec<Expr>) -> Vec<Expr> {
    let (mut through, mut stay) = (Vec::new(), Vec::new());
    for condition in conditions {
        match over_input(&condition, &aggregate.keys) {
            Some(over) if !aggregate.keys.is_empty() => through.push(over),
            _ => stay.push(condition),
        }
    }
    push(&mut aggregate.input, through);
    stay
}

/// The conditions that have to stay above the join.
fn push_join(join: &mut Join, conditions: Vec<Expr>) -> Vec<Expr> {
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
    push(&mut join.left, left);
    push(&mut join.right, right);
    if matches!(join.strategy, JoinStrategy::NestedLoop) {
        pairs = hash_equal_keys(join, pairs, width);
    }
    join.condition = all(pairs);
    stay
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
