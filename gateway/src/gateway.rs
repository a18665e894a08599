//! The listener: accepts clients, and lets them finish when the gateway is to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use env::task::Scope;
use parking_lot::Mutex;
use sql::Engine;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::connection::{self, Shared};
use crate::door;
use crate::graphql::GraphQl;
use crate::http::{self, HttpPort, Pages};
use crate::kv::{self, Kv, KvService};
use crate::objects::{self, Objects};
use crate::options::GatewayOptions;
use crate::registry::{Phase, Registry};

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
                let (stream, peer) = door::accept(&listener).await;
                serving.serve(stream, peer);
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

    /// Serves the object protocol on `listener`, too. Answers where that is.
    ///
    /// # Errors
    /// The listener does not know its address.
    pub fn open_objects(&self, listener: TcpListener) -> std::io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        let objects = Arc::new(Objects::new(self.sessions.shared.clone()));
        self.sessions.doors.lock().push(OpenDoor::Objects(objects.clone()));
        let sessions = self.sessions.clone();
        self.listener.spawn_on(&Handle::current(), async move {
            loop {
                let (stream, peer) = door::accept(&listener).await;
                let objects = objects.clone();
                let pool = sessions.shared.options.pool.clone();
                pool.spawn(&sessions.scope, async move { objects::serve(stream, peer, &objects).await });
            }
        });
        Ok(address)
    }

    /// Serves the key-value service on `listener`, too. Answers where that is.
    ///
    /// # Errors
    /// The listener does not know its address, or what it speaks cannot be described.
    pub fn open_kv(&self, listener: TcpListener) -> std::io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        let kv = Arc::new(Kv::new(self.sessions.shared.clone(), self.sessions.scope.clone()));
        kv::serve(&kv, listener)?;
        self.sessions.doors.lock().push(OpenDoor::Kv(kv));
        Ok(address)
    }

    /// Serves GraphQL on `listener`, too. Answers where that is.
    ///
    /// # Errors
    /// The listener does not know its address.
    pub fn open_graphql(&self, listener: TcpListener) -> std::io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        let (graphql, sessions) = (self.sessions.graphql(), self.sessions.clone());
        self.listener.spawn_on(&Handle::current(), async move {
            loop {
                let (stream, peer) = door::accept(&listener).await;
                let graphql = graphql.clone();
                let pool = sessions.shared.options.pool.clone();
                pool.spawn(&sessions.scope, async move { http::serve(stream, peer, &graphql).await });
            }
        });
        Ok(address)
    }

    /// A port with the pages of the process, and the same GraphQL at `/graphql`. The pages go on when the gateway stops.
    pub fn http_port(&self, pages: Pages) -> HttpPort {
        HttpPort::with_graphql(pages, self.sessions.graphql())
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
        self.sessions.doors.lock().iter().for_each(OpenDoor::cut);
    }
}

/// A door beside PostgreSQL's.
#[derive(Clone)]
enum OpenDoor {
    Objects(Arc<Objects>),
    Kv(Arc<Kv>),
    GraphQl(Arc<GraphQl>),
}

impl OpenDoor {
    fn registry(&self) -> &Registry {
        match self {
            Self::Objects(objects) => &objects.door.registry,
            Self::Kv(kv) => &kv.door.registry,
            Self::GraphQl(graphql) => &graphql.door.registry,
        }
    }

    /// Cuts off what the scope of the sessions does not end.
    fn cut(&self) {
        match self {
            Self::Objects(_) => {}
            Self::Kv(kv) => kv.cut(),
            // Whoever came by a port with pages.
            Self::GraphQl(graphql) => graphql.door.registry.enter(Phase::Ending),
        }
    }

    /// Ends what is left of it.
    async fn end(&self) {
        match self {
            Self::Objects(_) | Self::GraphQl(_) => {}
            Self::Kv(kv) => kv.end().await,
        }
    }
}

/// The sessions of a gateway, whatever their clients are connected through.
pub struct Sessions {
    shared: Arc<Shared>,
    scope: Scope,
    /// The doors beside PostgreSQL's.
    doors: Mutex<Vec<OpenDoor>>,
}

