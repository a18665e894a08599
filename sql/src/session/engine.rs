//! What all sessions of a gateway share: the cluster's client and the cached catalog.

use std::sync::Arc;

use crate::error::Result;
use crate::session::{Session, SessionParameters};

/// Bounds of a gateway's SQL engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Bytes of rows that one statement may hold while it sorts, hashes or materialises; beyond: 53200.
    pub statement_bytes_max: usize,
    /// How often a transaction's first statement is run again after a conflict before the client hears of it.
    pub retries_max: u32,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { statement_bytes_max: 256 << 20, retries_max: 10 }
    }
}

/// The SQL engine of one gateway.
pub struct Engine {
    client: client::Client,
    options: EngineOptions,
}

impl Engine {
    /// An engine over a cluster's client.
    pub fn new(client: client::Client, options: EngineOptions) -> Arc<Self> {
        Arc::new(Self { client, options })
    }

    /// A new session. Cheap: nothing is read before the first statement.
    ///
    /// # Errors
    /// A setting among the parameters does not exist or does not take the value.
    pub fn session(self: &Arc<Self>, parameters: SessionParameters) -> Result<Session> {
        Ok(Session::new(Arc::clone(self), parameters))
    }

    /// The cluster's client.
    pub fn client(&self) -> &client::Client {
        &self.client
    }

    /// The bounds.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }
}
