//! Messages that make no sense, on the port that nodes and gateways speak to each other: whatever comes, the cluster
//! works afterwards, and after a restart of all nodes as well.
//!
//! `NUNATAK_NODE_PORT_CALLS` says how many calls are made (2400 if it does not), `NUNATAK_NODE_PORT_SEED` with which seed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nunatak_tests::mutation::mutate;
use nunatak_tests::processes::{Cluster, installed, psql};
use proto::grpc::GrpcNetwork;
use proto::v1::*;
use proto::{Network, NodeService};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How long one call is waited for: some wait for what never comes.
const CALL: Duration = Duration::from_millis(200);

/// Calls at a time.
const CALLERS: u64 = 16;

/// How long the cluster may take to work again.
const RECOVERY: Duration = Duration::from_secs(30);

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |value| value.parse().expect("a number"))
}

/// What a sender could know who has asked the cluster.
struct Truth {
    directory: DirectoryResponse,
    ranges: Vec<RangeStatus>,
    greetings: Vec<HelloResponse>,
    timestamp: u64,
}

impl Truth {
    async fn ask(nodes: &[Arc<dyn NodeService>]) -> Self {
        let directory = nodes[0].directory(DirectoryRequest::default()).await.expect("a directory");
        let ranges = nodes[0].ranges(RangesRequest::default()).await.expect("the ranges").ranges;
        let cluster_id = directory.cluster_id.clone();
        let (mut greetings, mut timestamp) = (Vec::new(), 0);
        for node in nodes {
            let hello = HelloRequest { cluster_id: cluster_id.clone(), from: None, range_id: 2 };
            greetings.push(node.hello(hello).await.expect("an answer"));
            let request = TimestampRequest { cluster_id: cluster_id.clone(), count: 1, forward: false };
            timestamp = node.timestamp(request).await.map_or(timestamp, |answer| answer.first);
        }
        Self { directory, ranges, greetings, timestamp }
    }

    fn cluster_id(&self) -> Bytes {
        self.directory.cluster_id.clone()
    }

    fn pick<'a, T>(of: &'a [T], random: &mut StdRng) -> &'a T {
        &of[random.random_range(0..of.len())]
    }

    /// From one replica to another of one range.
    fn target(&self, to: usize, random: &mut StdRng) -> (RaftTarget, u64) {
        let status = Self::pick(&self.ranges, random);
        let replicas = &status.descriptor.as_ref().expect("a descriptor").replicas;
        let to = &self.greetings[to];
        let replica_of = |node_id| {
            replicas.iter().find(|replica| replica.node_id == node_id).map_or(0, |replica| replica.replica_id)
        };
        let others: Vec<&HelloResponse> =
            self.greetings.iter().filter(|other| other.node_id != to.node_id).collect();
        let from = Self::pick(&others, random);
        let target = RaftTarget {
            cluster_id: self.cluster_id(),
            range_id: status.descriptor.as_ref().map_or(0, |range| range.range_id),
            replica_id: replica_of(to.node_id),
            from_replica_id: replica_of(from.node_id),
            node_id: to.node_id,
            generation: to.generation,
            from_node_id: from.node_id,
            from_generation: from.generation,
        };
        (target, status.term)
    }

    fn header(&self, random: &mut StdRng) -> Header {
        Header {
            cluster_id: self.cluster_id(),
            range_id: 2,
            span_epoch: 1,
            txn_id: Bytes::from(random.random::<[u8; 16]>().to_vec()),
            start_timestamp: self.timestamp,
            timeout_ms: 200,
            ..Header::default()
        }
    }

    fn batch(&self, random: &mut StdRng) -> BatchRequest {
        let operation = Some(self.operation(random));
        BatchRequest { header: Some(self.header(random)), operations: vec![Operation { operation }] }
    }

    fn operation(&self, random: &mut StdRng) -> operation::Operation {
        use operation::Operation as Op;
        let key = keys::sql::kv_key(keys::sql::TENANT_DEFAULT, &random.random::<[u8; 8]>());
        let at = self.timestamp;
        let check = Check { start: key.clone(), end: Bytes::new(), since: at };
        let (keys, txn_id) = (vec![key.clone()], Bytes::from(random.random::<[u8; 16]>().to_vec()));
        match random.random_range(0..11) {
            0 => Op::Get(Get { keys: vec![key], at }),
            1 => {
                let span = keys::sql::data_span();
                let span = Some(Span { start: span.start, end: span.end });
                Op::Scan(Scan { span, at, rows_max: 3, ..Scan::default() })
            }
            2 => Op::Lock(Lock { keys: vec![key], wait_ms_max: 50, ..Lock::default() }),
            3 | 4 => {
                let write = Write { key, value: Some(Bytes::from_static(b"value")), changes_key: None };
                Op::Commit(Commit { checks: vec![check], writes: vec![write], ..Commit::default() })
            }
            5 => Op::Validate(Validate { checks: vec![check], at, reserve: vec![key], reserve_ms: 50 }),
            6 => {
                let writes = vec![Write { key: key.clone(), value: None, changes_key: None }];
                let flush = random.random_range(0..3);
                Op::Prewrite(Prewrite {
                    writes,
                    checks: vec![check],
                    primary: key,
                    flush,
                    ..Prewrite::default()
                })
            }
            7 => Op::Decide(Decide {
                primary: key,
                txn_id,
                start_timestamp: at,
                outcome: Outcome::Aborted.into(),
                spans: vec![Span::default(); random.random_range(0..2)],
                ..Decide::default()
            }),
            8 => Op::Resolve(Resolve {
                keys,
                txn_id,
                start_timestamp: at,
                outcome: Outcome::Committed.into(),
                commit_timestamp: at,
                forget: key.clone(),
                span: random.random_bool(0.5).then(|| Span { end: keys::span::successor(&key), start: key }),
            }),
            9 => Op::Recover(Recover {
                keys,
                txn_id,
                start_timestamp: at,
                abort: random.random_bool(0.5),
                push_to: if random.random_bool(0.5) { at } else { 0 },
            }),
            _ => Op::Heartbeat(Heartbeat::default()),
        }
    }
}

