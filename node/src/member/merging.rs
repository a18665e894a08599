//! Merges: the leader of the range on the left has its right neighbour taken over, or sees to it that what was begun is undone.
//!
//! 1. The replicas of the right range are moved to the stores of the left one's, as any replica is.
//! 2. The left range writes down that it begins.
//! 3. The right range's leader freezes it.
//! 4. Each of its stores says that this is applied there, and on its disk. From then on it is the same on all of them whatever
//!    becomes of its leaders, of its group, or of their processes.
//! 5. The left range takes it over: an entry of its log, which each store applies for itself.
//! 6. Each store drops what is left of the right range's replica: its log and its place in its group.
//!
//! Whoever leads a range in whose state a merge stands that nobody goes on with aborts it, thaws the other range, and forgets
//! it. A store that was away meanwhile applies the entry later, or is sent a snapshot that takes the right range over here, too.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use proto::v1::{
    ChangeReplicasRequest, Horizon, MergeRequest, MergeResponse, Neighbour, NodeDescriptor, NodeState,
    RangeDescriptor, RangeMerge, RangeState, SubsumeRequest, SubsumeResponse, SubsumeStep,
};
use proto::{Code, Status};

use super::Member;
use super::split::check_key;
use crate::error::NodeError;
use crate::range::map::RangeMap;
use crate::range::state::{FORMAT_MERGES, contains, descriptor, is_held};
use crate::range::{Refusal, Replica, erased, kept, merge};
use crate::root::ROOT_RANGE;

/// For how long nothing may come of a merge.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long ago it was heard at most what is kept for longer. Who hears that no more goes no further himself, but others do.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// How long before it is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// How long the leader of the left range may take that the request is passed on to.
const PASSED_ON: Duration = Duration::from_secs(25);

/// How long a node may take for one step.
const STEP: Duration = Duration::from_secs(6);

/// How long all steps of one may take together, before it is undone.
const UNITING: Duration = Duration::from_secs(16);

/// How long a store waits until it has applied that the range is frozen.
const APPLYING: Duration = Duration::from_secs(5);

/// How often that is looked at.
const APPLYING_TICK: Duration = Duration::from_millis(20);

/// How often it is looked for merges that nobody goes on with, and for what they have left here.
const TICK: Duration = Duration::from_millis(500);

/// Once in so many looks those are looked at, too, who sleep: they may have been taken over by a range that does not.
const ALL_TICKS: u64 = 4;

impl Member {
    /// Has no range begin at the key. Done again it does nothing.
    pub(crate) async fn merge(self: &Arc<Self>, request: MergeRequest) -> Result<MergeResponse, Status> {
        check_key(&request.key)?;
        let until = env::clock::now() + PATIENCE;
        // An earlier attempt may have done it, whatever it was answered.
        let mut tried = false;
        loop {
            match self.try_merge(&request, &mut tried).await {
                Err(status)
                    if matches!(status.code(), Code::Unavailable | Code::Aborted)
                        && !request.passed_on
                        && env::clock::now() < until =>
                {
                    tracing::debug!(%status, "a merge goes on");
                    env::clock::sleep(AGAIN).await;
                }
                answer => return answer,
            }
        }
    }

