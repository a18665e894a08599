//! Mutual TLS between nodes and gateways (rustls): TLS 1.3, nothing older.
//!
//! What a process shows and whom it believes may change while it runs: connections from then on go by it, and those that
//! are there go on.

use std::future::{self, Future};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _};
use hyper_util::rt::TokioIo;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tonic::codegen::Service;
use tonic::codegen::http::Uri;

/// How long a handshake may take: who has no certificate holds a connection no longer.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes that are under way at once, at one port.
const HANDSHAKES_MAX: usize = 4096;

/// What is spoken within.
const HTTP_2: &[u8] = b"h2";

/// What a process needs to prove who it is and to know its peers. All PEM.
#[derive(Clone)]
pub struct Tls {
    /// The authority that has signed every certificate of the cluster.
    pub authority_pem: Vec<u8>,
    /// This process's certificate (chain).
    pub certificate_pem: Vec<u8>,
    /// The private key to it.
    pub key_pem: Vec<u8>,
    /// The name that the peers' certificates carry, if it is not the host in their address.
    pub peer_name: Option<String>,
}

/// Certificates, or the key, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It is not what it should be.
    #[error("the {0} is none: a file of PEM is wanted")]
    Pem(&'static str),
    /// The authority is not taken.
    #[error("the authority cannot be used: {0}")]
    Authority(#[source] rustls::Error),
    /// Nobody could be checked by the authority.
    #[error("the authority cannot be used: {0}")]
    Verifier(#[source] VerifierBuilderError),
    /// The certificate and its key are not taken.
    #[error("the certificate and its key cannot be used: {0}")]
    Certificate(#[source] rustls::Error),
}

/// Mutual TLS as it is in force. Clones are the same.
#[derive(Clone)]
pub struct MutualTls(Arc<ArcSwap<Loaded>>);

struct Loaded {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    peer_name: Option<String>,
}

impl MutualTls {
    /// With these.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn new(tls: &Tls) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(load(tls)?))))
    }

    /// Connections from now on go by these.
    ///
    /// # Errors
    /// They cannot be used: what was in force still is.
    pub fn replace(&self, tls: &Tls) -> Result<(), TlsError> {
        self.0.store(Arc::new(load(tls)?));
        Ok(())
    }

    /// The connections among these whose other end has shown who it is.
    pub(super) fn encrypt<C>(
        self,
        connections: impl Stream<Item = io::Result<C>> + Send,
    ) -> impl Stream<Item = io::Result<server::TlsStream<C>>> + Send
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let greeted = connections.map(move |connection| {
            let tls = self.clone();
            // Each a task of its own: whoever is slow, and what the keys take to compute, holds up nobody else.
            env::task::spawn(async move {
                match connection {
                    Ok(connection) => tls.accept(connection).await.map(Ok),
                    Err(error) => Some(Err(error)),
                }
            })
        });
        greeted.buffer_unordered(HANDSHAKES_MAX).filter_map(|greeted| future::ready(greeted.ok().flatten()))
    }

    async fn accept<C>(&self, connection: C) -> Option<server::TlsStream<C>>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = self.0.load().acceptor.clone();
        let accepted = within(HANDSHAKE, acceptor.accept(connection)).await;
        accepted.inspect_err(|error| tracing::debug!(%error, "a handshake failed")).ok()
    }

    /// A connection to the host and port of `uri`, whose other end has shown who it is.
    async fn connect(&self, uri: &Uri, tcp: Duration) -> io::Result<client::TlsStream<TcpStream>> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        let (Some(host), Some(port)) = (uri.host(), uri.port_u16()) else {
            return Err(invalid(format!("{uri} names no host and port")));
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let stream = within(tcp, TcpStream::connect((host, port))).await?;
        stream.set_nodelay(true)?;
        let loaded = self.0.load_full();
        let name = loaded.peer_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|error| invalid(error.to_string()))?;
        let stream = within(HANDSHAKE, loaded.connector.connect(name, stream)).await?;
        if stream.get_ref().1.alpn_protocol() != Some(HTTP_2) {
            return Err(io::Error::other("what answers there does not speak HTTP/2"));
        }
        Ok(stream)
    }
}

impl std::fmt::Debug for MutualTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MutualTls").field("peer_name", &self.0.load().peer_name).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("peer_name", &self.peer_name).finish_non_exhaustive()
    }
}

/// Opens the connections of a channel, each by what is in force then.
pub(super) struct Opening {
    pub(super) tls: MutualTls,
    /// How long a connection of TCP may take.
    pub(super) tcp: Duration,
}

impl Service<Uri> for Opening {
    type Response = TokioIo<client::TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (tls, tcp) = (self.tls.clone(), self.tcp);
        Box::pin(async move { tls.connect(&uri, tcp).await.map(TokioIo::new) })
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long"));
    env::clock::timeout(time, work).await.unwrap_or_else(late)
}

