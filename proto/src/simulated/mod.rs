//! The network of a deterministic simulation: delay, bandwidth, loss, duplication, reordering, partitions, crashed nodes.
//!
//! Every message is encoded and decoded, as on a wire. A call behaves as one over a TCP connection does: what is lost
//! shows to the caller as a broken connection, after a while, and the caller cannot know whether the request arrived.
//! Calls overtake each other; within a stream messages keep their order. A call's handler runs in the scope of the node
//! that answers it, so a crash of that node stops it in the middle.
//!
//! All chance comes from the simulation's seed, and everything that is delivered goes into a [trace](Counts::trace).

mod call;
mod faults;
mod link;
mod remote;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use env::clock;
use env::task::Scope;
use parking_lot::Mutex;
use prost::Message;
use tonic::Status;

pub use self::faults::{Counts, Faults};
use self::link::Links;
use crate::lane::Lane;
use crate::service::{Network, NodeService};

/// The network. Clones share it.
#[derive(Clone)]
pub struct SimulatedNetwork {
    wire: Arc<Wire>,
}

impl SimulatedNetwork {
    /// A network without nodes.
    pub fn new(faults: Faults) -> Self {
        let state = State {
            faults,
            nodes: BTreeMap::new(),
            silent: BTreeSet::new(),
            cuts: BTreeSet::new(),
            links: Links::default(),
            counts: Counts::default(),
            requests: BTreeMap::new(),
        };
        Self { wire: Arc::new(Wire { state: Mutex::new(state) }) }
    }

    /// From now on other odds.
    pub fn set_faults(&self, faults: Faults) {
        self.wire.state.lock().faults = faults;
    }

    /// `service` answers at `address`, its handlers run in `scope`.
    pub fn register(&self, address: &str, service: Arc<dyn NodeService>, scope: Scope) {
        let mut state = self.wire.state.lock();
        state.silent.remove(address);
        state.nodes.insert(address.to_owned(), Node { service, scope });
    }

    /// Nobody answers at `address` any more, and nothing that is still sent from there arrives.
    pub fn unregister(&self, address: &str) {
        let mut state = self.wire.state.lock();
        state.nodes.remove(address);
        state.silent.insert(address.to_owned());
    }

    /// The network as the endpoint `name` sees it: what it sends is subject to the partitions that concern `name`.
    /// A node's name is its address; a gateway's any other.
    pub fn for_endpoint(&self, name: &str) -> Arc<dyn Network> {
        self.wire.state.lock().silent.remove(name);
        Arc::new(Endpoint { wire: self.wire.clone(), name: Arc::from(name) })
    }

    /// Nothing that `from` sends reaches `to` any more; the other direction stays.
    pub fn cut(&self, from: &str, to: &str) {
        tracing::info!(from, to, "cut");
        let mut state = self.wire.state.lock();
        if state.cuts.insert((from.to_owned(), to.to_owned())) {
            state.counts.cuts += 1;
        }
    }

    /// Cuts both directions.
    pub fn cut_both(&self, a: &str, b: &str) {
        self.cut(a, b);
        self.cut(b, a);
    }

    /// Messages flow again between `a` and `b`.
    pub fn heal(&self, a: &str, b: &str) {
        let mut state = self.wire.state.lock();
        state.cuts.remove(&(a.to_owned(), b.to_owned()));
        state.cuts.remove(&(b.to_owned(), a.to_owned()));
    }

    /// No direction is cut any more.
    pub fn heal_all(&self) {
        tracing::info!("all cuts are healed");
        self.wire.state.lock().cuts.clear();
    }

    /// How many requests of that name (`batch`, `timestamp`) have arrived from an endpoint.
    pub fn requests(&self, from: &str, name: &'static str) -> u64 {
        self.wire.state.lock().requests.get(&(Arc::from(from), name)).copied().unwrap_or(0)
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.wire.state.lock().counts
    }
}

impl std::fmt::Debug for SimulatedNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.wire.state.lock();
        f.debug_struct("SimulatedNetwork")
            .field("nodes", &state.nodes.keys())
            .field("cuts", &state.cuts)
            .field("counts", &state.counts)
            .finish()
    }
}

