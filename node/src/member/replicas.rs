//! What an operator wants of one range: who leads it, who holds it.
//!
//! The node that is asked finds the range's leader and has it do what is left to be done, again and again until nothing
//! is: where a leader goes in the midst of it, the next one goes on. So each call may be repeated, by whoever lost the answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proto::v1::{
    ChangeReplicasRequest, NodeDescriptor, NodeState, RangeDescriptor, ReplicaDescriptor, ReplicaMove,
    ReplicasResponse,
};
use proto::{Code, Status};

use super::Member;
use crate::range::Replica;

/// For how long nothing may come of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long before a leader is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// How long it may take until somebody leads whom the leadership was handed to.
const TAKING_OVER: Duration = Duration::from_secs(3);

impl Member {
    /// Has the range become what is wanted, whoever leads it.
    pub(crate) async fn have_changed(
        self: &Arc<Self>,
        wanted: ChangeReplicasRequest,
    ) -> Result<ReplicasResponse, Status> {
        let wanted = ChangeReplicasRequest { cluster_id: self.cluster_id.clone(), ..wanted };
        // An earlier attempt may have done it, whatever it was answered.
        let mut tried = false;
        let (mut config_epoch, mut since) = (0, env::clock::now());
        loop {
            let range = self.range(wanted.range_id);
            let range = range.ok_or_else(|| {
                let what = format!("there is no range {}", wanted.range_id);
                Status::invalid_argument(format!("{what}: `nunatak admin ranges` lists those there are"))
            })?;
            check_wanted(&wanted, &range, &self.nodes())?;
            if range.config_epoch != config_epoch {
                (config_epoch, since) = (range.config_epoch, env::clock::now());
            }
            let status = match self.ask_leader(&wanted, &range).await {
                Ok(answer) => return Ok(ReplicasResponse { already: answer.already && !tried, ..answer }),
                Err(status) => status,
            };
            let is_passing = matches!(status.code(), Code::Unavailable | Code::Aborted);
            if !is_passing || since.elapsed() > PATIENCE {
                return Err(status);
            }
            tracing::debug!(range = wanted.range_id, %status, "a change of replicas goes on");
            tried |= status.code() != Code::Aborted;
            env::clock::sleep(AGAIN).await;
        }
    }

    async fn ask_leader(
        self: &Arc<Self>,
        wanted: &ChangeReplicasRequest,
        range: &RangeDescriptor,
    ) -> Result<ReplicasResponse, Status> {
        if range.leader_node_id == self.node_id {
            return self.change_replicas(wanted.clone()).await;
        }
        let address = self.addresses.address(range.leader_node_id);
        let address = address.ok_or_else(|| {
            Status::aborted(format!("range {} has no leader that is known here", range.range_id))
        })?;
        let answer = self.network.connect(&address).change_replicas(wanted.clone()).await;
        // Whatever has become of the way there, the next leader is asked.
        answer.map_err(|status| match status.code() {
            Code::InvalidArgument | Code::FailedPrecondition | Code::Aborted => status,
            _ => Status::unavailable(format!("node {}: {}", range.leader_node_id, status.message())),
        })
    }

    /// As the range's leader: does what is left to be done. It goes on if whoever asked goes away. `Aborted`: nothing was done,
    /// and it may be asked for again.
    pub(crate) async fn change_replicas(
        self: &Arc<Self>,
        wanted: ChangeReplicasRequest,
    ) -> Result<ReplicasResponse, Status> {
        let range_id = wanted.range_id;
        let leads = |replica: &Arc<Replica>| replica.group.role().is_leader;
        let replica = self.replica(range_id).filter(leads);
        let replica = replica.ok_or_else(|| Status::aborted("this node does not lead the range"))?;
        if !self.moving.lock().insert(range_id) {
            return Err(Status::aborted("another change of the range's replicas is under way"));
        }
        let member = self.clone();
        let changing = self.context.tasks.spawn(async move {
            let changed = member.change(&replica, &wanted).await;
            member.moving.lock().remove(&range_id);
            member.heartbeat_now.notify_one();
            changed
        });
        changing.await.unwrap_or_else(|_| Err(Status::unavailable("the node is stopping")))
    }

