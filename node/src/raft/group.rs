//! One replica of one range: what the range layer holds of its consensus group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use env::canary::{self, Canary};
use env::clock::Instant;
use env::watch;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::RaftError as ApiError;
use openraft::errors::{ClientWriteError, Fatal, ForwardToLeader, LinearizableReadError};
use openraft::raft::{ClientWriteResult, Precondition};
use openraft::{ChangeMembers, Instant as _, RaftMetrics, ReadPolicy, ServerState};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::acks::{Acks, Moment};
use super::apply::{LogPoint, Membership, Replica, Store};
use super::calling::Calling;
use super::closed::{Closed, Closings};
use super::fitness::Fitness;
use super::group_log::GroupLog;
use super::instance::{Instance, NotOpen};
use super::lease::Lease;
use super::neighbours::Neighbours;
use super::options::RaftTiming;
use super::progress::Progress;
use super::responder::Settler;
use super::role::{ChangeError, ProposeError, Proposed, Role};
use super::rounds::Rounds;
use super::sending::Sending;
use super::sleep::Slumber;
use super::types::{Command, Types, Vote, log_id, membership, point};

/// How long a new replica may get nothing, or its first snapshot, before it is given up.
const CATCH_UP_MAX: Duration = Duration::from_secs(90);

/// How often that is looked at.
const CATCH_UP_TICK: Duration = Duration::from_millis(50);

/// Who lacks no more entries than this is near enough to vote.
const NEAR: u64 = 1024;

/// How long a target of a transfer may take to hold the whole log.
const MATCH_MAX: Duration = Duration::from_secs(2);

/// One replica of one range.
pub struct Group {
    pub(super) range_id: u64,
    pub(super) replica_id: u64,
    /// Its openraft, or what is known of it while it has none.
    pub(super) instance: Arc<Instance>,
    pub(super) log: Arc<GroupLog>,
    pub(super) neighbours: Arc<Neighbours>,
    pub(super) progress: Arc<Progress>,
    pub(super) acks: Arc<Acks>,
    /// Up to when the range is closed.
    pub(super) closings: Arc<Closings>,
    pub(super) lease: Arc<Lease>,
    pub(super) role: watch::Receiver<Role>,
    pub(super) applied: watch::Receiver<Option<LogPoint>>,
    pub(super) timing: RaftTiming,
    /// Until then it does not vote: it was here before it was started, and may have granted a lease that is forgotten now.
    pub(super) fenced_until: Option<Instant>,
    /// It was not here before, or its turn to campaign has come since it was started.
    pub(super) has_turn: AtomicBool,
    /// The term whose leadership was last asked to be handed over, and when: from then on that term proposes nothing and
    /// sends no heartbeats.
    pub(super) transfer: Mutex<Option<(u64, Instant)>>,
    /// When a leader was last heard of; while it leads, itself.
    pub(super) heard: Mutex<Instant>,
    /// Whether it is fit to lead.
    pub(super) fitness: Mutex<Fitness>,
    /// It is not, though others could be.
    pub(super) unfit: AtomicBool,
    /// Whether it calls, as a leader that nobody answers.
    pub(super) calling: Mutex<Calling>,
    /// Whether it does not, told to what sends for it.
    pub(super) silent: Arc<AtomicBool>,
    /// It sends no heartbeats, so that the others elect one of them.
    pub(super) silenced: AtomicBool,
    /// Its node leads nothing new. What it leads it goes on leading until somebody has taken over.
    pub(super) draining: AtomicBool,
    /// Why it was given up, once it was.
    pub(super) failure: Mutex<Option<String>>,
    /// A snapshot is being received.
    pub(super) receiving: AtomicBool,
    /// Counts the snapshots being sent.
    pub(super) sending: Arc<Sending>,
    /// Whether it sleeps.
    pub(super) slumber: Arc<Slumber>,
    /// What its store hears of the others while it does.
    pub(super) rounds: Arc<Rounds>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("range_id", &self.range_id)
            .field("replica_id", &self.replica_id)
            .finish()
    }
}

impl Group {
    /// The range.
    pub fn range_id(&self) -> u64 {
        self.range_id
    }

