//! How large tables are, and what ANALYZE has found of them, for planning: measured and read when a statement is planned that depends on it, kept for a while.
//!
//! What is not known in time is not waited for: a plan is right whatever the sizes are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{Client, TransactionOptions};
use env::clock::{self, Instant};
use keys::sql::TENANT_DEFAULT;
use parking_lot::Mutex;

use crate::catalog::IndexId;
use crate::error::Result;
use crate::optimise::TableSizes;
use crate::statistics::{self, TableStatistics};

/// For so long a size is taken for what it was.
const AGE_MAX: Duration = Duration::from_secs(60);
/// For so long is waited for an answer.
const WAIT_MAX: Duration = Duration::from_millis(200);
/// So many sizes are kept.
const SIZES_MAX: usize = 10_000;
/// So many bytes of statistics are kept.
const STATISTICS_BYTES_MAX: usize = 64 << 20;

/// What was measured last.
#[derive(Debug, Default)]
pub(super) struct MeasuredSizes {
    measured: Mutex<Kept>,
}

/// # Invariants
/// - `statistics_bytes` is the sum of what the statistics of `tables` take, and at most [`STATISTICS_BYTES_MAX`].
#[derive(Debug, Default)]
struct Kept {
    tables: HashMap<IndexId, Measured>,
    statistics_bytes: usize,
}

impl Kept {
    /// Keeps what is known of a table; for lack of room, that alone.
    fn insert(&mut self, table: IndexId, own: Measured) {
        self.remove(table);
        let bytes = own.statistics_bytes();
        let is_full = self.tables.len() >= SIZES_MAX
            || self.statistics_bytes.saturating_add(bytes) > STATISTICS_BYTES_MAX;
        if is_full {
            *self = Self::default();
        }
        self.statistics_bytes = self.statistics_bytes.saturating_add(bytes);
        self.tables.insert(table, own);
    }

    fn remove(&mut self, table: IndexId) {
        if let Some(own) = self.tables.remove(&table) {
            self.statistics_bytes = self.statistics_bytes.saturating_sub(own.statistics_bytes());
        }
    }
}

#[derive(Debug, Clone)]
struct Measured {
    at: Instant,
    bytes: u64,
    statistics: Option<Arc<TableStatistics>>,
}

impl Measured {
    fn statistics_bytes(&self) -> usize {
        self.statistics.as_ref().map_or(0, |statistics| statistics.size_bytes())
    }
}

/// Sizes that a seed makes, from nothing to a gigabyte.
pub(super) fn pretended(seed: u64, tables: &[IndexId]) -> TableSizes {
    let size = |table: &IndexId| {
        let mixed = (seed ^ table).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (*table, 1 << ((mixed >> 32) % 31))
    };
    TableSizes::new(tables.iter().map(size).collect())
}

impl MeasuredSizes {
    /// The sizes of tables, by their primary indexes.
    pub(super) async fn of(&self, client: &Client, tables: &[IndexId]) -> TableSizes {
        let now = clock::now();
        let (mut known, missing) = self.known(tables, now);
        if !missing.is_empty() {
            let asked =
                futures::future::join(read_sizes(client, &missing), read_statistics(client, &missing));
            let (bytes, found) = match clock::timeout(WAIT_MAX, asked).await {
                Ok((bytes, found)) => (bytes.ok(), found.ok()),
                Err(_) => (None, None),
            };
            let mut measured = self.measured.lock();
            for (place, index) in missing.into_iter().enumerate() {
                // What could not be measured is not asked for again at once: it is taken for what it was.
                let before = measured.tables.get(&index);
                let bytes = match &bytes {
                    Some(bytes) => bytes.get(place).copied(),
                    None => before.map(|before| before.bytes),
                };
                let statistics = match &found {
                    Some(found) => found.get(&index).cloned(),
                    None => before.and_then(|before| before.statistics.clone()),
                };
                let own = Measured { at: now, bytes: bytes.unwrap_or(0), statistics };
                measured.insert(index, own.clone());
                known.insert(index, own);
            }
        }
        let bytes = known.iter().map(|(index, own)| (*index, own.bytes)).collect();
        let statistics = known.into_iter().filter_map(|(index, own)| Some((index, own.statistics?)));
        TableSizes::new(bytes).with(statistics.collect())
    }

    /// Forgets what is known of a table.
    pub(super) fn forget(&self, table: IndexId) {
        self.measured.lock().remove(table);
    }

    fn known(&self, tables: &[IndexId], now: Instant) -> (HashMap<IndexId, Measured>, Vec<IndexId>) {
        let measured = self.measured.lock();
        let (mut known, mut missing) = (HashMap::new(), Vec::new());
        for table in tables {
            match measured.tables.get(table) {
                Some(own) if now.saturating_duration_since(own.at) < AGE_MAX => {
                    known.insert(*table, own.clone());
                }
                _ => missing.push(*table),
            }
        }
        (known, missing)
    }
}

/// The bytes that whoever reads tables reads: of clones what they lie over, too.
async fn read_sizes(client: &Client, tables: &[IndexId]) -> Result<Vec<u64>> {
    let spans: Vec<keys::Span> =
        tables.iter().map(|index| keys::sql::index_span(TENANT_DEFAULT, *index)).collect();
    let mut sizes = client.sizes(&spans).await?;
    for (table, size) in tables.iter().zip(&mut sizes).filter(|(table, _)| keys::sql::is_branch(**table)) {
        *size = size.saturating_add(client.size_below(*table).await?);
    }
    Ok(sizes)
}

async fn read_statistics(
    client: &Client,
    tables: &[IndexId],
) -> Result<HashMap<IndexId, Arc<TableStatistics>>> {
    let mut transaction =
        client.begin(TransactionOptions { read_only: true, ..TransactionOptions::default() });
    let keys = tables.iter().flat_map(|table| statistics::row_keys(*table));
    let values = transaction.get_many(keys.collect()).await?;
    transaction.rollback().await;
    let found = |(table, values): (&IndexId, &[Option<Bytes>])| {
        let [Some(own), Some(columns)] = values else { return None };
        Some((*table, Arc::new(statistics::decode(own, columns)?)))
    };
    Ok(tables.iter().zip(values.chunks(2)).filter_map(found).collect())
}

#[cfg(test)]
mod tests {
    use expr::Datum;

    use super::*;
    use crate::statistics::ColumnStatistics;

    #[test]
    fn statistics_are_kept_within_bounds() {
        let wide = || ColumnStatistics {
            histogram: vec![Datum::text("x".repeat(1 << 20))],
            ..ColumnStatistics::default()
        };
        let statistics = || TableStatistics { columns: [(1, wide())].into(), ..TableStatistics::default() };
        let measured = || Measured { at: clock::now(), bytes: 1, statistics: Some(Arc::new(statistics())) };
        let mut kept = Kept::default();
        for table in 0..200 {
            kept.insert(table, measured());
            kept.insert(table, measured());
            assert!(kept.statistics_bytes <= STATISTICS_BYTES_MAX);
            assert!(kept.statistics_bytes >= kept.tables.len() << 20);
            assert!(kept.tables.contains_key(&table));
        }
        for table in 0..200 {
            kept.remove(table);
        }
        assert_eq!((kept.tables.len(), kept.statistics_bytes), (0, 0));
    }
}
