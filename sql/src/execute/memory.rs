//! Memory accounts: of one statement, of one transaction, and the pool of the gateway that all of them draw from.
//!
//! ```text
//! MemoryPool (gateway) ──drawn in portions──▶ Memory (statement: rows that it sorts, hashes, groups, holds)
//!                      ──────────────────────▶ Memory (transaction: buffered writes, held locks)
//! ```
//!
//! A step that can put rows aside takes its share of a statement's memory and no more ([`Memory::share`]); what does not fit
//! even so is refused (53200), alone: nobody else notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use expr::Datum;

use super::temporary::TemporarySpace;
use crate::error::{Error, Result};

/// Of what is left of a statement's memory a step that can put rows aside takes one part in so many: there may be more
/// steps like it above and below.
const SHARES: usize = 3;

/// A share is not smaller than this.
const SHARE_BYTES_MIN: usize = 1 << 20;

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
    /// Where rows go that do not fit, if they may go anywhere.
    temporary: Option<Arc<TemporarySpace>>,
}

impl MemoryPool {
    /// A pool of so many bytes.
    pub(crate) fn new(bytes_max: usize, temporary: Option<Arc<TemporarySpace>>) -> Arc<Self> {
        Arc::new(Self { drawn: AtomicUsize::new(0), max: bytes_max, temporary })
    }

    fn draw(&self, bytes: usize) -> bool {
        let fits = |drawn: usize| drawn.checked_add(bytes).filter(|drawn| *drawn <= self.max);
        self.drawn.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// What nobody has drawn.
    fn free(&self) -> usize {
        self.max.saturating_sub(self.drawn.load(Ordering::Relaxed))
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
    /// What a step may hold at most before it puts rows aside, whatever there is.
    step_max: usize,
    /// Bytes that went to temporary files.
    spilled: u64,
    /// So many may.
    spilled_max: Option<u64>,
    pool: Arc<MemoryPool>,
}

impl Memory {
    /// An empty account.
    pub(crate) fn new(bytes_max: usize, pool: &Arc<MemoryPool>) -> Self {
        Self {
            used: 0,
            most: 0,
            max: bytes_max,
            drawn: 0,
            step_max: usize::MAX,
            spilled: 0,
            spilled_max: None,
            pool: Arc::clone(pool),
        }
    }

    /// The same account, whose steps put rows aside once they hold `step_max` bytes, and no more than `spilled_max` of them.
    pub(crate) fn bounded(mut self, step_max: usize, spilled_max: Option<u64>) -> Self {
        self.step_max = step_max;
        self.spilled_max = spilled_max;
        self
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

    /// How much is held.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The most that was ever held.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// How much a step may hold before it puts rows aside; `None`: there is nowhere to put them.
    pub(crate) fn share(&self) -> Option<usize> {
        let space = self.pool.temporary.as_ref()?;
        let of_pool = self.pool.free().saturating_add(self.drawn);
        let left = self.max.min(of_pool).saturating_sub(self.used);
        let of_steps = (left / SHARES).max(SHARE_BYTES_MIN).min(self.step_max);
        Some(space.forced_share().unwrap_or(of_steps))
    }

    /// Takes bytes for a step that holds some already; false if it has to put rows aside first. Who holds nothing is not told
    /// so.
    ///
    /// # Errors
    /// 53200: there are not enough left, and nothing can be put aside.
    pub(crate) fn reserve_within(&mut self, bytes: usize, held: usize, share: Option<usize>) -> Result<bool> {
        let Some(share) = share.filter(|_| held > 0) else { return self.reserve(bytes).map(|()| true) };
        Ok(held.saturating_add(bytes) <= share && self.reserve(bytes).is_ok())
    }

    /// Where rows go that do not fit.
    pub(crate) fn temporary(&self) -> Option<&Arc<TemporarySpace>> {
        self.pool.temporary.as_ref()
    }

    /// So many bytes go to a temporary file. 53400 if they may not.
    pub(crate) fn note_spilled(&mut self, bytes: usize) -> Result<()> {
        self.spilled = self.spilled.saturating_add(bytes as u64);
        match self.spilled_max.filter(|most| self.spilled > *most) {
            None => Ok(()),
            Some(most) => {
                let message = format!("temporary file size exceeds temp_file_limit ({}kB)", most >> 10);
                Err(Error::new("53400", message))
            }
        }
    }

    /// How many bytes went to temporary files.
    pub(crate) fn spilled(&self) -> u64 {
        self.spilled
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

    /// Adds a row unless that is more than its step may hold; then it is handed back.
    pub(crate) fn push_within(
        &mut self,
        row: Vec<Datum>,
        share: Option<usize>,
        memory: &mut Memory,
    ) -> Result<Option<Vec<Datum>>> {
        let bytes = row_bytes(&row);
        if !memory.reserve_within(bytes, self.bytes, share)? {
            return Ok(Some(row));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.rows.push(row);
        Ok(None)
    }

    /// Adds a row that was reserved so many bytes.
    pub(crate) fn push_reserved(&mut self, row: Vec<Datum>, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.rows.push(row);
    }

    /// What they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows, which are no longer accounted for.
    pub(crate) fn take(&mut self, memory: &mut Memory) -> Vec<Vec<Datum>> {
        memory.release(std::mem::take(&mut self.bytes));
        std::mem::take(&mut self.rows)
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
        let mut memory = Memory::new(100, &MemoryPool::new(0, None));
        memory.reserve(60).unwrap();
        assert_eq!(memory.reserve(41).unwrap_err().sqlstate, "53200");
        memory.release(60);
        memory.reserve(100).unwrap();
    }

    #[test]
    fn what_is_far_more_than_is_used_goes_back_to_the_pool() {
        let pool = MemoryPool::new(100 << 20, None);
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
    fn a_share_is_no_more_than_a_part_of_what_the_pool_has() {
        let options = crate::execute::temporary::TemporaryOptions {
            disk: Arc::new(env::disk::MemoryDisk::new()),
            folder: "/temporary".into(),
            bytes_max: 1 << 30,
            forced: None,
        };
        let pool = MemoryPool::new(30 << 20, Some(TemporarySpace::new(options)));
        let mut memory = Memory::new(256 << 20, &pool);
        assert_eq!(memory.share(), Some(10 << 20));
        memory.reserve(15 << 20).unwrap();
        assert_eq!(memory.share(), Some(5 << 20));
    }

    #[test]
    fn a_step_holds_no_more_than_it_may_and_a_statement_puts_no_more_aside() {
        let options = crate::execute::temporary::TemporaryOptions {
            disk: Arc::new(env::disk::MemoryDisk::new()),
            folder: "/temporary".into(),
            bytes_max: 1 << 30,
            forced: None,
        };
        let pool = MemoryPool::new(1 << 30, Some(TemporarySpace::new(options)));
        let mut memory = Memory::new(256 << 20, &pool).bounded(64 << 10, Some(10 << 10));
        assert_eq!(memory.share(), Some(64 << 10));
        memory.note_spilled(10 << 10).unwrap();
        let refused = memory.note_spilled(1).unwrap_err();
        assert_eq!(
            (refused.sqlstate, refused.message.as_str()),
            ("53400", "temporary file size exceeds temp_file_limit (10kB)")
        );
    }

    #[test]
    fn accounts_share_what_the_pool_has_and_give_it_back() {
        let pool = MemoryPool::new(4 * PORTION_BYTES, None);
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
