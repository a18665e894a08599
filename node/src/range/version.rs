//! How a version's value is stored: the start timestamp of the transaction that wrote it, 8 bytes big-endian, then the
//! value that was written. The start timestamp lets a retried commit be recognised.

use bytes::{Buf, Bytes};

use super::refusal::Refusal;

/// Bytes before the value.
const PREFIX_BYTES: usize = 8;

/// What is stored for a value.
pub(crate) fn encode(start_timestamp: u64, value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(PREFIX_BYTES + value.len());
    stored.extend_from_slice(&start_timestamp.to_be_bytes());
    stored.extend_from_slice(value);
    stored
}

/// The start timestamp and the value of what is stored.
pub(crate) fn decode(mut stored: Bytes) -> Result<(u64, Bytes), Refusal> {
    if stored.len() < PREFIX_BYTES {
        return Err(Refusal::Unavailable("a stored version is shorter than its prefix".to_owned()));
    }
    let start_timestamp = stored.get_u64();
    Ok((start_timestamp, stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_with_its_start_timestamp() {
        let stored = Bytes::from(encode(77, b"value"));
        assert_eq!(decode(stored).unwrap(), (77, Bytes::from_static(b"value")));
        assert_eq!(decode(Bytes::from(encode(1, b""))).unwrap(), (1, Bytes::new()));
    }

    #[test]
    fn a_stored_value_without_its_prefix_is_an_error() {
        assert!(matches!(decode(Bytes::from_static(b"1234567")), Err(Refusal::Unavailable(_))));
    }
}
