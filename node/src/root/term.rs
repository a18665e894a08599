//! One term of the root range's leader: the services that only it gives.

mod attend;
mod keep;

pub(crate) use keep::check_history;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use env::watch;
use parking_lot::Mutex;
use prost::Message;
use proto::Status;
use proto::v1::range_command::Kind as CommandKind;
use proto::v1::root_command::Kind;
use proto::v1::{
    AllocateCommand, AllocateIdsRequest, AllocateIdsResponse, DigestCommand, RangeCommand,
    ReserveWindowCommand, RootCommand, RootReply, WaitRequest, WaitResponse,
};
use tokio::sync::Notify;

use super::clocks::Clocks;
use super::deadlock::{Detector, Place, Wait};
use super::history::Holds;
use super::oracle::{COUNT_MAX, Oracle};
use super::relay::Relay;
use super::state::{COUNTER_NODE, COUNTER_OID, COUNTER_RANGE, COUNTER_REPLICA, RootState};
use super::view::{Nodes, View};
use crate::raft::{Group, ProposeError};
use crate::range::RangeCell;
use crate::range::state::{FORMAT, FORMAT_BRANCHES, FORMAT_KEPT};
use crate::timestamp;

/// How long a leader whose lease has run out waits for its quorum.
const QUORUM_PATIENCE: Duration = Duration::from_secs(2);

/// How long a request waits for a window of timestamps.
const WINDOW_PATIENCE: Duration = Duration::from_secs(2);

/// How often the window is looked at when nobody asks.
const WINDOW_TICK: Duration = Duration::from_millis(500);

/// Ids that one request may take: no honest one needs more, and there are fewer object ids than a u32 has values.
const IDS_MAX: u64 = 1 << 16;

/// The same of ids of rows, of which there are more: where tables are restored, those that their rows have are not given again.
const ROW_IDS_MAX: u64 = 1 << 40;

/// What ids are given for.
pub(crate) const COUNTERS: [&str; 6] =
    [COUNTER_NODE, COUNTER_REPLICA, COUNTER_RANGE, COUNTER_OID, "index", COUNTER_ROW];

/// The counter of row ids.
const COUNTER_ROW: &str = "row";

/// One term of the root range's leader.
///
/// # Invariants
///
/// - It is made only after the term's blank entry is applied, and holds a window reserved in this very term.
/// - It answers only while its lease holds, checked after the request arrived.
pub(crate) struct RootTerm {
    /// The term.
    pub(crate) term: u64,
    /// What this goes by for those who have told it something, and were told something. It is chosen by chance, so that nothing else
    /// ever goes by it: not what serves the same term anew, and not what a replica has become that was recovered without the newest
    /// of its log, whose terms and timestamps another has had before.
    pub(super) number: u64,
    pub(super) group: Arc<Group>,
    pub(super) cell: Arc<RangeCell>,
    pub(super) state: Arc<Mutex<RootState>>,
    pub(super) nodes: Nodes,
    oracle: Oracle,
    pub(super) clocks: Mutex<Clocks>,
    detector: Mutex<Detector>,
    pub(super) view: Mutex<View>,
    holds: Mutex<Holds>,
    relay: Mutex<Relay>,
    pub(super) started: Instant,
    /// By node, for how many ms it had been silent when the term began, as earlier leaders have written down.
    pub(super) silent: BTreeMap<u64, u64>,
    window_wanted: Notify,
    window_reserved: Notify,
    /// Whether it serves no more.
    over: watch::Sender<bool>,
    /// How often all ranges were looked at: never for a single heartbeat.
    walks: AtomicU64,
}