    /// This replica's id within the range.
    pub fn replica_id(&self) -> u64 {
        self.replica_id
    }

    /// Has `command` logged by a quorum and applied here. Refused unless this replica leads in `term`, so that what
    /// was evaluated under one term is never proposed in another.
    pub async fn propose_in(&self, term: u64, command: Bytes) -> Result<Proposed, ProposeError> {
        self.write(Some(term), command).await
    }

    /// As [`Group::propose_in`], in whatever term this replica leads.
    pub async fn propose(&self, command: Bytes) -> Result<Proposed, ProposeError> {
        self.write(None, command).await
    }

    async fn write(&self, term: Option<u64>, command: Bytes) -> Result<Proposed, ProposeError> {
        let (answer, answered) = oneshot::channel();
        // Whoever has gone away needs no answer.
        self.propose_with(term, command, |proposed| drop(answer.send(proposed))).await?;
        answered.await.unwrap_or_else(|_| Err(unknown()))
    }

    /// Hands a command on, to be logged by a quorum and applied here; refused as by [`Group::propose_in`] if a term is named.
    /// Once this has returned without an error, `settle` is called exactly once with what became of it, whoever has gone
    /// away meanwhile: on threads that it must not hold up, and after its effects can be read here. If it returns an error,
    /// or is dropped before, nothing was proposed.
    pub async fn propose_with(
        &self,
        term: Option<u64>,
        command: Bytes,
        settle: impl FnOnce(Result<Proposed, ProposeError>) + Send + 'static,
    ) -> Result<(), ProposeError> {
        // openraft takes nothing from a leader whose lease has run out.
        self.rouse().await;
        let raft = self.instance.open().await.map_err(unopened)?;
        let following = self.log.followed().follow(&command);
        let settler = Settler::new(move |written| {
            drop(following);
            settle(written.map_or_else(|| Err(unknown()), outcome));
        });
        let mut request = raft.write(Command(command)).responder(settler);
        if let Some(term) = term {
            request = request.with_leader(term);
        }
        request.await.map_err(fatal)
    }

    /// The replica's place in the group now.
    pub fn role(&self) -> Role {
        self.role.borrow().clone()
    }

    /// Follows [`Group::role`].
    pub fn watch(&self) -> watch::Receiver<Role> {
        self.role.clone()
    }

    /// Whether this replica leads in `term` and may answer reads now without asking the others. Never waits. It counts as a use.
    pub fn lease_valid(&self, term: u64) -> bool {
        self.slumber.note_use();
        self.holds_lease(term)
    }

    /// As [`Group::lease_valid`], for who wants nothing of the range.
    pub fn holds_lease(&self, term: u64) -> bool {
        self.lease.is_valid(term) || (canary::sings(Canary::SleepsWithLease) && self.leads_unproven(term))
    }

