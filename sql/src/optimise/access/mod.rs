//! Which index a scan reads, and which part of it.
//!
//! Conditions of the forms `column op value`, `column IN (values)`, `column = ANY (array)`, `column IS NULL`,
//! `column LIKE 'x%'` and `(column, …) op (value, …)`, where a value names no column, become key spans: equalities on the
//! first columns of an index, then one range. Of the public indexes the one that is bound best is read; the primary wins a
//! tie, because it holds the rows. An index that has some rows alone is read where the conditions say that those are meant. Where rows are wanted in order, [`super::order`] weighs what that saves.

mod keys;
mod restriction;

use std::cmp::Reverse;

use expr::Expr;

pub(super) use self::keys::KeyExpressions;
use self::restriction::{Restriction, RestrictionKind, RowBound};
use super::condition::{all, conjuncts};
use crate::catalog::{IndexDescriptor, IndexState, TableDescriptor};
use crate::plan::walk::children_mut;
use crate::plan::{KeyBound, KeyPart, KeySpan, Node, Scan};

/// More spans than this are not worth more than a filter.
const SPANS_MAX: usize = 1024;

/// Chooses an index for every scan of the tree.
pub(super) fn choose_indexes(node: &mut Node) {
    match node {
        Node::Scan(scan) => choose(scan),
        Node::Past(past) => {
            // Where the index was none then, all rows are asked for the whole condition.
            let whole = past.scan.filter.clone();
            choose(&mut past.scan);
            past.scan.filter = whole;
        }
        _ => {}
    }
    for input in children_mut(node) {
        choose_indexes(input);
    }
}

/// Chooses the index and spans of one scan by its filter; conditions that the spans guarantee leave the filter.
pub(super) fn choose(scan: &mut Scan) {
    if scan.spans.is_some() || scan.ordered {
        return;
    }
    let mut ways = Ways::of(scan);
    if let Some(access) = ways.best() {
        ways.take(scan, access);
    }
    ways.give_back(scan);
}

/// The ways to read the rows of a scan, whose filter is taken out of it meanwhile.
pub(super) struct Ways {
    table: std::sync::Arc<TableDescriptor>,
    pub(super) conditions: Vec<Expr>,
    restrictions: Vec<Restriction>,
    /// The partial indexes that have all rows that are wanted.
    whole: Vec<u64>,
}

impl Ways {
    /// All of them.
    pub(super) fn of(scan: &mut Scan) -> Self {
        let conditions = scan.filter.take().map_or_else(Vec::new, conjuncts);
        let expressions = KeyExpressions::of(scan);
        let restrictions = Restriction::all(&conditions, scan, &expressions);
        let whole = keys::implied_indexes(scan, &conditions);
        Self { table: scan.table.clone(), conditions, restrictions, whole }
    }

    /// Those that read no index in part.
    pub(super) fn unbound(scan: &mut Scan) -> Self {
        let conditions = scan.filter.take().map_or_else(Vec::new, conjuncts);
        Self { table: scan.table.clone(), conditions, restrictions: Vec::new(), whole: Vec::new() }
    }

    fn indexes(&self) -> impl Iterator<Item = &IndexDescriptor> {
        let is_whole =
            |index: &IndexDescriptor| index.options.predicate.is_none() || self.whole.contains(&index.id);
        self.table.indexes.iter().filter(move |index| index.state == IndexState::Public && is_whole(index))
    }

    /// The way through the index that is bound best.
    pub(super) fn best(&self) -> Option<Access> {
        let is_better =
            |access: &Access| access.rank.binds() && (access.spans.is_some() || access.rank.partial);
        let bound = self.each().filter(is_better);
        bound.min_by_key(|access| Reverse(access.rank))
    }

    /// The way through each index.
    pub(super) fn each(&self) -> impl Iterator<Item = Access> {
        self.indexes().map(|index| Access::through(index, &self.table, &self.restrictions))
    }

    /// Reads the rows so.
    pub(super) fn take(&mut self, scan: &mut Scan, access: Access) {
        let conditions = std::mem::take(&mut self.conditions).into_iter().enumerate();
        let rest = conditions.filter(|(at, _)| !access.guaranteed.contains(at));
        self.conditions = rest.map(|(_, condition)| condition).collect();
        scan.index = access.index;
        scan.spans = access.spans;
    }

    /// Gives the conditions back that are still to be looked at.
    pub(super) fn give_back(self, scan: &mut Scan) {
        scan.filter = all(self.conditions);
    }
}

/// A way to read the rows.
pub(super) struct Access {
    pub(super) index: u64,
    /// `None`: all of the index.
    pub(super) spans: Option<Vec<KeySpan>>,
    /// The places of the conditions that make the spans.
    pub(super) used: Vec<usize>,
    /// Of those, the ones that the spans guarantee: all that they say is taken.
    guaranteed: Vec<usize>,
    rank: Rank,
}

/// How well an index is bound; the greatest is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    point: bool,
    equal_columns: usize,
    range_ends: usize,
    partial: bool,
    primary: bool,
}

impl Rank {
    fn binds(self) -> bool {
        self.equal_columns > 0 || self.range_ends > 0 || self.partial
    }
}

