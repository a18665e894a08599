//! The root range's leader of a large cluster: its term, directory, heartbeats and placement as they are, over a raft group as it is,
//! with nodes and ranges that are records. A fleet of records says what nodes would say, does what they are told, and answers who asks
//! it; time is simulated.
//!
//! ```text
//! fleet ── heartbeat: what is new ──▶ RootTerm ── hello ──▶ fleet     (a range is said to have changed)
//!       ◀── moves, some nodes ──────           ── raft ──▶ its rows
//!       ── directory since ─────────▶
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use env::disk::{Disk, MemoryDisk};
use env::task::Scope;
use lsm::WriteBatch;
use parking_lot::Mutex;
use proto::simulated::{Faults, SimulatedNetwork};
use proto::v1::root_command::Kind;
use proto::v1::{
    BootstrapCommand, DirectoryRequest, DirectoryResponse, DiskRoom, HelloRequest, HelloResponse,
    JoinCommand, NodeHeartbeatRequest, NodeHeartbeatResponse, NodeRow, RangeDescriptor, RangeLoad,
    RangeStatus, ReplicaDescriptor, RootCommand, Span,
};
use proto::{NodeService, Status};
use rustix::time::{ClockId, clock_gettime};

use super::*;
use crate::addresses::Addresses;
use crate::machine::Machine;
use crate::member::told::{Led, Told};
use crate::raft::{GroupSeed, RaftHost, RaftOptions, RaftTiming};
use crate::range::apply::ApplyRoot;
use crate::range::state::FORMAT_NEWEST;
use crate::store::engine_options;

const CLUSTER: &[u8] = b"a large cluster!";
const ZONES: u64 = 4;
const REPLICAS: usize = 3;
const MIB: u64 = 1 << 20;

/// After how long a silent node's replicas count as lost here.
const DEAD_AFTER: Duration = Duration::from_secs(20);

/// Ids of replicas that were given before anybody asks for some.
const REPLICA_IDS: u64 = 1 << 40;

/// Seconds in which nothing happens that are looked at.
const STEADY: u32 = 10;

/// Times in a second that all ranges may be looked at, however many nodes there are: for plans, for what nodes hold, for borders that are
/// to go.
const WALKS_MAX: u64 = 8;

/// Timestamps that are asked for in a second, and how many at a time.
const TIMESTAMPS: u32 = 100_000;
const TIMESTAMPS_PER_REQUEST: u32 = 100;

fn address(node_id: u64) -> String {
    format!("n{node_id}:1")
}

fn zone(node_id: u64) -> u64 {
    node_id % ZONES
}

/// What the processor has spent on this thread, in milliseconds.
fn cpu_ms() -> f64 {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    spent.tv_sec as f64 * 1e3 + spent.tv_nsec as f64 / 1e6
}

/// A node of the fleet.
#[derive(Default)]
struct FleetNode {
    lives: bool,
    led: BTreeSet<u64>,
    told: Told,
    /// Who has told it the directory, and how many changes that had counted.
    directory: (u64, u64),
}

/// Nodes and ranges that are records.
struct Fleet {
    nodes: BTreeMap<u64, FleetNode>,
    ranges: BTreeMap<u64, RangeDescriptor>,
    replica_next: u64,
    /// How long a node takes to say what it holds.
    answers_in: Duration,
}

impl Fleet {
    /// So many nodes in four zones, and so many ranges, each with replicas in three of those.
    fn new(nodes: u64, ranges: u64) -> Self {
        let mut fleet = Self {
            nodes: BTreeMap::new(),
            ranges: BTreeMap::new(),
            replica_next: 2,
            answers_in: Duration::ZERO,
        };
        for node_id in 1..=nodes {
            fleet.nodes.insert(node_id, FleetNode { lives: true, ..FleetNode::default() });
        }
        for number in 0..ranges {
            let range_id = FIRST_DATA_RANGE + number;
            let key =
                |number: u64| Bytes::from([&[keys::keyspace::DATA][..], &number.to_be_bytes()].concat());
            let first = 1 + number * 7 % nodes;
            let held: Vec<u64> = (0..REPLICAS as u64).map(|turn| 1 + (first - 1 + turn) % nodes).collect();
            let replicas = held.iter().map(|node_id| fleet.replica(*node_id)).collect();
            let range = RangeDescriptor {
                range_id,
                span: Some(Span { start: key(number), end: key(number + 1) }),
                span_epoch: 2,
                config_epoch: 7,
                replicas,
                leader_node_id: first,
                ..RangeDescriptor::default()
            };
            fleet.ranges.insert(range_id, range);
            fleet.leads(first).insert(range_id);
        }
        fleet
    }

