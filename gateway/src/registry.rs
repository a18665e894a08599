//! The sessions of a gateway: who may cancel what, how many there are, and whether they should end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use env::watch;
use parking_lot::Mutex;
use sql::CancelHandle;

/// More connections than this beyond the bound are closed without a word.
const TURNED_AWAY_MAX: usize = 64;

/// So many of a gateway's connections are for superusers, and of one that takes few no more than a tenth: whoever is to make
/// room gets in where others have taken all there is.
const RESERVED: usize = 3;

/// How many of so many connections are for superusers.
pub(crate) fn reserved(connections_max: usize) -> usize {
    RESERVED.min(connections_max / 10)
}

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
    /// Connections beyond the bound that are being told so.
    turned_away: AtomicUsize,
    /// Connections whose clients have not yet proved who they are.
    handshakes: AtomicUsize,
    /// Connections by the oid of their role, and of their database: oids are distinct.
    seats: Mutex<HashMap<u32, usize>>,
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
            turned_away: AtomicUsize::new(0),
            handshakes: AtomicUsize::new(0),
            seats: Mutex::default(),
            phase: watch::Sender::new(Phase::Running),
        })
    }

    /// A connection has arrived, before it has said anything. There are at most `connections_max`; some more are heard
    /// out, for one may want to cancel what fills the gateway, and the others are to know why they are turned away.
    /// None: there are too many even of those.
    pub(crate) fn arrive(self: &Arc<Self>, connections_max: usize) -> Option<Place> {
        if let Some(connected) = self.connect(connections_max) {
            return Some(Place::Seat(connected));
        }
        let registry = Arc::clone(self);
        let turned = registry.turned_away.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < TURNED_AWAY_MAX).then_some(count + 1)
        });
        turned.is_ok().then(|| Place::Door(TurnedAway { registry }))
    }

    /// Counts one more connection, unless there are `connections_max` already.
    fn connect(self: &Arc<Self>, connections_max: usize) -> Option<Connected> {
        let admitted = self.connections.send_if_modified(|count| {
            let admit = *count < connections_max;
            *count += usize::from(admit);
            admit
        });
        admitted.then(|| Connected { registry: Arc::clone(self) })
    }

    /// Whether those who are connected leave free what is kept for superusers.
    pub(crate) fn leaves_reserved(&self, connections_max: usize) -> bool {
        let free = connections_max.saturating_sub(self.connections());
        free >= reserved(connections_max)
    }

    /// A client begins to prove who it is. None: so many do already.
    pub(crate) fn shake_hands(self: &Arc<Self>, handshakes_max: usize) -> Option<Handshake> {
        let registry = Arc::clone(self);
        let begun = registry.handshakes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < handshakes_max).then_some(count + 1)
        });
        begun.is_ok().then(|| Handshake { registry })
    }

    /// One more connection of a role, or to a database. None: it has `limit` already; below zero there is no limit.
    pub(crate) fn take_seat(self: &Arc<Self>, oid: u32, limit: i32) -> Option<Seat> {
        let mut seats = self.seats.lock();
        let taken = seats.entry(oid).or_default();
        if usize::try_from(limit).is_ok_and(|limit| *taken >= limit) {
            return None;
        }
        *taken = taken.saturating_add(1);
        Some(Seat { registry: Arc::clone(self), oid })
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

/// Where a new connection is.
pub(crate) enum Place {
    /// Among those that may have a session.
    Seat(Connected),
    /// Beyond them: it may cancel, or is turned away.
    Door(#[expect(dead_code, reason = "counts until dropped")] TurnedAway),
}

/// A connection that is being turned away, until dropped.
pub(crate) struct TurnedAway {
    registry: Arc<Registry>,
}

impl Drop for TurnedAway {
    fn drop(&mut self) {
        self.registry.turned_away.fetch_sub(1, Ordering::Relaxed);
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

/// A client that has not yet proved who it is, until dropped.
pub(crate) struct Handshake {
    registry: Arc<Registry>,
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.registry.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that counts for its role or its database, until dropped.
pub(crate) struct Seat {
    registry: Arc<Registry>,
    oid: u32,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.registry.seats.lock();
        if let Some(taken) = seats.get_mut(&self.oid) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                seats.remove(&self.oid);
            }
        }
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
    fn those_beyond_the_bound_are_heard_out_and_no_more_of_them() {
        let registry = Registry::new();
        let mut places: Vec<Place> = std::iter::from_fn(|| registry.arrive(2)).take(1000).collect();
        assert_eq!(places.len(), 2 + TURNED_AWAY_MAX);
        assert_eq!(registry.connections(), 2);
        places.pop();
        assert!(matches!(registry.arrive(2), Some(Place::Door(_))));
        drop(places);
        assert!(matches!(registry.arrive(2), Some(Place::Seat(_))));
    }

    #[test]
    fn the_last_connections_are_kept_for_superusers() {
        for (connections_max, for_others) in [(1, 1), (9, 9), (10, 9), (25, 23), (30, 27), (2000, 1997)] {
            let registry = Registry::new();
            let mut taken = Vec::new();
            while let Some(connected) = registry.connect(connections_max)
                && registry.leaves_reserved(connections_max)
            {
                taken.push(connected);
            }
            assert_eq!(taken.len(), for_others, "of {connections_max}");
        }
    }

    #[test]
    fn a_role_has_as_many_connections_as_it_may() {
        let registry = Registry::new();
        let first = registry.take_seat(7, 1);
        assert!(first.is_some() && registry.take_seat(7, 1).is_none());
        assert!(registry.take_seat(8, 1).is_some() && registry.take_seat(8, 0).is_none());
        drop(first);
        assert!(registry.take_seat(7, 1).is_some());
        let unlimited: Vec<_> = (0..100).map(|_| registry.take_seat(9, -1)).collect();
        assert!(unlimited.iter().all(Option::is_some));
    }

    #[test]
    fn so_many_prove_who_they_are_at_once_and_no_more() {
        let registry = Registry::new();
        let first = registry.shake_hands(1);
        assert!(first.is_some() && registry.shake_hands(1).is_none());
        drop(first);
        assert!(registry.shake_hands(1).is_some());
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
