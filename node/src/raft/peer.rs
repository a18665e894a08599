//! The way to the other replicas of a group: openraft's network over [`proto::NodeService`].

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, Stream, StreamExt};
use openraft::OptionalSend;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption, RPCTypes,
    RaftNetworkFactory,
};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendError, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use proto::{Code, Network, NodeService, ResponseStream, Status, v1};
use tokio::sync::Semaphore;

use super::acks::Acks;
use super::apply::Store;
use super::closed::Closings;
use super::requests::{Answers, InFlight, requests};
use super::send_snapshot::{INSTALL_MAX, send_snapshot};
use super::sending::Sending;
use super::snapshot::SnapshotData;
use super::types::{Types, Vote, point};
use super::wire::{log_id_from_wire, log_id_to_wire, vote_from_wire, vote_to_wire};
use crate::addresses::Addresses;

/// A stream that waits for an answer for longer than this, or than openraft's own time to live if that is more, and than
/// the bytes on their way may take, is given up and begun anew.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// Makes the ways to a group's other replicas.
pub(super) struct Peers {
    pub(super) cluster_id: Bytes,
    pub(super) range_id: u64,
    pub(super) replica_id: u64,
    pub(super) network: Arc<dyn Network>,
    pub(super) addresses: Arc<Addresses>,
    /// What the others have acknowledged.
    pub(super) acks: Arc<Acks>,
    /// What this replica has closed.
    pub(super) closings: Arc<Closings>,
    /// The snapshots being sent.
    pub(super) sending: Arc<Sending>,
    /// Whoever has none of these waits with its snapshot.
    pub(super) turns: Arc<Semaphore>,
    /// Whether it sends nothing for now, as a leader that nobody [answers](super::calling).
    pub(super) silent: Arc<AtomicBool>,
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, store: &Store) -> Peer {
        self.peer(target, store, false)
    }

    /// Heartbeats must not wait behind entries.
    async fn new_heartbeat_client(&mut self, target: u64, store: &Store) -> Peer {
        self.peer(target, store, true)
    }
}

impl Peers {
    fn peer(&self, target: u64, store: &Store, is_urgent: bool) -> Peer {
        Peer {
            id: self.replica_id,
            target,
            header: v1::RaftTarget {
                cluster_id: self.cluster_id.clone(),
                range_id: self.range_id,
                replica_id: target,
                from_replica_id: self.replica_id,
                node_id: store.node_id,
                ..v1::RaftTarget::default()
            },
            is_urgent,
            network: Arc::clone(&self.network),
            addresses: Arc::clone(&self.addresses),
            acks: Arc::clone(&self.acks),
            closings: Arc::clone(&self.closings),
            sending: Arc::clone(&self.sending),
            turns: Arc::clone(&self.turns),
            silent: Arc::clone(&self.silent),
            answered: metrics::counter!("nunatak_raft_messages_total"),
        }
    }
}

/// The way to one other replica.
pub(super) struct Peer {
    id: u64,
    target: u64,
    header: v1::RaftTarget,
    /// Its messages must not wait behind entries.
    is_urgent: bool,
    network: Arc<dyn Network>,
    addresses: Arc<Addresses>,
    acks: Arc<Acks>,
    closings: Arc<Closings>,
    sending: Arc<Sending>,
    turns: Arc<Semaphore>,
    silent: Arc<AtomicBool>,
    /// Counts requests that were answered.
    answered: metrics::Counter,
}

impl Peer {
    /// The replica's store where it is now, and the header of messages for it.
    fn reach(&self) -> Result<(Arc<dyn NodeService>, v1::RaftTarget), RPCError<Types>> {
        let Some(store) = self.addresses.find(self.header.node_id) else {
            self.addresses.doubt();
            let unknown = format!("nobody knows yet where node {} is", self.header.node_id);
            return Err(RPCError::Unreachable(Unreachable::from_string(unknown)));
        };
        let own = self.addresses.own();
        let header = v1::RaftTarget {
            generation: store.generation,
            from_node_id: own.node_id,
            from_generation: own.generation,
            ..self.header.clone()
        };
        let service = match self.is_urgent {
            true => self.network.connect_urgent(&store.address),
            false => self.network.connect(&store.address),
        };
        Ok((service, header))
    }

