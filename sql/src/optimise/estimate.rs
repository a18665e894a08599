//! About how many rows a node makes.
//!
//! What is known is how many bytes each table takes, and what ANALYZE has found ([`TableSizes`]); the rest are rules of thumb,
//! PostgreSQL's where it has any. Those are right in order of magnitude at best: enough to tell the large side of a join from
//! the small one.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use expr::operators::{Comparison, comparison};
use expr::{Datum, Expr, Type, TypeKind};

use super::cost;
use super::selectivity::{self, Known, SOME, VALUES};
use crate::catalog::{IndexDescriptor, IndexId, IndexState, TableDescriptor};
use crate::logical::walk::{children, walk};
use crate::logical::{Aggregate, ColumnId, Get, Join, Node};
use crate::plan::{JoinKind, Scan};
use crate::statistics::{ColumnStatistics, TableStatistics};

/// How many bytes tables take, and what is known of their values, by their primary indexes.
#[derive(Debug, Clone, Default)]
pub struct TableSizes {
    bytes: HashMap<IndexId, u64>,
    /// Which statistics those are.
    known_at: HashMap<IndexId, u64>,
    statistics: HashMap<IndexId, Arc<TableStatistics>>,
}

impl TableSizes {
    /// The sizes of these primary indexes.
    pub fn new(bytes: HashMap<IndexId, u64>) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// The same with what is known of these tables.
    #[must_use]
    pub(crate) fn with(self, statistics: HashMap<IndexId, Arc<TableStatistics>>) -> Self {
        let known_at = statistics.iter().map(|(table, own)| (*table, own.at)).collect();
        Self { known_at, statistics, ..self }
    }

    /// What it takes to tell whether they have shifted: nothing of the values.
    #[must_use]
    pub(crate) fn without_values(self) -> Self {
        Self { statistics: HashMap::new(), ..self }
    }

    /// The tables.
    pub fn tables(&self) -> Vec<IndexId> {
        self.bytes.keys().copied().collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether one of the tables is by now so much larger or smaller, or so much better known, that another plan may be better.
    pub fn have_shifted(&self, now: &Self) -> bool {
        self.bytes.keys().any(|table| self.known_at.get(table) != now.known_at.get(table))
            || self.bytes.iter().any(|(table, then)| {
                let size = |bytes: u64| bytes.max(SHIFT_BYTES_MIN);
                let (then, now) = (size(*then), size(now.bytes.get(table).copied().unwrap_or(0)));
                then.max(now) / then.min(now) >= SHIFT
            })
    }
}

/// A table that has grown or shrunk so many times is planned for anew.
const SHIFT: u64 = 4;
/// Below this all tables are alike.
const SHIFT_BYTES_MIN: u64 = 64 << 10;

/// So many nodes are looked at.
const LOOKS_MAX: usize = 200_000;
/// What a table holds at least, so that one which has just been made is not taken for empty.
pub(super) const ROWS_MIN: f64 = 1000.0;
/// What a table holds at least that was found to be empty.
const ANALYSED_ROWS_MIN: f64 = 10.0;
/// What a row takes beside its columns.
const ROW_BYTES: f64 = 16.0;
/// How often a recursive query makes of its rows more of them, as in PostgreSQL.
pub(super) const ROUNDS: f64 = 10.0;
/// How many rows a round of it works on: few, so that looking up what belongs to them is thought of.
pub(super) const ROUND_ROWS: f64 = 10.0;

/// Tells about how many rows nodes make.
///
/// Only so many looks are taken: what is asked for beyond them is as if nothing was known.
pub(super) struct Estimates<'s> {
    sizes: &'s TableSizes,
    looks: Cell<usize>,
}

impl<'s> Estimates<'s> {
    pub(super) fn new(sizes: &'s TableSizes) -> Self {
        Self { sizes, looks: Cell::new(LOOKS_MAX) }
    }

    /// Takes a look, if there is one left.
    pub(super) fn look(&self) -> bool {
        let left = self.looks.get().checked_sub(1);
        self.looks.set(left.unwrap_or(0));
        left.is_some()
    }

