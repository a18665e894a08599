//! Settling what coordinators have left undone.
//!
//! Whoever leads a range in which an intent stands in somebody's way, or whose coordinator shows no sign of life, chases its
//! transaction: asks the primary's range what became of it, again and again, until that is known, and does the same to the
//! intents here. Only the primary's range finds it out by itself, once the transaction has shown no sign of life there, either:
//! it asks the ranges of all other keys, which bar the transaction where its prewrite is missing. It is committed if nothing
//! was missing. Then that is written down on the primary, unless something else stands there by then.
//!
//! What was committed and not resolved everywhere is resolved from the primary's range, too, and its record goes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use proto::v1::operation::Operation;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{
    self, BatchRequest, Decide, DecideResult, Header, Outcome, Recover, RecoverResult, Resolve, Span,
};

use super::intents::{self, Decided, Large, Standing};
use super::refusal::Refusal;
use super::replica::{Inquiry, Replica};
use super::serving::Serving;
use super::state::contains;

/// So many transactions of one range are settled at a time; the others have to wait.
const CHASED_MAX: usize = 64;

/// How long the first pause is before a primary is asked again.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// And the longest.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// How long one step may take.
const STEP: Duration = Duration::from_secs(5);

/// So many bytes of keys go into one request.
const KEYS_BYTES_MAX: usize = 1 << 20;

