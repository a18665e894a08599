//! A port on threads of its own: replication's messages are taken and answered whatever the node's queries do.
//!
//! The connections, and all that is short, live on those threads. Batches of reads and writes, which may read the disk
//! for long, are answered on the caller's runtime.

use std::future::Future;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};

use super::aborting::Aborting;
use super::serve::{ServeError, ServeOptions, serve};
use crate::service::NodeService;

/// As [`serve`], with connections on threads of their own, as many as there are cores.
pub async fn serve_apart(
    service: Arc<dyn NodeService>,
    listener: TcpListener,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let runtime = Builder::new_multi_thread().thread_name("rpc").enable_all().build();
    let runtime = Apart(Some(runtime.map_err(ServeError::Start)?));
    let options = ServeOptions { batches: Some(Handle::current()), ..options };
    let listener = listener.into_std().map_err(ServeError::Start)?;
    let serving = async move {
        // Here, so that its readiness too is watched by these threads.
        let listener = TcpListener::from_std(listener).map_err(ServeError::Start)?;
        serve(service, listener, options, shutdown).await
    };
    let Some(handle) = runtime.0.as_ref().map(Runtime::handle) else { return Ok(()) };
    Aborting::spawn_on(handle, serving).join().await.unwrap_or(Ok(()))
}

/// The threads; they end with it.
struct Apart(Option<Runtime>);

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