    /// The rows of a node.
    pub(super) fn rows(&self, node: &Node) -> f64 {
        if !self.look() {
            return ROWS_MIN;
        }
        let rows = match node {
            Node::Get(get) => {
                let rows = self.rows_of_table(&get.table);
                match points(get) {
                    Some(points) => rows.min(points as f64),
                    None => rows * self.part(&get.filter, node),
                }
            }
            Node::Function(_) => ROWS_MIN,
            Node::Values(values) => values.rows.len() as f64,
            Node::Filter(filter) => self.rows(&filter.input) * self.part(&filter.conditions, &filter.input),
            Node::Compute(compute) => self.rows(&compute.input),
            Node::ProjectSet(set) => self.rows(&set.input) * ROWS_MIN,
            Node::Apply(apply) => self.rows(&apply.input),
            Node::Window(window) => self.rows(&window.input),
            Node::Sort(sort) => self.rows(&sort.input),
            Node::LockRows(input) => self.rows(input),
            Node::Limit(limit) => limited(self.rows(&limit.input), limit.limit.as_ref()),
            Node::Distinct(distinct) => self.rows(&distinct.input),
            Node::Append(append) => append.inputs.iter().map(|input| self.rows(&input.node)).sum(),
            Node::SetOperation(operation) => self.rows(&operation.left.node),
            Node::Common(common) => self.rows(&common.rows.node),
            Node::Recursive(recursive) => self.rows(&recursive.first.node) * ROUNDS,
            Node::Working(_) | Node::Modify(_) => ROUND_ROWS,
            Node::Aggregate(aggregate) => self.groups(aggregate),
            Node::Join(join) => self.join(join),
        };
        rows.max(1.0)
    }

    /// The rows that an input has if no condition leaves any out.
    pub(super) fn whole(&self, node: &Node) -> f64 {
        match node {
            Node::Get(get) => self.rows_of_table(&get.table),
            node => self.rows(node),
        }
    }

    /// The rows of all tables that are read.
    pub(super) fn read(&self, node: &Node) -> f64 {
        let mut rows = 0.0;
        walk(node, &mut |node| {
            if let Node::Get(get) = node {
                rows += self.rows_of_table(&get.table);
            }
        });
        rows
    }

    /// The rows of a stored table.
    pub(super) fn rows_of_table(&self, table: &TableDescriptor) -> f64 {
        if !table.kind.is_stored() {
            return ROWS_MIN;
        }
        if let Some((statistics, grown)) = self.believed(table) {
            return (statistics.rows * grown).max(ANALYSED_ROWS_MIN);
        }
        let primary = table.primary().map(|primary| primary.id);
        let bytes = primary.and_then(|primary| self.sizes.bytes.get(&primary)).copied();
        let row = table.columns.iter().map(|column| width(column.ty)).sum::<f64>() + ROW_BYTES;
        (bytes.unwrap_or(0) as f64 / row).max(ROWS_MIN)
    }

    /// What ANALYZE has found of a table, and how many times larger it is by now. `None` where it has found little, and much has
    /// come since, of which it tells nothing.
    fn believed(&self, table: &TableDescriptor) -> Option<(&TableStatistics, f64)> {
        let primary = table.primary()?.id;
        let statistics: &TableStatistics = self.sizes.statistics.get(&primary)?;
        let (then, now) = (statistics.bytes, self.sizes.bytes.get(&primary).copied().unwrap_or(0));
        if then >= SHIFT_BYTES_MIN && now > 0 {
            // One that takes less has been compressed meanwhile, most often, and not emptied.
            return Some((statistics, (now as f64 / then as f64).max(1.0)));
        }
        (now < SHIFT_BYTES_MIN).then_some((statistics, 1.0))
    }

    fn groups(&self, aggregate: &Aggregate) -> f64 {
        if aggregate.is_one_row() {
            return 1.0;
        }
        let values = aggregate.keys.iter().map(|(_, key)| match key {
            Expr::Column { index, .. } => self.known(*index, &aggregate.input),
            _ => None,
        });
        groups(self.rows(&aggregate.input), values, aggregate.sets.len())
    }

    fn join(&self, join: &Join) -> f64 {
        let sides = (self.rows(&join.left), self.rows(&join.right));
        let pairs = || self.pairs((&join.left, sides.0), (&join.right, sides.1), &join.conditions);
        joined(join.kind, sides, pairs, || self.met(join))
    }

