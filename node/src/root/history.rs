//! How long history is kept, and who holds it longer: what the horizon of the cluster is computed from. Pure.
//!
//! ```text
//!        forgotten          safe point            newest
//!   ─────────┼──────────────────┼────────────────────┼──▶ timestamps
//!            │                  │◀──── history ─────▶│
//!            │                  └ earlier, if an open transaction began before: it is held back
//!            └ a day before the newest, where history is kept for longer
//! ```
//!
//! The horizon is what ranges may raise their safe points to: nothing below is read any more. Gateways say once a second
//! below which timestamp none of their transactions began, open ones and those still to come. What a gateway has said holds
//! for the length of a lease.

use std::collections::BTreeMap;
use std::time::Duration;

use env::clock::Instant;
use proto::v1::{Horizon, KeptHistory, KeptSpan};

use crate::timestamp;

/// How long history is kept if nobody has said otherwise.
pub(crate) const HISTORY_MS_DEFAULT: u64 = 3600 * 1000;

/// The shortest history that is taken without insisting on it.
pub(crate) const HISTORY_MS_MIN: u64 = 60 * 1000;

/// Nobody holds history longer than so, and nobody asks longer what became of a transaction.
const HELD_MS_MAX: u64 = 24 * 3600 * 1000;

/// How long a gateway that is not heard of any more holds history: as long as history is kept at all, within these.
const LEASE_MS_MAX: u64 = 30_000;
const LEASE_MS_MIN: u64 = 3_000;

/// So many times in a history the safe point moves.
const STEPS: u64 = 32;

/// How seldom, and how often, it moves.
const STEP_MS_MAX: u64 = 60_000;
const STEP_MS_MIN: u64 = 200;

/// How much further than time itself the horizon moves at once: as far as clocks that are about right differ.
const JUMP_MS_MAX: u64 = 60_000;

/// For how long the newest timestamp must have been further ahead than that before the horizon follows.
const JUMP_LASTING: Duration = Duration::from_secs(3600);

/// How many gateways are listened to.
const GATEWAYS_MAX: usize = 10_000;

/// A gateway's name for itself.
pub(crate) type GatewayId = [u8; 16];

/// There are more gateways than can be listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {GATEWAYS_MAX} gateways hold history")]
pub(crate) struct TooManyGateways;

/// Who holds history back, as one term of the root range's leader knows.
///
/// # Invariants
///
/// - Nothing moves before the term is as old as a lease: every gateway that an earlier leader knew of has said again what
///   it holds, or has lost its hold.
/// - The horizon is below every timestamp that a gateway within its lease reads at, or may still take.
/// - Once it moves, it moves by no more than the time that passes and [`JUMP_MS_MAX`], unless timestamps stay further ahead
///   for [`JUMP_LASTING`]: what a wrong clock does must be found out before history is deleted by it.
#[derive(Debug)]
pub(crate) struct Holds {
    since: Instant,
    /// When the newest timestamp was what the horizon is measured from.
    measured: Option<(Instant, u64)>,
    /// What the last horizon was counted back from.
    newest: u64,
    /// Since when timestamps are too far ahead of that.
    jumped: Option<Instant>,
    gateways: BTreeMap<GatewayId, Hold>,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    from: u64,
    heard: Instant,
}

