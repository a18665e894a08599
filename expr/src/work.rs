//! The work of evaluation, counted: a call over a large value is to be heard by its statement.
//!
//! Whoever evaluates counts rows; functions count the bytes that they look at and make. The sum tells when to look up
//! ([`take`]). A single call may go on for long, so functions whose cost grows with their input also ask, every
//! [`BYTES_BETWEEN`], whether they are still wanted: the interrupt that [`under`] has set for the turn answers.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::datum::Datum;
use crate::error::{Error, Result};

/// No text or byte string is longer, in bytes: a row could not hold it, and a statement has no more memory.
pub const VALUE_BYTES_MAX: usize = 256 << 20;

/// Values below this cost no more than their row.
const SMALL_BYTES: usize = 1024;

/// How often a long call asks whether it is still wanted: about a millisecond of the slowest of them.
const BYTES_BETWEEN: usize = 256 << 10;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
    static UNASKED: Cell<usize> = const { Cell::new(0) };
    static INTERRUPT: RefCell<Option<Arc<dyn Interrupt>>> = const { RefCell::new(None) };
}

/// Says whether a statement is still wanted.
pub trait Interrupt: Send + Sync {
    /// The error that the statement is to end with, if it is to end.
    ///
    /// # Errors
    /// It was cancelled, or its time is up.
    fn check(&self) -> Result<()>;
}

/// Runs work on this thread whose long calls ask `interrupt`.
pub fn under<T>(interrupt: Arc<dyn Interrupt>, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Arc<dyn Interrupt>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            INTERRUPT.set(self.0.take());
        }
    }
    let _restore = Restore(INTERRUPT.replace(Some(interrupt)));
    work()
}

/// Counts bytes that were worked through; a few do not count.
///
/// # Errors
/// The statement is to end.
#[inline]
pub fn spend(bytes: usize) -> Result<()> {
    if bytes < SMALL_BYTES { Ok(()) } else { step(bytes) }
}

/// Counts one step of a loop within a call, worth so many bytes.
///
/// # Errors
/// The statement is to end.
pub(crate) fn step(bytes: usize) -> Result<()> {
    BYTES.set(BYTES.get().saturating_add(bytes));
    let unasked = UNASKED.get().saturating_add(bytes);
    if unasked < BYTES_BETWEEN {
        UNASKED.set(unasked);
        return Ok(());
    }
    UNASKED.set(0);
    let interrupt = INTERRUPT.with_borrow(Clone::clone);
    interrupt.map_or(Ok(()), |interrupt| interrupt.check())
}

/// Counts a value that a function was given or has made.
///
/// # Errors
/// 54000: it is longer than any value may be. The statement is to end.
#[inline]
pub(crate) fn note(value: &Datum) -> Result<()> {
    let bytes = match value {
        Datum::Text(text) => text.len(),
        Datum::Bytea(bytes) => bytes.len(),
        Datum::Array(items) => items.len().saturating_mul(size_of::<Datum>()),
        _ => return Ok(()),
    };
    if bytes < SMALL_BYTES { Ok(()) } else { step(fits(bytes)?) }
}

/// The length of a value that is about to be made, in bytes.
///
/// # Errors
/// 54000: it is longer than any value may be.
pub(crate) fn fits(bytes: usize) -> Result<usize> {
    if bytes <= VALUE_BYTES_MAX {
        return Ok(bytes);
    }
    Err(Error::new("54000", "requested length too large")
        .with_detail(format!("A value holds at most {} MB.", VALUE_BYTES_MAX >> 20)))
}

/// An array of these items, counted as it grows.
///
/// # Errors
/// 54000: it is longer than any value may be. The statement is to end.
pub(crate) fn array(items: impl Iterator<Item = Datum>) -> Result<Datum> {
    let mut collected = Vec::new();
    for item in items {
        if collected.len() == collected.capacity() {
            spend(fits(collected.len().saturating_mul(size_of::<Datum>()))?)?;
        }
        collected.push(item);
    }
    Ok(Datum::Array(collected.into()))
}

/// The work since the last call, in rows' worth.
#[inline]
pub fn take() -> usize {
    let bytes = BYTES.get();
    if bytes == 0 {
        return 0;
    }
    BYTES.set(0);
    bytes / SMALL_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Cancelled;

    impl Interrupt for Cancelled {
        fn check(&self) -> Result<()> {
            Err(Error::new("57014", "canceling statement due to user request"))
        }
    }

    #[test]
    fn long_calls_ask_and_short_ones_count() {
        take();
        under(Arc::new(Cancelled), || {
            spend(SMALL_BYTES - 1).unwrap();
            assert_eq!(take(), 0);
            spend(10 * SMALL_BYTES).unwrap();
            assert_eq!(take(), 10);
            assert_eq!(spend(BYTES_BETWEEN).unwrap_err().sqlstate, "57014");
        });
        spend(BYTES_BETWEEN).unwrap();
    }
}
