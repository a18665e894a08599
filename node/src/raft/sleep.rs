//! Whether a group sleeps: a state machine without IO and clocks. [`waking`](super::waking) drives it, and says what time it is.
//!
//! ```text
//!  leader:    up ── nobody asks it anything for long ──▶ asks the others ── all who live sleep ──▶ asleep
//!  follower:  up ── its leader asks, and it holds all that the leader does ──────────────────────▶ asleep
//!  any:   asleep ── something is asked, a message, the silence of its leader's store ──▶ waking ──▶ up
//! ```
//!
//! # Invariants
//!
//! - Sleep changes nothing of what a replica promises: neither terms, votes nor leases. A group that sleeps where it should not is slow
//!   to answer, never wrong.
//! - Who was woken keeps candidates waiting, and is none itself, only as long as its leader's store is heard.
//! - Whoever uses a group and whoever has it sleep see each other: one notes that it is used and then asks whether it sleeps, the
//!   other the other way round.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use env::clock::Instant;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::apply::LogPoint;
use super::sleepers::{Place, Word};

/// A leader whose question was refused waits longer before the next one, up to so many times doubled: those who agreed sleep in vain
/// each time.
const DOUBLED_MAX: u32 = 3;

/// How a group sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asleep {
    pub(super) word: Word,
    pub(super) term: u64,
    pub(super) since: Instant,
}

/// A leader has asked the others whether they sleep.
#[derive(Debug)]
struct Asking {
    term: u64,
    last: LogPoint,
    since: Instant,
    /// The nodes that have not answered yet.
    left: BTreeSet<u64>,
}

#[derive(Debug)]
enum Phase {
    Up,
    Waking {
        since: Instant,
        /// On whose word it slept.
        word: Word,
    },
    Asleep(Asleep),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Sleep {
    phase: Phase,
    /// What was applied when it was last looked at.
    applied: u64,
    idle_since: Instant,
    /// When somebody last read here what its leader has closed, as far as it was looked at.
    read_at: Option<Instant>,
    asking: Option<Asking>,
    /// How often its question was refused, since it had something to do.
    refusals: u32,
}

impl Sleep {
    /// Of a group that was started `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { phase: Phase::Up, applied: 0, idle_since: now, read_at: None, asking: None, refusals: 0 }
    }

    /// How it sleeps, if it does.
    pub(super) fn asleep(&self) -> Option<Asleep> {
        match self.phase {
            Phase::Asleep(asleep) => Some(asleep),
            Phase::Up | Phase::Waking { .. } => None,
        }
    }

    /// Whether the others have been asked, and not all have answered.
    pub(super) fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// What the store has found at a look: whether the group was used since the last one, whether this replica leads, and up to where
    /// the log is applied. Whether it has had nothing to do for as long as `after`, and is to ask the others.
    pub(super) fn look(
        &mut self,
        now: Instant,
        after: Duration,
        used: bool,
        leads: bool,
        applied: u64,
    ) -> bool {
        if used || !leads || applied != self.applied {
            (self.applied, self.idle_since, self.asking, self.refusals) = (applied, now, None, 0);
        }
        let due = after * 2_u32.pow(self.refusals.min(DOUBLED_MAX));
        // An answer that has not come by then does not come.
        let waits = self.asking.as_ref().is_some_and(|asking| now.duration_since(asking.since) < after);
        matches!(self.phase, Phase::Up) && !waits && now.duration_since(self.idle_since) >= due
    }

    /// Somebody has read here what its leader has closed.
    pub(super) fn note_read(&mut self, now: Instant) {
        self.read_at = Some(now);
    }

    /// Whether somebody has done so within so long a time.
    pub(super) fn is_read(&self, now: Instant, within: Duration) -> bool {
        self.read_at.is_some_and(|at| now.saturating_duration_since(at) < within)
    }

