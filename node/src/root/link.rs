//! How a node reaches the root range's leader: itself by a call, another over the network.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use env::clock::Instant;
use parking_lot::{Mutex, RwLock};
use proto::oracle::Oracle;
use proto::v1::{TimestampRequest, TimestampResponse, WaitRequest, WaitResponse};
use proto::{Code, Network, NodeService, Status};
use tokio::sync::Notify;

use super::oracle::WINDOW_MS;
use super::term::RootTerm;
use crate::addresses::{Addresses, is_address};
use crate::range::{DeadlockDetector, Refusal, TimeSource};
use crate::timestamp;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(2);

/// Who has said nothing for so long may be frozen: somebody who waits for less than a call may take is better served by asking
/// another one. A timestamp that comes later is no loss.
const SILENCE: Duration = Duration::from_millis(150);

/// How long all calls for one request may take together.
const ASKING: Duration = Duration::from_secs(5);

/// How many nodes are tried for one request.
const TRIES: usize = 8;

/// How long it takes a breath before it asks again once as many were asked as there are.
const BREATH: Duration = Duration::from_millis(50);

/// How far ahead of this node's clock a timestamp may be before the oracle is asked about it: a new leader begins above the
/// window that the one before it had reserved, and clocks differ.
const AHEAD_MS: u64 = WINDOW_MS + 1000;

/// The way to the root range's leader.
pub(crate) struct RootLink {
    network: Arc<dyn Network>,
    addresses: Arc<Addresses>,
    /// Where nodes were found at first.
    seeds: Vec<String>,
    cluster_id: RwLock<Bytes>,
    local: RwLock<Option<Arc<RootTerm>>>,
    observed: AtomicU64,
    /// Gathers what this node asks a leader elsewhere.
    oracle: Arc<Oracle<Status>>,
    guesses: Mutex<Guesses>,
    /// Another leader has become known.
    changed: Notify,
}

#[derive(Default)]
struct Guesses {
    leader: Option<String>,
    next: usize,
}