    /// Refuses what would keep the others from electing somebody while this replica is silent. openraft comes again after a pause.
    fn check_calls(&self) -> Result<(), RPCError<Types>> {
        match self.silent.load(Ordering::SeqCst) {
            true => {
                Err(RPCError::Unreachable(Unreachable::from_string("it is silent, for nobody answers it")))
            }
            false => Ok(()),
        }
    }

    fn timeout(&self, action: RPCTypes, timeout: Duration) -> Timeout<Types> {
        Timeout { action, id: self.id, target: self.target, timeout }
    }

    /// The vote in an answer to what this replica has sent in `term`. One for this replica in a later term, in which it never
    /// stood, was got by somebody in its name: to this replica it is one for whoever answers, so that it gives up its term as
    /// to any later one, and never takes itself for what it is not. Nobody else can win that term with it.
    fn vote_answered(&self, vote: &v1::RaftVote, term: u64) -> Vote {
        if vote.replica_id == self.id && vote.term > term {
            return Vote::new(vote.term, self.target);
        }
        vote_from_wire(vote)
    }

    async fn ask_vote(
        &self,
        request: VoteRequest<Types>,
        pre_vote: bool,
        option: &RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let (service, header) = self.reach()?;
        let term = request.vote.leader_id.term;
        let request = v1::RaftVoteRequest {
            target: Some(header),
            vote: Some(vote_to_wire(&request.vote)),
            last_log_id: request.last_log_id.as_ref().map(log_id_to_wire),
            pre_vote,
            leadership_transfer: request.leadership_transfer,
        };
        let response = match env::clock::timeout(option.soft_ttl(), service.raft_vote(request)).await {
            Ok(response) => response.map_err(refused)?,
            Err(_) => return Err(self.timeout(RPCTypes::Vote, option.soft_ttl()).into()),
        };
        let vote = response.vote.ok_or_else(|| malformed("a vote without a vote"))?;
        let last = response.last_log_id.as_ref().map(log_id_from_wire);
        Ok(VoteResponse::new(self.vote_answered(&vote, term), last, response.granted))
    }
}

/// What a status means to openraft: a peer that cannot be reached is left alone for a while.
pub(super) fn refused(status: Status) -> RPCError<Types> {
    match status.code() {
        Code::Unavailable | Code::NotFound | Code::FailedPrecondition | Code::PermissionDenied => {
            RPCError::Unreachable(Unreachable::from_string(status))
        }
        _ => RPCError::Network(NetworkError::from_string(status)),
    }
}

pub(super) fn malformed(what: &str) -> RPCError<Types> {
    RPCError::Network(NetworkError::from_string(what))
}

impl NetBackoff<Types> for Peer {
    fn backoff(&self) -> Option<Backoff> {
        None
    }
}

impl NetVote<Types> for Peer {
    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_vote(request, false, &option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_vote(request, true, &option).await
    }
}

impl NetTransferLeader<Types> for Peer {
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let (service, header) = self.reach()?;
        let request = v1::RaftTransferRequest {
            target: Some(header),
            from_vote: Some(vote_to_wire(request.from_leader())),
            to_replica_id: *request.to_node_id(),
            last_log_id: request.last_log_id().map(log_id_to_wire),
        };
        match env::clock::timeout(option.soft_ttl(), service.raft_transfer(request)).await {
            Ok(Ok(_)) => Ok(Ok(())),
            Ok(Err(status)) => Err(refused(status)),
            Err(_) => Err(self.timeout(RPCTypes::TransferLeader, option.soft_ttl()).into()),
        }
    }
}

impl NetSnapshot<Types> for Peer {
    type SnapshotData = SnapshotData;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: openraft::alias::SnapshotOf<Types, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        // Patience counts progress, and what only the receiver knows.
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let last = snapshot.meta.last_log_id.as_ref().map(point);
        let _sending = last.map(|last| self.sending.begin(self.target, last));
        let SnapshotData::Outgoing(outgoing) = snapshot.snapshot else {
            return Err(NetworkError::from_string("only a snapshot that was read can be sent").into());
        };
        let turns = Arc::clone(&self.turns);
        let turn = turns.acquire();
        let mut cancel = std::pin::pin!(cancel);
        let _turn = tokio::select! {
            biased;
            closed = &mut cancel => return Err(closed.into()),
            // It is never closed.
            turn = turn => turn,
        };
        self.check_calls().map_err(StreamingError::from)?;
        let (service, header) = self.reach().map_err(StreamingError::from)?;
        let sent = send_snapshot(service.as_ref(), header, &vote, &snapshot.meta, *outgoing);
        tokio::select! {
            biased;
            closed = cancel => Err(closed.into()),
            sent = sent => match sent {
                Ok(Some(answered)) => {
                    Ok(SnapshotResponse::new(self.vote_answered(&answered, vote.leader_id.term)))
                }
                Ok(None) => Err(self.timeout(RPCTypes::InstallSnapshot, INSTALL_MAX).into()),
                Err(status) => Err(refused(status).into()),
            },
        }
    }
}