    /// How many pairs of two inputs meet conditions.
    pub(super) fn pairs<'c>(
        &self,
        (left, left_rows): (&Node, f64),
        (right, right_rows): (&Node, f64),
        conditions: impl IntoIterator<Item = &'c Expr>,
    ) -> f64 {
        let known = |column| self.known(column, left).or_else(|| self.known(column, right));
        pairs_left(left_rows * right_rows, conditions, &known)
    }

    /// The part of the left rows of a semi join that has a partner.
    pub(super) fn met(&self, join: &Join) -> f64 {
        let left = |column| self.known(column, &join.left);
        let right = |column| self.known(column, &join.right);
        met(&join.conditions, &left, self.rows(&join.right), &right)
    }

    /// How many rows of a table have the same values in these columns.
    pub(super) fn rows_with(&self, table: &TableDescriptor, columns: impl Iterator<Item = usize>) -> f64 {
        let rows = self.rows_of_table(table);
        let places: Vec<usize> = columns.collect();
        let is_key = |index: &IndexDescriptor| {
            index.unique
                && index.options.predicate.is_none()
                && index.state == IndexState::Public
                && table.key_columns(index).all(|column| places.contains(&column))
        };
        if table.indexes.iter().any(is_key) {
            return 1.0;
        }
        let values: f64 = places.iter().map(|column| self.values_of_column(table, *column)).product();
        (rows / values).max(1.0)
    }

    /// What it costs to look up in a table, through an index, what conditions let belong to rows of a node, as a part of what
    /// it costs to read all of the table.
    pub(super) fn lookup(&self, (node, rows): (&Node, f64), table: &Node, conditions: &[&Expr]) -> f64 {
        let part = self.pairs((node, 1.0), (table, 1.0), conditions.iter().copied());
        self.look_ups(rows, part, table, conditions) / self.whole(table)
    }

    /// What it costs to look up in a table, through an index, what belongs to so many rows, if conditions leave such a part of all pairs.
    pub(super) fn look_ups(&self, rows: f64, part: f64, table: &Node, conditions: &[&Expr]) -> f64 {
        let found = (self.whole(table) * part).max(1.0);
        let (is_point, is_primary) = by_primary(table, conditions);
        rows * cost::look_up(found, is_point, is_primary)
    }

    /// The part of a node's rows of which conditions hold.
    fn part(&self, conditions: &[Expr], input: &Node) -> f64 {
        selectivity::part(conditions, &|column| self.known(column, input))
    }

    /// The part of a stored table's rows of which conditions over a scan's columns hold.
    pub(super) fn part_of_scan<'c>(
        &self,
        scan: &Scan,
        conditions: impl IntoIterator<Item = &'c Expr>,
    ) -> f64 {
        let known = |column: ColumnId| {
            let place = scan.columns.get(column)?;
            Some(self.known_of_column(&scan.table, *place))
        };
        selectivity::part(conditions, &known)
    }

    /// What is known of a column of a node.
    fn known(&self, column: ColumnId, node: &Node) -> Option<Known<'_>> {
        if !self.look() {
            return None;
        }
        match node {
            Node::Get(get) => {
                let (_, place) = get.columns.iter().find(|(own, _)| *own == column)?;
                Some(self.known_of_column(&get.table, *place))
            }
            Node::Aggregate(aggregate) => {
                if let Some((_, key)) = aggregate.keys.iter().find(|(own, _)| *own == column) {
                    let rows = self.rows(node);
                    if aggregate.keys.len() == 1 {
                        let kind = key.ty().kind;
                        return Some(Known { values: rows, kind, statistics: None });
                    }
                    return match key {
                        Expr::Column { index, .. } => self.known(*index, &aggregate.input),
                        _ => None,
                    };
                }
                None
            }
            Node::Compute(compute) => match compute.computed.iter().find(|(own, _)| *own == column) {
                Some((_, Expr::Column { index, .. })) => self.known(*index, &compute.input),
                Some(_) => None,
                None => self.known(column, &compute.input),
            },
            Node::Append(_)
            | Node::SetOperation(_)
            | Node::Recursive(_)
            | Node::Working(_)
            | Node::Modify(_)
            | Node::Common(_)
            | Node::Function(_)
            | Node::Values(_) => None,
            node => children(node).into_iter().find_map(|child| self.known(column, child)),
        }
    }

    /// What ANALYZE has found of a column.
    pub(super) fn statistics_of_column(
        &self,
        table: &TableDescriptor,
        place: usize,
    ) -> Option<&ColumnStatistics> {
        let (statistics, _) = self.believed(table)?;
        statistics.columns.get(&table.columns.get(place)?.id)
    }

    /// What is known of a column of a stored table.
    pub(super) fn known_of_column(&self, table: &TableDescriptor, place: usize) -> Known<'_> {
        let statistics = self.statistics_of_column(table, place);
        Known { values: self.values_of_column(table, place), kind: kind_of_column(table, place), statistics }
    }

    /// The same where nothing is to be told of values that ANALYZE has found.
    pub(super) fn guessed_of_column(&self, table: &TableDescriptor, place: usize) -> Known<'_> {
        let values = values_of(table, place, self.rows_of_table(table), None);
        Known { values, kind: kind_of_column(table, place), statistics: None }
    }

    fn values_of_column(&self, table: &TableDescriptor, place: usize) -> f64 {
        let rows = self.rows_of_table(table);
        let counted = self.statistics_of_column(table, place).and_then(|own| own.values(rows));
        values_of(table, place, rows, counted)
    }
}

