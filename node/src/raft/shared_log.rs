//! The shared log of a store: what all groups append goes into one file, with one write and one sync.
//!
//! [`lsm::log`] queues records and has a thread that writes and syncs the whole queue at once, so that whatever was
//! queued while it waited for the disk shares the next sync. A simulation has no threads: there a task of ours waits a
//! random while before the write and again before the sync, so that crashes hit in between.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use env::disk::Disk;
use lsm::log::{Log, LogOptions, LogRecord, LogStats, Position, SegmentInfo, Writer};
use tokio::sync::{Notify, oneshot};

use super::followed::Followed;

/// See the module.
pub(super) struct SharedLog {
    log: Log,
    /// Wakes the task that writes in a simulation.
    appended: Arc<Notify>,
    /// What all groups keep in memory of it.
    caches_bytes: Arc<AtomicU64>,
    /// Appends that somebody waits for.
    begun: AtomicU64,
    /// Those of them that are done.
    done: Arc<AtomicU64>,
    /// Proposals that traces follow.
    followed: Arc<Followed>,
    /// Counts the records that somebody waits for.
    records: metrics::Counter,
}

impl SharedLog {
    /// Opens the log in `dir`, encrypted if there are keys, and replays it.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        segment_bytes: u64,
        keys: Option<lsm::Keys>,
        replay: impl FnMut(Position, Bytes) -> lsm::Result<()>,
    ) -> lsm::Result<Arc<Self>> {
        let simulated = env::simulation::is_active();
        let writer = if simulated { Writer::Caller } else { Writer::Thread };
        let options = raft_log_options(segment_bytes, writer, keys);
        let log = Log::open(disk, dir, options, replay)?;
        let appended = Arc::new(Notify::new());
        if simulated {
            env::task::spawn(write_slowly(log.clone(), Arc::clone(&appended)));
        }
        let (caches_bytes, begun, done) = (Arc::default(), AtomicU64::new(0), Arc::default());
        let (followed, records) = (Arc::default(), metrics::counter!("nunatak_raft_records_total"));
        Ok(Arc::new(Self { log, appended, caches_bytes, begun, done, followed, records }))
    }

    /// Appends records; `done` is called when they are durable, or never will be. Calls come in order, and each says
    /// that all earlier records are durable too. After a failure nothing is appended any more.
    pub(super) fn append(
        &self,
        records: &[impl LogRecord],
        done: impl FnOnce(io::Result<()>) + Send + 'static,
    ) -> io::Result<Vec<Position>> {
        let count = Arc::clone(&self.done);
        let done = Box::new(move |result: lsm::Result<()>| {
            count.fetch_add(1, Ordering::Release);
            done(result.map_err(io::Error::other));
        });
        self.begun.fetch_add(1, Ordering::Release);
        self.records.increment(records.len() as u64);
        let positions = self.log.append_with(records, done).map_err(io::Error::other)?;
        self.appended.notify_one();
        Ok(positions)
    }

    /// Proposals that traces follow.
    pub(super) fn followed(&self) -> &Arc<Followed> {
        &self.followed
    }

    /// Appends a record that nobody waits for: it becomes durable with whatever comes next.
    pub(super) fn append_quietly(&self, record: &[u8]) -> io::Result<Position> {
        self.log.append(record).map_err(io::Error::other)
    }

    /// Appends a record and returns when it, and all before it, is durable.
    pub(super) async fn append_durably(&self, record: Vec<u8>) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.append(&[record], move |result| drop(sender.send(result)))?;
        receiver.await.map_err(|_| closed())?
    }

    /// Returns when all that was appended before is durable.
    pub(super) async fn barrier(&self) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        let nothing: &[Vec<u8>] = &[];
        self.append(nothing, move |result| drop(sender.send(result)))?;
        receiver.await.map_err(|_| closed())?
    }

    /// Counts the bytes that all groups keep in memory.
    pub(super) fn caches_bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.caches_bytes)
    }

    /// Whether the record at `position` is known to be durable.
    pub(super) fn is_durable(&self, position: Position) -> bool {
        self.log.is_durable(position)
    }

    /// How many appends that somebody waits for were begun, and how many of them are done.
    pub(super) fn appends(&self) -> (u64, u64) {
        let done = self.done.load(Ordering::Acquire);
        (self.begun.load(Ordering::Acquire), done)
    }

    /// The record at `position`. Blocks.
    pub(super) fn read(&self, position: Position) -> io::Result<Bytes> {
        self.log.read_at(position).map_err(io::Error::other)
    }

    /// The segments that exist, oldest first.
    pub(super) fn segments(&self) -> Vec<SegmentInfo> {
        self.log.segments()
    }

    /// Removes the segments wholly before `position`.
    pub(super) fn drop_segments_before(&self, position: Position) -> io::Result<()> {
        self.log.drop_segments_before(position).map_err(io::Error::other)
    }

    /// What has stopped the log, if something has.
    pub(super) fn failure(&self) -> Option<lsm::Error> {
        self.log.failure()
    }

    /// What the log has done since it was opened.
    pub(super) fn stats(&self) -> LogStats {
        self.log.stats()
    }
}

/// How the shared log is opened, here and by whoever looks at it while the store is stopped.
pub(crate) fn raft_log_options(segment_bytes: u64, writer: Writer, keys: Option<lsm::Keys>) -> LogOptions {
    LogOptions { segment_bytes, writer, mark_synced: false, name: "raft-log", keys }
}

/// The writer of a simulation.
async fn write_slowly(log: Log, appended: Arc<Notify>) {
    loop {
        appended.notified().await;
        env::clock::sleep(Duration::from_micros(env::random::below(500))).await;
        let writing = log.clone();
        // What fails here fails again below, and is told to all who wait.
        let _ = env::task::blocking(move || writing.write_out()).await;
        env::clock::sleep(Duration::from_micros(env::random::below(3000))).await;
        let syncing = log.clone();
        if !matches!(env::task::blocking(move || syncing.write_pending()).await, Ok(Ok(_))) {
            return;
        }
    }
}

/// The answer to whoever waits for a log that is gone.
fn closed() -> io::Error {
    io::Error::other("the log is closed")
}
