//! A group asleep: nobody asks its range anything, all of its replicas hold the same, and none of them has a timer. When that begins and
//! ends is for [`sleep`](super::sleep) to say; what is asked for, and that the stores live, is for [`telling`](super::telling) to
//! carry: a few messages between two stores, however many groups they share.
//!
//! A leader asleep sends no heartbeats. So its lease runs out as any lease does, and from then on it answers nobody, and openraft takes no
//! entry from it, before a quorum has acknowledged it anew: see [`Group::rouse`]. A follower asleep does not campaign. That its
//! leader's group is gone it learns from the store that led it: by a word, by silence, or as another life of it speaks.
//!
//! Who wakes finds that its openraft has heard of nobody for long: a follower's would campaign with its next tick, a leader's takes itself
//! for cut off. So a follower whose leader's store is heard is not to campaign before its leader has had the time to say
//! that it lives, and keeps others waiting that do; and a leader [calls](super::calling) at once, by a heartbeat to each of the others,
//! which gives the lease back, and wakes them. Nothing is written for that.
//!
//! # Invariants
//!
//! Each with what sees to it, and the tests that would miss it (`tests::sleeps`, `sleeping` in `node/tests/kv`, scenario `sleepers`):
//!
//! - A leader sleeps only under its lease, with nothing under way, if all replicas of its range vote and hold the whole log, and those on
//!   nodes that live have applied it, and said since that they sleep. As soon as a node that was silent answers, those leaders wake to which
//!   it has not said so. `Group::is_whole`, [`Apply::may_sleep`](super::apply::Apply::may_sleep), `Group::note_agreed`,
//!   [`Rounds::answered`](super::rounds); `who_has_something_to_do_does_not_sleep`, `whoever_speaks_for_another_has_nobody_sleep`,
//!   `a_leader_that_slept_out_of_reach_hears_of_the_next_one_though_that_one_sleeps`.
//! - Whoever asks a leader for something wakes it: nobody holds a lock, or waits, in a range asleep. [`Group::note_request`];
//!   `who_waits_for_a_lock_of_one_who_is_gone_does_not_wait_in_a_range_asleep`.
//! - Nothing is read, nothing proposed, and no change of replicas or of leaders begun, by a leader that has slept past its lease, before it
//!   holds it again. [`Group::rouse`]; `a_leader_that_slept_answers_nothing_before_it_has_proven_that_it_leads`,
//!   `however_long_it_slept_whoever_wakes_it_finds_its_leader_in_office`.
//! - A follower asleep, or woken just now, neither campaigns nor votes while its leader's store is heard, and does both within 2 s of the
//!   last word. `Group::is_kept`, `Group::sleeps_in_vain`; `a_leader_that_dies_asleep_is_replaced_as_soon_as_any`,
//!   `a_follower_that_cannot_be_reached_by_its_leader_does_not_unseat_it`.
//! - A follower that somebody reads does not sleep: what is closed of a range asleep stands still. [`Group::note_follower_read`],
//!   `Group::sleep_on`; `who_reads_the_past_of_a_follower_all_the_time_keeps_its_range_awake_and_afterwards_it_rests`.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use env::clock::Instant;
use futures::FutureExt as _;
use openraft::async_runtime::WatchReceiver;
use openraft::{Instant as _, ReadPolicy};
use proto::v1;

use super::apply::{LogPoint, Replica};
use super::group::Group;
use super::sleep::{Asleep, Rousing};
use super::sleepers::Word;
use super::types::{log_id, point};
use super::wire::{log_id_from_wire, log_id_to_wire};

/// How long it takes at most until what openraft knows of acknowledgements is known here.
const PUBLISHED: Duration = Duration::from_millis(1);

/// What a leader asks the others before it sleeps: the node of each, and what is asked there.
pub(super) type Asked = Vec<(u64, v1::RaftSleep)>;

impl Group {
    /// Whether it has no timers now: see the module.
    pub fn is_asleep(&self) -> bool {
        self.slumber.is_asleep()
    }

