//! Terminals: each has a connection, and runs the cards of its deck one after the other until the time is up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use env::clock::{self, Instant};
use env::{random, task};
use tokio_postgres::{Client, Config, NoTls};

use super::chance::shuffle;
use super::schema::DISTRICTS;
use super::transactions::{Ended, Kind, Place, Request, Transactions, is_to_be_retried};
use crate::failure::{Failure, Result};
use crate::sql::Isolation;

/// How long a connection may take to come about.
const CONNECTING: Duration = Duration::from_secs(30);

/// How long a statement may take, and a transaction that hears nothing.
const STATEMENT_TIMEOUT: &str = "60s";
const PATIENCE: Duration = Duration::from_secs(120);

/// A transaction that is to be run again is so this often at most.
const TRIES_MAX: u32 = 1000;

/// So many times the mean a terminal thinks at most (5.2.5.4).
const THINKING_MAX: f64 = 10.0;

/// How a run is made.
#[derive(Clone)]
pub(super) struct Load {
    /// Terminals are dealt out to these evenly.
    pub(super) ports: Vec<u16>,
    pub(super) terminals: u32,
    pub(super) warehouses: i32,
    pub(super) isolation: Isolation,
    /// Whether terminals wait as people do.
    pub(super) thinks: bool,
    /// What is not counted at the beginning.
    pub(super) warm_up: Duration,
    pub(super) counted: Duration,
}

/// What became of one kind of transaction, of those that were counted.
#[derive(Default)]
pub(super) struct Tally {
    /// From the first try to the end of the last, in milliseconds, sorted in the end.
    pub(super) latencies_ms: Vec<f64>,
    pub(super) committed: u64,
    /// Rolled back as they were to be.
    pub(super) rolled_back: u64,
    /// Tries that were given up for 40001 or 40P01, and run again.
    pub(super) retried: u64,
}

/// What all terminals got done.
#[derive(Default)]
pub(super) struct Done {
    pub(super) tallies: BTreeMap<Kind, Tally>,
    /// New-Orders that were committed from the first to the last, counted or not.
    pub(super) ordered: u64,
}

/// Connects all terminals, and has them run from the same moment on. What fails for another reason than that it is to be run again
/// ends the run; `began` is called once when the warm-up is over.
pub(super) async fn run(load: &Load, began: impl FnOnce() -> Result<()>) -> Result<Done> {
    let mut terminals = Vec::new();
    for number in 0..load.terminals {
        terminals.push(Terminal::connect(load, number).await?);
    }
    let begin = clock::now() + load.warm_up;
    let end = begin + load.counted;
    // Who fails has the others stop.
    let failed = Arc::new(AtomicBool::new(false));
    let running: Vec<_> = terminals
        .into_iter()
        .map(|terminal| {
            let (failed, thinks) = (failed.clone(), load.thinks);
            task::spawn(async move {
                let outcome = terminal.work(begin, end, thinks, &failed).await;
                if outcome.is_err() {
                    failed.store(true, Ordering::Relaxed);
                }
                outcome
            })
        })
        .collect();
    clock::sleep_until(begin).await;
    let noted = began();
    let (mut all, mut outcome) = (Done::default(), noted);
    for terminal in running {
        match terminal.await.map_err(|error| complaint(error.to_string())).and_then(|done| done) {
            Ok(done) => all.add(done),
            Err(failure) => outcome = outcome.and(Err(failure)),
        }
    }
    outcome?;
    all.tallies.values_mut().for_each(|tally| tally.latencies_ms.sort_by(f64::total_cmp));
    Ok(all)
}

fn complaint(output: String) -> Failure {
    Failure::Program { program: "a terminal".to_owned(), output }
}

impl Done {
    fn add(&mut self, other: Self) {
        self.ordered += other.ordered;
        for (kind, tally) in other.tallies {
            let own = self.tallies.entry(kind).or_default();
            own.latencies_ms.extend(tally.latencies_ms);
            own.committed += tally.committed;
            own.rolled_back += tally.rolled_back;
            own.retried += tally.retried;
        }
    }
}

struct Terminal {
    client: Client,
    transactions: Transactions,
    place: Place,
}

