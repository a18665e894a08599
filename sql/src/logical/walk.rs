//! Walking logical plans: their nodes, their expressions, the columns that they make and read.

use expr::Expr;
use expr::functions::Volatility;

use super::{ColumnId, ColumnSet, DistinctKind, Node, Output};
use crate::plan::ApplyKind;

/// The nodes directly below.
pub(crate) fn children(node: &Node) -> Vec<&Node> {
    match node {
        Node::Get(_) | Node::Function(_) | Node::Values(_) | Node::Working(_) | Node::Modify(_) => Vec::new(),
        Node::Filter(filter) => vec![&filter.input],
        Node::Compute(compute) => vec![&compute.input],
        Node::ProjectSet(set) => vec![&set.input],
        Node::Join(join) => vec![&join.left, &join.right],
        Node::Apply(apply) => {
            let subqueries = apply.subqueries.iter().map(|subquery| &subquery.rows.node);
            std::iter::once(apply.input.as_ref()).chain(subqueries).collect()
        }
        Node::Aggregate(aggregate) => vec![&aggregate.input],
        Node::Window(window) => vec![&window.input],
        Node::Sort(sort) => vec![&sort.input],
        Node::Limit(limit) => vec![&limit.input],
        Node::LockRows(input) => vec![input],
        Node::Distinct(distinct) => vec![&distinct.input],
        Node::Append(append) => append.inputs.iter().map(|input| &input.node).collect(),
        Node::SetOperation(operation) => vec![&operation.left.node, &operation.right.node],
        Node::Common(common) => vec![&common.rows.node],
        Node::Recursive(recursive) => vec![&recursive.first.node, &recursive.round.node],
    }
}

/// The same, to be changed in place.
pub(crate) fn children_mut(node: &mut Node) -> Vec<&mut Node> {
    match node {
        Node::Get(_) | Node::Function(_) | Node::Values(_) | Node::Working(_) | Node::Modify(_) => Vec::new(),
        Node::Filter(filter) => vec![&mut filter.input],
        Node::Compute(compute) => vec![&mut compute.input],
        Node::ProjectSet(set) => vec![&mut set.input],
        Node::Join(join) => {
            let join = join.as_mut();
            vec![&mut join.left, &mut join.right]
        }
        Node::Apply(apply) => {
            let subqueries = apply.subqueries.iter_mut().map(|subquery| &mut subquery.rows.node);
            std::iter::once(apply.input.as_mut()).chain(subqueries).collect()
        }
        Node::Aggregate(aggregate) => vec![&mut aggregate.input],
        Node::Window(window) => vec![&mut window.input],
        Node::Sort(sort) => vec![&mut sort.input],
        Node::Limit(limit) => vec![&mut limit.input],
        Node::LockRows(input) => vec![input],
        Node::Distinct(distinct) => vec![&mut distinct.input],
        Node::Append(append) => append.inputs.iter_mut().map(|input| &mut input.node).collect(),
        Node::SetOperation(operation) => {
            let operation = operation.as_mut();
            vec![&mut operation.left.node, &mut operation.right.node]
        }
        Node::Common(common) => vec![&mut common.rows.node],
        Node::Recursive(recursive) => {
            let recursive = recursive.as_mut();
            vec![&mut recursive.first.node, &mut recursive.round.node]
        }
    }
}

/// The expressions of one node.
pub(crate) fn expressions(node: &Node) -> Vec<&Expr> {
    match node {
        Node::Get(get) => get.filter.iter().collect(),
        Node::Function(function) => function.arguments.iter().collect(),
        Node::Values(values) => values.rows.iter().flatten().collect(),
        Node::Filter(filter) => filter.conditions.iter().collect(),
        Node::Compute(compute) => compute.computed.iter().map(|(_, expression)| expression).collect(),
        Node::ProjectSet(set) => set.functions.iter().flat_map(|(_, function)| &function.arguments).collect(),
        Node::Join(join) => join.conditions.iter().collect(),
        Node::Apply(apply) => {
            let tests = apply.subqueries.iter().filter_map(|subquery| match &subquery.kind {
                ApplyKind::Any { test } => Some(test),
                ApplyKind::Scalar(_) | ApplyKind::Exists | ApplyKind::Array(_) => None,
            });
            tests.collect()
        }
        Node::Aggregate(aggregate) => {
            let mut expressions: Vec<&Expr> = aggregate.keys.iter().map(|(_, key)| key).collect();
            for (_, call) in &aggregate.calls {
                expressions.extend(call.arguments.iter());
                expressions.extend(call.filter.iter());
                expressions.extend(call.order_by.iter().map(|key| &key.expression));
            }
            expressions
        }
        Node::Window(window) => {
            let keys = window.order_by.iter().map(|key| &key.expression);
            let calls = window.calls.iter().flat_map(|(_, call)| call.expressions());
            window.partition_by.iter().chain(keys).chain(calls).collect()
        }
        Node::Sort(sort) => sort.keys.iter().map(|key| &key.expression).collect(),
        Node::Limit(limit) => limit.limit.iter().chain(&limit.offset).collect(),
        Node::LockRows(_)
        | Node::Distinct(_)
        | Node::Append(_)
        | Node::SetOperation(_)
        | Node::Common(_)
        | Node::Recursive(_)
        | Node::Working(_)
        | Node::Modify(_) => Vec::new(),
    }
}

