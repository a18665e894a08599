//! Frames of a WebSocket, as a server reads and writes them (RFC 6455, section 5), and the messages that they are parts of.
//!
//! ```text
//! byte 0   FIN │ 3 × 0 │ opcode: 0 goes on, 1 text, 2 bytes, 8 close, 9 ping, 10 pong
//! byte 1   masked (a client's are) │ length, 126: u16 follows, 127: u64 follows
//!          mask, 4 bytes │ payload
//! ```
//!
//! # Invariants
//! - Memory follows the bytes that have arrived, never the length that a frame claims to have.
//! - A message is no longer than the bound of who reads it.

use bytes::{Buf as _, BufMut as _, BytesMut};

/// What stands before a payload at most.
const HEAD_BYTES: usize = 14;

/// What frames that are no part of a message have at most.
const CONTROL_BYTES_MAX: usize = 125;

/// Why a connection is closed: RFC 6455, section 7.4.1.
pub(super) const NORMAL: u16 = 1000;
pub(super) const GOING_AWAY: u16 = 1001;
const PROTOCOL_ERROR: u16 = 1002;
const UNACCEPTABLE: u16 = 1003;
const INVALID_TEXT: u16 = 1007;
pub(super) const LATE: u16 = 1008;
const TOO_LONG: u16 = 1009;
pub(super) const TRY_AGAIN: u16 = 1013;

/// What makes no sense, as it is told to who has sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(super) struct Wrong {
    pub(super) code: u16,
    pub(super) why: &'static str,
}

const fn wrong(why: &'static str) -> Wrong {
    Wrong { code: PROTOCOL_ERROR, why }
}

/// What has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Incoming {
    Text(String),
    Ping(Vec<u8>),
    Pong,
    Close,
}

/// What is read of a connection.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// What has come of a message whose end is yet to come; none: no message has begun.
    begun: Option<BytesMut>,
}

/// The first bytes of a frame.
struct Head {
    is_last: bool,
    opcode: u8,
    mask: [u8; 4],
    bytes: usize,
    length: usize,
}

impl Reader {
    /// Whether a message has begun, or a frame.
    pub(super) fn is_within(&self, input: &[u8]) -> bool {
        self.begun.is_some() || !input.is_empty()
    }

    /// Of how many bytes the message under way is, as far as is known.
    pub(super) fn length(&self, input: &[u8]) -> usize {
        let frame = head(input).ok().flatten().map_or(0, |head| head.length);
        self.begun.as_ref().map_or(0, BytesMut::len).saturating_add(frame)
    }

    /// What is there whole at the front of the input, which is taken off. A message has at most so many bytes.
    pub(super) fn take(&mut self, input: &mut BytesMut, bytes_max: usize) -> Result<Option<Incoming>, Wrong> {
        loop {
            let Some(head) = head(input)? else { return Ok(None) };
            let before = self.begun.as_ref().map_or(0, BytesMut::len);
            let is_control = head.opcode >= 8;
            if !is_control && before.saturating_add(head.length) > bytes_max {
                return Err(Wrong { code: TOO_LONG, why: "the message is too long" });
            }
            if input.len() < head.bytes.saturating_add(head.length) {
                return Ok(None);
            }
            input.advance(head.bytes);
            let mut payload = input.split_to(head.length);
            for (byte, mask) in payload.iter_mut().zip(head.mask.iter().cycle()) {
                *byte ^= mask;
            }
            match (head.opcode, self.begun.as_mut()) {
                (1, None) => self.begun = Some(payload),
                (0, Some(begun)) => begun.extend_from_slice(&payload),
                (2, None) => return Err(Wrong { code: UNACCEPTABLE, why: "messages are text" }),
                (8, _) => return Ok(Some(Incoming::Close)),
                (9, _) => return Ok(Some(Incoming::Ping(payload.to_vec()))),
                (10, _) => return Ok(Some(Incoming::Pong)),
                (0, None) => return Err(wrong("nothing has begun that could go on")),
                (1 | 2, Some(_)) => return Err(wrong("a message begins within another")),
                _ => return Err(wrong("there is no such opcode")),
            }
            if head.is_last
                && let Some(whole) = self.begun.take()
            {
                let text = String::from_utf8(whole.to_vec());
                let text = text.map_err(|_| Wrong { code: INVALID_TEXT, why: "the message is not UTF-8" });
                return text.map(|text| Some(Incoming::Text(text)));
            }
        }
    }
}

