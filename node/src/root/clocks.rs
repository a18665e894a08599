//! What time it is, where clocks may be wrong: what the oracle's timestamps follow. Pure.
//!
//! ```text
//!                  follows the middle clock
//!             ◀────────────────────────────▶│ no further, unless another clock says so too
//!   ──────────┼──────────────┼──────────────┼───────────────────────────▶ ms
//!       when the term began  what has       what has passed
//!                            passed since   and LEAD_MS
//! ```
//!
//! The nodes say once a second what their clocks show; the middle one is followed, or, between two middle ones, the time
//! that has passed. Where it runs away from the time that has passed, and nobody confirms it, it is followed only once
//! that has lasted: a wrong clock is mostly set right within minutes.

use std::collections::BTreeMap;
use std::time::Duration;

use env::clock::Instant;

use crate::timestamp;

/// How far ahead of the time that has passed one clock alone is followed.
const LEAD_MS: u64 = 5_000;

/// For how long a clock alone must run further ahead than that before it is followed.
const LASTING: Duration = Duration::from_secs(600);

/// How long a node's word about its clock counts.
const HEARD_MS: u64 = 10_000;

/// Above all milliseconds that timestamps have room for.
const MS_END: u64 = 1 << (u64::BITS - timestamp::LOGICAL_BITS);

/// How often the clocks are compared.
const COMPARED_MS: u64 = 100;

/// The clocks that one term of the root range's leader knows.
///
/// # Invariants
///
/// - The time told is at most [`LEAD_MS`] ahead of what had been told, or reserved, when the term began and what has passed
///   since then, unless a second clock confirmed it or it lasted for [`LASTING`].
#[derive(Debug)]
pub(super) struct Clocks {
    /// When it was `from_ms`, at least.
    since: Instant,
    from_ms: u64,
    /// By node: when it said what its clock shows.
    heard: BTreeMap<u64, (Instant, u64)>,
    /// Since when the middle clock runs ahead.
    doubted: Option<Instant>,
    told: Option<(Instant, u64)>,
}

impl Clocks {
    /// At the start of a term: timestamps up to `reserved_ms` may have been handed out. Where there is no other node the
    /// own clock is all there is to start from, and a cluster may have been down for long.
    pub(super) fn new(now: Instant, reserved_ms: u64, wall_ms: u64, alone: bool) -> Self {
        let from_ms = if alone { reserved_ms.max(wall_ms) } else { reserved_ms };
        Self { since: now, from_ms, heard: BTreeMap::new(), doubted: None, told: None }
    }

    /// Another node says what its clock shows. What no timestamp can hold is no time.
    pub(super) fn hear(&mut self, now: Instant, node_id: u64, wall_ms: u64) {
        if (1..MS_END).contains(&wall_ms) {
            self.heard.insert(node_id, (now, wall_ms));
        }
    }

    /// The time, where the own clock shows `wall_ms`. It may go back.
    pub(super) fn now_ms(&mut self, now: Instant, wall_ms: u64) -> u64 {
        if let Some((at, ms)) = self.told
            && passed_ms(at, now) < COMPARED_MS
        {
            return ms.saturating_add(passed_ms(at, now));
        }
        let ms = self.compare(now, wall_ms);
        self.told = Some((now, ms));
        ms
    }

    fn compare(&mut self, now: Instant, wall_ms: u64) -> u64 {
        self.heard.retain(|_, (at, _)| passed_ms(*at, now) < HEARD_MS);
        let others = self.heard.values().map(|(at, ms)| ms.saturating_add(passed_ms(*at, now)));
        let mut clocks: Vec<u64> = others.chain([wall_ms]).collect();
        clocks.sort_unstable();
        let place = |place: usize| clocks.get(place).copied().unwrap_or(wall_ms);
        let passed = self.from_ms.saturating_add(passed_ms(self.since, now));
        let middle = passed.clamp(place((clocks.len() - 1) / 2), place(clocks.len() / 2));
        let limit = passed.saturating_add(LEAD_MS);
        if middle <= limit {
            self.doubted = None;
            return middle;
        }
        let doubted = *self.doubted.get_or_insert(now);
        if clocks.len() == 1 && now.saturating_duration_since(doubted) < LASTING {
            return limit;
        }
        tracing::warn!(ms = middle - limit, "time has jumped ahead");
        (self.since, self.from_ms, self.doubted) = (now, middle, None);
        middle
    }
}

