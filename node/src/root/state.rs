//! The root range's rows, and the commands that change them. Deterministic.
//!
//! Few and small, so all of them are in memory beside the engine.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use bytes::Bytes;
use lsm::WriteBatch;
use prost::Message;
use proto::v1::root_command::Kind;
use proto::v1::{
    BootstrapCommand, ClusterRow, CounterRow, HistoryRow, JoinCommand, KeepHistoryCommand, KeptHistory,
    NodeRow, RangeDescriptor, RangeRow, RootCommand, RootReply, SetNodeCommand, SilenceCommand, WindowRow,
};
use xxhash_rust::xxh3::Xxh3;

use super::changes::Changes;
use super::history::HISTORY_MS_DEFAULT;
use crate::range::apply::ApplyRoot;
use crate::range::map::RangeMap;
use crate::range::merge;
use crate::range::state::FORMAT;

/// Ids of nodes.
pub(crate) const COUNTER_NODE: &str = "node";
/// Ids of replicas, never used twice in the whole cluster.
pub(crate) const COUNTER_REPLICA: &str = "replica";
/// Ids of ranges.
pub(crate) const COUNTER_RANGE: &str = "range";
/// Object ids of SQL.
pub(crate) const COUNTER_OID: &str = "oid";

/// The first object id that is not PostgreSQL's own.
const OID_FIRST: u64 = 16384;

/// How many digests are remembered.
const DIGESTS_MAX: usize = 16;

/// The longest name of a counter.
const COUNTER_NAME_MAX: usize = 64;

/// What the root range keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RootState {
    cluster: Option<ClusterRow>,
    nodes: BTreeMap<u64, NodeRow>,
    ranges: RangeMap,
    counters: BTreeMap<String, u64>,
    window_end: u64,
    /// None: nobody has said.
    history_ms: Option<u64>,
    /// What is kept for longer, and of which version that is.
    kept: Vec<KeptHistory>,
    kept_version: u64,
    /// Some of it lies below branches.
    keeps_branches: bool,
    /// Not rows: what this replica found at digest commands.
    digests: VecDeque<(u64, u128, u64)>,
    /// Nor are these: which ranges have changed since this process began.
    changes: Changes,
}

impl RootState {
    /// The state as the engine has it.
    pub(crate) fn load(db: &lsm::Db) -> Result<Self, lsm::Error> {
        let mut state = Self::default();
        let span = keys::root::span();
        for row in db.scan((Bound::Included(&span.start), Bound::Excluded(&span.end)), false)? {
            let (key, value) = row?;
            let damaged =
                |error: prost::DecodeError| lsm::Error::Invalid(format!("a row of the root range: {error}"));
            match key.get(1) {
                Some(b'c') => state.cluster = Some(ClusterRow::decode(value).map_err(damaged)?),
                Some(b'n') => {
                    let row = NodeRow::decode(value).map_err(damaged)?;
                    state.nodes.insert(row.node_id, row);
                }
                Some(b'd') => {
                    let range = RangeRow::decode(value).map_err(damaged)?.range.unwrap_or_default();
                    state.ranges.insert(range);
                }
                Some(b'i') => {
                    let name = String::from_utf8_lossy(key.get(2..).unwrap_or_default()).into_owned();
                    state.counters.insert(name, CounterRow::decode(value).map_err(damaged)?.next);
                }
                Some(b'o') => state.window_end = WindowRow::decode(value).map_err(damaged)?.end,
                Some(b'h') => {
                    let row = HistoryRow::decode(value).map_err(damaged)?;
                    state.history_ms = Some(row.history_ms);
                    (state.kept, state.kept_version) = (row.kept, row.kept_version);
                    state.keeps_branches = row.branches;
                }
                _ => return Err(lsm::Error::Invalid("an unknown row of the root range".to_owned())),
            }
        }
        Ok(state)
    }

    /// The cluster's id; `None` until there is a cluster.
    pub(crate) fn cluster_id(&self) -> Option<Bytes> {
        self.cluster.as_ref().map(|row| row.cluster_id.clone())
    }