    async fn try_merge(
        self: &Arc<Self>,
        request: &MergeRequest,
        tried: &mut bool,
    ) -> Result<MergeResponse, Status> {
        let key = &request.key;
        let ranges = self.ranges_at(key);
        let span_of = |range: &RangeDescriptor| range.span.clone().unwrap_or_default();
        let holding = ranges.iter().filter(|range| contains(&span_of(range), key));
        let holding = holding.max_by_key(|range| range.span_epoch);
        let right = holding.ok_or_else(|| Status::unavailable("nobody has said who holds the key"))?;
        if span_of(right).start != *key {
            return Ok(MergeResponse { range: Some(right.clone()), already: !*tried });
        }
        check_programs(&self.nodes())?;
        let left = ranges.iter().filter(|range| span_of(range).end == *key);
        let left = left.max_by_key(|range| range.span_epoch);
        let left =
            left.ok_or_else(|| Status::unavailable("nobody has said who holds what lies before the key"))?;
        if !request.passed_on
            && let Some(step) = towards(left, right)?
        {
            self.have_changed(step).await?;
            return Err(Status::unavailable("the ranges' replicas are being moved to the same nodes"));
        }
        let before = std::mem::replace(tried, true);
        if let Some(replica) = self.replica(left.range_id)
            && replica.cell.serving().is_some()
        {
            return self.unite(replica, key.clone(), right.range_id).await;
        }
        let elsewhere = || Status::unavailable("the range has no leader that is known here");
        if request.passed_on || left.leader_node_id == self.node_id {
            return Err(elsewhere());
        }
        let address = self.addresses.address(left.leader_node_id).ok_or_else(elsewhere)?;
        let node = self.network.connect(&address);
        let asked = node.merge(MergeRequest { passed_on: true, ..request.clone() });
        let answer = env::clock::timeout(PASSED_ON, asked).await;
        let late = || Status::unavailable("the range's leader does not answer in time");
        // What is known here may be older than what its leader knows.
        let answer = answer.unwrap_or_else(|_| Err(late()))?;
        Ok(MergeResponse { already: answer.already && !before, ..answer })
    }

    /// Does what placement wants: a border goes, unless the range on the left is another by now.
    pub(super) async fn merge_small(self: &Arc<Self>, wanted: RangeMerge) -> Result<(), Status> {
        let RangeMerge { range_id, span_epoch, key } = wanted;
        let is_meant = |replica: &Arc<Replica>| replica.cell.state().span_epoch == span_epoch;
        if self.replica(range_id).is_some_and(|replica| is_meant(&replica)) {
            self.merge(MergeRequest { key, passed_on: false }).await?;
        }
        Ok(())
    }

    /// Takes over the range that begins at the key, by one that this node leads and that ends there. It goes on if whoever asked
    /// goes away.
    async fn unite(
        self: &Arc<Self>,
        left: Arc<Replica>,
        key: Bytes,
        right_id: u64,
    ) -> Result<MergeResponse, Status> {
        let range_id = left.cell.range_id();
        if !self.moving.lock().insert(range_id) {
            return Err(Status::aborted("a change of the range is under way"));
        }
        let member = self.clone();
        let uniting = self.context.tasks.spawn(async move {
            let united = env::clock::timeout(UNITING, member.take_over(&left, &key, right_id)).await;
            let united = united.unwrap_or_else(|_| Err(Status::unavailable("no merge came about in time")));
            if united.is_err() {
                // Else whoever leads the range finds it.
                let undone = env::clock::timeout(STEP, member.undo_merge(&left)).await;
                if !matches!(undone, Ok(Ok(()))) {
                    tracing::info!(range = range_id, "a merge was begun and is not undone yet");
                }
            }
            member.moving.lock().remove(&range_id);
            member.heartbeat_now.notify_one();
            united.map(|()| {
                let mut range = descriptor(&left.cell.state(), member.node_id);
                member.addresses.describe(&mut range);
                MergeResponse { range: Some(range), already: false }
            })
        });
        uniting.await.unwrap_or_else(|_| Err(Status::unavailable("the node is stopping")))
    }

