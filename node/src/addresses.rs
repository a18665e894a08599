//! Where the cluster's nodes are, by node id.
//!
//! Addresses move: a process comes back elsewhere, two change places. So nobody keeps the address of a replica, only the
//! node that holds it, and looks here at the moment of connecting. Each start of a store has a larger *generation*,
//! which is on its disk before the first message leaves; of two addresses for one node the larger generation's is right.
//!
//! What is known spreads without consensus, for the root range's own replicas must find each other before there is any:
//! by the list of nodes to join, by hellos, by what the root range's leader says. What a process says of itself, asked at
//! its address, is taken; what a request claims, and what is said of others, is a *rumour*, which somebody has to ask
//! for at its source (see `member::find`). So no message can turn a node's peers away from it.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use proto::v1::{NodeDescriptor, RangeDescriptor, ReplicaDescriptor};
use tokio::sync::Notify;

/// Rumours that wait until they are asked about; more are forgotten.
const RUMOURS_MAX: usize = 64;

/// Nodes that are known; a cluster has fewer.
const NODES_MAX: usize = 1024;

/// The longest address, in bytes: a name of the domain name system, and a port.
const ADDRESS_BYTES_MAX: usize = 253 + 6;

/// One process of a node, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// The node.
    pub node_id: u64,
    /// How often its store has been started; 0 is less than any.
    pub generation: u64,
    /// Where it is reached, host:port.
    pub address: String,
}

impl Whereabouts {
    /// What a descriptor says.
    pub(crate) fn of(node: &NodeDescriptor) -> Self {
        Self { node_id: node.node_id, generation: node.generation, address: node.address.clone() }
    }
}

/// What this process knows of where nodes are.
///
/// # Invariants
///
/// - What is known of a node is never replaced by something of a smaller or equal generation.
/// - The own entry is what this process is, whatever others say.
pub struct Addresses {
    state: Mutex<State>,
    news: Notify,
}

struct State {
    own: Whereabouts,
    known: BTreeMap<u64, Whereabouts>,
    rumours: BTreeMap<u64, Whereabouts>,
}

impl Addresses {
    /// Of a process that is reached at `address`.
    pub fn new(address: String) -> Self {
        let own = Whereabouts { address, ..Whereabouts::default() };
        Self {
            state: Mutex::new(State { own, known: BTreeMap::new(), rumours: BTreeMap::new() }),
            news: Notify::new(),
        }
    }

    /// This process is this node.
    pub fn set_own(&self, node_id: u64, generation: u64) {
        let mut state = self.state.lock();
        state.own.node_id = node_id;
        state.own.generation = generation;
        state.known.remove(&node_id);
        state.rumours.remove(&node_id);
    }

    /// This process.
    pub fn own(&self) -> Whereabouts {
        self.state.lock().own.clone()
    }

    /// Takes what a process has said of itself at its address, or what the root range's leader has answered.
    pub fn take(&self, of: &Whereabouts) {
        let mut state = self.state.lock();
        if of.node_id == 0 || of.node_id == state.own.node_id || !is_address(&of.address) {
            return;
        }
        if state.known.len() >= NODES_MAX && !state.known.contains_key(&of.node_id) {
            return;
        }
        let newer = state.known.get(&of.node_id).is_none_or(|known| known.generation < of.generation);
        if newer {
            tracing::debug!(node = of.node_id, generation = of.generation, address = of.address, "found");
            state.known.insert(of.node_id, of.clone());
            state.rumours.remove(&of.node_id);
        }
    }

    /// Notes what somebody says of a node, until it is asked about.
    pub fn hear(&self, of: &Whereabouts) {
        let mut state = self.state.lock();
        if of.node_id == 0 || !is_address(&of.address) {
            return;
        }
        let known = if of.node_id == state.own.node_id {
            state.own.generation
        } else {
            state.known.get(&of.node_id).map_or(0, |known| known.generation)
        };
        let full = state.rumours.len() >= RUMOURS_MAX && !state.rumours.contains_key(&of.node_id);
        if of.generation > known && !full {
            state.rumours.insert(of.node_id, of.clone());
            drop(state);
            self.news.notify_one();
        }
    }

