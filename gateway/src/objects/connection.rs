//! One client of the object protocol, from its first byte to its last.
//!
//! Requests are carried out one after the other and answered in their order; answers are sent once no further request is
//! there whole. A request that is malformed is answered as an error, and is the last. A connection that rests keeps no
//! session and no buffers.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use env::clock::Instant;
use env::{trace, watch};
use sql::CancelHandle;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::object::{Malformed, Object};
use super::request::{self, Request};
use super::store::{self, Refused};
use super::watch as watches;
use super::wire::Wire;
use super::zstd;
use crate::connection::Shared;
use crate::door::{Accepted, Door, Guest, Identity, Room, Seen, Share, Told, Watching, Work, note_failure};
use crate::registry::Phase;
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

/// Why a request waits for room no longer.
const FULL: &str = "too much that is large is under way";

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
    let phase = door.registry.phase();
    // Who comes from elsewhere has so long to say something.
    let is_near = peer.ip().to_canonical().is_loopback();
    let within = (!is_near).then(|| door.shared.patience());
    let received = door.receive((stream, peer), |tls| &tls.objects, within).await;
    let Some((Accepted { stream, channel }, _counted)) = received else { return };
    Connection::new((stream, channel), peer, objects, phase).run().await;
}

/// The same for a client in this process.
pub(crate) async fn serve_pipe(pipe: DuplexStream, peer: SocketAddr, objects: &Arc<Objects>) {
    let phase = objects.door.registry.phase();
    Connection::new((Stream::Plain(pipe), None), peer, objects, phase).run().await;
}

/// A client.
///
/// # Invariants
/// - Memory follows the bytes that have arrived, never the length that a request claims to have.
/// - Nothing is sent before what is recorded of it in audits is written.
struct Connection<S> {
    stream: Stream<S>,
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
    /// Whether the request under way stood in a frame: then its answer may.
    is_framed: bool,
    /// Bytes that have come and gone since they were last counted.
    moved: u64,
}

impl<S: Wire> Connection<S> {
    fn new(
        (stream, channel): (Stream<S>, Option<Channel>),
        peer: SocketAddr,
        objects: &Arc<Objects>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self {
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
            is_framed: false,
            moved: 0,
        }
    }

    async fn run(mut self) {
        let ending = self.converse().await;
        if let Ending::Told(why) = &ending {
            self.refuse(why);
        }
        // What is yet to be sent is counted while there is a session that it can be counted by.
        self.moved = self.moved.saturating_add(self.output.len() as u64);
        self.note_moved();
        if let Some(work) = self.work.take() {
            work.close().await;
        }
        if self.flush().await.is_ok() {
            self.say_goodbye().await;
        }
    }

    async fn converse(&mut self) -> Ending {
        loop {
            let next = match self.next().await {
                Ok((bytes, share)) => self.unframed(bytes, share).await,
                Err(ending) => Err(ending),
            };
            let (bytes, share) = match next {
                Ok(next) => next,
                Err(ending) => return ending,
            };
            if bytes.len() >= LONG_BYTES {
                env::pool::go_to_pool().await;
            }
            let request = match Request::decode(&bytes) {
                Ok(request) if self.is_framed && !request.may_be_framed() => {
                    return Ending::Told("what stands in a frame is a GET, SET or DELETE");
                }
                Ok(Request::Close) => return Ending::Silent,
                Ok(request) => request,
                Err(malformed) => return Ending::Told(malformed.0),
            };
            drop(bytes);
            // What it takes to answer is not kept by those who rest.
            let answered = Box::pin(self.carry_out(request)).await;
            drop(share);
            if let Err(ending) = answered {
                return ending;
            }
        }
    }

    /// A request that may stand in a frame, and its share of what all may have, which has room for that: once it does not.
    async fn unframed(&mut self, bytes: Bytes, share: Share) -> Result<(Bytes, Share), Ending> {
        self.is_framed = false;
        let Some(frame) = zstd::frame_of(&bytes) else { return Ok((bytes, share)) };
        let wrong = |malformed: Malformed| Ending::Told(malformed.0);
        let length = zstd::content_length(frame, self.bytes_max()).map_err(wrong)?;
        if length >= LONG_BYTES {
            env::pool::go_to_pool().await;
        }
        let content = zstd::open(frame, length).map_err(wrong)?;
        self.is_framed = true;
        Ok((content.into(), share))
    }

