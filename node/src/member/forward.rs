//! Passing on: a client that does not reach a range's leader asks through a node that does.
//!
//! A batch is passed on once: the node that gets it answers for itself. As soon as another replica leads, or this one
//! finds that the leader does not answer, its client is told, and finds out who serves the range by then.

use proto::v1::operation::Operation;
use proto::v1::{BatchRequest, BatchResponse};

use super::Member;
use crate::raft;
use crate::range::{Refusal, Replica};

impl Member {
    /// Has `leader` answer the batch.
    pub(crate) async fn forward_batch(
        &self,
        replica: &Replica,
        leader: &raft::Replica,
        mut request: BatchRequest,
    ) -> BatchResponse {
        let commits = request.operations.iter().any(|operation| {
            use Operation::{Commit, Decide, Prewrite};
            matches!(operation.operation, Some(Commit(_) | Prewrite(_) | Decide(_)))
        });
        if let Some(header) = &mut request.header {
            header.forward = false;
        }
        let mut roles = replica.group.watch();
        let others = |now: &raft::Role| {
            now.is_leader || now.leader.as_ref().map(|now| now.replica_id) != Some(leader.replica_id)
        };
        let node_id = leader.store.node_id;
        let Some(address) = self.addresses.address(node_id) else {
            let unknown = Refusal::Unavailable(format!("nobody has said where node {node_id} is"));
            return BatchResponse { results: Vec::new(), error: Some(unknown.into_wire()) };
        };
        let node = self.network.connect(&address);
        let why = tokio::select! {
            biased;
            answered = node.batch(request) => match answered {
                Ok(response) => return response,
                Err(status) => format!("passed on to {address}: {}", status.message()),
            },
            _ = roles.wait_for(others) => "another replica leads by now".to_owned(),
        };
        let refusal = if commits { Refusal::Ambiguous(why) } else { Refusal::Unavailable(why) };
        BatchResponse { results: Vec::new(), error: Some(refusal.into_wire()) }
    }
}