impl Terminal {
    async fn connect(load: &Load, number: u32) -> Result<Self> {
        let port = load.ports.get(number as usize % load.ports.len().max(1)).copied().unwrap_or(0);
        let mut config = Config::new();
        config.host("127.0.0.1").port(port).user("postgres").dbname("postgres").connect_timeout(CONNECTING);
        if !load.isolation.options().is_empty() {
            config.options(load.isolation.options());
        }
        let failed = |error: tokio_postgres::Error| complaint(describe(&error));
        let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
        // Its end is told to whoever asks something.
        drop(task::spawn(connection));
        let timeout = format!("set statement_timeout = '{STATEMENT_TIMEOUT}'");
        client.batch_execute(&timeout).await.map_err(failed)?;
        let transactions = Transactions::prepare(&client).await.map_err(failed)?;
        let number = i32::try_from(number).unwrap_or(0);
        let warehouses = load.warehouses.max(1);
        let warehouse = number % warehouses + 1;
        let district = number / warehouses % DISTRICTS + 1;
        Ok(Self { client, transactions, place: Place { warehouse, district, warehouses } })
    }

    async fn work(self, begin: Instant, end: Instant, thinks: bool, failed: &AtomicBool) -> Result<Done> {
        let mut done = Done::default();
        let mut deck = Vec::new();
        while clock::now() < end && !failed.load(Ordering::Relaxed) {
            let Some(kind) = deck.pop() else {
                deck = Kind::deck();
                shuffle(&mut deck);
                continue;
            };
            let (keying, thinking) = kind.waits();
            if thinks {
                clock::sleep_until((clock::now() + keying).min(end)).await;
            }
            let request = Request::choose(kind, self.place);
            let from = clock::now();
            let (ended, retried) = self.complete(&request, end).await?;
            let to = clock::now();
            if let Some(ended) = ended {
                done.ordered += u64::from(kind == Kind::NewOrder && ended == Ended::Committed);
                if from >= begin && to <= end {
                    let tally = done.tallies.entry(kind).or_default();
                    tally.latencies_ms.push((to - from).as_secs_f64() * 1000.0);
                    tally.committed += u64::from(ended == Ended::Committed);
                    tally.rolled_back += u64::from(ended == Ended::RolledBack);
                    tally.retried += u64::from(retried);
                }
            }
            if thinks {
                clock::sleep_until((clock::now() + thinking.mul_f64(exponential())).min(end)).await;
            }
        }
        Ok(done)
    }

    /// Runs a transaction again and again until it ends, and how often it was run in vain; none if the time was up before.
    async fn complete(&self, request: &Request, end: Instant) -> Result<(Option<Ended>, u32)> {
        let mut retried = 0;
        loop {
            let trying = clock::timeout(PATIENCE, self.transactions.run(&self.client, request));
            let tried = trying.await.map_err(|_| complaint("a transaction was not answered".to_owned()))?;
            match tried {
                Ok(ended) => return Ok((Some(ended), retried)),
                Err(error) if is_to_be_retried(&error) && retried < TRIES_MAX => {
                    retried += 1;
                    if clock::now() >= end {
                        return Ok((None, retried));
                    }
                }
                Err(error) => return Err(complaint(describe(&error))),
            }
        }
    }
}

/// What went wrong, the server's own words included.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{}: {}", said.code().code(), said.message()),
        None => error.to_string(),
    }
}

/// A multiple of a mean, distributed as waits of people are.
fn exponential() -> f64 {
    let share = (random::below(1 << 53) + 1) as f64 / (1_u64 << 53) as f64;
    (-share.ln()).min(THINKING_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_think_for_the_mean_on_the_mean() {
        let mean = (0..10_000).map(|_| exponential()).sum::<f64>() / 10_000.0;
        assert!((0.9..1.1).contains(&mean), "{mean}");
    }

    #[test]
    fn what_terminals_did_adds_up() {
        let one = || {
            let tally = Tally { latencies_ms: vec![2.0, 1.0], committed: 1, rolled_back: 1, retried: 3 };
            Done { tallies: BTreeMap::from([(Kind::NewOrder, tally)]), ordered: 1 }
        };
        let mut all = one();
        all.add(one());
        let tally = &all.tallies[&Kind::NewOrder];
        assert_eq!((all.ordered, tally.latencies_ms.len()), (2, 4));
        assert_eq!((tally.committed, tally.rolled_back, tally.retried), (2, 2, 6));
    }
}
