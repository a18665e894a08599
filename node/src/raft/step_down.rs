//! Leaders that are not fit to lead give it up.
//!
//! Nothing that a raft thread does waits for a disk. So a leader whose disk answers nothing, or whose data cannot be
//! read, would go on sending heartbeats and answer nobody. A store therefore looks at its replicas: one whose oldest
//! committed entry is not applied, or whose log is not synced, for [`STUCK_MAX`], or that has met data it cannot read,
//! hands its leadership over, and does not campaign while another can lead.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use env::clock::Instant;
use openraft::async_runtime::WatchReceiver;

use super::fitness::Backlog;
use super::group::Group;
use super::host::RaftHost;

/// How often the store looks.
const LOOK: Duration = Duration::from_millis(250);

/// What a leader has begun may take so long.
const STUCK_MAX: Duration = Duration::from_secs(2);

/// Where nobody leads for so long even an unfit replica campaigns.
const ALONE_MAX: Duration = Duration::from_secs(15);

/// How long a leader that nobody takes over from does what it can before it tries again.
const HAND_OVER_AGAIN: Duration = Duration::from_secs(60);

impl Group {
    /// Notes that this replica has met data that it cannot read: it hands its leadership over and waits for its
    /// replacement. Whether another replica may lead.
    pub fn report_damage(&self, why: &str) -> bool {
        let mut fitness = self.fitness.lock();
        if fitness.damage.is_none() {
            let (range_id, replica_id) = (self.range_id, self.replica_id);
            tracing::error!(range_id, replica_id, why, "the replica's data cannot be read");
            metrics::counter!("nunatak_replicas_damaged_total").increment(1);
            fitness.damage = Some(why.to_owned());
        }
        let others = !self.is_sole_voter() && !fitness.is_needed(env::clock::now());
        self.unfit.store(others, Ordering::Relaxed);
        others
    }

    /// Data that the replica cannot read, once it has met some.
    pub fn damage(&self) -> Option<String> {
        self.fitness.lock().damage.clone()
    }

    /// Why the replica is not fit to lead now, if it is not.
    pub fn unfit(&self) -> Option<&'static str> {
        self.fitness.lock().unfit
    }

    /// Whether the replica is not fit to lead now, though others could be.
    pub fn is_unfit(&self) -> bool {
        self.unfit.load(Ordering::Relaxed)
    }

    /// Judges the replica, whose store's log is not synced since `unsynced`.
    fn judge(self: &Arc<Self>, host: &RaftHost, now: Instant, unsynced: Option<Instant>) {
        let committed = {
            let metrics = self.metrics();
            let metrics = metrics.borrow_watched();
            metrics.local_committed.as_ref().map_or(0, |id| id.index())
        };
        let role = self.role();
        let mut fitness = self.fitness.lock();
        let unapplied = fitness.applying.observe(now, committed, self.applied_index());
        let is_stuck = |since: &Instant| now.duration_since(*since) >= STUCK_MAX;
        let why = fitness.damage.as_ref().map(|_| "its data cannot be read");
        let why = why.or_else(|| unapplied.filter(is_stuck).map(|_| "what is committed is not applied"));
        let why = why.or_else(|| unsynced.filter(is_stuck).map(|_| "the log is not synced"));
        match (fitness.unfit, why) {
            (None, Some(why)) => {
                tracing::warn!(
                    range_id = self.range_id,
                    replica_id = self.replica_id,
                    why,
                    "not fit to lead"
                );
            }
            (Some(_), None) => {
                tracing::info!(range_id = self.range_id, replica_id = self.replica_id, "fit to lead again");
                self.raft.runtime_config().heartbeat(true);
            }
            _ => {}
        }
        fitness.unfit = why;
        fitness.alone = if role.leader.is_some() { None } else { fitness.alone.or(Some(now)) };
        if fitness.alone.is_some_and(|since| now.duration_since(since) >= ALONE_MAX) {
            fitness.needed_until = Some(now + HAND_OVER_AGAIN);
        }
        let others = why.is_some() && !self.is_sole_voter() && !fitness.is_needed(now);
        self.unfit.store(others, Ordering::Relaxed);
        self.raft.runtime_config().elect(!others && !self.is_fenced());
        if others && role.is_leader && !fitness.handing_over {
            fitness.handing_over = true;
            host.spawn(hand_over(Arc::clone(self), role.term));
        }
    }
}

impl RaftHost {
    /// Looks at all replicas until the store stops; it does not keep the store by itself.
    pub(super) async fn watch_fitness(host: Weak<Self>) {
        let mut syncing = Backlog::default();
        loop {
            env::clock::sleep(LOOK).await;
            let Some(host) = host.upgrade() else { return };
            let now = env::clock::now();
            let (begun, done) = host.log.appends();
            let unsynced = syncing.observe(now, begun, done);
            for group in host.groups() {
                group.judge(&host, now, unsynced);
            }
        }
    }
}

/// Hands the leadership over to whoever holds most of the log; where nobody takes it, falls silent, so that the others
/// elect one of them.
async fn hand_over(group: Arc<Group>, term: u64) {
    let (range_id, replica_id) = (group.range_id, group.replica_id);
    let leads = || {
        let role = group.role();
        role.is_leader && role.term == term
    };
    let membership = group.membership();
    let mut others = group.progress();
    others.retain(|(id, _)| membership.is_voter(*id));
    others.sort_by_key(|(_, matched)| std::cmp::Reverse(*matched));
    for (to, _) in others {
        match group.transfer_leader(to).await {
            Ok(()) => {
                tracing::info!(range_id, replica_id, to, "handed over its leadership");
                break;
            }
            Err(error) => tracing::info!(range_id, replica_id, to, %error, "not taken over"),
        }
        if !leads() {
            break;
        }
    }
    if leads() {
        group.lease.revoke(term);
        group.raft.runtime_config().heartbeat(false);
        env::clock::sleep(group.timing.election_max * 2).await;
        group.raft.runtime_config().heartbeat(true);
        if leads() {
            tracing::warn!(range_id, replica_id, "nobody takes over: it does what it can");
            group.fitness.lock().needed_until = Some(env::clock::now() + HAND_OVER_AGAIN);
        }
    }
    group.fitness.lock().handing_over = false;
}
