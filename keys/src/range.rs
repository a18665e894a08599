//! Keys of ranges' replicated state and of intents.
//!
//! ```text
//! 's' range id kind     one row of a range's state; the range id is 8 bytes, big-endian
//! 'i' key' 1            the intent on a data key
//! 'i' key' 2 start      on a primary: the transaction that began at `start` was committed
//! 'i' key' 3 start      the transaction that began at `start` will never write the key
//! ```
//! `key'` is the data key with each byte 0 as 0 0xff, and 0 1 at its end, so that the rows of keys stand in the keys' order,
//! and none beyond the end of any span that its key lies in. `start` is 8 bytes, big-endian.

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

/// What a row of the intents' keyspace is, beside the key that it stands under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntentRow {
    /// The intent on the key.
    Intent,
    /// On a primary: the transaction that began then was committed.
    Decision(u64),
    /// The transaction that began then will never write the key.
    Rollback(u64),
}

const INTENT: u8 = 1;
const DECISION: u8 = 2;
const ROLLBACK: u8 = 3;

/// The intent on a key.
pub fn intent(key: &[u8]) -> Bytes {
    let mut row = escaped(key);
    row.extend_from_slice(&[0, 1, INTENT]);
    row.into()
}

/// The record, on its primary key, of a transaction that was committed.
pub fn decision(key: &[u8], start_timestamp: u64) -> Bytes {
    of_start(key, DECISION, start_timestamp)
}

/// The marker that bars a transaction from a key.
pub fn rollback(key: &[u8], start_timestamp: u64) -> Bytes {
    of_start(key, ROLLBACK, start_timestamp)
}

/// All of these rows on a span of keys; an empty end is the end of the key space.
pub fn intents(span: &Span) -> Span {
    let end = if span.end.is_empty() { vec![INTENTS + 1] } else { escaped(&span.end) };
    Span::new(escaped(&span.start), end)
}

/// The key that a row of the intents' keyspace stands under, and what it is; None if it is no such row.
pub fn intent_row(row: &[u8]) -> Option<(Bytes, IntentRow)> {
    let (first, mut rest) = row.split_first()?;
    if *first != INTENTS {
        return None;
    }
    let mut key = Vec::with_capacity(rest.len());
    loop {
        match rest {
            [0, 0xff, more @ ..] => {
                key.push(0);
                rest = more;
            }
            [0, 1, more @ ..] => {
                rest = more;
                break;
            }
            [0, ..] | [] => return None,
            [byte, more @ ..] => {
                key.push(*byte);
                rest = more;
            }
        }
    }
    let start = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
    let kind = match rest {
        [INTENT] => IntentRow::Intent,
        [DECISION, bytes @ ..] => IntentRow::Decision(start(bytes)?),
        [ROLLBACK, bytes @ ..] => IntentRow::Rollback(start(bytes)?),
        _ => return None,
    };
    Some((key.into(), kind))
}

fn of_start(key: &[u8], kind: u8, start_timestamp: u64) -> Bytes {
    let mut row = escaped(key);
    row.extend_from_slice(&[0, 1, kind]);
    row.extend_from_slice(&start_timestamp.to_be_bytes());
    row.into()
}

fn escaped(key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(key.len() + 12);
    row.push(INTENTS);
    for byte in key {
        row.push(*byte);
        if *byte == 0 {
            row.push(0xff);
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_under_keys_say_what_they_are() {
        for key in [&b""[..], b"d", b"d\0", b"d\0\xff\0\x01", b"\0\0", b"d\xff\x01"] {
            let row = |kind| Some((Bytes::copy_from_slice(key), kind));
            assert_eq!(intent_row(&intent(key)), row(IntentRow::Intent));
            assert_eq!(intent_row(&decision(key, 7)), row(IntentRow::Decision(7)));
            assert_eq!(intent_row(&rollback(key, u64::MAX)), row(IntentRow::Rollback(u64::MAX)));
        }
        for wrong in [&b""[..], b"i", b"id", b"id\0", b"id\0\x01", b"id\0\x01\x02short", b"dd\0\x01\x01"] {
            assert_eq!(intent_row(wrong), None);
        }
    }

    #[test]
    fn rows_lie_in_the_spans_that_their_keys_lie_in() {
        let keys = [&b"a"[..], b"a\0", b"a\0\0", b"a\0\x01", b"a\0\xff", b"a\x01", b"aa", b"b"];
        for start in keys {
            for end in keys.into_iter().filter(|end| start < *end) {
                let span = Span::new(Bytes::from_static(start), Bytes::from_static(end));
                let rows = intents(&span);
                for key in keys {
                    for row in [intent(key), decision(key, 0), rollback(key, u64::MAX)] {
                        assert!(intents(&Span::new(key, &b""[..])).contains(&row));
                        assert_eq!(rows.contains(&row), span.contains(key), "{key:?} in {span:?}");
                    }
                }
            }
        }
    }
}
