//! What the root range's leader knows of nodes and ranges, and how it comes to believe it.
//!
//! No row is made of what a message says by itself: a message may be old, forged, or of a process that is not where it
//! says. Who joins or has moved is visited at the address given, and must answer there as the store that asked. What a
//! node says to have become of a range is asked of it at the address on record. Only what lives in this leader's memory
//! for seconds (a sign of life, a full disk, who leads) is taken from a heartbeat as it comes, from a node that is
//! registered with that very generation and address.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::v1::root_command::Kind;
use proto::v1::{
    DirectoryRequest, DirectoryResponse, DiskRoom, HelloRequest, HelloResponse, JoinCommand, JoinRequest,
    JoinResponse, NodeHeartbeatRequest, NodeHeartbeatResponse, NodeRow, PutRangeCommand, RangeDescriptor,
    Span,
};
use proto::{Code, Status};

use super::ROOT_RANGE;
use super::state::{COUNTER_RANGE, COUNTER_REPLICA, RootState, epochs};
use super::term::RootTerm;
use super::view::Seen;
use crate::addresses::is_address;
use crate::range::map::RangeMap;
use crate::range::state::descriptor;
use crate::store;

/// How long a node may take to say who it is, or what it holds.
const VISIT: Duration = Duration::from_secs(1);

/// Ranges of one heartbeat that are asked about, and until when the next of them is begun with, so that the heartbeat is answered before
/// its node waits for that no more; the next heartbeat brings the others again.
const ASKED_MAX: usize = 64;
const ASKING: Duration = Duration::from_millis(500);

/// Ranges and replicas that one heartbeat may name: more than fit into a message. A node of an older program names all that it leads,
/// which may be all that there are, and who is refused to say so counts as dead.
const NAMED_MAX: usize = 1 << 20;

/// In multiples of what a disk is to keep free: less room than that is little.
const ROOM_LOW: u64 = 4;

/// For how long it is told to all how much room a disk has that had little.
const LOW_TOLD: Duration = Duration::from_secs(60);

/// Replicas that a range may have while it changes.
const REPLICAS_MAX: usize = 64;

/// Tiers of a locality, and the bytes of each of their names and values, and of a version.
const TIERS_MAX: usize = 16;
const TEXT_BYTES_MAX: usize = 256;

impl RootTerm {
    /// A store joins, or says where it is now, and is visited there.
    pub(crate) async fn join(&self, request: JoinRequest) -> Result<JoinResponse, Status> {
        check_introduction(&request)?;
        {
            let state = self.state.lock();
            if let Some(node) = state.nodes().find(|node| node.store_id == request.store_id) {
                self.check_kept(node)?;
            }
        }
        let registered = |node: &NodeRow| {
            (&node.store_id, &node.address, node.generation)
                == (&request.store_id, &request.address, request.generation)
        };
        if !self.state.lock().nodes().any(registered) {
            self.prove_leadership().await?;
            let answer = self.ask(&request.address, 0).await?;
            if answer.store_id != request.store_id || answer.generation != request.generation {
                return Err(Status::invalid_argument(format!(
                    "the process at {} is another one than the one that joins from there: is its --advertise right?",
                    request.address
                )));
            }
        }
        self.admit(request).await
    }

    /// Refuses the store of a node that an operator has given up.
    fn check_kept(&self, node: &NodeRow) -> Result<(), Status> {
        if !node.given_up && !self.nodes.lost.contains(&node.node_id) {
            return Ok(());
        }
        Err(Status::already_exists(format!(
            "node {} was given up, and ranges have been recovered without it: start it with an empty directory",
            node.node_id
        )))
    }

