//! Stretches of keys that hold nothing but deletions: scans pass over them at once.
//!
//! Who takes the first row of an order away, again and again, leaves deletions before it, and they stay as long as history
//! does: a queue's every scan would walk over all that was ever taken.
//!
//! ```text
//!  a scan from S at a timestamp                                     what writes
//!  1 finds many deletions before its first row: S to E is watched
//!  2 another one, later: looks whether S is watched,                a commit is written, cuts what it writes to off
//!    then takes its timestamp, then reads: as empty as before       every stretch, and only then is its mark gone
//!  3 still watched: barren from its timestamp on
//!  4 all at or above that timestamp begin at E
//! ```
//!
//! # Invariants
//!
//! - What was written before a stretch was watched is below the timestamp of who finds it barren, which was taken later; what
//!   is written afterwards cuts it off. So the newest version of every key of it is a deletion at or below that timestamp.
//! - A read looks here after it has waited for the commits at or below its timestamp: what they have cut off, it reads.
//! - What is ingested stands below timestamps that were served: it ends all stretches, whoever proposed it.
//! - What a large transaction has written becomes visible without being written anew. So a read that sees intents does not look
//!   here, and whatever changes them ends all stretches.
//!
//! Nothing of it outlives the term's [`Serving`](super::serving::Serving): followers write without telling it.

use std::sync::atomic::{AtomicBool, Ordering, fence};

use bytes::Bytes;
use env::canary::{Canary, sings};
use parking_lot::Mutex;

/// So many deletions before the first row are worth a stretch.
const DEAD_MIN: u64 = 32;

/// As many stretches are remembered of a range; a new one takes the place of the oldest.
const STRETCHES_MAX: usize = 16;

/// Longer keys are not remembered.
const KEY_BYTES_MAX: usize = 1 << 10;

/// What is known of a range's stretches.
#[derive(Debug, Default)]
pub(crate) struct Barren {
    /// Whether there is any: most ranges have none, and pay no more than a look.
    any: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The newest last.
    stretches: Vec<Stretch>,
    watched: u64,
}

/// Keys from `start` to `end`, without it.
#[derive(Debug)]
struct Stretch {
    start: Bytes,
    end: Bytes,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// What writes to it is noticed; its number.
    Watched(u64),
    /// There is nothing in it at this timestamp, and above.
    Since(u64),
}

/// A stretch that was watched already before a timestamp was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watched(u64);

/// From where on, and up to where, a scan has found nothing but deletions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dead<'a> {
    /// How many.
    pub(crate) keys: u64,
    /// The first key.
    pub(crate) start: &'a [u8],
    /// Behind the last one.
    pub(crate) end: &'a [u8],
}

impl Barren {
    /// The watched stretch that a scan which begins at `from` comes to first; `reverse`: it ends there. Asked before the scan's
    /// timestamp is.
    pub(crate) fn watched(&self, from: &[u8], reverse: bool) -> Option<Watched> {
        if !self.any.load(Ordering::SeqCst) {
            return None;
        }
        fence(Ordering::SeqCst);
        let known = self.known.lock();
        // One may begin where another ends that is barren already.
        let from = known.passed(from, reverse, u64::MAX).unwrap_or_else(|| Bytes::copy_from_slice(from));
        known.stretches.iter().rev().find_map(|stretch| match stretch.state {
            State::Watched(number) if stretch.is_met(&from, reverse) => Some(Watched(number)),
            _ => None,
        })
    }

    /// Where a scan at `at` may begin that would begin at `from`; `reverse`: end. None: there. Asked once what is under way at or
    /// below `at` has been waited for, and where no intents are seen.
    pub(crate) fn past(&self, from: &[u8], reverse: bool, at: u64) -> Option<Bytes> {
        if !self.any.load(Ordering::SeqCst) {
            return None;
        }
        self.known.lock().passed(from, reverse, at)
    }

    /// A scan at `at` has found so much dead before its first row. What of it was watched before is barren; what was not is
    /// watched from now on. `at` is none if the timestamp was not asked for after [`Barren::watched`].
    pub(crate) fn found(&self, dead: Dead<'_>, watched: Option<Watched>, at: Option<u64>) {
        let least = if env::simulation::is_active() { 2 } else { DEAD_MIN };
        let fits = |key: &[u8]| !key.is_empty() && key.len() <= KEY_BYTES_MAX;
        if dead.keys < least || !fits(dead.start) || !fits(dead.end) || dead.start >= dead.end {
            return;
        }
        let mut known = self.known.lock();
        if let Some(Watched(number)) = watched {
            if let Some(at) = at {
                known.prove(number, dead, at);
            }
            return;
        }
        known.watch(dead);
        self.any.store(true, Ordering::SeqCst);
    }

