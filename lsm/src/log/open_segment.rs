//! The segment that is being written.

use std::path::PathBuf;

use env::disk::AppendFile;

use crate::error::{Error, Result};

/// So far ahead a segment is as long as it will be, so that most syncs need not make a new length last.
pub(super) const ROOM_BYTES: u64 = 1 << 20;

/// A segment's file and what of it is not synced.
pub(super) struct OpenSegment {
    pub(super) number: u64,
    pub(super) file: Box<dyn AppendFile>,
    pub(super) path: PathBuf,
    /// Where the file ends, room included.
    room_end: u64,
    pub(super) unsynced: bool,
    /// A mark that nobody waits for stands behind the last sync.
    pub(super) marked: bool,
    pub(super) named: bool,
}

impl OpenSegment {
    /// Over a new file.
    pub(super) fn new(number: u64, file: Box<dyn AppendFile>, path: PathBuf) -> Self {
        Self { number, file, path, room_end: 0, unsynced: false, marked: false, named: false }
    }

    /// Whether all of it, and its name, survives a crash.
    pub(super) fn is_whole(&self) -> bool {
        self.named && !self.unsynced && !self.marked
    }

    /// Appends, and makes room for more if there is none left.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.unsynced = true;
        self.file.append(bytes).map_err(Error::io("append to", &self.path))?;
        if self.file.length() > self.room_end {
            self.set_room(ROOM_BYTES)?;
        }
        Ok(())
    }

    /// Nothing more will be appended: the room behind the records goes.
    pub(super) fn end(&mut self) -> Result<()> {
        if self.room_end > self.file.length() {
            self.unsynced = true;
            self.set_room(0)?;
        }
        Ok(())
    }

    fn set_room(&mut self, bytes: u64) -> Result<()> {
        self.file.set_room(bytes).map_err(Error::io("set the length of", &self.path))?;
        self.room_end = self.file.length() + bytes;
        Ok(())
    }
}
