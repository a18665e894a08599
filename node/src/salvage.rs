//! What a store that has stopped can do for ranges that have lost the majority of their replicas for good: its own replica goes on
//! as the only one.
//!
//! What the others had acknowledged and this one does not have is lost, in part: of a transaction over several ranges it may be that
//! one range has its writes and another one has not. So nobody does this but an operator who has no other way.
//!
//! # Invariants
//!
//! - Nothing is done to a range that has a majority without the lost nodes, nor to one of which another survivor has a replica that
//!   votes: two would go on apart. That is judged by what this store knows, which may be old.
//! - Done again it does nothing: the range has its majority by then.
//! - A store knows which nodes were given up, and takes nothing from them any more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use env::disk::{DirectoryLock, Disk};
use lsm::WriteBatch;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::root_command::Kind as RootKind;
use proto::v1::{
    AllocateCommand, RangeCommand, RangeDescriptor, RangeState, RootCommand, Span, StoreIdentity, ThawCommand,
};

use crate::error::NodeError;
use crate::raft::{LogPoint, StoppedLog, StoppedReplica, Store};
use crate::range::apply::{ApplyRoot as _, raised_epoch};
use crate::range::state::{FORMAT_MERGES, contains, load_state};
use crate::root::{COUNTER_NODE, COUNTERS, ROOT_RANGE, RootState, root_command};
use crate::store::{IDENTITY, engine_options, lock, raft_dir, read_identity, write_identity};

/// So many ids are skipped of everything that the root range gives ids to: many more than its last entries can have given. Nodes come
/// one by one, and people type their ids.
const IDS_SKIPPED: u64 = 1 << 20;
const NODE_IDS_SKIPPED: u64 = 16;

/// A store that has stopped, and the nodes that will never come back.
pub struct Salvage {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    identity: StoreIdentity,
    lost: BTreeSet<u64>,
    log: StoppedLog,
    states: Vec<RangeState>,
    /// Where ranges are, as far as the root range's replica here knows, its log included; empty if there is none.
    directory: BTreeMap<u64, RangeDescriptor>,
    _db: lsm::Db,
    _lock: Box<dyn DirectoryLock>,
}

/// What can be done for a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prospect {
    /// It has its majority without the lost nodes.
    Whole,
    /// The replica here is the only one that is left.
    Sole,
    /// Other survivors hold a replica, too, and are no majority: these nodes.
    Several(Vec<u64>),
    /// The range has gone on without this replica, or others have made another one of a part of it, which has its majority: on these
    /// nodes.
    Elsewhere(Vec<u64>),
    /// The replica here does not vote.
    NoVoter,
}

/// A range of which the store holds a replica.
#[derive(Debug, Clone)]
pub struct Salvaged {
    /// The range.
    pub range_id: u64,
    /// Its first key and where it ends, as its replica here knows it.
    pub span: Option<(Bytes, Bytes)>,
    /// The nodes whose replicas vote.
    pub voters: Vec<u64>,
    /// The last entry of the log here: term and index.
    pub last: LogPoint,
    /// What can be done.
    pub prospect: Prospect,
}

