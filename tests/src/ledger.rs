//! A load that remembers what was acknowledged: TPC-B's transaction with a number of its own in the history.
//!
//! Each client keeps going through lost connections and refused transactions. A transaction is *acknowledged* once
//! COMMIT was answered; whatever was not may or may not be there. Afterwards every acknowledged number must be in
//! the history, none may be there twice, and the sums must agree.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

/// Tellers and accounts of the load's own small bank.
const ACCOUNTS: u64 = 1000;

/// How long a statement may take before its client reconnects elsewhere.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running load.
pub struct Ledger {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Runtime,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

struct Shared {
    addresses: Vec<String>,
    stop: AtomicBool,
    next: AtomicU64,
    started: Instant,
    acknowledged: Mutex<Vec<(u64, Duration)>>,
    refused: AtomicU64,
}

/// What a load did.
#[derive(Debug)]
pub struct Report {
    /// The numbers whose COMMIT was answered.
    pub acknowledged: BTreeSet<u64>,
    /// Transactions that ended with an error or without an answer.
    pub refused: u64,
}

/// The statements that make the load's tables.
pub const TABLES: &str = "
    create table ledger_accounts (id int primary key, balance bigint not null);
    create table ledger_branch (id int primary key, balance bigint not null);
    create table ledger_history (number bigint primary key, account int not null, delta bigint not null);
    insert into ledger_accounts select n, 0 from generate_series(0, 999) n;
    insert into ledger_branch select n, 0 from generate_series(0, 7) n;";

impl Ledger {
    /// Starts `clients` clients, spread over the addresses.
    ///
    /// # Errors
    /// If no runtime can be made.
    pub fn start(addresses: &[String], clients: u64) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let shared = Arc::new(Shared {
            addresses: addresses.to_vec(),
            stop: AtomicBool::new(false),
            next: AtomicU64::new(0),
            started: Instant::now(),
            acknowledged: Mutex::new(Vec::new()),
            refused: AtomicU64::new(0),
        });
        let clients = (0..clients).map(|client| runtime.spawn(client_loop(shared.clone(), client))).collect();
        Ok(Self { shared, runtime, clients })
    }

    /// How many transactions have been acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Waits until a transaction that began after this call is acknowledged; how long that took.
    ///
    /// # Errors
    /// If nothing is acknowledged within `limit`.
    pub fn await_progress(&self, limit: Duration) -> Result<Duration, String> {
        let begun = Instant::now();
        let first = self.shared.next.load(Ordering::SeqCst);
        while begun.elapsed() < limit {
            let newest = {
                let acknowledged = self.shared.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                acknowledged.iter().rev().take(64).map(|(number, _)| *number).max()
            };
            if newest.is_some_and(|newest| newest >= first) {
                return Ok(begun.elapsed());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("nothing was acknowledged for {limit:?}"))
    }

    /// Stops the load.
    pub fn stop(self) -> Report {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.runtime.block_on(async {
            for client in self.clients {
                let _ended = tokio::time::timeout(PATIENCE, client).await;
            }
        });
        let acknowledged = self.shared.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        Report {
            acknowledged: acknowledged.iter().map(|(number, _)| *number).collect(),
            refused: self.shared.refused.load(Ordering::SeqCst),
        }
    }
}

async fn client_loop(shared: Arc<Shared>, client: u64) {
    let mut place = client as usize;
    while !shared.stop.load(Ordering::SeqCst) {
        place = place.wrapping_add(1);
        let address =
            shared.addresses.get(place % shared.addresses.len().max(1)).cloned().unwrap_or_default();
        if tokio::time::timeout(PATIENCE, session(&shared, &address)).await.is_err() {
            continue;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs transactions on one connection until it fails, or for [`PATIENCE`].
async fn session(shared: &Shared, address: &str) {
    let Some((host, port)) = address.rsplit_once(':') else { return };
    let parameters = format!("host={host} port={port} user=postgres dbname=postgres connect_timeout=3");
    let Ok((client, connection)) = tokio_postgres::connect(&parameters, NoTls).await else { return };
    let connection = tokio::spawn(connection);
    while !shared.stop.load(Ordering::SeqCst) {
        let number = shared.next.fetch_add(1, Ordering::SeqCst);
        match client.batch_execute(&transaction(number)).await {
            Ok(()) => {
                let mut acknowledged = shared.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                acknowledged.push((number, shared.started.elapsed()));
            }
            Err(_refused) => {
                shared.refused.fetch_add(1, Ordering::SeqCst);
                if client.is_closed() || client.batch_execute("rollback").await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    connection.abort();
}

fn transaction(number: u64) -> String {
    let account = number.wrapping_mul(2_654_435_761) % ACCOUNTS;
    let branch = number % 8;
    let delta = (number % 1999) as i64 - 999;
    format!(
        "begin;
         update ledger_accounts set balance = balance + {delta} where id = {account};
         update ledger_branch set balance = balance + {delta} where id = {branch};
         insert into ledger_history values ({number}, {account}, {delta});
         commit"
    )
}

/// What is wrong with the tables after a load, if anything.
///
/// # Errors
/// If the tables cannot be read, an acknowledged number is missing, or the sums differ.
pub fn audit(address: &str, report: &Report) -> Result<(), String> {
    let psql = |sql: &str| crate::processes::psql(address, sql);
    let history = psql("select number from ledger_history order by 1")?;
    let history: BTreeSet<u64> = history.lines().filter_map(|number| number.parse().ok()).collect();
    let lost: Vec<_> = report.acknowledged.difference(&history).collect();
    if !lost.is_empty() {
        return Err(format!("{} acknowledged transactions are lost: {lost:?}", lost.len()));
    }
    let sums = psql(
        "select (select sum(balance) from ledger_accounts), (select sum(balance) from ledger_branch),
                (select coalesce(sum(delta), 0) from ledger_history)",
    )?;
    let mut distinct: Vec<_> = sums.split('|').collect();
    distinct.dedup();
    if distinct.len() == 1 { Ok(()) } else { Err(format!("the sums differ: {sums}")) }
}