impl RootLink {
    /// The way from this node, which finds others by their addresses and at first at `seeds`.
    pub(crate) fn new(network: Arc<dyn Network>, addresses: Arc<Addresses>, seeds: &[String]) -> Self {
        Self {
            network,
            addresses,
            seeds: seeds.to_vec(),
            cluster_id: RwLock::default(),
            local: RwLock::default(),
            observed: AtomicU64::new(0),
            oracle: Arc::default(),
            guesses: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The node belongs to this cluster now.
    pub(crate) fn set_cluster(&self, cluster_id: Bytes) {
        *self.cluster_id.write() = cluster_id;
    }

    /// Where nodes are.
    pub(crate) fn addresses(&self) -> Arc<Addresses> {
        self.addresses.clone()
    }

    /// The term that this node serves, if it is the root range's leader.
    pub(crate) fn local(&self) -> Option<Arc<RootTerm>> {
        self.local.read().clone()
    }

    /// This node begins to serve a term, or stops.
    pub(crate) fn set_local(&self, term: Option<Arc<RootTerm>>) {
        let before = std::mem::replace(&mut *self.local.write(), term);
        if let Some(before) = before {
            before.end();
        }
        self.changed.notify_waiters();
    }

    /// The leader is at `address`, as far as somebody knows.
    pub(crate) fn suggest(&self, address: &str) {
        if is_address(address) && address != self.addresses.own().address {
            let before = self.guesses.lock().leader.replace(address.to_owned());
            if before.as_deref() != Some(address) {
                self.changed.notify_waiters();
            }
        }
    }

    /// Everywhere that another node may be found.
    pub(crate) fn candidates(&self) -> Vec<String> {
        let own = self.addresses.own().address;
        let mut candidates = self.seeds.clone();
        candidates.extend(self.addresses.others().into_iter().map(|other| other.address));
        candidates.retain(|address| *address != own);
        candidates.sort();
        candidates.dedup();
        candidates
    }

    /// The leader's address, as far as this node knows; empty if it does not.
    pub(crate) fn leader_address(&self) -> String {
        if self.local.read().is_some() {
            return self.addresses.own().address;
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
                let request =
                    TimestampRequest { cluster_id: self.cluster_id.read().clone(), count, forward: false };
                let ask = |leader: Arc<dyn NodeService>| {
                    let request = request.clone();
                    async move { leader.timestamp(request).await }
                };
                self.ask_for(SILENCE, ask).await?.first
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
        self.ask_for(CALL, call).await
    }

    /// As [`RootLink::ask`], where a call is given up after `patience`; one to the same node again after twice as long.
    async fn ask_for<T, F>(
        &self,
        patience: Duration,
        call: impl Fn(Arc<dyn NodeService>) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut silent: Vec<String> = Vec::new();
        let mut last = Status::unavailable("the root range's leader is not known");
        let until = env::clock::now() + ASKING;
        for asked in 0..TRIES {
            if asked > self.candidates().len() {
                // They may name each other in circles while nobody leads.
                env::clock::sleep(BREATH).await;
            }
            let left = until.saturating_duration_since(env::clock::now());
            let Some(address) = self.guess(&silent).filter(|_| !left.is_zero()) else { break };
            let node = self.network.connect(&address);
            let again = silent.iter().filter(|other| **other == address).count() as u32;
            let patience = patience.saturating_mul(1 << again).min(CALL).min(left);
            let mut asking =
                Asking { link: self, address: &address, began: env::clock::now(), answered: false };
            let asked = env::clock::timeout(patience, call(node));
            let answer = tokio::select! {
                biased;
                answer = asked => answer,
                // The one that was asked may be frozen, and another one lead.
                () = self.changed.notified() => continue,
            };
            asking.answered = answer.is_ok();
            let status = match answer {
                Ok(Ok(answer)) => {
                    self.guesses.lock().leader = Some(address.clone());
                    return Ok(answer);
                }
                Ok(Err(status)) if is_answer(status.code()) => return Err(status),
                Ok(Err(status)) => status,
                Err(_) => {
                    silent.push(address.clone());
                    Status::unavailable(format!("no answer from {address}"))
                }
            };
            // Whatever went wrong: who is asked next is somebody else, the one that this one names if it does.
            self.forget(&address);
            if status.code() == Code::FailedPrecondition {
                self.suggest(status.message());
                last = Status::unavailable("the root range has no leader now");
            } else {
                last = status;
            }
        }
        Err(last)
    }

    /// Whom to ask: who is taken for the leader, else one after the other, first those that are not `silent`.
    fn guess(&self, silent: &[String]) -> Option<String> {
        if let Some(leader) = &self.guesses.lock().leader {
            return Some(leader.clone());
        }
        let candidates = self.candidates();
        let mut guesses = self.guesses.lock();
        let next = guesses.next.checked_rem(candidates.len())?;
        let places = (0..candidates.len()).map(|turn| (next + turn) % candidates.len());
        let speaks = |place: &usize| candidates.get(*place).is_some_and(|address| !silent.contains(address));
        let place = places.into_iter().find(speaks).unwrap_or(next);
        guesses.next = place + 1;
        candidates.get(place).cloned()
    }

    fn forget(&self, address: &str) {
        let mut guesses = self.guesses.lock();
        if guesses.leader.as_deref() == Some(address) {
            guesses.leader = None;
        }
    }
}

/// A call under way. One that is dropped after [`SILENCE`] was to somebody who had better not be asked next.
struct Asking<'a> {
    link: &'a RootLink,
    address: &'a str,
    began: Instant,
    answered: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.answered && env::clock::now().duration_since(self.began) >= SILENCE {
            self.link.forget(self.address);
        }
    }
}

/// Whether a status is what the leader has to say to the request, rather than about itself or the way to it.
fn is_answer(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::ResourceExhausted
            | Code::OutOfRange
    )
}

#[async_trait]
impl TimeSource for RootLink {
    fn observed(&self) -> u64 {
        self.observed.load(Ordering::Acquire)
    }

