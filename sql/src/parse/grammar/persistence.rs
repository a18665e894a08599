//! How long something new is to be there: TEMPORARY and UNLOGGED, and ON COMMIT.

use super::super::ast::Persistence;
use super::super::cursor::Cursor;
use crate::catalog::OnCommit;
use crate::error::Result;

/// `TEMPORARY` and its like, or nothing.
pub(super) fn persistence(cursor: &mut Cursor<'_>) -> Result<Persistence> {
    let at = cursor.at();
    let scope = cursor.accept_one_of(&["global", "local"]);
    if cursor.accept_one_of(&["temp", "temporary"]).is_some() {
        return Ok(if scope == Some("global") { Persistence::Global(at) } else { Persistence::Temporary });
    }
    if scope.is_some() {
        return Err(cursor.error());
    }
    // A table that survives a crash is more than UNLOGGED asks for.
    Ok(if cursor.accept("unlogged") { Persistence::Unlogged } else { Persistence::Permanent })
}

/// `ON COMMIT …`, or nothing.
pub(super) fn on_commit(cursor: &mut Cursor<'_>) -> Result<Option<OnCommit>> {
    if !cursor.accept_all(&["on", "commit"]) {
        return Ok(None);
    }
    if cursor.accept("drop") {
        return Ok(Some(OnCommit::Drop));
    }
    let wanted = match cursor.accept_one_of(&["preserve", "delete"]) {
        Some("preserve") => OnCommit::PreserveRows,
        Some(_) => OnCommit::DeleteRows,
        None => return Err(cursor.error()),
    };
    cursor.expect("rows")?;
    Ok(Some(wanted))
}