    /// Proves by a round to a quorum that this replica leads still, and waits until all that was committed before the
    /// call is applied here. The term in which it was proven to lead.
    pub async fn read_index(&self) -> Result<u64, ProposeError> {
        self.rouse().await;
        if self.role().is_leader && !self.calls(env::clock::now()) {
            // Nobody answers: who hears it would only elect nobody.
            return Err(ProposeError::NotLeader { leader: None });
        }
        let raft = self.instance.open().await.map_err(unopened)?;
        let asked = self.acks.now();
        match raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(read) => {
                // A leader reads at the blank of its term or later.
                let at = point(read.read_log_id().log_id());
                self.proven_since(asked, at.term).await?;
                self.wait_applied(at.index).await.map(|()| at.term)
            }
            Err(ApiError::APIError(LinearizableReadError::ForwardToLeader(to))) => Err(self.not_leader(&to)),
            Err(ApiError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
                Err(ProposeError::NotLeader { leader: None })
            }
            Err(ApiError::Fatal(error)) => Err(fatal(error)),
        }
    }

    /// Waits until a quorum has acknowledged this replica as the leader of `term` by what left after `asked`. For openraft what
    /// was made after it is enough, though a quorum may have answered to what left before: see [`Acks`].
    async fn proven_since(&self, asked: Moment, term: u64) -> Result<(), ProposeError> {
        let mut role = self.role.clone();
        let proven = async {
            loop {
                let noted = self.acks.noted();
                let now = role.borrow_and_update().clone();
                if now.term > term {
                    return Err(ProposeError::NotLeader { leader: now.leader });
                }
                if self.is_proven(asked, term) {
                    return Ok(());
                }
                tokio::select! {
                    biased;
                    () = noted => {}
                    changed = role.changed() => changed.map_err(|_| stopped())?,
                }
            }
        };
        let in_time = env::clock::timeout(self.timing.election_max, proven).await;
        in_time.unwrap_or(Err(ProposeError::NotLeader { leader: None }))
    }

    fn is_proven(&self, asked: Moment, term: u64) -> bool {
        let metrics = self.metrics();
        let now = metrics.borrow_watched();
        let configs = now.membership_config.membership().get_joint_config();
        self.acks.is_proven(term, self.replica_id, configs, asked)
    }

    /// Waits until an entry of `term` is applied here, its blank at first: all earlier terms' entries are then too.
    /// An error if the term ends before.
    pub async fn wait_term_applied(&self, term: u64) -> Result<(), ProposeError> {
        let mut role = self.role.clone();
        let mut applied = self.applied.clone();
        loop {
            if applied.borrow_and_update().is_some_and(|point| point.term >= term) {
                return Ok(());
            }
            let now = role.borrow_and_update().clone();
            if now.term > term {
                return Err(ProposeError::NotLeader { leader: now.leader });
            }
            tokio::select! {
                biased;
                changed = applied.changed() => changed.map_err(|_| stopped())?,
                changed = role.changed() => changed.map_err(|_| stopped())?,
            }
        }
    }

    /// The index of the newest entry whose effects can be read here; 0 when there is none.
    pub fn applied_index(&self) -> u64 {
        self.applied_point().map_or(0, |point| point.index)
    }

    /// The newest entry whose effects can be read here.
    pub fn applied_point(&self) -> Option<LogPoint> {
        *self.applied.borrow()
    }

    /// Waits until the entry at `index` is applied here.
    pub async fn wait_applied(&self, index: u64) -> Result<(), ProposeError> {
        let mut applied = self.applied.clone();
        applied
            .wait_for(|point| point.is_some_and(|point| point.index >= index))
            .await
            .map(|_| ())
            .map_err(|_| stopped())
    }

    /// This replica has closed a timestamp as the leader of `term`: the others hear of it.
    pub fn close(&self, term: u64, closed: Closed) {
        self.closings.close(term, closed);
    }

    /// What it has closed as the leader of `term`.
    pub fn closed_in(&self, term: u64) -> Option<Closed> {
        self.closings.told(term)
    }

    /// What is closed, whoever has done so, and applied here.
    pub fn closed(&self) -> Option<Closed> {
        self.closings.usable(self.applied_index())
    }

    /// The leader with `vote` says what it has closed.
    pub(super) fn hear_closed(&self, vote: &Vote, closed: Closed) {
        if self.metrics().borrow_watched().vote == *vote {
            self.closings.hear(closed);
        }
    }

    /// Who replicates the range, by the newest entry in the log here, committed or not.
    pub fn membership(&self) -> Membership {
        membership(self.metrics().borrow_watched().membership_config.membership())
    }

    /// The index of the entry that [`Group::membership`] is from; 0 if there is none.
    pub fn membership_index(&self) -> u64 {
        self.metrics().borrow_watched().membership_config.log_id().map_or(0, |id| id.index())
    }

    /// Whether `replica_id` belongs to the range as far as this replica knows, and is held by `node_id`.
    pub(super) fn knows(&self, replica_id: u64, node_id: u64) -> bool {
        let metrics = self.metrics();
        let known = metrics.borrow_watched();
        let store = known.membership_config.membership().get_node(&replica_id);
        store.is_some_and(|store| store.node_id == node_id)
    }

    /// The entry that [`Group::membership`] is from: what a change is decided upon, and made on condition of.
    pub fn membership_point(&self) -> Option<LogPoint> {
        self.metrics().borrow_watched().membership_config.log_id().as_ref().map(point)
    }

    /// Adds a replica that does not vote, if the membership is still the one of `known`; where it stands then.
    /// `replica_id` was never used in the range. It may take long until the replica has caught up.
    pub async fn add_learner(
        &self,
        replica_id: u64,
        store: Store,
        known: Option<LogPoint>,
    ) -> Result<LogPoint, ChangeError> {
        self.change(ChangeMembers::AddNodes(BTreeMap::from([(replica_id, store)])), true, known).await
    }

    /// Makes exactly `voters` the voters, through joint consensus, if the membership is still the one of `known`. All of
    /// them are learners or voters already; who votes no more leaves the range. Stops half way, joint, if leadership is
    /// lost in between: [`Group::finish_change`].
    pub async fn change_voters(
        &self,
        voters: Vec<u64>,
        known: Option<LogPoint>,
    ) -> Result<LogPoint, ChangeError> {
        self.change(ChangeMembers::ReplaceAllVoters(voters.into_iter().collect()), false, known).await
    }

    /// Removes a learner from the range, if the membership is still the one of `known`.
    pub async fn remove_learner(
        &self,
        replica_id: u64,
        known: Option<LogPoint>,
    ) -> Result<LogPoint, ChangeError> {
        self.change(ChangeMembers::RemoveNodes(BTreeSet::from([replica_id])), true, known).await
    }

    /// Brings a change of voters to its end that another leader, or an earlier term of this one, has left half done:
    /// towards the new set if a quorum of it is near, else back to the old one. Nothing if none is under way.
    pub async fn finish_change(&self) -> Result<(), ChangeError> {
        // What is decided holds for this configuration, whichever comes while it is.
        let (membership, known) = {
            let metrics = self.metrics();
            let now = metrics.borrow_watched();
            let config = &now.membership_config;
            (membership(config.membership()), config.log_id().as_ref().map(point))
        };
        let [old, new] = membership.configs.as_slice() else { return Ok(()) };
        self.settled().await?;
        let near = self.near();
        let all = |voters: &BTreeSet<u64>| voters.is_subset(&near);
        let quorum = |voters: &BTreeSet<u64>| voters.intersection(&near).count() > voters.len() / 2;
        let towards = match (all(new), all(old), quorum(new), quorum(old)) {
            (true, ..) => new,
            (_, true, ..) => old,
            (_, _, true, _) => new,
            (.., true) => old,
            _ => return Err(ChangeError::Refused("neither set of voters has a quorum near".to_owned())),
        };
        self.change_voters(towards.iter().copied().collect(), known).await.map(drop)
    }

    /// The replicas that live and hold almost all of the log, this one among them, as far as their leader knows.
    pub fn near(&self) -> BTreeSet<u64> {
        if self.leads_unproven(self.role().term) {
            return self.near_asleep();
        }
        let metrics = self.metrics();
        let now = metrics.borrow_watched();
        let last = now.last_log_index.unwrap_or(0);
        let (matched, acked) = (now.replication.as_ref(), now.heartbeat.as_ref());
        let is_near = |id: &u64| {
            let lives = acked.and_then(|of| of.get(id).copied().flatten());
            let holds = matched.and_then(|of| of.get(id).copied().flatten());
            *id == self.replica_id
                || (lives.is_some_and(|acked| acked.elapsed() < self.timing.election_max)
                    && holds.is_some_and(|id| id.index() + NEAR >= last))
        };
        now.membership_config.membership().nodes().map(|(id, _)| *id).filter(is_near).collect()
    }

    async fn change(
        &self,
        change: ChangeMembers<u64, Store>,
        retain: bool,
        known: Option<LogPoint>,
    ) -> Result<LogPoint, ChangeError> {
        self.settled().await?;
        let on_condition = Precondition::LastMembershipLogId { last_membership_log_id: known.map(log_id) };
        self.rouse().await;
        let raft = self.instance.open().await.map_err(unopened_to_change)?;
        self.lease.restart();
        let changed = raft.change_membership_if(change, retain, [on_condition]).await;
        self.lease.restart();
        changed.map(|changed| point(&changed.log_id)).map_err(unchanged)
    }

    /// Waits until a replica holds what the range has applied by now; gives up once it has got nothing for long.
    pub async fn wait_caught_up(&self, replica_id: u64) -> Result<(), ChangeError> {
        let index = self.applied_index();
        let matched =
            || self.progress().into_iter().find(|(id, _)| *id == replica_id).and_then(|(_, matched)| matched);
        let (mut before, mut since) = (None, env::clock::now());
        loop {
            let now = matched();
            if now.is_some_and(|matched| matched >= index) {
                return Ok(());
            }
            if now != before {
                (before, since) = (now, env::clock::now());
            }
            if !self.role().is_leader {
                return Err(ChangeError::NotLeader { leader: self.role().leader });
            }
            if env::clock::now().duration_since(since) > CATCH_UP_MAX {
                return Err(ChangeError::Refused(format!("replica {replica_id} does not catch up")));
            }
            env::clock::sleep(CATCH_UP_TICK).await;
        }
    }

    /// Hands leadership to the voter `replica_id` and returns once this replica has stepped down. Until then, and from
    /// the call on, it holds no lease.
    pub async fn transfer_leader(&self, replica_id: u64) -> Result<(), ChangeError> {
        let role = self.role();
        if !role.is_leader {
            return Err(ChangeError::NotLeader { leader: role.leader });
        }
        if replica_id == self.replica_id {
            return Ok(());
        }
        if !self.membership().is_voter(replica_id) {
            return Err(ChangeError::Refused(format!("replica {replica_id} does not vote")));
        }
        self.rouse().await;
        self.check_fit(replica_id).await?;
        self.transfer(replica_id, &role).await
    }

    /// Hands leadership to whoever is best fit to lead; to whom.
    pub async fn hand_over(&self) -> Result<u64, ChangeError> {
        let role = self.role();
        if !role.is_leader {
            return Err(ChangeError::NotLeader { leader: role.leader });
        }
        self.rouse().await;
        self.wait_known().await;
        for replica_id in self.successors().await {
            match self.transfer(replica_id, &role).await {
                Ok(()) => return Ok(replica_id),
                // Nobody else can be asked then: whoever is elected is.
                Err(error) if self.is_handing_over(&role) => return Err(error),
                Err(error @ (ChangeError::NotLeader { .. } | ChangeError::Fatal(_))) => return Err(error),
                Err(error) => {
                    tracing::info!(range_id = self.range_id, replica_id, %error, "does not take over");
                }
            }
        }
        Err(ChangeError::Refused("no other replica is known to be fit to lead".to_owned()))
    }

    /// Who could lead in this replica's place, whatever becomes of a change of voters: those who say that they are fit to,
    /// first who lacks least of the log.
    pub(super) async fn successors(&self) -> Vec<u64> {
        let membership = self.membership();
        let mut others = self.progress();
        others.retain(|(id, matched)| {
            matched.is_some() && membership.configs.iter().all(|config| config.contains(id))
        });
        others.sort_by_key(|(id, matched)| std::cmp::Reverse((*matched, *id)));
        let fit =
            others.into_iter().map(|(id, _)| async move { self.check_fit(id).await.is_ok().then_some(id) });
        futures::future::join_all(fit).await.into_iter().flatten().collect()
    }

    /// Refuses a replica whose store does not say that it is fit to lead.
    async fn check_fit(&self, replica_id: u64) -> Result<(), ChangeError> {
        let refused = |what: String| ChangeError::Refused(format!("replica {replica_id} {what}"));
        let Some(store) = self.membership().replicas.get(&replica_id).copied() else {
            return Err(refused("is unknown".to_owned()));
        };
        match self.neighbours.ask(self.range_id, store.node_id).await {
            Err(status) => Err(refused(format!("cannot be asked: {}", status.message()))),
            Ok(Some(held)) if held.replica_id == replica_id => {
                match (held.failure.as_str(), held.unfit.as_str()) {
                    ("", "") => Ok(()),
                    ("", why) | (why, _) => Err(refused(format!("is not fit to lead: {why}"))),
                }
            }
            Ok(_) => Err(refused("is not where it should be".to_owned())),
        }
    }

    /// Whether leadership of the term of `role` was asked to be handed over, and is still here.
    pub(super) fn is_handing_over(&self, role: &Role) -> bool {
        let now = self.role();
        let asked = self.transfer.lock().is_some_and(|(term, _)| term == role.term);
        asked && now.is_leader && now.term == role.term
    }

    async fn transfer(&self, replica_id: u64, role: &Role) -> Result<(), ChangeError> {
        if self.is_handing_over(role) {
            return Err(ChangeError::Refused("leadership is being handed over already".to_owned()));
        }
        self.wait_matched(replica_id).await?;
        self.wake();
        let raft = self.instance.open().await.map_err(unopened_to_change)?;
        self.lease.revoke(role.term);
        *self.transfer.lock() = Some((role.term, env::clock::now()));
        raft.trigger().transfer_leader(replica_id).await.map_err(change_fatal)?;
        let mut roles = self.role.clone();
        let stepped_down = |now: &Role| now.term > role.term || !now.is_leader;
        let patience = self.timing.election_max * 2;
        let waited = async { roles.wait_for(stepped_down).await.map(|_| ()) };
        if let Ok(changed) = env::clock::timeout(patience, waited).await {
            return changed.map_err(|_| ChangeError::Fatal("stopped".to_owned()));
        }
        // A leader that hands over proposes nothing and sends no heartbeats any more: the others will elect one, or its
        // store starts it anew.
        Err(ChangeError::Refused(format!("replica {replica_id} did not take over")))
    }

    /// Waits until this leader has committed in its term: before that no change may begin.
    async fn settled(&self) -> Result<(), ChangeError> {
        self.rouse().await;
        let role = self.role();
        if !role.is_leader {
            return Err(ChangeError::NotLeader { leader: role.leader });
        }
        self.wait_term_applied(role.term).await.map_err(|error| match error {
            ProposeError::NotLeader { leader } => ChangeError::NotLeader { leader },
            error => ChangeError::Fatal(error.to_string()),
        })
    }

    /// Waits until `replica_id` is known to live and to hold the log up to its end, or almost: the transfer itself
    /// waits for the rest.
    async fn wait_matched(&self, replica_id: u64) -> Result<(), ChangeError> {
        let _open = self.instance.open().await.map_err(unopened_to_change)?;
        let mut metrics = self.metrics();
        let matched = async {
            loop {
                {
                    let now = metrics.borrow_watched();
                    if now.state != ServerState::Leader {
                        return Err(ChangeError::NotLeader { leader: self.role().leader });
                    }
                    let last = now.last_log_index.unwrap_or(0);
                    let matched =
                        now.replication.as_ref().and_then(|of| of.get(&replica_id).copied().flatten());
                    let acked = now.heartbeat.as_ref().and_then(|of| of.get(&replica_id).copied().flatten());
                    let lives = acked.is_some_and(|acked| acked.elapsed() < self.timing.election_min);
                    if lives && matched.is_some_and(|id| id.index() + 16 >= last) {
                        return Ok(());
                    }
                }
                metrics.changed().await.map_err(|_| ChangeError::Fatal("stopped".to_owned()))?;
            }
        };
        match env::clock::timeout(MATCH_MAX, matched).await {
            Ok(matched) => matched,
            Err(_) => Err(ChangeError::Refused(format!("replica {replica_id} is behind"))),
        }
    }

    /// Waits until it is known of any other replica what it holds: a leader that was opened just now has to find that out. Not for
    /// long.
    async fn wait_known(&self) {
        let mut metrics = self.metrics();
        let is_unknown = || self.progress().iter().all(|(_, matched)| matched.is_none());
        let known = async { while is_unknown() && metrics.changed().await.is_ok() {} };
        let _ = env::clock::timeout(self.timing.heartbeat, known).await;
    }

    /// For each other replica the index up to which it is known to hold the log, while this replica leads.
    pub fn progress(&self) -> Vec<(u64, Option<u64>)> {
        let metrics = self.metrics();
        let now = metrics.borrow_watched();
        match &now.replication {
            Some(targets) if now.state == ServerState::Leader => targets
                .iter()
                .filter(|(id, _)| **id != self.replica_id)
                .map(|(id, matched)| (*id, matched.map(|id| id.index())))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Why the replica was given up, once it was: it has stopped, and stopped again after it was started once more; or it has slept and
    /// could not be opened.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().clone().or_else(|| self.instance.failure())
    }

    /// Gives the replica up.
    pub(super) fn fail(&self, why: String) {
        self.failure.lock().get_or_insert(why);
    }

    /// How many bytes of log the range has in the shared log.
    pub fn log_bytes(&self) -> u64 {
        self.log.log_bytes()
    }

    /// Whether this replica must not vote yet: it may have granted a lease before it was started.
    pub(super) fn is_fenced(&self) -> bool {
        !canary::sings(Canary::LeaseWithoutFence)
            && self.fenced_until.is_some_and(|until| env::clock::now() < until)
            && !self.is_sole_voter()
    }

    /// Whether this replica alone decides.
    pub(super) fn is_sole_voter(&self) -> bool {
        match self.membership().configs.as_slice() {
            [only] => only.len() == 1 && only.contains(&self.replica_id),
            _ => false,
        }
    }

    /// What openraft publishes, or has published last.
    pub(super) fn metrics(&self) -> WatchReceiverOf<Types, RaftMetrics<Types>> {
        self.instance.metrics()
    }

    fn not_leader(&self, to: &ForwardToLeader<Types>) -> ProposeError {
        ProposeError::NotLeader { leader: leader_of(to) }
    }
}

