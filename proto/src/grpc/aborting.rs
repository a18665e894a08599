//! Work on another runtime that ends with whoever waits for it.

use std::future::Future;

use env::task::JoinHandle;
use tokio::runtime::Handle;
use tonic::Status;

/// Runs what a request asks for on `runtime`; it ends when the caller goes away.
pub(super) async fn run_on<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    let ended = || Status::unavailable("the node is stopping");
    Aborting::spawn_on(runtime, work).join().await.unwrap_or_else(|| Err(ended()))
}

/// A task that ends when nobody waits for it any more.
pub(super) struct Aborting<T>(JoinHandle<T>);

impl<T: Send + 'static> Aborting<T> {
    pub(super) fn spawn_on(runtime: &Handle, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(env::task::spawn_on(runtime, work))
    }

    /// What the task returned; nothing if it was ended before.
    pub(super) async fn join(mut self) -> Option<T> {
        (&mut self.0).await.ok()
    }
}

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