impl Sessions {
    /// None yet; they will be sessions of `engine`, which works in the background on the current runtime.
    pub fn new(engine: Arc<Engine>, options: GatewayOptions) -> Self {
        let scope = Scope::new();
        scope.spawn_on(&Handle::current(), Arc::clone(&engine).reclaim());
        scope.spawn_on(&Handle::current(), Arc::clone(&engine).back_up());
        scope.spawn_on(&Handle::current(), Arc::clone(&engine).keep());
        scope.spawn_on(&Handle::current(), Arc::clone(&engine).attend());
        scope.spawn_on(&Handle::current(), Arc::clone(&engine).listen());
        if let Some(tls) = &options.tls {
            scope.spawn_on(&Handle::current(), Arc::clone(tls).watch());
        }
        let shared = Arc::new(Shared::new(engine, options));
        scope.spawn_on(&Handle::current(), Arc::clone(&shared.admission).watch());
        Self { shared, scope, doors: Mutex::default() }
    }

    /// Serves the client at the other end of `stream`, on the current runtime, until it leaves.
    pub fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: SocketAddr) {
        let shared = Arc::clone(&self.shared);
        let pool = self.shared.options.pool.clone();
        pool.spawn(&self.scope, async move {
            connection::serve(stream, peer, &shared).await;
        });
    }

    /// Serves a client of the object protocol at the other end of a pipe, on the current runtime, until it leaves.
    pub fn serve_objects(&self, pipe: DuplexStream, peer: SocketAddr) {
        let opened = self.opened(|door| match door {
            OpenDoor::Objects(objects) => Some(objects.clone()),
            _ => None,
        });
        let objects = opened.unwrap_or_else(|| {
            let objects = Arc::new(Objects::new(self.shared.clone()));
            self.doors.lock().push(OpenDoor::Objects(objects.clone()));
            objects
        });
        let pool = self.shared.options.pool.clone();
        pool.spawn(&self.scope, async move { objects::serve_pipe(pipe, peer, &objects).await });
    }

    /// The key-value service as a client in this process calls it, which counts as one that is connected from there.
    pub fn kv(&self, peer: SocketAddr) -> KvService {
        let opened = self.opened(|door| match door {
            OpenDoor::Kv(kv) => Some(kv.clone()),
            _ => None,
        });
        let kv = opened.unwrap_or_else(|| {
            let kv = Arc::new(Kv::new(self.shared.clone(), self.scope.clone()));
            kv::keep(&kv);
            self.doors.lock().push(OpenDoor::Kv(kv.clone()));
            kv
        });
        KvService::new(&kv, peer)
    }

    /// The one GraphQL, wherever it is served.
    fn graphql(&self) -> Arc<GraphQl> {
        let opened = self.opened(|door| match door {
            OpenDoor::GraphQl(graphql) => Some(graphql.clone()),
            _ => None,
        });
        opened.unwrap_or_else(|| {
            let graphql = Arc::new(GraphQl::new(self.shared.clone(), self.scope.clone()));
            self.doors.lock().push(OpenDoor::GraphQl(graphql.clone()));
            graphql
        })
    }

    /// A door that is open already.
    fn opened<D>(&self, which: impl Fn(&OpenDoor) -> Option<D>) -> Option<D> {
        self.doors.lock().iter().find_map(which)
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.shared.registry.connections()
    }

    /// See [`Gateway::shutdown`].
    pub async fn shutdown(&self, grace: Duration) {
        let doors = self.doors.lock().clone();
        let registries: Vec<&Registry> =
            std::iter::once(&*self.shared.registry).chain(doors.iter().map(OpenDoor::registry)).collect();
        let empty = || futures::future::join_all(registries.iter().map(|registry| registry.empty()));
        registries.iter().for_each(|registry| registry.enter(Phase::Draining));
        if env::clock::timeout(grace, empty()).await.is_err() {
            tracing::info!(connections = self.connections(), "ending the sessions that are left");
            registries.iter().for_each(|registry| registry.enter(Phase::Ending));
            // Those of the doors are in the same registry.
            self.shared.registry.cancel_all();
            let _ = env::clock::timeout(GOODBYE, empty()).await;
        }
        for door in &doors {
            let _ = env::clock::timeout(GOODBYE, door.end()).await;
        }
        self.scope.end();
        // Those that were in the middle of something leave what they have to say of it with the audit log.
        let _ = env::clock::timeout(GOODBYE, self.shared.registry.empty()).await;
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.scope.end();
    }
}
