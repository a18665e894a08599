//! From the startup packet to a client that has shown that it is who it says.
//!
//! ```text
//! too many failures? ──▶ rule ──▶ trust │ certificate │ SCRAM ──▶ may log in, may connect, within its bounds
//! ```
//!
//! Whoever fails learns nothing but that: a role that does not exist, has no password or is out of date goes through the
//! same exchange, and the answer takes the same time. What a role may not do is told only to whom proved to be it.

use std::net::SocketAddr;
use std::sync::Arc;

use scram::{Binding, Exchange, Failure, MECHANISM, MECHANISM_PLUS};
use sql::{DatabaseMeant, Login, SessionParameters};
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::{Shared, fatal};
use crate::access::{Asked, ClientCertificate, Method, Rule, Rules};
use crate::pgwire::{ProtocolError, Wire, backend, sasl};
use crate::tls::Channel;

/// Why a client is not let in.
pub(crate) enum Refusal {
    /// It is told why.
    Told(sql::Error),
    /// The same, and it counts as an attempt to guess.
    Guessed(sql::Error),
    /// It is gone.
    Gone,
}

impl From<ProtocolError> for Refusal {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Closed | ProtocolError::Io(_) | ProtocolError::Handshake(_) => Self::Gone,
            ProtocolError::Malformed { sqlstate, message } => Self::Told(fatal(sqlstate, message)),
            ProtocolError::Violation { message } | ProtocolError::TooLong { message } => {
                Self::Told(fatal("08P01", message))
            }
        }
    }
}

fn told(sqlstate: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::Told(fatal(sqlstate, message))
}

/// Finds out whether the client is who it says, and notes how; what is known of the role then. `None`: nobody is asked.
pub(super) async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    parameters: &mut SessionParameters,
    peer: SocketAddr,
    shared: &Arc<Shared>,
) -> Result<Option<Login>, Refusal> {
    let Some((method, login)) = judge(wire.channel(), parameters, peer, shared).await? else {
        return Ok(None);
    };
    if method == Method::Scram {
        prove(wire, &login, parameters, peer, shared).await?;
    }
    check_login(&login, parameters)?;
    Ok(Some(login))
}

/// The same of a client that tells its password itself, if it tells one. Who is to prove nothing may tell any.
pub(crate) async fn authenticate_told(
    password: Option<&str>,
    channel: Option<&Channel>,
    parameters: &mut SessionParameters,
    peer: SocketAddr,
    shared: &Arc<Shared>,
) -> Result<Option<Login>, Refusal> {
    let Some((method, login)) = judge(channel, parameters, peer, shared).await? else {
        return Ok(None);
    };
    if method == Method::Scram {
        let user = parameters.user.as_str();
        let Some(password) = password else {
            return Err(told("28000", format!("no password was told for user \"{user}\"")));
        };
        if channel.is_none() && !peer.ip().to_canonical().is_loopback() {
            return Err(told("28000", "a password is not taken over a connection that is not encrypted"));
        }
        let (verifier, password) =
            (login.verifier(user, &shared.mock_secret), Zeroizing::new(password.to_owned()));
        // Thousands of rounds, which no client that is served here is to wait for.
        let fits = env::task::blocking(move || verifier.fits(&password)).await;
        check_failures(peer, shared)?;
        if !fits.unwrap_or(false) {
            return Err(wrong_password(user));
        }
    }
    check_login(&login, parameters)?;
    Ok(Some(login))
}

/// What a client has to show by the rules, and what is known of the role; a certificate that is asked for was looked at.
/// `None`: nobody is asked.
async fn judge(
    channel: Option<&Channel>,
    parameters: &mut SessionParameters,
    peer: SocketAddr,
    shared: &Arc<Shared>,
) -> Result<Option<(Method, Login)>, Refusal> {
    let Some(access) = &shared.options.access else { return Ok(None) };
    check_failures(peer, shared)?;
    let rules = access.current();
    let early = if rules.ask_memberships() { Some(login(shared, &parameters.user).await?) } else { None };
    let rule = find(&rules, channel.is_some(), parameters, peer, early.as_ref())?;
    parameters.authentication = rule.method.name();
    check_certificate(rule, channel, &parameters.user)?;
    let known = match (early, rule.method) {
        (Some(login), _) => Some(login),
        (None, Method::Trust) => shared.engine.known_login(&parameters.user),
        (None, _) => None,
    };
    let login = match known {
        Some(login) => login,
        None => login(shared, &parameters.user).await?,
    };
    match rule.method {
        Method::Reject => Err(rejected("pg_hba.conf rejects connection", channel, parameters, peer)),
        Method::Trust | Method::Certificate if login.role().is_none() => {
            Err(told("28000", format!("role \"{}\" does not exist", parameters.user)))
        }
        method => Ok(Some((method, login))),
    }
}

/// Whether the address may try at all, after its failures of late.
fn check_failures(peer: SocketAddr, shared: &Shared) -> Result<(), Refusal> {
    let wait = shared.failures.wait(peer.ip(), env::clock::now());
    if wait.is_zero() {
        return Ok(());
    }
    let seconds = wait.as_secs().saturating_add(1);
    let message = format!("too many failed logins from this address; try again in {seconds} s");
    Err(told("53400", message))
}

async fn login(shared: &Shared, user: &str) -> Result<Login, Refusal> {
    shared.engine.login(user).await.map_err(|error| {
        tracing::warn!(%error, "a client cannot log in: the roles cannot be read");
        told("57P03", "the database system is not able to accept connections: its roles cannot be read now")
    })
}

