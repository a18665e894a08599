//! Whether the store can go on: how much room its disk has left, and whether a failure has stopped it.
//!
//! A disk that fills up wholly stops the store for good: what can no longer be written can no longer be promised. So
//! a leader takes no more writes but those that free room once only a reserve is left on the disk of any replica, while
//! reads, the raft log, compaction and recovery go on. The root range's leader tells each node of the others' disks.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use env::disk::Disk;
use env::watch;
use metrics::gauge;
use parking_lot::RwLock;
use proto::v1::DiskRoom;

use crate::error::chain;

/// How often the disk is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The disk has no more room than what is kept in reserve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk {place} is full: {available} bytes are left, {reserved} are kept in reserve{hint}")]
pub(crate) struct DiskFull {
    /// Which: the directory, or the node.
    pub(crate) place: String,
    /// Bytes that can still be written.
    pub(crate) available: u64,
    /// Bytes that are kept for what must go on: compaction, the raft log, recovery.
    pub(crate) reserved: u64,
    /// What may be done about it, for a person.
    hint: &'static str,
}

impl DiskFull {
    /// Whether enough of the reserve is left for writes that free room: compaction needs the rest.
    pub(crate) fn has_room_to_free(&self) -> bool {
        self.available >= self.reserved / 2
    }

    /// So much may be written that frees room, all together; compaction needs the rest.
    pub(crate) fn bytes_to_free_in(&self) -> u64 {
        self.available.saturating_sub(self.reserved / 4)
    }

    /// The same for what would be let through if it were less.
    pub(crate) fn for_less_at_a_time(self) -> Self {
        Self { hint: "; delete less at a time", ..self }
    }
}

/// See the module.
pub(crate) struct Vitals {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    reserved_bytes: u64,
    available_bytes: AtomicU64,
    /// Other nodes whose disks are full.
    others: RwLock<BTreeMap<u64, DiskRoom>>,
    any_others: AtomicBool,
    failure: watch::Sender<Option<String>>,
}

