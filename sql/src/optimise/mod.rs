//! Optimising: from the naive plan that `bind` makes to one that reads as little as it can.
//!
//! Rules, in this order, each of which keeps the answer as it is:
//! 1. [`pushdown`]: conditions move down to the scans, and joins find their pairs by hashing equal keys.
//! 2. [`access`]: a scan's condition becomes spans of the index that leaves the least of the table.
//! 3. [`lookup`]: a join whose left side is known to be small looks each row up in an index of the right side.
//! 4. [`order`]: what an index delivers in order is not sorted; what nobody asks for beyond a LIMIT is not read.
//! 5. [`columns`]: scans decode only the columns that are used.
//!
//! The rules need no values: spans hold expressions over parameters, so one plan serves every execution.

mod access;
mod columns;
mod condition;
mod lookup;
mod order;
mod pushdown;

use crate::plan::{Bound, Modify, Node, Plan};

/// Makes the plan of a bound statement quick.
pub fn optimise(bound: &mut Bound) {
    optimise_plan(&mut bound.plan, &mut bound.slots);
}

fn optimise_plan(plan: &mut Plan, slots: &mut usize) {
    match plan {
        Plan::Query(node) => optimise_node(node, slots),
        Plan::Modify(modify) => match modify.as_mut() {
            Modify::Insert(insert) => optimise_node(&mut insert.source, slots),
            Modify::Update(update) => optimise_node(&mut update.source, slots),
            Modify::Delete(delete) => optimise_node(&mut delete.source, slots),
            Modify::CopyTo(copy) => optimise_node(&mut copy.source, slots),
            Modify::CopyFrom(_) => {}
        },
        Plan::Explain { plan, .. } => optimise_plan(plan, slots),
        Plan::Empty | Plan::Ddl(_) | Plan::Session(_) => {}
    }
}

fn optimise_node(node: &mut Node, slots: &mut usize) {
    pushdown::push_down(node);
    access::choose_indexes(node);
    lookup::look_up(node, slots);
    order::use_order(node);
    columns::prune(node);
}

/// The node, with one row without columns left in its place.
fn take(node: &mut Node) -> Node {
    std::mem::replace(node, Node::Values(crate::plan::Values::one_row()))
}
