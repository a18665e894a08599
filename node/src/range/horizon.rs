//! The leader's side of history: raises its range's safe point as far as the root range's leader says it may.
//!
//! It stays below the start of every transaction that has an intent here, or was committed here and is not resolved
//! everywhere: nothing tells any more, once a range has forgotten a transaction, what became of it. Markers that bar those
//! that it has forgotten go.

use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use keys::range::IntentRow;
use lsm::WriteBatch;
use prost::Message;
use proto::v1::range_command::Kind;
use proto::v1::{
    Horizon, IntentsCommand, KeptSpan, KeptSpans, RaiseSafePointCommand, RangeCommand, RangeState,
};

use super::effect::entry;
use super::kept;
use super::refusal::Refusal;
use super::replica::Replica;
use super::state::{FORMAT, FORMAT_KEPT, is_held};
use crate::timestamp;

/// So many markers go with one command.
const MARKERS_MAX: usize = 1000;

/// How far the clocks of two nodes may be apart that a range asleep is woken in time.
const CLOCKS_APART: Duration = Duration::from_secs(5);

/// So many ranges asleep are woken at a time: many that have fallen asleep together would wake together.
pub(crate) const WOKEN_AT_ONCE: usize = 64;

/// Which of a store's replicas `follow` the horizon now: all that are awake, and of those asleep the first; the others do later, for who
/// has been woken is not woken again.
pub(crate) fn in_turn<R>(
    replicas: Vec<R>,
    woken_max: usize,
    sleeps: impl Fn(&R) -> bool,
    follows: impl Fn(&R) -> bool,
) -> Vec<R> {
    let mut left = woken_max;
    let mut is_in_turn = |replica: &R| {
        let sleeps = sleeps(replica);
        if (sleeps && left == 0) || !follows(replica) {
            return false;
        }
        left -= usize::from(sleeps);
        true
    };
    replicas.into_iter().filter(|replica| is_in_turn(replica)).collect()
}

impl Replica {
    /// Whether this replica serves, and the horizon is a step ahead of its safe point. One that sleeps is woken for it once, when the
    /// horizon has passed all that it was asked, and once more for each span that is kept for longer, when that has: afterwards there is
    /// nothing left that it could give up.
    pub(crate) fn may_follow(&self, horizon: &Horizon) -> bool {
        let Some(serving) = self.cell.serving() else { return false };
        let state = self.cell.state();
        if due(&state, horizon).is_none() {
            return false;
        }
        let Some(slept) = self.group.slept() else { return true };
        let kept = state.span.as_ref().map(|own| kept::clipped(&horizon.kept, own)).unwrap_or_default();
        let passed = passed(horizon, &kept, !state.erased.is_empty(), env::clock::wall_ms(), slept);
        passed > 0 && serving.wakes_for(self.cell.load.requests(), passed)
    }

