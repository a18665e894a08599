//! `min` and `max` of a column by which an index is ordered read its first row, or its last.
//!
//! ```text
//! SELECT max(b) FROM t      SELECT (SELECT b FROM t WHERE b IS NOT NULL ORDER BY b DESC LIMIT 1)
//! ```

use expr::operators::{Comparison, comparison};
use expr::{Datum, Expr, TypeKind};

use super::condition::may_move;
use crate::catalog::IndexState;
use crate::logical::walk::children_mut;
use crate::logical::{Aggregate, Apply, ColumnId, Columns, Get, Limit, Node, Output, Sort, Subquery};
use crate::plan::{AggregateCall, ApplyKind, SortKey};

/// More of them at once are computed together.
const CALLS_MAX: usize = 8;

/// Turns aggregates of a tree that are nothing but `min` and `max` of indexed columns into reads of first rows.
pub(super) fn extremes(node: &mut Node, columns: &mut Columns) {
    for child in children_mut(node) {
        extremes(child, columns);
    }
    let Node::Aggregate(aggregate) = node else { return };
    let Some(wanted) = wanted(aggregate) else { return };
    let Node::Get(get) = &aggregate.input else { return };
    let subqueries = wanted.iter().map(|extreme| first(get, extreme, columns)).collect();
    *node = Node::Apply(Apply { input: Box::new(Node::one_row()), subqueries });
}

/// A call of `min` or `max`.
struct Extreme {
    /// What it makes.
    made: ColumnId,
    /// Of which column.
    of: ColumnId,
    is_max: bool,
}

/// The calls, if each of them has an index to ask.
fn wanted(aggregate: &Aggregate) -> Option<Vec<Extreme>> {
    let Node::Get(get) = &aggregate.input else { return None };
    let is_plain = get.table.kind.is_stored()
        && get.lock.is_none()
        && get.past.is_none()
        && get.filter.iter().all(may_move);
    if !is_plain || !aggregate.is_one_row() || !(1..=CALLS_MAX).contains(&aggregate.calls.len()) {
        return None;
    }
    let extremes: Vec<Extreme> =
        aggregate.calls.iter().map(|(made, call)| extreme(*made, call)).collect::<Option<_>>()?;
    let is_found = |extreme: &Extreme| {
        // Several of them read the table several times, if there is more to be looked at than what an index finds.
        let finds_all = || get.filter.iter().all(|condition| is_given(condition, get).is_some());
        (extremes.len() == 1 || finds_all()) && is_ordered(get, extreme.of)
    };
    extremes.iter().all(is_found).then_some(extremes)
}

fn extreme(made: ColumnId, call: &AggregateCall) -> Option<Extreme> {
    let is_max = match call.function.function().name {
        "max" => true,
        "min" => false,
        _ => return None,
    };
    match (call.arguments.as_slice(), &call.filter) {
        ([Expr::Column { index, ty }], None) if ty.kind == call.ty.kind => {
            Some(Extreme { made, of: *index, is_max })
        }
        _ => None,
    }
}

/// Whether an index has the rows in the order of a column, behind columns that are given.
fn is_ordered(get: &Get, column: ColumnId) -> bool {
    let Some((_, wanted)) = get.columns.iter().find(|(own, _)| *own == column) else { return false };
    let given: Vec<usize> = get.filter.iter().filter_map(|condition| is_given(condition, get)).collect();
    let mut indexes = (get.table.indexes.iter())
        .filter(|index| index.options.predicate.is_none() && index.state == IndexState::Public);
    indexes.any(|index| {
        let first = get.table.key_columns(index).find(|place| place == wanted || !given.contains(place));
        first == Some(*wanted)
    })
}

/// The place of the column that an equality with something of other rows gives.
fn is_given(condition: &Expr, get: &Get) -> Option<usize> {
    let Expr::Call { function, args, .. } = condition else { return None };
    let [left, right] = args.as_slice() else { return None };
    if comparison(*function) != Some(Comparison::Equal) {
        return None;
    }
    let place_of = |column: ColumnId| get.columns.iter().find(|(own, _)| *own == column).map(|(_, at)| *at);
    let given = |column: &Expr, value: &Expr| match column {
        Expr::Column { index, .. } if !value.columns().into_iter().any(|read| place_of(read).is_some()) => {
            place_of(*index)
        }
        _ => None,
    };
    given(left, right).or_else(|| given(right, left))
}

/// The subquery that reads the first row, of a copy of the table.
fn first(get: &Get, extreme: &Extreme, columns: &mut Columns) -> Subquery {
    let copied: Vec<(ColumnId, ColumnId)> =
        get.columns.iter().map(|(column, _)| (*column, columns.add(columns.ty(*column)))).collect();
    let copy =
        |column: ColumnId| copied.iter().find(|(of, _)| *of == column).map_or(column, |(_, copy)| *copy);
    let mut filter: Vec<Expr> =
        get.filter.iter().map(|condition| condition.clone().map_columns(&copy)).collect();
    let column = copy(extreme.of);
    filter.push(Expr::IsNull { operand: Box::new(columns.read(column)), negated: true });
    let table = Node::Get(Box::new(Get {
        table: get.table.clone(),
        alias: get.alias.clone(),
        columns: get.columns.iter().map(|(column, place)| (copy(*column), *place)).collect(),
        filter,
        lock: None,
        shielded: get.shielded,
        veiled: get.veiled,
        past: None,
    }));
    let key =
        SortKey { expression: columns.read(column), descending: extreme.is_max, nulls_first: extreme.is_max };
    let sorted = Node::Sort(Sort { input: Box::new(table), keys: vec![key] });
    let limit = Some(Expr::literal(Datum::Int8(1), TypeKind::Int8));
    let node = Node::Limit(Box::new(Limit { input: sorted, limit, offset: None }));
    Subquery {
        rows: Output { node, columns: vec![column] },
        kind: ApplyKind::Scalar(columns.ty(extreme.made)),
        column: extreme.made,
    }
}
