//! How a log is opened, and what it tells of itself.

use crate::encryption::Keys;
use crate::error::Result;

/// Where a record stands. Later records have larger positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The number of its segment.
    pub segment: u64,
    /// Its offset in the segment's file, below 4 GiB.
    pub offset: u64,
}

/// Called once the records are durable, or never will be.
pub type OnDurable = Box<dyn FnOnce(Result<()>) + Send>;

/// Who writes what [`Log::append_with`](super::Log::append_with) queues, and what of [`Log::append`](super::Log::append)
/// nobody syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A thread of the log's own.
    Thread,
    /// The caller, by [`Log::write_pending`](super::Log::write_pending) or [`Log::sync`](super::Log::sync).
    Caller,
}

/// How a log is opened.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// A segment is closed past this size. At most 2 GiB.
    pub segment_bytes: u64,
    /// Who writes.
    pub writer: Writer,
    /// Append an empty record after each sync that tells of it, so that damage even to the newest records is noticed.
    pub mark_synced: bool,
    /// The label of this log's metrics and the name of its thread. It also goes into the keys of encrypted segments: it
    /// never changes.
    pub name: &'static str,
    /// Encrypts segments. Those found unencrypted are encrypted when the log is opened.
    pub keys: Option<Keys>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, writer: Writer::Caller, mark_synced: false, name: "log", keys: None }
    }
}

/// A segment of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: u64,
    /// Bytes written to it so far.
    pub bytes: u64,
}

/// What a log has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Syncs of segments.
    pub syncs: u64,
    /// Records appended.
    pub records: u64,
    /// Bytes appended, framing included.
    pub bytes: u64,
}

/// What is appended: bytes that may lie in two places.
pub trait LogRecord {
    /// The record is the one behind the other.
    fn parts(&self) -> [&[u8]; 2];
}

impl<T: AsRef<[u8]>> LogRecord for T {
    fn parts(&self) -> [&[u8]; 2] {
        [self.as_ref(), &[]]
    }
}