/// How many values a column has in so many rows of its table, if so many were counted.
fn values_of(table: &TableDescriptor, place: usize, rows: f64, counted: Option<f64>) -> f64 {
    let keys = || {
        table.indexes.iter().filter(|index| {
            index.unique && index.options.predicate.is_none() && index.state == IndexState::Public
        })
    };
    // Whatever a sample says: no two are alike.
    if keys().any(|index| table.key_columns(index).eq([place])) {
        return rows;
    }
    if let Some(values) = counted {
        return values.min(rows);
    }
    let mut values = match kind_of_column(table, place) {
        TypeKind::Bool => 2.0,
        // What looks like a reference has many values, but fewer than there are rows.
        TypeKind::Int4 | TypeKind::Int8 | TypeKind::Uuid => (rows / 10.0).max(VALUES),
        TypeKind::Date | TypeKind::Timestamp | TypeKind::Timestamptz => (rows / 100.0).max(VALUES),
        _ => VALUES,
    };
    if keys().any(|index| table.key_columns(index).next() == Some(place)) {
        values = values.max(rows / 4.0);
    }
    values.min(rows)
}

/// Of so many rows those that a LIMIT asks for.
pub(super) fn limited(rows: f64, limit: Option<&Expr>) -> f64 {
    match limit {
        Some(Expr::Literal { value: Datum::Int8(most), .. }) => rows.min(*most as f64),
        Some(Expr::Literal { .. }) | None => rows,
        // A page, most often.
        Some(_) => rows.min(cost::PAGE_ROWS),
    }
}

/// How many groups so many rows make, by keys of which this is known, for so many grouping sets.
pub(super) fn groups<'s>(rows: f64, keys: impl IntoIterator<Item = Option<Known<'s>>>, sets: usize) -> f64 {
    let values = keys.into_iter().map(|known| known.map_or(VALUES, |own| own.values));
    values.product::<f64>().min(rows) * sets.max(1) as f64
}

/// How many rows a join answers of so many on both sides. `met`: the part of the left ones that has a partner.
pub(super) fn joined(
    kind: JoinKind,
    (left, right): (f64, f64),
    pairs: impl FnOnce() -> f64,
    met: impl FnOnce() -> f64,
) -> f64 {
    match kind {
        JoinKind::Inner => pairs(),
        JoinKind::Left => pairs().max(left),
        JoinKind::Right => pairs().max(right),
        JoinKind::Full => left + right,
        JoinKind::Semi => left * met(),
        JoinKind::Anti => left * (1.0 - met()).max(0.1),
        JoinKind::RightSemi | JoinKind::RightAnti => right * SOME,
    }
}

