//! Rows that go, and their index entries.

use bytes::Bytes;
use expr::Row;

use super::KeyState;
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::key_block::KeyBlock;
use crate::execute::rows::TableFormat;

/// Deletes rows that are locked, and their index entries: index by index, as the transaction keeps them.
pub(crate) async fn delete_rows(cx: &mut Context<'_>, format: &TableFormat, rows: &[Row]) -> Result<()> {
    let mut keys = KeyBlock::for_pieces(rows.len().saturating_mul(format.secondary.len().saturating_add(1)));
    let mut locks = Vec::new();
    let mut deletes: Vec<Bytes> = Vec::with_capacity(rows.len());
    let mut entries: Vec<Vec<Bytes>> = format.secondary.iter().map(|_| Vec::new()).collect();
    for row in rows {
        let row_key = keys.row_key(format, row)?;
        let columns = format.primary.columns_of(&row_key)?;
        for (index, entries) in format.secondary.iter().zip(&mut entries) {
            let Some((key, exclusive)) = keys.entry_key(format, index, row, columns)? else { continue };
            if exclusive {
                locks.push(key.clone());
            }
            entries.push(key);
        }
        deletes.push(row_key);
        cx.tick(1).await?;
    }
    let mut state = KeyState::default();
    state.lock(cx, locks).await?;
    for key in deletes.into_iter().chain(entries.into_iter().flatten()) {
        state.delete(cx, key);
        cx.tick(1).await?;
    }
    cx.used.of(format.table.oid).deleted += rows.len() as u64;
    Ok(())
}
