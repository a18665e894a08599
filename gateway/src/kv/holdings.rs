//! What the service holds: open transactions, connections, and the sessions that wait at them.

use std::sync::Arc;
use std::time::Duration;

use env::clock::Instant;
use env::task::Scope;
use parking_lot::Mutex;
use proto::grpc::{Ending, Ends};

use super::pairs;
use super::transactions::Transactions;
use crate::connection::Shared;
use crate::door::{Caller, Door, Room, Watched};

/// How long the cluster may take to answer whether it is there, and how long that answer holds.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);
const HEALTH_HOLDS: Duration = Duration::from_secs(1);

/// The door of the key-value service.
pub(crate) struct Kv {
    pub(crate) door: Arc<Door>,
    pub(super) transactions: Transactions,
    /// What messages that are large take of memory.
    pub(super) room: Room,
    /// Where its connections, scans and watches belong.
    pub(super) scope: Scope,
    pub(super) ends: Ends,
    callers: Mutex<Vec<(Watched, Ending)>>,
    /// Whether the cluster has answered, and when that was asked; held while it is asked.
    health: tokio::sync::Mutex<Option<(Instant, bool)>>,
}

impl Kv {
    /// What it starts belongs to `scope`.
    pub(crate) fn new(shared: Arc<Shared>, scope: Scope) -> Self {
        metrics::describe_gauge!(
            "nunatak_door_transactions",
            "Transactions that clients of the key-value service have begun"
        );
        Self {
            door: Arc::new(Door::new(shared, "kv", pairs::TABLES)),
            transactions: Transactions::default(),
            room: Room::new(),
            scope,
            ends: Ends::default(),
            callers: Mutex::default(),
            health: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn tell_open(&self) {
        metrics::gauge!("nunatak_door_transactions").set(self.transactions.len() as f64);
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        self.ends.come();
    }

    /// The same, and rolls back what is open.
    pub(crate) async fn end(&self) {
        self.cut();
        self.transactions.sweep(true).await;
        self.tell_open();
    }

    /// Has a connection watched over: its sessions, and whether it proves who it is.
    pub(super) fn watch(&self, caller: &Caller, ending: Ending) {
        self.callers.lock().push((caller.watched(), ending));
    }

    /// Whether the cluster answers, or has a moment ago: however many ask, it is asked so often and no more.
    pub(super) async fn reaches_cluster(&self) -> bool {
        let mut health = self.health.lock().await;
        if let Some((asked, answered)) = *health
            && asked.elapsed() < HEALTH_HOLDS
        {
            return answered;
        }
        let client = self.door.shared.engine.client();
        let answered = matches!(env::clock::timeout(HEALTH_PATIENCE, client.ready()).await, Ok(Ok(())));
        *health = Some((env::clock::now(), answered));
        answered
    }

    /// Ends what has been open for long.
    pub(super) async fn sweep(&self) {
        self.transactions.sweep(false).await;
        self.tell_open();
        let callers = {
            let mut callers = self.callers.lock();
            callers.retain(|(caller, _)| !caller.is_gone());
            std::mem::take(&mut *callers)
        };
        let patience = self.door.shared.patience();
        for (caller, ending) in &callers {
            if caller.is_strange(patience) {
                ending.come();
            }
            caller.sweep().await;
        }
        self.callers.lock().extend(callers);
    }
}
