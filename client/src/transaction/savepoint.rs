//! Savepoints: points within a transaction that it can go back to, as PostgreSQL's subtransactions do.
//!
//! Going back takes back the writes since, and gives back the locks that were asked for since. It takes back nothing
//! of what was seen: the transaction reads on at its timestamp, and what it has read, under a lock that is given back
//! too, it still relies on. An error that only concerns what was done since a savepoint does not end the transaction.

use std::collections::BTreeMap;

use bytes::Bytes;
use env::canary::Canary;
use env::task::{self, boxed};
use proto::v1::{Release, operation};

use super::{RELEASE_TIMEOUT, RELEASE_WAIT, Transaction};
use crate::sender::Call;
use crate::{Error, Isolation};

/// A point to roll back to, of the transaction that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint {
    depth: usize,
}

/// The keys whose locks were asked for while savepoints were open, granted or not.
#[derive(Debug, Default)]
pub(super) struct AskedLocks {
    keys: Vec<Bytes>,
    /// The length of `keys` at each open savepoint.
    marks: Vec<usize>,
}

impl AskedLocks {
    pub(super) fn is_watching(&self) -> bool {
        !self.marks.is_empty()
    }

    pub(super) fn add(&mut self, key: Bytes) {
        self.keys.push(key);
    }

    fn since(&mut self, depth: usize) -> Vec<Bytes> {
        let Some(length) = self.marks.get(depth).copied() else { return Vec::new() };
        self.marks.truncate(depth + 1);
        self.keys.split_off(length.min(self.keys.len()))
    }

    fn release(&mut self, depth: usize) {
        self.marks.truncate(depth);
        if self.marks.is_empty() {
            self.keys.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.marks.clear();
    }
}

impl Transaction {
    /// Marks a point to roll back to.
    pub fn savepoint(&mut self) -> Savepoint {
        self.asked.marks.push(self.asked.keys.len());
        Savepoint { depth: self.buffer.savepoint() }
    }

    /// Takes back the writes since `savepoint`, which stays, and gives back the locks; later savepoints go. What was
    /// read stays read.
    ///
    /// # Errors
    /// The transaction cannot go on, whatever is taken back: it is over, and the error says why.
    #[boxed]
    pub async fn rollback_to(&mut self, savepoint: &Savepoint) -> Result<(), Error> {
        self.open()?;
        self.look_at_all();
        self.buffer.rollback_to(savepoint.depth);
        let mut given_back = self.asked.since(savepoint.depth);
        given_back.sort_unstable();
        given_back.dedup();
        for key in &given_back {
            let Some(held) = self.held.remove(key) else { continue };
            self.held_bytes = self.held_bytes.saturating_sub(held.bytes(key));
            self.held_values_bytes = self.held_values_bytes.saturating_sub(held.value_bytes());
            if held.newest <= self.timestamp && self.tracks_reads() {
                self.reads.add_key(key.clone());
            }
        }
        if env::canary::sings(Canary::ForgetReadsOnRollbackTo) {
            self.reads = super::ReadSet::default();
        }
        if !given_back.is_empty()
            && let Some(released) = self.give_back_keys(given_back)
            && env::clock::timeout(RELEASE_WAIT, released).await.is_err()
        {
            tracing::debug!("the locks behind a savepoint are given back later");
        }
        Ok(())
    }

    /// Forgets `savepoint` and later ones; the writes and locks since stay.
    pub fn release(&mut self, savepoint: Savepoint) {
        self.buffer.release(savepoint.depth);
        self.asked.release(savepoint.depth);
    }

    /// Whether what writes have replaced may be asked for.
    pub(super) fn keeps_versions(&self) -> bool {
        self.asked.is_watching() || self.buffer.has_views()
    }

    /// Whether going back to a savepoint leaves a transaction that can still commit, after this error.
    pub(super) fn survives(&self, error: &Error) -> bool {
        if !self.asked.is_watching() {
            return false;
        }
        match error {
            Error::Deadlock { .. } => true,
            // What was read has changed: fatal to those that must not commit beside the change.
            Error::Serialization { .. } => self.options.isolation != Isolation::Serializable,
            _ => false,
        }
    }

    fn give_back_keys(&mut self, keys: Vec<Bytes>) -> Option<task::JoinHandle<()>> {
        let sender = self.client.sender.clone();
        let call = Call { timeout: RELEASE_TIMEOUT, catalog_version: 0, ..self.call() };
        tokio::runtime::Handle::try_current().ok()?;
        Some(task::spawn(async move {
            let mut ranges = BTreeMap::new();
            for key in keys {
                let Some(route) = sender.router.route(&key) else { continue };
                let (_, keys) = ranges.entry(route.range_id()).or_insert_with(|| (route, Vec::new()));
                keys.push(key);
            }
            for (range, (route, keys)) in ranges {
                let build = || operation::Operation::Release(Release { keys: keys.clone() });
                if let Err(failure) = sender.send(&route, &call, build).await {
                    tracing::debug!(range, ?failure, "locks are left until their transaction ends");
                }
            }
        }))
    }
}
