//! Failed logins by address: each costs its address a token, and tokens come back slowly.
//!
//! # Invariants
//! - So many addresses are remembered and no more: one that has all its tokens again is forgotten, and of the others
//!   the one that has been quiet for longest.
//! - Networks of IPv6 count as one address: who has one address of a /64 has them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use env::clock::Instant;
use parking_lot::Mutex;

/// So many failures in a row are let pass, each answered later than the one before.
const TOKENS: u32 = 20;
/// How long it takes until one is forgiven.
const FORGIVEN_AFTER: Duration = Duration::from_secs(2);
/// How long the first failure is waited with.
const DELAY: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(2);
const ADDRESSES_MAX: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Record {
    failures: u32,
    /// When the last of them that is not forgiven began to count.
    since: Instant,
}

impl Record {
    fn forgive(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since).as_millis() / FORGIVEN_AFTER.as_millis();
        let forgiven = u32::try_from(passed).unwrap_or(u32::MAX);
        if forgiven > 0 {
            self.failures = self.failures.saturating_sub(forgiven);
            self.since = self.since.checked_add(FORGIVEN_AFTER.saturating_mul(forgiven)).unwrap_or(now);
        }
    }
}

/// The failed logins of late.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<IpAddr, Record>>);

impl Failures {
    /// How long the address has to wait before it may try at all; zero: it may now.
    pub(crate) fn wait(&self, address: IpAddr, now: Instant) -> Duration {
        let mut records = self.0.lock();
        let Some(record) = records.get_mut(&network(address)) else { return Duration::ZERO };
        record.forgive(now);
        if record.failures < TOKENS {
            return Duration::ZERO;
        }
        FORGIVEN_AFTER.saturating_sub(now.saturating_duration_since(record.since))
    }

    /// Notes a failure; how long its answer has to wait.
    pub(crate) fn note(&self, address: IpAddr, now: Instant) -> Duration {
        let mut records = self.0.lock();
        let address = network(address);
        if records.len() >= ADDRESSES_MAX && !records.contains_key(&address) {
            forget(&mut records, now);
        }
        let record = records.entry(address).or_insert(Record { failures: 0, since: now });
        record.forgive(now);
        if record.failures == 0 {
            record.since = now;
        }
        record.failures = record.failures.saturating_add(1).min(TOKENS);
        DELAY.saturating_mul(record.failures).min(DELAY_MAX)
    }
}

/// Makes room for one more.
fn forget(records: &mut HashMap<IpAddr, Record>, now: Instant) {
    records.values_mut().for_each(|record| record.forgive(now));
    records.retain(|_, record| record.failures > 0);
    if records.len() >= ADDRESSES_MAX
        && let Some(quietest) = records.iter().min_by_key(|(_, record)| record.since).map(|(key, _)| *key)
    {
        records.remove(&quietest);
    }
}

/// The address, or the network that counts as one with it.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn failures_cost_more_and_more_and_then_the_turn() {
        let (failures, now) = (Failures::default(), env::clock::now());
        let delays: Vec<Duration> = (0..TOKENS).map(|_| failures.note(ADDRESS, now)).collect();
        assert!(delays.is_sorted() && delays[0] == DELAY);
        assert_eq!(failures.wait(ADDRESS, now), FORGIVEN_AFTER);
        assert_eq!(failures.wait(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), now), Duration::ZERO);
        assert_eq!(failures.wait(ADDRESS, now + FORGIVEN_AFTER), Duration::ZERO);
        failures.note(ADDRESS, now + FORGIVEN_AFTER);
        assert!(failures.wait(ADDRESS, now + FORGIVEN_AFTER) > Duration::ZERO);
        assert_eq!(failures.wait(ADDRESS, now + FORGIVEN_AFTER * (TOKENS + 2)), Duration::ZERO);
    }

    #[test]
    fn the_addresses_of_a_network_count_together() {
        let (failures, now) = (Failures::default(), env::clock::now());
        for number in 0..TOKENS {
            failures.note(format!("2001:db8::{number:x}").parse().unwrap(), now);
        }
        assert!(failures.wait("2001:db8::ffff".parse().unwrap(), now) > Duration::ZERO);
        assert_eq!(failures.wait("2001:db8:0:1::1".parse().unwrap(), now), Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let (failures, now) = (Failures::default(), env::clock::now());
        for number in 0..3 * ADDRESSES_MAX as u32 {
            failures.note(IpAddr::V4(number.into()), now);
        }
        assert!(failures.0.lock().len() <= ADDRESSES_MAX);
    }
}
