//! The order of rows that begin with the values of sort keys, and rows in memory put into it.

use std::cmp::Ordering;

use expr::compare::{Comparison, compare_of};
use expr::{Datum, Row, TypeKind, dissimilar};

use crate::error::Result;
use crate::execute::context::Context;
use crate::plan::SortKey;

/// How many rows are sorted between two looks up.
const RUN_ROWS: usize = 512;

/// Sorts rows that begin with the values of these keys, and keeps the order of equal ones: runs first, then pairs of
/// runs, so that others have their turns meanwhile.
pub(super) async fn sort(cx: &mut Context<'_>, keys: &[SortKey], rows: &mut Vec<Row>) -> Result<()> {
    let holds_records = keys.iter().any(is_of_records);
    for run in rows.chunks_mut(RUN_ROWS) {
        run.sort_by(|left, right| compare_keys(keys, left, right));
        if holds_records {
            for (left, right) in run.iter().zip(run.iter().skip(1)) {
                check_neighbours(keys, left, right)?;
            }
        }
        cx.tick(run.len()).await?;
    }
    let mut run_rows = RUN_ROWS;
    while run_rows < rows.len() {
        let mut merged = Vec::with_capacity(rows.len());
        let mut runs = std::mem::take(rows).into_iter();
        while runs.len() > 0 {
            let left: Vec<Row> = runs.by_ref().take(run_rows).collect();
            merge(cx, keys, left, runs.by_ref().take(run_rows), &mut merged).await?;
        }
        *rows = merged;
        run_rows = run_rows.saturating_mul(2);
    }
    Ok(())
}

async fn merge(
    cx: &mut Context<'_>,
    keys: &[SortKey],
    left: Vec<Row>,
    right: impl Iterator<Item = Row>,
    merged: &mut Vec<Row>,
) -> Result<()> {
    let holds_records = keys.iter().any(is_of_records);
    let (mut left, mut right) = (left.into_iter().peekable(), right.peekable());
    loop {
        if let (Some(first), Some(second)) = (left.peek(), right.peek())
            && holds_records
        {
            check_neighbours(keys, first, second)?;
        }
        let row = match (left.peek(), right.peek()) {
            (None, None) => return Ok(()),
            (Some(first), Some(second)) if compare_keys(keys, first, second).is_gt() => right.next(),
            (Some(_), _) => left.next(),
            (None, Some(_)) => right.next(),
        };
        merged.extend(row);
        if cx.spend(1) {
            cx.rest().await?;
        }
    }
}

/// Whether values of a key may be records of unlike fields.
fn is_of_records(key: &SortKey) -> bool {
    matches!(key.expression.ty().kind, TypeKind::Record | TypeKind::RecordArray)
}

/// That two rows that come to stand beside each other can be compared.
///
/// # Errors
/// 42804: they cannot, for records of unlike fields that decide.
fn check_neighbours(keys: &[SortKey], left: &[Datum], right: &[Datum]) -> Result<()> {
    for (key, (left, right)) in keys.iter().zip(left.iter().zip(right)) {
        let order = match is_of_records(key) {
            true if key.descending => dissimilar::order(Comparison::Less, right, left)?,
            true => dissimilar::order(Comparison::Less, left, right)?,
            false => compare_of(key.expression.ty().kind, left, right),
        };
        if order.is_ne() {
            return Ok(());
        }
    }
    Ok(())
}

/// The order of two rows that begin with the values of these keys.
pub(crate) fn compare_keys(keys: &[SortKey], left: &[Datum], right: &[Datum]) -> Ordering {
    compare_values(keys, left.iter(), right.iter())
}

/// The order of two rows whose values of these keys are these.
pub(super) fn compare_values<'a, 'b>(
    keys: &[SortKey],
    left: impl Iterator<Item = &'a Datum>,
    right: impl Iterator<Item = &'b Datum>,
) -> Ordering {
    for (key, (left, right)) in keys.iter().zip(left.zip(right)) {
        let order = match (left.is_null(), right.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if key.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if key.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if key.descending => compare_of(key.expression.ty().kind, right, left),
            (false, false) => compare_of(key.expression.ty().kind, left, right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
