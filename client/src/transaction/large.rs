//! Large transactions: past a bound of bytes the writes leave memory, as intents at their ranges, long before the commit.
//!
//! ```text
//!   write … flush ─▶ intents … write … flush ─▶ intents … commit: flush, timestamp T, validate at T, decide at T ─▶ committed
//!                                                                                   in the background:  resolve by spans
//! ```
//! 1. The first key of the first flush is the *primary*; its intent stands before any other is written. A key that is written
//!    again gets the newer value with a later flush.
//! 2. What is flushed is read where it is: requests say that they see it, by the start timestamp that the transaction is known
//!    by from its first flush on. A flushed key needs no lock, its intent keeps others away, and is relied on no more.
//! 3. Whoever reads such a key meanwhile has the transaction promise, on its primary, to commit later. So the commit takes a
//!    timestamp T, validates at T what was read, and has the primary's range decide at T, which it refuses where it has promised
//!    a reader more; then another T is tried.
//! 4. Only then is the transaction committed. Before, it is rolled back if its coordinator dies.
//!
//! While a savepoint or a view is open nothing is flushed, for nothing would bring back what an intent has replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::{StreamExt as _, TryStreamExt as _};
use keys::span::successor;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Outcome, Prewrite, Span, operation};

use super::many::{Failed, RESERVE_MS, Validation};
use super::ranges::{CATALOG_VERSION, Piece};
use super::read::mismatch;
use super::resolve::{Settlement, decide};
use super::{REROUTES_MAX, Transaction};
use crate::router::Route;
use crate::sender::{Call, Failure, Kind};
use crate::{CommitTimestamp, Error, Result};

/// About how many bytes of writes one request flushes.
const PIECE_BYTES: usize = 512 << 10;

/// So many requests of a flush are under way at a time.
const PIECES_UNDER_WAY: usize = 8;

/// The number that the primary's place among those that signs of life go to has instead of a range's.
const PRIMARYS: u64 = 0;

/// What was written is remembered in so many spans.
const SPANS_MAX: usize = 64;

/// What a transaction has flushed.
#[derive(Debug)]
pub(super) struct Flushed {
    /// The start timestamp that it is known by.
    pub(super) start_timestamp: u64,
    primary: Bytes,
    flushes: u64,
    spans: Spans,
}

/// Disjoint spans, by their starts, that cover what was added.
#[derive(Debug, Default)]
struct Spans(BTreeMap<Bytes, Bytes>);

impl Spans {
    /// Covers `start..end`, too.
    fn add(&mut self, start: Bytes, end: Bytes) {
        let (mut start, mut end) = (start, end);
        // Those that it touches become part of it.
        while let Some((first, last)) = self.0.range(..=end.clone()).next_back()
            && *last >= start
        {
            let (first, last) = (first.clone(), last.clone());
            self.0.remove(&first);
            start = start.min(first);
            end = end.max(last);
        }
        self.0.insert(start, end);
        if self.0.len() > SPANS_MAX {
            self.join_neighbours();
        }
    }

    /// Every second one is joined to the one before.
    fn join_neighbours(&mut self) {
        let mut joined: BTreeMap<Bytes, Bytes> = BTreeMap::new();
        for (place, (start, end)) in std::mem::take(&mut self.0).into_iter().enumerate() {
            match joined.last_entry() {
                Some(mut last) if place % 2 == 1 => drop(last.insert(end)),
                _ => drop(joined.insert(start, end)),
            }
        }
        self.0 = joined;
    }

    fn to_wire(&self) -> Vec<Span> {
        self.0.iter().map(|(start, end)| Span { start: start.clone(), end: end.clone() }).collect()
    }
}

impl Transaction {
    /// Lets writes go to their ranges where they take more memory than one transaction may hold.
    ///
    /// # Errors
    /// [`Error::TooLarge`] while a savepoint is open. After any error the transaction cannot commit any more.
    pub async fn flush_if_large(&mut self) -> Result<()> {
        if self.buffer.bytes() <= self.client.flush_bytes() || self.keeps_versions() {
            return self.check_size();
        }
        self.flush(false).boxed().await
    }

    /// Writes what is buffered as intents. The catalog version waits for the end: everybody's statements read it.
    async fn flush(&mut self, is_last: bool) -> Result<()> {
        let flushed = self.flush_buffered(is_last).await;
        if flushed.is_err() {
            // Of what it has written nobody knows how much stands.
            self.end();
        }
        flushed
    }

