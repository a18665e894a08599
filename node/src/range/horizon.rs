//! The leader's side of history: raises its range's safe point as far as the root range's leader says it may.
//!
//! It stays below the start of every transaction that has an intent here, or was committed here and is not resolved
//! everywhere: nothing tells any more, once a range has forgotten a transaction, what became of it. Markers that bar those
//! that it has forgotten go.

use std::ops::Bound;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use keys::range::IntentRow;
use lsm::WriteBatch;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{Horizon, IntentsCommand, RaiseSafePointCommand, RangeCommand, RangeState};

use super::effect::entry;
use super::refusal::Refusal;
use super::replica::Replica;
use super::state::{FORMAT, is_held};
use crate::timestamp;

/// So many markers go with one command.
const MARKERS_MAX: usize = 1000;

impl Replica {
    /// Raises the safe point where this replica serves and the horizon is a step ahead. Completes when that is applied
    /// here, or could not be.
    pub(crate) async fn follow_horizon(&self, horizon: Horizon) {
        // Before who serves: the command is of no use to a range that has become another since, whoever has barred what.
        let state = self.cell.state();
        let Some(serving) = self.cell.serving() else { return };
        let Some(RaiseSafePointCommand { forgotten, safe_point }) = due(&state, &horizon) else { return };
        // Nothing older is prewritten from now on; what stands already holds the safe point back.
        if !serving.bar(forgotten.max(safe_point)) {
            return;
        }
        let below = serving.intents.oldest().map_or(u64::MAX, |oldest| oldest.saturating_sub(1));
        let horizon =
            Horizon { safe_point: safe_point.min(below), forgotten: forgotten.min(below), ..horizon };
        let Some(command) = due(&state, &horizon) else { return };
        // One at a time: without a quorum they would pile up.
        if serving.raising.swap(true, Ordering::AcqRel) {
            return;
        }
        let command = RangeCommand {
            format: FORMAT,
            span_epoch: state.span_epoch,
            kind: Some(Kind::RaiseSafePoint(command)),
            ..RangeCommand::default()
        };
        let proposed = self.group.propose_in(serving.term, Bytes::from(command.encode_to_vec())).await;
        serving.raising.store(false, Ordering::Release);
        let raised = match proposed {
            Ok(_) => self.drop_markers(serving.term).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = raised {
            tracing::debug!(range = self.cell.range_id(), %error, "the safe point could not be raised");
        }
    }

    /// Deletes markers of transactions that are forgotten, some at a time.
    async fn drop_markers(&self, term: u64) -> Result<(), Refusal> {
        // Not while there are many intents to look through, as long as those have a transaction that goes on.
        if self.cell.serving().is_some_and(|serving| !serving.intents.large.is_empty()) {
            return Ok(());
        }
        let state = self.cell.state();
        let Some(span) = state.span.clone() else { return Ok(()) };
        let (db, forgotten) = (self.context.db.clone(), state.forgotten);
        let looking = move || markers(&db, &keys::Span::new(span.start, span.end), forgotten);
        let stopping = |_| Refusal::Unavailable("the node is stopping".to_owned());
        let batch = env::task::blocking(looking).await.map_err(stopping)??;
        if batch.is_empty() {
            return Ok(());
        }
        let command = RangeCommand {
            format: FORMAT,
            span_epoch: state.span_epoch,
            proposer_term: term,
            // Nobody waits for it.
            sequence: u64::MAX,
            kind: Some(Kind::Intents(IntentsCommand::default())),
            ..RangeCommand::default()
        };
        self.group.propose_in(term, entry(&command, batch)).await?;
        Ok(())
    }
}

/// The deletion of markers of transactions that began at or below `forgotten`.
fn markers(db: &lsm::Db, span: &keys::Span, forgotten: u64) -> Result<WriteBatch, lsm::Error> {
    let rows = keys::range::intents(span);
    let within = (Bound::Included(rows.start.as_ref()), Bound::Excluded(rows.end.as_ref()));
    let mut batch = WriteBatch::new();
    for row in db.scan(within, false)? {
        let (row, _) = row?;
        if let Some((_, IntentRow::Rollback(start))) = keys::range::intent_row(&row)
            && start <= forgotten
        {
            batch.delete(&row);
        }
        if batch.len() >= MARKERS_MAX {
            break;
        }
    }
    Ok(batch)
}

/// What to raise, if it is worth an entry of the log.
fn due(state: &RangeState, horizon: &Horizon) -> Option<RaiseSafePointCommand> {
    let step = timestamp::from_ms(horizon.step_ms);
    let ahead = |horizon: u64, now: u64| horizon.saturating_sub(now) >= step.max(1);
    let due = state.span.is_some()
        && !is_held(state)
        && (ahead(horizon.safe_point, state.safe_point) || ahead(horizon.forgotten, state.forgotten));
    due.then_some(RaiseSafePointCommand { safe_point: horizon.safe_point, forgotten: horizon.forgotten })
}

#[cfg(test)]
mod tests {
    use proto::v1::{Merging, Span};

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
        let held = RangeState { merging: Some(Merging::default()), ..state.clone() };
        let horizon = Horizon { safe_point: 10 + step, forgotten: 10 + step, step_ms: 5 };
        assert_eq!(super::due(&held, &horizon), None);
        assert_eq!(
            super::due(&RangeState::default(), &Horizon { safe_point: step, ..Default::default() }),
            None
        );
    }
}