impl Salvage {
    /// Opens the data directory of a node that has stopped. The engine recovers as it does when the node starts.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        encryption: Option<lsm::KeySource>,
        lost: BTreeSet<u64>,
    ) -> Result<Self, NodeError> {
        let dir = dir.into();
        crate::offline::require_identity(&*disk, &dir)?;
        let lock = lock(&*disk, &dir)?;
        let identity = read_identity(&*disk, &dir.join(IDENTITY))?;
        if lost.contains(&identity.node_id) {
            return Err(NodeError::Unavailable(format!(
                "{} is the directory of node {}, which is said to be lost",
                dir.display(),
                identity.node_id
            )));
        }
        let mut options = engine_options(&disk, &dir);
        options.encryption = encryption;
        options.background = lsm::Background::Manual;
        options.create_if_missing = false;
        let db = lsm::Db::open(options)?;
        let wanted =
            |command: &Bytes| raised_epoch(command, 0).is_some() || root_command_of(command).is_some();
        let log = StoppedLog::open(Arc::clone(&disk), raft_dir(&dir), &db, wanted)?;
        let states = log.replicas().iter().map(|replica| load_state(replica.range_id, &db));
        let states = states.collect::<Result<_, _>>()?;
        let mut root = RootState::load(&db)?;
        let replica = log.replicas().iter().find(|replica| replica.range_id == ROOT_RANGE);
        for command in replica.into_iter().flat_map(|replica| &replica.commands).filter_map(root_command_of) {
            root.apply(command, &mut WriteBatch::new());
        }
        let directory = root.ranges().map(|range| (range.range_id, range.clone())).collect();
        Ok(Self { disk, dir, identity, lost, log, states, directory, _db: db, _lock: lock })
    }

    /// The node whose directory it is.
    pub fn node_id(&self) -> u64 {
        self.identity.node_id
    }

    /// Whether one of the lost nodes is not yet known to the store as given up.
    pub fn gives_up_more(&self) -> bool {
        self.lost.iter().any(|node_id| !self.identity.lost_nodes.contains(node_id))
    }

    /// The ranges of which the store holds a replica, and what can be done for them.
    pub fn ranges(&self) -> Vec<Salvaged> {
        let ranges =
            self.log.replicas().iter().zip(&self.states).filter(|(_, state)| state.swallowed_by == 0);
        let ranges = ranges.map(|(replica, state)| Salvaged {
            range_id: replica.range_id,
            span: state.span.as_ref().map(|span| (span.start.clone(), span.end.clone())),
            voters: voters(replica).collect::<BTreeSet<u64>>().into_iter().collect(),
            last: replica.last,
            prospect: self.prospect(replica, state),
        });
        ranges.collect()
    }

    fn prospect(&self, replica: &StoppedReplica, state: &RangeState) -> Prospect {
        let found = prospect(replica, self.identity.node_id, &self.lost);
        if found != Prospect::Sole {
            return found;
        }
        let listed = self.directory.get(&replica.range_id).filter(|range| is_without(range, replica));
        let mut lives = listed.into_iter().chain(self.parts(state, reached(state, &replica.commands)));
        lives.find_map(|range| majority(range, &self.lost)).map_or(found, Prospect::Elsewhere)
    }

    /// The ranges that others have made of what a range holds here, and of which its log, which leads to this epoch, knows nothing.
    fn parts<'a>(
        &'a self,
        state: &'a RangeState,
        reached: u64,
    ) -> impl Iterator<Item = &'a RangeDescriptor> + 'a {
        self.directory.values().filter(move |other| {
            let starts = |span: &Span| other.span.as_ref().is_some_and(|part| contains(span, &part.start));
            other.range_id != state.range_id
                && other.span_epoch > reached
                && state.span.as_ref().is_some_and(starts)
        })
    }

    /// What a range does first when it goes on.
    fn commands(&self, replica: &StoppedReplica, state: &RangeState) -> Vec<Bytes> {
        let reached = reached(state, &replica.commands);
        let listed = self.directory.get(&replica.range_id);
        let known = listed.into_iter().chain(self.parts(state, reached)).map(|range| range.span_epoch);
        let mut commands = vec![raise_epoch(known.fold(reached, u64::max))];
        if replica.range_id == ROOT_RANGE {
            commands.extend(COUNTERS.map(skip_ids));
        }
        commands
    }

    /// Has the replicas go on that are the only ones left of their ranges, and the store take nothing from the lost nodes any more.
    /// How many ranges that were.
    pub fn apply(&mut self) -> Result<usize, NodeError> {
        // First: what is recovered must not meet those that were given up.
        let known: BTreeSet<u64> = self.identity.lost_nodes.iter().copied().collect();
        let lost: BTreeSet<u64> = known.union(&self.lost).copied().collect();
        if lost != known {
            self.identity.lost_nodes = lost.into_iter().collect();
            write_identity(&*self.disk, &self.dir.join(IDENTITY), &self.identity)?;
        }
        let store = Store { node_id: self.identity.node_id };
        let mut recovered = 0;
        for (replica, state) in self.log.replicas().iter().zip(&self.states) {
            if state.swallowed_by != 0 || self.prospect(replica, state) != Prospect::Sole {
                continue;
            }
            self.log.make_sole(replica, store, self.commands(replica, state))?;
            recovered += 1;
        }
        self.log.sync()?;
        Ok(recovered)
    }
}