    /// A store joins, or says where it is now; it is known to be there.
    pub(crate) async fn admit(&self, request: JoinRequest) -> Result<JoinResponse, Status> {
        check_introduction(&request)?;
        let Some(cluster_id) = self.state.lock().cluster_id() else {
            return Err(Status::unavailable("the cluster is being initialised"));
        };
        let command = JoinCommand {
            store_id: request.store_id,
            address: request.address,
            locality: request.locality,
            version: request.version,
            generation: request.generation,
        };
        let reply = self.run(Kind::Join(command)).await?;
        Ok(JoinResponse {
            cluster_id,
            node_id: reply.node_id,
            root: vec![self.root_descriptor()],
            nodes: self.nodes_lately(),
        })
    }

    /// A node lives; what it should do.
    pub(crate) async fn heartbeat(
        &self,
        request: NodeHeartbeatRequest,
    ) -> Result<NodeHeartbeatResponse, Status> {
        self.prove_leadership().await?;
        if [request.led.len(), request.failed.len(), request.loads.len()]
            .iter()
            .any(|named| *named > NAMED_MAX)
        {
            return Err(Status::invalid_argument("a heartbeat names too many ranges"));
        }
        let Some(known) = self.state.lock().node(request.node_id).cloned() else {
            return Err(Status::not_found("no such node"));
        };
        self.check_kept(&known)?;
        if (known.generation, &known.address) != (request.generation, &request.address) {
            let NodeRow { store_id, locality, version, .. } = known;
            let (address, generation) = (request.address.clone(), request.generation);
            let introduction =
                JoinRequest { store_id, address, locality, version, generation, format_version: 0 };
            self.join(introduction).await?;
        }
        self.clocks.lock().hear(env::clock::now(), request.node_id, request.wall_ms);
        let mut failed = BTreeSet::new();
        let news = self.news(&request.led);
        let failing: BTreeSet<u64> = request.failed.iter().map(|failure| failure.range_id).collect();
        // What has failed is to be replaced, however much else there is to hear.
        let asked = failing.iter().chain(news.difference(&failing)).copied().take(ASKED_MAX);
        let asked: Vec<u64> = asked.collect();
        let until = env::clock::now() + ASKING;
        for range_id in asked {
            if env::clock::now() >= until {
                break;
            }
            let answer = match self.ask(&request.address, range_id).await {
                Ok(answer) => answer,
                Err(status) => {
                    // The node lives, and its next heartbeat says the same again.
                    tracing::debug!(node = request.node_id, range = range_id, %status, "not confirmed");
                    continue;
                }
            };
            let Some(held) = answer.held.filter(|_| answer.node_id == request.node_id) else { continue };
            if !held.failure.is_empty() {
                failed.insert((range_id, held.replica_id));
            }
            if let Some(range) = held.descriptor {
                self.take_range(range, request.node_id).await?;
            }
        }
        Ok(self.listen(request, failed))
    }

    /// As [`RootTerm::heartbeat`], of the node that this leader runs on.
    pub(crate) async fn own_heartbeat(
        &self,
        request: NodeHeartbeatRequest,
    ) -> Result<NodeHeartbeatResponse, Status> {
        self.prove_leadership().await?;
        let news = self.news(&request.led);
        let until = env::clock::now() + ASKING;
        for range in request.led.iter().filter(|range| news.contains(&range.range_id)) {
            if env::clock::now() >= until {
                break;
            }
            self.take_range(range.clone(), request.node_id).await?;
        }
        let failed = request.failed.iter().map(|failure| (failure.range_id, failure.replica_id)).collect();
        Ok(self.listen(request, failed))
    }

    /// The ranges that are said to be newer than what is known of them.
    fn news(&self, led: &[RangeDescriptor]) -> BTreeSet<u64> {
        let state = self.state.lock();
        led.iter().filter(|range| state.is_news(range)).map(|range| range.range_id).collect()
    }

    /// As [`RootTerm::put_range`]; what a range cannot be is left out: its node lives all the same.
    async fn take_range(&self, range: RangeDescriptor, node_id: u64) -> Result<(), Status> {
        match self.put_range(range, node_id).await {
            Err(status) if status.code() == Code::InvalidArgument => {
                tracing::warn!(node = node_id, %status, "not taken into the directory");
                Ok(())
            }
            answer => answer,
        }
    }

