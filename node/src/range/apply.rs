//! Applies a range's log: effects that its leader has evaluated become versions and rows. Deterministic.
//!
//! A commit's effect is a batch of the engine already: it is checked, and handed on as it lies in the entry.

use bytes::Bytes;
use env::canary::{self, Canary};
use lsm::{EncodedBatch, WriteBatch};
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{CommitCommand, RangeCommand, RangeState, RootCommand};

use super::effect;
use super::garbage;
use super::merge;
use super::pieces::{Aside, PiecesError};
use super::split;
use super::state::{
    FORMAT, FORMAT_MIN, RangeCell, format_of, is_held, is_still, late_key, load_late, load_state,
    reconfigured, replicas, state_key, swallowed,
};
use crate::raft::{ApplyEntry, ApplyError, Outcome};

/// The reply to a command that was applied.
pub(crate) const APPLIED: &[u8] = &[0];
/// The reply to a command evaluated under another span epoch: it did nothing.
pub(crate) const STALE_EPOCH: &[u8] = &[1];
/// The reply to a commit of a transaction that began before the history that is kept: it did nothing.
pub(crate) const FORGOTTEN: &[u8] = &[3];
/// The reply to a command whose time has not come: it did nothing.
pub(crate) const TOO_EARLY: &[u8] = &[4];

/// The reply to an erasure that there is no room to remember: it did nothing.
pub(crate) const FULL: &[u8] = &[7];

/// Applies commands of the root range.
pub(crate) trait ApplyRoot {
    /// Applies one; the reply.
    fn apply(&mut self, command: RootCommand, batch: &mut WriteBatch) -> Bytes;
}

/// The reply to a split whose range is not what it was decided for: it did nothing.
pub(crate) const NOT_SPLIT: &[u8] = &[5];

/// The reply to a step of a merge that is over, or of another merge: it did nothing.
pub(crate) const NOT_MERGED: &[u8] = &[6];

