//! The sessions of a gateway: who may cancel what, how many there are, and whether they should end.

use std::collections::HashMap;
use std::sync::Arc;

use env::watch;
use parking_lot::Mutex;
use sql::CancelHandle;

/// A gateway's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Serving.
    Running,
    /// Sessions end as soon as they are outside of a transaction block.
    Draining,
    /// Sessions end now.
    Ending,
}

/// The sessions of a gateway.
pub(crate) struct Registry {
    sessions: Mutex<HashMap<i32, Entry>>,
    connections: watch::Sender<usize>,
    phase: watch::Sender<Phase>,
}

struct Entry {
    secret: i32,
    cancel: CancelHandle,
}

impl Registry {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            sessions: Mutex::default(),
            connections: watch::Sender::new(0),
            phase: watch::Sender::new(Phase::Running),
        })
    }

    /// Counts one more connection, unless there are `connections_max` already.
    pub(crate) fn connect(self: &Arc<Self>, connections_max: usize) -> Option<Connected> {
        let admitted = self.connections.send_if_modified(|count| {
            let admit = *count < connections_max;
            *count += usize::from(admit);
            admit
        });
        admitted.then(|| Connected { registry: Arc::clone(self) })
    }

    /// Gives a session the id and the secret that cancel it.
    pub(crate) fn register(self: &Arc<Self>, cancel: CancelHandle) -> Registered {
        let mut sessions = self.sessions.lock();
        // Random, so that a cancel request that a load balancer brings to another gateway meets nobody there.
        let mut process_id = random_i32() & i32::MAX;
        while process_id == 0 || sessions.contains_key(&process_id) {
            process_id = random_i32() & i32::MAX;
        }
        let secret = random_i32();
        sessions.insert(process_id, Entry { secret, cancel });
        Registered { registry: Arc::clone(self), process_id, secret }
    }

    /// Cancels what the session is running. Nothing happens if the secret is wrong, as in PostgreSQL.
    pub(crate) fn cancel(&self, process_id: i32, secret: i32) -> bool {
        match self.sessions.lock().get(&process_id) {
            Some(entry) if entry.secret == secret => {
                entry.cancel.cancel();
                true
            }
            _ => false,
        }
    }

    /// Cancels what every session is running.
    pub(crate) fn cancel_all(&self) {
        for entry in self.sessions.lock().values() {
            entry.cancel.cancel();
        }
    }

    /// Enters a phase.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Watches the phase.
    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    /// Completes once there is no connection.
    pub(crate) async fn empty(&self) {
        // The sender lives in self, so that waiting cannot fail.
        let _ = self.connections.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// A connection that counts, until dropped.
pub(crate) struct Connected {
    registry: Arc<Registry>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.registry.connections.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// A session that can be cancelled, until dropped.
pub(crate) struct Registered {
    registry: Arc<Registry>,
    /// The session's id.
    pub(crate) process_id: i32,
    /// What a cancel request has to know.
    pub(crate) secret: i32,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.sessions.lock().remove(&self.process_id);
    }
}

fn random_i32() -> i32 {
    (env::random::next_u64() >> 32) as u32 as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_beyond_the_bound_are_not_admitted() {
        let registry = Registry::new();
        let first = registry.connect(1);
        assert!(first.is_some());
        assert!(registry.connect(1).is_none());
        drop(first);
        assert_eq!(registry.connections(), 0);
        assert!(registry.connect(1).is_some());
    }

    #[test]
    fn only_the_right_secret_cancels() {
        let registry = Registry::new();
        let session = registry.register(CancelHandle::default());
        assert!(!registry.cancel(session.process_id, session.secret.wrapping_add(1)));
        assert!(registry.cancel(session.process_id, session.secret));
        let (process_id, secret) = (session.process_id, session.secret);
        drop(session);
        assert!(!registry.cancel(process_id, secret));
    }
}
