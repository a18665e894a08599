//! Reading single records back, through files that stay open.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use env::disk::ReadFile;

use super::options::Position;
use super::recover::Place;
use super::segment::{self, Frame, HEADER_BYTES_MAX, Header};
use crate::encryption::FileCipher;
use crate::error::{Error, Result};
use crate::sync::Mutex;

/// Files kept open.
const READERS_MAX: usize = 16;

/// So much is read at first: most records whole, and of others how long they are.
const FIRST_BYTES: usize = 4 << 10;

/// The segments of a log that were read last.
#[derive(Default)]
pub(super) struct Readers {
    open: Mutex<BTreeMap<u64, Reader>>,
}

/// An open segment, and what opens its records.
#[derive(Clone)]
struct Reader {
    file: Arc<dyn ReadFile>,
    cipher: Option<Arc<FileCipher>>,
}

impl Readers {
    /// The record at a position of a segment of which so many bytes are written.
    pub(super) fn read_at(&self, place: Place<'_>, position: Position, written: u64) -> Result<Bytes> {
        let path = place.dir.join(segment::file_name(position.segment));
        let Reader { file, cipher } = self.reader(place, position.segment, &path)?;
        let corrupt = || Error::corrupt(&path, position.offset, "the record does not check");
        let left = usize::try_from(written.saturating_sub(position.offset)).unwrap_or(usize::MAX);
        let mut record = vec![0; left.min(FIRST_BYTES)];
        file.read_exact_at(position.offset, &mut record).map_err(Error::io("read", &path))?;
        let frame = Frame::parse(&record, position.segment, position.offset)
            .filter(|frame| frame.record_bytes() <= left);
        let frame = frame.ok_or_else(corrupt)?;
        let read = record.len().min(frame.record_bytes());
        record.resize(frame.record_bytes(), 0);
        if let Some(rest) = record.get_mut(read..).filter(|rest| !rest.is_empty()) {
            file.read_exact_at(position.offset + read as u64, rest).map_err(Error::io("read", &path))?;
        }
        // The caller may keep the record, and is not to keep more.
        record.shrink_to_fit();
        frame
            .check(&Bytes::from(record), position.segment, position.offset)
            .and_then(|record| segment::open_payload(&record, position.offset, cipher.as_deref()))
            .ok_or_else(corrupt)
    }

    fn reader(&self, place: Place<'_>, number: u64, path: &Path) -> Result<Reader> {
        let mut readers = self.open.lock();
        if let Some(reader) = readers.get(&number) {
            return Ok(reader.clone());
        }
        let file = place.disk.open(path).map_err(Error::io("open", path))?;
        let mut cipher = None;
        if place.keys.is_some() {
            let mut header = [0; HEADER_BYTES_MAX];
            file.read_exact_at(0, &mut header).map_err(Error::io("read", path))?;
            let header = Header::parse(&header, number)
                .ok_or_else(|| Error::corrupt(path, 0, "the header of the segment does not check"))?;
            cipher = place.cipher(path, number, &header)?.map(Arc::new);
        }
        if readers.len() >= READERS_MAX {
            readers.pop_first();
        }
        let reader = Reader { file, cipher };
        readers.insert(number, reader.clone());
        Ok(reader)
    }

    /// The file of a segment goes, or another takes its place.
    pub(super) fn forget(&self, number: u64) {
        self.open.lock().remove(&number);
    }
}
