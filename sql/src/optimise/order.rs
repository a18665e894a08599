//! What an index delivers in order is not sorted, and what lies beyond a LIMIT is not read.

use expr::{Datum, Expr, TypeKind};

use super::take;
use crate::catalog::IndexDescriptor;
use crate::plan::walk::children_mut;
use crate::plan::{Limit, Node, Scan, SortKey};

/// Applies both rules to the whole tree.
pub(super) fn use_order(node: &mut Node) {
    if let Node::Sort(sort) = node
        && let Some(delivered) = scan_below(&mut sort.input)
        && let Some(keys) = over_scan(&sort.keys, &delivered.path)
        && deliver(delivered.scan, &keys)
    {
        *node = take(&mut sort.input);
    }
    if let Node::Limit(limit) = node
        && let Some(wanted) = rows_wanted(limit)
    {
        bound(&mut limit.input, &wanted);
    }
    for input in children_mut(node) {
        use_order(input);
    }
    // A sort that vanished may have left its scan directly below a limit.
    if let Node::Limit(limit) = node
        && let Some(wanted) = rows_wanted(limit)
    {
        bound(&mut limit.input, &wanted);
    }
}

/// A scan, and the projections between it and whoever asks, outermost first.
struct Delivered<'a> {
    scan: &'a mut Scan,
    path: Vec<Vec<Expr>>,
}

/// The scan that alone decides the order of a node's rows.
fn scan_below(node: &mut Node) -> Option<Delivered<'_>> {
    match node {
        Node::Scan(scan) => Some(Delivered { scan, path: Vec::new() }),
        Node::Filter(filter) => scan_below(&mut filter.input),
        Node::Project(project) => {
            let expressions = project.expressions.clone();
            let mut below = scan_below(&mut project.input)?;
            below.path.insert(0, expressions);
            Some(below)
        }
        _ => None,
    }
}

/// The sort keys as columns of the scan's output.
fn over_scan<'a>(keys: &'a [SortKey], path: &[Vec<Expr>]) -> Option<Vec<(usize, &'a SortKey)>> {
    keys.iter()
        .map(|key| {
            let Expr::Column { index, .. } = &key.expression else { return None };
            let mut column = *index;
            for expressions in path {
                let Some(Expr::Column { index, .. }) = expressions.get(column) else { return None };
                column = *index;
            }
            Some((column, key))
        })
        .collect()
}

/// Makes the scan deliver this order, if one of its indexes can.
fn deliver(scan: &mut Scan, keys: &[(usize, &SortKey)]) -> bool {
    let table = scan.table.clone();
    let current = table.index(scan.index);
    if let Some(reverse) = current.and_then(|index| direction(scan, index, keys)) {
        scan.reverse = reverse;
        return true;
    }
    false
}

/// Whether reading the index forwards (false) or backwards (true) gives this order.
fn direction(scan: &Scan, index: &IndexDescriptor, keys: &[(usize, &SortKey)]) -> Option<bool> {
    let fixed = match scan.spans.as_deref() {
        None => 0,
        Some([span]) => span.prefix.len(),
        Some(_) => return None,
    };
    let mut reverse = None;
    let mut columns = index.columns.iter().zip(scan.table.key_columns(index)).skip(fixed);
    for (output, key) in keys {
        let wanted = *scan.columns.get(*output)?;
        if scan.table.key_columns(index).take(fixed).any(|column| column == wanted) {
            continue;
        }
        let (index_column, column) = columns.next()?;
        if column != wanted {
            return None;
        }
        let nullable = scan.table.columns.get(column).is_none_or(|column| !column.not_null);
        let backwards = index_column.descending != key.descending;
        if nullable && (index_column.nulls_first != key.nulls_first) != backwards {
            return None;
        }
        if *reverse.get_or_insert(backwards) != backwards {
            return None;
        }
    }
    Some(reverse.unwrap_or(false))
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

/// Tells a node that no more rows than these will be asked for.
fn bound(node: &mut Node, wanted: &Expr) {
    match node {
        Node::Project(project) => bound(&mut project.input, wanted),
        Node::Sort(sort) => sort.limit = Some(wanted.clone()),
        Node::Scan(scan) => scan.limit = Some(wanted.clone()),
        _ => {}
    }
}
