//! The work of evaluation, counted: a call over a large value is to be heard by its statement.
//!
//! Whoever evaluates counts rows; expressions count their parts, functions the bytes that they look at and make. The sum
//! tells when to look up ([`take`]). A single row, or call, may go on for long, so every [`BYTES_BETWEEN`] the count also
//! asks whether the statement is still wanted: the interrupt that [`under`] has set for the turn answers.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::datum::Datum;
use crate::error::{Error, Result};

/// No text or byte string is longer, in bytes: a row could not hold it, and a statement has no more memory.
pub const VALUE_BYTES_MAX: usize = 256 << 20;

/// Values below this cost no more than their row.
const SMALL_BYTES: usize = 1024;

/// How often work asks whether it is still wanted: about a millisecond of the slowest of it. A power of two.
const BYTES_BETWEEN: usize = 256 << 10;

/// What a part of an expression, or a step of planning, counts.
const PART_BYTES: usize = 32;

/// How many products of words a numeric's arithmetic gets done in the time that a byte stands for.
const PRODUCTS_PER_BYTE: usize = 4;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
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
#[inline]
pub(crate) fn step(bytes: usize) -> Result<()> {
    let before = BYTES.get();
    let after = before.saturating_add(bytes);
    BYTES.set(after);
    if before / BYTES_BETWEEN == after / BYTES_BETWEEN { Ok(()) } else { ask() }
}

#[cold]
fn ask() -> Result<()> {
    let interrupt = INTERRUPT.with_borrow(Clone::clone);
    interrupt.map_or(Ok(()), |interrupt| interrupt.check())
}

/// Counts one part of an expression that is evaluated.
///
/// # Errors
/// The statement is to end.
#[inline]
pub(crate) fn part() -> Result<()> {
    step(PART_BYTES)
}

/// Counts parts of expressions, nodes or names that planning looks at or makes.
///
/// # Errors
/// The statement is to end.
#[inline]
pub fn parts(count: usize) -> Result<()> {
    step(count.saturating_mul(PART_BYTES))
}

/// Counts a step of arithmetic over a number of so many bits whose cost grows with their number.
///
/// # Errors
/// The statement is to end.
pub(crate) fn pass(bits: u64) -> Result<()> {
    step(words(bits))
}

/// The same where the cost grows with the square of their number: a product, a quotient, a look at the digits.
///
/// # Errors
/// The statement is to end.
pub(crate) fn product(bits: u64) -> Result<()> {
    let words = words(bits);
    step(words.saturating_mul(words) / PRODUCTS_PER_BYTE)
}

fn words(bits: u64) -> usize {
    usize::try_from(bits / u64::from(usize::BITS)).unwrap_or(usize::MAX)
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
        Datum::Json(json) => json.size_bytes(),
        Datum::Keyed(value) => value.image().len(),
        Datum::Record(record) => record.fields().len().saturating_mul(size_of::<Datum>()),
        Datum::Numeric(number) => return product(number.bits()),
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

/// One more part of a value that is being made, whose parts took `bytes` before.
///
/// # Errors
/// 54000: it is longer than any value may be.
pub(crate) fn grown(bytes: &mut usize, part: Datum) -> Result<Datum> {
    *bytes = fits(bytes.saturating_add(part.size_bytes()))?;
    Ok(part)
}

/// An array of these items, counted as it grows.
///
/// # Errors
/// 54000: it is longer than any value may be. The statement is to end.
pub(crate) fn array(items: impl Iterator<Item = Datum>) -> Result<Datum> {
    self::items(items).map(|items| Datum::Array(items.into()))
}

/// The items of an array, counted as they grow.
///
/// # Errors
/// 54000: they are more than any value may hold. The statement is to end.
pub(crate) fn items(items: impl Iterator<Item = Datum>) -> Result<Vec<Datum>> {
    self::rows(items.map(Ok), Datum::size_bytes)
}

/// The rows of a call that makes them at once, counted as they grow.
///
/// # Errors
/// 54000: they are more than any value may hold. The statement is to end.
pub(crate) fn rows<T>(
    rows: impl Iterator<Item = Result<T>>,
    size_bytes: impl Fn(&T) -> usize,
) -> Result<Vec<T>> {
    let mut collected = Vec::new();
    let mut bytes = 0_usize;
    for row in rows {
        let row = row?;
        let added = size_bytes(&row);
        bytes = fits(bytes.saturating_add(added))?;
        step(added)?;
        collected.push(row);
    }
    Ok(collected)
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
        take();
    }

    /// The first error of counting on and on, and how often it was counted.
    fn unheard(count: impl Fn() -> Result<()>) -> usize {
        take();
        let mut times = 0;
        under(Arc::new(Cancelled), || {
            while count().is_ok() {
                times += 1;
                assert!(times < BYTES_BETWEEN, "never asks");
            }
        });
        take();
        times
    }

    #[test]
    fn rows_that_are_made_at_once_ask_and_end() {
        let endless = || std::iter::repeat_with(|| Ok(Datum::Bool(true)));
        take();
        let outcome = under(Arc::new(Cancelled), || rows(endless(), Datum::size_bytes));
        assert_eq!(outcome.unwrap_err().sqlstate, "57014");
        assert_eq!(rows(endless(), |_| VALUE_BYTES_MAX / 8).unwrap_err().sqlstate, "54000");
        take();
    }

    #[test]
    fn parts_and_large_numbers_ask() {
        assert!(unheard(part) < 10_000);
        assert!(unheard(|| pass(100_000)) < 1000);
        assert!(unheard(|| product(100_000)) < 10);
        let large = Datum::Numeric(crate::Numeric::finite(crate::numeric::power_of_ten(100_000), 0));
        assert!(unheard(|| note(&large)) < 10);
        note(&Datum::Numeric(7.into())).unwrap();
        assert_eq!(take(), 0);
    }

    #[test]
    fn every_function_over_large_numbers_asks() {
        use crate::numeric::{exp, factorial, gcd_lcm, ln, log, power, power_of_ten};
        let wide = crate::Numeric::finite(power_of_ten(16_000) + 1, 16_000);
        let of = |base: i32, exponent: u32| {
            crate::Numeric::finite(bigdecimal::num_bigint::BigInt::from(base).pow(exponent), 0)
        };
        let (odd, other) = (of(3, 120_000), of(7, 70_000));
        let half = crate::Numeric::finite(15, 1);
        let calls: [(&str, &dyn Fn() -> Result<crate::Numeric>); 6] = [
            ("factorial", &|| factorial(32_177)),
            ("log", &|| log(&wide, &half)),
            ("power", &|| power(&half, &wide)),
            ("integral power", &|| power(&half, &100_000.into())),
            ("gcd", &|| gcd_lcm(&odd, &other, false)),
            ("exp and ln", &|| (0..1000).try_fold(half.clone(), |_, _| ln(&exp(&5000.into())?))),
        ];
        for (name, call) in calls {
            take();
            let outcome = under(Arc::new(Cancelled), call);
            assert_eq!(outcome.map_err(|error| error.sqlstate), Err("57014"), "{name}");
        }
        take();
    }
}
