//! Locks on rows, as FOR UPDATE and its like ask for them.

use bytes::Bytes;
use client::{Locked, Strength, WaitPolicy};

use super::context::Context;
use crate::error::{Error, Result};
use crate::plan::{LockStrength, LockWait, RowLock};

/// Locks rows of a table by their keys and reads their newest values.
///
/// # Errors
/// 55P03 if the lock is not to wait and another holds one of them.
pub(crate) async fn lock_rows(
    cx: &mut Context<'_>,
    lock: RowLock,
    relation: &str,
    keys: Vec<Bytes>,
) -> Result<Vec<Locked>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let locked = cx.transaction.lock(keys, strength(lock), policy(lock)).await;
    let locked = locked.map_err(|error| refused(error, lock, relation))?;
    cx.tally(|truth| {
        truth.note_read(locked.iter().filter_map(|locked| locked.value.as_ref()).map(Bytes::len))
    });
    Ok(locked)
}

/// Locks one row by its key and reads its newest value; `None`: there is no such row, or it was skipped.
///
/// # Errors
/// As [`lock_rows`].
pub(crate) async fn lock_row(
    cx: &mut Context<'_>,
    lock: RowLock,
    relation: &str,
    key: &Bytes,
) -> Result<Option<Bytes>> {
    let locked = lock_rows(cx, lock, relation, vec![key.clone()]).await?;
    Ok(locked.into_iter().next().filter(|locked| !locked.skipped).and_then(|locked| locked.value))
}

fn strength(lock: RowLock) -> Strength {
    match lock.strength {
        LockStrength::Exclusive => Strength::Exclusive,
        LockStrength::Shared => Strength::Shared,
    }
}

fn policy(lock: RowLock) -> WaitPolicy {
    match lock.wait {
        LockWait::Block => WaitPolicy::Block,
        LockWait::Error => WaitPolicy::Nowait,
        LockWait::Skip => WaitPolicy::SkipLocked,
    }
}

fn refused(error: client::Error, lock: RowLock, relation: &str) -> Error {
    match error {
        client::Error::LockNotAvailable { .. } if lock.wait == LockWait::Error => {
            Error::new("55P03", format!("could not obtain lock on row in relation \"{relation}\""))
        }
        other => other.into(),
    }
}