    async fn change(
        &self,
        replica: &Arc<Replica>,
        wanted: &ChangeReplicasRequest,
    ) -> Result<ReplicasResponse, Status> {
        let range = self.describe(replica);
        if range.joint || replica.group.membership_index() != range.config_epoch {
            return Err(Status::aborted("another change of the range's replicas is under way"));
        }
        let done = match left(wanted, &range)? {
            Left::Nothing => return Ok(ReplicasResponse { range: Some(range), already: true }),
            Left::Lead(replica_id) => self.lead(replica, replica_id, wanted.lead_node_id).await,
            Left::Replicas { add, remove } => {
                check_quorum(replica, &range, add, &remove)?;
                let nodes = self.nodes().into_iter();
                let add = nodes.filter(|node| Some(node.node_id) == add).collect();
                let (range_id, config_epoch) = (range.range_id, range.config_epoch);
                let carried_out = self.carry_out(ReplicaMove { range_id, config_epoch, add, remove }).await;
                carried_out.map_err(|error| Status::unavailable(error.to_string()))
            }
        };
        done?;
        let range = self.describe(replica);
        match left(wanted, &range)? {
            Left::Nothing => Ok(ReplicasResponse { range: Some(range), already: false }),
            _ => Err(Status::unavailable("the change has not been applied yet")),
        }
    }

    /// Hands the leadership over, and waits until somebody is known to have it.
    async fn lead(&self, replica: &Replica, replica_id: u64, node_id: u64) -> Result<(), Status> {
        let handed_over = replica.group.transfer_leader(replica_id).await;
        handed_over.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut roles = replica.group.watch();
        let known =
            async { roles.wait_for(|role| role.leader.is_some()).await.map(|role| role.leader.clone()) };
        match env::clock::timeout(TAKING_OVER, known).await {
            Ok(Ok(Some(leader))) if leader.store.node_id == node_id => Ok(()),
            _ => Err(Status::unavailable(format!("node {node_id} has not taken over"))),
        }
    }
}

/// Refuses to take replicas away if those that would be left had no majority that answers.
fn check_quorum(
    replica: &Replica,
    range: &RangeDescriptor,
    add: Option<u64>,
    remove: &[u64],
) -> Result<(), Status> {
    let voters = range.replicas.iter().filter(|other| !other.learner);
    let (gone, stay): (Vec<_>, Vec<_>) = voters.partition(|other| remove.contains(&other.replica_id));
    let near = replica.group.near();
    let (near, silent): (Vec<_>, Vec<_>) =
        stay.into_iter().partition(|other| near.contains(&other.replica_id));
    // The one that is added has caught up before it votes.
    let near = near.len() + usize::from(add.is_some());
    if gone.is_empty() || silent.len() < near {
        return Ok(());
    }
    let silent: Vec<String> = silent.iter().map(|other| format!("node {}", other.node_id)).collect();
    Err(Status::unavailable(format!(
        "range {} would be left without a majority: {} does not answer or lags behind; start it, or have another node hold a \
         replica first (`nunatak admin add-replica {} NODE`)",
        range.range_id,
        silent.join(", "),
        range.range_id
    )))
}

/// What is left to be done.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// This replica is to lead.
    Lead(u64),
    /// A node is to hold a voting replica, and these replicas are to go.
    Replicas {
        add: Option<u64>,
        remove: Vec<u64>,
    },
}

