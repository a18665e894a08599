//! Who a client of a door is, and whether it may come in: by the rules, the roles and the bounds of PostgreSQL's port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sql::{Login, SessionParameters};
use zeroize::Zeroizing;

use super::Door;
use crate::connection::Shared;
use crate::connection::authenticate::{Refusal, authenticate_told, find_database};
use crate::connection::startup::{Bounds, Opening, note_refusal};
use crate::tls::Channel;

/// The database of all doors: the one that every cluster has at first.
const DATABASE: &str = "postgres";

/// Whom a client on this machine is taken for that does not say who it is, where the rules believe it.
const NOBODY_SAID: &str = "postgres";

/// How long a statement may take, unless the role or the database says otherwise.
const STATEMENT_TIMEOUT: &str = "30s";

/// Who a client says that it is.
#[derive(Clone)]
pub(crate) enum Identity {
    /// Nobody.
    Unsaid,
    /// This role, with a password if one was told.
    Role(String, Option<Zeroizing<String>>),
}

/// A client that may come in.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) parameters: SessionParameters,
    pub(crate) bounds: Bounds,
    pub(crate) peer: SocketAddr,
    /// Whether its role was asked for one more connection: it is, with the first session that the client gets.
    is_counted: Arc<AtomicBool>,
}

impl Guest {
    /// Lets a client in if it is who it says. A refusal has been noted in the logs, and has taken its time.
    pub(crate) async fn admit(
        door: &Door,
        identity: &Identity,
        channel: Option<&Channel>,
        peer: SocketAddr,
    ) -> Result<Self, sql::Error> {
        let user = match identity {
            Identity::Role(role, _) => Some(role.as_str()),
            Identity::Unsaid => {
                let is_near = peer.ip().to_canonical().is_loopback();
                channel.and_then(certified).or_else(|| is_near.then_some(NOBODY_SAID))
            }
        };
        let mut parameters = SessionParameters {
            user: user.unwrap_or_default().to_owned(),
            database: DATABASE.to_owned(),
            encrypted: channel.is_some(),
            ..SessionParameters::default()
        };
        let password = match identity {
            Identity::Role(_, password) => password.as_ref().map(|password| password.as_str()),
            Identity::Unsaid => None,
        };
        let introduced = match user {
            Some(_) => introduce(door, password, channel, &mut parameters, peer).await,
            None => {
                let message = "who connects from elsewhere has to say who it is";
                Err(Refusal::Told(sql::Error::new("28000", message)))
            }
        };
        match introduced {
            Ok(bounds) => Ok(Self { parameters, bounds, peer, is_counted: Arc::default() }),
            Err(refusal) => {
                note_refusal(&door.shared, &parameters, peer, &refusal).await;
                Err(match refusal {
                    Refusal::Told(error) | Refusal::Guessed(error) => error,
                    Refusal::Gone => sql::Error::new("08006", "the client is gone"),
                })
            }
        }
    }
}

impl Guest {
    /// The same client has proven itself again, over the same connection: that is no further one.
    pub(crate) fn follow(&mut self, before: &Self) {
        if self.parameters.user == before.parameters.user {
            self.is_counted = before.is_counted.clone();
        }
    }

    /// Counts one more connection of its role, unless it is counted. 53300 if that is one too many in this second.
    pub(super) fn count(&self, opening: &Opening, shared: &Shared) -> Result<(), sql::Error> {
        if self.is_counted.load(Ordering::Relaxed) {
            return Ok(());
        }
        opening.count(shared)?;
        self.is_counted.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// The role that a client's certificate names. One of a node or a gateway names none.
fn certified(channel: &Channel) -> Option<&str> {
    let certificate = channel.certificate.as_ref()?;
    let is_clients = certificate.role.is_none_or(|role| role == cert::Role::Client);
    certificate.common_name.as_deref().filter(|_| is_clients)
}

async fn introduce(
    door: &Door,
    password: Option<&str>,
    channel: Option<&Channel>,
    parameters: &mut SessionParameters,
    peer: SocketAddr,
) -> Result<Bounds, Refusal> {
    let shared: &Arc<Shared> = &door.shared;
    let login = authenticate_told(password, channel, parameters, peer, shared).await?;
    let database = find_database(parameters, login.as_ref(), shared).await?;
    parameters.database_oid = Some(database.oid);
    parameters.database.clone_from(&database.name);
    parameters.defaults.clone_from(&database.defaults);
    let role = login.as_ref().and_then(Login::role);
    parameters.is_restricted = role.map_or(database.is_restricted, |role| !role.superuser);
    parameters.settings = settings(door, &parameters.defaults);
    Ok(Bounds::of(parameters, login.as_ref(), &database))
}

/// What the door needs of its sessions. What it answers is one object, and one transaction, at every moment: no weaker
/// isolation that a role has at first will do; and what it asks is SQL, whatever a role speaks.
fn settings(door: &Door, defaults: &[(String, String)]) -> Vec<(String, String)> {
    let mut settings = vec![
        ("application_name", door.name),
        ("default_transaction_isolation", "serializable"),
        ("dialect", "sql"),
    ];
    settings.extend(door.settings);
    if !defaults.iter().any(|(name, _)| name == "statement_timeout") {
        settings.push(("statement_timeout", STATEMENT_TIMEOUT));
    }
    settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
