//! A node's service on a port.
//!
//! A peer that sends what is not HTTP/2 loses its connection; one whose message is too large or cannot be decoded is
//! answered with a status. Whoever asks by server reflection is told all services and messages. On shutdown no new connection is taken, replication streams end, requests under way are
//! given [`DRAIN`] to finish; then the connections end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use env::watch;
use futures::future::Either;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tonic::service::InterceptorLayer;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use tonic_reflection::server::{Builder as Reflection, Error as ReflectionError};

use super::aborting::run_on;
use super::callers;
use super::served::Ends;
use super::stream::{Answers, Runtimes, STREAM_MESSAGE_BYTES_MAX};
use super::tls::MutualTls;
use super::{
    CONNECTION_WINDOW_BYTES, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT_BULK, MESSAGE_BYTES_MAX,
    STREAM_WINDOW_BYTES,
};
use crate::calls::calls;
use crate::lane::Lane;
use crate::service::{NodeService, RequestStream, ResponseStream};
use crate::v1::admin_server::{Admin, AdminServer};
use crate::v1::calls_server::{Calls, CallsServer};
use crate::v1::cluster_server::{Cluster, ClusterServer};
use crate::v1::kv_server::{Kv, KvServer};
use crate::v1::raft_server::{Raft, RaftServer};
use crate::v1::{
    self, RaftAppendRequest, RaftAppendResponse, RaftSnapshotChunk, RaftSnapshotResponse, StreamRequest,
    StreamResponse,
};

/// How long requests under way may take after the shutdown began.
const DRAIN: Duration = Duration::from_secs(3);

/// Requests wait for locks on their stream: a connection carries as many as there are sessions behind it.
const STREAMS_PER_CONNECTION_MAX: u32 = 1 << 16;

/// How a node's port behaves.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// Mutual TLS; `None`: plain text.
    pub tls: Option<MutualTls>,
    /// Where batches of reads and writes are answered; `None`: where the connections are served.
    pub batches: Option<Handle>,
    /// Where connections that carry replication alone are served, by [`serve_apart`](super::serve_apart); `None`: with all
    /// others that are not key-value requests.
    pub replication: Option<Handle>,
}