/// What is left to be done to a range that is like this; an error if it cannot be done.
fn left(wanted: &ChangeReplicasRequest, range: &RangeDescriptor) -> Result<Left, Status> {
    let range_id = range.range_id;
    let held = |node_id: u64| range.replicas.iter().filter(move |replica| replica.node_id == node_id);
    let voter = |node_id: u64| held(node_id).find(|replica| !replica.learner);
    if wanted.lead_node_id != 0 {
        let node_id = wanted.lead_node_id;
        let voter = voter(node_id).ok_or_else(|| {
            Status::failed_precondition(format!(
                "node {node_id} holds no voting replica of range {range_id}: `nunatak admin add-replica {range_id} {node_id}` \
                 makes one"
            ))
        })?;
        return Ok(match range.leader_node_id == node_id {
            true => Left::Nothing,
            false => Left::Lead(voter.replica_id),
        });
    }
    let add = Some(wanted.add_node_id).filter(|node_id| *node_id != 0 && voter(*node_id).is_none());
    let remove: Vec<u64> = held(wanted.remove_node_id).map(|replica| replica.replica_id).collect();
    let votes = |replica: &&ReplicaDescriptor| !replica.learner;
    let voters = range.replicas.iter().filter(votes).count();
    let goes = |replica: &ReplicaDescriptor| remove.contains(&replica.replica_id);
    let stays = range.replicas.iter().filter(|replica| !replica.learner && !goes(replica)).count();
    match (add, remove.is_empty()) {
        (None, true) => Ok(Left::Nothing),
        (Some(to), true) if wanted.remove_node_id != 0 => Err(Status::failed_precondition(format!(
            "node {} holds no replica of range {range_id} that could move: `nunatak admin ranges` shows who does, and \
             `nunatak admin add-replica {range_id} {to}` makes one more",
            wanted.remove_node_id
        ))),
        // Two voters are what the move of a range's only replica comes to on its way.
        (None, false) if wanted.add_node_id != 0 && voters > 2 => Err(Status::failed_precondition(format!(
            "node {} holds a replica of range {range_id} already: `nunatak admin remove-replica {range_id} {}` has the range hold \
             one less",
            wanted.add_node_id, wanted.remove_node_id
        ))),
        (None, false) if stays == 0 => Err(Status::failed_precondition(format!(
            "the replica on node {} is the only one of range {range_id}: `nunatak admin move {range_id} {} NODE` has another node \
             hold it",
            wanted.remove_node_id, wanted.remove_node_id
        ))),
        (add, _) => Ok(Left::Replicas { add, remove }),
    }
}

