//! How a version is stored: a header, then the value that was written. A version that says 'deleted' has the header as the
//! note that the engine keeps with it.
//!
//! ```text
//! stored := header | value          of a deletion: header
//! header := start timestamp u64 BE | flags u8
//! flags  := 1 columns of a unique key were changed, or the row was moved or deleted
//! ```
//! The start timestamp is that of the transaction that wrote the version: a retried commit is recognised by it, whatever it
//! wrote and wherever its keys are by then.

use bytes::{Buf, Bytes};
use lsm::Note;

use super::refusal::Refusal;

/// The longest key.
pub(crate) const KEY_BYTES_MAX: usize = 64 << 10;

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 9;

const CHANGES_KEY: u8 = 1;

/// What a version says of the write that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// When its transaction began.
    pub(crate) start_timestamp: u64,
    /// Whether it may have changed columns of a unique key, moved the row, or deleted it.
    pub(crate) changes_key: bool,
}

impl Header {
    /// As it is stored.
    pub(crate) fn encode(self) -> [u8; HEADER_BYTES] {
        let [a, b, c, d, e, f, g, h] = self.start_timestamp.to_be_bytes();
        [a, b, c, d, e, f, g, h, if self.changes_key { CHANGES_KEY } else { 0 }]
    }

    /// What is stored, with or without a value behind it; nothing if it is too short, or says what is not known here.
    pub(crate) fn decode(mut stored: &[u8]) -> Option<Self> {
        let start_timestamp = stored.try_get_u64().ok()?;
        let flags = stored.try_get_u8().ok().filter(|flags| flags & !CHANGES_KEY == 0)?;
        Some(Self { start_timestamp, changes_key: flags & CHANGES_KEY != 0 })
    }
}

/// Whether a version was ingested: it was written by no transaction, so that it says of itself that it began when it was
/// committed.
pub(crate) fn is_ingested(stored: &[u8], timestamp: u64) -> bool {
    Header::decode(stored).is_some_and(|header| header.start_timestamp == timestamp)
}

/// The header of a version, be it a value or a deletion.
pub(crate) fn header(stored: Option<&[u8]>, note: &Note) -> Result<Header, Refusal> {
    Header::decode(stored.unwrap_or(note.as_bytes())).ok_or_else(unreadable)
}

/// The header and the value of what is stored.
pub(crate) fn decode(mut stored: Bytes) -> Result<(Header, Bytes), Refusal> {
    let header = Header::decode(&stored).ok_or_else(unreadable)?;
    stored.advance(HEADER_BYTES);
    Ok((header, stored))
}

fn unreadable() -> Refusal {
    Refusal::Unavailable("the header of a stored version cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(header: Header, value: &[u8]) -> Bytes {
        [&header.encode(), value].concat().into()
    }

    #[test]
    fn a_value_comes_back_with_its_header() {
        for changes_key in [false, true] {
            let first = Header { start_timestamp: 77, changes_key };
            assert_eq!(decode(stored(first, b"value")).unwrap(), (first, Bytes::from_static(b"value")));
            assert_eq!(decode(stored(first, b"")).unwrap(), (first, Bytes::new()));
            assert_eq!(header(Some(&stored(first, b"value")), &Note::default()).unwrap(), first);
            assert_eq!(header(None, &Note::new(&first.encode()).unwrap()).unwrap(), first);
        }
    }

    #[test]
    fn what_was_ingested_began_when_it_was_committed() {
        let ingested = stored(Header { start_timestamp: 77, changes_key: true }, b"value");
        assert!(is_ingested(&ingested, 77) && !is_ingested(&ingested, 78));
        assert!(!is_ingested(b"", 0));
    }

    #[test]
    fn what_is_no_header_is_an_error() {
        for wrong in [&b"12345678"[..], b"", b"12345678\x02value"] {
            assert!(matches!(decode(Bytes::from(wrong)), Err(Refusal::Unavailable(_))));
        }
        assert!(header(None, &Note::default()).is_err());
    }
}
