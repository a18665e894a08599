//! Requests to ranges: finding the leader, trying again until the deadline, telling what is known about the outcome.
//!
//! 1. A request goes to the candidate that served the range last ([`Sender::send`]), and is waited for as long as that
//!    one shows signs of life (`watch`): any answer that the range gives to anybody, else to an empty batch.
//! 2. When it does not, or says that it does not lead, one of all who miss the leader searches for it (`search`): among
//!    the candidates, in the directory, and through other nodes if the leader cannot be reached from here.
//! 3. The request is sent again. A commit is recognised by its start timestamp, so that it may follow its range to
//!    another leader, and to a newer descriptor of the same span, though an earlier sending may still be under way.
//!
//! What is read of the past goes to whoever is nearest first (`nearest`). What only the root range's leader answers goes its own
//! way (`root`).

mod attempts;
mod call;
mod nearest;
mod root;
mod search;
mod watch;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use env::clock;
use env::trace::{self, Span};
use futures::FutureExt as _;
use proto::Status;
use proto::v1::error::Kind as Refused;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{BatchRequest, Header, Operation, OperationResult, StaleRange, operation};

use self::attempts::Attempts;
pub(crate) use self::call::{Call, Failure, Kind, definite};
use self::search::Found;
use crate::router::{Lead, Route, Router};
use crate::{Error, Result};

/// The cluster may be out of reach for at least so long while a transaction waits for a lock.
const WAIT_TIMEOUT_MIN: Duration = Duration::from_secs(2);

/// What a [`crate::Client`] and its transactions share of the way to the cluster.
pub(crate) struct Sender {
    pub(crate) router: Router,
    /// Requests that were answered by replicas that are not known to lead.
    pub(crate) followed: AtomicU64,
}

/// What to do about a refusal.
enum Next {
    /// Ask whom the route names by now.
    Again,
    /// Find out who serves the range.
    Search,
}

impl Sender {
    /// The range that holds `key`; asks for the directory if it is not known.
    pub(crate) async fn route(&self, key: &[u8], timeout: Duration) -> Result<Arc<Route>> {
        match self.router.route(key) {
            Some(route) => Ok(route),
            None => self.find(timeout, key, || self.router.route(key)).boxed().await,
        }
    }

    /// The range that holds the greatest keys below `end`.
    pub(crate) async fn route_below(&self, end: &[u8], timeout: Duration) -> Result<Arc<Route>> {
        match self.router.route_below(end) {
            Some(route) => Ok(route),
            None => self.find(timeout, end, || self.router.route_below(end)).boxed().await,
        }
    }

    async fn find(
        &self,
        timeout: Duration,
        key: &[u8],
        look: impl Fn() -> Option<Arc<Route>>,
    ) -> Result<Arc<Route>> {
        let mut attempts = Attempts::new(timeout);
        loop {
            match self.router.look_up(key).await {
                Ok(()) => attempts.message = "the directory names no range for the key".to_owned(),
                Err(status) => attempts.failed(status),
            }
            if let Some(route) = look() {
                return Ok(route);
            }
            attempts.pause(Duration::ZERO).await?;
        }
    }

    /// Sends one operation to a range until it is answered. `build` makes the operation anew for each attempt.
    pub(crate) async fn send(
        &self,
        route: &Arc<Route>,
        call: &Call,
        build: impl Fn() -> operation::Operation,
    ) -> Result<Answer, Failure> {
        let build = || vec![Operation { operation: Some(build()) }];
        self.send_all(route, call, build).await?.next().ok_or_else(unanswered)?
    }

