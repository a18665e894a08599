//! Requests to ranges: finding the leader, trying again until the deadline, telling what is known about the outcome.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::{self, Instant};
use env::random;
use proto::v1::error::Kind;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{BatchRequest, Header, Operation, StaleRange, TimestampRequest, operation};
use proto::{Code, Status};

use crate::router::{Route, Router};
use crate::{Error, Result, Timestamp};

/// How long a node may take to answer a request that waits for nobody, before another one is asked.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The first pause between attempts.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// The longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// How long so many bytes may be on their way to a range's leader and from there to the other replicas: 8 Mbit/s each.
pub(crate) fn transfer(bytes: usize) -> Duration {
    Duration::from_micros(bytes as u64 * 2)
}

/// What the header of a request says about its transaction, and how long it may take.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) txn_id: Bytes,
    pub(crate) start_timestamp: u64,
    pub(crate) priority: u64,
    pub(crate) catalog_version: u64,
    /// How long the cluster may be unreachable.
    pub(crate) timeout: Duration,
    /// What the request's bytes may take on their way, on top of that; see [`transfer`].
    pub(crate) transfer: Duration,
    /// How long the range may let the request wait; `None`: it does not wait.
    pub(crate) patience: Option<Duration>,
    /// Whether it matters that a request may have been carried out though nobody answered.
    pub(crate) commits: bool,
}

/// Why a request was not carried out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The range's bounds have changed: what was asked for has to be divided anew.
    Rerouted,
    /// A check failed.
    Conflict {
        key: Bytes,
        /// A sending before this answer may have arrived, too, and may still be carried out unless the check that
        /// failed keeps it from it.
        ambiguous: bool,
    },
    /// Anything else.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Attempts at one thing.
struct Attempts {
    deadline: Instant,
    timeout: Duration,
    made: u32,
    hints: u32,
    pause: Duration,
    ambiguous: bool,
    last: Option<Status>,
    message: String,
}

impl Attempts {
    fn new(timeout: Duration) -> Self {
        Self {
            deadline: clock::now() + timeout,
            timeout,
            made: 0,
            hints: 0,
            pause: PAUSE_MIN,
            ambiguous: false,
            last: None,
            message: String::new(),
        }
    }

    fn failed(&mut self, status: Status) {
        self.message = status.message().to_owned();
        self.last = Some(status);
    }

    /// The range has answered that it can be reached but has to let us wait on.
    fn waited(&mut self) {
        self.deadline = clock::now() + self.timeout;
        self.pause = PAUSE_MIN;
    }

    /// Lets a while pass; the error to give up with once the deadline has passed.
    async fn pause(&mut self, least: Duration) -> Result<()> {
        let now = clock::now();
        if now >= self.deadline {
            return Err(self.give_up());
        }
        let spread = self.pause.as_micros() as u64;
        let pause = least.max(Duration::from_micros(spread / 2 + random::below(spread / 2 + 1)));
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        clock::sleep(pause.min(self.deadline - now)).await;
        Ok(())
    }

    /// A node has named another one: no pause, unless they send us in circles.
    async fn follow_hint(&mut self) -> Result<()> {
        self.hints += 1;
        if self.hints.is_multiple_of(4) { self.pause(Duration::ZERO).await } else { Ok(()) }
    }

    fn give_up(&mut self) -> Error {
        if self.ambiguous {
            return Error::Ambiguous { message: std::mem::take(&mut self.message) };
        }
        Error::Unavailable {
            message: std::mem::take(&mut self.message),
            source: self.last.take().map(Box::new),
        }
    }
}

/// Sends requests. What a [`crate::Client`] and its transactions share of the way to the cluster.
pub(crate) struct Sender {
    pub(crate) router: Router,
}

impl Sender {
    /// The range that holds `key`; asks for the directory if it is not known.
    pub(crate) async fn route(&self, key: &[u8], timeout: Duration) -> Result<Arc<Route>> {
        match self.router.route(key) {
            Some(route) => Ok(route),
            None => self.find(timeout, || self.router.route(key)).await,
        }
    }

    /// The range that holds the greatest keys below `end`.
    pub(crate) async fn route_below(&self, end: &[u8], timeout: Duration) -> Result<Arc<Route>> {
        match self.router.route_below(end) {
            Some(route) => Ok(route),
            None => self.find(timeout, || self.router.route_below(end)).await,
        }
    }

