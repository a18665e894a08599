//! Connections that end with whoever serves them.
//!
//! A connection is a task of its own, which nobody holds: after its server has stopped it would live for as long as its
//! client, or a request on it, likes. So each is read through something that its server can end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// What a server holds of its connections: dropped, it ends them.
#[derive(Default)]
pub(super) struct Server(Arc<Mutex<Vec<Weak<End>>>>);

/// What takes connections for a server.
#[derive(Clone)]
pub(super) struct Admission(Arc<Mutex<Vec<Weak<End>>>>);

/// A connection that a server may end.
pub(super) struct Served<C> {
    connection: C,
    end: Arc<End>,
}

#[derive(Default)]
struct End {
    come: AtomicBool,
    reader: AtomicWaker,
}

impl Server {
    pub(super) fn admission(&self) -> Admission {
        Admission(self.0.clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ends = std::mem::take(&mut *self.0.lock());
        for end in ends.iter().filter_map(Weak::upgrade) {
            end.come.store(true, Ordering::SeqCst);
            end.reader.wake();
        }
    }
}

impl Admission {
    pub(super) fn admit<C>(&self, connection: C) -> Served<C> {
        let end = Arc::new(End::default());
        let mut ends = self.0.lock();
        if ends.len() == ends.capacity() {
            ends.retain(|end| end.strong_count() > 0);
        }
        ends.push(Arc::downgrade(&end));
        Served { connection, end }
    }
}

impl End {
    fn check(&self) -> io::Result<()> {
        if self.come.load(Ordering::SeqCst) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the node has stopped serving"));
        }
        Ok(())
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Served<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.end.check()?;
        let read = Pin::new(&mut self.connection).poll_read(cx, buffer);
        if read.is_pending() {
            self.end.reader.register(cx.waker());
            // It may have come in this moment.
            self.end.check()?;
        }
        read
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Served<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.end.check()?;
        Pin::new(&mut self.connection).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.end.check()?;
        Pin::new(&mut self.connection).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end.check()?;
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

impl<C: Connected> Connected for Served<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> C::ConnectInfo {
        self.connection.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_connection_ends_with_its_server_also_where_nothing_comes() {
        let server = Server::default();
        let (mut client, connection) = tokio::io::duplex(64);
        let mut served = server.admission().admit(connection);
        client.write_all(b"hello").await.unwrap();
        let mut read = [0; 5];
        served.read_exact(&mut read).await.unwrap();
        served.write_all(&read).await.unwrap();
        let reading = env::task::spawn(async move { served.read_u8().await.unwrap_err().kind() });
        env::task::yield_now().await;
        drop(server);
        assert_eq!(reading.await.unwrap(), io::ErrorKind::ConnectionAborted);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"hello");
    }

    #[test]
    fn connections_that_are_gone_are_forgotten() {
        let server = Server::default();
        let admission = server.admission();
        for _ in 0..10_000 {
            drop(admission.admit(()));
        }
        assert!(server.0.lock().len() <= 8);
    }
}