    async fn take_over(&self, left: &Arc<Replica>, key: &Bytes, right_id: u64) -> Result<(), Status> {
        let again = |why: &str| Status::unavailable(why.to_owned());
        let serving = left.cell.serving().ok_or_else(|| again("this node does not lead the range"))?;
        let request = SubsumeRequest {
            cluster_id: self.cluster_id.clone(),
            range_id: right_id,
            into: left.cell.range_id(),
            ..SubsumeRequest::default()
        };
        let found = self.ask_right(&request).await?;
        let state = left.cell.state();
        let meets = state.span.as_ref().is_some_and(|span| span.end == *key)
            && found.span.as_ref().is_some_and(|span| span.start == *key);
        if !meets || !merge::are_beside(&state, &found) || is_held(&found) || found.joint {
            return Err(again("the ranges are others by now, or change"));
        }
        if !erased::fit(&state, &found) {
            return Err(Status::failed_precondition(
                "the ranges remember more of erased history than one may: merge them once they keep no more of it",
            ));
        }
        self.check_kept(&state)?;
        // Else the right one would freeze in vain.
        all_near(left)?;
        let right = Neighbour { range_id: right_id, span_epoch: found.span_epoch };
        left.begin_merge(serving.term, right).await.map_err(refused)?;
        let state = left.cell.state();
        let request = SubsumeRequest { span_epoch: right.span_epoch, ..request };
        let freeze = SubsumeRequest {
            step: SubsumeStep::Freeze.into(),
            forgotten: state.forgotten.max(state.safe_point),
            left: state.span.clone(),
            left_span_epoch: state.span_epoch,
            ..request.clone()
        };
        let frozen = self.ask_right(&freeze).await?;
        if !merge::is_frozen_for(&frozen, left.cell.range_id(), &right) {
            return Err(again("the range on the right is not frozen"));
        }
        let keep = SubsumeRequest { step: SubsumeStep::Keep.into(), ..request };
        let kept = join_all(frozen.replicas.iter().map(|replica| async {
            let answer = self.ask_node(replica.node_id, &keep).await?;
            let keeps = |state: &RangeState| merge::keeps_the_same(state, &frozen);
            let same = answer.replica_id == replica.replica_id && answer.state.as_ref().is_some_and(keeps);
            if same { Ok(()) } else { Err(again("a store has another replica")) }
        }));
        let kept: Result<(), Status> = kept.await.into_iter().collect();
        // Not again and again: nobody serves the right range meanwhile.
        kept.map_err(|status| {
            Status::failed_precondition(format!(
                "the ranges stay as they are, because a store does not say that it has the right one on its disk ({}): merge them \
                 once all of their nodes answer",
                status.message()
            ))
        })?;
        left.take_over(serving.term, right, frozen).await.map_err(refused)?;
        tracing::info!(range = left.cell.range_id(), taken_over = right_id, "two ranges have become one");
        Ok(())
    }

    /// Undoes a merge that stands in the state of a range that this node leads: it has not come about, and nobody goes on with it.
    async fn undo_merge(&self, left: &Replica) -> Result<(), Status> {
        let Some(merging) = left.cell.state().merging else { return Ok(()) };
        let right = merging.right.unwrap_or_default();
        if !merging.aborting {
            left.abort_merge(right).await.map_err(refused)?;
        }
        let thaw = SubsumeRequest {
            cluster_id: self.cluster_id.clone(),
            range_id: right.range_id,
            span_epoch: right.span_epoch,
            into: left.cell.range_id(),
            step: SubsumeStep::Thaw.into(),
            ..SubsumeRequest::default()
        };
        self.ask_right(&thaw).await?;
        left.end_merge(right).await.map_err(refused)?;
        tracing::info!(range = left.cell.range_id(), right = right.range_id, "a merge has not come about");
        Ok(())
    }

    /// Has the leader of the right range do something; what its replica has become.
    async fn ask_right(&self, request: &SubsumeRequest) -> Result<RangeState, Status> {
        let right = self.range(request.range_id);
        let right = right.ok_or_else(|| Status::unavailable("nobody knows the range on the right"))?;
        let answer = self.ask_node(right.leader_node_id, request).await?;
        answer.state.ok_or_else(|| Status::unavailable("it is not said what the range on the right is"))
    }

