//! Lines on their way from sessions to the writer.
//!
//! # Invariants
//! - At most [`RECORDS_MAX`] places are taken; whoever holds one hands over one line, or gives it back.
//! - Lines are written in the order in which they were handed over: ticket n is written once `written` is n or more.
//! - Nobody gets a place while the stream fails, nor, where records are waited for, while a write hangs.
//! - The lock is held for moments, never while something is written: a stream that hangs holds the writer alone.

use std::time::Duration;

use env::clock::{self, Instant};
use env::watch;
use metrics::{Counter, Gauge};
use parking_lot::{Condvar, Mutex};

/// So many records may be on their way.
pub(crate) const RECORDS_MAX: usize = 4096;

/// Nobody gets a place while lines of so many bytes are on their way.
const BYTES_MAX: usize = 32 << 20;

/// A write that takes longer hangs: less than anybody waits for one.
const HANG: Duration = Duration::from_secs(4);

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

/// What keeps lines from being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Trouble {
    #[default]
    None,
    /// Writes fail.
    Fails,
    /// A write does not come back.
    Hangs,
}

/// What of the queue is counted.
pub(crate) struct QueueMetrics {
    pub(crate) dropped: Counter,
    pub(crate) failing: Gauge,
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
    trouble: Trouble,
    /// Since when the write under way is.
    writing_since: Option<Instant>,
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
    metrics: QueueMetrics,
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
    pub(crate) fn new(full: WhenFull, metrics: QueueMetrics) -> Self {
        let progress = watch::Sender::new(Progress::default());
        Self { full, metrics, state: Mutex::default(), work: Condvar::new(), progress }
    }

    /// Whether there was a place; it is taken then.
    pub(crate) fn take_place(&self) -> bool {
        let mut state = self.state.lock();
        let began_to_hang = self.look(&mut state);
        let is_barred = match state.trouble {
            Trouble::None => false,
            Trouble::Fails => true,
            // Where nobody waits until it is written, it may stand in the queue as long as there is room.
            Trouble::Hangs => self.full == WhenFull::Wait,
        };
        let is_free = !is_barred && state.places < RECORDS_MAX && state.lines.len() < BYTES_MAX;
        state.places += usize::from(is_free);
        drop(state);
        if began_to_hang {
            tell_hang();
        }
        is_free
    }

    /// Somebody has waited in vain for a line to be written.
    pub(crate) fn note_wait(&self) {
        if self.look(&mut self.state.lock()) {
            tell_hang();
        }
    }

    /// Whether a write is seen to hang for the first time. The writer itself cannot tell.
    fn look(&self, state: &mut State) -> bool {
        let hangs = state.writing_since.is_some_and(|since| since.elapsed() >= HANG);
        let begins = hangs && state.trouble == Trouble::None;
        if begins {
            state.trouble = Trouble::Hangs;
            self.metrics.failing.set(1.0);
        }
        begins
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
            let newest = state.handed_over;
            drop(state);
            self.drop_record();
            return newest;
        }
        state.lines.extend_from_slice(line.as_bytes());
        state.places_in_lines += usize::from(has_place);
        state.handed_over = state.handed_over.saturating_add(1);
        let ticket = state.handed_over;
        drop(state);
        self.work.notify_one();
        ticket
    }

    /// A record found no place. That is counted, and the first of several logged, at once: the writer may hang.
    pub(crate) fn drop_record(&self) {
        let mut state = self.state.lock();
        let is_first = state.dropped == 0;
        state.dropped = state.dropped.saturating_add(1);
        drop(state);
        self.metrics.dropped.increment(1);
        if is_first {
            tracing::error!("the audit log does not take records in time: they are lost");
        }
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

    /// The writer writes from now on, unless it does already.
    pub(crate) fn begin_write(&self) {
        self.state.lock().writing_since.get_or_insert_with(clock::now);
    }

    /// The writer is back from it: it went well, or failed with this.
    pub(crate) fn end_write(&self, outcome: Result<(), &std::io::Error>) {
        let mut state = self.state.lock();
        state.writing_since = None;
        let after = if outcome.is_ok() { Trouble::None } else { Trouble::Fails };
        let before = std::mem::replace(&mut state.trouble, after);
        if before == after {
            return;
        }
        self.metrics.failing.set(if outcome.is_ok() { 0.0 } else { 1.0 });
        drop(state);
        match outcome {
            Ok(()) => tracing::info!("the audit log is written again"),
            Err(error) => tracing::error!(%error, "the audit log cannot be written"),
        }
        self.tell();
    }

    /// Waits between attempts; whether the stream is to be opened anew now, `None`: the writer is to give up.
    pub(crate) fn pause(&self, time: Duration) -> Option<bool> {
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

fn tell_hang() {
    tracing::error!("the audit log cannot be written: a write does not come back");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(full: WhenFull) -> Queue {
        Queue::new(full, QueueMetrics { dropped: Counter::noop(), failing: Gauge::noop() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_hangs_bars_what_would_wait_for_it_and_no_more() {
        for full in [WhenFull::Wait, WhenFull::Drop] {
            let queue = queue(full);
            queue.put("{}\n", false);
            let work = queue.next().unwrap();
            queue.begin_write();
            assert!(queue.take_place());
            tokio::time::advance(HANG).await;
            assert_eq!(queue.take_place(), full == WhenFull::Drop);
            // A portion was written, and the next takes as long as it may.
            queue.end_write(Ok(()));
            queue.begin_write();
            tokio::time::advance(HANG / 2).await;
            assert!(queue.take_place());
            queue.end_write(Err(&std::io::Error::other("no room")));
            assert!(!queue.take_place());
            queue.begin_write();
            queue.end_write(Ok(()));
            queue.done(&work);
            assert!(queue.take_place());
            // Nothing is written: nothing hangs.
            tokio::time::advance(HANG * 2).await;
            assert!(queue.take_place());
        }
    }
}
