//! What tells the connections of key-value requests, and those of replication, from the others before their first request.
//!
//! Whose threads look after a connection is decided when it is accepted. An HTTP/2 client begins with its settings, and
//! ours say in them which lane they are: by the largest list of headers that they take, more than any of ours is long. A
//! mark is a hint: a connection without one, or in TLS, where it cannot be read, is served all the same.

use crate::lane::Lane;

/// The largest list of headers that a connection of key-value requests takes.
const KEY_VALUE: u32 = 0x6b76;

/// The same of one that carries replication alone.
const REPLICATION: u32 = 0x7261;

/// The same of any other one: hyper's own bound.
const OTHER: u32 = 16 << 10;

/// With what every HTTP/2 connection begins; a frame of settings follows.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame's header: length (3 bytes), type, flags, stream (4 bytes).
const FRAME_HEADER: usize = 9;

/// The type of a frame of settings: each an id (2 bytes) and a value (4 bytes).
const SETTINGS: u8 = 4;

/// The id of that setting.
const MAX_HEADER_LIST_SIZE: [u8; 2] = [0, 6];

/// So many bytes decide for sure: nobody has more settings than a handful.
pub(super) const BYTES_MAX: usize = 256;

/// What the connections of a lane say.
pub(super) fn of(lane: Lane) -> u32 {
    match lane {
        Lane::Requests | Lane::Bulk => KEY_VALUE,
        Lane::Replication | Lane::Urgent => REPLICATION,
        Lane::Control | Lane::Snapshots => OTHER,
    }
}

/// What a connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    /// Key-value requests alone.
    KeyValue,
    /// Appended entries, heartbeats and votes alone.
    Replication,
    /// Anything.
    Anything,
}

/// What a connection carries that begins so; `None`: more of it is needed to tell.
pub(super) fn carries(begin: &[u8]) -> Option<Carries> {
    if !begin.starts_with(PREFACE) {
        return if PREFACE.starts_with(begin) { None } else { Some(Carries::Anything) };
    }
    let (header, rest) = begin.get(PREFACE.len()..)?.split_at_checked(FRAME_HEADER)?;
    let &[high, middle, low, kind, ..] = header else { return Some(Carries::Anything) };
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    if kind != SETTINGS || length > BYTES_MAX - PREFACE.len() - FRAME_HEADER {
        return Some(Carries::Anything);
    }
    let mut settings = rest.get(..length)?.chunks_exact(6);
    let mark = settings.find(|setting| setting.starts_with(&MAX_HEADER_LIST_SIZE));
    let mark = mark.and_then(|setting| setting.get(2..)?.try_into().ok()).map(u32::from_be_bytes);
    Some(match mark {
        Some(KEY_VALUE) => Carries::KeyValue,
        Some(REPLICATION) => Carries::Replication,
        _ => Carries::Anything,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(settings: &[(u16, u32)]) -> Vec<u8> {
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        let length = (settings.len() as u32).to_be_bytes();
        [PREFACE, &length[1..], &[SETTINGS, 0, 0, 0, 0, 0], &settings, b"and more"].concat()
    }

    #[test]
    fn the_mark_is_found_among_other_settings() {
        let marked = |lane| carries(&begin(&[(2, 0), (4, 1 << 22), (6, of(lane))]));
        assert_eq!(marked(Lane::Requests), Some(Carries::KeyValue));
        assert_eq!(marked(Lane::Bulk), Some(Carries::KeyValue));
        assert_eq!(marked(Lane::Urgent), Some(Carries::Replication));
        assert_eq!(marked(Lane::Replication), Some(Carries::Replication));
        assert_eq!(marked(Lane::Control), Some(Carries::Anything));
        assert_eq!(marked(Lane::Snapshots), Some(Carries::Anything));
        assert_eq!(carries(&begin(&[(4, of(Lane::Requests))])), Some(Carries::Anything));
        assert_eq!(carries(&begin(&[])), Some(Carries::Anything));
    }

    #[test]
    fn what_is_cut_short_is_to_be_continued_and_what_is_something_else_is_not() {
        let whole = begin(&[(2, 0), (6, of(Lane::Bulk))]);
        for length in 0..whole.len() - b"and more".len() {
            assert_eq!(carries(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(carries(b"GET / HTTP/1.1"), Some(Carries::Anything));
        assert_eq!(carries(&[0x16, 3, 1]), Some(Carries::Anything));
        let garbage = [PREFACE, &[0xff; 200]].concat();
        assert_eq!(carries(&garbage), Some(Carries::Anything));
    }
}
