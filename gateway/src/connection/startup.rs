//! From the first packet to the first ReadyForQuery.

use std::net::SocketAddr;
use std::sync::Arc;

use audit::{Class, Record};
use env::watch;
use expr::encoding::Encoding;
use sql::{DatabaseMeant, GatewayBounds, Login, SessionParameters, Severity};
use tokio::io::{AsyncRead, AsyncWrite};

use super::authenticate::{Refusal, authenticate, find_database};
use super::extended::Extended;
use super::value::RowEncoder;
use super::{Connection, Ending, Shared, fatal};
use crate::limits::{self, Account, Holder, Meter};
use crate::pgwire::startup::{Refused, SessionRequest, StartupPacket, decode, split_options};
use crate::pgwire::{Wire, backend};
use crate::registry::{Connected, Phase, Place, Registered, Seat, reserved};
use crate::turn::Turn;

/// A client may ask for TLS and for GSSAPI encryption, once each.
const ENCRYPTION_REQUESTS_MAX: usize = 2;

/// A client that has shown who it is.
struct Newcomer {
    parameters: SessionParameters,
    login: Option<Login>,
    connected: Connected,
    database: DatabaseMeant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Goes through the startup. None: there is no session, and the client knows.
    pub(super) async fn open(
        mut wire: Wire<S>,
        peer: SocketAddr,
        shared: &Arc<Shared>,
        place: Place,
    ) -> Option<Self> {
        let mut phase = shared.registry.phase();
        let bounds = shared.engine.gateway_bounds();
        let address = shared.accounts.of(Holder::address(peer.ip()), env::clock::now());
        let patience = bounds.authentication_timeout.unwrap_or(shared.options.startup_timeout);
        let mut attempt = SessionParameters::default();
        let introduced = tokio::select! {
            biased;
            introduced = env::clock::timeout(
                patience,
                introduce(&mut wire, peer, shared, (place, &*address, &bounds), &mut attempt),
            ) => Some(introduced),
            () = stopping(&mut phase) => None,
        };
        let newcomer = match introduced {
            None => return goodbye(wire, &shutting_down()).await,
            Some(Ok(Ok(newcomer))) => newcomer,
            Some(Ok(Err(refusal))) => {
                note_refusal(shared, &attempt, peer, &refusal).await;
                return match refusal {
                    Refusal::Told(error) | Refusal::Guessed(error) => goodbye(wire, &error).await,
                    Refusal::Gone => None,
                };
            }
            Some(Err(_elapsed)) => {
                tracing::debug!(%peer, "a client did not finish its startup in time");
                return goodbye(wire, &fatal("08006", "terminating connection due to startup timeout")).await;
            }
        };
        let newcomer = newcomer?;
        let attempt = newcomer.parameters.clone();
        match Self::admit(newcomer, peer, shared, (address, bounds)) {
            Ok((Opening { session, registered, seats, turn }, connected)) => {
                let mut connection = Self {
                    wire,
                    session,
                    extended: Extended::default(),
                    encoder: RowEncoder::default(),
                    shared: Arc::clone(shared),
                    phase: shared.registry.phase(),
                    turn,
                    series: None,
                    registered,
                    _connected: connected,
                    _seats: seats,
                    _opened: shared.metrics.opened(),
                };
                if let Err(error) = connection.session.audit_login().await {
                    return goodbye(connection.wire, &error.severity(Severity::Fatal)).await;
                }
                connection.welcome().await.ok()?;
                Some(connection)
            }
            Err(error) => {
                if is_of_access(error.sqlstate) {
                    audit_refusal(shared, &attempt, peer, &error).await;
                }
                goodbye(wire, &error).await
            }
        }
    }

