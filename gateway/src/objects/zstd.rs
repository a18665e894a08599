//! Requests and answers in frames of zstd (RFC 8878), for objects that are large and clients that are far away.
//!
//! ```text
//! request   length u64 │ 5 │ frame: a GET, SET or DELETE, without its length
//! answer    length u64 │ 8 │ frame: the object          where that is shorter than the object itself
//! ```
//!
//! A frame says in its first bytes how long its content is, which is bounded as a request is: so room is taken for it with that for the
//! request, before either is there, and nobody who has come as far as a frame waits for more.

use bytes::{BufMut as _, BytesMut};
use zstd_safe::{compress, compress_bound, get_frame_content_size};

use super::object::Malformed;

/// The command of a request in a frame, and the type of an object in one.
const COMMAND: u8 = 5;
const OBJECT: u8 = 8;

/// What stands before an answer's object.
const LENGTH_BYTES: usize = size_of::<u64>();

/// Shorter answers are not worth it.
const WORTH_BYTES: usize = 128;

const LEVEL: i32 = 3;

/// The frame that a request stands in; none: it stands as it is.
pub(crate) fn frame_of(request: &[u8]) -> Option<&[u8]> {
    match request.split_first() {
        Some((&COMMAND, frame)) => Some(frame),
        _ => None,
    }
}

/// By so many bytes of a request it is known what stands in its frame: a frame's header has 18 at most.
pub(crate) const BEGINNING_BYTES: usize = 1 + 18;

/// How much room a request of this length takes that begins so, with what stands in its frame, if it stands in one that makes sense.
pub(crate) fn room_of(beginning: &[u8], length: usize, bytes_max: usize) -> usize {
    let content = frame_of(beginning).and_then(|frame| content_length(frame, bytes_max).ok());
    length.saturating_add(content.unwrap_or(0))
}

/// How long the content of a frame is, as it says.
pub(crate) fn content_length(frame: &[u8], bytes_max: usize) -> Result<usize, Malformed> {
    let length = get_frame_content_size(frame).map_err(|_| Malformed("this is no frame of zstd"))?;
    let length = length.ok_or(Malformed("a frame of zstd says how long its content is"))?;
    let length = usize::try_from(length).ok().filter(|length| *length <= bytes_max);
    length.ok_or(Malformed("the content of a frame is too long"))
}

/// The content of a frame, which is of this length.
pub(crate) fn open(frame: &[u8], length: usize) -> Result<Vec<u8>, Malformed> {
    let mut content = Vec::with_capacity(length);
    let opened = zstd_safe::decompress(&mut content, frame);
    match opened {
        Ok(_) if content.len() == length => Ok(content),
        Ok(_) | Err(_) => Err(Malformed("a frame of zstd is damaged")),
    }
}

/// Puts the answer that begins there into a frame, if it is shorter then.
pub(crate) fn close(output: &mut BytesMut, start: usize) {
    let object = output.get(start.saturating_add(LENGTH_BYTES)..).unwrap_or_default();
    if object.len() < WORTH_BYTES {
        return;
    }
    let mut frame = Vec::with_capacity(compress_bound(object.len()));
    let is_shorter =
        compress(&mut frame, object, LEVEL).is_ok() && frame.len().saturating_add(1) < object.len();
    if is_shorter {
        output.truncate(start);
        output.put_u64((frame.len() as u64).saturating_add(1));
        output.put_u8(OBJECT);
        output.put_slice(&frame);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::object::Object;
    use super::super::request::put_answer;
    use super::*;

    /// A frame of one raw block: anybody can write it by hand.
    fn raw(content: &[u8]) -> Vec<u8> {
        let block = (((content.len() as u32) << 3) | 1).to_le_bytes();
        [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, content.len() as u8][..], &block[..3], content].concat()
    }

    #[test]
    fn a_request_comes_out_of_its_frame() {
        let request = b"\0\0\x01k";
        let framed = [&[COMMAND][..], &raw(request)].concat();
        let frame = frame_of(&framed).unwrap();
        assert_eq!(content_length(frame, 4), Ok(4));
        assert_eq!(open(frame, 4).unwrap(), request);
        assert!(content_length(frame, 3).is_err() && open(frame, 3).is_err() && open(frame, 5).is_err());
        assert!(frame_of(b"\0\0\x01k").is_none() && frame_of(b"").is_none());
        for wrong in [&b""[..], b"zstd", &frame[..4], &[frame, &b"more"[..]].concat()[..]] {
            let opened = content_length(wrong, 100).and_then(|length| open(wrong, length));
            assert!(opened.is_err(), "{wrong:?}");
        }
        // One that does not say how long it is: the same without the field.
        let unsaid = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00][..], &raw(request)[6..]].concat();
        assert!(content_length(&unsaid, 100).is_err());
    }

    #[test]
    fn a_request_takes_room_for_what_stands_in_its_frame() {
        let framed = [&[COMMAND][..], &raw(&[7; 200])].concat();
        assert_eq!(room_of(&framed[..BEGINNING_BYTES], framed.len(), 1 << 20), framed.len() + 200);
        assert_eq!(room_of(&framed[..BEGINNING_BYTES], framed.len(), 100), framed.len(), "it is refused");
        assert_eq!(room_of(b"\x05", 1, 100), 1);
        assert_eq!(room_of(b"\x01\0\x01k", 5000, 1 << 20), 5000);
    }

    #[test]
    fn an_answer_is_in_a_frame_where_that_is_shorter() {
        let mut output = BytesMut::from(&b"before"[..]);
        assert!(put_answer(&Object::Integer(7), &mut output));
        let plain = output.clone();
        close(&mut output, 6);
        assert_eq!(output, plain);
        output.truncate(6);
        let long = Object::Text("x".repeat(5000));
        assert!(put_answer(&long, &mut output));
        let plain = output.clone();
        close(&mut output, 6);
        let length = u64::from_be_bytes(output[6..14].try_into().unwrap()) as usize;
        assert_eq!((length, output[14]), (output.len() - 14, OBJECT));
        let object = content_length(&output[15..], 1 << 20).and_then(|length| open(&output[15..], length));
        assert_eq!(object.unwrap(), &plain[14..]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), begins in any::<bool>()) {
            let bytes = if begins { [&[0x28, 0xb5, 0x2f, 0xfd][..], &bytes].concat() } else { bytes };
            if let Ok(length) = content_length(&bytes, 1 << 16) {
                let _ = open(&bytes, length);
            }
        }
    }
}