/// The same, to be changed in place.
pub(crate) fn expressions_mut(node: &mut Node) -> Vec<&mut Expr> {
    match node {
        Node::Get(get) => get.filter.iter_mut().collect(),
        Node::Function(function) => function.arguments.iter_mut().collect(),
        Node::Values(values) => values.rows.iter_mut().flatten().collect(),
        Node::Filter(filter) => filter.conditions.iter_mut().collect(),
        Node::Compute(compute) => compute.computed.iter_mut().map(|(_, expression)| expression).collect(),
        Node::ProjectSet(set) => {
            set.functions.iter_mut().flat_map(|(_, function)| &mut function.arguments).collect()
        }
        Node::Join(join) => join.conditions.iter_mut().collect(),
        Node::Apply(apply) => {
            let tests = apply.subqueries.iter_mut().filter_map(|subquery| match &mut subquery.kind {
                ApplyKind::Any { test } => Some(test),
                ApplyKind::Scalar(_) | ApplyKind::Exists | ApplyKind::Array(_) => None,
            });
            tests.collect()
        }
        Node::Aggregate(aggregate) => {
            let aggregate = aggregate.as_mut();
            let mut expressions: Vec<&mut Expr> = aggregate.keys.iter_mut().map(|(_, key)| key).collect();
            for (_, call) in &mut aggregate.calls {
                expressions.extend(call.arguments.iter_mut());
                expressions.extend(call.filter.iter_mut());
                expressions.extend(call.order_by.iter_mut().map(|key| &mut key.expression));
            }
            expressions
        }
        Node::Window(window) => {
            let window = window.as_mut();
            let keys = window.order_by.iter_mut().map(|key| &mut key.expression);
            let calls = window.calls.iter_mut().flat_map(|(_, call)| call.expressions_mut());
            window.partition_by.iter_mut().chain(keys).chain(calls).collect()
        }
        Node::Sort(sort) => sort.keys.iter_mut().map(|key| &mut key.expression).collect(),
        Node::Limit(limit) => {
            let limit = limit.as_mut();
            limit.limit.iter_mut().chain(&mut limit.offset).collect()
        }
        Node::LockRows(_)
        | Node::Distinct(_)
        | Node::Append(_)
        | Node::SetOperation(_)
        | Node::Common(_)
        | Node::Recursive(_)
        | Node::Working(_)
        | Node::Modify(_) => Vec::new(),
    }
}

/// Calls `look` on a node and all below.
pub(crate) fn walk<'n>(node: &'n Node, look: &mut impl FnMut(&'n Node)) {
    look(node);
    for child in children(node) {
        walk(child, look);
    }
}

/// The columns that expressions read, as often as they do.
pub(crate) fn columns_read<'e>(expressions: impl IntoIterator<Item = &'e Expr>) -> Vec<ColumnId> {
    let mut read = Vec::new();
    for expression in expressions {
        expression.walk(&mut |part| {
            if let Expr::Column { index, .. } = part {
                read.push(*index);
            }
        });
    }
    read
}

/// How often each of so many columns is read, anywhere in the tree or as what is meant of its rows.
pub(crate) fn readers(output: &Output, columns: usize) -> Vec<usize> {
    let mut read = output.columns.clone();
    walk(&output.node, &mut |node| {
        read.extend(columns_read(expressions(node)));
        match node {
            Node::Append(append) => append.inputs.iter().for_each(|input| read.extend(&input.columns)),
            Node::SetOperation(operation) => {
                read.extend(operation.left.columns.iter().chain(&operation.right.columns));
            }
            Node::Common(common) => read.extend(&common.rows.columns),
            Node::Recursive(recursive) => {
                read.extend(recursive.first.columns.iter().chain(&recursive.round.columns));
            }
            Node::Distinct(distinct) => match &distinct.kind {
                DistinctKind::All(columns) | DistinctKind::On(columns) => read.extend(columns),
            },
            Node::Apply(apply) => {
                apply.subqueries.iter().for_each(|subquery| read.extend(&subquery.rows.columns));
            }
            _ => {}
        }
    });
    let mut readers = vec![0_usize; columns];
    for column in read {
        if let Some(readers) = readers.get_mut(column) {
            *readers = readers.saturating_add(1);
        }
    }
    readers
}