    /// Raises the safe point where this replica serves and the horizon is a step ahead. Completes when that is applied
    /// here, or could not be.
    pub(crate) async fn follow_horizon(&self, horizon: &Horizon) {
        // Before who serves: the command is of no use to a range that has become another since, whoever has barred what.
        let state = self.cell.state();
        let Some(serving) = self.cell.serving() else { return };
        let Some(RaiseSafePointCommand { forgotten, safe_point, .. }) = due(&state, horizon) else { return };
        // Nothing older is prewritten from now on; what stands already holds the safe point back.
        if !serving.bar(forgotten.max(safe_point)) {
            return;
        }
        let below = serving.intents.oldest().map_or(u64::MAX, |oldest| oldest.saturating_sub(1));
        let horizon = Horizon {
            safe_point: safe_point.min(below),
            forgotten: forgotten.min(below),
            ..Horizon::clone(horizon)
        };
        let Some(command) = due(&state, &horizon) else { return };
        // One at a time: without a quorum they would pile up.
        if serving.raising.swap(true, Ordering::AcqRel) {
            return;
        }
        let command = RangeCommand {
            format: if command.kept.is_some() { FORMAT_KEPT } else { FORMAT },
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

/// How many of the points have passed, at `wall_ms`, all that was asked before a range fell asleep, `slept` ago, up to which the horizon
/// lets it go: first its safe point, then those of the spans of it that are kept for longer, but not for ever. What was erased goes once
/// transactions are forgotten.
fn passed(horizon: &Horizon, kept: &[KeptSpan], is_erased: bool, wall_ms: u64, slept: Duration) -> u64 {
    let has_passed = |point: u64| {
        let behind = Duration::from_millis(wall_ms.saturating_sub(timestamp::ms(point)));
        slept >= behind + CLOCKS_APART
    };
    // Where history is kept for ever, it is only about what is known of transactions.
    let waits = horizon.safe_point > 0 && !is_erased;
    let reaches = if waits { horizon.safe_point } else { horizon.forgotten };
    if !has_passed(reaches) {
        return 0;
    }
    let later = kept.iter().map(|kept| kept.safe_point).chain(is_erased.then_some(horizon.safe_point));
    1 + later.filter(|point| *point > 0 && has_passed(*point)).count() as u64
}

/// What to raise, if it is worth an entry of the log.
fn due(state: &RangeState, horizon: &Horizon) -> Option<RaiseSafePointCommand> {
    let step = timestamp::from_ms(horizon.step_ms);
    let ahead = |horizon: u64, now: u64| horizon.saturating_sub(now) >= step.max(1);
    // What was said before that which the range follows already, and was long on its way, may know nothing of a span that was kept
    // since: without it, that span's history would be gone.
    let is_newest = horizon.safe_point >= state.safe_point;
    let kept = kept::due(state, &horizon.kept, step.max(1))
        .filter(|wanted| is_newest || kept::hold(wanted, &state.kept));
    let due = state.span.is_some()
        && !is_held(state)
        && (kept.is_some()
            || ahead(horizon.safe_point, state.safe_point)
            || ahead(horizon.forgotten, state.forgotten));
    due.then_some(RaiseSafePointCommand {
        safe_point: horizon.safe_point,
        forgotten: horizon.forgotten,
        kept: kept.map(|spans| KeptSpans { spans }),
    })
}

#[cfg(test)]
mod tests {
    use proto::v1::{Merging, Span};

    use super::*;

    #[test]
    fn a_range_asleep_is_woken_once_the_horizon_has_passed_its_last_request() {
        let passed = |safe_point_ms, forgotten_ms, slept_ms| {
            let (safe_point, forgotten) =
                (timestamp::from_ms(safe_point_ms), timestamp::from_ms(forgotten_ms));
            let horizon = Horizon { safe_point, forgotten, step_ms: 5, kept: Vec::new() };
            passed(&horizon, &[], false, 100_000, Duration::from_millis(slept_ms)) > 0
        };
        assert!(passed(90_000, 95_000, 15_000) && !passed(90_000, 95_000, 14_999));
        assert!(passed(0, 95_000, 10_000), "history is kept for ever");
        assert!(passed(101_000, 101_000, 5_000), "its clock is behind");
    }

    #[test]
    fn it_is_woken_again_for_what_is_kept_for_longer() {
        let point = timestamp::from_ms;
        let horizon =
            Horizon { safe_point: point(90_000), forgotten: point(90_000), step_ms: 5, kept: Vec::new() };
        let kept = |ms| KeptSpan { span: Some(Span::default()), safe_point: point(ms) };
        let kept = [kept(0), kept(80_000), kept(60_000)];
        let passed = |slept_ms| passed(&horizon, &kept, false, 100_000, Duration::from_millis(slept_ms));
        let all = [14_999, 15_000, 24_999, 25_000, 44_999, 45_000, 1_000_000].map(passed);
        assert_eq!(all, [0, 1, 1, 2, 2, 3, 3], "what is kept for ever wakes nobody");
    }

    #[test]
    fn it_is_woken_for_what_was_erased_as_soon_as_transactions_are_forgotten() {
        let point = timestamp::from_ms;
        let horizon =
            Horizon { safe_point: point(60_000), forgotten: point(90_000), step_ms: 5, kept: Vec::new() };
        let passed =
            |is_erased, slept_ms| passed(&horizon, &[], is_erased, 100_000, Duration::from_millis(slept_ms));
        assert_eq!([14_999, 15_000, 44_999, 45_000].map(|slept_ms| passed(true, slept_ms)), [0, 1, 1, 2]);
        assert_eq!([15_000, 44_999, 45_000].map(|slept_ms| passed(false, slept_ms)), [0, 0, 1]);
    }

    #[test]
    fn ranges_asleep_are_woken_some_at_a_time_and_those_awake_do_not_wait() {
        // Odd ones sleep.
        let mut left: Vec<usize> = (0..10).collect();
        let mut follow = |woken_max| {
            let asked = std::cell::RefCell::new(Vec::new());
            let follows = |replica: &usize| {
                asked.borrow_mut().push(*replica);
                left.contains(replica)
            };
            let sleeps = |replica: &usize| replica % 2 == 1;
            let turn = in_turn((0..10_usize).collect(), woken_max, sleeps, follows);
            left.retain(|replica| !turn.contains(replica));
            (turn, asked.into_inner())
        };
        assert_eq!(follow(2).0, [0, 1, 2, 3, 4, 6, 8]);
        // Whose turn it is not is not asked: who is asked is taken for woken.
        assert_eq!(follow(2), (vec![5, 7], vec![0, 1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!((follow(2).0, follow(2).0), (vec![9], vec![]));
    }

    #[test]
    fn what_was_said_before_takes_nothing_away_that_is_kept() {
        let span = |start: &'static str, end: &'static str| {
            Some(Span {
                start: Bytes::from_static(start.as_bytes()),
                end: Bytes::from_static(end.as_bytes()),
            })
        };
        let kept = |start, end| KeptSpan { span: span(start, end), safe_point: 20 };
        let state = RangeState {
            span: span("a", "z"),
            safe_point: 70,
            kept: vec![kept("d", "g")],
            ..RangeState::default()
        };
        let kept_then = |safe_point, kept: Vec<KeptSpan>| {
            let horizon = Horizon { safe_point, forgotten: 0, step_ms: 1, kept };
            due(&state, &horizon).and_then(|raise| raise.kept).map(|kept| kept.spans.len())
        };
        assert_eq!(kept_then(69, Vec::new()), None);
        assert_eq!(kept_then(69, vec![kept("e", "g"), kept("m", "n")]), None);
        assert_eq!(kept_then(70, Vec::new()), Some(0));
        assert_eq!(kept_then(69, vec![kept("d", "g"), kept("m", "n")]), Some(2), "it takes nothing away");
    }

    #[test]
    fn a_safe_point_moves_in_steps() {
        let step = timestamp::from_ms(5);
        let state =
            RangeState { span: Some(Span::default()), safe_point: 10, forgotten: 10, ..Default::default() };
        let due = |safe_point, forgotten| {
            due(&state, &Horizon { safe_point, forgotten, step_ms: 5, kept: Vec::new() })
                .map(|raise| raise.safe_point)
        };
        assert_eq!(due(9 + step, 9 + step), None);
        assert_eq!(due(10 + step, 10 + step), Some(10 + step));
        assert_eq!(due(0, 10 + step), Some(0));
        assert_eq!(due(0, 0), None);
        let held = RangeState { merging: Some(Merging::default()), ..state.clone() };
        let horizon = Horizon { safe_point: 10 + step, forgotten: 10 + step, step_ms: 5, kept: Vec::new() };
        assert_eq!(super::due(&held, &horizon), None);
        assert_eq!(
            super::due(&RangeState::default(), &Horizon { safe_point: step, ..Default::default() }),
            None
        );
    }
}
