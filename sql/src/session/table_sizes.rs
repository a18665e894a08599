//! How large tables are, for planning: measured when a statement is planned that depends on it, kept for a while.
//!
//! What is not known in time is not waited for: a plan is right whatever the sizes are.

use std::collections::HashMap;
use std::time::Duration;

use client::Client;
use env::clock::{self, Instant};
use keys::sql::TENANT_DEFAULT;
use parking_lot::Mutex;

use crate::catalog::IndexId;
use crate::optimise::TableSizes;

/// For so long a size is taken for what it was.
const AGE_MAX: Duration = Duration::from_secs(60);
/// For so long is waited for an answer.
const WAIT_MAX: Duration = Duration::from_millis(200);
/// So many sizes are kept.
const SIZES_MAX: usize = 10_000;

/// What was measured last.
#[derive(Debug, Default)]
pub(super) struct MeasuredSizes {
    measured: Mutex<HashMap<IndexId, (Instant, u64)>>,
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
            let spans: Vec<keys::Span> =
                missing.iter().map(|index| keys::sql::index_span(TENANT_DEFAULT, *index)).collect();
            // What could not be measured is not asked for again at once.
            let bytes = match clock::timeout(WAIT_MAX, client.sizes(&spans)).await {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(_)) | Err(_) => vec![0; missing.len()],
            };
            let mut measured = self.measured.lock();
            if measured.len().saturating_add(missing.len()) > SIZES_MAX {
                measured.clear();
            }
            for (index, bytes) in missing.into_iter().zip(bytes) {
                measured.insert(index, (now, bytes));
                known.insert(index, bytes);
            }
        }
        TableSizes::new(known)
    }

    fn known(&self, tables: &[IndexId], now: Instant) -> (HashMap<IndexId, u64>, Vec<IndexId>) {
        let measured = self.measured.lock();
        let (mut known, mut missing) = (HashMap::new(), Vec::new());
        for table in tables {
            match measured.get(table) {
                Some((at, bytes)) if now.saturating_duration_since(*at) < AGE_MAX => {
                    known.insert(*table, *bytes);
                }
                _ => missing.push(*table),
            }
        }
        (known, missing)
    }
}
