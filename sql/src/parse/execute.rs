//! EXECUTE.

use super::ast::{Body, Expr};
use super::cursor::Cursor;
use super::grammar;
use crate::error::Result;

/// After EXECUTE.
pub(super) fn execute(cursor: &mut Cursor<'_>) -> Result<Body> {
    let name = cursor.name()?.value;
    let mut arguments: Vec<Expr> = Vec::new();
    if cursor.accept_symbol("(") {
        arguments = grammar::expressions(cursor)?;
        cursor.expect_symbol(")")?;
    }
    Ok(Body::Execute { name, arguments })
}
