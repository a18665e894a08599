//! What the range layer gives to replication: how committed entries turn into writes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use lsm::WriteBatch;

/// A store. Where it is found is asked of [`crate::addresses::Addresses`] whenever it is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Store {
    /// The node that holds it.
    pub node_id: u64,
}

/// One replica of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Never used twice within a range.
    pub replica_id: u64,
    /// The store that holds it.
    pub store: Store,
    /// Whether it votes; else it is a learner, or on its way out.
    pub voter: bool,
}

/// Who replicates a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The sets of voters by replica id: one, or two while a change is under way (joint).
    pub configs: Vec<BTreeSet<u64>>,
    /// All replicas, voters and learners, by replica id.
    pub replicas: BTreeMap<u64, Store>,
}

impl Membership {
    /// Whether a change of voters is under way.
    pub fn is_joint(&self) -> bool {
        self.configs.len() > 1
    }

    /// Whether `replica_id` votes in any of the sets.
    pub fn is_voter(&self, replica_id: u64) -> bool {
        self.configs.iter().any(|config| config.contains(&replica_id))
    }

    /// All replicas, ascending by replica id.
    pub fn replicas(&self) -> impl Iterator<Item = Replica> + '_ {
        self.replicas.iter().map(|(&replica_id, store)| Replica {
            replica_id,
            store: *store,
            voter: self.is_voter(replica_id),
        })
    }
}

/// A place in a range's log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPoint {
    /// The leader's term that wrote the entry.
    pub term: u64,
    /// The entry's index.
    pub index: u64,
}

/// One committed entry. Without command and membership it is the blank that opens a term.
#[derive(Debug, Clone)]
pub struct ApplyEntry {
    /// The entry's index in the range's log.
    pub index: u64,
    /// The term of the leader that proposed it.
    pub term: u64,
    /// What was proposed.
    pub command: Option<Bytes>,
    /// The change of replicas that the entry stands for.
    pub membership: Option<Membership>,
}

/// A half-open span of engine keys, keyspace byte included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSpan {
    /// The first key.
    pub start: Bytes,
    /// The key after the last.
    pub end: Bytes,
    /// Whether its keyspace keeps versions.
    pub versioned: bool,
}

/// What entries come to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One for each entry (empty where there is nothing to say), handed to whoever proposed it here.
    pub replies: Vec<Bytes>,
    /// The ranges that they have made, in their order.
    pub children: Vec<Child>,
}

/// A range that an entry of another one's log has made: its replicas stand beside those of that range, and take over the data
/// that lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The new range.
    pub range_id: u64,
    /// Its first replicas.
    pub membership: Membership,
    /// By a replica of the range that was divided the new replica that stands beside it.
    pub heirs: BTreeMap<u64, u64>,
    /// The rows without versions that its state begins with, replication's own apart.
    pub rows: Vec<(Bytes, Bytes)>,
    /// The spans of the engine that it takes over. A store without an heir drops what it has of them.
    pub spans: Vec<(Bytes, Bytes)>,
}

/// Why a replica cannot go on: what it should apply, or the state that it has, cannot be read here.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A committed command that this program cannot read. To go on without it would make the replica another than the
    /// others.
    #[error("entry {index} cannot be read: {what}")]
    Command {
        /// The entry's index in the range's log.
        index: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The range's state.
    #[error("the range's state cannot be read: {0}")]
    State(String),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] lsm::Error),
}

/// The state machine of all ranges of a store, as replication sees it.
///
/// Calls for one range come one at a time and in the order of its log; calls for different ranges may overlap. They come
/// on threads that may block, except those of [`Apply::apply`] with few bytes of commands that are all prompt.
///
/// # Invariants
///
/// - [`Apply::apply`] is deterministic: what it adds to the batch depends on the entries and on what is in the engine
///   for this range, on nothing else.
/// - After a crash entries are applied again to the engine as it was before them.
pub trait Apply: Send + Sync + 'static {
    /// Turns entries into writes. Replication adds the applied id, a membership that has changed, and the first state of new
    /// ranges to the same batch and writes it without WAL.
    ///
    /// The replies are sent after [`Apply::applied`]. An error stops the replica; nothing of the batch is written.
    fn apply(
        &self,
        range_id: u64,
        entries: &[ApplyEntry],
        batch: &mut WriteBatch,
    ) -> Result<Outcome, ApplyError>;

    /// The rows without versions, replication's own apart, that the state of a range begins with that nobody has divided
    /// from another: its first replicas are `membership`, by an entry that counts as the one at `index`.
    fn first_rows(&self, range_id: u64, membership: &Membership, index: u64) -> Vec<(Bytes, Bytes)>;

    /// Whether a command is applied without reading the disk, in a time that its own bytes bound.
    fn is_prompt(&self, command: &Bytes) -> bool;

    /// Whether a command may make another range of this one, or take one over.
    fn reshapes(&self, command: &Bytes) -> bool;

    /// The batch that `entries` went into can be read. Only from now on [`Apply::snapshot_spans`] and
    /// [`Apply::check_snapshot`] go by what they made of the range.
    fn applied(&self, range_id: u64, entries: &[ApplyEntry]);

    /// The engine spans that make up the range's state on this store, as it is now. They must not contain replication's own keys
    /// ([`state_key`], and what begins with it). Empty for a replica that has no state yet.
    fn snapshot_spans(&self, range_id: u64) -> Vec<SnapshotSpan>;

    /// Which spans a snapshot for this range may replace, judged by the sender's list before anything is written;
    /// an error refuses the snapshot.
    fn check_snapshot(&self, range_id: u64, spans: &[SnapshotSpan]) -> Result<(), String>;

    /// The ranges that a snapshot for this range takes over here because the range has done so elsewhere, and the rows that
    /// say that they have no data any more; an error if it must not replace the range's state as that is now.
    fn swallowed_by_snapshot(
        &self,
        range_id: u64,
        spans: &[SnapshotSpan],
    ) -> Result<Vec<(u64, Bytes, Bytes)>, String>;

    /// Whether this program can read a row without versions of a snapshot for this range; an error refuses the snapshot.
    fn check_snapshot_row(&self, range_id: u64, key: &[u8], value: &[u8]) -> Result<(), String>;

    /// What the engine holds of the range is another than before: in-memory state built from it must be built anew. An
    /// error stops the replica.
    fn state_replaced(&self, range_id: u64) -> Result<(), ApplyError>;

    /// The replica is gone, and nothing of it is in the engine: nothing of it need be kept in memory.
    fn removed(&self, range_id: u64);

    /// Whether the range, which this store leads, has nothing to do, so that its group may sleep: nothing is under way that only goes
    /// on if somebody looks at it every now and then.
    fn may_sleep(&self, range_id: u64) -> bool;

    /// A replica of the range that was unknown here came to be, because its leader sent a message for it.
    fn replica_added(&self, range_id: u64, replica_id: u64);
}

/// The engine key under which replication keeps what has been applied to a range: `s`, the range id (8 bytes, big endian),
/// 0. The range's other state keys follow it with a larger last byte.
pub fn state_key(range_id: u64) -> [u8; 10] {
    let mut key = [b's', 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (slot, byte) in key.iter_mut().skip(1).zip(range_id.to_be_bytes()) {
        *slot = byte;
    }
    key
}

/// The key beside it, of whose state it is and who replicates the range: the same, then 1.
pub(super) fn replica_key(range_id: u64) -> [u8; 11] {
    let mut key = [1; 11];
    for (slot, byte) in key.iter_mut().zip(state_key(range_id)) {
        *slot = byte;
    }
    key
}