/// Settles the transaction of an intent of this range, in the background, unless somebody does.
pub(crate) fn chase(replica: &Replica, serving: &Arc<Serving>, standing: &Arc<Standing>) {
    let start = standing.start_timestamp;
    if !serving.intents.chase(start, CHASED_MAX) {
        return;
    }
    let (replica, serving, standing) = (replica.clone(), serving.clone(), standing.clone());
    let tasks = replica.context.tasks.clone();
    drop(tasks.spawn(async move {
        replica.context.metrics.intents_chased.increment(1);
        let mut pause = PAUSE_MIN;
        while !serving.is_over() && serving.intents.stands(start) {
            match replica.settle(&serving, &standing).await {
                Ok(Settled::Done) => break,
                Ok(Settled::Pushed) => pause = PAUSE_MAX,
                Ok(Settled::NotYet) => {}
                Err(error) => {
                    tracing::debug!(range = replica.cell.range_id(), start, %error, "not settled yet")
                }
            }
            match &standing.met {
                None => env::clock::sleep(pause).await,
                Some(met) => drop(env::clock::timeout(pause, met.large.asked()).await),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        serving.intents.chased(start);
    }));
}

/// How far a transaction is settled.
enum Settled {
    /// What has become of it is known, and done to its intents here; to those of a large one its coordinator does it.
    Done,
    /// It is not known. Whoever reads has been promised that it commits later.
    Pushed,
    /// It is not known.
    NotYet,
}

impl Replica {
    /// Settles what its coordinators have left: transactions without a sign of life, and commits that are not resolved.
    pub(super) fn sweep_intents(&self, serving: &Arc<Serving>) {
        // Who has not heard what became of a split has not forgotten what it gave away.
        let end = self.cell.state().span.as_ref().map(|span| span.end.clone()).unwrap_or_default();
        if !end.is_empty() {
            serving.forget_from(&end);
        }
        for standing in serving.intents.expired() {
            chase(self, serving, &standing);
        }
        for (start, decided) in serving.intents.unresolved() {
            if !serving.intents.chase(start, CHASED_MAX) {
                continue;
            }
            let (replica, serving) = (self.clone(), serving.clone());
            let tasks = self.context.tasks.clone();
            drop(tasks.spawn(async move {
                if let Err(error) = replica.resolve_elsewhere(start, &decided).await {
                    tracing::debug!(range = replica.cell.range_id(), start, %error, "not resolved yet");
                }
                serving.intents.chased(start);
            }));
        }
    }

    /// Finds out what became of a transaction with intents here, and does that to them.
    async fn settle(&self, serving: &Serving, standing: &Standing) -> Result<Settled, Refusal> {
        let start = standing.start_timestamp;
        let is_expired = serving.intents.is_expired(start);
        let large = serving.intents.large.get(start);
        let known = large.as_ref().and_then(|large| large.outcome());
        let (outcome, commit_timestamp) = if let Some(known) = known {
            match known {
                intents::Outcome::Committed(timestamp) => (Outcome::Committed, timestamp),
                intents::Outcome::Aborted => (Outcome::Aborted, 0),
            }
        } else if is_expired && self.holds_primary(serving, standing)? {
            // Another's may stand there by now.
            let primary = serving.intents.on(&standing.primary)?;
            let Some(primary) = primary.filter(|primary| primary.start_timestamp == start) else {
                return Ok(Settled::NotYet);
            };
            self.judge(&primary).await?
        } else if large.is_none() && self.holds_primary(serving, standing)? {
            return Ok(Settled::NotYet);
        } else {
            let push_to = large.as_ref().map_or(0, |large| large.wanted());
            // Who is to be pushed is not barred: its primary's range knows whether it lives.
            let abort = is_expired && push_to == 0;
            self.recover(standing, vec![standing.primary.clone()], abort, push_to).await?
        };
        if !matches!(outcome, Outcome::Committed | Outcome::Aborted) {
            let Some(large) = large else { return Ok(Settled::NotYet) };
            large.pushed(commit_timestamp);
            return Ok(Settled::Pushed);
        }
        if let Some(large) = large {
            large.decided(match outcome {
                Outcome::Committed => intents::Outcome::Committed(commit_timestamp),
                _ => intents::Outcome::Aborted,
            });
            if !is_expired {
                return Ok(Settled::Pushed);
            }
            return self.settle_large(&large, outcome, commit_timestamp).await;
        }
        for keys in pieces(serving.intents.keys_of(start)) {
            let resolve = Resolve {
                keys,
                txn_id: Bytes::copy_from_slice(&standing.txn),
                start_timestamp: start,
                outcome: outcome.into(),
                commit_timestamp,
                ..Resolve::default()
            };
            self.here(Operation::Resolve(resolve)).await?;
        }
        Ok(Settled::Done)
    }

    /// Whether it is decided what becomes of a large transaction, as its primary's range tells who asks.
    pub(super) async fn is_decided(&self, large: &Large, standing: &Standing) -> Result<bool, Refusal> {
        let decided = match self.recover(standing, vec![standing.primary.clone()], false, 0).await? {
            (Outcome::Committed, timestamp) => intents::Outcome::Committed(timestamp),
            (Outcome::Aborted, _) => intents::Outcome::Aborted,
            (Outcome::Pending | Outcome::Prewritten, _) => return Ok(false),
        };
        large.decided(decided);
        Ok(true)
    }

    /// Whether the primary of an intent lies in this range, too, and its intent stands.
    fn holds_primary(&self, serving: &Serving, standing: &Standing) -> Result<bool, Refusal> {
        let is_here = |span: &Span| contains(span, &standing.primary);
        if !self.cell.state().span.as_ref().is_some_and(is_here) {
            return Ok(false);
        }
        let primary = serving.intents.on(&standing.primary)?;
        Ok(primary.is_some_and(|primary| primary.start_timestamp == standing.start_timestamp))
    }

    /// Resolves all that a large transaction without a coordinator has in this range, some of it at a time.
    async fn settle_large(
        &self,
        large: &Large,
        outcome: Outcome,
        commit_timestamp: u64,
    ) -> Result<Settled, Refusal> {
        let (keys, _) = large.keys();
        let range = self.cell.state().span.clone().unwrap_or_default();
        let mut left = Some(Span { start: keys.start.max(range.start), end: keys.end });
        while let Some(span) = left.take() {
            let is_here = span.start < span.end && (range.end.is_empty() || span.start < range.end);
            if !is_here {
                break;
            }
            let resolve = Resolve {
                txn_id: Bytes::copy_from_slice(&large.txn),
                start_timestamp: large.start_timestamp,
                outcome: outcome.into(),
                commit_timestamp,
                span: Some(span),
                ..Resolve::default()
            };
            match self.here(Operation::Resolve(resolve)).await? {
                Answer::Resolve(resolved) => left = resolved.resume,
                _ => return Err(mismatch()),
            }
        }
        Ok(Settled::Done)
    }

    /// Decides, as the primary's range, what became of a transaction without a sign of life.
    async fn judge(&self, primary: &Standing) -> Result<(Outcome, u64), Refusal> {
        let others = primary.others.clone();
        let found = match others.is_empty() {
            // It is committed once that is written down, not before.
            _ if primary.met.is_some() => (Outcome::Aborted, 0),
            true => (Outcome::Prewritten, 0),
            false => self.recover(primary, others, true, 0).await?,
        };
        let (outcome, commit_timestamp) = match found {
            (Outcome::Prewritten, minimum) => (Outcome::Committed, minimum.max(primary.minimum)),
            (Outcome::Committed, commit_timestamp) => (Outcome::Committed, commit_timestamp),
            (Outcome::Aborted, _) => (Outcome::Aborted, 0),
            (Outcome::Pending, _) => return Ok((Outcome::Pending, 0)),
        };
        let decide = Decide {
            primary: primary.key.clone(),
            keys: Vec::new(),
            txn_id: Bytes::copy_from_slice(&primary.txn),
            start_timestamp: primary.start_timestamp,
            outcome: outcome.into(),
            commit_timestamp,
            spans: Vec::new(),
        };
        match self.here(Operation::Decide(decide)).await? {
            Answer::Decide(DecideResult { outcome, commit_timestamp }) => known(outcome, commit_timestamp),
            _ => Err(mismatch()),
        }
    }

    /// What became of a transaction as far as these keys tell, wherever they are.
    async fn recover(
        &self,
        standing: &Standing,
        keys: Vec<Bytes>,
        abort: bool,
        push_to: u64,
    ) -> Result<(Outcome, u64), Refusal> {
        let (txn_id, start_timestamp) = (Bytes::copy_from_slice(&standing.txn), standing.start_timestamp);
        let inquiry = move |keys| {
            let txn_id = txn_id.clone();
            Operation::Recover(Recover { keys, txn_id, start_timestamp, abort, push_to })
        };
        let mut minimum = 0;
        let mut found = Outcome::Prewritten;
        for keys in pieces(keys) {
            let asked = self.context.elsewhere.ask(Inquiry { keys, operation: Box::new(inquiry.clone()) });
            for answer in asked.await? {
                let Answer::Recover(RecoverResult { outcome, commit_timestamp }) = answer else {
                    return Err(mismatch());
                };
                match known(outcome, commit_timestamp)? {
                    (Outcome::Prewritten, at) => minimum = minimum.max(at),
                    (Outcome::Pending, at) => {
                        minimum = minimum.max(at);
                        found = Outcome::Pending;
                    }
                    decided => return Ok(decided),
                }
            }
        }
        Ok((found, minimum))
    }

    /// Resolves what was committed here, on its primary, in all other ranges; then its record goes.
    async fn resolve_elsewhere(&self, start: u64, decided: &Decided) -> Result<(), Refusal> {
        let resolve = Resolve {
            keys: Vec::new(),
            txn_id: Bytes::copy_from_slice(&decided.txn),
            start_timestamp: start,
            outcome: Outcome::Committed.into(),
            commit_timestamp: decided.commit_timestamp,
            ..Resolve::default()
        };
        for span in &decided.spans {
            self.resolve_span(span.clone(), &resolve).await?;
        }
        for keys in pieces(decided.others.clone()) {
            let resolve = resolve.clone();
            let operation = Box::new(move |keys| Operation::Resolve(Resolve { keys, ..resolve.clone() }));
            self.context.elsewhere.ask(Inquiry { keys, operation }).await?;
        }
        let forget = Resolve { forget: decided.primary.clone(), ..resolve };
        self.here(Operation::Resolve(forget)).await.map(drop)
    }

    /// Resolves a span of a large transaction, range by range.
    async fn resolve_span(&self, span: Span, resolve: &Resolve) -> Result<(), Refusal> {
        let mut left = Some(span);
        while let Some(span) = left.take().filter(|span| span.start < span.end) {
            let keys = vec![span.start.clone()];
            let resolve = Resolve { span: Some(span), ..resolve.clone() };
            let operation = Box::new(move |_| Operation::Resolve(resolve.clone()));
            for answer in self.context.elsewhere.ask(Inquiry { keys, operation }).await? {
                let Answer::Resolve(resolved) = answer else { return Err(mismatch()) };
                left = resolved.resume;
            }
        }
        Ok(())
    }

    /// Has this range do something on its own behalf.
    async fn here(&self, operation: Operation) -> Result<Answer, Refusal> {
        let state = self.cell.state();
        let header = Header {
            cluster_id: self.context.cluster_id.clone(),
            range_id: state.range_id,
            span_epoch: state.span_epoch,
            timeout_ms: STEP.as_millis() as u64,
            ..Header::default()
        };
        let operations = vec![v1::Operation { operation: Some(operation) }];
        // Boxed, because it may lead here again.
        let answered = self.batch(BatchRequest { header: Some(header), operations }).boxed().await;
        if let Some(error) = answered.error {
            return Err(Refusal::Unavailable(error.message));
        }
        answered.results.into_iter().next().and_then(|result| result.result).ok_or_else(mismatch)
    }
}

fn known(outcome: i32, commit_timestamp: u64) -> Result<(Outcome, u64), Refusal> {
    match Outcome::try_from(outcome) {
        Ok(Outcome::Committed) if commit_timestamp == 0 => Err(mismatch()),
        Ok(outcome) => Ok((outcome, commit_timestamp)),
        Err(_) => Err(mismatch()),
    }
}

/// The keys, parted where they would make a request too long.
fn pieces(keys: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    let mut pieces: Vec<Vec<Bytes>> = Vec::new();
    let mut bytes = 0;
    for key in keys {
        bytes += key.len();
        match pieces.last_mut() {
            Some(piece) if bytes <= KEYS_BYTES_MAX => piece.push(key),
            _ => {
                bytes = key.len();
                pieces.push(vec![key]);
            }
        }
    }
    pieces
}

fn mismatch() -> Refusal {
    Refusal::Unavailable("a range answered something else than it was asked".to_owned())
}