    /// A range has become this, says the node that leads it.
    async fn put_range(&self, range: RangeDescriptor, node_id: u64) -> Result<(), Status> {
        if range.leader_node_id != node_id {
            // It does not lead any more.
            return Ok(());
        }
        check_range(&self.state.lock(), &range).map_err(|why| {
            Status::invalid_argument(format!("range {} cannot be like that: {why}", range.range_id))
        })?;
        self.run(Kind::PutRange(PutRangeCommand { range: Some(range) })).await.map(drop)
    }

    /// Takes a heartbeat into the view; what the node should do.
    fn listen(&self, request: NodeHeartbeatRequest, failed: BTreeSet<(u64, u64)>) -> NodeHeartbeatResponse {
        let (node_id, heard_by) = (request.node_id, request.heard_by);
        let oracle_ms = self.oracle_ms();
        let again = {
            let mut view = self.view.lock();
            let (at, wall_ms) = (env::clock::now(), env::clock::wall_ms());
            let newest_format = request.newest_command_format;
            let (disk, data_keys) = (request.disk, request.data_keys);
            view.seen.insert(node_id, Seen { at, wall_ms, oracle_ms, disk, newest_format, data_keys });
            match disk {
                Some(disk) if is_low(&disk) => {
                    view.low.insert(node_id, at);
                }
                // That it has room again is to be heard by all whom it was told to be full.
                _ if view.low.get(&node_id).is_some_and(|low| at.duration_since(*low) > LOW_TOLD) => {
                    view.low.remove(&node_id);
                }
                _ => {}
            }
            view.failed.insert(node_id, failed);
            let mut state = self.state.lock();
            for load in request.loads.iter().filter(|load| state.range(load.range_id).is_some()) {
                view.bytes.insert(load.range_id, load.bytes);
                view.requests.insert(load.range_id, load.requests_per_second);
            }
            let again = request.led.iter().filter(|range| state.is_news(range)).map(|range| range.range_id);
            let again: Vec<u64> = again.collect();
            for range in request.led {
                if state.range(range.range_id).is_some_and(|known| epochs(known) == epochs(&range)) {
                    let range = RangeDescriptor { leader_node_id: node_id, ..range };
                    let before = view.led.get(&range.range_id);
                    let is_new = before != Some(&range);
                    // A leader that has just begun hears of all ranges, most of them as their rows have them.
                    let is_told = state.range(range.range_id).is_some_and(|row| view.told(row) == &range);
                    if before.is_some_and(|before| before.span_epoch != range.span_epoch) {
                        // What was measured is of another span.
                        view.bytes.remove(&range.range_id);
                    }
                    let configured = (range.config_epoch, at);
                    let known = view.configured.entry(range.range_id).or_insert(configured);
                    if known.0 != range.config_epoch {
                        *known = configured;
                    }
                    if !is_told {
                        state.note_change(range.range_id);
                    }
                    if is_new {
                        view.led.insert(range.range_id, range);
                    }
                }
            }
            again
        };
        let (moves, transfers) = self.wanted_of(node_id);
        let merges = self.merges_of(node_id);
        // It takes a timestamp.
        let horizon = self.told_horizon();
        let newest = self.newest_timestamp().unwrap_or(0);
        let some_nodes = heard_by == self.number;
        let nodes = if some_nodes { self.some_nodes(node_id) } else { self.nodes_lately() };
        // What was told to another leader this one has not heard.
        let heard_by = if some_nodes || heard_by == 0 { self.number } else { 0 };
        NodeHeartbeatResponse {
            nodes,
            moves,
            transfers,
            merges,
            horizon,
            newest,
            heard_by,
            again,
            some_nodes,
        }
    }

