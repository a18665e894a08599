//! Keeps the shared log within its bound: purge behind what is flushed, rewrite what still lives, free segments.
//!
//! # Invariants
//!
//! - A group's log is purged only behind what the engine has flushed.
//! - A segment is removed after everything in it that is still needed was appended again and synced, by all groups that
//!   the log knows: none comes or goes meanwhile.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use lsm::log::Position;
use openraft::async_runtime::WatchReceiver;
use proto::v1::raft_record::Record;

use super::group::Group;
use super::host::RaftHost;
use super::record::encode;

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// openraft hears of a newer flushed state once it is so many entries ahead.
const SNAPSHOT_EVERY: u64 = 1000;

/// A group with more than this fraction of the bound in the oldest part of the log is purged rather than rewritten.
const REWRITE_FRACTION: u64 = 64;

impl RaftHost {
    /// Runs until the store stops; it does not keep the store by itself.
    pub(super) async fn tidy(host: Weak<Self>) {
        loop {
            env::clock::sleep(EVERY).await;
            let Some(host) = host.upgrade() else { return };
            if let Err(error) = host.tidy_once().await {
                tracing::error!(%error, "the raft log could not be tidied; it is tried again");
                env::clock::sleep(AGAIN).await;
            }
        }
    }

    async fn tidy_once(&self) -> io::Result<()> {
        let durable = self.db.sequence_durable();
        // Of who sleeps openraft hears it when the log is to become shorter, or the group wakes.
        for group in self.awake() {
            let flushed = group.progress.flushed(durable).id.map_or(0, |id| id.index());
            let known = snapshot_index(&group);
            if flushed >= known + SNAPSHOT_EVERY {
                let Some(raft) = group.instance.if_open() else { continue };
                // A group that has stopped needs no tidying.
                let _ = raft.trigger().snapshot().await;
            }
        }
        let segments = self.log.segments();
        let total: u64 = segments.iter().map(|segment| segment.bytes).sum();
        if total <= self.log_bytes_max() {
            return Ok(());
        }
        // The oldest segments go, down to three quarters of the bound; never the one that is being written.
        let mut left = total;
        let mut cutoff = None;
        for pair in segments.windows(2) {
            let [oldest, next] = pair else { break };
            left -= oldest.bytes;
            cutoff = Some(Position { segment: next.number, offset: 0 });
            if left <= self.log_bytes_max() / 4 * 3 {
                break;
            }
        }
        match cutoff {
            Some(cutoff) => self.free_before(cutoff, total - left, total > self.log_bytes_max() * 4).await,
            None => Ok(()),
        }
    }

    /// Frees what lies before `cutoff`, `bytes` of it, as soon as that is worth the rewriting. A snapshot on its way
    /// keeps the log after it, unless it is `urgent`.
    async fn free_before(&self, cutoff: Position, bytes: u64, urgent: bool) -> io::Result<()> {
        let mut live = 0;
        let mut unflushed = false;
        for group in self.groups() {
            let before = group.log.bytes_before(cutoff);
            if group.failure().is_none() {
                // What a replica that was given up leaves is rewritten however much it is: it grows no more.
                live += before;
            }
            let sending = !group.sending.is_empty();
            if before <= self.log_bytes_max() / REWRITE_FRACTION || sending && !urgent {
                continue;
            }
            let durable = self.db.sequence_durable();
            let flushed = group.progress.flushed(durable).id.map(|id| id.index());
            unflushed |= flushed < group.progress.applied().map(|point| point.index);
            match flushed {
                Some(flushed) if group.failure().is_some() => group.log.purge_flushed(flushed)?,
                Some(flushed) => group.purge(flushed).await?,
                None => {}
            }
        }
        if live > bytes / 2 {
            if unflushed {
                let db = self.db.clone();
                env::task::blocking(move || db.flush())
                    .await
                    .map_err(io::Error::other)?
                    .map_err(io::Error::other)?;
            }
            return Ok(());
        }
        // No group may be on its way in or out: what it has in these segments would be nobody's.
        let _changing = self.changing.lock().await;
        if self.is_stopping() {
            return Ok(());
        }
        for group in self.groups() {
            let log = Arc::clone(&group.log);
            env::task::blocking(move || log.rewrite_before(cutoff)).await.map_err(io::Error::other)??;
        }
        for (range_id, replica_id) in self.claims.removed() {
            self.log.append_quietly(&encode(range_id, replica_id, true, Record::Removed(true)))?;
        }
        self.log.barrier().await?;
        let log = Arc::clone(&self.log);
        env::task::blocking(move || log.drop_segments_before(cutoff)).await.map_err(io::Error::other)?
    }
}

impl Group {
    /// Has the log purged up to `flushed`, which is. A leader asleep keeps the last entry: without any it could not
    /// [begin again](super::making) as one.
    async fn purge(&self, flushed: u64) -> io::Result<()> {
        let last = self.log.bounds().1.map_or(0, |last| last.index());
        let leads_asleep = self.is_asleep() && self.role().is_leader;
        let upto = if leads_asleep { flushed.min(last.saturating_sub(1)) } else { flushed };
        if let Some(raft) = self.instance.if_open() {
            // A group that has just stopped is started again first.
            let _ = raft.trigger().snapshot().await;
            let _ = raft.trigger().purge_log(upto).await;
            return Ok(());
        }
        // Nobody reads it before it is open again; one that is being opened has its turn later.
        self.instance.while_closed(|| self.log.purge_flushed(upto)).unwrap_or(Ok(()))
    }
}

/// The newest state that openraft knows to be flushed.
fn snapshot_index(group: &Group) -> u64 {
    group.metrics().borrow_watched().snapshot.map_or(0, |id| id.index())
}
