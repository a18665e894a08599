//! The nodes, their disks, their addresses, their lives.

use std::sync::Arc;
use std::time::Duration;

use client::{Client, TransactionOptions};
use env::disk::{CrashMode, MemoryDisk};
use env::task::{JoinHandle, Scope};
use env::{clock, random};
use lsm::{KeySource, MasterKey};
use node::{Node, NodeOptions};
use proto::NodeService;
use proto::simulated::{Counts, SimulatedNetwork};
use proto::v1::{
    CheckConsistencyRequest, DirectoryRequest, DirectoryResponse, HelloRequest, HistoryRequest,
    RangeDescriptor, RangeStatus, RangesRequest, SplitRequest, Unfinished,
};
use tokio::runtime::Handle;

use super::borders::{borders, piece};
use super::coverage;
use super::scenario::Scenario;

/// The range that hands out timestamps: it never sleeps.
const ROOT_RANGE: u64 = 1;

/// Whoever asks a range that slept is answered within this: it takes no election.
const AT_ONCE: Duration = Duration::from_millis(1_200);

/// How many replicas a range has.
pub(super) const REPLICAS: usize = 3;

/// How long replication may take to be what it should be, once all nodes run.
const SETTLING: Duration = Duration::from_secs(120);

/// How long forming the cluster may take.
const FORMING: Duration = Duration::from_secs(60);

/// How long a node may take to end in order.
const STOPPING: Duration = Duration::from_secs(20);

/// The cluster.
pub(super) struct Cluster {
    network: SimulatedNetwork,
    scenario: Scenario,
    slots: Vec<Slot>,
    /// With which nodes are asked what they hold.
    greeting: HelloRequest,
}

/// A machine: its disk stays, the process on it comes and goes, and may come back at another address.
struct Slot {
    address: String,
    disk: MemoryDisk,
    /// The node has been started with a master key, and will be from now on.
    encrypted: bool,
    /// It has come later than the others.
    is_new: bool,
    /// How far its wall clock is ahead of that of the others.
    clock_ahead_ms: i64,
    running: Option<Running>,
}

struct Running {
    node: Arc<Node>,
    scope: Scope,
}

/// A range that sleeps, or may, by the places of its replicas.
pub(super) struct Sleeper {
    pub(super) range_id: u64,
    pub(super) leader: usize,
    pub(super) others: Vec<usize>,
    pub(super) asleep: bool,
}

