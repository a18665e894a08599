//! Fills new indexes from the rows of their tables, and new tables with the rows of old ones.
//!
//! ```text
//! rows, page by page ─▶ entries ─▶ in the order of the index ─┬─ few ──▶ writes of the statement's transaction
//!                                  (`sorted_pairs`)           └─ many ─▶ ingested, as versions of a moment before
//! ```
//!
//! What is ingested ([`client::Ingest`]) belongs to no transaction, is not bounded by what one may hold, and is there
//! whatever becomes of the statement. That does no harm, because nobody knows of the index before the statement's transaction
//! commits: a transaction of its own has put the index on the list of those that are out of use ([`dropped`]) before
//! anything is ingested, and the statement's transaction takes it off. History is kept from before that first one on
//! while the other is open, so that nobody reclaims what is being filled; where it is not kept any more, nothing is ingested
//! any more, and the transaction, which relies on the whole index as of when it was ingested, cannot commit.

use bytes::Bytes;
use client::{Ingest, TransactionOptions};
use expr::Row;
use keys::sql::TENANT_DEFAULT;

use super::pages::Pages;
use super::sorted_pairs::{PairSorter, SortedPairs};
use crate::activity::Job;
use crate::catalog::{IndexId, dropped};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::rows::{IndexFormat, RowReader, TableFormat};
use crate::execute::write::duplicate_in_index;

/// After so many writes what the transaction holds is accounted for.
const WRITES: u32 = 1024;

/// What requests that are under way take.
const UNDER_WAY_BYTES: usize = 4 << 20;

/// Writes the entries of one secondary index for all rows of its table, none of which has an entry yet; the index is known to
/// the statement's transaction alone.
pub(super) async fn fill_index(cx: &mut Context<'_>, format: &TableFormat, index: IndexId) -> Result<()> {
    let index = index_of(format, index)?;
    let job = begin_job(cx, "index build", format, &index.name);
    let entries = gather(cx, format, index, Pages::of(format.primary.id), &job).await?;
    put_all(cx, format, index, entries, &job).await
}

/// Writes all rows of a table, keys and values, under its primary index, which is known to the statement's transaction alone.
pub(super) async fn put_rows(cx: &mut Context<'_>, format: &TableFormat, rows: PairSorter) -> Result<()> {
    let job = begin_job(cx, "table rewrite", format, &format.table.name);
    put_all(cx, format, &format.primary, rows, &job).await
}

fn begin_job(cx: &Context<'_>, kind: &'static str, format: &TableFormat, name: &str) -> Job {
    let job = cx.roster.begin_job(cx.session.backend_pid, kind);
    job.about(format!("{}.{name}", format.table.schema));
    job
}

async fn put_all(
    cx: &mut Context<'_>,
    format: &TableFormat,
    index: &IndexFormat,
    entries: PairSorter,
    job: &Job,
) -> Result<()> {
    job.step("writing entries", "entries", None);
    let is_large = entries.bytes() > cx.ingest_bytes_min;
    let mut entries = entries.finish(cx).await?;
    if is_large && !format.table.is_temporary() {
        let begun = begin(cx, index.id).await?;
        ingest(cx, format, index, &mut entries, begun, TooLong::Written, job).await?;
        take_on(cx, index.id);
    } else {
        write(cx, format, index, &mut entries, job).await?;
    }
    entries.release(cx);
    Ok(())
}

/// What becomes of what is too long to be ingested.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TooLong {
    /// The statement's transaction writes it.
    Written,
    /// 54000
    Refused,
}

/// Writes the entries of an index that everybody's writes maintain, and nobody reads: those of the rows that `pages` are, as
/// versions at `at`, from before anybody has maintained it.
pub(super) async fn fill_maintained(
    cx: &mut Context<'_>,
    format: &TableFormat,
    index: IndexId,
    pages: Pages,
    at: u64,
) -> Result<()> {
    let index = index_of(format, index)?;
    let job = begin_job(cx, "index build", format, &index.name);
    let mut entries = gather(cx, format, index, pages, &job).await?.finish(cx).await?;
    let begun = cx.client.ingest(at);
    job.step("writing entries", "entries", None);
    ingest(cx, format, index, &mut entries, begun, TooLong::Refused, &job).await?;
    entries.release(cx);
    Ok(())
}

