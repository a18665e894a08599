//! Walking plans: their nodes, their expressions.

use expr::Expr;

use super::{
    Apply, ApplyKind, Binding, Compound, ConflictAction, Ddl, Insert, JoinStrategy, KeyPart, KeySpan, Merge,
    Modify, Node, OnConflict, PastScan, Plan, RowGuard, Scan, SessionCommand, Subquery, Update,
};

/// The nodes directly below.
pub fn children_mut(node: &mut Node) -> Vec<&mut Node> {
    match node {
        Node::Scan(_)
        | Node::Past(_)
        | Node::VirtualScan(_)
        | Node::FunctionScan(_)
        | Node::Values(_)
        | Node::Working(_) => Vec::new(),
        Node::Filter(filter) => vec![&mut filter.input],
        Node::Project(project) => vec![&mut project.input],
        Node::ProjectSet(set) => vec![&mut set.input],
        Node::Join(join) => vec![&mut join.left, &mut join.right],
        Node::Apply(apply) => {
            let subqueries = apply.subqueries.iter_mut().map(|subquery| &mut subquery.node);
            std::iter::once(apply.input.as_mut()).chain(subqueries).collect()
        }
        Node::Aggregate(aggregate) => vec![&mut aggregate.input],
        Node::Window(window) => vec![&mut window.input],
        Node::Sort(sort) => vec![&mut sort.input],
        Node::Limit(limit) => vec![&mut limit.input],
        Node::LockRows(lock) => {
            let lock = lock.as_mut();
            vec![&mut lock.input, &mut lock.again]
        }
        Node::Distinct(distinct) => vec![&mut distinct.input],
        Node::Append(append) => append.inputs.iter_mut().collect(),
        Node::SetOperation(operation) => vec![&mut operation.left, &mut operation.right],
        Node::Common(common) => vec![&mut common.input],
        Node::Recursive(recursive) => vec![&mut recursive.first, &mut recursive.round],
        Node::Modify(plan) => roots_mut(plan),
    }
}

/// The same to look at.
pub fn children(node: &Node) -> Vec<&Node> {
    match node {
        Node::Scan(_)
        | Node::Past(_)
        | Node::VirtualScan(_)
        | Node::FunctionScan(_)
        | Node::Values(_)
        | Node::Working(_) => Vec::new(),
        Node::Filter(filter) => vec![&filter.input],
        Node::Project(project) => vec![&project.input],
        Node::ProjectSet(set) => vec![&set.input],
        Node::Join(join) => vec![&join.left, &join.right],
        Node::Apply(apply) => {
            let subqueries = apply.subqueries.iter().map(|subquery| &subquery.node);
            std::iter::once(apply.input.as_ref()).chain(subqueries).collect()
        }
        Node::Aggregate(aggregate) => vec![&aggregate.input],
        Node::Window(window) => vec![&window.input],
        Node::Sort(sort) => vec![&sort.input],
        Node::Limit(limit) => vec![&limit.input],
        Node::LockRows(lock) => vec![&lock.input, &lock.again],
        Node::Distinct(distinct) => vec![&distinct.input],
        Node::Append(append) => append.inputs.iter().collect(),
        Node::SetOperation(operation) => vec![&operation.left, &operation.right],
        Node::Common(common) => vec![&common.input],
        Node::Recursive(recursive) => vec![&recursive.first, &recursive.round],
        Node::Modify(plan) => match plan.as_ref() {
            Plan::Modify(modify) => sources(modify),
            _ => Vec::new(),
        },
    }
}

/// The trees of rows at the top of a plan.
pub fn roots_mut(plan: &mut Plan) -> Vec<&mut Node> {
    match plan {
        Plan::Query(node) => vec![node],
        Plan::Modify(modify) => sources_mut(modify),
        Plan::Explain { plan, .. } => roots_mut(plan),
        Plan::Ddl(ddl) => match ddl.as_mut() {
            Ddl::CreateTableAs(create) => create.source.iter_mut().map(Box::as_mut).collect(),
            Ddl::Refresh(refresh) => refresh.source.iter_mut().map(Box::as_mut).collect(),
            _ => Vec::new(),
        },
        Plan::Empty | Plan::Session(_) => Vec::new(),
    }
}

/// The same to look at.
pub fn roots(plan: &Plan) -> Vec<&Node> {
    match plan {
        Plan::Query(node) => vec![node],
        Plan::Modify(modify) => match modify.as_ref() {
            Modify::Compound(compound) => {
                let mut all = roots(&compound.main);
                all.extend(&compound.effects);
                all
            }
            modify => sources(modify),
        },
        Plan::Explain { plan, .. } => roots(plan),
        Plan::Ddl(ddl) => match ddl.as_ref() {
            Ddl::CreateTableAs(create) => create.source.iter().map(Box::as_ref).collect(),
            Ddl::Refresh(refresh) => refresh.source.iter().map(Box::as_ref).collect(),
            _ => Vec::new(),
        },
        Plan::Empty | Plan::Session(_) => Vec::new(),
    }
}

