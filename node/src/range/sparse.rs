//! A table of atomics whose parts come to be as they are used: a range that is asked little takes little memory, one that is asked much
//! as much as the whole table and no more.
//!
//! # Invariants
//!
//! - Whether a part is there is part of the order in which sequentially consistent operations come: who finds a cell unused comes
//!   before whoever uses it, whatever else the two do in that order ([`super::inflight`] stands on that).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// So many cells come to be together.
const PART: usize = 256;

/// See the module.
pub(crate) struct Sparse<T> {
    parts: Box<[Part<T>]>,
}

struct Part<T> {
    is_used: AtomicBool,
    cells: OnceLock<Box<[T]>>,
}

impl<T: Default> Sparse<T> {
    /// A table of `length` cells, of which nobody has used any.
    pub(crate) fn new(length: usize) -> Self {
        let part = |_| Part { is_used: AtomicBool::new(false), cells: OnceLock::new() };
        Self { parts: (0..length.div_ceil(PART)).map(part).collect() }
    }

    /// A cell, unless nobody has used it: then it is what it began as.
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        let part = self.parts.get(index / PART)?;
        if !part.is_used.load(Ordering::SeqCst) {
            return None;
        }
        part.cells.get()?.get(index % PART)
    }

    /// A cell, to be used; none behind the end of the table.
    pub(crate) fn make(&self, index: usize) -> Option<&T> {
        let part = self.parts.get(index / PART)?;
        let cells = part.cells.get_or_init(|| (0..PART).map(|_| T::default()).collect());
        if !part.is_used.load(Ordering::SeqCst) {
            part.is_used.store(true, Ordering::SeqCst);
        }
        cells.get(index % PART)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn used(table: &Sparse<AtomicU64>) -> usize {
        table.parts.iter().filter(|part| part.cells.get().is_some()).count()
    }

    #[test]
    fn only_what_is_used_takes_room() {
        let table: Sparse<AtomicU64> = Sparse::new(1000);
        assert!(table.get(0).is_none() && table.get(999).is_none() && table.get(5000).is_none());
        assert_eq!(used(&table), 0);
        table.make(300).unwrap().store(7, Ordering::SeqCst);
        assert_eq!(table.get(300).map(|cell| cell.load(Ordering::SeqCst)), Some(7));
        assert_eq!(table.get(301).map(|cell| cell.load(Ordering::SeqCst)), Some(0), "beside it");
        assert!(table.get(0).is_none() && table.get(600).is_none());
        assert!(table.make(999).is_some() && table.make(5000).is_none());
        assert_eq!(used(&table), 2);
    }

    /// One uses a cell of `one` and looks at `other`, one the other way round: both cannot find nothing.
    #[test]
    fn of_two_who_use_and_look_one_sees_the_other() {
        for turn in 0..2000 {
            let tables: [Sparse<AtomicU64>; 2] = [Sparse::new(1000), Sparse::new(1000)];
            let look = |own: usize| {
                tables[own].make(turn % 1000).unwrap().fetch_add(1, Ordering::SeqCst);
                tables[1 - own].get(turn % 1000).map_or(0, |cell| cell.load(Ordering::SeqCst))
            };
            let (one, other) = std::thread::scope(|scope| {
                let one = scope.spawn(|| look(0));
                let other = look(1);
                (one.join().unwrap(), other)
            });
            assert!(one + other > 0, "turn {turn}");
        }
    }
}