impl RootTerm {
    /// Begins a term: waits for its blank entry and its lease, and reserves the first window.
    pub(crate) async fn begin(
        group: Arc<Group>,
        cell: Arc<RangeCell>,
        state: Arc<Mutex<RootState>>,
        term: u64,
        nodes: Nodes,
    ) -> Result<Arc<Self>, ProposeError> {
        group.wait_term_applied(term).await?;
        let began = env::clock::now();
        let (floor, alone, silent_since) = {
            let state = state.lock();
            let silent = state.nodes().filter(|node| node.silent_since_ms != 0);
            let silent: Vec<_> = silent.map(|node| (node.node_id, node.silent_since_ms)).collect();
            (state.window_end(), state.nodes().count() <= 1, silent)
        };
        let clocks = Clocks::new(began, timestamp::ms(floor), env::clock::wall_ms(), alone);
        // In the time that has gone on from leader to leader: the clock of this one may show another than that of the last one.
        let silent = silent_since.into_iter();
        let silent = silent.map(|(node_id, since)| (node_id, timestamp::ms(floor).saturating_sub(since)));
        let silent = silent.collect();
        let root = Self {
            term,
            number: env::random::next_u64().max(1),
            group,
            cell,
            state,
            nodes,
            oracle: Oracle::new(floor),
            clocks: Mutex::new(clocks),
            detector: Mutex::default(),
            view: Mutex::default(),
            holds: Mutex::new(Holds::new(began)),
            relay: Mutex::new(Relay::new(env::random::next_u64())),
            started: began,
            silent,
            window_wanted: Notify::new(),
            window_reserved: Notify::new(),
            over: watch::Sender::new(false),
            walks: AtomicU64::new(0),
        };
        root.reserve().await?;
        Ok(Arc::new(root))
    }

    /// All ranges are about to be looked at.
    pub(super) fn note_walk(&self) {
        self.walks.fetch_add(1, Ordering::Relaxed);
    }

    /// How often they were.
    #[cfg(test)]
    pub(super) fn walks(&self) -> u64 {
        self.walks.load(Ordering::Relaxed)
    }

