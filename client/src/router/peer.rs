//! A node as this client reaches it, and whether it answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use env::clock::{self, Instant};
use env::task;
use proto::v1::DirectoryRequest;
use proto::{Code, Network, NodeService, Status};

/// How often a node that does not answer is looked at again.
const LOOK_PERIOD_MS: u64 = 500;

/// How long it may take to answer then.
const LOOK_PATIENCE: Duration = Duration::from_millis(500);

/// A node. All ranges share what is known of it.
pub(crate) struct Peer {
    pub(crate) address: Arc<str>,
    pub(crate) handle: Arc<dyn NodeService>,
    /// To ask it is to call a function.
    pub(crate) is_in_process: bool,
    silent: AtomicBool,
    born: Instant,
    /// When it is looked at next, in milliseconds after `born`.
    look_ms: AtomicU64,
}

impl Peer {
    pub(super) fn new(address: &str, network: &dyn Network) -> Self {
        Self {
            address: Arc::from(address),
            handle: network.connect(address),
            is_in_process: network.is_in_process(address),
            silent: AtomicBool::new(false),
            born: clock::now(),
            look_ms: AtomicU64::new(0),
        }
    }

    /// Whether it did not answer when it was asked last: no request that matters waits for it.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// It has answered.
    pub(crate) fn heard(&self) {
        if self.is_silent() {
            tracing::info!(node = &*self.address, "answers again");
            self.silent.store(false, Ordering::Relaxed);
        }
    }

    /// It has not answered.
    pub(crate) fn missed(&self) {
        if !self.silent.swap(true, Ordering::Relaxed) {
            tracing::info!(node = &*self.address, "does not answer");
        }
    }

    /// What its answer says about the node itself.
    pub(crate) fn note<T>(&self, answer: &Result<T, Status>) {
        match answer {
            Ok(_) => self.heard(),
            Err(status) if is_lost(status) => self.missed(),
            Err(_) => self.heard(),
        }
    }

    /// Has somebody look, in the background and now and then, whether it answers (again).
    pub(crate) fn look(self: &Arc<Self>, cluster_id: Bytes) {
        let now = clock::now().duration_since(self.born).as_millis() as u64;
        let due = self.look_ms.load(Ordering::Relaxed);
        let next = now + LOOK_PERIOD_MS;
        if now < due
            || self.look_ms.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let peer = self.clone();
        drop(task::spawn(async move {
            // Of a single key: what is said of all of them would be of no use here.
            let at = Bytes::from_static(&[keys::keyspace::ROOT]);
            let request = DirectoryRequest { cluster_id, at, ..DirectoryRequest::default() };
            let asked = peer.handle.directory(request);
            match clock::timeout(LOOK_PATIENCE, asked).await {
                Ok(answer) => peer.note(&answer),
                Err(_) => peer.missed(),
            }
        }));
    }
}

/// Whether a status speaks of the way to the node, or of a node that cannot answer anything.
pub(crate) fn is_lost(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal
    )
}