    /// Who is at `address`, and what is held there of a range.
    async fn ask(&self, address: &str, range_id: u64) -> Result<HelloResponse, Status> {
        let cluster_id = self.state.lock().cluster_id().unwrap_or_default();
        let request = HelloRequest { cluster_id, from: None, range_id };
        let node = self.nodes.network.connect(address);
        let answer = env::clock::timeout(VISIT, node.hello(request)).await;
        let unreachable = |why: &str| {
            Status::unavailable(format!(
                "the root range's leader does not reach the node at {address}: {why}"
            ))
        };
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => Err(unreachable(status.message())),
            Err(_) => Err(unreachable("no answer in time")),
        }
    }

    /// The ranges as this leader sees them.
    pub(crate) fn ranges(&self) -> Vec<RangeDescriptor> {
        self.note_walk();
        let root = self.root_descriptor();
        let view = self.view.lock();
        let state = self.state.lock();
        let ranges = state.ranges().map(|range| match range.range_id {
            ROOT_RANGE => root.clone(),
            _ => view.told(range).clone(),
        });
        ranges.collect()
    }

    /// Some of them: those that `pick` names.
    pub(crate) fn ranges_of(&self, pick: impl FnOnce(&RangeMap) -> Vec<u64>) -> Vec<RangeDescriptor> {
        let root = self.root_descriptor();
        let view = self.view.lock();
        let state = self.state.lock();
        let rows = pick(state.range_map()).into_iter().filter_map(|range_id| state.range(range_id));
        let ranges = rows.map(|row| match row.range_id {
            ROOT_RANGE => root.clone(),
            _ => view.told(row).clone(),
        });
        ranges.collect()
    }

    /// Whether it knows of any.
    pub(crate) fn knows_ranges(&self) -> bool {
        !self.state.lock().range_map().is_empty()
    }

    /// Where ranges and nodes are.
    pub(crate) fn directory(&self) -> DirectoryResponse {
        let (cluster_id, changes) = {
            let state = self.state.lock();
            (state.cluster_id().unwrap_or_default(), state.changes())
        };
        let (ranges, nodes, told_by) = (self.ranges(), self.nodes(), self.number);
        DirectoryResponse { cluster_id, ranges, nodes, told_by, changes, ..DirectoryResponse::default() }
    }

    /// For whoever knows the ranges as this leader has told them: which of them have changed since, and what the root range is now;
    /// none for anybody else.
    pub(crate) fn directory_since(&self, known: &DirectoryRequest) -> Option<DirectoryResponse> {
        let root = self.root_descriptor();
        let view = self.view.lock();
        let state = self.state.lock();
        let is_of_this = known.told_by == self.number;
        let changed = is_of_this.then(|| state.changed_since(known.changes)).flatten()?;
        let (mut ranges, mut gone) = (vec![root], Vec::new());
        for range_id in changed.into_iter().filter(|range_id| *range_id != ROOT_RANGE) {
            match state.range(range_id) {
                Some(row) => ranges.push(view.told(row).clone()),
                None => gone.push(range_id),
            }
        }
        Some(DirectoryResponse {
            cluster_id: state.cluster_id().unwrap_or_default(),
            ranges,
            nodes: Vec::new(),
            told_by: self.number,
            changes: state.changes(),
            since: true,
            gone,
        })
    }

    pub(super) fn root_descriptor(&self) -> RangeDescriptor {
        let leader = self.group.role().leader.map_or(0, |leader| leader.store.node_id);
        let mut range = descriptor(&self.cell.state(), leader);
        self.nodes.addresses.describe(&mut range);
        range
    }
}

/// Whether a disk has so little room that every answer tells of it: soon it may take no more writes.
fn is_low(disk: &DiskRoom) -> bool {
    disk.bytes_available < disk.bytes_reserved.saturating_mul(ROOM_LOW)
}

