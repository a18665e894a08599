//! A stream: rows in a temporary file, one after the other. Several streams share one file, page by page.

use expr::Row;
use expr::row::{put_values, take_values};

use crate::error::{Error, Result};
use crate::execute::memory::{Memory, row_bytes};
use crate::execute::temporary::{Page, TemporaryFile};

/// Bytes of a page, give or take a row.
pub(super) const PAGE_BYTES: usize = 64 << 10;

/// The same where there is no memory for more.
const SMALL_PAGE_BYTES: usize = 4 << 10;

/// A new file for streams of the statement.
pub(crate) async fn create_file(memory: &Memory) -> Result<TemporaryFile> {
    match memory.temporary() {
        Some(space) => TemporaryFile::create(space).await,
        None => Err(Error::internal("rows leave memory where there is no room for them")),
    }
}

/// Writes a stream.
#[derive(Debug)]
pub(crate) struct StreamWriter {
    file: TemporaryFile,
    pages: Vec<Page>,
    rows: u64,
    buffer: Vec<u8>,
    /// What the buffer was reserved.
    reserved: usize,
}

impl StreamWriter {
    /// A stream without rows.
    pub(crate) fn new(file: &TemporaryFile) -> Self {
        Self { file: file.clone(), pages: Vec::new(), rows: 0, buffer: Vec::new(), reserved: 0 }
    }

    /// Adds a row.
    pub(crate) async fn push(&mut self, memory: &mut Memory, row: &Row) -> Result<()> {
        // Whoever writes does so because there is no room: that there is none is no reason not to.
        if self.buffer.is_empty() && memory.reserve(PAGE_BYTES).is_ok() {
            self.reserved = PAGE_BYTES;
        }
        put_values(row, &mut self.buffer);
        self.rows = self.rows.saturating_add(1);
        let page_bytes = if self.reserved > 0 { PAGE_BYTES } else { SMALL_PAGE_BYTES };
        if self.buffer.len() >= page_bytes {
            self.flush(memory).await?;
        }
        Ok(())
    }

    /// Writes what it still holds; gives its memory back.
    pub(crate) async fn flush(&mut self, memory: &mut Memory) -> Result<()> {
        memory.release(std::mem::take(&mut self.reserved));
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.buffer);
        memory.note_spilled(bytes.len())?;
        self.pages.push(self.file.append(bytes).await?);
        Ok(())
    }

    /// The page of this number, once it is written.
    pub(super) fn page(&self, number: usize) -> Option<(TemporaryFile, Page)> {
        self.pages.get(number).map(|page| (self.file.clone(), *page))
    }

    /// Gives its memory back.
    pub(crate) fn release(self, memory: &mut Memory) {
        memory.release(self.reserved);
    }

    /// The stream, whole.
    pub(crate) async fn finish(mut self, memory: &mut Memory) -> Result<Stream> {
        self.flush(memory).await?;
        Ok(Stream { file: self.file, pages: self.pages, rows: self.rows })
    }
}

/// Rows of a page.
pub(super) async fn read_page(file: &TemporaryFile, page: Page) -> Result<Vec<Row>> {
    let bytes = file.read(page).await?;
    let mut rest = bytes.as_slice();
    let mut rows = Vec::new();
    while !rest.is_empty() {
        rows.push(take_values(&mut rest)?);
    }
    Ok(rows)
}

/// A stream that was written.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    file: TemporaryFile,
    pages: Vec<Page>,
    rows: u64,
}

impl Stream {
    /// How many rows it has.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Reads it from its first row on.
    pub(crate) fn reader(&self) -> StreamReader {
        StreamReader { file: self.file.clone(), pages: self.pages.clone().into_iter(), reserved: 0 }
    }
}

/// Reads a stream.
#[derive(Debug)]
pub(crate) struct StreamReader {
    file: TemporaryFile,
    pages: std::vec::IntoIter<Page>,
    /// What the rows of the page were reserved that was read last.
    reserved: usize,
}

impl StreamReader {
    /// The rows of the next page, never none; `None` at the end. They are accounted for until the next call.
    pub(crate) async fn next(&mut self, memory: &mut Memory) -> Result<Option<Vec<Row>>> {
        self.release(memory);
        let Some(page) = self.pages.next() else { return Ok(None) };
        let rows = read_page(&self.file, page).await?;
        let bytes = rows.iter().map(|row| row_bytes(row)).sum();
        memory.reserve(bytes)?;
        self.reserved = bytes;
        Ok(Some(rows))
    }

    /// What the rows of the page take that was read last.
    pub(crate) fn held(&self) -> usize {
        self.reserved
    }

    /// Gives its memory back.
    pub(crate) fn release(&mut self, memory: &mut Memory) {
        memory.release(std::mem::take(&mut self.reserved));
    }
}