/// Makes one call with a mutated message; what is answered is of no interest.
async fn bother(to: usize, node: &dyn NodeService, truth: &Truth, random: &mut StdRng) {
    let cluster_id = truth.cluster_id();
    let (target, term) = truth.target(to, random);
    let vote = RaftVote { term: term + 1, replica_id: target.from_replica_id, committed: false };
    let leads = RaftVote { committed: true, ..vote };
    let log_id = RaftLogId { term, index: 1000 };
    let sender = Truth::pick(&truth.greetings, random).clone();
    match random.random_range(0..19) {
        0 => {
            let request = RaftVoteRequest {
                target: Some(target),
                vote: Some(vote),
                last_log_id: Some(log_id),
                pre_vote: random.random_bool(0.3),
                leadership_transfer: random.random_bool(0.5),
            };
            drop(node.raft_vote(mutate(&request, random)).await);
        }
        1 => {
            let entry = |payload| RaftEntry { format: 1, id: Some(log_id), payload: Some(payload) };
            let stores =
                truth.greetings.iter().map(|node| (node.node_id, RaftStore { node_id: node.node_id }));
            let membership = RaftMembership {
                configs: vec![raft_membership::Config { voters: vec![1, 2, 3] }],
                replicas: stores.collect(),
            };
            let entries = vec![
                entry(raft_entry::Payload::Blank(true)),
                entry(raft_entry::Payload::Command(Bytes::from_static(b"no command"))),
                entry(raft_entry::Payload::Membership(membership)),
            ];
            let request = RaftAppendRequest {
                target: Some(target),
                vote: Some(leads),
                prev_log_id: Some(RaftLogId { term, index: 999 }),
                entries,
                leader_commit: Some(log_id),
                closed: None,
            };
            let requests: Vec<RaftAppendRequest> = (0..3).map(|_| mutate(&request, random)).collect();
            if let Ok(mut answers) = node.raft_append(Box::pin(futures::stream::iter(requests))).await {
                while futures::StreamExt::next(&mut answers).await.is_some_and(|answer| answer.is_ok()) {}
            }
        }
        2 => {
            let span = keys::sql::data_span();
            let head = RaftSnapshotHead {
                format: 1,
                last_log_id: Some(log_id),
                membership_log_id: Some(log_id),
                membership: Some(RaftMembership::default()),
                spans: vec![RaftSnapshotSpan { start: span.start, end: span.end, versioned: true }],
            };
            let first = RaftSnapshotChunk {
                target: Some(target),
                vote: Some(leads),
                head: Some(head),
                ..RaftSnapshotChunk::default()
            };
            let end = Some(RaftSnapshotEnd { chunks: 0, rows: 0 });
            let last = RaftSnapshotChunk { end, ..RaftSnapshotChunk::default() };
            let chunks = vec![mutate(&first, random), mutate(&last, random)];
            drop(node.raft_snapshot(Box::pin(futures::stream::iter(chunks))).await);
        }
        3 => {
            let to_replica_id = target.replica_id;
            let request = RaftTransferRequest {
                target: Some(target),
                from_vote: Some(leads),
                to_replica_id,
                last_log_id: Some(log_id),
            };
            drop(node.raft_transfer(mutate(&request, random)).await);
        }
        4 | 5 => {
            let request = NodeHeartbeatRequest {
                cluster_id,
                node_id: sender.node_id,
                address: sender.address,
                led: truth.directory.ranges.clone(),
                generation: sender.generation,
                failed: vec![ReplicaFailure { range_id: 2, replica_id: 1, why: "broken".to_owned() }],
                loads: vec![RangeLoad { range_id: 2, bytes: 1 << 30, requests_per_second: 1 << 30 }],
                disk: Some(DiskRoom { bytes_available: 1 << 40, bytes_reserved: 1 << 20 }),
                wall_ms: env::clock::wall_ms(),
                newest_command_format: 3,
                data_keys: Some(DataKeys { active: 7, keys: 2, stale_bytes: 1 << 40 }),
                heard_by: 1,
            };
            drop(node.node_heartbeat(mutate(&request, random)).await);
        }
        6 => {
            let request = JoinRequest {
                store_id: sender.store_id,
                address: sender.address,
                generation: sender.generation,
                version: "1".to_owned(),
                ..JoinRequest::default()
            };
            drop(node.join(mutate(&request, random)).await);
        }
        7 => {
            let counter = ["oid", "node", "replica", "range", "row", "index"][random.random_range(0..6)];
            let request =
                AllocateIdsRequest { cluster_id, counter: counter.to_owned(), count: 1, forward: false };
            drop(node.allocate_ids(mutate(&request, random)).await);
        }
        8 => {
            let request = WaitRequest {
                cluster_id,
                waiter: Bytes::from(vec![1; 16]),
                waiter_priority: truth.timestamp,
                wait_number: 1,
                range_id: 2,
                term,
                holders: vec![Bytes::from(vec![2; 16])],
            };
            drop(node.wait(mutate(&request, random)).await);
        }
        9 => {
            let request = DigestRequest {
                cluster_id,
                range_id: 2,
                at: truth.timestamp,
                applied_index: 1,
                deletions_since: truth.timestamp / 2,
                ..DigestRequest::default()
            };
            drop(node.digest(mutate(&request, random)).await);
        }
        10 => {
            let from = NodeDescriptor {
                node_id: sender.node_id,
                address: sender.address,
                generation: sender.generation,
                ..NodeDescriptor::default()
            };
            let request = HelloRequest { cluster_id, from: Some(from), range_id: 2 };
            drop(node.hello(mutate(&request, random)).await);
        }
        11 => drop(
            node.timestamp(mutate(&TimestampRequest { cluster_id, count: 1, forward: false }, random)).await,
        ),
        12 => drop(
            node.directory(mutate(&DirectoryRequest { cluster_id, ..DirectoryRequest::default() }, random))
                .await,
        ),
        13 => match random.random_range(0..8) {
            0 => drop(node.init(InitRequest::default()).await),
            1 => drop(node.check_consistency(CheckConsistencyRequest {}).await),
            _ => drop(node.ranges(RangesRequest::default()).await),
        },
        15 => {
            let sleep = RaftSleep {
                range_id: target.range_id,
                replica_id: target.replica_id,
                from_replica_id: target.from_replica_id,
                term,
                last_log_id: Some(log_id),
            };
            let woken = vec![target.range_id];
            let (epoch, asked) = (1, vec![sleep]);
            let request = RaftSleepRequest { target: Some(target), epoch, asked, woken, unheard: false };
            drop(node.raft_sleep(mutate(&request, random)).await);
        }
        14 => bother_stream(&truth.greetings[to].address, truth, random).await,
        _ => {
            let mut request = mutate(&truth.batch(random), random);
            harmless(&mut request);
            drop(node.batch(request).await);
        }
    }
}

