//! The state machine of a store's ranges, as replication drives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use lsm::{Retention, WriteBatch};
use parking_lot::{Mutex, RwLock};
use prost::Message;
use proto::v1::{RangeState, Span};
use tokio::sync::Notify;

use crate::error::chain;
use crate::raft::{Apply, ApplyEntry, ApplyError, Membership, Outcome, SnapshotSpan};
use crate::range::erased::retentions;
use crate::range::state::{FORMAT, is_held, read_state, replicas, state_key, state_span, swallowed};
use crate::range::{RangeCell, apply};
use crate::root::{ROOT_RANGE, RootState};

/// All ranges' state on this store.
pub(crate) struct Machine {
    db: lsm::Db,
    cells: RwLock<BTreeMap<u64, Arc<RangeCell>>>,
    root: Arc<Mutex<RootState>>,
    /// What the engine was told that it may drop, by range.
    retained: Mutex<BTreeMap<u64, Vec<Retention>>>,
    /// The newest write when it was told last.
    retained_at: Mutex<lsm::Sequence>,
    added: Notify,
    /// Commands of a newer format are not read.
    newest_format: u32,
}

impl Machine {
    /// The state as the engine has it, to apply commands of up to `newest_format`.
    pub(crate) fn open(db: lsm::Db, newest_format: u32) -> Result<Self, lsm::Error> {
        let root = Arc::new(Mutex::new(RootState::load(&db)?));
        Ok(Self {
            db,
            cells: RwLock::default(),
            root,
            retained: Mutex::default(),
            retained_at: Mutex::default(),
            added: Notify::new(),
            newest_format,
        })
    }

    /// The root range's rows, where this store has a replica of it.
    pub(crate) fn root(&self) -> Arc<Mutex<RootState>> {
        self.root.clone()
    }

    /// A range's replica here; loaded when it is first asked for.
    pub(crate) fn cell(&self, range_id: u64) -> Result<Arc<RangeCell>, lsm::Error> {
        if let Some(cell) = self.cells.read().get(&range_id) {
            return Ok(cell.clone());
        }
        let mut cells = self.cells.write();
        if let Some(cell) = cells.get(&range_id) {
            return Ok(cell.clone());
        }
        let cell = Arc::new(RangeCell::load(range_id, &self.db)?);
        cells.insert(range_id, cell.clone());
        drop(cells);
        self.retain(&cell);
        Ok(cell)
    }

    /// Whether the engine was told of a safe point whose record is not flushed yet.
    pub(crate) fn waits_for_flush(&self) -> bool {
        *self.retained_at.lock() > self.db.sequence_durable()
    }

    /// Tells the engine what it may drop, where the range's safe point has moved. The state that says so is written
    /// already: the engine waits until it is durable.
    fn retain(&self, cell: &RangeCell) {
        let state = cell.state();
        let retention = Some(retentions(&state)).filter(|parts| !parts.is_empty());
        let mut retained = self.retained.lock();
        if retained.get(&state.range_id) == retention.as_ref() {
            return;
        }
        // That of a replica that was removed would stand in the way of whoever gets its keys.
        let before = match retention {
            Some(retention) => retained.insert(state.range_id, retention),
            None => retained.remove(&state.range_id),
        };
        *self.retained_at.lock() = self.db.sequence();
        if let Err(error) = self.db.set_retention(retained.values().flatten().cloned().collect()) {
            tracing::error!(range = state.range_id, %error, "the engine does not take what it may drop");
            // What it has not taken must be told again, and must not spoil what other ranges tell.
            match before {
                Some(before) => retained.insert(state.range_id, before),
                None => retained.remove(&state.range_id),
            };
        }
    }

