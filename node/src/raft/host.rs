//! One store's side of replication: the shared log and all groups.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use env::clock::Instant;
use env::task::{JoinHandle, Scope};
use lsm::{Db, WriteBatch};
use openraft::async_runtime::WatchReceiver;
use parking_lot::{Mutex, RwLock};
use proto::Network;
use proto::v1::raft_record::Record;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::acks::Acks;
use super::apply::Apply;
use super::calling::Calling;
use super::claims::Claims;
use super::closed::Closings;
use super::fitness::Fitness;
use super::group::Group;
use super::group_log::GroupLog;
use super::instance::Instance;
use super::lease::Lease;
use super::machine::Machine;
use super::making::{Ground, Making};
use super::neighbours::{Confirmations, Neighbours};
use super::options::{GroupSeed, RaftOptions, RaftTiming};
use super::progress::Applied;
use super::record::{Replay, encode};
use super::reserved::Reserved;
use super::role::RaftError;
use super::role_publisher::RolePublisher;
use super::rounds::Rounds;
use super::sending::Sending;
use super::shared_log::SharedLog;
use super::sleep::Slumber;
use super::sleepers::Sleepers;
use crate::addresses::Addresses;

/// Snapshots that a store sends at a time: what they read and send is at the cost of everything else.
const SNAPSHOTS_MAX: usize = 4;

/// One store's side of replication. One per [`lsm::Db`].
pub struct RaftHost {
    pub(super) db: Db,
    pub(super) apply: Arc<dyn Apply>,
    pub(super) log: Arc<SharedLog>,
    pub(super) cluster_id: Bytes,
    pub(super) timing: RaftTiming,
    pub(super) log_bytes_max: u64,
    /// The disk is full: the log is kept as short as it can be.
    short: AtomicBool,
    pub(super) network: Arc<dyn Network>,
    pub(super) addresses: Arc<Addresses>,
    pub(super) neighbours: Arc<Neighbours>,
    pub(super) confirmations: Arc<Confirmations>,
    /// What all groups stand on.
    ground: Arc<Ground>,
    /// Nothing is taken from these nodes.
    pub(super) lost: BTreeSet<u64>,
    groups: RwLock<BTreeMap<u64, Held>>,
    /// Which of them sleep.
    pub(super) sleepers: Arc<Sleepers>,
    /// Which replica of each range is here, or was.
    pub(super) claims: Arc<Claims>,
    /// Some who have slept for long are being closed.
    pub(super) shutting: AtomicBool,
    /// What the stores have told each other of what sleeps.
    pub(super) rounds: Arc<Rounds>,
    /// What snapshots on their way will replace.
    pub(super) reserved: Arc<Reserved>,
    /// The store ends: no group comes any more.
    stopping: AtomicBool,
    /// Held while a group comes or goes.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// By range when its replica was last started again after it had stopped.
    pub(super) restarted: Mutex<BTreeMap<u64, Instant>>,
    /// Nodes that give no sign of life, as the root range's leader says: no group waits for them to sleep.
    silent: Mutex<BTreeSet<u64>>,
}

/// A group, and which place it has among the [`Sleepers`]: so that it need not be touched to know whether it sleeps.
struct Held {
    place: u64,
    group: Arc<Group>,
}