/// The command of the root range, if it is one.
fn root_command_of(command: &Bytes) -> Option<RootCommand> {
    match RangeCommand::decode(command.clone()).ok()?.kind? {
        Kind::Root(command) => Some(command),
        _ => None,
    }
}

/// A command after which the ids are not given again that the root range's lost leader may have given.
fn skip_ids(counter: &str) -> Bytes {
    let count = if counter == COUNTER_NODE { NODE_IDS_SKIPPED } else { IDS_SKIPPED };
    root_command(RootKind::Allocate(AllocateCommand { counter: counter.to_owned(), count }))
}

/// The epoch that a range has at most once it has applied these.
fn reached(state: &RangeState, commands: &[Bytes]) -> u64 {
    commands.iter().fold(state.span_epoch, |epoch, command| raised_epoch(command, epoch).unwrap_or(epoch))
}

/// A command that changes nothing of a range but the epoch of its span, which is above this one then: the directory may know of a later
/// configuration than the replica does, or of what others have made of the range, and believes what has a larger epoch. It is no
/// smaller than the one that the range has when it applies this, so that nothing thaws.
fn raise_epoch(above: u64) -> Bytes {
    let command = RangeCommand {
        format: FORMAT_MERGES,
        span_epoch: above,
        kind: Some(Kind::Thaw(ThawCommand { span_epoch: above })),
        ..RangeCommand::default()
    };
    command.encode_to_vec().into()
}

/// The nodes of the replicas that vote.
fn voters(replica: &StoppedReplica) -> impl Iterator<Item = u64> {
    replica.membership.replicas().filter(|other| other.voter).map(|other| other.store.node_id)
}

/// Whether a range has gone on without this replica.
fn is_without(range: &RangeDescriptor, replica: &StoppedReplica) -> bool {
    range.config_epoch > replica.configured
        && range.replicas.iter().all(|other| other.replica_id != replica.replica_id)
}

/// The nodes that hold a range and are not lost, if they are a majority.
fn majority(range: &RangeDescriptor, lost: &BTreeSet<u64>) -> Option<Vec<u64>> {
    let voters: Vec<u64> =
        range.replicas.iter().filter(|other| !other.learner).map(|other| other.node_id).collect();
    let left: Vec<u64> = voters.iter().copied().filter(|node_id| !lost.contains(node_id)).collect();
    (2 * left.len() > voters.len()).then_some(left)
}

fn prospect(replica: &StoppedReplica, own: u64, lost: &BTreeSet<u64>) -> Prospect {
    let node_of = |replica_id: &u64| replica.membership.replicas.get(replica_id).map(|store| store.node_id);
    let is_left = |replica_id: &&u64| node_of(replica_id).is_some_and(|node_id| !lost.contains(&node_id));
    let has_majority = |config: &BTreeSet<u64>| 2 * config.iter().filter(is_left).count() > config.len();
    if replica.membership.configs.iter().all(has_majority) {
        return Prospect::Whole;
    }
    if !replica.membership.is_voter(replica.replica_id) {
        return Prospect::NoVoter;
    }
    let others: BTreeSet<u64> =
        voters(replica).filter(|node_id| *node_id != own && !lost.contains(node_id)).collect();
    if others.is_empty() { Prospect::Sole } else { Prospect::Several(others.into_iter().collect()) }
}

impl std::fmt::Debug for Salvage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Salvage").field("dir", &self.dir).field("lost", &self.lost).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::{FreezeCommand, SplitCommand};

    use super::*;

    #[test]
    fn the_log_leads_to_an_epoch() {
        let command =
            |kind| RangeCommand { kind: Some(kind), ..RangeCommand::default() }.encode_to_vec().into();
        let before: [Bytes; 2] =
            [command(Kind::Split(SplitCommand::default())), command(Kind::Freeze(FreezeCommand::default()))];
        let state = RangeState { span_epoch: 4, ..RangeState::default() };
        for (before, reached) in [(&before[..], 6), (&before[..1], 5), (&before[..0], 4)] {
            assert_eq!(super::reached(&state, before), reached);
        }
    }
}
