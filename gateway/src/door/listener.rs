//! Accepting clients, encrypted or not: the first byte that a client sends tells which.
//!
//! A TLS handshake begins with 0x16, which neither a request of the object protocol nor a connection of HTTP/2 does. So one
//! port serves both, and the rules of access say who may come in plain text.

use std::net::SocketAddr;
use std::time::Duration;

use env::watch;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Door;
use crate::metrics::Opened;
use crate::registry::{Connected, Phase, Place};
use crate::tls::{Channel, Loaded, Stream};

/// What a TLS handshake begins with.
const HANDSHAKE: u8 = 0x16;

/// Pause after an accept that failed, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A client that has been silent for so long is asked whether it is there: a vanished machine holds no connection for ever.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A client whose first byte has come.
pub(crate) struct Accepted {
    pub(crate) stream: Stream<TcpStream>,
    /// What encryption tells of it; `None`: it is not encrypted.
    pub(crate) channel: Option<Channel>,
}

/// What counts a connection, until dropped.
pub(crate) struct Counted {
    _connected: Connected,
    _opened: Opened,
}

impl Door {
    /// A connection from its arrival to its first byte, which may take `first_byte_within`, or as long as the client likes;
    /// TLS is spoken as the protocol of this acceptor. None: it is not taken or gone, or the gateway is about to stop.
    pub(crate) async fn receive(
        &self,
        (stream, peer): (TcpStream, SocketAddr),
        acceptor: fn(&Loaded) -> &TlsAcceptor,
        first_byte_within: Option<Duration>,
    ) -> Option<(Accepted, Counted)> {
        let counted = self.count(peer)?;
        let mut phase = self.registry.phase();
        let encrypting = self.encrypt(stream, acceptor);
        let encrypting = async {
            match first_byte_within {
                None => encrypting.await,
                Some(within) => env::clock::timeout(within, encrypting).await.ok().flatten(),
            }
        };
        let accepted = tokio::select! {
            biased;
            accepted = encrypting => accepted,
            () = stopping(&mut phase) => None,
        };
        accepted.map(|accepted| (accepted, counted))
    }

    /// Counts a connection from there. None: it is not taken, or the gateway is about to stop.
    pub(crate) fn count(&self, peer: SocketAddr) -> Option<Counted> {
        if *self.registry.phase().borrow() != Phase::Running {
            return None;
        }
        let Some(Place::Seat(connected)) = self.registry.arrive(self.shared.connections_max()) else {
            self.metrics.refused.increment(1);
            tracing::debug!(%peer, "closing a connection: there are too many");
            return None;
        };
        let is_taken = self.takes(peer);
        is_taken.then(|| Counted { _connected: connected, _opened: self.metrics.opened() })
    }

    /// Waits for a client's first byte, and goes over to TLS if that begins it. None: it is gone.
    pub(crate) async fn encrypt(
        &self,
        stream: TcpStream,
        acceptor: fn(&Loaded) -> &TlsAcceptor,
    ) -> Option<Accepted> {
        let tls = self.shared.options.tls.as_ref().map(|tls| tls.current());
        let tls = tls.map(|tls| (acceptor(&tls).clone(), tls.end_point.clone()));
        encrypt(stream, tls, self.shared.patience()).await
    }
}

/// Completes once the gateway is about to stop.
pub(crate) async fn stopping(phase: &mut watch::Receiver<Phase>) {
    // If the gateway itself is gone, it has stopped.
    let _ = phase.wait_for(|phase| *phase != Phase::Running).await;
}

/// The next client, however long that takes.
pub(crate) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                prepare(&stream, peer);
                return (stream, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a client failed");
                env::clock::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn prepare(stream: &TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
    }
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&keepalive) {
        tracing::debug!(%peer, %error, "keepalive could not be set");
    }
}

/// Waits for the client's first byte, and goes over to TLS within `patience` if it asks for that. None: it is gone, or
/// its handshake failed. Where there is no TLS a handshake is what any other bytes are that make no sense.
async fn encrypt(
    stream: TcpStream,
    tls: Option<(TlsAcceptor, Option<Vec<u8>>)>,
    patience: Duration,
) -> Option<Accepted> {
    let mut first = [0];
    let count = stream.peek(&mut first).await.ok()?;
    if count == 0 {
        return None;
    }
    let (acceptor, end_point) = match tls {
        Some(tls) if first == [HANDSHAKE] => tls,
        _ => return Some(Accepted { stream: Stream::Plain(stream), channel: None }),
    };
    match env::clock::timeout(patience, acceptor.accept(stream)).await {
        Ok(Ok(encrypted)) => {
            let stream = Stream::Encrypted(Box::new(encrypted));
            let channel = Channel { certificate: stream.certificate(), end_point };
            Some(Accepted { stream, channel: Some(channel) })
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_elapsed) => {
            tracing::debug!("a TLS handshake was not finished in time");
            None
        }
    }
}
