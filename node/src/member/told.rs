//! What the root range's leader has been told by this node, so that a heartbeat need only say what is new.
//!
//! It counts as told once the leader has answered by the name under which it keeps what it hears; another leader is told all. So is the
//! same one now and then: messages may be late, and somebody else's older word have taken the place of a newer one.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use proto::v1::{NodeHeartbeatResponse, RangeDescriptor, RangeLoad};

/// All is told anew after so many heartbeats that said what was new.
const ALL_AFTER: u32 = 30;

/// What one heartbeat names at most; the next ones say the rest. A node may lead all ranges that there are.
const LED_BYTES_MAX: usize = 1 << 20;
const LOADS_MAX: usize = 1 << 14;

/// A range that this node leads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Led {
    /// In which term: who has led it before, and does again, says so anew, for somebody else may have said so meanwhile.
    pub(crate) term: u64,
    /// What it is.
    pub(crate) range: RangeDescriptor,
}

/// What is to be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct News {
    /// Who knows all else; 0: nobody does, and this is the beginning of all.
    pub(crate) heard_by: u64,
    /// Ranges.
    pub(crate) led: Vec<RangeDescriptor>,
    /// What they take.
    pub(crate) loads: Vec<RangeLoad>,
    /// Whether there are more ranges than these.
    pub(crate) more: bool,
}

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    heard_by: u64,
    led: BTreeMap<u64, Led>,
    loads: BTreeMap<u64, RangeLoad>,
    /// How many heartbeats were answered since it was begun to say all.
    since_all: u32,
}

impl Told {
    /// What of this was not told yet, or is to be told again.
    pub(crate) fn news(&self, led: &[Led], loads: &[RangeLoad]) -> News {
        let (named, more) = self.new_led(led);
        News {
            heard_by: self.heard_by,
            led: named.into_iter().map(|led| led.range.clone()).collect(),
            loads: self.new_loads(loads).copied().collect(),
            more,
        }
    }

