//! Answers the other replicas: votes, appended entries, snapshots, transfers of leadership.
//!
//! Every message names the cluster, the range and the replica it is for; what is for somebody else is refused. A
//! message of a leader for a replica that this store does not hold yet makes an empty one, unless its id was given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderRequest, VoteRequest,
};
use parking_lot::Mutex;
use proto::v1::raft_append_response::Result as Answer;
use proto::{RequestStream, ResponseStream, Status, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::apply::SnapshotSpan;
use super::group::Group;
use super::host::RaftHost;
use super::role::RaftError;
use super::snapshot::{Incoming, ReceiveError, Receiver, SnapshotData};
use super::types::{SnapshotMeta, Types};
use super::wire::{
    FORMAT, entry_from_wire, log_id_from_wire, log_id_to_wire, stored_membership_from_wire, vote_from_wire,
    vote_to_wire,
};

/// Answers that wait for a slow sender of requests.
const ANSWERS_MAX: usize = 64;

impl RaftHost {
    /// Answers `NodeService::raft_vote`.
    pub async fn on_vote(
        self: &Arc<Self>,
        request: v1::RaftVoteRequest,
    ) -> Result<v1::RaftVoteResponse, Status> {
        let group =
            self.target(request.target.as_ref())?.ok_or_else(|| Status::not_found("no such replica here"))?;
        if !request.leadership_transfer && self.is_fenced(&group) {
            return Err(Status::unavailable("this store has just started and does not vote yet"));
        }
        let vote = request.vote.as_ref().map(vote_from_wire).ok_or_else(|| malformed("no vote"))?;
        let mut rpc = VoteRequest::<Types>::new(vote, request.last_log_id.as_ref().map(log_id_from_wire));
        rpc.leadership_transfer = request.leadership_transfer;
        let response =
            if request.pre_vote { group.raft.pre_vote(rpc).await } else { group.raft.vote(rpc).await };
        let response = response.map_err(stopped)?;
        Ok(v1::RaftVoteResponse {
            vote: Some(vote_to_wire(&response.vote)),
            granted: response.vote_granted,
            last_log_id: response.last_log_id.as_ref().map(log_id_to_wire),
        })
    }

    /// Answers `NodeService::raft_append`.
    pub async fn on_append(
        self: &Arc<Self>,
        requests: RequestStream<v1::RaftAppendRequest>,
    ) -> Result<ResponseStream<v1::RaftAppendResponse>, Status> {
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let host = Arc::clone(self);
        self.spawn(async move {
            let closed = answers.clone();
            tokio::select! {
                biased;
                () = closed.closed() => {}
                failed = host.answer_appends(requests, &answers) => {
                    if let Err(status) = failed {
                        // Nobody listens any more: nobody misses it.
                        let _ = answers.send(Err(status)).await;
                    }
                }
            }
        });
        Ok(Box::pin(ReceiverStream::new(receiver)))
    }

    async fn answer_appends(
        self: &Arc<Self>,
        mut requests: RequestStream<v1::RaftAppendRequest>,
        answers: &mpsc::Sender<Result<v1::RaftAppendResponse, Status>>,
    ) -> Result<(), Status> {
        let Some(first) = requests.next().await else { return Ok(()) };
        let target = first.target.clone().ok_or_else(|| malformed("no target"))?;
        let group = self.target_or_new(&target).await?;
        let refused = Arc::new(Mutex::new(None));
        let refusal = Arc::clone(&refused);
        let input = futures::stream::iter([first]).chain(requests).scan((), move |(), request| {
            let checked = if request.target.as_ref() == Some(&target) {
                append_from_wire(request)
            } else {
                Err(malformed("a stream is for one replica"))
            };
            futures::future::ready(checked.map_err(|status| *refusal.lock() = Some(status)).ok())
        });
        let mut results = std::pin::pin!(group.raft.stream_append(input));
        while let Some(result) = results.next().await {
            let answer = append_to_wire(result.map_err(stopped)?);
            if answers.send(Ok(answer)).await.is_err() {
                return Ok(());
            }
        }
        let refused = refused.lock().take();
        refused.map_or(Ok(()), Err)
    }

    /// Answers `NodeService::raft_snapshot`.
    pub async fn on_snapshot(
        self: &Arc<Self>,
        chunks: RequestStream<v1::RaftSnapshotChunk>,
    ) -> Result<v1::RaftSnapshotResponse, Status> {
        let host = Arc::clone(self);
        let received = self.spawn(async move { host.receive_snapshot(chunks).await });
        let aborting = AbortOnDrop(received.abort_handle());
        let answered = received.await.map_err(|_| Status::unavailable("the store is stopping"))?;
        drop(aborting);
        answered
    }

    async fn receive_snapshot(
        self: &Arc<Self>,
        mut chunks: RequestStream<v1::RaftSnapshotChunk>,
    ) -> Result<v1::RaftSnapshotResponse, Status> {
        let first = chunks.next().await.ok_or_else(|| malformed("an empty snapshot"))?;
        let group = self.target_or_new(first.target.as_ref().ok_or_else(|| malformed("no target"))?).await?;
        let vote = first.vote.as_ref().map(vote_from_wire).ok_or_else(|| malformed("no vote"))?;
        let head = first.head.ok_or_else(|| malformed("no head"))?;
        if head.format > FORMAT {
            return Err(Status::failed_precondition("a snapshot of a newer version"));
        }
        let own = group.metrics().borrow_watched().vote;
        if own > vote {
            return Ok(v1::RaftSnapshotResponse { vote: Some(vote_to_wire(&own)) });
        }
        let last_membership =
            stored_membership_from_wire(head.membership_log_id.as_ref(), head.membership.as_ref())
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let last_log_id = head.last_log_id.as_ref().map(log_id_from_wire);
        if last_log_id.is_none() {
            return Err(malformed("a snapshot of nothing"));
        }
        let meta = SnapshotMeta { last_log_id, last_membership };
        let spans: Vec<SnapshotSpan> = head
            .spans
            .into_iter()
            .map(|span| SnapshotSpan { start: span.start, end: span.end, versioned: span.versioned })
            .collect();
        self.apply.check_snapshot(group.range_id(), &spans).map_err(Status::failed_precondition)?;
        let _receiving =
            Receiving::begin(&group).ok_or_else(|| Status::aborted("a snapshot is on its way already"))?;
        let incoming = self.build(spans, chunks).await?;
        tracing::info!(range_id = group.range_id(), replica_id = group.replica_id(), ?meta.last_log_id, "installing a snapshot");
        let snapshot = openraft::Snapshot { meta, snapshot: SnapshotData::Incoming(incoming) };
        let response = group.raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
        Ok(v1::RaftSnapshotResponse { vote: Some(vote_to_wire(&response.vote)) })
    }

    /// Builds tables from all chunks, on threads where that does not hold up the groups.
    async fn build(
        &self,
        spans: Vec<SnapshotSpan>,
        mut chunks: RequestStream<v1::RaftSnapshotChunk>,
    ) -> Result<Incoming, Status> {
        let mut receiver = Receiver::new(self.db.clone(), spans).map_err(refused)?;
        let mut count = 0;
        while let Some(chunk) = chunks.next().await {
            if let Some(end) = chunk.end {
                if end.chunks != count {
                    return Err(malformed("chunks are missing"));
                }
                let finished = env::task::blocking(move || receiver.finish(end.rows)).await;
                return finished.map_err(|_| Status::unavailable("the store is stopping"))?.map_err(refused);
            }
            if crc32c::crc32c(&chunk.rows) != chunk.crc32c {
                return Err(Status::data_loss("a chunk does not check"));
            }
            count += 1;
            let added = env::task::blocking(move || receiver.add(chunk.rows).map(|()| receiver)).await;
            receiver = added.map_err(|_| Status::unavailable("the store is stopping"))?.map_err(refused)?;
        }
        Err(malformed("the end is missing"))
    }

    /// Answers `NodeService::raft_transfer`.
    pub async fn on_transfer(
        self: &Arc<Self>,
        request: v1::RaftTransferRequest,
    ) -> Result<v1::RaftTransferResponse, Status> {
        let group =
            self.target(request.target.as_ref())?.ok_or_else(|| Status::not_found("no such replica here"))?;
        let from = request.from_vote.as_ref().map(vote_from_wire).ok_or_else(|| malformed("no vote"))?;
        let last = request.last_log_id.as_ref().map(log_id_from_wire);
        let rpc = TransferLeaderRequest::<Types>::new(from, request.to_replica_id, last);
        match group.raft.handle_transfer_leader(rpc).await {
            Ok(Ok(())) => Ok(v1::RaftTransferResponse {}),
            Ok(Err(refused)) => Err(Status::failed_precondition(refused.to_string())),
            Err(fatal) => Err(stopped(fatal)),
        }
    }

    /// The replica that a message is for, if it is here.
    fn target(&self, target: Option<&v1::RaftTarget>) -> Result<Option<Arc<Group>>, Status> {
        let target = target.ok_or_else(|| malformed("no target"))?;
        if target.cluster_id != self.cluster_id {
            return Err(Status::permission_denied("this store belongs to another cluster"));
        }
        match self.group(target.range_id) {
            Some(group) if group.replica_id() != target.replica_id => Err(Status::not_found(format!(
                "this store holds replica {} of range {}, not {}",
                group.replica_id(),
                target.range_id,
                target.replica_id
            ))),
            group => Ok(group),
        }
    }

    /// The replica that a leader's message is for, made if it is not here. A leader adds a replica on a store only when
    /// it has none there, by a committed change: an older one that is here was removed and has not heard of it.
    async fn target_or_new(self: &Arc<Self>, target: &v1::RaftTarget) -> Result<Arc<Group>, Status> {
        let older = self.group(target.range_id).filter(|group| group.replica_id() < target.replica_id);
        if let Some(older) = older
            && target.cluster_id == self.cluster_id
        {
            let (range_id, replica_id) = (target.range_id, older.replica_id());
            tracing::info!(range_id, replica_id, "dropping a replica that was removed from its range");
            self.remove(range_id).await.map_err(|error| Status::unavailable(error.to_string()))?;
        }
        if let Some(group) = self.target(Some(target))? {
            return Ok(group);
        }
        match self.add_empty(target.range_id, target.replica_id).await {
            Ok(group) => {
                self.apply.replica_added(target.range_id, target.replica_id);
                Ok(group)
            }
            Err(error @ (RaftError::Removed { .. } | RaftError::Exists { .. })) => {
                Err(Status::not_found(error.to_string()))
            }
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }
}

/// Stops a task when whoever waits for it goes away.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// At most one snapshot is received by a replica at a time.
struct Receiving<'a>(&'a AtomicBool);

impl<'a> Receiving<'a> {
    fn begin(group: &'a Group) -> Option<Self> {
        (!group.receiving.swap(true, Ordering::AcqRel)).then_some(Self(&group.receiving))
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn append_from_wire(request: v1::RaftAppendRequest) -> Result<AppendEntriesRequest<Types>, Status> {
    let vote = request.vote.as_ref().map(vote_from_wire).ok_or_else(|| malformed("no vote"))?;
    let prev_log_id = request.prev_log_id.as_ref().map(log_id_from_wire);
    let entries: Result<Vec<_>, _> = request.entries.into_iter().map(entry_from_wire).collect();
    let entries = entries.map_err(|error| Status::invalid_argument(error.to_string()))?;
    let first = prev_log_id.map_or(0, |prev| prev.index() + 1);
    if (first..).zip(&entries).any(|(due, entry)| entry.log_id.index() != due) {
        return Err(malformed("entries are not consecutive"));
    }
    let leader_commit = request.leader_commit.as_ref().map(log_id_from_wire);
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

fn append_to_wire(result: StreamAppendResult<Types>) -> v1::RaftAppendResponse {
    let (result, conflict_at) = match result {
        Ok(Some(matched)) => (Answer::Matched(log_id_to_wire(&matched)), None),
        Ok(None) => (Answer::MatchedNone(true), None),
        Err(StreamAppendError::Conflict(at)) => (Answer::Conflict(true), Some(log_id_to_wire(&at))),
        Err(StreamAppendError::HigherVote(vote)) => (Answer::HigherVote(vote_to_wire(&vote)), None),
    };
    v1::RaftAppendResponse { result: Some(result), conflict_at }
}

fn malformed(what: &str) -> Status {
    Status::invalid_argument(format!("malformed raft message: {what}"))
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("the replica has stopped: {error}"))
}

fn refused(error: ReceiveError) -> Status {
    match error {
        ReceiveError::Malformed(_) => Status::invalid_argument(error.to_string()),
        ReceiveError::Engine(_) => Status::internal(error.to_string()),
    }
}
