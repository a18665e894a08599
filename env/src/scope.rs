//! Scopes: tasks that end together.
#![expect(clippy::disallowed_methods, reason = "this module is a part of the door for concurrent work")]

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};

/// How often held work of a simulation looks whether it may go on.
const HELD_TICK: Duration = Duration::from_millis(5);

thread_local! {
    static CURRENT: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// A set of tasks that can be ended together. In a simulation it stands for a machine, which has a wall clock of its own.
#[derive(Clone, Default)]
pub struct Scope(Arc<ScopeInner>);

#[derive(Default)]
struct ScopeInner {
    state: Mutex<ScopeState>,
    clock_ahead_ms: AtomicI64,
    frozen: AtomicBool,
}

#[derive(Default)]
struct ScopeState {
    ended: bool,
    /// Blocking work waits.
    held: bool,
    tasks: Vec<AbortHandle>,
    /// Tasks that were to run while the scope was frozen.
    stopped: Vec<Waker>,
}

impl Scope {
    /// An empty scope.
    pub fn new() -> Self {
        Self::default()
    }

    /// The scope of the running task, if it has one.
    pub fn current() -> Option<Self> {
        CURRENT.with(|c| c.borrow().clone())
    }

    /// Spawns into this scope; what the task spawns in turn belongs to it too.
    pub fn spawn_on<F>(&self, runtime: &Handle, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let handle = runtime.spawn(Scoped { scope: self.clone(), future: Box::pin(future) });
        let mut state = self.0.state.lock();
        if state.ended {
            handle.abort();
        } else {
            if state.tasks.len() == state.tasks.capacity() {
                state.tasks.retain(|task| !task.is_finished());
            }
            state.tasks.push(handle.abort_handle());
        }
        handle
    }

    /// Sets the wall clock that this scope's tasks see in a simulation: so far ahead of the others', or behind them.
    pub fn set_clock_ahead_ms(&self, ahead_ms: i64) {
        self.0.clock_ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }

    /// How far the running task's wall clock is ahead in a simulation.
    pub(crate) fn current_clock_ahead_ms() -> i64 {
        CURRENT
            .with(|c| c.borrow().as_ref().map_or(0, |scope| scope.0.clock_ahead_ms.load(Ordering::Relaxed)))
    }

    /// Lets no [`crate::task::blocking`] work of the scope get anywhere in a simulation, as a disk does that answers nothing; until it
    /// is let go on.
    pub fn hold_blocking(&self, held: bool) {
        self.0.state.lock().held = held;
    }

    /// Waits while blocking work is held.
    pub(crate) async fn let_pass(&self) {
        while self.0.state.lock().held {
            tokio::time::sleep(HELD_TICK).await;
        }
    }

    /// Ends every task of the scope, and at once any that is spawned later.
    pub fn end(&self) {
        let tasks = {
            let mut state = self.0.state.lock();
            state.ended = true;
            std::mem::take(&mut state.tasks)
        };
        for task in tasks {
            task.abort();
        }
    }

    /// No task of the scope runs until [`Scope::thaw`], as those of a stopped process; for simulations.
    pub fn freeze(&self) {
        self.0.frozen.store(true, Ordering::Relaxed);
    }

    /// Every task goes on where it stood.
    pub fn thaw(&self) {
        self.0.frozen.store(false, Ordering::Relaxed);
        let stopped = std::mem::take(&mut self.0.state.lock().stopped);
        stopped.into_iter().for_each(Waker::wake);
    }

    /// Whether the scope is frozen; if so, the task is woken when it thaws.
    fn stops(&self, cx: &Context<'_>) -> bool {
        let frozen = self.0.frozen.load(Ordering::Relaxed);
        if frozen {
            self.0.state.lock().stopped.push(cx.waker().clone());
        }
        frozen
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// A future that is polled with its scope as the current one.
struct Scoped<F> {
    scope: Scope,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.scope.stops(cx) {
            return Poll::Pending;
        }
        let previous = CURRENT.with(|c| c.borrow_mut().replace(self.scope.clone()));
        let polled = self.future.as_mut().poll(cx);
        CURRENT.with(|c| *c.borrow_mut() = previous);
        polled
    }
}
