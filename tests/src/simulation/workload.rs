//! What the workers of the gateways do, by keys and values or by SQL.

use std::sync::Arc;

use env::task::JoinHandle;

use super::gateway::Gateway;
use super::report::Tally;
use super::scenario::{Interface, Scenario};
use super::signals::Signals;
use super::{bank, erasures, hoard, lists, queue, sessions, watches};

/// A bank, lists, a hoard of large rows, and a queue.
pub(super) enum Workload {
    /// Through the client's transactions.
    Keys {
        bank: Arc<bank::Bank>,
        lists: Arc<lists::Lists>,
        hoard: Arc<hoard::Hoard>,
        watches: Arc<watches::Watches>,
        erasures: Arc<erasures::Erasures>,
        queue: Arc<queue::Queue>,
    },
    /// Through sessions.
    Sql {
        bank: Arc<sessions::bank::Bank>,
        lists: Arc<sessions::lists::Lists>,
        branches: Arc<sessions::branches::Branches>,
        doors: Arc<sessions::doors::Doors>,
    },
}

impl Workload {
    pub(super) fn new(scenario: &Scenario, tally: &Tally) -> Self {
        match scenario.interface {
            Interface::Keys => Self::Keys {
                bank: Arc::new(bank::Bank::new(scenario, tally.clone())),
                lists: Arc::new(lists::Lists::new(scenario, tally.clone())),
                hoard: Arc::new(hoard::Hoard::new(scenario, tally.clone())),
                watches: Arc::new(watches::Watches::new(lists::all(), scenario.pause_ms_max, tally.clone())),
                erasures: Arc::new(erasures::Erasures::new(scenario, tally.clone())),
                queue: Arc::new(queue::Queue::new(scenario, tally.clone())),
            },
            Interface::Sql => Self::Sql {
                bank: Arc::new(sessions::bank::Bank::new(scenario, tally.clone())),
                lists: Arc::new(sessions::lists::Lists::new(scenario, tally.clone())),
                branches: Arc::new(sessions::branches::Branches::new(scenario, tally.clone())),
                doors: Arc::new(sessions::doors::Doors::new(scenario, tally.clone())),
            },
        }
    }

    /// Writes the first state; what is wrong with it.
    pub(super) async fn open(&self, scenario: &Scenario, gateway: &Gateway) -> Vec<String> {
        match self {
            Self::Keys { bank, .. } => {
                bank.open(gateway.client()).await;
                Vec::new()
            }
            Self::Sql { bank, lists, branches, .. } => {
                let mut violations = bank.open(gateway).await;
                violations.extend(lists.open(gateway).await);
                if scenario.branchers > 0 {
                    violations.extend(branches.open(gateway).await);
                }
                violations
            }
        }
    }

    /// Starts the workers of `gateway`.
    pub(super) fn start(
        &self,
        scenario: &Scenario,
        gateway: &Gateway,
        signals: &Signals,
    ) -> Vec<JoinHandle<()>> {
        let mut workers = Vec::new();
        let told = || signals.clone();
        match self {
            Self::Keys { bank, lists, hoard, watches, erasures, queue } => {
                let client = || gateway.client();
                let tellers =
                    (0..scenario.tellers).map(|_| gateway.spawn(bank.clone().teller(client(), told())));
                workers.extend(tellers);
                let auditors =
                    (0..scenario.auditors).map(|_| gateway.spawn(bank.clone().auditor(client(), told())));
                workers.extend(auditors);
                let historians =
                    (0..scenario.historians).map(|_| gateway.spawn(bank.clone().historian(client(), told())));
                workers.extend(historians);
                let appenders =
                    (0..scenario.appenders).map(|_| gateway.spawn(lists.clone().appender(client(), told())));
                workers.extend(appenders);
                let watchers =
                    (0..scenario.watchers).map(|_| gateway.spawn(watches.clone().watcher(client(), told())));
                workers.extend(watchers);
                let erasers =
                    (0..scenario.erasers).map(|_| gateway.spawn(erasures.clone().eraser(client(), told())));
                workers.extend(erasers);
                let queuers =
                    (0..scenario.queuers).map(|_| gateway.spawn(queue.clone().queuer(client(), told())));
                workers.extend(queuers);
                for _ in 0..scenario.large.haulers {
                    workers.push(gateway.spawn(hoard.clone().hauler(client(), told())));
                    workers.push(gateway.spawn(hoard.clone().auditor(client(), told())));
                }
            }
            Self::Sql { bank, lists, branches, doors } => {
                let through = || gateway.clone();
                let tellers =
                    (0..scenario.tellers).map(|_| gateway.spawn(bank.clone().teller(through(), told())));
                workers.extend(tellers);
                let auditors =
                    (0..scenario.auditors).map(|_| gateway.spawn(bank.clone().auditor(through(), told())));
                workers.extend(auditors);
                let builders =
                    (0..scenario.builders).map(|_| gateway.spawn(bank.clone().builder(through(), told())));
                workers.extend(builders);
                let appenders =
                    (0..scenario.appenders).map(|_| gateway.spawn(lists.clone().appender(through(), told())));
                workers.extend(appenders);
                let branchers = (0..scenario.branchers)
                    .map(|_| gateway.spawn(branches.clone().brancher(through(), told())));
                workers.extend(branchers);
                for _ in 0..scenario.doors {
                    workers.push(gateway.spawn(doors.clone().counter(through(), told())));
                    workers.push(gateway.spawn(doors.clone().linker(through(), told())));
                }
            }
        }
        workers
    }

    /// Judges the end and what led there.
    pub(super) async fn settle(&self, gateway: &Gateway) -> Vec<String> {
        let mut violations = Vec::new();
        match self {
            Self::Keys { bank, lists, hoard, queue, .. } => {
                violations.extend(bank.settle(gateway.client()).await);
                violations.extend(lists.settle(gateway.client()).await);
                violations.extend(hoard.settle(gateway.client()).await);
                violations.extend(queue.settle(gateway.client()).await);
            }
            Self::Sql { bank, lists, doors, .. } => {
                violations.extend(bank.settle(gateway).await);
                violations.extend(lists.settle(gateway).await);
                violations.extend(doors.settle(gateway).await);
            }
        }
        violations
    }
}
