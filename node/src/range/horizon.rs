//! The leader's side of history: raises its range's safe point as far as the root range's leader says it may.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{Horizon, RaiseSafePointCommand, RangeCommand, RangeState};

use super::replica::Replica;
use super::state::FORMAT;
use crate::timestamp;

impl Replica {
    /// Raises the safe point where this replica serves and the horizon is a step ahead. Completes when that is applied
    /// here, or could not be.
    pub(crate) async fn follow_horizon(&self, horizon: Horizon) {
        let Some(serving) = self.cell.serving() else { return };
        let Some(command) = due(&self.cell.state(), &horizon) else { return };
        // One at a time: without a quorum they would pile up.
        if serving.raising.swap(true, Ordering::AcqRel) {
            return;
        }
        let command = RangeCommand {
            format: FORMAT,
            kind: Some(Kind::RaiseSafePoint(command)),
            ..RangeCommand::default()
        };
        let proposed = self.group.propose_in(serving.term, Bytes::from(command.encode_to_vec())).await;
        serving.raising.store(false, Ordering::Release);
        if let Err(error) = proposed {
            tracing::debug!(range = self.cell.range_id(), %error, "the safe point could not be raised");
        }
    }
}

/// What to raise, if it is worth an entry of the log.
fn due(state: &RangeState, horizon: &Horizon) -> Option<RaiseSafePointCommand> {
    let step = timestamp::from_ms(horizon.step_ms);
    let ahead = |horizon: u64, now: u64| horizon.saturating_sub(now) >= step.max(1);
    let due = state.span.is_some()
        && (ahead(horizon.safe_point, state.safe_point) || ahead(horizon.forgotten, state.forgotten));
    due.then_some(RaiseSafePointCommand { safe_point: horizon.safe_point, forgotten: horizon.forgotten })
}

#[cfg(test)]
mod tests {
    use proto::v1::Span;

    use super::*;

    #[test]
    fn a_safe_point_moves_in_steps() {
        let step = timestamp::from_ms(5);
        let state =
            RangeState { span: Some(Span::default()), safe_point: 10, forgotten: 10, ..Default::default() };
        let due = |safe_point, forgotten| {
            due(&state, &Horizon { safe_point, forgotten, step_ms: 5 }).map(|raise| raise.safe_point)
        };
        assert_eq!(due(9 + step, 9 + step), None);
        assert_eq!(due(10 + step, 10 + step), Some(10 + step));
        assert_eq!(due(0, 10 + step), Some(0));
        assert_eq!(due(0, 0), None);
        assert_eq!(
            super::due(&RangeState::default(), &Horizon { safe_point: step, ..Default::default() }),
            None
        );
    }
}
