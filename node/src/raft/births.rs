//! How the first replicas of a range come to be: of a new cluster's, and of one that was divided from another.
//!
//! ```text
//! engine   seed: applied = SEED, membership, first rows; of a split in the batch of the entry that divides
//!    │     flushed
//! log      an empty log that counts as purged up to SEED; then votes and entries
//! ```
//! A crash before the flush leaves nothing, and the entry that divides is applied again. A crash after it leaves state without
//! a log: the log is made anew, for until then the replica has promised nothing to anybody. Log without state there is never.
//!
//! The log does not begin at 0, so that a replica from elsewhere, which lacks what these began with, is sent a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use lsm::{WriteBatch, WriteOptions};
use tokio::sync::mpsc;

use super::apply::{Membership, Store};
use super::claims::Born;
use super::group::Group;
use super::group_log::GroupLog;
use super::host::{RaftHost, Start};
use super::options::GroupSeed;
use super::progress::{Applied, SEED};
use super::role::RaftError;
use super::types::raft_membership;

/// How long after a failure a new replica is tried to be started again.
const AGAIN: Duration = Duration::from_secs(1);

/// After so long one who campaigns at once asks the others again, who may not have divided the range yet; then after twice as
/// long, and so on.
const CAMPAIGN_AGAIN: Duration = Duration::from_millis(20);

/// How often. After that it takes its turn as any other.
const CAMPAIGNS: u32 = 6;

impl RaftHost {
    /// The first replica of a new range, started; the one that is there, if it has the same id.
    pub(super) async fn seed(self: &Arc<Self>, seed: GroupSeed) -> Result<Arc<Group>, RaftError> {
        let GroupSeed { range_id, replica_id } = seed;
        let _changing = self.changing.lock().await;
        match self.group(range_id) {
            Some(group) if group.replica_id() == replica_id => return Ok(group),
            Some(group) => return Err(RaftError::Exists { range_id, replica_id: group.replica_id() }),
            None => {}
        }
        self.claims.claim(range_id, replica_id)?;
        let failed = |message: String| RaftError::Group { range_id, message };
        let membership = Membership {
            configs: vec![BTreeSet::from([replica_id])],
            replicas: BTreeMap::from([(replica_id, Store { node_id: self.addresses.own().node_id })]),
        };
        let mut batch = WriteBatch::new();
        let applied = Applied::seed(raft_membership(&membership).map_err(failed)?);
        applied.put(range_id, replica_id, &Applied::default(), &mut batch);
        for (key, value) in self.apply.first_rows(range_id, &membership, SEED.index) {
            batch.put(&key, &value);
        }
        let (db, apply) = (self.db.clone(), Arc::clone(&self.apply));
        let writing = env::task::blocking(move || {
            db.write(batch, WriteOptions::UNLOGGED_UNPACED)?;
            db.flush()?;
            Ok::<_, RaftError>(apply.state_replaced(range_id))
        });
        let written = writing.await.map_err(|error| failed(error.to_string()))??;
        written.map_err(|error| failed(error.to_string()))?;
        let log = GroupLog::new(range_id, replica_id, Arc::clone(&self.log));
        let group = self.start(Arc::new(log), Start::Seeded).await?;
        let raft = group.instance.open().await.map_err(|error| failed(error.to_string()))?;
        raft.trigger().elect(false).await.map_err(|error| failed(error.to_string()))?;
        Ok(group)
    }

    /// Starts the replicas that splits have made, until the store stops; it does not keep the store by itself.
    pub(super) async fn raise_children(host: Weak<Self>, mut births: mpsc::UnboundedReceiver<Born>) {
        while let Some(born) = births.recv().await {
            let Some(host) = host.upgrade() else { return };
            let Born { range_id, replica_id, beside } = born;
            match host.raise(born).await {
                Ok(()) => tracing::info!(range_id, replica_id, beside, "a new range's replica"),
                Err(_) if host.is_stopping() || host.db.failure().is_some() => return,
                Err(error) => {
                    tracing::error!(range_id, replica_id, %error, "a new range's replica cannot be started");
                    let claims = Arc::clone(&host.claims);
                    host.spawn(async move {
                        env::clock::sleep(AGAIN).await;
                        claims.born(born);
                    });
                }
            }
        }
    }

    /// Starts a replica that a split has made; nothing if it was removed meanwhile.
    pub(super) async fn raise(self: &Arc<Self>, born: Born) -> Result<(), RaftError> {
        let Born { range_id, replica_id, beside } = born;
        let failed = |message: String| RaftError::Group { range_id, message };
        // Its log must not outlive its state.
        let db = self.db.clone();
        env::task::blocking(move || db.flush()).await.map_err(|error| failed(error.to_string()))??;
        let _changing = self.changing.lock().await;
        match self.claims.claim(range_id, replica_id) {
            Ok(_) => {}
            // It was removed meanwhile, with what it began with.
            Err(RaftError::Removed { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        match self.group(range_id) {
            // Its leader was faster, and it waited for what it begins with.
            Some(group) => self.restart(&group).await?,
            None => {
                let log = GroupLog::new(range_id, replica_id, Arc::clone(&self.log));
                let group = self.start(Arc::new(log), Start::Seeded).await?;
                if self.group(beside).is_some_and(|beside| beside.role().is_leader) {
                    self.spawn(campaign(Arc::downgrade(&group)));
                }
                self.apply.replica_added(range_id, replica_id);
            }
        }
        Ok(())
    }
}

/// Campaigns without waiting for a leader that there cannot be yet.
async fn campaign(group: Weak<Group>) {
    for turn in 0..CAMPAIGNS {
        let Some(group) = group.upgrade() else { return };
        if group.role().leader.is_some() {
            return;
        }
        let Ok(raft) = group.instance.open().await else { return };
        if raft.trigger().elect(true).await.is_err() {
            return;
        }
        drop((raft, group));
        env::clock::sleep(CAMPAIGN_AGAIN * 2u32.pow(turn)).await;
    }
}
