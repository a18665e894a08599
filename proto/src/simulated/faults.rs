//! The odds of a simulated network, and what it counts.

use std::time::Duration;

use env::random;

/// What goes wrong, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// The shortest way of a message.
    pub delay_us_min: u64,
    /// The longest way of an ordinary message.
    pub delay_us_max: u64,
    /// Messages of a thousand that take up to `slow_us_max`.
    pub slow_per_mille: u64,
    /// The longest way of a slow message.
    pub slow_us_max: u64,
    /// Requests for timestamps of a thousand that take up to `slow_oracle_us_max` longer.
    pub slow_oracle_per_mille: u64,
    /// The longest that such a request is late.
    pub slow_oracle_us_max: u64,
    /// Messages of ten thousand that are lost, and their connection with them.
    pub loss_per_10_000: u64,
    /// Unary requests of a thousand that arrive twice.
    pub duplicates_per_mille: u64,
    /// The longest time until an end notices that its connection broke.
    pub notice_ms_max: u64,
    /// What one endpoint can send to another in a second; 0: as much as it likes.
    pub bytes_per_second: u64,
}

impl Faults {
    /// A fast network that loses nothing; calls still overtake each other.
    pub fn none() -> Self {
        Self {
            delay_us_min: 50,
            delay_us_max: 500,
            slow_per_mille: 0,
            slow_us_max: 0,
            slow_oracle_per_mille: 0,
            slow_oracle_us_max: 0,
            loss_per_10_000: 0,
            duplicates_per_mille: 0,
            notice_ms_max: 100,
            bytes_per_second: 0,
        }
    }

    /// A bad network.
    pub fn some() -> Self {
        Self {
            delay_us_min: 50,
            delay_us_max: 3_000,
            slow_per_mille: 10,
            slow_us_max: 200_000,
            slow_oracle_per_mille: 0,
            slow_oracle_us_max: 0,
            loss_per_10_000: 20,
            duplicates_per_mille: 10,
            notice_ms_max: 2_000,
            bytes_per_second: 0,
        }
    }

    pub(super) fn loses(&self) -> bool {
        random::below(10_000) < self.loss_per_10_000
    }

    pub(super) fn duplicates(&self) -> bool {
        random::below(1000) < self.duplicates_per_mille
    }

    /// How long a message takes, and whether it is a slow one.
    pub(super) fn delay(&self) -> (Duration, bool) {
        let slow = random::below(1000) < self.slow_per_mille;
        let most = if slow { self.slow_us_max } else { self.delay_us_max };
        let spread = most.saturating_sub(self.delay_us_min) + 1;
        (Duration::from_micros(self.delay_us_min + random::below(spread)), slow)
    }

    /// How late a request for timestamps is beside others.
    pub(super) fn oracle_delay(&self) -> Duration {
        if self.slow_oracle_per_mille == 0 || random::below(1000) >= self.slow_oracle_per_mille {
            return Duration::ZERO;
        }
        Duration::from_micros(random::below(self.slow_oracle_us_max + 1))
    }

    pub(super) fn notice(&self) -> Duration {
        Duration::from_millis(1 + random::below(self.notice_ms_max))
    }
}

/// What a network has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages sent.
    pub messages: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// Messages lost, to chance or to a cut.
    pub lost: u64,
    /// Messages that took long.
    pub slow: u64,
    /// Requests that arrived twice.
    pub duplicated: u64,
    /// Directions cut.
    pub cuts: u64,
    /// Connections that broke because one direction was cut.
    pub broken: u64,
    /// A hash over everything delivered: when, from, to, what. Equal runs have equal traces.
    pub trace: u64,
}

/// FNV-1a, eight bytes at a time.
pub(super) fn trace(mut hash: u64, bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut chunks = bytes.chunks(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(PRIME).rotate_left(23);
    }
    hash ^ bytes.len() as u64
}
