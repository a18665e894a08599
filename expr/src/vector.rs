//! Vectors: the values of `vector(n)`, so many reals in a row, as the extension `vector` has them.
//!
//! ```text
//! image   100 (1 byte)   of each real 4 bytes, big-endian: its sign flipped, or all of it if it is negative
//! key     the same, with 0 for -0
//! ```
//!
//! So keys order as vectors do: by the first reals that differ, else the shorter is less. No real is NaN or infinite.

use std::sync::Arc;

use bytes::Bytes;

use crate::binary::Input;
use crate::datum::Datum;
use crate::datum::keyed::Keyed;
use crate::error::{Error, Result};
use crate::numeric;
use crate::text;
use crate::work;

/// What a vector begins with.
pub(crate) const OF_VECTORS: u8 = 100;

/// The most reals of a vector.
pub(crate) const DIMENSIONS_MAX: usize = 16_000;

/// About how many bytes the text of a real takes.
const TEXT_BYTES: usize = 12;

/// So many sums are made side by side.
const LANES: usize = 8;

fn mismatch() -> Error {
    Error::internal("a vector that is none")
}

/// 22000: what is no vector.
fn invalid(message: impl Into<String>) -> Error {
    Error::new("22000", message)
}

/// A real as its bytes order.
fn ordered(real: f32) -> [u8; 4] {
    let bits = real.to_bits();
    let flipped = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    flipped.to_be_bytes()
}

fn real_of(bytes: [u8; 4]) -> f32 {
    let flipped = u32::from_be_bytes(bytes);
    f32::from_bits(if flipped >> 31 == 1 { flipped & !(1 << 31) } else { !flipped })
}

/// A vector, where it is held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vector<'a>(&'a [[u8; 4]]);

impl<'a> Vector<'a> {
    /// The vector that a value holds. XX000 if it holds none.
    pub(crate) fn of(value: &'a Datum) -> Result<Self> {
        let Datum::Keyed(held) = value else { return Err(mismatch()) };
        match held.image().split_first() {
            Some((&OF_VECTORS, reals)) => Ok(Self(reals.as_chunks().0)),
            _ => Err(mismatch()),
        }
    }

    /// How many reals there are.
    pub(crate) fn dimensions(self) -> usize {
        self.0.len()
    }

    /// The reals.
    pub(crate) fn reals(self) -> impl ExactSizeIterator<Item = f32> + 'a {
        self.0.iter().map(|bytes| real_of(*bytes))
    }

    /// That another has as many reals. 22000 if it has more or fewer.
    fn check_like(self, other: Self) -> Result<()> {
        let (own, others) = (self.dimensions(), other.dimensions());
        match own == others {
            true => Ok(()),
            false => Err(invalid(format!("different vector dimensions {own} and {others}"))),
        }
    }

    /// The reals of both, pair by pair. 22000 if one has more than the other.
    pub(crate) fn with(self, other: Self) -> Result<impl ExactSizeIterator<Item = (f32, f32)> + 'a> {
        self.check_like(other)?;
        Ok(self.reals().zip(other.reals()))
    }

    /// The sum, as a real, of what is made of the reals of both, pair by pair. 22000 if one has more than the other.
    pub(crate) fn sum_with(self, other: Self, made: impl Fn(f32, f32) -> f32) -> Result<f32> {
        self.check_like(other)?;
        let mut sums = [0.0_f32; LANES];
        let (own, others) = (self.0.as_chunks::<LANES>(), other.0.as_chunks::<LANES>());
        for (own, others) in own.0.iter().zip(others.0) {
            for ((sum, own), other) in sums.iter_mut().zip(own).zip(others) {
                *sum += made(real_of(*own), real_of(*other));
            }
        }
        let rest = Self(own.1).reals().zip(Self(others.1).reals());
        let sum: f32 = sums.iter().sum();
        Ok(rest.fold(sum, |sum, (own, other)| sum + made(own, other)))
    }

    /// Appends its text.
    pub(crate) fn write(self, out: &mut String) {
        /// As many digits as tell a real from all others.
        const EXTRA_DIGITS: i32 = 1;
        out.push('[');
        for (place, real) in self.reals().enumerate() {
            if place > 0 {
                out.push(',');
            }
            text::write_f32(real, EXTRA_DIGITS, out);
        }
        out.push(']');
    }

    /// Appends its binary format: the number of reals (u16), 0 (u16), the reals.
    pub(crate) fn send(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.dimensions() as u16).to_be_bytes());
        out.extend_from_slice(&[0; 2]);
        self.reals().for_each(|real| out.extend_from_slice(&real.to_be_bytes()));
    }
}

/// The value of a vector of these reals.
///
/// # Errors
/// 22000 for none, NaN or an infinity; 54000 for too many.
pub(crate) fn of_reals(reals: impl IntoIterator<Item = f32>) -> Result<Datum> {
    let reals = reals.into_iter();
    let mut image = Vec::with_capacity(reals.size_hint().0.min(DIMENSIONS_MAX) * 4 + 1);
    image.push(OF_VECTORS);
    for real in reals {
        if real.is_nan() {
            return Err(invalid("NaN not allowed in vector"));
        }
        if real.is_infinite() {
            return Err(invalid("infinite value not allowed in vector"));
        }
        if image.len() > DIMENSIONS_MAX * 4 {
            return Err(too_many());
        }
        image.extend_from_slice(&ordered(real));
    }
    match image.len() {
        1 => Err(invalid("vector must have at least 1 dimension")),
        _ => Ok(keyed(image.into())),
    }
}

