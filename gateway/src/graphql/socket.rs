//! A connection that has become a WebSocket, over which operations are asked for and subscriptions followed, as
//! `graphql-transport-ws` has it.
//!
//! Operations are carried out side by side, each by a task of its own, which stops when the client completes it, or is gone. What they
//! tell is sent in turn, and no faster than the client reads.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use env::clock::Instant;
use env::trace::Parent;
use http_body_util::Full;
use hyper::body::Incoming as Body;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request as HttpRequest, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use super::document::Document;
use super::feed::Feed;
use super::frames::{self, GOING_AWAY, Incoming, LATE, NORMAL, Reader, TRY_AGAIN, Wrong};
use super::holdings::GraphQl;
use super::messages::{self, FORBIDDEN, Message, NOT_ACCEPTABLE, TAKEN, TOO_LATE, TOO_MANY, UNAUTHORIZED};
use super::operation::{Asked, Asker, LONG_BYTES};
use super::origin;
use super::refusal::Refused;
use super::request::Request;
use super::select::is_subscription;
use crate::door::{Caller, Share, Watched, stopping};

/// What a server answers to a key: RFC 6455, section 1.3.
const SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_BYTES: usize = 16;

/// The only version there is.
pub(super) const VERSION: &str = "13";

/// A longer message ends the connection; one of a client that has yet to say who it is is shorter.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
const STRANGERS_BYTES_MAX: usize = 4 << 10;

/// Operations of one connection that are under way at once.
const OPERATIONS_MAX: usize = 64;

/// Answers that wait for the client.
const ANSWERS_AHEAD: usize = 2;

/// How long a message may take to arrive, and an answer to be read.
const PATIENCE: Duration = Duration::from_secs(30);

/// After so long a silent client is asked whether it is there, and after so long it is not.
const PING: Duration = Duration::from_secs(30);
const GONE: Duration = Duration::from_secs(90);

/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// How much room is made for one read, and what is kept of it.
const READ_BYTES: usize = 4 << 10;
const KEPT_BYTES: usize = 64 << 10;

/// How long input is awaited and thrown away after the last frame.
const LINGER: Duration = Duration::from_millis(500);

/// A connection that is to go on as a socket.
pub(super) struct Handshake {
    upgrade: OnUpgrade,
    /// Whether the client speaks the protocol.
    is_known: bool,
    metadata: MetadataMap,
    /// Whether it was asked for by a name that nobody else owns.
    is_meant_here: bool,
    parent: Option<Parent>,
}

/// Whether a request is for a socket.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    has_word(headers, header::UPGRADE, "websocket")
}

fn has_word(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(word))
}

/// What a request that is no handshake is answered.
pub(super) type NoHandshake = (StatusCode, &'static str);

impl Handshake {
    /// Takes a request for a socket, and the answer to it.
    pub(super) fn take(mut request: HttpRequest<Body>) -> Result<(Self, Response<Full<Bytes>>), NoHandshake> {
        let headers = request.headers();
        if !origin::is_own(headers) {
            return Err((StatusCode::FORBIDDEN, "pages of other servers may not ask\n"));
        }
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if text(header::SEC_WEBSOCKET_VERSION) != Some(VERSION) {
            return Err((StatusCode::UPGRADE_REQUIRED, "a WebSocket is of version 13\n"));
        }
        let key = text(header::SEC_WEBSOCKET_KEY);
        let key = key.filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES));
        let (Some(key), true) = (key, has_word(headers, header::CONNECTION, "upgrade")) else {
            return Err((StatusCode::BAD_REQUEST, "this is no handshake of a WebSocket\n"));
        };
        let accept = HeaderValue::from_str(&accepted(key));
        let accept =
            accept.map_err(|_| (StatusCode::BAD_REQUEST, "this is no handshake of a WebSocket\n"))?;
        let is_known = has_word(headers, header::SEC_WEBSOCKET_PROTOCOL, messages::NAME);
        let parent = headers.get("traceparent").and_then(|value| value.to_str().ok()).and_then(Parent::parse);
        let mut kept = HeaderMap::new();
        kept.extend(headers.get(header::AUTHORIZATION).map(|said| (header::AUTHORIZATION, said.clone())));
        let is_meant_here = origin::is_meant_for_this_machine(headers);
        let metadata = MetadataMap::from_headers(kept);
        let upgrade = hyper::upgrade::on(&mut request);
        let mut response = Response::new(Full::new(Bytes::new()));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        // Among what it holds is how the client writes the names of headers: there are some that know theirs by no other form.
        *response.extensions_mut() = std::mem::take(request.extensions_mut());
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        if is_known {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(messages::NAME));
        }
        Ok((Self { upgrade, is_known, metadata, is_meant_here, parent }, response))
    }
}

