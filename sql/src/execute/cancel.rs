//! What ends a statement early: a request to cancel it, its deadline, and that of its transaction. All are seen wherever it waits, and every
//! millisecond or so where it works. In tests it may be bounded by its work, too, which no slow machine changes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use env::clock::Instant;
use expr::work::Interrupt;
use futures::task::AtomicWaker;
use parking_lot::Mutex;

use crate::activity::{Lost, Signals};
use crate::error::{Error, Result, Severity};

/// Cancels the statement that a session is running, if any. Cheap to clone, callable from any task.
#[derive(Clone, Default)]
pub struct CancelHandle(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    waker: AtomicWaker,
    /// The session itself is to end; wakes whoever waits for its client.
    terminated: AtomicBool,
    ending: AtomicWaker,
    /// Why, if it is not what an administrator wants.
    ended_for: OnceLock<Why>,
    /// The statement waits for an answer.
    waits: AtomicBool,
    /// When the work under way is to end; of the two, the first tells whether there is one.
    is_bounded: AtomicBool,
    deadline: Mutex<Option<Instant>>,
    /// The same of its transaction, which is no sooner.
    is_transaction_bounded: AtomicBool,
    transaction_deadline: Mutex<Option<Instant>>,
    /// How much the statements of a string may work, in rows, if that is bounded, and how much they have by now.
    work_max: Option<u64>,
    worked: AtomicU64,
}

impl State {
    fn why_ended(&self) -> Why {
        self.ended_for.get().copied().unwrap_or(TERMINATED)
    }

    fn ended_by(&self) -> Option<Why> {
        if self.terminated.load(Ordering::Relaxed) {
            return Some(self.why_ended());
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return Some(USER_REQUEST);
        }
        if self.work_max.is_some_and(|most| self.worked.load(Ordering::Relaxed) > most) {
            return Some(WORK);
        }
        if !self.is_bounded.load(Ordering::Relaxed) {
            return None;
        }
        let deadline = (*self.deadline.lock())?;
        (env::clock::now() >= deadline).then(|| self.late())
    }

    /// Why the work ends whose deadline has passed: that of its transaction ends the session with it.
    fn late(&self) -> Why {
        let is_bounded = self.is_transaction_bounded.load(Ordering::Relaxed);
        let until = if is_bounded { *self.transaction_deadline.lock() } else { None };
        if until.is_none_or(|until| env::clock::now() < until) {
            return TIMEOUT;
        }
        // The first reason stands.
        let _ = self.ended_for.set(TRANSACTION_TIMEOUT);
        self.terminated.store(true, Ordering::SeqCst);
        self.why_ended()
    }
}

/// SQLSTATE and message.
type Why = (&'static str, &'static str);

const USER_REQUEST: Why = ("57014", "canceling statement due to user request");
const TIMEOUT: Why = ("57014", "canceling statement due to statement timeout");
const WORK: Why = ("57014", "canceling statement due to its work");
const TRANSACTION_TIMEOUT: Why = ("25P04", "terminating connection due to transaction timeout");
const TERMINATED: Why = ("57P01", "terminating connection due to administrator command");

/// What a client hears that does not read what it listens to, and one for which it was gone too soon.
const UNREAD: Why = ("53400", "terminating connection because too many notifications wait for it");
const MISSED: Why = ("57P01", "terminating connection because notifications for it were lost");

/// What the client hears of a session that has lost its temporary tables.
const GIVEN_UP: Why = ("57P01", "terminating connection because its temporary tables were given up");

impl CancelHandle {
    /// One whose statements may work as much as so many rows take, if that is bounded.
    pub(crate) fn bounded(work_max: Option<u64>) -> Self {
        Self(Arc::new(State { work_max, ..State::default() }))
    }

