//! What EXPLAIN answers, bounded: a plan of many steps far below each other makes much of little.

use crate::error::{Error, Result};

/// So many bytes are answered.
const BYTES_MAX: usize = 64 << 20;

/// Lines.
#[derive(Default)]
pub(super) struct Lines {
    lines: Vec<String>,
    bytes: usize,
}

impl Lines {
    /// Adds a line.
    ///
    /// # Errors
    /// 54000: there are too many of them.
    pub(super) fn push(&mut self, line: String) -> Result<()> {
        self.bytes = self.bytes.saturating_add(line.len());
        check(self.bytes)?;
        self.lines.push(line);
        Ok(())
    }

    /// All of them.
    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

/// Whether so many bytes are few enough.
pub(super) const fn is_bounded(bytes: usize) -> bool {
    bytes <= BYTES_MAX
}

/// 54000 if so many bytes are too many.
pub(super) fn check(bytes: usize) -> Result<()> {
    if is_bounded(bytes) {
        return Ok(());
    }
    let message = format!("the plan takes more than {} MB to be shown", BYTES_MAX >> 20);
    Err(Error::new("54000", message).hint("EXPLAIN a part of the statement."))
}