fn load(tls: &Tls) -> Result<Loaded, TlsError> {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    for authority in certificates(&tls.authority_pem, "authority")? {
        roots.add(authority).map_err(TlsError::Authority)?;
    }
    let roots = Arc::new(roots);
    let chain = certificates(&tls.certificate_pem, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&tls.key_pem).map_err(|_| TlsError::Pem("private key"))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Certificate)?
        .with_client_cert_verifier(verifier.map_err(TlsError::Verifier)?)
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(TlsError::Certificate)?;
    server.alpn_protocols = vec![HTTP_2.to_vec()];
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Certificate)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(TlsError::Certificate)?;
    client.alpn_protocols = vec![HTTP_2.to_vec()];
    Ok(Loaded {
        acceptor: TlsAcceptor::from(Arc::new(server)),
        connector: TlsConnector::from(Arc::new(client)),
        peer_name: tls.peer_name.clone(),
    })
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(TlsError::Pem(what))
}

#[cfg(test)]
mod tests {
    use cert::Role;
    use tokio::net::TcpListener;

    use super::*;
    use crate::Code;
    use crate::grpc::{GrpcNetwork, ServeOptions, serve};
    use crate::service::{Network as _, NodeService};
    use crate::v1::HelloRequest;

    /// Answers as a node that knows of no call.
    struct Nothing;

    impl NodeService for Nothing {}

    struct Cluster {
        authority: cert::Authority,
        authority_pem: String,
    }

    impl Cluster {
        fn new() -> Self {
            let made = cert::Authority::create(now(), 30).unwrap();
            let authority = cert::Authority::open(&made.certificate, &made.key).unwrap();
            Self { authority, authority_pem: made.certificate }
        }

        /// What a process of `role` has, who believes these authorities.
        fn tls(&self, role: Role, believed: &[&Self]) -> Tls {
            let hosts = ["127.0.0.1".to_owned()];
            let issued = self.authority.issue(role, "127.0.0.1", &hosts, now(), 30).unwrap();
            let authorities: String = believed.iter().map(|cluster| cluster.authority_pem.as_str()).collect();
            Tls {
                authority_pem: authorities.into_bytes(),
                certificate_pem: issued.certificate.into_bytes(),
                key_pem: issued.key.into_bytes(),
                peer_name: None,
            }
        }
    }

    fn now() -> i64 {
        i64::try_from(env::clock::wall_ms() / 1000).unwrap()
    }

    async fn served(tls: MutualTls) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = ServeOptions { tls: Some(tls), ..ServeOptions::default() };
        env::task::spawn(serve(Arc::new(Nothing), listener, options, future::pending()));
        address.to_string()
    }

    /// What comes of a call over a new connection: a node that is reached has no answer to it.
    async fn asked(tls: &MutualTls, address: &str) -> Code {
        ask(GrpcNetwork::new(Some(tls.clone())).connect(address).as_ref()).await
    }

    async fn ask(node: &dyn NodeService) -> Code {
        node.hello(HelloRequest::default()).await.unwrap_err().code()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_shown_and_believed_changes_while_connections_go_on() {
        let (old, new) = (Cluster::new(), Cluster::new());
        let server = MutualTls::new(&old.tls(Role::Node, &[&old])).unwrap();
        let client = MutualTls::new(&old.tls(Role::Gateway, &[&old])).unwrap();
        let address = served(server.clone()).await;
        let connected = GrpcNetwork::new(Some(client.clone())).connect(&address);
        assert_eq!(ask(connected.as_ref()).await, Code::Unimplemented);

        server.replace(&new.tls(Role::Node, &[&new])).unwrap();
        assert_eq!(ask(connected.as_ref()).await, Code::Unimplemented, "the connection goes on");
        assert_ne!(
            asked(&client, &address).await,
            Code::Unimplemented,
            "another authority's is not believed"
        );

        client.replace(&new.tls(Role::Gateway, &[&new])).unwrap();
        assert_eq!(asked(&client, &address).await, Code::Unimplemented);
        let before = MutualTls::new(&old.tls(Role::Gateway, &[&old, &new])).unwrap();
        assert_ne!(asked(&before, &address).await, Code::Unimplemented, "nor is the one before any more");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_used_leaves_in_force_what_was() {
        let cluster = Cluster::new();
        let tls = cluster.tls(Role::Node, &[&cluster]);
        let server = MutualTls::new(&tls).unwrap();
        let address = served(server.clone()).await;
        let other_key = cluster.tls(Role::Node, &[&cluster]).key_pem;
        for wrong in [
            Tls { key_pem: other_key, ..tls.clone() },
            Tls { key_pem: Vec::new(), ..tls.clone() },
            Tls { certificate_pem: b"half a certif".to_vec(), ..tls.clone() },
            Tls { authority_pem: Vec::new(), ..tls.clone() },
        ] {
            server.replace(&wrong).unwrap_err();
            assert_eq!(asked(&server, &address).await, Code::Unimplemented);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_does_not_end_a_handshake_holds_up_nobody() {
        let cluster = Cluster::new();
        let tls = MutualTls::new(&cluster.tls(Role::Node, &[&cluster])).unwrap();
        let address = served(tls.clone()).await;
        let mut silent = Vec::new();
        for _ in 0..32 {
            silent.push(TcpStream::connect(&address).await.unwrap());
        }
        let answer = env::clock::timeout(HANDSHAKE / 2, asked(&tls, &address)).await;
        assert_eq!(answer.unwrap(), Code::Unimplemented);
    }
}
