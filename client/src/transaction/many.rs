//! Commit of a transaction over several ranges.
//!
//! ```text
//!   lock ──▶ [timestamp T ──▶ validate at T, reserve what is written] ──▶ prewrite everywhere ──▶ committed
//!                                                                                   in the background:  decide ──▶ resolve
//! ```
//! 1. What it has read and does not write has to be as it was when it commits. So it is validated at a fresh timestamp T, in
//!    all ranges at once, while what it is about to write is reserved there; then it commits at T or not at all. Who has
//!    read nothing else than what it writes needs none of this: the intents keep that as it is.
//! 2. All intents are written at once. As soon as the last one stands the transaction is committed, at the largest of the
//!    ranges' minimums. One write range needs no intents.
//! 3. If one is refused, the attempt is given up on its primary: only once that stands is the caller told, or another
//!    attempt begun, which has a start timestamp of its own. Where somebody else has found it committed meanwhile, it is.
//! 4. That it is committed is written down on the primary, then done to all its keys (`resolve`).

use std::sync::Arc;

use bytes::Bytes;
use env::canary::{self, Canary};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Check, Commit, Outcome, Prewrite, Validate, Write, operation};

use super::Transaction;
use super::ranges::{CATALOG_VERSION, Part, Piece, covers};
use super::read::mismatch;
use super::resolve::{Settlement, decide};
use crate::router::Route;
use crate::sender::{Call, Failure, Kind};
use crate::{CommitTimestamp, Error, Result};

/// About how many bytes of writes go into one request: what is proposed at once.
const PREWRITE_BYTES: usize = 192 << 10;

/// For how long keys are reserved at first; each time that does not suffice for twice as long.
pub(super) const RESERVE_MS: u64 = 50;

/// What an attempt came to.
pub(super) enum Attempted {
    /// Committed.
    Committed(CommitTimestamp),
    /// Nothing was written, and nothing of it will be; with another start timestamp it may succeed.
    Again,
}

/// A range, what is validated there, and what is reserved.
pub(super) type Validation = (Arc<Route>, Vec<Check>, Vec<Bytes>);

/// Why a part of an attempt failed.
pub(super) enum Failed {
    /// Another attempt may succeed.
    Again,
    /// None will.
    With(Error),
}

impl Transaction {
    /// Makes one attempt to commit over several ranges; `attempt` counts those before.
    pub(super) async fn commit_many(&mut self, reads_since: u64, attempt: u32) -> Result<Attempted> {
        let parts = self.parts(self.buffer.to_writes(), self.checks(reads_since)).await?;
        let relies = self.options.catalog_version != 0 || parts.iter().any(|part| !part.relied_on.is_empty());
        let written: Vec<&Part> = parts.iter().filter(|part| !part.writes.is_empty()).collect();
        // One range takes all of it at once.
        let bytes_max = if written.len() == 1 { usize::MAX } else { PREWRITE_BYTES };
        let pieces: Vec<(Arc<Route>, Piece)> = written
            .iter()
            .flat_map(|part| part.pieces(bytes_max).into_iter().map(|piece| (part.route.clone(), piece)))
            .collect();
        let mut commit_at = 0;
        if relies && !canary::sings(Canary::SkipValidation) {
            commit_at = self.client.timestamp_within(self.options.timeout).await?.timestamp;
            match self.validate_parts(&parts, &pieces, commit_at, RESERVE_MS << attempt.min(5)).await {
                Ok(()) => {}
                Err(Failed::Again) => return Ok(Attempted::Again),
                Err(Failed::With(error)) => return Err(error),
            }
        }
        let committed = match pieces.as_slice() {
            [] => return Err(mismatch()),
            [(route, piece)] => self.commit_at(route, piece, commit_at).await?,
            _ => self.prewrite_all(pieces, commit_at).await?,
        };
        if let (Attempted::Committed(_), Some(holding)) = (&committed, &self.holding) {
            // Those let go of the locks themselves; the others are still to be told.
            written.iter().for_each(|part| holding.forget(part.route.range_id()));
        }
        Ok(committed)
    }

