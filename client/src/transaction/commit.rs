//! Commit: everything that was written, and everything it relied on, in one request to the one range that holds it. Where
//! several do, see [`super::many`].
//!
//! Where nothing was written but keys were locked, each range with such keys is asked whether they are as they were.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Check, Commit, Write, operation};

use super::lock::Held;
use super::many::Attempted;
use super::ranges::{CATALOG_VERSION, covers};
use super::read::mismatch;
use super::{REROUTES_MAX, State, Transaction};
use crate::router::Route;
use crate::sender::{Call, Failure, Kind};
use crate::{CommitTimestamp, Error, Isolation, Result};

/// The most bytes of keys and values that one transaction may write.
const BYTES_MAX: usize = 64 << 20;

/// With more bytes of keys and values a transaction over several ranges is a large one: its primary would have to name too
/// many keys.
const PARALLEL_BYTES_MAX: usize = 2 << 20;

/// About how many bytes of keys one request asks about, where nothing is written.
const CHECKED_BYTES_MAX: usize = 16 << 20;

impl Transaction {
    /// Commits; the timestamp that the writes stand at (for a transaction that wrote nothing, the one it read at).
    /// On success every transaction of any client that begins later sees the writes. After an error nothing was
    /// written, but for [`Error::Ambiguous`].
    pub async fn commit(&mut self) -> Result<CommitTimestamp> {
        self.open()?;
        if self.buffer.is_empty() && self.held.is_empty() && self.flushed.is_none() {
            let timestamp = self.timestamp;
            self.end_and_release().await;
            return Ok(timestamp);
        }
        let committed = if self.flushed.is_some() {
            self.commit_large(self.timestamp).boxed().await
        } else if self.buffer.is_empty() {
            self.commit_locks().boxed().await
        } else {
            self.commit_writes().await
        };
        self.end_and_release().await;
        committed
    }

    /// Commits a transaction that has locked keys and written nothing: none of them may have changed since.
    ///
    /// The ranges have to be told anyway that the locks are over. A commit without writes tells them, and checks in the
    /// same message: it costs no round trip, and each key one look-up. To ask whether the locks still stand would not be
    /// enough, for a commit does not ask the lock table: where another transaction's lock on the same key had expired
    /// before this one was granted, its commit goes through below a lock that stands.
    ///
    /// Several ranges check each at a time of its own. That suffices: every key was unchanged from when it was locked to
    /// when it was checked, and all were locked before the first was checked. Nothing was written, so that nobody need
    /// ever be told that the outcome is not known: asking again is harmless.
    async fn commit_locks(&mut self) -> Result<CommitTimestamp> {
        let keys: Vec<Bytes> = self.held.keys().cloned().collect();
        let mut unchecked: Vec<usize> = (0..keys.len()).collect();
        // Whatever schema is in force by now, the rows are the same.
        let call = Call { catalog_version: 0, ..self.call() };
        for _ in 0..REROUTES_MAX {
            let mut requests: Vec<(Arc<Route>, Vec<usize>)> = Vec::new();
            for (route, places) in self.by_range(&keys, &unchecked).await? {
                let parts = pieces(&keys, &places).into_iter();
                requests.extend(parts.map(|piece| (route.clone(), piece)));
            }
            let (this, keys, call) = (&*self, &keys, &call);
            let asked = requests.iter().map(|(route, places)| {
                let build = move || {
                    let checks = places.iter().filter_map(|place| this.held_check(keys.get(*place)?));
                    operation::Operation::Commit(Commit { checks: checks.collect(), ..Commit::default() })
                };
                this.client.sender.send(route, call, build)
            });
            let answers = futures::future::join_all(asked).await;
            unchecked.clear();
            for ((route, places), answer) in requests.into_iter().zip(answers) {
                match answer {
                    Ok(Answer::Commit(_)) => {
                        if let Some(holding) = &self.holding {
                            holding.forget(route.range_id());
                        }
                    }
                    Ok(_) => return Err(mismatch()),
                    Err(Failure::Rerouted) => unchecked.extend(places),
                    Err(failure) => return Err(failure.into_error()),
                }
            }
            if unchecked.is_empty() {
                return Ok(self.timestamp);
            }
        }
        Err(Failure::Rerouted.into_error())
    }

    /// That the key is as it was when it was locked.
    fn held_check(&self, key: &Bytes) -> Option<Check> {
        Some(unchanged(key, self.held.get(key)?))
    }

    /// That those keys of what is written, ascending, that are locked are as they were then.
    pub(super) fn held_checks(&self, writes: &[Write]) -> Vec<Check> {
        let mut held = self.held.iter().peekable();
        let mut checks = Vec::new();
        for write in writes {
            while held.next_if(|(key, _)| **key < write.key).is_some() {}
            let locked = held.next_if(|(key, _)| **key == write.key);
            checks.extend(locked.map(|(key, held)| unchanged(key, held)));
        }
        checks
    }

