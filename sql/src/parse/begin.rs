//! BEGIN and START TRANSACTION: modes, and the moment that all of the transaction is about.

use super::ast::Body;
use super::cursor::Cursor;
use super::grammar::as_of;
use super::transaction::transaction_modes;
use crate::error::Result;

/// After BEGIN.
pub(super) fn begin(cursor: &mut Cursor<'_>) -> Result<Body> {
    let _ = cursor.accept("work") || cursor.accept("transaction");
    modes_and_moment(cursor, "BEGIN")
}

/// After START.
pub(super) fn start_transaction(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.expect("transaction")?;
    modes_and_moment(cursor, "START TRANSACTION")
}

fn modes_and_moment(cursor: &mut Cursor<'_>, tag: &'static str) -> Result<Body> {
    let modes = transaction_modes(cursor)?;
    Ok(Body::Begin(modes, as_of(cursor)?.map(Box::new), tag))
}
