//! Requests and answers, and their frames.
//!
//! ```text
//! request   length u64 │ command u8 │ payload         length counts what follows it
//! 0 GET     key │ count u8 │ (type u8 = 1, depth u8)…   the count and what follows it may be left out: depth 0
//! 1 SET     key │ object │ anything
//! 2 DELETE  key
//! 3 AUTH    role string │ password string
//! 4 WATCH   kind u8 (0: this key, 1: all that begin with it) │ key string │ since u64
//! 5 ZSTD    such a request in a frame (`zstd`)
//! 255 CLOSE anything
//! answer    length u64 │ object, or the byte 255 alone: an error
//! key       string, not empty
//! ```

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::object::{Malformed, Object, Reader};

/// What stands before a request's command.
const LENGTH_BYTES: usize = size_of::<u64>();

/// The answer that is an error.
const ERROR: u8 = 255;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    Get { key: String, depth: u8 },
    Set { key: String, object: Object },
    Delete { key: String },
    Authenticate { role: String, password: String },
    Watch { key: String, is_prefix: bool, since: u64 },
    Close,
}

impl Request {
    /// Whether it may stand in a frame.
    pub(crate) fn may_be_framed(&self) -> bool {
        matches!(self, Self::Get { .. } | Self::Set { .. } | Self::Delete { .. })
    }

    /// Reads what follows the length.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let request = match reader.byte()? {
            0 => Self::Get { key: reader.key()?.to_owned(), depth: depth(&mut reader)? },
            1 => {
                let key = reader.key()?.to_owned();
                return Ok(Self::Set { key, object: reader.object()? });
            }
            2 => Self::Delete { key: reader.key()?.to_owned() },
            3 => Self::Authenticate { role: reader.key()?.to_owned(), password: reader.string()?.to_owned() },
            4 => match reader.byte()? {
                0 => Self::Watch { key: reader.key()?.to_owned(), is_prefix: false, since: reader.number()? },
                1 => {
                    Self::Watch { key: reader.string()?.to_owned(), is_prefix: true, since: reader.number()? }
                }
                _ => return Err(Malformed("there is no such kind of keys")),
            },
            255 => return Ok(Self::Close),
            _ => return Err(Malformed("there is no such command")),
        };
        if reader.is_at_end() { Ok(request) } else { Err(Malformed("something stands behind the request")) }
    }
}

/// The depth that a GET's parameters say; the last of several.
fn depth(reader: &mut Reader<'_>) -> Result<u8, Malformed> {
    let mut depth = 0;
    if !reader.is_at_end() {
        for _ in 0..reader.byte()? {
            depth = match reader.byte()? {
                1 => reader.byte()?,
                _ => return Err(Malformed("there is no such parameter")),
            };
        }
    }
    Ok(depth)
}

/// The length of the request at the front, once it has come.
pub(crate) fn length(input: &[u8]) -> Option<u64> {
    input.first_chunk::<LENGTH_BYTES>().map(|bytes| u64::from_be_bytes(*bytes))
}

/// So many bytes of the request at the front, once they have come.
pub(crate) fn beginning(input: &[u8], bytes: usize) -> Option<&[u8]> {
    input.get(LENGTH_BYTES..LENGTH_BYTES.saturating_add(bytes))
}

/// Takes the request of this length off the front, if it is there whole.
pub(crate) fn take(input: &mut BytesMut, length: usize) -> Option<Bytes> {
    if input.len() < LENGTH_BYTES.saturating_add(length) {
        return None;
    }
    input.advance(LENGTH_BYTES);
    Some(input.split_to(length).freeze())
}