    /// How long it has been asleep, if it is.
    pub fn slept(&self) -> Option<Duration> {
        self.slumber.look(|sleep| sleep.asleep().map(|asleep| asleep.since.elapsed()))
    }

    /// Completes once it is not asleep.
    pub async fn awake(&self) {
        loop {
            let woken = self.slumber.woken.notified();
            if !self.is_asleep() {
                return;
            }
            woken.await;
        }
    }

    /// Somebody asks this replica, which does not lead, for what only a leader does: it does not wait for its turn to campaign, and is
    /// woken if it sleeps on the word of one that is gone.
    pub fn note_asked(&self) {
        self.has_turn.store(true, Ordering::Relaxed);
        self.wake_if_in_vain(env::clock::now());
    }

    /// Wakes it if it sleeps on a word that does not hold any more. Whether it did.
    pub(super) fn wake_if_in_vain(&self, now: Instant) -> bool {
        let wakes = self.is_asleep() && self.sleeps_in_vain(now);
        if wakes {
            self.instance.campaign_once_open();
            self.wake();
        }
        wakes
    }

    /// Somebody has read here what the leader has closed, or would have if that were more. Where it is not enough the range
    /// wakes, for nothing more of it is closed before.
    pub fn note_follower_read(&self, is_enough: bool) {
        self.slumber.note_read();
        if !is_enough && self.is_asleep() {
            self.wake();
        }
    }

    /// Whether this replica sleeps as the leader of `term`.
    pub(super) fn leads_asleep(&self, term: u64) -> bool {
        let leads = |asleep: Asleep| asleep.word == Word::Own && asleep.term == term;
        self.is_asleep() && self.slumber.look(|sleep| sleep.asleep().is_some_and(leads))
    }

    /// Whether this replica leads in `term` as far as it knows, has slept, and has not proven since that it leads still.
    pub(super) fn leads_unproven(&self, term: u64) -> bool {
        let role = self.role();
        !self.slumber.is_up() && role.is_leader && role.term == term
    }

    /// Somebody asks the range something: it wakes, if it sleeps, even if it has its lease still. For what a request leaves behind, as
    /// locks, and who waits, somebody is to look at every now and then. Never waits.
    pub fn note_request(&self) {
        if !self.slumber.note_use() {
            self.wake();
        }
    }

    /// Has it use its timers again, if it sleeps: within a tick its leader calls. It may take until the others' answers that it has
    /// a lease, and until then that its [instance](super::instance) is opened, if that was closed. Never waits.
    pub(super) fn wake(&self) {
        self.slumber.note_use();
        if !self.is_asleep() {
            return;
        }
        let now = env::clock::now();
        let woken = self.slumber.change(|sleep| {
            let woken = sleep.wake(now);
            if woken.is_some() {
                *self.heard.lock() = now;
                let is_kept =
                    sleep.is_kept(now, self.timing.election_max, |node_id| self.hears(node_id, now));
                if is_kept {
                    // Until somebody looks at it again and finds that it is not.
                    self.instance.elect(false);
                }
                self.begin_calling(now);
                self.instance.tick(true);
            }
            woken
        });
        let Some(woken) = woken else { return };
        let _ = self.instance.want();
        self.slumber.woken.notify_waiters();
        metrics::counter!("nunatak_groups_woken_total").increment(1);
        if let Word::Of { node_id, .. } = woken.word {
            self.rounds.note_woken(node_id, self.range_id);
        }
    }

    /// Whether a node's store is heard of as often as one is that lives.
    fn hears(&self, node_id: u64, now: Instant) -> bool {
        self.rounds.hears(node_id, now, self.timing.election_min)
    }

    /// Has it use its timers: somebody is about to use it. If it slept as a leader, returns once it holds its lease again, or soon if that
    /// cannot be; else at once.
    pub async fn rouse(&self) {
        if !self.slumber.note_use() {
            // Apart, for those who find it awake are many, and need no room for this.
            self.wake_and_prove().boxed().await;
        }
    }

    async fn wake_and_prove(&self) {
        self.wake();
        // Whoever has no quorum is not waited for: what comes next finds out.
        let _ = env::clock::timeout(self.timing.election_max, self.prove_awake()).await;
    }

