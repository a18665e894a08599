//! How long a client may take: to ask, and to read what it is answered.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use env::clock::Instant;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::door::Share;

/// How long a connection waits for a request, which ends with its headers, or for its answer to be taken.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What a connection is about.
pub(super) struct Pace(Mutex<State>);

struct State {
    /// Since when it waits, or sends.
    since: Instant,
    /// Whether a request is being carried out.
    is_busy: bool,
    /// Whether something is sent that the client has yet to take.
    is_sending: bool,
    /// The answer's share of the room.
    share: Share,
}

impl Pace {
    pub(super) fn new() -> Arc<Self> {
        let state = State { since: env::clock::now(), is_busy: false, is_sending: false, share: None };
        Arc::new(Self(Mutex::new(state)))
    }

    /// A request has come.
    pub(super) fn begin(&self) {
        self.0.lock().is_busy = true;
    }

    /// Its answer is there, and holds this share until it is sent.
    pub(super) fn answer(&self, share: Share) {
        let mut state = self.0.lock();
        (state.is_busy, state.since, state.share) = (false, env::clock::now(), share);
    }

    /// Whether the client has taken too long.
    pub(super) fn is_late(&self) -> bool {
        let state = self.0.lock();
        (state.is_sending || !state.is_busy) && state.since.elapsed() > PATIENCE
    }

    fn sends(&self) {
        let mut state = self.0.lock();
        if !state.is_sending {
            (state.is_sending, state.since) = (true, env::clock::now());
        }
    }

    fn has_sent(&self) {
        let mut state = self.0.lock();
        if state.is_sending {
            (state.is_sending, state.since) = (false, env::clock::now());
            if !state.is_busy {
                state.share = None;
            }
        }
    }
}

/// A connection whose pace is known.
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Arc<Pace>) -> Self {
        Self { stream, pace }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.pace.sends();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.pace.sends();
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.pace.has_sent();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_is_late_that_asks_nothing_or_does_not_read() {
        let pace = Pace::new();
        let later = || tokio::time::advance(PATIENCE + Duration::from_secs(1));
        assert!(!pace.is_late());
        later().await;
        assert!(pace.is_late());
        pace.begin();
        assert!(!pace.is_late());
        later().await;
        assert!(!pace.is_late());
        pace.answer(None);
        pace.sends();
        later().await;
        assert!(pace.is_late());
        pace.has_sent();
        assert!(!pace.is_late());
    }
}