impl Holds {
    /// Of a term that begins now.
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, measured: None, newest: 0, jumped: None, gateways: BTreeMap::new() }
    }

    /// No transaction of a gateway began below `oldest`, or will.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        gateway: GatewayId,
        oldest: u64,
    ) -> Result<(), TooManyGateways> {
        if self.gateways.len() >= GATEWAYS_MAX && !self.gateways.contains_key(&gateway) {
            return Err(TooManyGateways);
        }
        self.gateways.insert(gateway, Hold { from: oldest, heard: now });
        Ok(())
    }

    /// What ranges may keep no more, where `newest` is the newest timestamp handed out and history is kept for
    /// `history_ms` (0 = for ever). None: nothing may move yet.
    pub(crate) fn horizon(&mut self, now: Instant, newest: u64, history_ms: u64) -> Option<Horizon> {
        let lease = lease(history_ms);
        if now.duration_since(self.since) < lease {
            return None;
        }
        self.gateways.retain(|_, hold| now.duration_since(hold.heard) < lease);
        let newest = self.without_jumps(now, newest);
        self.newest = newest;
        let forgotten = newest.saturating_sub(timestamp::from_ms(HELD_MS_MAX));
        let safe_point = match history_ms {
            0 => 0,
            history_ms => {
                let wanted = newest.saturating_sub(timestamp::from_ms(history_ms));
                // Requests of a transaction that began at the safe point are refused.
                wanted.min(self.held_from().saturating_sub(1).max(forgotten))
            }
        };
        let forgotten = forgotten.max(safe_point);
        Some(Horizon { safe_point, forgotten, step_ms: step_ms(history_ms), kept: Vec::new() })
    }

    /// How far ranges may go in spans whose history is kept for longer, where the last horizon says how far elsewhere.
    pub(crate) fn kept(&self, kept: &[KeptHistory]) -> Vec<KeptSpan> {
        let forgotten = self.newest.saturating_sub(timestamp::from_ms(HELD_MS_MAX));
        let held = self.held_from().saturating_sub(1).max(forgotten);
        let safe_point = |kept: &KeptHistory| {
            if kept.history_ms == 0 || timestamp::ms(self.newest) < kept.held_until_ms {
                return 0;
            }
            self.newest.saturating_sub(timestamp::from_ms(kept.history_ms)).min(held)
        };
        let span = |kept: &KeptHistory| KeptSpan { span: kept.span.clone(), safe_point: safe_point(kept) };
        kept.iter().map(span).collect()
    }

    /// The newest timestamp, as far as it is not further ahead than time that has passed explains.
    fn without_jumps(&mut self, now: Instant, newest: u64) -> u64 {
        let (since, from) = *self.measured.get_or_insert((now, newest));
        let passed_ms = u64::try_from(now.duration_since(since).as_millis()).unwrap_or(u64::MAX);
        let limit = from.saturating_add(timestamp::from_ms(passed_ms.saturating_add(JUMP_MS_MAX)));
        if newest <= limit {
            self.jumped = None;
            return newest;
        }
        let jumped = *self.jumped.get_or_insert(now);
        if now.duration_since(jumped) < JUMP_LASTING {
            return limit;
        }
        (self.measured, self.jumped) = (Some((now, newest)), None);
        newest
    }

    /// The least timestamp that a gateway holds; `u64::MAX` if none does.
    fn held_from(&self) -> u64 {
        self.gateways.values().map(|hold| hold.from).min().unwrap_or(u64::MAX)
    }

    /// How much further than `history_ms` open transactions hold history back.
    pub(crate) fn held_ms(&self, newest: u64, history_ms: u64) -> u64 {
        let wanted = newest.saturating_sub(timestamp::from_ms(history_ms));
        timestamp::ms(wanted.saturating_sub(self.held_from().saturating_sub(1)))
    }
}

/// A horizon behind which no range goes any further, and what is kept for longer.
pub(crate) fn unmoved(history_ms: u64, kept: &[KeptHistory]) -> Horizon {
    let kept = kept.iter().map(|kept| KeptSpan { span: kept.span.clone(), safe_point: 0 });
    Horizon { safe_point: 0, forgotten: 0, step_ms: step_ms(history_ms), kept: kept.collect() }
}

fn step_ms(history_ms: u64) -> u64 {
    match history_ms {
        0 => STEP_MS_MAX,
        history_ms => (history_ms / STEPS).clamp(STEP_MS_MIN, STEP_MS_MAX),
    }
}

