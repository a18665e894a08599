//! Answers the other replicas: votes, appended entries, snapshots, transfers of leadership.
//!
//! Every message names the cluster, the store, the range and the replica it is for, and who sends it. What is for
//! somebody else is refused before it is looked at: addresses change hands. A message of a leader for a replica that
//! this store does not hold yet makes an empty one, unless its id was given up. It never removes one, whatever id it
//! names: that a replica was removed is learnt from its range's committed configuration alone.
//!
//! A message that would make a replica take somebody for its leader whom it does not know as such, or leave the terms it
//! knows far behind, is confirmed first: its sender's store is asked, where that is known to be, whether it holds that
//! replica in that term. A candidate among the range's replicas that is a few terms ahead needs no such word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::{StreamAppendError, StreamAppendResult};
use parking_lot::Mutex;
use proto::v1::raft_append_response::Result as Answer;
use proto::{RequestStream, ResponseStream, Status, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::apply::{LogPoint, SnapshotSpan};
use super::group::Group;
use super::host::RaftHost;
use super::role::RaftError;
use super::sense::{append_request, leader_vote, malformed, snapshot_meta, transfer_request, vote_request};
use super::snapshot::{Incoming, ReceiveError, Receiver, SnapshotData};
use super::types::{LogId, Types, Vote, point};
use super::wire::{FORMAT, closed_from_wire, log_id_to_wire, vote_to_wire};

/// Answers that wait for a slow sender of requests.
const ANSWERS_MAX: usize = 64;

impl RaftHost {
    /// Answers `NodeService::raft_vote`.
    pub async fn on_vote(
        self: &Arc<Self>,
        request: v1::RaftVoteRequest,
    ) -> Result<v1::RaftVoteResponse, Status> {
        let target = request.target.as_ref().ok_or_else(|| malformed("no target"))?;
        let group = self.target(target)?.ok_or_else(|| Status::not_found("no such replica here"))?;
        let rpc = vote_request(target, &request)?;
        if !request.leadership_transfer && group.is_fenced() {
            return Err(Status::unavailable("this store has just started and does not vote yet"));
        }
        self.check_candidate(&group, target, rpc.vote.leader_id.term).await?;
        let is_kept = !request.leadership_transfer && group.is_kept(env::clock::now());
        group.wake();
        if is_kept {
            self.rouse_leader(&group);
            return Err(Status::unavailable(
                "the range slept, and its leader lives: it is given the time to say so",
            ));
        }
        let raft = group.instance.open().await.map_err(stopped)?;
        let response = if request.pre_vote { raft.pre_vote(rpc).await } else { raft.vote(rpc).await };
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
        let vote = leader_vote(&target, first.vote.as_ref())?;
        let group = self.target_or_new(&target, &vote).await?;
        let refused = Arc::new(Mutex::new(None));
        let refusal = Arc::clone(&refused);
        let hearing = Arc::clone(&group);
        let input = futures::stream::iter([first]).chain(requests).scan((), move |(), request| {
            let closed = request.closed.as_ref().map(closed_from_wire);
            let checked = if request.target.as_ref() == Some(&target) {
                append_request(vote, request)
            } else {
                Err(malformed("a stream is for one replica"))
            };
            if let (Ok(_), Some(closed)) = (&checked, closed) {
                hearing.hear_closed(&vote, closed);
            }
            futures::future::ready(checked.map_err(|status| *refusal.lock() = Some(status)).ok())
        });
        // As long as its leader may send more it is not closed.
        let raft = group.instance.open().await.map_err(stopped)?;
        let mut results = std::pin::pin!(raft.stream_append(input));
        while let Some(result) = results.next().await {
            if matches!(result, Ok(Ok(_) | Err(StreamAppendError::Conflict(_)))) {
                *group.heard.lock() = env::clock::now();
                // Once it is done: whoever has just heard of a leader does not campaign.
                group.note_append();
            }
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
        let target = first.target.as_ref().ok_or_else(|| malformed("no target"))?;
        let vote = leader_vote(target, first.vote.as_ref())?;
        let head = first.head.ok_or_else(|| malformed("no head"))?;
        if head.format > FORMAT {
            return Err(Status::failed_precondition("a snapshot of a newer version"));
        }
        let meta = snapshot_meta(&vote, &head)?;
        let group = self.target_or_new(target, &vote).await?;
        let own = group.metrics().borrow_watched().vote;
        if own > vote {
            return Ok(v1::RaftSnapshotResponse { vote: Some(vote_to_wire(&own)) });
        }
        check_committed(&group, meta.last_log_id.as_ref())?;
        self.check_on_its_way(target, meta.last_log_id.as_ref()).await?;
        let spans: Vec<SnapshotSpan> = head
            .spans
            .into_iter()
            .map(|span| SnapshotSpan { start: span.start, end: span.end, versioned: span.versioned })
            .collect();
        group.wake();
        let _receiving =
            Receiving::begin(&group).ok_or_else(|| Status::aborted("a snapshot is on its way already"))?;
        // In this order: whoever has replaced what we are sent, or is about to, is found by one or the other.
        let reservation = self.reserved.reserve(group.range_id(), &spans).ok_or_else(|| {
            Status::failed_precondition("another range's snapshot on its way reaches into these keys")
        })?;
        self.apply.check_snapshot(group.range_id(), &spans).map_err(Status::failed_precondition)?;
        let (apply, range_id) = (Arc::clone(&self.apply), group.range_id());
        let check_row = move |key: &[u8], value: &[u8]| apply.check_snapshot_row(range_id, key, value);
        let receiver =
            Receiver::new(self.db.clone(), spans, reservation, Box::new(check_row)).map_err(refused)?;
        let incoming = build(receiver, chunks).await?;
        tracing::info!(range_id = group.range_id(), replica_id = group.replica_id(), ?meta.last_log_id, "installing a snapshot");
        let snapshot = openraft::Snapshot { meta, snapshot: SnapshotData::Incoming(incoming) };
        let raft = group.instance.open().await.map_err(stopped)?;
        let response = raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
        Ok(v1::RaftSnapshotResponse { vote: Some(vote_to_wire(&response.vote)) })
    }

    /// Answers `NodeService::raft_transfer`.
    pub async fn on_transfer(
        self: &Arc<Self>,
        request: v1::RaftTransferRequest,
    ) -> Result<v1::RaftTransferResponse, Status> {
        let target = request.target.as_ref().ok_or_else(|| malformed("no target"))?;
        let group = self.target(target)?.ok_or_else(|| Status::not_found("no such replica here"))?;
        let rpc = transfer_request(target, &request)?;
        self.check_leader(Some(&group), target, rpc.from_leader()).await?;
        group.wake();
        if group.is_unfit() || group.is_draining() {
            return Err(Status::failed_precondition("the replica is not fit to lead"));
        }
        let raft = group.instance.open().await.map_err(stopped)?;
        match raft.handle_transfer_leader(rpc).await {
            Ok(Ok(())) => Ok(v1::RaftTransferResponse {}),
            Ok(Err(refused)) => Err(Status::failed_precondition(refused.to_string())),
            Err(fatal) => Err(stopped(fatal)),
        }
    }

    /// The replica that a message is for, if it is here.
    fn target(&self, target: &v1::RaftTarget) -> Result<Option<Arc<Group>>, Status> {
        self.check_store(target)?;
        if self.is_stopping() {
            return Err(Status::unavailable("the store is stopping"));
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

    /// The replica that a leader's message is for, made if it is not here.
    async fn target_or_new(
        self: &Arc<Self>,
        target: &v1::RaftTarget,
        vote: &Vote,
    ) -> Result<Arc<Group>, Status> {
        let here = self.target(target)?;
        self.check_leader(here.as_deref(), target, vote).await?;
        if let Some(group) = here {
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

/// Builds tables from all chunks, on threads where that does not hold up the groups.
async fn build(
    mut receiver: Receiver,
    mut chunks: RequestStream<v1::RaftSnapshotChunk>,
) -> Result<Incoming, Status> {
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
        // Not made where there is one already: its end would end that one's time.
        (!group.receiving.swap(true, Ordering::AcqRel)).then(|| Self(&group.receiving))
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Refuses a snapshot that does not agree with what is committed here: openraft takes it for granted.
fn check_committed(group: &Group, last: Option<&LogId>) -> Result<(), Status> {
    let committed = group.metrics().borrow_watched().local_committed.as_ref().map(point);
    let contradicts =
        |last: LogPoint| committed.is_some_and(|committed| last > committed && last.index <= committed.index);
    if last.map(point).is_some_and(contradicts) {
        return Err(malformed("a snapshot contradicts what is committed here"));
    }
    Ok(())
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

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("the replica does not answer: {error}"))
}

fn refused(error: ReceiveError) -> Status {
    match error {
        ReceiveError::Malformed(_) => Status::invalid_argument(error.to_string()),
        ReceiveError::Unreadable(_) => {
            tracing::error!(%error, "a snapshot is refused");
            Status::failed_precondition(error.to_string())
        }
        ReceiveError::Engine(_) => Status::internal(error.to_string()),
    }
}