    /// Sends several operations to a range until they are answered, in their order.
    pub(crate) async fn send_all<B: Fn() -> Vec<Operation>>(
        &self,
        route: &Arc<Route>,
        call: &Call,
        build: B,
    ) -> Result<impl Iterator<Item = Result<Answer, Failure>> + use<B>, Failure> {
        let mut timeout = call.timeout;
        if call.from_follower {
            let begun = clock::now();
            if let Some(results) = self.ask_nearest(route, call, build()).boxed().await {
                return Ok(answers(results));
            }
            timeout = timeout.saturating_sub(clock::now().duration_since(begun));
        }
        let mut route = route.clone();
        let timeout = match call.kind {
            // Such a request may stand at its leader for as long as it takes to hear that the leader lives.
            Kind::Wait => timeout.max(WAIT_TIMEOUT_MIN),
            kind @ (Kind::Read | Kind::Commit { .. }) => timeout + kind.transfer(),
        };
        let mut attempts = Attempts::new(timeout);
        loop {
            attempts.made += 1;
            let Some((lead, candidate)) = route.lead() else {
                return Err(attempts.rerouted());
            };
            if lead.forwards {
                self.look_for_leader(&route, &mut attempts).boxed().await;
                // It may have found another one; whoever is asked knows.
            }
            if attempts.made > 1 || !candidate.peer.is_silent() {
                let span = self.span(&route, attempts.made);
                let mut header = self.header(&route, lead, call, &attempts);
                header.trace = sent_under(span.as_ref());
                let request = BatchRequest { header: Some(header), operations: build() };
                let asked = candidate.peer.handle.batch(request);
                let answered = {
                    let watched = pin!(self.watch(&route, lead, call, &mut attempts, asked));
                    trace::within(span, watched).await
                };
                match answered {
                    Ok(response) => match response.error {
                        None => {
                            route.heard();
                            return Ok(answers(response.results));
                        }
                        Some(error) => match self.refused(&route, lead, call, &mut attempts, error).await? {
                            Next::Again => continue,
                            Next::Search => {}
                        },
                    },
                    Err(status) => failed(call, &mut attempts, status)?,
                }
            }
            // Whatever is found, we do not ask at full speed.
            attempts.pause(Duration::ZERO).await?;
            match self.search(&route, lead, &mut attempts).boxed().await? {
                Found::Serves => {}
                Found::Moved(moved) if moved.is_same_span(&route) => route = moved,
                Found::Moved(_) => return Err(attempts.rerouted()),
            }
        }
    }

    /// The span of a request, if anybody follows it.
    fn span(&self, route: &Route, attempt: u32) -> Option<Span> {
        let mut span = trace::child("request")?.asks();
        span.note("nunatak.range", route.range_id());
        span.note("nunatak.attempt", u64::from(attempt));
        Some(span)
    }

    fn header(&self, route: &Route, lead: Lead, call: &Call, attempts: &Attempts) -> Header {
        let timeout_ms = match call.kind {
            // As long as the transaction lives.
            Kind::Wait => 0,
            Kind::Read | Kind::Commit { .. } => (attempts.left().as_millis() as u64).max(1),
        };
        Header {
            cluster_id: self.router.cluster_id(),
            range_id: route.range_id(),
            span_epoch: route.descriptor().span_epoch,
            txn_id: call.txn_id.clone(),
            start_timestamp: call.start_timestamp,
            attempt: attempts.made,
            timeout_ms,
            catalog_version: call.catalog_version,
            features: 0,
            txn_priority: call.priority,
            forward: lead.forwards,
            chosen_timestamp: false,
            sees_intents: call.sees_intents,
            trace: Bytes::new(),
            from_follower: false,
        }
    }