    /// Publishes what a range has become by taking over others, and that those hold nothing any more, at one moment for
    /// whoever asks whose some keys are.
    fn take_over(&self, cell: &RangeCell, swallowed: &[u64]) {
        let cells = self.cells.write();
        let gone: Vec<Arc<RangeCell>> =
            swallowed.iter().filter_map(|gone| cells.get(gone).cloned()).collect();
        for gone in &gone {
            gone.swallow(cell.range_id());
        }
        cell.publish();
        drop(cells);
        // Before the range itself says what may be dropped of the same keys.
        gone.iter().for_each(|gone| self.retain(gone));
    }

    /// Completes when a replica has been added by its leader since the last call.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }
}

impl Apply for Machine {
    fn apply(
        &self,
        range_id: u64,
        entries: &[ApplyEntry],
        batch: &mut WriteBatch,
    ) -> Result<Outcome, ApplyError> {
        let cell = self.cell(range_id)?;
        if range_id == ROOT_RANGE {
            apply::apply(&cell, &self.db, entries, self.newest_format, Some(&mut *self.root.lock()), batch)
        } else {
            apply::apply(&cell, &self.db, entries, self.newest_format, None, batch)
        }
    }

    /// The root range keeps the time: it never sleeps.
    fn may_sleep(&self, range_id: u64) -> bool {
        let cell = self.cells.read().get(&range_id).filter(|_| range_id != ROOT_RANGE).cloned();
        cell.is_some_and(|cell| {
            !is_held(&cell.state()) && cell.serving().is_some_and(|serving| serving.is_idle())
        })
    }

    fn is_prompt(&self, command: &Bytes) -> bool {
        apply::is_prompt(command)
    }

    fn reshapes(&self, command: &Bytes) -> bool {
        apply::reshapes(command)
    }

    fn first_rows(&self, range_id: u64, membership: &Membership, index: u64) -> Vec<(Bytes, Bytes)> {
        let state = RangeState {
            format: FORMAT,
            range_id,
            config_epoch: index,
            replicas: replicas(membership),
            ..RangeState::default()
        };
        vec![(state_key(range_id), state.encode_to_vec().into())]
    }

    fn applied(&self, range_id: u64, entries: &[ApplyEntry]) {
        let Some(cell) = self.cells.read().get(&range_id).cloned() else { return };
        let swallowed = cell.swallows();
        if swallowed.is_empty() {
            cell.publish();
        } else {
            self.take_over(&cell, &swallowed);
        }
        if cell.take_raised() {
            self.retain(&cell);
        }
        // Before those are told who wait for it: see `range::closing`.
        if let Some(last) = entries.last() {
            cell.note_applied(last.index);
        }
        if let Some(serving) = cell.serving() {
            serving.applied();
        }
    }

    fn snapshot_spans(&self, range_id: u64) -> Vec<SnapshotSpan> {
        let Ok(cell) = self.cell(range_id) else { return Vec::new() };
        let (start, end) = state_span(range_id);
        let mut spans = vec![SnapshotSpan { start, end, versioned: false }];
        if let Some(span) = &cell.state().span {
            spans.push(SnapshotSpan {
                start: span.start.clone(),
                end: span.end.clone(),
                versioned: range_id != ROOT_RANGE,
            });
            if range_id != ROOT_RANGE {
                let intents = keys::range::intents(&keys::Span::new(span.start.clone(), span.end.clone()));
                spans.push(SnapshotSpan { start: intents.start, end: intents.end, versioned: false });
            }
        }
        spans
    }

