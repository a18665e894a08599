//! Where ranges are: the cached directory, and for each range the node that was last known to lead it.
//!
//! All of it is a hint. A wrong one costs a request, which the node answers with what it knows better.

mod nearness;
mod peer;
mod route;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::{clock, random};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use parking_lot::{Mutex, RwLock};
use proto::v1::{DirectoryRequest, DirectoryResponse, NodeDescriptor, RangeDescriptor};
use proto::{Network, Status};

use self::nearness::{Locality, apart};
pub(crate) use self::peer::{Peer, is_lost};
pub(crate) use self::route::{Candidate, Lead, Route, SILENCE};
use self::table::Table;

/// The id of the range that hands out timestamps, ids and the directory.
const ROOT_RANGE_ID: u64 = 1;

/// How long one node may take to answer with its directory.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one node is waited for before another one is asked as well.
const DIRECTORY_HEDGE: Duration = Duration::from_millis(200);

/// How many nodes are kept in mind before those are forgotten that are of no use any more.
const PEERS_MAX: usize = 256;

/// Of how many addresses it is kept in mind how far they are: more than there are nodes, and fewer than nodes may have had.
const APART_MAX: usize = 4096;

/// The cached directory.
pub(crate) struct Router {
    network: Arc<dyn Network>,
    seeds: Vec<String>,
    /// Where this client is.
    locality: Locality,
    /// By address: every node that was named and not forgotten.
    peers: Mutex<BTreeMap<String, Arc<Peer>>>,
    state: RwLock<State>,
    /// Held while the directory is fetched, so that all who miss something wait for one answer.
    fetching: tokio::sync::Mutex<()>,
}

struct State {
    cluster_id: Bytes,
    table: Table,
    root: Option<RootLead>,
    /// By address: how far nodes are apart from this client.
    apart: BTreeMap<String, usize>,
    /// Raised by every whole directory that was fetched.
    generation: u64,
    /// Which seed or node is asked next for the directory.
    next: usize,
}

/// Whom to ask what only the root range's leader answers.
#[derive(Clone)]
pub(crate) struct RootLead {
    pub(crate) peer: Arc<Peer>,
    /// The leader, where `peer` is not it but passes requests on, because this client does not reach the leader.
    pub(crate) behind: Option<Arc<Peer>>,
}

impl Router {
    /// Of a client at `locality`: tiers such as region and zone, the widest first.
    pub(crate) fn new(network: Arc<dyn Network>, seeds: Vec<String>, locality: Locality) -> Self {
        let state = State {
            cluster_id: Bytes::new(),
            table: Table::default(),
            root: None,
            apart: BTreeMap::new(),
            generation: 0,
            next: 0,
        };
        Self {
            network,
            seeds,
            locality,
            peers: Mutex::default(),
            state: RwLock::new(state),
            fetching: tokio::sync::Mutex::new(()),
        }
    }

    /// The cluster's id; empty as long as no directory was fetched.
    pub(crate) fn cluster_id(&self) -> Bytes {
        self.state.read().cluster_id.clone()
    }

    /// Counts the whole directories fetched; see [`Router::refresh`].
    pub(crate) fn generation(&self) -> u64 {
        self.state.read().generation
    }

    /// Whether the root range's leader is known and asked by a function call.
    pub(crate) fn root_is_in_process(&self) -> bool {
        let state = self.state.read();
        state.root.as_ref().is_some_and(|root| root.peer.is_in_process && root.behind.is_none())
    }

    /// The range that holds `key`, if it is known.
    pub(crate) fn route(&self, key: &[u8]) -> Option<Arc<Route>> {
        self.state.read().table.holding(key)
    }

    /// The range that holds the greatest keys below `end`, if it is known.
    pub(crate) fn route_below(&self, end: &[u8]) -> Option<Arc<Route>> {
        self.state.read().table.below(end)
    }

