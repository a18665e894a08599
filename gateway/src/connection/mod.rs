//! One client: from its first packet to its goodbye.
//!
//! ```text
//! open ──▶ startup ──▶ loop { message ──▶ simple │ extended │ copy ──▶ answers buffered ──▶ flush at Sync } ──▶ close
//! ```
//!
//! An error of a statement is sent and the conversation goes on, in the extended protocol after the next Sync. An error
//! of the conversation itself ends it. Whichever way it ends, the session is closed and what it had open rolled back.

pub(crate) mod authenticate;
mod begin;
mod copy;
mod extended;
mod simple;
mod spans;
pub(crate) mod startup;
mod statement;
mod value;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use env::trace::Span;
use env::watch;
use scram::MockSecret;
use sql::{Engine, Mailbox, Report, Session, Severity};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::access::Failures;
use crate::admission::Admission;
use crate::limits::Accounts;
use crate::metrics::GatewayMetrics;
use crate::metrics::Opened;
use crate::options::GatewayOptions;
use crate::pgwire::frontend::Message;
use crate::pgwire::{Frame, ProtocolError, Wire, backend};
use crate::registry::{Connected, Phase, Registered, Registry, Seat};
use crate::turn::Turn;
use extended::Extended;
use value::RowEncoder;

/// What is in a message of so many bytes takes long to parse, plan or write.
const LONG_MESSAGE_BYTES: usize = 16 << 10;

/// About so many bytes of notifications are sent at once.
const NOTIFICATIONS_BYTES: usize = 64 << 10;

/// What all connections of a gateway share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) options: GatewayOptions,
    pub(crate) failures: Failures,
    /// What roles and addresses have taken.
    pub(crate) accounts: Accounts,
    /// Who may run statements now.
    pub(crate) admission: Arc<Admission>,
    /// What the salts of roles that do not exist follow from as long as the cluster has no secret for that.
    pub(crate) mock_secret: MockSecret,
}

impl Shared {
    pub(crate) fn new(engine: Arc<Engine>, options: GatewayOptions) -> Self {
        let mut secret = [0; 32];
        env::random::fill(&mut secret);
        Self {
            engine,
            registry: Registry::new(),
            metrics: GatewayMetrics::new(),
            options,
            failures: Failures::default(),
            accounts: Accounts::default(),
            admission: Admission::new(),
            mock_secret: MockSecret::new(&secret),
        }
    }

    /// The most connections that there may be now.
    pub(crate) fn connections_max(&self) -> usize {
        let own = self.options.connections_max;
        self.engine.gateway_bounds().connections_max.map_or(own, |most| most.min(own))
    }

    /// How long a client may take until it has shown who it is.
    pub(crate) fn patience(&self) -> Duration {
        self.engine.gateway_bounds().authentication_timeout.unwrap_or(self.options.startup_timeout)
    }
}

/// Serves one client until it or the gateway ends.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: SocketAddr,
    shared: &Arc<Shared>,
) {
    let Some(place) = shared.registry.arrive(shared.connections_max()) else {
        shared.metrics.refused.increment(1);
        tracing::debug!(%peer, "closing a connection: too many are being turned away already");
        return;
    };
    let Some(handshake) = shared.registry.shake_hands(shared.options.handshakes_max) else {
        shared.metrics.refused.increment(1);
        tracing::debug!(%peer, "closing a connection: too many have not proved who they are");
        return;
    };
    let wire = Wire::new(stream, shared.options.message_bytes_max);
    let Some(connection) = Connection::open(wire, peer, shared, place).await else { return };
    drop(handshake);
    connection.run().await;
}

/// What went wrong while a message was handled.
enum Failure {
    /// The statement: the client is told and may go on.
    Statement(sql::Error),
    /// The conversation: it ends.
    Connection(Ending),
}

impl From<sql::Error> for Failure {
    fn from(error: sql::Error) -> Self {
        Self::Statement(error)
    }
}

impl From<Ending> for Failure {
    fn from(ending: Ending) -> Self {
        Self::Connection(ending)
    }
}

impl From<ProtocolError> for Failure {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Malformed { sqlstate, message } => {
                Self::Statement(sql::Error::new(sqlstate, message))
            }
            other => Self::Connection(other.into()),
        }
    }
}

/// How a conversation ends.
enum Ending {
    /// The client said goodbye or is gone.
    Client,
    /// The client is told why.
    Told(sql::Error),
    /// It has said nothing for as long as it may.
    Silent,
    /// It does not read what it was to be sent, and has perhaps read half of a message.
    Deaf,
}

