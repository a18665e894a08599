//! Whether the store can go on: how much room its disk has left, and whether a failure has stopped it.
//!
//! A disk that fills up wholly stops the store for good: what can no longer be written can no longer be promised. So
//! a leader takes no more writes once only a reserve is left, while reads, the raft log, compaction and recovery go on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use env::disk::Disk;
use env::watch;
use metrics::gauge;

use crate::error::chain;

/// How often the disk is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The disk has no more room than what is kept in reserve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk under {} is full: {available} bytes are left, {reserved} are kept in reserve", dir.display())]
pub(crate) struct DiskFull {
    /// The data directory.
    pub(crate) dir: PathBuf,
    /// Bytes that can still be written.
    pub(crate) available: u64,
    /// Bytes that are kept for what must go on: compaction, the raft log, recovery.
    pub(crate) reserved: u64,
}

/// See the module.
pub(crate) struct Vitals {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    reserved_bytes: u64,
    available_bytes: AtomicU64,
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

    /// Whether the disk has room for more than what must go on.
    pub(crate) fn check_room(&self) -> Result<(), DiskFull> {
        let available = self.available_bytes.load(Ordering::Relaxed);
        if available >= self.reserved_bytes {
            return Ok(());
        }
        Err(DiskFull { dir: self.dir.clone(), available, reserved: self.reserved_bytes })
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

#[cfg(test)]
mod tests {
    use env::disk::MemoryDisk;

    use super::*;

    #[tokio::test]
    async fn a_failure_is_told_to_all_who_wait() {
        let disk = MemoryDisk::new();
        let vitals = Arc::new(Vitals::new(Arc::new(disk), PathBuf::from("/store"), 10));
        assert_eq!(vitals.failure(), None);
        vitals.check_room().unwrap();
        vitals.clone().watch(|| Some(lsm::Error::Poisoned(Arc::new(lsm::Error::Closed)))).await;
        let why = vitals.failed().await;
        assert!(why.starts_with("the store in /store has stopped: "), "{why}");
        assert!(why.ends_with(": closed"), "{why}");
        assert_eq!(vitals.failure(), Some(why));
    }
}
