//! What views show that only the cluster can tell, gathered before their rows are made.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use client::gateways::StatementCounts;
use client::{Client, NodeInfo, RangeInfo, ScanOptions, Span, Transaction, TransactionOptions};
use expr::SessionContext;

use super::statistics::visible_columns;
use super::usage;
use crate::activity::usage::{Counts, UsedObject};
use crate::activity::{Everyone, Roster};
use crate::catalog::{CatalogSnapshot, ColumnId, IndexId, Oid, TableDescriptor};
use crate::error::Result;
use crate::sequence::SessionSequences;
use crate::statistics::{self, ColumnStatistics};

/// What is read of statistics at once.
const PAGE: ScanOptions = ScanOptions { rows_max: 1000, bytes_max: 1 << 20, reverse: false };

/// What was gathered for a view; empty where it does not show it.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// The last numbers of sequences.
    pub(super) last_values: BTreeMap<Oid, i64>,
    /// All sessions.
    pub(super) everyone: Everyone,
    /// What statements have taken.
    pub(super) statements: Vec<StatementCounts>,
    /// How long the cluster keeps all history, in ms; 0: for ever.
    pub(super) history_ms: Option<u64>,
    /// The nodes.
    pub(super) nodes: Vec<NodeInfo>,
    /// The ranges.
    pub(super) ranges: Vec<RangeInfo>,
    /// How many rows ANALYZE has found, by tables' primary indexes.
    pub(super) rows: HashMap<IndexId, f64>,
    /// When it did, in microseconds since 2000.
    pub(super) analyzed: HashMap<IndexId, i64>,
    /// What was done to tables, indexes and databases.
    pub(super) usage: BTreeMap<UsedObject, Counts>,
    /// What it has found of the columns that the role may see.
    pub(super) statistics: HashMap<IndexId, BTreeMap<ColumnId, ColumnStatistics>>,
    /// What those take, of the statement's memory.
    held: usize,
}

/// Takes bytes of the statement's memory.
pub(crate) type Reserve<'a> = &'a mut (dyn FnMut(usize) -> Result<()> + Send);

/// Whom views ask.
pub(crate) struct Informants<'a> {
    /// The cluster.
    pub(crate) client: &'a Client,
    /// The sessions.
    pub(crate) roster: &'a Roster,
    /// The session's sequences.
    pub(crate) sequences: &'a SessionSequences,
    /// The catalog.
    pub(crate) catalog: &'a CatalogSnapshot,
    /// Its version.
    pub(crate) version: u64,
    /// Who asks.
    pub(crate) session: &'a SessionContext,
}

impl Gathered {
    /// Gathers what a view shows. It takes [`Gathered::held`] bytes.
    ///
    /// # Errors
    /// The cluster cannot be asked; 53200 if there is no memory for it.
    pub(crate) async fn of(
        view: &TableDescriptor,
        asked: Informants<'_>,
        reserve: Reserve<'_>,
    ) -> Result<Self> {
        let Informants { client, roster, sequences, catalog, version, session } = asked;
        let mut gathered = Self::default();
        match (view.schema.as_str(), view.name.as_str()) {
            ("pg_catalog", "pg_sequences") => {
                gathered.last_values = sequences.last_values(client, catalog, version).await?;
            }
            ("pg_catalog", "pg_stat_activity" | "pg_locks") | ("nunatak", "sessions" | "transactions") => {
                gathered.everyone = roster.everyone(client).await?;
            }
            ("pg_catalog", "pg_stat_statements") => {
                gathered.statements = roster.all_statements(client, false).await?;
            }
            ("pg_catalog", "pg_class") => gathered.gather_rows(client).await?,
            ("pg_catalog", "pg_stat_database") => {
                gathered.usage = roster.all_usage(client).await?;
                gathered.everyone = roster.everyone(client).await?;
            }
            ("pg_catalog", name) if usage::shows_counts(name) => {
                gathered.usage = roster.all_usage(client).await?;
                gathered.gather_rows(client).await?;
            }
            ("pg_catalog", "pg_stats") => {
                gathered.gather_statistics(client, visible_columns(catalog, session), reserve).await?;
            }
            ("nunatak", "jobs") => {
                gathered.everyone = roster.everyone(client).await?;
                gathered.nodes = client.nodes().await?;
            }
            ("nunatak", "cluster_settings") => {
                gathered.history_ms = Some(client.history().await?.history_ms);
            }
            ("nunatak", "nodes") => gathered.nodes = client.nodes().await?,
            ("nunatak", "ranges") => gathered.ranges = client.ranges_with_loads().await?,
            _ => {}
        }
        Ok(gathered)
    }

    /// How many rows all tables have, and when that was found.
    async fn gather_rows(&mut self, client: &Client) -> Result<()> {
        let mut pages = Pages::new(client, statistics::tables_span());
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                let found = statistics::index_of(key).zip(statistics::decode_found(value));
                let Some((index, (rows, at_us))) = found else { continue };
                self.rows.insert(index, rows);
                self.analyzed.insert(index, at_us);
            }
        }
        Ok(())
    }

    /// How many bytes of the statement's memory it takes.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// The statistics of these columns. Of others nothing is looked at.
    async fn gather_statistics(
        &mut self,
        client: &Client,
        columns: HashMap<IndexId, HashSet<ColumnId>>,
        reserve: Reserve<'_>,
    ) -> Result<()> {
        let mut pages = Pages::new(client, statistics::columns_span());
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                let Some(index) = statistics::index_of(key) else { continue };
                let Some(columns) = columns.get(&index) else { continue };
                let Some(mut found) = statistics::decode_columns(value) else { continue };
                found.retain(|column, _| columns.contains(column));
                let bytes: usize = found.values().map(ColumnStatistics::size_bytes).sum();
                reserve(bytes)?;
                self.held = self.held.saturating_add(bytes);
                self.statistics.insert(index, found);
            }
        }
        Ok(())
    }
}

/// Reads rows, page by page.
struct Pages {
    transaction: Transaction,
    left: Option<Span>,
}

impl Pages {
    fn new(client: &Client, span: Span) -> Self {
        let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
        Self { transaction: client.begin(options), left: Some(span) }
    }

    /// Keys and values; `None`: there are no more.
    async fn next(&mut self) -> Result<Option<Vec<(Bytes, Bytes)>>> {
        let Some(span) = self.left.take() else { return Ok(None) };
        let page = self.transaction.scan(span, PAGE).await?;
        self.left = page.resume;
        if self.left.is_none() {
            self.transaction.rollback().await;
        }
        Ok(Some(page.rows))
    }
}
