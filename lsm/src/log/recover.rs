//! Reading a log back: every segment checked, the torn tail of the newest cut off.

use std::path::Path;

use bytes::Bytes;
use env::disk::Disk;

use super::segment::{self, HEADER_BYTES, VERSION};
use super::writer::Position;
use crate::error::{Error, Result};

/// A segment that recovery left in place.
pub(super) struct Recovered {
    pub(super) number: u64,
    pub(super) bytes: u64,
}

/// Replays all records in order, cuts the torn tail, and returns the segments that remain.
pub(super) fn recover(
    disk: &dyn Disk,
    dir: &Path,
    mut replay: impl FnMut(Position, Bytes) -> Result<()>,
) -> Result<Vec<Recovered>> {
    let names = disk.list(dir).map_err(Error::io("list", dir))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::parse_file_name(name)).collect();
    numbers.sort_unstable();
    for pair in numbers.windows(2) {
        if let [before, after] = pair
            && before + 1 != *after
        {
            return Err(Error::corrupt(
                &dir.join(segment::file_name(before + 1)),
                0,
                "the segment is missing",
            ));
        }
    }
    let newest = numbers.last().copied();
    let mut recovered = Vec::with_capacity(numbers.len());
    for number in numbers {
        let path = dir.join(segment::file_name(number));
        let content = Bytes::from(disk.read(&path).map_err(Error::io("read", &path))?);
        let end = replay_segment(&path, number, &content, Some(number) == newest, &mut replay)?;
        if Some(number) == newest {
            settle_newest(disk, dir, &path, end, content.len())?;
        }
        if end > 0 {
            recovered.push(Recovered { number, bytes: end as u64 });
        }
    }
    Ok(recovered)
}

/// Replays one segment and returns where its last whole record ends; 0 if not even its header is whole.
fn replay_segment(
    path: &Path,
    number: u64,
    content: &Bytes,
    newest: bool,
    replay: &mut impl FnMut(Position, Bytes) -> Result<()>,
) -> Result<usize> {
    match segment::parse_header(content, number) {
        Some(VERSION) => {}
        Some(found) => return Err(Error::TooNew { path: path.to_owned(), found, known: VERSION }),
        None if newest && !damaged(content, number, 0) => return Ok(0),
        None => return Err(Error::corrupt(path, 0, "the header of the segment does not check")),
    }
    let mut offset = HEADER_BYTES;
    while offset < content.len() {
        let Some(record) = segment::record_at(content, number, offset) else {
            if newest && !damaged(content, number, offset) {
                return Ok(offset);
            }
            return Err(Error::corrupt(path, offset as u64, "the record does not check"));
        };
        if !record.payload.is_empty() {
            replay(Position { segment: number, offset: offset as u64 }, record.payload)?;
        }
        offset = record.end;
    }
    Ok(offset)
}

/// Whether the bytes at `offset` had been synced once: a later record was framed when they were.
fn damaged(content: &Bytes, number: u64, offset: usize) -> bool {
    (offset + 1..content.len())
        .filter_map(|at| segment::record_at(content, number, at))
        .any(|record| record.synced as usize > offset)
}

/// Cuts the newest segment to its whole records and syncs it, so that it may become an older one.
fn settle_newest(disk: &dyn Disk, dir: &Path, path: &Path, end: usize, length: usize) -> Result<()> {
    if end == 0 {
        tracing::warn!(path = %path.display(), length, "removing a log segment that never became whole");
        disk.remove(path).map_err(Error::io("remove", path))?;
    } else {
        if end < length {
            tracing::warn!(path = %path.display(), end, length, "cutting the torn tail of the log");
        }
        disk.truncate(path, end as u64).map_err(Error::io("truncate", path))?;
    }
    disk.sync_dir(dir).map_err(Error::io("sync", dir))
}
