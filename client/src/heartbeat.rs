//! Keeps the locks of open transactions alive: a range forgets those of a transaction it has not heard of for 5 s.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use env::{clock, task};
use parking_lot::Mutex;
use proto::v1::{Heartbeat, operation};

use crate::router::Route;
use crate::sender::{Call, Kind, Sender};

/// How often a transaction is reported.
const PERIOD: Duration = Duration::from_secs(1);

/// How long a report may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The open transactions that hold locks.
#[derive(Default)]
pub(crate) struct Heartbeats {
    /// By transaction id: one key in each range that it holds locks in.
    open: Mutex<BTreeMap<Bytes, Vec<Bytes>>>,
    running: AtomicBool,
}

impl Heartbeats {
    /// The transaction holds, or is about to hold, a lock in the range of `key`. `sender` must be the one that owns
    /// this.
    pub(crate) fn add(self: &Arc<Self>, sender: &Arc<Sender>, txn_id: &Bytes, key: &Bytes) {
        self.open.lock().entry(txn_id.clone()).or_default().push(key.clone());
        if !self.running.swap(true, Ordering::Relaxed) {
            drop(task::spawn(run(Arc::downgrade(self), Arc::downgrade(sender))));
        }
    }

    /// The transaction is over.
    pub(crate) fn remove(&self, txn_id: &Bytes) {
        self.open.lock().remove(txn_id);
    }

    /// What to report: by range, a route to it and its transactions.
    fn due(&self, sender: &Sender) -> BTreeMap<u64, (Arc<Route>, Vec<Bytes>)> {
        let mut due: BTreeMap<u64, (Arc<Route>, Vec<Bytes>)> = BTreeMap::new();
        for (txn_id, keys) in &*self.open.lock() {
            for route in keys.iter().filter_map(|key| sender.router.route(key)) {
                let (_, ids) = due.entry(route.range_id()).or_insert_with(|| (route.clone(), Vec::new()));
                if ids.last() != Some(txn_id) {
                    ids.push(txn_id.clone());
                }
            }
        }
        due
    }
}

/// Reports until the client is gone.
async fn run(heartbeats: Weak<Heartbeats>, sender: Weak<Sender>) {
    loop {
        clock::sleep(PERIOD).await;
        let (Some(heartbeats), Some(sender)) = (heartbeats.upgrade(), sender.upgrade()) else { return };
        let reports = heartbeats.due(&sender).into_values().map(|(route, txn_ids)| {
            let sender = sender.clone();
            async move {
                let call = Call {
                    txn_id: Bytes::new(),
                    start_timestamp: 0,
                    priority: 0,
                    catalog_version: 0,
                    timeout: TIMEOUT,
                    kind: Kind::Read,
                };
                let build = || operation::Operation::Heartbeat(Heartbeat { txn_ids: txn_ids.clone() });
                if let Err(failure) = sender.send(&route, &call, build).await {
                    // The locks may expire; commit checks what they protected.
                    tracing::debug!(
                        range = route.range_id(),
                        ?failure,
                        "heartbeat of open transactions failed"
                    );
                }
            }
        });
        futures::future::join_all(reports).await;
    }
}
