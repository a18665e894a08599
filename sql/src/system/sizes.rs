//! How much room tables and indexes take, for the functions that tell (`pg_relation_size` and its like).
//!
//! A function is computed at once, and ranges answer later: so a statement that calls one of these has everything measured
//! before it runs ([`Sizes::measure`]), once, however many rows ask.
//!
//! A table is its primary index: so the index of a primary key takes no room of its own. What is told is what one replica
//! has on its disk and in memory, compressed, with history and what is deleted and not yet compacted away.

use std::collections::HashMap;

use client::Client;
use keys::sql::TENANT_DEFAULT;
use parking_lot::Mutex;

use crate::catalog::{CatalogSnapshot, IndexId, TableDescriptor};

/// What history of a table takes, that of its indexes included.
const HISTORY_SIZE: &str = "pg_history_size";

/// Whether a function tells what [`Sizes`] knows.
pub(crate) fn tells(function: &str) -> bool {
    matches!(
        function,
        "pg_database_size"
            | "pg_tablespace_size"
            | "pg_relation_size"
            | "pg_table_size"
            | "pg_indexes_size"
            | "pg_total_relation_size"
            | HISTORY_SIZE
    )
}

/// Whether it tells of history.
pub(crate) fn tells_history(function: &str) -> bool {
    function == HISTORY_SIZE
}

/// What was measured last.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    measured: Mutex<Measured>,
}

#[derive(Debug, Default)]
struct Measured {
    indexes: HashMap<IndexId, u64>,
    /// Of these what is taken by versions that have a newer one, if that was asked for.
    history: HashMap<IndexId, u64>,
    database: Option<u64>,
}

impl Sizes {
    /// Measures what the catalog knows of, and the database. What cannot be measured is not known until the next time.
    pub(crate) async fn measure(&self, client: &Client, catalog: &CatalogSnapshot, with_history: bool) {
        let stored = catalog.tables().filter(|table| table.kind.is_stored());
        let indexes: Vec<IndexId> =
            stored.flat_map(|table| table.indexes.iter().map(|index| index.id)).collect();
        let spans = indexes.iter().map(|index| keys::sql::index_span(TENANT_DEFAULT, *index));
        // The first database is taken for all there is as long as there is no other.
        let alone = catalog.databases().iter().count() <= 3 && catalog.home().whole().is_none();
        let whole = alone.then(keys::sql::data_span);
        let spans: Vec<keys::Span> = spans.chain(whole.or_else(|| catalog.home().whole())).collect();
        let has_rest = spans.len() > indexes.len();
        let of_history = match spans.get(..indexes.len()).filter(|_| with_history) {
            Some(spans) => client.history_sizes(spans).await,
            None => Ok(Vec::new()),
        };
        let of_history = of_history.unwrap_or_else(|error| {
            tracing::debug!(%error, "what history takes is not known");
            Vec::new()
        });
        let history = indexes.iter().copied().zip(of_history).collect();
        let measured = match client.sizes(&spans).await {
            Ok(mut bytes) => {
                let rest = if has_rest { bytes.pop().unwrap_or(0) } else { 0 };
                let database = if alone { rest } else { bytes.iter().sum::<u64>().saturating_add(rest) };
                Measured {
                    indexes: indexes.into_iter().zip(bytes).collect(),
                    history,
                    database: Some(database),
                }
            }
            Err(error) => {
                tracing::debug!(%error, "sizes are not known");
                Measured::default()
            }
        };
        *self.measured.lock() = measured;
    }

    /// The database.
    pub(super) fn database(&self) -> Option<u64> {
        self.measured.lock().database
    }

    /// A table without its other indexes.
    pub(super) fn table(&self, table: &TableDescriptor) -> Option<u64> {
        if !table.kind.is_stored() { Some(0) } else { self.index(table.primary()?.id) }
    }

    /// The history of a table and its indexes.
    pub(super) fn history(&self, table: &TableDescriptor) -> Option<u64> {
        let measured = self.measured.lock();
        let stored = table.indexes.iter().filter(|_| table.kind.is_stored());
        stored.map(|index| measured.history.get(&index.id).copied()).sum()
    }

    /// The indexes of a table but the one that is the table.
    pub(super) fn indexes(&self, table: &TableDescriptor) -> Option<u64> {
        table.secondary().iter().map(|index| self.index(index.id)).sum()
    }

    /// An index, be it a table or not.
    pub(super) fn index(&self, index: IndexId) -> Option<u64> {
        self.measured.lock().indexes.get(&index).copied()
    }
}