    async fn ask_node(&self, node_id: u64, request: &SubsumeRequest) -> Result<SubsumeResponse, Status> {
        let asked = async {
            if node_id == self.node_id {
                return self.subsume(request.clone()).await;
            }
            let unknown = || Status::unavailable("a range has no leader that is known here");
            let address = self.addresses.address(node_id).ok_or_else(unknown)?;
            self.network.connect(&address).subsume(request.clone()).await
        };
        let answer = env::clock::timeout(STEP, asked).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::unavailable("no answer in time")));
        answer.map_err(|status| Status::unavailable(format!("node {node_id}: {}", status.message())))
    }

    /// Answers `NodeService::subsume`; within a step's time, whoever goes away meanwhile.
    pub(crate) async fn subsume(&self, request: SubsumeRequest) -> Result<SubsumeResponse, Status> {
        let answer = env::clock::timeout(STEP, self.take_step(request)).await;
        answer.unwrap_or_else(|_| Err(Status::unavailable("the step was not done in time")))
    }

    async fn take_step(&self, request: SubsumeRequest) -> Result<SubsumeResponse, Status> {
        let replica = self.replica(request.range_id);
        let replica = replica.ok_or_else(|| Status::unavailable("this node has no such replica"))?;
        match request.step() {
            SubsumeStep::None => {
                let serving = replica.cell.serving();
                let serving =
                    serving.ok_or_else(|| Status::unavailable("this node does not lead the range"))?;
                replica.prove_leadership(serving.term).await.map_err(refused)?;
                self.check_kept(&replica.cell.state())?;
                all_near(&replica)?;
            }
            SubsumeStep::Freeze => self.freeze(&replica, &request).await?,
            SubsumeStep::Keep => self.keep(&replica, &request).await?,
            SubsumeStep::Thaw => replica.thaw(request.span_epoch).await.map_err(refused)?,
        }
        let state = Some(RangeState::clone(&replica.cell.state()));
        Ok(SubsumeResponse { state, replica_id: replica.group.replica_id() })
    }

    /// That a range which is to become one with another knows what is to be kept of it for longer.
    fn check_kept(&self, state: &RangeState) -> Result<(), Status> {
        let heard = self.horizon.lock().clone().filter(|(heard, _)| heard.elapsed() < HEARD_WITHIN);
        check_kept(state, heard.as_ref().map(|(_, horizon)| horizon.as_ref()))
    }

    /// Freezes a range that this node leads, as long as its replicas do not change.
    async fn freeze(&self, replica: &Arc<Replica>, request: &SubsumeRequest) -> Result<(), Status> {
        let range_id = request.range_id;
        if !self.moving.lock().insert(range_id) {
            return Err(Status::unavailable("a change of the range's replicas is under way"));
        }
        let (replica, request) = (replica.clone(), request.clone());
        let moving = self.moving.clone();
        // What has been given away must be taken back, or be frozen, whoever goes away meanwhile.
        let freezing = self.context.tasks.spawn(async move {
            let frozen = replica.freeze(&request).await;
            moving.lock().remove(&range_id);
            frozen
        });
        let frozen = freezing.await.map_err(|_| Status::unavailable("the node is stopping"))?;
        frozen.map_err(refused)
    }

    /// Returns once a range's replica here is frozen, on the disk, too.
    async fn keep(&self, replica: &Replica, request: &SubsumeRequest) -> Result<(), Status> {
        let right = Neighbour { range_id: request.range_id, span_epoch: request.span_epoch };
        if self.replica(request.into).is_none() {
            return Err(Status::unavailable("the range on the left has no replica here"));
        }
        let until = env::clock::now() + APPLYING;
        while !merge::is_frozen_for(&replica.cell.state(), request.into, &right) {
            if env::clock::now() >= until {
                return Err(Status::unavailable("the replica here lags behind"));
            }
            env::clock::sleep(APPLYING_TICK).await;
        }
        let db = self.context.db.clone();
        let flushed = env::task::blocking(move || db.flush()).await;
        let flushed = flushed.map_err(|_| Status::unavailable("the node is stopping"))?;
        flushed.map_err(|error| Status::unavailable(format!("the replica here is not on the disk: {error}")))
    }

    /// Ends what merges have left: of ranges that this node leads, those that nobody goes on with; here, replicas of ranges that
    /// are no more.
    pub(super) async fn finish_merges(self: Arc<Self>) {
        for tick in 0_u64.. {
            env::clock::sleep(TICK).await;
            let replicas = if tick % ALL_TICKS == 0 { self.replicas() } else { self.awake() };
            for replica in replicas {
                let range_id = replica.cell.range_id();
                let state = replica.cell.state();
                if state.swallowed_by != 0 {
                    tracing::info!(
                        range = range_id,
                        by = state.swallowed_by,
                        "the replica's range was taken over"
                    );
                    self.log_failure(range_id, self.drop_replica(&replica).await);
                    continue;
                }
                let is_left = state.merging.is_some() && replica.cell.serving().is_some();
                if !is_left || !self.moving.lock().insert(range_id) {
                    continue;
                }
                match env::clock::timeout(STEP, self.undo_merge(&replica)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(status)) => tracing::info!(range = range_id, %status, "a merge is not undone yet"),
                    Err(_) => tracing::info!(range = range_id, "a merge is not undone in time"),
                }
                self.moving.lock().remove(&range_id);
            }
        }
    }

    /// Drops the replicas of ranges that were taken over while this store had no part in it.
    pub(super) async fn leave_if_past(&self) {
        let past: Vec<Arc<Replica>> = {
            let known = self.known.read();
            let replicas = self.replicas().into_iter();
            replicas.filter(|replica| self.is_past(replica, known.ranges())).collect()
        };
        for replica in past {
            let range = replica.cell.range_id();
            tracing::info!(range, "the range was taken over elsewhere");
            self.log_failure(range, self.drop_replica(&replica).await);
        }
    }

    /// Whether a replica's range was taken over, and it waits for nobody to take it over here.
    fn is_past(&self, replica: &Replica, ranges: &RangeMap) -> bool {
        let state = replica.cell.state();
        let Some(span) = state.span.as_ref().filter(|_| state.range_id != ROOT_RANGE) else { return false };
        // Where the left range has a replica here it takes this one over yet, by its log or by a snapshot.
        let awaits_left = state.frozen.as_ref().is_some_and(|frozen| {
            let left = self.replica(frozen.into).map(|left| left.cell.state());
            let is_here =
                |range: &RangeDescriptor| range.replicas.iter().any(|on| on.node_id == self.node_id);
            merge::awaits_left(frozen, left.as_deref(), ranges.get(frozen.into).is_some_and(is_here))
        });
        // What those had made of it who were given up is lost: what is here is all that is left.
        let holder = ranges.down_from(&span.start).next();
        let mut holder = holder.into_iter().filter(|holder| !self.lost.contains(&holder.leader_node_id));
        let is_past =
            |other: &RangeDescriptor| merge::is_past(&span.start, state.range_id, state.span_epoch, other);
        !awaits_left && holder.any(is_past)
    }

    fn log_failure(&self, range: u64, dropped: Result<(), NodeError>) {
        if let Err(error) = dropped {
            tracing::error!(range, %error, "a replica of a range that is no more is still here");
        }
    }
}

