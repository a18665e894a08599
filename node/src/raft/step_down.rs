//! Leaders that are not fit to lead give it up.
//!
//! Nothing that a raft thread does waits for a disk. So a leader whose disk answers nothing, or whose data cannot be
//! read, would go on sending heartbeats and answer nobody. A store therefore looks at its replicas: one whose oldest
//! committed entry is not applied, or whose log is not synced, for [`STUCK_MAX`], or that has met data it cannot read,
//! hands its leadership over to one that says it is fit, and does not campaign while another can lead. Where no other is
//! fit it does what it can.
//!
//! A replica whose node is draining is not taken for fit by others either, and does not campaign while another can lead; but
//! what it leads it serves until its node has handed it over.
//!
//! openraft never takes back that a leadership is to be handed over: a leader whose successor was not elected stays mute.
//! It is started anew.
//!
//! A leader that no quorum answers falls silent every now and then, so that the others elect one of them: see [`super::calling`].

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use env::canary::{self, Canary};
use env::clock::Instant;
use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver;

use super::fitness::{Backlog, Fitness};
use super::group::Group;
use super::host::RaftHost;
use super::role::Role;

/// How often the store looks.
const LOOK: Duration = Duration::from_millis(250);

/// So many replicas that were started again may campaign from one look to the next, if nobody asks for them. Of thousands that slept most
/// are told by then who leads; all of them at once would keep their stores from everything else.
const TURNS_MAX: usize = 128;

/// What a leader has begun may take so long.
const STUCK_MAX: Duration = Duration::from_secs(2);

/// Where no leader was heard for so long even an unfit replica campaigns.
const ALONE_MAX: Duration = Duration::from_secs(15);

/// How long a leader that nobody takes over from does what it can before it tries again.
const HAND_OVER_AGAIN: Duration = Duration::from_secs(60);

/// How often a leader that nobody is fit to take over from asks whether somebody is.
const ASK_AGAIN: Duration = Duration::from_secs(1);

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
        self.gives_way(&fitness)
    }

    /// Notes that the disk failed to give what this replica wanted to read: others had better lead for a while. Where that
    /// lasts it is damage. Whether another replica may lead.
    pub fn report_unread(&self, why: &str) -> bool {
        let mut fitness = self.fitness.lock();
        if fitness.note_unread(env::clock::now()) {
            drop(fitness);
            return self.report_damage(why);
        }
        tracing::warn!(
            range_id = self.range_id,
            replica_id = self.replica_id,
            why,
            "the replica's data was not read"
        );
        self.gives_way(&fitness)
    }

    /// Whether its node leads nothing new from now on.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
        if draining && self.role().is_leader {
            self.wake();
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn gives_way(&self, fitness: &Fitness) -> bool {
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

    /// Why the replica had better not take over from another now.
    pub(super) fn doubt(&self) -> Option<&'static str> {
        self.fitness.lock().doubt
    }

    /// Whether the replica is not fit to lead now, though others could be.
    pub fn is_unfit(&self) -> bool {
        self.unfit.load(Ordering::Relaxed)
    }

    /// Judges the replica, whose store's log is not synced since `unsynced`.
    fn judge(self: &Arc<Self>, host: &RaftHost, now: Instant, unsynced: Option<Instant>) {
        let is_kept = self.is_kept(now);
        let committed = {
            let metrics = self.metrics();
            let metrics = metrics.borrow_watched();
            metrics.local_committed.as_ref().map_or(0, |id| id.index())
        };
        let role = self.role();
        self.call_or_not(host, now, &role);
        let mut fitness = self.fitness.lock();
        let unapplied = fitness.observe(now, committed, self.applied_index());
        let unread = fitness.damage.as_ref().map(|_| "its data cannot be read");
        let unread = unread.or_else(|| fitness.has_unread(now).then_some("its data was not read"));
        let after = |patience: Duration| {
            let is_stuck = |since: &Instant| now.duration_since(*since) >= patience;
            let why =
                unread.or_else(|| unapplied.filter(is_stuck).map(|_| "what is committed is not applied"));
            why.or_else(|| unsynced.filter(is_stuck).map(|_| "the log is not synced"))
        };
        let why = after(STUCK_MAX);
        fitness.doubt = after(STUCK_MAX / 2);
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
                self.silence(false, now);
            }
            _ => {}
        }
        fitness.unfit = why;
        // Who is known to lead may be dead: a follower learns of its end only by somebody's campaign.
        if role.is_leader {
            *self.heard.lock() = now;
        }
        let unheard = now.saturating_duration_since(*self.heard.lock());
        if !role.is_leader
            && ((why.is_some() && unheard >= ALONE_MAX)
                || (self.is_draining() && unheard >= self.timing.election_max * 3))
        {
            fitness.needed_until = Some(now + HAND_OVER_AGAIN);
        }
        let is_spare = !self.is_sole_voter() && !fitness.is_needed(now);
        let others = why.is_some() && is_spare;
        self.unfit.store(others, Ordering::Relaxed);
        let gives_way = others || (self.is_draining() && is_spare);
        let has_turn = self.has_turn.load(Ordering::Relaxed) || self.is_sole_voter();
        self.instance.elect(!gives_way && !is_kept && has_turn && !self.is_fenced());
        if others && role.is_leader && !fitness.handing_over && !self.is_handing_over(&role) {
            fitness.handing_over = true;
            host.spawn(hand_over(Arc::clone(self), role.term));
        }
    }

    /// Has it call as a leader, or fall silent.
    fn call_or_not(self: &Arc<Self>, host: &RaftHost, now: Instant, role: &Role) {
        let needs_answers = role.is_leader && !self.is_sole_voter();
        let acked = self.metrics().borrow_watched().last_quorum_acked;
        let answered = match needs_answers {
            true => acked.and_then(|acked| now.checked_sub(acked.elapsed())),
            false => Some(now),
        };
        let begins = self.calling.lock().observe(now, role.term, answered, &self.timing);
        self.set_heartbeats(now);
        if begins && needs_answers && self.calls(now) {
            let group = Arc::clone(self);
            host.spawn(async move {
                if let Ok(raft) = group.instance.open().await {
                    // An error means that it has stopped.
                    let _ = raft.trigger().heartbeat().await;
                }
            });
        }
    }

    /// It wakes: it calls, as if it had just been answered.
    pub(super) fn begin_calling(&self, now: Instant) {
        self.calling.lock().begin(now);
        self.set_heartbeats(now);
    }

    /// Whether it may ask the others whether it leads.
    pub(super) fn calls(&self, now: Instant) -> bool {
        let is_mute = canary::sings(Canary::WakesMute) && !self.slumber.is_up();
        !is_mute && self.calling.lock().calls(now, &self.timing)
    }

    /// Whether it sends no heartbeats from now on, though others would answer them.
    fn silence(&self, silenced: bool, now: Instant) {
        self.silenced.store(silenced, Ordering::SeqCst);
        self.set_heartbeats(now);
    }

    fn set_heartbeats(&self, now: Instant) {
        self.silent.store(!self.calls(now), Ordering::SeqCst);
        // It is looked at again only then; a turn in which it is silent is no shorter than it has to be.
        let calls = !self.silenced.load(Ordering::SeqCst) && self.calls(now) && self.calls(now + LOOK);
        self.instance.heartbeat(calls);
    }

    /// Whether its turn to campaign comes now.
    fn take_turn(&self) -> bool {
        !self.has_turn.load(Ordering::Relaxed)
            && !self.is_fenced()
            && !self.has_turn.swap(true, Ordering::Relaxed)
    }

    /// Whether it leads, and is mute: nobody has taken over what it was to hand over.
    fn is_mute(&self, now: Instant) -> bool {
        let (role, patience) = (self.role(), self.timing.election_max * 2);
        let asked = *self.transfer.lock();
        role.is_leader
            && asked.is_some_and(|(term, at)| term == role.term && now.duration_since(at) > patience)
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
            let mut turns = 0;
            // Who sleeps is judged as soon as somebody wants something of it.
            for group in host.awake() {
                if turns < TURNS_MAX && group.take_turn() {
                    turns += 1;
                }
                group.judge(&host, now, unsynced);
                if group.is_mute(now) && group.transfer.lock().take().is_some() {
                    host.spawn(start_anew(Arc::clone(&host), group));
                }
            }
        }
    }
}