    async fn find(&self, timeout: Duration, look: impl Fn() -> Option<Arc<Route>>) -> Result<Arc<Route>> {
        let mut attempts = Attempts::new(timeout);
        loop {
            let generation = self.router.generation();
            if let Some(route) = look() {
                return Ok(route);
            }
            match self.router.refresh(generation).await {
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
        route: &Route,
        call: &Call,
        build: impl Fn() -> operation::Operation,
    ) -> Result<Answer, Failure> {
        let mut attempts = Attempts::new(call.timeout + call.transfer);
        loop {
            attempts.made += 1;
            let Some((place, leader)) = route.leader() else {
                return Err(Failure::Rerouted);
            };
            let left = attempts.deadline.saturating_duration_since(clock::now());
            let limit = call.patience.unwrap_or_else(|| (ATTEMPT_TIMEOUT + call.transfer).min(left));
            let request = BatchRequest {
                header: Some(self.header(route, call, attempts.made, limit)),
                operations: vec![Operation { operation: Some(build()) }],
            };
            // The node is told the limit and given a little more to say so itself.
            let answered = clock::timeout(limit + PAUSE_MAX, leader.handle.batch(request)).await;
            let status = match answered {
                Ok(Ok(response)) => match response.error {
                    None => return done(response.results),
                    Some(error) => {
                        self.refused(route, place, call, &mut attempts, error).await?;
                        continue;
                    }
                },
                Ok(Err(status)) => status,
                Err(_) if call.patience.is_some() => {
                    attempts.waited();
                    continue;
                }
                Err(_) => Status::deadline_exceeded(format!("{} did not answer", leader.address)),
            };
            if let Some(error) = definite(&status) {
                return Err(if attempts.ambiguous { attempts.give_up().into() } else { error.into() });
            }
            attempts.ambiguous |= call.commits && status.code() != Code::FailedPrecondition;
            attempts.failed(status);
            route.move_on(place);
            self.rediscover(&attempts, route).await?;
            attempts.pause(Duration::ZERO).await?;
        }
    }

    fn header(&self, route: &Route, call: &Call, attempt: u32, limit: Duration) -> Header {
        Header {
            cluster_id: self.router.cluster_id(),
            range_id: route.range_id(),
            span_epoch: route.descriptor().span_epoch,
            txn_id: call.txn_id.clone(),
            start_timestamp: call.start_timestamp,
            attempt,
            timeout_ms: limit.as_millis() as u64,
            catalog_version: call.catalog_version,
            features: 0,
            txn_priority: call.priority,
            chosen_timestamp: false,
        }
    }

    /// A range did not carry out what it was asked. Ok: ask again.
    async fn refused(
        &self,
        route: &Route,
        place: usize,
        call: &Call,
        attempts: &mut Attempts,
        error: proto::v1::Error,
    ) -> Result<(), Failure> {
        let message = error.message;
        let definite = match error.kind {
            Some(Kind::StaleRange(StaleRange { current })) => {
                self.router.learn(&current);
                if attempts.ambiguous {
                    return Err(attempts.give_up().into());
                }
                return Err(Failure::Rerouted);
            }
            Some(Kind::NotLeader(hint)) => {
                attempts.message = message;
                if hint.leader_address.is_empty() && hint.leader_node_id == 0 {
                    route.move_on(place);
                } else if route.take_hint(&hint) {
                    return Ok(attempts.follow_hint().await?);
                } else {
                    route.move_on(place);
                }
                self.rediscover(attempts, route).await?;
                return Ok(attempts.pause(Duration::ZERO).await?);
            }
            Some(Kind::Unavailable(_)) => {
                attempts.message = message;
                route.move_on(place);
                self.rediscover(attempts, route).await?;
                return Ok(attempts.pause(Duration::ZERO).await?);
            }
            Some(Kind::Retry(retry)) => {
                attempts.message = message;
                if call.patience.is_some() {
                    attempts.waited();
                }
                return Ok(attempts.pause(Duration::from_millis(retry.after_ms)).await?);
            }
            Some(Kind::Ambiguous(_)) => {
                attempts.message = message;
                attempts.ambiguous |= call.commits;
                return Ok(attempts.pause(Duration::ZERO).await?);
            }
            Some(Kind::Conflict(conflict)) => {
                return Err(Failure::Conflict { key: conflict.key, ambiguous: attempts.ambiguous });
            }
            Some(Kind::StaleCatalog(stale)) => Error::StaleCatalog { current: stale.current },
            Some(Kind::LockNotAvailable(lock)) => Error::LockNotAvailable { key: lock.key },
            Some(Kind::Deadlock(deadlock)) => Error::Deadlock { cycle: deadlock.cycle },
            Some(Kind::BelowSafePoint(below)) => Error::SnapshotTooOld { safe_point: below.safe_point },
            Some(Kind::Unsupported(_)) => Error::Unsupported { message },
            Some(Kind::TooLarge(large)) => Error::TooLarge { bytes: large.bytes, bytes_max: large.bytes_max },
            Some(Kind::DiskFull(_)) => Error::DiskFull { message },
            Some(Kind::Invalid(_)) | None => Error::Invalid { message },
        };
        Err(if attempts.ambiguous { attempts.give_up().into() } else { definite.into() })
    }

    /// Every few attempts the directory is asked whether the range is still where we look for it.
    async fn rediscover(&self, attempts: &Attempts, route: &Route) -> Result<(), Failure> {
        if !attempts.made.is_multiple_of(4) {
            return Ok(());
        }
        // Without an answer we go on with what we know.
        let _ = self.router.refresh(self.router.generation()).await;
        let known = self.router.route(route.start());
        let moved = known.is_none_or(|known| {
            known.descriptor().span_epoch != route.descriptor().span_epoch
                || known.descriptor().config_epoch != route.descriptor().config_epoch
                || known.range_id() != route.range_id()
        });
        if moved && !attempts.ambiguous { Err(Failure::Rerouted) } else { Ok(()) }
    }

    /// `count` consecutive timestamps.
    pub(crate) async fn timestamps(&self, count: u32, timeout: Duration) -> Result<Timestamp> {
        let answer = self
            .ask_root(timeout, |node, cluster_id| async move {
                node.timestamp(TimestampRequest { cluster_id, count }).await
            })
            .await?;
        Ok(Timestamp { timestamp: answer.first, catalog_version: answer.catalog_version })
    }

    /// Asks the root's leader, wherever it is, until it answers.
    pub(crate) async fn ask_root<T, F>(
        &self,
        timeout: Duration,
        ask: impl Fn(Arc<dyn proto::NodeService>, Bytes) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut attempts = Attempts::new(timeout);
        loop {
            attempts.made += 1;
            let cluster_id = self.router.cluster_id();
            let root = self.router.root();
            let status = match (root, cluster_id.is_empty()) {
                (Some(root), false) => {
                    let left = attempts.deadline.saturating_duration_since(clock::now());
                    let asked = ask(root.handle.clone(), cluster_id);
                    let status = match clock::timeout(ATTEMPT_TIMEOUT.min(left), asked).await {
                        Ok(Ok(answer)) => return Ok(answer),
                        Ok(Err(status)) => status,
                        Err(_) => Status::deadline_exceeded(format!("{} did not answer", root.address)),
                    };
                    if status.code() == Code::FailedPrecondition && is_address(status.message()) {
                        self.router.root_is(status.message());
                        attempts.failed(status);
                        attempts.follow_hint().await?;
                        continue;
                    }
                    self.router.root_is_not(&root.address);
                    status
                }
                _ => match self.router.refresh(self.router.generation()).await {
                    Ok(()) => continue,
                    Err(status) => status,
                },
            };
            if let Some(error) = definite(&status) {
                return Err(error);
            }
            attempts.failed(status);
            if attempts.made.is_multiple_of(4) {
                // Without an answer we go on with what we know.
                let _ = self.router.refresh(self.router.generation()).await;
            }
            attempts.pause(Duration::ZERO).await?;
        }
    }
}

fn is_address(message: &str) -> bool {
    message
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && !host.contains(' ') && port.parse::<u16>().is_ok())
}

fn done(results: Vec<proto::v1::OperationResult>) -> Result<Answer, Failure> {
    let answer = results.into_iter().next().and_then(|result| result.result);
    answer.ok_or_else(|| {
        Error::Invalid { message: "a range answered with neither a result nor an error".to_owned() }.into()
    })
}

/// The error to give up with at once, if trying again is senseless; the request was not carried out.
fn definite(status: &Status) -> Option<Error> {
    let message = || status.message().to_owned();
    match status.code() {
        Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated | Code::NotFound => {
            Some(Error::Invalid { message: message() })
        }
        Code::Unimplemented => Some(Error::Unsupported { message: message() }),
        Code::OutOfRange => {
            Some(Error::TooLarge { bytes: 0, bytes_max: proto::grpc::MESSAGE_BYTES_MAX as u64 })
        }
        _ => None,
    }
}