/// The port could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There are no threads for it, or the listener cannot be handed to them.
    #[error("starting to serve gRPC: {0}")]
    Start(#[source] std::io::Error),
    /// What the port speaks cannot be described.
    #[error("describing what the port speaks: {0}")]
    Describe(#[source] ReflectionError),
    /// The listener failed.
    #[error("serving gRPC: {0}")]
    Serve(#[source] tonic::transport::Error),
}

/// Serves `service` on `listener` until `shutdown` completes.
pub async fn serve(
    service: Arc<dyn NodeService>,
    listener: TcpListener,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    serve_connections(service, TcpIncoming::from(listener).with_nodelay(Some(true)), options, shutdown).await
}

/// As [`serve`], over connections that somebody else accepts. None of them outlives it.
pub(super) async fn serve_connections(
    service: Arc<dyn NodeService>,
    connections: impl Stream<Item = std::io::Result<TcpStream>> + Send,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let (closing, closed) = watch::channel(false);
    let asks_who_calls = options.tls.is_some();
    let port = Port { service, closed: closed.clone(), batches: options.batches.clone(), asks_who_calls };
    let admits = move |request| if asks_who_calls { callers::check_any(request) } else { Ok(request) };
    let mut server = Server::builder()
        .layer(InterceptorLayer::new(admits))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT_BULK))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX);
    let reflection =
        Reflection::configure().register_encoded_file_descriptor_set(messages::DESCRIPTORS).build_v1();
    let router = server
        .add_service(reflection.map_err(ServeError::Describe)?)
        .add_service(CallsServer::new(port.clone()).max_decoding_message_size(STREAM_MESSAGE_BYTES_MAX))
        .add_service(KvServer::new(port.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        // A node of an older program names all ranges that it leads.
        .add_service(ClusterServer::new(port.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(AdminServer::new(port.clone()))
        .add_service(RaftServer::new(port).max_decoding_message_size(MESSAGE_BYTES_MAX));
    let serves = Ends::default();
    let admission = serves.admission();
    let connections = connections.map_ok(move |connection| admission.admit(connection));
    let serving = match options.tls {
        None => Either::Left(router.serve_with_incoming_shutdown(connections, wait(closed))),
        Some(tls) => {
            Either::Right(router.serve_with_incoming_shutdown(tls.encrypt(connections), wait(closed)))
        }
    };
    // Beside the serving: that waits for the end of its connections, and no longer for the shutdown, once no more come.
    let ending = async {
        shutdown.await;
        closing.send_replace(true);
        env::clock::sleep(DRAIN).await;
    };
    tokio::select! {
        biased;
        served = serving => served.map_err(ServeError::Serve),
        () = ending => Ok(()),
    }
}

async fn wait(mut closed: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the server.
    let _ = closed.wait_for(|closed| *closed).await;
}

/// What tonic calls.
#[derive(Clone)]
struct Port {
    service: Arc<dyn NodeService>,
    closed: watch::Receiver<bool>,
    batches: Option<Handle>,
    /// Whether callers show certificates that say what they may.
    asks_who_calls: bool,
}

impl Port {
    /// PERMISSION_DENIED if the caller's certificate does not allow the call.
    fn check<T>(&self, request: &Request<T>, call: &str) -> Result<(), Status> {
        if self.asks_who_calls { callers::check(request, call) } else { Ok(()) }
    }

    /// The messages of a stream, until its sender, an error or the shutdown ends it.
    fn requests<T: Send + 'static>(&self, stream: Streaming<T>) -> RequestStream<T> {
        let messages = stream.scan((), |(), message| {
            let message =
                message.inspect_err(|error| tracing::debug!(%error, "a stream of requests broke off"));
            futures::future::ready(message.ok())
        });
        Box::pin(messages.take_until(Box::pin(wait(self.closed.clone()))))
    }
}

type Answer<T> = Result<Response<T>, Status>;

impl Port {
    /// Carries out a call: where batches are answered if it is one.
    async fn answer<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Answer<T> {
        let answered = match &self.batches {
            Some(runtime) if lane == Lane::Requests => run_on(runtime, work).await,
            _ => work.await,
        };
        answered.map(Response::new)
    }
}

/// The gRPC services, from the table of calls; `Raft` has the streams as well.
macro_rules! port {
    ($($service:ident of $client:ident { $($rows:tt)* })*) => {
        $(port! { @service $service { $($rows)* } })*
    };
    (@service Raft { $($rows:tt)* }) => {
        port! { @answer Raft { $($rows)* } {
            type AppendStream = ResponseStream<RaftAppendResponse>;

            async fn append(&self, request: Request<Streaming<RaftAppendRequest>>) -> Answer<Self::AppendStream> {
                self.check(&request, "append")?;
                let requests = self.requests(request.into_inner());
                self.service.raft_append(requests).await.map(Response::new)
            }

            async fn snapshot(
                &self,
                request: Request<Streaming<RaftSnapshotChunk>>,
            ) -> Answer<RaftSnapshotResponse> {
                self.check(&request, "snapshot")?;
                let chunks = self.requests(request.into_inner());
                self.service.raft_snapshot(chunks).await.map(Response::new)
            }
        } }
    };
    (@service $service:ident { $($rows:tt)* }) => {
        port! { @answer $service { $($rows)* } {} }
    };
    (@answer $service:ident { $(
        $(#[$doc:meta])*
        $call:ident as $name:ident($request:ident) -> $response:ident, $lane:ident, $way:ident;
    )* } { $($streams:tt)* }) => {
        #[async_trait]
        impl $service for Port {
            $(async fn $call(&self, request: Request<v1::$request>) -> Answer<v1::$response> {
                self.check(&request, stringify!($call))?;
                let service = self.service.clone();
                self.answer(Lane::$lane, async move { service.$name(request.into_inner()).await }).await
            })*

            $($streams)*
        }
    };
}

calls!(port);

#[async_trait]
impl Calls for Port {
    type StreamStream = ResponseStream<StreamResponse>;

    async fn stream(&self, request: Request<Streaming<StreamRequest>>) -> Answer<Self::StreamStream> {
        self.check(&request, "stream")?;
        let requests = request.into_inner().take_until(Box::pin(wait(self.closed.clone())));
        let runtimes = Runtimes { batches: self.batches.clone(), own: Handle::current() };
        let answers = Answers::new(self.service.clone(), runtimes, Box::pin(requests));
        Ok(Response::new(Box::pin(answers)))
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::grpc::GrpcNetwork;
    use crate::service::Network as _;
    use crate::v1::{WaitRequest, WaitResponse};

    /// Never done waiting.
    struct Waits(watch::Sender<bool>);

    #[async_trait]
    impl NodeService for Waits {
        async fn wait(&self, _: WaitRequest) -> Result<WaitResponse, Status> {
            self.0.send_replace(true);
            std::future::pending().await
        }
    }

    /// As where accepting connections has ended before those who serve them hear of the shutdown.
    #[tokio::test]
    async fn a_shutdown_is_heard_where_no_more_connections_come() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = GrpcNetwork::new(None).connect(&listener.local_addr().unwrap().to_string());
        let asking = env::task::spawn(async move { client.wait(WaitRequest::default()).await });
        let accepted = listener.accept().await.map(|(connection, _)| connection);
        let (waits, mut waiting) = watch::channel(false);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let (service, one) = (Arc::new(Waits(waits)), stream::iter([accepted]));
        let serving = env::task::spawn(serve_connections(service, one, ServeOptions::default(), shutdown));
        waiting.wait_for(|waits| *waits).await.unwrap();
        stop.send(()).unwrap();
        let served = env::clock::timeout(DRAIN * 3, serving).await;
        served.expect("it stops").unwrap().unwrap();
        assert!(asking.await.unwrap().is_err());
    }
}