    /// As the leader of `term`, who holds the log up to `last` and nothing else, asks the others, and waits for these nodes; whether
    /// there are none.
    pub(super) fn ask(&mut self, now: Instant, term: u64, last: LogPoint, left: BTreeSet<u64>) -> bool {
        let all = left.is_empty();
        self.asking = Some(Asking { term, last, since: now, left }).filter(|_| !all);
        all
    }

    /// The replica on a node sleeps. Once all do that were asked: the log that they hold.
    pub(super) fn agreed(&mut self, node_id: u64, term: u64) -> Option<LogPoint> {
        let asking = self.asking.as_mut().filter(|asking| asking.term == term)?;
        asking.left.remove(&node_id);
        let all = asking.left.is_empty();
        self.asking.take_if(|_| all).map(|asking| asking.last)
    }

    /// The replica on a node does not sleep, or does not say so: if it was waited for, that was it for now.
    pub(super) fn refused(&mut self, node_id: u64, term: u64, now: Instant) {
        let waits = |asking: &mut Asking| asking.term == term && asking.left.contains(&node_id);
        if self.asking.take_if(waits).is_some() {
            self.idle_since = now;
            self.refusals = self.refusals.saturating_add(1);
        }
    }

    /// Sleeps, or goes on sleeping on another word.
    pub(super) fn fall_asleep(&mut self, asleep: Asleep) {
        (self.asking, self.refusals) = (None, 0);
        self.phase = Phase::Asleep(asleep);
    }

    /// Wakes; how it slept, if it did.
    pub(super) fn wake(&mut self, now: Instant) -> Option<Asleep> {
        let asleep = self.asleep()?;
        (self.asking, self.idle_since) = (None, now);
        self.phase = Phase::Waking { since: now, word: asleep.word };
        Some(asleep)
    }

    /// Whether a candidate had better wait: the group sleeps, or has slept until less than `patience` ago, so that its leader has not had
    /// the time to say that it lives; and it does, as far as `hears` knows of its node.
    pub(super) fn is_kept(&self, now: Instant, patience: Duration, hears: impl FnOnce(u64) -> bool) -> bool {
        match self.phase {
            Phase::Up => false,
            Phase::Waking { since, word } => {
                now.saturating_duration_since(since) < patience && lives(word, hears)
            }
            Phase::Asleep(asleep) => lives(asleep.word, hears),
        }
    }

    /// Whether it was woken as a leader, and has to prove still that it is one. Else it is up once it has its lease, or, as a follower,
    /// has been awake for `patience`.
    pub(super) fn must_prove(
        &mut self,
        now: Instant,
        leads: bool,
        holds_lease: bool,
        patience: Duration,
    ) -> bool {
        let Phase::Waking { since, .. } = self.phase else { return false };
        if holds_lease || (!leads && now.saturating_duration_since(since) >= patience) {
            (self.phase, self.idle_since) = (Phase::Up, now);
            return false;
        }
        leads
    }
}

/// Whether the leader on whose word a group sleeps lives.
fn lives(word: Word, hears: impl FnOnce(u64) -> bool) -> bool {
    match word {
        Word::Own => true,
        Word::Of { node_id, .. } => hears(node_id),
    }
}

const UP: u8 = 0;
const WAKING: u8 = 1;
const ASLEEP: u8 = 2;

/// A group's [`Sleep`], as all who use the group see it.
pub(super) struct Slumber {
    state: AtomicU8,
    /// Since the store's last look.
    used: AtomicBool,
    sleep: Mutex<Sleep>,
    /// Where the store's looks find out whether it sleeps.
    place: Arc<Place>,
    /// Told when it wakes.
    pub(super) woken: Notify,
    /// Somebody has read here what its leader has closed, since the store's last look.
    read: AtomicBool,
    /// One asks the others whether it leads still.
    rousing: AtomicBool,
    /// Told once nobody does any more.
    pub(super) roused: Notify,
}