    fn check_snapshot(&self, range_id: u64, spans: &[SnapshotSpan]) -> Result<(), String> {
        let (state_start, state_end) = state_span(range_id);
        let own = self.cell(range_id).map_err(|error| chain(&error))?.state();
        if own.swallowed_by != 0 {
            return Err(format!("range {range_id} was taken over by range {} here", own.swallowed_by));
        }
        // One that another has taken over where it comes from would take away what is to be taken over here.
        if own.span.is_some()
            && !spans.iter().any(|span| !(state_start <= span.start && span.end <= state_end))
        {
            return Err(format!("a snapshot of range {range_id} has nothing of its data"));
        }
        let others: Vec<_> = self
            .cells
            .read()
            .values()
            .filter(|cell| cell.range_id() != range_id)
            .map(|cell| cell.state())
            // What it reaches into of these it has taken over.
            .filter(|state| state.frozen.as_ref().is_none_or(|frozen| frozen.into != range_id))
            .filter_map(|state| state.span.clone())
            .collect();
        for span in spans {
            let is_state = state_start <= span.start && span.end <= state_end;
            let first = span.start.first().copied();
            let is_data = match first {
                Some(keys::keyspace::ROOT) => range_id == ROOT_RANGE,
                Some(keys::keyspace::DATA | keys::keyspace::INTENTS) => range_id != ROOT_RANGE,
                _ => false,
            };
            let has_versions = first == Some(keys::keyspace::DATA);
            if (!is_state && !is_data) || span.versioned != has_versions {
                return Err(format!("a snapshot of range {range_id} reaches into keys that are not its own"));
            }
            if others.iter().any(|other| span.start < other.end && other.start < span.end) {
                return Err(format!("a snapshot of range {range_id} reaches into another range"));
            }
        }
        Ok(())
    }

    fn swallowed_by_snapshot(
        &self,
        range_id: u64,
        spans: &[SnapshotSpan],
    ) -> Result<Vec<(u64, Bytes, Bytes)>, String> {
        let swallowed_by = self.cell(range_id).map_err(|error| chain(&error))?.state().swallowed_by;
        if swallowed_by != 0 {
            return Err(format!("range {range_id} was taken over by range {swallowed_by} here"));
        }
        let cells = self.cells.read();
        let states = cells.values().map(|cell| cell.state());
        let reached = states.filter(|state| {
            let span = state.span.as_ref();
            let reaches = |own: &Span| spans.iter().any(|span| span.start < own.end && own.start < span.end);
            state.range_id != range_id && span.is_some_and(reaches)
        });
        let row = |state: Arc<RangeState>| {
            if state.frozen.as_ref().is_none_or(|frozen| frozen.into != range_id) {
                return Err(format!("a snapshot of range {range_id} reaches into range {}", state.range_id));
            }
            let row = swallowed(&state, range_id).encode_to_vec();
            Ok((state.range_id, state_key(state.range_id), Bytes::from(row)))
        };
        reached.map(row).collect()
    }

    fn check_snapshot_row(&self, range_id: u64, key: &[u8], value: &[u8]) -> Result<(), String> {
        if key != state_key(range_id) {
            return Ok(());
        }
        match read_state(range_id, value)?.swallowed_by {
            0 => Ok(()),
            by => Err(format!("range {range_id} was taken over by range {by} where the snapshot comes from")),
        }
    }

    fn state_replaced(&self, range_id: u64) -> Result<(), ApplyError> {
        let unreadable = |error: lsm::Error| ApplyError::State(chain(&error));
        let cell = self.cell(range_id).map_err(unreadable)?;
        cell.reload(&self.db).map_err(unreadable)?;
        self.retain(&cell);
        if range_id == ROOT_RANGE {
            *self.root.lock() = RootState::load(&self.db).map_err(unreadable)?;
        }
        Ok(())
    }

    fn removed(&self, range_id: u64) {
        self.cells.write().remove(&range_id);
    }

