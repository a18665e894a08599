//! What an openraft instance is made of: what all replicas of a store stand on, and what is one replica's and outlives its instances.
//!
//! The first instance of a replica begins with what the engine and the log hold, as after a crash. Each one that follows goes on where
//! the last one ended, within the life of the process: it is told what is applied, and leads if the last one did.
//!
//! # Invariants
//!
//! - What is flushed of a replica's state is known by one [`Progress`] for all of its instances: no log is purged behind what is
//!   applied and not on the disk, though openraft takes what an instance begins with for a snapshot.
//! - A leader begins again as one only within its process, if the last entry of its log is of its term, applied, and not purged. Then
//!   nothing is written for it, and nobody is sent a snapshot: openraft sends one to whoever it does not know anything of, where the log
//!   is purged to its end. It has no acknowledgements, and so no lease, before the others have answered it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use env::task::{JoinHandle, Scope};
use lsm::Db;
use openraft::{Config, Raft, SnapshotPolicy};
use proto::Network;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::acks::Acks;
use super::apply::Apply;
use super::claims::Claims;
use super::closed::Closings;
use super::group_log::{GroupLog, LogStore};
use super::lease::Lease;
use super::machine::{Machine, Tenure};
use super::options::RaftTiming;
use super::peer::Peers;
use super::progress::Progress;
use super::sending::Sending;
use super::types::Types;
use crate::addresses::Addresses;

/// What all replicas of a store stand on.
pub(super) struct Ground {
    pub(super) db: Db,
    pub(super) apply: Arc<dyn Apply>,
    pub(super) claims: Arc<Claims>,
    pub(super) cluster_id: Bytes,
    pub(super) network: Arc<dyn Network>,
    pub(super) addresses: Arc<Addresses>,
    pub(super) timing: RaftTiming,
    /// So many snapshots are sent at a time.
    pub(super) snapshot_turns: Arc<Semaphore>,
    pub(super) runtime: Handle,
    pub(super) scope: Scope,
}

impl Ground {
    /// Spawns on replication's runtime, in the scope of the store's node.
    pub(super) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.scope.spawn_on(&self.runtime, work)
    }
}

/// What is one replica's.
pub(super) struct Making {
    pub(super) ground: Arc<Ground>,
    pub(super) log: Arc<GroupLog>,
    pub(super) progress: Arc<Progress>,
    pub(super) acks: Arc<Acks>,
    pub(super) closings: Arc<Closings>,
    pub(super) sending: Arc<Sending>,
    /// Whether it sends nothing for now, as a leader that nobody answers.
    pub(super) silent: Arc<AtomicBool>,
    pub(super) lease: Arc<Lease>,
}

/// An openraft instance, at work.
pub(super) struct Running {
    pub(super) raft: Raft<Types, Machine>,
    /// Whether its state machine still writes to the engine.
    pub(super) tenure: Arc<Tenure>,
}

impl Making {
    /// The first one, with a state machine as the engine holds it. It campaigns by itself if it may `elect`.
    pub(super) async fn first(&self, machine: Machine, elect: bool) -> Result<Running, String> {
        self.make(machine, Config { enable_elect: elect, ..self.config() }).await
    }

    /// One that follows another, which has ended. It does nothing by itself before it is told to, and what it publishes is true when
    /// this returns.
    pub(super) async fn next(&self) -> Result<Running, String> {
        let Ground { db, apply, claims, .. } = &*self.ground;
        let (log, progress) = (Arc::clone(&self.log), Arc::clone(&self.progress));
        let machine = Machine::resume(db.clone(), Arc::clone(apply), log, Arc::clone(claims), progress);
        let config = Config {
            enable_tick: false,
            enable_elect: false,
            enable_leader_restore: Some(true),
            ..self.config()
        };
        let running = self.make(machine, config).await?;
        if let Err(error) = running.raft.with_raft_state(|_| ()).await {
            running.tenure.end();
            return Err(error.to_string());
        }
        if env::simulation::is_active() {
            // So that what comes in between does.
            env::clock::sleep(Duration::from_micros(1 + env::random::below(2000))).await;
        }
        Ok(running)
    }

    async fn make(&self, machine: Machine, config: Config) -> Result<Running, String> {
        let config = config.validate().map_err(|error| error.to_string())?;
        let (replica_id, tenure) = (self.log.replica_id(), machine.tenure());
        let ground = &self.ground;
        let peers = Peers {
            cluster_id: ground.cluster_id.clone(),
            range_id: self.log.range_id(),
            replica_id,
            network: Arc::clone(&ground.network),
            addresses: Arc::clone(&ground.addresses),
            acks: Arc::clone(&self.acks),
            closings: Arc::clone(&self.closings),
            sending: Arc::clone(&self.sending),
            turns: Arc::clone(&ground.snapshot_turns),
            silent: Arc::clone(&self.silent),
        };
        let log = LogStore(Arc::clone(&self.log));
        let raft = Raft::new(replica_id, Arc::new(config), peers, log, machine).await;
        let raft = raft.map_err(|error| error.to_string())?;
        self.lease.follow(&raft.metrics())?;
        Ok(Running { raft, tenure })
    }

    fn config(&self) -> Config {
        let timing = &self.ground.timing;
        let ms = |duration: Duration| duration.as_millis() as u64;
        let (heartbeat, election_max) = (ms(timing.heartbeat), ms(timing.election_max));
        // A suppressed heartbeat must still come before a follower loses patience.
        let suppress = heartbeat * 2 + heartbeat / 4 < ms(timing.election_min);
        Config {
            cluster_name: format!("range {}", self.log.range_id()),
            heartbeat_interval: heartbeat,
            heartbeat_min_interval: Some(if suppress { heartbeat } else { 0 }),
            election_timeout_min: ms(timing.election_min),
            election_timeout_max: election_max,
            enable_pre_vote: Some(true),
            // What was applied and not flushed is applied again only once a leader has committed past it.
            enable_leader_restore: Some(false),
            // A leader that nobody answers falls silent as `calling` says.
            quorum_loss_probe_interval: None,
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: 10_000,
            purge_batch_size: 256,
            install_snapshot_timeout: 20_000,
            max_payload_entries: 1024,
            replication_lag_threshold: 1000,
            log_stage_capacity: Some(8),
            // The core, and with it heartbeats and votes, waits where this is full: apply may be behind for long.
            state_machine_channel_size: Some(1 << 16),
            backoff: "50ms 100ms 200ms ..800ms".to_owned(),
            ..Config::default()
        }
    }
}
