//! What the stores have told each other of the groups that sleep: one table for all of them. [`telling`](super::telling) carries it.
//!
//! A word is given by one life of a store, which has a number of its own, its *epoch*: the next one knows nothing of it.
//!
//! # Invariants
//!
//! - What a store was told may sleep stays in the teller's table until it has said that it does not, or has heard that the word holds no
//!   more.
//! - The leader of what is there, and of which the life of the store that answers has not said that it sleeps, is woken.
//! - One message at a time is on its way from one store to another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use env::canary::{self, Canary};
use env::clock::Instant;
use parking_lot::Mutex;
use proto::v1;

use super::sleepers::Word;

/// Ranges that one message may name.
pub(super) const NAMED_MAX: usize = 1 << 16;

/// What two stores have told each other.
#[derive(Debug, Default)]
struct Peer {
    /// A message is on its way there.
    busy: bool,
    /// When the last one was begun.
    begun: Option<Instant>,
    /// The ranges whose replicas there sleep on this store's word, or may; and whether this life of that store has said that they do, and
    /// nothing else since.
    told: BTreeMap<u64, bool>,
    /// What is asked there with the next message.
    asked: Vec<v1::RaftSleep>,
    /// When it last answered, and in which epoch.
    answered: Option<(Instant, u64)>,
    /// When it last said that it lives, and in which epoch.
    heard: Option<(Instant, u64)>,
    /// The ranges that slept on its word and do so no more, and it does not know.
    woken: BTreeSet<u64>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Rounds {
    /// How long a group has had nothing to do before it sleeps; none: never.
    pub(super) after: Option<Duration>,
    /// This store's own.
    pub(super) epoch: u64,
    peers: Mutex<BTreeMap<u64, Peer>>,
}

/// What a store has answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) epoch: u64,
    /// The ranges that sleep of those asked.
    pub(super) asleep: BTreeSet<u64>,
    /// The ranges that have slept on this store's word and do so no more.
    pub(super) awake: BTreeSet<u64>,
}

impl Rounds {
    /// Nobody has told anybody anything.
    pub(super) fn new(after: Option<Duration>, epoch: u64) -> Self {
        Self { after, epoch, peers: Mutex::default() }
    }

    /// A store has said that it lives.
    pub(super) fn hear(&self, node_id: u64, epoch: u64, now: Instant) {
        self.peers.lock().entry(node_id).or_default().heard = Some((now, epoch));
    }

    /// Whether a store has said not longer ago than `within` that it lives.
    pub(super) fn hears(&self, node_id: u64, now: Instant, within: Duration) -> bool {
        let heard = self.peers.lock().get(&node_id).and_then(|peer| peer.heard);
        heard.is_some_and(|(at, _)| now.saturating_duration_since(at) < within)
    }

    /// Whether a word holds no more, as far as stores are heard: its store has not said for as long as `patience` that it lives, or lives
    /// in another epoch.
    pub(super) fn is_broken(&self, word: Word, now: Instant, patience: Duration) -> bool {
        match word {
            Word::Own => false,
            Word::Of { .. } if canary::sings(Canary::SleepsThroughDeath) => false,
            Word::Of { node_id, epoch } => self.is_silent(node_id, epoch, now, patience),
        }
    }

    fn is_silent(&self, node_id: u64, epoch: u64, now: Instant, patience: Duration) -> bool {
        let heard = self.peers.lock().get(&node_id).and_then(|peer| peer.heard);
        heard.is_none_or(|(at, known)| known != epoch || now.saturating_duration_since(at) >= patience)
    }

    /// Whether a store has answered not longer ago than `within`.
    pub(super) fn has_answered(&self, node_id: u64, now: Instant, within: Duration) -> bool {
        let answered = self.peers.lock().get(&node_id).and_then(|peer| peer.answered);
        answered.is_some_and(|(at, _)| now.saturating_duration_since(at) < within)
    }

    /// A group that slept on a store's word does so no more.
    pub(super) fn note_woken(&self, node_id: u64, range_id: u64) {
        self.peers.lock().entry(node_id).or_default().woken.insert(range_id);
    }

    /// What a store does not know yet of what has slept on its word.
    pub(super) fn take_woken(&self, node_id: u64) -> BTreeSet<u64> {
        self.peers.lock().get_mut(&node_id).map(|peer| std::mem::take(&mut peer.woken)).unwrap_or_default()
    }

    /// Asks a store with the next message whether a replica there sleeps.
    pub(super) fn ask(&self, node_id: u64, asked: v1::RaftSleep) {
        self.peers.lock().entry(node_id).or_default().asked.push(asked);
    }

