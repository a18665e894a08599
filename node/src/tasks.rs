//! The node's tasks: all of them in the node's scope and on the node's runtime, whoever asked for them.
//!
//! A request handler runs in its caller's task, and so in its caller's scope; what must outlive the caller is spawned
//! here instead.

use std::future::Future;
use std::sync::Arc;

use env::task::{JoinHandle, Scope};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// Spawns a node's tasks.
#[derive(Clone)]
pub(crate) struct Tasks {
    scope: Scope,
    runtime: Handle,
    loops: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Tasks {
    /// Tasks in the scope and on the runtime of the caller.
    pub(crate) fn here() -> Self {
        Self {
            scope: Scope::current().unwrap_or_default(),
            runtime: Handle::current(),
            loops: Arc::default(),
        }
    }

    /// Runs a task that ends by itself.
    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.scope.spawn_on(&self.runtime, future)
    }

    /// Runs a task until [`Tasks::stop`].
    pub(crate) fn spawn_loop(&self, future: impl Future<Output = ()> + Send + 'static) {
        let task = self.spawn(future);
        let mut loops = self.loops.lock();
        loops.retain(|task| !task.is_finished());
        loops.push(task.abort_handle());
    }

    /// Ends the loops.
    pub(crate) fn stop(&self) {
        for task in self.loops.lock().drain(..) {
            task.abort();
        }
    }
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}
