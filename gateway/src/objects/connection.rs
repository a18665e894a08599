//! One client of the object protocol, from its first byte to its last.
//!
//! Requests are carried out one after the other and answered in their order; answers are sent once no further request is
//! there whole. A request that is malformed is answered as an error, and is the last. A connection that rests keeps no
//! session and no buffers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use env::clock::Instant;
use env::watch;
use sql::CancelHandle;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::object::Object;
use super::request::{self, Request};
use super::room::{Room, Share};
use super::store;
use crate::connection::Shared;
use crate::door::{Accepted, Door, Guest, Identity, Work, encrypt};
use crate::registry::{Phase, Place};
use crate::tls::{Channel, Stream};

/// Longer requests than this are malformed: a row has no room for more.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// The same of a client that has yet to say who it is.
const STRANGERS_BYTES_MAX: usize = 4 << 10;

/// What is in a request of so many bytes takes long to read.
const LONG_BYTES: usize = 16 << 10;

/// How much room is made for one read.
const READ_BYTES: usize = 4 << 10;

/// Answers beyond this are sent before the next request is looked at.
const OUTPUT_BYTES_HIGH: usize = 128 << 10;

/// How long a request may take to arrive, once it has begun to, and an answer to be read.
const PATIENCE: Duration = Duration::from_secs(30);

/// After so long without a request a connection rests.
const REST_AFTER: Duration = Duration::from_secs(10);

/// How long input is awaited and thrown away after the last answer: a socket that is closed with unread input is reset,
/// and what was sent last is lost with it.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES_MAX: usize = 16 << 20;

/// The door of the object protocol.
pub(crate) struct Objects {
    pub(crate) door: Door,
    room: Room,
}

impl Objects {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { door: Door::new(shared, "objects", store::TABLES), room: Room::new() }
    }
}

/// How a conversation ends.
enum Ending {
    /// Without a word: the client wanted that, or is gone, or the gateway ends.
    Silent,
    /// With an error, for this reason.
    Told(&'static str),
}

/// Serves one client until it or the gateway ends.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, objects: &Arc<Objects>) {
    let door = &objects.door;
    let Some(Place::Seat(_connected)) = door.registry.arrive(door.shared.connections_max()) else {
        door.metrics.refused.increment(1);
        tracing::debug!(%peer, "closing a connection: there are too many");
        return;
    };
    let _opened = door.metrics.opened();
    let mut phase = door.registry.phase();
    let tls = door.shared.options.tls.as_ref().map(|tls| tls.current());
    let tls = tls.map(|tls| (tls.objects.clone(), tls.end_point.clone()));
    let patience = door.shared.options.startup_timeout;
    let is_near = peer.ip().to_canonical().is_loopback();
    let encrypting = async {
        match is_near {
            true => encrypt(stream, tls, patience).await,
            // Who comes from elsewhere has so long to say something.
            false => env::clock::timeout(patience, encrypt(stream, tls, patience)).await.ok().flatten(),
        }
    };
    let accepted = tokio::select! {
        biased;
        accepted = encrypting => accepted,
        () = stopping(&mut phase) => None,
    };
    let Some(Accepted { stream, channel }) = accepted else { return };
    let connection = Connection {
        stream,
        channel,
        peer,
        objects: objects.clone(),
        phase,
        input: BytesMut::new(),
        output: BytesMut::new(),
        guest: None,
        work: None,
        arrived: env::clock::now(),
    };
    connection.run().await;
}

/// A client.
///
/// # Invariants
/// - Memory follows the bytes that have arrived, never the length that a request claims to have.
/// - Nothing is sent before what is recorded of it in audits is written.
struct Connection {
    stream: Stream<TcpStream>,
    channel: Option<Channel>,
    peer: SocketAddr,
    objects: Arc<Objects>,
    phase: watch::Receiver<Phase>,
    input: BytesMut,
    output: BytesMut,
    /// Who it is, once that is settled.
    guest: Option<Guest>,
    work: Option<Box<Work>>,
    arrived: Instant,
}

impl Connection {
    async fn run(mut self) {
        let ending = self.converse().await;
        if let Ending::Told(why) = &ending {
            self.refuse(why);
        }
        if let Some(work) = self.work.take() {
            work.close().await;
        }
        if self.flush().await.is_ok() {
            self.say_goodbye().await;
        }
    }