/// What proves to a client that its key was read.
fn accepted(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), SALT].concat()))
}

/// How a conversation ends.
enum Ending {
    /// Without a word: the client wanted that, or is gone.
    Silent,
    /// With the reason.
    Told(Wrong),
}

impl From<Wrong> for Ending {
    fn from(wrong: Wrong) -> Self {
        Self::Told(wrong)
    }
}

/// What an operation has to tell.
struct Outgoing {
    id: String,
    number: u64,
    text: String,
    is_last: bool,
    /// Its share of the room, until it is sent.
    share: Share,
}

/// An operation under way. It stops when this is dropped.
struct Operation {
    number: u64,
    _going: oneshot::Sender<()>,
}

/// A socket.
struct Socket {
    stream: TokioIo<Upgraded>,
    input: BytesMut,
    output: BytesMut,
    reader: Reader,
    /// What the message that is arriving has of the room.
    share: Share,
    graphql: Arc<GraphQl>,
    caller: Caller,
    watched: Watched,
    is_near: bool,
    /// What the client says of itself.
    metadata: MetadataMap,
    is_meant_here: bool,
    parent: Option<Parent>,
    is_initialised: bool,
    operations: HashMap<String, Operation>,
    /// How many operations there have been.
    count: u64,
    sender: mpsc::Sender<Outgoing>,
    receiver: mpsc::Receiver<Outgoing>,
    arrived: Instant,
    /// When the client was last heard, and last asked whether it is there.
    heard: Instant,
    pinged: Instant,
    /// Since when a message is arriving.
    begun: Option<Instant>,
}

/// Serves a client over a socket until one side ends it.
pub(super) async fn serve(handshake: Handshake, graphql: &Arc<GraphQl>, caller: Caller, is_near: bool) {
    let Handshake { upgrade, is_known, metadata, is_meant_here, parent } = handshake;
    let Ok(upgraded) = upgrade.await else { return };
    let (sender, receiver) = mpsc::channel(ANSWERS_AHEAD);
    let now = env::clock::now();
    let mut socket = Socket {
        stream: TokioIo::new(upgraded),
        input: BytesMut::new(),
        output: BytesMut::new(),
        reader: Reader::default(),
        share: None,
        graphql: graphql.clone(),
        watched: caller.watched(),
        caller,
        is_near,
        metadata,
        is_meant_here,
        parent,
        is_initialised: false,
        operations: HashMap::new(),
        count: 0,
        sender,
        receiver,
        arrived: now,
        heard: now,
        pinged: now,
        begun: None,
    };
    let ending = match is_known {
        true => socket.converse().await,
        false => Ending::Told(NOT_ACCEPTABLE),
    };
    socket.end(ending).await;
}

impl Socket {
    async fn converse(&mut self) -> Ending {
        let mut phase = self.graphql.door.registry.phase();
        let mut looks = env::clock::now() + LOOK;
        loop {
            if let Err(ending) = self.hear_all().await {
                return ending;
            }
            if let Err(ending) = self.flush().await {
                return ending;
            }
            env::pool::come_home();
            if self.input.is_empty() && self.input.capacity() > KEPT_BYTES {
                self.input = BytesMut::new();
            }
            self.input.reserve(READ_BYTES);
            let until = looks.saturating_duration_since(env::clock::now());
            let outcome = tokio::select! {
                biased;
                () = stopping(&mut phase) => {
                    return Ending::Told(Wrong { code: GOING_AWAY, why: "the gateway is about to stop" });
                }
                () = env::clock::sleep(until) => {
                    looks = env::clock::now() + LOOK;
                    self.look().await
                }
                read = self.stream.read_buf(&mut self.input) => match read {
                    Ok(count) if count > 0 => {
                        self.heard = env::clock::now();
                        Ok(())
                    }
                    _ => return Ending::Silent,
                },
                // There is always one who may send: this itself.
                Some(outgoing) = self.receiver.recv() => self.tell(outgoing).await,
            };
            if let Err(ending) = outcome {
                return ending;
            }
        }
    }

