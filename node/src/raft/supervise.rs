//! What becomes of a replica that has stopped: it is started again once, then given up.
//!
//! openraft ends a group at the first error of its storage or its state machine: a committed command that cannot be
//! read, a row that cannot, a broken invariant. What may have been a mishap is tried once more. After that the replica
//! stays stopped, and says so ([`RaftHost::failures`]): the node tells the root range's leader, who replaces it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use env::clock::Instant;
use futures::future::BoxFuture;
use openraft::async_runtime::WatchReceiver;

use super::group::Group;
use super::host::{RaftHost, Start};
use super::instance::{Run, Runs};
use super::role::RaftError;

/// A replica that stops again within this time is given up.
const RESTART_AGAIN: Duration = Duration::from_secs(600);

/// A replica that its store has given up, or that cannot read its data: somebody must replace it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaFailure {
    /// The range.
    pub range_id: u64,
    /// The replica.
    pub replica_id: u64,
    /// What has happened to it.
    pub why: String,
}

impl RaftHost {
    /// The replicas here that must be replaced, ascending by range.
    pub fn failures(&self) -> Vec<ReplicaFailure> {
        let failed = |group: Arc<Group>| {
            let why = group.failure().or_else(|| group.damage())?;
            Some(ReplicaFailure { range_id: group.range_id, replica_id: group.replica_id, why })
        };
        self.groups().into_iter().filter_map(failed).collect()
    }

    /// Waits for the end of a group and does what is to be done then. It keeps neither the store nor the group. That its instance is
    /// closed is not its end.
    pub(super) fn supervise(host: Weak<Self>, group: Weak<Group>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let Some(runs) = group.upgrade().map(|group| group.instance.runs()) else { return };
            let Some(why) = stops(runs).await else { return };
            if let (Some(host), Some(group)) = (host.upgrade(), group.upgrade()) {
                host.stopped(&group, why).await;
            }
        })
    }

    async fn stopped(self: &Arc<Self>, group: &Arc<Group>, why: String) {
        let _changing = self.changing.lock().await;
        let (range_id, replica_id) = (group.range_id, group.replica_id);
        if !self.group(range_id).is_some_and(|known| Arc::ptr_eq(&known, group)) {
            // It was meant to stop.
            return;
        }
        metrics::counter!("nunatak_replicas_stopped_total").increment(1);
        tracing::error!(range_id, replica_id, %why, "a replica has stopped");
        if self.log.failure().is_some() || self.db.failure().is_some() {
            // Nothing of this store goes on.
            return group.fail(why);
        }
        let before = self.restarted.lock().insert(range_id, env::clock::now());
        if before.is_some_and(|before: Instant| before.elapsed() < RESTART_AGAIN) {
            tracing::error!(range_id, replica_id, "the replica has stopped again and is given up");
            return group.fail(why);
        }
        match self.restart(group).await {
            Ok(()) => tracing::info!(range_id, replica_id, "the replica was started again"),
            Err(error) => {
                tracing::error!(range_id, replica_id, %error, "the replica cannot be started again");
                group.fail(format!("{why}; then: {error}"));
            }
        }
    }

    /// Starts anew a replica that has not stopped, unless it is going or gone.
    pub(super) async fn start_anew(self: &Arc<Self>, group: &Arc<Group>) -> Result<(), RaftError> {
        let _changing = self.changing.lock().await;
        if self.is_stopping() || !self.group(group.range_id).is_some_and(|known| Arc::ptr_eq(&known, group)) {
            return Ok(());
        }
        self.restart(group).await
    }

    /// Starts the replica anew from what is on disk. `changing` is held.
    pub(super) async fn restart(self: &Arc<Self>, group: &Arc<Group>) -> Result<(), RaftError> {
        let (range_id, replica_id) = (group.range_id, group.replica_id);
        group.instance.end().await;
        // What is in the log counts as durable from here on.
        self.log.barrier().await.map_err(RaftError::Log)?;
        let (apply, db) = (Arc::clone(&self.apply), self.db.clone());
        let failed = |message: String| RaftError::Group { range_id, message };
        let ended = env::task::blocking(move || {
            // Who is started takes what the engine holds for flushed, and lets the log behind it go.
            db.flush()?;
            apply.state_replaced(range_id)
        });
        ended.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        let fence = env::clock::now() + self.timing.fence();
        let started = self.start(Arc::clone(&group.log), Start::Again(fence)).await?;
        started.fitness.lock().damage = group.damage();
        self.apply.replica_added(range_id, replica_id);
        Ok(())
    }
}

/// Completes when a group has stopped, with the reason; or, without one, when there will be no instance of it any more.
async fn stops(mut runs: Runs) -> Option<String> {
    while let Some(mut run) = runs.next().await {
        let why = ended(&mut run).await;
        if !runs.is_closed(&run) {
            return Some(why);
        }
    }
    None
}

/// Completes when an instance has ended, with the reason. What changes with every entry wakes nobody here: its end closes what
/// changes seldom.
async fn ended(run: &mut Run) -> String {
    loop {
        let closed = run.server.changed().await.is_err();
        if let Err(fatal) = &run.metrics.borrow_watched().running_state {
            return fatal.to_string();
        }
        if closed {
            return "it ended".to_owned();
        }
    }
}
