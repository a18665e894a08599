//! What stands under the keys that a batch of writes touches.

use std::collections::HashMap;

use bytes::Bytes;
use client::{Strength, WaitPolicy};

use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::held_back::Write;

/// At most so many keys are locked by one request.
const KEYS_PER_REQUEST: usize = 4096;

/// The values under keys that were locked, brought up to date by the batch's own writes.
///
/// Invariant: a key in here is locked by the transaction or written by it.
#[derive(Debug, Default)]
pub(crate) struct KeyState {
    values: HashMap<Bytes, Option<Bytes>>,
}

impl KeyState {
    /// Locks the keys that are not known yet and reads their newest values.
    pub(crate) async fn lock(&mut self, cx: &mut Context<'_>, keys: Vec<Bytes>) -> Result<()> {
        let mut unknown: Vec<Bytes> = keys.into_iter().filter(|key| !self.values.contains_key(key)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        while !unknown.is_empty() {
            let rest = unknown.split_off(KEYS_PER_REQUEST.min(unknown.len()));
            let locked = cx.transaction.lock(unknown.clone(), Strength::Exclusive, WaitPolicy::Block).await?;
            for (key, locked) in unknown.into_iter().zip(locked) {
                let held_back = cx.held_back.as_ref().and_then(|held| held.newest(&key));
                let value = held_back.map_or(locked.value, |newest| newest.cloned());
                self.values.insert(key, value);
            }
            unknown = rest;
        }
        Ok(())
    }

    /// What stands under a key; `None` if nothing does, or if it was not locked.
    pub(crate) fn get(&self, key: &Bytes) -> Option<&Bytes> {
        self.values.get(key).and_then(Option::as_ref)
    }

    /// Writes a key.
    pub(crate) fn put(&mut self, cx: &mut Context<'_>, key: Bytes, value: Bytes) {
        self.values.insert(key.clone(), Some(value.clone()));
        cx.write(key, Write::Put(value));
    }

    /// Writes a row that stays where it is, with its unique keys as they are.
    pub(crate) fn put_keeping_key(&mut self, cx: &mut Context<'_>, key: Bytes, value: Bytes) {
        self.values.insert(key.clone(), Some(value.clone()));
        cx.write(key, Write::PutKeepingKey(value));
    }

    /// Deletes a key.
    pub(crate) fn delete(&mut self, cx: &mut Context<'_>, key: Bytes) {
        self.values.insert(key.clone(), None);
        cx.write(key, Write::Delete);
    }
}
