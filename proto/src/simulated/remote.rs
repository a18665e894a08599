//! One endpoint's connection to another: a request on its way, and its answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use env::task::JoinHandle;
use env::{clock, random, task};
use prost::Message;
use tokio::runtime::Handle;
use tonic::Status;

use super::{Fate, Node, Wire, broken};
use crate::lane::Lane;
use crate::service::NodeService;

/// How often a waiting end probes its connection.
pub(super) const PROBE: Duration = Duration::from_millis(500);

/// A connection from one endpoint to another.
#[derive(Clone)]
pub(super) struct Remote {
    pub(super) wire: Arc<Wire>,
    pub(super) from: Arc<str>,
    pub(super) to: Arc<str>,
    /// The lane of appended entries.
    pub(super) appends: Lane,
}

/// A message that a simulated wire carries.
pub(super) trait Carried: Message + Default + Send + 'static {}

impl<M: Message + Default + Send + 'static> Carried for M {}

impl Remote {
    pub(super) fn new(wire: Arc<Wire>, from: Arc<str>, to: Arc<str>, appends: Lane) -> Self {
        Self { wire, from, to, appends }
    }

    /// Draws the fate of a message of so many bytes that leaves now.
    pub(super) fn send(&self, lane: Lane, bytes: usize) -> Fate {
        self.wire.send(&self.from, &self.to, lane, bytes)
    }

    /// One request on its way to the other end: the node that takes it and what arrives, or a broken connection.
    async fn request<Q: Carried>(
        &self,
        kind: &'static str,
        lane: Lane,
        request: &Q,
    ) -> Result<(Node, Q), Status> {
        self.arrive(self.send(lane, request.encoded_len())).await?;
        let Some(node) = self.wire.node(&self.to) else {
            return Err(Status::unavailable(format!("{} refuses the connection", self.to)));
        };
        let request = self.wire.deliver(&self.from, &self.to, kind, request)?;
        Ok((node, request))
    }

    /// The answer on its way back.
    pub(super) async fn answer<R: Carried>(
        &self,
        kind: &'static str,
        lane: Lane,
        answer: Result<R, Status>,
    ) -> Result<R, Status> {
        let back = self.back();
        back.arrive(back.send(lane, answer.as_ref().map_or(0, R::encoded_len))).await?;
        self.wire.deliver(&back.from, &back.to, kind, &answer?)
    }

    pub(super) async fn arrive(&self, fate: Fate) -> Result<(), Status> {
        if let Fate::Arrives(delay) = fate {
            clock::sleep(delay).await;
            if !self.wire.is_cut(&self.from, &self.to) {
                return Ok(());
            }
        }
        clock::sleep(self.wire.notice()).await;
        Err(broken(&self.from, &self.to))
    }

    /// The other direction.
    pub(super) fn back(&self) -> Self {
        Self { wire: self.wire.clone(), from: self.to.clone(), to: self.from.clone(), appends: self.appends }
    }

    /// Completes once probes have shown for a while that a direction is cut.
    pub(super) async fn breaks(&self) {
        let mut missed = 0;
        while missed < 2 {
            clock::sleep(PROBE).await;
            let cut = self.wire.is_cut(&self.from, &self.to) || self.wire.is_cut(&self.to, &self.from);
            missed = if cut { missed + 1 } else { 0 };
        }
        self.wire.state.lock().counts.broken += 1;
    }

    pub(super) async fn unary<Q, R, F>(
        &self,
        kind: &'static str,
        lane: Lane,
        request: Q,
        handler: impl Fn(Arc<dyn NodeService>, Q) -> F,
    ) -> Result<R, Status>
    where
        Q: Carried,
        R: Carried,
        F: Future<Output = Result<R, Status>> + Send + 'static,
    {
        let lane = lane.for_bytes(request.encoded_len());
        if self.wire.duplicates() {
            self.duplicate(kind, lane, &request, &handler);
        }
        let late = if kind == "timestamp" { self.wire.oracle_delay() } else { Duration::ZERO };
        if !late.is_zero() {
            clock::sleep(late).await;
        }
        let (node, request) = self.request(kind, lane, &request).await?;
        self.wire.note(&self.from, kind);
        let handling = node.scope.spawn_on(&Handle::current(), handler(node.service, request));
        let answer = self.handled(handling).await?;
        self.answer(kind, lane, answer).await
    }

    /// Waits for a handler; an end that notices a broken connection, or loses interest, may or may not stop it.
    pub(super) async fn handled<T>(&self, handling: JoinHandle<T>) -> Result<T, Status> {
        let mut handling = Handling { handle: handling, stops: random::below(2) == 0 };
        tokio::select! {
            biased;
            handled = &mut handling.handle => match handled {
                Ok(handled) => return Ok(handled),
                Err(error) if error.is_panic() => return Err(Status::internal("the handler panicked")),
                Err(_) => {}
            },
            () = self.breaks() => {}
        }
        clock::sleep(self.wire.notice()).await;
        Err(broken(&self.from, &self.to))
    }

    /// The request arrives once more, at another time; nobody hears the answer.
    fn duplicate<Q, R, F>(
        &self,
        kind: &'static str,
        lane: Lane,
        request: &Q,
        handler: &impl Fn(Arc<dyn NodeService>, Q) -> F,
    ) where
        Q: Carried,
        R: Carried,
        F: Future<Output = Result<R, Status>> + Send + 'static,
    {
        let Fate::Arrives(delay) = self.send(lane, request.encoded_len()) else { return };
        let (Some(node), Ok(request)) =
            (self.wire.node(&self.to), self.wire.deliver(&self.from, &self.to, kind, request))
        else {
            return;
        };
        let handling = handler(node.service, request);
        drop(node.scope.spawn_on(&Handle::current(), async move {
            clock::sleep(delay).await;
            drop(handling.await);
        }));
    }
}

/// A handler under way.
struct Handling<T> {
    handle: JoinHandle<T>,
    stops: bool,
}

impl<T> Drop for Handling<T> {
    fn drop(&mut self) {
        if self.stops {
            self.handle.abort();
        }
    }
}

/// Spawns work that belongs to the caller's end of a stream.
pub(super) fn spawn_here(work: impl Future<Output = ()> + Send + 'static) {
    drop(task::spawn(work));
}