    fn replica(&mut self, node_id: u64) -> ReplicaDescriptor {
        self.replica_next += 1;
        let replica_id = self.replica_next;
        ReplicaDescriptor { replica_id, node_id, address: address(node_id), ..ReplicaDescriptor::default() }
    }

    fn leads(&mut self, node_id: u64) -> &mut BTreeSet<u64> {
        &mut self.nodes.get_mut(&node_id).unwrap().led
    }

    fn lives(&self, node_id: u64) -> bool {
        self.nodes.get(&node_id).is_some_and(|node| node.lives)
    }

    fn live(&self) -> Vec<u64> {
        self.nodes.iter().filter(|(_, node)| node.lives).map(|(node_id, _)| *node_id).collect()
    }

    fn lead(&mut self, range_id: u64, to: u64) {
        let before = std::mem::replace(&mut self.ranges.get_mut(&range_id).unwrap().leader_node_id, to);
        self.leads(before).remove(&range_id);
        self.leads(to).insert(range_id);
    }

    /// All nodes of a zone are gone, and others are elected where those led.
    fn lose(&mut self, lost: u64) {
        self.nodes
            .iter_mut()
            .filter(|(node_id, _)| zone(**node_id) == lost)
            .for_each(|(_, node)| node.lives = false);
        let orphans: Vec<u64> =
            self.nodes.values().filter(|node| !node.lives).flat_map(|node| node.led.clone()).collect();
        for range_id in orphans {
            let heir = self.ranges[&range_id].replicas.iter().find(|replica| self.lives(replica.node_id));
            let heir = heir.expect("a majority").node_id;
            self.lead(range_id, heir);
        }
    }

    /// What a node says, what of that it says for the first time.
    fn heartbeat(&self, node_id: u64) -> (NodeHeartbeatRequest, Vec<Led>, Vec<RangeLoad>) {
        let node = &self.nodes[&node_id];
        let led: Vec<Led> =
            node.led.iter().map(|range_id| Led { term: 1, range: self.ranges[range_id].clone() }).collect();
        let load =
            |range_id: &u64| RangeLoad { range_id: *range_id, bytes: 64 * MIB, requests_per_second: 9 };
        let loads: Vec<RangeLoad> = node.led.iter().map(load).collect();
        let news = node.told.news(&led, &loads);
        let request = NodeHeartbeatRequest {
            cluster_id: Bytes::from_static(CLUSTER),
            node_id,
            address: address(node_id),
            generation: 1,
            led: news.led,
            loads: news.loads,
            heard_by: news.heard_by,
            disk: Some(DiskRoom { bytes_available: 1 << 40, bytes_reserved: 256 * MIB }),
            wall_ms: env::clock::wall_ms(),
            newest_command_format: FORMAT_NEWEST,
            ..NodeHeartbeatRequest::default()
        };
        (request, led, loads)
    }

    /// Does what a node was told, as far as nothing has changed since.
    fn follow(&mut self, answer: NodeHeartbeatResponse) -> usize {
        let mut done = 0;
        for wanted in answer.moves {
            let known = &self.ranges[&wanted.range_id];
            if known.config_epoch != wanted.config_epoch {
                continue;
            }
            let added: Vec<ReplicaDescriptor> =
                wanted.add.iter().map(|node| self.replica(node.node_id)).collect();
            let range = self.ranges.get_mut(&wanted.range_id).unwrap();
            range.replicas.retain(|replica| !wanted.remove.contains(&replica.replica_id));
            range.replicas.extend(added);
            range.config_epoch += 1;
            let leader = range.leader_node_id;
            let heir = range.replicas.iter().map(|replica| replica.node_id).find(|id| *id == leader);
            if heir.is_none() {
                let to = self.ranges[&wanted.range_id].replicas[0].node_id;
                self.lead(wanted.range_id, to);
            }
            done += 1;
        }
        for wanted in answer.transfers {
            let range = &self.ranges[&wanted.range_id];
            if range.config_epoch == wanted.config_epoch && self.lives(wanted.to_node_id) {
                self.lead(wanted.range_id, wanted.to_node_id);
                done += 1;
            }
        }
        done
    }

