//! ERASE HISTORY: what a table, or some of its rows, was before a moment is gone, for whoever asks.
//!
//! ```text
//! of a table   all that its indexes hold, and those that have held its rows before and whose keys are there still
//! of rows      their keys under the primary index, and the entries of all their versions under the others
//! ```
//!
//! 1. A transaction writes down of each index what is to go ([`erased`]). It relies on what it has found: nothing of the table is held,
//!    and no branch lies over what is to go. So whoever makes a branch meanwhile finds that row, or is found by it.
//! 2. Ranges are told, entries before the rows that they lead to: where it all ends in between, the same statement finds the
//!    others still.
//!
//! Rows of the table as they are, and what was later than the moment, are left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use client::{BranchRow, Client, Span, Transaction, TransactionOptions, VersionsLeft};
use keys::span::successor;
use keys::sql::TENANT_DEFAULT;

use super::{kept, store};
use crate::catalog::erased::{self, Erased};
use crate::catalog::home::Home;
use crate::catalog::kept::ALL_TABLES;
use crate::catalog::{IndexId, Oid, TableDescriptor, dropped, stored};
use crate::error::{Error, Result};
use crate::execute::rows::{RowReader, TableFormat};
use crate::moment;

/// So often it is begun anew because another session has changed what was found.
const ATTEMPTS_MAX: usize = 10;

/// So many bytes of versions are read at a time.
const PAGE_BYTES: usize = 1 << 20;

/// So many entries of indexes the versions of the rows may have had.
const ENTRIES_MAX: usize = 10_000;

/// What is to be erased.
pub(crate) struct Erasure<'e> {
    /// The table's database.
    pub(crate) database: Oid,
    /// The table.
    pub(crate) table: &'e Arc<TableDescriptor>,
    /// The keys of the rows; none: of all.
    pub(crate) rows: Option<Span>,
    /// What was before this timestamp.
    pub(crate) before: u64,
    /// Who says so.
    pub(crate) role: &'e str,
}

/// Erases it.
///
/// # Errors
/// 55000: it is held, a clone reads it, or it is not known where it all is. 54000: it is too much. 57P03: a node's program does not
/// heed it.
pub(crate) async fn erase_history(client: &Client, erasure: &Erasure<'_>) -> Result<()> {
    client.check_erasure().await?;
    let mut attempts = 1;
    let indexes = loop {
        match note(client, erasure).await? {
            Some(indexes) => break indexes,
            None if attempts < ATTEMPTS_MAX => attempts += 1,
            None => return Err(Error::new("40001", "the catalog has changed too often meanwhile")),
        }
    };
    match &erasure.rows {
        None => {
            let spans = indexes.into_iter().map(of_index).collect();
            client.erase_history(spans, erasure.before).await?;
        }
        Some(rows) => {
            let entries = entries(client, erasure, rows).await?;
            client.erase_history(entries, erasure.before).await?;
            client.erase_history(vec![rows.clone()], erasure.before).await?;
        }
    }
    Ok(())
}

/// What was erased, of each index.
pub(crate) async fn erased_indexes(transaction: &mut Transaction) -> Result<BTreeMap<IndexId, Erased>> {
    let rows = store::scan(transaction, erased::span()).await?;
    let told = |(row, value): &(Bytes, Bytes)| Some((erased::index_of(row)?, erased::decode(value)));
    rows.iter().filter_map(told).map(|(index, erased)| Ok((index, erased?))).collect()
}