    /// The nodes, ascending by id.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeRow> {
        self.nodes.values()
    }

    /// The nodes, ascending by id from one on, and then those before it.
    pub(crate) fn nodes_from(&self, node_id: u64) -> impl Iterator<Item = &NodeRow> {
        self.nodes.range(node_id..).chain(self.nodes.range(..node_id)).map(|(_, node)| node)
    }

    /// The largest id of a node; 0 if there is none.
    pub(crate) fn newest_node(&self) -> u64 {
        self.nodes.last_key_value().map_or(0, |(node_id, _)| *node_id)
    }

    /// One node.
    pub(crate) fn node(&self, node_id: u64) -> Option<&NodeRow> {
        self.nodes.get(&node_id)
    }

    /// The ranges, ascending by id.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = &RangeDescriptor> {
        self.ranges.values()
    }

    /// One range.
    pub(crate) fn range(&self, range_id: u64) -> Option<&RangeDescriptor> {
        self.ranges.get(range_id)
    }

    /// The ranges, by what they hold.
    pub(crate) fn range_map(&self) -> &RangeMap {
        &self.ranges
    }

    /// Notes that a range is to be told anew to whoever knows it as it was: for what is not in its row, as who leads it.
    pub(crate) fn note_change(&mut self, range_id: u64) {
        self.changes.note(range_id);
    }

    /// How many changes of ranges there were in this process.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.newest()
    }

    /// The ranges that have changed after so many changes, those that are no more among them; none if that is not known.
    pub(crate) fn changed_since(&self, seen: u64) -> Option<Vec<u64>> {
        self.changes.since(seen)
    }

    /// The next free id of a counter; 0 if none was given yet.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// Timestamps below this may have been handed out.
    pub(crate) fn window_end(&self) -> u64 {
        self.window_end
    }

    /// How long history is kept, in ms; 0 = for ever.
    pub(crate) fn history_ms(&self) -> u64 {
        self.history_ms.unwrap_or(HISTORY_MS_DEFAULT)
    }

    /// The spans whose history is kept for longer, ascending.
    pub(crate) fn kept(&self) -> &[KeptHistory] {
        &self.kept
    }

    /// When those were said: a timestamp; 0: nobody has said any.
    pub(crate) fn kept_version(&self) -> u64 {
        self.kept_version
    }

    /// Whether some of what is kept for longer lies below branches.
    pub(crate) fn keeps_branches(&self) -> bool {
        self.keeps_branches
    }

    /// What was found at a digest command: the digest, how many rows.
    pub(crate) fn digest(&self, number: u64) -> Option<(u128, u64)> {
        let found = self.digests.iter().find(|(of, ..)| *of == number);
        found.map(|(_, digest, rows)| (*digest, *rows))
    }

    fn bootstrap(&mut self, command: BootstrapCommand, batch: &mut WriteBatch) -> RootReply {
        if self.cluster.is_some() {
            return RootReply::default();
        }
        let cluster =
            ClusterRow { format: FORMAT, cluster_id: command.cluster_id, created_ms: command.created_ms };
        batch.put(&keys::root::cluster_id(), &cluster.encode_to_vec());
        self.cluster = Some(cluster);
        if let Some(node) = command.node {
            self.put_node(node, batch);
        }
        for range in command.ranges {
            self.put_range(range, batch);
        }
        for (name, next) in command.counters {
            self.put_counter(&name, next, batch);
        }
        if let Some(history_ms) = command.history_ms {
            self.put_history(history_ms, batch);
        }
        RootReply::default()
    }

    /// A store keeps its node id for good; what it says of itself may change, but not back to what an earlier process of
    /// it has said, and not within one generation to another place: that is a copy of its directory.
    fn join(&mut self, command: JoinCommand, batch: &mut WriteBatch) -> RootReply {
        let known =
            self.nodes.values().find(|node| node.store_id == command.store_id).map(|node| node.node_id);
        let node_id = match known {
            Some(node_id) => node_id,
            None => match self.allocate(COUNTER_NODE, 1, batch) {
                RootReply { first, error, .. } if error.is_empty() => first,
                refused => return refused,
            },
        };
        if let Some(known) = self.nodes.get(&node_id)
            && (known.generation > command.generation
                || (known.generation == command.generation && known.address != command.address))
        {
            let error = format!(
                "node {node_id} runs in generation {} at {}, which is not the one of generation {} at {}",
                known.generation, known.address, command.generation, command.address
            );
            return RootReply { node_id, error, superseded: true, ..RootReply::default() };
        }
        let known = self.nodes.get(&node_id);
        let node = NodeRow {
            format: FORMAT,
            node_id,
            generation: command.generation,
            draining_generation: known.map_or(0, |known| known.draining_generation),
            decommissioning: known.is_some_and(|known| known.decommissioning),
            silent_since_ms: known.map_or(0, |known| known.silent_since_ms),
            given_up: known.is_some_and(|known| known.given_up),
            store_id: command.store_id,
            address: command.address,
            locality: command.locality,
            version: command.version,
        };
        if self.nodes.get(&node_id) != Some(&node) {
            self.put_node(node, batch);
        }
        RootReply { node_id, ..RootReply::default() }
    }

    fn set_node(&mut self, command: SetNodeCommand, batch: &mut WriteBatch) -> RootReply {
        let Some(known) = self.nodes.get(&command.node_id) else {
            let error = format!("there is no node {}", command.node_id);
            return RootReply { error, ..RootReply::default() };
        };
        let mut node = known.clone();
        if let Some(draining) = command.draining {
            node.draining_generation = if draining { node.generation } else { 0 };
        }
        node.decommissioning = command.decommissioning.unwrap_or(node.decommissioning);
        node.given_up = command.given_up.unwrap_or(node.given_up);
        let already = is_draining(&node) == is_draining(known)
            && node.decommissioning == known.decommissioning
            && node.given_up == known.given_up;
        if !already {
            self.put_node(node, batch);
        }
        RootReply { already, ..RootReply::default() }
    }

    fn silence(&mut self, command: &SilenceCommand, batch: &mut WriteBatch) -> RootReply {
        if let Some(node) = self.nodes.get(&command.node_id)
            && node.silent_since_ms != command.since_ms
        {
            self.put_node(NodeRow { silent_since_ms: command.since_ms, ..node.clone() }, batch);
        }
        RootReply::default()
    }

    fn allocate(&mut self, name: &str, count: u64, batch: &mut WriteBatch) -> RootReply {
        let refused = |error: &str| RootReply { error: error.to_owned(), ..RootReply::default() };
        if name.is_empty() || name.len() > COUNTER_NAME_MAX || name.contains('\0') {
            return refused("a counter has a name of 1 to 64 bytes without zeros");
        }
        let first =
            self.counters.get(name).copied().unwrap_or(if name == COUNTER_OID { OID_FIRST } else { 1 });
        let Some(next) = first.checked_add(count).filter(|_| count > 0) else {
            return refused("a count of ids is at least 1, and there are not that many");
        };
        self.put_counter(name, next, batch);
        RootReply { first, ..RootReply::default() }
    }

    fn put_node(&mut self, node: NodeRow, batch: &mut WriteBatch) {
        batch.put(&keys::root::node(node.node_id), &node.encode_to_vec());
        self.nodes.insert(node.node_id, node);
    }

    fn put_range(&mut self, range: RangeDescriptor, batch: &mut WriteBatch) {
        let row = RangeRow { format: FORMAT, range: Some(range.clone()) };
        batch.put(&keys::root::directory(range.range_id), &row.encode_to_vec());
        self.changes.note(range.range_id);
        self.ranges.insert(range);
    }

    fn put_newer_range(&mut self, range: RangeDescriptor, batch: &mut WriteBatch) {
        if !self.is_news(&range) {
            return;
        }
        let is_past = |other: &&RangeDescriptor| {
            let start = other.span.as_ref().map(|span| &span.start);
            start.is_some_and(|start| merge::is_past(start, other.range_id, other.span_epoch, &range))
        };
        // What it has taken over goes with the news of that, so that nobody finds both, or neither.
        let overtaken = range.span.iter().flat_map(|span| self.ranges.beginning_in(span)).filter(is_past);
        let gone: Vec<u64> = overtaken.map(|other| other.range_id).collect();
        for gone in gone {
            batch.delete(&keys::root::directory(gone));
            self.ranges.remove(gone);
            self.changes.note(gone);
        }
        self.put_range(range, batch);
    }

    /// Whether a range is newer than what is known of it, and has not been taken over.
    pub(crate) fn is_news(&self, range: &RangeDescriptor) -> bool {
        self.range(range.range_id).is_none_or(|known| epochs(known) < epochs(range)) && !self.is_past(range)
    }

    /// Whether a range is no more, because another one is known to have taken it over.
    ///
    /// No row is past because of another one ([`RootState::put_newer_range`]). So of the others, from its first key down, what lies
    /// behind one that is no newer than the range is not newer either where it reaches so far: it holds the first key of that one,
    /// which would be past. The same is found as if all were looked at, as earlier programs do: replicas that run them agree.
    fn is_past(&self, range: &RangeDescriptor) -> bool {
        range.span.as_ref().is_some_and(|span| {
            let others = self.ranges.down_from(&span.start).filter(|other| other.range_id != range.range_id);
            let mut newer = others.take_while(|other| other.span_epoch > range.span_epoch);
            newer.any(|other| merge::is_past(&span.start, range.range_id, range.span_epoch, other))
        })
    }

    fn put_counter(&mut self, name: &str, next: u64, batch: &mut WriteBatch) {
        batch.put(&keys::root::counter(name), &CounterRow { format: FORMAT, next }.encode_to_vec());
        self.counters.insert(name.to_owned(), next);
    }

    fn put_history(&mut self, history_ms: u64, batch: &mut WriteBatch) {
        self.history_ms = Some(history_ms);
        self.put_history_row(batch);
    }

    fn keep_history(&mut self, command: KeepHistoryCommand, batch: &mut WriteBatch) {
        // Whoever knows of no branches would forget what lies below them.
        let is_heeded = command.heeds_branches || !self.keeps_branches;
        if is_heeded && command.version > self.kept_version {
            (self.kept, self.kept_version) = (command.kept, command.version);
            self.keeps_branches = command.branches;
            self.history_ms = Some(self.history_ms());
            self.put_history_row(batch);
        }
    }

    fn put_history_row(&self, batch: &mut WriteBatch) {
        let row = HistoryRow {
            format: FORMAT,
            history_ms: self.history_ms(),
            kept_version: self.kept_version,
            kept: self.kept.clone(),
            branches: self.keeps_branches,
        };
        batch.put(&keys::root::history(), &row.encode_to_vec());
    }

    fn take_digest(&mut self, number: u64) {
        let mut hash = Xxh3::new();
        let mut rows = 0;
        let mut row = |bytes: Vec<u8>| {
            hash.update(&(bytes.len() as u64).to_be_bytes());
            hash.update(&bytes);
            rows += 1;
        };
        row(self.cluster.clone().unwrap_or_default().encode_to_vec());
        self.nodes.values().for_each(|node| row(node.encode_to_vec()));
        self.ranges.values().for_each(|range| row(range.encode_to_vec()));
        for (name, next) in &self.counters {
            row(name.as_bytes().to_vec());
            row(next.to_be_bytes().to_vec());
        }
        row(self.window_end.to_be_bytes().to_vec());
        row(self.history_ms().to_be_bytes().to_vec());
        if self.kept_version > 0 {
            row(self.kept_version.to_be_bytes().to_vec());
            self.kept.iter().for_each(|kept| row(kept.encode_to_vec()));
        }
        if self.keeps_branches {
            row(vec![1]);
        }
        let digest = hash.digest128();
        self.digests.push_back((number, digest, rows));
        if self.digests.len() > DIGESTS_MAX {
            self.digests.pop_front();
        }
    }
}

