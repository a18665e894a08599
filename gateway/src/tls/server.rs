//! The certificate, key and authority, from files that may change.
//!
//! Only TLS 1.3 is spoken: there is nothing older to be talked down to. A connection keeps the certificate that it began
//! with. Files that cannot be used leave the old certificate in force.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use cert::{Identity, Watched};
use env::task::boxed;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

/// The names of the protocols: a client that speaks another one by mistake, or because it was led here, is refused in its
/// handshake.
const POSTGRESQL: &[u8] = b"postgresql";
const OBJECTS: &[u8] = b"nunatak-objects";
const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// Where certificates are. All PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The private key to it, which nobody else may read.
    pub key: PathBuf,
    /// The authority that clients' certificates are signed by; without it none is asked for.
    pub authority: Option<PathBuf>,
}

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of them cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The private key is not taken.
    #[error(transparent)]
    Key(#[from] cert::KeyFileError),
    /// One of them does not hold what it should.
    #[error("{}: {what}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// They do not fit each other.
    #[error("{} and {} cannot be used: {source}", certificate.display(), key.display())]
    Misfit {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// What one handshake uses.
pub(crate) struct Loaded {
    /// Of those who speak PostgreSQL's protocol.
    pub(crate) acceptor: TlsAcceptor,
    /// Of those who speak the object protocol.
    pub(crate) objects: TlsAcceptor,
    /// Of those who speak HTTP/2, and gRPC in it.
    pub(crate) http_2: TlsAcceptor,
    /// Of those who speak HTTP/1.1.
    pub(crate) http_1: TlsAcceptor,
    /// What SCRAM is bound to by `tls-server-end-point`.
    pub(crate) end_point: Option<Vec<u8>>,
}

/// The certificate in force.
pub struct ServerTls {
    files: TlsFiles,
    loaded: ArcSwap<Loaded>,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let loaded = ArcSwap::from_pointee(load(&files)?);
        Ok(Arc::new(Self { files, loaded }))
    }

    /// Reads the files again; connections from now on use what they hold.
    ///
    /// # Errors
    /// They cannot be used: what was in force still is.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.loaded.store(Arc::new(load(&self.files)?));
        tracing::info!(certificate = %self.files.certificate.display(), "the certificate was read");
        Ok(())
    }

    /// Reads the files again whenever one of them has changed. Never completes.
    #[boxed]
    pub async fn watch(self: Arc<Self>) {
        let TlsFiles { certificate, key, authority } = self.files.clone();
        let mut files =
            Watched::new([Some(certificate), Some(key), authority].into_iter().flatten().collect());
        loop {
            files.changed().await;
            if let Err(error) = self.reload() {
                tracing::warn!(%error, "the changed certificate cannot be used; the one before stays in force");
            }
        }
    }

    pub(crate) fn current(&self) -> Arc<Loaded> {
        self.loaded.load_full()
    }
}

fn load(files: &TlsFiles) -> Result<Loaded, TlsError> {
    let chain = certificates(&files.certificate)?;
    let identity = chain.first().and_then(|first| Identity::of(first).ok());
    let Some(identity) = identity else {
        return Err(wrong(&files.certificate, "it holds no certificate"));
    };
    metrics::gauge!("nunatak_sql_certificate_expiry_seconds").set(identity.not_after as f64);
    let key = private_key(&files.key)?;
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| wrong(&files.certificate, error))?;
    let builder = match &files.authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| wrong(path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| wrong(path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(chain, key).map_err(|source| TlsError::Misfit {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    })?;
    let of = |protocol: &[u8]| {
        let mut config = config.clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    };
    Ok(Loaded {
        acceptor: of(POSTGRESQL),
        objects: of(OBJECTS),
        http_2: of(HTTP_2),
        http_1: of(HTTP_1),
        end_point: identity.end_point,
    })
}

fn wrong(path: &Path, what: impl std::fmt::Display) -> TlsError {
    TlsError::Wrong { path: path.to_owned(), what: what.to_string() }
}

fn read(path: &Path) -> Result<Zeroizing<String>, TlsError> {
    let text = std::fs::read_to_string(path);
    text.map(Zeroizing::new).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let found = found.map_err(|error| wrong(path, error))?;
    if found.is_empty() { Err(wrong(path, "it holds no certificate")) } else { Ok(found) }
}

/// The key, if nobody but its owner can read it.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = cert::read_private_key(path)?;
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| wrong(path, "it holds no private key"))
}
