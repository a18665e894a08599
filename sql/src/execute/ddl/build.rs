//! Fills new indexes from the rows of a table.
//!
//! Everything is read and written in the transaction of the DDL statement, which proves at commit that nobody changed
//! the table meanwhile; its size is bounded by what one transaction may write.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use client::{ScanOptions, Span};
use expr::Row;
use keys::sql::TENANT_DEFAULT;

use super::not_null_columns;
use crate::catalog::{IndexId, TableDescriptor};
use crate::error::{Error, ObjectNames, Result};
use crate::execute::context::Context;
use crate::execute::rows::{IndexFormat, RowReader, TableFormat};
use crate::execute::write::duplicate_in_index;

const PAGE: ScanOptions = ScanOptions { rows_max: 4096, bytes_max: 1 << 20, reverse: false };

/// Writes the entries of one secondary index for all rows.
pub(super) async fn fill_index(cx: &mut Context<'_>, format: &TableFormat, index: IndexId) -> Result<()> {
    let index = format
        .secondary
        .iter()
        .find(|candidate| candidate.id == index)
        .ok_or_else(|| Error::internal("a new index is not among its table's"))?;
    let reader = RowReader::whole(format);
    let mut seen = Seen::default();
    let mut pages = Pages::of(format.primary.id);
    while let Some(rows) = pages.next(cx).await? {
        for (key, value) in rows {
            let row = reader.read(&key, &value)?;
            put_entry(cx, format, index, &row, &mut seen)?;
            cx.tick(1).await?;
        }
        cx.account_writes().await?;
    }
    seen.release(cx);
    Ok(())
}

fn put_entry(
    cx: &mut Context<'_>,
    format: &TableFormat,
    index: &IndexFormat,
    row: &Row,
    seen: &mut Seen,
) -> Result<()> {
    let primary_columns = format.primary_columns(row)?;
    let entry = format.entry(index, row, &primary_columns)?;
    if entry.exclusive && !seen.insert(cx, &entry.key)? {
        return Err(duplicate_in_index(cx, &format.table, index, row));
    }
    cx.transaction.put(entry.key, entry.value);
    Ok(())
}

/// Writes all rows of a table under its new primary index, and the entries of its other indexes.
pub(super) async fn move_rows(
    cx: &mut Context<'_>,
    from: &Arc<TableDescriptor>,
    to: &Arc<TableDescriptor>,
) -> Result<()> {
    let old = TableFormat::new(from)?;
    let new = TableFormat::new(to)?;
    // The hidden row id is the last column, so dropping it moves no other.
    let places: Vec<usize> = from.visible().map(|(place, _)| place).collect();
    let reader = RowReader::new(&old.primary, from, &places);
    let mut seen = Seen::default();
    let mut pages = Pages::of(old.primary.id);
    while let Some(rows) = pages.next(cx).await? {
        for (key, value) in rows {
            let row = reader.read(&key, &value)?;
            check_no_nulls(to, &row)?;
            let key = new.primary.row_key(&new.primary_columns(&row)?);
            if !seen.insert(cx, &key)? {
                return Err(duplicate_in_index(cx, to, &new.primary, &row));
            }
            cx.transaction.put(key, new.value(&row)?);
            for index in &new.secondary {
                // Unique ones were so before.
                let entry = new.entry(index, &row, &new.primary_columns(&row)?)?;
                cx.transaction.put(entry.key, entry.value);
            }
            cx.tick(1).await?;
        }
        cx.account_writes().await?;
    }
    seen.release(cx);
    Ok(())
}

fn check_no_nulls(table: &TableDescriptor, row: &Row) -> Result<()> {
    for (place, column) in not_null_columns(table) {
        if row.get(place).is_none_or(expr::Datum::is_null) {
            return Err(Error::new(
                "23502",
                format!("column \"{}\" of relation \"{}\" contains null values", column.name, table.name),
            )
            .names(ObjectNames {
                schema: Some(table.schema.clone()),
                table: Some(table.name.clone()),
                column: Some(column.name.clone()),
                constraint: None,
            }));
        }
    }
    Ok(())
}

/// Keys that must be distinct.
#[derive(Default)]
struct Seen {
    keys: HashSet<Bytes>,
    bytes: usize,
}

impl Seen {
    /// Whether the key is new.
    fn insert(&mut self, cx: &mut Context<'_>, key: &Bytes) -> Result<bool> {
        let bytes = key.len().saturating_add(size_of::<Bytes>());
        cx.memory.reserve(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(self.keys.insert(key.clone()))
    }

    fn release(self, cx: &mut Context<'_>) {
        cx.memory.release(self.bytes);
    }
}

/// The rows of an index, page by page.
struct Pages(Option<Span>);

impl Pages {
    fn of(index: IndexId) -> Self {
        let span = keys::sql::index_span(TENANT_DEFAULT, index);
        Self(Some(Span { start: span.start, end: span.end }))
    }

    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<(Bytes, Bytes)>>> {
        let Some(span) = self.0.take() else { return Ok(None) };
        let page = cx.transaction.scan(span, PAGE).await?;
        self.0 = page.resume;
        Ok(Some(page.rows))
    }
}
