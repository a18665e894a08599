//! The listener: accepts clients, and lets them finish when the gateway is to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use env::task::Scope;
use socket2::{SockRef, TcpKeepalive};
use sql::Engine;
use tokio::net::{TcpListener, TcpStream};

use crate::connection::{self, Shared};
use crate::metrics::GatewayMetrics;
use crate::options::GatewayOptions;
use crate::registry::{Phase, Registry};

/// Pause after an accept that failed, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A client that has been silent for so long is asked whether it is there: a vanished machine holds no lock for ever.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How long sessions have to say goodbye once they must.
const GOODBYE: Duration = Duration::from_secs(2);

/// A gateway that serves.
pub struct Gateway {
    registry: Arc<Registry>,
    address: SocketAddr,
    listener: Scope,
    connections: Scope,
}

impl Gateway {
    /// Serves clients that connect to `listener` with sessions of `engine`, on the current runtime.
    ///
    /// # Errors
    /// The listener does not know its address.
    pub fn start(
        listener: TcpListener,
        engine: Arc<Engine>,
        options: GatewayOptions,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "listening beyond loopback: whoever reaches this address is trusted, unencrypted");
        }
        let registry = Registry::new();
        let shared = Arc::new(Shared {
            engine,
            registry: Arc::clone(&registry),
            metrics: GatewayMetrics::new(),
            options,
        });
        let (accepting, connections) = (Scope::new(), Scope::new());
        let scope = connections.clone();
        accepting.spawn_on(&tokio::runtime::Handle::current(), async move {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => accept(stream, peer, &shared, &scope),
                    Err(error) => {
                        tracing::warn!(%error, "accepting a client failed");
                        env::clock::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        Ok(Self { registry, address, listener: accepting, connections })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.registry.connections()
    }

    /// Stops accepting; sessions outside of a transaction block end now, the others when their block does, and all of
    /// them after `grace` (57P01).
    pub async fn shutdown(&self, grace: Duration) {
        self.listener.end();
        self.registry.enter(Phase::Draining);
        if env::clock::timeout(grace, self.registry.empty()).await.is_err() {
            tracing::info!(connections = self.connections(), "ending the sessions that are left");
            self.registry.enter(Phase::Ending);
            self.registry.cancel_all();
            let _ = env::clock::timeout(GOODBYE, self.registry.empty()).await;
        }
        self.connections.end();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.listener.end();
        self.connections.end();
    }
}

fn accept(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>, connections: &Scope) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
    }
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    if let Err(error) = SockRef::from(&stream).set_tcp_keepalive(&keepalive) {
        tracing::debug!(%peer, %error, "keepalive could not be set");
    }
    let shared = Arc::clone(shared);
    connections.spawn_on(&tokio::runtime::Handle::current(), async move {
        connection::serve(stream, peer, &shared).await;
    });
}
