//! From the bound tree, whose columns are places in rows, to the logical plan, whose columns have numbers of their own.
//!
//! A projection that only chooses columns vanishes: what is chosen keeps its number. A slot through which a subquery reads
//! an outer row becomes what it stands for.

use std::collections::HashMap;

use expr::{Expr, TypeKind};

use super::condition::conjuncts;
use crate::logical::walk::{columns_free, is_pure, reads_round};
use crate::logical::{
    Aggregate, Append, Apply, ColumnId, Columns, Common, Compute, Distinct, DistinctKind, Function, Get,
    Join, Limit, Modify, Node, Output, ProjectSet, Recursive, SetOperation, Sort, Subquery, Values, Window,
    Working,
};
use crate::plan::{self, AggregateCall, ApplyKind, Binding, GroupingSet, JoinStrategy, SortKey};

/// How often each query of WITH is named, by its number.
pub(super) type Mentions = HashMap<usize, usize>;

/// Numbers the columns of a tree; `named` says how often each query of WITH is named by all of the statement.
pub(super) fn number(columns: &mut Columns, node: plan::Node, named: &Mentions) -> Output {
    let mut mentions = Mentions::new();
    count(&node, &mut mentions);
    Numbering { columns, slots: HashMap::new(), mentions, named, locks: false }.node(node)
}

/// Counts how often each query of WITH is named.
pub(super) fn count(node: &plan::Node, mentions: &mut Mentions) {
    if let plan::Node::Common(common) = node {
        let count = mentions.entry(common.id).or_insert(0_usize);
        *count = count.saturating_add(1);
    }
    for child in plan::walk::children(node) {
        count(child, mentions);
    }
}

struct Numbering<'c> {
    columns: &'c mut Columns,
    /// What the slots stand for that are set around the node at hand.
    slots: HashMap<usize, Expr>,
    /// How often each query of WITH is named in the tree.
    mentions: Mentions,
    /// How often it is in all of the statement.
    named: &'c Mentions,
    /// Rows of the node at hand are locked above.
    locks: bool,
}