    async fn flush_buffered(&mut self, is_last: bool) -> Result<()> {
        self.open()?;
        if self.options.read_only {
            return Err(Error::ReadOnly);
        }
        let mut writes = self.buffer.to_writes();
        writes.retain(|write| is_last || write.key != *CATALOG_VERSION);
        let Some(primary) = writes.first().map(|write| write.key.clone()) else { return Ok(()) };
        self.id();
        if self.timestamp == 0 {
            self.take_timestamp().await?;
        }
        let is_first = self.flushed.is_none();
        let start_timestamp = self.timestamp;
        let flushed = self.flushed.get_or_insert_with(|| Flushed {
            start_timestamp,
            primary,
            flushes: 0,
            spans: Spans::default(),
        });
        flushed.flushes += 1;
        let (primary, flush) = (flushed.primary.clone(), flushed.flushes);
        // Wherever ranges are divided meanwhile, the one that judges it hears that it lives.
        self.expect_locks(PRIMARYS, &primary);
        let keys: Vec<Bytes> = writes.iter().map(|write| write.key.clone()).collect();
        for _ in 0..REROUTES_MAX {
            let checks = self.held_checks(&writes);
            let parts = self.parts(std::mem::take(&mut writes), checks).await?;
            let mut pieces: Vec<(Arc<Route>, Piece)> = Vec::new();
            for part in &parts {
                let (Some(first), Some(last)) = (part.writes.first(), part.writes.last()) else { continue };
                let (start, end) = (first.key.clone(), successor(&last.key));
                // A sign of life reaches the range from now on, and what is left behind there is looked for.
                self.expect_locks(part.route.range_id(), &first.key);
                self.expect_locks(part.route.range_id(), &last.key);
                if let Some(flushed) = &mut self.flushed {
                    flushed.spans.add(start, end);
                }
                pieces.extend(part.pieces(PIECE_BYTES).into_iter().map(|piece| (part.route.clone(), piece)));
            }
            if is_first && !pieces.is_empty() {
                // Nobody else's intent stands before the primary's does.
                let others = pieces.split_off(1);
                writes = self.flush_pieces(pieces, &primary, flush).await?;
                if writes.is_empty() {
                    writes = self.flush_pieces(others, &primary, flush).await?;
                } else {
                    writes.extend(others.into_iter().flat_map(|(_, piece)| piece.writes));
                }
            } else {
                writes = self.flush_pieces(pieces, &primary, flush).await?;
            }
            if writes.is_empty() {
                self.forget_flushed(&keys);
                return Ok(());
            }
            writes.sort_by(|a, b| a.key.cmp(&b.key));
        }
        Err(Failure::Rerouted.into_error())
    }

    /// Flushes pieces, some at a time; the writes of those whose range is another by now.
    async fn flush_pieces(
        &self,
        pieces: Vec<(Arc<Route>, Piece)>,
        primary: &Bytes,
        flush: u64,
    ) -> Result<Vec<proto::v1::Write>> {
        let call = self.call();
        let asked = pieces.into_iter().map(|(route, piece)| {
            let call = Call { kind: Kind::Commit { bytes: piece.bytes() }, ..call.clone() };
            async move {
                let Piece { writes, checks } = piece;
                let (primary, others) = (primary.clone(), Vec::new());
                let prewrite = Prewrite { writes, checks, primary, others, commit_at: 0, flush };
                let build = || operation::Operation::Prewrite(prewrite.clone());
                match self.client.sender.send(&route, &call, build).await {
                    Ok(Answer::Prewrite(_)) => Ok(Vec::new()),
                    Ok(_) => Err(mismatch()),
                    Err(Failure::Rerouted) => Ok(prewrite.writes),
                    // What became of it does not matter: nothing is committed.
                    Err(failure) => Err(match failure.into_error() {
                        Error::Ambiguous { message } => Error::Unavailable { message, source: None },
                        error => error,
                    }),
                }
            }
        });
        let left: Vec<Vec<proto::v1::Write>> =
            futures::stream::iter(asked).buffer_unordered(PIECES_UNDER_WAY).try_collect().await?;
        Ok(left.into_iter().flatten().collect())
    }

    /// What was flushed, its keys ascending, is neither buffered nor locked any more.
    fn forget_flushed(&mut self, keys: &[Bytes]) {
        // What was not flushed is the catalog version, if that was written.
        self.buffer.forget(keys);
        // Pages that were read ahead do not have it.
        self.ahead = super::Ahead::default();
        let mut flushed = keys.iter().peekable();
        let (mut bytes, mut values_bytes) = (0, 0);
        self.held.retain(|key, held| {
            while flushed.next_if(|flushed| *flushed < key).is_some() {}
            let is_flushed = flushed.next_if(|flushed| *flushed == key).is_some();
            if is_flushed {
                bytes += held.bytes(key);
                values_bytes += held.value_bytes();
            }
            !is_flushed
        });
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
        self.held_values_bytes = self.held_values_bytes.saturating_sub(values_bytes);
    }

