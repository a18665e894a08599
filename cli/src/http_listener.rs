//! Who asks for `/health` and its like: few at once, and for as long as they take part.
//!
//! Nobody is asked who they are, so nobody may hold the port. Whoever has not sent a whole request in time, or does not take
//! its answer, is cut off; and of more than there is room for the one that came first gives way, so that a new one is always
//! heard.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Connections at once.
const VISITORS_MAX: usize = 64;

/// How long a visitor may take for a request, and for a part of the answer; one that keeps its connection, until it asks again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pause after an accept that failed, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The port.
pub(crate) struct HttpListener {
    listener: TcpListener,
    /// Those who are here, the first to come in front: dropped, one has to go.
    visitors: VecDeque<oneshot::Sender<()>>,
}

impl HttpListener {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener, visitors: VecDeque::new() }
    }

    fn admit<C>(&mut self, connection: C) -> Visitor<C> {
        self.visitors.retain(|visitor| !visitor.is_closed());
        if self.visitors.len() >= VISITORS_MAX {
            self.visitors.pop_front();
        }
        let (stays, over) = oneshot::channel();
        self.visitors.push_back(stays);
        Visitor { connection, over, is_over: false, due: due() }
    }
}

impl Listener for HttpListener {
    type Io = Visitor<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((connection, peer)) => return (self.admit(connection), peer),
                Err(error) => {
                    tracing::warn!(%error, "accepting an HTTP connection failed");
                    env::clock::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection. It ends when it is due, when another one needs its place, and with its client.
pub(crate) struct Visitor<C> {
    connection: C,
    over: oneshot::Receiver<()>,
    is_over: bool,
    due: Pin<Box<dyn Future<Output = ()> + Send>>,
}

fn due() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(env::clock::sleep(PATIENCE))
}

impl<C> Visitor<C> {
    /// Whether it may go on waiting.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // Neither is asked again once it has completed.
        self.is_over = self.is_over
            || Pin::new(&mut self.over).poll(cx).is_ready()
            || self.due.as_mut().poll(cx).is_ready();
        if self.is_over {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the visit has lasted too long"));
        }
        Ok(())
    }

    /// Something of an answer was taken: it has asked for that, and may ask again.
    fn note_written(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(1..)) = written {
            self.due = due();
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Visitor<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.connection).poll_read(cx, buffer)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Visitor<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let written = Pin::new(&mut self.connection).poll_write(cx, bytes);
        self.note_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let written = Pin::new(&mut self.connection).poll_write_vectored(cx, bytes);
        self.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn listener() -> HttpListener {
        HttpListener::new(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    #[tokio::test]
    async fn the_first_to_come_gives_way() {
        let mut listener = listener().await;
        let mut visitors = Vec::new();
        for _ in 0..VISITORS_MAX {
            let (client, connection) = tokio::io::duplex(64);
            visitors.push((client, listener.admit(connection)));
        }
        let waiting = env::task::spawn({
            let (client, mut first) = visitors.remove(0);
            async move {
                let kind = first.read_u8().await.unwrap_err().kind();
                drop(client);
                kind
            }
        });
        env::task::yield_now().await;
        let (_client, connection) = tokio::io::duplex(64);
        let _last = listener.admit(connection);
        assert_eq!(waiting.await.unwrap(), io::ErrorKind::TimedOut);
        for (client, visitor) in &mut visitors {
            client.write_all(b"a").await.unwrap();
            assert_eq!(visitor.read_u8().await.unwrap(), b'a');
        }
        // Who has gone makes room.
        visitors.pop();
        let (_client, connection) = tokio::io::duplex(64);
        let _another = listener.admit(connection);
        let (client, second) = visitors.first_mut().unwrap();
        client.write_all(b"b").await.unwrap();
        assert_eq!(second.read_u8().await.unwrap(), b'b');
    }
}
