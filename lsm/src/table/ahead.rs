//! Reading ahead: which bytes of a table a walk will want next. Pure; the disk is told by who reads.
//!
//! The operating system reads ahead for a file that one reader goes through; a table has many readers at once, and
//! two sections whose blocks lie between each other. So a walk says itself what it will want, once it is seen to be one.

/// Bytes between two blocks that still count as going on: blocks of the other section lie there.
const GAP_BYTES: u64 = 64 << 10;
/// A scan is taken for a walk at so many blocks that were not in the cache.
const SCAN_BLOCKS: u32 = 3;
const SCAN_WINDOW: (u64, u64) = (64 << 10, 512 << 10);
const WHOLE_WINDOW: (u64, u64) = (1 << 20, 1 << 20);

/// How a walk through one section of a table goes on.
///
/// # Invariants
/// - Nothing is asked for twice: `asked` is the end of all that was, and never goes back while the walk goes on.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// Where the next block should lie.
    next: u64,
    blocks: u32,
    asked: u64,
    window: u64,
    /// The whole table will be read.
    whole: bool,
}

impl Ahead {
    /// For a scan, which may end at any block.
    pub(crate) fn scan() -> Self {
        Self { next: 0, blocks: 0, asked: 0, window: SCAN_WINDOW.0, whole: false }
    }

    /// For one who reads all: a compaction.
    pub(crate) fn whole() -> Self {
        Self { window: WHOLE_WINDOW.0, whole: true, ..Self::scan() }
    }

    /// A block is about to be read from the disk. Returns offset and length of what will be wanted after it, if now is
    /// the time to ask for it.
    pub(crate) fn read(&mut self, offset: u64, length: u64) -> Option<(u64, u64)> {
        let (first, largest) = if self.whole { WHOLE_WINDOW } else { SCAN_WINDOW };
        if offset < self.next || offset - self.next > GAP_BYTES {
            (self.blocks, self.asked, self.window) = (0, 0, first);
        }
        self.blocks += 1;
        self.next = offset.saturating_add(length);
        if !self.whole && self.blocks < SCAN_BLOCKS {
            return None;
        }
        // Half of it may still be on its way.
        if self.asked > self.next && self.asked - self.next > self.window / 2 {
            return None;
        }
        let from = self.asked.max(self.next);
        let asked = (from, self.window);
        self.asked = from.saturating_add(self.window);
        self.window = (self.window * 2).min(largest);
        Some(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for, in KiB, while blocks of 16 KiB are read.
    fn asked(ahead: &mut Ahead, blocks: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
        let asked = blocks.filter_map(|block| ahead.read(block * (16 << 10), 16 << 10));
        asked.map(|(offset, length)| (offset >> 10, length >> 10)).collect()
    }

    #[test]
    fn single_blocks_ask_for_nothing() {
        assert_eq!(asked(&mut Ahead::scan(), [7, 90, 3, 200, 4].into_iter()), []);
        assert_eq!(asked(&mut Ahead::scan(), [7, 8].into_iter()), []);
    }

    #[test]
    fn a_scan_that_goes_on_asks_for_more_and_more_and_for_nothing_twice() {
        let windows = asked(&mut Ahead::scan(), 0..100);
        assert_eq!(windows[..4], [(48, 64), (112, 128), (240, 256), (496, 512)]);
        assert!(windows.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0));
        assert!(windows[4..].iter().all(|window| window.1 == 512));
    }

    #[test]
    fn a_scan_begins_anew_after_a_jump() {
        let mut ahead = Ahead::scan();
        assert_eq!(asked(&mut ahead, 0..6), [(48, 64), (112, 128)]);
        assert_eq!(asked(&mut ahead, [500, 501].into_iter()), []);
        assert_eq!(asked(&mut ahead, [502].into_iter()), [(8048, 64)]);
    }

    #[test]
    fn who_reads_all_asks_at_once() {
        assert_eq!(asked(&mut Ahead::whole(), 0..1), [(16, 1024)]);
    }
}
