//! Snapshots on their way: read out of the engine, carried as chunks of rows, built into tables again.
//!
//! ```text
//! rows := row*                       all rows of a chunk belong to the head's spans, in their order
//! row  := kind u8 | key length u32 LE | key | rest
//!   1 plain     rest := value length u32 LE | value
//!   2 version   rest := timestamp u64 LE | value length u32 LE | value
//!   3 deletion  rest := timestamp u64 LE | note length u32 LE | note
//! ```
//!
//! # Invariants
//!
//! - A receiver hands a snapshot over only when every chunk has checked, every row lies in the span that is due and in
//!   order, and as many chunks and rows have arrived as were sent.

use std::collections::VecDeque;
use std::ops::Bound;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use lsm::{Db, Note, Scan, ScanAt, ScanOptions, Snapshot, TableBuilder, TableFile};

use super::apply::SnapshotSpan;
use super::reserved::Reservation;

/// Rows of a chunk, about.
const CHUNK_BYTES: usize = 1 << 20;

const PLAIN: u8 = 1;
const VERSION: u8 = 2;
const DELETION: u8 = 3;

/// What openraft passes around as a snapshot.
pub(super) enum SnapshotData {
    /// The state that is flushed, reported so that the log may be purged behind it.
    Marker,
    /// To be sent.
    Outgoing(Box<Outgoing>),
    /// Received whole.
    Incoming(Incoming),
}

/// A range's state as it was at one moment.
pub(super) struct Outgoing {
    snapshot: Snapshot,
    spans: Vec<SnapshotSpan>,
    left: VecDeque<SnapshotSpan>,
    open: Option<Open>,
}

enum Open {
    Plain(Scan),
    Versioned(ScanAt),
}

/// Some rows.
pub(super) struct Chunk {
    pub(super) rows: Bytes,
    pub(super) count: u64,
}

impl Outgoing {
    /// What `snapshot` holds in `spans`.
    pub(super) fn new(snapshot: Snapshot, spans: Vec<SnapshotSpan>) -> Self {
        let left = spans.iter().cloned().collect();
        Self { snapshot, spans, left, open: None }
    }

    /// The spans that it consists of.
    pub(super) fn spans(&self) -> &[SnapshotSpan] {
        &self.spans
    }

    /// The next rows; `None` after the last. Reads the disk.
    pub(super) fn next_chunk(&mut self) -> lsm::Result<Option<Chunk>> {
        let mut rows = BytesMut::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
        let mut count = 0;
        while rows.len() < CHUNK_BYTES {
            let more = match &mut self.open {
                None => match self.left.pop_front() {
                    None => break,
                    Some(span) => {
                        self.open = Some(self.scan(&span)?);
                        continue;
                    }
                },
                Some(Open::Plain(scan)) => match scan.next().transpose()? {
                    None => false,
                    Some((key, value)) => {
                        put_key(&mut rows, PLAIN, &key);
                        put_bytes(&mut rows, &value);
                        true
                    }
                },
                Some(Open::Versioned(scan)) => match scan.next().transpose()? {
                    None => false,
                    Some(entry) => {
                        let kind = if entry.value.is_some() { VERSION } else { DELETION };
                        put_key(&mut rows, kind, &entry.key);
                        rows.put_u64_le(entry.timestamp);
                        put_bytes(&mut rows, entry.value.as_deref().unwrap_or(entry.note.as_bytes()));
                        true
                    }
                },
            };
            if more {
                count += 1;
            } else {
                self.open = None;
            }
        }
        Ok((count > 0).then(|| Chunk { rows: rows.freeze(), count }))
    }

    fn scan(&self, span: &SnapshotSpan) -> lsm::Result<Open> {
        let range = (Bound::Included(span.start.as_ref()), Bound::Excluded(span.end.as_ref()));
        Ok(if span.versioned {
            let options = ScanOptions { all_versions: true, tombstones: true, ..ScanOptions::default() };
            Open::Versioned(self.snapshot.scan_at(range, u64::MAX, options)?)
        } else {
            Open::Plain(self.snapshot.scan(range, false)?)
        })
    }
}

fn put_key(rows: &mut BytesMut, kind: u8, key: &[u8]) {
    rows.put_u8(kind);
    put_bytes(rows, key);
}

fn put_bytes(rows: &mut BytesMut, bytes: &[u8]) {
    rows.put_u32_le(bytes.len() as u32);
    rows.put_slice(bytes);
}

/// A snapshot that was received whole, as tables that are not yet part of the engine.
pub(super) struct Incoming {
    spans: Vec<SnapshotSpan>,
    tables: Vec<TableFile>,
    reservation: Reservation,
}

impl Incoming {
    /// The spans to replace, with what, and what keeps others out of them until the replica says that they are its own.
    pub(super) fn into_parts(self) -> (Vec<SnapshotSpan>, Vec<TableFile>, Reservation) {
        (self.spans, self.tables, self.reservation)
    }
}

