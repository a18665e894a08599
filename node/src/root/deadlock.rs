//! The deadlock detector: who waits for whom, across all ranges.
//!
//! Ranges report a wait once it has lasted 20 ms, renew it every second and withdraw it when it ends; what is not
//! renewed expires. A report that says something new looks for a cycle through its waiter, among those who wait for it:
//! the report that comes last closes the cycle, so that one finds it; and where nobody waits for the waiter, which is
//! nearly always, there is nothing to look at. The youngest transaction of the cycle goes. Its wait is named, not only
//! the transaction, so that only a wait that still stands is ended; while the cycle stands, each report of it names the
//! victim again.
//!
//! Reports may overtake each other. That a wait has ended is remembered for as long as an earlier report of it might
//! come late.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use env::clock::Instant;

use crate::range::TxnId;

/// How long a wait counts without being renewed.
pub(crate) const EXPIRY: Duration = Duration::from_secs(3);

/// So many waits are shown to those who ask, and so many transactions that are waited for.
const WAITS_SHOWN_MAX: usize = 10_000;
const HOLDERS_SHOWN_MAX: usize = 100_000;

/// How many waits one report may look at. One that finds no end looks again when it is renewed.
const STEPS_MAX: usize = 20_000;

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
    /// Its wait that is part of the cycle.
    pub(crate) place: Place,
    /// The cycle, for a person.
    pub(crate) cycle: String,
}

#[derive(Debug)]
struct Edges {
    priority: u64,
    /// Sorted.
    holders: Vec<TxnId>,
    expires: Instant,
    /// No cycle goes through them, unless a later report closes one.
    searched: bool,
}

/// What is forgotten at its time.
#[derive(Debug)]
enum Due {
    Wait(TxnId, Place),
    Ended(Place),
}

/// Who waits for whom.
///
/// # Invariants
///
/// - `waited_for` holds exactly the edges of `waits`, the other way round, each as often as it is there.
/// - `due` is in order of time, and names every wait and every ended place.
#[derive(Debug, Default)]
pub(crate) struct Detector {
    waits: BTreeMap<TxnId, BTreeMap<Place, Edges>>,
    waited_for: BTreeMap<TxnId, BTreeMap<TxnId, u32>>,
    ended: BTreeSet<Place>,
    due: VecDeque<(Instant, Due)>,
}

impl Detector {
    /// Takes a report; the victim if the waiter is part of a cycle.
    pub(crate) fn report(&mut self, now: Instant, mut wait: Wait) -> Option<Victim> {
        self.expire(now);
        // A new term of the range knows nothing of the waits of an older one.
        self.forget(wait.waiter, |place| {
            place.range_id == wait.place.range_id && place.term < wait.place.term
        });
        if wait.holders.is_empty() {
            self.forget(wait.waiter, |place| *place == wait.place);
            if self.ended.insert(wait.place) {
                self.due.push_back((now + EXPIRY, Due::Ended(wait.place)));
            }
            return None;
        }
        if self.ended.contains(&wait.place) {
            return None;
        }
        wait.holders.sort_unstable();
        wait.holders.dedup();
        let known = self.waits.get_mut(&wait.waiter).and_then(|places| places.get_mut(&wait.place));
        self.due.push_back((now + EXPIRY, Due::Wait(wait.waiter, wait.place)));
        match known {
            Some(edges) if edges.holders == wait.holders => {
                edges.expires = now + EXPIRY;
                edges.priority = wait.priority;
                if edges.searched {
                    return None;
                }
            }
            _ => self.insert(now, &wait),
        }
        self.search(&wait)
    }

    /// Who waits for whom, at most [`WAITS_SHOWN_MAX`] of them, for [`HOLDERS_SHOWN_MAX`] in all.
    pub(crate) fn waits(&mut self, now: Instant) -> Vec<(TxnId, Vec<TxnId>)> {
        self.expire(now);
        let holders = |places: &BTreeMap<Place, Edges>| {
            let mut holders: Vec<TxnId> =
                places.values().flat_map(|edges| edges.holders.iter().copied()).collect();
            holders.sort_unstable();
            holders.dedup();
            holders
        };
        let mut left = HOLDERS_SHOWN_MAX;
        let waits = self.waits.iter().take(WAITS_SHOWN_MAX).map(|(waiter, places)| {
            let mut holders = holders(places);
            holders.truncate(left);
            left -= holders.len();
            (*waiter, holders)
        });
        waits.take_while(|(_, holders)| !holders.is_empty()).collect()
    }

    fn insert(&mut self, now: Instant, wait: &Wait) {
        self.forget(wait.waiter, |place| *place == wait.place);
        for holder in &wait.holders {
            *self.waited_for.entry(*holder).or_default().entry(wait.waiter).or_default() += 1;
        }
        let edges = Edges {
            priority: wait.priority,
            holders: wait.holders.clone(),
            expires: now + EXPIRY,
            searched: false,
        };
        self.waits.entry(wait.waiter).or_default().insert(wait.place, edges);
    }