/// Refuses what no node can do, as long as it is not done.
fn check_wanted(
    wanted: &ChangeReplicasRequest,
    range: &RangeDescriptor,
    nodes: &[NodeDescriptor],
) -> Result<(), Status> {
    let named = [wanted.lead_node_id, wanted.add_node_id, wanted.remove_node_id];
    let named: BTreeSet<u64> = named.into_iter().filter(|node_id| *node_id != 0).collect();
    if named.is_empty() || (wanted.add_node_id != 0 && wanted.add_node_id == wanted.remove_node_id) {
        return Err(Status::invalid_argument("a replica moves from one node to another"));
    }
    for node_id in named {
        if !nodes.iter().any(|node| node.node_id == node_id) {
            let what = format!("there is no node {node_id}");
            return Err(Status::invalid_argument(format!(
                "{what}: `nunatak admin nodes` lists those there are"
            )));
        }
    }
    let target = match left(wanted, range)? {
        Left::Nothing => None,
        Left::Lead(_) => Some(wanted.lead_node_id),
        Left::Replicas { add, .. } => add,
    };
    let Some(node) = nodes.iter().find(|node| Some(node.node_id) == target) else { return Ok(()) };
    let node_id = node.node_id;
    let why = match node.state() {
        NodeState::Serving if node.live => return Ok(()),
        NodeState::Serving => {
            format!("it has said nothing for a while: is the process at {} up?", node.address)
        }
        NodeState::Draining => format!("it is draining: `nunatak admin drain {node_id} --cancel` ends that"),
        NodeState::Decommissioning | NodeState::Decommissioned => {
            format!("it is being decommissioned: `nunatak admin recommission {node_id}` ends that")
        }
        NodeState::Dead => format!("it is dead: start its process at {}", node.address),
    };
    Err(Status::failed_precondition(format!("node {node_id} takes nothing: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(replicas: &[(u64, u64, bool)]) -> RangeDescriptor {
        let replicas = replicas.iter().map(|&(replica_id, node_id, learner)| ReplicaDescriptor {
            replica_id,
            node_id,
            learner,
            ..ReplicaDescriptor::default()
        });
        RangeDescriptor {
            range_id: 2,
            leader_node_id: 1,
            replicas: replicas.collect(),
            ..RangeDescriptor::default()
        }
    }

    fn lead(lead_node_id: u64) -> ChangeReplicasRequest {
        ChangeReplicasRequest { lead_node_id, ..ChangeReplicasRequest::default() }
    }

    fn change(add_node_id: u64, remove_node_id: u64) -> ChangeReplicasRequest {
        ChangeReplicasRequest { add_node_id, remove_node_id, ..ChangeReplicasRequest::default() }
    }

    #[test]
    fn what_is_done_is_not_done_again() {
        let range = range(&[(11, 1, false), (12, 2, false), (13, 3, true)]);
        for done in [lead(1), change(2, 0), change(0, 4), change(2, 4)] {
            assert_eq!(left(&done, &range).unwrap(), Left::Nothing, "{done:?}");
        }
    }

    #[test]
    fn what_is_half_done_is_finished() {
        let range = range(&[(11, 1, false), (12, 2, false), (13, 3, true)]);
        let replicas = |add, remove: &[u64]| Left::Replicas { add, remove: remove.to_vec() };
        assert_eq!(left(&lead(2), &range).unwrap(), Left::Lead(12));
        assert_eq!(left(&change(3, 0), &range).unwrap(), replicas(Some(3), &[]), "a learner becomes a voter");
        assert_eq!(left(&change(3, 1), &range).unwrap(), replicas(Some(3), &[11]));
        assert_eq!(left(&change(2, 1), &range).unwrap(), replicas(None, &[11]), "the new one votes already");
        assert_eq!(left(&change(0, 3), &range).unwrap(), replicas(None, &[13]), "a learner goes");
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_to_do() {
        let three = range(&[(11, 1, false), (12, 2, false), (13, 3, false)]);
        let refused = left(&change(2, 1), &three).unwrap_err();
        assert!(refused.message().contains("remove-replica 2 1"), "{refused}");
        let single = range(&[(11, 1, false), (13, 3, true)]);
        for (wrong, said) in [
            (lead(3), "add-replica 2 3"),
            (lead(4), "add-replica 2 4"),
            (change(0, 1), "move 2 1 NODE"),
            (change(5, 4), "add-replica 2 5"),
        ] {
            let refused = left(&wrong, &single).unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition);
            assert!(refused.message().contains(said), "{refused}");
        }
    }

    #[test]
    fn who_is_gone_or_leaves_takes_nothing_new() {
        let node = |node_id, live, state: NodeState| NodeDescriptor {
            node_id,
            live,
            state: state.into(),
            ..NodeDescriptor::default()
        };
        let range = range(&[(11, 1, false), (12, 2, false)]);
        let serving = node(1, true, NodeState::Serving);
        for (other, said) in [
            (node(3, false, NodeState::Serving), "is the process"),
            (node(3, true, NodeState::Draining), "drain 3 --cancel"),
            (node(3, true, NodeState::Decommissioned), "recommission 3"),
            (node(3, false, NodeState::Dead), "dead"),
            (node(4, true, NodeState::Serving), "no node 3"),
        ] {
            let nodes = [serving.clone(), other];
            let refused = check_wanted(&change(3, 0), &range, &nodes).unwrap_err();
            assert!(refused.message().contains(said), "{refused}");
            assert!(check_wanted(&change(1, 0), &range, &nodes).is_ok(), "that is so already");
        }
        for senseless in [change(0, 0), change(1, 1)] {
            assert!(check_wanted(&senseless, &range, std::slice::from_ref(&serving)).is_err());
        }
    }
}
