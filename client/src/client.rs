//! The client of one cluster: what all its transactions share.

use std::sync::Arc;

use proto::Network;

use crate::{Error, Result, Timestamp, Transaction, TransactionOptions};

/// How a client behaves.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {}

/// The client of one cluster. Clones share everything.
#[derive(Clone)]
pub struct Client {
    #[expect(dead_code, reason = "the skeleton")]
    network: Arc<dyn Network>,
}

impl Client {
    /// A client that finds the cluster through the nodes at `seeds` (host:port). Connects lazily.
    pub fn new(network: Arc<dyn Network>, _seeds: Vec<String>, _options: ClientOptions) -> Self {
        Self { network }
    }

    /// Completes once the cluster is initialised, its directory is known and its oracle answers.
    pub async fn ready(&self) -> Result<()> {
        Err(unsupported())
    }

    /// A fresh timestamp.
    pub async fn timestamp(&self) -> Result<Timestamp> {
        Err(unsupported())
    }

    /// A transaction that has not done anything yet; costs nothing until it does.
    pub fn begin(&self, options: TransactionOptions) -> Transaction {
        Transaction::new(self.clone(), options)
    }

    /// The first of `count` consecutive ids of `counter` that are never given twice.
    pub async fn allocate_ids(&self, _counter: &str, _count: u64) -> Result<u64> {
        Err(unsupported())
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

pub(crate) fn unsupported() -> Error {
    Error::Unsupported { message: "the client".to_owned() }
}
