//! Bits of integers and of strings of bits, joined.

use super::{Accumulator, State, mismatch, the_value};
use crate::bits::Bits;
use crate::datum::Datum;
use crate::error::Result;

/// An operation on the bits of two integers of one width.
macro_rules! joined {
    ($name:ident, $doc:literal, $operator:tt) => {
        #[doc = $doc]
        pub static $name: Accumulator = Accumulator::new(
            |state, value, _| join(state, value, |left, right| left $operator right),
            |state, other| match other {
                State::Value(value) => join(state, &value, |left, right| left $operator right),
                _ => Err(mismatch()),
            },
            the_value,
        );
    };
}

fn join(state: &mut State, value: &Datum, operation: fn(i64, i64) -> i64) -> Result<()> {
    let joined = match state {
        State::Empty => value.clone(),
        State::Value(seen) => match (seen, value) {
            (Datum::Int2(seen), Datum::Int2(more)) => {
                Datum::Int2(operation(i64::from(*seen), i64::from(*more)) as i16)
            }
            (Datum::Int4(seen), Datum::Int4(more)) => {
                Datum::Int4(operation(i64::from(*seen), i64::from(*more)) as i32)
            }
            (Datum::Int8(seen), Datum::Int8(more)) => Datum::Int8(operation(*seen, *more)),
            _ => return Err(mismatch()),
        },
        _ => return Err(mismatch()),
    };
    *state = State::Value(joined);
    Ok(())
}

/// The same for strings of bits of one length.
macro_rules! strings_joined {
    ($name:ident, $doc:literal, $word:literal, $operator:tt) => {
        #[doc = $doc]
        pub static $name: Accumulator = Accumulator::new(
            |state, value, _| join_strings(state, value, $word, |left, right| left $operator right),
            |state, other| match other {
                State::Value(value) => {
                    join_strings(state, &value, $word, |left, right| left $operator right)
                }
                _ => Err(mismatch()),
            },
            the_value,
        );
    };
}

fn join_strings(state: &mut State, value: &Datum, word: &str, operation: fn(u8, u8) -> u8) -> Result<()> {
    let joined = match state {
        State::Empty => value.clone(),
        State::Value(seen) => Bits::of(seen)?.joined(&Bits::of(value)?, word, operation)?.into_datum()?,
        _ => return Err(mismatch()),
    };
    *state = State::Value(joined);
    Ok(())
}

joined!(ALL_BITS, "`bit_and`", &);
joined!(ANY_BITS, "`bit_or`", |);
joined!(ODD_BITS, "`bit_xor`", ^);
strings_joined!(ALL_OF_STRINGS, "`bit_and` of strings of bits.", "AND", &);
strings_joined!(ANY_OF_STRINGS, "`bit_or` of strings of bits.", "OR", |);
strings_joined!(ODD_OF_STRINGS, "`bit_xor` of strings of bits.", "XOR", ^);
