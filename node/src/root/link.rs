//! How a node reaches the root range's leader: itself by a call, another over the network.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use proto::v1::{TimestampRequest, WaitRequest, WaitResponse};
use proto::{Code, Network, NodeService, Status};

use super::term::RootTerm;
use crate::range::{DeadlockDetector, Refusal, TimeSource};
use crate::timestamp;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(2);

/// How many nodes are tried for one request.
const TRIES: usize = 8;

/// How far ahead of this node's clock a timestamp may be before the oracle is asked about it.
const AHEAD_MS: u64 = 1000;

/// The way to the root range's leader.
pub(crate) struct RootLink {
    network: Arc<dyn Network>,
    address: String,
    cluster_id: RwLock<Bytes>,
    local: RwLock<Option<Arc<RootTerm>>>,
    observed: AtomicU64,
    guesses: Mutex<Guesses>,
}

#[derive(Default)]
struct Guesses {
    leader: Option<String>,
    others: Vec<String>,
    next: usize,
}

impl RootLink {
    /// The way from the node at `address`, which knows the nodes at `others`.
    pub(crate) fn new(network: Arc<dyn Network>, address: String, others: &[String]) -> Self {
        let others = others.iter().filter(|other| **other != address).cloned().collect();
        Self {
            network,
            address,
            cluster_id: RwLock::default(),
            local: RwLock::default(),
            observed: AtomicU64::new(0),
            guesses: Mutex::new(Guesses { leader: None, others, next: 0 }),
        }
    }

    /// The node belongs to this cluster now.
    pub(crate) fn set_cluster(&self, cluster_id: Bytes) {
        *self.cluster_id.write() = cluster_id;
    }

    /// The term that this node serves, if it is the root range's leader.
    pub(crate) fn local(&self) -> Option<Arc<RootTerm>> {
        self.local.read().clone()
    }

    /// This node begins to serve a term, or stops.
    pub(crate) fn set_local(&self, term: Option<Arc<RootTerm>>) {
        *self.local.write() = term;
    }

    /// The leader is at `address`, as far as somebody knows.
    pub(crate) fn suggest(&self, address: &str) {
        if !address.is_empty() && address != self.address {
            self.guesses.lock().leader = Some(address.to_owned());
        }
    }

    /// There are nodes at `addresses`.
    pub(crate) fn learn<'a>(&self, addresses: impl Iterator<Item = &'a str>) {
        let mut guesses = self.guesses.lock();
        for address in addresses {
            if address != self.address && !guesses.others.iter().any(|known| known == address) {
                guesses.others.push(address.to_owned());
            }
        }
    }

    /// The leader's address, as far as this node knows; empty if it does not.
    pub(crate) fn leader_address(&self) -> String {
        if self.local.read().is_some() {
            return self.address.clone();
        }
        self.guesses.lock().leader.clone().unwrap_or_default()
    }

    /// What this node has seen handed out is at least `timestamp`.
    pub(crate) fn observe(&self, timestamp: u64) {
        self.observed.fetch_max(timestamp, Ordering::AcqRel);
    }

    /// The first of `count` timestamps.
    pub(crate) async fn timestamp(&self, count: u32) -> Result<u64, Status> {
        let local = self.local();
        let first = match local {
            Some(term) => term.timestamp(count).await?,
            None => {
                let request = TimestampRequest { cluster_id: self.cluster_id.read().clone(), count };
                self.ask(|leader| {
                    let request = request.clone();
                    async move { leader.timestamp(request).await }
                })
                .await?
                .first
            }
        };
        self.observe(first + u64::from(count) - 1);
        Ok(first)
    }

    /// Has the leader answer, whoever it is by now.
    pub(crate) async fn ask<T, F>(&self, call: impl Fn(Arc<dyn NodeService>) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut last = Status::unavailable("the root range's leader is not known");
        for _ in 0..TRIES {
            let Some(address) = self.guess() else { return Err(last) };
            let answer = env::clock::timeout(CALL, call(self.network.connect(&address))).await;
            match answer.unwrap_or_else(|_| Err(Status::unavailable(format!("no answer from {address}")))) {
                Ok(answer) => {
                    self.guesses.lock().leader = Some(address);
                    return Ok(answer);
                }
                Err(status) if status.code() == Code::FailedPrecondition => {
                    self.forget(&address);
                    self.suggest(status.message());
                    last = Status::unavailable("the root range has no leader now");
                }
                Err(status) if status.code() == Code::Unavailable => {
                    self.forget(&address);
                    last = status;
                }
                Err(status) => return Err(status),
            }
        }
        Err(last)
    }

    fn guess(&self) -> Option<String> {
        let mut guesses = self.guesses.lock();
        if let Some(leader) = &guesses.leader {
            return Some(leader.clone());
        }
        let place = guesses.next.checked_rem(guesses.others.len())?;
        guesses.next = place + 1;
        guesses.others.get(place).cloned()
    }

    fn forget(&self, address: &str) {
        let mut guesses = self.guesses.lock();
        if guesses.leader.as_deref() == Some(address) {
            guesses.leader = None;
        }
    }
}

#[async_trait]
impl TimeSource for RootLink {
    fn observed(&self) -> u64 {
        self.observed.load(Ordering::Acquire)
    }

    async fn fresh(&self) -> Result<u64, Refusal> {
        let unavailable =
            |status: Status| Refusal::Unavailable(format!("no timestamp: {}", status.message()));
        self.timestamp(1).await.map_err(unavailable)
    }

    /// The oracle's own node knows what it has handed out. Elsewhere a timestamp is believed while it is not ahead of
    /// the clock, because asking would cost every read a round trip; a senseless one is found out by asking.
    async fn admit(&self, at: u64) -> Result<(), Refusal> {
        let newest = match self.local().and_then(|term| term.newest_timestamp()) {
            Some(newest) => newest,
            None if timestamp::ms(at) <= env::clock::wall_ms() + AHEAD_MS => at,
            None => self.fresh().await?,
        };
        self.observe(newest);
        if at <= newest {
            Ok(())
        } else {
            Err(Refusal::Invalid("the timestamp is above all that were handed out".to_owned()))
        }
    }
}

#[async_trait]
impl DeadlockDetector for RootLink {
    async fn report(&self, wait: WaitRequest) -> Option<WaitResponse> {
        let answer = match self.local() {
            Some(term) => term.wait(wait),
            None => {
                let ask = |leader: Arc<dyn NodeService>| {
                    let wait = wait.clone();
                    async move { leader.wait(wait).await }
                };
                self.ask(ask).await
            }
        };
        answer.inspect_err(|status| tracing::debug!(%status, "the deadlock detector did not answer")).ok()
    }
}

impl std::fmt::Debug for RootLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootLink").field("leader", &self.leader_address()).finish_non_exhaustive()
    }
}