/// What tells two states of a range apart, the newer one larger.
pub(crate) fn epochs(range: &RangeDescriptor) -> (u64, u64) {
    (range.span_epoch, range.config_epoch)
}

/// Whether the node's process is to lead nothing, as its operator wants: another process of it may.
pub(crate) fn is_draining(node: &NodeRow) -> bool {
    node.draining_generation != 0 && node.draining_generation == node.generation
}

impl ApplyRoot for RootState {
    fn apply(&mut self, command: RootCommand, batch: &mut WriteBatch) -> Bytes {
        let reply = match command.kind {
            Some(Kind::Bootstrap(command)) => self.bootstrap(command, batch),
            Some(Kind::ReserveWindow(command)) => {
                if command.end > self.window_end {
                    self.window_end = command.end;
                    let row = WindowRow { format: FORMAT, end: command.end };
                    batch.put(&keys::root::oracle_window(), &row.encode_to_vec());
                }
                RootReply::default()
            }
            Some(Kind::Join(command)) => self.join(command, batch),
            Some(Kind::PutRange(command)) => {
                if let Some(range) = command.range {
                    self.put_newer_range(range, batch);
                }
                RootReply::default()
            }
            Some(Kind::Allocate(command)) => self.allocate(&command.counter, command.count, batch),
            Some(Kind::SetHistory(command)) => {
                self.put_history(command.history_ms, batch);
                RootReply::default()
            }
            Some(Kind::KeepHistory(command)) => {
                self.keep_history(command, batch);
                RootReply::default()
            }
            Some(Kind::SetNode(command)) => self.set_node(command, batch),
            Some(Kind::Silence(command)) => self.silence(&command, batch),
            Some(Kind::Digest(command)) => {
                self.take_digest(command.number);
                RootReply::default()
            }
            None => RootReply { error: "an unknown command".to_owned(), ..RootReply::default() },
        };
        reply.encode_to_vec().into()
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::{AllocateCommand, DigestCommand, PutRangeCommand, ReserveWindowCommand};

    use super::*;

    fn run(state: &mut RootState, kind: Kind) -> RootReply {
        let reply = state.apply(RootCommand { kind: Some(kind) }, &mut WriteBatch::new());
        RootReply::decode(reply).unwrap()
    }

    fn join(store: u8, address: &str) -> Kind {
        join_as(store, 1, address)
    }

    fn join_as(store: u8, generation: u64, address: &str) -> Kind {
        let store_id = Bytes::copy_from_slice(&[store; 16]);
        let address = address.to_owned();
        Kind::Join(JoinCommand { store_id, address, generation, ..JoinCommand::default() })
    }

    fn allocate(counter: &str, count: u64) -> Kind {
        Kind::Allocate(AllocateCommand { counter: counter.to_owned(), count })
    }

    #[test]
    fn a_store_that_joins_again_keeps_its_node_id() {
        let mut state = RootState::default();
        assert_eq!(run(&mut state, join(7, "a:1")).node_id, 1);
        assert_eq!(run(&mut state, join(8, "b:1")).node_id, 2);
        assert_eq!(run(&mut state, join_as(7, 2, "c:1")).node_id, 1);
        assert_eq!(state.node(1).unwrap().address, "c:1");
    }

    #[test]
    fn an_earlier_process_or_a_copy_does_not_take_a_stores_place() {
        let mut state = RootState::default();
        assert_eq!(run(&mut state, join_as(7, 5, "a:1")).node_id, 1);
        for (generation, address) in [(4, "a:1"), (4, "b:1"), (5, "b:1")] {
            assert!(run(&mut state, join_as(7, generation, address)).superseded);
        }
        assert_eq!(state.node(1).unwrap().address, "a:1");
        assert!(run(&mut state, join_as(7, 5, "a:1")).error.is_empty(), "it may say so again");
    }

    #[test]
    fn a_node_drains_until_it_is_started_again_and_is_decommissioned_until_it_is_called_back() {
        let mut state = RootState::default();
        run(&mut state, join_as(7, 1, "a:1"));
        let set = |draining, decommissioning| {
            Kind::SetNode(SetNodeCommand { node_id: 1, draining, decommissioning, given_up: None })
        };
        for already in [false, true] {
            assert_eq!(run(&mut state, set(Some(true), None)).already, already);
        }
        for already in [false, true] {
            assert_eq!(run(&mut state, set(None, Some(true))).already, already);
        }
        let node = state.node(1).unwrap();
        assert!(is_draining(node) && node.decommissioning);
        run(&mut state, join_as(7, 2, "b:1"));
        let node = state.node(1).unwrap();
        assert!(!is_draining(node) && node.decommissioning);
        assert!(!run(&mut state, set(Some(false), Some(false))).already);
        assert!(!state.node(1).unwrap().decommissioning);
        assert!(run(&mut state, set(Some(false), Some(false))).already);
        let given_up = SetNodeCommand { node_id: 1, given_up: Some(true), ..SetNodeCommand::default() };
        for already in [false, true] {
            assert_eq!(run(&mut state, Kind::SetNode(given_up)).already, already);
        }
        run(&mut state, join_as(7, 3, "c:1"));
        run(&mut state, set(Some(true), Some(true)));
        assert!(state.node(1).unwrap().given_up, "for good");
        let nobody = SetNodeCommand { node_id: 2, ..SetNodeCommand::default() };
        assert!(!run(&mut state, Kind::SetNode(nobody)).error.is_empty());
    }

    #[test]
    fn the_newest_digests_are_kept() {
        let mut state = RootState::default();
        for number in (1..=100u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)) {
            run(&mut state, Kind::Digest(DigestCommand { number }));
            assert!(state.digest(number).is_some());
        }
    }