    /// Those who hold a replica of the range, the nearest first, and last those that do not answer.
    pub(crate) fn nearest(&self, route: &Route) -> Vec<Candidate> {
        let state = self.state.read();
        let rank = |candidate: &Candidate| {
            let peer = &candidate.peer;
            let apart = state.apart.get(&*peer.address).copied().unwrap_or(usize::MAX);
            (peer.is_silent(), !peer.is_in_process, apart, random::next_u64())
        };
        let mut ranked: Vec<_> =
            route.candidates().iter().map(|candidate| (rank(candidate), candidate)).collect();
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, candidate)| candidate.clone()).collect()
    }

    /// Takes in descriptors that a node answered with.
    pub(crate) fn learn(&self, descriptors: &[RangeDescriptor]) {
        self.state.write().table.take_in(descriptors, |address| self.peer(address));
    }

    /// Fetches the whole directory, unless somebody has done so since `generation`.
    pub(crate) async fn refresh(&self, generation: u64) -> Result<(), Status> {
        let _one = self.fetching.lock().await;
        if self.generation() != generation {
            return Ok(());
        }
        self.fetch(&Bytes::new()).await
    }

    /// Fetches what the directory says of the range that holds `key`, and of the one that ends with it. Of a directory that was never
    /// fetched all is.
    pub(crate) async fn look_up(&self, key: &[u8]) -> Result<(), Status> {
        match self.generation() {
            generation if generation == 0 || key.is_empty() => self.refresh(generation).await,
            _ => self.fetch(&Bytes::copy_from_slice(key)).await,
        }
    }

    /// Fetches the directory at a key; all of it if that is empty. A node that is slow to answer holds nobody up: the next one is asked
    /// as well.
    async fn fetch(&self, at: &Bytes) -> Result<(), Status> {
        let mut waiting = self.directory_peers().into_iter();
        let mut last = Status::unavailable("no seeds");
        let mut asked = FuturesUnordered::new();
        loop {
            let next = waiting.next();
            let is_last = next.is_none();
            asked.extend(next.map(|peer| self.ask_directory(peer, at.clone())));
            loop {
                let answer = if is_last {
                    asked.next().await
                } else {
                    match clock::timeout(DIRECTORY_HEDGE, asked.next()).await {
                        Ok(answer) => answer,
                        Err(_) => break,
                    }
                };
                match answer {
                    Some(Ok(directory)) => {
                        self.take_in(&directory, at.is_empty());
                        return Ok(());
                    }
                    Some(Err(status)) => {
                        last = status;
                        if !is_last {
                            break;
                        }
                    }
                    None if is_last => return Err(last),
                    None => break,
                }
            }
        }
    }

    async fn ask_directory(&self, peer: Arc<Peer>, at: Bytes) -> Result<DirectoryResponse, Status> {
        let request = DirectoryRequest { cluster_id: self.cluster_id(), at, ..DirectoryRequest::default() };
        let answer = match clock::timeout(DIRECTORY_TIMEOUT, peer.handle.directory(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Status::deadline_exceeded(format!("{} did not answer", peer.address))),
        };
        peer.note(&answer);
        answer.and_then(|directory| {
            if directory.ranges.is_empty() {
                Err(Status::unavailable("the cluster is not initialised"))
            } else {
                Ok(directory)
            }
        })
    }

    fn take_in(&self, directory: &DirectoryResponse, is_whole: bool) {
        let mut state = self.state.write();
        state.cluster_id = directory.cluster_id.clone();
        state.table.take_in(&directory.ranges, |address| self.peer(address));
        let apart = |node: &NodeDescriptor| apart(&self.locality, &node.locality);
        if is_whole || state.apart.len() >= APART_MAX {
            state.apart.clear();
        }
        state.generation += u64::from(is_whole);
        state.apart.extend(directory.nodes.iter().map(|node| (node.address.clone(), apart(node))));
    }

    /// Every node that may answer, those that do first, beginning with another one each time.
    pub(crate) fn directory_peers(&self) -> Vec<Arc<Peer>> {
        let mut peers: Vec<Arc<Peer>> = self.addresses().iter().map(|address| self.peer(address)).collect();
        let mut state = self.state.write();
        let first = state.next.checked_rem(peers.len()).unwrap_or(0);
        state.next = first + 1;
        peers.rotate_left(first);
        peers.sort_by_key(|peer| peer.is_silent());
        peers
    }

    /// Every address that may answer: the seeds, and all replicas known.
    fn addresses(&self) -> Vec<String> {
        let mut addresses = self.seeds.clone();
        let known = self.state.read().table.addresses().into_iter();
        addresses.extend(known.filter(|address| !self.seeds.contains(address)));
        addresses
    }

    /// The node at `address`.
    pub(crate) fn peer(&self, address: &str) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        match peers.get(address) {
            Some(peer) => peer.clone(),
            None => {
                if peers.len() >= PEERS_MAX {
                    // Those that no range, no leader and nobody who asks refers to any more.
                    peers.retain(|_, peer| Arc::strong_count(peer) > 1);
                }
                let peer = Arc::new(Peer::new(address, &*self.network));
                peers.insert(address.to_owned(), peer.clone());
                peer
            }
        }
    }

    /// Whom to ask for the root range's leader, if that is known.
    pub(crate) fn root(&self) -> Option<RootLead> {
        self.state.read().root.clone()
    }

    /// The nodes that may lead the root range.
    pub(crate) fn root_peers(&self) -> Vec<Arc<Peer>> {
        let root = self.state.read().table.by_id(ROOT_RANGE_ID);
        match root {
            Some(root) if !root.candidates().is_empty() => {
                root.candidates().iter().map(|candidate| candidate.peer.clone()).collect()
            }
            _ => self.addresses().iter().map(|address| self.peer(address)).collect(),
        }
    }

    /// `lead` is whom to ask.
    pub(crate) fn root_is(&self, lead: RootLead) {
        self.state.write().root = Some(lead);
    }

    /// The node at `address` is not whom to ask.
    pub(crate) fn root_is_not(&self, address: &str) {
        let mut state = self.state.write();
        if state.root.as_ref().is_some_and(|root| &*root.peer.address == address) {
            state.root = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::inprocess::InProcess;

    use super::*;

    #[test]
    fn nodes_that_were_only_named_are_forgotten_in_time() {
        let router = Router::new(Arc::new(InProcess::new()), vec!["seed:1".to_owned()], Vec::new());
        let used = router.peer("used:1");
        for number in 0..PEERS_MAX * 4 {
            router.peer(&format!("named{number}:1"));
        }
        assert!(router.peers.lock().len() <= PEERS_MAX);
        assert!(Arc::ptr_eq(&used, &router.peer("used:1")));
    }
}
