//! Group commit: of the callers that want a sync one leads, and the others wait for it.
//!
//! While one sync runs the next callers gather behind it. Without waiting they would fall into two halves that sync in
//! turn: those that a sync has released come back while the next one is already under way. So the leader waits until
//! as many are there as the last sync left behind it, released or queued, but no longer than half of the time that a
//! sync takes, and never more than 2 ms. Where they do not come back it soon gives up, and tries again from time to
//! time. (PostgreSQL's `commit_delay` waits, too, for a time that someone has to choose.)

use std::time::Duration;

use env::clock;

use crate::sync::{Condvar, Mutex, MutexGuard};

/// A disk that has stalled once does not make callers wait long.
const WAIT_MAX: Duration = Duration::from_millis(2);
/// After so many vain waits in a row the next one is put off the longest: by two to that power syncs.
const MISSES_MAX: u32 = 6;

/// The callers of one log.
#[derive(Debug, Default)]
pub(super) struct Group {
    state: Mutex<State>,
    /// The leader waits here for others to join.
    joined: Condvar,
    /// The others wait here for the leader.
    ended: Condvar,
}

/// # Invariants
/// - `waiting` counts the callers that no sync that has begun is for.
#[derive(Debug, Default)]
struct State {
    /// A leader is at work.
    led: bool,
    /// Syncs begun.
    begun: u64,
    waiting: usize,
    /// The leader wants to be woken when so many wait; 0 if it does not wait.
    awaited: usize,
    /// Callers at the end of the last sync: those it released, and those that waited for the next.
    callers: usize,
    /// What the last sync took.
    took: Duration,
    /// Vain waits in a row.
    misses: u32,
    /// Syncs before the next wait.
    skip: u32,
}

impl Group {
    /// Returns once `is_done` says so, or an error has ended it. Of all callers one at a time runs `sync`, which does for
    /// all that have called before it.
    pub(super) fn sync<E>(
        &self,
        is_done: impl Fn() -> bool,
        sync: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut state = self.state.lock();
        state.waiting += 1;
        let joined = state.begun;
        if state.waiting == state.awaited {
            self.joined.notify_one();
        }
        while state.led && !is_done() {
            self.ended.wait(&mut state);
        }
        if is_done() {
            if state.begun == joined {
                state.waiting -= 1;
            }
            return Ok(());
        }
        state.led = true;
        self.gather(&mut state);
        let group = std::mem::take(&mut state.waiting);
        state.begun += 1;
        drop(state);
        let begun = clock::now();
        let result = sync();
        let mut state = self.state.lock();
        state.led = false;
        state.callers = group + state.waiting;
        state.took = clock::now() - begun;
        drop(state);
        self.ended.notify_all();
        result
    }

    /// Waits for those that are about to come.
    fn gather(&self, state: &mut MutexGuard<'_, State>) {
        if state.waiting >= state.callers {
            return;
        }
        if state.skip > 0 {
            state.skip -= 1;
            return;
        }
        state.awaited = state.callers;
        self.joined.wait_for(state, (state.took / 2).min(WAIT_MAX));
        if state.waiting >= state.awaited {
            state.misses = 0;
        } else {
            state.misses = (state.misses + 1).min(MISSES_MAX);
            state.skip = (1 << state.misses) - 1;
        }
        state.awaited = 0;
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn who_comes_during_a_sync_shares_the_next_one() {
        let (group, syncs, first_done, all_done) =
            (Group::default(), AtomicUsize::new(0), AtomicBool::new(false), AtomicBool::new(false));
        let wait_for_callers = |count: usize| {
            while group.state.lock().waiting != count {
                std::thread::yield_now();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let leading = || {
                    syncs.fetch_add(1, Ordering::SeqCst);
                    wait_for_callers(3);
                    first_done.store(true, Ordering::SeqCst);
                    Ok::<(), ()>(())
                };
                group.sync(|| first_done.load(Ordering::SeqCst), leading)
            });
            while syncs.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            for _ in 0..3 {
                scope.spawn(|| {
                    let following = || {
                        syncs.fetch_add(1, Ordering::SeqCst);
                        all_done.store(true, Ordering::SeqCst);
                        Ok::<(), ()>(())
                    };
                    group.sync(|| all_done.load(Ordering::SeqCst), following)
                });
            }
        });
        assert_eq!(syncs.load(Ordering::SeqCst), 2);
        assert_eq!(group.state.lock().waiting, 0);
    }

    #[test]
    fn a_leader_that_waits_in_vain_soon_stops_waiting() {
        let group = Group::default();
        let mut waits = 0;
        for _ in 0..100 {
            let mut state = group.state.lock();
            (state.callers, state.waiting) = (5, 1);
            waits += u32::from(state.skip == 0);
            group.gather(&mut state);
        }
        assert_eq!(waits, 6, "at syncs 1, 3, 7, 15, 31, 63");
    }
}
