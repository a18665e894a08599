//! A store's rounds: it looks at its groups, has those sleep that nobody asks anything, and says to the other stores that it lives.
//!
//! ```text
//! every heartbeat, to each store with replicas that sleep on this store's word, or may:
//!   ─▶ this life of the store; do these sleep? of these the word holds no more
//!   ◀─ the life that answers; these sleep; these sleep no more
//! ```
//! So what a thousand sleeping groups cost is one message each way between two stores. A follower's group is woken as soon as its
//! leader's store is silent for longer than a leader may be; that a follower's store is gone is of no concern to a leader asleep, which
//! has nothing to send: placement learns of it from the node, not from its ranges. A store that is heard and hears nothing could lead
//! nobody: it says so, and that counts as silence.
//!
//! What is closed of a range stands still while it sleeps. To close more its leader would have to prove of each group that a quorum
//! follows it still, which is what sleep saves; and a word between two stores is no such proof, for it does not keep a replica
//! from voting. So who reads later than that at another replica wakes the range, and keeps it awake.

use std::sync::{Arc, Weak};
use std::time::Duration;

use env::clock::Instant;
use proto::{Code, Status, v1};

use super::group::Group;
use super::host::RaftHost;
use super::rounds::{Answer, NAMED_MAX};
use super::sense::malformed;
use super::sleepers::Word;

/// So many groups are woken in a round because their leader's store is silent, and so many leaders because another store has begun anew:
/// all of them at once would keep each other from being elected. One that is asked for something does not wait for its turn.
const WOKEN_MAX: usize = 256;

/// Once in so many rounds a store is told something that does not answer, and whose node gives no sign of life: it may be gone for ever,
/// and what it was told stands until it has answered.
const SILENT_ROUNDS: u32 = 16;

/// In one of so many rounds all who sleep are looked at, though no word is broken and none's role has changed: what else may come, a group
/// does not sleep for ever in vain.
const ALL_ROUNDS: u64 = 16;

impl RaftHost {
    /// Goes its rounds until the store stops; it does not keep the store by itself.
    pub(super) async fn go_rounds(host: Weak<Self>, every: Duration) {
        for round in 0_u64.. {
            env::clock::sleep(every).await;
            let Some(host) = host.upgrade() else { return };
            host.go_round(round % ALL_ROUNDS == 0);
        }
    }

    fn go_round(self: &Arc<Self>, looks_at_all: bool) {
        let now = env::clock::now();
        let silent = self.silent();
        let is_broken = |word: &Word| self.rounds.is_broken(*word, now, self.timing.silence());
        if looks_at_all || self.sleepers.words().iter().any(is_broken) {
            self.wake_in_vain(now);
        }
        metrics::gauge!("nunatak_groups_asleep").set(self.sleepers.count() as f64);
        metrics::gauge!("nunatak_groups_closed").set(self.sleepers.closed() as f64);
        self.close_who_slept(now);
        for group in self.awake() {
            self.rouse_leader(&group);
            let Some(after) = self.rounds.after else { continue };
            let may_sleep = || self.apply.may_sleep(group.range_id);
            for (node_id, asked) in group.ask_for_sleep(now, after, &silent, may_sleep) {
                self.rounds.ask(node_id, asked);
            }
        }
        for node_id in self.rounds.begin(now, &silent, self.timing.heartbeat * SILENT_ROUNDS) {
            let host = Arc::clone(self);
            drop(self.spawn(async move {
                host.tell(node_id).await;
                host.rounds.end(node_id);
            }));
        }
    }

    /// Wakes those, or some of them, who sleep on a word that holds no more.
    fn wake_in_vain(&self, now: Instant) {
        let woken = self.groups().into_iter().filter(|group| group.wake_if_in_vain(now));
        let _ = woken.take(WOKEN_MAX).count();
    }

    /// Has a group that is waking prove that it leads, if it does.
    pub(super) fn rouse_leader(&self, group: &Arc<Group>) {
        if group.must_prove(env::clock::now()) && !group.is_rousing() {
            let group = Arc::clone(group);
            drop(self.spawn(async move { group.rouse().await }));
        }
    }

