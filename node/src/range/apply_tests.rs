//! Commits at the level of apply: entries in, versions and pieces out.

use std::sync::Arc;

use env::disk::{CrashMode, MemoryDisk};
use lsm::{Background, Db, Keyspace, Options, ScanOptions, WriteBatch, WriteOptions};
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{
    CommitCommand, ForgetCommand, InitialiseCommand, RangeCommand, Span, SplitCommand, StageCommand, Staged,
    Write,
};

use super::apply::{APPLIED, STALE_EPOCH, apply};
use super::effect;
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
        let mut replica = Self { disk, db, cell, index: 0 };
        if replica.cell.state().span.is_none() {
            let span = Span { start: "d".into(), end: "e".into() };
            replica
                .apply(1, &[Some(Kind::Initialise(InitialiseCommand { span: Some(span), by_hand: false }))]);
        }
        replica
    }

    /// Applies entries of `term` as one batch; the replies.
    fn apply(&mut self, term: u64, kinds: &[Option<Kind>]) -> Vec<bytes::Bytes> {
        self.try_apply(term, 1, kinds).unwrap()
    }

    fn try_apply(
        &mut self,
        term: u64,
        span_epoch: u64,
        kinds: &[Option<Kind>],
    ) -> Result<Vec<bytes::Bytes>, String> {
        let entry = |kind: &Kind| {
            let command = RangeCommand {
                format: FORMAT,
                span_epoch,
                proposer_term: term,
                kind: Some(kind.clone()),
                ..RangeCommand::default()
            };
            command.encode_to_vec().into()
        };
        self.apply_entries(term, kinds.iter().map(|kind| kind.as_ref().map(entry)).collect())
    }

    fn apply_entries(
        &mut self,
        term: u64,
        commands: Vec<Option<bytes::Bytes>>,
    ) -> Result<Vec<bytes::Bytes>, String> {
        let numbered = |command| {
            self.index += 1;
            ApplyEntry { index: self.index, term, command, membership: None }
        };
        let entries: Vec<ApplyEntry> = commands.into_iter().map(numbered).collect();
        let mut batch = WriteBatch::new();
        let before = self.cell.state();
        let replies = apply(&self.cell, &self.db, &entries, FORMAT, None, &mut batch);
        let replies = replies.map_err(|error| error.to_string())?;
        self.db.write(batch, WriteOptions::UNLOGGED).unwrap();
        assert!(Arc::ptr_eq(&self.cell.state(), &before), "what is not written is not said");
        self.cell.publish();
        Ok(replies.replies)
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
        Write { key: "d/large".into(), value: Some(large(8 * PIECE_BYTES).into()), changes_key: None },
        Write { key: "d/small".into(), value: Some("small".into()), changes_key: None },
    ];
    let pieces = Pieces::cut(&writes, 10);
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
fn what_was_decided_before_a_split_does_nothing_behind_it() {
    let mut replica = Replica::new();
    let state = proto::v1::RangeState {
        replicas: vec![proto::v1::ReplicaDescriptor { replica_id: 1, node_id: 1, ..Default::default() }],
        ..proto::v1::RangeState::clone(&replica.cell.state())
    };
    replica.cell.prepare(Some(state), Vec::new(), false);
    replica.cell.publish();
    let (stages, staged) = transaction(0);
    replica.apply(1, &stages);
    let split = |range_id| {
        let replicas = [(1, range_id * 10)].into_iter().collect();
        Some(Kind::Split(SplitCommand {
            key: "d/m".into(),
            range_id,
            config_epoch: 0,
            replicas,
            by_hand: false,
        }))
    };
    // In one batch: both were proposed under the old epoch, and so was the commit.
    let replies = replica.apply(1, &[split(8), split(9), last(staged)]);
    assert_eq!(replies, [APPLIED, STALE_EPOCH, STALE_EPOCH]);
    assert_eq!((replica.aside(), replica.value("d/small")), (0, None));
    let state = replica.cell.state();
    assert_eq!((state.span_epoch, state.span.clone().unwrap().end), (2, "d/m".into()));
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
    let missing = replica.try_apply(1, 1, &[last(staged)]).unwrap_err();
    assert!(missing.contains("8 pieces in place of 9"), "{missing}");
    let Some(Some(Kind::Stage(mut first))) = stages.first().cloned() else { panic!("a piece") };
    first.bytes = vec![0; first.bytes.len()].into();
    replica.apply(1, &[Some(Kind::Stage(first))]);
    let changed = replica.try_apply(1, 1, &[last(staged)]).unwrap_err();
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

/// The versions of a key, deletions among them, newest first: their times, and the headers that they carry.
fn versions(replica: &Replica, key: &[u8]) -> Vec<(u64, version::Header)> {
    let all = ScanOptions { all_versions: true, tombstones: true, ..ScanOptions::default() };
    let next = [key, b"\0"].concat();
    let range = (std::ops::Bound::Included(key), std::ops::Bound::Excluded(next.as_slice()));
    let versions = replica.db.scan_at(range, u64::MAX, all).unwrap().map(|version| version.unwrap());
    let header = |entry: lsm::VersionedEntry| {
        let header = version::header(entry.value.as_deref(), &entry.note).unwrap();
        (entry.timestamp, header)
    };
    versions.map(header).collect()
}

#[test]
fn every_version_says_whose_it_is_wherever_it_lies() {
    let mut replica = Replica::new();
    let writes = |value: Option<&'static str>, changes_key| {
        vec![Write { key: "d/key".into(), value: value.map(Into::into), changes_key }]
    };
    let commit = |start_timestamp, commit_timestamp, writes: &[Write]| {
        let commit = CommitCommand { commit_timestamp, start_timestamp, ..CommitCommand::default() };
        let head = RangeCommand {
            format: FORMAT,
            span_epoch: 1,
            kind: Some(Kind::Commit(commit)),
            ..RangeCommand::default()
        };
        effect::entry(&head, effect::of_writes(writes, start_timestamp, commit_timestamp))
    };
    for (start, at, writes) in [
        (10, 20, writes(Some("first"), None)),
        (21, 30, writes(Some("second"), Some(false))),
        (31, 40, writes(None, Some(false))),
    ] {
        let entry = commit(start, at, &writes);
        assert_eq!(replica.apply_entries(1, vec![Some(entry)]).unwrap(), [APPLIED]);
    }
    let expected = |start_timestamp, changes_key| version::Header { start_timestamp, changes_key };
    let expected = [(40, expected(31, true)), (30, expected(21, false)), (20, expected(10, true))];
    assert_eq!(versions(&replica, b"d/key"), expected);
    replica.db.flush().unwrap();
    assert_eq!(versions(&replica, b"d/key"), expected);
    let replica = Replica::on(replica.disk.crash(CrashMode::Strict));
    assert_eq!(versions(&replica, b"d/key"), expected);
}