    fn replica_added(&self, range_id: u64, replica_id: u64) {
        tracing::info!(range = range_id, replica = replica_id, "replica added");
        self.added.notify_one();
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use env::disk::MemoryDisk;
    use lsm::{Background, Keyspace, Options, WriteOptions};
    use proto::v1::range_command::Kind;
    use proto::v1::{RangeCommand, ReplicaDescriptor, SplitCommand};

    use super::*;

    const PARENT: u64 = 2;
    const CHILD: u64 = 8;

    fn machine() -> Machine {
        let keyspaces = vec![
            Keyspace::versioned(b'd', "data"),
            Keyspace::plain(b'i', "intents"),
            Keyspace::plain(b'r', "root"),
            Keyspace::plain(b's', "state"),
        ];
        let disk = Arc::new(MemoryDisk::new());
        let options = Options { background: Background::Manual, ..Options::new(disk, "/db", keyspaces) };
        Machine::open(lsm::Db::open(options).unwrap(), FORMAT).unwrap()
    }

    /// Writes what the engine holds of a range; without a span, nothing.
    fn replace(machine: &Machine, range_id: u64, span: Option<(&'static str, &'static str)>) {
        let mut batch = WriteBatch::new();
        match span {
            None => batch.delete(&state_key(range_id)),
            Some((start, end)) => {
                let state = RangeState {
                    format: FORMAT,
                    range_id,
                    span: Some(Span { start: start.into(), end: end.into() }),
                    span_epoch: 1,
                    safe_point: 100,
                    forgotten: 100,
                    replicas: vec![ReplicaDescriptor { replica_id: 1, ..ReplicaDescriptor::default() }],
                    ..RangeState::default()
                };
                batch.put(&state_key(range_id), &state.encode_to_vec());
            }
        }
        machine.db.write(batch, WriteOptions::UNLOGGED).unwrap();
        machine.state_replaced(range_id).unwrap();
    }

    fn retained(machine: &Machine) -> Vec<(u64, Bytes, Bytes)> {
        let retained = machine.retained.lock();
        let parts = retained.iter().flat_map(|(id, parts)| parts.iter().map(move |part| (*id, part)));
        parts.map(|(id, part)| (id, part.start.clone(), part.end.clone())).collect()
    }

    #[test]
    fn a_split_is_said_once_it_is_written() {
        let machine = machine();
        replace(&machine, PARENT, Some(("d", "e")));
        let replicas = [(1, 11)].into_iter().collect();
        let split = SplitCommand { key: "dm".into(), range_id: CHILD, replicas, ..SplitCommand::default() };
        let command = RangeCommand {
            format: FORMAT,
            span_epoch: 1,
            kind: Some(Kind::Split(split)),
            ..RangeCommand::default()
        };
        let command = Some(Bytes::from(command.encode_to_vec()));
        let entries = [ApplyEntry { index: 20, term: 1, command, membership: None }];
        let mut batch = WriteBatch::new();
        assert_eq!(machine.apply(PARENT, &entries, &mut batch).unwrap().children.len(), 1);
        let spans = [SnapshotSpan { start: "dm".into(), end: "e".into(), versioned: true }];
        assert!(machine.check_snapshot(CHILD, &spans).is_err(), "the keys are the old range's still");
        machine.db.write(batch, WriteOptions::UNLOGGED).unwrap();
        machine.applied(PARENT, &entries);
        machine.check_snapshot(CHILD, &spans).unwrap();
        assert_eq!(retained(&machine), [(PARENT, Bytes::from("d"), Bytes::from("dm"))]);
    }

    #[test]
    fn a_snapshot_of_a_range_that_was_taken_over_is_refused() {
        let machine = machine();
        let state = RangeState { format: FORMAT, range_id: CHILD, ..RangeState::default() };
        let check =
            |state: &RangeState| machine.check_snapshot_row(CHILD, &state_key(CHILD), &state.encode_to_vec());
        check(&state).unwrap();
        assert!(check(&swallowed(&state, PARENT)).unwrap_err().contains("taken over by range 2"));
    }

    #[test]
    fn who_gets_the_keys_of_a_replica_that_was_removed_may_drop_its_history() {
        let machine = machine();
        replace(&machine, PARENT, Some(("d", "e")));
        replace(&machine, PARENT, None);
        assert!(retained(&machine).is_empty());
        replace(&machine, CHILD, Some(("dm", "e")));
        assert_eq!(retained(&machine), [(CHILD, Bytes::from("dm"), Bytes::from("e"))]);
    }
}
