//! What ends a statement early: a request to cancel it, and its deadline. Both are seen wherever it waits, and every
//! millisecond or so where it works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use env::clock::Instant;
use expr::work::Interrupt;
use futures::task::AtomicWaker;
use parking_lot::Mutex;

use crate::error::{Error, Result};

/// Cancels the statement that a session is running, if any. Cheap to clone, callable from any task.
#[derive(Clone, Default)]
pub struct CancelHandle(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    waker: AtomicWaker,
    /// When the work under way is to end; of the two, the first tells whether there is one.
    is_bounded: AtomicBool,
    deadline: Mutex<Option<Instant>>,
}

impl State {
    fn ended_by(&self) -> Option<&'static str> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Some(USER_REQUEST);
        }
        if !self.is_bounded.load(Ordering::Relaxed) {
            return None;
        }
        let deadline = (*self.deadline.lock())?;
        (env::clock::now() >= deadline).then_some(TIMEOUT)
    }
}

const USER_REQUEST: &str = "canceling statement due to user request";
const TIMEOUT: &str = "canceling statement due to statement timeout";

impl CancelHandle {
    /// Asks the running statement to end with 57014. A session that is idle ignores it.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.0.waker.wake();
    }

    /// Forgets a request that came before there was anything to cancel.
    pub(crate) fn clear(&self) {
        self.0.cancelled.store(false, Ordering::SeqCst);
    }

    /// Whether a request stands.
    fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }

    /// 57014 if a request stands.
    pub(crate) fn check_request(&self) -> Result<()> {
        if self.is_cancelled() { Err(cancelled()) } else { Ok(()) }
    }

    /// Says when the work that begins now is to end.
    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        if deadline.is_some() || self.0.is_bounded.load(Ordering::Relaxed) {
            *self.0.deadline.lock() = deadline;
            self.0.is_bounded.store(deadline.is_some(), Ordering::Relaxed);
        }
    }

    /// 57014 if a request stands, or the deadline has passed.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.ended_by().map_or(Ok(()), |why| Err(Error::new("57014", why)))
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

impl Interrupt for State {
    fn check(&self) -> expr::Result<()> {
        self.ended_by().map_or(Ok(()), |why| Err(expr::Error::new("57014", why)))
    }
}

/// 57014: a CancelRequest came.
pub(crate) fn cancelled() -> Error {
    Error::new("57014", USER_REQUEST)
}

/// 57014: the deadline has passed.
pub(crate) fn timed_out() -> Error {
    Error::new("57014", TIMEOUT)
}

impl std::fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelHandle").field("cancelled", &self.is_cancelled()).finish()
    }
}
