//! Large commits at the level of apply: entries in, versions and pieces out.

use std::sync::Arc;

use env::disk::{CrashMode, MemoryDisk};
use lsm::{Background, Db, Keyspace, Options, WriteBatch, WriteOptions};
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{CommitCommand, ForgetCommand, RangeCommand, StageCommand, Staged, Write};

use super::apply::{APPLIED, STALE_EPOCH, apply};
use super::pieces::{PIECE_BYTES, Pieces};
use super::state::{FORMAT, RangeCell, state_span};
use super::version;
use crate::raft::ApplyEntry;

const RANGE: u64 = 2;

fn open(disk: &MemoryDisk) -> Db {
    let keyspaces = vec![Keyspace::versioned(b'd', "data"), Keyspace::plain(b's', "state")];
    let options =
        Options { background: Background::Manual, ..Options::new(Arc::new(disk.clone()), "/db", keyspaces) };
    Db::open(options).unwrap()
}

/// A replica: what it applies goes into an engine without a log, as a node's does.
struct Replica {
    disk: MemoryDisk,
    db: Db,
    cell: RangeCell,
    index: u64,
}

impl Replica {
    fn new() -> Self {
        Self::on(MemoryDisk::new())
    }

    fn on(disk: MemoryDisk) -> Self {
        let db = open(&disk);
        let cell = RangeCell::load(RANGE, &db).unwrap();
        Self { disk, db, cell, index: 0 }
    }

    /// Applies entries of `term` as one batch; the replies.
    fn apply(&mut self, term: u64, kinds: &[Option<Kind>]) -> Vec<bytes::Bytes> {
        self.try_apply(term, 0, kinds).unwrap()
    }

    fn try_apply(
        &mut self,
        term: u64,
        span_epoch: u64,
        kinds: &[Option<Kind>],
    ) -> Result<Vec<bytes::Bytes>, String> {
        let entries: Vec<ApplyEntry> = kinds
            .iter()
            .map(|kind| {
                self.index += 1;
                let command = kind.clone().map(|kind| {
                    let command = RangeCommand {
                        format: FORMAT,
                        span_epoch,
                        proposer_term: term,
                        sequence: 0,
                        kind: Some(kind),
                    };
                    command.encode_to_vec().into()
                });
                ApplyEntry { index: self.index, term, command, membership: None }
            })
            .collect();
        let mut batch = WriteBatch::new();
        let replies = apply(&self.cell, &self.db, &entries, FORMAT, None, &mut batch);
        let replies = replies.map_err(|error| error.to_string())?;
        self.db.write(batch, WriteOptions::UNLOGGED).unwrap();
        Ok(replies)
    }

    /// How many pieces are aside.
    fn aside(&self) -> usize {
        let (start, end) = state_span(RANGE);
        let all = (std::ops::Bound::Included(start.as_ref()), std::ops::Bound::Excluded(end.as_ref()));
        // The state's own row comes first, once there is one.
        self.db.scan(all, false).unwrap().map(|row| row.unwrap()).filter(|(key, _)| key.len() > 10).count()
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        let found = self.db.get_at(key.as_bytes(), u64::MAX).unwrap()?;
        Some(version::decode(found.value?).unwrap().1.to_vec())
    }
}

/// A value that is unlike any part of itself.
fn large(bytes: usize) -> Vec<u8> {
    (0..bytes as u32 / 4).flat_map(|number| number.to_be_bytes()).collect()
}

/// A transaction of a small row and one of eight pieces, cut.
fn transaction(number: u64) -> (Vec<Option<Kind>>, Staged) {
    let writes = vec![
        Write { key: "d/large".into(), value: Some(large(8 * PIECE_BYTES).into()) },
        Write { key: "d/small".into(), value: Some("small".into()) },
    ];
    let pieces = Pieces::cut(writes);
    let stages = pieces.iter().map(|(piece, bytes)| {
        assert!(bytes.len() <= PIECE_BYTES);
        Some(Kind::Stage(StageCommand { number, piece, bytes }))
    });
    (stages.collect(), pieces.staged(number))
}

fn last(staged: Staged) -> Option<Kind> {
    Some(Kind::Commit(CommitCommand {
        commit_timestamp: 20,
        start_timestamp: 10,
        staged: Some(staged),
        ..CommitCommand::default()
    }))
}