    /// Whether there is any stretch that what was written just now is to be told to: asked after it is written.
    pub(crate) fn is_noticed(&self) -> bool {
        // Who reads after this has found none reads what is written.
        fence(Ordering::SeqCst);
        self.any.load(Ordering::SeqCst) && !sings(Canary::BarrenForEver)
    }

    /// These keys were written, ascending. Told before the commit's mark is gone.
    pub(crate) fn written(&self, keys: &[Bytes]) {
        let mut known = self.known.lock();
        known.stretches.retain_mut(|stretch| {
            let first = keys.partition_point(|key| *key < stretch.start);
            match keys.get(first) {
                // What lies before it is barren still.
                Some(key) if *key < stretch.end => stretch.end = key.clone(),
                _ => return true,
            }
            stretch.start < stretch.end
        });
        self.any.store(!known.stretches.is_empty(), Ordering::SeqCst);
    }

    /// Something was written, nobody knows where.
    pub(crate) fn clear(&self) {
        let mut known = self.known.lock();
        known.stretches.clear();
        self.any.store(false, Ordering::SeqCst);
    }
}

impl Known {
    /// Where barren stretches lead to that lie side by side.
    fn passed(&self, from: &[u8], reverse: bool, at: u64) -> Option<Bytes> {
        let mut reached: Option<Bytes> = None;
        // As often as there are stretches at most: each step leads behind one.
        loop {
            let from = reached.as_deref().unwrap_or(from);
            let next = self.stretches.iter().find(|stretch| {
                matches!(stretch.state, State::Since(since) if since <= at) && stretch.is_met(from, reverse)
            });
            let Some(next) = next else { return reached };
            reached = Some(if reverse { next.start.clone() } else { next.end.clone() });
        }
    }

    /// Takes the part of a stretch for barren that a scan at `at` has found dead, if it is watched still.
    fn prove(&mut self, number: u64, dead: Dead<'_>, at: u64) {
        let place = self.stretches.iter().position(|stretch| stretch.state == State::Watched(number));
        let Some(place) = place else { return };
        let mut proven = self.stretches.remove(place);
        if *proven.start < *dead.start {
            proven.start = Bytes::copy_from_slice(dead.start);
        }
        if *proven.end > *dead.end {
            proven.end = Bytes::copy_from_slice(dead.end);
        }
        proven.state = State::Since(at);
        // Neighbours become one, of the later timestamp: reads of now are above both.
        let beside = |other: &Stretch| {
            matches!(other.state, State::Since(_)) && (other.end == proven.start || other.start == proven.end)
        };
        if proven.start >= proven.end {
            return;
        }
        if let Some(place) = self.stretches.iter().position(beside) {
            let other = self.stretches.remove(place);
            if let State::Since(since) = other.state {
                proven.state = State::Since(at.max(since));
            }
            proven.start = proven.start.min(other.start);
            proven.end = proven.end.max(other.end);
        }
        self.stretches.push(proven);
    }

    /// Has what is written there noticed.
    fn watch(&mut self, dead: Dead<'_>) {
        let is_watched = |stretch: &Stretch| {
            matches!(stretch.state, State::Watched(_))
                && stretch.start == dead.start
                && stretch.end == dead.end
        };
        if self.stretches.iter().any(is_watched) {
            return;
        }
        if self.stretches.len() >= STRETCHES_MAX {
            self.stretches.remove(0);
        }
        self.watched += 1;
        self.stretches.push(Stretch {
            start: Bytes::copy_from_slice(dead.start),
            end: Bytes::copy_from_slice(dead.end),
            state: State::Watched(self.watched),
        });
    }
}