    async fn commit_writes(&mut self) -> Result<CommitTimestamp> {
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        self.check_size()?;
        self.id();
        // READ COMMITTED may have locked versions that are newer than its own timestamp; none of the others has.
        let newest = self.held.values().map(|held| held.newest).max().unwrap_or(0);
        let reads_since = self.timestamp;
        if self.timestamp == 0 || newest > self.timestamp {
            self.take_timestamp().await?;
        }
        for attempt in 0..REROUTES_MAX {
            let Some(route) = self.one_range().await? else {
                if self.buffer.bytes() > PARALLEL_BYTES_MAX.min(self.client.flush_bytes()) {
                    return self.commit_large(reads_since).boxed().await;
                }
                match self.commit_many(reads_since, attempt).boxed().await? {
                    Attempted::Committed(commit_timestamp) => return Ok(commit_timestamp),
                    Attempted::Again => self.take_timestamp().await?,
                };
                continue;
            };
            let build = || {
                operation::Operation::Commit(Commit {
                    checks: self.checks(reads_since),
                    writes: self.buffer.to_writes(),
                    frees_space: self.frees_space,
                    commit_at: 0,
                })
            };
            let call = Call { kind: Kind::Commit { bytes: self.buffer.bytes() }, ..self.call() };
            match self.client.sender.send(&route, &call, build).await {
                Ok(Answer::Commit(committed)) => {
                    // The range has let go of the locks together with the commit.
                    if let Some(holding) = &self.holding {
                        holding.forget(route.range_id());
                    }
                    return Ok(committed.commit_timestamp);
                }
                Ok(_) => return Err(mismatch()),
                Err(Failure::Rerouted) => {}
                Err(Failure::Conflict { key, ambiguous }) => {
                    if self.checks(reads_since).iter().any(|check| covers(check, &key)) {
                        return Err(Error::Serialization { key });
                    }
                    // Written without a look at it, and committed by another at or above what would be our timestamp.
                    if ambiguous {
                        return Err(Error::Ambiguous {
                            message: "an earlier sending of the commit may yet arrive".to_owned(),
                        });
                    }
                    self.take_timestamp().await?;
                }
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Err(Failure::Rerouted.into_error())
    }

    /// Whether what is buffered may still be committed.
    ///
    /// # Errors
    /// [`Error::TooLarge`]: it is more than one transaction may write.
    pub fn check_size(&self) -> Result<()> {
        match self.buffer.bytes() {
            bytes if bytes > BYTES_MAX => {
                Err(Error::TooLarge { bytes: bytes as u64, bytes_max: BYTES_MAX as u64 })
            }
            _ => Ok(()),
        }
    }

    /// What the writes rely on.
    pub(super) fn checks(&self, reads_since: u64) -> Vec<Check> {
        let mut checks = match self.options.isolation {
            Isolation::Serializable => self.reads.checks(reads_since, |key| self.held.contains_key(key)),
            Isolation::RepeatableRead | Isolation::ReadCommitted => Vec::new(),
        };
        for (since, relied) in &self.relied {
            checks.extend(relied.checks(*since, |_| false));
        }
        checks.reserve(self.held.len());
        checks.extend(self.held.iter().map(|(key, held)| unchanged(key, held)));
        checks
    }

    /// The range that holds all writes and checks, if one does.
    async fn one_range(&self) -> Result<Option<Arc<Route>>> {
        let Some((least, greatest)) = self.buffer.ends() else { return Err(mismatch()) };
        let route = self.client.sender.route(least, self.options.timeout).await?;
        let relies_on_reads = self.options.isolation == Isolation::Serializable;
        let relies_on_catalog = self.options.catalog_version != 0;
        if route.holds(greatest)
            && self.held.ends().is_none_or(|(least, greatest)| route.holds(least) && route.holds(greatest))
            && (!relies_on_reads || self.reads.is_within(&route))
            && self.relied.iter().all(|(_, relied)| relied.is_within(&route))
            && (!relies_on_catalog || route.holds(&CATALOG_VERSION))
        {
            return Ok(Some(route));
        }
        Ok(None)
    }

    /// Whether the transaction is over.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }
}

/// That a key is as it was when it was locked.
fn unchanged(key: &Bytes, held: &Held) -> Check {
    Check { start: key.clone(), end: Bytes::new(), since: held.locked_at }
}

/// The places, parted where their keys would make a request too long.
fn pieces(keys: &[Bytes], places: &[usize]) -> Vec<Vec<usize>> {
    let mut pieces: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for place in places {
        let length = keys.get(*place).map_or(0, Bytes::len);
        bytes += length;
        match pieces.last_mut() {
            Some(piece) if bytes <= CHECKED_BYTES_MAX => piece.push(*place),
            _ => {
                pieces.push(vec![*place]);
                bytes = length;
            }
        }
    }
    pieces
}
