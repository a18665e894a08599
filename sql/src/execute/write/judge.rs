//! Judges keys of foreign keys that were kept for later.

use std::collections::BTreeMap;

use bytes::Bytes;
use client::{Strength, WaitPolicy};

use super::broken_link::{missing, still_referenced};
use super::links::{Incoming, Linked};
use super::references::{KEYS_PER_REQUEST, is_referenced};
use crate::catalog::Oid;
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::deferred::Owed;

/// Judges what is owed: all of it, or what is not deferred any more. It stays owed.
///
/// # Errors
/// 23503
pub(crate) async fn settle_deferred(cx: &mut Context<'_>, all: bool) -> Result<()> {
    let mut by_key: BTreeMap<(Oid, Oid), Vec<usize>> = BTreeMap::new();
    for (place, owed) in cx.deferred.due(all) {
        by_key.entry((owed.table, owed.key)).or_default().push(place);
    }
    cx.transaction.begin_statement();
    for ((table, key), places) in by_key {
        // What was dropped since judges nobody.
        let Some(table) = cx.catalog.table_by_oid(table).cloned() else { continue };
        let linked = Linked::new(cx.catalog, &table)?;
        let Some(outgoing) = linked.outgoing.iter().find(|outgoing| outgoing.key.oid == key) else {
            continue;
        };
        let incoming = Incoming::of(outgoing, &table)?;
        for part in places.chunks(KEYS_PER_REQUEST) {
            let part: Vec<Owed> = part.iter().filter_map(|place| cx.deferred.get(*place).cloned()).collect();
            let keys = part.iter().map(|owed| outgoing.target.key(&owed.values));
            let keys = keys.collect::<Result<Vec<Bytes>>>()?;
            let mut guards: Vec<Bytes> = keys.iter().map(|key| outgoing.target.guard(key)).collect();
            guards.sort_unstable();
            guards.dedup();
            cx.transaction.lock(guards, Strength::Shared, WaitPolicy::Block).await?;
            cx.account_writes().await?;
            cx.transaction.begin_statement();
            let found = cx.transaction.get_unrelied(keys).await?;
            for (owed, found) in part.iter().zip(found) {
                if found.is_some() {
                    continue;
                }
                if is_referenced(cx, &incoming, &owed.values).await? {
                    return Err(match owed.gone {
                        true => still_referenced(cx, &outgoing.parent, &incoming, &owed.values),
                        false => missing(cx, &table, outgoing, &owed.values),
                    });
                }
                cx.tick(1).await?;
            }
        }
    }
    Ok(())
}
