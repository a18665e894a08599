//! The deadlock detector: who waits for whom, across all ranges.
//!
//! Ranges report a wait once it has lasted 20 ms, renew it every second and withdraw it when it ends; what is not
//! renewed expires. Each report looks for a cycle through its waiter. The youngest transaction of the cycle goes;
//! which one that is does not depend on who asks, so that the victim's own next report names it too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use env::clock::Instant;

use crate::range::TxnId;

/// How long a wait counts without being renewed.
pub(crate) const EXPIRY: Duration = Duration::from_secs(3);

/// A wait as its range reports it.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    /// Who waits.
    pub(crate) waiter: TxnId,
    /// The larger is the younger.
    pub(crate) priority: u64,
    /// The wait within its range and term.
    pub(crate) place: Place,
    /// For whom; nobody ends the wait.
    pub(crate) holders: Vec<TxnId>,
}

/// Where a transaction waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The range.
    pub(crate) range_id: u64,
    /// Its leader's term.
    pub(crate) term: u64,
    /// The number of the wait within the term.
    pub(crate) number: u64,
}

/// Who must go so that the others can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Victim {
    /// The transaction.
    pub(crate) txn: TxnId,
    /// The cycle, for a person.
    pub(crate) cycle: String,
}

#[derive(Debug)]
struct Edges {
    priority: u64,
    holders: Vec<TxnId>,
    expires: Instant,
}

/// Who waits for whom.
#[derive(Debug, Default)]
pub(crate) struct Detector {
    waits: BTreeMap<TxnId, BTreeMap<Place, Edges>>,
}

impl Detector {
    /// Takes a report; the victim if the waiter is part of a cycle.
    pub(crate) fn report(&mut self, now: Instant, wait: Wait) -> Option<Victim> {
        self.expire(now);
        let places = self.waits.entry(wait.waiter).or_default();
        // A new term of the range knows nothing of the waits of an older one.
        places.retain(|place, _| place.range_id != wait.place.range_id || place.term >= wait.place.term);
        if wait.holders.is_empty() {
            places.remove(&wait.place);
            if places.is_empty() {
                self.waits.remove(&wait.waiter);
            }
            return None;
        }
        let edges = Edges { priority: wait.priority, holders: wait.holders, expires: now + EXPIRY };
        places.insert(wait.place, edges);
        let cycle = self.cycle_through(wait.waiter)?;
        let victim = cycle.iter().copied().max_by_key(|txn| (self.priority(txn), *txn))?;
        Some(Victim { txn: victim, cycle: describe(&cycle) })
    }

    fn expire(&mut self, now: Instant) {
        self.waits.retain(|_, places| {
            places.retain(|_, edges| edges.expires > now);
            !places.is_empty()
        });
    }

    fn priority(&self, txn: &TxnId) -> u64 {
        let places = self.waits.get(txn).into_iter().flat_map(|places| places.values());
        places.map(|edges| edges.priority).max().unwrap_or(0)
    }

    fn holders(&self, txn: &TxnId) -> impl Iterator<Item = TxnId> + '_ {
        let places = self.waits.get(txn).into_iter().flat_map(|places| places.values());
        places.flat_map(|edges| edges.holders.iter().copied())
    }

    /// The transactions of a cycle that starts and ends at `start`, if there is one.
    fn cycle_through(&self, start: TxnId) -> Option<Vec<TxnId>> {
        let mut came_from: BTreeMap<TxnId, TxnId> = BTreeMap::new();
        let mut seen = BTreeSet::from([start]);
        let mut stack = vec![start];
        while let Some(txn) = stack.pop() {
            for holder in self.holders(&txn) {
                if holder == start {
                    let mut cycle = vec![txn];
                    let mut at = txn;
                    while let Some(&before) = came_from.get(&at) {
                        cycle.push(before);
                        at = before;
                    }
                    cycle.reverse();
                    return Some(cycle);
                }
                if seen.insert(holder) {
                    came_from.insert(holder, txn);
                    stack.push(holder);
                }
            }
        }
        None
    }
}

fn describe(cycle: &[TxnId]) -> String {
    let mut text = String::new();
    for txn in cycle.iter().chain(cycle.first()) {
        if !text.is_empty() {
            text.push_str(" waits for ");
        }
        for byte in txn.iter().take(4) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(waiter: u8, holders: &[u8]) -> Wait {
        Wait {
            waiter: [waiter; 16],
            priority: u64::from(waiter) * 10,
            place: Place { range_id: 2, term: 1, number: u64::from(waiter) },
            holders: holders.iter().map(|holder| [*holder; 16]).collect(),
        }
    }

    fn victim(found: Option<Victim>) -> Option<u8> {
        found.map(|victim| victim.txn[0])
    }

    #[test]
    fn a_chain_is_no_deadlock() {
        let (mut detector, now) = (Detector::default(), env::clock::now());
        assert_eq!(detector.report(now, wait(1, &[2])), None);
        assert_eq!(detector.report(now, wait(2, &[3])), None);
        assert_eq!(detector.report(now, wait(4, &[1, 2, 3])), None);
    }

    #[test]
    fn the_youngest_of_a_cycle_goes_whoever_reports() {
        let (mut detector, now) = (Detector::default(), env::clock::now());
        assert_eq!(detector.report(now, wait(1, &[2])), None);
        assert_eq!(detector.report(now, wait(3, &[1])), None);
        let found = detector.report(now, wait(2, &[9, 3])).unwrap();
        assert_eq!(found.txn, [3; 16]);
        assert_eq!(found.cycle, "02020202 waits for 03030303 waits for 01010101 waits for 02020202");
        assert_eq!(victim(detector.report(now, wait(3, &[1]))), Some(3));
        assert_eq!(victim(detector.report(now, wait(1, &[2]))), Some(3));
    }

    #[test]
    fn who_waits_for_a_cycle_is_not_part_of_it() {
        let (mut detector, now) = (Detector::default(), env::clock::now());
        assert_eq!(detector.report(now, wait(1, &[2])), None);
        assert_eq!(victim(detector.report(now, wait(2, &[1]))), Some(2));
        assert_eq!(detector.report(now, wait(5, &[1])), None);
    }

    #[test]
    fn a_wait_that_ended_breaks_the_cycle() {
        let (mut detector, now) = (Detector::default(), env::clock::now());
        assert_eq!(detector.report(now, wait(1, &[2])), None);
        assert_eq!(detector.report(now, wait(1, &[])), None);
        assert_eq!(detector.report(now, wait(2, &[1])), None);
    }

    #[test]
    fn a_wait_that_is_not_renewed_expires() {
        let (mut detector, now) = (Detector::default(), env::clock::now());
        assert_eq!(detector.report(now, wait(1, &[2])), None);
        assert_eq!(detector.report(now + EXPIRY, wait(2, &[1])), None);
    }

    #[test]
    fn a_new_term_forgets_the_waits_of_the_old_one() {
        let (mut detector, now) = (Detector::default(), env::clock::now());
        assert_eq!(detector.report(now, wait(1, &[2])), None);
        let mut renewed = wait(1, &[3]);
        renewed.place.term = 2;
        assert_eq!(detector.report(now, renewed), None);
        assert_eq!(detector.report(now, wait(2, &[1])), None);
    }
}