impl Slumber {
    /// Of a group that was started `now`.
    pub(super) fn new(now: Instant, place: Arc<Place>) -> Self {
        Self {
            state: AtomicU8::new(UP),
            used: AtomicBool::new(false),
            sleep: Mutex::new(Sleep::new(now)),
            place,
            woken: Notify::new(),
            read: AtomicBool::new(false),
            rousing: AtomicBool::new(false),
            roused: Notify::new(),
        }
    }

    /// The number of its place among the store's [`Sleepers`](super::sleepers::Sleepers).
    pub(super) fn place(&self) -> u64 {
        self.place.number()
    }

    /// Notes that the group is used. Whether it is up.
    pub(super) fn note_use(&self) -> bool {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::SeqCst);
        }
        self.is_up()
    }

    /// Whether it was used since this was last asked.
    pub(super) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::SeqCst)
    }

    /// Whether it was used, and that was not taken yet.
    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::SeqCst)
    }

    /// Notes that somebody has read here what its leader has closed.
    pub(super) fn note_read(&self) {
        if !self.read.load(Ordering::Relaxed) {
            self.read.store(true, Ordering::SeqCst);
        }
    }

    /// Whether somebody has since this was last asked.
    pub(super) fn take_read(&self) -> bool {
        self.read.swap(false, Ordering::SeqCst)
    }

    /// Whether somebody has, and that was not taken yet.
    pub(super) fn is_read(&self) -> bool {
        self.read.load(Ordering::SeqCst)
    }

    /// Whether one asks the others whether it leads still.
    pub(super) fn is_rousing(&self) -> bool {
        self.rousing.load(Ordering::SeqCst)
    }

    /// Whether it neither sleeps nor is about to wake.
    pub(super) fn is_up(&self) -> bool {
        self.state.load(Ordering::SeqCst) == UP
    }

    /// Whether it sleeps.
    pub(super) fn is_asleep(&self) -> bool {
        self.state.load(Ordering::SeqCst) == ASLEEP
    }

    /// What is known of it.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Sleep) -> T) -> T {
        look(&self.sleep.lock())
    }

    /// Changes it, one at a time; whoever asks afterwards sees it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Sleep) -> T) -> T {
        let mut sleep = self.sleep.lock();
        let word = |sleep: &Sleep| sleep.asleep().map(|asleep| asleep.word);
        let before = word(&sleep);
        let changed = change(&mut sleep);
        let now = word(&sleep);
        if now != before {
            self.place.set(now);
        }
        let state = match sleep.phase {
            Phase::Up => UP,
            Phase::Waking { .. } => WAKING,
            Phase::Asleep(_) => ASLEEP,
        };
        self.state.store(state, Ordering::SeqCst);
        changed
    }
}

/// One asks the others whether this replica leads still, for all who wait for that. When it is dropped, however that went, those who
/// wait are told.
pub(super) struct Rousing<'a>(&'a Slumber);

impl<'a> Rousing<'a> {
    /// None if somebody does already.
    pub(super) fn begin(slumber: &'a Slumber) -> Option<Self> {
        (!slumber.rousing.swap(true, Ordering::SeqCst)).then(|| Self(slumber))
    }
}

