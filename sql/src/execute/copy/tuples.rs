//! COPY's binary format: a header, tuples, and a mark of their end, in whatever pieces they arrive.
//!
//! ```text
//! "PGCOPY\n\xff\r\n\0" | flags u32 | length u32 of what follows of the header | …
//! number of fields i16 | ( length i32, -1 = NULL | bytes )*        for each tuple
//! -1 i16
//! ```

use crate::error::{Error, Result};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Flags that a reader has to know: none of them is defined any more.
const CRITICAL_FLAGS: u32 = 0xffff_0000;
const WITH_OIDS: u32 = 1 << 16;
const END_MARK: i16 = -1;

/// A tuple that has no end after so many bytes is refused: the client is sending something else.
const TUPLE_BYTES_MAX: usize = 64 << 20;
/// How much room is kept once a long tuple is done.
const ROOM_BYTES_KEPT: usize = 1 << 20;

/// What stands before the first tuple.
pub(super) fn header() -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend_from_slice(&[0; 8]);
    header
}

/// Begins a tuple.
pub(super) fn put_count(fields: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&i16::try_from(fields).unwrap_or(i16::MAX).to_be_bytes());
}

/// Appends a field. 54000 if the protocol has no number for its length.
pub(super) fn put_field(bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<()> {
    let Some(bytes) = bytes else {
        out.extend_from_slice(&(-1i32).to_be_bytes());
        return Ok(());
    };
    let length =
        i32::try_from(bytes.len()).map_err(|_| Error::new("54000", "the row is too long to be sent"))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// What stands behind the last tuple.
pub(super) fn put_end(out: &mut Vec<u8>) {
    out.extend_from_slice(&END_MARK.to_be_bytes());
}

/// Cuts data into tuples.
#[derive(Debug, Default)]
pub(super) struct Tuples {
    pending: Vec<u8>,
    has_header: bool,
    is_ended: bool,
}

/// What stands in the data at some place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A tuple's fields, NULL or bytes, and where the next piece begins.
    Tuple(Vec<Option<&'a [u8]>>, usize),
    /// The mark of the end.
    End,
    /// Something whose end has not come yet.
    Part,
}

impl Tuples {
    /// Adds data. The tuples that it completes are taken with [`Tuples::next`].
    pub(super) fn push(&mut self, data: &[u8]) -> Result<()> {
        if self.is_ended && !data.is_empty() {
            return Err(bad("received copy data after EOF marker"));
        }
        if self.pending.len() > TUPLE_BYTES_MAX {
            return Err(Error::new("54000", "a row of COPY data is too long"));
        }
        self.pending.extend_from_slice(data);
        Ok(())
    }

    /// Takes the header, and answers whether it is there.
    pub(super) fn take_header(&mut self) -> Result<bool> {
        if self.has_header {
            return Ok(true);
        }
        let begun = self.pending.len().min(SIGNATURE.len());
        if self.pending.get(..begun) != SIGNATURE.get(..begun) {
            return Err(bad("COPY file signature not recognized"));
        }
        let at = SIGNATURE.len();
        let Some(flags) = self.number(at) else { return Ok(false) };
        if flags & WITH_OIDS != 0 {
            return Err(bad("invalid COPY file header (WITH OIDS)"));
        }
        if flags & CRITICAL_FLAGS != 0 {
            return Err(bad("unrecognized critical flags in COPY file header"));
        }
        let Some(length) = self.number(at.saturating_add(4)) else { return Ok(false) };
        if i32::try_from(length).is_err() {
            return Err(bad("invalid COPY file header (missing length)"));
        }
        let end = at.saturating_add(8).saturating_add(length as usize);
        if self.pending.len() < end {
            return Ok(false);
        }
        self.consume(end);
        self.has_header = true;
        Ok(true)
    }

    /// The piece that begins at `from`, of tuples of so many fields. The caller gives the space back with [`Tuples::consume`].
    pub(super) fn next(&self, from: usize, fields: usize) -> Result<Piece<'_>> {
        let Some(count) = self.pending.get(from..).and_then(|rest| rest.first_chunk::<2>()) else {
            return Ok(Piece::Part);
        };
        let count = i16::from_be_bytes(*count);
        if count == END_MARK {
            return Ok(Piece::End);
        }
        if usize::try_from(count) != Ok(fields) {
            return Err(bad(format!("row field count is {count}, expected {fields}")));
        }
        let mut at = from.saturating_add(2);
        let mut tuple = Vec::with_capacity(fields);
        for _ in 0..fields {
            let Some(length) = self.number(at) else { return Ok(Piece::Part) };
            at = at.saturating_add(4);
            if length == u32::MAX {
                tuple.push(None);
                continue;
            }
            if i32::try_from(length).is_err() {
                return Err(bad("invalid field size"));
            }
            let end = at.saturating_add(length as usize);
            let Some(bytes) = self.pending.get(at..end) else { return Ok(Piece::Part) };
            tuple.push(Some(bytes));
            at = end;
        }
        Ok(Piece::Tuple(tuple, at))
    }

    fn number(&self, at: usize) -> Option<u32> {
        self.pending
            .get(at..)
            .and_then(|rest| rest.first_chunk::<4>())
            .map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// Notes the mark of the end at a place: nothing may follow it.
    pub(super) fn end(&mut self, at: usize) -> Result<()> {
        self.consume(at.saturating_add(2));
        self.is_ended = true;
        if self.pending.is_empty() { Ok(()) } else { Err(bad("received copy data after EOF marker")) }
    }

    /// How many bytes are kept for the next tuples.
    pub(super) fn held_bytes(&self) -> usize {
        self.pending.capacity()
    }

    /// Drops what was taken.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.pending.drain(..bytes.min(self.pending.len()));
        if self.pending.len() < ROOM_BYTES_KEPT && self.pending.capacity() > ROOM_BYTES_KEPT {
            self.pending.shrink_to(ROOM_BYTES_KEPT);
        }
    }

    /// Looks at what is left when the data has ended. The mark of the end may be missing.
    pub(super) fn finish(&self) -> Result<()> {
        if !self.has_header {
            let flags = SIGNATURE.len().saturating_add(4);
            return Err(bad(match self.pending.len() {
                had if had < SIGNATURE.len() => "COPY file signature not recognized",
                had if had < flags => "invalid COPY file header (missing flags)",
                had if had < flags.saturating_add(4) => "invalid COPY file header (missing length)",
                _ => "invalid COPY file header (wrong length)",
            }));
        }
        if self.pending.is_empty() { Ok(()) } else { Err(bad("unexpected EOF in COPY data")) }
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::new("22P04", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> Result<Vec<Vec<Option<Vec<u8>>>>> {
        let mut tuples = Tuples::default();
        let mut rows = Vec::new();
        for piece in pieces {
            tuples.push(piece)?;
            if !tuples.take_header()? {
                continue;
            }
            let mut from = 0;
            loop {
                match tuples.next(from, 2)? {
                    Piece::Tuple(fields, next) => {
                        rows.push(fields.into_iter().map(|field| field.map(<[u8]>::to_vec)).collect());
                        from = next;
                    }
                    Piece::End => {
                        tuples.end(from)?;
                        from = 0;
                        break;
                    }
                    Piece::Part => break,
                }
            }
            tuples.consume(from);
        }
        tuples.finish()?;
        Ok(rows)
    }

    fn whole() -> Vec<u8> {
        let mut data = header();
        for row in [[Some(&b"ab"[..]), None], [Some(&b""[..]), Some(&b"c"[..])]] {
            put_count(2, &mut data);
            for field in row {
                put_field(field, &mut data).unwrap();
            }
        }
        put_end(&mut data);
        data
    }

    #[test]
    fn tuples_may_arrive_in_any_pieces() {
        let data = whole();
        let expected = vec![vec![Some(b"ab".to_vec()), None], vec![Some(Vec::new()), Some(b"c".to_vec())]];
        for at in 0..=data.len() {
            assert_eq!(cut(&[&data[..at], &data[at..]]).unwrap(), expected, "cut at {at}");
        }
        let without_mark = &data[..data.len() - 2];
        assert_eq!(cut(&[without_mark]).unwrap(), expected);
    }

    #[test]
    fn what_is_no_binary_data_is_refused() {
        let data = whole();
        let message = |data: &[u8]| cut(&[data]).unwrap_err().to_string();
        assert!(message(b"1\ta\n").contains("COPY file signature not recognized"));
        assert!(message(&[]).contains("COPY file signature not recognized"));
        let mut flags = data.clone();
        flags[12] = 1;
        assert!(message(&flags).contains("WITH OIDS"));
        flags[12] = 2;
        assert!(message(&flags).contains("unrecognized critical flags"));
        let mut more = data.clone();
        more.push(0);
        assert!(message(&more).contains("received copy data after EOF marker"));
        let mut fields = data.clone();
        fields[20] = 3;
        assert!(message(&fields).contains("row field count is 3, expected 2"));
        let mut size = data.clone();
        size[21] = 0x80;
        assert!(message(&size).contains("invalid field size"));
        assert!(message(&data[..data.len() - 4]).contains("unexpected EOF in COPY data"));
    }
}
