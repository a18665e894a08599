//! From the first packet to the first ReadyForQuery.

use std::net::SocketAddr;
use std::sync::Arc;

use env::watch;
use sql::{SessionParameters, Severity};
use tokio::io::{AsyncRead, AsyncWrite};

use super::extended::Extended;
use super::value::RowEncoder;
use super::{Connection, Ending, Shared, fatal};
use crate::pgwire::startup::{Refused, SessionRequest, StartupPacket, decode, split_options};
use crate::pgwire::{ProtocolError, Wire, backend};
use crate::registry::{Connected, Phase, Place, Registered};

/// A client may ask for TLS and for GSSAPI encryption, once each.
const ENCRYPTION_REQUESTS_MAX: usize = 2;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Goes through the startup. None: there is no session, and the client knows.
    pub(super) async fn open(
        mut wire: Wire<S>,
        peer: SocketAddr,
        shared: &Arc<Shared>,
        place: Place,
    ) -> Option<Self> {
        let mut phase = shared.registry.phase();
        let opened = tokio::select! {
            biased;
            opened = env::clock::timeout(shared.options.startup_timeout, request(&mut wire)) => Some(opened),
            () = stopping(&mut phase) => None,
        };
        let Some(opened) = opened else { return goodbye(wire, &shutting_down()).await };
        let request = match opened {
            Ok(Ok(Some(StartupPacket::Session(request)))) => request,
            Ok(Ok(Some(StartupPacket::Cancel { process_id, secret }))) => {
                if shared.registry.cancel(process_id, secret) {
                    shared.metrics.cancelled.increment(1);
                }
                return None;
            }
            Ok(Ok(Some(StartupPacket::EncryptionRequest) | None)) => return None,
            Ok(Err(refused)) => {
                tracing::debug!(%peer, message = %refused.message, "refusing a client");
                return goodbye(wire, &fatal(refused.sqlstate, refused.message)).await;
            }
            Err(_elapsed) => {
                tracing::debug!(%peer, "a client did not finish its startup in time");
                return goodbye(wire, &fatal("08006", "terminating connection due to startup timeout")).await;
            }
        };
        match Self::admit(request, peer, shared, place, &mut wire) {
            Ok(parts) => {
                let (session, registered, connected) = parts;
                let mut connection = Self {
                    wire,
                    session,
                    extended: Extended::default(),
                    encoder: RowEncoder::default(),
                    shared: Arc::clone(shared),
                    phase: shared.registry.phase(),
                    registered,
                    _connected: connected,
                    _opened: shared.metrics.opened(),
                };
                connection.welcome().await.ok()?;
                Some(connection)
            }
            Err(error) => goodbye(wire, &error).await,
        }
    }

    fn admit(
        request: SessionRequest,
        peer: SocketAddr,
        shared: &Arc<Shared>,
        place: Place,
        wire: &mut Wire<S>,
    ) -> Result<(sql::Session, Registered, Connected), sql::Error> {
        if *shared.registry.phase().borrow() != Phase::Running {
            return Err(shutting_down());
        }
        let Place::Seat(connected) = place else {
            shared.metrics.refused.increment(1);
            return Err(fatal("53300", "sorry, too many clients already"));
        };
        if request.minor > 0 || !request.protocol_options.is_empty() {
            backend::negotiate_version(wire.output(), request.protocol_options.clone());
        }
        let parameters = session_parameters(&request)?;
        tracing::debug!(%peer, user = %parameters.user, database = %parameters.database, "client connected");
        let mut session =
            shared.engine.session(parameters).map_err(|error| error.severity(Severity::Fatal))?;
        let registered = shared.registry.register(session.cancel_handle());
        session.set_backend_pid(registered.process_id);
        Ok((session, registered, connected))
    }

    async fn welcome(&mut self) -> Result<(), Ending> {
        let (process_id, secret) = (self.registered.process_id, self.registered.secret);
        backend::authentication_ok(self.wire.output());
        for (name, value) in self.session.take_parameter_changes() {
            backend::parameter_status(self.wire.output(), name, &value);
        }
        backend::backend_key_data(self.wire.output(), process_id, secret);
        self.ready_for_query().await
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

/// The first packet that is not about encryption. None: the client is gone.
async fn request<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
) -> Result<Option<StartupPacket>, Refused> {
    for _ in 0..=ENCRYPTION_REQUESTS_MAX {
        let packet = match wire.startup_frame().await {
            Ok(packet) => packet,
            Err(ProtocolError::Closed | ProtocolError::Io(_)) => return Ok(None),
            Err(error) => return Err(Refused { sqlstate: "08P01", message: error.to_string() }),
        };
        match decode(&packet)? {
            StartupPacket::EncryptionRequest => {
                if wire.refuse_encryption().await.is_err() {
                    return Ok(None);
                }
            }
            other => return Ok(Some(other)),
        }
    }
    Err(Refused { sqlstate: "08P01", message: "too many requests for encryption".to_owned() })
}

async fn goodbye<S: AsyncRead + AsyncWrite + Unpin, T>(mut wire: Wire<S>, error: &sql::Error) -> Option<T> {
    backend::report(wire.output(), error.report());
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
    Ok(SessionParameters { user, database, settings })
}
