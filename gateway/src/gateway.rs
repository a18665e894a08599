//! The listener: accepts clients, and lets them finish when the gateway is to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use env::task::Scope;
use socket2::{SockRef, TcpKeepalive};
use sql::Engine;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

use crate::connection::{self, Shared};
use crate::options::GatewayOptions;
use crate::registry::Phase;

/// Pause after an accept that failed, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A client that has been silent for so long is asked whether it is there: a vanished machine holds no lock for ever.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How long sessions have to say goodbye once they must.
const GOODBYE: Duration = Duration::from_secs(2);

/// A gateway that serves.
pub struct Gateway {
    sessions: Arc<Sessions>,
    address: SocketAddr,
    listener: Scope,
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
        let sessions = Arc::new(Sessions::new(engine, options));
        let (accepting, serving) = (Scope::new(), Arc::clone(&sessions));
        accepting.spawn_on(&Handle::current(), async move {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => {
                        prepare(&stream, peer);
                        serving.serve(stream, peer);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "accepting a client failed");
                        env::clock::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        Ok(Self { sessions, address, listener: accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.sessions.connections()
    }

    /// Stops accepting; sessions outside of a transaction block end now, the others when their block does, and all of
    /// them after `grace` (57P01).
    pub async fn shutdown(&self, grace: Duration) {
        self.listener.end();
        self.sessions.shutdown(grace).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.listener.end();
        self.sessions.scope.end();
    }
}

fn prepare(stream: &TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
    }
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&keepalive) {
        tracing::debug!(%peer, %error, "keepalive could not be set");
    }
}

/// The sessions of a gateway, whatever their clients are connected through.
pub struct Sessions {
    shared: Arc<Shared>,
    scope: Scope,
}

impl Sessions {
    /// None yet; they will be sessions of `engine`, which works in the background on the current runtime.
    pub fn new(engine: Arc<Engine>, options: GatewayOptions) -> Self {
        let scope = Scope::new();
        scope.spawn_on(&Handle::current(), Arc::clone(&engine).reclaim());
        scope.spawn_on(&Handle::current(), Arc::clone(&engine).keep());
        scope.spawn_on(&Handle::current(), Arc::clone(&engine).attend());
        scope.spawn_on(&Handle::current(), Arc::clone(&engine).listen());
        if let Some(tls) = &options.tls {
            scope.spawn_on(&Handle::current(), Arc::clone(tls).watch());
        }
        Self { shared: Arc::new(Shared::new(engine, options)), scope }
    }

    /// Serves the client at the other end of `stream`, on the current runtime, until it leaves.
    pub fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: SocketAddr) {
        let shared = Arc::clone(&self.shared);
        let pool = self.shared.options.pool.clone();
        pool.spawn(&self.scope, async move {
            connection::serve(stream, peer, &shared).await;
        });
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.shared.registry.connections()
    }

    /// See [`Gateway::shutdown`].
    async fn shutdown(&self, grace: Duration) {
        let registry = &self.shared.registry;
        registry.enter(Phase::Draining);
        if env::clock::timeout(grace, registry.empty()).await.is_err() {
            tracing::info!(connections = self.connections(), "ending the sessions that are left");
            registry.enter(Phase::Ending);
            registry.cancel_all();
            let _ = env::clock::timeout(GOODBYE, registry.empty()).await;
        }
        self.scope.end();
        // Those that were in the middle of something leave what they have to say of it with the audit log.
        let _ = env::clock::timeout(GOODBYE, registry.empty()).await;
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.scope.end();
    }
}
