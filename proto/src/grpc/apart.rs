//! A port on threads of its own: replication's messages are taken and answered whatever the node's queries do.
//!
//! The connections, and all that is short, live on those threads. Batches of reads and writes, which may read the disk
//! for long, are answered on the caller's runtime. Connections that carry nothing else are [marked](mark), and live there
//! as a whole: then no request wakes a thread of the other kind. Likewise those that carry replication alone, which live on
//! the threads that replicate.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use env::{clock, task, watch};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::aborting::Aborting;
use super::mark::{self, Carries};
use super::serve::{ServeError, ServeOptions, serve_connections};
use crate::service::NodeService;

/// How many accepted connections wait to be served.
const BACKLOG: usize = 128;

/// How long a connection may take to say what it is.
const MARK_TIMEOUT: Duration = Duration::from_secs(1);

/// How often it is looked at until then.
const MARK_INTERVAL: Duration = Duration::from_millis(1);

/// How long nothing is accepted where that has failed: for want of descriptors, mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// As [`serve`](super::serve), with connections on threads of their own, as many as there are cores.
pub async fn serve_apart(
    service: Arc<dyn NodeService>,
    listener: TcpListener,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let runtime = Builder::new_multi_thread().thread_name("rpc").enable_all().build();
    let runtime = Apart(Some(runtime.map_err(ServeError::Start)?));
    let Some(threads) = runtime.0.as_ref().map(Runtime::handle) else { return Ok(()) };
    let (closing, closed) = watch::channel(false);
    let (to_apart, apart) = mpsc::channel(BACKLOG);
    let (to_replication, replication) = mpsc::channel(BACKLOG);
    let (to_here, here) = mpsc::channel(BACKLOG);
    let listener = listener.into_std().map_err(ServeError::Start)?;
    let ways = Ways { apart: to_apart, replication: to_replication, here: to_here };
    let accepting = Aborting::spawn_on(threads, accept(listener, until(closed.clone()), ways));
    let batches = ServeOptions { batches: Some(Handle::current()), ..options.clone() };
    let serve_on = |threads: &Handle, connections| {
        let connections = ReceiverStream::new(connections).map(TcpStream::from_std);
        let (service, closed) = (service.clone(), until(closed.clone()));
        Aborting::spawn_on(threads, serve_connections(service, connections, batches.clone(), closed))
    };
    let replication = serve_on(options.replication.as_ref().unwrap_or(threads), replication);
    let apart = serve_on(threads, apart);
    let here = ReceiverStream::new(here).map(TcpStream::from_std);
    let here = serve_connections(service.clone(), here, options.clone(), until(closed.clone()));
    let served = async {
        let close = async {
            shutdown.await;
            closing.send_replace(true);
        };
        let ((), here, apart, replication) = futures::join!(close, here, apart.join(), replication.join());
        here.and(apart.unwrap_or(Ok(()))).and(replication.unwrap_or(Ok(())))
    };
    tokio::select! {
        biased;
        served = served => served,
        error = async {
            match accepting.join().await {
                Some(Err(error)) => error,
                Some(Ok(())) => std::future::pending().await,
                None => io::Error::other("the port's threads have ended"),
            }
        } => Err(ServeError::Start(error)),
    }
}

/// To whom connections are passed on.
#[derive(Clone)]
struct Ways {
    apart: mpsc::Sender<std::net::TcpStream>,
    replication: mpsc::Sender<std::net::TcpStream>,
    here: mpsc::Sender<std::net::TcpStream>,
}

async fn until(mut closed: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the server.
    let _ = closed.wait_for(|closed| *closed).await;
}

/// Takes connections and passes each on to those who serve it, until `closed`.
async fn accept(
    listener: std::net::TcpListener,
    closed: impl Future<Output = ()>,
    ways: Ways,
) -> io::Result<()> {
    // Here, so that its readiness is watched by these threads.
    let listener = TcpListener::from_std(listener)?;
    let mut closed = std::pin::pin!(closed);
    loop {
        let accepted = tokio::select! {
            biased;
            () = closed.as_mut() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((connection, _)) => {
                let ways = ways.clone();
                drop(task::spawn(async move {
                    if let Err(error) = pass_on(connection, ways).await {
                        tracing::debug!(%error, "a connection broke before it was served");
                    }
                }));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                clock::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn pass_on(connection: TcpStream, ways: Ways) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let carries = clock::timeout(MARK_TIMEOUT, carries(&connection)).await;
    let way = match carries.unwrap_or(Ok(Carries::Anything))? {
        Carries::KeyValue => ways.here,
        Carries::Replication => ways.replication,
        Carries::Anything => ways.apart,
    };
    // Where nobody takes it any more the server is stopping.
    let _ = way.send(connection.into_std()?).await;
    Ok(())
}

/// What the connection carries. What it has sent stays to be read.
async fn carries(connection: &TcpStream) -> io::Result<Carries> {
    let mut begin = [0; mark::BYTES_MAX];
    let mut seen = 0;
    loop {
        let length = connection.peek(&mut begin).await?;
        if let Some(known) = begin.get(..length).and_then(mark::carries) {
            return Ok(known);
        }
        if length == 0 {
            return Ok(Carries::Anything);
        }
        if length == seen {
            clock::sleep(MARK_INTERVAL).await;
        }
        seen = length;
    }
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
