//! The right range's side of a merge: it freezes when the leader of its left neighbour asks for it, and thaws when it is told to.
//!
//! ```text
//! give all away ─▶ propose ─▶ applied: the range is frozen, and who leads it serves nothing, in this term or a later one
//!     │                └────▶ refused, and nothing was logged: all is served again
//!     └ from here on no request is taken, and one that waited is not answered
//! ```
//! Whoever serves the keys next, the left range or this one after it has thawed, begins with a timestamp that is asked for after
//! that: it is above all that was read here, and no read memory need be handed over. Locks are lost, as with a leader that has
//! died. What recognises transactions, and their intents, stand under the keys that they are about.

use bytes::Bytes;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{
    FreezeCommand, MergeCommand, Neighbour, RangeCommand, RangeState, SubsumeRequest, ThawCommand,
};

use super::apply::{APPLIED, STALE_EPOCH};
use super::merge;
use super::refusal::Refusal;
use super::replica::Replica;
use super::state::{FORMAT_MERGES, format_of, is_held};
use crate::raft::ProposeError;

impl Replica {
    /// Freezes the range. It must not be left half way: whoever calls sees to that. Done again it does nothing.
    pub(crate) async fn freeze(&self, request: &SubsumeRequest) -> Result<(), Refusal> {
        let again = |why: &str| Refusal::Retry(why.to_owned());
        let state = self.cell.state();
        let named = Neighbour { range_id: request.range_id, span_epoch: request.span_epoch };
        if merge::is_frozen_for(&state, request.into, &named) {
            return Ok(());
        }
        let serving = self.cell.serving().ok_or(Refusal::NotLeader(self.group.role().leader))?;
        self.prove_leadership(serving.term).await?;
        let span = state.span.clone().ok_or_else(|| again("the range is not initialised"))?;
        let is_next = request.left.as_ref().is_some_and(|left| left.end == span.start);
        if state.span_epoch != request.span_epoch || !is_next || is_held(&state) || state.joint {
            return Err(again("the range is another by now, or changes"));
        }
        // Nothing may stand here that the left range has forgotten.
        let stands = serving.intents.oldest().is_some_and(|oldest| oldest <= request.forgotten);
        if !serving.bar(request.forgotten) || stands {
            return Err(again("transactions stand in the range that its neighbour has forgotten"));
        }
        if !serving.give_away(&span.start) {
            return Err(again("the range is being divided"));
        }
        let command = FreezeCommand {
            into: request.into,
            config_epoch: state.config_epoch,
            left_span_epoch: request.left_span_epoch,
        };
        let command = command_of(&state, Kind::Freeze(command));
        match self.group.propose_in(serving.term, command).await {
            // The state says so, and who served has ended.
            Ok(proposed) if proposed.reply.as_ref() == APPLIED => Ok(()),
            Ok(proposed) => {
                serving.given_away();
                Err(again(match proposed.reply.as_ref() {
                    STALE_EPOCH => "the range's span has changed",
                    _ => "the range's replicas have changed",
                }))
            }
            Err(error @ ProposeError::NotLeader { .. }) => {
                serving.given_away();
                Err(error.into())
            }
            // The term is over, or serves nothing any more.
            Err(error) => Err(error.into()),
        }
    }

    /// Has the range serve again, and never freeze for the merge that began with this epoch.
    pub(crate) async fn thaw(&self, span_epoch: u64) -> Result<(), Refusal> {
        let state = self.cell.state();
        if merge::thaw(&state, span_epoch).is_none() {
            return Ok(());
        }
        let command = command_of(&state, Kind::Thaw(ThawCommand { span_epoch }));
        self.group.propose(command).await?;
        if merge::thaw(&self.cell.state(), span_epoch).is_some() {
            return Err(Refusal::Retry("the range has not thawed yet".to_owned()));
        }
        Ok(())
    }
}

/// A step of a merge as it is logged, evaluated under this state.
pub(super) fn command_of(state: &RangeState, kind: Kind) -> Bytes {
    let command = RangeCommand {
        format: format_of_step(&kind),
        span_epoch: state.span_epoch,
        kind: Some(kind),
        ..RangeCommand::default()
    };
    command.encode_to_vec().into()
}

/// The least format of programs that read all that a step says: with a range that is taken over comes what it keeps for longer, and
/// what of it was erased.
fn format_of_step(kind: &Kind) -> u32 {
    match kind {
        Kind::Merge(MergeCommand { frozen: Some(frozen), .. }) => format_of(frozen).max(FORMAT_MERGES),
        _ => FORMAT_MERGES,
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::{Frozen, KeptSpan, MergeAbortCommand};

    use super::*;
    use crate::range::state::{FORMAT_ERASED, FORMAT_KEPT};

    #[test]
    fn who_does_not_know_what_a_range_brings_with_it_does_not_read_that_it_is_taken_over() {
        let of = |frozen: RangeState| {
            format_of_step(&Kind::Merge(MergeCommand { frozen: Some(frozen), ..MergeCommand::default() }))
        };
        let frozen = RangeState { frozen: Some(Frozen::default()), ..RangeState::default() };
        let some = || vec![KeptSpan::default()];
        assert_eq!(of(frozen.clone()), FORMAT_MERGES);
        assert_eq!(of(RangeState { kept: some(), ..frozen.clone() }), FORMAT_KEPT);
        assert_eq!(of(RangeState { erased: some(), ..frozen }), FORMAT_ERASED);
        assert_eq!(format_of_step(&Kind::MergeAbort(MergeAbortCommand::default())), FORMAT_MERGES);
    }
}