fn find<'a>(
    rules: &'a Rules,
    encrypted: bool,
    parameters: &SessionParameters,
    peer: SocketAddr,
    login: Option<&Login>,
) -> Result<&'a Rule, Refusal> {
    let is_member = |role: &str, of: &str| login.is_some_and(|login| login.is_member(role, of));
    let (database, user) = (parameters.database.as_str(), parameters.user.as_str());
    let asked = Asked { address: peer.ip(), encrypted, database, user, is_member: &is_member };
    rules.find(&asked).ok_or_else(|| {
        let channel = if encrypted { "SSL encryption" } else { "no encryption" };
        told("28000", no_entry("no pg_hba.conf entry", channel, parameters, peer))
    })
}

fn rejected(
    what: &str,
    channel: Option<&Channel>,
    parameters: &SessionParameters,
    peer: SocketAddr,
) -> Refusal {
    let channel = if channel.is_some() { "SSL encryption" } else { "no encryption" };
    told("28000", no_entry(what, channel, parameters, peer))
}

fn no_entry(what: &str, channel: &str, parameters: &SessionParameters, peer: SocketAddr) -> String {
    let SessionParameters { user, database, .. } = parameters;
    format!("{what} for host \"{}\", user \"{user}\", database \"{database}\", {channel}", peer.ip())
}

/// Whether the client's certificate says what the rule wants. It was signed by the authority: TLS has seen to that.
fn check_certificate(rule: &Rule, channel: Option<&Channel>, user: &str) -> Result<(), Refusal> {
    if rule.client_certificate == ClientCertificate::Optional {
        return Ok(());
    }
    let shown = channel.and_then(|channel| channel.certificate.as_ref());
    let Some(certificate) = shown else {
        return Err(told("28000", "connection requires a valid client certificate"));
    };
    let is_named = certificate.common_name.as_deref() == Some(user);
    // One of a node or a gateway says which process it is, and nobody's name.
    let is_clients = certificate.role.is_none_or(|role| role == cert::Role::Client);
    if rule.client_certificate == ClientCertificate::Signed || is_named && is_clients {
        return Ok(());
    }
    let message = format!("certificate authentication failed for user \"{user}\"");
    Err(Refusal::Guessed(fatal("28000", message)))
}

/// SCRAM.
async fn prove<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    login: &Login,
    parameters: &SessionParameters,
    peer: SocketAddr,
    shared: &Shared,
) -> Result<(), Refusal> {
    let user = parameters.user.as_str();
    let binding = match wire.channel().and_then(|channel| channel.end_point.clone()) {
        Some(hash) => Binding::EndPoint(hash),
        None => Binding::Unavailable,
    };
    let mechanisms: &[&str] = match binding {
        Binding::EndPoint(_) => &[MECHANISM_PLUS, MECHANISM],
        Binding::Unavailable => &[MECHANISM],
    };
    backend::authentication_sasl(wire.output(), mechanisms);
    wire.flush().await?;
    let answer = wire.answer().await?;
    let first = sasl::decode_initial(&answer)?;
    if !mechanisms.contains(&first.mechanism) {
        return Err(told("08P01", "client selected an invalid SASL authentication mechanism"));
    }
    let verifier = login.verifier(user, &shared.mock_secret);
    let failed = |failure: Failure| match failure {
        Failure::WrongProof => wrong_password(user),
        Failure::Malformed(_) => Refusal::Guessed(fatal("08P01", failure.to_string())),
        Failure::Downgraded(_) => Refusal::Guessed(fatal("28000", failure.to_string())),
    };
    let (exchange, reply) =
        Exchange::begin(verifier, first.mechanism, &binding, first.response).map_err(failed)?;
    backend::authentication_sasl_continue(wire.output(), reply);
    wire.flush().await?;
    let answer = wire.answer().await?;
    // Once more: of many that began at once none may be tried once too many of the others have failed.
    check_failures(peer, shared)?;
    let signature = exchange.finish(&answer).map_err(failed)?;
    backend::authentication_sasl_final(wire.output(), signature);
    Ok(())
}

fn wrong_password(user: &str) -> Refusal {
    Refusal::Guessed(fatal("28P01", format!("password authentication failed for user \"{user}\"")))
}

/// What is told to whom has proved to be the role.
fn check_login(login: &Login, parameters: &SessionParameters) -> Result<(), Refusal> {
    let user = &parameters.user;
    let Some(role) = login.role() else {
        return Err(wrong_password(user));
    };
    if !role.login {
        return Err(told("28000", format!("role \"{user}\" is not permitted to log in")));
    }
    Ok(())
}

/// The database that the client wants, if it may connect to it.
pub(crate) async fn find_database(
    parameters: &SessionParameters,
    login: Option<&Login>,
    shared: &Shared,
) -> Result<DatabaseMeant, Refusal> {
    let found = shared.engine.database(&parameters.database, &parameters.user).await;
    let database = found.map_err(|error| Refusal::Told(error.severity(sql::Severity::Fatal)))?;
    if login.map_or(database.is_closed_to_role, |login| !login.may_connect(database.oid)) {
        let error = fatal("42501", format!("permission denied for database \"{}\"", database.name));
        return Err(Refusal::Told(error.detail("User does not have CONNECT privilege.")));
    }
    if !database.allows_connections {
        let message = format!("database \"{}\" is not currently accepting connections", database.name);
        return Err(told("55000", message));
    }
    Ok(database)
}