    /// Whether every range has three replicas that live, in three zones.
    fn is_whole(&self) -> bool {
        self.ranges.values().all(|range| {
            let zones: BTreeSet<u64> = range.replicas.iter().map(|replica| zone(replica.node_id)).collect();
            range.replicas.len() == REPLICAS
                && zones.len() == REPLICAS
                && range.replicas.iter().all(|replica| self.lives(replica.node_id))
        })
    }
}

/// A node of the fleet as others reach it.
struct Door {
    node_id: u64,
    fleet: Arc<Mutex<Fleet>>,
}

#[async_trait]
impl NodeService for Door {
    async fn hello(&self, request: HelloRequest) -> Result<HelloResponse, Status> {
        let answers_in = self.fleet.lock().answers_in;
        env::clock::sleep(answers_in).await;
        let fleet = self.fleet.lock();
        let range = fleet.ranges.get(&request.range_id);
        let held = range.and_then(|range| {
            let own = range.replicas.iter().find(|replica| replica.node_id == self.node_id)?;
            let (replica_id, descriptor) = (own.replica_id, Some(range.clone()));
            Some(RangeStatus { replica_id, descriptor, ..RangeStatus::default() })
        });
        Ok(HelloResponse {
            cluster_id: Bytes::from_static(CLUSTER),
            node_id: self.node_id,
            generation: 1,
            address: address(self.node_id),
            held,
            ..HelloResponse::default()
        })
    }
}

/// What a second has taken, of the processor in milliseconds and otherwise.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    heartbeats_ms: f64,
    directory_ms: f64,
    oracle_ms: f64,
    plan_ms: f64,
    /// Changes that were told, and done.
    done: usize,
    /// The most that one heartbeat has named, and one answer to it.
    led_named: usize,
    nodes_told: usize,
    /// The most ranges that one answer of the directory has told.
    ranges_told: usize,
    /// How often all ranges were looked at.
    walks: u64,
}

struct Scale {
    root: Arc<RootTerm>,
    fleet: Arc<Mutex<Fleet>>,
    _network: SimulatedNetwork,
    _host: Arc<RaftHost>,
}

impl Scale {
    async fn start(nodes: u64, ranges: u64) -> Self {
        let fleet = Arc::new(Mutex::new(Fleet::new(nodes, ranges)));
        let network = SimulatedNetwork::new(Faults::none());
        for node_id in 1..=nodes {
            let door = Door { node_id, fleet: fleet.clone() };
            network.register(&address(node_id), Arc::new(door), Scope::new());
        }
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let db = lsm::Db::open(engine_options(&disk, Path::new("/store"))).unwrap();
        let machine = Arc::new(Machine::open(db.clone(), FORMAT_NEWEST).unwrap());
        let addresses = Arc::new(Addresses::new("root:1".to_owned()));
        addresses.set_own(1, 1);
        let network_of_root = network.for_endpoint("root:1");
        let options = RaftOptions {
            disk,
            dir: PathBuf::from("/store/raft"),
            db,
            network: network_of_root.clone(),
            cluster_id: Bytes::from_static(CLUSTER),
            addresses: addresses.clone(),
            timing: RaftTiming::default(),
            lost: BTreeSet::new(),
            sleep_after: None,
            log_bytes_max: 64 << 20,
            runtime: None,
        };
        let host = RaftHost::open(options, machine.clone()).await.unwrap();
        let group = host.create(GroupSeed { range_id: ROOT_RANGE, replica_id: 1 }).await.unwrap();
        fill(&mut machine.root().lock(), &fleet.lock());
        let nodes = Nodes {
            network: network_of_root,
            addresses,
            dead_after: DEAD_AFTER,
            limits: Limits { bytes_max: 512 * MIB, requests_per_second_max: 0 },
            rest: Some(Duration::from_secs(600)),
            lost: BTreeSet::new(),
        };
        let (cell, term) = (machine.cell(ROOT_RANGE).unwrap(), group.role().term);
        let root = RootTerm::begin(group, cell, machine.root(), term, nodes).await.unwrap();
        let keeping = root.clone();
        drop(env::task::spawn(async move { keeping.keep_window().await }));
        Self { root, fleet, _network: network, _host: host }
    }

