//! Nodes that answer what the test has told them to, and note what they were asked.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use env::simulation;
use parking_lot::Mutex;
use proto::inprocess::InProcess;
use proto::v1::operation::Operation as Ask;
use proto::v1::operation_result::Result as Answer;
use proto::v1::*;
use proto::{Network, NodeService, Status};

use crate::{Client, ClientOptions};

/// Two nodes: "n1:1" leads everything at first, "n2:1" is the other replica.
pub(super) struct Cluster {
    pub(super) client: Client,
    script: Arc<Script>,
}

#[derive(Default)]
struct Script {
    /// What comes back, and how long it takes.
    answers: Mutex<VecDeque<(Duration, Result<BatchResponse, Status>)>>,
    asked: Mutex<Vec<Asked>>,
    /// The node that serves the ranges, as empty batches and timestamps are answered.
    leader: AtomicU64,
    /// Nodes that say nothing at all.
    frozen: Mutex<BTreeSet<u64>>,
    /// Who does not lead reaches the leader, frozen or not: it is the client alone that does not.
    passes_on: AtomicBool,
    /// Empty batches.
    probes: AtomicU64,
    timestamps: Mutex<u64>,
    /// Requests for timestamps by the client itself.
    timestamps_asked: AtomicU64,
    ranges: Mutex<Vec<RangeDescriptor>>,
}

/// What a node was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) node: u64,
    pub(super) header: Header,
    pub(super) ask: Ask,
}

/// Nodes that are elsewhere, as far as the client can tell.
struct Remote(InProcess);

impl Network for Remote {
    fn connect(&self, address: &str) -> Arc<dyn NodeService> {
        self.0.connect(address)
    }
}

struct Node {
    id: u64,
    script: Arc<Script>,
}

/// Runs `test` in a simulation, with a cluster whose data range is all of 'd'.
pub(super) fn with_cluster(test: impl AsyncFnOnce(Cluster)) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let _simulation = simulation::enter(1);
        let script = Arc::new(Script::default());
        script.leader.store(1, Ordering::Relaxed);
        *script.timestamps.lock() = 100;
        *script.ranges.lock() = vec![range(1, 1, "r", "s"), range(2, 1, "d", "e")];
        let network = InProcess::new();
        for id in [1, 2] {
            network.register(&format!("n{id}:1"), Arc::new(Node { id, script: script.clone() }));
        }
        let client =
            Client::new(Arc::new(Remote(network)), vec!["n1:1".to_owned()], ClientOptions::default());
        test(Cluster { client, script }).await;
    });
}

/// A range on both nodes.
pub(super) fn range(
    range_id: u64,
    span_epoch: u64,
    start: &'static str,
    end: &'static str,
) -> RangeDescriptor {
    let replica = |node_id| ReplicaDescriptor {
        replica_id: node_id,
        node_id,
        address: format!("n{node_id}:1"),
        ..ReplicaDescriptor::default()
    };
    RangeDescriptor {
        range_id,
        span: Some(Span { start: Bytes::from(start), end: Bytes::from(end) }),
        span_epoch,
        config_epoch: 1,
        replicas: vec![replica(1), replica(2)],
        leader_node_id: 1,
        joint: false,
        by_hand: false,
    }
}

impl Cluster {
    /// The next request is answered so.
    pub(super) fn answer(&self, answer: Answer) -> &Self {
        let results = vec![OperationResult { result: Some(answer) }];
        self.push(Ok(BatchResponse { results, error: None }))
    }

    /// The next request is refused so.
    pub(super) fn refuse(&self, kind: error::Kind) -> &Self {
        let error = Error { message: "scripted".to_owned(), kind: Some(kind) };
        self.push(Ok(BatchResponse { results: Vec::new(), error: Some(error) }))
    }

    /// The next request's answer is lost.
    pub(super) fn lose(&self) -> &Self {
        self.push(Err(Status::unavailable("lost")))
    }

    fn push(&self, answer: Result<BatchResponse, Status>) -> &Self {
        self.script.answers.lock().push_back((Duration::ZERO, answer));
        self
    }

    /// The answer that was scripted last takes so long.
    pub(super) fn after(&self, delay: Duration) -> &Self {
        self.script.answers.lock().back_mut().unwrap().0 = delay;
        self
    }

    /// The ranges are served by that node from now on.
    pub(super) fn lead(&self, node: u64) {
        self.script.leader.store(node, Ordering::Relaxed);
    }

    /// The node says nothing any more.
    pub(super) fn freeze(&self, node: u64) {
        self.script.frozen.lock().insert(node);
    }

    pub(super) fn thaw(&self, node: u64) {
        self.script.frozen.lock().remove(&node);
    }

    /// From now on nodes pass requests on to the leader that the client does not reach.
    pub(super) fn pass_on(&self) {
        self.script.passes_on.store(true, Ordering::Relaxed);
    }

    /// How many empty batches were answered.
    pub(super) fn probes(&self) -> u64 {
        self.script.probes.load(Ordering::Relaxed)
    }

    /// How often the client itself has asked for timestamps.
    pub(super) fn timestamps_asked(&self) -> u64 {
        self.script.timestamps_asked.load(Ordering::Relaxed)
    }

    /// Later on, in the background.
    pub(super) fn later(&self, delay: Duration, act: impl FnOnce(&Self) + Send + 'static) {
        let cluster = Self { client: self.client.clone(), script: self.script.clone() };
        drop(env::task::spawn(async move {
            env::clock::sleep(delay).await;
            act(&cluster);
        }));
    }

