//! Connections that end with whoever serves them.
//!
//! A connection is a task of its own, which nobody holds: after its server has stopped it would live for as long as its
//! client, or a request on it, likes. So each is read through something that its server can end.
//!
//! Who connects and says nothing, or one byte now and then, would hold a descriptor for ever: so a connection that has not
//! begun to say something in time ends, and so does one that comes where there are very many.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// How long a connection may take for its first bytes: what HTTP/2 begins with, and less than any handshake of TLS.
const OPENING: Duration = Duration::from_secs(10);
const OPENING_BYTES: usize = 24;

/// A server has no more connections than this.
const CONNECTIONS_MAX: usize = 4096;

/// What a server holds of its connections: dropped, it ends them.
#[derive(Default)]
pub struct Ends(Arc<Mutex<Vec<Weak<End>>>>);

/// What takes connections for a server.
#[derive(Clone)]
pub struct Admission(Arc<Mutex<Vec<Weak<End>>>>);

/// A connection that its server may end.
pub struct Served<C> {
    connection: C,
    end: Arc<End>,
    /// None: its first bytes have come.
    opening: Option<Opening>,
}

/// How many of its first bytes have yet to come, and what completes when they should have.
struct Opening {
    bytes: usize,
    due: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// What ends one connection, if it is there yet.
pub struct Ending(Weak<End>);

#[derive(Default)]
struct End {
    come: AtomicBool,
    reader: AtomicWaker,
}

impl Ends {
    /// What takes connections that end with these.
    pub fn admission(&self) -> Admission {
        Admission(self.0.clone())
    }

    /// Ends all connections that there are.
    pub fn come(&self) {
        let ends = std::mem::take(&mut *self.0.lock());
        ends.iter().filter_map(Weak::upgrade).for_each(|end| end.come());
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.come();
    }
}

impl Ending {
    /// Ends the connection.
    pub fn come(&self) {
        if let Some(end) = self.0.upgrade() {
            end.come();
        }
    }
}

impl<C> Served<C> {
    /// What ends it.
    pub fn ending(&self) -> Ending {
        Ending(Arc::downgrade(&self.end))
    }
}

impl Admission {
    /// A connection that its server may end from now on.
    pub fn admit<C>(&self, connection: C) -> Served<C> {
        let end = Arc::new(End::default());
        let mut ends = self.0.lock();
        if ends.len() == ends.capacity() || ends.len() >= CONNECTIONS_MAX {
            ends.retain(|end| end.strong_count() > 0);
        }
        if ends.len() < CONNECTIONS_MAX {
            ends.push(Arc::downgrade(&end));
        } else {
            tracing::debug!("closing a connection: there are too many");
            end.come.store(true, Ordering::SeqCst);
        }
        let opening = Opening { bytes: OPENING_BYTES, due: Box::pin(env::clock::sleep(OPENING)) };
        Served { connection, end, opening: Some(opening) }
    }
}

impl End {
    fn come(&self) {
        self.come.store(true, Ordering::SeqCst);
        self.reader.wake();
    }

    fn check(&self) -> io::Result<()> {
        if self.come.load(Ordering::SeqCst) {
            let message = "the server has ended the connection";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, message));
        }
        Ok(())
    }
}

impl<C> Served<C> {
    /// So many bytes have come, and more are awaited where there are none.
    fn note_read(&mut self, count: usize, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(opening) = &mut self.opening else { return Ok(()) };
        opening.bytes = opening.bytes.saturating_sub(count);
        if opening.bytes == 0 {
            self.opening = None;
        } else if count == 0 && opening.due.as_mut().poll(cx).is_ready() {
            self.end.come.store(true, Ordering::SeqCst);
            return Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was said in time"));
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
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(cx, buffer);
        if read.is_pending() {
            self.end.reader.register(cx.waker());
            // It may have come in this moment.
            self.end.check()?;
        }
        self.note_read(buffer.filled().len().saturating_sub(before), cx)?;
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
        let server = Ends::default();
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

    #[tokio::test(start_paused = true)]
    async fn who_does_not_begin_to_speak_is_not_waited_for() {
        let server = Ends::default();
        let (mut client, connection) = tokio::io::duplex(64);
        let mut served = server.admission().admit(connection);
        client.write_all(&[0; OPENING_BYTES - 1]).await.unwrap();
        let (begun, mut read) = (env::clock::now(), Vec::new());
        let error = served.read_to_end(&mut read).await.unwrap_err();
        assert_eq!((error.kind(), read.len()), (io::ErrorKind::TimedOut, OPENING_BYTES - 1));
        assert!(begun.elapsed() >= OPENING);
        assert_eq!(served.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_begun_to_speak_may_be_silent() {
        let server = Ends::default();
        let (mut client, connection) = tokio::io::duplex(64);
        let mut served = server.admission().admit(connection);
        client.write_all(&[0; OPENING_BYTES]).await.unwrap();
        served.read_exact(&mut [0; OPENING_BYTES]).await.unwrap();
        assert!(env::clock::timeout(OPENING * 2, served.read_u8()).await.is_err());
    }

    #[test]
    fn there_are_so_many_connections_and_no_more() {
        let server = Ends::default();
        let admission = server.admission();
        let kept: Vec<_> = (0..CONNECTIONS_MAX).map(|_| admission.admit(())).collect();
        assert!(kept.iter().all(|served| served.end.check().is_ok()));
        assert!(admission.admit(()).end.check().is_err());
        drop(kept);
        assert!(admission.admit(()).end.check().is_ok());
    }

    #[tokio::test]
    async fn one_connection_ends_and_the_others_go_on() {
        let server = Ends::default();
        let (_client, connection) = tokio::io::duplex(64);
        let mut over = server.admission().admit(connection);
        let (mut other_client, connection) = tokio::io::duplex(64);
        let mut other = server.admission().admit(connection);
        let ending = over.ending();
        ending.come();
        assert_eq!(over.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        other_client.write_all(b"x").await.unwrap();
        assert_eq!(other.read_u8().await.unwrap(), b'x');
        drop(over);
        ending.come();
    }

    #[test]
    fn connections_that_are_gone_are_forgotten() {
        let server = Ends::default();
        let admission = server.admission();
        for _ in 0..10_000 {
            drop(admission.admit(()));
        }
        assert!(server.0.lock().len() <= 8);
    }
}