    /// The stores that a message is to go to now: those with replicas that sleep on this one's word, or may. To those that have not answered
    /// for `patience`, of nodes that give no sign of life, maybe for ever, one that asks for nothing goes only as long after the last one.
    pub(super) fn begin(&self, now: Instant, silent: &BTreeSet<u64>, patience: Duration) -> Vec<u64> {
        let mut peers = self.peers.lock();
        let is_due = |node_id: &u64, peer: &Peer| {
            let was_lately = |at: Instant| now.saturating_duration_since(at) < patience;
            let waits = silent.contains(node_id)
                && peer.begun.is_some_and(was_lately)
                && peer.answered.is_none_or(|(at, _)| !was_lately(at));
            !peer.busy && (!peer.asked.is_empty() || !peer.told.is_empty() && !waits)
        };
        let due = peers.iter_mut().filter(|(node_id, peer)| is_due(node_id, peer));
        due.map(|(node_id, peer)| {
            (peer.busy, peer.begun) = (true, Some(now));
            *node_id
        })
        .collect()
    }

    /// No message is on its way to a store any more.
    pub(super) fn end(&self, node_id: u64) {
        if let Some(peer) = self.peers.lock().get_mut(&node_id) {
            peer.busy = false;
        }
    }

    /// The next message to a store: what is asked, and the ranges of which this store's word does not hold, as `holds` knows.
    pub(super) fn message(
        &self,
        node_id: u64,
        holds: impl Fn(u64) -> bool,
    ) -> (Vec<v1::RaftSleep>, Vec<u64>) {
        let (asked, told) = {
            let mut peers = self.peers.lock();
            let peer = peers.entry(node_id).or_default();
            let mut asked = std::mem::take(&mut peer.asked);
            peer.asked = asked.split_off(asked.len().min(NAMED_MAX));
            peer.told.extend(asked.iter().map(|asked| (asked.range_id, false)));
            (asked, peer.told.keys().copied().collect::<Vec<_>>())
        };
        let woken = told.into_iter().filter(|range_id| !holds(*range_id)).take(NAMED_MAX).collect();
        (asked, woken)
    }

    /// A store has answered such a message; the ranges that are to wake if they are led here, because of their replicas there it is not
    /// known that they sleep.
    pub(super) fn answered(
        &self,
        node_id: u64,
        now: Instant,
        asked: &[v1::RaftSleep],
        woken: &[u64],
        answer: Answer,
    ) -> BTreeSet<u64> {
        let Answer { epoch, asleep, awake } = answer;
        let mut peers = self.peers.lock();
        let peer = peers.entry(node_id).or_default();
        let before = peer.answered.replace((now, epoch)).map(|(_, epoch)| epoch);
        // What has begun anew there campaigns, unless it hears of its leader.
        let is_another = before != Some(epoch);
        for (range_id, sleeps) in &mut peer.told {
            let slept = *sleeps && !is_another && !awake.contains(range_id);
            *sleeps = slept || asleep.contains(range_id);
        }
        let refused = asked.iter().map(|asked| asked.range_id).filter(|range_id| !asleep.contains(range_id));
        for range_id in refused.chain(woken.iter().copied()) {
            peer.told.remove(&range_id);
        }
        peer.told.iter().filter(|(_, sleeps)| !**sleeps).map(|(range_id, _)| *range_id).collect()
    }

