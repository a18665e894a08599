//! The log storage and the state machine against openraft's own suite, and replay.

use std::io;

use futures::Stream;
use lsm::log::Position;
use openraft::RaftLogReader;
use openraft::alias::{SmSnapshotOf, SnapshotOf};
use openraft::storage::{EntryResponder, RaftLogStorage, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{OptionalSend, RaftSnapshotBuilder, StorageError};
use proto::v1::raft_record::Record;

use super::super::claims::Claims;
use super::super::group_log::{GroupLog, LogStore};
use super::super::machine::Machine;
use super::super::record::{Replay, encode};
use super::super::reserved::Reserved;
use super::super::shared_log::SharedLog;
use super::super::snapshot::{Receiver, SnapshotData};
use super::super::types::{LogId, SnapshotMeta, StoredMembership, Types};
use super::*;

/// Makes stores of their own.
struct Builder;

impl StoreBuilder<Types, LogStore, Eager> for Builder {
    async fn build(&self) -> Result<((), LogStore, Eager), StorageError<Types>> {
        let disk = MemoryDisk::new();
        let db = open_db(&disk);
        let shared =
            SharedLog::open(Arc::new(disk), PathBuf::from("/raft"), 1 << 20, None, |_, _| Ok(())).unwrap();
        let log = Arc::new(GroupLog::new(RANGE, 1, shared));
        let machine = Machine::open(
            db.clone(),
            Arc::new(KeyValue::default()),
            log.clone(),
            Arc::new(Claims::new(BTreeMap::new()).0),
        )
        .unwrap();
        Ok(((), LogStore(log), Eager { machine, db }))
    }
}

/// The state machine as the suite expects one: flushed before each snapshot, and installing what another has read.
struct Eager {
    machine: Machine,
    db: Db,
}

struct EagerBuilder<B>(B);

impl<B: RaftSnapshotBuilder<Types, SnapshotData = SnapshotData>> RaftSnapshotBuilder<Types>
    for EagerBuilder<B>
{
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, SnapshotData>, io::Error> {
        self.0.build_snapshot().await
    }
}

impl RaftStateMachine<Types> for Eager {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = EagerBuilder<<Machine as RaftStateMachine<Types>>::SnapshotBuilder>;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        self.machine.applied_state().await
    }

    async fn apply<S>(&mut self, entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        self.machine.apply(entries).await
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.db.flush().unwrap();
        EagerBuilder(self.machine.get_snapshot_builder().await)
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        let SnapshotData::Outgoing(mut outgoing) = snapshot else { panic!("nothing to install") };
        let spans = outgoing.spans().to_vec();
        let reservation = Arc::<Reserved>::default().reserve(RANGE, &spans).unwrap();
        let mut receiver =
            Receiver::new(self.db.clone(), spans, reservation, Box::new(|_, _| Ok(()))).unwrap();
        let mut rows = 0;
        while let Some(chunk) = outgoing.next_chunk().unwrap() {
            rows += chunk.count;
            receiver.add(chunk.rows).unwrap();
        }
        let incoming = SnapshotData::Incoming(receiver.finish(rows).unwrap());
        self.machine.install_snapshot(meta, incoming).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SmSnapshotOf<Types, Self>>, io::Error> {
        self.machine.get_current_snapshot().await
    }
}

#[test]
fn the_stores_pass_the_suite_of_openraft() {
    simulate(1, || async { Suite::<Types, LogStore, Eager, Builder, ()>::test_all(Builder).await.unwrap() });
}

/// Replays records at positions 1, 2, 3, …
fn replay(records: &[(u64, bool, Record)]) -> Replay {
    let mut replay = Replay::default();
    for (n, (replica_id, rewritten, record)) in records.iter().enumerate() {
        let record = encode(RANGE, *replica_id, *rewritten, record.clone());
        replay.take(Position { segment: 1, offset: n as u64 + 1 }, &record).unwrap();
    }
    replay
}

fn entry(term: u64, index: u64) -> Record {
    let id = Some(v1::RaftLogId { term, index });
    let payload = Some(v1::raft_entry::Payload::Blank(true));
    Record::Entry(v1::RaftEntry { format: 1, id, payload })
}

fn entries(replay: &Replay) -> Vec<(u64, u64)> {
    replay.groups[&RANGE].entries.iter().map(|(index, placed)| (placed.term, *index)).collect()
}

#[test]
fn an_entry_voids_those_at_and_above_its_index() {
    let replay = replay(&[(1, false, entry(1, 0)), (1, false, entry(1, 1)), (1, false, entry(2, 1))]);
    assert_eq!(entries(&replay), [(1, 0), (2, 1)]);
}

#[test]
fn a_rewritten_entry_voids_nothing() {
    let replay = replay(&[(1, false, entry(2, 5)), (1, false, entry(2, 6)), (1, true, entry(1, 4))]);
    assert_eq!(entries(&replay), [(1, 4), (2, 5), (2, 6)]);
    replay.check().unwrap();
}

#[test]
fn a_hole_is_corruption() {
    let replay = replay(&[(1, false, entry(1, 0)), (1, false, entry(1, 2))]);
    assert!(matches!(replay.check(), Err(RaftError::Corrupt(_))));
}

#[test]
fn purged_and_truncated_entries_are_gone() {
    let purged = Record::Purged(v1::RaftLogId { term: 1, index: 1 });
    let replay = replay(&[
        (1, false, entry(1, 0)),
        (1, false, entry(1, 1)),
        (1, false, entry(1, 2)),
        (1, false, entry(1, 3)),
        (1, false, purged),
        (1, false, Record::TruncateFrom(3)),
        (1, true, entry(1, 0)),
    ]);
    assert_eq!(entries(&replay), [(1, 2)]);
    replay.check().unwrap();
}

#[test]
fn a_newer_replica_begins_anew_and_a_removed_one_stays_away() {
    let newer = replay(&[(1, false, entry(1, 0)), (2, false, entry(5, 8)), (1, true, entry(1, 1))]);
    assert_eq!(newer.groups[&RANGE].replica_id, 2);
    assert_eq!(entries(&newer), [(5, 8)]);
    let removed =
        replay(&[(2, false, entry(1, 0)), (2, false, Record::Removed(true)), (2, true, entry(1, 0))]);
    assert!(removed.groups.is_empty());
    assert_eq!(removed.removed[&RANGE], 2);
}

#[test]
fn a_record_of_a_newer_version_is_an_error() {
    use prost::Message;
    let record = v1::RaftRecord { format: 99, range_id: 1, replica_id: 1, rewritten: false, record: None };
    let refused = Replay::default().take(Position { segment: 1, offset: 1 }, &record.encode_to_vec());
    assert!(refused.unwrap_err().contains("99"));
}

#[test]
fn what_is_durable_leaves_the_memory_though_nothing_applies_it() {
    simulate(1, || async {
        let cluster = TestCluster::start_with(1, Faults::none(), 1 << 30).await;
        let shared = cluster.stores[&1].host.log.clone();
        let log = Arc::new(GroupLog::new(RANGE + 1, 1, shared));
        let mut store = LogStore(log.clone());
        let entry = |index| {
            let command = super::super::types::Command(Bytes::from(vec![7; 1 << 20]));
            let log_id = super::super::types::log_id(LogPoint { term: 1, index });
            super::super::types::Entry { log_id, payload: openraft::EntryPayload::Normal(command) }
        };
        for index in 0..100 {
            store.append([entry(index)], openraft::storage::IOFlushed::noop()).await.unwrap();
            env::clock::sleep(Duration::from_millis(50)).await;
        }
        assert!(log.cached_bytes() <= 66 << 20, "{} bytes in memory", log.cached_bytes());
        // All of it is read again, a part at a time.
        let mut entries = std::pin::pin!(store.entries_stream(0..100).await);
        for index in 0..100 {
            let entry = futures::StreamExt::next(&mut entries).await.unwrap().unwrap();
            assert_eq!(entry.log_id.index(), index);
        }
    });
}
