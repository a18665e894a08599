//! A client's stream: as it came, or encrypted.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use cert::Identity;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// What an encrypted connection tells of the client, and of itself.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    /// What the certificate says that the client has proven to have, if it has.
    pub(crate) certificate: Option<Identity>,
    /// What SCRAM can be bound to.
    pub(crate) end_point: Option<Vec<u8>>,
}

/// A stream that may be encrypted.
pub(crate) enum Stream<S> {
    Plain(S),
    Encrypted(Box<TlsStream<S>>),
    /// It was given away for a handshake that failed.
    Gone,
}

impl<S> Stream<S> {
    /// The certificate that the client has shown.
    pub(crate) fn certificate(&self) -> Option<Identity> {
        let Self::Encrypted(stream) = self else { return None };
        let shown = stream.get_ref().1.peer_certificates()?.first()?;
        Identity::of(shown).ok()
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Encrypted(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(cx),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Err(gone())),
        }
    }
}
