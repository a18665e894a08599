//! Groups, windows, and what is computed of them.

use expr::{Expr, TypeKind};

use super::unlike::{order_of, sorted};
use super::{Placed, Placement};
use crate::error::{Error, Result};
use crate::logical::walk::{self, columns_read};
use crate::logical::{Aggregate, ColumnId, Node, Sort, Window};
use crate::optimise::condition::may_move;
use crate::plan::{self, AggregateCall, WindowCall};

impl Placement<'_> {
    pub(super) fn aggregate(&mut self, aggregate: Aggregate) -> Result<Placed> {
        let Aggregate { input, keys, sets, marks, calls } = aggregate;
        let has_effects = |call: &AggregateCall| {
            let expressions = call.arguments.iter().chain(&call.filter);
            expressions.chain(call.order_by.iter().map(|key| &key.expression)).any(|part| !may_move(part))
        };
        let mut calls: Vec<(ColumnId, AggregateCall)> =
            calls.into_iter().filter(|(column, call)| self.is_wanted(*column) || has_effects(call)).collect();
        for (_, call) in calls.iter_mut().filter(|(_, call)| call.distinct && call.order_by.is_empty()) {
            if self.may_be_unlike(call.arguments.iter().map(Expr::ty), &input) {
                call.order_by = order_of(&call.arguments);
            }
        }
        let is_unlike = self.may_be_unlike(keys.iter().map(|(_, key)| key.ty()), &input);
        let aggregate =
            Node::Aggregate(Box::new(Aggregate { input: Node::one_row(), keys, sets, marks, calls }));
        let read = columns_read(walk::expressions(&aggregate));
        let Node::Aggregate(aggregate) = aggregate else {
            return Err(Error::internal("an aggregate that is none"));
        };
        let input = self.below(&read, |placement| placement.node(input))?;
        self.enter(&input.row);
        let (mut row, mut keys, mut calls) = (Vec::new(), Vec::new(), Vec::new());
        for (column, key) in aggregate.keys {
            row.push(column);
            keys.push(self.over(key)?);
        }
        row.extend(aggregate.marks);
        for (column, call) in aggregate.calls {
            row.push(column);
            calls.push(AggregateCall {
                arguments: self.all_over(call.arguments)?,
                filter: call.filter.map(|filter| self.over(filter)).transpose()?,
                order_by: self.keys_over(call.order_by)?,
                ..call
            });
        }
        let sets = aggregate.sets;
        let mut input = input.node;
        if is_unlike && sets.is_empty() {
            input = sorted(input, &keys);
        }
        for set in sets.iter().filter(|_| is_unlike) {
            let values: Vec<Expr> = set.keys.iter().filter_map(|place| keys.get(*place).cloned()).collect();
            input = sorted(input, &values);
        }
        let node = plan::Node::Aggregate(plan::Aggregate { input: Box::new(input), keys, sets, calls });
        Ok(Placed { node, row })
    }

    /// What nobody asks for is not computed, nor are rows sorted for it.
    pub(super) fn window(&mut self, window: Window) -> Result<Placed> {
        let Window { input, partition_by, order_by, calls } = window;
        let has_effects = |call: &WindowCall| call.expressions().any(|part| !may_move(part));
        let calls: Vec<(ColumnId, WindowCall)> =
            calls.into_iter().filter(|(column, call)| self.is_wanted(*column) || has_effects(call)).collect();
        if calls.is_empty() {
            return match input {
                Node::Sort(Sort { input, .. }) => self.node(*input),
                input => self.node(input),
            };
        }
        let window = Node::Window(Box::new(Window { input: Node::one_row(), partition_by, order_by, calls }));
        let read = columns_read(walk::expressions(&window));
        let Node::Window(window) = window else { return Err(Error::internal("a window that is none")) };
        let input = self.below(&read, |placement| {
            let input = placement.node(input)?;
            placement.narrow(input)
        })?;
        self.enter(&input.row);
        let partition_by = self.all_over(window.partition_by)?;
        let order_by = self.keys_over(window.order_by)?;
        let mut row = input.row;
        let mut calls = Vec::with_capacity(window.calls.len());
        for (column, mut call) in window.calls {
            for part in call.expressions_mut() {
                let taken = std::mem::replace(part, Expr::null(TypeKind::Unknown));
                *part = self.over(taken)?;
            }
            row.push(column);
            calls.push(call);
        }
        let input = Box::new(input.node);
        let node = plan::Node::Window(plan::Window { input, partition_by, order_by, calls });
        Ok(Placed { node, row })
    }
}
