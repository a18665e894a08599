//! Memory accounts: of one statement, of one transaction, and the pool of the gateway that all of them draw from.
//!
//! ```text
//! MemoryPool (gateway) ──drawn in portions──▶ Memory (statement: rows that it sorts, hashes, groups, holds)
//!                      ──────────────────────▶ Memory (transaction: buffered writes, held locks)
//! ```
//!
//! What does not fit is refused (53200), alone: nobody else notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use expr::Datum;

use crate::error::{Error, Result};

/// How much is drawn from the pool at once.
const PORTION_BYTES: usize = 256 << 10;

/// What an account has drawn and does not use it keeps, up to this much: it may soon want it again.
const SURPLUS_BYTES_MAX: usize = 4 << 20;

/// What an account may use without asking the pool, so that small statements touch nothing that others touch.
const FREE_BYTES: usize = 64 << 10;

/// The memory of a gateway's statements and transactions.
///
/// Invariant: `drawn` is the sum of what living accounts have drawn, and never above `max`.
#[derive(Debug)]
pub(crate) struct MemoryPool {
    drawn: AtomicUsize,
    max: usize,
}

impl MemoryPool {
    /// A pool of so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { drawn: AtomicUsize::new(0), max: bytes_max })
    }

    fn draw(&self, bytes: usize) -> bool {
        let fits = |drawn: usize| drawn.checked_add(bytes).filter(|drawn| *drawn <= self.max);
        self.drawn.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.drawn.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes that a statement or transaction holds.
///
/// Invariants: `used` is the sum of what was reserved and not yet released, and never above `max`; what of it is above
/// [`FREE_BYTES`] has been drawn from the pool, which gets back what is far more than is used, and the rest when the
/// account is dropped.
#[derive(Debug)]
pub(crate) struct Memory {
    used: usize,
    most: usize,
    max: usize,
    drawn: usize,
    pool: Arc<MemoryPool>,
}

impl Memory {
    /// An empty account.
    pub(crate) fn new(bytes_max: usize, pool: &Arc<MemoryPool>) -> Self {
        Self { used: 0, most: 0, max: bytes_max, drawn: 0, pool: Arc::clone(pool) }
    }

    /// Takes bytes; 53200 if there are not enough left.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<()> {
        let used = self.used.saturating_add(bytes);
        if used > self.max {
            return Err(Error::new("53200", "out of memory")
                .detail(format!("The statement has to hold more than {} MB of rows at once.", self.max >> 20))
                .hint("Let it read fewer rows, or use an index whose order it needs."));
        }
        self.draw_for(used)?;
        self.now_used(used);
        Ok(())
    }

    /// What is held now is so many bytes, whatever it was before; 53200 if that is more than there is.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.max {
            return Err(Error::new("53200", "out of memory")
                .detail(format!("The transaction's writes and locks take more than {} MB.", self.max >> 20))
                .hint("Change fewer rows in one transaction."));
        }
        self.draw_for(bytes)?;
        self.now_used(bytes);
        Ok(())
    }

    /// The most that was ever held.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    fn now_used(&mut self, bytes: usize) {
        self.used = bytes;
        self.most = self.most.max(bytes);
        let wanted = bytes.saturating_sub(FREE_BYTES).next_multiple_of(PORTION_BYTES);
        let surplus = self.drawn.saturating_sub(wanted);
        if surplus >= SURPLUS_BYTES_MAX {
            self.pool.give_back(surplus);
            self.drawn = self.drawn.saturating_sub(surplus);
        }
    }

    fn draw_for(&mut self, used: usize) -> Result<()> {
        let wanted = used.saturating_sub(FREE_BYTES);
        if wanted <= self.drawn {
            return Ok(());
        }
        let missing = (wanted - self.drawn).next_multiple_of(PORTION_BYTES);
        if !self.pool.draw(missing) {
            return Err(Error::new("53200", "out of memory")
                .detail(format!(
                    "All statements and transactions of this gateway together hold {} MB, which is all that they may.",
                    self.pool.max >> 20
                ))
                .hint("Try again when fewer of them run, or give the gateway more (--sql-memory)."));
        }
        self.drawn = self.drawn.saturating_add(missing);
        Ok(())
    }

    /// Gives bytes back.
    pub(crate) fn release(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "more is released than was reserved");
        self.now_used(self.used.saturating_sub(bytes));
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.drawn > 0 {
            self.pool.give_back(self.drawn);
        }
    }
}

/// About how many bytes a row holds.
pub(crate) fn row_bytes(row: &[Datum]) -> usize {
    row.iter().fold(size_of::<Vec<Datum>>(), |sum, datum| sum.saturating_add(datum.size_bytes()))
}

/// Rows kept in memory, accounted for.
#[derive(Debug, Default)]
pub(crate) struct HeldRows {
    /// The rows.
    pub(crate) rows: Vec<Vec<Datum>>,
    bytes: usize,
}

impl HeldRows {
    /// Adds a row.
    pub(crate) fn push(&mut self, row: Vec<Datum>, memory: &mut Memory) -> Result<()> {
        let bytes = row_bytes(&row);
        memory.reserve(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        self.rows.push(row);
        Ok(())
    }

    /// Keeps only the first `count` rows.
    pub(crate) fn truncate(&mut self, count: usize, memory: &mut Memory) {
        let dropped: usize = self.rows.iter().skip(count).map(|row| row_bytes(row)).sum();
        self.rows.truncate(count);
        self.bytes = self.bytes.saturating_sub(dropped);
        memory.release(dropped);
    }

    /// Drops all rows.
    pub(crate) fn clear(&mut self, memory: &mut Memory) {
        self.rows.clear();
        memory.release(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_refuses_what_is_beyond_its_bound() {
        let mut memory = Memory::new(100, &MemoryPool::new(0));
        memory.reserve(60).unwrap();
        assert_eq!(memory.reserve(41).unwrap_err().sqlstate, "53200");
        memory.release(60);
        memory.reserve(100).unwrap();
    }

    #[test]
    fn what_is_far_more_than_is_used_goes_back_to_the_pool() {
        let pool = MemoryPool::new(100 << 20);
        let mut memory = Memory::new(usize::MAX, &pool);
        memory.hold(60 << 20).unwrap();
        memory.hold(1 << 20).unwrap();
        assert!(pool.drawn.load(Ordering::Relaxed) <= 2 << 20);
        memory.reserve(60 << 20).unwrap();
        memory.release(60 << 20);
        assert!(pool.drawn.load(Ordering::Relaxed) <= 2 << 20);
        assert_eq!(memory.most(), 61 << 20);
        drop(memory);
        assert_eq!(pool.drawn.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn accounts_share_what_the_pool_has_and_give_it_back() {
        let pool = MemoryPool::new(4 * PORTION_BYTES);
        let mut first = Memory::new(usize::MAX, &pool);
        first.reserve(3 * PORTION_BYTES + FREE_BYTES).unwrap();
        let mut second = Memory::new(usize::MAX, &pool);
        second.reserve(FREE_BYTES).unwrap();
        second.hold(PORTION_BYTES + FREE_BYTES).unwrap();
        let refused = second.hold(PORTION_BYTES + FREE_BYTES + 1).unwrap_err();
        assert_eq!(refused.sqlstate, "53200");
        drop(first);
        second.hold(4 * PORTION_BYTES + FREE_BYTES).unwrap();
        drop(second);
        assert_eq!(pool.drawn.load(Ordering::Relaxed), 0);
    }
}
