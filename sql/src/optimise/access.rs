//! Which index a scan reads, and which part of it.
//!
//! Conditions of the forms `column op value`, `value op column` and `column IN (values)`, where a value names no
//! column, become key spans: equalities on the first columns of an index, then one range. Of the public indexes the one
//! that is bound best is read; the primary wins a tie, because it holds the rows.

use std::cmp::Reverse;

use expr::operators::Comparison;
use expr::{Expr, TypeKind};

use super::condition::{all, conjuncts, is_free, may_move};
use crate::catalog::{IndexDescriptor, IndexState};
use crate::plan::walk::children_mut;
use crate::plan::{KeyBound, KeySpan, Node, Scan};

/// More spans than this are not worth more than a filter.
const SPANS_MAX: usize = 1024;

/// Chooses an index for every scan of the tree.
pub(super) fn choose_indexes(node: &mut Node) {
    if let Node::Scan(scan) = node {
        choose(scan);
    }
    for input in children_mut(node) {
        choose_indexes(input);
    }
}

/// Chooses the index and spans of one scan by its filter; conditions that the spans guarantee leave the filter.
pub(super) fn choose(scan: &mut Scan) {
    if scan.spans.is_some() {
        return;
    }
    let Some(filter) = scan.filter.take() else { return };
    let conditions = conjuncts(filter);
    let restrictions: Vec<_> = conditions
        .iter()
        .enumerate()
        .filter_map(|(at, condition)| Restriction::of(condition, at, scan))
        .collect();
    let table = scan.table.clone();
    let best = table
        .indexes
        .iter()
        .filter(|index| index.state == IndexState::Public)
        .filter_map(|index| Access::through(index, scan, &restrictions))
        .min_by_key(|access| Reverse(access.rank));
    let Some(access) = best else {
        scan.filter = all(conditions);
        return;
    };
    let rest = conditions.into_iter().enumerate().filter(|(at, _)| !access.guaranteed.contains(at));
    scan.filter = all(rest.map(|(_, condition)| condition).collect());
    scan.index = access.index;
    scan.spans = Some(access.spans);
}

/// What a condition says of one column.
struct Restriction {
    /// The condition's place.
    at: usize,
    /// The place of the column in its table.
    column: usize,
    kind: RestrictionKind,
}

enum RestrictionKind {
    /// Equal to one of these.
    Equal(Vec<Expr>),
    Lower(KeyBound),
    Upper(KeyBound),
}

impl Restriction {
    fn of(condition: &Expr, at: usize, scan: &Scan) -> Option<Self> {
        match condition {
            Expr::Call { function, args, .. } => {
                let [first, second] = args.as_slice() else { return None };
                let comparison = expr::operators::comparison(*function)?;
                Self::compared(comparison, first, second, at, scan)
                    .or_else(|| Self::compared(comparison.commuted(), second, first, at, scan))
            }
            Expr::In { operand, items, negated: false, .. } => {
                let (column, kind) = column_of(operand, scan)?;
                let fits = items.len() <= SPANS_MAX && items.iter().all(|item| is_key_value(item, kind));
                fits.then(|| Self { at, column, kind: RestrictionKind::Equal(items.clone()) })
            }
            _ => None,
        }
    }

    fn compared(
        comparison: Comparison,
        operand: &Expr,
        value: &Expr,
        at: usize,
        scan: &Scan,
    ) -> Option<Self> {
        let (column, kind) = column_of(operand, scan)?;
        if !is_key_value(value, kind) {
            return None;
        }
        let bound = |inclusive| KeyBound { value: value.clone(), inclusive };
        let kind = match comparison {
            Comparison::Equal => RestrictionKind::Equal(vec![value.clone()]),
            Comparison::Greater => RestrictionKind::Lower(bound(false)),
            Comparison::GreaterOrEqual => RestrictionKind::Lower(bound(true)),
            Comparison::Less => RestrictionKind::Upper(bound(false)),
            Comparison::LessOrEqual => RestrictionKind::Upper(bound(true)),
            Comparison::NotEqual => return None,
        };
        Some(Self { at, column, kind })
    }
}

/// The place in the table, and the type, of the column that an expression stands for.
fn column_of(operand: &Expr, scan: &Scan) -> Option<(usize, TypeKind)> {
    let (index, kind) = match operand {
        Expr::Column { index, ty } => (*index, ty.kind),
        // varchar becomes text for its operators; its values stay the same.
        Expr::Cast { operand, to, .. } if to.kind == TypeKind::Text => match operand.as_ref() {
            Expr::Column { index, ty } if ty.kind == TypeKind::Varchar => (*index, TypeKind::Text),
            _ => return None,
        },
        _ => return None,
    };
    scan.columns.get(index).map(|column| (*column, kind))
}

/// Whether a value can be part of a key of a column that is compared as `kind`.
fn is_key_value(value: &Expr, kind: TypeKind) -> bool {
    let is_integer = |kind| matches!(kind, TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8);
    let ty = value.ty().kind;
    is_free(value) && may_move(value) && (ty == kind || is_integer(ty) && is_integer(kind))
}

/// A way to read the rows.
struct Access {
    index: u64,
    spans: Vec<KeySpan>,
    /// The places of the conditions that the spans guarantee.
    guaranteed: Vec<usize>,
    rank: Rank,
}

/// How well an index is bound; the greatest is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    point: bool,
    equal_columns: usize,
    range_ends: usize,
    primary: bool,
}

impl Access {
    /// The way through one index, if a restriction binds it.
    fn through(index: &IndexDescriptor, scan: &Scan, restrictions: &[Restriction]) -> Option<Self> {
        let mut spans = vec![KeySpan::default()];
        let mut guaranteed = Vec::new();
        let mut range_ends = 0;
        let mut equal_columns = 0;
        for column in scan.table.key_columns(index) {
            let of_column = || restrictions.iter().filter(|restriction| restriction.column == column);
            let equal = of_column().find_map(|restriction| match &restriction.kind {
                RestrictionKind::Equal(values) if spans.len().saturating_mul(values.len()) <= SPANS_MAX => {
                    Some((restriction.at, values))
                }
                _ => None,
            });
            if let Some((at, values)) = equal {
                guaranteed.push(at);
                equal_columns += 1;
                spans =
                    spans.iter().flat_map(|span| values.iter().map(|value| extended(span, value))).collect();
                continue;
            }
            let lower = of_column().find_map(|restriction| match &restriction.kind {
                RestrictionKind::Lower(bound) => Some((restriction.at, bound.clone())),
                _ => None,
            });
            let upper = of_column().find_map(|restriction| match &restriction.kind {
                RestrictionKind::Upper(bound) => Some((restriction.at, bound.clone())),
                _ => None,
            });
            range_ends = usize::from(lower.is_some()) + usize::from(upper.is_some());
            guaranteed.extend(lower.iter().chain(&upper).map(|(at, _)| *at));
            for span in &mut spans {
                span.lower = lower.as_ref().map(|(_, bound)| bound.clone());
                span.upper = upper.as_ref().map(|(_, bound)| bound.clone());
            }
            break;
        }
        if equal_columns == 0 && range_ends == 0 {
            return None;
        }
        let point = index.unique && equal_columns == index.columns.len();
        let rank = Rank { point, equal_columns, range_ends, primary: index.primary };
        Some(Self { index: index.id, spans, guaranteed, rank })
    }
}

fn extended(span: &KeySpan, value: &Expr) -> KeySpan {
    let mut span = span.clone();
    span.prefix.push(value.clone());
    span
}