/// Gateways may write where they like: what they write must not be somebody's table.
fn harmless(request: &mut BatchRequest) {
    for operation in &mut request.operations {
        if let Some(operation::Operation::Commit(commit)) = &mut operation.operation {
            for (write, number) in commit.writes.iter_mut().zip(0u8..) {
                write.key = keys::sql::kv_key(keys::sql::TENANT_DEFAULT, &[number]);
            }
        }
    }
}

/// Sends mutated messages on a stream of calls.
async fn bother_stream(address: &str, truth: &Truth, random: &mut StdRng) {
    use stream_request::Call;
    let mut requests = Vec::new();
    for id in 1..random.random_range(2..9) {
        let cluster_id = truth.cluster_id();
        let call = match random.random_range(0..4) {
            0 => Some(Call::Timestamp(TimestampRequest { cluster_id, count: 1, forward: true })),
            1 => Some(Call::Wait(WaitRequest {
                cluster_id,
                waiter: vec![1; 16].into(),
                ..WaitRequest::default()
            })),
            _ => Some(Call::Batch(truth.batch(random))),
        };
        let request = StreamRequest { id, cancel: random.random_bool(0.1), call };
        let mut request = mutate(&request, random);
        if let Some(Call::Batch(batch)) = &mut request.call {
            harmless(batch);
        }
        requests.push(request);
    }
    let client = calls_client::CallsClient::connect(format!("http://{address}")).await;
    let asked = client.expect("a node that listens").stream(futures::stream::iter(requests)).await;
    if let Ok(answers) = asked {
        let mut answers = answers.into_inner();
        while answers.message().await.is_ok_and(|answer| answer.is_some()) {}
    }
}