    async fn converse(&mut self) -> Ending {
        loop {
            let (bytes, share) = match self.next().await {
                Ok(next) => next,
                Err(ending) => return ending,
            };
            if bytes.len() >= LONG_BYTES {
                env::pool::go_to_pool().await;
            }
            let request = match Request::decode(&bytes) {
                Ok(Request::Close) => return Ending::Silent,
                Ok(request) => request,
                Err(malformed) => return Ending::Told(malformed.0),
            };
            drop(bytes);
            let answered = self.carry_out(request).await;
            drop(share);
            if let Err(ending) = answered {
                return ending;
            }
        }
    }

    /// The next request, without its length, and its share of what all may have.
    async fn next(&mut self) -> Result<(bytes::Bytes, Share), Ending> {
        let mut share = None;
        let mut begun: Option<Instant> = None;
        loop {
            if let Some(length) = request::length(&self.input) {
                let length =
                    usize::try_from(length).ok().filter(|length| (1..=self.bytes_max()).contains(length));
                let length = length.ok_or(Ending::Told("the length of a request is out of bounds"))?;
                if share.is_none() {
                    let taken = self.objects.room.share(length).await;
                    share = taken.map_err(|_full| Ending::Told("too much that is large is under way"))?;
                }
                if let Some(bytes) = request::take(&mut self.input, length) {
                    return Ok((bytes, share));
                }
            }
            if *self.phase.borrow_and_update() != Phase::Running {
                return Err(Ending::Silent);
            }
            self.flush().await?;
            env::pool::come_home();
            if self.input.is_empty() && !self.is_stranger() {
                self.rest().await?;
                continue;
            }
            let until = match self.input.is_empty() {
                true => self.arrived + self.objects.door.shared.options.startup_timeout,
                false => *begun.get_or_insert_with(env::clock::now) + PATIENCE,
            };
            let left = until.saturating_duration_since(env::clock::now());
            match env::clock::timeout(left, self.fill()).await {
                Ok(filled) => filled?,
                Err(_elapsed) => return Err(Ending::Told("a request was not sent in time")),
            }
        }
    }

    /// Waits for the first bytes of a request; after a while without what takes memory.
    async fn rest(&mut self) -> Result<(), Ending> {
        if let Ok(filled) = env::clock::timeout(REST_AFTER, self.fill()).await {
            return filled;
        }
        if let Some(work) = self.work.take() {
            work.close().await;
        }
        self.input = BytesMut::new();
        self.output = BytesMut::new();
        self.fill().await
    }

    /// Waits until more has arrived, or the gateway's phase has changed.
    async fn fill(&mut self) -> Result<(), Ending> {
        let terminated = self.work.as_ref().map(|work| work.cancel_handle());
        if let Stream::Plain(stream) = &self.stream {
            // Nothing is kept for what may be long in coming.
            tokio::select! {
                biased;
                readable = stream.readable() => readable.map_err(|_| Ending::Silent)?,
                changed = self.phase.changed() => return changed.map_err(|_| Ending::Silent),
                () = ended(terminated.as_ref()) => return Err(Ending::Told("the session was terminated")),
            }
        }
        self.input.reserve(READ_BYTES);
        let read = tokio::select! {
            biased;
            read = self.stream.read_buf(&mut self.input) => read,
            changed = self.phase.changed() => return changed.map_err(|_| Ending::Silent),
            () = ended(terminated.as_ref()) => return Err(Ending::Told("the session was terminated")),
        };
        match read {
            Ok(count) if count > 0 => Ok(()),
            Ok(_) => Err(Ending::Silent),
            Err(error) => {
                tracing::debug!(peer = %self.peer, %error, "connection lost");
                Err(Ending::Silent)
            }
        }
    }

