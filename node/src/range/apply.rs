//! Applies a range's log: effects that its leader has evaluated become versions and rows. Deterministic.

use bytes::Bytes;
use env::canary::{self, Canary};
use lsm::WriteBatch;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{CommitCommand, RangeCommand, RangeState, RootCommand, Write};

use super::garbage;
use super::pieces::{Aside, PiecesError};
use super::state::{RangeCell, replicas, state_key, transaction_key};
use super::version;
use crate::raft::{ApplyEntry, ApplyError};

/// The reply to a command that was applied.
pub(crate) const APPLIED: &[u8] = &[0];
/// The reply to a command evaluated under another span epoch: it did nothing.
pub(crate) const STALE_EPOCH: &[u8] = &[1];
/// The reply to a commit of a transaction that began before the history that is kept: it did nothing.
pub(crate) const FORGOTTEN: &[u8] = &[3];
/// The reply to a command whose time has not come: it did nothing.
pub(crate) const TOO_EARLY: &[u8] = &[4];

/// Applies commands of the root range.
pub(crate) trait ApplyRoot {
    /// Applies one; the reply.
    fn apply(&mut self, command: RootCommand, batch: &mut WriteBatch) -> Bytes;
}

/// Turns entries into writes; one reply each. `root` is there for the root range alone. An error if one of them cannot
/// be read, or is of a newer format than `newest_format`: the replica must not go on.
pub(crate) fn apply(
    cell: &RangeCell,
    db: &lsm::Db,
    entries: &[ApplyEntry],
    newest_format: u32,
    mut root: Option<&mut dyn ApplyRoot>,
    batch: &mut WriteBatch,
) -> Result<Vec<Bytes>, ApplyError> {
    let readable = |entry| read(entry, newest_format, root.is_some());
    let commands = entries.iter().map(readable).collect::<Result<Vec<_>, _>>()?;
    let serving = cell.serving();
    let before = cell.state();
    let mut aside = Aside::new(cell.range_id(), db);
    let mut state: Option<RangeState> = None;
    let mut replies = Vec::with_capacity(entries.len());
    for (entry, command) in entries.iter().zip(commands) {
        let staged_term = state.as_ref().unwrap_or(&before).staged_term;
        if staged_term != 0 && staged_term < entry.term {
            aside.forget_before(entry.term, batch);
            state.get_or_insert_with(|| RangeState::clone(&before)).staged_term = 0;
        }
        if let Some(membership) = &entry.membership {
            let state = state.get_or_insert_with(|| RangeState::clone(&before));
            state.replicas = replicas(membership);
            state.joint = membership.is_joint();
            state.config_epoch = entry.index;
        }
        let Some((RangeCommand { span_epoch, proposer_term, sequence, .. }, kind)) = command else {
            replies.push(Bytes::new());
            continue;
        };
        if let Some(serving) = &serving
            && serving.term == proposer_term
            && matches!(kind, Kind::Commit(_))
        {
            serving.applying(sequence);
        }
        let RangeState { span_epoch: epoch, forgotten, .. } = *state.as_ref().unwrap_or(&before);
        let damaged = |error: PiecesError| match error {
            PiecesError::Engine(error) => ApplyError::Engine(error),
            PiecesError::Damaged(what) => ApplyError::Command { index: entry.index, what },
        };
        replies.push(match kind {
            Kind::Commit(commit) if span_epoch != epoch || commit.start_timestamp <= forgotten => {
                if let Some(staged) = &commit.staged {
                    aside.forget(entry.term, staged.number, batch);
                }
                Bytes::from_static(if span_epoch != epoch { STALE_EPOCH } else { FORGOTTEN })
            }
            Kind::Commit(mut commit) => {
                let writes = match &commit.staged {
                    Some(staged) => aside.take(entry.term, staged, batch).map_err(damaged)?,
                    None => std::mem::take(&mut commit.writes),
                };
                apply_commit(cell.range_id(), &commit, &writes, batch);
                Bytes::from_static(APPLIED)
            }
            Kind::Stage(stage) => {
                aside.put(entry.term, stage.number, stage.piece, stage.bytes);
                if state.as_ref().unwrap_or(&before).staged_term != entry.term {
                    state.get_or_insert_with(|| RangeState::clone(&before)).staged_term = entry.term;
                }
                Bytes::from_static(APPLIED)
            }
            Kind::Forget(forget) => {
                aside.forget(entry.term, forget.number, batch);
                Bytes::from_static(APPLIED)
            }
            Kind::RaiseSafePoint(raise) => {
                let state = state.get_or_insert_with(|| RangeState::clone(&before));
                garbage::raise(state, &raise, batch);
                Bytes::from_static(APPLIED)
            }
            Kind::Reclaim(_) if span_epoch != epoch => Bytes::from_static(STALE_EPOCH),
            Kind::Reclaim(reclaim) => {
                let done = garbage::reclaim(state.as_ref().unwrap_or(&before), &reclaim, batch);
                Bytes::from_static(if done { APPLIED } else { TOO_EARLY })
            }
            Kind::Initialise(initialise) => {
                let state = state.get_or_insert_with(|| RangeState::clone(&before));
                if state.span.is_none() {
                    state.span = initialise.span;
                    state.span_epoch = 1;
                }
                Bytes::from_static(APPLIED)
            }
            Kind::Root(command) => root.as_mut().map_or_else(Bytes::new, |root| root.apply(command, batch)),
        });
    }
    aside.finish(batch);
    if let Some(state) = state {
        batch.put(&state_key(cell.range_id()), &state.encode_to_vec());
        cell.set_state(state);
    }
    Ok(replies)
}

/// The command of an entry, apart from its kind, which it certainly has.
fn read(
    entry: &ApplyEntry,
    newest_format: u32,
    is_root: bool,
) -> Result<Option<(RangeCommand, Kind)>, ApplyError> {
    match read_command(entry, newest_format, is_root) {
        Err(_) if canary::sings(Canary::SkipUnreadable) => Ok(None),
        read => read,
    }
}

fn read_command(
    entry: &ApplyEntry,
    newest_format: u32,
    is_root: bool,
) -> Result<Option<(RangeCommand, Kind)>, ApplyError> {
    let Some(command) = &entry.command else { return Ok(None) };
    let unreadable = |what: String| ApplyError::Command { index: entry.index, what };
    let mut command = RangeCommand::decode(command.clone()).map_err(|error| unreadable(error.to_string()))?;
    if command.format > newest_format {
        let found = command.format;
        return Err(unreadable(format!("its format is {found}, the newest known here is {newest_format}")));
    }
    match command.kind.take() {
        None => Err(unreadable("its kind is not known here".to_owned())),
        Some(Kind::Root(root)) if !is_root || root.kind.is_none() => {
            Err(unreadable("its kind is not known in this range".to_owned()))
        }
        Some(kind) => Ok(Some((command, kind))),
    }
}

fn apply_commit(range_id: u64, commit: &CommitCommand, writes: &[Write], batch: &mut WriteBatch) {
    let at = commit.commit_timestamp;
    let mut leaves_trace = false;
    for write in writes {
        match &write.value {
            Some(value) => {
                batch.put_at(&write.key, at, &version::encode(commit.start_timestamp, value));
                leaves_trace = true;
            }
            None => batch.delete_at(&write.key, at),
        }
    }
    if !leaves_trace {
        batch.put(&transaction_key(range_id, commit.start_timestamp), &at.to_be_bytes());
    }
}