/// Whether an index that has been filled, and maintained meanwhile, holds what its table holds, as the statement's transaction
/// sees both.
///
/// # Errors
/// 23505: two rows have equal keys, or have had them.
pub(super) async fn compare(cx: &mut Context<'_>, format: &TableFormat, index: IndexId) -> Result<()> {
    let index = index_of(format, index)?;
    let job = begin_job(cx, "index build", format, &index.name);
    let mut expected =
        gather(cx, format, index, Pages::of(format.primary.id), &job).await?.finish(cx).await?;
    job.step("comparing with the table", "entries", None);
    let mut kept = Kept { pages: Pages::of(index.id), rows: Vec::new().into_iter() };
    let mut distinct = Distinct::of(index);
    let mut is_alike = true;
    while expected.step(cx).await? {
        let (key, value) = expected.pair();
        if distinct.repeats(key) {
            return Err(duplicate(cx, format, index, key, value).await);
        }
        if is_alike {
            let kept = kept.next(cx).await?;
            is_alike = kept.is_some_and(|(own, to)| own == key && to == value);
        }
        job.add(1);
        cx.tick(1).await?;
    }
    expected.release(cx);
    if is_alike && kept.next(cx).await?.is_none() {
        return Ok(());
    }
    Err(Error::new("23505", format!("could not create unique index \"{}\"", index.name))
        .detail("Rows had equal keys while the index was being built."))
}

/// What an index holds, entry by entry.
struct Kept {
    pages: Pages,
    rows: std::vec::IntoIter<(Bytes, Bytes)>,
}

impl Kept {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<(Bytes, Bytes)>> {
        loop {
            if let Some(row) = self.rows.next() {
                return Ok(Some(row));
            }
            match self.pages.next(cx).await? {
                Some(rows) => self.rows = rows.into_iter(),
                None => return Ok(None),
            }
        }
    }
}

fn index_of(format: &TableFormat, index: IndexId) -> Result<&IndexFormat> {
    let found = format.secondary.iter().find(|candidate| candidate.id == index);
    found.ok_or_else(|| Error::internal("a new index is not among its table's"))
}

/// Begins to ingest an index that the statement's transaction alone knows of: puts it on the list of those that are out of use.
async fn begin(cx: &mut Context<'_>, index: IndexId) -> Result<Ingest> {
    let mut transaction = cx.client.begin(TransactionOptions::default());
    transaction.put(dropped::key(index), Bytes::new());
    transaction.commit().await?;
    let at = cx.transaction.read_timestamp().await?;
    Ok(cx.client.ingest(at))
}

/// All is ingested: once the statement's transaction commits, the index is in use. It commits only if nobody has taken it for
/// dead and reclaimed the index, which the ranges of what it writes may not have heard of.
fn take_on(cx: &mut Context<'_>, index: IndexId) {
    cx.transaction.delete(dropped::key(index));
    cx.transaction.rely_on_all(keys::sql::index_span(TENANT_DEFAULT, index));
}

/// Rows of a table that come in the order of its primary index, which the statement's transaction alone knows of.
#[derive(Default)]
pub(super) struct RowsInOrder {
    bytes: usize,
    ingest: Option<Ingest>,
}

impl RowsInOrder {
    /// Writes the next row.
    pub(super) async fn put(
        &mut self,
        cx: &mut Context<'_>,
        format: &TableFormat,
        key: &[u8],
        value: &[u8],
    ) -> Result<()> {
        if self.ingest.is_none() && self.bytes > cx.ingest_bytes_min && !format.table.is_temporary() {
            self.ingest = Some(begin(cx, format.primary.id).await?);
        }
        self.bytes = self.bytes.saturating_add(key.len()).saturating_add(value.len());
        match &mut self.ingest {
            Some(ingest) if Ingest::takes(key.len(), value.len()) => ingest.put(key, value).await?,
            _ => cx.transaction.put(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)),
        }
        Ok(())
    }

    /// That were all.
    pub(super) async fn finish(self, cx: &mut Context<'_>, format: &TableFormat) -> Result<()> {
        if let Some(ingest) = self.ingest {
            ingest.finish().await?;
            take_on(cx, format.primary.id);
        }
        cx.account_writes().await
    }
}

