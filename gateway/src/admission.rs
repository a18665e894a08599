//! Who may run statements now: where more is asked than a gateway can do, the rest waits at the door, not inside.
//!
//! ```text
//! statement ──in a transaction──────────────────▶ runs ──its client is to say what comes next──▶ rests ──for long──▶ idle
//!           ──begins one, and a place is free──▶ runs                                            └──in a transaction──▶ runs
//!           ──none is──▶ queue ──one has come──▶ runs
//!                          └──too long, or too many wait there──▶ 53300, with the time to wait
//! ```
//!
//! How many places there are nobody says: it follows from how late tasks of the runtime get their turn. As long as that is
//! soon, there are as many as are asked for, whatever those inside wait for; once it is late, there are fewer from look to
//! look, until the runtime keeps up again. So what runs is answered about as quickly as ever, however much is asked.
//!
//! # Invariants
//! - Whoever has a transaction open goes on at once, whatever there is to do: it may hold what others inside wait for.
//! - A place is taken by what runs, and by what has just run: transactions whose clients are silent keep nobody out, however many
//!   they are.
//! - Who comes first goes first. The queue is bounded in length, and each wait in time.
//! - A place that was given and not taken, for whoever waited is gone, goes to the next.
//! - A few places are beside all others, for superusers: whoever is to put an overloaded gateway in order gets in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use env::clock::Instant;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

/// So many wait and no more.
const WAITING_MAX: usize = 1000;

/// Between two looks at how late tasks get their turn.
const LOOKS: Duration = Duration::from_millis(10);

/// Later than this is late.
const LATE: Duration = Duration::from_millis(25);

/// There are never fewer places than this for each core.
const PLACES_PER_CORE_MIN: usize = 4;

/// A transaction whose client has said nothing for so long keeps no place. From one statement to the next most take less: if those
/// kept none either, transactions would be bounded at their first statement and nowhere else.
const REST_MAX: Duration = Duration::from_millis(100);

/// So many superusers get in where there is no place.
const RESERVED: usize = 3;

/// The places of a gateway.
#[derive(Debug)]
pub(crate) struct Admission {
    places: Mutex<Places>,
    /// There are never fewer.
    places_min: usize,
    /// There is something to look at.
    busy: Notify,
}

#[derive(Debug)]
struct Places {
    /// How many there are.
    most: usize,
    /// How many are taken.
    taken: usize,
    /// Since when those among them rest that do, by number in the order in which they began to.
    resting: BTreeMap<u64, Instant>,
    /// How many are taken of those for superusers, which are not among the others.
    reserved_taken: usize,
    /// Those that wait, by number in the order in which they came.
    waiting: BTreeMap<u64, oneshot::Sender<Place>>,
    next: u64,
}

impl Places {
    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        number
    }

    fn vacate(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    fn vacate_reserved(&mut self) {
        self.reserved_taken = self.reserved_taken.saturating_sub(1);
    }

    /// Those that have rested for long keep their places no longer.
    fn vacate_idle(&mut self) {
        let now = env::clock::now();
        while let Some(longest) = self.resting.first_entry() {
            if now.saturating_duration_since(*longest.get()) < REST_MAX {
                return;
            }
            longest.remove();
            self.taken = self.taken.saturating_sub(1);
        }
    }
}

/// What somebody has who was let in, until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    /// `None`: it was given back.
    admission: Option<Arc<Admission>>,
    stand: Stand,
}

/// What a place is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// A statement runs.
    Running,
    /// One of a superuser, beside the places.
    Reserved,
    /// A transaction whose client is to say what comes next, by its number among those that rest; it is idle if it is not there.
    Resting(u64),
}

impl Place {
    /// Whoever has it waits for the client, with a transaction open.
    pub(crate) fn rest(&mut self) {
        let Some(admission) = &self.admission else { return };
        let mut places = admission.places.lock();
        let number = match self.stand {
            Stand::Resting(_) => return,
            Stand::Running => {
                let number = places.number();
                places.resting.insert(number, env::clock::now());
                number
            }
            Stand::Reserved => {
                places.vacate_reserved();
                places.number()
            }
        };
        self.stand = Stand::Resting(number);
    }

