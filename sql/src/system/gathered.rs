//! What views show that only the cluster can tell, gathered before their rows are made.

use std::collections::BTreeMap;

use bytes::Bytes;
use client::gateways::StatementCounts;
use client::{Client, NodeInfo, RangeInfo, Span};

use crate::activity::{Everyone, Roster};
use crate::catalog::{CatalogSnapshot, Oid, TableDescriptor};
use crate::error::Result;
use crate::sequence::SessionSequences;

/// What was gathered for a view; empty where it does not show it.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// The last numbers of sequences.
    pub(super) last_values: BTreeMap<Oid, i64>,
    /// All sessions.
    pub(super) everyone: Everyone,
    /// What statements have taken.
    pub(super) statements: Vec<StatementCounts>,
    /// The nodes.
    pub(super) nodes: Vec<NodeInfo>,
    /// The ranges.
    pub(super) ranges: Vec<RangeInfo>,
}

impl Gathered {
    /// Gathers what a view shows.
    ///
    /// # Errors
    /// The cluster cannot be asked.
    pub(crate) async fn of(
        view: &TableDescriptor,
        client: &Client,
        roster: &Roster,
        sequences: &SessionSequences,
        catalog: &CatalogSnapshot,
        version: u64,
    ) -> Result<Self> {
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
            ("nunatak", "nodes") => gathered.nodes = client.nodes().await?,
            ("nunatak", "ranges") => {
                let all = Span { start: Bytes::new(), end: Bytes::new() };
                gathered.ranges = client.ranges(&all).await?;
            }
            _ => {}
        }
        Ok(gathered)
    }
}
