//! What an index delivers in order is not sorted, and what lies beyond a LIMIT is not read.
//!
//! Whether it is better to read an index for its order, or another for what it leaves out and sort, is decided by cost:
//! of as many rows as are read until a LIMIT is satisfied. Where rows are locked, the order of an index is worth any cost:
//! who reads a whole table to lock some of its rows relies on all of it.

use expr::{Datum, Expr, TypeKind};

use super::access::{Access, KeyExpressions, Ways};
use super::condition::substitute;
use super::estimate::Estimates;
use super::{Rule, Rules, cost, take};
use crate::catalog::IndexDescriptor;
use crate::plan::walk::{children, children_mut};
use crate::plan::{JoinKind, JoinStrategy, Limit, Node, Scan, SortKey};

/// Applies both rules to the whole tree.
pub(super) fn use_order(node: &mut Node, rules: Rules, estimates: &Estimates<'_>) {
    if let Node::Sort(sort) = node
        && let Some(delivered) = scan_below(&mut sort.input, estimates)
        && let Some(keys) = over_scan(&sort.keys, &delivered.path, delivered.scan)
        && deliver(
            delivered.scan,
            &keys,
            sort.limit.as_ref().filter(|_| delivered.loses_none),
            rules,
            estimates,
        )
    {
        *node = take(&mut sort.input);
    }
    if let Node::Limit(limit) = node
        && let Some(wanted) = rows_wanted(limit)
    {
        bound(&mut limit.input, &wanted);
    }
    for input in children_mut(node) {
        use_order(input, rules, estimates);
    }
    // A sort that vanished may have left its scan directly below a limit.
    if let Node::Limit(limit) = node
        && let Some(wanted) = rows_wanted(limit)
    {
        bound(&mut limit.input, &wanted);
    }
}

/// More rows than these may take more memory than a join has for its right side.
const LARGE_ROWS: f64 = 250_000.0;

/// A scan, and what its rows go through on their way to whoever asks, outermost first.
struct Delivered<'a> {
    scan: &'a mut Scan,
    path: Vec<Step>,
    /// Whether about as many rows arrive as are read.
    loses_none: bool,
}

enum Step {
    /// A projection to these.
    Project(Vec<Expr>),
    /// The left side of a join, of so many columns.
    Left(usize),
}

/// The scan that alone decides the order of a node's rows.
fn scan_below<'n>(node: &'n mut Node, estimates: &Estimates<'_>) -> Option<Delivered<'n>> {
    match node {
        Node::Scan(scan) => Some(Delivered { scan, path: Vec::new(), loses_none: true }),
        Node::Filter(filter) => {
            let below = scan_below(&mut filter.input, estimates)?;
            Some(Delivered { loses_none: false, ..below })
        }
        Node::Project(project) => {
            let expressions = project.expressions.clone();
            let mut below = scan_below(&mut project.input, estimates)?;
            below.path.insert(0, Step::Project(expressions));
            Some(below)
        }
        // Left rows go past the right side in their order, as long as that fits into memory.
        Node::Join(join) => {
            let may_not_fit =
                matches!(join.strategy, JoinStrategy::Hash { .. }) && is_large(&join.right, estimates);
            let loses_none = match join.kind {
                JoinKind::Left => true,
                // Most joins follow references, which lead somewhere.
                JoinKind::Inner => is_whole(&join.right),
                JoinKind::Semi | JoinKind::Anti => false,
                JoinKind::Right | JoinKind::Full | JoinKind::RightSemi | JoinKind::RightAnti => return None,
            };
            let width = join.left.width();
            let mut below = scan_below(&mut join.left, estimates)?;
            if may_not_fit && below.scan.lock.is_none() {
                return None;
            }
            below.path.insert(0, Step::Left(width));
            below.loses_none &= loses_none;
            Some(below)
        }
        _ => None,
    }
}

/// Whether a node has all rows of a table.
fn is_whole(node: &Node) -> bool {
    match node {
        Node::Scan(scan) => scan.filter.is_none() && scan.spans.is_none(),
        Node::Project(project) => is_whole(&project.input),
        _ => false,
    }
}