/// How many of so many pairs meet conditions. `known`: what is known of a column of either side.
pub(super) fn pairs_left<'c, 's>(
    mut pairs: f64,
    conditions: impl IntoIterator<Item = &'c Expr>,
    known: &dyn Fn(ColumnId) -> Option<Known<'s>>,
) -> f64 {
    for condition in conditions {
        pairs *= match equal_columns(condition) {
            Some((one, other)) => {
                let sides = [known(one), known(other)].into_iter().flatten();
                let there: f64 = sides.clone().map(|own| own.there()).product();
                there / sides.map(|own| own.values).fold(1.0, f64::max)
            }
            None => selectivity::part_of(condition, known),
        };
    }
    pairs
}

/// The part of left rows that has a partner among so many right ones.
pub(super) fn met<'c, 's>(
    conditions: impl IntoIterator<Item = &'c Expr>,
    left: &dyn Fn(ColumnId) -> Option<Known<'s>>,
    right_rows: f64,
    right: &dyn Fn(ColumnId) -> Option<Known<'s>>,
) -> f64 {
    let mut met: f64 = 1.0;
    for condition in conditions {
        if let Some((one, other)) = equal_columns(condition) {
            let values = left(one).or_else(|| left(other)).map_or(VALUES, |own| own.values);
            let there = [one, other].into_iter().find_map(right);
            let there = there.map_or(right_rows, |own| right_rows.min(own.values));
            met = met.min(there / values);
        }
    }
    met.min(1.0)
}

fn kind_of_column(table: &TableDescriptor, place: usize) -> TypeKind {
    table.columns.get(place).map_or(TypeKind::Text, |column| column.ty.kind)
}

/// Up to so many rows are looked up one by one.
pub(super) const LOOKUPS_MAX: usize = 256;

/// A bound on the rows of a node that needs no statistics; `None` if there is none.
pub(super) fn rows_max(node: &Node) -> Option<usize> {
    match node {
        Node::Get(get) => points(get),
        Node::Values(values) => Some(values.rows.len()),
        Node::Filter(filter) => rows_max(&filter.input),
        Node::Compute(compute) => rows_max(&compute.input),
        Node::Apply(apply) => rows_max(&apply.input),
        Node::Window(window) => rows_max(&window.input),
        Node::Sort(sort) => rows_max(&sort.input),
        Node::LockRows(input) => rows_max(input),
        Node::Distinct(distinct) => rows_max(&distinct.input),
        Node::Limit(limit) => match &limit.limit {
            Some(Expr::Literal { value: Datum::Int8(rows), .. }) => {
                usize::try_from(*rows).ok().into_iter().chain(rows_max(&limit.input)).min()
            }
            _ => rows_max(&limit.input),
        },
        Node::Aggregate(aggregate) if aggregate.sets.is_empty() && aggregate.keys.is_empty() => Some(1),
        Node::Aggregate(aggregate) if aggregate.sets.is_empty() => rows_max(&aggregate.input),
        Node::Aggregate(_) => None,
        Node::Join(join) => match join.kind {
            JoinKind::Semi | JoinKind::Anti => rows_max(&join.left),
            JoinKind::RightSemi | JoinKind::RightAnti => rows_max(&join.right),
            _ => rows_max(&join.left)?.checked_mul(rows_max(&join.right)?),
        },
        Node::Common(common) => rows_max(&common.rows.node),
        Node::Function(_)
        | Node::ProjectSet(_)
        | Node::Append(_)
        | Node::SetOperation(_)
        | Node::Recursive(_)
        | Node::Working(_)
        | Node::Modify(_) => None,
    }
}

