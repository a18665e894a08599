//! Groups and what is computed of them.

use super::{Placed, Placement};
use crate::error::{Error, Result};
use crate::logical::walk::{self, columns_read};
use crate::logical::{Aggregate, ColumnId, Node};
use crate::optimise::condition::may_move;
use crate::plan::{self, AggregateCall};

impl Placement<'_> {
    pub(super) fn aggregate(&mut self, aggregate: Aggregate) -> Result<Placed> {
        let Aggregate { input, keys, calls } = aggregate;
        let has_effects = |call: &AggregateCall| {
            let expressions = call.arguments.iter().chain(&call.filter);
            expressions.chain(call.order_by.iter().map(|key| &key.expression)).any(|part| !may_move(part))
        };
        let calls: Vec<(ColumnId, AggregateCall)> =
            calls.into_iter().filter(|(column, call)| self.is_wanted(*column) || has_effects(call)).collect();
        let aggregate = Node::Aggregate(Box::new(Aggregate { input: Node::one_row(), keys, calls }));
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
        for (column, call) in aggregate.calls {
            row.push(column);
            calls.push(AggregateCall {
                arguments: self.all_over(call.arguments)?,
                filter: call.filter.map(|filter| self.over(filter)).transpose()?,
                order_by: self.keys_over(call.order_by)?,
                ..call
            });
        }
        let node = plan::Node::Aggregate(plan::Aggregate { input: Box::new(input.node), keys, calls });
        Ok(Placed { node, row })
    }
}
