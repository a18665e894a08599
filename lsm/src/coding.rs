//! Integers and byte strings in files: little-endian fixed integers, LEB128 varints, length-prefixed strings.
//!
//! Reading answers `None` where the bytes end too early; nothing here panics on any input.

use bytes::{Buf, Bytes};

/// Appends a varint: seven bits per byte, least significant first, the high bit set on all but the last byte.
pub(crate) fn put_varint(buffer: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buffer.push(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.push(value as u8);
}

/// The bytes of a varint, and how many of them there are.
pub(crate) fn varint_of(mut value: u64) -> ([u8; 10], usize) {
    let (mut bytes, mut length) = ([0; 10], 0);
    for byte in &mut bytes {
        *byte = (value & 0x7f) as u8 | if value > 0x7f { 0x80 } else { 0 };
        (length, value) = (length + 1, value >> 7);
        if value == 0 {
            break;
        }
    }
    (bytes, length)
}

/// Appends a byte string behind its length.
pub(crate) fn put_prefixed(buffer: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(buffer, bytes.len() as u64);
    buffer.extend_from_slice(bytes);
}

/// A varint at `*at`, which moves past it.
#[inline]
pub(crate) fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    *at += 1;
    if first < 0x80 {
        return Some(u64::from(first));
    }
    let second = *bytes.get(*at)?;
    let value = u64::from(first & 0x7f) | u64::from(second & 0x7f) << 7;
    *at += 1;
    if second < 0x80 { Some(value) } else { long_varint(bytes, at, value) }
}

/// The rest of a varint of three bytes or more.
#[cold]
fn long_varint(bytes: &[u8], at: &mut usize, mut value: u64) -> Option<u64> {
    let mut shift = 14;
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
        shift += 7;
        if shift > 63 {
            return None;
        }
    }
}

/// A little-endian u32 at `at`.
#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    Some(u32::from_le_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// A little-endian u64 at `at`.
#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let end = at.checked_add(8)?;
    Some(u64::from_le_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// Reads from the front of shared bytes; byte strings are slices of them.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.rest.try_get_u8().ok()
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.rest.try_get_u64_le().ok()
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut at = 0;
        let value = varint(&self.rest, &mut at)?;
        self.rest.advance(at);
        Some(value)
    }

    pub(crate) fn prefixed(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.varint()?).ok()?;
        if length > self.rest.len() {
            return None;
        }
        Some(self.rest.split_to(length))
    }
}

/// So many bytes of a key are in its head.
pub(crate) const KEY_HEAD_BYTES: usize = 16;

/// The first sixteen bytes of a key, padded with zeros, as a number: keys that differ in it order as it does.
#[inline]
pub(crate) fn key_head(key: &[u8]) -> u128 {
    if let Some(head) = key.first_chunk::<KEY_HEAD_BYTES>() {
        return u128::from_be_bytes(*head);
    }
    let mut head = [0; KEY_HEAD_BYTES];
    head.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u128::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_survive_encoding() {
        for value in (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) - 1]).chain([u64::MAX]) {
            let mut buffer = Vec::new();
            put_varint(&mut buffer, value);
            let (bytes, length) = varint_of(value);
            assert_eq!(buffer, bytes[..length]);
            let mut at = 0;
            assert_eq!(varint(&buffer, &mut at), Some(value));
            assert_eq!(at, buffer.len());
        }
    }

    #[test]
    fn overlong_and_cut_varints_are_refused() {
        assert_eq!(varint(&[0x80; 11], &mut 0), None);
        assert_eq!(varint(&[0x80], &mut 0), None);
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], &mut 0), None);
    }
}
