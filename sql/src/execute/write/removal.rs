//! Rows that go, and their index entries.

use expr::Row;

use super::KeyState;
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::rows::TableFormat;

/// Deletes rows that are locked, and their index entries.
pub(crate) async fn delete_rows(cx: &mut Context<'_>, format: &TableFormat, rows: &[Row]) -> Result<()> {
    let mut locks = Vec::new();
    let mut deletes = Vec::with_capacity(rows.len());
    for row in rows {
        let columns = format.primary_columns(row)?;
        deletes.push(format.primary.row_key(&columns));
        for index in &format.secondary {
            let Some(entry) = format.entry(index, row, &columns)? else { continue };
            if entry.exclusive {
                locks.push(entry.key.clone());
            }
            deletes.push(entry.key);
        }
        cx.tick(1).await?;
    }
    let mut state = KeyState::default();
    state.lock(cx, locks).await?;
    for key in deletes {
        state.delete(cx, key);
        cx.tick(1).await?;
    }
    Ok(())
}