/// What the audit log is told of a statement whose client has gone before its end.
const CONNECTION_LOST: &str = "08006";

impl Ending {
    /// Why what the session was doing came to no end, as the audit log tells it.
    fn sqlstate(&self, session: &Session) -> &'static str {
        match self {
            Self::Told(error) => error.sqlstate,
            Self::Deaf => session.cancel_handle().farewell().sqlstate,
            Self::Client | Self::Silent => CONNECTION_LOST,
        }
    }
}

impl From<ProtocolError> for Ending {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Closed => Self::Client,
            ProtocolError::Io(error) | ProtocolError::Handshake(error) => {
                tracing::debug!(%error, "connection lost");
                Self::Client
            }
            ProtocolError::Violation { message } => Self::Told(fatal("08P01", message)),
            ProtocolError::TooLong { message } => Self::Told(fatal("54000", message)),
            ProtocolError::Malformed { sqlstate, message } => Self::Told(fatal(sqlstate, message)),
        }
    }
}

fn shutting_down() -> sql::Error {
    fatal("57P01", "terminating connection due to administrator command")
}

/// A report that ends the session.
fn fatal(sqlstate: &'static str, message: impl Into<String>) -> sql::Error {
    sql::Error::new(sqlstate, message).severity(Severity::Fatal)
}

/// A client with a session.
///
/// # Invariants
/// - ReadyForQuery is sent exactly once for each Query and each Sync.
/// - After an error in the extended protocol nothing but Sync is answered (`extended.skipping`).
struct Connection<S> {
    wire: Wire<S>,
    session: Session,
    extended: Extended,
    encoder: RowEncoder,
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    turn: Turn,
    /// The span of the series of messages under way, if it is traced.
    series: Option<Span>,
    registered: Registered,
    _connected: Connected,
    _seats: Vec<Seat>,
    _opened: Opened,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Talks until one of the sides has enough, then closes the session.
    async fn run(mut self) {
        let ending = self.converse().await;
        self.session.audit_logout();
        // What is still to be sent has its records as well.
        if self.session.audit_written().await.is_err() {
            self.wire.output().clear();
        }
        match ending {
            Ending::Client | Ending::Silent => {
                self.session.close().await;
                self.wire.finish().await;
            }
            Ending::Told(error) => {
                tracing::debug!(sqlstate = error.sqlstate, message = %error.message, "ending a session");
                backend::report(self.wire.output(), self.session.context().client_encoding, error.report());
                self.session.close().await;
                self.wire.finish_told().await;
            }
            Ending::Deaf => self.session.close().await,
        }
    }

    /// Sends what is buffered, once the records of what it answers are written. A client that does not read it keeps no
    /// session that is to end.
    async fn flush(&mut self) -> Result<(), Ending> {
        if let Err(error) = self.session.audit_written().await {
            // What became of its statements is not told: there may be no record of it.
            self.wire.output().clear();
            return Err(Ending::Told(error.severity(Severity::Fatal)));
        }
        let terminated = self.session.cancel_handle();
        tokio::select! {
            biased;
            sent = self.wire.flush() => {
                self.note_moved();
                Ok(sent?)
            }
            () = terminated.terminated() => Err(Ending::Deaf),
        }
    }

    /// Sends what is buffered if it is much.
    async fn flush_if_large(&mut self) -> Result<(), Ending> {
        if !self.wire.holds_much() {
            return Ok(());
        }
        // A client that reads slowly keeps no place from others.
        self.turn.rest();
        let flushed = self.flush().await;
        self.turn.go_on();
        flushed
    }

    async fn converse(&mut self) -> Ending {
        loop {
            let terminated = self.session.cancel_handle();
            let next = tokio::select! {
                biased;
                () = terminated.terminated() => None,
                next = self.next_frame() => Some(next),
            };
            let frame = match next {
                Some(Ok(frame)) => frame,
                Some(Err(ending)) => return ending,
                // Notifications were on their way.
                None if self.wire.holds_any() => return Ending::Deaf,
                None => return Ending::Told(terminated.farewell()),
            };
            match self.handle(&frame).await {
                Ok(true) => {}
                Ok(false) => return Ending::Client,
                Err(ending) => return ending,
            }
        }
    }