impl Numbering<'_> {
    fn node(&mut self, node: plan::Node) -> Output {
        match node {
            plan::Node::Scan(scan) => self.scan(*scan, None),
            plan::Node::Past(past) => self.scan(past.scan, Some(past.when)),
            plan::Node::VirtualScan(scan) => self.virtual_scan(scan),
            plan::Node::FunctionScan(scan) => self.function(scan),
            plan::Node::Values(values) => self.values(values),
            plan::Node::Filter(filter) => {
                let Output { node, columns } = self.node(*filter.input);
                let conditions = conjuncts(self.over(filter.predicate, &columns));
                // What lets every row pass hides none.
                let barrier = filter.barrier && !conditions.is_empty();
                Output { node: node.refiltered(conditions, barrier), columns }
            }
            plan::Node::Project(project) => self.project(project),
            plan::Node::ProjectSet(set) => self.project_set(set),
            plan::Node::Join(join) => self.join(join),
            plan::Node::Apply(apply) => self.apply(apply),
            plan::Node::Aggregate(aggregate) => self.aggregate(aggregate),
            plan::Node::Window(window) => self.window(window),
            plan::Node::Sort(sort) => {
                let Output { node, columns } = self.node(*sort.input);
                let keys = self.keys(sort.keys, &columns);
                Output { node: Node::Sort(Sort { input: Box::new(node), keys }), columns }
            }
            plan::Node::Limit(limit) => {
                let Output { node, columns } = self.node(*limit.input);
                let (rows, offset) = (limit.limit, limit.offset);
                let limit = rows.map(|rows| self.over(rows, &[]));
                let offset = offset.map(|offset| self.over(offset, &[]));
                Output { node: Node::Limit(Box::new(Limit { input: node, limit, offset })), columns }
            }
            plan::Node::LockRows(lock) => {
                let around = std::mem::replace(&mut self.locks, true);
                let Output { node, columns } = self.node(*lock.input);
                self.locks = around;
                Output { node: Node::LockRows(Box::new(node)), columns }
            }
            plan::Node::Distinct(distinct) => self.distinct(distinct),
            plan::Node::Append(append) => self.append(append),
            plan::Node::SetOperation(operation) => self.set_operation(operation),
            plan::Node::Common(common) => self.common(common),
            plan::Node::Recursive(recursive) => self.recursive(recursive),
            plan::Node::Working(working) => {
                let columns: Vec<ColumnId> =
                    working.types.into_iter().map(|ty| self.columns.add(ty)).collect();
                let own = Working { id: working.id, name: working.name, columns: columns.clone() };
                Output { node: Node::Working(Box::new(own)), columns }
            }
            plan::Node::Modify(plan) => {
                let returned = plan.returning().unwrap_or_default().iter();
                let columns: Vec<ColumnId> = returned.map(|part| self.columns.add(part.ty())).collect();
                let own = Modify { plan, columns: columns.clone() };
                Output { node: Node::Modify(Box::new(own)), columns }
            }
        }
    }

    /// An expression over a row of these columns.
    fn over(&self, mut expression: Expr, row: &[ColumnId]) -> Expr {
        expression.rewrite(&mut |part| match part {
            Expr::Column { index, .. } => {
                if let Some(column) = row.get(*index) {
                    *index = *column;
                }
            }
            Expr::Parameter { index, .. } => {
                if let Some(outer) = self.slots.get(index) {
                    *part = outer.clone();
                }
            }
            _ => {}
        });
        expression
    }

    fn keys(&self, keys: Vec<SortKey>, row: &[ColumnId]) -> Vec<SortKey> {
        let over = |key: SortKey| SortKey { expression: self.over(key.expression, row), ..key };
        keys.into_iter().map(over).collect()
    }

    /// Rows of a stored table, as they are or as they were.
    fn scan(&mut self, scan: plan::Scan, past: Option<plan::When>) -> Output {
        let types = scan.columns.iter().filter_map(|place| scan.table.columns.get(*place));
        let numbered: Vec<ColumnId> = types.map(|column| self.columns.add(column.ty)).collect();
        let filter = scan.filter.map(|filter| conjuncts(self.over(filter, &numbered)));
        let mut columns: Vec<(ColumnId, usize)> = numbered.iter().copied().zip(scan.columns).collect();
        // By their keys rows are locked, and told from those that an outer join has not found, whoever else reads those.
        if (self.locks || scan.lock.is_some())
            && let Some(primary) = scan.table.primary()
        {
            for place in scan.table.key_columns(primary) {
                if let Some(column) = scan.table.columns.get(place)
                    && !columns.iter().any(|(_, own)| *own == place)
                {
                    columns.push((self.columns.add(column.ty), place));
                }
            }
        }
        let get = Get {
            table: scan.table,
            alias: scan.alias,
            columns,
            filter: filter.unwrap_or_default(),
            lock: scan.lock,
            shielded: scan.shielded,
            veiled: false,
            past,
        };
        Output { node: Node::Get(Box::new(get)), columns: numbered }
    }

    fn virtual_scan(&mut self, scan: plan::VirtualScan) -> Output {
        let types = scan.columns.iter().filter_map(|place| scan.table.columns.get(*place));
        let numbered: Vec<ColumnId> = types.map(|column| self.columns.add(column.ty)).collect();
        let filter = scan.filter.map(|filter| conjuncts(self.over(filter, &numbered)));
        let get = Get {
            columns: numbered.iter().copied().zip(scan.columns).collect(),
            table: scan.table,
            alias: scan.alias,
            filter: filter.unwrap_or_default(),
            lock: None,
            shielded: false,
            veiled: false,
            past: None,
        };
        Output { node: Node::Get(Box::new(get)), columns: numbered }
    }

    fn function(&mut self, scan: plan::FunctionScan) -> Output {
        let types = scan.types.iter().copied().chain(scan.ordinality.then_some(TypeKind::Int8.into()));
        let columns: Vec<ColumnId> = types.map(|ty| self.columns.add(ty)).collect();
        let function = Function {
            function: scan.function,
            arguments: scan.arguments.into_iter().map(|argument| self.over(argument, &[])).collect(),
            types: scan.types,
            ordinality: scan.ordinality,
            columns: columns.clone(),
        };
        Output { node: Node::Function(Box::new(function)), columns }
    }

    fn values(&mut self, values: plan::Values) -> Output {
        let columns: Vec<ColumnId> = values.types.into_iter().map(|ty| self.columns.add(ty)).collect();
        let row = |row: Vec<Expr>| row.into_iter().map(|cell| self.over(cell, &[])).collect();
        let rows = values.rows.into_iter().map(row).collect();
        Output { node: Node::Values(Box::new(Values { rows, columns: columns.clone() })), columns }
    }

    fn project(&mut self, project: plan::Project) -> Output {
        let Output { node, columns: row } = self.node(*project.input);
        let mut columns = Vec::with_capacity(project.expressions.len());
        let mut computed = Vec::new();
        for expression in project.expressions {
            let chosen = match &expression {
                Expr::Column { index, .. } => row.get(*index).copied(),
                _ => None,
            };
            columns.push(chosen.unwrap_or_else(|| {
                let column = self.columns.add(expression.ty());
                computed.push((column, self.over(expression, &row)));
                column
            }));
        }
        if computed.is_empty() {
            return Output { node, columns };
        }
        Output { node: Node::Compute(Compute { input: Box::new(node), computed }), columns }
    }

    fn project_set(&mut self, set: plan::ProjectSet) -> Output {
        let Output { node, mut columns } = self.node(*set.input);
        let mut functions = Vec::with_capacity(set.functions.len());
        for function in set.functions {
            let over = |argument| self.over(argument, &columns);
            let arguments = function.arguments.into_iter().map(over).collect();
            let column = self.columns.add(function.ty);
            functions.push((column, plan::SetFunction { arguments, ..function }));
        }
        let ordinality = set.ordinality.then(|| self.columns.add(TypeKind::Int8.into()));
        columns.extend(functions.iter().map(|(column, _)| *column));
        columns.extend(ordinality);
        Output {
            node: Node::ProjectSet(Box::new(ProjectSet { input: node, functions, ordinality })),
            columns,
        }
    }

    fn join(&mut self, join: plan::Join) -> Output {
        let left = self.node(*join.left);
        let bindings = match join.strategy {
            JoinStrategy::Dependent { bindings } => bindings,
            JoinStrategy::NestedLoop | JoinStrategy::Hash { .. } => Vec::new(),
        };
        let lateral = !bindings.is_empty();
        let right = self.within(bindings, &left.columns, |numbering| numbering.node(*join.right));
        let columns: Vec<ColumnId> = left.columns.into_iter().chain(right.columns).collect();
        let conditions = join.condition.map(|condition| conjuncts(self.over(condition, &columns)));
        let join = Join {
            kind: join.kind,
            left: left.node,
            right: right.node,
            lateral,
            asked: false,
            conditions: conditions.unwrap_or_default(),
        };
        Output { node: Node::Join(Box::new(join)), columns }
    }

    /// Numbers what reads slots that are set from a row.
    fn within<T>(
        &mut self,
        bindings: Vec<Binding>,
        row: &[ColumnId],
        number: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut before = Vec::with_capacity(bindings.len());
        for binding in bindings {
            let value = self.over(binding.value, row);
            before.push((binding.slot, self.slots.insert(binding.slot, value)));
        }
        let numbered = number(self);
        // A copy of the same query may stand around it and have set the same slots.
        for (slot, value) in before.into_iter().rev() {
            match value {
                Some(value) => self.slots.insert(slot, value),
                None => self.slots.remove(&slot),
            };
        }
        numbered
    }

    fn apply(&mut self, apply: plan::Apply) -> Output {
        let Output { node, mut columns } = self.node(*apply.input);
        let mut subqueries = Vec::with_capacity(apply.subqueries.len());
        for subquery in apply.subqueries {
            let column = self.columns.add(subquery.kind.ty());
            let rows = self.within(subquery.bindings, &columns, |numbering| numbering.node(subquery.node));
            let kind = match subquery.kind {
                ApplyKind::Any { test } => {
                    let pair: Vec<ColumnId> = columns.iter().chain(&rows.columns).copied().collect();
                    ApplyKind::Any { test: self.over(test, &pair) }
                }
                kind => kind,
            };
            subqueries.push(Subquery { rows, kind, column });
            columns.push(column);
        }
        Output { node: Node::Apply(Apply { input: Box::new(node), subqueries }), columns }
    }

    fn aggregate(&mut self, aggregate: plan::Aggregate) -> Output {
        let Output { node, columns: row } = self.node(*aggregate.input);
        let mut keys = Vec::with_capacity(aggregate.keys.len());
        for key in aggregate.keys {
            keys.push((self.columns.add(key.ty()), self.over(key, &row)));
        }
        let mut calls = Vec::with_capacity(aggregate.calls.len());
        for call in aggregate.calls {
            let over = AggregateCall {
                arguments: call.arguments.into_iter().map(|argument| self.over(argument, &row)).collect(),
                filter: call.filter.map(|filter| self.over(filter, &row)),
                order_by: self.keys(call.order_by, &row),
                ..call
            };
            calls.push((self.columns.add(over.ty), over));
        }
        let sets = aggregate.sets;
        let marks: Vec<ColumnId> =
            (0..GroupingSet::marks_of(&sets)).map(|_| self.columns.add(TypeKind::Int4.into())).collect();
        let columns = keys.iter().map(|(column, _)| *column).chain(marks.iter().copied());
        let columns = columns.chain(calls.iter().map(|(column, _)| *column)).collect();
        Output {
            node: Node::Aggregate(Box::new(Aggregate { input: node, keys, sets, marks, calls })),
            columns,
        }
    }

    fn window(&mut self, window: plan::Window) -> Output {
        let Output { node, mut columns } = self.node(*window.input);
        let partition_by = window.partition_by.into_iter().map(|key| self.over(key, &columns)).collect();
        let order_by = self.keys(window.order_by, &columns);
        let mut calls = Vec::with_capacity(window.calls.len());
        for mut call in window.calls {
            for part in call.expressions_mut() {
                let taken = std::mem::replace(part, Expr::null(TypeKind::Unknown));
                *part = self.over(taken, &columns);
            }
            calls.push((self.columns.add(call.ty), call));
        }
        columns.extend(calls.iter().map(|(column, _)| *column));
        Output {
            node: Node::Window(Box::new(Window { input: node, partition_by, order_by, calls })),
            columns,
        }
    }

    fn distinct(&mut self, distinct: plan::Distinct) -> Output {
        let Output { node, columns } = self.node(*distinct.input);
        let kind = match distinct.on {
            None => DistinctKind::All(columns.clone()),
            Some(on) => {
                DistinctKind::On(on.into_iter().filter_map(|place| columns.get(place).copied()).collect())
            }
        };
        Output { node: Node::Distinct(Box::new(Distinct { input: node, kind })), columns }
    }

    fn append(&mut self, append: plan::Append) -> Output {
        let inputs: Vec<Output> = append.inputs.into_iter().map(|input| self.node(input)).collect();
        let columns = self.like(inputs.first());
        Output { node: Node::Append(Append { inputs, columns: columns.clone() }), columns }
    }

    fn set_operation(&mut self, operation: plan::SetOperation) -> Output {
        let (left, right) = (self.node(*operation.left), self.node(*operation.right));
        let columns = self.like(Some(&left));
        let operation = SetOperation {
            intersect: operation.intersect,
            all: operation.all,
            left,
            right,
            columns: columns.clone(),
        };
        Output { node: Node::SetOperation(Box::new(operation)), columns }
    }

    /// A query of WITH is computed once if it is named more than once, or does more than read, unless something else was
    /// asked for. One that reads rows around it is part of the query that names it.
    fn common(&mut self, common: plan::Common) -> Output {
        let rows = self.node(*common.input);
        let id = common.id;
        let is_several = |mentions: &Mentions| mentions.get(&id).is_some_and(|mentions| *mentions > 1);
        let once = common.materialized.unwrap_or(is_several(&self.mentions));
        if columns_free(&rows.node).iter().next().is_some()
            || reads_round(&rows.node)
            || !once && is_pure(&rows.node)
        {
            return rows;
        }
        let columns = self.like(Some(&rows));
        let is_shared = is_several(self.named);
        let node = Common { id, name: common.name, is_shared, rows, columns: columns.clone() };
        Output { node: Node::Common(Box::new(node)), columns }
    }

    fn recursive(&mut self, recursive: plan::Recursive) -> Output {
        let first = self.node(*recursive.first);
        let round = self.node(*recursive.round);
        let columns = self.like(Some(&first));
        let recursive =
            Recursive { id: recursive.id, all: recursive.all, first, round, columns: columns.clone() };
        Output { node: Node::Recursive(Box::new(recursive)), columns }
    }

    /// New columns of the types that an input has.
    fn like(&mut self, input: Option<&Output>) -> Vec<ColumnId> {
        let types: Vec<_> =
            input.iter().flat_map(|input| &input.columns).map(|column| self.columns.ty(*column)).collect();
        types.into_iter().map(|ty| self.columns.add(ty)).collect()
    }
}
