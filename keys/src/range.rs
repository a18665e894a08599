//! Keys of ranges' replicated state and of intents.
//!
//! ```text
//! 's' range id kind     one row of a range's state; the range id is 8 bytes, big-endian
//! 'i' key               the intent on a data key
//! ```

use bytes::Bytes;

use crate::keyspace::{INTENTS, RANGE};
use crate::span::Span;

/// A row of a range's state.
pub fn state(range_id: u64, kind: u8) -> Bytes {
    let mut key = Vec::with_capacity(10);
    key.push(RANGE);
    key.extend_from_slice(&range_id.to_be_bytes());
    key.push(kind);
    key.into()
}

/// A row of a range's state that has a name of its own behind its kind, such as a transaction's id.
pub fn state_of(range_id: u64, kind: u8, name: &[u8]) -> Bytes {
    [state(range_id, kind).as_ref(), name].concat().into()
}

/// All state of a range.
pub fn states(range_id: u64) -> Span {
    let mut key = Vec::with_capacity(9);
    key.push(RANGE);
    key.extend_from_slice(&range_id.to_be_bytes());
    Span::prefix(key)
}

/// The intent on a key.
pub fn intent(key: &[u8]) -> Bytes {
    [&[INTENTS], key].concat().into()
}

/// The intents on a span of keys.
pub fn intents(span: &Span) -> Span {
    Span::new(intent(&span.start), intent(&span.end))
}

/// The key that an intent stands on; None if this is no intent's key.
pub fn intent_target(key: &Bytes) -> Option<Bytes> {
    (key.first() == Some(&INTENTS)).then(|| key.slice(1..))
}
