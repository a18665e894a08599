//! Commit: everything that was written, and everything it relied on, in one request to the one range that holds it.

use bytes::Bytes;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Check, Commit, operation};

use super::read::mismatch;
use super::{REROUTES_MAX, State, Transaction};
use crate::router::Route;
use crate::sender::{Call, Failure, Kind};
use crate::{CommitTimestamp, Error, Isolation, Result};

/// The most bytes of keys and values that one transaction may write.
const BYTES_MAX: usize = 64 << 20;

impl Transaction {
    /// Commits; the timestamp that the writes stand at (for a transaction that wrote nothing, the one it read at).
    /// On success every transaction of any client that begins later sees the writes. After an error nothing was
    /// written, but for [`Error::Ambiguous`].
    pub async fn commit(&mut self) -> Result<CommitTimestamp> {
        self.open()?;
        if self.buffer.is_empty() {
            let timestamp = self.timestamp;
            self.end_and_release().await;
            return Ok(timestamp);
        }
        let committed = self.commit_writes().await;
        if committed.is_ok() {
            // The range has let go of the locks together with the commit.
            self.client.heartbeats.remove(&self.id);
            self.locked.clear();
        }
        self.end_and_release().await;
        committed
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
        let mut checks = self.checks(reads_since);
        if self.timestamp == 0 || newest > self.timestamp {
            self.take_timestamp().await?;
        }
        for _ in 0..REROUTES_MAX {
            let route = self.one_range(&checks).await?;
            let build = || {
                operation::Operation::Commit(Commit {
                    checks: checks.clone(),
                    writes: self.buffer.to_writes(),
                    frees_space: self.frees_space,
                })
            };
            let call = Call { kind: Kind::Commit { bytes: self.buffer.bytes() }, ..self.call() };
            match self.client.sender.send(&route, &call, build).await {
                Ok(Answer::Commit(committed)) => {
                    self.locked.remove(&route.range_id());
                    return Ok(committed.commit_timestamp);
                }
                Ok(_) => return Err(mismatch()),
                Err(Failure::Rerouted) => {}
                Err(Failure::Conflict { key, ambiguous }) => {
                    if checks.iter().any(|check| covers(check, &key)) {
                        return Err(Error::Serialization { key });
                    }
                    // Written without a look at it, and committed by another at or above what would be our timestamp.
                    if ambiguous {
                        return Err(Error::Ambiguous {
                            message: "an earlier sending of the commit may yet arrive".to_owned(),
                        });
                    }
                    self.take_timestamp().await?;
                    checks = self.checks(reads_since);
                }
                Err(Failure::Error(error)) => return Err(error),
            }
        }
        Err(Error::Unavailable { message: "the ranges keep moving".to_owned(), source: None })
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
    fn checks(&self, reads_since: u64) -> Vec<Check> {
        let mut checks = match self.options.isolation {
            Isolation::Serializable => self.reads.checks(reads_since, |key| self.held.contains_key(key)),
            Isolation::RepeatableRead | Isolation::ReadCommitted => Vec::new(),
        };
        checks.extend(self.held.iter().map(|(key, held)| Check {
            start: key.clone(),
            end: Bytes::new(),
            since: held.locked_at,
        }));
        checks
    }

    /// The range that holds all writes and checks.
    async fn one_range(&self, checks: &[Check]) -> Result<std::sync::Arc<Route>> {
        let Some((least, greatest)) = self.buffer.ends() else { return Err(mismatch()) };
        let route = self.client.sender.route(least, self.options.timeout).await?;
        let within = |check: &Check| route.holds(&check.start) && route.holds_span(&check.start, &check.end);
        if route.holds(greatest) && checks.iter().all(within) {
            return Ok(route);
        }
        Err(Error::Unsupported { message: "a transaction that touches several ranges".to_owned() })
    }

    /// Whether the transaction is over.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }
}

fn covers(check: &Check, key: &Bytes) -> bool {
    if check.end.is_empty() { check.start == key } else { check.start <= key && *key < check.end }
}
