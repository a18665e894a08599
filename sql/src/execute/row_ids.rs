//! Hidden row ids: the keys of tables without a primary key.
//!
//! A gateway takes blocks of ids from the cluster's counter, so that ids are distinct across gateways and across
//! restarts, and rows that one session inserts lie in the order in which it inserted them. What is left of a block
//! when a gateway goes is never used.
//!
//! A table that is restored brings rows along with the ids that they had elsewhere. Before it is there the counter is moved beyond all of
//! them; so a block serves only statements that were planned under a catalog no newer than the one that it was taken under: for a
//! newer one another block is taken.

use client::Client;
use parking_lot::Mutex;

use crate::error::{Error, Result};

/// The name of the counter.
pub(crate) const COUNTER: &str = "row";

/// How many ids a gateway takes at once.
const BLOCK: u64 = 1 << 14;

/// A gateway's store of row ids.
#[derive(Debug, Default)]
pub(crate) struct RowIds(Mutex<Block>);

#[derive(Debug, Default)]
struct Block {
    next: u64,
    end: u64,
    /// The catalog version that it was taken under, or an older one.
    version: u64,
}

impl RowIds {
    /// The first of `count` ids in a row that are never given twice, for a statement that was planned under this catalog version.
    pub(crate) async fn take(&self, client: &Client, version: u64, count: u64) -> Result<i64> {
        if let Some(first) = self.take_held(version, count) {
            return to_id(first);
        }
        let size = BLOCK.max(count);
        let first = client.allocate_ids(COUNTER, size).await?;
        let mut block = self.0.lock();
        *block = Block { next: first.saturating_add(count), end: first.saturating_add(size), version };
        to_id(first)
    }

    fn take_held(&self, version: u64, count: u64) -> Option<u64> {
        let mut block = self.0.lock();
        let next = block.next.checked_add(count)?;
        if block.end == 0 || next > block.end || version > block.version {
            return None;
        }
        Some(std::mem::replace(&mut block.next, next))
    }
}

fn to_id(id: u64) -> Result<i64> {
    i64::try_from(id).map_err(|_| Error::new("54000", "row ids are exhausted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_serves_no_newer_catalog_than_its_own() {
        let ids = RowIds(Mutex::new(Block { next: 5, end: 9, version: 3 }));
        assert_eq!(ids.take_held(3, 2), Some(5));
        assert_eq!(ids.take_held(2, 1), Some(7));
        assert_eq!(ids.take_held(4, 1), None);
        assert_eq!(ids.take_held(3, 2), None);
        assert_eq!(ids.take_held(3, 1), Some(8));
        assert_eq!(RowIds::default().take_held(0, 1), None);
    }
}
