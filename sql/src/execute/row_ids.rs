//! Hidden row ids: the keys of tables without a primary key.
//!
//! A gateway takes blocks of ids from the cluster's counter, so that ids are distinct across gateways and across
//! restarts, and rows that one session inserts lie in the order in which it inserted them. What is left of a block
//! when a gateway goes is never used.

use client::Client;
use parking_lot::Mutex;

use crate::error::{Error, Result};

/// The name of the counter.
const COUNTER: &str = "row";

/// How many ids a gateway takes at once.
const BLOCK: u64 = 1 << 14;

/// A gateway's store of row ids.
#[derive(Debug, Default)]
pub(crate) struct RowIds(Mutex<Block>);

#[derive(Debug, Default)]
struct Block {
    next: u64,
    end: u64,
}

impl RowIds {
    /// The first of `count` ids in a row that are never given twice.
    pub(crate) async fn take(&self, client: &Client, count: u64) -> Result<i64> {
        if let Some(first) = self.take_held(count) {
            return to_id(first);
        }
        let size = BLOCK.max(count);
        let first = client.allocate_ids(COUNTER, size).await?;
        let mut block = self.0.lock();
        *block = Block { next: first.saturating_add(count), end: first.saturating_add(size) };
        to_id(first)
    }

    fn take_held(&self, count: u64) -> Option<u64> {
        let mut block = self.0.lock();
        let next = block.next.checked_add(count)?;
        if block.next == 0 && block.end == 0 || next > block.end {
            return None;
        }
        Some(std::mem::replace(&mut block.next, next))
    }
}

fn to_id(id: u64) -> Result<i64> {
    i64::try_from(id).map_err(|_| Error::new("54000", "row ids are exhausted"))
}