impl Cluster {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let slots = (1..=scenario.nodes)
            .map(|number| Slot {
                address: format!("n{number}:1"),
                disk: MemoryDisk::new(),
                encrypted: false,
                is_new: false,
                clock_ahead_ms: clock_ahead(scenario),
                running: None,
            })
            .collect();
        let network = SimulatedNetwork::new(scenario.wire());
        Self { network, scenario: scenario.clone(), slots, greeting: HelloRequest::default() }
    }

    pub(super) fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    pub(super) fn network(&self) -> &SimulatedNetwork {
        &self.network
    }

    pub(super) fn network_counts(&self) -> Counts {
        self.network.counts()
    }

    pub(super) fn addresses(&self) -> Vec<String> {
        self.slots.iter().map(|slot| slot.address.clone()).collect()
    }

    pub(super) fn address(&self, place: usize) -> &str {
        &self.slots[place].address
    }

    /// How many nodes there are.
    pub(super) fn nodes(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_running(&self, place: usize) -> bool {
        self.slots[place].running.is_some()
    }

    /// Starts all nodes, makes them a cluster and waits until every range has a replica on each.
    pub(super) async fn form(&mut self) -> Result<(), String> {
        for place in 0..self.slots.len() {
            self.start(place).await?;
        }
        let first = self.slots[0].running.as_ref().ok_or("the first node is down")?;
        let (node, scope, history_ms) = (first.node.clone(), first.scope.clone(), self.scenario.history_ms);
        let initialising = scope.spawn_on(&Handle::current(), async move { node.init(history_ms).await });
        initialising.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let formed = async {
            while !self.is_replicated().await {
                clock::sleep(Duration::from_millis(100)).await;
            }
        };
        let formed = clock::timeout(FORMING, formed).await;
        formed.map_err(|_| "the ranges were not replicated in time".to_owned())?;
        let cluster_id = self.directory().await.map(|directory| directory.cluster_id).unwrap_or_default();
        self.greeting = HelloRequest { cluster_id, ..HelloRequest::default() };
        Ok(())
    }

    async fn is_replicated(&self) -> bool {
        let Some(directory) = self.directory().await else { return false };
        let replicated = |range: &proto::v1::RangeDescriptor| {
            range.replicas.iter().filter(|replica| !replica.learner).count() == REPLICAS
        };
        !directory.ranges.is_empty() && directory.ranges.iter().all(replicated)
    }

    async fn directory(&self) -> Option<DirectoryResponse> {
        let node = self.slots.iter().find_map(|slot| slot.running.as_ref())?.node.clone();
        node.directory(DirectoryRequest::default()).await.ok()
    }

    /// The places of the nodes that lead a range, as the directory has it.
    pub(super) async fn leader(&self, range_id: u64) -> Option<usize> {
        let directory = self.directory().await?;
        let range = directory.ranges.iter().find(|range| range.range_id == range_id)?;
        let leader = range.replicas.iter().find(|replica| replica.node_id == range.leader_node_id)?;
        self.slots.iter().position(|slot| slot.address == leader.address)
    }

    /// The place of the node that leads the range that holds `key`.
    pub(super) async fn leader_at(&self, key: &[u8]) -> Option<usize> {
        let directory = self.directory().await?;
        let holds = |range: &&RangeDescriptor| {
            range.span.as_ref().is_some_and(|span| *span.start <= *key && *key < *span.end)
        };
        let holding = directory.ranges.iter().filter(holds).max_by_key(|range| range.span_epoch);
        let range_id = holding?.range_id;
        self.leader(range_id).await
    }

    /// The place of the node that leads the range that ends at `key`.
    pub(super) async fn leader_before(&self, key: &[u8]) -> Option<usize> {
        let directory = self.directory().await?;
        let ends = |range: &&RangeDescriptor| range.span.as_ref().is_some_and(|span| *span.end == *key);
        let range_id = directory.ranges.iter().filter(ends).max_by_key(|range| range.span_epoch)?.range_id;
        self.leader(range_id).await
    }

    /// Has some node divide a range at `key`; whether it is known to have been divided now. It goes on by itself.
    pub(super) fn start_division(&self, key: bytes::Bytes) -> JoinHandle<bool> {
        let operator = self.network.for_endpoint("operator");
        let asked = random::below(self.slots.len() as u64) as usize;
        let node = operator.connect(&self.slots[asked].address);
        env::task::spawn(async move {
            let asked = node.split(SplitRequest { key, passed_on: false });
            match clock::timeout(Duration::from_secs(3), asked).await {
                Ok(Ok(answer)) => !answer.already,
                Ok(Err(status)) => {
                    tracing::info!(%status, "a range was not divided");
                    false
                }
                Err(_) => false,
            }
        })
    }

    /// Waits until every key has one range, in the directory and on each store; what is wrong if that takes too long.
    pub(super) async fn settle_coverage(&self) -> Vec<String> {
        let until = clock::now() + SETTLING;
        loop {
            let ranges = self.directory().await.map(|directory| directory.ranges).unwrap_or_default();
            let mut violations = coverage::judge(&ranges, 1);
            for running in self.slots.iter().filter_map(|slot| slot.running.as_ref()) {
                let mut held = Vec::new();
                for range in &ranges {
                    let request = HelloRequest { range_id: range.range_id, ..self.greeting.clone() };
                    let answer = running.node.hello(request).await.ok().and_then(|answer| answer.held);
                    held.extend(answer.and_then(|held| held.descriptor));
                }
                violations.extend(coverage::judge_store(&held));
            }
            if violations.is_empty() || clock::now() >= until {
                return violations;
            }
            clock::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until ranges are neither divided nor merged any more, where nobody asks anything; what goes on if that does not come.
    pub(super) async fn comes_to_rest(&self) -> Vec<String> {
        let Some(rest) = self.scenario.merge_rest_s else { return Vec::new() };
        let still = Duration::from_secs(10 + 4 * rest);
        let until = clock::now() + 10 * still;
        let (mut known, mut since) = (Vec::new(), clock::now());
        while clock::now() < until {
            let ranges = self.directory().await.map(|directory| directory.ranges).unwrap_or_default();
            let now: Vec<_> = ranges.iter().map(|range| (range.range_id, range.span_epoch)).collect();
            if now != known {
                (known, since) = (now, clock::now());
            }
            if since.elapsed() >= still {
                return Vec::new();
            }
            clock::sleep(Duration::from_millis(500)).await;
        }
        vec![format!("ranges are divided and merged without end: {known:?}")]
    }

    /// Of all replicas of ranges of data on nodes that run: how many there are, and how many of them sleep.
    pub(super) async fn asleep(&self) -> (usize, usize) {
        let ranges = self.directory().await.map(|directory| directory.ranges).unwrap_or_default();
        let (mut all, mut asleep) = (0, 0);
        for place in 0..self.slots.len() {
            for range in ranges.iter().filter(|range| range.range_id != ROOT_RANGE) {
                let Some(held) = self.held(place, range.range_id).await else { continue };
                all += 1;
                asleep += usize::from(held.asleep);
            }
        }
        (all, asleep)
    }

    /// Waits until all replicas sleep, where that is to come soon and nobody asks anything, but for those of the range that gateways look
    /// after things in; what does not if it takes too long.
    pub(super) async fn settle_sleep(&self) -> Vec<String> {
        if self.scenario.sleep_after_ms.is_none() {
            return Vec::new();
        }
        let until = clock::now() + SETTLING;
        loop {
            let (all, asleep) = self.asleep().await;
            if all > REPLICAS && asleep + REPLICAS >= all {
                return Vec::new();
            }
            if clock::now() >= until {
                return vec![format!("{asleep} of {all} replicas sleep, and nobody asks anything")];
            }
            clock::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Where nothing is wrong, and all have slept for a while, most of those who ask are answered at once; what is not so.
    pub(super) async fn wakes_at_once(&self, client: Client) -> Vec<String> {
        if self.scenario.sleep_after_ms.is_none() {
            return Vec::new();
        }
        // Of any length: who has heard nothing for long does one thing in this second, and another in the next.
        clock::sleep(Duration::from_millis(1_200 + random::below(12_000))).await;
        let mut late = Vec::new();
        for number in 0..self.scenario.pieces {
            let asked = clock::now();
            let read = client.begin(TransactionOptions::default()).get(piece(number)).await;
            let took = asked.elapsed();
            if read.is_err() || took > AT_ONCE {
                late.push(format!("{took:?} ({:?})", read.err()));
            }
        }
        // A message may be lost.
        if late.len() as u64 * 2 <= self.scenario.pieces {
            return Vec::new();
        }
        vec![format!("ranges that slept answer late: {}", late.join(", "))]
    }

    /// A range and where its replicas are: one that sleeps, if one does, whose other replicas are not on the node that hands out
    /// timestamps.
    pub(super) async fn sleeper(&self) -> Option<Sleeper> {
        let directory = self.directory().await?;
        let place_of = |node_id: u64, range: &RangeDescriptor| {
            let on = range.replicas.iter().find(|replica| replica.node_id == node_id)?;
            self.slots.iter().position(|slot| slot.address == on.address)
        };
        let root = directory.ranges.iter().find(|range| range.range_id == ROOT_RANGE)?.leader_node_id;
        let mut best: Vec<Sleeper> = Vec::new();
        let mut rank = 0;
        for range in directory.ranges.iter().filter(|range| range.range_id != ROOT_RANGE) {
            let range_id = range.range_id;
            let Some(leader) = place_of(range.leader_node_id, range) else { continue };
            let Some(held) = self.held(leader, range_id).await else { continue };
            let others = range.replicas.iter().map(|replica| replica.node_id);
            let others: Vec<u64> = others.filter(|node_id| *node_id != range.leader_node_id).collect();
            let worth = usize::from(held.asleep) * 2 + usize::from(!others.contains(&root));
            if worth > rank {
                best.clear();
                rank = worth;
            }
            if worth == rank {
                let others = others.iter().filter_map(|node_id| place_of(*node_id, range)).collect();
                best.push(Sleeper { range_id, leader, others, asleep: held.asleep });
            }
        }
        let chosen = random::below(best.len().max(1) as u64) as usize;
        (chosen < best.len()).then(|| best.swap_remove(chosen))
    }

    /// Whether one of the nodes at these places serves a range.
    pub(super) async fn is_served_by(&self, range_id: u64, places: &[usize]) -> bool {
        for place in places {
            let descriptor = self.held(*place, range_id).await.and_then(|held| held.descriptor);
            if descriptor.is_some_and(|range| range.leader_node_id != 0) {
                return true;
            }
        }
        false
    }

    /// What the node at `place` says that it holds of a range.
    async fn held(&self, place: usize, range_id: u64) -> Option<RangeStatus> {
        let node = self.slots.get(place)?.running.as_ref()?.node.clone();
        let request = HelloRequest { range_id, ..self.greeting.clone() };
        node.hello(request).await.ok()?.held.filter(|held| held.replica_id != 0)
    }

    /// Starts the node at `place` on what its disk holds; at any start its data may become encrypted.
    pub(super) async fn start(&mut self, place: usize) -> Result<(), String> {
        self.start_with(place, |_| {}).await
    }

    /// As [`Cluster::start`], a program that can read no command.
    pub(super) async fn start_outdated(&mut self, place: usize) -> Result<(), String> {
        self.start_with(place, |options| options.newest_command_format = 0).await
    }

    async fn start_with(
        &mut self,
        place: usize,
        change: impl FnOnce(&mut NodeOptions),
    ) -> Result<(), String> {
        let joins = self.places();
        let slot = &mut self.slots[place];
        if slot.running.is_some() {
            return Ok(());
        }
        let network = self.network.for_endpoint(&slot.address);
        slot.encrypted |= random::below(4) == 0;
        let master_key = KeySource::Key(MasterKey::new([place as u8; 32]));
        let mut options = NodeOptions {
            encryption: slot.encrypted.then_some(master_key),
            join: if place == 0 && !slot.is_new { Vec::new() } else { joins },
            memtable_bytes_max: self.scenario.memtable_bytes_max,
            cache_bytes: 1 << 20,
            raft_log_bytes_max: self.scenario.raft_log_bytes_max,
            range_bytes_max: self.scenario.range_bytes_max,
            range_requests_max: self.scenario.range_requests_max,
            merge_rest: self.scenario.merge_rest_s.map(Duration::from_secs),
            dead_after: Duration::from_secs(self.scenario.dead_after_s),
            borders: borders(&self.scenario),
            ..NodeOptions::new(Arc::new(slot.disk.clone()), "/data", network, slot.address.clone())
        };
        if let Some(ms) = self.scenario.closed_lag_ms {
            options.closed_lag = Duration::from_millis(ms);
        }
        if let Some(ms) = self.scenario.sleep_after_ms {
            options.sleep_after = Some(Duration::from_millis(ms));
            // As soon as it may be.
            options.timing.close_after = Duration::ZERO;
        }
        change(&mut options);
        let scope = Scope::new();
        scope.set_clock_ahead_ms(slot.clock_ahead_ms);
        let starting = scope.spawn_on(&Handle::current(), Node::start(options));
        let started = starting.await.map_err(|error| format!("{} while starting: {error}", slot.address))?;
        let node = started.map_err(|error| format!("{} does not start: {error}", slot.address))?;
        self.network.register(&slot.address, node.clone(), scope.clone());
        tracing::info!(node = slot.address, "runs");
        slot.running = Some(Running { node, scope });
        Ok(())
    }

    /// Every address that a node may ever have.
    fn places(&self) -> Vec<String> {
        let numbers = 1..=self.slots.len();
        numbers.flat_map(|number| [format!("n{number}:1"), format!("m{number}:1")]).collect()
    }

    /// The machine at `place`, whose process does not run, gets another address.
    pub(super) fn move_away(&mut self, place: usize) {
        let number = place + 1;
        let taken: Vec<String> = self.addresses();
        let own = [format!("n{number}:1"), format!("m{number}:1")];
        if let Some(free) = own.into_iter().find(|address| !taken.contains(address)) {
            self.slots[place].address = free;
        }
    }

    /// The machine at `place`, whose process does not run, goes, and an empty one takes its place.
    pub(super) fn replace_machine(&mut self, place: usize) {
        let slot = &mut self.slots[place];
        tracing::info!(node = slot.address, "is replaced by an empty machine");
        slot.disk = MemoryDisk::new();
        slot.encrypted = false;
        slot.is_new = true;
    }

    /// Two machines, whose processes do not run, change addresses.
    pub(super) fn swap(&mut self, one: usize, other: usize) {
        let address = std::mem::take(&mut self.slots[one].address);
        self.slots[one].address = std::mem::replace(&mut self.slots[other].address, address);
    }

    /// The place of a node that leads a range whose voters are being changed, in its log if not yet in effect.
    pub(super) async fn changing(&self) -> Option<usize> {
        let ranges = self.directory().await.map(|directory| directory.ranges).unwrap_or_default();
        for (place, slot) in self.slots.iter().enumerate() {
            let Some(running) = &slot.running else { continue };
            for range_id in ranges.iter().map(|range| range.range_id) {
                let request = HelloRequest { range_id, ..self.greeting.clone() };
                let held = running.node.hello(request).await.ok().and_then(|answer| answer.held);
                if held.is_some_and(|held| {
                    held.changing && held.descriptor.is_some_and(|range| range.leader_node_id != 0)
                }) {
                    return Some(place);
                }
            }
        }
        None
    }

    /// Whether a replica is learning, so that a change of voters may follow soon.
    pub(super) async fn is_learning(&self) -> bool {
        let learns = |range: &RangeDescriptor| range.replicas.iter().any(|replica| replica.learner);
        self.directory().await.is_some_and(|directory| directory.ranges.iter().any(learns))
    }

    /// Waits until no change of replicas is half done any more and every range has its replicas; what is wrong if that
    /// takes too long.
    pub(super) async fn settle_replicas(&self) -> Vec<String> {
        let until = clock::now() + SETTLING;
        let settled = |range: &RangeDescriptor| {
            !range.joint
                && range.replicas.len() == REPLICAS
                && range.replicas.iter().all(|replica| !replica.learner)
        };
        loop {
            let ranges = self.directory().await.map(|directory| directory.ranges).unwrap_or_default();
            if ranges.len() >= 2 && ranges.iter().all(settled) {
                return Vec::new();
            }
            if clock::now() >= until {
                return vec![format!("replication is still not what it should be: {ranges:?}")];
            }
            clock::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The wall clock of the machine at `place` jumps.
    pub(super) fn set_clock(&mut self, place: usize) {
        let ahead_ms = clock_ahead(&self.scenario);
        let slot = &mut self.slots[place];
        tracing::info!(node = slot.address, ahead_ms, "has another wall clock");
        slot.clock_ahead_ms = ahead_ms;
        if let Some(running) = &slot.running {
            running.scope.set_clock_ahead_ms(ahead_ms);
        }
    }

    /// The disk of the node at `place` answers nothing, or goes on.
    pub(super) fn hold_disk(&self, place: usize, held: bool) {
        if let Some(running) = &self.slots[place].running {
            tracing::info!(node = self.slots[place].address, held, "disk");
            running.scope.hold_blocking(held);
        }
    }

    /// The process at `place` is killed, and its machine loses what was not synced, or a part of it.
    pub(super) fn crash(&mut self, place: usize) {
        let slot = &mut self.slots[place];
        let Some(running) = slot.running.take() else { return };
        tracing::info!(node = slot.address, "crashes");
        self.network.unregister(&slot.address);
        running.scope.end();
        let mode = match random::below(2) {
            0 => CrashMode::Strict,
            _ => CrashMode::Random(random::next_u64()),
        };
        slot.disk = slot.disk.crash(mode);
    }

    /// The process at `place` ends in order: it answers others until it has. What it has not synced by then is lost.
    pub(super) async fn stop(&mut self, place: usize) -> Result<(), String> {
        let slot = &mut self.slots[place];
        let Some(running) = slot.running.take() else { return Ok(()) };
        tracing::info!(node = slot.address, "is asked to end");
        let node = running.node.clone();
        let stopping = running.scope.spawn_on(&Handle::current(), async move { node.shutdown().await });
        // There may be much to flush.
        clock::sleep(Duration::from_millis(random::below(100))).await;
        running.scope.hold_blocking(true);
        clock::sleep(Duration::from_millis(random::below(1_500))).await;
        running.scope.hold_blocking(false);
        let stopped = clock::timeout(STOPPING, stopping).await;
        tracing::info!(node = slot.address, "ends");
        self.network.unregister(&slot.address);
        running.scope.end();
        slot.disk = slot.disk.crash(CrashMode::Strict);
        match stopped {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(format!("{} does not end in order: {error}", slot.address)),
            Ok(Err(error)) => Err(format!("{} while ending: {error}", slot.address)),
            Err(_) => Err(format!("{} does not end", slot.address)),
        }
    }

    /// The process at `place` is stopped: it keeps its connections and does nothing. False: none runs there.
    pub(super) fn freeze(&mut self, place: usize) -> bool {
        let slot = &self.slots[place];
        let Some(running) = &slot.running else { return false };
        tracing::info!(node = slot.address, "is frozen");
        running.scope.freeze();
        true
    }

    /// It goes on.
    pub(super) fn thaw(&mut self, place: usize) {
        if let Some(running) = &self.slots[place].running {
            running.scope.thaw();
        }
    }

    /// No cuts any more, and every node runs. What keeps one from starting is a violation.
    pub(super) async fn heal(&mut self) -> Vec<String> {
        self.network.heal_all();
        (0..self.slots.len()).for_each(|place| self.thaw(place));
        let mut violations = Vec::new();
        for place in 0..self.slots.len() {
            violations.extend(self.start(place).await.err());
        }
        violations
    }

    /// Completes once a client can write.
    pub(super) async fn wait_serving(&self, client: Client) {
        loop {
            let options =
                TransactionOptions { timeout: Duration::from_secs(5), ..TransactionOptions::default() };
            let mut transaction = client.begin(options);
            transaction.put(keys::sql::kv_key(1, b"probe"), random::next_u64().to_be_bytes().to_vec().into());
            if transaction.commit().await.is_ok() {
                return;
            }
            clock::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until every range has raised its safe point as far as a short history lets it; false if that does not come.
    pub(super) async fn collects(&self) -> bool {
        let Some(history_ms) = self.scenario.history_ms else { return true };
        for _ in 0..100 {
            clock::sleep(Duration::from_millis(200)).await;
            for running in self.slots.iter().filter_map(|slot| slot.running.as_ref()) {
                let asked = running.node.history(HistoryRequest::default());
                let Ok(Ok(answer)) = clock::timeout(Duration::from_secs(5), asked).await else { continue };
                let now = clock::wall_ms();
                if answer.safe_point > 0
                    && now.saturating_sub(answer.safe_point >> 18) < 2 * history_ms + 5_000
                {
                    return true;
                }
            }
        }
        false
    }

    /// Waits until no transaction has anything left in any range; what is left if that takes too long.
    pub(super) async fn unfinished(&self) -> Vec<String> {
        let until = clock::now() + SETTLING;
        loop {
            let mut left = Vec::new();
            for running in self.slots.iter().filter_map(|slot| slot.running.as_ref()) {
                let Ok(ranges) = running.node.ranges(RangesRequest::default()).await else { continue };
                let unfinished = ranges.ranges.into_iter().filter_map(|range| {
                    let unfinished = range.unfinished.filter(|left| *left != Unfinished::default())?;
                    Some(format!("range {}: {unfinished:?}", range.descriptor?.range_id))
                });
                left.extend(unfinished);
            }
            if left.is_empty() {
                return left;
            }
            if clock::now() >= until {
                return vec![format!("transactions that are over have left something: {left:?}")];
            }
            clock::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The sum of the terms of all ranges.
    pub(super) async fn terms(&self) -> u64 {
        let mut newest = std::collections::BTreeMap::new();
        for running in self.slots.iter().filter_map(|slot| slot.running.as_ref()) {
            let Ok(ranges) = running.node.ranges(RangesRequest::default()).await else { continue };
            for range in ranges.ranges {
                let term = newest.entry(range.descriptor.map_or(0, |range| range.range_id)).or_insert(0);
                *term = range.term.max(*term);
            }
        }
        newest.values().sum()
    }

    /// Asks for the comparison of all replicas; in what they differ.
    pub(super) async fn compare_replicas(&self) -> Vec<String> {
        let operator = self.network.for_endpoint("operator");
        for _ in 0..50 {
            for slot in &self.slots {
                let node = operator.connect(&slot.address);
                let asked = node.check_consistency(CheckConsistencyRequest::default());
                let Ok(Ok(compared)) = clock::timeout(Duration::from_secs(20), asked).await else { continue };
                let complete = compared.ranges.len() >= 2
                    && compared.ranges.iter().all(|range| {
                        range.replicas.len() == REPLICAS
                            && range.replicas.iter().all(|replica| replica.error.is_empty())
                    });
                if complete {
                    let differing = compared.ranges.iter().filter(|range| !range.consistent);
                    return differing.map(|range| format!("replicas differ: {range:?}")).collect();
                }
            }
            clock::sleep(Duration::from_millis(200)).await;
        }
        vec!["the replicas could not be compared".to_owned()]
    }

    /// Ends every process.
    pub(super) fn end(&mut self) {
        for slot in &mut self.slots {
            if let Some(running) = slot.running.take() {
                self.network.unregister(&slot.address);
                running.scope.end();
            }
        }
    }
}

/// A wall clock, ahead of that of the others or behind.
fn clock_ahead(scenario: &Scenario) -> i64 {
    random::below(2 * scenario.clock_ms_max + 1) as i64 - scenario.clock_ms_max as i64
}