    /// The next message, unless the gateway or a timeout ends the session first.
    async fn next_frame(&mut self) -> Result<Frame, Ending> {
        // As long as a series of messages is under way the client is not idle, whatever it is waiting for.
        let idle = if !self.extended.is_idle() {
            None
        } else if self.session.has_transaction() {
            self.session.idle_in_transaction_timeout().map(|timeout| {
                (timeout, "25P03", "terminating connection due to idle-in-transaction timeout")
            })
        } else {
            let idle = self.session.idle_session_timeout();
            idle.map(|timeout| (timeout, "57P05", "terminating connection due to idle-session timeout"))
        };
        // A transaction lasts, whether the client is idle or in the middle of a series.
        let left = if self.session.has_transaction() { self.session.transaction_left() } else { None };
        let left = left.map(|left| (left, "25P04", "terminating connection due to transaction timeout"));
        let patience = match (idle, left) {
            (Some(idle), Some(left)) => Some(if idle.0 < left.0 { idle } else { left }),
            (idle, left) => idle.or(left),
        };
        let frame = self.frame_within(patience.map(|(timeout, ..)| timeout)).await;
        match (frame, patience) {
            (Err(Ending::Silent), Some((_, sqlstate, message))) => {
                Err(Ending::Told(fatal(sqlstate, message)))
            }
            (frame, _) => frame,
        }
    }

    /// The next message within `patience`, else [`Ending::Silent`]; less if the gateway ends.
    async fn frame_within(&mut self, patience: Option<Duration>) -> Result<Frame, Ending> {
        let until = patience.map(|patience| env::clock::now() + patience);
        loop {
            let patience = until.map(|until| until.saturating_duration_since(env::clock::now()));
            let phase = *self.phase.borrow_and_update();
            if phase != Phase::Running {
                let waiting = self.next_frame_while_draining(phase);
                return match patience {
                    None => waiting.await,
                    Some(patience) => {
                        env::clock::timeout(patience, waiting).await.map_err(|_elapsed| Ending::Silent)?
                    }
                };
            }
            if let Some(frame) = self.wire.buffered_frame()? {
                return Ok(frame);
            }
            // What took long is done and dropped: what comes next is short until it turns out not to be.
            env::pool::come_home();
            self.turn.rest();
            let mailbox = if self.hears_notifications() { self.session.mailbox() } else { None };
            if mailbox.is_some() {
                self.send_notifications().await?;
                self.flush().await?;
            }
            let waiting = next_or_drain(&mut self.wire, &mut self.phase, mailbox.as_deref());
            let frame = match patience {
                None => waiting.await,
                Some(patience) => {
                    env::clock::timeout(patience, waiting).await.map_err(|_elapsed| Ending::Silent)?
                }
            };
            if let Some(frame) = frame {
                return Ok(frame?);
            }
        }
    }

    /// The kind of the next message that is no Close, once it has begun to arrive; of many Closes one of theirs.
    async fn kind_behind_closes(&mut self) -> Result<u8, Ending> {
        loop {
            if let Some(kind) = self.wire.kind_behind_closes() {
                self.turn.go_on();
                return Ok(kind);
            }
            self.turn.rest();
            if *self.phase.borrow_and_update() == Phase::Ending {
                return Err(Ending::Told(shutting_down()));
            }
            tokio::select! {
                biased;
                filled = self.wire.fill() => filled?,
                changed = self.phase.changed() => {
                    if changed.is_err() {
                        return Err(Ending::Client);
                    }
                }
            }
        }
    }

    async fn next_frame_while_draining(&mut self, mut phase: Phase) -> Result<Frame, Ending> {
        loop {
            if phase == Phase::Ending || (!self.session.has_transaction() && self.extended.is_idle()) {
                return Err(Ending::Told(shutting_down()));
            }
            if let Some(frame) = next_or_drain(&mut self.wire, &mut self.phase, None).await {
                return Ok(frame?);
            }
            phase = *self.phase.borrow_and_update();
        }
    }

    /// Handles one message. False: the client said goodbye.
    async fn handle(&mut self, frame: &Frame) -> Result<bool, Ending> {
        if frame.body.len() >= LONG_MESSAGE_BYTES {
            env::pool::go_to_pool().await;
        }
        let encoding = self.session.context().client_encoding;
        let converted = match encoding.is_utf8() {
            true => None,
            false => match frame.in_utf8(encoding) {
                Ok(converted) => Some(converted),
                Err(error) => {
                    self.refuse_unread(frame.kind, sql::Error::from(error).into()).await?;
                    return Ok(true);
                }
            },
        };
        let frame = converted.as_ref().unwrap_or(frame);
        let message = match frame.decode() {
            Ok(message) => message,
            Err(error) => {
                self.refuse_unread(frame.kind, error.into()).await?;
                return Ok(true);
            }
        };
        match message {
            Message::Terminate => return Ok(false),
            Message::Sync => self.sync().await?,
            _ if self.extended.is_skipping() => {}
            Message::Flush => self.flush().await?,
            Message::Query(sql) => self.query(sql).await?,
            // What a client still sends after its COPY FROM STDIN has failed.
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => {}
            Message::FunctionCall => {
                let error = sql::Error::unsupported("a function call by message");
                self.refuse_unread(frame.kind, error.into()).await?;
            }
            Message::Password => {
                let message = "password message without an authentication request";
                return Err(ProtocolError::violation(message).into());
            }
            extended => {
                if let Err(failure) = self.extended_message(extended).await {
                    self.refuse(frame.kind, failure).await?;
                }
            }
        }
        Ok(true)
    }