fn too_many() -> Error {
    Error::new("54000", format!("vector cannot have more than {DIMENSIONS_MAX} dimensions"))
}

/// The same of what was computed: 22003 for an infinity.
pub(crate) fn of_results(reals: impl IntoIterator<Item = f32>) -> Result<Datum> {
    let results: Vec<f32> = reals.into_iter().collect();
    if results.iter().any(|real| real.is_infinite()) {
        return Err(Error::new("22003", "value out of range: overflow"));
    }
    of_reals(results)
}

/// The value that looks like this, or has this key; None if there is none.
pub(crate) fn of_held(held: Bytes) -> Option<Datum> {
    let (reals, rest) = held.get(1..)?.as_chunks::<4>();
    let is_one = rest.is_empty()
        && (1..=DIMENSIONS_MAX).contains(&reals.len())
        && reals.iter().all(|bytes| real_of(*bytes).is_finite());
    is_one.then(|| keyed(held))
}

fn keyed(image: Bytes) -> Datum {
    let negative_zero = ordered(-0.0);
    let reals = image.get(1..).unwrap_or_default().as_chunks::<4>().0;
    let key = match reals.contains(&negative_zero) {
        false => image.clone(),
        true => {
            let mut key = vec![OF_VECTORS];
            for real in reals {
                key.extend_from_slice(if *real == negative_zero { &[0x80, 0, 0, 0] } else { real });
            }
            key.into()
        }
    };
    let text_bytes = reals.len() * TEXT_BYTES + 2;
    Datum::Keyed(Arc::new(Keyed::new(image, key, text_bytes)))
}

/// The vector if it has so many reals. 22000 if it has more or fewer.
pub(crate) fn fit(value: Datum, wanted: i32) -> Result<Datum> {
    let dimensions = Vector::of(&value)?.dimensions();
    match usize::try_from(wanted) {
        Ok(wanted) if wanted != dimensions => Err(unexpected(wanted, dimensions)),
        _ => Ok(value),
    }
}

/// 22000: a vector of another number of reals.
pub(crate) fn unexpected(wanted: usize, dimensions: usize) -> Error {
    invalid(format!("expected {wanted} dimensions, not {dimensions}"))
}

/// The vector of an array's numbers. 22000 if it has several dimensions, 22004 for a NULL.
pub(crate) fn of_array(value: &Datum) -> Result<Datum> {
    let Datum::Array(items) = value else { return Err(mismatch()) };
    if items.dimension_count() > 1 {
        return Err(Error::new("22000", "array must be 1-D"));
    }
    let reals: Result<Vec<f32>> = items.iter().map(real_from).collect();
    of_reals(reals?)
}

fn real_from(number: &Datum) -> Result<f32> {
    match number {
        Datum::Null => Err(Error::new("22004", "array must not contain nulls")),
        Datum::Int4(number) => Ok(*number as f32),
        Datum::Float4(number) => Ok(*number),
        Datum::Float8(number) => Ok(*number as f32),
        Datum::Numeric(number) => Ok(numeric::to_f64(number) as f32),
        _ => Err(mismatch()),
    }
}

/// The array of a vector's reals.
pub(crate) fn to_array(value: &Datum) -> Result<Datum> {
    let reals: Vec<Datum> = Vector::of(value)?.reals().map(Datum::Float4).collect();
    Ok(Datum::Array(reals.into()))
}

/// Reads its text. 22P02, 22003; and as [`of_reals`] has it.
pub(crate) fn parse(text: &str) -> Result<Datum> {
    let malformed = || Error::invalid_text("vector", text);
    let Some(mut rest) = text.trim_start_matches(is_blank).strip_prefix('[') else {
        return Err(malformed().with_detail("Vector contents must start with \"[\"."));
    };
    if let Some(behind) = rest.trim_start_matches(is_blank).strip_prefix(']') {
        ends(behind, malformed)?;
        return of_reals([]);
    }
    let mut reals = Vec::new();
    loop {
        let end = rest.find([',', ']']).ok_or_else(malformed)?;
        let (word, behind) = rest.split_at(end);
        if reals.len() == DIMENSIONS_MAX {
            return Err(too_many());
        }
        reals.push(real(word.trim_matches(is_blank), malformed)?);
        work::step(word.len())?;
        match behind.strip_prefix(',') {
            Some(behind) => rest = behind,
            None => {
                ends(behind.strip_prefix(']').unwrap_or(behind), malformed)?;
                return of_reals(reals);
            }
        }
    }
}