    /// Hears all messages that are there whole.
    async fn hear_all(&mut self) -> Result<(), Ending> {
        loop {
            let bytes_max = if self.is_initialised { MESSAGE_BYTES_MAX } else { STRANGERS_BYTES_MAX };
            match self.reader.take(&mut self.input, bytes_max)? {
                Some(Incoming::Text(text)) => {
                    // What follows it, be it there in part already, begins now.
                    self.begun = None;
                    self.hear(&text).await?;
                }
                Some(Incoming::Ping(payload)) => frames::put_pong(&payload, &mut self.output),
                Some(Incoming::Pong) => {}
                Some(Incoming::Close) => {
                    frames::put_close(NORMAL, "", &mut self.output);
                    self.flush().await?;
                    return Err(Ending::Silent);
                }
                None => break,
            }
            // Answers to what comes all at once are read before more of it is looked at.
            if self.output.len() >= KEPT_BYTES {
                self.flush().await?;
            }
        }
        if !self.reader.is_within(&self.input) {
            (self.begun, self.share) = (None, None);
            return Ok(());
        }
        self.begun.get_or_insert_with(env::clock::now);
        let length = self.reader.length(&self.input);
        if self.share.is_none() && length >= LONG_BYTES {
            let taken = self.graphql.requests.share(MESSAGE_BYTES_MAX).await;
            let why = "too much that is large is under way";
            self.share = taken.map_err(|_full| Wrong { code: TRY_AGAIN, why })?;
        }
        Ok(())
    }

    async fn hear(&mut self, text: &str) -> Result<(), Ending> {
        let share = self.share.take();
        if text.len() >= LONG_BYTES {
            env::pool::go_to_pool().await;
        }
        match Message::read(text)? {
            Message::Init { .. } if self.is_initialised => Err(TOO_MANY.into()),
            Message::Init { authorization } => self.initialise(authorization).await,
            Message::Ping => {
                frames::put_text(messages::PONG, &mut self.output);
                Ok(())
            }
            Message::Pong => Ok(()),
            Message::Complete { id } => {
                self.operations.remove(&id);
                Ok(())
            }
            Message::Subscribe { .. } if !self.is_initialised => Err(UNAUTHORIZED.into()),
            Message::Subscribe { id, .. } if self.operations.contains_key(&id) => Err(TAKEN.into()),
            Message::Subscribe { id, request } => {
                self.subscribe(id, request, share).await;
                Ok(())
            }
        }
    }

    /// Settles who the client is.
    async fn initialise(&mut self, authorization: Option<String>) -> Result<(), Ending> {
        if let Some(said) = authorization {
            let said: MetadataValue<Ascii> =
                said.parse().map_err(|_| Wrong { code: FORBIDDEN, why: "Forbidden" })?;
            self.metadata.insert("authorization", said);
        }
        if self.is_near && !self.is_meant_here && !self.metadata.contains_key("authorization") {
            let why = "who says nothing of itself asks for localhost, or an address";
            return Err(Wrong { code: FORBIDDEN, why }.into());
        }
        let door = &self.graphql.door;
        if let Err(error) = self.caller.guest(door, &self.graphql.scope, &self.metadata).await {
            tracing::debug!(%error, "a client of a socket is not let in");
            return Err(Wrong { code: FORBIDDEN, why: "Forbidden" }.into());
        }
        self.is_initialised = true;
        frames::put_text(messages::ACK, &mut self.output);
        Ok(())
    }

    /// Begins an operation.
    async fn subscribe(&mut self, id: String, request: Result<Request, Refused>, share: Share) {
        let door = &self.graphql.door;
        let begun = match request {
            Err(refused) => Err(refused),
            Ok(_) if self.operations.len() >= OPERATIONS_MAX => {
                let message = format!("{OPERATIONS_MAX} operations of the connection are under way");
                Err(sql::Error::new("53400", message).into())
            }
            Ok(request) => {
                let guest = self.caller.guest(door, &self.graphql.scope, &self.metadata).await;
                guest.map(|guest| (guest, request)).map_err(Refused::from)
            }
        };
        let (guest, request) = match begun {
            Ok(begun) => begun,
            Err(refused) => {
                door.metrics.errors.increment(1);
                frames::put_text(&messages::error(&id, &refused.errors()), &mut self.output);
                return;
            }
        };
        self.count = self.count.saturating_add(1);
        let (going, stopped) = oneshot::channel();
        let running = Running {
            asker: Asker {
                graphql: self.graphql.clone(),
                caller: self.caller.clone(),
                guest,
                parent: self.parent,
            },
            id: id.clone(),
            number: self.count,
            sender: self.sender.clone(),
        };
        self.operations.insert(id, Operation { number: self.count, _going: going });
        let pool = door.shared.options.pool.clone();
        pool.spawn(&self.graphql.scope, running.run(request, share, stopped));
    }

    /// Sends what an operation has to tell, unless nobody waits for it any more.
    async fn tell(&mut self, outgoing: Outgoing) -> Result<(), Ending> {
        let Outgoing { id, number, text, is_last, share } = outgoing;
        if self.operations.get(&id).is_none_or(|operation| operation.number != number) {
            return Ok(());
        }
        if is_last {
            self.operations.remove(&id);
        }
        frames::put_text(&text, &mut self.output);
        drop(text);
        let sent = self.flush().await;
        drop(share);
        sent
    }

