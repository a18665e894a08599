//! Lines on their way from sessions to the writer.
//!
//! # Invariants
//! - At most [`RECORDS_MAX`] places are taken; whoever holds one hands over one line, or gives it back.
//! - Lines are written in the order in which they were handed over: ticket n is written once `written` is n or more.
//! - Nobody gets a place while the stream fails.

use env::watch;
use parking_lot::{Condvar, Mutex};

/// So many records may be on their way.
pub(crate) const RECORDS_MAX: usize = 4096;

/// Nobody gets a place while lines of so many bytes are on their way.
const BYTES_MAX: usize = 32 << 20;

/// What becomes of a statement whose record cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits, and is refused before it has done anything.
    Wait,
    /// It goes on, and the record is lost and counted.
    Drop,
}

/// How far the writer is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    /// The newest ticket whose line is written.
    pub(crate) written: u64,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// How many of the lines hold places.
    places_in_lines: usize,
    places: usize,
    handed_over: u64,
    /// Records that found no place since the last that was told.
    dropped: u64,
    is_failing: bool,
    reopens: bool,
    is_over: bool,
}

/// What the writer is to do next.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Whole lines.
    pub(crate) lines: Vec<u8>,
    /// The ticket of the last.
    pub(crate) ticket: u64,
    places: usize,
    /// How many records were dropped before them.
    pub(crate) dropped: u64,
    /// Whether the stream is to be opened anew behind them.
    pub(crate) reopens: bool,
}

/// The lines, and who waits for what.
pub(crate) struct Queue {
    pub(crate) full: WhenFull,
    state: Mutex<State>,
    work: Condvar,
    progress: watch::Sender<Progress>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("full", &self.full).finish_non_exhaustive()
    }
}

impl Queue {
    pub(crate) fn new(full: WhenFull) -> Self {
        let progress = watch::Sender::new(Progress::default());
        Self { full, state: Mutex::default(), work: Condvar::new(), progress }
    }

    /// Whether there was a place; it is taken then.
    pub(crate) fn take_place(&self) -> bool {
        let mut state = self.state.lock();
        let is_free = !state.is_failing && state.places < RECORDS_MAX && state.lines.len() < BYTES_MAX;
        state.places += usize::from(is_free);
        is_free
    }

    /// Gives a place back.
    pub(crate) fn leave_place(&self) {
        let mut state = self.state.lock();
        state.places = state.places.saturating_sub(1);
        drop(state);
        self.tell();
    }

    /// How far the writer is, now and from now on.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Takes a line, in its place if it has one; its ticket.
    pub(crate) fn put(&self, line: &str, has_place: bool) -> u64 {
        let mut state = self.state.lock();
        if !has_place && state.lines.len() >= BYTES_MAX {
            // Nobody waits for a place of this one, and there is no room.
            state.dropped = state.dropped.saturating_add(1);
            return state.handed_over;
        }
        state.lines.extend_from_slice(line.as_bytes());
        state.places_in_lines += usize::from(has_place);
        state.handed_over = state.handed_over.saturating_add(1);
        let ticket = state.handed_over;
        drop(state);
        self.work.notify_one();
        ticket
    }

    /// A record found no place.
    pub(crate) fn drop_record(&self) {
        let mut state = self.state.lock();
        state.dropped = state.dropped.saturating_add(1);
        drop(state);
        self.work.notify_one();
    }

    /// Has the stream opened anew.
    pub(crate) fn reopen(&self) {
        self.state.lock().reopens = true;
        self.work.notify_one();
    }

    /// Ends the writer, once it has written what is there.
    pub(crate) fn end(&self) {
        self.state.lock().is_over = true;
        self.work.notify_one();
    }

    /// The ticket of the newest line.
    pub(crate) fn newest(&self) -> u64 {
        self.state.lock().handed_over
    }

    /// What is to be done, once there is something; `None`: the writer may end.
    pub(crate) fn next(&self) -> Option<Work> {
        let mut state = self.state.lock();
        while state.lines.is_empty() && state.dropped == 0 && !state.reopens {
            if state.is_over {
                return None;
            }
            self.work.wait(&mut state);
        }
        Some(Work {
            lines: std::mem::take(&mut state.lines),
            ticket: state.handed_over,
            places: std::mem::take(&mut state.places_in_lines),
            dropped: std::mem::take(&mut state.dropped),
            reopens: std::mem::take(&mut state.reopens),
        })
    }

    /// Writing has failed, or goes on.
    pub(crate) fn set_failing(&self, is_failing: bool) {
        self.state.lock().is_failing = is_failing;
        self.tell();
    }

    /// Waits between attempts; whether the stream is to be opened anew now, `None`: the writer is to give up.
    pub(crate) fn pause(&self, time: std::time::Duration) -> Option<bool> {
        let mut state = self.state.lock();
        if !state.is_over && !state.reopens {
            self.work.wait_for(&mut state, time);
        }
        if state.is_over {
            return None;
        }
        Some(std::mem::take(&mut state.reopens))
    }

    /// The work is done.
    pub(crate) fn done(&self, work: &Work) {
        let mut state = self.state.lock();
        state.places = state.places.saturating_sub(work.places);
        drop(state);
        self.progress.send_modify(|progress| progress.written = work.ticket);
    }

    /// Wakes those who wait for a place.
    fn tell(&self) {
        self.progress.send_modify(|_| {});
    }
}
