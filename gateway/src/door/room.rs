//! Room for what is large, which all connections share: requests and answers that many clients send or ask for at once
//! take no more memory than this, the others wait.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All of it, in KiB, and what one role has of it at most, where that is counted.
const KIB_MAX: usize = 256 << 10;
const KIB_OF_ROLE_MAX: usize = KIB_MAX / 2;

/// What is smaller takes none.
const SMALL_BYTES: usize = 64 << 10;

/// How long is waited for a share.
const PATIENCE: Duration = Duration::from_secs(30);

/// No share became free in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much that is large is under way")]
pub(crate) struct Full;

/// What somebody has of it, until dropped; none of what is small.
pub(crate) type Share = Option<Held>;

/// A part of the room, and of what a role may have.
#[derive(Debug)]
pub(crate) struct Held {
    all: OwnedSemaphorePermit,
    of_role: Option<OwnedSemaphorePermit>,
}

/// The room.
pub(crate) struct Room {
    all: Arc<Semaphore>,
    /// What is left for roles that have something of it.
    roles: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(KIB_MAX)), roles: Mutex::default() }
    }

    /// Whether something of so many bytes takes none of it.
    pub(crate) fn is_small(bytes: usize) -> bool {
        bytes <= SMALL_BYTES
    }

    /// The share of something of so many bytes: all of the room if it is larger than that.
    pub(crate) async fn share(&self, bytes: usize) -> Result<Share, Full> {
        self.taken(bytes, None).await
    }

    /// The same, of which a role has no more than half.
    pub(crate) async fn share_of(&self, role: &str, bytes: usize) -> Result<Share, Full> {
        if Self::is_small(bytes) {
            return Ok(None);
        }
        let left = self.left_of(role);
        self.taken(bytes, Some(left)).await
    }

    async fn taken(&self, bytes: usize, left: Option<Arc<Semaphore>>) -> Result<Share, Full> {
        if Self::is_small(bytes) {
            return Ok(None);
        }
        let kib = bytes.div_ceil(1 << 10);
        let taking = async {
            // Who waits for others of the same role has nothing that anybody else waits for.
            let of_role = match left {
                Some(left) => Some(taken_of(left, kib.min(KIB_OF_ROLE_MAX)).await?),
                None => None,
            };
            let all = taken_of(self.all.clone(), kib.min(KIB_MAX)).await?;
            Ok::<Share, Full>(Some(Held { all, of_role }))
        };
        match env::clock::timeout(PATIENCE, taking).await {
            Ok(taken) => taken,
            Err(_) => Err(Full),
        }
    }

    fn left_of(&self, role: &str) -> Arc<Semaphore> {
        let mut roles = self.roles.lock();
        if let Some(left) = roles.get(role).and_then(Weak::upgrade) {
            return left;
        }
        roles.retain(|_, left| left.strong_count() > 0);
        let left = Arc::new(Semaphore::new(KIB_OF_ROLE_MAX));
        roles.insert(role.to_owned(), Arc::downgrade(&left));
        left
    }

    /// What of a share something of so many bytes still takes; the rest is given back.
    pub(crate) fn less(share: Share, bytes: usize) -> Share {
        let mut held = share.filter(|_| !Self::is_small(bytes))?;
        let kib = bytes.div_ceil(1 << 10);
        for permit in [Some(&mut held.all), held.of_role.as_mut()].into_iter().flatten() {
            let rest = permit.num_permits().saturating_sub(kib);
            drop(permit.split(rest));
        }
        Some(held)
    }
}

async fn taken_of(left: Arc<Semaphore>, kib: usize) -> Result<OwnedSemaphorePermit, Full> {
    let kib = u32::try_from(kib).map_err(|_| Full)?;
    left.acquire_many_owned(kib).await.map_err(|_| Full)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = 24 << 20;

    #[tokio::test(start_paused = true)]
    async fn one_role_does_not_take_all_of_the_room() {
        let room = Room::new();
        let mut held = Vec::new();
        for _ in 0..5 {
            held.push(room.share_of("one", LARGE).await.unwrap());
        }
        assert_eq!(room.share_of("one", LARGE).await.err(), Some(Full));
        for _ in 0..5 {
            held.push(room.share_of("other", LARGE).await.unwrap());
        }
        assert!(room.share_of("one", 10).await.unwrap().is_none(), "what is small takes none");
        held.clear();
        assert!(room.share_of("one", LARGE).await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_any_more_is_given_back() {
        let room = Room::new();
        let mut held = Vec::new();
        for _ in 0..16 {
            let share = room.share_of("one", LARGE).await.unwrap();
            held.push(Room::less(share, 3 << 20));
        }
        assert!(held.iter().all(Option::is_some));
        assert_eq!(room.all.available_permits(), KIB_MAX - 16 * (3 << 10));
        let share = room.share(LARGE).await.unwrap();
        assert!(Room::less(share, 10).is_none());
        let share = room.share(1 << 20).await.unwrap();
        assert!(Room::less(share, LARGE).is_some(), "it does not grow");
        held.clear();
        assert_eq!(room.all.available_permits(), KIB_MAX);
    }
}
