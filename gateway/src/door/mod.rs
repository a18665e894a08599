//! What the doors beside PostgreSQL's share: how they accept and admit clients, and how they work for them.
//!
//! ```text
//! accept ──▶ plain or TLS, by the first byte ──▶ who is it? rules of access ──▶ a session, statements prepared once
//! ```
//!
//! A door has no path of its own to the data. What it is asked becomes statements of an [`sql::Session`]: so the
//! transactions, the rights, the records of audits, the bounds and the history are those of every other client.

mod guest;
mod listener;
mod metrics;
mod tables;
mod work;

use std::sync::Arc;

use crate::connection::Shared;
use crate::registry::Registry;

pub(crate) use self::metrics::DoorMetrics;
pub(crate) use guest::{Guest, Identity};
pub(crate) use listener::{Accepted, accept, encrypt};
pub(crate) use tables::Tables;
pub(crate) use work::Work;

/// A door that is open.
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    /// Its connections, which count apart from those of others.
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: DoorMetrics,
    /// What it calls itself where sessions are shown.
    pub(crate) name: &'static str,
    pub(crate) tables: Arc<Tables>,
}

impl Door {
    /// A door of this name to the tables that these statements make.
    pub(crate) fn new(shared: Arc<Shared>, name: &'static str, tables: &'static [&'static str]) -> Self {
        let tables = Arc::new(Tables::new(tables));
        Self { shared, registry: Registry::new(), metrics: DoorMetrics::new(name), name, tables }
    }
}
