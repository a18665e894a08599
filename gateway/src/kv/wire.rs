//! A connection as gRPC's server uses it, which its door can end.
//!
//! The server makes a task of each connection that nobody holds: after it has stopped, the task would live for as long as
//! the client likes. So each is read and written through something that the door can end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tonic::transport::server::Connected as HasCaller;

use super::caller::Caller;
use crate::metrics::Opened;
use crate::registry::Connected;
use crate::tls::Stream;

/// What a door holds of its connections: dropped, it ends them.
#[derive(Default)]
pub(super) struct Ends(Mutex<Vec<Weak<End>>>);

#[derive(Default)]
struct End {
    come: AtomicBool,
    reader: AtomicWaker,
}

/// What ends one connection, if it is there yet.
pub(super) struct Ending(Weak<End>);

impl Ending {
    pub(super) fn come(&self) {
        if let Some(end) = self.0.upgrade() {
            end.come();
        }
    }
}

/// A connection, and what counts it.
pub(super) struct Wire {
    stream: Stream<TcpStream>,
    caller: Caller,
    end: Arc<End>,
    _connected: Connected,
    _opened: Opened,
}

impl Ends {
    /// A connection that ends with these.
    pub(super) fn wire(
        &self,
        stream: Stream<TcpStream>,
        caller: Caller,
        connected: Connected,
        opened: Opened,
    ) -> Wire {
        let end = Arc::<End>::default();
        let mut ends = self.0.lock();
        if ends.len() == ends.capacity() {
            ends.retain(|end| end.strong_count() > 0);
        }
        ends.push(Arc::downgrade(&end));
        Wire { stream, caller, end, _connected: connected, _opened: opened }
    }

    /// Ends them all.
    pub(super) fn come(&self) {
        let ends = std::mem::take(&mut *self.0.lock());
        ends.iter().filter_map(Weak::upgrade).for_each(|end| end.come());
    }
}

impl Wire {
    /// What ends it.
    pub(super) fn ending(&self) -> Ending {
        Ending(Arc::downgrade(&self.end))
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.come();
    }
}

impl End {
    fn come(&self) {
        self.come.store(true, Ordering::SeqCst);
        self.reader.wake();
    }

    fn check(&self) -> io::Result<()> {
        if self.come.load(Ordering::SeqCst) {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the door has ended the connection",
            ));
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.end.check()?;
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_pending() {
            self.end.reader.register(cx.waker());
            // It may have come in this moment.
            self.end.check()?;
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.end.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.end.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl HasCaller for Wire {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}