    #[test]
    fn ids_are_never_given_twice() {
        let mut state = RootState::default();
        assert_eq!(run(&mut state, allocate("range", 3)).first, 1);
        assert_eq!(run(&mut state, allocate("range", 1)).first, 4);
        assert_eq!(run(&mut state, allocate("oid", 1)).first, OID_FIRST);
        assert!(!run(&mut state, allocate("oid", 0)).error.is_empty());
        assert!(!run(&mut state, allocate("oid", u64::MAX)).error.is_empty());
        assert!(!run(&mut state, allocate("", 1)).error.is_empty());
        assert_eq!(run(&mut state, allocate("oid", 1)).first, OID_FIRST + 1);
    }

    #[test]
    fn the_reserved_window_only_grows() {
        let mut state = RootState::default();
        for end in [10, 30, 20] {
            run(&mut state, Kind::ReserveWindow(ReserveWindowCommand { end }));
        }
        assert_eq!(state.window_end(), 30);
    }

    #[test]
    fn a_cluster_is_made_once() {
        let mut state = RootState::default();
        for cluster in [1u8, 2] {
            let cluster_id = Bytes::copy_from_slice(&[cluster; 16]);
            run(&mut state, Kind::Bootstrap(BootstrapCommand { cluster_id, ..BootstrapCommand::default() }));
        }
        assert_eq!(state.cluster_id().unwrap()[0], 1);
    }

