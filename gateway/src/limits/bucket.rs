//! Token buckets: what may come in a second, all of it at once if nothing came before.

use std::num::NonZeroU64;
use std::time::Duration;

use env::clock::Instant;

/// So much may come at once: what comes in this time.
const BURST: Duration = Duration::from_secs(1);

/// No more than this is owed: whoever has taken more waits no longer.
const DEBT_MAX: Duration = Duration::from_secs(60);

/// A bucket, as the moment at which all that was taken out of it will have come in.
///
/// # Invariants
/// - What is refused takes nothing.
/// - Nothing is owed for longer than [`DEBT_MAX`], or what the last amount takes by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Whether nothing is missing.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }

    /// When nothing will be missing any more.
    pub(super) fn full_at(&self) -> Instant {
        self.full_at
    }

    /// Takes so much if it is there.
    ///
    /// # Errors
    /// How long it takes until it is.
    pub(super) fn take(&mut self, amount: u64, rate: NonZeroU64, now: Instant) -> Result<(), Duration> {
        let over = self.over(amount, rate, now);
        if !over.is_zero() {
            return Err(over);
        }
        let missing = self.missing(now).saturating_add(costs(amount, rate));
        self.full_at = now.checked_add(missing).unwrap_or(now);
        Ok(())
    }

    /// How long it takes until so much is there.
    pub(super) fn over(&self, amount: u64, rate: NonZeroU64, now: Instant) -> Duration {
        let costs = costs(amount, rate);
        let missing = self.missing(now).saturating_add(costs);
        // What is more than ever comes at once goes when nothing is missing.
        missing.saturating_sub(BURST.max(costs))
    }

    /// Takes so much, whether it is there or not.
    pub(super) fn charge(&mut self, amount: u64, rate: NonZeroU64, now: Instant) {
        let missing = self.missing(now).saturating_add(costs(amount, rate)).min(DEBT_MAX);
        self.full_at = now.checked_add(missing).unwrap_or(now);
    }

    /// How long until nothing is owed.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.missing(now).saturating_sub(BURST)
    }

    /// How long until it is full.
    fn missing(&self, now: Instant) -> Duration {
        self.full_at.saturating_duration_since(now)
    }
}

/// How long so much takes to come in.
fn costs(amount: u64, rate: NonZeroU64) -> Duration {
    let nanos = u128::from(amount).saturating_mul(1_000_000_000) / u128::from(rate.get());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(rate: u64) -> NonZeroU64 {
        NonZeroU64::new(rate).unwrap()
    }

    #[test]
    fn as_much_as_comes_in_a_second_goes_at_once_and_then_at_its_rate() {
        let now = env::clock::now();
        let mut bucket = Bucket::new(now);
        for _ in 0..10 {
            bucket.take(1, rate(10), now).unwrap();
        }
        assert_eq!(bucket.take(1, rate(10), now), Err(Duration::from_millis(100)));
        let later = now + Duration::from_millis(250);
        assert_eq!((bucket.take(1, rate(10), later), bucket.take(1, rate(10), later)), (Ok(()), Ok(())));
        assert_eq!(bucket.take(1, rate(10), later), Err(Duration::from_millis(50)));
        // An hour of rest is worth no more than a second.
        let rested = later + Duration::from_secs(3600);
        assert!(bucket.is_full(rested));
        assert_eq!((0..20).filter(|_| bucket.take(1, rate(10), rested).is_ok()).count(), 10);
    }

    #[test]
    fn what_is_more_than_ever_comes_at_once_goes_alone() {
        let now = env::clock::now();
        let mut bucket = Bucket::new(now);
        bucket.take(50, rate(10), now).unwrap();
        assert_eq!(bucket.take(50, rate(10), now), Err(Duration::from_secs(5)));
        bucket.take(50, rate(10), now + Duration::from_secs(5)).unwrap();
    }

    #[test]
    fn a_debt_is_waited_for_but_not_for_ever() {
        let now = env::clock::now();
        let mut bucket = Bucket::new(now);
        bucket.charge(30, rate(10), now);
        assert_eq!(bucket.wait(now), Duration::from_secs(2));
        assert_eq!(bucket.wait(now + Duration::from_secs(2)), Duration::ZERO);
        bucket.charge(u64::MAX, rate(1), now);
        assert_eq!(bucket.wait(now), DEBT_MAX - BURST);
    }
}