async fn start_anew(host: Arc<RaftHost>, group: Arc<Group>) {
    let (range_id, replica_id) = (group.range_id, group.replica_id);
    tracing::warn!(range_id, replica_id, "nobody has taken over from a leader, which is started anew");
    if let Err(error) = host.start_anew(&group).await {
        tracing::error!(range_id, replica_id, %error, "the replica cannot be started anew");
        group.fail(error.to_string());
    }
}

/// Hands the leadership over to whoever is fit to lead, once somebody is; where nobody of them takes it, falls silent, so
/// that the others elect one of them.
async fn hand_over(group: Arc<Group>, term: u64) {
    let (range_id, replica_id) = (group.range_id, group.replica_id);
    let leads = || {
        let role = group.role();
        role.is_leader && role.term == term
    };
    while leads() && group.unfit().is_some() {
        if group.successors().await.is_empty() {
            if group.fitness.lock().needed_until.is_none() {
                tracing::warn!(range_id, replica_id, "nobody else is fit to lead: it does what it can");
            }
            group.fitness.lock().needed_until = Some(env::clock::now() + HAND_OVER_AGAIN);
            env::clock::sleep(ASK_AGAIN).await;
            continue;
        }
        group.fitness.lock().needed_until = None;
        match group.hand_over().await {
            Ok(to) => tracing::info!(range_id, replica_id, to, "handed over its leadership"),
            Err(error) => tracing::info!(range_id, replica_id, %error, "its leadership is not taken over"),
        }
        let is_mute = group.is_handing_over(&group.role());
        if leads() && !is_mute {
            // The lease ends with the last acknowledgement, as the others' patience begins; so it need not be revoked.
            group.silence(true, env::clock::now());
            env::clock::sleep(group.timing.election_max * 2).await;
            group.silence(false, env::clock::now());
            if leads() {
                tracing::warn!(range_id, replica_id, "nobody takes over: it does what it can");
                group.fitness.lock().needed_until = Some(env::clock::now() + HAND_OVER_AGAIN);
            }
        }
        break;
    }
    group.fitness.lock().handing_over = false;
}