/// What is left to be done before the replicas of two ranges are on the same nodes: a change of the right one's. An error while
/// one of them changes.
fn towards(left: &RangeDescriptor, right: &RangeDescriptor) -> Result<Option<ChangeReplicasRequest>, Status> {
    let changes =
        |range: &RangeDescriptor| range.joint || range.replicas.iter().any(|replica| replica.learner);
    if changes(left) || changes(right) {
        return Err(Status::unavailable("a change of the ranges' replicas is under way"));
    }
    let lacks = |range: &RangeDescriptor, node_id: u64| range.replicas.iter().all(|on| on.node_id != node_id);
    let first = |of: &RangeDescriptor, other: &RangeDescriptor| {
        of.replicas.iter().map(|on| on.node_id).find(|node_id| lacks(other, *node_id)).unwrap_or(0)
    };
    let (add_node_id, remove_node_id) = (first(left, right), first(right, left));
    let range_id = right.range_id;
    let change = ChangeReplicasRequest { range_id, add_node_id, remove_node_id, ..Default::default() };
    Ok((add_node_id != 0 || remove_node_id != 0).then_some(change))
}

/// That no node would have to stop at a merge, because its program is older than merges are.
fn check_programs(nodes: &[NodeDescriptor]) -> Result<(), Status> {
    let gone = [NodeState::Dead, NodeState::Decommissioned];
    for node in nodes.iter().filter(|node| !gone.contains(&node.state())) {
        match node.newest_command_format {
            FORMAT_MERGES.. => {}
            0 => {
                return Err(Status::unavailable(format!(
                    "node {} has not said whether its program can merge ranges",
                    node.node_id
                )));
            }
            _ => {
                return Err(Status::failed_precondition(format!(
                    "node {} runs a program of version {}, which cannot merge ranges: upgrade it first",
                    node.node_id, node.version
                )));
            }
        }
    }
    Ok(())
}