    async fn fresh(&self) -> Result<u64, Refusal> {
        let unavailable =
            |status: Status| Refusal::Unavailable(format!("no timestamp: {}", status.message()));
        if self.local().is_some() {
            return self.timestamp(1).await.map_err(unavailable);
        }
        // All that this node asks meanwhile shares the next request.
        let ask = |count| async move {
            let first = self.timestamp(count).await?;
            Ok(TimestampResponse { first, catalog_version: 0 })
        };
        let answer = self.oracle.timestamp(ask).await.map_err(unavailable)?;
        Ok(answer.first)
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

#[cfg(test)]
mod tests {
    use proto::inprocess::InProcess;

    use super::*;

    /// What stands at an address.
    enum Node {
        Frozen,
        /// Knows who leads.
        Follows(&'static str),
        Leads,
        /// Leads, and takes its time.
        Slow(Duration),
    }

    #[async_trait]
    impl NodeService for Node {
        async fn timestamp(&self, _: TimestampRequest) -> Result<TimestampResponse, Status> {
            match self {
                Node::Frozen => std::future::pending().await,
                Node::Follows(leader) => Err(Status::failed_precondition(*leader)),
                Node::Leads => Ok(TimestampResponse { first: 7, catalog_version: 0 }),
                Node::Slow(time) => {
                    env::clock::sleep(*time).await;
                    Ok(TimestampResponse { first: 7, catalog_version: 0 })
                }
            }
        }
    }

    /// The way of a node that has taken the first of `nodes` for the leader.
    fn link<const N: usize>(nodes: [(&str, Node); N]) -> RootLink {
        let network = InProcess::new();
        let seeds: Vec<String> = nodes.iter().map(|(address, _)| (*address).to_owned()).collect();
        for (address, node) in nodes {
            network.register(address, Arc::new(node));
        }
        let addresses = Arc::new(Addresses::new("here:1".to_owned()));
        let link = RootLink::new(Arc::new(network), addresses, &seeds);
        link.suggest(&seeds[0]);
        link
    }

    /// How long whoever waits for the oracle on behalf of a client does.
    const PATIENCE: Duration = Duration::from_millis(500);

    #[tokio::test(start_paused = true)]
    async fn a_frozen_leader_does_not_use_up_the_patience_of_who_waits_for_a_timestamp() {
        for stale in [false, true] {
            // Whoever knows nothing better yet names the frozen one again.
            let third = if stale { Node::Follows("a:1") } else { Node::Follows("c:1") };
            let link = link([("a:1", Node::Frozen), ("b:1", third), ("c:1", Node::Leads)]);
            let began = env::clock::now();
            let mut asked = 0;
            while env::clock::timeout(PATIENCE, link.fresh()).await.is_err() {
                asked += 1;
                assert!(stale && asked < 3, "stale: {stale}");
            }
            assert_eq!(link.leader_address(), "c:1", "after {:?}", began.elapsed());
            let began = env::clock::now();
            assert_eq!(link.fresh().await.unwrap(), 7);
            assert!(began.elapsed() < Duration::from_millis(10));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_takes_its_time_is_waited_for() {
        let slow = Node::Slow(Duration::from_millis(400));
        let link = link([("a:1", slow), ("b:1", Node::Follows("a:1"))]);
        let answered = env::clock::timeout(Duration::from_secs(2), link.timestamp(1)).await;
        assert_eq!(answered.unwrap().unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_was_given_up_on_is_not_asked_next() {
        let link = link([("a:1", Node::Frozen), ("b:1", Node::Leads)]);
        let call =
            |node: Arc<dyn NodeService>| async move { node.timestamp(TimestampRequest::default()).await };
        // A caller that just goes away says nothing about whom it asked.
        env::clock::timeout(SILENCE / 2, link.ask(call)).await.unwrap_err();
        assert_eq!(link.leader_address(), "a:1");
        env::clock::timeout(PATIENCE, link.ask(call)).await.unwrap_err();
        assert_eq!(link.leader_address(), "");
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_that_are_of_no_use_are_not_asked_at_full_speed() {
        let addresses = Arc::new(Addresses::new("here:1".to_owned()));
        let seeds = ["there:1", "elsewhere:1"].map(str::to_owned);
        let link = RootLink::new(Arc::new(InProcess::new()), addresses, &seeds);
        let began = env::clock::now();
        link.timestamp(1).await.unwrap_err();
        assert!(began.elapsed() >= BREATH * (TRIES - seeds.len() - 1) as u32, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_timestamp_above_the_window_that_a_leader_has_left_is_believed_without_asking() {
        let addresses = Arc::new(Addresses::new("here:1".to_owned()));
        // There is nobody to ask.
        let link = RootLink::new(Arc::new(InProcess::new()), addresses, &[]);
        let ahead = |ms: u64| timestamp::from_ms(env::clock::wall_ms() + ms);
        link.admit(ahead(WINDOW_MS + 500)).await.unwrap();
        assert!(link.admit(ahead(WINDOW_MS + 60_000)).await.is_err());
    }
}