async fn bother_all(addresses: Vec<String>, calls: u64, seed: u64) {
    let network = GrpcNetwork::new(None);
    let nodes: Vec<_> = addresses.iter().map(|address| network.connect(address)).collect();
    let truth = Arc::new(Truth::ask(&nodes).await);
    let callers = (0..CALLERS).map(|caller| {
        let (nodes, truth) = (nodes.clone(), truth.clone());
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed * CALLERS + caller);
            for _ in 0..calls / CALLERS {
                let to = random.random_range(0..nodes.len());
                // Some wait for what will never come.
                let _ = tokio::time::timeout(CALL, bother(to, &*nodes[to], &truth, &mut random)).await;
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.expect("a caller");
    }
}

/// The cluster reads, writes, defines and agrees with itself.
fn works(cluster: &mut Cluster, round: u32) {
    let began = Instant::now();
    let address = cluster.gateways[0].address.clone();
    let statements = format!(
        "CREATE TABLE t{round} (a int PRIMARY KEY, b text); INSERT INTO t{round} VALUES (1, 'x');
         UPDATE kept SET n = n + 1"
    );
    let mut done = psql(&address, &statements);
    while let Err(error) = &done {
        assert!(began.elapsed() < RECOVERY, "the cluster does not work any more: {error}");
        // A statement that failed half way may have been done in part.
        let _ = psql(&address, &format!("DROP TABLE IF EXISTS t{round}"));
        done = psql(&address, &statements);
    }
    println!("works again after {:.1} s", began.elapsed().as_secs_f64());
    assert_eq!(psql(&address, "SELECT count(*) FROM kept").as_deref(), Ok("100"));
    cluster.check_consistency().expect("replicas that are alike");
    for node in &mut cluster.nodes {
        assert!(!node.has_ended() && !node.log().contains("panicked"), "{}", node.log());
    }
}

#[test]
fn no_message_keeps_the_cluster_from_working() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(folder.path(), 3, 1);
    let address = cluster.gateways[0].address.clone();
    psql(&address, "CREATE TABLE kept (a int PRIMARY KEY, n int); INSERT INTO kept SELECT x, 0 FROM generate_series(1, 100) g(x)")
        .expect("a table");
    let (calls, seed) = (number("NUNATAK_NODE_PORT_CALLS", 2400), number("NUNATAK_NODE_PORT_SEED", 1));
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(bother_all(cluster.addresses.clone(), calls, seed));
    println!("{calls} calls in {:.1} s", began.elapsed().as_secs_f64());
    works(&mut cluster, 1);
    for node in &mut cluster.nodes {
        node.kill();
    }
    for node in &mut cluster.nodes {
        node.restart();
    }
    works(&mut cluster, 2);
}