    /// Completes once it holds its lease again, if it was woken as a leader; or if it is not acknowledged as one.
    async fn prove_awake(&self) {
        let mut pauses = pauses(self.timing.heartbeat / 4);
        while self.must_prove(env::clock::now()) {
            let roused = self.slumber.roused.notified();
            let Some(_rousing) = Rousing::begin(&self.slumber) else {
                roused.await;
                continue;
            };
            if !self.ask_quorum().await {
                return;
            }
            if self.must_prove(env::clock::now()) {
                env::clock::sleep(pauses.next().unwrap_or(self.timing.heartbeat)).await;
            }
        }
    }

    /// Sends a heartbeat to each of the others. Whether a quorum has answered it.
    async fn ask_quorum(&self) -> bool {
        let Ok(raft) = self.instance.open().await else { return false };
        self.calls(env::clock::now()) && raft.get_read_linearizer(ReadPolicy::ReadIndex).await.is_ok()
    }

    /// Whether somebody asks the others on behalf of all who wait for it to be proven that this replica leads.
    pub(super) fn is_rousing(&self) -> bool {
        self.slumber.is_rousing()
    }

    /// Whether it was woken as a leader, and has to prove still that it is one.
    pub(super) fn must_prove(&self, now: Instant) -> bool {
        if self.slumber.is_up() || self.is_asleep() {
            return false;
        }
        let role = self.role();
        let holds_lease = role.is_leader && self.lease.is_valid(role.term);
        let patience = self.timing.election_max;
        self.slumber.change(|sleep| sleep.must_prove(now, role.is_leader, holds_lease, patience))
    }

    /// Whether a candidate had better wait: this group slept, its leader lives as far as is known, and has not had the time to say so.
    pub(super) fn is_kept(&self, now: Instant) -> bool {
        let (patience, hears) = (self.timing.election_max, |node_id| self.hears(node_id, now));
        !self.slumber.is_up() && self.slumber.look(|sleep| sleep.is_kept(now, patience, hears))
    }

    /// What came from the group's leader wakes it, but for what may have been on its way as it was asked to sleep.
    pub(super) fn note_append(&self) {
        if self.is_asleep() && self.slept().is_some_and(|slept| slept >= self.timing.election_min) {
            self.wake();
        }
    }

    /// Whether it sleeps on a word that does not hold any more: that of a leader that leads no more or is to hand over, of another term, of
    /// another life of its store, or of one that is silent.
    pub(super) fn sleeps_in_vain(&self, now: Instant) -> bool {
        let Some(asleep) = self.slumber.look(|sleep| sleep.asleep()) else { return false };
        let role = self.role();
        if role.term != asleep.term || role.is_leader != (asleep.word == Word::Own) {
            return true;
        }
        let is_broken = |turn: u32| {
            let patience = self.timing.silence() + self.timing.election_min / 2 * turn;
            self.rounds.is_broken(asleep.word, now, patience)
        };
        match asleep.word {
            Word::Own => self.is_draining(),
            // Whose turn it is costs more to find out than that there is no need.
            Word::Of { .. } => is_broken(0) && is_broken(self.turn(asleep.term)),
        }
    }

    /// This replica's place in the order in which they wake whose leader is silent: one after the other, so that they do not campaign
    /// together.
    fn turn(&self, term: u64) -> u32 {
        let role = self.role();
        let leader = role.leader.filter(|_| role.term == term).map(|leader| leader.replica_id);
        let membership = self.membership();
        let others: Vec<u64> = membership.replicas.keys().copied().filter(|id| Some(*id) != leader).collect();
        let place = others.iter().position(|id| *id == self.replica_id).unwrap_or(0) as u64;
        let count = others.len().max(1) as u64;
        u32::try_from((place + self.range_id) % count).unwrap_or(0)
    }