/// What became of a write.
fn outcome(written: ClientWriteResult<Types>) -> Result<Proposed, ProposeError> {
    match written {
        Ok(written) => Ok(Proposed {
            index: written.log_id.index(),
            term: **written.log_id.committed_leader_id(),
            reply: written.data,
        }),
        Err(ClientWriteError::ForwardToLeader(to)) => Err(ProposeError::NotLeader { leader: leader_of(&to) }),
        Err(ClientWriteError::LogEntryDiscarded(_)) => Err(ProposeError::Ambiguous),
        Err(error) => Err(ProposeError::Fatal(error.to_string())),
    }
}

/// The group has ended, and nobody knows.
fn unknown() -> ProposeError {
    ProposeError::Fatal("stopped with the command on its way".to_owned())
}

fn unchanged(error: ApiError<Types, ClientWriteError<Types>>) -> ChangeError {
    match error {
        ApiError::Fatal(error) => change_fatal(error),
        ApiError::APIError(ClientWriteError::ForwardToLeader(to)) => {
            ChangeError::NotLeader { leader: leader_of(&to) }
        }
        ApiError::APIError(ClientWriteError::LogEntryDiscarded(error)) => {
            ChangeError::Ambiguous(error.to_string())
        }
        ApiError::APIError(error) => ChangeError::Refused(error.to_string()),
    }
}

fn leader_of(to: &ForwardToLeader<Types>) -> Option<Replica> {
    let replica_id = to.leader_id?;
    Some(Replica { replica_id, store: to.leader_node?, voter: true })
}

fn fatal(error: Fatal<Types>) -> ProposeError {
    ProposeError::Fatal(error.to_string())
}

fn change_fatal(error: Fatal<Types>) -> ChangeError {
    ChangeError::Fatal(error.to_string())
}

fn stopped() -> ProposeError {
    ProposeError::Fatal("stopped".to_owned())
}

fn unopened(error: NotOpen) -> ProposeError {
    match error {
        // Nothing was proposed: whoever asks again may find it open.
        NotOpen::Late => ProposeError::NotLeader { leader: None },
        NotOpen::Ended(why) => ProposeError::Fatal(why),
    }
}

fn unopened_to_change(error: NotOpen) -> ChangeError {
    match error {
        NotOpen::Late => ChangeError::Refused(error.to_string()),
        NotOpen::Ended(why) => ChangeError::Fatal(why),
    }
}
