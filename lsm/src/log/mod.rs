//! An append-only log in checksummed segments, with group commit.
//!
//! Records are framed into a queue at [`Log::append`]; whoever writes takes the whole queue, writes it with one
//! `write`, makes it last with one `fdatasync`, and tells all waiters. Who that is, is chosen by [`Writer`]: the
//! callers of [`Log::sync`] among themselves (the first becomes the leader, those who come during its sync wait for
//! the next; `group`), a thread of the log's own, or a simulation that calls [`Log::write_pending`].
//!
//! ```text
//! directory := {number:020}.log, numbers without a gap, the newest being written
//! segment   := header | envelope? | record*
//! header    := magic "NUNALOG\0" | version u32 | number u64 | reserved [0; 8] | crc32c u32 of all before
//! record    := crc32c u32 | length << 1 | tells varint | telling, if it tells | payload
//! telling   := distance varint | crc32c u32
//!   crc: over number, offset, and the record behind it; of a telling: over number, offset and the varints before it
//!   version 3: payloads as they are      4: behind the header an envelope, payloads sealed (see `encryption`)
//! ```
//! All integers little-endian. A record that tells says that, when it was framed, the segment was known to be synced but
//! for the last so many bytes before it: that tells damage from a torn tail. The first record after a sync tells, and the
//! first that begins in each 4 KiB. The checksum covers segment number and offset, so that a record found in another place
//! is not taken for one.
//!
//! The segment that is written is longer than its records, and ends in zeros, so that most syncs need not make a new length
//! last.
//!
//! # Invariants
//! - Segment n is cut to its records and synced whole before segment n+1 is created: only the newest can have a torn tail.
//! - Recovery cuts the torn tail off and never appends to an existing segment.
//! - A segment is sealed with one key. It is sealed anew with another, record by record at the same offsets, only after
//!   it has been closed and synced, and its file is replaced in one step.
//! - A record that does not check, with a valid record behind it that tells of the former's sync, is damage: an error with
//!   file and offset. So is any such record in a segment that is not the newest.
//! - On closing (and after each sync, if [`LogOptions::mark_synced`]) an empty record is appended that tells of the
//!   last sync, so that damage to the last records is told from a torn tail, too.

mod group;
mod open_segment;
mod options;
mod queue;
mod reader;
mod recover;
mod segment;
mod writer;

pub use options::{LogOptions, LogRecord, LogStats, OnDurable, Position, SegmentInfo, Writer};
pub(crate) use segment::PLACEMENT;
pub use segment::RECORD_BYTES_MAX;
pub use writer::Log;

#[cfg(test)]
mod tests;