/// The entries of all rows.
async fn gather(
    cx: &mut Context<'_>,
    format: &TableFormat,
    index: &IndexFormat,
    mut pages: Pages,
    job: &Job,
) -> Result<PairSorter> {
    job.step("reading rows", "rows", None);
    let mut wanted = vec![false; format.table.columns.len()];
    for place in index.decided_by() {
        if let Some(wanted) = wanted.get_mut(place) {
            *wanted = true;
        }
    }
    let reader = RowReader::some(format, |place| wanted.get(place).copied().unwrap_or_default())?;
    let mut entries = PairSorter::new(index.prefix.len(), cx.memory);
    let mut entry = Vec::new();
    while let Some(rows) = pages.next(cx).await? {
        for (key, value) in &rows {
            let row = reader.read(key, value)?;
            let primary_columns = format.primary.columns_of(key)?;
            entry.clear();
            if format.put_entry_key(index, &row, primary_columns, &mut entry)?.is_some() {
                entries.push(cx, &entry, index.entry_value(primary_columns)).await?;
            }
            cx.tick(1).await?;
        }
        job.add(rows.len() as u64);
    }
    Ok(entries)
}

/// Ingests entries.
async fn ingest(
    cx: &mut Context<'_>,
    format: &TableFormat,
    index: &IndexFormat,
    entries: &mut SortedPairs,
    mut ingest: Ingest,
    too_long: TooLong,
    job: &Job,
) -> Result<()> {
    // What is bounded goes on where there is no room for it.
    let reserved = if cx.memory.reserve(UNDER_WAY_BYTES).is_ok() { UNDER_WAY_BYTES } else { 0 };
    let mut distinct = Distinct::of(index);
    while entries.step(cx).await? {
        let (key, value) = entries.pair();
        if distinct.repeats(key) {
            return Err(duplicate(cx, format, index, key, value).await);
        }
        if too_long == TooLong::Written && !Ingest::takes(key.len(), value.len()) {
            cx.transaction.put(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            cx.account_writes().await?;
        } else {
            ingest.put(key, value).await?;
        }
        job.add(1);
        cx.tick(1).await?;
    }
    let count = ingest.finish().await?;
    cx.memory.release(reserved);
    tracing::debug!(index = index.id, count, "the entries of an index were ingested");
    Ok(())
}

/// Writes entries in the statement's transaction.
async fn write(
    cx: &mut Context<'_>,
    format: &TableFormat,
    index: &IndexFormat,
    entries: &mut SortedPairs,
    job: &Job,
) -> Result<()> {
    let mut distinct = Distinct::of(index);
    let mut writes = 0_u32;
    while entries.step(cx).await? {
        let (key, value) = entries.pair();
        if distinct.repeats(key) {
            return Err(duplicate(cx, format, index, key, value).await);
        }
        cx.transaction.put(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        writes = writes.wrapping_add(1);
        if writes.is_multiple_of(WRITES) {
            cx.account_writes().await?;
        }
        job.add(1);
        cx.tick(1).await?;
    }
    cx.account_writes().await
}

/// Whether keys that come in order are distinct, where they have to be. Those of entries with a NULL always are.
struct Distinct {
    last: Option<Vec<u8>>,
}

impl Distinct {
    fn of(index: &IndexFormat) -> Self {
        Self { last: index.unique.then(Vec::new) }
    }

    /// Whether the key is the same as the one before.
    fn repeats(&mut self, key: &[u8]) -> bool {
        let Some(last) = &mut self.last else { return false };
        if last.as_slice() == key {
            return true;
        }
        last.clear();
        last.extend_from_slice(key);
        false
    }
}

/// 23505: another row has the same key in a unique index as the row of this entry.
async fn duplicate(
    cx: &mut Context<'_>,
    format: &TableFormat,
    index: &IndexFormat,
    key: &[u8],
    value: &[u8],
) -> Error {
    match row_of(cx, format, index, key, value).await {
        Ok(Some(row)) => duplicate_in_index(cx, &format.table, index, &row),
        // It has gone in the meantime.
        Ok(None) => Error::new("23505", format!("could not create unique index \"{}\"", index.name))
            .detail("Duplicate keys exist."),
        Err(error) => error,
    }
}

/// The row that an entry of a unique index leads to, or that it is.
async fn row_of(
    cx: &mut Context<'_>,
    format: &TableFormat,
    index: &IndexFormat,
    key: &[u8],
    value: &[u8],
) -> Result<Option<Row>> {
    let reader = RowReader::whole(format)?;
    if index.id == format.primary.id {
        return reader.read(key, value).map(Some);
    }
    let key = format.primary.row_key(value);
    let found = cx.transaction.get_unrelied(vec![key.clone()]).await?;
    found.into_iter().next().flatten().map(|value| reader.read(&key, &value)).transpose()
}