/// How many rows conditions on the whole of a unique key leave.
fn points(get: &Get) -> Option<usize> {
    // What was unique need not have been so then.
    if get.past.is_some() {
        return None;
    }
    let given = |place: usize| {
        let (column, _) = get.columns.iter().find(|(_, own)| *own == place)?;
        let is_own = |part: &Expr| matches!(part, Expr::Column { index, .. } if index == column);
        get.filter.iter().find_map(|condition| match condition {
            Expr::Call { function, args, .. } if comparison(*function) == Some(Comparison::Equal) => {
                let [left, right] = args.as_slice() else { return None };
                let is_given =
                    is_own(left) && right.columns().is_empty() || is_own(right) && left.columns().is_empty();
                is_given.then_some(1)
            }
            Expr::In { operand, items, negated: false, .. } => {
                let is_given = is_own(operand) && items.iter().all(|item| item.columns().is_empty());
                is_given.then_some(items.len())
            }
            _ => None,
        })
    };
    let indexes = get.table.indexes.iter();
    // Of those that have no entry for it a partial index says nothing.
    let unique = indexes.filter(|index| {
        index.unique && index.options.predicate.is_none() && index.state == IndexState::Public
    });
    let mut points = unique.filter_map(|index| {
        get.table.key_columns(index).try_fold(1_usize, |rows, place| rows.checked_mul(given(place)?))
    });
    points.next()
}

/// Whether an equality gives the first column of an index that leads to rows of a tree.
pub(super) fn has_index(node: &Node, conditions: &[&Expr]) -> bool {
    let mut has_index = false;
    walk(node, &mut |node| {
        let Node::Get(get) = node else { return };
        // Nothing is looked up there row by row.
        if get.past.is_some() {
            return;
        }
        for condition in conditions {
            let Some((one, other)) = equal_columns(condition) else { continue };
            let place = get.columns.iter().find(|(column, _)| *column == one || *column == other);
            let Some((_, place)) = place else { continue };
            let mut indexes = get
                .table
                .indexes
                .iter()
                .filter(|index| index.options.predicate.is_none() && index.state == IndexState::Public);
            has_index |= indexes.any(|index| get.table.key_columns(index).next() == Some(*place));
        }
    });
    has_index
}

/// Whether equalities give the whole primary key of a table, and whether they give its first column.
fn by_primary(node: &Node, conditions: &[&Expr]) -> (bool, bool) {
    let Node::Get(get) = node else { return (false, false) };
    // Nothing is looked up there row by row.
    if get.past.is_some() {
        return (false, false);
    }
    let Some(primary) = get.table.primary() else { return (false, false) };
    let is_given = |place: usize| {
        let Some((column, _)) = get.columns.iter().find(|(_, own)| *own == place) else { return false };
        let names = |condition: &&Expr| {
            equal_columns(condition).is_some_and(|(one, other)| one == *column || other == *column)
        };
        conditions.iter().any(names)
    };
    let mut key = get.table.key_columns(primary);
    let starts = key.next().is_some_and(is_given);
    (starts && key.all(is_given), starts)
}

/// The columns of `a = b`.
pub(super) fn equal_columns(condition: &Expr) -> Option<(ColumnId, ColumnId)> {
    let Expr::Call { function, args, .. } = condition else { return None };
    if comparison(*function) != Some(Comparison::Equal) {
        return None;
    }
    let column = |part: &Expr| match part {
        Expr::Column { index, .. } => Some(*index),
        Expr::Cast { operand, .. } => match operand.as_ref() {
            Expr::Column { index, .. } => Some(*index),
            _ => None,
        },
        _ => None,
    };
    match args.as_slice() {
        [left, right] => column(left).zip(column(right)),
        _ => None,
    }
}

/// About how many bytes a value of a type takes where it is stored.
fn width(ty: Type) -> f64 {
    match ty.kind {
        TypeKind::Bool => 1.0,
        TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8 | TypeKind::Date => 4.0,
        TypeKind::Float4 | TypeKind::Float8 | TypeKind::Timestamp | TypeKind::Timestamptz => 8.0,
        TypeKind::Numeric => 6.0,
        TypeKind::Uuid => 16.0,
        _ => 20.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_shifted_once_a_table_is_four_times_another() {
        let sizes = |bytes: [u64; 2]| TableSizes::new((1..).zip(bytes).collect());
        let then = sizes([1 << 20, 1 << 30]);
        assert!(!then.have_shifted(&sizes([3 << 20, 1 << 30])));
        assert!(
            then.have_shifted(&sizes([4 << 20, 1 << 30])) && then.have_shifted(&sizes([1 << 20, 1 << 28]))
        );
        assert!(!sizes([0, 0]).have_shifted(&sizes([200_000, 1])));
    }
}
