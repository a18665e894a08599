//! What stands under the keys that a batch of writes touches.

use std::cell::Cell;

use bytes::Bytes;
use client::{Strength, WaitPolicy};

use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::held_back::Write;

/// At most so many keys are locked by one request.
const KEYS_PER_REQUEST: usize = 4096;

/// The values under keys that were locked here, brought up to date by the batch's own writes.
///
/// Invariant: a key in here is locked by the transaction, and its value is the newest. Of other keys that the batch writes
/// nothing is kept: who asks for a key locks it first, and reads with the lock what was written until then.
#[derive(Debug, Default)]
pub(crate) struct KeyState {
    /// Keys, ascending, and their values.
    known: Vec<(Bytes, Option<Bytes>)>,
    /// The place behind the one that was found last: many ask for the keys in their order, and twice for each.
    next: Cell<usize>,
}

impl KeyState {
    /// Locks the keys that are not known yet and reads their newest values.
    pub(crate) async fn lock(&mut self, cx: &mut Context<'_>, keys: Vec<Bytes>) -> Result<()> {
        let mut unknown: Vec<Bytes> = keys.into_iter().filter(|key| self.find(key).is_none()).collect();
        unknown.sort_unstable();
        unknown.dedup();
        let is_first = self.known.is_empty();
        self.known.reserve(unknown.len());
        while !unknown.is_empty() {
            let rest = unknown.split_off(KEYS_PER_REQUEST.min(unknown.len()));
            let locked = cx.transaction.lock(unknown.clone(), Strength::Exclusive, WaitPolicy::Block).await?;
            for (key, locked) in unknown.into_iter().zip(locked) {
                let held_back = cx.held_back.as_ref().and_then(|held| held.newest(&key));
                let value = held_back.map_or(locked.value, |newest| newest.cloned());
                if is_first {
                    self.known.push((key, value));
                } else {
                    let place = self.known.partition_point(|(known, _)| *known < key);
                    self.known.insert(place, (key, value));
                }
            }
            unknown = rest;
        }
        Ok(())
    }

    /// What stands under a key; `None` if nothing does, or if it was not locked.
    pub(crate) fn get(&self, key: &Bytes) -> Option<&Bytes> {
        self.known.get(self.find(key)?).and_then(|(_, value)| value.as_ref())
    }

    /// The place of a key that is known.
    fn find(&self, key: &Bytes) -> Option<usize> {
        let next = self.next.get();
        let is_at = |place: &usize| self.known.get(*place).is_some_and(|(known, _)| known == key);
        let near = [next, next.wrapping_sub(1)].into_iter().find(is_at);
        let place = near.or_else(|| self.known.binary_search_by(|(known, _)| known.cmp(key)).ok())?;
        self.next.set(place.saturating_add(1));
        Some(place)
    }

    /// Writes a key.
    pub(crate) fn put(&mut self, cx: &mut Context<'_>, key: Bytes, value: Bytes) {
        self.note(&key, Some(&value));
        cx.write(key, Write::Put(value));
    }

    /// Writes a row that stays where it is, with its unique keys as they are.
    pub(crate) fn put_keeping_key(&mut self, cx: &mut Context<'_>, key: Bytes, value: Bytes) {
        self.note(&key, Some(&value));
        cx.write(key, Write::PutKeepingKey(value));
    }

    /// Deletes a key.
    pub(crate) fn delete(&mut self, cx: &mut Context<'_>, key: Bytes) {
        self.note(&key, None);
        cx.write(key, Write::Delete);
    }

    /// What is about to stand under a key, if that is known here.
    fn note(&mut self, key: &Bytes, value: Option<&Bytes>) {
        if let Some(place) = self.find(key)
            && let Some((_, known)) = self.known.get_mut(place)
        {
            *known = value.cloned();
        }
    }
}
