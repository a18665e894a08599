//! The other stores, as far as they can be asked what they hold.
//!
//! They are asked over the connection that votes take, by tasks of replication's runtime: an answer on which a follower's
//! acknowledgement depends must wait for no query.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use proto::{Network, Status, v1};

use crate::addresses::Addresses;

/// How long a store may take to answer.
const ASKING: Duration = Duration::from_secs(1);

/// How long an answer counts for messages that come after it.
const CONFIRMED: Duration = Duration::from_secs(10);

/// What a store says that it holds of a range; nothing if it holds none of it, or is another store than the one meant.
pub(super) type Held = Result<Option<v1::RangeStatus>, Status>;

/// A question on its way, for all who want to know.
pub(super) type Asking = Shared<BoxFuture<'static, Held>>;

/// By range and node.
type By<T> = BTreeMap<(u64, u64), T>;

/// The other stores.
pub(super) struct Neighbours {
    pub(super) cluster_id: Bytes,
    pub(super) network: Arc<dyn Network>,
    pub(super) addresses: Arc<Addresses>,
}

/// What is being asked for, and was not long ago.
#[derive(Default)]
pub(super) struct Confirmations {
    asking: Mutex<By<Asking>>,
    /// The replica that the node has said it holds, in which term, when.
    confirmed: Mutex<By<(u64, u64, Instant)>>,
}

impl Neighbours {
    /// What the store of a node says, at the address on record, that it holds of the range.
    pub(super) async fn ask(&self, range_id: u64, node_id: u64) -> Held {
        let unknown = || Status::unavailable(format!("node {node_id} is not known here yet"));
        let store = self.addresses.find(node_id).ok_or_else(unknown)?;
        let request = v1::HelloRequest { cluster_id: self.cluster_id.clone(), from: None, range_id };
        let node = self.network.connect_urgent(&store.address);
        let answer = env::clock::timeout(ASKING, node.hello(request)).await;
        let answer = answer.map_err(|_| {
            Status::unavailable(format!(
                "node {node_id} did not say in time what it holds of range {range_id}"
            ))
        })??;
        Ok(answer.held.filter(|_| answer.node_id == node_id && answer.cluster_id == self.cluster_id))
    }
}

impl Confirmations {
    /// What is being asked already, or what `ask` begins to.
    pub(super) fn join(
        &self,
        range_id: u64,
        node_id: u64,
        ask: impl FnOnce() -> BoxFuture<'static, Held>,
    ) -> Asking {
        let mut asking = self.asking.lock();
        asking.entry((range_id, node_id)).or_insert_with(|| ask().shared()).clone()
    }

    /// Notes what a node has said, and that it is asked no more.
    pub(super) fn note(&self, range_id: u64, node_id: u64, held: &Held) {
        if let Ok(Some(held)) = held {
            let seen = (held.replica_id, held.term, env::clock::now());
            self.confirmed.lock().insert((range_id, node_id), seen);
        }
        self.asking.lock().remove(&(range_id, node_id));
    }

    /// Whether a node has said not long ago that it holds the replica, in `term` or a later one.
    pub(super) fn has(&self, range_id: u64, node_id: u64, replica_id: u64, term: u64) -> bool {
        self.confirmed.lock().get(&(range_id, node_id)).is_some_and(|(replica, newest, at)| {
            *replica == replica_id && term <= *newest && at.elapsed() < CONFIRMED
        })
    }
}
