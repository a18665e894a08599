//! Merges at the level of apply: what else stands in the batch that the range freezes in, or takes over its neighbour.

use std::sync::Arc;

use bytes::Bytes;
use env::disk::MemoryDisk;
use lsm::{Background, Db, Keyspace, Options, WriteBatch, WriteOptions};
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{
    FreezeCommand, MergeBeginCommand, MergeCommand, Neighbour, RaiseSafePointCommand, RangeCommand,
    RangeState, ReplicaDescriptor, Span, ThawCommand,
};

use super::apply::{APPLIED, STALE_EPOCH, apply};
use super::merge;
use super::serving::Serving;
use super::state::{FORMAT, RangeCell, load_late, load_state, state_key};
use crate::raft::{ApplyEntry, Membership, Store};

const LEFT: u64 = 2;
const RIGHT: u64 = 3;

const NAMED: Neighbour = Neighbour { range_id: RIGHT, span_epoch: 7 };

fn state(range_id: u64, start: &'static str, end: &'static str, span_epoch: u64) -> RangeState {
    let replica = ReplicaDescriptor { replica_id: range_id * 10, node_id: 1, ..Default::default() };
    RangeState {
        format: FORMAT,
        range_id,
        span: Some(Span { start: start.into(), end: end.into() }),
        span_epoch,
        replicas: vec![replica],
        safe_point: 10,
        forgotten: 10,
        ..RangeState::default()
    }
}

fn write(db: &Db, state: &RangeState) {
    let mut batch = WriteBatch::new();
    batch.put(&state_key(state.range_id), &state.encode_to_vec());
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
}

/// A store with both ranges; the cell of the one asked for.
fn store(range_id: u64) -> (Db, RangeCell) {
    let keyspaces = vec![Keyspace::versioned(b'd', "data"), Keyspace::plain(b's', "state")];
    let disk = Arc::new(MemoryDisk::new());
    let options = Options { background: Background::Manual, ..Options::new(disk, "/db", keyspaces) };
    let db = Db::open(options).unwrap();
    write(&db, &state(LEFT, "d", "dm", 4));
    write(&db, &state(RIGHT, "dm", "e", 7));
    let cell = RangeCell::load(range_id, &db).unwrap();
    (db, cell)
}

/// Applies commands, each with the epoch that it was decided under, as one batch; the replies.
fn applied(db: &Db, cell: &RangeCell, commands: &[(u64, Kind)]) -> Result<Vec<Bytes>, String> {
    let entry = |(place, (span_epoch, kind)): (usize, &(u64, Kind))| {
        let command = RangeCommand {
            format: FORMAT,
            span_epoch: *span_epoch,
            kind: Some(kind.clone()),
            ..RangeCommand::default()
        };
        let command = Some(command.encode_to_vec().into());
        ApplyEntry { index: 20 + place as u64, term: 1, command, membership: None }
    };
    applied_entries(db, cell, &commands.iter().enumerate().map(entry).collect::<Vec<_>>())
}

fn applied_entries(db: &Db, cell: &RangeCell, entries: &[ApplyEntry]) -> Result<Vec<Bytes>, String> {
    let mut batch = WriteBatch::new();
    let outcome = apply(cell, db, entries, FORMAT, None, &mut batch).map_err(|error| error.to_string())?;
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
    cell.publish();
    Ok(outcome.replies)
}

fn freezing() -> Kind {
    Kind::Freeze(FreezeCommand { into: LEFT, config_epoch: 0, left_span_epoch: 4 })
}

fn begin() -> Kind {
    Kind::MergeBegin(MergeBeginCommand { right: Some(NAMED) })
}

fn frozen() -> RangeState {
    let command = FreezeCommand { into: LEFT, config_epoch: 0, left_span_epoch: 4 };
    merge::freeze(&state(RIGHT, "dm", "e", 7), &command).unwrap()
}

fn taking_over() -> Kind {
    Kind::Merge(MergeCommand { right: Some(NAMED), frozen: Some(frozen()), config_epoch: 0 })
}

fn raise(to: u64) -> Kind {
    Kind::RaiseSafePoint(RaiseSafePointCommand { safe_point: to, forgotten: to, kept: None })
}

