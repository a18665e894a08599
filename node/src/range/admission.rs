//! Admission: how many bytes of commits a node lets be under way, and how fast it takes more.
//!
//! A commit holds its share from before it is proposed until it is applied. Whoever writes faster than the disk takes it
//! waits here, where a client waits and nothing is held: after all waits for locks, before latches and marks. Apply never
//! waits for the disk to catch up, and so holds up nobody else's heartbeat, read or commit.
//!
//! Only commits of clients ask. What frees others (releases, rollbacks, heartbeats) and what keeps the range going
//! (membership, safe points, the root range's commands) never waits here.

use std::sync::Arc;
use std::time::Duration;

use env::clock::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::Refusal;

/// Commits under way on a node, in bytes. A larger one goes alone.
const UNDER_WAY_BYTES_MAX: u64 = 128 << 20;

/// What is counted in one.
const UNIT_BYTES: u64 = 1 << 10;

/// Lets commits in.
pub(crate) struct Admission {
    db: lsm::Db,
    left: Arc<Semaphore>,
}

/// A commit's share of what may be under way; it returns when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    _share: OwnedSemaphorePermit,
}

impl Admission {
    /// For what is written to `db`.
    pub(crate) fn new(db: lsm::Db) -> Self {
        let units = UNDER_WAY_BYTES_MAX / UNIT_BYTES;
        Self { db, left: Arc::new(Semaphore::new(usize::try_from(units).unwrap_or(usize::MAX))) }
    }

    /// Waits until `bytes` may be proposed. Who comes first goes first.
    pub(crate) async fn admit(&self, bytes: u64, deadline: Option<Instant>) -> Result<Admitted, Refusal> {
        let units = bytes.clamp(1, UNDER_WAY_BYTES_MAX).div_ceil(UNIT_BYTES);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let share = match self.left.clone().try_acquire_many_owned(units) {
            Ok(share) => share,
            Err(_) => {
                within(deadline, self.left.clone().acquire_many_owned(units)).await?.map_err(|_| busy())?
            }
        };
        let delay = self.db.write_delay(usize::try_from(bytes).unwrap_or(usize::MAX));
        if delay > Duration::ZERO {
            within(deadline, env::clock::sleep(delay)).await?;
        }
        Ok(Admitted { _share: share })
    }

    /// How many bytes of commits are under way.
    pub(crate) fn bytes(&self) -> u64 {
        (UNDER_WAY_BYTES_MAX / UNIT_BYTES).saturating_sub(self.left.available_permits() as u64) * UNIT_BYTES
    }
}

async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Result<T, Refusal> {
    match deadline {
        None => Ok(work.await),
        Some(deadline) => {
            let patience = deadline.saturating_duration_since(env::clock::now());
            env::clock::timeout(patience, work).await.map_err(|_| busy())
        }
    }
}

fn busy() -> Refusal {
    Refusal::Unavailable("the node takes no more commits now: those under way are too many bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use env::disk::MemoryDisk;

    use super::*;

    fn admission() -> Admission {
        let keyspaces = vec![lsm::Keyspace::plain(b'p', "plain")];
        let options = lsm::Options::new(Arc::new(MemoryDisk::new()), "/db", keyspaces);
        let manual = lsm::Options { background: lsm::Background::Manual, ..options };
        Admission::new(lsm::Db::open(manual).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_waits_until_those_under_way_leave_room() {
        let admission = admission();
        let first = admission.admit(100 << 20, None).await.unwrap();
        let second = admission.admit(20 << 20, None).await.unwrap();
        let deadline = Some(env::clock::now() + Duration::from_secs(1));
        let refused = admission.admit(20 << 20, deadline).await.unwrap_err();
        assert!(matches!(refused, Refusal::Unavailable(_)), "{refused}");
        drop(second);
        admission.admit(20 << 20, deadline).await.unwrap();
        drop(first);
        // One that is larger than all that may be under way goes alone.
        let whole = admission.admit(1 << 40, None).await.unwrap();
        admission.admit(1, Some(env::clock::now() + Duration::from_secs(1))).await.unwrap_err();
        drop(whole);
        admission.admit(1, None).await.unwrap();
    }
}