    /// A second of all nodes' life.
    async fn second(&self) -> Second {
        let begun = env::clock::now();
        let mut second = Second::default();
        let walks = self.root.walks();
        let mut from = cpu_ms();
        let mut took = |into: &mut f64| {
            let now = cpu_ms();
            *into += now - std::mem::replace(&mut from, now);
        };
        drop(self.root.plan());
        took(&mut second.plan_ms);
        let live = self.fleet.lock().live();
        let said: Vec<_> = live.iter().map(|node_id| self.fleet.lock().heartbeat(*node_id)).collect();
        took(&mut 0.0);
        let mut answering = Vec::new();
        let mut told = Vec::new();
        for (request, led, loads) in said {
            second.led_named = second.led_named.max(request.led.len());
            told.push((led, loads));
            let root = self.root.clone();
            answering.push(env::task::spawn(async move { root.heartbeat(request).await.unwrap() }));
        }
        let mut answers = Vec::new();
        for answer in answering {
            answers.push(answer.await.unwrap());
        }
        took(&mut second.heartbeats_ms);
        for ((node_id, answer), (led, loads)) in live.iter().zip(answers).zip(told) {
            second.nodes_told = second.nodes_told.max(answer.nodes.len());
            let mut fleet = self.fleet.lock();
            fleet.nodes.get_mut(node_id).unwrap().told.heard(&answer, led, loads);
            second.done += fleet.follow(answer);
        }
        took(&mut 0.0);
        for node_id in &live {
            let (told_by, changes) = self.fleet.lock().nodes[node_id].directory;
            let request = DirectoryRequest { told_by, changes, ..DirectoryRequest::default() };
            let answer = self.root.directory_since(&request).unwrap_or_else(|| self.root.directory());
            second.ranges_told = second.ranges_told.max(answer.ranges.len());
            self.fleet.lock().nodes.get_mut(node_id).unwrap().directory = (answer.told_by, answer.changes);
        }
        took(&mut second.directory_ms);
        let mut before = 0;
        for _ in 0..TIMESTAMPS / TIMESTAMPS_PER_REQUEST {
            let first = self.root.timestamp(TIMESTAMPS_PER_REQUEST).await.unwrap();
            assert!(first > before, "timestamps never go back");
            before = first + u64::from(TIMESTAMPS_PER_REQUEST) - 1;
        }
        took(&mut second.oracle_ms);
        second.walks = self.root.walks() - walks;
        env::clock::sleep_until(begun + Duration::from_secs(1)).await;
        second
    }
}

/// Writes the fleet into the root range's rows, as years of joins and splits would have.
fn fill(state: &mut RootState, fleet: &Fleet) {
    let mut run = |kind| drop(state.apply(RootCommand { kind: Some(kind) }, &mut WriteBatch::new()));
    let counters = [(COUNTER_NODE, 2), (COUNTER_REPLICA, REPLICA_IDS), (COUNTER_RANGE, REPLICA_IDS)];
    let join = |node_id: u64| JoinCommand {
        store_id: Bytes::copy_from_slice(&u128::from(node_id).to_be_bytes()),
        address: address(node_id),
        locality: [("zone".to_owned(), zone(node_id).to_string())].into_iter().collect(),
        version: "test".to_owned(),
        generation: 1,
    };
    let first = join(1);
    run(Kind::Bootstrap(BootstrapCommand {
        cluster_id: Bytes::from_static(CLUSTER),
        node: Some(NodeRow {
            node_id: 1,
            store_id: first.store_id,
            address: first.address,
            locality: first.locality,
            version: first.version,
            generation: 1,
            ..NodeRow::default()
        }),
        ranges: fleet.ranges.values().cloned().collect(),
        counters: counters.map(|(name, next)| (name.to_owned(), next)).into_iter().collect(),
        ..BootstrapCommand::default()
    }));
    fleet.nodes.keys().skip(1).for_each(|node_id| run(Kind::Join(join(*node_id))));
}

fn simulate<F: Future>(work: impl FnOnce() -> F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let _simulation = env::simulation::enter(1);
        work().await
    })
}