fn lease(history_ms: u64) -> Duration {
    let ms = if history_ms == 0 { LEASE_MS_MAX } else { history_ms.clamp(LEASE_MS_MIN, LEASE_MS_MAX) };
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600 * 1000;
    const DAY: u64 = 24 * HOUR;
    /// The newest timestamp, in ms.
    const NOW: u64 = 100 * DAY;

    fn at(ms: u64) -> u64 {
        timestamp::from_ms(ms)
    }

    /// Holds of a term that is an hour old, heard of a second ago.
    fn holds(oldest: &[u64]) -> (Holds, Instant) {
        let begun = env::clock::now();
        let now = begun + Duration::from_secs(3600);
        let mut holds = Holds::new(begun);
        for (gateway, oldest) in oldest.iter().enumerate() {
            let heard = now - Duration::from_secs(1);
            holds.report(heard, [gateway as u8; 16], *oldest).unwrap();
        }
        (holds, now)
    }

    fn safe_point(oldest: &[u64], history_ms: u64) -> u64 {
        let (mut holds, now) = holds(oldest);
        holds.horizon(now, at(NOW), history_ms).unwrap().safe_point
    }

    #[test]
    fn without_gateways_history_alone_counts() {
        assert_eq!(safe_point(&[], HOUR), at(NOW - HOUR));
        assert_eq!(safe_point(&[], 7 * DAY), at(NOW - 7 * DAY));
    }

    #[test]
    fn the_oldest_open_transaction_holds_it_back() {
        assert_eq!(safe_point(&[at(NOW - 2 * HOUR), at(NOW - 3 * HOUR)], HOUR), at(NOW - 3 * HOUR) - 1);
        assert_eq!(safe_point(&[at(NOW - 10)], HOUR), at(NOW - HOUR));
    }

    #[test]
    fn nobody_holds_for_more_than_a_day() {
        assert_eq!(safe_point(&[at(NOW - 5 * DAY)], HOUR), at(NOW - DAY));
        assert_eq!(safe_point(&[at(NOW - 5 * DAY)], 2 * DAY), at(NOW - 2 * DAY));
    }

    #[test]
    fn history_for_ever_moves_no_safe_point_but_forgets_transactions() {
        let (mut holds, now) = holds(&[]);
        let horizon = holds.horizon(now, at(NOW), 0).unwrap();
        assert_eq!((horizon.safe_point, horizon.forgotten), (0, at(NOW - DAY)));
        let horizon = holds.horizon(now, at(NOW), 7 * DAY).unwrap();
        assert_eq!((horizon.safe_point, horizon.forgotten), (at(NOW - 7 * DAY), at(NOW - DAY)));
        let horizon = holds.horizon(now, at(NOW), HOUR).unwrap();
        assert_eq!(horizon.safe_point, horizon.forgotten);
    }

    #[test]
    fn a_new_term_moves_nothing_until_all_leases_have_ended() {
        let begun = env::clock::now();
        let mut holds = Holds::new(begun);
        assert_eq!(holds.horizon(begun + Duration::from_secs(29), at(NOW), HOUR), None);
        assert!(holds.horizon(begun + Duration::from_secs(30), at(NOW), HOUR).is_some());
        assert_eq!(holds.horizon(begun + Duration::from_secs(2), at(NOW), 1000), None);
        assert!(holds.horizon(begun + Duration::from_secs(3), at(NOW), 1000).is_some());
    }

    #[test]
    fn timestamps_that_jump_ahead_take_the_horizon_along_only_once_that_has_lasted() {
        let (mut holds, now) = holds(&[]);
        let mut safe_point = |seconds: u64, ahead_ms: u64| {
            let newest = at(NOW + seconds * 1000 + ahead_ms);
            holds.horizon(now + Duration::from_secs(seconds), newest, HOUR).unwrap().safe_point
        };
        assert_eq!(safe_point(0, 0), at(NOW - HOUR));
        assert_eq!(safe_point(10, 50_000), at(NOW - HOUR + 60_000));
        // Taken back within an hour.
        assert_eq!(safe_point(20, 25 * HOUR), at(NOW - HOUR + 20_000 + JUMP_MS_MAX));
        assert_eq!(safe_point(3_000, 25 * HOUR), at(NOW - HOUR + 3_000_000 + JUMP_MS_MAX));
        assert_eq!(safe_point(3_500, 0), at(NOW - HOUR + 3_500_000));
        // It is not.
        assert_eq!(safe_point(3_700, 25 * HOUR), at(NOW - HOUR + 3_700_000 + JUMP_MS_MAX));
        assert_eq!(safe_point(7_299, 25 * HOUR), at(NOW - HOUR + 7_299_000 + JUMP_MS_MAX));
        assert_eq!(safe_point(7_300, 25 * HOUR), at(NOW + 7_300_000 + 24 * HOUR));
    }

    #[test]
    fn what_is_kept_for_longer_is_counted_back_from_the_same_moment() {
        let (mut holds, now) = holds(&[at(NOW - 2 * HOUR)]);
        holds.horizon(now, at(NOW), HOUR).unwrap();
        let kept = |history_ms, held_until_ms| {
            let kept = KeptHistory { history_ms, held_until_ms, ..KeptHistory::default() };
            holds.kept(&[kept]).pop().unwrap().safe_point
        };
        assert_eq!((kept(DAY, 0), kept(0, 0)), (at(NOW - DAY), 0));
        assert_eq!(kept(HOUR, 0), at(NOW - 2 * HOUR) - 1);
        assert_eq!((kept(DAY, NOW + 1), kept(DAY, NOW)), (0, at(NOW - DAY)));
    }

    #[test]
    fn what_is_kept_is_told_before_anything_may_move() {
        let kept = [KeptHistory { history_ms: DAY, ..KeptHistory::default() }];
        let told = unmoved(HOUR, &kept);
        assert_eq!((told.safe_point, told.forgotten, told.step_ms), (0, 0, STEP_MS_MAX));
        assert_eq!(told.kept, [KeptSpan { span: None, safe_point: 0 }]);
    }

    #[test]
    fn a_gateway_that_is_silent_for_a_lease_holds_nothing() {
        let (mut holds, now) = holds(&[at(NOW - 2 * HOUR)]);
        let later = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(holds.held_ms(at(NOW), HOUR), HOUR);
        assert_eq!(holds.horizon(later(28), at(NOW), HOUR).unwrap().safe_point, at(NOW - 2 * HOUR) - 1);
        assert_eq!(holds.horizon(later(29), at(NOW), HOUR).unwrap().safe_point, at(NOW - HOUR));
        assert_eq!(holds.held_ms(at(NOW), HOUR), 0);
    }

    #[test]
    fn there_is_an_end_to_gateways() {
        let now = env::clock::now();
        let mut holds = Holds::new(now);
        let id = |number: usize| (number as u128).to_be_bytes();
        for number in 0..GATEWAYS_MAX {
            holds.report(now, id(number), 1).unwrap();
        }
        assert_eq!(holds.report(now, id(GATEWAYS_MAX), 1), Err(TooManyGateways));
        holds.report(now, id(7), 1).unwrap();
    }
}