impl std::fmt::Debug for RaftHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RaftHost").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl RaftHost {
    /// While the disk is full the log is freed as soon as it is flushed; followers that lag are sent snapshots.
    pub fn keep_log_short(&self, short: bool) {
        self.short.store(short, Ordering::Relaxed);
    }

    /// What the log is kept below, now.
    pub(super) fn log_bytes_max(&self) -> u64 {
        if self.short.load(Ordering::Relaxed) { self.log_bytes_max / 8 } else { self.log_bytes_max }
    }

    /// Opens the shared log and starts every group found in it. A group may apply entries before this returns.
    pub async fn open(options: RaftOptions, apply: Arc<dyn Apply>) -> Result<Arc<Self>, RaftError> {
        let mut replay = Replay::default();
        let segment_bytes = (options.log_bytes_max / 8).clamp(64 << 10, 64 << 20);
        let mut malformed = None;
        let keys = options.db.keys();
        let opened = SharedLog::open(options.disk, options.dir, segment_bytes, keys, |position, record| {
            replay.take(position, &record).map_err(|message| {
                malformed = Some(message.clone());
                lsm::Error::Invalid(message)
            })
        });
        let log = match (opened, malformed) {
            (_, Some(message)) => return Err(RaftError::Corrupt(message)),
            (opened, None) => opened?,
        };
        replay.check()?;
        let timing = options.timing;
        let neighbours = Neighbours {
            cluster_id: options.cluster_id.clone(),
            network: Arc::clone(&options.network),
            addresses: Arc::clone(&options.addresses),
        };
        let (claims, births) = Claims::new(replay.removed.clone());
        let claims = Arc::new(claims);
        let ground = Ground {
            db: options.db.clone(),
            apply: Arc::clone(&apply),
            claims: Arc::clone(&claims),
            cluster_id: options.cluster_id.clone(),
            network: Arc::clone(&options.network),
            addresses: Arc::clone(&options.addresses),
            timing,
            snapshot_turns: Arc::new(Semaphore::new(SNAPSHOTS_MAX)),
            runtime: options.runtime.unwrap_or_else(Handle::current),
            scope: Scope::current().unwrap_or_default(),
        };
        let host = Arc::new(Self {
            db: options.db,
            apply,
            log,
            cluster_id: options.cluster_id,
            timing,
            log_bytes_max: options.log_bytes_max,
            short: AtomicBool::new(false),
            network: options.network,
            addresses: options.addresses,
            neighbours: Arc::new(neighbours),
            confirmations: Arc::default(),
            ground: Arc::new(ground),
            lost: options.lost,
            groups: RwLock::default(),
            sleepers: Arc::default(),
            claims,
            shutting: AtomicBool::new(false),
            rounds: Arc::new(Rounds::new(options.sleep_after, env::random::next_u64())),
            reserved: Arc::default(),
            stopping: AtomicBool::new(false),
            changing: tokio::sync::Mutex::new(()),
            restarted: Mutex::default(),
            silent: Mutex::default(),
        });
        let unlogged = host.forget_removed(&replay)?;
        let fence = env::clock::now() + timing.fence();
        let replayed = replay.groups.into_iter();
        let replayed = replayed.map(|(id, found)| GroupLog::replayed(id, found, Arc::clone(&host.log)));
        let unlogged = unlogged.into_iter();
        let unlogged = unlogged.map(|(range, replica)| GroupLog::new(range, replica, Arc::clone(&host.log)));
        // A group that is started may divide its range at once: the others must be known by then.
        let logs: Vec<GroupLog> = replayed.chain(unlogged).collect();
        for log in &logs {
            host.claims.claim(log.range_id(), log.replica_id())?;
        }
        for log in logs {
            host.start(Arc::new(log), Start::Again(fence)).await?;
        }
        host.spawn(Self::raise_children(Arc::downgrade(&host), births));
        host.spawn(Self::tidy(Arc::downgrade(&host)));
        host.spawn(Self::watch_fitness(Arc::downgrade(&host)));
        host.spawn(Self::go_rounds(Arc::downgrade(&host), timing.heartbeat));
        Ok(host)
    }

    /// The first replica of a brand-new range, its only voter. Returns once it leads and has
    /// applied its first entries. Repeated after a crash it returns the group that is there.
    pub async fn create(self: &Arc<Self>, seed: GroupSeed) -> Result<Arc<Group>, RaftError> {
        let failed = |message: String| RaftError::Group { range_id: seed.range_id, message };
        let group = self.seed(seed).await?;
        let mut role = group.watch();
        let term = async { role.wait_for(|role| role.is_leader).await.map(|role| role.term) };
        let term = term.await.map_err(|_| failed("stopped".to_owned()))?;
        group.wait_term_applied(term).await.map_err(|error| failed(error.to_string()))?;
        Ok(group)
    }

    /// What has been applied survives a crash from here on.
    pub async fn flush(&self) -> Result<(), RaftError> {
        let db = self.db.clone();
        let failed = |message: String| RaftError::Group { range_id: 0, message };
        env::task::blocking(move || db.flush()).await.map_err(|error| failed(error.to_string()))??;
        Ok(())
    }

    /// An empty replica that waits for its leader; the one that is there, if it has the same id.
    pub async fn add_empty(
        self: &Arc<Self>,
        range_id: u64,
        replica_id: u64,
    ) -> Result<Arc<Group>, RaftError> {
        let _changing = self.changing.lock().await;
        match self.group(range_id) {
            Some(group) if group.replica_id() == replica_id => return Ok(group),
            Some(group) => return Err(RaftError::Exists { range_id, replica_id: group.replica_id() }),
            None => {}
        }
        let is_new = self.claims.claim(range_id, replica_id)?;
        let log = GroupLog::new(range_id, replica_id, Arc::clone(&self.log));
        let started = self.start(Arc::new(log), Start::Empty).await;
        if started.is_err() && is_new {
            self.claims.give_up(range_id, replica_id);
        }
        started
    }

    /// Stops the replica of `range_id`, drops its log and its state, and never again takes a replica id up to its own.
    /// Nothing if another replica is there by now.
    pub async fn remove(self: &Arc<Self>, range_id: u64, replica_id: u64) -> Result<(), RaftError> {
        let _changing = self.changing.lock().await;
        if self.group(range_id).is_none_or(|group| group.replica_id() != replica_id) {
            return Ok(());
        }
        let Some(Held { group, .. }) = self.groups.write().remove(&range_id) else { return Ok(()) };
        group.instance.end().await;
        // Where another range has taken its data over, that must be durable before it is known as removed: its state would
        // be dropped at the next start, with that data.
        let db = self.db.clone();
        let flushing = env::task::blocking(move || db.flush());
        let failed = |message: String| RaftError::Group { range_id, message };
        flushing.await.map_err(|error| failed(error.to_string()))??;
        let record = encode(range_id, replica_id, false, Record::Removed(true));
        self.log.append_durably(record).await.map_err(RaftError::Log)?;
        let host = Arc::clone(self);
        let dropping = env::task::blocking(move || {
            // A split that would bring the replica back has done so before its state is dropped, or finds that it is gone.
            host.claims.remove(range_id, replica_id);
            host.drop_state(range_id)
        });
        dropping.await.map_err(|error| RaftError::Group { range_id, message: error.to_string() })?
    }

    /// The group of `range_id`, if this store holds a replica of it.
    pub fn group(&self, range_id: u64) -> Option<Arc<Group>> {
        self.groups.read().get(&range_id).map(|held| Arc::clone(&held.group))
    }

    /// All groups, ascending by range id.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.groups.read().values().map(|held| Arc::clone(&held.group)).collect()
    }

    /// Those that do not sleep, ascending by range id. The others are not touched.
    pub fn awake(&self) -> Vec<Arc<Group>> {
        let groups = self.groups.read();
        let awake = self.sleepers.awake(groups.values().map(|held| (held.place, &held.group)));
        awake.into_iter().cloned().collect()
    }

    /// Those that sleep and whose instance is not closed, ascending by range id. The others are not touched.
    pub(super) fn unclosed(&self) -> Vec<Arc<Group>> {
        let groups = self.groups.read();
        let unclosed = self.sleepers.unclosed(groups.values().map(|held| (held.place, &held.group)));
        unclosed.into_iter().cloned().collect()
    }

    /// What this store holds of a range, for whoever asks whether a message came from here.
    pub(crate) fn held(&self, range_id: u64) -> Option<proto::v1::RangeStatus> {
        let group = self.group(range_id)?;
        // One after the other: each looks at what replication publishes, and nobody may look twice at a time.
        let term = group.metrics().borrow_watched().vote.leader_id.term;
        let changing = group.membership().is_joint();
        let sending = group.sending.told();
        let failure = group.failure().or_else(|| group.damage()).unwrap_or_default();
        let draining = group.is_draining().then_some("its node is draining");
        let unfit = group.doubt().or(draining).unwrap_or_default().to_owned();
        let asleep = group.is_asleep();
        Some(proto::v1::RangeStatus {
            term,
            applied_index: group.applied_index(),
            log_bytes: group.log_bytes(),
            replica_id: group.replica_id(),
            changing,
            sending,
            failure,
            unfit,
            asleep,
            ..proto::v1::RangeStatus::default()
        })
    }

    /// Syncs of the shared log since it was opened.
    pub fn log_syncs(&self) -> u64 {
        self.log.stats().syncs
    }

    /// Records and bytes appended to the shared log since it was opened.
    pub fn log_appended(&self) -> (u64, u64) {
        let stats = self.log.stats();
        (stats.records, stats.bytes)
    }

    /// What has stopped the shared log, if something has.
    pub fn log_failure(&self) -> Option<lsm::Error> {
        self.log.failure()
    }

    /// Stops all groups and syncs the shared log. From the call on no group is started any more, whoever asks for one. Takes
    /// as long as the disk does.
    pub async fn shutdown(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        // One that is being started is waited for.
        drop(self.changing.lock().await);
        let groups = std::mem::take(&mut *self.groups.write());
        for Held { group, .. } in groups.into_values() {
            group.instance.end().await;
        }
        if let Err(error) = self.log.barrier().await {
            tracing::error!(%error, "the raft log could not be synced at shutdown");
        }
    }

    /// Whether nodes give a sign of life, as the root range's leader says: of `some` of them, or of all that there are.
    pub fn note_living(&self, told: impl Iterator<Item = (u64, bool)>, some: bool) {
        let mut silent = self.silent.lock();
        if !some {
            silent.clear();
        }
        for (node, lives) in told {
            if lives {
                silent.remove(&node);
            } else {
                silent.insert(node);
            }
        }
    }

    /// The nodes that give no sign of life.
    pub(super) fn silent(&self) -> BTreeSet<u64> {
        self.silent.lock().clone()
    }

    /// Whether the store ends.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Spawns on replication's runtime, in the scope of this host's node.
    pub(super) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.ground.spawn(work)
    }

    /// Removes state of replicas whose removal was recorded before it was done. What has state and no log, by range and
    /// replica: the process ended between the two, when the replica had done nothing yet.
    fn forget_removed(&self, replay: &Replay) -> Result<Vec<(u64, u64)>, RaftError> {
        let mut unlogged = Vec::new();
        let all = (Bound::Included([b's'].as_slice()), Bound::Excluded([b's' + 1].as_slice()));
        for row in self.db.scan(all, false)? {
            let (key, _) = row?;
            let Some(range_id) = range_of(&key) else { continue };
            let Some((replica_id, applied)) = Applied::load(range_id, &self.db)? else { continue };
            if replay.groups.get(&range_id).is_some_and(|group| group.replica_id == replica_id) {
                continue;
            }
            if replay.removed.get(&range_id).is_some_and(|removed| replica_id <= *removed) {
                self.drop_state(range_id)?;
                continue;
            }
            if applied.is_seed() && !replay.groups.contains_key(&range_id) {
                unlogged.push((range_id, replica_id));
                continue;
            }
            return Err(RaftError::Corrupt(format!(
                "the engine holds replica {replica_id} of range {range_id}, of which the log knows nothing"
            )));
        }
        Ok(unlogged)
    }

    /// Drops what the engine holds of a range, with the tables that hold nothing else: whatever is wrong with them goes
    /// too. Blocks.
    fn drop_state(&self, range_id: u64) -> Result<(), RaftError> {
        let mut batch = WriteBatch::new();
        Applied::delete(range_id, &mut batch);
        self.db.flush()?;
        let _replacing = self.claims.replacing();
        let spans = self.apply.snapshot_spans(range_id);
        let spans: Vec<(Bytes, Bytes)> = spans.into_iter().map(|span| (span.start, span.end)).collect();
        self.db.excise_and_ingest(&spans, Vec::new(), batch)?;
        let replaced = self.apply.state_replaced(range_id);
        replaced.map_err(|error| RaftError::Group { range_id, message: error.to_string() })?;
        self.apply.removed(range_id);
        Ok(())
    }

    /// Starts a replica from what its log and the engine hold. `changing` is held, or nobody else knows the host yet.
    pub(super) async fn start(
        self: &Arc<Self>,
        log: Arc<GroupLog>,
        start: Start,
    ) -> Result<Arc<Group>, RaftError> {
        let range_id = log.range_id();
        if self.is_stopping() {
            return Err(RaftError::Group { range_id, message: "the store is stopping".to_owned() });
        }
        let host = Arc::clone(self);
        let started = self.spawn(async move { host.start_here(log, start).await });
        let group = started
            .await
            .map_err(|error| RaftError::Group { range_id, message: error.to_string() })?
            .map_err(|message| RaftError::Group { range_id, message })?;
        let held = Held { place: group.slumber.place(), group: Arc::clone(&group) };
        self.groups.write().insert(range_id, held);
        self.spawn(Self::supervise(Arc::downgrade(self), Arc::downgrade(&group)));
        Ok(group)
    }

    async fn start_here(self: Arc<Self>, log: Arc<GroupLog>, start: Start) -> Result<Arc<Group>, String> {
        let (range_id, replica_id) = (log.range_id(), log.replica_id());
        let (db, apply, own_log) = (self.db.clone(), Arc::clone(&self.apply), Arc::clone(&log));
        let claims = Arc::clone(&self.claims);
        let opening = env::task::blocking(move || Machine::open(db, apply, own_log, claims));
        let machine = opening.await.map_err(|error| error.to_string())??;
        let fence = match start {
            Start::Again(fence) => Some(fence),
            // A log that begins anew beside it would forget what the replica has acknowledged.
            Start::Empty if machine.applied().is_some() => {
                return Err("the engine holds a replica that the log does not know".to_owned());
            }
            Start::Seeded if !machine.is_seed() => {
                return Err("the engine does not hold what a new replica begins with".to_owned());
            }
            Start::Empty | Start::Seeded => None,
        };
        reconcile(&log, &machine)?;
        let logged = log.bounds().1.map_or(0, |last| last.index());
        let progress = machine.progress();
        let (sending, acks) = (Arc::new(Sending::default()), Arc::new(Acks::default()));
        let closings = Arc::new(Closings::default());
        let silent = Arc::new(AtomicBool::new(false));
        let lease = Arc::new(Lease::new(replica_id, self.timing.lease(), Arc::clone(&acks)));
        let making = Making {
            ground: Arc::clone(&self.ground),
            log: Arc::clone(&log),
            progress: Arc::clone(&progress),
            acks: Arc::clone(&acks),
            closings: Arc::clone(&closings),
            sending: Arc::clone(&sending),
            silent: Arc::clone(&silent),
            lease: Arc::clone(&lease),
        };
        let place = self.sleepers.enter();
        let instance = Instance::first(making, machine, fence.is_none(), Arc::clone(&place)).await?;
        let (publisher, role) = RolePublisher::new(instance.runs(), replica_id);
        let group = Arc::new(Group {
            range_id,
            replica_id,
            lease,
            role,
            applied: progress.subscribe(),
            instance,
            log,
            neighbours: Arc::clone(&self.neighbours),
            progress,
            acks,
            closings,
            timing: self.timing,
            fenced_until: fence,
            has_turn: AtomicBool::new(fence.is_none()),
            transfer: Mutex::default(),
            heard: Mutex::new(env::clock::now()),
            fitness: Mutex::new(Fitness::new(logged)),
            unfit: AtomicBool::new(false),
            calling: Mutex::new(Calling::new(env::clock::now())),
            silent,
            silenced: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            failure: Mutex::default(),
            receiving: AtomicBool::new(false),
            sending,
            slumber: Arc::new(Slumber::new(env::clock::now(), place)),
            rounds: Arc::clone(&self.rounds),
        });
        env::task::spawn(publisher.publish(Arc::downgrade(&group)));
        if fence.is_some() {
            let raft = group.instance.open().await.map_err(|error| error.to_string())?;
            let sole = raft
                .with_raft_state(move |state| {
                    let configs = state.membership_state.effective().get_joint_config().clone();
                    matches!(configs.as_slice(), [only] if only.len() == 1 && only.contains(&replica_id))
                })
                .await
                .map_err(|error| error.to_string())?;
            if sole {
                group.instance.elect(true);
                raft.trigger().elect(false).await.map_err(|error| error.to_string())?;
            }
        }
        Ok(group)
    }
}