    /// Commits what was flushed, and what is still buffered.
    pub(super) async fn commit_large(&mut self, reads_since: u64) -> Result<CommitTimestamp> {
        self.flush(true).await?;
        let Some(settlement) = self.settlement() else { return Err(mismatch()) };
        for attempt in 0..REROUTES_MAX {
            let at = self.client.timestamp_within(self.options.timeout).await?.timestamp;
            match self
                .validate_large(&settlement.primary, reads_since, at, RESERVE_MS << attempt.min(5))
                .await
            {
                Ok(()) => {}
                Err(Failed::Again) => continue,
                Err(Failed::With(error)) => return Err(error),
            }
            match decide(&settlement, Outcome::Committed, at).await {
                Ok((Outcome::Committed, at)) => {
                    self.flushed = None;
                    settlement.resolve_later(&self.client, Outcome::Committed, at).await;
                    return Ok(at);
                }
                // Somebody has taken it for dead.
                Ok(_) => return Err(Error::Serialization { key: settlement.primary }),
                Err(Failure::Pushed) => {}
                Err(failure) => {
                    let error = failure.into_error();
                    let message =
                        format!("whether the transaction was committed could not be found out: {error}");
                    return Err(Error::Ambiguous { message });
                }
            }
        }
        Err(Failure::Pushed.into_error())
    }

    /// Proves that what was read and not written is unchanged up to `at`, and keeps the primary from being pushed beyond.
    async fn validate_large(
        &self,
        primary: &Bytes,
        reads_since: u64,
        at: u64,
        reserve_ms: u64,
    ) -> Result<(), Failed> {
        let mut requests: BTreeMap<u64, Validation> = BTreeMap::new();
        let route = self.client.sender.route(primary, self.options.timeout).await?;
        requests.insert(route.range_id(), (route, Vec::new(), vec![primary.clone()]));
        for (route, checks) in self.checks_by_range(self.checks(reads_since)).await? {
            let (_, known, _) =
                requests.entry(route.range_id()).or_insert_with(|| (route, Vec::new(), Vec::new()));
            known.extend(checks);
        }
        if self.options.catalog_version != 0 {
            let route = self.client.sender.route(&CATALOG_VERSION, self.options.timeout).await?;
            requests.entry(route.range_id()).or_insert_with(|| (route, Vec::new(), Vec::new()));
        }
        let requests: Vec<Validation> = requests.into_values().collect();
        self.validate_all(&requests, at, reserve_ms).await
    }

    /// What is to be settled of a transaction that has flushed.
    pub(super) fn settlement(&self) -> Option<Settlement> {
        let flushed = self.flushed.as_ref()?;
        Some(Settlement {
            sender: self.client.sender.clone(),
            call: Call { catalog_version: 0, ..self.call() },
            txn_id: self.id.clone(),
            start_timestamp: flushed.start_timestamp,
            primary: flushed.primary.clone(),
            others: Vec::new(),
            spans: flushed.spans.to_wire(),
            _holding: self.holding.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u16) -> Bytes {
        Bytes::copy_from_slice(&number.to_be_bytes())
    }

    #[test]
    fn spans_cover_what_was_added_and_stay_few() {
        let mut spans = Spans::default();
        for number in (0..2000_u32).map(|number| (number * 7919 % 2000) as u16) {
            spans.add(key(number * 10), key(number * 10 + 2));
            assert!(spans.0.len() <= SPANS_MAX + 1);
            let covers =
                |(start, end): (&Bytes, &Bytes)| *start <= key(number * 10) && key(number * 10 + 2) <= *end;
            assert!(spans.0.iter().any(covers));
        }
        let ends: Vec<_> = spans.0.iter().flat_map(|(start, end)| [start.clone(), end.clone()]).collect();
        assert!(ends.is_sorted());
        spans.add(key(0), key(u16::MAX));
        assert_eq!(spans.to_wire(), [Span { start: key(0), end: key(u16::MAX) }]);
    }

    #[test]
    fn spans_that_touch_are_one() {
        let mut spans = Spans::default();
        spans.add(key(5), key(6));
        spans.add(key(8), key(9));
        spans.add(key(6), key(7));
        assert_eq!(spans.0.len(), 2);
        spans.add(key(7), key(8));
        assert_eq!(spans.to_wire(), [Span { start: key(5), end: key(9) }]);
    }
}