    /// Forgets some of a transaction's waits.
    fn forget(&mut self, waiter: TxnId, which: impl Fn(&Place) -> bool) {
        let Some(places) = self.waits.get_mut(&waiter) else { return };
        let mut gone: Vec<TxnId> = Vec::new();
        places.retain(|place, edges| {
            let goes = which(place);
            if goes {
                gone.append(&mut edges.holders);
            }
            !goes
        });
        if places.is_empty() {
            self.waits.remove(&waiter);
        }
        for holder in gone {
            let Some(waiters) = self.waited_for.get_mut(&holder) else { continue };
            if let Some(count) = waiters.get_mut(&waiter) {
                *count -= 1;
                if *count == 0 {
                    waiters.remove(&waiter);
                }
            }
            if waiters.is_empty() {
                self.waited_for.remove(&holder);
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        while self.due.front().is_some_and(|(at, _)| *at <= now) {
            match self.due.pop_front() {
                Some((_, Due::Ended(place))) => {
                    self.ended.remove(&place);
                }
                Some((_, Due::Wait(waiter, place))) => {
                    let edges = self.waits.get(&waiter).and_then(|places| places.get(&place));
                    if edges.is_some_and(|edges| edges.expires <= now) {
                        self.forget(waiter, |other| *other == place);
                    }
                }
                None => {}
            }
        }
    }

    fn search(&mut self, wait: &Wait) -> Option<Victim> {
        let (cycle, complete) = self.cycle_through(wait);
        let victim = cycle.as_ref().and_then(|cycle| self.victim(cycle));
        if let Some(edges) = self.waits.get_mut(&wait.waiter).and_then(|places| places.get_mut(&wait.place)) {
            edges.searched = complete && cycle.is_none();
        }
        let (txn, place) = victim?;
        let cycle = cycle.unwrap_or_default();
        // As long as it stands, each of its reports finds it: the victim's own among them, if another range has to end
        // the wait.
        for waiter in &cycle {
            let places = self.waits.get_mut(waiter).into_iter().flat_map(|places| places.values_mut());
            places.for_each(|edges| edges.searched = false);
        }
        Some(Victim { txn, place, cycle: describe(&cycle) })
    }

    /// The youngest transaction of a cycle, and its wait for the next one.
    fn victim(&self, cycle: &[TxnId]) -> Option<(TxnId, Place)> {
        let next = cycle.iter().cycle().skip(1);
        let waits = cycle.iter().zip(next).filter_map(|(waiter, holder)| {
            let places = self.waits.get(waiter)?;
            let (place, edges) = places.iter().find(|(_, edges)| edges.holders.contains(holder))?;
            Some((edges.priority, *waiter, *place))
        });
        waits.max().map(|(_, waiter, place)| (waiter, place))
    }

    /// The transactions of a cycle that starts at the waiter, each waiting for the next, if there is one; and whether all
    /// who wait for the waiter were looked at.
    fn cycle_through(&self, wait: &Wait) -> (Option<Vec<TxnId>>, bool) {
        let mut waits_for: BTreeMap<TxnId, TxnId> = BTreeMap::new();
        let mut stack = vec![wait.waiter];
        let mut steps = 0;
        while let Some(txn) = stack.pop() {
            for waiter in self.waited_for.get(&txn).into_iter().flat_map(|waiters| waiters.keys()) {
                steps += 1;
                if steps > STEPS_MAX {
                    return (None, false);
                }
                if *waiter == wait.waiter || waits_for.contains_key(waiter) {
                    continue;
                }
                waits_for.insert(*waiter, txn);
                if wait.holders.binary_search(waiter).is_ok() {
                    let mut cycle = vec![wait.waiter, *waiter];
                    let mut at = *waiter;
                    while let Some(next) = waits_for.get(&at).filter(|next| **next != wait.waiter) {
                        cycle.push(*next);
                        at = *next;
                    }
                    return (Some(cycle), true);
                }
                stack.push(*waiter);
            }
        }
        (None, true)
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
    fn a_report_that_comes_after_the_end_of_its_wait_counts_for_nothing() {
        let (mut detector, now) = (Detector::default(), env::clock::now());
        assert_eq!(detector.report(now, wait(1, &[])), None);
        assert_eq!(detector.report(now, wait(1, &[2])), None);
        assert_eq!(detector.report(now, wait(2, &[1])), None);
        // Nothing is remembered for ever.
        let later = now + EXPIRY;
        assert_eq!(detector.report(later, wait(9, &[])), None);
        assert!(detector.waits.is_empty() && detector.waited_for.is_empty());
        assert_eq!((detector.ended.len(), detector.due.len()), (1, 1));
    }

    #[test]
    fn the_victim_is_named_by_the_wait_that_is_part_of_the_cycle() {
        let (mut detector, now) = (Detector::default(), env::clock::now());
        let mut elsewhere = wait(3, &[7]);
        elsewhere.place = Place { range_id: 5, term: 4, number: 77 };
        assert_eq!(detector.report(now, elsewhere), None);
        assert_eq!(detector.report(now, wait(3, &[1])), None);
        let found = detector.report(now, wait(1, &[3])).unwrap();
        assert_eq!((found.txn, found.place), ([3; 16], Place { range_id: 2, term: 1, number: 3 }));
    }

    /// The n-th waits for the one before it, as in the queue of one row. Were all who wait ahead looked at for each
    /// report, this would take minutes.
    #[test]
    fn a_long_queue_costs_a_report_no_more_than_a_short_one() {
        let (mut detector, now) = (Detector::default(), env::clock::now());
        let txn = |number: u32| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            id
        };
        let report = |number: u32| Wait {
            waiter: txn(number),
            priority: u64::from(number),
            place: Place { range_id: 2, term: 1, number: u64::from(number) },
            holders: vec![txn(number - 1)],
        };
        for renewal in 0..2u32 {
            for number in 1..=50_000 {
                assert_eq!(detector.report(now + EXPIRY / 4 * renewal, report(number)), None);
            }
        }
        let mut first = report(1);
        first.waiter = txn(0);
        first.holders = vec![txn(1000)];
        first.place.number = 60_000;
        let found = detector.report(now + EXPIRY / 2, first).unwrap();
        assert_eq!(found.txn, txn(1000));
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