    /// Says to another store that this one lives, and what has become of the groups that they share.
    async fn tell(self: &Arc<Self>, node_id: u64) {
        let holds = |range_id| self.group(range_id).is_some_and(|group| group.gives_word());
        let (asked, woken) = self.rounds.message(node_id, holds);
        let own = self.addresses.own();
        let Some(store) = self.addresses.find(node_id) else {
            // As long as nobody knows where it is, that is asked once for each question to it, and not in each round.
            if !asked.is_empty() {
                self.addresses.doubt();
            }
            return self.note_untold(node_id, &asked);
        };
        let patience = self.timing.election_min + self.timing.heartbeat;
        let unheard = asked.is_empty() && !self.rounds.has_answered(node_id, env::clock::now(), patience);
        let request = v1::RaftSleepRequest {
            target: Some(v1::RaftTarget {
                cluster_id: self.cluster_id.clone(),
                node_id,
                generation: store.generation,
                from_node_id: own.node_id,
                from_generation: own.generation,
                ..v1::RaftTarget::default()
            }),
            epoch: self.rounds.epoch,
            asked: asked.clone(),
            woken: woken.clone(),
            unheard,
        };
        let service = self.network.connect_urgent(&store.address);
        // So that one message may be lost before anybody takes this store for silent: the next one leaves a round later.
        match env::clock::timeout(self.timing.heartbeat * 3 / 2, service.raft_sleep(request)).await {
            Ok(Ok(response)) => self.note_told(node_id, &asked, &woken, response),
            Ok(Err(status)) => {
                tracing::debug!(node = node_id, %status, "a store does not say what sleeps there");
                if status.code() == Code::Unimplemented {
                    // An older program.
                    self.rounds.forget(node_id);
                }
                self.note_untold(node_id, &asked);
            }
            Err(_) => self.note_untold(node_id, &asked),
        }
    }

    fn note_untold(&self, node_id: u64, asked: &[v1::RaftSleep]) {
        let now = env::clock::now();
        for asked in asked {
            if let Some(group) = self.group(asked.range_id) {
                group.note_refused(node_id, asked.term, now);
            }
        }
    }

    fn note_told(
        &self,
        node_id: u64,
        asked: &[v1::RaftSleep],
        woken: &[u64],
        response: v1::RaftSleepResponse,
    ) {
        let now = env::clock::now();
        let answer = Answer {
            epoch: response.epoch,
            asleep: response.asleep.into_iter().collect(),
            awake: response.awake.into_iter().collect(),
        };
        let asleep = answer.asleep.clone();
        let awake = self.rounds.answered(node_id, now, asked, woken, answer);
        for asked in asked {
            let Some(group) = self.group(asked.range_id) else { continue };
            if asleep.contains(&asked.range_id) {
                group.note_agreed(node_id, asked.term, || self.apply.may_sleep(asked.range_id));
            } else {
                group.note_refused(node_id, asked.term, now);
                if group.leads_asleep(asked.term) {
                    // It sleeps without that replica, whose node was silent.
                    group.wake();
                }
            }
        }
        let awake = awake.into_iter().filter_map(|range_id| self.group(range_id));
        // Those that are left come with the next answer.
        awake.filter(|group| group.gives_word()).take(WOKEN_MAX).for_each(|group| group.wake());
    }

    /// Answers `NodeService::raft_sleep`.
    pub fn on_sleep(&self, request: &v1::RaftSleepRequest) -> Result<v1::RaftSleepResponse, Status> {
        let target = request.target.as_ref().ok_or_else(|| malformed("no target"))?;
        self.check_store(target)?;
        if self.is_stopping() {
            return Err(Status::unavailable("the store is stopping"));
        }
        if request.asked.len() > NAMED_MAX || request.woken.len() > NAMED_MAX {
            return Err(malformed("a store names too many ranges"));
        }
        let (node_id, epoch) = (target.from_node_id, request.epoch);
        if !request.unheard {
            self.rounds.hear(node_id, epoch, env::clock::now());
        }
        for range_id in &request.woken {
            if let Some(group) = self.group(*range_id).filter(|group| group.sleeps_on(node_id)) {
                group.wake();
            }
        }
        let sleeps = |asked: &&v1::RaftSleep| {
            let group = self.group(asked.range_id).filter(|_| self.rounds.after.is_some());
            group.is_some_and(|group| group.sleep_on(asked, node_id, epoch))
        };
        let asleep: Vec<u64> = request.asked.iter().filter(sleeps).map(|asked| asked.range_id).collect();
        let mut awake = self.rounds.take_woken(node_id);
        asleep.iter().for_each(|range_id| {
            awake.remove(range_id);
        });
        Ok(v1::RaftSleepResponse { epoch: self.rounds.epoch, asleep, awake: awake.into_iter().collect() })
    }
}