fn check_introduction(request: &JoinRequest) -> Result<(), Status> {
    if request.store_id.len() != 16 || !is_address(&request.address) {
        return Err(Status::invalid_argument("a store has an id of 16 bytes and an address, host:port"));
    }
    if request.format_version > u64::from(store::FORMAT) {
        return Err(Status::invalid_argument("the store has a newer format than the cluster"));
    }
    let locality = request.locality.iter().flat_map(|(tier, value)| [tier, value]);
    if request.locality.len() > TIERS_MAX
        || locality.chain([&request.version]).any(|text| text.len() > TEXT_BYTES_MAX)
    {
        return Err(Status::invalid_argument(format!(
            "a locality has at most {TIERS_MAX} tiers, and their names and values {TEXT_BYTES_MAX} bytes at most"
        )));
    }
    Ok(())
}

/// Whether a range can be like that.
fn check_range(state: &RootState, range: &RangeDescriptor) -> Result<(), &'static str> {
    match state.range(range.range_id) {
        Some(known) if range.span_epoch == known.span_epoch && range.span != known.span => {
            return Err("its span has changed, but not the epoch of its span");
        }
        Some(_) => {}
        // Divided from another: its leader is the first to say so.
        None => check_new(state, range)?,
    }
    if range.replicas.is_empty() || range.replicas.len() > REPLICAS_MAX {
        return Err("it has no replicas, or too many");
    }
    let free = state.counter(COUNTER_REPLICA);
    let mut ids = BTreeSet::new();
    for replica in &range.replicas {
        if replica.replica_id == 0 || replica.replica_id >= free || !ids.insert(replica.replica_id) {
            return Err("a replica has an id that was never given, or that another one has");
        }
        if state.node(replica.node_id).is_none() {
            return Err("a replica is on a node that does not exist");
        }
    }
    Ok(())
}

/// Whether a range may be one that another was divided into.
fn check_new(state: &RootState, range: &RangeDescriptor) -> Result<(), &'static str> {
    if range.range_id == 0 || range.range_id >= state.counter(COUNTER_RANGE) {
        return Err("its id was never given");
    }
    let data = keys::sql::data_span();
    let is_data = |span: &Span| data.start < span.start && span.start < span.end && span.end <= data.end;
    // The first range of data has been there from the beginning, and every split raises the epoch of both halves.
    if range.span_epoch < 2 || !range.span.as_ref().is_some_and(is_data) {
        return Err("it is no part of a range of data");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lsm::WriteBatch;
    use proto::v1::{AllocateCommand, JoinCommand, ReplicaDescriptor, RootCommand};

    use super::*;
    use crate::range::apply::ApplyRoot;

    #[test]
    fn a_range_that_was_divided_from_another_is_taken_in_and_no_other() {
        let mut state = RootState::default();
        let mut run = |kind| drop(state.apply(RootCommand { kind: Some(kind) }, &mut WriteBatch::new()));
        run(Kind::Join(JoinCommand { store_id: vec![1; 16].into(), ..JoinCommand::default() }));
        for counter in [COUNTER_RANGE, COUNTER_REPLICA] {
            run(Kind::Allocate(AllocateCommand { counter: counter.to_owned(), count: 9 }));
        }
        let range = |range_id, span_epoch, start: &'static str, end: &'static str| RangeDescriptor {
            range_id,
            span_epoch,
            span: Some(Span { start: start.into(), end: end.into() }),
            replicas: vec![ReplicaDescriptor { replica_id: 3, node_id: 1, ..ReplicaDescriptor::default() }],
            ..RangeDescriptor::default()
        };
        assert_eq!(check_range(&state, &range(5, 2, "dm", "e")), Ok(()));
        for wrong in [
            range(10, 2, "dm", "e"),
            range(0, 2, "dm", "e"),
            range(5, 1, "dm", "e"),
            range(5, 2, "dm", "da"),
            range(5, 2, "r", "s"),
            range(5, 2, "dm", ""),
            RangeDescriptor { span: None, ..range(5, 2, "dm", "e") },
        ] {
            assert!(check_range(&state, &wrong).is_err(), "{wrong:?}");
        }
    }
}
