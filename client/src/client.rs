//! The client of one cluster: what all its transactions share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use env::clock;
use env::task::boxed;
use proto::Network;
use proto::oracle::Oracle;
use proto::v1::AllocateIdsRequest;
use tokio::sync::Semaphore;

use crate::branch::Branches;
use crate::heartbeat::Heartbeats;
use crate::horizon::Horizon;
use crate::router::Router;
use crate::sender::Sender;
use crate::{CommitTimestamp, Error, Result, Timestamp};

/// So many transactions over several ranges are resolved at a time before those that commit wait for them.
const RESOLVING_MAX: usize = 256;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// How long calls of the client itself (not of its transactions) go on trying to reach the cluster.
    pub timeout: Duration,
    /// Transactions that have more bytes of keys and values buffered let them go to their ranges before they commit.
    pub flush_bytes: usize,
    /// Where this client is: tiers such as region and zone, the widest first. Of the replicas that can answer the nearest is asked.
    pub locality: Vec<(String, String)>,
    /// What lies back at least so far is read from the nearest replica, whether it leads its range or not: a little more
    /// than nodes let it lie behind what is new.
    pub follower_age: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            flush_bytes: 32 << 20,
            locality: Vec::new(),
            follower_age: Duration::from_secs(4),
        }
    }
}

/// The client of one cluster. Clones share everything.
#[derive(Clone)]
pub struct Client {
    pub(crate) sender: Arc<Sender>,
    pub(crate) heartbeats: Arc<Heartbeats>,
    pub(crate) horizon: Arc<Horizon>,
    /// What is known of branches.
    pub(crate) branches: Arc<Branches>,
    /// How many transactions are resolved at a time.
    pub(crate) resolving: Arc<Semaphore>,
    oracle: Arc<Oracle<Error>>,
    options: ClientOptions,
}

impl Client {
    pub(crate) fn flush_bytes(&self) -> usize {
        self.options.flush_bytes
    }

    pub(crate) fn follower_age(&self) -> Duration {
        self.options.follower_age
    }

    /// A client that finds the cluster through the nodes at `seeds` (host:port). Connects lazily.
    pub fn new(network: Arc<dyn Network>, seeds: Vec<String>, options: ClientOptions) -> Self {
        Self {
            sender: Arc::new(Sender {
                router: Router::new(network, seeds, options.locality.clone()),
                followed: AtomicU64::new(0),
            }),
            heartbeats: Arc::default(),
            horizon: Arc::default(),
            branches: Arc::default(),
            resolving: Arc::new(Semaphore::new(RESOLVING_MAX)),
            oracle: Arc::default(),
            options,
        }
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Completes once the cluster is initialised, its directory is known and its oracle answers.
    #[boxed]
    pub async fn ready(&self) -> Result<()> {
        self.timestamp().await?;
        self.sender.route(&[keys::keyspace::DATA], self.options.timeout).await?;
        Ok(())
    }

    /// A fresh timestamp: never handed out before, and no less than that of any commit acknowledged so far.
    #[boxed]
    pub async fn timestamp(&self) -> Result<Timestamp> {
        self.timestamp_within(self.options.timeout).await
    }

    /// The newest timestamp that this client knows to have been handed out; 0: it knows of none.
    pub fn newest_timestamp(&self) -> CommitTimestamp {
        self.horizon.newest()
    }

    /// How many requests were answered by replicas that do not lead, as far as this client knows.
    pub fn follower_reads(&self) -> u64 {
        self.sender.followed.load(Ordering::Relaxed)
    }

    pub(crate) async fn timestamp_within(&self, timeout: Duration) -> Result<Timestamp> {
        let fresh = self.fresh_timestamp(timeout).await?;
        self.horizon.observe(fresh.timestamp);
        Ok(fresh)
    }

    async fn fresh_timestamp(&self, timeout: Duration) -> Result<Timestamp> {
        if self.sender.router.root_is_in_process() {
            // Everybody makes their own call.
            return self.sender.timestamps(1, timeout).await.map(Timestamp::from);
        }
        let batched = self.oracle.timestamp(|count| self.sender.timestamps(count, timeout));
        match clock::timeout(timeout, batched).await {
            Ok(answer) => answer.map(Timestamp::from),
            Err(_) => Err(Error::Unavailable { message: "no timestamp in time".to_owned(), source: None }),
        }
    }

    /// The first of `count` consecutive ids of `counter` that are never given twice.
    #[boxed]
    pub async fn allocate_ids(&self, counter: &str, count: u64) -> Result<u64> {
        let answer = self
            .sender
            .ask_root(self.options.timeout, |node, cluster_id, forward| async move {
                let counter = counter.to_owned();
                node.allocate_ids(AllocateIdsRequest { cluster_id, counter, count, forward }).await
            })
            .await?;
        Ok(answer.first)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}