/// Plays a cluster until it rests, loses a zone, and is whole again; prints what it took.
async fn lose_a_zone(nodes: u64, ranges: u64, seconds_max: u32) {
    let scale = Scale::start(nodes, ranges).await;
    // All is told, the leader knows enough to balance, and nothing is left to do.
    let mut rested = 0;
    for second in 0.. {
        assert!(second < seconds_max, "it does not come to rest");
        rested = if scale.second().await.done == 0 { rested + 1 } else { 0 };
        if second > 20 && rested >= 3 {
            break;
        }
    }
    let mut steady = Vec::new();
    for _ in 0..STEADY {
        steady.push(scale.second().await);
    }
    // Once in half a minute all nodes say all again, here in the same second.
    let quiet: Vec<&Second> = steady.iter().filter(|second| second.led_named == 0).collect();
    assert!(!quiet.is_empty(), "{steady:?}");
    for second in &quiet {
        assert!(second.nodes_told <= 40 && second.ranges_told <= 1, "{second:?}");
    }
    for second in &steady {
        assert!(second.walks <= WALKS_MAX, "{second:?}");
    }
    scale.fleet.lock().lose(3);
    let (mut took, mut recovering) = (0, Second::default());
    while !scale.fleet.lock().is_whole() {
        assert!(took < seconds_max, "{took} s after it has lost a zone the cluster is not whole");
        let second = scale.second().await;
        assert!(second.walks <= WALKS_MAX, "{second:?}");
        took += 1;
        recovering.heartbeats_ms += second.heartbeats_ms;
        recovering.directory_ms += second.directory_ms;
        recovering.done += second.done;
    }
    let mean =
        |of: fn(&Second) -> f64| quiet.iter().map(|second| of(second)).sum::<f64>() / quiet.len() as f64;
    let (heartbeats, directory, oracle) =
        (mean(|s| s.heartbeats_ms), mean(|s| s.directory_ms), mean(|s| s.oracle_ms));
    println!(
        "{nodes} nodes, {ranges} ranges: of a core, heartbeats {:.1} %, directory {:.1} %, {TIMESTAMPS} timestamps {:.1} %: in all \
         {:.1} % (mark: 10 %); a plan takes {:.0} ms, and plans a thirtieth of a core at most",
        heartbeats / 10.0,
        directory / 10.0,
        oracle / 10.0,
        (heartbeats + directory + oracle) / 10.0,
        mean(|s| s.plan_ms),
    );
    let each = f64::from(took.max(1)) * 10.0;
    println!(
        "a zone was lost: whole again after {took} s and {} changes; meanwhile heartbeats and what they write {:.1} %, directory {:.1} %",
        recovering.done,
        recovering.heartbeats_ms / each,
        recovering.directory_ms / each,
    );
}

#[test]
fn what_the_rows_say_already_is_no_change() {
    simulate(|| async {
        let scale = Scale::start(4, 12).await;
        let DirectoryResponse { told_by, changes, .. } = scale.root.directory();
        scale.second().await;
        let known = DirectoryRequest { told_by, changes, ..DirectoryRequest::default() };
        let since = scale.root.directory_since(&known).unwrap();
        assert!(since.ranges.len() == 1 && since.gone.is_empty(), "{since:?}");
        let other = DirectoryRequest { told_by: told_by ^ 1, ..known };
        assert!(scale.root.directory_since(&other).is_none());
    });
}

#[test]
fn who_has_much_to_say_is_answered_in_time() {
    simulate(|| async {
        let scale = Scale::start(4, 12).await;
        let request = {
            let mut fleet = scale.fleet.lock();
            fleet.answers_in = Duration::from_millis(100);
            // As if each had been divided from the one that has its span.
            for range_id in 100..300 {
                let like = fleet.ranges[&FIRST_DATA_RANGE].clone();
                fleet.leads(like.leader_node_id).insert(range_id);
                fleet.ranges.insert(range_id, RangeDescriptor { range_id, ..like });
            }
            let node_id = fleet.ranges[&FIRST_DATA_RANGE].leader_node_id;
            fleet.heartbeat(node_id).0
        };
        let begun = env::clock::now();
        let answer = scale.root.heartbeat(request).await.unwrap();
        let took = env::clock::now().duration_since(begun);
        assert!(took < Duration::from_millis(1500), "{took:?}");
        assert!((150..200).contains(&answer.again.len()), "{}", answer.again.len());
    });
}

#[test]
fn a_cluster_that_loses_a_zone_is_whole_again_and_its_root_looks_at_what_has_changed() {
    simulate(|| lose_a_zone(60, 1_200, 200));
}

#[test]
#[ignore = "takes minutes where nothing is optimised; prints what it has measured"]
fn a_thousand_nodes_and_a_hundred_thousand_ranges() {
    simulate(|| lose_a_zone(1_000, 100_000, 600));
}
