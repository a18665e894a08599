//! ANALYZE: rows of a table are sampled, and what is found of their values is kept.
//!
//! A small table is read whole. Of a larger one pages are read at [`places`] between its keys, chosen at random; how many rows it
//! has is told from its size then.

mod places;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{Client, Isolation, ScanOptions, Span, Transaction, TransactionOptions};
use env::{clock, random};
use expr::Datum;
use keys::sql::TENANT_DEFAULT;

use super::memory::Memory;
use super::rows::{RowReader, TableFormat};
use crate::catalog::{ColumnId, TableDescriptor};
use crate::error::{Cause, Result};
use crate::statistics::{self, Sampled, TARGET, TableStatistics};

/// So many rows are sampled at most: 300 for each part of a histogram, as in PostgreSQL.
const ROWS_MAX: usize = 300 * TARGET;
/// So many bytes of rows are held at most.
const SAMPLE_BYTES_MAX: usize = 64 << 20;
/// What is stored in more bytes than this is not read whole.
const WHOLE_BYTES_MAX: u64 = 64 << 20;
/// A table whose size is not known is read so far.
const READ_BYTES_MAX: u64 = 512 << 20;
/// So many pages are read of a table that is not read whole. Rows beside each other are alike: few of each page.
const PAGES: usize = 3000;

const PAGE: ScanOptions = ScanOptions { rows_max: 1000, bytes_max: 1 << 20, reverse: false };
const SAMPLED_PAGE: ScanOptions =
    ScanOptions { rows_max: ROWS_MAX / PAGES, bytes_max: 64 << 10, reverse: false };

/// What a row takes in a sample beside its bytes.
const ROW_BYTES: usize = 96;
/// How often is tried to write what was found.
const ATTEMPTS_MAX: u32 = 10;

/// Gathers statistics of a table's columns, by their ids, and keeps them.
///
/// # Errors
/// The cluster cannot be asked, or the catalog has changed.
pub(crate) async fn analyze(
    client: &Client,
    table: &Arc<TableDescriptor>,
    columns: &[ColumnId],
    version: u64,
    memory: &mut Memory,
) -> Result<()> {
    let format = TableFormat::new(table)?;
    let span = keys::sql::index_span(TENANT_DEFAULT, format.primary.id);
    let bytes = client.sizes(std::slice::from_ref(&span)).await.ok().and_then(|sizes| sizes.first().copied());
    let is_clone = keys::sql::is_branch(format.primary.id);
    let below = if is_clone { client.size_below(format.primary.id).await.ok() } else { None };
    let bytes = bytes.unwrap_or(0).saturating_add(below.unwrap_or(0));
    let span = Span { start: span.start, end: span.end };
    let mut transaction = client.begin(options(version, true));
    let mut sample = Sample::default();
    if bytes <= WHOLE_BYTES_MAX {
        let mut left = Some(span);
        while let Some(span) = left.take() {
            let page = transaction.scan(span, PAGE).await?;
            sample.take(page.rows, memory)?;
            sample.is_whole = page.resume.is_none();
            left = page.resume.filter(|_| sample.read_bytes < READ_BYTES_MAX);
        }
    } else {
        // Where the ranges of a clone begin tells nothing of the rows below.
        let pieces = if is_clone { vec![(span, PAGES)] } else { pieces(client, span).await? };
        for (piece, pages) in pieces {
            read_piece(&mut transaction, piece, pages, &mut sample, memory).await?;
        }
    }
    transaction.rollback().await;
    if !sample.is_whole && sample.read == 0 {
        // Bytes of what is gone: nothing can be told.
        return Ok(());
    }
    let rows = sample.rows_of_table(bytes);
    let places: Vec<(ColumnId, usize)> =
        columns.iter().filter_map(|id| Some((*id, table.column_by_id(*id)?))).collect();
    env::pool::go_to_pool().await;
    let keyed = sample.in_order();
    let mut found =
        TableStatistics { rows, bytes, at: client.timestamp().await?.timestamp, ..Default::default() };
    // One column after the other: so little is held, and the statement is asked for in between.
    // Of no rows nothing can be told.
    for (id, place) in places.into_iter().filter(|_| !keyed.is_empty()) {
        let reader = RowReader::new(&format.primary, table, &[place])?;
        let mut values = Vec::with_capacity(keyed.len());
        let mut held = 0_usize;
        for (key, value) in &keyed {
            let value = reader.read(key, value)?.pop().unwrap_or(Datum::Null);
            // Beside it, its place in the order of the rows.
            let bytes = value.size_bytes().saturating_add(size_of::<(Datum, usize)>());
            memory.reserve(bytes)?;
            held = held.saturating_add(bytes);
            values.push(value);
        }
        let kind = table.columns.get(place).map_or(expr::TypeKind::Text, |column| column.ty.kind);
        found.columns.insert(id, statistics::column(Sampled { kind, values, rows }));
        memory.release(held);
        env::task::yield_now().await;
    }
    keep(client, table, version, found).await
}