    /// Proves that what is relied on was not changed up to `at`, and has the ranges keep what is to be written from being
    /// read there.
    async fn validate_parts(
        &self,
        parts: &[Part],
        pieces: &[(Arc<Route>, Piece)],
        at: u64,
        reserve_ms: u64,
    ) -> Result<(), Failed> {
        let mut requests: Vec<Validation> =
            pieces.iter().map(|(route, piece)| (route.clone(), Vec::new(), piece.keys())).collect();
        let is_parted = requests.len() > parts.iter().filter(|part| !part.writes.is_empty()).count();
        if is_parted {
            // What one request validates counts as read before another one has reserved it.
            self.validate_all(&requests, at, reserve_ms).await?;
            requests.clear();
        }
        for part in parts.iter().filter(|part| !part.relied_on.is_empty()) {
            let here = requests.iter_mut().find(|(route, ..)| route.range_id() == part.route.range_id());
            match here {
                Some((_, checks, _)) => checks.clone_from(&part.relied_on),
                None => requests.push((part.route.clone(), part.relied_on.clone(), Vec::new())),
            }
        }
        if self.options.catalog_version != 0 {
            let route = self.client.sender.route(&CATALOG_VERSION, self.options.timeout).await?;
            if !requests.iter().any(|(other, ..)| other.range_id() == route.range_id()) {
                requests.push((route, Vec::new(), Vec::new()));
            }
        }
        self.validate_all(&requests, at, reserve_ms).await
    }