/// That nothing is behind the end.
fn ends(behind: &str, malformed: impl Fn() -> Error) -> Result<()> {
    match behind.trim_start_matches(is_blank) {
        "" => Ok(()),
        _ => Err(malformed().with_detail("Junk after closing right brace.")),
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// A real. What is too small for one is 0.
fn real(word: &str, malformed: impl Fn() -> Error) -> Result<f32> {
    let real: f32 = word.parse().map_err(|_| malformed())?;
    let is_number = word.bytes().any(|byte| byte.is_ascii_digit());
    match real.is_infinite() && is_number {
        true => Err(Error::new("22003", format!("\"{word}\" is out of range for type vector"))),
        false => Ok(real),
    }
}

/// Reads its binary format. 22000, 08P01.
pub(crate) fn receive(input: &mut Input<'_>) -> Result<Datum> {
    let (dimensions, unused) = (input.i16()?, input.i16()?);
    if dimensions < 1 {
        return Err(invalid("vector must have at least 1 dimension"));
    }
    let dimensions = usize::try_from(dimensions).unwrap_or(0);
    if dimensions > DIMENSIONS_MAX {
        return Err(too_many());
    }
    if unused != 0 {
        return Err(invalid(format!("expected unused to be 0, not {unused}")));
    }
    let (reals, _) = input.take(dimensions * 4)?.as_chunks::<4>();
    of_reals(reals.iter().map(|bytes| f32::from_be_bytes(*bytes)))
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;
    use crate::compare::{compare, compare_floats};

    fn shown(text: &str) -> Result<String> {
        let mut out = String::new();
        Vector::of(&parse(text)?)?.write(&mut out);
        Ok(out)
    }

    #[test]
    fn literals_are_read() {
        for (text, read) in [
            ("[1,2,3]", "[1,2,3]"),
            (" [ 1,  2 ,    3  ] ", "[1,2,3]"),
            ("[1.23456]", "[1.23456]"),
            ("[1e-46,-1e-46]", "[0,-0]"),
            ("[1.5e38,-.5,+2.]", "[1.5e+38,-0.5,2]"),
        ] {
            assert_eq!(shown(text).unwrap(), read, "{text}");
        }
        for (text, sqlstate) in [
            ("", "22P02"),
            ("1,2", "22P02"),
            ("[", "22P02"),
            ("[,", "22P02"),
            ("[,]", "22P02"),
            ("[1,]", "22P02"),
            ("[1a]", "22P02"),
            ("[1, ,3]", "22P02"),
            ("[1 2]", "22P02"),
            ("[1,2", "22P02"),
            ("[1,2]9", "22P02"),
            ("[]", "22000"),
            ("[ ]", "22000"),
            ("[NaN]", "22000"),
            ("[-Infinity]", "22000"),
            ("[4e38]", "22003"),
        ] {
            assert_eq!(shown(text).unwrap_err().sqlstate, sqlstate, "{text}");
        }
        assert_eq!(of_reals(vec![0.5; DIMENSIONS_MAX + 1]).unwrap_err().sqlstate, "54000");
        assert!(of_reals(vec![0.5; DIMENSIONS_MAX]).is_ok());
    }

    fn reals() -> impl Strategy<Value = Vec<f32>> {
        let real = prop_oneof![Just(0.0_f32), Just(-0.0), -2.0_f32..2.0, Just(f32::MAX), Just(f32::MIN)];
        prop::collection::vec(real, 1..4)
    }

    proptest! {
        #[test]
        fn vectors_order_by_their_reals(left in reals(), right in reals()) {
            let pairs = left.iter().zip(&right).map(|(one, other)| compare_floats((*one).into(), (*other).into()));
            let expected = pairs.fold(Ordering::Equal, Ordering::then).then(left.len().cmp(&right.len()));
            let order = compare(&of_reals(left).unwrap(), &of_reals(right).unwrap());
            prop_assert_eq!(order, expected);
        }

        #[test]
        fn vectors_read_back(reals in reals()) {
            let value = of_reals(reals.clone()).unwrap();
            let bits = |reals: &[f32]| reals.iter().map(|real| real.to_bits()).collect::<Vec<_>>();
            let held = |value: &Datum| bits(&Vector::of(value).unwrap().reals().collect::<Vec<_>>());
            prop_assert_eq!(held(&value), bits(&reals));
            let Datum::Keyed(keyed) = &value else { return Err(TestCaseError::fail("it has no key")) };
            prop_assert_eq!(held(&of_held(keyed.image().clone()).unwrap()), bits(&reals));
            let (mut text, mut bytes) = (String::new(), Vec::new());
            Vector::of(&value).unwrap().write(&mut text);
            Vector::of(&value).unwrap().send(&mut bytes);
            prop_assert_eq!(held(&parse(&text).unwrap()), bits(&reals));
            prop_assert_eq!(held(&receive(&mut Input::new(&bytes)).unwrap()), bits(&reals));
        }

        #[test]
        fn garbage_is_an_error_or_a_vector_but_never_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..24), text in "[\\[\\]0-9.,e+ a-]{0,16}",
        ) {
            let _ = of_held(bytes.clone().into());
            let _ = receive(&mut Input::new(&bytes));
            let _ = parse(&text);
        }
    }
}