    /// The ranges that the next heartbeat names, and whether there are more.
    fn new_led<'a>(&self, led: &'a [Led]) -> (Vec<&'a Led>, bool) {
        let mut named = Vec::new();
        let mut bytes = 0;
        for led in led.iter().filter(|led| self.led.get(&led.range.range_id) != Some(*led)) {
            bytes += led.range.encoded_len();
            if bytes > LED_BYTES_MAX && !named.is_empty() {
                return (named, true);
            }
            named.push(led);
        }
        (named, false)
    }

    /// The loads that it names.
    fn new_loads<'a>(&self, loads: &'a [RangeLoad]) -> impl Iterator<Item = &'a RangeLoad> {
        loads.iter().filter(|load| self.loads.get(&load.range_id) != Some(*load)).take(LOADS_MAX)
    }

    /// The leader has answered to what is new of this.
    pub(crate) fn heard(&mut self, answer: &NodeHeartbeatResponse, led: Vec<Led>, loads: Vec<RangeLoad>) {
        if answer.heard_by == 0 {
            *self = Self::default();
            return;
        }
        // What was measured counts once the leader knows the span that it was measured of.
        let knows_span = |range_id: u64, span_epoch: u64| {
            let known = self.led.get(&range_id).filter(|_| self.heard_by == answer.heard_by);
            known.is_some_and(|known| known.range.span_epoch == span_epoch)
        };
        let measured: BTreeSet<u64> = led
            .iter()
            .filter(|led| knows_span(led.range.range_id, led.range.span_epoch))
            .map(|led| led.range.range_id)
            .collect();
        let named: BTreeSet<u64> = self.new_loads(&loads).map(|load| load.range_id).collect();
        let is_told =
            |load: &RangeLoad| named.contains(&load.range_id) || self.loads.get(&load.range_id) == Some(load);
        let loads = loads.into_iter().filter(|load| measured.contains(&load.range_id) && is_told(load));
        let loads: BTreeMap<u64, RangeLoad> = loads.map(|load| (load.range_id, load)).collect();
        let named: BTreeSet<u64> = self.new_led(&led).0.iter().map(|led| led.range.range_id).collect();
        let again: BTreeSet<u64> = answer.again.iter().copied().collect();
        let is_told = |led: &Led| {
            let range_id = led.range.range_id;
            !again.contains(&range_id) && (named.contains(&range_id) || self.led.get(&range_id) == Some(led))
        };
        let led: BTreeMap<u64, Led> =
            led.into_iter().filter(is_told).map(|led| (led.range.range_id, led)).collect();
        (self.led, self.loads, self.heard_by) = (led, loads, answer.heard_by);
        self.since_all += 1;
        if self.since_all > ALL_AFTER {
            *self = Self { heard_by: self.heard_by, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(range_id: u64, term: u64, span_epoch: u64) -> Led {
        let range = RangeDescriptor { range_id, span_epoch, ..RangeDescriptor::default() };
        Led { term, range }
    }

    fn load(range_id: u64, bytes: u64) -> RangeLoad {
        RangeLoad { range_id, bytes, requests_per_second: 0 }
    }

    fn answer(heard_by: u64, again: &[u64]) -> NodeHeartbeatResponse {
        NodeHeartbeatResponse { heard_by, again: again.to_vec(), ..NodeHeartbeatResponse::default() }
    }

    /// The ranges and loads that are named.
    fn named(told: &Told, led: &[Led], loads: &[RangeLoad]) -> (u64, Vec<u64>, Vec<u64>) {
        let news = told.news(led, loads);
        let ranges = news.led.iter().map(|range| range.range_id).collect();
        (news.heard_by, ranges, news.loads.iter().map(|load| load.range_id).collect())
    }

    #[test]
    fn what_a_leader_has_heard_is_not_said_again() {
        let mut told = Told::default();
        let (ranges, loads) = ([led(2, 1, 1), led(3, 1, 1)], [load(2, 7), load(3, 7)]);
        assert_eq!(named(&told, &ranges, &loads), (0, vec![2, 3], vec![2, 3]));
        told.heard(&answer(9, &[3]), ranges.to_vec(), loads.to_vec());
        assert_eq!(named(&told, &ranges, &loads), (9, vec![3], vec![2, 3]), "what it has not taken in");
        told.heard(&answer(9, &[]), ranges.to_vec(), loads.to_vec());
        assert_eq!(named(&told, &ranges, &loads), (9, vec![], vec![3]));
        told.heard(&answer(9, &[]), ranges.to_vec(), loads.to_vec());
        assert_eq!(named(&told, &ranges, &loads), (9, vec![], vec![]));
        assert_eq!(named(&told, &ranges, &[load(2, 7), load(3, 8)]), (9, vec![], vec![3]));
    }

    #[test]
    fn who_leads_again_says_so_again() {
        let mut told = Told::default();
        let ranges = [led(2, 1, 1), led(3, 1, 1)];
        told.heard(&answer(9, &[]), ranges.to_vec(), Vec::new());
        assert_eq!(named(&told, &[led(2, 5, 1), led(3, 1, 1)], &[]), (9, vec![2], vec![]));
        told.heard(&answer(9, &[]), vec![led(3, 1, 1)], Vec::new());
        assert_eq!(named(&told, &ranges, &[]), (9, vec![2], vec![]), "it had led it no more");
    }

    #[test]
    fn another_leader_is_told_all_and_so_is_one_that_wants_it() {
        let mut told = Told::default();
        let (ranges, loads) = ([led(2, 1, 1)], [load(2, 7)]);
        for _ in 0..2 {
            told.heard(&answer(9, &[]), ranges.to_vec(), loads.to_vec());
        }
        assert_eq!(named(&told, &ranges, &loads), (9, vec![], vec![]));
        told.heard(&answer(0, &[]), ranges.to_vec(), loads.to_vec());
        assert_eq!(named(&told, &ranges, &loads), (0, vec![2], vec![2]));
    }

    #[test]
    fn all_is_said_again_now_and_then() {
        let mut told = Told::default();
        let (ranges, loads) = ([led(2, 1, 1)], [load(2, 7)]);
        let all: Vec<usize> = (0..100)
            .filter(|_| {
                let is_all = told.news(&ranges, &loads).led.len() == 1;
                told.heard(&answer(9, &[]), ranges.to_vec(), loads.to_vec());
                is_all
            })
            .collect();
        assert_eq!(all, [0, 31, 62, 93]);
    }

    #[test]
    fn what_does_not_fit_into_one_heartbeat_is_said_by_the_next_ones() {
        let start = bytes::Bytes::from(vec![7; 1000]);
        let ranges: Vec<Led> = (1..=3000)
            .map(|range_id| {
                let mut led = led(range_id, 1, 1);
                led.range.span = Some(proto::v1::Span { start: start.clone(), end: start.clone() });
                led
            })
            .collect();
        let loads: Vec<RangeLoad> = (1..=3000).map(|range_id| load(range_id, 7)).collect();
        let mut told = Told::default();
        let (mut named, mut beats) = (Vec::new(), 0);
        loop {
            let news = told.news(&ranges, &loads);
            let bytes: usize = news.led.iter().map(Message::encoded_len).sum();
            assert!((1..=LED_BYTES_MAX).contains(&bytes));
            named.extend(news.led.iter().map(|range| range.range_id));
            told.heard(&answer(9, &[]), ranges.clone(), loads.clone());
            beats += 1;
            if !news.more {
                break;
            }
        }
        assert!(beats > 2 && named == (1..=3000).collect::<Vec<u64>>(), "{beats}: {named:?}");
        assert!(told.news(&ranges, &loads).led.is_empty());
    }

    #[test]
    fn what_was_measured_of_another_span_is_said_again() {
        let mut told = Told::default();
        let loads = [load(2, 7)];
        for _ in 0..2 {
            told.heard(&answer(9, &[]), vec![led(2, 1, 1)], loads.to_vec());
        }
        let divided = [led(2, 1, 2)];
        told.heard(&answer(9, &[]), divided.to_vec(), loads.to_vec());
        assert_eq!(named(&told, &divided, &loads), (9, vec![], vec![2]));
    }
}
