//! TLS of the shell's connection: the server has to show a certificate of the authority for the host in the URL.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use cert::Identity;
use clap::Args;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::failure::Failure;

/// The flags of the shell.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TlsArguments {
    /// Speak TLS alone, to a server whose certificate this authority has signed for the host in the URL
    #[arg(long, env = "NUNATAK_TLS_CA", value_name = "FILE", help_heading = "Security")]
    pub(crate) tls_ca: Option<PathBuf>,

    /// Show the server this certificate (PEM)
    #[arg(long, env = "NUNATAK_TLS_CERT", value_name = "FILE", requires_all = ["tls_key", "tls_ca"])]
    #[arg(help_heading = "Security")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key to --tls-cert
    #[arg(long, env = "NUNATAK_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    #[arg(help_heading = "Security")]
    pub(crate) tls_key: Option<PathBuf>,
}

impl TlsArguments {
    /// What makes connections; `None`: in plain text.
    pub(crate) fn connector(&self) -> Result<Option<Tls>, Failure> {
        let Some(authority) = &self.tls_ca else { return Ok(None) };
        let wrong = |path: &PathBuf, error: &dyn std::fmt::Display| {
            Failure::usage(format!("{}: {error}", path.display()))
        };
        let read = |path: &PathBuf| std::fs::read_to_string(path).map_err(|error| wrong(path, &error));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(read(authority)?.as_bytes()) {
            let certificate = certificate.map_err(|error| wrong(authority, &error))?;
            roots.add(certificate).map_err(|error| wrong(authority, &error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Failure::failed)?
            .with_root_certificates(roots);
        let config = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                let chain: Result<Vec<_>, _> =
                    CertificateDer::pem_slice_iter(read(certificate)?.as_bytes()).collect();
                let chain = chain.map_err(|error| wrong(certificate, &error))?;
                let text = cert::read_private_key(key).map_err(Failure::usage)?;
                let private = PrivateKeyDer::from_pem_slice(text.as_bytes());
                let private = private.map_err(|error| wrong(key, &error))?;
                builder.with_client_auth_cert(chain, private).map_err(|error| wrong(certificate, &error))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Some(Tls(Arc::new(config))))
    }
}

/// Makes encrypted connections.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

/// One that is about to be made.
pub(crate) struct Connecting {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Encrypted<S>;
    type TlsConnect = Connecting;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Connecting> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Connecting { connector: TlsConnector::from(self.0.clone()), name })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Connecting {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.connector.connect(self.name, stream).await.map(Encrypted) })
    }
}

/// An encrypted connection.
pub(crate) struct Encrypted<S>(TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let shown = self.0.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        match shown.and_then(|shown| Identity::of(shown).ok()).and_then(|identity| identity.end_point) {
            Some(hash) => ChannelBinding::tls_server_end_point(hash),
            None => ChannelBinding::none(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