    /// Asks the running statement to end with 57014. A session that is idle ignores it.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.0.waker.wake();
    }

    /// Asks the session to end (57P01), and with it what it is running.
    pub fn terminate(&self) {
        self.0.terminated.store(true, Ordering::SeqCst);
        self.0.waker.wake();
        self.0.ending.wake();
    }

    /// What the client of a session that is to end is told.
    pub fn farewell(&self) -> Error {
        error(self.0.why_ended()).severity(Severity::Fatal)
    }

    /// Whether the session is to end.
    pub fn is_terminated(&self) -> bool {
        self.0.terminated.load(Ordering::Relaxed)
    }

    /// Completes once the session is to end. Only one task may wait for that.
    pub async fn terminated(&self) {
        std::future::poll_fn(|cx| {
            self.0.ending.register(cx.waker());
            if self.is_terminated() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }

    /// Until the answer is dropped, the statement waits for the cluster.
    pub(crate) fn note_wait(&self) -> Waiting<'_> {
        self.0.waits.store(true, Ordering::Relaxed);
        Waiting(self)
    }

    /// Forgets a request that came before there was anything to cancel, and the work that was done by then.
    pub(crate) fn clear(&self) {
        self.0.cancelled.store(false, Ordering::SeqCst);
        self.0.worked.store(0, Ordering::Relaxed);
    }

    /// As much work was done as so many rows take.
    #[inline]
    pub(crate) fn note_work(&self, rows: usize) {
        if self.0.work_max.is_some() {
            self.0.worked.fetch_add(rows as u64, Ordering::Relaxed);
        }
    }

    /// Whether a request stands.
    fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed) || self.is_terminated()
    }

    /// 57014 if a request stands.
    pub(crate) fn check_request(&self) -> Result<()> {
        if self.is_cancelled() { Err(self.why()) } else { Ok(()) }
    }

    /// 57014: a CancelRequest came; 57P01: the session is to end.
    pub(crate) fn why(&self) -> Error {
        error(if self.is_terminated() { self.0.why_ended() } else { USER_REQUEST })
    }

    /// Says when the work that begins now is to end.
    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        if deadline.is_some() || self.0.is_bounded.load(Ordering::Relaxed) {
            *self.0.deadline.lock() = deadline;
            self.0.is_bounded.store(deadline.is_some(), Ordering::Relaxed);
        }
    }

    /// Says when the transaction is to end that the work belongs to which begins now.
    pub(crate) fn set_transaction_deadline(&self, deadline: Option<Instant>) {
        if deadline.is_some() || self.0.is_transaction_bounded.load(Ordering::Relaxed) {
            *self.0.transaction_deadline.lock() = deadline;
            self.0.is_transaction_bounded.store(deadline.is_some(), Ordering::Relaxed);
        }
    }

    /// 57014: the deadline has passed; 25P04, and the session is to end: that of its transaction.
    pub fn timed_out(&self) -> Error {
        error(self.0.late())
    }

    /// 57014 if a request stands, the deadline has passed, or there was too much work.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.ended_by().map_or(Ok(()), |why| Err(error(why)))
    }

    /// What long calls of functions ask.
    pub(crate) fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::clone(&self.0) as Arc<dyn Interrupt>
    }

    /// Completes once a request stands.
    pub async fn cancelled(&self) {
        std::future::poll_fn(|cx| {
            self.0.waker.register(cx.waker());
            if self.is_cancelled() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

/// A statement waits, until dropped.
pub(crate) struct Waiting<'a>(&'a CancelHandle);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.waits.store(false, Ordering::Relaxed);
    }
}

impl Signals for CancelHandle {
    fn cancel(&self) {
        Self::cancel(self);
    }

    fn terminate(&self) {
        Self::terminate(self);
    }

    fn lose(&self, why: Lost) {
        // The first reason stands.
        let _ = self.0.ended_for.set(match why {
            Lost::Unread => UNREAD,
            Lost::Missed => MISSED,
            Lost::Temporary => GIVEN_UP,
        });
        Self::terminate(self);
    }

    fn waits(&self) -> bool {
        self.0.waits.load(Ordering::Relaxed)
    }
}

impl Interrupt for State {
    fn check(&self) -> expr::Result<()> {
        self.ended_by().map_or(Ok(()), |(sqlstate, why)| Err(expr::Error::new(sqlstate, why)))
    }
}

fn error((sqlstate, message): Why) -> Error {
    Error::new(sqlstate, message)
}

impl std::fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelHandle").field("cancelled", &self.is_cancelled()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_bounded_where_that_is_asked_for() {
        let bounded = CancelHandle::bounded(Some(10));
        bounded.note_work(10);
        bounded.check().unwrap();
        bounded.note_work(1);
        let error = bounded.check().unwrap_err();
        assert_eq!((error.sqlstate, error.message.as_str()), WORK);
        assert_eq!(bounded.interrupt().check().unwrap_err().sqlstate, WORK.0);
        bounded.clear();
        bounded.check().unwrap();
        let unbounded = CancelHandle::default();
        unbounded.note_work(usize::MAX);
        unbounded.check().unwrap();
    }
}