    #[test]
    fn an_older_descriptor_does_not_replace_a_newer_one() {
        let mut state = RootState::default();
        for config_epoch in [2, 1] {
            let range = Some(RangeDescriptor { range_id: 2, config_epoch, ..RangeDescriptor::default() });
            run(&mut state, Kind::PutRange(PutRangeCommand { range }));
        }
        assert_eq!(state.range(2).unwrap().config_epoch, 2);
    }

    #[test]
    fn a_range_that_was_taken_over_goes_and_does_not_come_back() {
        let range = |range_id, span_epoch, config_epoch, start: &'static str, end: &'static str| {
            let span = Some(proto::v1::Span { start: start.into(), end: end.into() });
            RangeDescriptor { range_id, span_epoch, config_epoch, span, ..RangeDescriptor::default() }
        };
        let put = |state: &mut RootState, range| {
            run(state, Kind::PutRange(PutRangeCommand { range: Some(range) }));
        };
        let mut state = RootState::default();
        put(&mut state, range(2, 4, 1, "d", "dm"));
        put(&mut state, range(3, 4, 1, "dm", "e"));
        let seen = state.changes();
        put(&mut state, range(3, 4, 2, "dm", "e"));
        assert_eq!(state.changed_since(seen), Some(vec![3]));
        put(&mut state, range(2, 5, 1, "d", "e"));
        assert_eq!(state.ranges().map(|range| range.range_id).collect::<Vec<_>>(), [2]);
        assert_eq!(state.changed_since(seen), Some(vec![3, 2]));
        put(&mut state, range(3, 4, 3, "dm", "e"));
        assert!(state.range(3).is_none() && !state.is_news(&range(3, 4, 4, "dm", "e")));
        assert_eq!(state.changed_since(state.changes()), Some(Vec::new()));
    }