    /// The same as [`Self::refuse`] of a message whose statement nobody could read: so much of it is recorded.
    async fn refuse_unread(&mut self, kind: u8, failure: Failure) -> Result<(), Ending> {
        let failure = match failure {
            Failure::Statement(error)
                if matches!(kind, b'Q' | b'P' | b'B' | b'F') && !self.extended.is_skipping() =>
            {
                self.session.audit_unparsed("", error).await.into()
            }
            other => other,
        };
        self.refuse(kind, failure).await
    }

    /// Tells the client of an error with a message of this kind.
    async fn refuse(&mut self, kind: u8, failure: Failure) -> Result<(), Ending> {
        let error = match failure {
            Failure::Statement(error) => error,
            Failure::Connection(ending) => return Err(ending),
        };
        let cancel = self.session.cancel_handle();
        if cancel.is_terminated() {
            return Err(Ending::Told(cancel.farewell()));
        }
        if self.extended.is_skipping() {
            return Ok(());
        }
        self.session.fail().await;
        self.report_notices();
        self.report(error.report());
        if matches!(kind, b'Q' | b'F') {
            return self.ready_for_query().await;
        }
        self.extended.skip_to_sync();
        // The client may wait for it without a Sync: it cannot know that there is an error.
        self.flush().await
    }

    /// Buffers an error or notice.
    fn report(&mut self, report: &Report) {
        if matches!(report.severity, Severity::Error | Severity::Fatal) {
            self.shared.metrics.failed(report.sqlstate);
            tracing::debug!(sqlstate = report.sqlstate, message = %report.message, "statement failed");
        }
        backend::report(self.wire.output(), self.session.context().client_encoding, report);
    }

    /// Buffers the session's notices.
    fn report_notices(&mut self) {
        for notice in self.session.take_notices() {
            backend::report(self.wire.output(), self.session.context().client_encoding, &notice);
        }
    }

    /// Buffers changed settings and ReadyForQuery, and sends everything.
    async fn ready_for_query(&mut self) -> Result<(), Ending> {
        self.report_notices();
        let encoding = self.session.context().client_encoding;
        for (name, value) in self.session.take_parameter_changes() {
            backend::parameter_status(self.wire.output(), encoding, name, &value);
        }
        self.send_notifications().await?;
        self.session.tell_rest();
        self.turn.leave(&self.session);
        backend::ready_for_query(self.wire.output(), self.session.status());
        self.flush().await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Whether the client may be told what it listens to: outside of transactions, and of series of messages.
    fn hears_notifications(&self) -> bool {
        self.extended.is_idle() && !self.session.has_transaction()
    }

    /// Buffers the notifications that wait for the client, and sends what is much.
    async fn send_notifications(&mut self) -> Result<(), Ending> {
        let encoding = self.session.context().client_encoding;
        loop {
            let notifications = self.session.take_notifications(NOTIFICATIONS_BYTES);
            if notifications.is_empty() {
                return Ok(());
            }
            for notification in notifications {
                backend::notification(self.wire.output(), encoding, &notification);
            }
            self.flush_if_large().await?;
        }
    }
}

/// Completes once there is something in the mailbox; without one, never.
async fn filled(mailbox: Option<&Mailbox>) {
    match mailbox {
        Some(mailbox) => mailbox.filled().await,
        None => std::future::pending().await,
    }
}

/// The next frame, or None when the phase has changed or there is something in the mailbox.
async fn next_or_drain<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    phase: &mut watch::Receiver<Phase>,
    mailbox: Option<&Mailbox>,
) -> Option<Result<Frame, ProtocolError>> {
    tokio::select! {
        biased;
        frame = wire.frame() => Some(frame),
        changed = phase.changed() => {
            if changed.is_err() {
                // The gateway itself is gone; its tasks end with it.
                return Some(Err(ProtocolError::Closed));
            }
            None
        }
        () = filled(mailbox) => None,
    }
}