/// The head at the front of the input; none: it is not there whole.
fn head(input: &[u8]) -> Result<Option<Head>, Wrong> {
    let mut rest = input.get(..HEAD_BYTES.min(input.len())).unwrap_or_default();
    let (Some(first), Some(second)) = (take(&mut rest), take(&mut rest)) else { return Ok(None) };
    let (is_last, opcode) = (first & 0x80 != 0, first & 0x0f);
    if first & 0x70 != 0 {
        return Err(wrong("no extension was agreed upon"));
    }
    if second & 0x80 == 0 {
        return Err(wrong("what a client sends is masked"));
    }
    let length = match second & 0x7f {
        126 => match rest.split_first_chunk() {
            Some((length, behind)) => {
                rest = behind;
                u64::from(u16::from_be_bytes(*length))
            }
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk() {
            Some((length, behind)) => {
                rest = behind;
                u64::from_be_bytes(*length)
            }
            None => return Ok(None),
        },
        length => u64::from(length),
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if opcode >= 8 && (!is_last || length > CONTROL_BYTES_MAX) {
        return Err(wrong("a control frame is short, and whole"));
    }
    let Some((mask, behind)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let bytes = input.len().min(HEAD_BYTES).saturating_sub(behind.len());
    Ok(Some(Head { is_last, opcode, mask: *mask, bytes, length }))
}

fn take(rest: &mut &[u8]) -> Option<u8> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    Some(*first)
}

/// Appends a message.
pub(super) fn put_text(text: &str, output: &mut BytesMut) {
    put(1, text.as_bytes(), output);
}

pub(super) fn put_ping(output: &mut BytesMut) {
    put(9, &[], output);
}

/// Appends the answer to a ping.
pub(super) fn put_pong(payload: &[u8], output: &mut BytesMut) {
    put(10, payload, output);
}

/// Appends the last frame, which says why it is; no longer than such a frame may be.
pub(super) fn put_close(code: u16, why: &str, output: &mut BytesMut) {
    let room = CONTROL_BYTES_MAX.saturating_sub(size_of::<u16>());
    let mut why = why;
    while why.len() > room {
        let mut shorter = why.chars();
        shorter.next_back();
        why = shorter.as_str();
    }
    put(8, &[&code.to_be_bytes(), why.as_bytes()].concat(), output);
}

fn put(opcode: u8, payload: &[u8], output: &mut BytesMut) {
    output.reserve(payload.len().saturating_add(HEAD_BYTES));
    output.put_u8(0x80 | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if length < 126 => output.put_u8(length),
        (_, Ok(length)) => {
            output.put_u8(126);
            output.put_u16(length);
        }
        _ => {
            output.put_u8(127);
            output.put_u64(payload.len() as u64);
        }
    }
    output.put_slice(payload);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as a client writes it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..126 => bytes.push(0x80 | length as u8),
            length @ 126..0x1_0000 => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// All that comes of bytes that arrive one at a time.
    fn read(bytes: &[u8], bytes_max: usize) -> Result<Vec<Incoming>, Wrong> {
        let (mut reader, mut input, mut all) = (Reader::default(), BytesMut::new(), Vec::new());
        for byte in bytes {
            input.put_u8(*byte);
            all.extend(reader.take(&mut input, bytes_max)?);
        }
        assert!(input.is_empty(), "{input:?}");
        Ok(all)
    }

    #[test]
    fn messages_come_whole_or_in_parts_with_others_between() {
        let text = |text: &str| Incoming::Text(text.to_owned());
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let long = "x".repeat(length);
            assert_eq!(read(&frame(0x81, long.as_bytes()), 1 << 20).unwrap(), [text(&long)]);
        }
        let parts =
            [frame(0x01, b"a"), frame(0x89, b"p"), frame(0x00, "\u{e9}".as_bytes()), frame(0x80, b"c")];
        assert_eq!(read(&parts.concat(), 100).unwrap(), [Incoming::Ping(b"p".to_vec()), text("a\u{e9}c")]);
        assert_eq!(
            read(&[frame(0x8a, b""), frame(0x88, b"\x03\xe8")].concat(), 100).unwrap(),
            [Incoming::Pong, Incoming::Close]
        );
        // Example of RFC 6455, section 5.7.
        let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(read(&hello, 100).unwrap(), [text("Hello")]);
    }

    #[test]
    fn what_makes_no_sense_closes_the_connection() {
        for (bytes, code) in [
            (frame(0xc1, b"a"), PROTOCOL_ERROR),
            (frame(0x83, b"a"), PROTOCOL_ERROR),
            (frame(0x8b, b""), PROTOCOL_ERROR),
            (frame(0x80, b"a"), PROTOCOL_ERROR),
            ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), PROTOCOL_ERROR),
            (frame(0x09, b""), PROTOCOL_ERROR),
            (frame(0x89, &[0; 126]), PROTOCOL_ERROR),
            (vec![0x81, 0x01, b'a'], PROTOCOL_ERROR),
            (frame(0x82, b"a"), UNACCEPTABLE),
            (frame(0x81, b"\xff"), INVALID_TEXT),
            (frame(0x81, &[b'x'; 101]), TOO_LONG),
            ([frame(0x01, &[b'x'; 60]), frame(0x80, &[b'x'; 60])].concat(), TOO_LONG),
        ] {
            assert_eq!(read(&bytes, 100).unwrap_err().code, code, "{bytes:?}");
        }
        // Its length is known before it has come.
        let mut input = BytesMut::from(&[0x81, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4][..]);
        assert_eq!(Reader::default().take(&mut input, 1 << 20).unwrap_err().code, TOO_LONG);
    }

    #[test]
    fn what_is_written_has_its_length_and_no_mask() {
        let mut output = BytesMut::new();
        put_text("hi", &mut output);
        put_pong(b"p", &mut output);
        put_close(4400, "no", &mut output);
        assert_eq!(&output[..], b"\x81\x02hi\x8a\x01p\x88\x04\x11\x30no");
        output.clear();
        put_text(&"x".repeat(126), &mut output);
        assert_eq!(&output[..4], b"\x81\x7e\x00\x7e");
        output.clear();
        put_text(&"x".repeat(0x1_0000), &mut output);
        assert_eq!(&output[..10], b"\x81\x7f\0\0\0\0\0\x01\0\0");
        output.clear();
        put_close(1001, &"\u{e9}".repeat(100), &mut output);
        assert_eq!(output.len(), 2 + 2 + 122);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(texts in prop::collection::vec(".{0,300}", 0..5), cut in 1_usize..200) {
            let mut bytes = Vec::new();
            for text in &texts {
                let parts: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
                let last = parts.len().saturating_sub(1);
                for (number, part) in parts.iter().enumerate() {
                    let opcode = if number == 0 { 1 } else { 0 };
                    let is_last = if number == last { 0x80 } else { 0 };
                    bytes.extend(frame(is_last | opcode, part));
                    bytes.extend(frame(0x8a, b"pong"));
                }
                if parts.is_empty() {
                    bytes.extend(frame(0x81, b""));
                }
            }
            let mut heard = read(&bytes, 10_000).unwrap();
            heard.retain(|heard| *heard != Incoming::Pong);
            let expected: Vec<Incoming> = texts.into_iter().map(Incoming::Text).collect();
            prop_assert_eq!(heard, expected);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (mut reader, mut input) = (Reader::default(), BytesMut::from(&bytes[..]));
            while let Ok(Some(_)) = reader.take(&mut input, 100) {}
        }
    }
}