fn passed_ms(since: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: u64 = 1_704_067_200_000;
    const DAY: u64 = 24 * 3600 * 1000;

    fn clocks(alone: bool) -> (Clocks, Instant) {
        let began = env::clock::now();
        (Clocks::new(began, T0, T0, alone), began)
    }

    fn after(began: Instant, ms: u64) -> Instant {
        began + Duration::from_millis(ms)
    }

    #[test]
    fn a_clock_that_is_about_right_is_followed() {
        let (mut clocks, began) = clocks(true);
        for (passed, wall) in [(0, T0), (1_000, T0 + 900), (5_000, T0 + 9_000), (6_000, T0 + 2_000)] {
            assert_eq!(clocks.now_ms(after(began, passed), wall), wall);
        }
    }

    #[test]
    fn a_clock_alone_that_jumps_ahead_is_followed_only_so_far_until_it_has_lasted() {
        let (mut clocks, began) = clocks(true);
        for seconds in 1..=600 {
            let passed = seconds * 1_000;
            let told = clocks.now_ms(after(began, passed), T0 + DAY + passed);
            assert_eq!(told, T0 + passed + LEAD_MS);
        }
        let told = clocks.now_ms(after(began, 601_000), T0 + DAY + 601_000);
        assert_eq!(told, T0 + DAY + 601_000);
    }

    #[test]
    fn a_jump_that_is_taken_back_is_forgotten() {
        let (mut clocks, began) = clocks(true);
        for (passed, ahead) in [(1_000, DAY), (400_000, 0), (500_000, DAY), (1_000_000, DAY)] {
            let told = clocks.now_ms(after(began, passed), T0 + passed + ahead);
            assert_eq!(told, T0 + passed + ahead.min(LEAD_MS));
        }
    }

    #[test]
    fn the_middle_clock_counts() {
        let (mut clocks, began) = clocks(false);
        let now = after(began, 20_000);
        clocks.hear(now, 2, T0 + 20_000);
        clocks.hear(now, 3, T0 + 21_000);
        assert_eq!(clocks.now_ms(now, T0 + DAY), T0 + 21_000);
        // One more that has lost its mind in another direction, and time to forget one.
        let now = after(began, 29_000);
        clocks.hear(now, 4, 1);
        clocks.hear(now, 5, u64::MAX);
        assert_eq!(clocks.now_ms(now, T0 + DAY), T0 + 29_000);
        let now = after(began, 31_000);
        assert_eq!(clocks.now_ms(now, T0 + DAY), T0 + 31_000);
    }

    #[test]
    fn what_other_clocks_confirm_is_followed_at_once() {
        let (mut clocks, began) = clocks(false);
        assert_eq!(clocks.now_ms(began, T0 + DAY), T0 + LEAD_MS);
        let now = after(began, 1_000);
        clocks.hear(now, 2, T0 + DAY - 3_000);
        assert_eq!(clocks.now_ms(now, T0 + DAY), T0 + DAY - 3_000);
        let now = after(began, 12_000);
        // And is the measure from then on.
        assert_eq!(clocks.now_ms(now, T0 + 2 * DAY), T0 + DAY - 3_000 + 11_000 + LEAD_MS);
    }

    #[test]
    fn a_node_alone_starts_at_what_its_clock_shows() {
        let began = env::clock::now();
        assert_eq!(Clocks::new(began, T0, T0 + DAY, true).now_ms(began, T0 + DAY), T0 + DAY);
        assert_eq!(Clocks::new(began, T0 + 3_000, T0, true).now_ms(began, T0), T0);
    }
}
