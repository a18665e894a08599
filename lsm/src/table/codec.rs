//! Compression of blocks.
//!
//! ```text
//! compressed := payload | 0      uncompressed length u32 LE | lz4 block | 1      uncompressed length u32 LE | zstd frame | 2
//! ```
//! lz4 costs reads the least; zstd makes blocks smaller still, for several times the processor time.

use std::cell::RefCell;
use std::fmt;

use bytes::Bytes;
use zstd_safe::{CCtx, DCtx};

use crate::coding::u32_at;
use crate::options::Compression;

/// The mark of a payload as it is.
pub(super) const PLAIN: u8 = 0;
const LZ4: u8 = 1;
const ZSTD: u8 = 2;
/// Of one byte at most so many are made: lz4 cannot make more, and where zstd would, lz4 is taken.
const RATIO_MAX: usize = 256;
/// No block is larger when decoded.
pub(super) const BLOCK_BYTES_MAX: u64 = 1 << 31;
/// The level that zstd's own program takes.
const ZSTD_LEVEL: i32 = 3;

/// Compresses the blocks of one table.
pub(super) struct Compressor {
    compression: Compression,
    zstd: Option<CCtx<'static>>,
}

impl Compressor {
    pub(super) fn new(compression: Compression) -> Self {
        Self { compression, zstd: (compression == Compression::Zstd).then(CCtx::create) }
    }

    /// Compresses a payload, if that saves at least an eighth, and appends the mark that tells how.
    pub(super) fn compress(&mut self, payload: &mut Vec<u8>) {
        let worth = payload.len() - payload.len() / 8;
        let zstd = self.zstd.as_mut().and_then(|context| zstd_block(context, payload));
        let (compressed, mark) = match (zstd, self.compression) {
            (Some(compressed), _) => (compressed, ZSTD),
            (None, Compression::None) => (Vec::new(), PLAIN),
            (None, Compression::Lz4 | Compression::Zstd) => (lz4_flex::block::compress(payload), LZ4),
        };
        if mark == PLAIN || compressed.len() + 4 >= worth {
            payload.push(PLAIN);
            return;
        }
        let length = (payload.len() as u32).to_le_bytes();
        payload.clear();
        payload.extend_from_slice(&length);
        payload.extend_from_slice(&compressed);
        payload.push(mark);
    }
}

/// None where it cannot be used, for want of memory, or for a reader's bound.
fn zstd_block(context: &mut CCtx<'_>, payload: &[u8]) -> Option<Vec<u8>> {
    let mut compressed = Vec::with_capacity(zstd_safe::compress_bound(payload.len()));
    context.compress(&mut compressed, payload, ZSTD_LEVEL).ok()?;
    (payload.len() <= compressed.len() * RATIO_MAX).then_some(compressed)
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("compression", &self.compression).finish_non_exhaustive()
    }
}

/// The payload of a block with its mark, or what is wrong with it.
pub(super) fn decompress(mut block: Vec<u8>) -> Result<Bytes, &'static str> {
    let mark = block.pop().ok_or("an empty block")?;
    if mark == PLAIN {
        return Ok(Bytes::from(block));
    }
    let possible = (block.len() as u64 * RATIO_MAX as u64).min(BLOCK_BYTES_MAX);
    let length = u32_at(&block, 0).filter(|length| u64::from(*length) <= possible);
    let length = length.ok_or("a block of impossible length")? as usize;
    let compressed = block.get(4..).unwrap_or_default();
    let plain = match mark {
        LZ4 => lz4_flex::block::decompress(compressed, length).ok(),
        ZSTD => zstd_plain(compressed, length),
        _ => return Err("a block of unknown compression"),
    };
    let plain = plain.ok_or("the block cannot be decompressed")?;
    if plain.len() == length {
        Ok(Bytes::from(plain))
    } else {
        Err("the block has another length than it says")
    }
}

fn zstd_plain(compressed: &[u8], length: usize) -> Option<Vec<u8>> {
    thread_local! {
        /// Costs more to make than a block to decompress.
        static CONTEXT: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
    }
    let mut plain = Vec::with_capacity(length);
    CONTEXT.with_borrow_mut(|context| context.decompress(&mut plain, compressed)).ok()?;
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(compression: Compression, payload: &[u8]) -> Vec<u8> {
        let mut block = payload.to_vec();
        Compressor::new(compression).compress(&mut block);
        block
    }

    #[test]
    fn every_codec_gives_back_what_it_got() {
        let text = b"the sea, the sea, the sea, and over it a sky like slate ".repeat(50);
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            for payload in [&text[..], b"", b"short", &[0; 100_000]] {
                let block = compressed(compression, payload);
                assert_eq!(decompress(block).unwrap(), payload, "{compression:?}");
            }
        }
        let sizes =
            [Compression::None, Compression::Lz4, Compression::Zstd].map(|c| compressed(c, &text).len());
        assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{sizes:?}");
    }

    #[test]
    fn what_saves_little_stays_as_it_is() {
        let noise: Vec<u8> = (0..1000u32).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
        assert_eq!(compressed(Compression::Zstd, &noise).len(), noise.len() + 1);
    }

    #[test]
    fn what_shrinks_beyond_the_bound_is_left_to_lz4() {
        assert_eq!(compressed(Compression::Zstd, &vec![0; 1 << 20]).last(), Some(&LZ4));
    }

    #[test]
    fn a_block_that_claims_too_much_is_refused() {
        for mark in [LZ4, ZSTD] {
            let block = [&u32::MAX.to_le_bytes()[..], &[0; 100], &[mark]].concat();
            assert_eq!(decompress(block), Err("a block of impossible length"));
            let block = [&50u32.to_le_bytes()[..], &[0xff; 100], &[mark]].concat();
            assert_eq!(decompress(block), Err("the block cannot be decompressed"));
        }
        assert_eq!(decompress(vec![1, 0, 0, 0, 7, 3]), Err("a block of unknown compression"));
        assert_eq!(decompress(Vec::new()), Err("an empty block"));
    }
}
