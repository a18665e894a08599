//! Cancellation: a flag that a running statement sees at its await points.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::task::AtomicWaker;

/// Cancels the statement that a session is running, if any. Cheap to clone, callable from any task.
#[derive(Clone, Default)]
pub struct CancelHandle(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    waker: AtomicWaker,
}

impl CancelHandle {
    /// Asks the running statement to end with 57014. A session that is idle ignores it.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.0.waker.wake();
    }

    /// Forgets a request that came before the statement began.
    pub(crate) fn clear(&self) {
        self.0.cancelled.store(false, Ordering::SeqCst);
    }

    /// Whether a request stands.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
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

impl std::fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelHandle").field("cancelled", &self.is_cancelled()).finish()
    }
}
