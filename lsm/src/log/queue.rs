//! What is framed and not written yet.

use super::options::OnDurable;
use crate::encryption::FileCipher;
use crate::error::Error;

/// In each stretch of so many bytes the first record that begins there tells of the last sync: one bad page does not hide
/// that it was there.
const TELLING_BYTES: u64 = 4 << 10;

/// Framed records, and who waits for them.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) chunks: Vec<Chunk>,
    pub(super) spare: Vec<u8>,
    /// Where the next record goes.
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) told: Told,
    /// Seals the segment, if it has begun.
    pub(super) cipher: Option<FileCipher>,
    pub(super) callbacks: Vec<OnDurable>,
    pub(super) failed: Option<Error>,
    pub(super) closed: bool,
    /// The log's thread waits for something to write.
    pub(super) idle: bool,
}

impl Queue {
    /// The next record begins another segment.
    pub(super) fn begin_segment(&mut self) {
        if self.offset > 0 {
            self.segment += 1;
            self.offset = 0;
            self.told = Told::default();
            self.cipher = None;
        }
    }
}

/// The last record of a segment that tells of a sync.
#[derive(Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) synced: u32,
    pub(super) at: u64,
}

impl Told {
    /// What the record at `at` is to tell, if so much is synced; 0 if nothing.
    pub(super) fn tell(&mut self, synced: u32, at: u64) -> u32 {
        if synced == self.synced && at / TELLING_BYTES == self.at / TELLING_BYTES {
            return 0;
        }
        *self = Self { synced, at };
        synced
    }
}

/// Consecutive bytes of one segment that are not written yet.
pub(super) struct Chunk {
    pub(super) segment: u64,
    pub(super) data_key: Option<u64>,
    pub(super) bytes: Vec<u8>,
}