fn options(version: u64, read_only: bool) -> TransactionOptions {
    let isolation = Isolation::Serializable;
    TransactionOptions { isolation, read_only, catalog_version: version, ..TransactionOptions::default() }
}

/// Puts statistics in the place of those that there are; columns that were not looked at keep theirs.
async fn keep(client: &Client, table: &TableDescriptor, version: u64, found: TableStatistics) -> Result<()> {
    let mut attempt = 0;
    loop {
        let error = match try_to_keep(client, table, version, found.clone()).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        attempt += 1;
        if error.cause() != Cause::Conflict || attempt >= ATTEMPTS_MAX {
            return Err(error);
        }
        clock::sleep(Duration::from_millis(random::below(1 << attempt.min(6)))).await;
    }
}

/// Another may look at other columns at the same time: a conflict, then.
async fn try_to_keep(
    client: &Client,
    table: &TableDescriptor,
    version: u64,
    mut found: TableStatistics,
) -> Result<()> {
    let Some(primary) = table.primary() else { return Ok(()) };
    let [table_key, columns_key] = statistics::row_keys(primary.id);
    let mut transaction = client.begin(options(version, false));
    let before = transaction.get(columns_key.clone()).await?;
    let before = before.and_then(|value| statistics::decode_columns(&value));
    for (id, column) in before.into_iter().flatten() {
        // Of a column that was dropped nobody asks any more.
        if table.visible().any(|(_, own)| own.id == id) {
            found.columns.entry(id).or_insert(column);
        }
    }
    let statistics::Stored { table, columns } = statistics::encode(&found)?;
    transaction.put(table_key, table);
    transaction.put(columns_key, columns);
    transaction.commit().await?;
    Ok(())
}

/// The parts of a table that lie in one range each, with how many pages are read of them: as many as their sizes say.
async fn pieces(client: &Client, span: Span) -> Result<Vec<(Span, usize)>> {
    let ranges = client.ranges(&span).await?;
    let pieces = places::cut(&span, ranges.into_iter().map(|range| range.span.start));
    let sizes = client.sizes(&pieces).await?;
    let shares = places::shares(&sizes, PAGES, random::next_u64());
    Ok(pieces.into_iter().zip(shares).filter(|(_, pages)| *pages > 0).collect())
}

/// Reads so many pages of a part of a table, none of its rows twice.
async fn read_piece(
    transaction: &mut Transaction,
    piece: Span,
    pages: usize,
    sample: &mut Sample,
    memory: &mut Memory,
) -> Result<()> {
    let Some(first) = end_of(transaction, piece.clone(), false).await? else { return Ok(()) };
    let Some(last) = end_of(transaction, piece.clone(), true).await? else { return Ok(()) };
    let mut from = first.clone();
    for place in places::between(&first, &last, pages) {
        if from > last {
            break;
        }
        let start = place.min(last.clone()).max(from.clone());
        let page = transaction.scan(Span { start, end: piece.end.clone() }, SAMPLED_PAGE).await?;
        if let Some((read, _)) = page.rows.last() {
            from = keys::span::successor(read);
        }
        sample.take(page.rows, memory)?;
    }
    Ok(())
}

