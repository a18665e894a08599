//! Fitting blocks to pages: a block is read in as many pages of the disk as it lies in.
//!
//! Blocks are cut by their size before compression, and compress to anything; laid end to end nearly each would lie in one
//! page more than it must. So within a quarter of its nominal size, or one entry beyond, a block ends with the last entry
//! that does not take it into the next page, as far as the blocks before it tell how it will be compressed. What is then
//! left of the page stays empty, if it is little. Pure; the writer of tables asks.
//!
//! It brings the more, the more alike blocks are. Of 8 KiB that are compressed to half, each lies in 1.94 pages if they
//! are laid end to end, and here in 1.0; if they differ by up to 1 % to either side in 1.0 to 1.4, by 5 % in 1.7, and by
//! 10 % in 1.9.

/// A page, in which operating systems keep files in memory.
const PAGE_BYTES: u64 = 4 << 10;
/// What is left empty is at most this part of the block before it.
const EMPTY_PART: u64 = 32;
/// 1 in the ratio.
const UNIT: u64 = 1 << 16;

/// How the blocks of one section are cut.
#[derive(Debug)]
pub(super) struct Fit {
    /// Of each byte of a block so much is written, in [`UNIT`]s: a mean in which the last blocks count most. None before
    /// the first.
    ratio: Option<u64>,
}

impl Fit {
    pub(super) fn new() -> Self {
        Self { ratio: None }
    }

    /// A block of so many bytes has become so many on disk.
    pub(super) fn note(&mut self, bytes: usize, written: u64) {
        let ratio = written.saturating_mul(UNIT) / (bytes as u64).max(1);
        self.ratio = Some(self.ratio.map_or(ratio, |before| (3 * before + ratio) / 4));
    }

    /// Whether a block that begins at `offset` ends before its next entry, which would make its bytes `with_next`.
    pub(super) fn is_full(&self, offset: u64, bytes: usize, with_next: usize, nominal: usize) -> bool {
        if with_next > nominal + nominal / 4 {
            return true;
        }
        let ratio = self.ratio.unwrap_or(UNIT);
        let end = |bytes: usize| offset + (bytes as u64 * ratio).div_ceil(UNIT);
        let before = end(nominal) / PAGE_BYTES * PAGE_BYTES;
        let goal = if before < end(nominal - nominal / 4) { before + PAGE_BYTES } else { before };
        if goal > end(nominal + nominal / 4) { bytes > nominal } else { end(with_next) > goal }
    }
}

/// Bytes to leave empty behind a block of so many bytes that ends at `end`.
pub(super) fn empty_after(end: u64, written: u64) -> u64 {
    let left = end.next_multiple_of(PAGE_BYTES) - end;
    if left <= written / EMPTY_PART { left } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where blocks begin and end whose entries of so many bytes are written as so many.
    fn blocks(entry: usize, written: u64, nominal: usize) -> Vec<(u64, u64)> {
        uneven_blocks(entry, written, nominal, 0)
    }

    /// The same where blocks are compressed to more and less than that by up to so many percent.
    fn uneven_blocks(entry: usize, written: u64, nominal: usize, percent: u64) -> Vec<(u64, u64)> {
        let mut random = 1u64;
        let mut fit = Fit::new();
        let (mut offset, mut blocks) = (0, Vec::new());
        for _ in 0..1000 {
            let mut entries = 1;
            while !fit.is_full(offset, entries * entry, (entries + 1) * entry, nominal) {
                entries += 1;
            }
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let percents = 100 - percent + (random >> 33) % (2 * percent + 1);
            let end = offset + entries as u64 * written * percents / 100;
            fit.note(entries * entry, end - offset);
            blocks.push((offset, end));
            offset = end + empty_after(end, end - offset);
        }
        blocks
    }

    fn pages(blocks: &[(u64, u64)]) -> f64 {
        let pages = blocks.iter().map(|(start, end)| (end - 1) / PAGE_BYTES - start / PAGE_BYTES + 1);
        pages.sum::<u64>() as f64 / blocks.len() as f64
    }

    #[test]
    fn blocks_lie_in_as_few_pages_as_they_can() {
        // Half compressible: one page each. Laid end to end it would be two.
        assert!(pages(&blocks(280, 130, 8192)) < 1.01);
        assert!(pages(&blocks(100, 47, 8192)) < 1.01);
        // Incompressible: two pages instead of three.
        assert!(pages(&blocks(200, 200, 8192)) < 2.02);
        assert!(pages(&blocks(100, 101, 8192)) < 2.02);
        // A third: two blocks or so in a page.
        assert!(pages(&blocks(100, 25, 8192)) < 1.35);
    }

    #[test]
    fn blocks_of_uneven_compression_lie_in_no_more_pages_than_end_to_end() {
        for percent in [1, 5, 10, 30] {
            let fitted = uneven_blocks(60, 28, 8192, percent);
            let bytes = fitted.iter().map(|(start, end)| end - start).sum::<u64>() as f64;
            let end_to_end = 1.0 + (bytes / fitted.len() as f64 - 1.0) / PAGE_BYTES as f64;
            assert!(pages(&fitted) < end_to_end, "{percent}: {} {end_to_end}", pages(&fitted));
        }
    }

    #[test]
    fn little_is_left_empty() {
        for (entry, written) in [(280, 130), (100, 47), (200, 200), (1000, 600), (50, 5), (3000, 1500)] {
            let blocks = blocks(entry, written, 8192);
            let empty: u64 = blocks.iter().map(|(start, end)| empty_after(*end, end - start)).sum();
            assert!(empty * EMPTY_PART <= blocks.last().unwrap().1, "{entry} {written}");
        }
    }

    #[test]
    fn blocks_keep_near_their_nominal_size() {
        for (entry, written) in [(280, 130), (100, 47), (200, 200), (1000, 600), (50, 5), (3000, 1500)] {
            for (start, end) in blocks(entry, written, 8192) {
                let bytes = (end - start) / written * entry as u64;
                assert!((8192 * 3 / 4 - entry as u64..=8192 * 5 / 4).contains(&bytes), "{entry}: {bytes}");
            }
        }
    }

    #[test]
    fn an_entry_larger_than_a_block_stands_alone() {
        assert!(Fit::new().is_full(0, 100_000, 200_000, 8192));
        assert!(Fit::new().is_full(0, 100_000, 100_010, 8192));
    }
}
