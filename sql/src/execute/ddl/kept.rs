//! Tells the cluster which history is to be kept for longer than all other, as the catalog says.
//!
//! A table's history is that of all indexes that hold or held its rows, as long as something of them is there, and that of
//! the catalog's own rows of tables and types: without them nobody would know what the rows are. That of indexes below
//! branches ([`client::BranchRow`]) is kept as long as these are there. Every gateway tells it now and
//! then, and whoever has changed it at once; what was read of the catalog later counts.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use client::{BranchRow, Client, History, KeptHistory, Span, Transaction, TransactionOptions};
use keys::sql::TENANT_DEFAULT;

use super::store;
use crate::catalog::database::{self, Databases};
use crate::catalog::home::Home;
use crate::catalog::kept::{self, ALL_TABLES, Kept};
use crate::catalog::{IndexId, Oid, dropped, object, stored};
use crate::error::{Error, Result};
use crate::moment;

/// So many spans the cluster keeps for longer.
const SPANS_MAX: usize = 1000;

/// The history of what lies below a branch.
const BELOW: Kept = Kept { history_ms: Some(0), held_until_ms: None };

/// What is said of the tables of one database.
type Said = BTreeMap<Oid, Kept>;

/// Tells it; what the cluster keeps of all other history.
pub(crate) async fn tell_kept(client: &Client) -> Result<History> {
    let (version, wanted) = wanted_history(client).await?;
    tell(client, version, &wanted).await
}

/// Tells what was said when the catalog was read at this timestamp.
pub(super) async fn tell(client: &Client, version: u64, wanted: &[KeptHistory]) -> Result<History> {
    check_count(wanted.len())?;
    Ok(client.keep_history(version, wanted).await?)
}

/// Whether it is said that what was there at a timestamp is still to be kept.
pub(super) fn is_kept(wanted: &[KeptHistory], index: IndexId, at: u64, now: u64) -> bool {
    let span = of_index(index);
    let own = wanted.binary_search_by(|kept| kept.span.start.cmp(&span.start)).ok();
    own.and_then(|own| wanted.get(own)).is_some_and(|kept| {
        let (at, now) = (moment::unix_ms_of(at), moment::unix_ms_of(now));
        kept.history_ms == 0 || at.saturating_add(kept.history_ms) > now || kept.held_until_ms > now
    })
}

/// Whether what was there at a timestamp will be, once it is told that it is to be kept: ranges may still follow what they were told
/// before, up to a safe point that they have not come to yet. `wanted` is what was said then, `safe_point` the furthest that
/// anybody was told since.
pub(super) fn outlasts(
    wanted: &[KeptHistory],
    index: IndexId,
    at: u64,
    (safe_point, now): (u64, u64),
) -> bool {
    at > safe_point || is_kept(wanted, index, at, now)
}

/// What is to be kept for longer, as the catalog says at this timestamp.
pub(super) async fn wanted_history(client: &Client) -> Result<(u64, Vec<KeptHistory>)> {
    let mut transaction = reader(client);
    let version = transaction.read_timestamp().await?;
    let wanted = wanted_in(&mut transaction).await?;
    transaction.rollback().await;
    Ok((version, wanted))
}

/// 54000 if the cluster cannot keep all that is to be kept once a transaction, which says so, is committed.
pub(crate) async fn check_said(transaction: &mut Transaction) -> Result<()> {
    check_count(wanted_in(transaction).await?.len())
}

/// 54000 if the cluster has been told nothing of late, because it cannot keep all that is wanted.
pub(crate) async fn check_told(client: &Client) -> Result<()> {
    check_count(wanted_history(client).await?.1.len())
}

/// 54000 if the cluster cannot keep one more index, or several of one transaction, of a database of which all history is kept for longer.
pub(super) async fn check_new(client: &Client, home: Home, new: usize) -> Result<()> {
    let mut transaction = reader(client);
    let said = transaction.get(kept::key(home, ALL_TABLES)).await?;
    transaction.rollback().await;
    if said.is_none() {
        return Ok(());
    }
    let (_, wanted) = wanted_history(client).await?;
    check_count(wanted.len().saturating_add(new))
}

fn reader(client: &Client) -> Transaction {
    client.begin(TransactionOptions { read_only: true, ..TransactionOptions::default() })
}

async fn wanted_in(transaction: &mut Transaction) -> Result<Vec<KeptHistory>> {
    let mut databases = Databases::default();
    for (_, value) in store::scan(transaction, database::span()).await? {
        databases.take(&value)?;
    }
    let mut wanted = Vec::new();
    let mut said_of: BTreeMap<Oid, Said> = BTreeMap::new();
    for database in databases.iter() {
        let home = Home::of(database.oid);
        let said = said(transaction, home).await?;
        if said.is_empty() {
            continue;
        }
        for (table, indexes) in tables(transaction, home, &said).await? {
            let kept = of_table(&said, table);
            wanted.extend(indexes.into_iter().map(|index| (of_index(index), kept)));
        }
        let longest = said.values().copied().fold(Kept::default(), Kept::longer);
        wanted.push((stored::tables_span(home), longest));
        wanted.push((object::stored::objects_span(home), longest));
        said_of.insert(database.oid, said);
    }
    if !said_of.is_empty() {
        for (row, value) in store::scan(transaction, dropped::span()).await? {
            let of = dropped::index_of(&row).zip(dropped::table_of(&value));
            let Some((index, (database, table))) = of else { continue };
            if let Some(said) = said_of.get(&database) {
                wanted.push((of_index(index), of_table(said, table)));
            }
        }
    }
    let mut lower = Vec::new();
    for (_, row) in store::scan(transaction, BranchRow::span()).await? {
        lower.extend(below(row)?);
    }
    Ok(history(wanted, lower))
}