impl Access {
    /// The way through one index.
    fn through(index: &IndexDescriptor, table: &TableDescriptor, restrictions: &[Restriction]) -> Self {
        let mut access = Self {
            index: index.id,
            spans: None,
            used: Vec::new(),
            guaranteed: Vec::new(),
            rank: Rank {
                point: false,
                equal_columns: 0,
                range_ends: 0,
                partial: index.options.predicate.is_some(),
                primary: index.primary,
            },
        };
        let mut spans = vec![KeySpan::default()];
        let columns: Vec<usize> = table.key_columns(index).collect();
        for column in &columns {
            let of_column = restrictions.iter().filter(|restriction| restriction.column == *column);
            let equal = of_column.filter_map(|restriction| Some((restriction, parts(restriction, &spans)?)));
            let Some((restriction, parts)) = equal.min_by_key(|(_, parts)| parts.len()) else { break };
            access.used.push(restriction.at);
            access.rank.equal_columns += 1;
            spans = spans.iter().flat_map(|span| parts.iter().map(|part| extended(span, part))).collect();
        }
        if let Some(rest) = columns.get(access.rank.equal_columns..).filter(|rest| !rest.is_empty()) {
            access.bound(index, rest, restrictions, &mut spans);
        }
        let said = |at: usize| restrictions.iter().filter(move |restriction| restriction.at == at);
        let is_whole = |at: usize| {
            let taken = access.used.iter().filter(|used| **used == at).count();
            said(at).count() == taken && said(at).all(|restriction| restriction.is_exact)
        };
        access.guaranteed = access.used.iter().copied().filter(|at| is_whole(*at)).collect();
        let binds = access.rank.equal_columns > 0 || access.rank.range_ends > 0;
        let is_all = !binds && !spans.iter().any(|span| span.not_null);
        access.rank.point = index.unique && spans.iter().all(|span| span.is_of_points(index));
        access.spans = if is_all { None } else { Some(spans) };
        access
    }

    /// Bounds the columns after the prefix of spans.
    fn bound(
        &mut self,
        index: &IndexDescriptor,
        columns: &[usize],
        restrictions: &[Restriction],
        spans: &mut [KeySpan],
    ) {
        let of_column =
            || restrictions.iter().filter(|restriction| Some(&restriction.column) == columns.first());
        let end = |is_lower: bool| {
            let rows = of_column().filter_map(|restriction| match &restriction.kind {
                RestrictionKind::Row(row) if row.is_lower == is_lower => {
                    Some((restriction, row_bound(row, index, columns)))
                }
                _ => None,
            });
            let longest = rows.max_by_key(|(_, bound)| bound.values.len());
            let mut plain = of_column().filter_map(|restriction| match &restriction.kind {
                RestrictionKind::Lower(bound) if is_lower => Some((restriction, bound.clone())),
                RestrictionKind::Upper(bound) if !is_lower => Some((restriction, bound.clone())),
                _ => None,
            });
            plain.next().or(longest)
        };
        let (lower, upper) = (end(true), end(false));
        self.rank.range_ends = usize::from(lower.is_some()) + usize::from(upper.is_some());
        let not_null = of_column().find(|restriction| matches!(restriction.kind, RestrictionKind::NotNull));
        for (restriction, _) in lower.iter().chain(&upper) {
            self.used.push(restriction.at);
        }
        if let Some(restriction) = not_null {
            self.used.push(restriction.at);
        }
        for span in spans {
            span.lower = lower.as_ref().map(|(_, bound)| bound.clone());
            span.upper = upper.as_ref().map(|(_, bound)| bound.clone());
            span.not_null = not_null.is_some();
        }
    }
}

/// What the next column of a key may be, if a restriction says that; spans with these prefixes are there.
fn parts(restriction: &Restriction, spans: &[KeySpan]) -> Option<Vec<KeyPart>> {
    match &restriction.kind {
        RestrictionKind::Equal(values) => {
            let fits = spans.len().saturating_mul(values.len()) <= SPANS_MAX
                && (values.len() == 1 || spans.iter().all(KeySpan::is_one_piece));
            fits.then(|| values.iter().cloned().map(KeyPart::Equal).collect())
        }
        // Nobody knows how many elements it will have.
        RestrictionKind::OneOf(array) => match spans {
            [span] if span.is_one_piece() => Some(vec![KeyPart::OneOf(array.clone())]),
            _ => None,
        },
        RestrictionKind::Null => Some(vec![KeyPart::Null]),
        RestrictionKind::NotNull
        | RestrictionKind::Lower(_)
        | RestrictionKind::Upper(_)
        | RestrictionKind::Row(_) => None,
    }
}

fn extended(span: &KeySpan, part: &KeyPart) -> KeySpan {
    let mut span = span.clone();
    span.prefix.push(part.clone());
    span
}

/// The bound of a row of which the first is the first of these columns of an index: as many of its values as are those of
/// the next columns, in one direction.
fn row_bound(row: &RowBound, index: &IndexDescriptor, columns: &[usize]) -> KeyBound {
    let mut values = vec![row.first.clone()];
    let skipped = index.columns.len().saturating_sub(columns.len());
    let mut keys = index.columns.iter().skip(skipped).zip(columns);
    let direction = keys.next().map(|(key, _)| key.descending);
    for ((column, value), (key, own)) in row.more.iter().zip(keys) {
        if column != own || Some(key.descending) != direction {
            break;
        }
        values.push(value.clone());
    }
    let is_whole = values.len() == row.more.len().saturating_add(1);
    KeyBound { values, inclusive: row.inclusive || !is_whole }
}
