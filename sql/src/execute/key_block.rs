//! Keys and values of many rows, cut out of few blocks of memory: each by itself would be two small allocations, one for its
//! bytes and one for the count of those who share them.
//!
//! A block lives as long as anything that was cut out of it, and who counts what is kept counts pieces: so blocks are small,
//! no larger than what is made with one, and hold what comes and goes together, the rows of a batch.

use bytes::{Bytes, BytesMut};
use expr::Datum;

use super::rows::{Entry, IndexFormat, TableFormat};
use crate::error::Result;

/// The most bytes of a block.
const BLOCK_BYTES_MAX: usize = 4 << 10;

/// About what a key or a value takes, before any was seen.
const PIECE_BYTES: usize = 32;

/// What is longer has memory of its own.
const PIECE_BYTES_MAX: usize = 256;

/// Makes keys and values.
#[derive(Debug)]
pub(crate) struct KeyBlock {
    /// What is left of the block; nothing is in it.
    block: BytesMut,
    block_bytes: usize,
    /// What is being made.
    scratch: Vec<u8>,
}

impl KeyBlock {
    /// For about so many of them.
    pub(crate) fn for_pieces(count: usize) -> Self {
        let block_bytes = count.saturating_mul(PIECE_BYTES).clamp(PIECE_BYTES, BLOCK_BYTES_MAX);
        Self { block: BytesMut::new(), block_bytes, scratch: Vec::new() }
    }

    /// The key of a row.
    pub(crate) fn row_key(&mut self, format: &TableFormat, row: &[Datum]) -> Result<Bytes> {
        let mut key = std::mem::take(&mut self.scratch);
        key.clear();
        format.put_row_key(row, &mut key)?;
        let cut = self.cut(&key);
        self.scratch = key;
        Ok(cut)
    }

    /// The key of a row in its index, whose columns these are.
    pub(crate) fn key_of(&mut self, index: &IndexFormat, columns: &[u8]) -> Bytes {
        let mut key = std::mem::take(&mut self.scratch);
        key.clear();
        index.put_key_of(columns, &mut key);
        let cut = self.cut(&key);
        self.scratch = key;
        cut
    }

    /// The key of the row's entry in a secondary index, if it has one there, and whether it is exclusive.
    pub(crate) fn entry_key(
        &mut self,
        format: &TableFormat,
        index: &IndexFormat,
        row: &[Datum],
        primary_columns: &[u8],
    ) -> Result<Option<(Bytes, bool)>> {
        let mut key = std::mem::take(&mut self.scratch);
        key.clear();
        let exclusive = format.put_entry_key(index, row, primary_columns, &mut key)?;
        let cut = exclusive.map(|exclusive| (self.cut(&key), exclusive));
        self.scratch = key;
        Ok(cut)
    }

    /// The row's entry in a secondary index, if it has one there.
    pub(crate) fn entry(
        &mut self,
        format: &TableFormat,
        index: &IndexFormat,
        row: &[Datum],
        primary_columns: &[u8],
    ) -> Result<Option<Entry>> {
        let Some((key, exclusive)) = self.entry_key(format, index, row, primary_columns)? else {
            return Ok(None);
        };
        let value = self.cut(index.entry_value(primary_columns));
        Ok(Some(Entry { key, value, exclusive }))
    }

    /// The value under the row's key.
    pub(crate) fn value(&mut self, format: &TableFormat, row: &[Datum]) -> Result<Bytes> {
        let mut value = std::mem::take(&mut self.scratch);
        value.clear();
        format.put_value(row, &mut value)?;
        if value.len() > PIECE_BYTES_MAX {
            value.shrink_to_fit();
            return Ok(value.into());
        }
        let cut = self.cut(&value);
        self.scratch = value;
        Ok(cut)
    }

    fn cut(&mut self, piece: &[u8]) -> Bytes {
        if piece.is_empty() {
            return Bytes::new();
        }
        if piece.len() > PIECE_BYTES_MAX {
            return Bytes::copy_from_slice(piece);
        }
        if self.block.capacity() < piece.len() {
            self.block = BytesMut::with_capacity(self.block_bytes.max(piece.len()));
        }
        self.block.extend_from_slice(piece);
        self.block.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_out_stays_what_it_is() {
        let mut block = KeyBlock::for_pieces(4);
        let pieces: Vec<Vec<u8>> =
            (0..300_usize).map(|number| vec![number as u8; number * 7 % (PIECE_BYTES_MAX + 10)]).collect();
        let cut: Vec<Bytes> = pieces.iter().map(|piece| block.cut(piece)).collect();
        assert_eq!(cut, pieces);
        assert!(block.block.is_empty() && block.block.capacity() <= PIECE_BYTES_MAX);
    }

    #[test]
    fn a_block_is_no_larger_than_what_it_is_for() {
        let mut one = KeyBlock::for_pieces(1);
        one.cut(b"key");
        assert!(one.block.capacity() < PIECE_BYTES);
        let mut many = KeyBlock::for_pieces(usize::MAX);
        let first = many.cut(b"key");
        let capacity = many.block.capacity();
        assert_eq!(first.len() + capacity, BLOCK_BYTES_MAX);
        many.cut(b"key");
        assert_eq!(many.block.capacity(), capacity - first.len(), "of the same block");
    }
}