/// Appends the answer that an object is; false if it cannot be said, and an error stands there.
pub(crate) fn put_answer(object: &Object, output: &mut BytesMut) -> bool {
    let start = output.len();
    output.put_u64(0);
    let said = object.put(output);
    let length = output.len().saturating_sub(start).saturating_sub(LENGTH_BYTES);
    if said.is_err() {
        output.truncate(start);
        put_error(output);
        return false;
    }
    if let Some(place) = output.get_mut(start..).and_then(|answer| answer.first_chunk_mut()) {
        *place = (length as u64).to_be_bytes();
    }
    true
}

/// Appends an error.
pub(crate) fn put_error(output: &mut BytesMut) {
    output.put_u64(1);
    output.put_u8(ERROR);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_request_has_its_bytes() {
        let key = || "k".to_owned();
        for (bytes, request) in [
            (&b"\0\0\x01k"[..], Request::Get { key: key(), depth: 0 }),
            (b"\0\0\x01k\0", Request::Get { key: key(), depth: 0 }),
            (b"\0\0\x01k\x01\x01\x07", Request::Get { key: key(), depth: 7 }),
            (b"\0\0\x01k\x02\x01\x07\x01\xff", Request::Get { key: key(), depth: 255 }),
            (b"\x01\0\x01k\0", Request::Set { key: key(), object: Object::Null }),
            (b"\x01\0\x01k\0and more", Request::Set { key: key(), object: Object::Null }),
            (b"\x02\0\x01k", Request::Delete { key: key() }),
            (b"\x03\0\x01k\0\x01p", Request::Authenticate { role: key(), password: "p".to_owned() }),
            (b"\x03\0\x01k\0\0", Request::Authenticate { role: key(), password: String::new() }),
            (b"\x04\0\0\x01k\0\0\0\0\0\0\0\x07", Request::Watch { key: key(), is_prefix: false, since: 7 }),
            (
                b"\x04\x01\0\0\0\0\0\0\0\0\0\0",
                Request::Watch { key: String::new(), is_prefix: true, since: 0 },
            ),
            (b"\xff", Request::Close),
            (b"\xffwhatever", Request::Close),
        ] {
            assert_eq!(Request::decode(bytes), Ok(request), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_request_is_malformed() {
        for bytes in [
            &b""[..],
            b"\0",
            b"\0\0\0",
            b"\0\0\x02k",
            b"\0\0\x01\xff",
            b"\0\0\x01k\x01",
            b"\0\0\x01k\x01\x02\0",
            b"\0\0\x01k\x01\x01\0more",
            b"\0\0\x01k\0more",
            b"\x01\0\x01k",
            b"\x01\0\x01k\x09",
            b"\x02\0\x01kmore",
            b"\x03\0\0\0\0",
            b"\x03\0\x01k",
            b"\x04",
            b"\x04\0\0\0\0\0\0\0\0\0\0\0",
            b"\x04\0\0\x01k",
            b"\x04\x02\0\x01k\0\0\0\0\0\0\0\0",
            b"\xfe",
        ] {
            assert!(Request::decode(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn answers_have_their_length_before_them() {
        let mut output = BytesMut::new();
        assert!(put_answer(&Object::Null, &mut output));
        assert!(put_answer(&Object::Integer(1), &mut output));
        assert!(!put_answer(&Object::Text("x".repeat(0x1_0000)), &mut output));
        let golden = b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\x09\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\xff";
        assert_eq!(&output[..], golden);
    }

    #[test]
    fn a_request_is_taken_only_when_whole() {
        let whole = b"\0\0\0\0\0\0\0\x04\0\0\x01krest";
        for cut in 0..12 {
            let mut input = BytesMut::from(&whole[..cut]);
            let taken = length(&input).and_then(|length| take(&mut input, length as usize));
            assert_eq!((taken, input.len()), (None, cut));
        }
        let mut input = BytesMut::from(&whole[..]);
        assert_eq!(length(&input), Some(4));
        assert_eq!(take(&mut input, 4).as_deref(), Some(&b"\0\0\x01k"[..]));
        assert_eq!(&input[..], b"rest");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_request_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Request::decode(&bytes);
        }
    }
}