    fn admit(
        newcomer: Newcomer,
        peer: SocketAddr,
        shared: &Arc<Shared>,
        (address, bounds): (Arc<Account>, GatewayBounds),
    ) -> Result<(Opening, Connected), sql::Error> {
        let Newcomer { parameters, login, database: meant, connected, .. } = newcomer;
        if *shared.registry.phase().borrow() != Phase::Running {
            return Err(shutting_down());
        }
        if parameters.is_restricted && !shared.registry.leaves_reserved(shared.connections_max()) {
            shared.metrics.refused.increment(1);
            let message = "remaining connection slots are reserved for non-replication superuser connections";
            return Err(fatal("53300", message));
        }
        let seated = Bounds::of(&parameters, login.as_ref(), &meant);
        let opening = open_session(parameters, &seated, (address, bounds), peer, shared)?;
        opening.count(shared)?;
        Ok((opening, connected))
    }

    async fn welcome(&mut self) -> Result<(), Ending> {
        let (process_id, secret) = (self.registered.process_id, self.registered.secret);
        backend::authentication_ok(self.wire.output());
        let encoding = self.session.context().client_encoding;
        for (name, value) in self.session.take_parameter_changes() {
            backend::parameter_status(self.wire.output(), encoding, name, &value);
        }
        backend::backend_key_data(self.wire.output(), process_id, secret);
        self.ready_for_query().await
    }
}