/// The rows that something changes rows by.
fn sources(modify: &Modify) -> Vec<&Node> {
    let source = match modify {
        Modify::Insert(insert) => &insert.source,
        Modify::Update(update) => &update.source,
        Modify::Delete(delete) => &delete.source,
        Modify::Merge(merge) => &merge.source,
        Modify::CopyTo(copy) => &copy.source,
        // It stands at the top alone.
        Modify::Compound(_) | Modify::CopyFrom(_) => return Vec::new(),
    };
    let asked = modify.guards().into_iter().filter_map(RowGuard::node);
    std::iter::once(source).chain(asked).collect()
}

/// The same, to be changed.
fn sources_mut(modify: &mut Modify) -> Vec<&mut Node> {
    match modify {
        Modify::Insert(Insert { source, guards, on_conflict, .. }) => {
            let more = on_conflict.iter_mut().flat_map(OnConflict::guards_mut);
            asked_by(source, guards.iter_mut().chain(more))
        }
        Modify::Update(Update { source, guards, .. }) => asked_by(source, guards.iter_mut()),
        Modify::Delete(delete) => vec![&mut delete.source],
        Modify::Merge(Merge { source, guards, .. }) => asked_by(source, guards.iter_mut()),
        Modify::CopyTo(copy) => vec![&mut copy.source],
        Modify::Compound(compound) => {
            let mut sources = roots_mut(&mut compound.main);
            sources.extend(&mut compound.effects);
            sources
        }
        Modify::CopyFrom(_) => Vec::new(),
    }
}

/// The rows, and the queries that guards of what becomes of them ask.
fn asked_by<'p>(source: &'p mut Node, guards: impl Iterator<Item = &'p mut RowGuard>) -> Vec<&'p mut Node> {
    std::iter::once(source).chain(guards.filter_map(RowGuard::node_mut)).collect()
}

/// Calls `change` on every guard of rows that are written.
pub fn guards_mut(plan: &mut Plan, change: &mut impl FnMut(&mut RowGuard)) {
    match plan {
        Plan::Explain { plan, .. } => return guards_mut(plan, change),
        Plan::Modify(modify) => {
            modify.guards_mut().into_iter().for_each(&mut *change);
            if let Modify::Compound(compound) = modify.as_mut() {
                main_guards(compound, change);
            }
        }
        Plan::Empty | Plan::Query(_) | Plan::Ddl(_) | Plan::Session(_) => {}
    }
    for root in roots_mut(plan) {
        node_guards(root, change);
    }
}

fn main_guards(compound: &mut Compound, change: &mut impl FnMut(&mut RowGuard)) {
    if let Plan::Modify(main) = compound.main.as_mut() {
        main.guards_mut().into_iter().for_each(change);
    }
}

fn node_guards(node: &mut Node, change: &mut impl FnMut(&mut RowGuard)) {
    nodes_mut(node, &mut |node| {
        if let Node::Modify(plan) = node
            && let Plan::Modify(modify) = plan.as_mut()
        {
            modify.guards_mut().into_iter().for_each(&mut *change);
        }
    });
}

/// Calls `change` on every node, those below first.
pub fn nodes_mut(node: &mut Node, change: &mut impl FnMut(&mut Node)) {
    for child in children_mut(node) {
        nodes_mut(child, change);
    }
    change(node);
}

/// Calls `change` on every expression of a plan (the whole ones, not their parts).
pub fn expressions_mut(plan: &mut Plan, change: &mut impl FnMut(&mut Expr)) {
    match plan {
        Plan::Explain { plan, .. } => return expressions_mut(plan, change),
        Plan::Modify(modify) => modify_expressions(modify).into_iter().for_each(&mut *change),
        Plan::Session(command) => {
            if let SessionCommand::Execute { arguments, .. } = command.as_mut() {
                arguments.iter_mut().map(|(argument, _)| argument).for_each(&mut *change);
            }
        }
        Plan::Empty | Plan::Query(_) | Plan::Ddl(_) => {}
    }
    for root in roots_mut(plan) {
        nodes_mut(root, &mut |node| node_expressions(node).into_iter().for_each(&mut *change));
    }
}

/// Calls `change` on every binding of a slot.
pub fn bindings_mut(plan: &mut Plan, change: &mut impl FnMut(&mut Binding)) {
    for root in roots_mut(plan) {
        nodes_mut(root, &mut |node| match node {
            Node::Apply(Apply { subqueries, .. }) => {
                subqueries.iter_mut().flat_map(|subquery| &mut subquery.bindings).for_each(&mut *change);
            }
            Node::Join(join) => {
                if let JoinStrategy::Dependent { bindings } = &mut join.strategy {
                    bindings.iter_mut().for_each(&mut *change);
                }
            }
            Node::LockRows(lock) => lock.bindings.iter_mut().for_each(&mut *change),
            _ => {}
        });
    }
}