/// Whether a node reads so many rows that it may be too large for memory.
fn is_large(node: &Node, estimates: &Estimates<'_>) -> bool {
    match node {
        Node::Scan(scan) if scan.spans.is_none() => {
            let part = estimates.part_of_scan(scan, &scan.filter);
            estimates.rows_of_table(&scan.table) * part > LARGE_ROWS
        }
        node => children(node).into_iter().any(|input| is_large(input, estimates)),
    }
}

/// The sort keys as places of columns of the scan's table, or of what its indexes have computed.
fn over_scan<'a>(keys: &'a [SortKey], path: &[Step], scan: &Scan) -> Option<Vec<(usize, &'a SortKey)>> {
    let expressions = KeyExpressions::of(scan);
    let mut places = Vec::with_capacity(keys.len());
    for key in keys {
        let mut wanted = key.expression.clone();
        for step in path {
            match step {
                Step::Project(expressions) => wanted = substitute(wanted, expressions),
                Step::Left(width) if wanted.columns().into_iter().all(|column| column < *width) => {}
                Step::Left(_) => return None,
            }
        }
        let place = match &wanted {
            Expr::Column { index, .. } => *scan.columns.get(*index)?,
            computed => expressions.place_of(computed)?.0,
        };
        places.push((place, key));
    }
    Some(places)
}

/// Makes the scan deliver this order, if one of its indexes can and that is better than to sort.
fn deliver(
    scan: &mut Scan,
    keys: &[(usize, &SortKey)],
    limit: Option<&Expr>,
    rules: Rules,
    estimates: &Estimates<'_>,
) -> bool {
    let mut ways = if rules.has(Rule::Access) { Ways::of(scan) } else { Ways::unbound(scan) };
    let limit = limit.and_then(rows_expected);
    let cost = |access: &Access, limit: Option<f64>| {
        let (used, rest): (Vec<_>, Vec<_>) =
            (0..).zip(&ways.conditions).partition(|(at, _)| access.used.contains(at));
        let part = |conditions: Vec<(usize, &Expr)>| {
            estimates.part_of_scan(scan, conditions.into_iter().map(|(_, condition)| condition))
        };
        let table = estimates.rows_of_table(&scan.table);
        let (spanned, kept) = (table * part(used), part(rest));
        let read = limit.map_or(spanned, |limit| spanned.min(limit / kept));
        let is_primary = scan.table.primary().is_some_and(|primary| primary.id == access.index);
        let spans = access.spans.as_ref().map_or(1, Vec::len);
        (cost::scan(spans, read, is_primary), read * kept)
    };
    let ordered = ways.each().filter_map(|access| {
        let reverse = direction(scan, &access, keys)?;
        Some((cost(&access, limit).0, access, reverse))
    });
    let ordered = ordered.min_by(|(left, ..), (right, ..)| left.total_cmp(right));
    let sorted = ways.best().or_else(|| ways.each().find(|access| access.index == scan.index));
    let sorted = sorted.map(|access| {
        let (read, rows) = cost(&access, None);
        read + cost::sort(rows)
    });
    let locks = scan.lock.is_some() && limit.is_some();
    let is_better =
        ordered.as_ref().is_some_and(|(read, ..)| locks || sorted.is_none_or(|cost| *read <= cost));
    if let Some((_, access, reverse)) = ordered.filter(|_| is_better) {
        ways.take(scan, access);
        scan.reverse = reverse;
        scan.ordered = true;
    }
    ways.give_back(scan);
    scan.ordered
}

