//! What open transactions need of the past: the root range's leader is told once a second, and holds history for them.
//!
//! ```text
//!   generation   since 100        since 205           since 310 (current)
//!                ○ finished       ● 2 open            ● 5 open
//!                                 └ oldest: nothing that is open began at or below 205
//! ```
//!
//! Transactions are not kept account of one by one. Each belongs to the generation that was current when it asked for its
//! first timestamp; it began above the newest timestamp that was known when that generation did. Every report begins a
//! new one, and the oldest that still has members, or else the new one, is what is reported.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use env::{clock, random, task};
use parking_lot::{Mutex, RwLock};
use proto::v1::{GatewayHeartbeatRequest, GatewayHeartbeatResponse};

use crate::Result;
use crate::sender::Sender;

/// How often the root range's leader is told.
const PERIOD: Duration = Duration::from_secs(1);

/// How long a report may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Transactions that asked for their first timestamp between two reports. Each holds it alive while it is open.
#[derive(Debug)]
pub(crate) struct Generation {
    /// All of them began above this timestamp.
    since: u64,
}

/// The open transactions of a client, as far as history is concerned.
///
/// # Invariants
///
/// - Only the current generation is joined; one that was left by all its members stays empty.
pub(crate) struct Horizon {
    gateway_id: Bytes,
    /// The newest timestamp that is known to have been handed out.
    newest: AtomicU64,
    current: RwLock<Arc<Generation>>,
    /// Those before the current one, ascending.
    earlier: Mutex<VecDeque<Arc<Generation>>>,
    /// What ranges may have raised their safe points to, as far as the last report's answer tells.
    safe_point: AtomicU64,
    /// In what steps they do.
    step_ms: AtomicU64,
    running: AtomicBool,
}

impl Default for Horizon {
    fn default() -> Self {
        Self {
            gateway_id: Bytes::copy_from_slice(&random::id()),
            newest: AtomicU64::new(0),
            current: RwLock::new(Arc::new(Generation { since: 1 })),
            earlier: Mutex::default(),
            safe_point: AtomicU64::new(0),
            step_ms: AtomicU64::new(0),
            running: AtomicBool::new(false),
        }
    }
}

impl Horizon {
    /// A transaction is about to ask for its first timestamp; what it keeps while it is open. `sender` must be the one
    /// that owns this.
    pub(crate) fn join(self: &Arc<Self>, sender: &Arc<Sender>) -> Arc<Generation> {
        let generation = self.current.read().clone();
        if !self.running.load(Ordering::Relaxed) && !self.running.swap(true, Ordering::Relaxed) {
            drop(task::spawn(run(Arc::downgrade(self), Arc::downgrade(sender))));
        }
        generation
    }

    /// What the root range's leader knows this client by: 16 bytes, random.
    pub(crate) fn gateway_id(&self) -> &Bytes {
        &self.gateway_id
    }

    /// The newest timestamp that is known to have been handed out; 0 = none is.
    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// The timestamp was handed out.
    pub(crate) fn observe(&self, timestamp: u64) {
        self.newest.fetch_max(timestamp, Ordering::Relaxed);
    }

    /// What ranges may have raised their safe points to; 0 = not known.
    pub(crate) fn safe_point(&self) -> u64 {
        self.safe_point.load(Ordering::Relaxed)
    }

    /// In what steps safe points move.
    pub(crate) fn step(&self) -> Duration {
        Duration::from_millis(self.step_ms.load(Ordering::Relaxed))
    }

    /// Begins a new generation. Whatever is open, and whatever is begun from now on, began at or above the answer.
    fn turn(&self) -> u64 {
        let since = self.newest.load(Ordering::Relaxed).max(1);
        let fresh = Arc::new(Generation { since });
        let before = std::mem::replace(&mut *self.current.write(), fresh);
        let mut earlier = self.earlier.lock();
        earlier.push_back(before);
        // Nobody joins them any more: what has no members now has none for good.
        earlier.retain(|generation| Arc::strong_count(generation) > 1);
        earlier.front().map_or(since, |oldest| oldest.since)
    }

    async fn report(&self, sender: &Sender) -> Result<GatewayHeartbeatResponse> {
        let oldest = self.turn();
        let tell = |node: Arc<dyn proto::NodeService>, cluster_id: Bytes, forward: bool| {
            let gateway_id = self.gateway_id.clone();
            let request = GatewayHeartbeatRequest { cluster_id, gateway_id, oldest, forward };
            async move { node.gateway_heartbeat(request).await }
        };
        sender.ask_root(TIMEOUT, tell).await
    }
}

/// Reports until the client is gone.
async fn run(horizon: Weak<Horizon>, sender: Weak<Sender>) {
    loop {
        let (Some(horizon), Some(sender)) = (horizon.upgrade(), sender.upgrade()) else { return };
        match horizon.report(&sender).await {
            Ok(answer) => {
                horizon.observe(answer.newest);
                horizon.safe_point.fetch_max(answer.safe_point, Ordering::Relaxed);
                horizon.step_ms.store(answer.step_ms, Ordering::Relaxed);
            }
            // The hold may lapse; then reads of what is open answer that their snapshot is too old.
            Err(error) => tracing::debug!(%error, "open transactions could not be reported"),
        }
        drop((horizon, sender));
        clock::sleep(PERIOD).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(horizon: &Horizon) -> Arc<Generation> {
        horizon.current.read().clone()
    }

    #[test]
    fn the_oldest_generation_with_members_is_reported() {
        let horizon = Horizon::default();
        assert_eq!(horizon.turn(), 1);
        let first = begin(&horizon);
        horizon.observe(100);
        // It may have begun at any time: nothing was known when its generation began.
        assert_eq!(horizon.turn(), 1);
        let (second, third) = (begin(&horizon), begin(&horizon));
        horizon.observe(200);
        assert_eq!(horizon.turn(), 1);
        drop(first);
        assert_eq!(horizon.turn(), 100);
        drop(second);
        assert_eq!(horizon.turn(), 100);
        drop(third);
        assert_eq!(horizon.turn(), 200);
        let fourth = begin(&horizon);
        assert_eq!(horizon.turn(), 200);
        drop(fourth);
    }

    #[test]
    fn a_long_transaction_does_not_make_the_account_grow() {
        let horizon = Horizon::default();
        let _long = begin(&horizon);
        for timestamp in 1..1000 {
            horizon.observe(timestamp);
            drop(begin(&horizon));
            assert_eq!(horizon.turn(), 1);
        }
        assert_eq!(horizon.earlier.lock().len(), 1);
    }
}