/// The expressions of what changes rows, but those of its sources.
fn modify_expressions(modify: &mut Modify) -> Vec<&mut Expr> {
    match modify {
        Modify::Insert(insert) => {
            let mut expressions: Vec<&mut Expr> = Vec::new();
            if let Some(conflict) = &mut insert.on_conflict
                && let ConflictAction::Update { assignments, filter, guards } = &mut conflict.action
            {
                expressions.extend(assignments.iter_mut().map(|assignment| &mut assignment.value));
                expressions.extend(filter);
                expressions.extend(guards.iter_mut().filter_map(RowGuard::plain_mut));
            }
            expressions.extend(insert.guards.iter_mut().filter_map(RowGuard::plain_mut));
            expressions.extend(insert.returning.iter_mut().flatten());
            expressions
        }
        Modify::Update(update) => {
            let assigned = update.assignments.iter_mut().map(|assignment| &mut assignment.value);
            let guards = update.guards.iter_mut().filter_map(RowGuard::plain_mut);
            assigned.chain(guards).chain(update.returning.iter_mut().flatten()).collect()
        }
        Modify::Delete(delete) => delete.returning.iter_mut().flatten().collect(),
        Modify::Merge(merge) => merge.expressions_mut(),
        Modify::Compound(compound) => match compound.main.as_mut() {
            Plan::Modify(main) => modify_expressions(main),
            _ => Vec::new(),
        },
        Modify::CopyFrom(copy) => copy.defaults.iter_mut().map(|default| &mut default.value).collect(),
        Modify::CopyTo(_) => Vec::new(),
    }
}

/// The expressions of one node.
pub fn node_expressions(node: &mut Node) -> Vec<&mut Expr> {
    match node {
        Node::Scan(scan) => scan_expressions(scan),
        Node::Past(past) => {
            let PastScan { scan, when } = past.as_mut();
            let mut expressions = scan_expressions(scan);
            expressions.extend(when.expressions_mut());
            expressions
        }
        Node::VirtualScan(scan) => scan.filter.iter_mut().collect(),
        Node::FunctionScan(scan) => scan.arguments.iter_mut().collect(),
        Node::Values(values) => values.rows.iter_mut().flatten().collect(),
        Node::Filter(filter) => vec![&mut filter.predicate],
        Node::Project(project) => project.expressions.iter_mut().collect(),
        Node::ProjectSet(set) => {
            set.functions.iter_mut().flat_map(|function| &mut function.arguments).collect()
        }
        Node::Join(join) => {
            let mut expressions: Vec<&mut Expr> = join.condition.iter_mut().collect();
            match &mut join.strategy {
                JoinStrategy::NestedLoop => {}
                JoinStrategy::Hash { left_keys, right_keys } => {
                    expressions.extend(left_keys.iter_mut().chain(right_keys));
                }
                JoinStrategy::Dependent { bindings } => {
                    expressions.extend(bindings.iter_mut().map(|binding| &mut binding.value));
                }
            }
            expressions
        }
        Node::Apply(apply) => apply.subqueries.iter_mut().flat_map(subquery_expressions).collect(),
        Node::Aggregate(aggregate) => {
            let mut expressions: Vec<&mut Expr> = aggregate.keys.iter_mut().collect();
            for call in &mut aggregate.calls {
                expressions.extend(call.arguments.iter_mut());
                expressions.extend(call.filter.iter_mut());
                expressions.extend(call.order_by.iter_mut().map(|key| &mut key.expression));
            }
            expressions
        }
        Node::Window(window) => window.expressions_mut(),
        Node::Sort(sort) => {
            sort.keys.iter_mut().map(|key| &mut key.expression).chain(sort.limit.iter_mut()).collect()
        }
        Node::Limit(limit) => limit.limit.iter_mut().chain(limit.offset.iter_mut()).collect(),
        Node::LockRows(lock) => {
            let lock = lock.as_mut();
            let bound = lock.bindings.iter_mut().map(|binding| &mut binding.value);
            lock.wanted.iter_mut().chain(bound).collect()
        }
        Node::Modify(plan) => match plan.as_mut() {
            Plan::Modify(modify) => modify_expressions(modify),
            _ => Vec::new(),
        },
        Node::Distinct(_)
        | Node::Append(_)
        | Node::SetOperation(_)
        | Node::Common(_)
        | Node::Recursive(_)
        | Node::Working(_) => Vec::new(),
    }
}

/// What a subquery reads of the row that it is run for, and what it is compared by.
fn subquery_expressions(subquery: &mut Subquery) -> Vec<&mut Expr> {
    let test = match &mut subquery.kind {
        ApplyKind::Any { test } => Some(test),
        ApplyKind::Scalar(_) | ApplyKind::Exists | ApplyKind::Array(_) => None,
    };
    subquery.bindings.iter_mut().map(|binding| &mut binding.value).chain(test).collect()
}

fn scan_expressions(scan: &mut Scan) -> Vec<&mut Expr> {
    let Scan { spans, filter, recheck, limit, .. } = scan;
    let spans = spans.iter_mut().flatten().flat_map(|KeySpan { prefix, lower, upper, not_null: _ }| {
        let bounds = lower.iter_mut().chain(upper).flat_map(|bound| &mut bound.values);
        prefix.iter_mut().filter_map(KeyPart::value_mut).chain(bounds)
    });
    spans.chain(filter).chain(recheck).chain(limit).collect()
}
