//! A connection as its calls see it: who is at the other end, and the sessions that wait there for the next call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use api::credentials::Credentials;
use env::clock::Instant;
use env::task::Scope;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;
use tonic::metadata::MetadataMap;
use zeroize::Zeroizing;

use super::{Door, Guest, Identity, Work};
use crate::limits::Tally;
use crate::tls::Channel;

/// How long a client counts as proven: after that it proves itself again, by what it sends with every call.
const PROVEN: Duration = Duration::from_secs(10);

/// So many sessions wait at a connection, and so long.
const IDLE_MAX: usize = 8;
const IDLE: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Clone)]
pub(crate) struct Caller(Arc<Inner>);

struct Inner {
    peer: SocketAddr,
    channel: Option<Channel>,
    /// When it came to the door.
    arrived: Mutex<Instant>,
    /// Whether a client of it has ever proven who it is.
    is_proven: AtomicBool,
    /// Held while a client proves who it is: no connection guesses twice at once.
    known: Arc<tokio::sync::Mutex<Option<Known>>>,
    idle: Mutex<Vec<Idle>>,
    /// Bytes that have come, and gone, since they were last counted.
    received: AtomicU64,
    sent: AtomicU64,
    /// What counts them; none: nothing is bounded, as far as is known.
    tally: Mutex<Option<Tally>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last answers were sent after their calls had ended.
        let bytes = self.received.get_mut().saturating_add(*self.sent.get_mut());
        if let Some(tally) = self.tally.get_mut() {
            tally.moved(bytes, env::clock::now());
        }
    }
}

/// A client that has proven who it is.
struct Known {
    /// What it has said; none: nothing.
    said: Option<Zeroizing<Vec<u8>>>,
    guest: Arc<Guest>,
    until: Instant,
}

/// A session that waits.
struct Idle {
    guest: Arc<Guest>,
    work: Work,
    since: Instant,
}

