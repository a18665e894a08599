//! Rows that are kept as they come: the first in memory, what goes beyond the share in a temporary file.

use expr::Row;

use super::stream::{StreamWriter, create_file, read_page};
use crate::error::Result;
use crate::execute::memory::{HeldRows, Memory};

/// How many rows are copied at once.
const BATCH_ROWS: usize = 1024;

/// Rows that are read again and again, from any number of places, also while more are added.
#[derive(Debug, Default)]
pub(crate) struct StoredRows {
    held: HeldRows,
    /// How much may be held, once that was asked.
    share: Option<Option<usize>>,
    outside: Option<StreamWriter>,
}

/// How far somebody has read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cursor {
    /// Rows of those in memory.
    held: usize,
    /// Pages of those that are not.
    pages: usize,
}

impl StoredRows {
    /// Adds a row.
    pub(crate) async fn push(&mut self, memory: &mut Memory, row: Row) -> Result<()> {
        if let Some(outside) = &mut self.outside {
            return outside.push(memory, &row).await;
        }
        let share = *self.share.get_or_insert_with(|| memory.share());
        if let Some(row) = self.held.push_within(row, share, memory)? {
            let mut outside = StreamWriter::new(&create_file(memory).await?);
            outside.push(memory, &row).await?;
            self.outside = Some(outside);
        }
        Ok(())
    }

    /// Some rows from a place on, which moves behind them; `None` where there are no more by now.
    pub(crate) async fn read(&mut self, memory: &mut Memory, at: &mut Cursor) -> Result<Option<Vec<Row>>> {
        let rows: Vec<Row> = self.held.rows.iter().skip(at.held).take(BATCH_ROWS).cloned().collect();
        if !rows.is_empty() {
            at.held = at.held.saturating_add(rows.len());
            return Ok(Some(rows));
        }
        let Some(outside) = &mut self.outside else { return Ok(None) };
        if outside.page(at.pages).is_none() {
            outside.flush(memory).await?;
        }
        let Some((file, page)) = outside.page(at.pages) else { return Ok(None) };
        at.pages = at.pages.saturating_add(1);
        read_page(&file, page).await.map(Some)
    }

    /// Forgets all rows.
    pub(crate) fn clear(&mut self, memory: &mut Memory) {
        self.held.clear(memory);
        self.share = None;
        if let Some(outside) = self.outside.take() {
            outside.release(memory);
        }
    }
}
