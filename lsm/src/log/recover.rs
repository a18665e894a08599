//! Reading a log back: every segment checked, the torn tail of the newest cut off, what is not sealed and ought to be
//! sealed.

use std::path::Path;

use bytes::Bytes;
use env::disk::Disk;

use super::open_segment::ROOM_BYTES;
use super::options::Position;
use super::segment::{self, Frame, Header, VERSION};

use crate::encryption::{FileCipher, Keys};
use crate::error::{Error, Result};

/// What may be checked in the search for records behind a bad one, in lengths of the segment.
const DAMAGE_PASSES: usize = 64;

/// Positions have half of a u64 for the number of a segment.
const SEGMENTS_MAX: u64 = u32::MAX as u64;

/// A segment that recovery left in place.
pub(super) struct Recovered {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) data_key: Option<u64>,
}

/// The place of a log, and the keys of its segments.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) dir: &'a Path,
    /// None: segments are not encrypted.
    pub(super) keys: Option<&'a Keys>,
    /// The kind of its files, for their keys.
    pub(super) kind: &'a str,
}

/// A segment's file, checked.
struct Segment {
    number: u64,
    content: Bytes,
    cipher: Option<FileCipher>,
    /// Where its last whole record ends.
    end: usize,
}

impl Place<'_> {
    /// The cipher that a segment's header asks for.
    pub(super) fn cipher(&self, path: &Path, number: u64, header: &Header) -> Result<Option<FileCipher>> {
        match (header, self.keys) {
            (Header::Unknown(found), _) if *found > VERSION => {
                Err(Error::TooNew { path: path.to_owned(), found: *found, known: VERSION })
            }
            (Header::Unknown(_), _) => Err(Error::corrupt(
                path,
                8,
                "a format from before the first release, which is not read any more",
            )),
            (Header::Sealed(envelope), Some(keys)) => keys.file(path, *envelope, self.kind, number).map(Some),
            (Header::Sealed(_), None) => {
                Err(Error::key(path, "encrypted: give the master key, and keep the key store beside it"))
            }
            (Header::Plain, Some(keys)) if keys.is_sealed(self.dir) => {
                Err(Error::corrupt(path, 0, "the segment is not encrypted, and all in its directory were"))
            }
            (Header::Plain, _) => Ok(None),
        }
    }

    /// The numbers of the segments, which must follow one another.
    fn numbers(&self) -> Result<Vec<u64>> {
        let names = self.disk.list(self.dir).map_err(Error::io("list", self.dir))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::parse_file_name(name)).collect();
        numbers.sort_unstable();
        if let Some(number) = numbers.last().filter(|number| **number >= SEGMENTS_MAX) {
            let path = self.dir.join(segment::file_name(*number));
            return Err(Error::corrupt(&path, 0, "no segment has such a number"));
        }
        for pair in numbers.windows(2) {
            if let [before, after] = pair
                && before + 1 != *after
            {
                let missing = self.dir.join(segment::file_name(before + 1));
                return Err(Error::corrupt(&missing, 0, "the segment is missing"));
            }
        }
        Ok(numbers)
    }

    /// Reads and checks a segment. None: the newest, and not even its header is whole.
    fn read(&self, path: &Path, number: u64, newest: bool) -> Result<Option<Segment>> {
        let content = Bytes::from(self.disk.read(path).map_err(Error::io("read", path))?);
        let header = match Header::parse(&content, number) {
            Some(header) => header,
            None if newest && !damaged(&content, number, 0) => return Ok(None),
            None => return Err(Error::corrupt(path, 0, "the header of the segment does not check")),
        };
        let cipher = self.cipher(path, number, &header)?;
        let mut offset = segment::header_bytes(cipher.is_some());
        while offset < content.len() {
            match segment::record_at(&content, number, offset) {
                Some(record) => offset = record.end,
                None if newest && !damaged(&content, number, offset) => break,
                None => return Err(Error::corrupt(path, offset as u64, "the record does not check")),
            }
        }
        Ok(Some(Segment { number, content, cipher, end: offset }))
    }
}

impl Segment {
    /// Gives each record with its offset and what it tells of the last sync, empty ones too.
    fn for_each(&self, path: &Path, mut take: impl FnMut(u64, u32, Bytes) -> Result<()>) -> Result<()> {
        let mut offset = segment::header_bytes(self.cipher.is_some());
        while offset < self.end {
            let corrupt = |what: &str| Error::corrupt(path, offset as u64, what);
            let record = segment::record_at(&self.content, self.number, offset)
                .ok_or_else(|| corrupt("the record does not check"))?;
            let payload = segment::open_payload(&record, offset as u64, self.cipher.as_ref())
                .ok_or_else(|| corrupt("the record is not what was sealed here"))?;
            take(offset as u64, record.synced, payload)?;
            offset = record.end;
        }
        Ok(())
    }

