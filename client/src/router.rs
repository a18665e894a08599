//! Where ranges are: the cached directory, and for each range the node that was last known to lead it.
//!
//! All of it is a hint. A wrong one costs a request, which the node answers with what it knows better.

mod route;
mod table;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock;
use parking_lot::RwLock;
use proto::v1::{DirectoryRequest, DirectoryResponse, RangeDescriptor};
use proto::{Network, NodeService, Status};

pub(crate) use self::route::{Candidate, Route};
use self::table::Table;

/// The id of the range that hands out timestamps, ids and the directory.
const ROOT_RANGE_ID: u64 = 1;

/// How long one node may take to answer with its directory.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(2);

/// The cached directory.
pub(crate) struct Router {
    network: Arc<dyn Network>,
    seeds: Vec<String>,
    state: RwLock<State>,
    /// Held while the directory is fetched, so that all who miss something wait for one answer.
    fetching: tokio::sync::Mutex<()>,
}

struct State {
    cluster_id: Bytes,
    table: Arc<Table>,
    root: Option<Candidate>,
    /// Raised by every directory that was fetched.
    generation: u64,
    /// Which seed or node is asked next for the directory, or for the root's leader.
    next: usize,
}

impl Router {
    pub(crate) fn new(network: Arc<dyn Network>, seeds: Vec<String>) -> Self {
        let state =
            State { cluster_id: Bytes::new(), table: Arc::default(), root: None, generation: 0, next: 0 };
        Self { network, seeds, state: RwLock::new(state), fetching: tokio::sync::Mutex::new(()) }
    }

    /// The cluster's id; empty as long as no directory was fetched.
    pub(crate) fn cluster_id(&self) -> Bytes {
        self.state.read().cluster_id.clone()
    }

    /// Counts the directories fetched; see [`Router::refresh`].
    pub(crate) fn generation(&self) -> u64 {
        self.state.read().generation
    }

    pub(crate) fn is_in_process(&self) -> bool {
        self.network.is_in_process()
    }

    /// The range that holds `key`, if it is known.
    pub(crate) fn route(&self, key: &[u8]) -> Option<Arc<Route>> {
        self.state.read().table.holding(key)
    }

    /// The range that holds the greatest keys below `end`, if it is known.
    pub(crate) fn route_below(&self, end: &[u8]) -> Option<Arc<Route>> {
        self.state.read().table.below(end)
    }

    /// Takes in descriptors that a node answered with.
    pub(crate) fn learn(&self, descriptors: &[RangeDescriptor]) {
        let table = self.state.read().table.clone();
        let table = table.with(descriptors, |address| self.candidate_handle(address));
        self.state.write().table = Arc::new(table);
    }

    /// Fetches the directory, unless somebody has done so since `generation`.
    pub(crate) async fn refresh(&self, generation: u64) -> Result<(), Status> {
        let _one = self.fetching.lock().await;
        if self.generation() != generation {
            return Ok(());
        }
        let mut last = Status::unavailable("no seeds");
        let addresses = self.addresses();
        let start = self.state.read().next;
        for turn in 0..addresses.len() {
            let Some(address) = addresses.get((start + turn) % addresses.len()) else { continue };
            let request = DirectoryRequest { cluster_id: self.cluster_id() };
            let node = self.network.connect(address);
            match clock::timeout(DIRECTORY_TIMEOUT, node.directory(request)).await {
                Ok(Ok(directory)) if !directory.ranges.is_empty() => {
                    self.take_in(&directory);
                    return Ok(());
                }
                Ok(Ok(_)) => last = Status::unavailable("the cluster is not initialised"),
                Ok(Err(status)) => last = status,
                Err(_) => last = Status::deadline_exceeded(format!("{address} did not answer")),
            }
            self.state.write().next = start + turn + 1;
        }
        Err(last)
    }

    fn take_in(&self, directory: &DirectoryResponse) {
        let table = self.state.read().table.clone();
        let table = table.with(&directory.ranges, |address| self.candidate_handle(address));
        let mut state = self.state.write();
        state.cluster_id = directory.cluster_id.clone();
        state.table = Arc::new(table);
        state.generation += 1;
    }

    /// Every address that may answer: the seeds, and all replicas known.
    fn addresses(&self) -> Vec<String> {
        let mut addresses = self.seeds.clone();
        for address in self.state.read().table.addresses() {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    fn candidate_handle(&self, address: &str) -> Arc<dyn NodeService> {
        self.network.connect(address)
    }

    /// The node that was last known to lead the root range, or the next guess.
    pub(crate) fn root(&self) -> Option<Candidate> {
        if let Some(root) = &self.state.read().root {
            return Some(root.clone());
        }
        let addresses = self.root_addresses();
        let mut state = self.state.write();
        let address = addresses.get(state.next % addresses.len().max(1))?;
        let candidate = Candidate {
            node_id: 0,
            address: Arc::from(address.as_str()),
            handle: self.network.connect(address),
        };
        state.root = Some(candidate.clone());
        Some(candidate)
    }

    fn root_addresses(&self) -> Vec<String> {
        let root = self.state.read().table.by_id(ROOT_RANGE_ID);
        match root {
            Some(root) if !root.candidates().is_empty() => {
                root.candidates().iter().map(|candidate| candidate.address.to_string()).collect()
            }
            _ => self.addresses(),
        }
    }

    /// The root's leader is at `address`.
    pub(crate) fn root_is(&self, address: &str) {
        let candidate =
            Candidate { node_id: 0, address: Arc::from(address), handle: self.network.connect(address) };
        self.state.write().root = Some(candidate);
    }

    /// The node at `address` does not lead the root; another guess is due.
    pub(crate) fn root_is_not(&self, address: &str) {
        let mut state = self.state.write();
        if state.root.as_ref().is_some_and(|root| &*root.address == address) {
            state.root = None;
            state.next += 1;
        }
    }
}