/// Why a snapshot is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    /// The sender's fault.
    #[error("malformed snapshot: {0}")]
    Malformed(&'static str),
    /// A row that this program cannot read.
    #[error("a row of the snapshot cannot be read: {0}")]
    Unreadable(String),
    /// The engine's.
    #[error(transparent)]
    Engine(#[from] lsm::Error),
}

/// Says what is wrong with a row without versions.
pub(super) type CheckRow = Box<dyn Fn(&[u8], &[u8]) -> Result<(), String> + Send>;

/// Builds tables from chunks. Dropped halfway it leaves nothing behind.
pub(super) struct Receiver {
    db: Db,
    spans: Vec<SnapshotSpan>,
    reservation: Reservation,
    /// The span that rows go to, as an index into `spans`.
    at: usize,
    builder: Option<TableBuilder>,
    tables: Vec<TableFile>,
    rows: u64,
    check_row: CheckRow,
}

impl Receiver {
    /// Takes a snapshot that consists of `spans`, which are reserved for it, and whose rows without versions `check_row` can
    /// read.
    pub(super) fn new(
        db: Db,
        spans: Vec<SnapshotSpan>,
        reservation: Reservation,
        check_row: CheckRow,
    ) -> Result<Self, ReceiveError> {
        for span in &spans {
            if span.start >= span.end || !within_keyspace(span) {
                return Err(ReceiveError::Malformed("a span is empty or reaches over keyspaces"));
            }
        }
        for (n, span) in spans.iter().enumerate() {
            if spans.iter().skip(n + 1).any(|other| span.start < other.end && other.start < span.end) {
                return Err(ReceiveError::Malformed("spans overlap"));
            }
        }
        Ok(Self { db, spans, reservation, at: 0, builder: None, tables: Vec::new(), rows: 0, check_row })
    }

    /// Adds a chunk's rows. Writes to the disk.
    pub(super) fn add(&mut self, mut rows: Bytes) -> Result<(), ReceiveError> {
        while rows.has_remaining() {
            let kind = rows.get_u8();
            let key = take_bytes(&mut rows)?;
            self.seek(&key)?;
            let versioned = self.spans.get(self.at).is_some_and(|span| span.versioned);
            if versioned != (kind != PLAIN) {
                return Err(ReceiveError::Malformed("a row is of another kind than its span"));
            }
            let timestamp = if kind == PLAIN { 0 } else { take_u64(&mut rows)? };
            let value = take_bytes(&mut rows)?;
            let builder = match &mut self.builder {
                Some(builder) => builder,
                None => {
                    let keyspace = key.first().copied().ok_or(ReceiveError::Malformed("an empty key"))?;
                    self.builder.insert(self.db.table_builder(keyspace)?)
                }
            };
            match kind {
                PLAIN => {
                    (self.check_row)(&key, &value).map_err(ReceiveError::Unreadable)?;
                    builder.put(&key, &value)?
                }
                VERSION => builder.put_at(&key, timestamp, &value)?,
                DELETION => {
                    let note = Note::new(&value).ok_or(ReceiveError::Malformed("a note is too long"))?;
                    builder.delete_at(&key, timestamp, note)?
                }
                _ => return Err(ReceiveError::Malformed("a row of unknown kind")),
            }
            self.rows += 1;
        }
        Ok(())
    }

    /// The whole, if `rows` rows have come. Writes to the disk.
    pub(super) fn finish(mut self, rows: u64) -> Result<Incoming, ReceiveError> {
        if rows != self.rows {
            return Err(ReceiveError::Malformed("rows are missing"));
        }
        self.close()?;
        Ok(Incoming { spans: self.spans, tables: self.tables, reservation: self.reservation })
    }

    /// Moves on to the span that holds `key`: never back.
    fn seek(&mut self, key: &[u8]) -> Result<(), ReceiveError> {
        loop {
            let span =
                self.spans.get(self.at).ok_or(ReceiveError::Malformed("a row outside of the spans"))?;
            if key >= span.start.as_ref() && key < span.end.as_ref() {
                return Ok(());
            }
            self.close()?;
            self.at += 1;
        }
    }

    fn close(&mut self) -> Result<(), ReceiveError> {
        if let Some(builder) = self.builder.take() {
            self.tables.extend(builder.finish()?);
        }
        Ok(())
    }
}

/// Whether a span's keys have all the same first byte.
fn within_keyspace(span: &SnapshotSpan) -> bool {
    let (Some(first), Some(last)) = (span.start.first(), span.end.first()) else { return false };
    first == last || span.end.len() == 1 && first.checked_add(1) == Some(*last)
}

fn take_u64(rows: &mut Bytes) -> Result<u64, ReceiveError> {
    rows.try_get_u64_le().map_err(|_| ReceiveError::Malformed("a row is cut off"))
}

fn take_bytes(rows: &mut Bytes) -> Result<Bytes, ReceiveError> {
    let length = rows.try_get_u32_le().map_err(|_| ReceiveError::Malformed("a row is cut off"))? as usize;
    if rows.remaining() < length {
        return Err(ReceiveError::Malformed("a row is cut off"));
    }
    Ok(rows.split_to(length))
}