    /// Whoever has it goes on.
    pub(crate) fn go_on(&mut self) {
        let (Some(admission), Stand::Resting(number)) = (&self.admission, self.stand) else { return };
        let mut places = admission.places.lock();
        if places.resting.remove(&number).is_none() {
            admission.count_one(&mut places);
        }
        self.stand = Stand::Running;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(admission) = self.admission.take() else { return };
        {
            let mut places = admission.places.lock();
            match self.stand {
                Stand::Running => places.vacate(),
                Stand::Reserved => return places.vacate_reserved(),
                Stand::Resting(number) => match places.resting.remove(&number) {
                    Some(_) => places.vacate(),
                    None => return,
                },
            }
        }
        admission.hand_out();
    }
}

/// There was no place in time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// One that waits, until dropped.
struct Queued<'a> {
    admission: &'a Admission,
    number: u64,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.admission.places.lock().waiting.remove(&self.number);
    }
}

impl Admission {
    /// As many places as are asked for.
    pub(crate) fn new() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_places(usize::MAX, cores.saturating_mul(PLACES_PER_CORE_MIN))
    }

    fn with_places(most: usize, places_min: usize) -> Arc<Self> {
        let (resting, waiting) = (BTreeMap::new(), BTreeMap::new());
        let places = Places { most, taken: 0, resting, reserved_taken: 0, waiting, next: 0 };
        Arc::new(Self { places: Mutex::new(places), places_min, busy: Notify::new() })
    }

    /// A place, if there is one at once.
    pub(crate) fn try_enter(self: &Arc<Self>) -> Option<Place> {
        let mut places = self.places.lock();
        if !places.waiting.is_empty() {
            return None;
        }
        self.take_one(&mut places)
    }

    /// One of the places for superusers, if there is one.
    pub(crate) fn try_enter_reserved(self: &Arc<Self>) -> Option<Place> {
        let mut places = self.places.lock();
        if places.reserved_taken >= RESERVED {
            return None;
        }
        places.reserved_taken = places.reserved_taken.saturating_add(1);
        Some(Place { admission: Some(Arc::clone(self)), stand: Stand::Reserved })
    }

    /// A place, waited for until then.
    ///
    /// # Errors
    /// There is none in time, or too many wait already.
    pub(crate) async fn enter(self: &Arc<Self>, until: Instant) -> Result<Place, Full> {
        let (given, mut hoped_for) = oneshot::channel();
        let number = {
            let mut places = self.places.lock();
            if places.waiting.len() >= WAITING_MAX {
                return Err(Full);
            }
            let number = places.number();
            places.waiting.insert(number, given);
            number
        };
        let queued = Queued { admission: self, number };
        self.hand_out();
        let patience = until.saturating_duration_since(env::clock::now());
        let given = env::clock::timeout(patience, &mut hoped_for).await;
        drop(queued);
        match given {
            Ok(Ok(place)) => Ok(place),
            // It may have come with the last moment.
            Ok(Err(_)) | Err(_) => hoped_for.try_recv().map_err(|_| Full),
        }
    }

    /// Looks at how late tasks of this runtime get their turn, and has as many places as it keeps up with. Never completes.
    pub(crate) async fn watch(self: Arc<Self>) {
        if env::simulation::is_active() {
            // Nothing is ever late there.
            return std::future::pending().await;
        }
        loop {
            while !self.is_busy() {
                self.busy.notified().await;
            }
            let due = env::clock::now() + LOOKS;
            env::clock::sleep_until(due).await;
            pass_queue().await;
            self.look(env::clock::now().saturating_duration_since(due));
        }
    }

    fn is_busy(&self) -> bool {
        let places = self.places.lock();
        places.taken > self.places_min || places.most != usize::MAX
    }

    fn look(self: &Arc<Self>, late: Duration) {
        {
            let mut places = self.places.lock();
            places.vacate_idle();
            places.most = next_most(&places, late, self.places_min);
        }
        self.hand_out();
    }

    /// Takes a place, if one is free.
    fn take_one(self: &Arc<Self>, places: &mut Places) -> Option<Place> {
        if places.taken >= places.most {
            places.vacate_idle();
        }
        if places.taken >= places.most {
            return None;
        }
        self.count_one(places);
        Some(Place { admission: Some(Arc::clone(self)), stand: Stand::Running })
    }

    /// One more is taken, whether it is there or not.
    fn count_one(&self, places: &mut Places) {
        places.taken = places.taken.saturating_add(1);
        if places.taken > self.places_min {
            self.busy.notify_one();
        }
    }

    /// Gives what is free to those that wait.
    fn hand_out(self: &Arc<Self>) {
        loop {
            let (waiting, place) = {
                let mut places = self.places.lock();
                if places.waiting.is_empty() {
                    return;
                }
                let Some(place) = self.take_one(&mut places) else { return };
                (places.waiting.pop_first(), place)
            };
            let Some((_, waiting)) = waiting else { return };
            if let Err(mut place) = waiting.send(place) {
                // Who waited is gone. The next one has it.
                place.admission = None;
                self.places.lock().vacate();
            }
        }
    }
}

