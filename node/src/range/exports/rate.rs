//! How fast files of backups are written: as fast as goes without others' waiting for it.
//!
//! ```text
//! what proposals take  ──┐
//! usual ────────────▶ compared, a few times a second ──▶ hardly longer, or nobody proposes: an eighth more
//!                                                        a quarter longer:                  half as much
//! ```
//!
//! What a backup takes from others is time of the disk and of the processor, and a proposal needs both: it is what writes wait for. The usual
//! time is that of the proposals before the backup; later that of the fastest of them, and by and by more, as the load may be another one.
//! Additive increase, multiplicative decrease: D.-M. Chiu and R. Jain, "Analysis of the Increase and Decrease Algorithms for Congestion
//! Avoidance", 1989.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use env::clock::Instant;

/// Bytes in a second at first, at least, and at most.
const BYTES_FIRST: u64 = 32 << 20;
const BYTES_MIN: u64 = 8 << 20;
const BYTES_MAX: u64 = 1 << 30;

/// How long it takes at least from one look to the next.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// A backup that was not written for so long begins anew.
const PAUSE: Duration = Duration::from_secs(10);

/// Fewer proposals tell nothing.
const PROPOSALS_MIN: u64 = 16;

/// The time that is usual is an average over about so many proposals.
const PROPOSALS_USUAL: u64 = 256;

/// What a proposal may take longer at least, whatever is usual: so much is chance.
const CHANCE_MICROS: u64 = 100;

/// The usual time grows by this part of itself from one look to the next.
const USUAL_GROWS: u64 = 1024;

/// How long proposals took.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    count: AtomicU64,
    micros: AtomicU64,
    /// So many times the average of the last of them.
    recent: AtomicU64,
}

/// How many proposals there were, and how long all of them took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    count: u64,
    micros: u64,
}

/// How fast files are written.
#[derive(Debug, Default)]
pub(super) struct Rate {
    bytes_per_second: u64,
    /// What a proposal takes where no backup is in its way; 0: that is not known.
    usual_micros: u64,
    looked: Option<Instant>,
    seen: Seen,
}

impl Proposals {
    /// One has taken so long. Of two at once one may not count for the average.
    pub(crate) fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(u64::from(u32::MAX));
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        let recent = match self.recent.load(Ordering::Relaxed) {
            0 => micros * PROPOSALS_USUAL,
            recent => recent - recent / PROPOSALS_USUAL + micros,
        };
        self.recent.store(recent, Ordering::Relaxed);
    }

    pub(super) fn seen(&self) -> Seen {
        Seen { count: self.count.load(Ordering::Relaxed), micros: self.micros.load(Ordering::Relaxed) }
    }

    /// What the last of them took, on an average; 0: there were too few.
    pub(super) fn usual_micros(&self) -> u64 {
        match self.count.load(Ordering::Relaxed) {
            0..PROPOSALS_MIN => 0,
            _ => self.recent.load(Ordering::Relaxed) / PROPOSALS_USUAL,
        }
    }
}

impl Rate {
    /// How many bytes are written in a second from `now` on, and no more than `most`; 0: that nobody has said.
    pub(super) fn at(&mut self, now: Instant, proposals: &Proposals, most: u64) -> u64 {
        let since = self.looked.map(|looked| now.saturating_duration_since(looked));
        match since {
            Some(since) if since < BETWEEN_LOOKS => {}
            Some(since) if since < PAUSE => self.look(now, proposals.seen()),
            _ => {
                let (seen, usual_micros) = (proposals.seen(), proposals.usual_micros());
                *self = Self { bytes_per_second: BYTES_FIRST, usual_micros, looked: Some(now), seen };
            }
        }
        let most = if most == 0 { BYTES_MAX } else { most.clamp(BYTES_MIN, BYTES_MAX) };
        self.bytes_per_second = self.bytes_per_second.min(most);
        self.bytes_per_second
    }

    fn look(&mut self, now: Instant, seen: Seen) {
        let count = seen.count.saturating_sub(self.seen.count);
        let micros = seen.micros.saturating_sub(self.seen.micros);
        (self.looked, self.seen) = (Some(now), seen);
        let own = self.bytes_per_second;
        if count < PROPOSALS_MIN {
            self.bytes_per_second = own + own / 8;
            return;
        }
        let took = micros / count;
        let usual = match self.usual_micros {
            0 => took,
            usual => took.min(usual + usual / USUAL_GROWS + 1),
        };
        self.usual_micros = usual;
        let others_wait = took > usual + (usual / 4).max(CHANCE_MICROS);
        self.bytes_per_second = if others_wait { (own / 2).max(BYTES_MIN) } else { own + own / 8 };
    }
}

#[cfg(test)]
mod tests {
    use env::clock;

    use super::*;

    struct Play {
        rate: Rate,
        proposals: Proposals,
        now: Instant,
    }

    impl Play {
        fn new() -> Self {
            Self { rate: Rate::default(), proposals: Proposals::default(), now: clock::now() }
        }

        fn propose(&self, count: u64, micros: u64) {
            (0..count).for_each(|_| self.proposals.note(Duration::from_micros(micros)));
        }

        /// The rate after so long.
        fn after(&mut self, pause: Duration, most: u64) -> u64 {
            self.now += pause;
            self.rate.at(self.now, &self.proposals, most)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_waits_it_is_as_fast_as_goes_and_no_faster_than_is_said() {
        let mut play = Play::new();
        assert_eq!(play.after(Duration::ZERO, 0), BYTES_FIRST);
        assert_eq!(play.after(BETWEEN_LOOKS / 2, 0), BYTES_FIRST, "it is not looked all the time");
        for _ in 0..15 {
            play.after(BETWEEN_LOOKS, 0);
        }
        assert!(play.after(BETWEEN_LOOKS, 0) > 100 << 20, "after four seconds");
        for _ in 0..100 {
            play.after(BETWEEN_LOOKS, 0);
        }
        assert_eq!(play.after(BETWEEN_LOOKS, 0), BYTES_MAX);
        assert_eq!(play.after(BETWEEN_LOOKS, 50 << 20), 50 << 20);
        assert_eq!(play.after(BETWEEN_LOOKS, 1), BYTES_MIN, "with less requests would wait too long");
        assert_eq!(play.after(PAUSE, 0), BYTES_FIRST, "it begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn where_others_wait_for_it_it_goes_slowly() {
        let mut play = Play::new();
        play.propose(1000, 2000);
        play.after(Duration::ZERO, 0);
        play.propose(100, 2100);
        let faster = play.after(BETWEEN_LOOKS, 0);
        assert!(faster > BYTES_FIRST, "that is hardly longer");
        play.propose(100, 3000);
        assert_eq!(play.after(BETWEEN_LOOKS, 0), faster / 2);
        for _ in 0..10 {
            play.propose(100, 3000);
            play.after(BETWEEN_LOOKS, 0);
        }
        assert_eq!(play.after(BETWEEN_LOOKS / 2, 0), BYTES_MIN);
        play.propose(100, 2000);
        assert!(play.after(BETWEEN_LOOKS, 0) > BYTES_MIN);
    }

    #[tokio::test(start_paused = true)]
    async fn another_load_becomes_the_usual_one() {
        let mut play = Play::new();
        play.propose(1000, 1000);
        play.after(Duration::ZERO, 0);
        for _ in 0..2000 {
            play.propose(20, 2000);
            play.after(BETWEEN_LOOKS, 0);
        }
        assert!(play.after(BETWEEN_LOOKS, 0) > BYTES_FIRST);
    }
}