/// Turns entries into writes; one reply each. `root` is there for the root range alone. An error if one of them cannot
/// be read, or is of a newer format than `newest_format`: the replica must not go on.
pub(crate) fn apply(
    cell: &RangeCell,
    db: &lsm::Db,
    entries: &[ApplyEntry],
    newest_format: u32,
    mut root: Option<&mut dyn ApplyRoot>,
    batch: &mut WriteBatch,
) -> Result<Outcome, ApplyError> {
    let readable = |entry| read(entry, newest_format, root.is_some());
    let commands = entries.iter().map(readable).collect::<Result<Vec<_>, _>>()?;
    let serving = cell.serving();
    let before = cell.state();
    let mut aside = Aside::new(cell.range_id(), db);
    let mut state: Option<RangeState> = None;
    let mut replies = Vec::with_capacity(entries.len());
    let (mut children, mut taken) = (Vec::new(), Vec::new());
    // Whoever serves has given all away, or knows nothing of what is taken over; whatever the batch ends with.
    let mut ends = false;
    let mut late: Option<RangeState> = None;
    for (entry, command) in entries.iter().zip(commands) {
        let staged_term = state.as_ref().unwrap_or(&before).staged_term;
        if staged_term != 0 && staged_term < entry.term {
            aside.forget_before(entry.term, batch);
            state.get_or_insert_with(|| RangeState::clone(&before)).staged_term = 0;
        }
        if let Some(membership) = &entry.membership {
            let now = RangeState {
                format: FORMAT,
                range_id: cell.range_id(),
                replicas: replicas(membership),
                joint: membership.is_joint(),
                config_epoch: entry.index,
                ..RangeState::default()
            };
            let known = state.as_ref().unwrap_or(&before);
            if is_still(known) {
                // Its state stays what it is: at this moment the left range's log may take it over.
                batch.put(&late_key(cell.range_id()), &now.encode_to_vec());
                late = Some(now);
            } else {
                state = Some(reconfigured(known, now));
            }
        }
        let Some(Readable { span_epoch, proposer_term, sequence, kind, batch: effect }) = command else {
            replies.push(Bytes::new());
            continue;
        };
        let waits = matches!(kind, Kind::Commit(_) | Kind::Intents(_));
        let (held, still) = {
            let state = state.as_ref().unwrap_or(&before);
            (is_held(state), is_still(state))
        };
        let RangeState { span_epoch: epoch, forgotten, .. } = *state.as_ref().unwrap_or(&before);
        let unreadable = |what: String| ApplyError::Command { index: entry.index, what };
        let damaged = |error: PiecesError| match error {
            PiecesError::Engine(error) => ApplyError::Engine(error),
            PiecesError::Damaged(what) => unreadable(what),
        };
        let reply = match kind {
            Kind::Commit(commit) if span_epoch != epoch || commit.start_timestamp <= forgotten => {
                if let Some(staged) = &commit.staged {
                    aside.forget(entry.term, staged.number, batch);
                }
                Bytes::from_static(if span_epoch != epoch { STALE_EPOCH } else { FORGOTTEN })
            }
            Kind::Commit(CommitCommand { commit_timestamp, start_timestamp, staged, .. }) => {
                let effect = match &staged {
                    Some(staged) => {
                        aside.take(entry.term, staged, commit_timestamp, batch).map_err(damaged)?
                    }
                    None => effect,
                };
                let span = state.as_ref().unwrap_or(&before).span.as_ref();
                let span = span.ok_or_else(|| unreadable("the range has no span".to_owned()))?;
                effect::check(&effect, start_timestamp, commit_timestamp, span)
                    .map_err(|error| unreadable(error.to_string()))?;
                batch.append_encoded(effect);
                Bytes::from_static(APPLIED)
            }
            Kind::Intents(_) if span_epoch != epoch => Bytes::from_static(STALE_EPOCH),
            Kind::Intents(intents) if intents.begins && intents.start_timestamp <= forgotten => {
                Bytes::from_static(FORGOTTEN)
            }
            Kind::Intents(intents) => {
                let span = state.as_ref().unwrap_or(&before).span.as_ref();
                let span = span.ok_or_else(|| unreadable("the range has no span".to_owned()))?;
                effect::check_intents(&effect, &intents, span)
                    .map_err(|error| unreadable(error.to_string()))?;
                batch.append_encoded(effect);
                Bytes::from_static(APPLIED)
            }
            // Nobody will take it.
            Kind::Stage(_) if still => Bytes::from_static(STALE_EPOCH),
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
            // What is to be forgotten was barred by who served the range as it was. Without an epoch it is of an older program.
            Kind::RaiseSafePoint(_) if span_epoch != 0 && span_epoch != epoch => {
                Bytes::from_static(STALE_EPOCH)
            }
            Kind::RaiseSafePoint(_) if held => Bytes::from_static(TOO_EARLY),
            Kind::RaiseSafePoint(raise) => {
                let state = state.get_or_insert_with(|| RangeState::clone(&before));
                garbage::raise(state, &raise);
                Bytes::from_static(APPLIED)
            }
            Kind::Reclaim(_) if still || span_epoch != epoch => Bytes::from_static(STALE_EPOCH),
            Kind::Reclaim(reclaim) => {
                let done = garbage::reclaim(state.as_ref().unwrap_or(&before), &reclaim, batch);
                Bytes::from_static(if done { APPLIED } else { TOO_EARLY })
            }
            Kind::EraseHistory(_) if span_epoch != epoch => Bytes::from_static(STALE_EPOCH),
            // What a merge compares stays as it is.
            Kind::EraseHistory(_) if held => Bytes::from_static(TOO_EARLY),
            Kind::EraseHistory(erase) => {
                let state = state.get_or_insert_with(|| RangeState::clone(&before));
                let room = garbage::erase(state, &erase);
                let room = room.ok_or_else(|| unreadable("it erases what is not the range's".to_owned()))?;
                Bytes::from_static(if room { APPLIED } else { FULL })
            }
            Kind::Split(_) if span_epoch != epoch => Bytes::from_static(STALE_EPOCH),
            Kind::Split(split) => match split::halves(state.as_ref().unwrap_or(&before), &split) {
                Some((left, right)) => {
                    children.push(split::child(&right, &split));
                    state = Some(left);
                    Bytes::from_static(APPLIED)
                }
                None => match split::kept(state.as_ref().unwrap_or(&before), &split) {
                    Some(kept) => {
                        state = Some(kept);
                        Bytes::from_static(APPLIED)
                    }
                    None => Bytes::from_static(NOT_SPLIT),
                },
            },
            Kind::MergeBegin(_) | Kind::Merge(_) | Kind::Freeze(_) if span_epoch != epoch => {
                Bytes::from_static(STALE_EPOCH)
            }
            Kind::MergeBegin(begin) => {
                let begun = merge::begin(state.as_ref().unwrap_or(&before), begin.right);
                take_on(&mut state, begun)
            }
            Kind::MergeAbort(abort) => {
                let aborted = merge::abort(state.as_ref().unwrap_or(&before), abort.right.as_ref());
                take_on(&mut state, aborted)
            }
            Kind::MergeEnd(end) => {
                let ended = merge::end(state.as_ref().unwrap_or(&before), end.right.as_ref());
                take_on(&mut state, ended)
            }
            Kind::Freeze(freeze) => {
                let frozen = merge::freeze(state.as_ref().unwrap_or(&before), &freeze);
                if frozen.is_some() {
                    ends = true;
                    aside.forget_before(u64::MAX, batch);
                }
                take_on(&mut state, frozen)
            }
            Kind::Thaw(thaw) => {
                // Nothing left to be done is done, too.
                if let Some(thawed) = merge::thaw(state.as_ref().unwrap_or(&before), thaw.span_epoch) {
                    let known = match late.take() {
                        Some(known) => Some(known),
                        None => load_late(cell.range_id(), db)?,
                    };
                    state = Some(match known {
                        Some(known) => {
                            batch.delete(&late_key(cell.range_id()));
                            reconfigured(&thawed, known)
                        }
                        None => thawed,
                    });
                }
                Bytes::from_static(APPLIED)
            }
            Kind::Merge(command) => match merge::merge(state.as_ref().unwrap_or(&before), &command) {
                Some((whole, frozen)) => {
                    // Each store of the merge has said that it has this on its disk; a replica that does not, and takes over
                    // nothing, must not go on.
                    let here = load_state(frozen.range_id, db)?;
                    if !merge::keeps_the_same(&here, frozen) {
                        let what =
                            format!("range {}, which is to be taken over, is not frozen here", here.range_id);
                        return Err(unreadable(what));
                    }
                    let gone = swallowed(&here, cell.range_id());
                    batch.put(&state_key(gone.range_id), &gone.encode_to_vec());
                    taken.push(gone.range_id);
                    ends = true;
                    state = Some(whole);
                    Bytes::from_static(APPLIED)
                }
                None => Bytes::from_static(NOT_MERGED),
            },
            Kind::Initialise(initialise) => {
                let state = state.get_or_insert_with(|| RangeState::clone(&before));
                if state.span.is_none() {
                    state.span = initialise.span;
                    state.span_epoch = 1;
                    state.by_hand = initialise.by_hand;
                }
                Bytes::from_static(APPLIED)
            }
            Kind::Root(command) => root.as_mut().map_or_else(Bytes::new, |root| root.apply(command, batch)),
        };
        if let Some(serving) = &serving
            && waits
        {
            // What is ingested has nobody who stands for it: it is noticed all the same.
            let is_own = serving.term == proposer_term;
            serving.applying(if is_own { sequence } else { u64::MAX }, reply == APPLIED);
        }
        replies.push(reply);
    }
    aside.finish(batch);
    if let Some(state) = &mut state {
        state.format = format_of(state);
        batch.put(&state_key(cell.range_id()), &state.encode_to_vec());
    }
    let gives_away = |state: &RangeState| state.span_epoch != before.span_epoch && serving.is_some();
    let state = state.filter(|state| !(gives_away(state) && canary::sings(Canary::ServesGivenAway)));
    cell.prepare(state, taken, ends);
    Ok(Outcome { replies, children })
}

