//! Values as text: PostgreSQL's input and output functions of every type.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};

/// Reads a value of the type, its modifier applied as an assignment would (22001 if too long).
/// Errors: 22P02, 22003, 22007, 22008 in PostgreSQL's words.
pub fn input(text: &str, ty: Type, session: &SessionContext) -> Result<Datum> {
    let _ = (text, ty, session);
    Err(Error::unsupported("text input"))
}

/// The text of a value; the empty string of NULL (whose caller looks first).
pub fn output(value: &Datum, ty: Type, session: &SessionContext) -> String {
    let mut text = String::new();
    write(value, ty.kind, session, &mut text);
    text
}

/// Appends the text of a value, and nothing for NULL.
pub fn write(value: &Datum, kind: TypeKind, session: &SessionContext, out: &mut String) {
    let _ = (value, kind, session, out);
}
