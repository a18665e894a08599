//! Optimising: from the naive plan that `bind` makes to one that reads as little as it can.
//!
//! ```text
//! bound tree ─ number ▶ logical plan ─ rules ▶ logical plan ─ place ▶ physical plan ─ rules ▶ physical plan
//! ```
//!
//! [`number`] gives every column a number of its own ([`crate::logical`]). Rules over the logical plan, in this order,
//! each of which keeps the answer as it is:
//! 1. [`fold`]: calls of constants become constants.
//! 2. [`factor`]: what all arms of an OR have in common is asked once.
//! 3. [`pushdown`]: conditions move down to the scans and into the joins; outer joins become inner ones where rows that they
//!    have filled with NULLs do not survive.
//! 4. [`unnest`]: subqueries that are run once per row become semi, anti and outer joins with groups; [`once`]: those that
//!    are run once come first where they lead to rows.
//! 5. [`extremes`]: `min` and `max` of what an index has in order read its first row.
//! 6. [`equivalence`]: a constant that a column equals is asked of the columns that it is joined with; [`restrict`]: what a
//!    join's condition says of one side alone is asked there.
//! 7. [`joins`]: what leaves the fewest rows is joined first, and the smaller side is kept, by [`estimate`]s.
//! 8. [`arms`]: a subquery is not run for a row of which nobody looks at its answer.
//!
//! [`place`] decides where columns stand in rows, leaves out those that nobody reads, and lets joins find their pairs by
//! hashing equal keys. Rules over the physical plan:
//! 1. [`order`]: what an index delivers in order is not sorted; what nobody asks for beyond a LIMIT is not read.
//! 2. [`access`]: a scan's condition becomes spans of the index that leaves the least of the table.
//! 3. [`lookup`]: a join whose left side is small beside the right looks each row up in an index of that.
//! 4. [`locks`]: rows are locked above all conditions, or by the scan that reads them where that is the same.
//!
//! What EXPLAIN shows of the plan that has come of all this, [`appraise`](mod@appraise) says.
//!
//! The rules need no values: spans hold expressions over parameters, so one plan serves every execution.

mod access;
mod appraise;
mod arms;
mod condition;
mod cost;
mod equality;
mod equivalence;
mod estimate;
mod extremes;
mod factor;
mod fold;
mod joins;
mod leakproof;
mod lift;
mod locks;
mod lookup;
mod nulls;
mod number;
mod once;
mod order;
mod place;
mod pushdown;
mod restrict;
mod rules;
mod selectivity;
mod unnest;

pub(crate) use appraise::{Appraisal, Appraisals, appraise, tables};
pub use estimate::TableSizes;
pub use rules::{Rule, Rules};

use crate::catalog::IndexId;
use crate::error::Result;
use crate::logical::Columns;
use crate::plan::{Bound, GuardCondition, Node, Plan, walk};
use estimate::Estimates;
use number::Mentions;

/// Makes the plan of a bound statement quick, by these rules.
///
/// # Errors
/// XX000 if a rule has made a plan that is none.
pub fn optimise(bound: &mut Bound, sizes: &TableSizes, rules: Rules) -> Result<()> {
    // What the binder has numbered is numbered anew.
    // What WHERE CURRENT OF stands for keeps its place behind the parameters.
    let current = bound.current_of.as_ref();
    let kept = current.map_or(0, |current| current.slot.saturating_add(current.columns.len()));
    bound.slots = bound.parameters.len().max(kept);
    // And so do rows that guards ask about.
    walk::guards_mut(&mut bound.plan, &mut |guard| {
        if let GuardCondition::Asked { slot, width, .. } = &guard.condition {
            bound.slots = bound.slots.max(slot.saturating_add(*width));
        }
    });
    let mut named = Mentions::default();
    for root in walk::roots_mut(&mut bound.plan) {
        number::count(root, &mut named);
    }
    for root in walk::roots_mut(&mut bound.plan) {
        let node = optimise_node(take(root), &named, &mut bound.slots, sizes, rules)?;
        *root = node;
    }
    Ok(())
}

