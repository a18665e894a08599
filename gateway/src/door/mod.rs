//! What the doors beside PostgreSQL's share: how they accept and admit clients, and how they work for them.
//!
//! ```text
//! accept ──▶ plain or TLS, by the first byte ──▶ who is it? rules of access ──▶ a session, statements prepared once
//! ```
//!
//! A door has no path of its own to the data. What it is asked becomes statements of an [`sql::Session`]: so the
//! transactions, the rights, the records of audits, the bounds and the history are those of every other client. So are the limits
//! of roles and addresses, and the wait for one's turn ([`crate::turn`]); a request counts as one statement, however many it takes.

mod caller;
mod following;
mod guest;
mod listener;
mod metrics;
mod retries;
mod room;
mod tables;
mod watchers;
mod watching;
mod wire;
mod work;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::connection::Shared;
use crate::limits::{self, Holder};
use crate::registry::Registry;

pub(crate) use self::metrics::DoorMetrics;
pub(crate) use caller::{Caller, Watched};
pub(crate) use following::{Follower, Following, READS_NOW, Step};
pub(crate) use guest::{Guest, Identity};
pub(crate) use listener::{Accepted, Counted, accept, stopping};
pub(crate) use retries::Retries;
pub(crate) use room::{Full, Room, Share};
pub(crate) use tables::Tables;
use watchers::Watchers;
pub(crate) use watching::{Seen, Subject, Told, Wanted, Watching, behind_prefix};
pub(crate) use wire::Wire;
pub(crate) use work::{Work, note_failure};

/// A door that is open.
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    /// Its connections, which count apart from those of others.
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: DoorMetrics,
    /// What it calls itself where sessions are shown.
    pub(crate) name: &'static str,
    pub(crate) tables: Arc<Tables>,
    /// Clients that watch.
    watchers: Arc<Watchers>,
    /// Settings that its sessions have, whatever the role's are.
    pub(crate) settings: &'static [(&'static str, &'static str)],
}

impl Door {
    /// A door of this name to the tables that these statements make.
    pub(crate) fn new(shared: Arc<Shared>, name: &'static str, tables: &'static [&'static str]) -> Self {
        let tables = Arc::new(Tables::new(tables));
        let (registry, metrics) = (Registry::new(), DoorMetrics::new(name));
        Self { shared, registry, metrics, name, tables, watchers: Arc::default(), settings: &[] }
    }

    /// The same door, whose sessions have these settings.
    pub(crate) fn with_settings(self, settings: &'static [(&'static str, &'static str)]) -> Self {
        Self { settings, ..self }
    }

    /// Whether one more connection may come from there now; it is counted.
    pub(crate) fn takes(&self, peer: SocketAddr) -> bool {
        let now = env::clock::now();
        let address = self.shared.accounts.of(Holder::address(peer.ip()), now);
        let taken = limits::check_address(&address, &self.shared.engine.gateway_bounds(), now);
        if let Err(error) = &taken {
            self.metrics.refused.increment(1);
            tracing::debug!(%peer, message = %error.message, "closing a connection");
        }
        taken.is_ok()
    }
}
