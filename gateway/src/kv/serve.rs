//! The service on a port: connections in, encrypted or not, and their end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::health::health_server::HealthServer;
use proto::grpc::Served;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_reflection::pb;
use tonic_reflection::server::Builder as Reflection;

use super::entrance::Entrance;
use super::health::Health;
use super::holdings::Kv;
use crate::door::{Accepted, Caller, Wire, accept, stopping};

/// Calls of one connection that are under way at once.
const CALLS_MAX: u32 = 64;

/// How much a connection, and a call of it, may have in flight.
const CONNECTION_WINDOW_BYTES: u32 = 2 << 20;
const CALL_WINDOW_BYTES: u32 = 512 << 10;

/// How often a silent connection is probed, and how long the answer may take.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How often what has been open for long is looked at.
const SWEEP: Duration = Duration::from_secs(1);

/// Connections that wait for the server to take them.
const WAITING: usize = 16;

/// Serves clients that connect to `listener` until the gateway is to stop; calls under way are finished then.
///
/// # Errors
/// What the port speaks cannot be described.
pub(crate) fn serve(kv: &Arc<Kv>, listener: TcpListener) -> io::Result<()> {
    let router = router(kv)?;
    let (sender, mut receiver) = mpsc::channel(WAITING);
    let (runtime, accepting) = (Handle::current(), kv.clone());
    let mut phase = kv.door.registry.phase();
    kv.scope.spawn_on(&runtime, async move {
        loop {
            let (stream, peer) = tokio::select! {
                biased;
                () = stopping(&mut phase) => return,
                accepted = accept(&listener) => accepted,
            };
            let opening = open(accepting.clone(), stream, peer, sender.clone());
            accepting.scope.spawn_on(&Handle::current(), opening);
        }
    });
    keep(kv);
    let mut phase = kv.door.registry.phase();
    kv.scope.spawn_on(&runtime, async move {
        let connections = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx));
        let stopping = async move { stopping(&mut phase).await };
        if let Err(error) = router.serve_with_incoming_shutdown(connections, stopping).await {
            tracing::error!(%error, "the key-value service has ended");
        }
    });
    Ok(())
}

/// Ends what has been open for long, as long as the service is there.
pub(crate) fn keep(kv: &Arc<Kv>) {
    let sweeping = kv.clone();
    kv.scope.spawn_on(&Handle::current(), async move {
        loop {
            env::clock::sleep(SWEEP).await;
            sweeping.sweep().await;
        }
    });
}

fn router(kv: &Arc<Kv>) -> io::Result<Router> {
    let reflection = || Reflection::configure().register_encoded_file_descriptor_set(api::DESCRIPTORS);
    // Each tells of the other, too.
    let v1 = reflection().register_encoded_file_descriptor_set(pb::v1alpha::FILE_DESCRIPTOR_SET).build_v1();
    let v1alpha =
        reflection().register_encoded_file_descriptor_set(pb::v1::FILE_DESCRIPTOR_SET).build_v1alpha();
    let router = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .initial_stream_window_size(CALL_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(CALLS_MAX)
        .add_service(Entrance::new(kv.clone()))
        .add_service(HealthServer::new(Health(kv.clone())))
        .add_service(v1.map_err(io::Error::other)?)
        // As older clients ask.
        .add_service(v1alpha.map_err(io::Error::other)?);
    Ok(router)
}

/// A connection from its first byte to the server.
async fn open(
    kv: Arc<Kv>,
    stream: TcpStream,
    peer: SocketAddr,
    sender: mpsc::Sender<io::Result<Served<Wire>>>,
) {
    let door = &kv.door;
    // HTTP/2 begins with what the client says.
    let patience = door.shared.patience();
    let received = door.receive((stream, peer), |tls| &tls.http_2, Some(patience)).await;
    let Some((Accepted { stream, channel }, counted)) = received else { return };
    let caller = Caller::new(peer, channel);
    let wire = kv.ends.admission().admit(Wire::new(stream, caller.clone(), Some(counted)));
    kv.watch(&caller, wire.ending());
    drop(caller);
    // If nobody takes it, the gateway has stopped.
    let _ = sender.send(Ok(wire)).await;
}