impl NetStreamAppend<Types> for Peer {
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>, RPCError<Types>>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        let patience = option.soft_ttl().max(ANSWER_MAX);
        async move {
            // openraft's backoff delays requests, not the opening of a stream: a peer that refuses the stream itself
            // is called only once there is a request for it, or it would be called without a pause.
            let mut input = input;
            let Some(first) = input.next().await else { return Ok(futures::stream::empty().boxed()) };
            self.check_calls()?;
            let input = futures::stream::once(std::future::ready(first)).chain(input);
            let (service, header) = self.reach()?;
            let (acks, closings) = (Arc::clone(&self.acks), Arc::clone(&self.closings));
            let (requests, answers) = requests(input, header, acks, closings);
            let opened = service.raft_append(Box::pin(requests));
            let responses = match in_time(opened, &answers, patience).await {
                Some(opened) => opened.map_err(refused)?,
                None => return Err(self.timeout(RPCTypes::AppendEntries, patience).into()),
            };
            let peer = &*self;
            let reading = Some((responses, answers));
            let results = futures::stream::unfold(reading, move |reading| async move {
                let (mut responses, answers) = reading?;
                if answers.is_over() {
                    return None;
                }
                let result = peer.next_result(&mut responses, &answers, patience).await;
                let goes_on = matches!(result, Ok(Ok(_)));
                Some((result, goes_on.then_some((responses, answers))))
            });
            Ok(results.boxed())
        }
        .boxed()
    }
}

impl Peer {
    async fn next_result<S>(
        &self,
        responses: &mut ResponseStream<v1::RaftAppendResponse>,
        answers: &Answers<S>,
        patience: Duration,
    ) -> Result<StreamAppendResult<Types>, RPCError<Types>> {
        match in_time(responses.next(), answers, patience).await {
            None => Err(self.timeout(RPCTypes::AppendEntries, patience).into()),
            Some(None) => Err(RPCError::Network(NetworkError::from_string("the append stream ended"))),
            Some(Some(Err(status))) => Err(refused(status)),
            Some(Some(Ok(response))) => {
                let request = answers.answered().ok_or_else(|| malformed("an answer to nothing"))?;
                self.answered.increment(1);
                self.result(request, response)
            }
        }
    }

    fn result(
        &self,
        request: InFlight,
        response: v1::RaftAppendResponse,
    ) -> Result<StreamAppendResult<Types>, RPCError<Types>> {
        use v1::raft_append_response::Result as Answer;
        let answer = response.result.ok_or_else(|| malformed("an answer without a result"))?;
        if !matches!(answer, Answer::HigherVote(_)) {
            // Before openraft knows of it: what it publishes then finds it.
            self.acks.note(self.target, request.sent);
        }
        Ok(match answer {
            Answer::Matched(id) => Ok(Some(log_id_from_wire(&id))),
            Answer::MatchedNone(_) => Ok(None),
            Answer::HigherVote(vote) => Err(StreamAppendError::HigherVote(self.vote_answered(&vote, 0))),
            Answer::Conflict(_) => {
                let at = response.conflict_at.as_ref().map(log_id_from_wire).or(request.prev);
                Err(StreamAppendError::Conflict(
                    at.ok_or_else(|| malformed("a conflict before the first entry"))?,
                ))
            }
        })
    }
}

/// The output of `work`, or nothing once an answer is overdue; see [`Answers::due`].
async fn in_time<S, F: Future>(work: F, answers: &Answers<S>, patience: Duration) -> Option<F::Output> {
    let mut work = std::pin::pin!(work);
    loop {
        match answers.due(patience) {
            Some(due) => tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = env::clock::sleep_until(due) => return None,
            },
            None => tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = answers.sent() => {}
            },
        }
    }
}
