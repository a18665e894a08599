//! One store's side of replication: the shared log and all groups.

use std::sync::Arc;

use proto::v1::{
    RaftAppendRequest, RaftAppendResponse, RaftSnapshotChunk, RaftSnapshotResponse, RaftTransferRequest,
    RaftTransferResponse, RaftVoteRequest, RaftVoteResponse,
};
use proto::{RequestStream, ResponseStream, Status};

use super::apply::Apply;
use super::group::Group;
use super::options::{GroupSeed, RaftOptions};
use super::role::RaftError;

/// One store's side of replication. One per [`lsm::Db`].
pub struct RaftHost {}

impl RaftHost {
    /// Opens the shared log and starts every group found in it. A group may apply entries before this returns.
    pub async fn open(options: RaftOptions, apply: Arc<dyn Apply>) -> Result<Arc<Self>, RaftError> {
        let _ = (options, apply);
        Ok(Arc::new(Self {}))
    }

    /// The first replica of a brand-new range, its only voter. Returns once it leads. Repeated after a crash it
    /// returns the group that is there.
    pub async fn create(&self, seed: GroupSeed) -> Result<Arc<Group>, RaftError> {
        Err(RaftError::Group { range_id: seed.range_id, message: "not started".to_owned() })
    }

    /// An empty replica that waits for its leader.
    pub async fn add_empty(&self, range_id: u64, replica_id: u64) -> Result<Arc<Group>, RaftError> {
        Err(RaftError::Removed { range_id, replica_id })
    }

    /// Stops the replica of `range_id`, drops its log and its state, and never again takes a replica id up to its own.
    pub async fn remove(&self, range_id: u64) -> Result<(), RaftError> {
        let _ = range_id;
        Ok(())
    }

    /// The group of `range_id`, if this store holds a replica of it.
    pub fn group(&self, range_id: u64) -> Option<Arc<Group>> {
        let _ = range_id;
        None
    }

    /// All groups, ascending by range id.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        Vec::new()
    }

    /// Stops all groups and syncs the shared log.
    pub async fn shutdown(&self) {}

    /// Answers `NodeService::raft_vote`.
    pub async fn on_vote(&self, request: RaftVoteRequest) -> Result<RaftVoteResponse, Status> {
        let _ = request;
        Err(Status::unavailable("not started"))
    }

    /// Answers `NodeService::raft_append`.
    pub async fn on_append(
        &self,
        requests: RequestStream<RaftAppendRequest>,
    ) -> Result<ResponseStream<RaftAppendResponse>, Status> {
        let _ = requests;
        Err(Status::unavailable("not started"))
    }

    /// Answers `NodeService::raft_snapshot`.
    pub async fn on_snapshot(&self, chunks: RequestStream<RaftSnapshotChunk>) -> Result<RaftSnapshotResponse, Status> {
        let _ = chunks;
        Err(Status::unavailable("not started"))
    }

    /// Answers `NodeService::raft_transfer`.
    pub async fn on_transfer(&self, request: RaftTransferRequest) -> Result<RaftTransferResponse, Status> {
        let _ = request;
        Err(Status::unavailable("not started"))
    }
}