/// Whether reading an index so, forwards (false) or backwards (true), gives this order.
fn direction(scan: &Scan, access: &Access, keys: &[(usize, &SortKey)]) -> Option<bool> {
    let table = &scan.table;
    let index = table.index(access.index)?;
    let (fixed, bounded) = match access.spans.as_deref() {
        None => (0, None),
        Some([span]) if span.is_one_piece() => {
            let has_bound = span.lower.is_some() || span.upper.is_some() || span.not_null;
            (span.prefix.len(), table.key_columns(index).nth(span.prefix.len()).filter(|_| has_bound))
        }
        Some(_) => return None,
    };
    let may_be_null = |column: usize| {
        bounded != Some(column) && table.columns.get(column).is_none_or(|column| !column.not_null)
    };
    let mut met: Vec<usize> = table.key_columns(index).take(fixed).collect();
    let mut reverse = None;
    let mut columns = key_order(table.primary()?, index, |index| table.key_columns(index)).skip(fixed);
    for (wanted, key) in keys {
        let wanted = *wanted;
        if met.contains(&wanted) {
            continue;
        }
        let Some((index_column, column)) = columns.next() else {
            // No two rows have equal keys: there is nothing left to sort.
            let is_unique = index.primary || !index.unique || !table.key_columns(index).any(may_be_null);
            return is_unique.then_some(reverse.unwrap_or(false));
        };
        if column != wanted {
            return None;
        }
        let backwards = index_column.descending != key.descending;
        if may_be_null(column) && (index_column.nulls_first != key.nulls_first) != backwards {
            return None;
        }
        if *reverse.get_or_insert(backwards) != backwards {
            return None;
        }
        met.push(column);
    }
    Some(reverse.unwrap_or(false))
}

/// The columns by which an index's entries are in order: those of a secondary index that is not unique are followed by the
/// primary key's.
fn key_order<'i, C: Iterator<Item = usize> + 'i>(
    primary: &'i IndexDescriptor,
    index: &'i IndexDescriptor,
    columns: impl Fn(&'i IndexDescriptor) -> C,
) -> impl Iterator<Item = (&'i crate::catalog::IndexColumn, usize)> + 'i {
    let own = index.columns.iter().zip(columns(index));
    let behind = primary.columns.iter().zip(columns(primary));
    own.chain(behind.take(if index.unique { 0 } else { usize::MAX }))
}

/// How many rows a limit will ask for, about.
fn rows_expected(limit: &Expr) -> Option<f64> {
    match limit {
        Expr::Literal { value: Datum::Int8(rows), .. } => Some(*rows as f64),
        Expr::Literal { .. } => None,
        // A page, most often.
        _ => Some(cost::PAGE_ROWS),
    }
}

/// How many rows a limit asks its input for, as an expression without columns.
fn rows_wanted(limit: &Limit) -> Option<Expr> {
    let wanted = limit.limit.clone()?;
    match (&wanted, &limit.offset) {
        (_, None) => Some(wanted),
        (
            Expr::Literal { value: Datum::Int8(rows), .. },
            Some(Expr::Literal { value: Datum::Int8(skipped), .. }),
        ) if *rows >= 0 && *skipped >= 0 => {
            rows.checked_add(*skipped).map(|sum| Expr::literal(Datum::Int8(sum), TypeKind::Int8))
        }
        _ => None,
    }
}

/// Tells what locks rows below a LIMIT how many will be asked for, in a whole tree: no more are locked, whatever the rules are.
pub(super) fn tell_locks(node: &mut Node) {
    if let Node::Limit(limit) = node
        && let Some(rows) = &limit.limit
    {
        bound_locks(&mut limit.input, rows, limit.offset.as_ref());
    }
    children_mut(node).into_iter().for_each(tell_locks);
}

/// Tells what locks the rows of a node how many will be asked for.
fn bound_locks(node: &mut Node, rows: &Expr, offset: Option<&Expr>) {
    match node {
        Node::Project(project) => bound_locks(&mut project.input, rows, offset),
        Node::LockRows(lock) => lock.wanted = std::iter::once(rows).chain(offset).cloned().collect(),
        Node::Common(common) if !common.is_shared && matches!(rows, Expr::Literal { .. }) => {
            bound_locks(&mut common.input, rows, offset);
        }
        _ => {}
    }
}

/// Tells a node that no more rows than these will be asked for.
fn bound(node: &mut Node, wanted: &Expr) {
    match node {
        Node::Project(project) => bound(&mut project.input, wanted),
        // An estimate, until it is known whether the scan locks for itself.
        Node::LockRows(lock) => bound(&mut lock.input, wanted),
        Node::Sort(sort) => sort.limit = Some(wanted.clone()),
        Node::Scan(scan) => scan.limit = Some(wanted.clone()),
        // Whoever names it alone asks for no more, however often, if that does not depend on a row.
        Node::Common(common) if !common.is_shared && matches!(wanted, Expr::Literal { .. }) => {
            bound(&mut common.input, wanted);
        }
        _ => {}
    }
}
