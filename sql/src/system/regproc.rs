//! Functions by the texts of `regproc`.

use expr::functions::{self, FunctionId};

use super::deparse::quote_name;
use crate::catalog::{named, schema};

/// A function's name, with its schema where the name alone would not say which is meant.
pub(super) fn text(oid: u32) -> Option<String> {
    let function = FunctionId::from_oid(oid)?;
    let name = quote_name(function.name);
    Some(match functions::by_name(function.name) {
        [_] => name,
        _ => format!("{}.{name}", schema::PG_CATALOG),
    })
}

/// The only function of this name. 42883 if there is none, 42725 if there are several.
pub(super) fn oid(text: &str) -> expr::Result<u32> {
    let found = match named::parts(text).as_slice() {
        [name] => functions::by_name(name),
        [within, name] if within == schema::PG_CATALOG => functions::by_name(name),
        _ => &[],
    };
    match found {
        [only] => Ok(only.oid()),
        [] => Err(expr::Error::new("42883", format!("function \"{text}\" does not exist"))),
        _ => Err(expr::Error::new("42725", format!("more than one function named \"{text}\""))),
    }
}