    /// Looks whether the client is there, and has said in time what it is to say.
    async fn look(&mut self) -> Result<(), Ending> {
        self.watched.sweep().await;
        if !self.is_initialised && self.arrived.elapsed() >= self.graphql.door.shared.patience() {
            return Err(TOO_LATE.into());
        }
        if self.begun.is_some_and(|begun| begun.elapsed() >= PATIENCE) {
            return Err(Wrong { code: LATE, why: "a message was not sent in time" }.into());
        }
        if self.heard.elapsed() >= GONE {
            return Err(Ending::Silent);
        }
        if self.heard.elapsed() >= PING && self.pinged.elapsed() >= PING {
            self.pinged = env::clock::now();
            frames::put_ping(&mut self.output);
        }
        Ok(())
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
        if self.output.capacity() > KEPT_BYTES {
            self.output = BytesMut::new();
        } else {
            self.output.clear();
        }
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Ending::Silent),
        }
    }

    /// Says why it ends, and gives the client a moment to read that.
    async fn end(mut self, ending: Ending) {
        self.operations.clear();
        let Ending::Told(Wrong { code, why }) = ending else { return };
        tracing::debug!(code, why, "closing a socket");
        frames::put_close(code, why, &mut self.output);
        if self.flush().await.is_err() || self.stream.shutdown().await.is_err() {
            return;
        }
        let discarding = async {
            loop {
                self.input.clear();
                self.input.reserve(READ_BYTES);
                match self.stream.read_buf(&mut self.input).await {
                    Ok(count) if count > 0 => {}
                    _ => return,
                }
            }
        };
        // Either way the connection is over.
        let _ = env::clock::timeout(LINGER, discarding).await;
    }
}

/// An operation as it is carried out.
struct Running {
    asker: Asker,
    id: String,
    number: u64,
    sender: mpsc::Sender<Outgoing>,
}

impl Running {
    async fn run(self, request: Request, share: Share, mut stopped: oneshot::Receiver<()>) {
        let started = env::clock::now();
        let door = self.asker.graphql.door.clone();
        let metrics = &door.metrics;
        let outcome = self.carry_out(&request, &mut stopped).await;
        drop((request, share));
        let last = match outcome {
            Ok(()) => messages::complete(&self.id),
            Err(refused) => {
                metrics.errors.increment(1);
                tracing::debug!(%refused, "an operation has ended");
                messages::error(&self.id, &refused.errors())
            }
        };
        metrics.requests.increment(1);
        metrics.request_seconds.record(started.elapsed().as_secs_f64());
        self.send(last, None, true).await;
    }

    /// Carries an operation out until it is done, or nobody waits for it any more.
    async fn carry_out(&self, request: &Request, stopped: &mut oneshot::Receiver<()>) -> Result<(), Refused> {
        let document = Document::parse(&request.query)?;
        if !is_subscription(&document, request.operation.as_deref())? {
            let answer = tokio::select! {
                biased;
                _ = &mut *stopped => return Ok(()),
                answer = self.asker.answer(Asked::Read(request)) => answer,
            };
            let (text, share) = match answer {
                // What a statement has answered is an answer, too.
                Err(refused) if refused.sql().is_some() => (refused.answer(), None),
                answer => answer?,
            };
            self.send(messages::next(&self.id, &text), share, false).await;
            return Ok(());
        }
        let mut feed = tokio::select! {
            biased;
            _ = &mut *stopped => return Ok(()),
            begun = Feed::begin(self.asker.clone(), request, &document) => begun?,
        };
        let outcome = tokio::select! {
            biased;
            _ = &mut *stopped => Ok(()),
            outcome = self.follow(&mut feed) => outcome,
        };
        feed.close().await;
        outcome
    }

    /// Tells what there is to be told, as it is taken.
    async fn follow(&self, feed: &mut Feed<'_>) -> Result<(), Refused> {
        loop {
            let (text, share) = feed.next().await?;
            self.send(messages::next(&self.id, &text), share, false).await;
        }
    }

    /// If the socket is gone nobody hears it, and the operation is about to be stopped.
    async fn send(&self, text: String, share: Share, is_last: bool) {
        let outgoing = Outgoing { id: self.id.clone(), number: self.number, text, is_last, share };
        let _ = self.sender.send(outgoing).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_the_standard_says() {
        assert_eq!(accepted("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn words_of_headers_are_found_in_lists() {
        let mut headers = HeaderMap::new();
        headers.append(header::CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        headers.append(header::UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("graphql-ws"));
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("graphql-transport-ws"));
        assert!(is_asked_for(&headers) && has_word(&headers, header::CONNECTION, "upgrade"));
        assert!(has_word(&headers, header::SEC_WEBSOCKET_PROTOCOL, messages::NAME));
        assert!(!has_word(&headers, header::SEC_WEBSOCKET_PROTOCOL, "graphql"));
    }
}