/// Takes a state that there is; the reply.
fn take_on(state: &mut Option<RangeState>, next: Option<RangeState>) -> Bytes {
    let reply = if next.is_some() { APPLIED } else { NOT_MERGED };
    if next.is_some() {
        *state = next;
    }
    Bytes::from_static(reply)
}

/// Whether a command is a commit whose whole effect lies in its entry: what else there is may read the engine.
pub(crate) fn is_prompt(command: &Bytes) -> bool {
    let command = RangeCommand::decode(command.clone()).ok().and_then(|command| command.kind);
    matches!(command, Some(Kind::Commit(CommitCommand { staged: None, .. })))
}

/// Whether a command may make another range of this one, or take one over.
pub(crate) fn reshapes(command: &Bytes) -> bool {
    let command = RangeCommand::decode(command.clone()).ok().and_then(|command| command.kind);
    matches!(command, Some(Kind::Split(_) | Kind::Merge(_)))
}

/// The largest epoch that a range may have once a command is applied under `before`; nothing if it raises none.
pub(crate) fn raised_epoch(command: &Bytes, before: u64) -> Option<u64> {
    let kind = RangeCommand::decode(command.clone()).ok().and_then(|command| command.kind)?;
    let above = match kind {
        Kind::Split(_) | Kind::Freeze(_) | Kind::Initialise(_) => 0,
        Kind::Thaw(thaw) => thaw.span_epoch,
        Kind::Merge(merge) => merge.frozen.map_or(0, |frozen| frozen.span_epoch),
        _ => return None,
    };
    Some(before.max(above) + 1)
}

