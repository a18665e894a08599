//! What a connection is read from: a socket, or a pipe within this process.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;

/// A stream that can be waited for before there is room for what comes of it.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin {
    /// Waits until there may be something to read.
    fn wait(&self) -> impl Future<Output = io::Result<()>> + Send;
}

impl Wire for TcpStream {
    async fn wait(&self) -> io::Result<()> {
        self.readable().await
    }
}

impl Wire for DuplexStream {
    /// Who reads a pipe waits there.
    async fn wait(&self) -> io::Result<()> {
        Ok(())
    }
}