/// The columns that are made anywhere in a tree.
pub(crate) fn columns_made(node: &Node) -> ColumnSet {
    let mut made = ColumnSet::default();
    walk(node, &mut |node| match node {
        Node::Get(get) => made.extend(get.columns.iter().map(|(column, _)| *column)),
        Node::Function(function) => made.extend(function.columns.iter().copied()),
        Node::Values(values) => made.extend(values.columns.iter().copied()),
        Node::Compute(compute) => made.extend(compute.computed.iter().map(|(column, _)| *column)),
        Node::ProjectSet(set) => {
            made.extend(set.functions.iter().map(|(column, _)| *column));
            made.extend(set.ordinality);
        }
        Node::Apply(apply) => made.extend(apply.subqueries.iter().map(|subquery| subquery.column)),
        Node::Aggregate(aggregate) => {
            made.extend(aggregate.keys.iter().map(|(column, _)| *column));
            made.extend(aggregate.marks.iter().copied());
            made.extend(aggregate.calls.iter().map(|(column, _)| *column));
        }
        Node::Window(window) => made.extend(window.calls.iter().map(|(column, _)| *column)),
        Node::Append(append) => made.extend(append.columns.iter().copied()),
        Node::SetOperation(operation) => made.extend(operation.columns.iter().copied()),
        Node::Common(common) => made.extend(common.columns.iter().copied()),
        Node::Recursive(recursive) => made.extend(recursive.columns.iter().copied()),
        Node::Working(working) => made.extend(working.columns.iter().copied()),
        Node::Modify(modify) => made.extend(modify.columns.iter().copied()),
        Node::Filter(_)
        | Node::Join(_)
        | Node::Sort(_)
        | Node::Limit(_)
        | Node::LockRows(_)
        | Node::Distinct(_) => {}
    });
    made
}

/// The columns that a tree reads and does not make: those of outer rows.
pub(crate) fn columns_free(node: &Node) -> ColumnSet {
    let mut read = ColumnSet::default();
    let output = |output: &Output, read: &mut ColumnSet| read.extend(output.columns.iter().copied());
    walk(node, &mut |node| {
        for expression in expressions(node) {
            expression.walk(&mut |part| {
                if let Expr::Column { index, .. } = part {
                    read.insert(*index);
                }
            });
        }
        match node {
            Node::Append(append) => append.inputs.iter().for_each(|input| output(input, &mut read)),
            Node::SetOperation(operation) => {
                output(&operation.left, &mut read);
                output(&operation.right, &mut read);
            }
            Node::Common(common) => output(&common.rows, &mut read),
            Node::Recursive(recursive) => {
                output(&recursive.first, &mut read);
                output(&recursive.round, &mut read);
            }
            Node::Distinct(distinct) => match &distinct.kind {
                DistinctKind::All(columns) | DistinctKind::On(columns) => {
                    read.extend(columns.iter().copied())
                }
            },
            Node::Apply(apply) => {
                apply.subqueries.iter().for_each(|subquery| output(&subquery.rows, &mut read));
            }
            _ => {}
        }
    });
    read.subtract(&columns_made(node));
    read
}

/// Whether it makes no difference how often, and whether at all, a tree is run.
pub(crate) fn is_pure(node: &Node) -> bool {
    let mut pure = true;
    walk(node, &mut |node| {
        pure &= !matches!(node, Node::Modify(_));
        pure &= !matches!(node, Node::Get(get) if get.lock.is_some());
        pure &= expressions(node).into_iter().all(|part| part.volatility() != Volatility::Volatile);
    });
    pure
}

/// Whether a tree reads the rows of a round that is not its own.
pub(crate) fn reads_round(node: &Node) -> bool {
    let (mut read, mut own) = (Vec::new(), Vec::new());
    walk(node, &mut |node| match node {
        Node::Working(working) => read.push(working.id),
        Node::Recursive(recursive) => own.push(recursive.id),
        _ => {}
    });
    read.iter().any(|id| !own.contains(id))
}