    /// A range did not carry out what it was asked; what to do about it.
    async fn refused(
        &self,
        route: &Route,
        lead: Lead,
        call: &Call,
        attempts: &mut Attempts,
        error: proto::v1::Error,
    ) -> Result<Next, Failure> {
        let message = error.message;
        let commits = matches!(call.kind, Kind::Commit { .. });
        let definite = match error.kind {
            Some(Refused::StaleRange(StaleRange { current })) => {
                self.router.learn(&current);
                // Who knows nothing newer than we do is of no use.
                attempts.message = message;
                return Ok(Next::Search);
            }
            Some(Refused::NotLeader(hint)) => {
                attempts.message = message;
                if attempts.follows_hint() && route.take_hint(lead, &hint) {
                    return Ok(Next::Again);
                }
                return Ok(Next::Search);
            }
            Some(Refused::Unavailable(_) | Refused::NotClosed(_)) => {
                attempts.message = message;
                return Ok(Next::Search);
            }
            Some(Refused::Retry(retry)) => {
                attempts.message = message;
                if call.kind == Kind::Wait {
                    attempts.waited();
                }
                attempts.pause(Duration::from_millis(retry.after_ms)).await?;
                return Ok(Next::Again);
            }
            Some(Refused::Ambiguous(unknown)) if unknown.settled && commits => {
                return Err(Error::Ambiguous { message }.into());
            }
            Some(Refused::Ambiguous(_)) => {
                attempts.message = message;
                attempts.ambiguous |= commits;
                return Ok(Next::Search);
            }
            Some(Refused::Conflict(conflict)) => {
                return Err(Failure::Conflict { key: conflict.key, ambiguous: attempts.ambiguous });
            }
            Some(Refused::Pushed(_)) => return Err(Failure::Pushed),
            Some(Refused::Aborted(_)) => return Err(Failure::Aborted),
            Some(Refused::NoTimestamp(_)) => return Err(Failure::NoTimestamp),
            Some(Refused::StaleCatalog(stale)) => Error::StaleCatalog { current: stale.current },
            Some(Refused::LockNotAvailable(lock)) => Error::LockNotAvailable { key: lock.key },
            Some(Refused::Deadlock(deadlock)) => Error::Deadlock { cycle: deadlock.cycle },
            Some(Refused::TooManyLocks(locks)) => Error::TooManyLocks { bytes_max: locks.bytes_max },
            Some(Refused::BelowSafePoint(below)) if below.erased => {
                Error::HistoryErased { before: below.safe_point }
            }
            Some(Refused::BelowSafePoint(below)) => Error::SnapshotTooOld { safe_point: below.safe_point },
            Some(Refused::Unsupported(_)) => Error::Unsupported { message },
            Some(Refused::TooLarge(large)) => {
                Error::TooLarge { bytes: large.bytes, bytes_max: large.bytes_max }
            }
            Some(Refused::DiskFull(_)) => Error::DiskFull { message },
            Some(Refused::Damaged(_)) => Error::Damaged { message },
            Some(Refused::Invalid(_)) | None => Error::Invalid { message },
        };
        Err(if attempts.ambiguous { attempts.give_up().into() } else { definite.into() })
    }
}

/// Nobody answered; an error if there is no sense in going on.
fn failed(call: &Call, attempts: &mut Attempts, status: Status) -> Result<(), Failure> {
    if let Some(error) = definite(&status) {
        return Err(if attempts.ambiguous { attempts.give_up().into() } else { error.into() });
    }
    let commits = matches!(call.kind, Kind::Commit { .. });
    attempts.ambiguous |= commits && status.code() != proto::Code::FailedPrecondition;
    attempts.failed(status);
    Ok(())
}

/// What a node is told of the span that a request is sent under.
fn sent_under(span: Option<&Span>) -> Bytes {
    let parent = span.and_then(|span| span.context().parent());
    parent.map_or_else(Bytes::new, |parent| Bytes::copy_from_slice(&parent.to_bytes()))
}

/// What was answered, in the order of the operations.
fn answers(results: Vec<OperationResult>) -> impl Iterator<Item = Result<Answer, Failure>> {
    results.into_iter().map(|answer| answer.result.ok_or_else(unanswered))
}

fn unanswered() -> Failure {
    let message = "a range answered with neither a result nor an error".to_owned();
    Error::Invalid { message }.into()
}