impl Vitals {
    /// Of the store in `dir`, whose disk shall keep `reserved_bytes` free.
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, reserved_bytes: u64) -> Self {
        let vitals = Self {
            disk,
            dir,
            reserved_bytes,
            available_bytes: AtomicU64::new(u64::MAX),
            others: RwLock::default(),
            any_others: AtomicBool::new(false),
            failure: watch::Sender::new(None),
        };
        // What cannot be told is told by the watch.
        let _ = vitals.measure();
        vitals
    }

    /// Looks at the disk, and asks `failed` what has stopped the store, until something has.
    pub(crate) async fn watch(self: Arc<Self>, failed: impl Fn() -> Option<lsm::Error> + Send) {
        let gauge = gauge!("nunatak_disk_available_bytes");
        let mut blind = false;
        loop {
            let measured = self.measure();
            if let Err(error) = &measured
                && !blind
            {
                tracing::warn!(dir = %self.dir.display(), %error, "cannot tell how much room the disk has");
            }
            blind = measured.is_err();
            gauge.set(self.available_bytes.load(Ordering::Relaxed) as f64);
            if let Some(error) = failed() {
                let why = format!("the store in {} has stopped: {}", self.dir.display(), chain(&error));
                tracing::error!(%why, "nothing is served any more");
                self.failure.send_replace(Some(why));
                return;
            }
            env::clock::sleep(LOOK_AGAIN).await;
        }
    }

    fn measure(&self) -> io::Result<()> {
        let bytes = self.disk.available_bytes(&self.dir)?;
        let before = self.available_bytes.swap(bytes, Ordering::Relaxed);
        let (was_low, is_low) = (before < self.reserved_bytes, bytes < self.reserved_bytes);
        if is_low && !was_low {
            tracing::error!(dir = %self.dir.display(), bytes, "the disk is full: no more writes are taken");
        } else if was_low && !is_low {
            tracing::info!(dir = %self.dir.display(), bytes, "the disk has room again");
        }
        Ok(())
    }

    /// How much room the disk has.
    pub(crate) fn disk(&self) -> DiskRoom {
        let bytes_available = self.available_bytes.load(Ordering::Relaxed);
        DiskRoom { bytes_available, bytes_reserved: self.reserved_bytes }
    }

    /// Whether this store's disk has no more than its reserve.
    pub(crate) fn is_full(&self) -> bool {
        is_full(&self.disk())
    }

    /// How much room the other nodes' disks have; of those that are not named what is known stays, if these are `some` of them.
    pub(crate) fn learn(&self, disks: impl Iterator<Item = (u64, DiskRoom)>, some: bool) {
        let mut others = self.others.write();
        if !some {
            others.clear();
        }
        for (node_id, disk) in disks {
            if is_full(&disk) {
                others.insert(node_id, disk);
            } else {
                others.remove(&node_id);
            }
        }
        self.any_others.store(!others.is_empty(), Ordering::Release);
    }

    /// The fullest disk among this store's and those of `nodes` that have no more than their reserve.
    pub(crate) fn full(&self, nodes: impl Iterator<Item = u64>) -> Option<DiskFull> {
        let own = self.disk();
        let own = is_full(&own).then(|| disk_full(format!("under {}", self.dir.display()), &own));
        if !self.any_others.load(Ordering::Acquire) {
            return own;
        }
        let others = self.others.read();
        let others = nodes.filter_map(|node| Some(disk_full(format!("of node {node}"), others.get(&node)?)));
        own.into_iter().chain(others).min_by_key(|full| (full.has_room_to_free(), full.bytes_to_free_in()))
    }

    /// Something else than the disk has stopped the store.
    pub(crate) fn fail(&self, why: String) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                tracing::error!(%why, "nothing is served any more");
                *failure = Some(why);
            }
            first
        });
    }

    /// What has stopped the store, once something has.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Completes when a failure has stopped the store; never otherwise.
    pub(crate) async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        loop {
            if let Some(why) = failure.borrow_and_update().clone() {
                return why;
            }
            if failure.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

fn is_full(disk: &DiskRoom) -> bool {
    disk.bytes_available < disk.bytes_reserved
}

fn disk_full(place: String, disk: &DiskRoom) -> DiskFull {
    DiskFull { place, available: disk.bytes_available, reserved: disk.bytes_reserved, hint: "" }
}

#[cfg(test)]
mod tests {
    use env::disk::MemoryDisk;

    use super::*;

    #[test]
    fn the_fullest_disk_of_a_range_counts() {
        let vitals = Vitals::new(Arc::new(MemoryDisk::new()), PathBuf::from("/store"), 10);
        let disk = |bytes_available| DiskRoom { bytes_available, bytes_reserved: 100 };
        vitals.learn([(1, disk(100)), (2, disk(60)), (3, disk(49))].into_iter(), false);
        let full = |nodes: &[u64]| {
            vitals.full(nodes.iter().copied()).map(|full| (full.place.clone(), full.has_room_to_free()))
        };
        assert_eq!(full(&[1, 7]), None);
        assert_eq!(full(&[1, 2]), Some(("of node 2".to_owned(), true)));
        assert_eq!(full(&[1, 2, 3]), Some(("of node 3".to_owned(), false)));
        vitals.learn(std::iter::empty(), false);
        assert_eq!(full(&[1, 2, 3]), None);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_who_wait() {
        let disk = MemoryDisk::new();
        let vitals = Arc::new(Vitals::new(Arc::new(disk), PathBuf::from("/store"), 10));
        assert_eq!(vitals.failure(), None);
        assert_eq!(vitals.full([1, 2].into_iter()), None);
        vitals.clone().watch(|| Some(lsm::Error::Poisoned(Arc::new(lsm::Error::Closed)))).await;
        let why = vitals.failed().await;
        assert!(why.starts_with("the store in /store has stopped: "), "{why}");
        assert!(why.ends_with(": closed"), "{why}");
        assert_eq!(vitals.failure(), Some(why));
    }
}