    /// As its leader: what it asks the others if it has had nothing to do for as long as `after`, and `may_sleep` for all that stands
    /// above it. Nodes that are `silent` are not waited for. Where nobody is, it sleeps.
    pub(super) fn ask_for_sleep(
        &self,
        now: Instant,
        after: Duration,
        silent: &BTreeSet<u64>,
        may_sleep: impl FnOnce() -> bool,
    ) -> Asked {
        if !self.slumber.is_up() {
            return Asked::new();
        }
        let (role, used, read) = (self.role(), self.slumber.take_used(), self.slumber.take_read());
        let Some(applied) = self.applied_point() else { return Asked::new() };
        let is_due = self.slumber.change(|sleep| {
            if read {
                sleep.note_read(now);
            }
            sleep.look(now, after, used, role.is_leader, applied.index)
        });
        if !is_due || !self.is_whole(role.term, applied, silent) || !may_sleep() {
            return Asked::new();
        }
        let membership = self.membership();
        let others = membership.replicas.iter().filter(|(id, _)| **id != self.replica_id);
        let asked: Asked = others
            .map(|(id, store)| {
                let asked = v1::RaftSleep {
                    range_id: self.range_id,
                    replica_id: *id,
                    from_replica_id: self.replica_id,
                    term: role.term,
                    last_log_id: Some(log_id_to_wire(&log_id(applied))),
                };
                (store.node_id, asked)
            })
            .collect();
        let left = asked.iter().map(|(node_id, _)| *node_id).filter(|node_id| !silent.contains(node_id));
        let left = left.collect();
        if self.slumber.change(|sleep| sleep.ask(now, role.term, applied, left)) {
            self.sleep_as_leader(now, role.term, applied);
        }
        asked
    }

    /// Whether it may sleep, as the leader of `term`, if nothing was asked for long: nothing is under way, and all replicas hold what
    /// is applied here, but for those on nodes that are silent.
    fn is_whole(&self, term: u64, applied: LogPoint, silent: &BTreeSet<u64>) -> bool {
        let is_well = self.failure().is_none() && self.damage().is_none() && self.lease.is_valid(term);
        if !is_well || self.is_giving_way(term) || !self.sending.is_empty() {
            return false;
        }
        let metrics = self.metrics();
        let now = metrics.borrow_watched();
        let membership = now.membership_config.membership();
        let [voters] = membership.get_joint_config().as_slice() else { return false };
        // Nobody is asked again and again of whom nothing is heard.
        let lives = |id: &u64| {
            let acked = now.heartbeat.as_ref().and_then(|of| of.get(id).copied().flatten());
            acked.is_some_and(|acked| acked.elapsed() < self.timing.election_max)
        };
        let holds = |id: &u64| {
            let matched = now.replication.as_ref().and_then(|of| of.get(id).copied().flatten());
            matched.as_ref().map(point) == Some(applied)
        };
        now.last_log_index == Some(applied.index)
            && membership.nodes().all(|(id, store)| {
                let is_ready =
                    *id == self.replica_id || silent.contains(&store.node_id) || (holds(id) && lives(id));
                voters.contains(id) && is_ready
            })
    }

    /// Whether it is to lead no more, or is about to hand over what it leads in `term`.
    pub(super) fn is_giving_way(&self, term: u64) -> bool {
        self.is_draining() || self.is_unfit() || self.transfer.lock().is_some_and(|(asked, _)| asked == term)
    }

    /// [`Group::near`] of a leader that sleeps, or has woken and heard nobody yet: all hold all of it, but for those on nodes that are silent.
    pub(super) fn near_asleep(&self) -> BTreeSet<u64> {
        let (now, membership) = (env::clock::now(), self.membership());
        let answers = |node_id: u64| self.rounds.has_answered(node_id, now, self.timing.election_max);
        let near = membership.replicas.iter();
        let near = near.filter(|(id, store)| **id == self.replica_id || answers(store.node_id));
        near.map(|(id, _)| *id).collect()
    }

    /// The replica on a node sleeps; this one does, too, once all do that were asked, if it `may_sleep`.
    pub(super) fn note_agreed(&self, node_id: u64, term: u64, may_sleep: impl FnOnce() -> bool) {
        let Some(last) = self.slumber.change(|sleep| sleep.agreed(node_id, term)) else { return };
        if !self.is_giving_way(term) && may_sleep() {
            self.sleep_as_leader(env::clock::now(), term, last);
        } else {
            self.slumber.note_use();
        }
    }