    /// The same records sealed with `cipher`, and an empty one behind them. That one tells that all are synced, as they are
    /// when the file takes the place of this one; the others tell the same distances, so that they do not become longer.
    fn resealed(&self, path: &Path, cipher: FileCipher) -> Result<Self> {
        let mut content = Vec::with_capacity(self.content.len() + self.content.len() / 8);
        segment::put_header(&mut content, self.number, Some(&cipher));
        self.for_each(path, |offset, synced, payload| {
            let at = content.len() as u64;
            let synced = if synced > 0 { synced + at.saturating_sub(offset) as u32 } else { 0 };
            segment::put_record(&mut content, self.number, at, synced, [&payload, &[]], Some(&cipher))
        })?;
        let at = content.len() as u64;
        segment::put_record(&mut content, self.number, at, at as u32, [&[], &[]], Some(&cipher))?;
        let end = content.len();
        Ok(Self { number: self.number, content: Bytes::from(content), cipher: Some(cipher), end })
    }
}

/// Replays all records in order, cuts the torn tail, and returns the segments that remain.
pub(super) fn recover(
    place: Place<'_>,
    mut replay: impl FnMut(Position, Bytes) -> Result<()>,
) -> Result<Vec<Recovered>> {
    remove_asides(place)?;
    let numbers = place.numbers()?;
    let newest = numbers.last().copied();
    let mut recovered = Vec::with_capacity(numbers.len());
    for number in numbers {
        let path = place.dir.join(segment::file_name(number));
        let Some(mut segment) = place.read(&path, number, Some(number) == newest)? else {
            tracing::warn!(path = %path.display(), "removing a log segment that never became whole");
            place.disk.remove(&path).map_err(Error::io("remove", &path))?;
            place.disk.sync_dir(place.dir).map_err(Error::io("sync", place.dir))?;
            continue;
        };
        if let (Some(keys), None) = (place.keys, &segment.cipher) {
            segment = segment.resealed(&path, keys.new_file(place.kind, number)?)?;
            place.disk.replace(&path, &segment.content).map_err(Error::io("replace", &path))?;
        }
        segment.for_each(&path, |offset, _, payload| match payload.is_empty() {
            true => Ok(()),
            false => replay(Position { segment: number, offset }, payload),
        })?;
        if Some(number) == newest {
            settle_newest(place, &path, &segment)?;
        }
        let data_key = segment.cipher.as_ref().map(|cipher| cipher.envelope().data_key);
        recovered.push(Recovered { number, bytes: segment.end as u64, data_key });
    }
    if let Some(keys) = place.keys {
        keys.mark_sealed(place.dir)?;
    }
    Ok(recovered)
}

/// Seals a segment that is not written any more with the active key. Its records stay where they are. Returns its length
/// and that key.
pub(super) fn reseal(place: Place<'_>, keys: &Keys, number: u64) -> Result<Recovered> {
    let path = place.dir.join(segment::file_name(number));
    let segment = place.read(&path, number, false)?;
    let segment =
        segment.ok_or_else(|| Error::corrupt(&path, 0, "the header of the segment does not check"))?;
    let cipher = keys.new_file(place.kind, number)?;
    let data_key = Some(cipher.envelope().data_key);
    let resealed = segment.resealed(&path, cipher)?;
    place.disk.replace(&path, &resealed.content).map_err(Error::io("replace", &path))?;
    Ok(Recovered { number, bytes: resealed.end as u64, data_key })
}

/// Removes what a resealing left that did not come to its end.
fn remove_asides(place: Place<'_>) -> Result<()> {
    for name in place.disk.list(place.dir).map_err(Error::io("list", place.dir))? {
        if name.strip_suffix(".new").is_some_and(|name| segment::parse_file_name(name).is_some()) {
            let path = place.dir.join(name);
            place.disk.remove(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Whether the bytes at `offset` had been synced once: a later record tells so. Bytes that look like many long records that
/// tell, as somebody may have put them into values, are not checked for ever.
fn damaged(content: &Bytes, number: u64, offset: usize) -> bool {
    let mut left = content.len().saturating_mul(DAMAGE_PASSES);
    let zeros = content.iter().rev().take_while(|byte| **byte == 0).count();
    (offset + 1..content.len() - zeros).any(|at| {
        let rest = content.get(at..).unwrap_or_default();
        let Some(frame) = Frame::parse(rest, number, at as u64) else { return false };
        let length = frame.record_bytes();
        if frame.synced as usize <= offset || length > rest.len() || left < length {
            return false;
        }
        left -= length;
        segment::record_at(content, number, at).is_some()
    })
}

/// Cuts the newest segment to its whole records and syncs it, so that it may become an older one.
fn settle_newest(place: Place<'_>, path: &Path, segment: &Segment) -> Result<()> {
    let Place { disk, dir, .. } = place;
    let (end, length) = (segment.end, segment.content.len());
    let tail = segment.content.get(end..).unwrap_or_default();
    // A few zeros are room that nothing was appended to.
    if tail.len() as u64 > ROOM_BYTES || tail.iter().any(|byte| *byte != 0) {
        tracing::warn!(path = %path.display(), end, length, "cutting the torn tail of the log");
    }
    disk.truncate(path, end as u64).map_err(Error::io("truncate", path))?;
    disk.sync_dir(dir).map_err(Error::io("sync", dir))
}
