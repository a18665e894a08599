//! Values in keys: [`keys::encode`]'s encodings chosen by type.
//!
//! Some values lose their display form in a key (numeric `1.00`, `-0`, intervals): see [`restores`].

use keys::encode::Direction;

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::types::Type;

/// Appends the value as one column of a key. Fails only for types that cannot stand in a key.
pub fn encode_datum(value: &Datum, ty: Type, direction: Direction, out: &mut Vec<u8>) -> Result<()> {
    let _ = (value, ty, direction, out);
    Err(Error::unsupported("keys"))
}

/// Reads one column from the front of `input` and moves it on. XX001 if it is no such encoding.
pub fn decode_datum(input: &mut &[u8], ty: Type, direction: Direction) -> Result<Datum> {
    let _ = (input, ty, direction);
    Err(Error::unsupported("keys"))
}

/// Moves `input` past one column without decoding it.
pub fn skip_datum(input: &mut &[u8], ty: Type, direction: Direction) -> Result<()> {
    decode_datum(input, ty, direction).map(|_| ())
}

/// Whether [`decode_datum`] gives back exactly this value. If not, the row's value must hold the column too.
pub fn restores(value: &Datum, ty: Type) -> bool {
    let _ = (value, ty);
    false
}