impl Caller {
    pub(crate) fn new(peer: SocketAddr, channel: Option<Channel>) -> Self {
        Self(Arc::new(Inner {
            peer,
            channel,
            arrived: Mutex::new(env::clock::now()),
            is_proven: AtomicBool::new(false),
            known: Arc::default(),
            idle: Mutex::default(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            tally: Mutex::default(),
        }))
    }

    /// It comes to the door only now: until then nobody has asked who it is.
    pub(crate) fn arrive(&self) {
        *self.0.arrived.lock() = env::clock::now();
    }

    /// Who makes a call with this metadata. A proof that has begun goes on in `scope` when the call is given up: who takes
    /// guesses back pays for them all the same.
    pub(crate) async fn guest(
        &self,
        door: &Arc<Door>,
        scope: &Scope,
        metadata: &MetadataMap,
    ) -> Result<Arc<Guest>, sql::Error> {
        let said = Credentials::raw(metadata);
        let known = self.0.known.clone().lock_owned().await;
        if let Some(known) = known.as_ref()
            && known.said.as_ref().map(|said| said.as_slice()) == said
            && env::clock::now() < known.until
        {
            return Ok(known.guest.clone());
        }
        let identity = match said.map(Credentials::read) {
            None => Identity::Unsaid,
            Some(Ok(Credentials { role, password })) => Identity::Role(role, Some(Zeroizing::new(password))),
            Some(Err(_)) => {
                let message = "what is said by authorization is not Basic base64(role:password)";
                return Err(sql::Error::new("28000", message));
            }
        };
        let said = said.map(|said| Zeroizing::new(said.to_vec()));
        let proof = self.clone().prove(door.clone(), identity, said, known);
        let proven = scope.spawn_on(&Handle::current(), proof).await;
        proven.map_err(|_ended| sql::Error::new("57P01", "the gateway is about to stop"))?
    }

    /// Has a client prove who it is. What waited for the one that was known before does so no more: it counts for its role.
    async fn prove(
        self,
        door: Arc<Door>,
        identity: Identity,
        said: Option<Zeroizing<Vec<u8>>>,
        mut known: OwnedMutexGuard<Option<Known>>,
    ) -> Result<Arc<Guest>, sql::Error> {
        let before = known.take();
        let over = std::mem::take(&mut *self.0.idle.lock());
        for idle in over {
            idle.work.close().await;
        }
        let admitted = Guest::admit(&door, &identity, self.0.channel.as_ref(), self.0.peer).await;
        let mut guest = admitted?;
        if let Some(before) = &before {
            guest.follow(&before.guest);
        }
        let guest = Arc::new(guest);
        self.0.is_proven.store(true, Ordering::Relaxed);
        *known = Some(Known { said, guest: guest.clone(), until: env::clock::now() + PROVEN });
        Ok(guest)
    }

    /// A session of a client: one that waits, or a new one.
    pub(crate) async fn work(&self, door: &Door, guest: &Arc<Guest>) -> Result<Work, sql::Error> {
        let waiting = {
            let mut idle = self.0.idle.lock();
            let place = idle.iter().rposition(|idle| Arc::ptr_eq(&idle.guest, guest));
            place.map(|place| idle.swap_remove(place).work)
        };
        match waiting.filter(|work| !work.is_over()) {
            Some(work) => Ok(work),
            None => Work::open(door, guest).await,
        }
    }

    /// So many bytes have come.
    pub(crate) fn note_received(&self, bytes: usize) {
        self.0.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many have gone.
    pub(crate) fn note_sent(&self, bytes: usize) {
        self.0.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts the bytes that have gone, and answers how many have come with what is to begin. What follows is put down to the
    /// client of this session.
    pub(crate) fn take_received(&self, work: &Work) -> u64 {
        work.count_bytes(self.0.sent.swap(0, Ordering::Relaxed));
        *self.0.tally.lock() = work.tally();
        self.0.received.swap(0, Ordering::Relaxed)
    }

    /// Lets a session wait for the next call, if there is room.
    pub(crate) fn give_back(&self, guest: Arc<Guest>, work: Work) {
        let mut idle = self.0.idle.lock();
        if idle.len() < IDLE_MAX && work.is_at_rest() {
            idle.push(Idle { guest, work, since: env::clock::now() });
        }
    }

    /// What watches over its sessions.
    pub(crate) fn watched(&self) -> Watched {
        Watched(Arc::downgrade(&self.0))
    }
}

/// A connection that may be gone.
pub(crate) struct Watched(std::sync::Weak<Inner>);

impl Watched {
    pub(crate) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// Whether it comes from elsewhere, and for so long nobody has proven there who it is.
    pub(crate) fn is_strange(&self, patience: Duration) -> bool {
        self.0.upgrade().is_some_and(|inner| {
            !inner.peer.ip().to_canonical().is_loopback()
                && !inner.is_proven.load(Ordering::Relaxed)
                && inner.arrived.lock().elapsed() >= patience
        })
    }

    /// Ends the sessions that have waited for long.
    pub(crate) async fn sweep(&self) {
        let Some(inner) = self.0.upgrade() else { return };
        let now = env::clock::now();
        let over = {
            let mut idle = inner.idle.lock();
            let (kept, over): (Vec<_>, Vec<_>) =
                idle.drain(..).partition(|idle| now.saturating_duration_since(idle.since) < IDLE);
            *idle = kept;
            over
        };
        for idle in over {
            idle.work.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_comes_to_the_door_late_has_as_long_as_others_to_say_who_it_is() {
        let patience = Duration::from_secs(15);
        let caller = Caller::new(([192, 0, 2, 1], 1).into(), None);
        let watched = caller.watched();
        env::clock::sleep(patience).await;
        assert!(watched.is_strange(patience));
        caller.arrive();
        assert!(!watched.is_strange(patience));
        env::clock::sleep(patience).await;
        assert!(watched.is_strange(patience));
        let near = Caller::new(([127, 0, 0, 1], 1).into(), None);
        let watched = near.watched();
        env::clock::sleep(patience).await;
        assert!(!watched.is_strange(patience), "who is near is waited for");
    }
}
