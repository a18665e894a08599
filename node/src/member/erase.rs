//! Has the engine drop what was erased of the ranges here, once it may.
//!
//! What nobody reads any more goes as the engine compacts, whenever that is. What somebody wants to be gone is not to wait for it: the
//! keys' tables are compacted, one span after the other, on each node that has a replica. Nothing is written down of that: after a
//! start each span is looked at once more, and compacted only if something is found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Member;
use crate::range::{bounds, erased};

/// How often it is looked whether there is something to do.
const TICK: Duration = Duration::from_secs(5);

/// So many spans are looked at in a row: where many rows of a table were erased, the first takes most of the others along.
const AT_ONCE_MAX: usize = 256;

/// So many versions of a span are looked at; where there are more it is compacted once.
const LOOKED_MAX: usize = 10_000;

/// So often a span is compacted whose old versions are still found: a table that something else was busy with stays as it was.
const ATTEMPTS_MAX: u32 = 5;

/// A span that was erased, and before when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Erased {
    start: Bytes,
    end: Bytes,
    before: u64,
}

impl Member {
    /// Runs as long as the node does.
    pub(super) async fn drop_erased(self: Arc<Self>) {
        let mut attempts: BTreeMap<Erased, u32> = BTreeMap::new();
        let mut known: BTreeSet<Erased> = BTreeSet::new();
        loop {
            env::clock::sleep(TICK).await;
            let due = self.due();
            attempts.retain(|erased, _| due.contains(erased));
            // Of what is known for a while the engine was told, too.
            let waits = |erased: &&Erased| attempts.get(*erased).is_none_or(|made| *made < ATTEMPTS_MAX);
            let waiting: Vec<Erased> =
                due.intersection(&known).filter(waits).take(AT_ONCE_MAX).cloned().collect();
            known = due;
            for next in waiting {
                let (db, erased) = (self.context.db.clone(), next.clone());
                let dropped = match env::task::blocking(move || drop_one(&db, &erased)).await {
                    Ok(dropped) => dropped,
                    Err(_) => return,
                };
                let made = attempts.entry(next).or_default();
                match dropped {
                    Ok(true) => *made = ATTEMPTS_MAX,
                    Ok(false) => *made += 1,
                    // The engine is poisoned, which the store's watch tells.
                    Err(error) => tracing::debug!(%error, "what was erased could not be dropped"),
                }
            }
        }
    }

    /// What the engine may drop.
    fn due(&self) -> BTreeSet<Erased> {
        let mut all = BTreeSet::new();
        for replica in self.replicas() {
            let state = replica.cell.state();
            let spans = erased::due(&state).filter_map(|own| Some((own.span.clone()?, own.safe_point)));
            all.extend(spans.map(|(span, before)| Erased { start: span.start, end: span.end, before }));
        }
        all
    }
}

/// What is found of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing that has to go.
    Nothing,
    /// A version that has to.
    Something,
    /// None among the first, and there are more than are looked at.
    Unknown,
}

/// Compacts a span unless nothing of it has to go; whether none of it is known to be left.
fn drop_one(db: &lsm::Db, erased: &Erased) -> Result<bool, lsm::Error> {
    if look(db, erased)? == Found::Nothing {
        return Ok(true);
    }
    db.compact_span(&erased.start, &erased.end)?;
    // A large span is not written anew again and again only because it is large.
    Ok(look(db, erased)? != Found::Something)
}

/// Looks for versions in a span that are to go.
fn look(db: &lsm::Db, erased: &Erased) -> Result<Found, lsm::Error> {
    let options = lsm::ScanOptions { tombstones: true, all_versions: true, ..Default::default() };
    let mut last: Option<Bytes> = None;
    let within = bounds(&erased.start, &erased.end);
    for (looked, version) in db.scan_at(within, erased.before, options)?.enumerate() {
        let version = version?;
        if looked >= LOOKED_MAX {
            return Ok(Found::Unknown);
        }
        if version.value.is_none() || last.as_ref() == Some(&version.key) {
            return Ok(Found::Something);
        }
        last = Some(version.key);
    }
    Ok(Found::Nothing)
}