#[test]
fn a_replica_stops_at_an_effect_that_no_commit_has() {
    let mut replica = Replica::new();
    let commit = CommitCommand { commit_timestamp: 20, start_timestamp: 10, ..CommitCommand::default() };
    let command = RangeCommand {
        format: FORMAT,
        span_epoch: 1,
        kind: Some(Kind::Commit(commit)),
        ..RangeCommand::default()
    };
    let writes = |key: &'static str| [Write { key: key.into(), value: None, changes_key: None }];
    let good = effect::of_writes(&writes("d/key"), 10, 20).encode();
    let refused = |replica: &mut Replica, command: &RangeCommand, why: &str| {
        let entry = vec![Some(command.encode_to_vec().into())];
        let error = replica.apply_entries(1, entry).unwrap_err();
        assert!(error.contains(why), "{error}");
    };
    let with = |batch: bytes::Bytes| RangeCommand { batch, ..command.clone() };
    refused(&mut replica, &with(bytes::Bytes::new()), "none that it should");
    refused(&mut replica, &with(good.slice(1..)), "unknown version");
    refused(&mut replica, &with(good.slice(..good.len() - 1)), "cut off");
    refused(&mut replica, &with(effect::of_writes(&writes("e"), 10, 20).encode()), "out of the range");
    refused(&mut replica, &with(effect::of_writes(&writes("d/key"), 10, 21).encode()), "another time");
    refused(&mut replica, &RangeCommand { format: FORMAT - 1, ..with(good.clone()) }, "the oldest known");
    refused(&mut replica, &RangeCommand { format: FORMAT + 1, ..with(good.clone()) }, "the newest known");
    let blank = RangeCommand { kind: Some(Kind::Forget(ForgetCommand::default())), ..with(good.clone()) };
    refused(&mut replica, &blank, "a batch that it should not");
    assert!(versions(&replica, b"d/key").is_empty());
    let entry = vec![Some(with(good).encode_to_vec().into())];
    assert_eq!(replica.apply_entries(1, entry).unwrap(), [APPLIED]);
}

/// No bytes make apply panic, whatever it makes of them.
#[test]
fn an_entry_of_any_bytes_is_applied_or_refused() {
    let mut replica = Replica::new();
    let mut state = 99u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % bound.max(1)
    };
    let commit = CommitCommand { commit_timestamp: 20, start_timestamp: 10, ..CommitCommand::default() };
    let head = RangeCommand {
        format: FORMAT,
        span_epoch: 1,
        kind: Some(Kind::Commit(commit)),
        ..RangeCommand::default()
    };
    let writes: Vec<Write> = ["d/a", "d/b", "d/c"]
        .map(|key| Write {
            key: key.into(),
            value: (key != "d/b").then(|| "value".into()),
            changes_key: None,
        })
        .to_vec();
    let entry = effect::entry(&head, effect::of_writes(&writes, 10, 20));
    let (mut applied, mut refused) = (0, 0);
    for _ in 0..5000 {
        let mut bytes = entry.to_vec();
        for _ in 0..below(3) {
            let at = below(bytes.len());
            match below(3) {
                0 => bytes[at] ^= 1 << below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
                _ => bytes.truncate(at.max(1)),
            }
        }
        match replica.apply_entries(1, vec![Some(bytes.into())]) {
            Ok(_) => applied += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(applied > 500 && refused > 500, "{applied} {refused}");
}