/// That a range knows what is to be kept of it for longer, as far as was heard here: two ranges that become one forget as much as the
/// one that has forgotten more, but for what they keep. One that has slept may have yet to hear of something, and a node that was just
/// started, or does not hear the root, of anything.
fn check_kept(state: &RangeState, heard: Option<&Horizon>) -> Result<(), Status> {
    let heard =
        heard.ok_or_else(|| Status::unavailable("this node has yet to hear what is kept for longer"))?;
    match kept::knows(state, &heard.kept) {
        true => Ok(()),
        false => Err(Status::unavailable("the range has yet to hear what of it is kept for longer")),
    }
}

/// That all replicas of a range that this node leads live and lag little behind.
fn all_near(replica: &Replica) -> Result<(), Status> {
    let near = replica.group.near();
    let state = replica.cell.state();
    match state.replicas.iter().find(|other| !near.contains(&other.replica_id)) {
        None => Ok(()),
        Some(far) => Err(Status::unavailable(format!(
            "node {} does not answer for range {}, or lags behind",
            far.node_id, state.range_id
        ))),
    }
}

fn refused(refusal: Refusal) -> Status {
    Status::unavailable(refusal.to_string())
}

#[cfg(test)]
mod tests {
    use proto::v1::{KeptSpan, ReplicaDescriptor, Span};

    use super::*;

    fn range(range_id: u64, nodes: &[u64]) -> RangeDescriptor {
        let replica = |node_id: &u64| ReplicaDescriptor { node_id: *node_id, ..Default::default() };
        RangeDescriptor { range_id, replicas: nodes.iter().map(replica).collect(), ..Default::default() }
    }

    #[test]
    fn the_right_ranges_replicas_go_where_the_left_ones_are() {
        let step = |left: &[u64], right: &[u64]| {
            let step = towards(&range(2, left), &range(3, right)).unwrap();
            step.map(|step| (step.range_id, step.add_node_id, step.remove_node_id))
        };
        assert_eq!(step(&[1, 2, 3], &[3, 1, 2]), None);
        assert_eq!(step(&[1, 2, 3], &[2, 4, 3]), Some((3, 1, 4)));
        assert_eq!(step(&[1, 2, 3], &[2, 3]), Some((3, 1, 0)));
        assert_eq!(step(&[2, 3], &[1, 2, 3]), Some((3, 0, 1)));
        let joint = RangeDescriptor { joint: true, ..range(3, &[1, 2]) };
        assert!(towards(&range(2, &[1, 2]), &joint).is_err());
    }

    #[test]
    fn no_range_is_merged_before_it_was_heard_what_of_it_is_kept() {
        let span = |start: &'static str, end: &'static str| Span {
            start: Bytes::from_static(start.as_bytes()),
            end: Bytes::from_static(end.as_bytes()),
        };
        let kept = KeptSpan { span: Some(span("d", "g")), safe_point: 0 };
        let state = RangeState { span: Some(span("a", "m")), safe_point: 70, ..RangeState::default() };
        let knowing = RangeState { kept: vec![kept.clone()], ..state.clone() };
        let nothing = Horizon::default();
        let heard = Horizon { kept: vec![kept], ..Horizon::default() };
        assert!(check_kept(&state, Some(&nothing)).is_ok() && check_kept(&knowing, Some(&heard)).is_ok());
        for (state, heard) in [(&state, None), (&knowing, None), (&state, Some(&heard))] {
            assert_eq!(check_kept(state, heard).unwrap_err().code(), Code::Unavailable);
        }
    }

    #[test]
    fn no_range_is_merged_before_every_node_can() {
        let node = |node_id, newest_command_format| NodeDescriptor {
            node_id,
            newest_command_format,
            ..NodeDescriptor::default()
        };
        assert!(check_programs(&[node(1, FORMAT_MERGES), node(2, FORMAT_MERGES + 1)]).is_ok());
        let older = check_programs(&[node(1, FORMAT_MERGES), node(2, FORMAT_MERGES - 1)]).unwrap_err();
        assert!(older.code() == Code::FailedPrecondition && older.message().contains("node 2"), "{older}");
        let unheard = check_programs(&[node(1, FORMAT_MERGES), node(2, 0)]).unwrap_err();
        assert_eq!(unheard.code(), Code::Unavailable);
        let dead = NodeDescriptor { state: NodeState::Dead.into(), ..node(2, 0) };
        assert!(check_programs(&[node(1, FORMAT_MERGES), dead]).is_ok());
    }
}