/// The network as one endpoint sees it.
struct Endpoint {
    wire: Arc<Wire>,
    name: Arc<str>,
}

impl Network for Endpoint {
    fn connect(&self, address: &str) -> Arc<dyn NodeService> {
        self.remote(address, Lane::Replication)
    }

    fn connect_urgent(&self, address: &str) -> Arc<dyn NodeService> {
        self.remote(address, Lane::Urgent)
    }
}

impl Endpoint {
    fn remote(&self, address: &str, appends: Lane) -> Arc<dyn NodeService> {
        Arc::new(remote::Remote::new(self.wire.clone(), self.name.clone(), Arc::from(address), appends))
    }
}

/// What all endpoints share.
struct Wire {
    state: Mutex<State>,
}

struct State {
    faults: Faults,
    nodes: BTreeMap<String, Node>,
    /// Endpoints that crashed: nothing they sent leaves any more.
    silent: BTreeSet<String>,
    /// Cut directions: (from, to).
    cuts: BTreeSet<(String, String)>,
    links: Links,
    counts: Counts,
    /// Calls with one message each way that have arrived, by who made them and their name.
    requests: BTreeMap<(Arc<str>, &'static str), u64>,
}

#[derive(Clone)]
struct Node {
    service: Arc<dyn NodeService>,
    scope: Scope,
}

/// What the network makes of one message.
enum Fate {
    /// It arrives after this long.
    Arrives(Duration),
    /// It never arrives.
    Lost,
}

impl Wire {
    fn node(&self, address: &str) -> Option<Node> {
        self.state.lock().nodes.get(address).cloned()
    }

    /// Whether nothing gets from `from` to `to` at the moment.
    fn is_cut(&self, from: &str, to: &str) -> bool {
        let state = self.state.lock();
        state.silent.contains(from) || state.cuts.contains(&(from.to_owned(), to.to_owned()))
    }

    /// Draws the fate of a message of so many bytes that leaves now.
    fn send(&self, from: &str, to: &str, lane: Lane, bytes: usize) -> Fate {
        let cut = self.is_cut(from, to);
        let mut state = self.state.lock();
        state.counts.messages += 1;
        if cut || state.faults.loses() {
            state.counts.lost += 1;
            return Fate::Lost;
        }
        let (delay, slow) = state.faults.delay();
        state.counts.slow += u64::from(slow);
        let bytes_per_second = state.faults.bytes_per_second;
        Fate::Arrives(delay + state.links.transmit(bytes_per_second, from, to, lane, bytes))
    }

    /// A request for timestamps may have its own way of being late.
    fn oracle_delay(&self) -> Duration {
        self.state.lock().faults.oracle_delay()
    }

    fn note(&self, from: &Arc<str>, name: &'static str) {
        *self.state.lock().requests.entry((from.clone(), name)).or_default() += 1;
    }

    fn duplicates(&self) -> bool {
        let mut state = self.state.lock();
        let duplicates = state.faults.duplicates();
        state.counts.duplicated += u64::from(duplicates);
        duplicates
    }

    /// How long it takes until an end notices that its connection broke.
    fn notice(&self) -> Duration {
        self.state.lock().faults.notice()
    }

    /// Encodes and decodes `message`, and notes in the trace that it arrived.
    fn deliver<M: Message + Default>(
        &self,
        from: &str,
        to: &str,
        kind: &str,
        message: &M,
    ) -> Result<M, Status> {
        let bytes = message.encode_to_vec();
        let mut state = self.state.lock();
        state.counts.bytes += bytes.len() as u64;
        let at = clock::wall_us().to_le_bytes();
        for part in [&at[..], from.as_bytes(), to.as_bytes(), kind.as_bytes(), &bytes] {
            state.counts.trace = faults::trace(state.counts.trace, part);
        }
        tracing::trace!(
            us = clock::wall_us() % 1_000_000_000,
            from,
            to,
            kind,
            bytes = bytes.len(),
            trace = state.counts.trace,
            "delivered"
        );
        M::decode(bytes.as_slice()).map_err(|error| Status::internal(format!("decoding {kind}: {error}")))
    }
}

fn broken(from: &str, to: &str) -> Status {
    Status::unavailable(format!("connection from {from} to {to} broke"))
}