    async fn flush(&mut self) -> Result<(), Ending> {
        if self.output.is_empty() {
            return Ok(());
        }
        let (stream, output) = (&mut self.stream, &self.output);
        let writing = async {
            stream.write_all(output).await?;
            stream.flush().await
        };
        let written = env::clock::timeout(PATIENCE, writing).await;
        if self.output.capacity() > OUTPUT_BYTES_HIGH {
            self.output = BytesMut::new();
        } else {
            self.output.clear();
        }
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Ending::Silent),
        }
    }

    /// Says that nothing follows, and gives the client a moment to read what was sent.
    async fn say_goodbye(mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let discarding = async {
            let mut left = LINGER_BYTES_MAX;
            while left > 0 {
                self.input.clear();
                self.input.reserve(READ_BYTES);
                match self.stream.read_buf(&mut self.input).await {
                    Ok(count) if count > 0 => left = left.saturating_sub(count),
                    _ => return,
                }
            }
        };
        // Either way the connection is over.
        let _ = env::clock::timeout(LINGER, discarding).await;
    }

    /// Whether it comes from elsewhere and has yet to say who it is.
    fn is_stranger(&self) -> bool {
        self.guest.is_none() && !self.peer.ip().to_canonical().is_loopback()
    }

    fn bytes_max(&self) -> usize {
        if self.is_stranger() { STRANGERS_BYTES_MAX } else { REQUEST_BYTES_MAX }
    }

    /// Buffers an error.
    fn refuse(&mut self, why: &str) {
        self.objects.door.metrics.errors.increment(1);
        tracing::debug!(peer = %self.peer, why, "answering an error");
        request::put_error(&mut self.output);
    }
}

impl Connection {
    /// Carries out a request and buffers its answer.
    async fn carry_out(&mut self, request: Request) -> Result<(), Ending> {
        let started = env::clock::now();
        if let Request::Authenticate { role, password } = request {
            self.authenticate(Identity::Role(role, Some(Zeroizing::new(password)))).await?;
            self.answer(&Object::Null);
        } else {
            if self.guest.is_none() {
                self.authenticate(Identity::Unsaid).await?;
            }
            self.use_store(&request).await?;
        }
        let metrics = &self.objects.door.metrics;
        metrics.requests.increment(1);
        metrics.request_seconds.record(started.elapsed().as_secs_f64());
        if self.output.len() >= OUTPUT_BYTES_HIGH {
            self.flush().await?;
        }
        Ok(())
    }

    /// Settles who the client is; what it did as somebody else is over.
    async fn authenticate(&mut self, identity: Identity) -> Result<(), Ending> {
        if let Some(work) = self.work.take() {
            work.close().await;
        }
        self.guest = None;
        let door = &self.objects.door;
        match Guest::admit(door, &identity, self.channel.as_ref(), self.peer).await {
            Ok(guest) => {
                self.guest = Some(guest);
                Ok(())
            }
            Err(error) => {
                tracing::debug!(peer = %self.peer, %error, "a client of objects is not let in");
                Err(Ending::Told("the client is not let in"))
            }
        }
    }

    async fn use_store(&mut self, request: &Request) -> Result<(), Ending> {
        let objects = self.objects.clone();
        if self.work.is_none() {
            let Some(guest) = &self.guest else { return Err(Ending::Silent) };
            match Work::open(&objects.door, guest).await {
                Ok(work) => self.work = Some(Box::new(work)),
                Err(error) => {
                    tracing::debug!(peer = %self.peer, %error, "a client of objects gets no session");
                    return Err(Ending::Told("there is no session to be had"));
                }
            }
        }
        let Some(work) = &mut self.work else { return Err(Ending::Silent) };
        let outcome = match request {
            Request::Get { key, depth } => store::get(work, &objects.room, key, *depth).await,
            Request::Set { key, object } => store::set(work, key, object).await.map(|before| (before, None)),
            Request::Delete { key } => store::delete(work, key).await.map(|object| (object, None)),
            Request::Authenticate { .. } | Request::Close => return Ok(()),
        };
        if let Err(error) = work.settle().await {
            // What became of it is not told: there may be no record of it.
            tracing::warn!(peer = %self.peer, %error, "a request is not answered");
            return Err(Ending::Told("the record of a request is not written"));
        }
        match outcome {
            Ok((object, share)) => {
                self.answer(&object);
                drop(object);
                if share.is_some() {
                    // It is large, and has its share until it is sent.
                    self.flush().await?;
                }
            }
            Err(refused) => self.refuse(&refused.to_string()),
        }
        Ok(())
    }

    fn answer(&mut self, object: &Object) {
        if !request::put_answer(object, &mut self.output) {
            self.objects.door.metrics.errors.increment(1);
            tracing::debug!(peer = %self.peer, "an object is longer than the protocol can say");
        }
    }
}

/// Completes once a session is to end; without one, never.
async fn ended(session: Option<&CancelHandle>) {
    match session {
        Some(session) => session.terminated().await,
        None => std::future::pending().await,
    }
}

/// Completes once the gateway is about to stop.
async fn stopping(phase: &mut watch::Receiver<Phase>) {
    // If the gateway itself is gone, it has stopped.
    let _ = phase.wait_for(|phase| *phase != Phase::Running).await;
}