/// Writes down what is to go; the indexes, or nothing where another session has changed what was found.
async fn note(client: &Client, erasure: &Erasure<'_>) -> Result<Option<BTreeSet<IndexId>>> {
    let mut transaction = client.begin(TransactionOptions::default());
    let noted = note_in(client, &mut transaction, erasure).await;
    let indexes = match noted {
        Ok(indexes) => indexes,
        Err(error) => {
            transaction.rollback().await;
            return Err(error);
        }
    };
    match transaction.commit().await {
        Ok(_) => Ok(Some(indexes)),
        Err(error) if error.is_retryable() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn note_in(
    client: &Client,
    transaction: &mut Transaction,
    erasure: &Erasure<'_>,
) -> Result<BTreeSet<IndexId>> {
    let Erasure { database, table, rows, before, role } = erasure;
    let home = Home::of(*database);
    let said = kept::said(transaction, home).await?;
    let of = |oid| said.get(&oid).copied().unwrap_or_default();
    if let Some(until) = of(table.oid).or(of(ALL_TABLES)).held_until_ms {
        let now = client.timestamp().await?.timestamp;
        if moment::unix_ms_of(now) < until {
            let message = format!("the history of \"{}\" is held", table.name);
            return Err(Error::new("55000", message)
                .detail("\"history_hold_until\" of the table, or of its database, has not come yet."));
        }
    }
    let mut indexes = indexes_of(transaction, home, table).await?;
    let former = former_indexes(transaction, *database, table.oid).await?;
    if rows.is_some() && !former.is_empty() {
        let message = format!(
            "rows of \"{}\" may have a history under other keys: it was emptied or written anew, or has lost an index",
            table.name
        );
        return Err(Error::new("55000", message)
            .detail("What it held before is kept for as long as history is.")
            .hint("ERASE HISTORY OF TABLE erases all of it."));
    }
    indexes.extend(former);
    check_branches(transaction, &indexes, *before, &table.name).await?;
    let more = Erased {
        before: if rows.is_none() { *before } else { 0 },
        rows_before: if rows.is_some() { *before } else { 0 },
        role: (*role).to_owned(),
    };
    let keys: Vec<Bytes> = indexes.iter().map(|index| erased::key(*index)).collect();
    let known = transaction.get_many(keys.clone()).await?;
    for (key, known) in keys.into_iter().zip(known) {
        let known = known.map(|row| erased::decode(&row)).transpose()?.unwrap_or_default();
        transaction.put(key, erased::encode(&known.and(&more)));
    }
    Ok(indexes)
}

/// The table's indexes, as long as they are those that the statement was planned with.
async fn indexes_of(
    transaction: &mut Transaction,
    home: Home,
    table: &TableDescriptor,
) -> Result<BTreeSet<IndexId>> {
    let row = transaction.get(stored::table_key(home, table.oid)).await?;
    let missing = || Error::new("42P01", format!("relation \"{}\" does not exist", table.name));
    let (_, indexes) = stored::indexes_of(&row.ok_or_else(missing)?)?;
    let indexes: BTreeSet<IndexId> = indexes.into_iter().collect();
    let planned: BTreeSet<IndexId> = table.indexes.iter().map(|index| index.id).collect();
    if indexes != planned {
        return Err(Error::new("40001", format!("\"{}\" has been altered meanwhile", table.name)));
    }
    if indexes.iter().any(|index| keys::sql::is_branch(*index)) {
        let message = format!("ERASE HISTORY of \"{}\", a clone,", table.name);
        return Err(Error::unsupported(message));
    }
    Ok(indexes)
}

/// The indexes that the table had before, and whose keys are there still.
async fn former_indexes(
    transaction: &mut Transaction,
    database: Oid,
    table: Oid,
) -> Result<BTreeSet<IndexId>> {
    let rows = store::scan(transaction, dropped::span()).await?;
    let own = rows.iter().filter(|(_, value)| dropped::table_of(value) == Some((database, table)));
    Ok(own.filter_map(|(row, _)| dropped::index_of(row)).collect())
}

/// 55000 if a branch lies over one of the indexes, as that was before the timestamp.
async fn check_branches(
    transaction: &mut Transaction,
    indexes: &BTreeSet<IndexId>,
    before: u64,
    name: &str,
) -> Result<()> {
    for (_, row) in store::scan(transaction, BranchRow::span()).await? {
        let branch = BranchRow::decode(row)?;
        if branch.layers.iter().any(|layer| layer.at < before && indexes.contains(&layer.index)) {
            let message = format!("a clone reads what \"{name}\" was before that moment");
            return Err(Error::new("55000", message)
                .detail("SHOW CLONES names the clones of a database; one that was dropped counts for as long as it can be read.")
                .hint("Write the clone anew, or erase what was before it was made."));
        }
    }
    Ok(())
}

/// The entries that versions of rows had in the table's other indexes.
async fn entries(client: &Client, erasure: &Erasure<'_>, rows: &Span) -> Result<Vec<Span>> {
    let format = TableFormat::new(erasure.table)?;
    if format.secondary.is_empty() {
        return Ok(Vec::new());
    }
    let reader = RowReader::whole(&format)?;
    let at = client.timestamp().await?.timestamp;
    let mut keys: BTreeSet<Bytes> = BTreeSet::new();
    let mut left = Some(VersionsLeft::all(rows.clone()));
    while let Some(wanted) = left.take() {
        let page = client.versions(wanted, 0, at, PAGE_BYTES).await?;
        left = page.left;
        for version in page.versions {
            let Some(value) = version.value.filter(|_| version.timestamp <= erasure.before) else { continue };
            let row = reader.read(&version.key, &value)?;
            let primary_columns = format.primary.columns_of(&version.key)?;
            for index in &format.secondary {
                let entry = format.entry(index, &row, primary_columns)?;
                keys.extend(entry.map(|entry| entry.key));
            }
            if keys.len() > ENTRIES_MAX {
                let message = format!(
                    "the rows had more than {ENTRIES_MAX} entries in indexes of \"{}\"",
                    erasure.table.name
                );
                return Err(Error::new("54000", message).hint("Erase the history of fewer rows at a time."));
            }
        }
    }
    Ok(keys.into_iter().map(|key| Span { end: successor(&key), start: key }).collect())
}

fn of_index(index: IndexId) -> Span {
    keys::sql::index_span(TENANT_DEFAULT, index)
}