/// `named`: by all of the statement, whose parts are planned one by one.
fn optimise_node(
    node: Node,
    named: &Mentions,
    slots: &mut usize,
    sizes: &TableSizes,
    rules: Rules,
) -> Result<Node> {
    let mut node = placed(node, named, slots, sizes, rules)?;
    let estimates = Estimates::new(sizes);
    order::tell_locks(&mut node);
    if rules.has(Rule::Order) {
        order::use_order(&mut node, rules, &estimates);
    }
    if rules.has(Rule::Access) {
        access::choose_indexes(&mut node);
    }
    if rules.has(Rule::LookUp) {
        lookup::look_up(&mut node, slots, &estimates);
    }
    locks::settle(&mut node);
    Ok(node)
}

/// What changes rows within a tree is planned first, each part of it by itself.
fn place_modifying(
    node: &mut Node,
    named: &Mentions,
    slots: &mut usize,
    sizes: &TableSizes,
    rules: Rules,
) -> Result<()> {
    let is_modify = matches!(node, Node::Modify(_));
    for child in walk::children_mut(node) {
        if is_modify {
            *child = placed(take(child), named, slots, sizes, rules)?;
        } else {
            place_modifying(child, named, slots, sizes, rules)?;
        }
    }
    Ok(())
}

/// The physical plan of a tree, before the rules over such plans.
fn placed(
    mut node: Node,
    named: &Mentions,
    slots: &mut usize,
    sizes: &TableSizes,
    rules: Rules,
) -> Result<Node> {
    place_modifying(&mut node, named, slots, sizes, rules)?;
    let mut columns = Columns::default();
    let mut logical = number::number(&mut columns, node, named);
    if rules.has(Rule::Fold) {
        fold::fold(&mut logical.node);
    }
    if rules.has(Rule::Factor) {
        factor::factor(&mut logical.node);
    }
    let pushes = rules.has(Rule::PushDown);
    if pushes {
        pushdown::push_down(&mut logical.node);
    }
    let estimates = Estimates::new(sizes);
    if rules.has(Rule::Unnest) {
        let mut has_changed = unnest::unnest(&mut logical, &mut columns, &estimates);
        has_changed |= once::answer_first(&mut logical.node);
        if has_changed && pushes {
            pushdown::push_down(&mut logical.node);
        }
    }
    if rules.has(Rule::Extremes) {
        extremes::extremes(&mut logical.node, &mut columns);
    }
    if pushes {
        equivalence::spread_constants(&mut logical.node);
        restrict::restrict(&mut logical.node);
        pushdown::drop_spent(&mut logical.node);
    }
    if rules.has(Rule::Joins) {
        joins::order(&mut logical.node, &estimates);
    }
    // No rule that may be left out: it decides which errors there are.
    arms::guard(&mut logical, &columns);
    place::place(&columns, logical, slots, &estimates)
}

/// The tables whose sizes it depends on how a statement is best planned, by their primary indexes: those of a statement
/// that reads several, joins, asks subqueries or sorts.
pub fn tables_to_weigh(plan: &mut Plan) -> Vec<IndexId> {
    let mut tables = Vec::new();
    let (mut scans, mut weighs) = (0_usize, false);
    for root in walk::roots_mut(plan) {
        walk::nodes_mut(root, &mut |node| match node {
            Node::Scan(scan) => {
                scans = scans.saturating_add(1);
                tables.extend(scan.table.primary().map(|primary| primary.id));
            }
            Node::Past(past) => {
                scans = scans.saturating_add(1);
                tables.extend(past.scan.table.primary().map(|primary| primary.id));
            }
            // Of rows from elsewhere each may lead to one of the table.
            Node::Sort(_) | Node::Apply(_) | Node::Join(_) => weighs = true,
            _ => {}
        });
    }
    tables.sort_unstable();
    tables.dedup();
    if scans > 1 || weighs { tables } else { Vec::new() }
}

/// The node, with one row without columns left in its place.
fn take(node: &mut Node) -> Node {
    std::mem::replace(node, Node::Values(crate::plan::Values::one_row()))
}