/// How a replica starts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    /// With nothing: its leader will send it all.
    Empty,
    /// With what its range begins with, which is durable in the engine, and a log of which nothing is.
    Seeded,
    /// It was here before, and neither votes nor campaigns before this moment.
    Again(Instant),
}

/// The range of a [`state_key`](super::state_key); nothing for other keys.
pub(super) fn range_of(key: &[u8]) -> Option<u64> {
    match key {
        [b's', id @ .., 0] => Some(u64::from_be_bytes(id.try_into().ok()?)),
        _ => None,
    }
}

/// Makes the log fit the engine. A snapshot may have been installed without the log's having been reset behind it.
fn reconcile(log: &Arc<GroupLog>, machine: &Machine) -> Result<(), String> {
    let (purged, last) = log.bounds();
    let applied = machine.applied();
    if purged.is_some_and(|purged| applied.is_none_or(|applied| applied.index() < purged.index())) {
        return Err(format!("the log is purged up to {purged:?}, but only {applied:?} is in the engine"));
    }
    let Some(applied) = applied else { return Ok(()) };
    let term = **applied.committed_leader_id();
    let covered = last.is_some_and(|last| last.index() >= applied.index());
    if !covered || log.term_at(applied.index()) != Some(term) {
        log.reset(applied).map_err(|error| error.to_string())?;
    }
    Ok(())
}