    /// What becomes of the rows where all of them are looked at for each that comes.
    fn put_among_all(rows: &mut BTreeMap<u64, RangeDescriptor>, range: &RangeDescriptor) {
        let is_past = |one: &RangeDescriptor, other: &RangeDescriptor| {
            let start = one.span.as_ref().map(|span| &span.start);
            start.is_some_and(|start| merge::is_past(start, one.range_id, one.span_epoch, other))
        };
        let known = rows.get(&range.range_id);
        if known.is_none_or(|known| epochs(known) < epochs(range))
            && !rows.values().any(|other| is_past(range, other))
        {
            rows.retain(|_, other| !is_past(other, range));
            rows.insert(range.range_id, range.clone());
        }
    }

    #[test]
    fn the_rows_are_those_of_a_program_that_looks_at_all_of_them() {
        let below = env::random::below;
        for _ in 0..300 {
            let (mut state, mut rows) = (RootState::default(), BTreeMap::new());
            for _ in 0..40 {
                let start = below(20) as u8;
                let end = vec![start + 1 + below(10) as u8];
                let span = proto::v1::Span { start: vec![start].into(), end: end.into() };
                let range = RangeDescriptor {
                    range_id: 1 + below(8),
                    span_epoch: below(8),
                    config_epoch: below(4),
                    span: (below(16) > 0).then_some(span),
                    ..RangeDescriptor::default()
                };
                run(&mut state, Kind::PutRange(PutRangeCommand { range: Some(range.clone()) }));
                put_among_all(&mut rows, &range);
                assert!(state.ranges().eq(rows.values()), "{range:?}: {state:?}, {rows:?}");
            }
        }
    }

