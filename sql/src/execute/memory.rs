//! The memory account of one statement.

use expr::Datum;

use crate::error::{Error, Result};

/// Bytes of rows that a statement holds while it sorts, hashes, groups or materialises.
///
/// Invariant: `used` is the sum of what was reserved and not yet released, and never above `max`.
#[derive(Debug)]
pub(crate) struct Memory {
    used: usize,
    max: usize,
}

impl Memory {
    /// An empty account.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { used: 0, max: bytes_max }
    }

    /// Takes bytes; 53200 if there are not enough left.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<()> {
        let used = self.used.saturating_add(bytes);
        if used > self.max {
            return Err(Error::new("53200", "out of memory")
                .detail(format!("The statement has to hold more than {} MB of rows at once.", self.max >> 20))
                .hint("Let it read fewer rows, or use an index whose order it needs."));
        }
        self.used = used;
        Ok(())
    }

    /// Gives bytes back.
    pub(crate) fn release(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "more is released than was reserved");
        self.used = self.used.saturating_sub(bytes);
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
        let mut memory = Memory::new(100);
        memory.reserve(60).unwrap();
        assert_eq!(memory.reserve(41).unwrap_err().sqlstate, "53200");
        memory.release(60);
        memory.reserve(100).unwrap();
    }
}