/// What is to be kept for a branch.
fn below(row: Bytes) -> Result<impl Iterator<Item = Span>> {
    let row = BranchRow::decode(row)?;
    Ok(row.layers.into_iter().map(|layer| of_index(layer.index)))
}

/// 54000 if the cluster cannot keep what lies below branches to be beside all else that is wanted.
pub(super) fn check_room<'b>(
    wanted: &[KeptHistory],
    branches: impl Iterator<Item = &'b BranchRow>,
) -> Result<()> {
    let is_kept = |span: &Span| wanted.binary_search_by(|kept| kept.span.start.cmp(&span.start)).is_ok();
    let layers = branches.flat_map(|branch| &branch.layers).map(|layer| of_index(layer.index));
    let new: BTreeSet<Bytes> = layers.filter(|span| !is_kept(span)).map(|span| span.start).collect();
    check_count(wanted.len().saturating_add(new.len()))
}

fn check_count(spans: usize) -> Result<()> {
    if spans <= SPANS_MAX {
        return Ok(());
    }
    let message = format!("the history of more than {SPANS_MAX} indexes is to be kept for longer");
    let hint = "Have that of a database, or of a table with its indexes, kept no longer than all other.";
    Err(Error::new("54000", message).hint(hint))
}

/// What is said of the tables of a database.
pub(crate) async fn said(transaction: &mut Transaction, home: Home) -> Result<Said> {
    let rows = store::scan(transaction, kept::span(home)).await?;
    rows.iter().map(|(_, value)| kept::decode(value)).collect()
}

fn of_table(said: &Said, table: Oid) -> Kept {
    let of = |oid| said.get(&oid).copied().unwrap_or_default();
    of(table).or(of(ALL_TABLES))
}

fn of_index(index: IndexId) -> Span {
    keys::sql::index_span(TENANT_DEFAULT, index)
}

/// The tables of which something is said, with their indexes.
async fn tables(transaction: &mut Transaction, home: Home, said: &Said) -> Result<Vec<(Oid, Vec<IndexId>)>> {
    if said.contains_key(&ALL_TABLES) {
        let rows = store::scan(transaction, stored::tables_span(home)).await?;
        return rows.iter().map(|(_, value)| stored::indexes_of(value)).collect();
    }
    let keys = said.keys().map(|table| stored::table_key(home, *table)).collect();
    let rows = transaction.get_many(keys).await?;
    rows.iter().flatten().map(|value| stored::indexes_of(value)).collect()
}

/// The spans in order, of which something is to be kept for longer: as long as anybody wants, and all of what lies below branches.
fn history(wanted: Vec<(Span, Kept)>, lower: Vec<Span>) -> Vec<KeptHistory> {
    let mut all: BTreeMap<Bytes, (Span, Kept, bool)> = BTreeMap::new();
    let wanted = wanted.into_iter().filter(|(_, kept)| !kept.is_empty());
    let wanted = wanted.map(|(span, kept)| (span, kept, false));
    for (span, kept, below) in wanted.chain(lower.into_iter().map(|span| (span, BELOW, true))) {
        let start = span.start.clone();
        let known = all.entry(start).or_insert_with(|| (span, Kept::default(), false));
        known.1 = known.1.longer(kept);
        known.2 |= below;
    }
    let kept = all.into_values().map(|(span, kept, below)| KeptHistory {
        span,
        // Until it may be forgotten it is kept; then only as long as all other.
        history_ms: kept.history_ms.unwrap_or(1),
        held_until_ms: kept.held_until_ms.unwrap_or(0),
        below,
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_is_kept_for_as_long_as_is_said() {
        let at = |ms: u64| ms << 18;
        let of = |index, history_ms, held_until_ms| {
            let kept = Kept { history_ms, held_until_ms };
            (of_index(index), kept)
        };
        let said = vec![
            of(900, Some(1_000), None),
            of(800, Some(0), None),
            of(850, None, Some(9_000)),
            of(860, None, None),
            of(870, None, Some(9_000)),
        ];
        let wanted = history(said, vec![of_index(870), of_index(870)]);
        assert_eq!(wanted.len(), 4);
        let below: Vec<&KeptHistory> = wanted.iter().filter(|kept| kept.below).collect();
        assert_eq!((below.len(), &below[0].span), (1, &of_index(870)));
        let is_kept = |index, now| is_kept(&wanted, index, at(5_000), at(now));
        assert!(is_kept(800, 1_000_000));
        assert!(is_kept(850, 8_999) && !is_kept(850, 9_000));
        assert!(is_kept(900, 5_999) && !is_kept(900, 6_000));
        assert!(!is_kept(860, 5_001) && !is_kept(7, 5_001));
        let outlasts = |index, safe_point| outlasts(&wanted, index, at(5_000), (at(safe_point), at(5_999)));
        assert!(outlasts(7, 4_999) && outlasts(860, 4_999));
        assert!(!outlasts(7, 5_000) && !outlasts(860, 5_100), "ranges may be told already to forget it");
        assert!(outlasts(900, 5_100) && outlasts(800, 5_100), "they were told to keep it");
        assert!(is_kept(870, 1_000_000), "what is below a branch is kept, whatever is said of it besides");
        let branch = |index| BranchRow {
            layers: vec![client::Layer { index, at: 7 }, client::Layer { index: 870, at: 5 }],
            note: Bytes::new(),
        };
        assert!(check_room(&wanted, [branch(1), branch(1)].iter()).is_ok());
        let many: Vec<BranchRow> = (2000..2997).map(branch).collect();
        assert_eq!(check_room(&wanted, many.iter()).unwrap_err().sqlstate, "54000");
        assert!(check_room(&wanted, many[1..].iter()).is_ok());
    }
}