    /// The replica on a node does not sleep, or does not say so.
    pub(super) fn note_refused(&self, node_id: u64, term: u64, now: Instant) {
        self.slumber.change(|sleep| sleep.refused(node_id, term, now));
    }

    fn sleep_as_leader(&self, now: Instant, term: u64, last: LogPoint) {
        let role = self.role();
        if !role.is_leader || role.term != term || self.applied_point() != Some(last) {
            return;
        }
        self.fall_asleep(Asleep { word: Word::Own, term, since: now });
        if self.wake_if_in_vain(now) {
            return;
        }
        let newest = self.metrics().borrow_watched().last_log_index;
        if self.slumber.is_used() || newest != Some(last.index) {
            self.wake();
        }
    }

    fn fall_asleep(&self, asleep: Asleep) {
        self.slumber.change(|sleep| {
            sleep.fall_asleep(asleep);
            self.instance.tick(false);
        });
        metrics::counter!("nunatak_groups_slept_total").increment(1);
    }

    /// As a follower: sleeps because its leader asks for it, if it holds the same; whether it does.
    pub(super) fn sleep_on(&self, asked: &v1::RaftSleep, node_id: u64, epoch: u64) -> bool {
        let role = self.role();
        let leads =
            |leader: &Replica| leader.replica_id == asked.from_replica_id && leader.store.node_id == node_id;
        let Some(last) = asked.last_log_id.as_ref().map(|id| point(&log_id_from_wire(id))) else {
            return false;
        };
        let (now, after) = (env::clock::now(), self.rounds.after.unwrap_or_default());
        let is_read = self.slumber.is_read() || self.slumber.look(|sleep| sleep.is_read(now, after));
        let is_same = {
            let metrics = self.metrics();
            let now = metrics.borrow_watched();
            let is_joint = now.membership_config.membership().get_joint_config().len() > 1;
            !is_joint && now.last_log_index == Some(last.index)
        };
        let agrees = self.replica_id == asked.replica_id
            && role.term == asked.term
            && !role.is_leader
            && role.leader.as_ref().is_some_and(leads)
            && is_same
            && !is_read
            && self.applied_point() == Some(last)
            && !self.is_fenced()
            && self.failure().is_none()
            && !self.receiving.load(Ordering::Acquire);
        if agrees {
            let word = Word::Of { node_id, epoch };
            self.fall_asleep(Asleep { word, term: asked.term, since: now });
            // What its role has become meanwhile has found it awake.
            return !self.wake_if_in_vain(now);
        }
        if asked.replica_id == self.replica_id && asked.term > role.term {
            // Another one was elected while this one slept, maybe as its leader.
            self.wake();
        }
        false
    }

    /// Whether it sleeps on the word of a node's store.
    pub(super) fn sleeps_on(&self, node_id: u64) -> bool {
        let is = |asleep: Asleep| matches!(asleep.word, Word::Of { node_id: of, .. } if of == node_id);
        self.slumber.look(|sleep| sleep.asleep().is_some_and(is))
    }

    /// Whether what it was asked to sleep with still holds: it leads, and sleeps or is about to.
    pub(super) fn gives_word(&self) -> bool {
        let gives = |asleep: Asleep| asleep.word == Word::Own;
        self.slumber.look(|sleep| sleep.is_asking() || sleep.asleep().is_some_and(gives))
    }
}

/// How long whoever proves that it leads waits after each time that it has asked the others, and they have answered: longer and longer, for
/// what they answered may count for nothing yet. So it is for a leader that was about to hand over, until its lease may be had again.
fn pauses(most: Duration) -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(PUBLISHED), move |pause| Some((*pause * 2).min(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_answered_in_vain_asks_less_and_less_often() {
        let ms = Duration::from_millis;
        let first: Vec<Duration> = pauses(ms(20)).take(7).collect();
        assert_eq!(first, [1, 2, 4, 8, 16, 20, 20].map(ms));
    }
}