#[test]
fn what_one_half_may_forget_the_whole_may_not() {
    let (db, left) = store(LEFT);
    write(&db, &frozen());
    assert_eq!(applied(&db, &left, &[(4, begin())]).unwrap(), [APPLIED]);
    let replies = applied(&db, &left, &[(4, taking_over()), (4, raise(50))]).unwrap();
    assert_eq!(replies, [APPLIED, STALE_EPOCH]);
    let whole = left.state();
    assert_eq!((whole.span_epoch, whole.safe_point, whole.forgotten), (9, 10, 10));
    // An older program names no epoch.
    assert_eq!(applied(&db, &left, &[(9, raise(50)), (0, raise(60))]).unwrap(), [APPLIED, APPLIED]);
    assert_eq!((left.state().safe_point, left.state().forgotten), (60, 60));
}

#[test]
fn who_has_given_all_away_ends_though_the_range_thaws_in_the_same_batch() {
    let (db, right) = store(RIGHT);
    let serving = Arc::new(Serving::new(1, 1));
    assert!(right.begin(&right.state(), &serving) && serving.give_away(&Bytes::from_static(b"dm")));
    let thaw = Kind::Thaw(ThawCommand { span_epoch: 7 });
    assert_eq!(applied(&db, &right, &[(7, freezing()), (7, thaw)]).unwrap(), [APPLIED, APPLIED]);
    let state = right.state();
    assert_eq!((state.frozen, state.span_epoch), (None, 9));
    assert!(serving.is_over() && right.serving().is_none());
    assert!(right.begin(&state, &Arc::new(Serving::new(1, 1))));
}

#[test]
fn who_serves_goes_on_where_nothing_was_frozen() {
    let (db, right) = store(RIGHT);
    let serving = Arc::new(Serving::new(1, 1));
    assert!(right.begin(&right.state(), &serving));
    // It never froze for this merge; what freezes it later does nothing.
    let thaw = Kind::Thaw(ThawCommand { span_epoch: 7 });
    assert_eq!(applied(&db, &right, &[(7, thaw), (7, freezing())]).unwrap(), [APPLIED, STALE_EPOCH]);
    assert!(!serving.is_over() && right.serving().is_some());
}

#[test]
fn a_late_change_of_the_right_ranges_replicas_stops_nobody() {
    let (db, left) = store(LEFT);
    write(&db, &RangeState { config_epoch: 99, ..frozen() });
    assert_eq!(applied(&db, &left, &[(4, begin()), (4, taking_over())]).unwrap(), [APPLIED, APPLIED]);
    let gone = load_state(RIGHT, &db).unwrap();
    assert_eq!((gone.swallowed_by, gone.span, gone.config_epoch), (LEFT, None, 99));
}

#[test]
fn who_does_not_have_the_frozen_range_does_not_go_on() {
    let (db, left) = store(LEFT);
    let error = applied(&db, &left, &[(4, begin()), (4, taking_over())]).unwrap_err();
    assert!(error.contains("not frozen here"), "{error}");
}

#[test]
fn what_a_frozen_range_gets_for_replicas_it_has_once_it_has_thawed() {
    let (db, right) = store(RIGHT);
    assert_eq!(applied(&db, &right, &[(7, freezing())]).unwrap(), [APPLIED]);
    let frozen = load_state(RIGHT, &db).unwrap();
    let membership = Membership {
        configs: vec![[30, 31].into()],
        replicas: [(30, Store { node_id: 1 }), (31, Store { node_id: 2 })].into(),
    };
    let entry = ApplyEntry { index: 40, term: 1, command: None, membership: Some(membership) };
    applied_entries(&db, &right, &[entry]).unwrap();
    assert_eq!((load_state(RIGHT, &db).unwrap(), right.state().as_ref()), (frozen.clone(), &frozen));
    // Whoever loads it knows them, too.
    let right = RangeCell::load(RIGHT, &db).unwrap();
    applied(&db, &right, &[(0, Kind::Thaw(ThawCommand { span_epoch: 7 }))]).unwrap();
    let nodes: Vec<u64> = right.state().replicas.iter().map(|replica| replica.node_id).collect();
    assert_eq!((nodes, right.state().config_epoch), (vec![1, 2], 40));
    assert_eq!(load_late(RIGHT, &db).unwrap(), None);
}
