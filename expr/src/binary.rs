//! Values in PostgreSQL's binary format: its send and receive functions of every type.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::types::Type;

/// Reads a value of the type, its modifier applied as an assignment would. Errors: 22P03, 08P01, 22021.
pub fn recv(bytes: &[u8], ty: Type) -> Result<Datum> {
    let _ = (bytes, ty);
    Err(Error::unsupported("binary format"))
}

/// Appends the value's binary form, and nothing for NULL.
pub fn send(value: &Datum, ty: Type, out: &mut Vec<u8>) -> Result<()> {
    let _ = (value, ty, out);
    Err(Error::unsupported("binary format"))
}