/// Of what a session is one of so many at most.
#[derive(Clone)]
pub(crate) struct Bounds(Vec<(u32, i32, &'static str, String)>);

impl Bounds {
    /// Those of a client's role and database.
    pub(crate) fn of(parameters: &SessionParameters, login: Option<&Login>, meant: &DatabaseMeant) -> Self {
        let mut bounds = Vec::new();
        if let Some(role) = login.and_then(Login::role).filter(|role| !role.superuser) {
            bounds.push((role.oid, role.connection_limit, "role", role.name.clone()));
        }
        if parameters.is_restricted {
            bounds.push((meant.oid, meant.connection_limit, "database", meant.name.clone()));
        }
        Self(bounds)
    }
}

/// A session, and what it holds of what its role, its database and its address may have.
pub(crate) struct Opening {
    pub(crate) session: sql::Session,
    pub(crate) registered: Registered,
    pub(crate) seats: Vec<Seat>,
    pub(crate) turn: Turn,
}

impl Opening {
    /// Counts one more connection of its role. 53300 if that is one too many in this second.
    pub(crate) fn count(&self, shared: &Shared) -> Result<(), sql::Error> {
        let counted = self.turn.meter().connect(self.session.limits(), env::clock::now());
        counted.map_err(|error| {
            shared.metrics.refused.increment(1);
            error.severity(Severity::Fatal)
        })
    }
}

/// A session of a client that may have one, unless its role or its database has as many as it may. It takes from the accounts of
/// the role and of this address, within these bounds.
pub(crate) fn open_session(
    parameters: SessionParameters,
    seated: &Bounds,
    (address, bounds): (Arc<Account>, GatewayBounds),
    peer: SocketAddr,
    shared: &Arc<Shared>,
) -> Result<Opening, sql::Error> {
    let mut seats = Vec::new();
    for (oid, limit, what, name) in &seated.0 {
        let message = || format!("too many connections for {what} \"{name}\"");
        seats.push(shared.registry.take_seat(*oid, *limit).ok_or_else(|| fatal("53300", message()))?);
    }
    let (user, database) = (parameters.user.clone(), parameters.database.clone());
    let is_restricted = parameters.is_restricted;
    let mut session = shared.engine.session(parameters).map_err(|error| error.severity(Severity::Fatal))?;
    let role = shared.accounts.of(Holder::role(&user), env::clock::now());
    let patience = bounds.queue_timeout.unwrap_or(shared.options.queue_timeout);
    let meter = Meter::new(role, address, bounds);
    let turn = Turn::new(meter, Arc::clone(&shared.admission), patience, is_restricted);
    let registered = shared.registry.register(session.cancel_handle());
    session.enlist(registered.process_id, Some(peer));
    tracing::debug!(%peer, user = %user, database = %database, session = registered.process_id, "client connected");
    Ok(Opening { session, registered, seats, turn })
}

/// Has the logs know of a client that is not let in. One that may have guessed is waited with.
pub(crate) async fn note_refusal(
    shared: &Shared,
    attempt: &SessionParameters,
    peer: SocketAddr,
    refusal: &Refusal,
) {
    match refusal {
        Refusal::Gone => {}
        Refusal::Told(error) => {
            if error.sqlstate.starts_with("28") {
                tracing::warn!(
                    target: "audit", %peer, sqlstate = error.sqlstate, reason = %printable(&error.message), "a login was refused"
                );
            }
            if is_of_access(error.sqlstate) {
                audit_refusal(shared, attempt, peer, error).await;
            }
            tracing::debug!(%peer, message = %error.message, "refusing a client");
        }
        Refusal::Guessed(error) => {
            shared.metrics.login_failures.increment(1);
            tracing::warn!(
                target: "audit", %peer, sqlstate = error.sqlstate, reason = %printable(&error.message), "a login failed"
            );
            audit_refusal(shared, attempt, peer, error).await;
            env::clock::sleep(shared.failures.note(peer.ip(), env::clock::now())).await;
        }
    }
}

/// Completes once the gateway is about to stop.
async fn stopping(phase: &mut watch::Receiver<Phase>) {
    // If the gateway itself is gone, it has stopped.
    let _ = phase.wait_for(|phase| *phase != Phase::Running).await;
}

fn shutting_down() -> sql::Error {
    fatal("57P03", "the database system is shutting down")
}

/// The conversation up to the proof of who the client is, and what it has said of itself so far. None: it wanted no session,
/// or is gone.
async fn introduce<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    (place, address, bounds): (Place, &Account, &GatewayBounds),
    parameters: &mut SessionParameters,
) -> Result<Option<Newcomer>, Refusal> {
    let request = match request(wire, shared).await? {
        StartupPacket::Session(request) => request,
        StartupPacket::Cancel { process_id, secret } => {
            if shared.registry.cancel(process_id, secret) {
                shared.metrics.cancelled.increment(1);
            }
            return Ok(None);
        }
        StartupPacket::TlsRequest | StartupPacket::GssRequest => return Ok(None),
    };
    if *shared.registry.phase().borrow() != Phase::Running {
        return Err(Refusal::Told(shutting_down()));
    }
    let Place::Seat(connected) = place else {
        shared.metrics.refused.increment(1);
        return Err(Refusal::Told(fatal("53300", "sorry, too many clients already")));
    };
    limits::check_address(address, bounds, env::clock::now()).map_err(|error| {
        shared.metrics.refused.increment(1);
        Refusal::Told(error.severity(Severity::Fatal))
    })?;
    if request.minor > 0 || !request.protocol_options.is_empty() {
        backend::negotiate_version(wire.output(), request.protocol_options.clone());
    }
    *parameters = session_parameters(&request).map_err(Refusal::Told)?;
    parameters.encrypted = wire.channel().is_some();
    parameters.told = told(shared, bounds);
    let login = authenticate(wire, parameters, peer, shared).await?;
    let database = find_database(parameters, login.as_ref(), shared).await?;
    parameters.database_oid = Some(database.oid);
    parameters.database.clone_from(&database.name);
    parameters.defaults.clone_from(&database.defaults);
    // Who is believed without being asked is known all the same, as far as this gateway has heard of roles.
    let role = login.as_ref().and_then(Login::role);
    parameters.is_restricted = role.map_or(database.is_restricted, |role| !role.superuser);
    Ok(Some(Newcomer { parameters: std::mem::take(parameters), login, connected, database }))
}

/// What the gateway tells of itself.
fn told(shared: &Shared, bounds: &GatewayBounds) -> Vec<(&'static str, String)> {
    let connections_max = shared.connections_max();
    let patience = bounds.authentication_timeout.unwrap_or(shared.options.startup_timeout);
    vec![
        ("authentication_timeout", patience.as_millis().to_string()),
        ("max_connections", connections_max.to_string()),
        ("ssl", if shared.options.tls.is_some() { "on" } else { "off" }.to_owned()),
        ("superuser_reserved_connections", reserved(connections_max).to_string()),
    ]
}

/// The first packet that is not about encryption.
async fn request<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    shared: &Shared,
) -> Result<StartupPacket, Refusal> {
    for _ in 0..=ENCRYPTION_REQUESTS_MAX {
        let packet = decode(&wire.startup_frame().await?)
            .map_err(|Refused { sqlstate, message }| Refusal::Told(fatal(sqlstate, message)))?;
        match (packet, &shared.options.tls) {
            (StartupPacket::TlsRequest, Some(tls)) => {
                wire.encrypt(&tls.current()).await.inspect_err(|error| {
                    tracing::debug!(%error, "a connection is not encrypted");
                })?
            }
            (StartupPacket::TlsRequest | StartupPacket::GssRequest, _) => wire.refuse_encryption().await?,
            (other, _) => return Ok(other),
        }
    }
    Err(Refusal::Told(fatal("08P01", "too many requests for encryption")))
}