#[test]
fn the_last_entry_makes_versions_of_all_pieces() {
    let mut replica = Replica::new();
    let (stages, staged) = transaction(0);
    assert_eq!(stages.len(), 9, "eight pieces of the value, and the rest");
    // The first five in an earlier batch, the others in one batch with the last entry.
    assert!(replica.apply(1, &stages[..5]).iter().all(|reply| reply == APPLIED));
    assert_eq!((replica.aside(), replica.value("d/small")), (5, None));
    let mut rest = stages[5..].to_vec();
    rest.push(last(staged));
    assert!(replica.apply(1, &rest).iter().all(|reply| reply == APPLIED));
    assert_eq!(replica.aside(), 0);
    assert_eq!(replica.value("d/large"), Some(large(8 * PIECE_BYTES)));
    assert_eq!(replica.value("d/small").as_deref(), Some(b"small".as_slice()));
}

#[test]
fn any_entry_of_a_later_term_forgets_the_pieces() {
    let mut replica = Replica::new();
    let (stages, _) = transaction(0);
    replica.apply(1, &stages);
    assert_eq!((replica.aside(), replica.cell.state().staged_term), (9, 1));
    replica.apply(1, &[None]);
    assert_eq!(replica.aside(), 9, "an entry of the same term forgets nothing");
    replica.apply(2, &[None]);
    assert_eq!((replica.aside(), replica.cell.state().staged_term), (0, 0));
    // In one batch: pieces of a term, the next term's blank, and pieces of that.
    let (again, staged) = transaction(0);
    let mut entries = again.clone();
    replica.apply(2, &entries);
    entries.insert(0, None);
    replica.apply(3, &entries);
    assert_eq!((replica.aside(), replica.cell.state().staged_term), (9, 3));
    replica.apply(3, &[last(staged)]);
    assert_eq!(replica.value("d/small").as_deref(), Some(b"small".as_slice()));
}

#[test]
fn a_refused_commit_takes_its_pieces_with_it_and_leaves_those_of_others() {
    let mut replica = Replica::new();
    let ((first, staged), (second, _)) = (transaction(0), transaction(1));
    replica.apply(1, &first);
    replica.apply(1, &second);
    assert_eq!(replica.aside(), 18);
    let replies = replica.try_apply(1, 7, &[last(staged)]).unwrap();
    assert_eq!(replies, [STALE_EPOCH]);
    assert_eq!((replica.aside(), replica.value("d/small")), (9, None));
    replica.apply(1, &[Some(Kind::Forget(ForgetCommand { number: 1 }))]);
    assert_eq!(replica.aside(), 0);
}

#[test]
fn a_replica_whose_pieces_differ_from_what_the_commit_says_does_not_go_on() {
    let mut replica = Replica::new();
    let (stages, staged) = transaction(0);
    replica.apply(1, &stages[1..]);
    let missing = replica.try_apply(1, 0, &[last(staged)]).unwrap_err();
    assert!(missing.contains("8 pieces in place of 9"), "{missing}");
    let Some(Some(Kind::Stage(mut first))) = stages.first().cloned() else { panic!("a piece") };
    first.bytes = vec![0; first.bytes.len()].into();
    replica.apply(1, &[Some(Kind::Stage(first))]);
    let changed = replica.try_apply(1, 0, &[last(staged)]).unwrap_err();
    assert!(changed.contains("or others"), "{changed}");
}

#[test]
fn after_a_crash_entries_apply_again_to_what_was_flushed() {
    let mut replica = Replica::new();
    let (stages, staged) = transaction(0);
    replica.apply(1, &stages[..4]);
    replica.db.flush().unwrap();
    replica.apply(1, &stages[4..]);
    replica.apply(1, &[last(staged)]);
    assert!(replica.value("d/large").is_some());
    // What was not flushed is gone, and the log gives it again, here from one entry before.
    let disk = replica.disk.crash(CrashMode::Strict);
    let mut replica = Replica::on(disk);
    assert_eq!((replica.aside(), replica.value("d/large"), replica.cell.state().staged_term), (4, None, 1));
    replica.apply(1, &stages[3..]);
    replica.apply(1, &[last(staged)]);
    assert_eq!((replica.aside(), replica.value("d/large")), (0, Some(large(8 * PIECE_BYTES))));
}
