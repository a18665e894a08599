//! Rows that change, and their index entries.

use bytes::Bytes;
use expr::Row;

use super::constraint::duplicate;
use super::{KeyState, WRITE_BATCH_ROWS, misfit};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::rows::{Entry, IndexFormat, TableFormat};

/// A row before and after.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) old: Row,
    pub(crate) new: Row,
}

/// What one change does to keys.
#[derive(Default)]
struct KeyChanges {
    /// The row's key and value, if it stays where it is and its unique keys are what they were.
    kept: Option<(Bytes, Bytes)>,
    deletes: Vec<Bytes>,
    /// Key, value, and the index (0 = primary, from 1 the secondary ones) in which it must not be taken.
    puts: Vec<(Bytes, Bytes, Option<usize>)>,
}

impl KeyChanges {
    /// What they take, with what is noted of their keys when they are written.
    fn bytes(&self) -> usize {
        /// What a key takes beside its bytes: in the list of changes, in the state of the keys.
        const KEY_BYTES: usize = 160;
        let deletes = self.deletes.iter().map(Bytes::len);
        let puts = self.puts.iter().map(|(key, value, _)| key.len().saturating_add(value.len()));
        let kept = self.kept.iter().map(|(key, value)| key.len().saturating_add(value.len()));
        deletes
            .chain(puts)
            .chain(kept)
            .fold(0, |sum, bytes| sum.saturating_add(KEY_BYTES).saturating_add(bytes))
    }
}

/// Writes changed rows whose old versions are locked: first everything old goes, then everything new comes, so that
/// values may be passed around within the statement.
pub(crate) async fn write_changes(
    cx: &mut Context<'_>,
    format: &TableFormat,
    state: &mut KeyState,
    changes: &[Change],
) -> Result<()> {
    let mut planned = Vec::with_capacity(changes.len());
    let mut locks = Vec::new();
    let mut bytes = 0_usize;
    for change in changes {
        let keys = key_changes(format, change, &mut locks)?;
        cx.memory.reserve(keys.bytes())?;
        bytes = bytes.saturating_add(keys.bytes());
        planned.push(keys);
        cx.tick(1).await?;
    }
    state.lock(cx, locks).await?;
    let mut written = 0_usize;
    for keys in &mut planned {
        for key in std::mem::take(&mut keys.deletes) {
            state.delete(cx, key);
            cx.tick(1).await?;
        }
        written = written.saturating_add(1);
        if written.is_multiple_of(WRITE_BATCH_ROWS) {
            cx.account_writes().await?;
        }
    }
    for (change, keys) in changes.iter().zip(planned) {
        if let Some((key, value)) = keys.kept {
            state.put_keeping_key(cx, key, value);
            cx.tick(1).await?;
        }
        for (key, value, exclusive) in keys.puts {
            if let Some(index) = exclusive
                && state.get(&key).is_some()
            {
                let index = match index.checked_sub(1) {
                    None => &format.primary,
                    Some(place) => format.secondary.get(place).ok_or_else(misfit)?,
                };
                return Err(duplicate(cx, &format.table, index, &change.new));
            }
            state.put(cx, key, value);
            cx.tick(1).await?;
        }
        written = written.saturating_add(1);
        if written.is_multiple_of(WRITE_BATCH_ROWS) {
            cx.account_writes().await?;
        }
    }
    cx.memory.release(bytes);
    Ok(())
}

fn key_changes(format: &TableFormat, change: &Change, locks: &mut Vec<Bytes>) -> Result<KeyChanges> {
    let mut keys = KeyChanges::default();
    let old_columns = format.primary_columns(&change.old)?;
    let moved = format.primary.differs(&change.old, &change.new);
    let new_columns = if moved { format.primary_columns(&change.new)? } else { old_columns.clone() };
    let new_key = format.primary.row_key(&new_columns);
    if moved {
        keys.deletes.push(format.primary.row_key(&old_columns));
        locks.push(new_key.clone());
    }
    let value = format.value(&change.new)?;
    let changes = |index: &IndexFormat| index.is_referable() && index.differs(&change.old, &change.new);
    if moved || format.secondary.iter().any(changes) {
        keys.puts.push((new_key, value, moved.then_some(0)));
    } else {
        keys.kept = Some((new_key, value));
    }
    for (place, index) in format.secondary.iter().enumerate() {
        if !moved && !index.differs(&change.old, &change.new) {
            continue;
        }
        let old = format.entry(index, &change.old, &old_columns)?;
        let new = format.entry(index, &change.new, &new_columns)?;
        let stays = matches!((&old, &new), (Some(old), Some(new)) if old.key == new.key);
        if let Some(old) = old.filter(|_| !stays) {
            if old.exclusive {
                locks.push(old.key.clone());
            }
            keys.deletes.push(old.key);
        }
        let Some(Entry { key, value, exclusive }) = new else { continue };
        if stays {
            // If the row moved, it leads elsewhere now.
            if moved {
                keys.puts.push((key, value, None));
            }
            continue;
        }
        if exclusive {
            locks.push(key.clone());
        }
        keys.puts.push((key, value, exclusive.then_some(place.saturating_add(1))));
    }
    Ok(keys)
}