    pub(super) async fn validate_all(
        &self,
        requests: &[Validation],
        at: u64,
        reserve_ms: u64,
    ) -> Result<(), Failed> {
        let call = self.call();
        let mut asked: FuturesUnordered<_> = requests
            .iter()
            .map(|(route, checks, reserve)| {
                let build = move || {
                    let (checks, reserve) = (checks.clone(), reserve.clone());
                    operation::Operation::Validate(Validate { checks, at, reserve, reserve_ms })
                };
                self.client.sender.send(route, &call, build)
            })
            .collect();
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(Answer::Validate(_)) => {}
                Ok(_) => return Err(Failed::With(mismatch())),
                Err(Failure::Rerouted | Failure::Pushed | Failure::Aborted) => return Err(Failed::Again),
                Err(failure) => return Err(Failed::With(failure.into_error())),
            }
        }
        Ok(())
    }

    /// Commits at exactly a timestamp what writes to one range and has read in others.
    async fn commit_at(&self, route: &Arc<Route>, piece: &Piece, commit_at: u64) -> Result<Attempted> {
        let call = Call { kind: Kind::Commit { bytes: piece.bytes() }, ..self.call() };
        let build = || {
            let (checks, writes) = (piece.checks.clone(), piece.writes.clone());
            operation::Operation::Commit(Commit { checks, writes, frees_space: self.frees_space, commit_at })
        };
        match self.client.sender.send(route, &call, build).await {
            Ok(Answer::Commit(committed)) => Ok(Attempted::Committed(committed.commit_timestamp)),
            Ok(_) => Err(mismatch()),
            Err(Failure::Rerouted | Failure::Pushed) => Ok(Attempted::Again),
            Err(Failure::Conflict { key, .. }) if piece.checks.iter().any(|check| covers(check, &key)) => {
                Err(Error::Serialization { key })
            }
            Err(Failure::Conflict { ambiguous: true, .. }) => {
                let message = "an earlier sending of the commit may yet arrive".to_owned();
                Err(Error::Ambiguous { message })
            }
            Err(Failure::Conflict { .. }) => Ok(Attempted::Again),
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Writes all intents.
    async fn prewrite_all(&mut self, pieces: Vec<(Arc<Route>, Piece)>, commit_at: u64) -> Result<Attempted> {
        let mut keys: Vec<Bytes> = pieces.iter().flat_map(|(_, piece)| piece.keys()).collect();
        let primary = keys.remove(0);
        for (route, piece) in &pieces {
            if let Some(write) = piece.writes.first() {
                // A sign of life reaches each of them while this goes on.
                self.expect_locks(route.range_id(), &write.key);
            }
        }
        let call = self.call();
        let settlement = Settlement {
            sender: self.client.sender.clone(),
            call: Call { catalog_version: 0, ..call.clone() },
            txn_id: self.id.clone(),
            start_timestamp: self.timestamp,
            primary: primary.clone(),
            others: keys,
            spans: Vec::new(),
            _holding: None,
        };
        let request = |(route, piece): (Arc<Route>, Piece)| {
            let Piece { writes, checks } = piece;
            let is_primary = writes.first().is_some_and(|write| write.key == primary);
            let others = if is_primary { settlement.others.clone() } else { Vec::new() };
            (route, Prewrite { writes, checks, primary: primary.clone(), others, commit_at, flush: 0 })
        };
        let requests: Vec<(Arc<Route>, Prewrite)> = pieces.into_iter().map(request).collect();
        match self.prewrite(&requests, call).await {
            Ok(commit_timestamp) => {
                settlement.resolve_later(&self.client, Outcome::Committed, commit_timestamp).await;
                Ok(Attempted::Committed(commit_timestamp))
            }
            Err(failed) => {
                let unknown = |failure: Failure| Error::Ambiguous {
                    message: format!("the transaction could not be rolled back: {}", failure.into_error()),
                };
                let (outcome, at) = decide(&settlement, Outcome::Aborted, 0).await.map_err(unknown)?;
                settlement.resolve_later(&self.client, outcome, at).await;
                match (outcome, failed) {
                    // Somebody who found all intents there has taken us for dead.
                    (Outcome::Committed, _) => Ok(Attempted::Committed(at)),
                    (_, Failed::Again) => Ok(Attempted::Again),
                    (_, Failed::With(error)) => Err(error),
                }
            }
        }
    }

    async fn prewrite(&self, requests: &[(Arc<Route>, Prewrite)], call: Call) -> Result<u64, Failed> {
        let mut asked: FuturesUnordered<_> = requests
            .iter()
            .map(|(route, prewrite)| {
                let size = |write: &Write| write.key.len() + write.value.as_ref().map_or(0, Bytes::len);
                let bytes = prewrite.writes.iter().map(size).sum();
                let call = Call { kind: Kind::Commit { bytes }, ..call.clone() };
                async move {
                    let build = || operation::Operation::Prewrite(prewrite.clone());
                    (prewrite, self.client.sender.send(route, &call, build).await)
                }
            })
            .collect();
        let mut commit_timestamp = 0;
        while let Some((prewrite, answer)) = asked.next().await {
            match answer {
                Ok(Answer::Prewrite(written)) => {
                    commit_timestamp = written.commit_timestamp_min.max(commit_timestamp);
                }
                Ok(_) => return Err(Failed::With(mismatch())),
                Err(Failure::Rerouted | Failure::Pushed | Failure::Aborted) => return Err(Failed::Again),
                Err(Failure::Conflict { key, .. }) => {
                    let relies = prewrite.checks.iter().any(|check| covers(check, &key));
                    return Err(match relies {
                        true => Failed::With(Error::Serialization { key }),
                        false => Failed::Again,
                    });
                }
                // What became of it the primary tells.
                Err(failure) => {
                    let error = failure.into_error();
                    return Err(Failed::With(match error {
                        Error::Ambiguous { message } => Error::Unavailable { message, source: None },
                        error => error,
                    }));
                }
            }
        }
        Ok(commit_timestamp)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::With(error)
    }
}