impl Drop for Rousing<'_> {
    fn drop(&mut self) {
        self.0.rousing.store(false, Ordering::SeqCst);
        self.0.roused.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::super::sleepers::Sleepers;
    use super::*;

    const AFTER: Duration = Duration::from_secs(10);
    const LAST: LogPoint = LogPoint { term: 3, index: 40 };
    const PATIENCE: Duration = Duration::from_millis(1400);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn nobody(_: u64) -> bool {
        false
    }

    /// A leader of term 3 that has had nothing to do for long, and asks nodes 2 and 3.
    fn asking() -> (Sleep, Instant) {
        let began = env::clock::now();
        let mut sleep = Sleep::new(began);
        assert!(!sleep.look(began, AFTER, false, true, 40), "it has applied something");
        assert!(!sleep.look(began + s(9), AFTER, false, true, 40));
        assert!(sleep.look(began + s(10), AFTER, false, true, 40));
        assert!(!sleep.ask(began + s(10), 3, LAST, BTreeSet::from([2, 3])));
        (sleep, began + s(10))
    }

    #[test]
    fn what_is_used_or_changes_or_is_led_elsewhere_does_not_ask() {
        let began = env::clock::now();
        let mut sleep = Sleep::new(began);
        sleep.look(began, AFTER, false, true, 40);
        assert!(!sleep.look(began + s(10), AFTER, true, true, 40), "it was used");
        assert!(!sleep.look(began + s(19), AFTER, false, true, 40));
        assert!(!sleep.look(began + s(20), AFTER, false, true, 41), "it has changed");
        assert!(!sleep.look(began + s(30), AFTER, false, false, 41), "it follows");
        assert!(!sleep.look(began + s(39), AFTER, false, true, 41));
        assert!(sleep.look(began + s(40), AFTER, false, true, 41));
    }

    #[test]
    fn a_leader_sleeps_once_all_who_were_asked_do() {
        let (mut sleep, now) = asking();
        assert!(sleep.is_asking() && !sleep.look(now + s(1), AFTER, false, true, 40), "once is enough");
        assert_eq!(sleep.agreed(2, 2), None, "of another term");
        assert_eq!(sleep.agreed(2, 3), None);
        assert_eq!(sleep.agreed(2, 3), None, "told twice");
        assert_eq!(sleep.agreed(3, 3), Some(LAST));
        assert_eq!(sleep.agreed(3, 3), None);
        let asleep = Asleep { word: Word::Own, term: 3, since: now };
        sleep.fall_asleep(asleep);
        assert_eq!(sleep.asleep(), Some(asleep));
        assert!(!sleep.look(now + s(100), AFTER, false, true, 40));
        let mut alone = Sleep::new(now);
        assert!(alone.ask(now, 3, LAST, BTreeSet::new()) && !alone.is_asking(), "where nobody is asked");
    }

    #[test]
    fn one_who_refuses_ends_it_for_now_and_one_who_was_not_waited_for_does_not() {
        let (mut sleep, now) = asking();
        sleep.refused(4, 3, now + s(1));
        sleep.refused(2, 2, now + s(1));
        assert!(sleep.is_asking());
        assert_eq!(sleep.agreed(2, 3), None);
        sleep.refused(3, 3, now + s(1));
        assert_eq!(sleep.agreed(3, 3), None);
        assert!(!sleep.look(now + s(20), AFTER, false, true, 40));
        assert!(
            sleep.look(now + s(21), AFTER, false, true, 40),
            "it asks again, and waits twice as long for that"
        );
        let mut now = now + s(21);
        for wait in [40, 80, 80] {
            sleep.ask(now, 3, LAST, BTreeSet::from([2]));
            sleep.refused(2, 3, now);
            assert!(!sleep.look(now + s(wait - 1), AFTER, false, true, 40), "{wait}");
            assert!(sleep.look(now + s(wait), AFTER, false, true, 40), "{wait}");
            now += s(wait);
        }
        sleep.look(now, AFTER, true, true, 40);
        assert!(sleep.look(now + AFTER, AFTER, false, true, 40), "it was used");
    }

    #[test]
    fn what_is_used_meanwhile_does_not_wait_for_answers_any_more() {
        let (mut sleep, now) = asking();
        sleep.look(now + s(1), AFTER, true, true, 40);
        assert_eq!((sleep.agreed(2, 3), sleep.agreed(3, 3)), (None, None));
        let (mut sleep, now) = asking();
        assert!(sleep.look(now + AFTER, AFTER, false, true, 40), "an answer is lost");
    }

    #[test]
    fn a_leader_that_wakes_proves_that_it_is_one() {
        let (mut sleep, now) = asking();
        sleep.fall_asleep(Asleep { word: Word::Own, term: 3, since: now });
        assert!(sleep.is_kept(now, PATIENCE, nobody), "candidates wait for it");
        assert!(sleep.wake(now + s(1)).is_some());
        assert_eq!(sleep.wake(now + s(1)), None);
        assert!(sleep.is_kept(now + s(2), PATIENCE, nobody) && !sleep.is_kept(now + s(3), PATIENCE, nobody));
        assert!(sleep.must_prove(now + s(9), true, false, PATIENCE), "however long it takes");
        assert!(!sleep.look(now + s(90), AFTER, false, true, 40), "it is not up");
        assert!(!sleep.must_prove(now + s(90), true, true, PATIENCE));
        assert!(!sleep.is_kept(now + s(90), PATIENCE, nobody));
        assert!(!sleep.look(now + s(99), AFTER, false, true, 40), "and begins to count anew");
        assert!(sleep.look(now + s(100), AFTER, false, true, 40));
    }

    #[test]
    fn a_follower_keeps_candidates_waiting_while_it_hears_of_its_leader() {
        let now = env::clock::now();
        let slept = |lives: bool| {
            let mut sleep = Sleep::new(now);
            sleep.fall_asleep(Asleep { word: Word::Of { node_id: 2, epoch: 7 }, term: 3, since: now });
            assert_eq!(sleep.is_kept(now, PATIENCE, |node_id| lives && node_id == 2), lives);
            sleep.wake(now);
            sleep
        };
        let hears = |node_id: u64| node_id == 2;
        let mut sleep = slept(true);
        assert!(sleep.is_kept(now + s(1), PATIENCE, hears));
        assert!(!sleep.is_kept(now + s(1), PATIENCE, nobody), "its leader has died since");
        assert!(!sleep.is_kept(now + s(2), PATIENCE, hears), "it has had the time to say that it leads");
        assert!(!sleep.must_prove(now + s(1), false, false, PATIENCE));
        assert!(sleep.is_kept(now + s(1), PATIENCE, hears), "it is waking still");
        assert!(!sleep.must_prove(now + s(2), false, false, PATIENCE));
        assert!(!sleep.is_kept(now + s(1), PATIENCE, hears), "it is up");
        assert!(!slept(false).is_kept(now + s(1), PATIENCE, nobody));
    }

    #[test]
    fn what_is_read_of_a_follower_is_remembered_for_a_while() {
        let now = env::clock::now();
        let mut sleep = Sleep::new(now);
        assert!(!sleep.is_read(now, AFTER));
        sleep.note_read(now);
        assert!(sleep.is_read(now + s(9), AFTER) && !sleep.is_read(now + s(10), AFTER));
        let slumber = Slumber::new(now, Arc::<Sleepers>::default().enter());
        slumber.note_read();
        assert!(slumber.is_read() && slumber.take_read() && !slumber.is_read() && !slumber.take_read());
    }

    #[tokio::test(start_paused = true)]
    async fn one_asks_for_all_and_whatever_becomes_of_it_they_are_told() {
        let slumber = Slumber::new(env::clock::now(), Arc::<Sleepers>::default().enter());
        let waiting = slumber.roused.notified();
        let rousing = Rousing::begin(&slumber);
        assert!(rousing.is_some() && slumber.is_rousing());
        assert!(Rousing::begin(&slumber).is_none() && slumber.is_rousing(), "it goes on asking");
        drop(rousing);
        waiting.await;
        assert!(Rousing::begin(&slumber).is_some());
    }

    #[test]
    fn who_uses_it_and_who_has_it_sleep_see_each_other() {
        let now = env::clock::now();
        let slumber = Slumber::new(now, Arc::<Sleepers>::default().enter());
        assert!(slumber.note_use() && slumber.take_used() && !slumber.is_used());
        slumber.change(|sleep| sleep.fall_asleep(Asleep { word: Word::Own, term: 3, since: now }));
        assert!(slumber.is_asleep() && !slumber.note_use() && slumber.is_used());
        slumber.change(|sleep| sleep.wake(now));
        assert!(!slumber.is_asleep() && !slumber.is_up());
        slumber.change(|sleep| sleep.must_prove(now, true, true, PATIENCE));
        assert!(slumber.is_up());
    }
}