impl Stretch {
    /// Whether a scan that begins at `from`, or ends there if `reverse`, comes to it first.
    fn is_met(&self, from: &[u8], reverse: bool) -> bool {
        if reverse {
            *self.start < *from && *from <= *self.end
        } else {
            *self.start <= *from && *from < *self.end
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(keys: u64, start: &'static str, end: &'static str) -> Dead<'static> {
        Dead { keys, start: start.as_bytes(), end: end.as_bytes() }
    }

    fn keys(keys: &[&'static str]) -> Vec<Bytes> {
        keys.iter().map(|key| Bytes::from_static(key.as_bytes())).collect()
    }

    fn past(barren: &Barren, from: &str, at: u64) -> Option<Bytes> {
        barren.past(from.as_bytes(), false, at)
    }

    /// Barren from `start` to `end` as of `at`.
    fn prove(barren: &Barren, start: &'static str, end: &'static str, at: u64) {
        barren.found(dead(DEAD_MIN, start, end), None, None);
        let watched = barren.watched(start.as_bytes(), false);
        assert!(watched.is_some());
        barren.found(dead(DEAD_MIN, start, end), watched, Some(at));
    }

    #[test]
    fn what_is_found_dead_twice_is_passed_from_then_on() {
        let barren = Barren::default();
        barren.found(dead(DEAD_MIN - 1, "b", "f"), None, None);
        assert_eq!(barren.watched(b"b", false), None, "too few");
        barren.found(dead(DEAD_MIN, "b", "f"), None, Some(9));
        assert_eq!(past(&barren, "b", 100), None, "it was not watched when this was read");
        let watched = barren.watched(b"b", false);
        barren.found(dead(DEAD_MIN, "b", "f"), watched, None);
        assert_eq!(past(&barren, "b", 100), None, "its timestamp may be older");
        barren.found(dead(DEAD_MIN, "b", "f"), watched, Some(10));
        assert_eq!(past(&barren, "b", 9), None, "before that it is not known");
        assert_eq!(past(&barren, "b", 10), Some("f".into()));
        assert_eq!(past(&barren, "d", 10), Some("f".into()));
        assert_eq!((past(&barren, "a", 10), past(&barren, "f", 10)), (None, None));
        assert_eq!(barren.past(b"f", true, 10), Some("b".into()));
        assert_eq!(barren.past(b"c", true, 10), Some("b".into()));
        assert_eq!((barren.past(b"b", true, 10), barren.past(b"g", true, 10)), (None, None));
    }

    #[test]
    fn what_is_written_is_no_more_passed_nor_what_lies_behind_it() {
        let barren = Barren::default();
        prove(&barren, "b", "f", 10);
        barren.written(&keys(&["a", "f", "g"]));
        assert_eq!(past(&barren, "b", 10), Some("f".into()));
        barren.written(&keys(&["a", "d", "e"]));
        assert_eq!(past(&barren, "b", 10), Some("d".into()));
        assert_eq!(past(&barren, "d", 10), None);
        barren.written(&keys(&["b"]));
        assert_eq!(past(&barren, "b", 10), None);
        assert!(!barren.is_noticed());
    }

    #[test]
    fn what_is_written_between_the_two_is_not_proven() {
        let barren = Barren::default();
        barren.found(dead(DEAD_MIN, "b", "f"), None, None);
        let watched = barren.watched(b"b", false);
        barren.written(&keys(&["d"]));
        barren.found(dead(DEAD_MIN, "b", "f"), watched, Some(10));
        assert_eq!(past(&barren, "b", 10), Some("d".into()));
        let barren = Barren::default();
        barren.found(dead(DEAD_MIN, "b", "f"), None, None);
        let watched = barren.watched(b"b", false);
        barren.clear();
        barren.found(dead(DEAD_MIN, "b", "f"), watched, Some(10));
        assert_eq!(past(&barren, "b", 10), None);
    }

    #[test]
    fn stretches_that_grow_become_one_of_the_later_timestamp() {
        let barren = Barren::default();
        prove(&barren, "b", "f", 10);
        barren.found(dead(DEAD_MIN, "f", "k"), None, None);
        let watched = barren.watched(b"b", false);
        assert!(watched.is_some(), "it begins where the barren one ends");
        // Read from the beginning, for the reader's timestamp was too old to pass it.
        barren.found(dead(DEAD_MIN, "b", "k"), watched, Some(12));
        assert_eq!((past(&barren, "b", 11), past(&barren, "b", 12)), (None, Some("k".into())));
        assert_eq!(barren.known.lock().stretches.len(), 1);
    }

    #[test]
    fn they_are_bounded() {
        let barren = Barren::default();
        let long: &'static [u8] = Box::leak(vec![b'z'; KEY_BYTES_MAX + 1].into());
        barren.found(Dead { keys: DEAD_MIN, start: b"b", end: long }, None, None);
        barren.found(dead(DEAD_MIN, "b", ""), None, None);
        assert!(!barren.is_noticed());
        for start in 0..100u8 {
            let (start, end) = ([b'k', start], [b'k', start, 0]);
            barren.found(Dead { keys: DEAD_MIN, start: &start, end: &end }, None, None);
        }
        assert_eq!(barren.known.lock().stretches.len(), STRETCHES_MAX);
    }
}