/// A command that this program can read.
struct Readable {
    span_epoch: u64,
    proposer_term: u64,
    sequence: u64,
    kind: Kind,
    batch: EncodedBatch,
}

/// The command of an entry, if it has one.
fn read(entry: &ApplyEntry, newest_format: u32, is_root: bool) -> Result<Option<Readable>, ApplyError> {
    let Some(command) = &entry.command else { return Ok(None) };
    match read_command(command, newest_format, is_root) {
        Ok(command) => Ok(Some(command)),
        Err(_) if canary::sings(Canary::SkipUnreadable) => Ok(None),
        Err(what) => Err(ApplyError::Command { index: entry.index, what }),
    }
}

fn read_command(command: &Bytes, newest_format: u32, is_root: bool) -> Result<Readable, String> {
    let command = RangeCommand::decode(command.clone()).map_err(|error| error.to_string())?;
    let RangeCommand { format, span_epoch, proposer_term, sequence, kind, batch } = command;
    if format > newest_format {
        return Err(format!("its format is {format}, the newest known here is {newest_format}"));
    }
    if format < FORMAT_MIN {
        return Err(format!("its format is {format}, the oldest known here is {FORMAT_MIN}"));
    }
    let kind = kind.ok_or("its kind is not known here")?;
    if matches!(&kind, Kind::Root(root) if !is_root || root.kind.is_none()) {
        return Err("its kind is not known in this range".to_owned());
    }
    let has_batch = match &kind {
        Kind::Commit(commit) => commit.staged.is_none(),
        Kind::Intents(_) => true,
        _ => false,
    };
    if has_batch == batch.is_empty() {
        return Err("it has a batch that it should not, or none that it should".to_owned());
    }
    let batch = if has_batch {
        EncodedBatch::decode(batch).map_err(|error| error.to_string())?
    } else {
        EncodedBatch::default()
    };
    Ok(Readable { span_epoch, proposer_term, sequence, kind, batch })
}
