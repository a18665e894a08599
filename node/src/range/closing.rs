//! Closing timestamps: the leader promises that nothing is committed at or below one any more, so that other replicas may answer
//! what is read there.
//!
//! ```text
//! closing C                                                        what it rules out
//! 1 C is one that was handed out, some seconds before the newest   a commit above it that a reader at it should see
//! 2 all keys count as read at C                                    commits that enter later choose more than C
//! 3 the leader proves that it leads and serves what it served      another leader's commits: it begins above C
//! 4 commits and reservations at or below C, or undecided, are gone those that entered before
//! 5 the index of what is applied is taken                          a follower that has not applied them
//! 6 (C, index, span epoch) is told                                 one that has another span
//! ```
//!
//! What a transaction over several ranges has prewritten may still be committed at or below C: its intent stands among the
//! entries up to the index, and who finds it there sends the reader to the leader ([`evaluate::follower`](super::evaluate)).
//!
//! No step waits: where 4 does not hold yet it is looked at again with the next proof. So a range that nobody writes to costs
//! no message and no entry, and one whose commit hangs goes on promising what it did.
//!
//! Nothing is closed of a range that sleeps (`raft::waking`): who reads later than what was closed before wakes it, whichever replica is
//! asked; and a range that is read at its followers does not sleep.
//!
//! A transaction that validates for longer than what is closed lies behind, and commits at exactly the timestamp that it has
//! validated at or not at all, would never commit. So its refusal holds up what is closed next ([`give_time`]).
//!
//! # Invariants
//!
//! - C is known before the proof of step 3 begins. So whoever leads next has its lease after that, and takes its floor after
//!   that: above C. The same goes for whoever serves a part of the keys, or more than them: it asks for its floor after
//!   this one has ended to serve them, or has begun to give them away.
//! - The index is taken after step 4: a commit's mark goes only once it is applied here, and the index is known before.
//! - A reservation is a mark: what was reserved at T is committed there though C is above T by then, and C is told after that.

use std::sync::Arc;
use std::time::Duration;

use env::canary::{Canary, sings};

use super::inflight::Mark;
use super::replica::{Context, Replica};
use super::serving::Serving;
use crate::raft::Closed;
use crate::timestamp;

/// A timestamp is closed once it is ahead of the one before by this fraction of how far it is behind.
const STEP_FRACTION: u64 = 8;

/// So far at least behind what is new reads who watches a range.
const WATCH_LAG_MS: u64 = 200;

/// For so long at most nothing is closed because of transactions that came too late.
const HOLD_MS_MAX: u64 = 60_000;

/// A timestamp that is about to be closed.
pub(crate) struct Closing {
    at: u64,
    span_epoch: u64,
    /// What was under way when all keys came to count as read at it.
    in_the_way: Vec<Arc<Mark>>,
}

/// A transaction that was to commit at exactly `at` cannot. If that lies further back than what is closed, its next attempt
/// needs as long as this one took: it gets twice the time, in which nothing is closed. So it is with what those have read who watch the
/// range, and they with it: what is closed is not held up for their sake.
pub(crate) fn give_time(context: &Context, serving: &Serving, at: u64) {
    let age_ms = timestamp::ms(context.time.observed()).saturating_sub(timestamp::ms(at));
    let until = |ms: u64| env::clock::now() + Duration::from_millis(ms);
    if let Some(hold_ms) = hold_ms(age_ms, context.closed_lag_ms) {
        serving.hold_closing(until(hold_ms));
    }
    if serving.is_watched()
        && let Some(hold_ms) = hold_ms(age_ms, WATCH_LAG_MS)
    {
        serving.hold_watching(until(hold_ms));
    }
}

/// For how long nothing is closed once an attempt that took so long was refused; none where that did not come of closing, or
/// would not suffice for another one that takes as long: a request that comes after an hour holds nothing up.
fn hold_ms(age_ms: u64, lag_ms: u64) -> Option<u64> {
    (lag_ms..=HOLD_MS_MAX).contains(&age_ms).then(|| (age_ms * 2).min(HOLD_MS_MAX))
}

impl Replica {
    /// Begins to close a timestamp, unless the one that was closed last is near: from now on nothing that was not under way
    /// already is committed at or below it.
    pub(crate) fn begin_closing(&self, serving: &Serving) -> Option<Closing> {
        if serving.holds_closing() {
            return None;
        }
        let behind = timestamp::from_ms(self.context.closed_lag_ms);
        let at = self.context.time.observed().saturating_sub(behind);
        let span_epoch = self.cell.state().span_epoch;
        let before = self.group.closed_in(serving.term);
        let before = before.filter(|before| before.span_epoch == span_epoch);
        if at == 0 || before.is_some_and(|before| at < before.timestamp + behind / STEP_FRACTION) {
            return None;
        }
        if !sings(Canary::CommitBelowClosed) {
            serving.memory.raise_all(at);
        }
        Some(Closing { at, span_epoch, in_the_way: serving.inflight.in_the_way(at) })
    }

    /// Closes it, if nothing is in the way any more, and if this still serves what it did: leadership was proven after it began.
    /// Whether that is over, one way or the other.
    pub(crate) fn finish_closing(&self, serving: &Arc<Serving>, closing: &Closing) -> bool {
        if closing.in_the_way.iter().any(|mark| !mark.is_past(closing.at)) {
            return false;
        }
        let serves = self.cell.serving().is_some_and(|now| Arc::ptr_eq(&now, serving));
        // In this order: what is given away is so until the epoch says it, too.
        let keeps_all = !serving.gives_away(|_| true);
        if serves && keeps_all && self.cell.state().span_epoch == closing.span_epoch {
            // Replication says it a moment later, but knows what was applied before the start.
            let index = self.cell.applied_index().max(self.group.applied_index());
            let (timestamp, span_epoch) = (closing.at, closing.span_epoch);
            self.group.close(serving.term, Closed { timestamp, index, span_epoch });
        }
        true
    }

    /// How far what is closed of a range that this replica serves lies behind the newest timestamp; none if it serves none, or sleeps.
    pub(crate) fn closed_lag_ms(&self) -> Option<u64> {
        let serving = self.cell.serving().filter(|_| !self.group.is_asleep())?;
        let closed = self.group.closed_in(serving.term).map_or(0, |closed| closed.timestamp);
        let behind = self.context.time.observed().saturating_sub(closed.max(serving.began));
        Some(timestamp::ms(behind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_late_by_less_than_a_minute_is_given_time() {
        let hold = |age_ms| hold_ms(age_ms, 3_000);
        assert_eq!((hold(2_999), hold(3_000), hold(20_000)), (None, Some(6_000), Some(40_000)));
        assert_eq!((hold(50_000), hold(60_001), hold(u64::MAX)), (Some(HOLD_MS_MAX), None, None));
    }
}
