//! The door for concurrent work: tasks, threads, and scopes that end many tasks at once.
//!
//! A task belongs to the [`Scope`] of the task that spawned it. A simulated crash ends a node's scope: every task of
//! that node stops at its next await point, as a killed process would.
#![expect(clippy::disallowed_methods, reason = "this module is the door")]

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

/// For asynchronous functions that other crates wait for, or that are large and seldom needed: they answer a future in a box of its own,
/// which is compiled once, here, and of which nobody has to prove anew that it may be sent. What is waited for as it is becomes a part
/// of whoever waits, up to where a task begins, and is compiled and proven again in each crate on the way there.
pub use async_recursion::async_recursion as boxed;
use tokio::runtime::Handle;
pub use tokio::task::{JoinError, JoinHandle};

pub use crate::scope::Scope;

/// Spawns onto the current runtime, into the current scope.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_on(&Handle::current(), future)
}

/// Spawns onto `runtime`, into the current scope.
pub fn spawn_on<F>(runtime: &Handle, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Scope::current() {
        Some(scope) => scope.spawn_on(runtime, future),
        None => runtime.spawn(future),
    }
}

/// Runs blocking work on a thread where that does not hold up other tasks. It goes on when the caller goes away.
///
/// In a simulation it is a task of the caller's scope that takes a random while before the work and another one after
/// it, so that what comes in between does; [`Scope::hold_blocking`] makes it wait.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    if crate::simulation::is_active() {
        return spawn(take_time(work)).await;
    }
    tokio::task::spawn_blocking(work).await
}

/// Lets the other tasks of this runtime have a turn each.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What blocking work is in a simulation.
async fn take_time<T>(work: impl FnOnce() -> T) -> T {
    tokio::time::sleep(blocking_time()).await;
    if let Some(scope) = Scope::current() {
        scope.let_pass().await;
    }
    let done = work();
    tokio::time::sleep(blocking_time()).await;
    done
}

/// Mostly as long as a thread takes to wake up, at times as long as a disk that is busy.
fn blocking_time() -> Duration {
    let us = match crate::random::below(64) {
        0 => crate::random::below(20_000),
        1..8 => crate::random::below(1_000),
        _ => crate::random::below(50),
    };
    Duration::from_micros(us)
}

/// Starts an operating system thread. A simulation has none: its caller steps the work itself.
pub fn thread(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}
