//! Applies a range's log: effects that its leader has evaluated become versions and rows. Deterministic.

use bytes::Bytes;
use lsm::WriteBatch;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{CommitCommand, RangeCommand, RangeState, RootCommand, Write};

use super::garbage;
use super::pieces::{Aside, PiecesError};
use super::state::{FORMAT, RangeCell, replicas, state_key, transaction_key};
use super::version;
use crate::raft::ApplyEntry;

/// The reply to a command that was applied.
pub(crate) const APPLIED: &[u8] = &[0];
/// The reply to a command evaluated under another span epoch: it did nothing.
pub(crate) const STALE_EPOCH: &[u8] = &[1];
/// The reply to a command that this program cannot read: it did nothing.
pub(crate) const UNREADABLE: &[u8] = &[2];
/// The reply to a commit of a transaction that began before the history that is kept: it did nothing.
pub(crate) const FORGOTTEN: &[u8] = &[3];
/// The reply to a command whose time has not come: it did nothing.
pub(crate) const TOO_EARLY: &[u8] = &[4];

/// Applies commands of the root range.
pub(crate) trait ApplyRoot {
    /// Applies one; the reply.
    fn apply(&mut self, command: RootCommand, batch: &mut WriteBatch) -> Bytes;
}

/// Turns entries into writes; one reply each. `root` is there for the root range alone. After an error the replica must
/// not go on.
pub(crate) fn apply(
    cell: &RangeCell,
    db: &lsm::Db,
    entries: &[ApplyEntry],
    mut root: Option<&mut dyn ApplyRoot>,
    batch: &mut WriteBatch,
) -> Result<Vec<Bytes>, PiecesError> {
    let serving = cell.serving();
    let before = cell.state();
    let mut aside = Aside::new(cell.range_id(), db);
    let mut state: Option<RangeState> = None;
    let mut replies = Vec::with_capacity(entries.len());
    for entry in entries {
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
        let Some(command) = &entry.command else {
            replies.push(Bytes::new());
            continue;
        };
        let command = match RangeCommand::decode(command.clone()) {
            Ok(command) if command.format <= FORMAT => command,
            Ok(_) | Err(_) => {
                tracing::error!(range = cell.range_id(), index = entry.index, "a log entry cannot be read");
                replies.push(Bytes::from_static(UNREADABLE));
                continue;
            }
        };
        if let Some(serving) = &serving
            && serving.term == command.proposer_term
            && matches!(command.kind, Some(Kind::Commit(_)))
        {
            serving.applying(command.sequence);
        }
        let RangeState { span_epoch: epoch, forgotten, .. } = *state.as_ref().unwrap_or(&before);
        replies.push(match command.kind {
            Some(Kind::Commit(commit))
                if command.span_epoch != epoch || commit.start_timestamp <= forgotten =>
            {
                if let Some(staged) = &commit.staged {
                    aside.forget(entry.term, staged.number, batch);
                }
                Bytes::from_static(if command.span_epoch != epoch { STALE_EPOCH } else { FORGOTTEN })
            }
            Some(Kind::Commit(mut commit)) => {
                let writes = match &commit.staged {
                    Some(staged) => aside.take(entry.term, staged, batch)?,
                    None => std::mem::take(&mut commit.writes),
                };
                apply_commit(cell.range_id(), &commit, &writes, batch);
                Bytes::from_static(APPLIED)
            }
            Some(Kind::Stage(stage)) => {
                aside.put(entry.term, stage.number, stage.piece, stage.bytes);
                if state.as_ref().unwrap_or(&before).staged_term != entry.term {
                    state.get_or_insert_with(|| RangeState::clone(&before)).staged_term = entry.term;
                }
                Bytes::from_static(APPLIED)
            }
            Some(Kind::Forget(forget)) => {
                aside.forget(entry.term, forget.number, batch);
                Bytes::from_static(APPLIED)
            }
            Some(Kind::RaiseSafePoint(raise)) => {
                let state = state.get_or_insert_with(|| RangeState::clone(&before));
                garbage::raise(state, &raise, batch);
                Bytes::from_static(APPLIED)
            }
            Some(Kind::Reclaim(_)) if command.span_epoch != epoch => Bytes::from_static(STALE_EPOCH),
            Some(Kind::Reclaim(reclaim)) => {
                let done = garbage::reclaim(state.as_ref().unwrap_or(&before), &reclaim, batch);
                Bytes::from_static(if done { APPLIED } else { TOO_EARLY })
            }
            Some(Kind::Initialise(initialise)) => {
                let state = state.get_or_insert_with(|| RangeState::clone(&before));
                if state.span.is_none() {
                    state.span = initialise.span;
                    state.span_epoch = 1;
                }
                Bytes::from_static(APPLIED)
            }
            Some(Kind::Root(command)) => match &mut root {
                Some(root) => root.apply(command, batch),
                None => Bytes::from_static(UNREADABLE),
            },
            None => Bytes::from_static(UNREADABLE),
        });
    }
    aside.finish(batch);
    if let Some(state) = state {
        batch.put(&state_key(cell.range_id()), &state.encode_to_vec());
        cell.set_state(state);
    }
    Ok(replies)
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