/// Whether a client was refused for who it is and what it wants, not for how things are just now.
fn is_of_access(sqlstate: &str) -> bool {
    sqlstate.starts_with("28") || matches!(sqlstate, "3D000" | "42501" | "53300" | "55000")
}

/// Has the audit log know of a client that was not let in, before it is told. It is not let in either way.
async fn audit_refusal(shared: &Shared, attempt: &SessionParameters, peer: SocketAddr, error: &sql::Error) {
    let log = shared.engine.audit();
    if !log.has_stream() {
        return;
    }
    let setting = |wanted: &str| attempt.settings.iter().find(|(name, _)| name == wanted);
    let record = Record {
        database: attempt.database.clone(),
        user: attempt.user.clone(),
        remote: peer.to_string(),
        application: setting("application_name").map_or_else(String::new, |(_, value)| printable(value)),
        encrypted: attempt.encrypted,
        authentication: attempt.authentication,
        class: Class::Session.name(),
        command: "LOGIN".to_owned(),
        outcome: error.sqlstate.to_owned(),
        reason: Some(printable(&error.message)),
        ..Record::default()
    };
    let told = match log.reserve().await {
        Ok(place) => log.written(log.hand_over(place, &record)).await,
        Err(unavailable) => Err(unavailable),
    };
    if let Err(unavailable) = told {
        tracing::error!(%peer, %unavailable, "a refused login may be missing there");
    }
}

async fn goodbye<S: AsyncRead + AsyncWrite + Unpin, T>(mut wire: Wire<S>, error: &sql::Error) -> Option<T> {
    backend::report(wire.output(), Encoding::UTF8, error.report());
    wire.finish_told().await;
    None
}

/// Takes the user, the database and the settings out of the startup packet.
fn session_parameters(request: &SessionRequest) -> Result<SessionParameters, sql::Error> {
    let user = match request.parameter("user") {
        Some(user) if !user.is_empty() => user.to_owned(),
        _ => return Err(fatal("28000", "no PostgreSQL user name specified in startup packet")),
    };
    let database = request.parameter("database").filter(|name| !name.is_empty()).unwrap_or(&user).to_owned();
    let mut settings = Vec::new();
    for (name, value) in &request.parameters {
        match name.as_str() {
            "user" | "database" => {}
            "options" => {
                let options =
                    split_options(value).map_err(|refused| fatal(refused.sqlstate, refused.message))?;
                settings.extend(options);
            }
            "replication" => {
                if !matches!(value.to_ascii_lowercase().as_str(), "off" | "false" | "no" | "0") {
                    return Err(fatal("0A000", "replication connections are not supported"));
                }
            }
            _ => settings.push((name.clone(), value.clone())),
        }
    }
    Ok(SessionParameters { user, database, settings, ..SessionParameters::default() })
}

/// What a client has said, fit for a line of a log.
fn printable(text: &str) -> String {
    /// More of it says nothing more.
    const CHARS_MAX: usize = 300;
    text.chars().take(CHARS_MAX).map(|c| if c.is_control() { '?' } else { c }).collect()
}
