//! Rows that change, and their index entries.

use bytes::Bytes;
use expr::Row;

use super::constraint::duplicate;
use super::{KeyState, WRITE_BATCH_ROWS, misfit};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::key_block::KeyBlock;
use crate::execute::rows::{Entry, IndexFormat, TableFormat};

/// A row before and after.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) old: Row,
    pub(crate) new: Row,
}

/// A key that comes: its value, the index (0 = primary, from 1 the secondary ones) in which it must not be taken, and the
/// place of the change that it is of.
struct Put {
    key: Bytes,
    value: Bytes,
    exclusive: Option<usize>,
    change: usize,
}

/// What changes do to keys.
#[derive(Default)]
struct KeyChanges {
    deletes: Vec<Bytes>,
    /// Keys and values of rows that stay where they are, with their unique keys what they were.
    kept: Vec<(Bytes, Bytes)>,
    puts: Vec<Put>,
    /// What has to be locked.
    locks: Vec<Bytes>,
    /// What they take, with what is noted of their keys when they are written.
    bytes: usize,
}

impl KeyChanges {
    fn add_bytes(&mut self, key: &Bytes, value: usize) {
        /// What a key takes beside its bytes: in the list of changes, in the state of the keys.
        const KEY_BYTES: usize = 160;
        let bytes = key.len().saturating_add(value).saturating_add(KEY_BYTES);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn delete(&mut self, key: Bytes) {
        self.add_bytes(&key, 0);
        self.deletes.push(key);
    }

    fn keep(&mut self, key: Bytes, value: Bytes) {
        self.add_bytes(&key, value.len());
        self.kept.push((key, value));
    }

    fn put(&mut self, put: Put) {
        self.add_bytes(&put.key, put.value.len());
        self.puts.push(put);
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
    let pieces = format.secondary.len().saturating_add(1).saturating_mul(2);
    let mut block = KeyBlock::for_pieces(changes.len().saturating_mul(pieces));
    let mut planned = KeyChanges::default();
    for (place, change) in changes.iter().enumerate() {
        let before = planned.bytes;
        plan_change(format, change, place, &mut block, &mut planned)?;
        cx.memory.reserve(planned.bytes.saturating_sub(before))?;
        cx.tick(1).await?;
    }
    let KeyChanges { deletes, kept, puts, locks, bytes } = planned;
    state.lock(cx, locks).await?;
    let mut written = 0_usize;
    for key in deletes {
        state.delete(cx, key);
        write_more(cx, &mut written).await?;
    }
    for (key, value) in kept {
        state.put_keeping_key(cx, key, value);
        write_more(cx, &mut written).await?;
    }
    for Put { key, value, exclusive, change } in puts {
        if let Some(index) = exclusive
            && state.get(&key).is_some()
        {
            let index = match index.checked_sub(1) {
                None => &format.primary,
                Some(place) => format.secondary.get(place).ok_or_else(misfit)?,
            };
            let change = changes.get(change).ok_or_else(misfit)?;
            return Err(duplicate(cx, &format.table, index, &change.new));
        }
        state.put(cx, key, value);
        write_more(cx, &mut written).await?;
    }
    cx.memory.release(bytes);
    cx.used.of(format.table.oid).updated += changes.len() as u64;
    Ok(())
}

/// After each write.
async fn write_more(cx: &mut Context<'_>, written: &mut usize) -> Result<()> {
    *written = written.saturating_add(1);
    if written.is_multiple_of(WRITE_BATCH_ROWS) {
        cx.account_writes().await?;
    }
    cx.tick(1).await
}

fn plan_change(
    format: &TableFormat,
    change: &Change,
    place: usize,
    block: &mut KeyBlock,
    planned: &mut KeyChanges,
) -> Result<()> {
    let old_key = block.row_key(format, &change.old)?;
    let moved = format.primary.differs(&change.old, &change.new);
    let new_key = if moved { block.row_key(format, &change.new)? } else { old_key.clone() };
    let (old_columns, new_columns) =
        (format.primary.columns_of(&old_key)?, format.primary.columns_of(&new_key)?);
    if moved {
        planned.delete(old_key.clone());
        planned.locks.push(new_key.clone());
    }
    let value = block.value(format, &change.new)?;
    let changes = |index: &IndexFormat| index.is_referable() && index.differs(&change.old, &change.new);
    if moved || format.secondary.iter().any(changes) {
        let exclusive = moved.then_some(0);
        planned.put(Put { key: new_key.clone(), value, exclusive, change: place });
    } else {
        planned.keep(new_key.clone(), value);
    }
    for (number, index) in (1_usize..).zip(&format.secondary) {
        if !moved && !index.differs(&change.old, &change.new) {
            continue;
        }
        let old = block.entry_key(format, index, &change.old, old_columns)?;
        let new = block.entry(format, index, &change.new, new_columns)?;
        let stays = matches!((&old, &new), (Some((old, _)), Some(new)) if *old == new.key);
        if let Some((key, exclusive)) = old.filter(|_| !stays) {
            if exclusive {
                planned.locks.push(key.clone());
            }
            planned.delete(key);
        }
        let Some(Entry { key, value, exclusive }) = new else { continue };
        if stays {
            // If the row moved, it leads elsewhere now.
            if moved {
                planned.put(Put { key, value, exclusive: None, change: place });
            }
            continue;
        }
        if exclusive {
            planned.locks.push(key.clone());
        }
        planned.put(Put { key, value, exclusive: exclusive.then_some(number), change: place });
    }
    Ok(())
}