    /// The next request, without its length, and its share of what all may have.
    async fn next(&mut self) -> Result<(Bytes, Share), Ending> {
        let mut share = None;
        let mut begun: Option<Instant> = None;
        loop {
            if let Some(length) = request::length(&self.input) {
                let length =
                    usize::try_from(length).ok().filter(|length| (1..=self.bytes_max()).contains(length));
                let length = length.ok_or(Ending::Told("the length of a request is out of bounds"))?;
                let beginning = request::beginning(&self.input, length.min(zstd::BEGINNING_BYTES));
                if share.is_none()
                    && let Some(beginning) = beginning
                {
                    let room = zstd::room_of(beginning, length, self.bytes_max());
                    let taken = self.objects.room.share(room).await;
                    share = taken.map_err(|_full| Ending::Told(FULL))?;
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
                true => self.arrived + self.objects.door.shared.patience(),
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
                readable = stream.wait() => readable.map_err(|_| Ending::Silent)?,
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
            Ok(count) if count > 0 => {
                self.moved = self.moved.saturating_add(count as u64);
                Ok(())
            }
            Ok(_) if self.input.is_empty() => Err(Ending::Silent),
            // The client may still read what is answered.
            Ok(_) => Err(Ending::Told("a request has ended too early")),
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
        self.moved = self.moved.saturating_add(self.output.len() as u64);
        self.note_moved();
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

    /// Counts the bytes that have come and gone, once there is a session.
    fn note_moved(&mut self) {
        if let Some(work) = &self.work {
            work.count_bytes(std::mem::take(&mut self.moved));
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

impl<S: Wire> Connection<S> {
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
            match request {
                Request::Watch { key, is_prefix, since } => self.watch(&key, is_prefix, since).await?,
                request => self.use_store(&request).await?,
            }
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

    /// Has a session.
    async fn open_work(&mut self) -> Result<(), Ending> {
        if self.work.is_some() {
            return Ok(());
        }
        let Some(guest) = &self.guest else { return Err(Ending::Silent) };
        match Work::open(&self.objects.door, guest).await {
            Ok(work) => {
                self.work = Some(Box::new(work));
                Ok(())
            }
            Err(error) => {
                tracing::debug!(peer = %self.peer, %error, "a client of objects gets no session");
                Err(Ending::Told("there is no session to be had"))
            }
        }
    }

    async fn use_store(&mut self, request: &Request) -> Result<(), Ending> {
        let objects = self.objects.clone();
        self.open_work().await?;
        let bytes = std::mem::take(&mut self.moved);
        let Some(work) = &mut self.work else { return Err(Ending::Silent) };
        let mut span = work.begin_trace("objects", None);
        let context = span.as_ref().map(|span| span.context().clone());
        let outcome = trace::under(context, pin!(use_object(work, &objects.room, request, bytes))).await;
        if let Err(Refused::Sql(error)) = &outcome {
            note_failure(&mut span, error);
        }
        drop(span);
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

    /// Tells what changes from now on, which is all that this connection is for: whatever else comes ends it.
    async fn watch(&mut self, key: &str, is_prefix: bool, since: u64) -> Result<(), Ending> {
        let wanted = match watches::wanted(key, is_prefix, since) {
            Ok(wanted) => wanted,
            Err(has_nul) => {
                self.refuse(&has_nul.to_string());
                return Ok(());
            }
        };
        self.open_work().await?;
        let bytes = std::mem::take(&mut self.moved);
        let Some(work) = self.work.take() else { return Err(Ending::Silent) };
        let objects = self.objects.clone();
        let begun = Watching::begin(&objects.door, *work, (&watches::OBJECTS, wanted), bytes, None).await;
        let mut watching = match begun {
            Ok(watching) => watching,
            Err(error) => {
                self.refuse(&format!("{} ({})", error.message, error.sqlstate));
                return Ok(());
            }
        };
        let ending = self.tell(&mut watching).await;
        watching.close().await;
        Err(ending)
    }

    async fn tell(&mut self, watching: &mut Watching) -> Ending {
        while self.input.is_empty() {
            if *self.phase.borrow_and_update() != Phase::Running {
                return Ending::Told("the gateway is about to stop");
            }
            let told = tokio::select! {
                biased;
                filled = self.fill() => match filled {
                    // What has come ends it, and so may the gateway's phase.
                    Ok(()) => continue,
                    Err(ending) => return ending,
                },
                told = watching.next() => told,
            };
            let Told { changes, resolved } = match told {
                Ok(told) => told,
                Err(error) => {
                    tracing::debug!(peer = %self.peer, %error, "a watch of objects has ended");
                    return Ending::Told("the watch has ended");
                }
            };
            for seen in changes {
                self.put_change(&seen);
                drop(seen);
                if self.output.len() >= OUTPUT_BYTES_HIGH
                    && let Err(ending) = self.flush().await
                {
                    return ending;
                }
            }
            if resolved > 0 {
                self.answer(&watches::resolved(resolved));
            }
            if let Err(ending) = self.flush().await {
                return ending;
            }
            watching.work().count_bytes(std::mem::take(&mut self.moved));
        }
        Ending::Silent
    }

    /// Buffers a change.
    fn put_change(&mut self, seen: &Seen) {
        let start = self.output.len();
        if !request::put_answer(&watches::change(seen), &mut self.output) {
            self.output.truncate(start);
            self.answer(&watches::unsayable_change(seen));
        }
    }

    fn answer(&mut self, object: &Object) {
        let start = self.output.len();
        if !request::put_answer(object, &mut self.output) {
            self.objects.door.metrics.errors.increment(1);
            tracing::debug!(peer = %self.peer, "an object is longer than the protocol can say");
        } else if self.is_framed {
            zstd::close(&mut self.output, start);
        }
    }
}

/// What a request about an object that came in so many bytes is answered, and the answer's share of the room.
async fn use_object(
    work: &mut Work,
    room: &Room,
    request: &Request,
    bytes: u64,
) -> Result<(Object, Share), Refused> {
    work.begin_request(statement(request), bytes, false).await?;
    match request {
        Request::Get { key, depth } => store::get(work, room, key, *depth).await,
        Request::Set { key, object } => store::set(work, key, object).await.map(|before| (before, None)),
        Request::Delete { key } => store::delete(work, key).await.map(|object| (object, None)),
        Request::Authenticate { .. } | Request::Watch { .. } | Request::Close => Ok((Object::Null, None)),
    }
}

/// What a request is recorded as if it is not carried out.
fn statement(request: &Request) -> &'static str {
    match request {
        Request::Get { .. } => store::GET,
        Request::Set { .. } => store::PUT,
        Request::Delete { .. } => store::DELETE,
        Request::Authenticate { .. } | Request::Watch { .. } | Request::Close => "",
    }
}

/// Completes once a session is to end; without one, never.
async fn ended(session: Option<&CancelHandle>) {
    match session {
        Some(session) => session.terminated().await,
        None => std::future::pending().await,
    }
}
