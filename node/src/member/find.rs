//! How a node finds the others: it says hello, everywhere that one might be.
//!
//! It asks the nodes that it was told to join, those it knows, and those of whom it has heard; each says who it is and
//! of whom it knows. Nothing of this needs a leader anywhere, so that all nodes of a cluster may move at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proto::v1::{HelloRequest, HelloResponse, NodeDescriptor};

use super::Member;
use crate::addresses::Whereabouts;

/// How often everybody is greeted although there is no news.
const GREETING: Duration = Duration::from_secs(5);

/// How long after a greeting the next one comes at the earliest.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a node may take to say who it is.
const ANSWERING: Duration = Duration::from_secs(1);

impl Member {
    /// Goes on finding the others.
    pub(super) async fn find(self: Arc<Self>) {
        loop {
            self.greet().await;
            env::clock::sleep(PAUSE).await;
            // With or without news: what was missed once is found the next time.
            let _ = env::clock::timeout(GREETING, self.addresses.heard()).await;
        }
    }

    async fn greet(&self) {
        let mut places: BTreeSet<String> = self.link.candidates().into_iter().collect();
        places.extend(self.addresses.rumours().into_iter().map(|rumour| rumour.address));
        places.remove(&self.addresses.own().address);
        futures::future::join_all(places.into_iter().map(|place| self.ask_who_is_at(place))).await;
    }

    async fn ask_who_is_at(&self, place: String) {
        let own = self.addresses.own();
        let from = NodeDescriptor {
            node_id: own.node_id,
            address: own.address,
            generation: own.generation,
            ..NodeDescriptor::default()
        };
        let request = HelloRequest { cluster_id: self.cluster_id.clone(), from: Some(from), range_id: 0 };
        let node = self.network.connect(&place);
        match env::clock::timeout(ANSWERING, node.hello(request)).await {
            Ok(Ok(answer)) if answer.cluster_id == self.cluster_id => self.meet(answer),
            Ok(Ok(_)) => tracing::debug!(place, "belongs to another cluster, or to none yet"),
            Ok(Err(status)) => tracing::debug!(place, %status, "nobody says who is there"),
            Err(_) => tracing::debug!(place, "nobody says in time who is there"),
        }
    }

    fn meet(&self, answer: HelloResponse) {
        let own = self.addresses.own();
        let HelloResponse { node_id, generation, address, nodes, .. } = answer;
        if node_id == own.node_id && generation > own.generation {
            self.superseded(&format!("a newer process of node {node_id} runs at {address}"));
        }
        self.addresses.take(&Whereabouts { node_id, generation, address });
        nodes.iter().for_each(|node| self.addresses.hear(&Whereabouts::of(node)));
    }

    /// Another process is this node: two cannot be, for each would answer for the other's promises.
    pub(super) fn superseded(&self, why: &str) {
        self.context.vitals.fail(format!(
            "{why}: the data directory of this one is a copy, or older than what it was; remove it, and start with an \
             empty one"
        ));
    }
}