    #[test]
    fn what_lies_below_branches_is_not_forgotten_by_who_knows_of_none() {
        let mut state = RootState::default();
        let mut keep = |version, count: usize, branches, heeds_branches| {
            let kept = vec![KeptHistory::default(); count];
            let command = KeepHistoryCommand { version, kept, branches, heeds_branches };
            run(&mut state, Kind::KeepHistory(command));
            (state.kept().len(), state.kept_version(), state.keeps_branches())
        };
        assert_eq!(keep(1, 2, false, false), (2, 1, false), "there are none");
        assert_eq!(keep(2, 3, true, true), (3, 2, true));
        assert_eq!(keep(3, 2, false, false), (3, 2, true));
        assert_eq!(keep(4, 1, false, true), (1, 4, false), "they are gone");
        assert_eq!(keep(5, 2, false, false), (2, 5, false));
    }

    #[test]
    fn equal_states_have_equal_digests() {
        let (mut a, mut b) = (RootState::default(), RootState::default());
        run(&mut a, join(7, "a:1"));
        run(&mut a, Kind::Digest(DigestCommand { number: 1 }));
        run(&mut b, Kind::Digest(DigestCommand { number: 1 }));
        assert_ne!(a.digest(1), b.digest(1));
        run(&mut b, join(7, "a:1"));
        run(&mut b, Kind::Digest(DigestCommand { number: 2 }));
        assert_eq!(a.digest(1), b.digest(2));
    }
}