    /// A store does not know of sleep: nothing sleeps there on this store's word.
    pub(super) fn forget(&self, node_id: u64) {
        if let Some(peer) = self.peers.lock().get_mut(&node_id) {
            peer.told.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range_id: u64) -> v1::RaftSleep {
        v1::RaftSleep { range_id, ..v1::RaftSleep::default() }
    }

    fn answer(epoch: u64, asleep: &[u64], awake: &[u64]) -> Answer {
        Answer { epoch, asleep: asleep.iter().copied().collect(), awake: awake.iter().copied().collect() }
    }

    /// Where all nodes live.
    fn begin(rounds: &Rounds, now: Instant) -> Vec<u64> {
        rounds.begin(now, &BTreeSet::new(), Duration::from_secs(5))
    }

    /// Node 2 was told that ranges 10 and 11 may sleep, and has said that they do.
    fn told() -> (Rounds, Instant) {
        let (rounds, now) = (Rounds::new(None, 1), env::clock::now());
        assert_eq!(begin(&rounds, now), [0; 0]);
        rounds.ask(2, asked(10));
        rounds.ask(2, asked(11));
        assert_eq!((begin(&rounds, now), begin(&rounds, now)), (vec![2], vec![]), "one message at a time");
        let (asks, woken) = rounds.message(2, |_| true);
        assert_eq!((asks.len(), woken.len()), (2, 0));
        assert!(rounds.answered(2, now, &asks, &woken, answer(5, &[10, 11], &[])).is_empty());
        rounds.end(2);
        (rounds, now)
    }

    #[test]
    fn who_was_told_is_told_again_and_again_that_the_word_holds() {
        let (rounds, now) = told();
        for _ in 0..3 {
            assert_eq!(begin(&rounds, now), [2]);
            assert_eq!(rounds.message(2, |_| true), (vec![], vec![]));
            assert!(rounds.answered(2, now, &[], &[], answer(5, &[], &[])).is_empty());
            rounds.end(2);
        }
    }

    #[test]
    fn who_gives_no_sign_of_life_is_told_less_often_but_asked_at_once() {
        let (rounds, now) = told();
        let (ms, patience, silent) = (Duration::from_millis, Duration::from_secs(5), BTreeSet::from([2]));
        let at = |after, silent: &BTreeSet<u64>| {
            let begun = rounds.begin(now + ms(after), silent, patience);
            rounds.message(2, |_| true);
            rounds.end(2);
            begun.len()
        };
        assert_eq!([1, 4999].map(|after| at(after, &silent)), [1, 1], "it has answered lately");
        assert_eq!([5000, 9998, 9999, 10_300].map(|after| at(after, &silent)), [0, 0, 1, 0]);
        assert_eq!(at(10_400, &BTreeSet::new()), 1, "it lives");
        assert_eq!(at(10_600, &silent), 0);
        rounds.ask(2, asked(12));
        assert_eq!(at(10_900, &silent), 1);
    }

    #[test]
    fn that_a_word_holds_no_more_is_told_until_it_is_heard() {
        let (rounds, now) = told();
        let holds = |range_id| range_id != 11;
        assert_eq!(rounds.message(2, holds).1, [11]);
        // That one was lost.
        assert_eq!(rounds.message(2, holds).1, [11]);
        rounds.answered(2, now, &[], &[11], answer(5, &[], &[]));
        assert_eq!(rounds.message(2, holds).1, [0; 0]);
    }

    #[test]
    fn who_has_woken_there_or_does_not_sleep_or_has_begun_anew_is_forgotten() {
        let (rounds, now) = told();
        for awake in [vec![10], vec![]] {
            let to_wake = rounds.answered(2, now, &[], &[], answer(5, &[], &awake));
            assert_eq!(to_wake, BTreeSet::from([10]), "until its leader has woken, and that was heard");
        }
        assert_eq!(rounds.message(2, |range_id| range_id != 10).1, [10]);
        assert!(rounds.answered(2, now, &[], &[10], answer(5, &[], &[])).is_empty());
        rounds.ask(2, asked(12));
        let (asks, _) = rounds.message(2, |_| true);
        assert!(rounds.answered(2, now, &asks, &[], answer(5, &[], &[])).is_empty(), "12 does not sleep");
        assert_eq!(rounds.message(2, |_| false).1, [11]);
        rounds.ask(2, asked(12));
        let (asks, _) = rounds.message(2, |_| true);
        let anew = rounds.answered(2, now, &asks, &[], answer(6, &[12], &[]));
        assert_eq!(anew, BTreeSet::from([11]), "but for what that life itself has said");
        assert_eq!(rounds.message(2, |_| false).1, [11, 12]);
        rounds.forget(2);
        assert_eq!(begin(&rounds, now), [0; 0]);
    }

    #[test]
    fn who_could_not_be_asked_is_named_as_soon_as_it_answers() {
        let (rounds, now) = told();
        rounds.ask(2, asked(12));
        assert_eq!(rounds.message(2, |_| true).0.len(), 1);
        // Nobody knows whether that one was heard. The leader sleeps without it, for its node was silent.
        assert_eq!(rounds.message(2, |_| true), (vec![], vec![]));
        assert_eq!(rounds.answered(2, now, &[], &[], answer(5, &[], &[])), BTreeSet::from([12]));
        assert_eq!(rounds.message(2, |range_id| range_id != 12).1, [12]);
        assert!(rounds.answered(2, now, &[], &[12], answer(5, &[], &[])).is_empty());
        rounds.ask(2, asked(11));
        rounds.message(2, |_| true);
        let to_wake = rounds.answered(2, now, &[], &[], answer(5, &[], &[]));
        assert_eq!(to_wake, BTreeSet::from([11]), "what it said when it was asked before is past");
    }

    #[test]
    fn a_store_is_silent_once_its_patience_is_over_or_another_life_speaks() {
        let (rounds, now) = (Rounds::new(None, 1), env::clock::now());
        let (ms, patience) = (Duration::from_millis, Duration::from_millis(1100));
        assert!(rounds.is_silent(2, 5, now, patience) && !rounds.hears(2, now, patience));
        rounds.hear(2, 5, now);
        assert!(!rounds.is_silent(2, 5, now + ms(1099), patience));
        assert!(rounds.is_silent(2, 5, now + ms(1100), patience));
        assert!(rounds.hears(2, now + ms(799), ms(800)) && !rounds.hears(2, now + ms(800), ms(800)));
        rounds.hear(2, 6, now);
        assert!(rounds.is_silent(2, 5, now, patience) && !rounds.is_silent(2, 6, now, patience));
    }

    #[test]
    fn who_has_woken_here_is_told_once_to_whom_it_slept_for() {
        let rounds = Rounds::new(None, 1);
        rounds.note_woken(3, 10);
        assert_eq!(rounds.take_woken(2), BTreeSet::new());
        assert_eq!(rounds.take_woken(3), BTreeSet::from([10]));
        assert_eq!(rounds.take_woken(3), BTreeSet::new());
    }
}