    /// Takes the rumours away, to be asked about.
    pub fn rumours(&self) -> Vec<Whereabouts> {
        std::mem::take(&mut self.state.lock().rumours).into_values().collect()
    }

    /// What is known does not hold any more, as it seems: everybody should be asked anew.
    pub fn doubt(&self) {
        self.news.notify_one();
    }

    /// Completes when there are rumours or doubts.
    pub async fn heard(&self) {
        self.news.notified().await;
    }

    /// Where a node is, if that is known.
    pub fn address(&self, node_id: u64) -> Option<String> {
        let state = self.state.lock();
        if node_id == state.own.node_id {
            return Some(state.own.address.clone());
        }
        state.known.get(&node_id).map(|known| known.address.clone())
    }

    /// Where a node is and in which generation, if that is known.
    pub fn find(&self, node_id: u64) -> Option<Whereabouts> {
        let state = self.state.lock();
        if node_id == state.own.node_id {
            return Some(state.own.clone());
        }
        state.known.get(&node_id).cloned()
    }

    /// All other nodes, ascending by id.
    pub fn others(&self) -> Vec<Whereabouts> {
        self.state.lock().known.values().cloned().collect()
    }

    /// Writes into a descriptor where its replicas are now.
    pub(crate) fn describe(&self, range: &mut RangeDescriptor) {
        let state = self.state.lock();
        for ReplicaDescriptor { node_id, address, .. } in &mut range.replicas {
            *address = if *node_id == state.own.node_id {
                state.own.address.clone()
            } else {
                state.known.get(node_id).map(|known| known.address.clone()).unwrap_or_default()
            };
        }
    }
}

impl std::fmt::Debug for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Addresses").field("own", &self.state.lock().own).finish_non_exhaustive()
    }
}

/// Whether `text` can be the address of a node: a host (a name, an IPv4, or an IPv6 in brackets) and a port.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let name = |host: &str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name(host),
    };
    let is_port = !port.starts_with('+') && port.parse::<u16>().is_ok_and(|port| port > 0);
    text.len() <= ADDRESS_BYTES_MAX && is_host && is_port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(node_id: u64, generation: u64, address: &str) -> Whereabouts {
        Whereabouts { node_id, generation, address: address.to_owned() }
    }

    #[test]
    fn the_larger_generation_wins_whatever_comes_last() {
        let book = Addresses::new("a:1".to_owned());
        book.set_own(1, 4);
        for heard in [at(2, 3, "b:1"), at(2, 5, "c:1"), at(2, 4, "d:1"), at(2, 5, "e:1")] {
            book.take(&heard);
        }
        assert_eq!(book.address(2).as_deref(), Some("c:1"));
        assert_eq!(book.address(3), None);
    }

    #[test]
    fn nobody_is_told_by_others_where_he_is_himself() {
        let book = Addresses::new("a:1".to_owned());
        book.set_own(1, 4);
        book.take(&at(1, 9, "b:1"));
        assert_eq!(book.address(1).as_deref(), Some("a:1"));
        book.hear(&at(1, 9, "b:1"));
        assert_eq!(book.rumours(), [at(1, 9, "b:1")], "it has to be asked about");
    }

    #[test]
    fn a_rumour_changes_nothing_and_there_are_never_many() {
        let book = Addresses::new("a:1".to_owned());
        book.set_own(1, 1);
        book.take(&at(2, 5, "b:1"));
        book.hear(&at(2, u64::MAX, "evil:1"));
        book.hear(&at(2, 4, "old:1"));
        (10..1000).for_each(|node_id| book.hear(&at(node_id, 1, "x:1")));
        assert_eq!(book.address(2).as_deref(), Some("b:1"));
        assert_eq!(book.rumours().len(), RUMOURS_MAX);
        assert!(book.rumours().is_empty());
    }

    #[test]
    fn what_cannot_be_an_address_is_not_taken() {
        for good in ["n1:1", "10.0.0.1:26257", "[::1]:26257", "node-1.example.com:80"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "", ":", "node", "node:", ":1", "a:0", "a:65536", "a:+1", "a b:1", "[x]:1", "a/b:1", "a:1:1",
            "\0:1",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