/// Goes once through the queue of tasks that are to run: a timer alone tells only how late the timers are looked at.
async fn pass_queue() {
    let mut is_queued = false;
    let passing = |cx: &mut Context<'_>| {
        if std::mem::replace(&mut is_queued, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    };
    std::future::poll_fn(passing).await;
}

/// How many places there are to be, as tasks are so late.
fn next_most(places: &Places, late: Duration, places_min: usize) -> usize {
    let used = places.taken.min(places.most);
    if late > LATE {
        return used.saturating_sub(used.div_ceil(8)).max(places_min);
    }
    if places.waiting.is_empty() && used <= places.most / 2 {
        // There is nothing to bound.
        return usize::MAX;
    }
    places.most.saturating_add(places.most / 8).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn soon() -> Instant {
        env::clock::now() + Duration::from_millis(100)
    }

    fn taken(admission: &Admission) -> usize {
        admission.places.lock().taken
    }

    fn most(admission: &Admission) -> usize {
        admission.places.lock().most
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_first_goes_first_and_nobody_waits_for_ever() {
        let admission = Admission::with_places(1, 1);
        let first = admission.try_enter().unwrap();
        assert!(admission.try_enter().is_none());
        let (second, third) = (admission.clone(), admission.clone());
        let second = env::task::spawn(async move { second.enter(soon()).await });
        env::task::yield_now().await;
        let third = env::task::spawn(async move { third.enter(soon()).await });
        env::task::yield_now().await;
        drop(first);
        let second = second.await.unwrap().unwrap();
        // Nobody overtakes who waits.
        assert!(admission.try_enter().is_none());
        assert_eq!(third.await.unwrap().unwrap_err(), Full);
        drop(second);
        assert!(admission.try_enter().is_some());
        assert_eq!(taken(&admission), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_gone_keeps_no_place() {
        let admission = Admission::with_places(1, 1);
        let first = admission.try_enter().unwrap();
        let gone = admission.clone();
        let gone = env::task::spawn(async move { gone.enter(soon()).await.map(drop) });
        env::task::yield_now().await;
        gone.abort();
        assert!(gone.await.is_err());
        drop(first);
        assert!(admission.places.lock().waiting.is_empty());
        drop(admission.enter(soon()).await.unwrap());
        assert_eq!(taken(&admission), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_transactions_keep_nobody_out_and_go_on_at_once() {
        let admission = Admission::with_places(usize::MAX, 2);
        let mut inside: Vec<_> = (0..50).map(|_| admission.try_enter().unwrap()).collect();
        inside.iter_mut().for_each(Place::rest);
        // The runtime is late for long: there are as few places as there ever are.
        for _ in 0..50 {
            admission.look(LATE * 2);
        }
        assert_eq!((most(&admission), taken(&admission)), (2, 50));
        // Who has just run is about to go on.
        assert!(admission.try_enter().is_none());
        env::clock::sleep(REST_MAX).await;
        let others: Vec<_> = (0..2).map(|_| admission.try_enter().unwrap()).collect();
        assert!(admission.try_enter().is_none());
        assert_eq!(taken(&admission), 2);
        // Each goes on though there is no place, and none comes of that for others.
        inside.iter_mut().for_each(Place::go_on);
        assert_eq!(taken(&admission), 52);
        drop(others);
        assert!(admission.try_enter().is_none());
        inside.truncate(2);
        inside[0].rest();
        env::clock::sleep(REST_MAX).await;
        let newcomer = admission.enter(soon()).await.unwrap();
        assert_eq!(taken(&admission), 2);
        drop((inside, newcomer));
        assert_eq!(taken(&admission), 0);
        assert!(admission.places.lock().resting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_place_of_a_transaction_that_falls_idle() {
        let admission = Admission::with_places(1, 1);
        let mut first = admission.try_enter().unwrap();
        first.rest();
        let second = admission.clone();
        let until = env::clock::now() + REST_MAX * 3;
        let second = env::task::spawn(async move { second.enter(until).await });
        env::clock::sleep(REST_MAX).await;
        admission.look(Duration::ZERO);
        let second = second.await.unwrap().unwrap();
        first.go_on();
        assert_eq!(taken(&admission), 2);
        drop((first, second));
        assert_eq!(taken(&admission), 0);
    }

    #[test]
    fn an_idle_superuser_keeps_none_of_the_reserved_places() {
        let admission = Admission::with_places(0, 0);
        let mut inside: Vec<_> = (0..RESERVED).map(|_| admission.try_enter_reserved().unwrap()).collect();
        inside.iter_mut().for_each(Place::rest);
        assert!(admission.try_enter_reserved().is_some());
        inside.iter_mut().for_each(Place::go_on);
        assert_eq!(taken(&admission), RESERVED);
        assert_eq!(admission.places.lock().reserved_taken, 0);
        drop(inside);
        assert_eq!(taken(&admission), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_has_an_end() {
        let admission = Admission::with_places(0, 0);
        let mut waiting = Vec::new();
        for _ in 0..WAITING_MAX {
            let admission = admission.clone();
            waiting.push(env::task::spawn(async move { admission.enter(soon()).await.map(drop) }));
        }
        for _ in 0..WAITING_MAX {
            // Those that wait get their turn a few at a time.
            env::task::yield_now().await;
        }
        let asked = env::clock::now();
        assert_eq!(admission.enter(soon()).await.unwrap_err(), Full);
        assert_eq!(env::clock::now(), asked);
    }

    #[tokio::test]
    async fn who_is_to_run_goes_first_when_the_queue_is_passed() {
        let turns = Arc::new(AtomicUsize::new(0));
        for _ in 0..10 {
            let turns = turns.clone();
            drop(env::task::spawn(async move { turns.fetch_add(1, Ordering::Relaxed) }));
        }
        assert_eq!(turns.load(Ordering::Relaxed), 0);
        pass_queue().await;
        assert_eq!(turns.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn superusers_get_in_where_there_is_no_place() {
        let admission = Admission::with_places(0, 0);
        assert!(admission.try_enter().is_none());
        let mut inside: Vec<_> = (0..RESERVED).map(|_| admission.try_enter_reserved().unwrap()).collect();
        assert!(admission.try_enter_reserved().is_none());
        assert_eq!(taken(&admission), 0);
        inside.pop();
        assert!(admission.try_enter_reserved().is_some());
    }

    #[test]
    fn places_follow_how_late_tasks_are() {
        let (most, resting, waiting) = (usize::MAX, BTreeMap::new(), BTreeMap::new());
        let mut places = Places { most, taken: 200, resting, reserved_taken: 0, waiting, next: 0 };
        let late = LATE + Duration::from_millis(1);
        places.most = next_most(&places, late, 8);
        assert_eq!(places.most, 175);
        places.taken = 170;
        let (given, _hoped_for) = oneshot::channel();
        places.waiting.insert(0, given);
        assert_eq!(next_most(&places, Duration::ZERO, 8), 175 + 21 + 1);
        places.waiting.clear();
        assert_eq!(next_most(&places, Duration::ZERO, 8), 197);
        places.taken = 20;
        assert_eq!(next_most(&places, Duration::ZERO, 8), usize::MAX);
        places.taken = 3;
        assert_eq!(next_most(&places, late, 8), 8);
    }
}
