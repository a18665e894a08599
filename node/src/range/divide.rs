//! The leader's side of a split: it stops serving what it gives away, and proposes the entry that divides the range.
//!
//! ```text
//! give away ─▶ propose ─▶ applied: the state says what is left; the new range's leader begins above all reads that were served
//!     │           └────▶ refused, and nothing was logged: the keys are served again
//!     └ from here on no request of those keys is taken, and one that waited is not answered
//! ```
//! A new range's leader, on this store or another, serves nothing before a timestamp has come that it requested after the
//! split was applied. So it is above everything that was read here until then, and no read memory need be handed over. Locks are
//! lost, as with a leader that has died: commit checks what they protected. Commits and prewrites under way that the entry
//! overtakes do nothing, for it raises the span's epoch. Intents stand under the keys that they are about, and the new range's
//! leader loads its own; what this one has in memory of them, and what it has reserved, goes.

use std::ops::Range;

use bytes::Bytes;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{RangeCommand, RangeState, Span, SplitCommand};

use super::apply::{APPLIED, STALE_EPOCH};
use super::refusal::Refusal;
use super::replica::Replica;
use super::state::{FORMAT, contains, is_held};
use crate::raft::ProposeError;

/// Ids for a new range.
#[derive(Clone, Debug)]
pub(crate) struct NewRange {
    /// The range's, never given before.
    pub(crate) range_id: u64,
    /// Those of its replicas, at least as many as the range to divide has.
    pub(crate) replica_ids: Range<u64>,
}

impl Replica {
    /// Divides the range at `key`. It must not be left half way: whoever calls sees to that.
    pub(crate) async fn divide(&self, key: Bytes, new: NewRange, by_hand: bool) -> Result<(), Refusal> {
        // Before who serves: else the state could be what the range has become since, and another serves it.
        let state = self.cell.state();
        let serving = self.cell.serving().ok_or(Refusal::NotLeader(self.group.role().leader))?;
        self.prove_leadership(serving.term).await?;
        let command = SplitCommand { by_hand, ..decided(&state, &key, new)? };
        if !serving.give_away(&key) {
            return Err(Refusal::Retry("the range is being divided".to_owned()));
        }
        let proposed = self.group.propose_in(serving.term, command_of(&state, command)).await;
        match proposed {
            Ok(proposed) => {
                if proposed.reply.as_ref() == APPLIED {
                    serving.forget_from(&key);
                }
                serving.given_away();
                match proposed.reply.as_ref() {
                    APPLIED => Ok(()),
                    STALE_EPOCH => Err(Refusal::Retry("the range's span has changed".to_owned())),
                    _ => Err(Refusal::Retry("the range's replicas have changed".to_owned())),
                }
            }
            Err(error @ ProposeError::NotLeader { .. }) => {
                serving.given_away();
                Err(error.into())
            }
            // The term is over, or it never serves those keys again.
            Err(error) => Err(error.into()),
        }
    }
}

impl Replica {
    /// Has the border at which the range begins stay, however small it is.
    pub(crate) async fn keep_border(&self, key: Bytes) -> Result<(), Refusal> {
        let again = || Refusal::Retry("the range is another by now, or is being taken over".to_owned());
        let state = self.cell.state();
        let serving = self.cell.serving().ok_or(Refusal::NotLeader(self.group.role().leader))?;
        let split = SplitCommand { key, by_hand: true, ..SplitCommand::default() };
        let proposed = self.group.propose_in(serving.term, command_of(&state, split)).await?;
        if proposed.reply.as_ref() == APPLIED { Ok(()) } else { Err(again()) }
    }
}

/// A split as it is logged, evaluated under this state: programs that know no merges can read it.
fn command_of(state: &RangeState, split: SplitCommand) -> Bytes {
    let command = RangeCommand {
        format: FORMAT,
        span_epoch: state.span_epoch,
        kind: Some(Kind::Split(split)),
        ..RangeCommand::default()
    };
    command.encode_to_vec().into()
}

/// Whether a range of that span can be divided at the key.
pub(crate) fn reaches_over(span: &Span, key: &[u8]) -> bool {
    contains(span, key) && span.start != key
}

/// The command, if the range can be divided there as far as is known here.
fn decided(state: &RangeState, key: &Bytes, new: NewRange) -> Result<SplitCommand, Refusal> {
    let starting = || Refusal::Unavailable("the range is not initialised".to_owned());
    let span = state.span.as_ref().ok_or_else(starting)?;
    // Who asks has found the key here, a moment ago.
    if !reaches_over(span, key) {
        return Err(Refusal::Retry("the range does not reach over the key any more".to_owned()));
    }
    if is_held(state) {
        return Err(Refusal::Retry("a merge of the range is under way".to_owned()));
    }
    if state.joint || new.replica_ids.clone().count() < state.replicas.len() {
        return Err(Refusal::Retry("a change of the range's replicas is under way".to_owned()));
    }
    let ids = state.replicas.iter().map(|replica| replica.replica_id);
    Ok(SplitCommand {
        key: key.clone(),
        range_id: new.range_id,
        config_epoch: state.config_epoch,
        replicas: ids.zip(new.replica_ids).collect(),
        by_hand: false,
    })
}

#[cfg(test)]
mod tests {
    use proto::v1::ReplicaDescriptor;

    use super::*;

    fn state() -> RangeState {
        let replica = |replica_id| ReplicaDescriptor { replica_id, ..ReplicaDescriptor::default() };
        RangeState {
            span: Some(Span { start: "d".into(), end: "e".into() }),
            config_epoch: 77,
            replicas: vec![replica(5), replica(6)],
            ..RangeState::default()
        }
    }

    fn new(first: u64, count: u64) -> NewRange {
        NewRange { range_id: 8, replica_ids: first..first + count }
    }

    #[test]
    fn every_replica_has_an_heir() {
        let command = decided(&state(), &"dm".into(), new(21, 2)).unwrap();
        assert_eq!(command.replicas, [(5, 21), (6, 22)].into_iter().collect());
        assert_eq!((command.range_id, command.config_epoch), (8, 77));
    }

    #[test]
    fn who_comes_too_late_or_too_early_asks_again() {
        let asks_again = |state: &RangeState, key: &'static str, new| {
            matches!(decided(state, &key.into(), new), Err(Refusal::Retry(_)))
        };
        for given_away in ["c", "d", "e", "em"] {
            assert!(asks_again(&state(), given_away, new(21, 2)), "{given_away}");
        }
        assert!(asks_again(&state(), "dm", new(21, 1)));
        assert!(asks_again(&RangeState { joint: true, ..state() }, "dm", new(21, 2)));
    }
}