/// The key of the first row of a span, or of the last.
async fn end_of(transaction: &mut Transaction, span: Span, reverse: bool) -> Result<Option<Bytes>> {
    let mut left = Some(span);
    while let Some(span) = left.take() {
        let page = transaction.scan(span, ScanOptions { rows_max: 1, bytes_max: 0, reverse }).await?;
        if let Some((key, _)) = page.rows.into_iter().next() {
            return Ok(Some(key));
        }
        left = page.resume;
    }
    Ok(None)
}

/// Rows that stand for all that were read: each of those is among them as likely as any other (Vitter's algorithm R).
#[derive(Default)]
struct Sample {
    rows: Vec<(u64, Bytes, Bytes)>,
    bytes: usize,
    /// How many rows were read, and how many bytes those have.
    read: u64,
    read_bytes: u64,
    /// All of the table was read.
    is_whole: bool,
}

impl Sample {
    fn take(&mut self, page: Vec<(Bytes, Bytes)>, memory: &mut Memory) -> Result<()> {
        for (key, value) in page {
            let size = key.len().saturating_add(value.len());
            self.read = self.read.saturating_add(1);
            self.read_bytes = self.read_bytes.saturating_add(size as u64);
            let is_full = self.rows.len() >= ROWS_MAX || self.bytes.saturating_add(size) > SAMPLE_BYTES_MAX;
            let place = match is_full {
                false => None,
                true => match usize::try_from(random::below(self.read)) {
                    Ok(place) if place < self.rows.len() => Some(place),
                    _ => continue,
                },
            };
            // Not the whole page.
            let own = (self.read, Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value));
            memory.reserve(size.saturating_add(ROW_BYTES))?;
            self.bytes = self.bytes.saturating_add(size);
            match place.and_then(|place| self.rows.get_mut(place)) {
                Some(other) => {
                    let gone = other.1.len().saturating_add(other.2.len());
                    memory.release(gone.saturating_add(ROW_BYTES));
                    self.bytes = self.bytes.saturating_sub(gone);
                    *other = own;
                }
                None => self.rows.push(own),
            }
        }
        Ok(())
    }

    /// About how many rows the table has.
    fn rows_of_table(&self, table_bytes: u64) -> f64 {
        if self.is_whole || self.read == 0 {
            return self.read as f64;
        }
        let row = self.read_bytes as f64 / self.read as f64;
        (table_bytes as f64 / row.max(1.0)).max(self.read as f64)
    }

    /// The rows in the order of their keys.
    fn in_order(self) -> Vec<(Bytes, Bytes)> {
        let mut rows = self.rows;
        rows.sort_unstable_by_key(|(number, ..)| *number);
        rows.into_iter().map(|(_, key, value)| (key, value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::memory::MemoryPool;

    #[test]
    fn a_sample_has_rows_of_all_parts_and_is_bounded() {
        let mut memory = Memory::new(usize::MAX, &MemoryPool::new(usize::MAX, None));
        let mut sample = Sample::default();
        for page in 0..100_u32 {
            let row = |row: u32| {
                (Bytes::from((page * 1000 + row).to_be_bytes().to_vec()), Bytes::from_static(b"v"))
            };
            sample.take((0..1000).map(row).collect(), &mut memory).unwrap();
        }
        assert_eq!((sample.read, sample.rows.len()), (100_000, ROWS_MAX));
        assert_eq!(sample.rows_of_table(1_000_000), 200_000.0);
        let rows = sample.in_order();
        assert!(rows.is_sorted());
        let half = rows.iter().filter(|(key, _)| key.as_ref() < 50_000_u32.to_be_bytes().as_slice()).count();
        assert!((ROWS_MAX * 2 / 5..ROWS_MAX * 3 / 5).contains(&half), "{half}");
    }
}