    /// It serves no more: whoever is held here may go and ask the next leader.
    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }

    /// Keeps a window reserved, until the term is over.
    pub(crate) async fn keep_window(&self) -> ProposeError {
        loop {
            // Whether there was a wish or a tick, what to do is the oracle's to say.
            let _ = env::clock::timeout(WINDOW_TICK, self.window_wanted.notified()).await;
            if let Err(error) = self.reserve().await {
                return error;
            }
            if let Err(error) = self.note_silence().await {
                return error;
            }
            if let Err(error) = self.note_given_up().await {
                return error;
            }
        }
    }

    async fn reserve(&self) -> Result<(), ProposeError> {
        if let Some(end) = self.oracle.wanted(self.now_ms()) {
            self.propose(Kind::ReserveWindow(ReserveWindowCommand { end })).await?;
            self.oracle.reserved(end);
        }
        self.window_reserved.notify_waiters();
        Ok(())
    }

    /// What time it is, as far as timestamps follow it.
    fn now_ms(&self) -> u64 {
        self.clocks.lock().now_ms(env::clock::now(), env::clock::wall_ms())
    }

    /// What time it is as far as timestamps have come: they never go back, and what was reserved of them is little ahead of this. So
    /// the next leader can tell how long ago it was.
    pub(super) fn oracle_ms(&self) -> u64 {
        self.now_ms().max(timestamp::ms(self.oracle.last()))
    }

    /// The first of `count` timestamps.
    pub(crate) async fn timestamp(&self, count: u32) -> Result<u64, Status> {
        if !(1..=COUNT_MAX).contains(&count) {
            return Err(Status::invalid_argument(format!(
                "between 1 and {COUNT_MAX} timestamps can be asked for"
            )));
        }
        let mut first = self.oracle.next(self.now_ms(), count);
        if first.is_err() {
            let until = env::clock::now() + WINDOW_PATIENCE;
            while first.is_err() {
                let reserved = self.window_reserved.notified();
                self.window_wanted.notify_one();
                let remaining = until.saturating_duration_since(env::clock::now());
                if env::clock::timeout(remaining, reserved).await.is_err() {
                    return Err(Status::unavailable(
                        "the timestamp oracle could not reserve a window in time",
                    ));
                }
                first = self.oracle.next(self.now_ms(), count);
            }
        }
        match first {
            Ok(first) => {
                self.prove_leadership().await?;
                Ok(first)
            }
            Err(_) => Err(Status::unavailable("the timestamp oracle has no window")),
        }
    }

    /// The largest timestamp handed out, if this is certainly the oracle still.
    pub(crate) fn newest_timestamp(&self) -> Option<u64> {
        let newest = self.oracle.last();
        self.group.lease_valid(self.term).then_some(newest)
    }

    /// Ids that are never given twice.
    pub(crate) async fn allocate_ids(
        &self,
        request: AllocateIdsRequest,
    ) -> Result<AllocateIdsResponse, Status> {
        let ids_max = if request.counter == COUNTER_ROW { ROW_IDS_MAX } else { IDS_MAX };
        if !COUNTERS.contains(&request.counter.as_str()) || !(1..=ids_max).contains(&request.count) {
            return Err(Status::invalid_argument(format!(
                "between 1 and {ids_max} ids can be asked for, of {}",
                COUNTERS.join(", ")
            )));
        }
        let command = AllocateCommand { counter: request.counter, count: request.count };
        let reply = self.run(Kind::Allocate(command)).await?;
        Ok(AllocateIdsResponse { first: reply.first })
    }

    /// A transaction waits, or waits no more.
    pub(crate) fn wait(&self, request: WaitRequest) -> Result<WaitResponse, Status> {
        let txn = |id: &Bytes| {
            id.as_ref().try_into().map_err(|_| Status::invalid_argument("a transaction id has 16 bytes"))
        };
        let wait = Wait {
            waiter: txn(&request.waiter)?,
            priority: request.waiter_priority,
            place: Place { range_id: request.range_id, term: request.term, number: request.wait_number },
            holders: request.holders.iter().map(txn).collect::<Result<_, _>>()?,
        };
        Ok(match self.detector.lock().report(env::clock::now(), wait) {
            Some(victim) => WaitResponse {
                victim: Bytes::copy_from_slice(&victim.txn),
                cycle: victim.cycle,
                range_id: victim.place.range_id,
                term: victim.place.term,
                wait_number: victim.place.number,
            },
            None => WaitResponse::default(),
        })
    }

    /// Has every replica of the root range take its digest; the index of that entry.
    pub(crate) async fn take_digest(&self, number: u64) -> Result<u64, Status> {
        let proposed = self.propose(Kind::Digest(DigestCommand { number })).await;
        proposed.map(|proposed| proposed.index).map_err(|error| self.refused(&error))
    }

    pub(super) async fn prove_leadership(&self) -> Result<(), Status> {
        if self.group.lease_valid(self.term) {
            return Ok(());
        }
        match env::clock::timeout(QUORUM_PATIENCE, self.group.read_index()).await {
            // Leadership may have been lost and won again in between.
            Ok(Ok(proven)) if proven == self.term => Ok(()),
            Ok(Ok(_)) => Err(self.refused(&ProposeError::NotLeader { leader: self.group.role().leader })),
            Ok(Err(error)) => Err(self.refused(&error)),
            Err(_) => Err(self.refused(&ProposeError::NotLeader { leader: None })),
        }
    }

    fn refused(&self, error: &ProposeError) -> Status {
        match error {
            ProposeError::NotLeader { leader } => {
                let node_id = leader.as_ref().map(|leader| leader.store.node_id);
                let address = node_id.and_then(|node_id| self.nodes.addresses.address(node_id));
                Status::failed_precondition(address.unwrap_or_default())
            }
            ProposeError::Ambiguous | ProposeError::Fatal(_) => Status::unavailable(error.to_string()),
        }
    }

    pub(super) async fn propose(&self, kind: Kind) -> Result<crate::raft::Proposed, ProposeError> {
        self.group.propose_in(self.term, root_command(kind)).await
    }

    pub(super) async fn run(&self, kind: Kind) -> Result<RootReply, Status> {
        let proposed = self.propose(kind).await.map_err(|error| self.refused(&error))?;
        let reply = RootReply::decode(proposed.reply).map_err(|error| Status::internal(error.to_string()))?;
        match reply.error.is_empty() {
            true => Ok(reply),
            false if reply.superseded => Err(Status::already_exists(reply.error)),
            false => Err(Status::invalid_argument(reply.error)),
        }
    }
}

impl std::fmt::Debug for RootTerm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootTerm").field("term", &self.term).finish_non_exhaustive()
    }
}

/// A command of the root range as it is logged.
pub(crate) fn root_command(kind: Kind) -> Bytes {
    let format = match &kind {
        Kind::KeepHistory(command) if command.branches => FORMAT_BRANCHES,
        Kind::KeepHistory(_) => FORMAT_KEPT,
        _ => FORMAT,
    };
    let command = RangeCommand {
        format,
        kind: Some(CommandKind::Root(RootCommand { kind: Some(kind) })),
        ..RangeCommand::default()
    };
    command.encode_to_vec().into()
}