    /// The newest timestamp that was handed out.
    pub(super) fn set_timestamp(&self, newest: u64) {
        *self.script.timestamps.lock() = newest;
    }

    pub(super) fn set_ranges(&self, ranges: Vec<RangeDescriptor>) {
        *self.script.ranges.lock() = ranges;
    }

    /// What was asked since the last look, heartbeats and releases left out.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let asked = std::mem::take(&mut *self.script.asked.lock());
        asked.into_iter().filter(|asked| !matches!(asked.ask, Ask::Heartbeat(_) | Ask::Release(_))).collect()
    }

    pub(super) fn asked_raw(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.script.asked.lock())
    }
}

pub(super) fn key(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub(super) fn version(value: &'static str, timestamp: u64) -> Version {
    Version { value: Some(key(value)), timestamp }
}

pub(super) fn got(value: &'static str, timestamp: u64) -> Answer {
    Answer::Get(GetResult { versions: vec![version(value, timestamp)], read_at: 0 })
}

pub(super) fn locked(value: &'static str, timestamp: u64, locked_at: u64) -> Answer {
    let keys = vec![LockedKey { newest: Some(version(value, timestamp)), skipped: false }];
    Answer::Lock(LockResult { keys, locked_at, ..LockResult::default() })
}

pub(super) fn committed(commit_timestamp: u64) -> Answer {
    Answer::Commit(CommitResult { commit_timestamp })
}

impl Node {
    /// A frozen node says nothing, not even that it is frozen.
    async fn lives(&self) {
        if self.script.frozen.lock().contains(&self.id) {
            std::future::pending().await
        }
    }

    fn serves(&self, forward: bool) -> bool {
        self.id == self.leader() || (forward && self.script.passes_on.load(Ordering::Relaxed))
    }

    fn leader(&self) -> u64 {
        self.script.leader.load(Ordering::Relaxed)
    }

    fn next_timestamp(&self, count: u32) -> u64 {
        let mut last = self.script.timestamps.lock();
        let first = *last + 1;
        *last += u64::from(count);
        first
    }

    /// Where a request has no timestamp, the answer has one.
    fn ask_oracle(&self, header: &Header, ask: &Ask, response: &mut BatchResponse) {
        let result = response.results.first_mut().and_then(|result| result.result.as_mut());
        let read_at = match (ask, result) {
            (Ask::Get(Get { at: 0, .. }), Some(Answer::Get(got))) => &mut got.read_at,
            (Ask::Scan(Scan { at: 0, .. }), Some(Answer::Scan(scanned))) => &mut scanned.read_at,
            (Ask::Lock(_), Some(Answer::Lock(locked))) if header.start_timestamp == 0 => &mut locked.read_at,
            _ => return,
        };
        *read_at = self.next_timestamp(1);
    }

    /// Whether it serves the ranges; where it is to pass things on, whether it reaches who does.
    fn probed(&self, forward: bool) -> BatchResponse {
        self.script.probes.fetch_add(1, Ordering::Relaxed);
        let leader = self.leader();
        let hint = NotLeader { leader_node_id: leader, leader_address: format!("n{leader}:1") };
        let error = Error { message: "probed".to_owned(), kind: Some(error::Kind::NotLeader(hint)) };
        BatchResponse { results: Vec::new(), error: (!self.serves(forward)).then_some(error) }
    }
}

#[async_trait]
impl NodeService for Node {
    async fn batch(&self, request: BatchRequest) -> Result<BatchResponse, Status> {
        self.lives().await;
        let uncounted = super::allocations::pause();
        let header = request.header.unwrap();
        let Some(operation) = request.operations.into_iter().next() else {
            return Ok(self.probed(header.forward));
        };
        let ask = operation.operation.unwrap();
        let asked = Asked { node: self.id, header: header.clone(), ask: ask.clone() };
        self.script.asked.lock().push(asked);
        let quiet = match &ask {
            Ask::Heartbeat(_) => Some(Answer::Heartbeat(HeartbeatResult::default())),
            Ask::Release(_) => Some(Answer::Release(ReleaseResult {})),
            _ => None,
        };
        if let Some(answer) = quiet {
            let results = vec![OperationResult { result: Some(answer) }];
            return Ok(BatchResponse { results, error: None });
        }
        let answer = self.script.answers.lock().pop_front();
        let (delay, mut answer) =
            answer.unwrap_or_else(|| (Duration::ZERO, Err(Status::unavailable("the script has ended"))));
        // Others go on while this sleeps.
        drop(uncounted);
        if !delay.is_zero() {
            env::clock::sleep(delay).await;
        }
        if let Ok(response) = &mut answer {
            self.ask_oracle(&header, &ask, response);
        }
        answer
    }

    async fn timestamp(&self, request: TimestampRequest) -> Result<TimestampResponse, Status> {
        self.lives().await;
        if !self.serves(request.forward) {
            return Err(Status::failed_precondition(format!("n{}:1", self.leader())));
        }
        self.script.timestamps_asked.fetch_add(1, Ordering::Relaxed);
        Ok(TimestampResponse { first: self.next_timestamp(request.count), catalog_version: 1 })
    }

    async fn directory(&self, _: DirectoryRequest) -> Result<DirectoryResponse, Status> {
        self.lives().await;
        let ranges = self.script.ranges.lock().clone();
        let cluster_id = Bytes::from_static(&[1; 16]);
        Ok(DirectoryResponse { cluster_id, ranges, ..DirectoryResponse::default() })
    }
}
