//! Transfers between accounts by statements of many kinds, each with a record of itself. The accounts have indexes on what
//! changes all the time, their balance: of all accounts, of those that have enough, and on what is computed of it.
//!
//! A transfer whose outcome is unknown (08007) is settled as an application would: by taking its number. Whoever has
//! inserted it first has decided.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use env::random;
use parking_lot::Mutex;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error};

use super::super::gateway::Gateway;
use super::super::report::{Failure, Tally};
use super::super::scenario::Scenario;
use super::super::signals::Signals;
use super::{ATTEMPTS_MAX, any_level, in_block, insist, judge};

const INITIAL: i64 = 1000;

/// The longest pause between two indexes that are built.
const BUILD_PAUSE_MS_MAX: u64 = 6_000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS accounts (id int PRIMARY KEY, balance bigint NOT NULL);
    CREATE INDEX IF NOT EXISTS accounts_balance ON accounts (balance);
    CREATE INDEX IF NOT EXISTS accounts_rich ON accounts (balance) WHERE balance >= 1000;
    CREATE INDEX IF NOT EXISTS accounts_tens ON accounts ((balance / 10));
    CREATE TABLE IF NOT EXISTS transfers
        (number bigint PRIMARY KEY, source int NOT NULL, target int NOT NULL, amount bigint NOT NULL)";

/// All rows, by the table.
const BY_TABLE: &str = "SELECT id, balance FROM accounts";

/// Rows by an index, and whether an account of a balance is among them.
struct ByIndex {
    index: &'static str,
    query: &'static str,
    has: fn(i64) -> bool,
}

const BY_INDEX: [ByIndex; 3] = [
    ByIndex {
        index: "accounts_balance",
        query: "SELECT id, balance FROM accounts WHERE balance > -1000000000",
        has: |_| true,
    },
    ByIndex {
        index: "accounts_rich",
        query: "SELECT id, balance FROM accounts WHERE balance >= 1000",
        has: |balance| balance >= 1000,
    },
    ByIndex {
        index: "accounts_tens",
        query: "SELECT id, balance FROM accounts WHERE balance / 10 < 100",
        has: |balance| balance / 10 < 100,
    },
];

impl ByIndex {
    /// What the index has to have where the table has this.
    fn of(&self, by_table: &BTreeMap<i32, i64>) -> BTreeMap<i32, i64> {
        let rows = by_table.iter().filter(|(_, balance)| (self.has)(**balance));
        rows.map(|(id, balance)| (*id, *balance)).collect()
    }
}

/// The bank, and the ledger of what was acknowledged.
pub(in super::super) struct Bank {
    accounts: i32,
    pause_ms_max: u64,
    tally: Tally,
    transfers: AtomicU64,
    builders: AtomicU64,
    ledger: Mutex<BTreeMap<i64, Known>>,
}

/// What is known of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Committed,
    Failed,
    Ambiguous,
}

#[derive(Clone, Copy, Debug)]
struct Transfer {
    number: i64,
    source: i32,
    target: i32,
    amount: i64,
}

impl Bank {
    pub(in super::super) fn new(scenario: &Scenario, tally: Tally) -> Self {
        Self {
            accounts: scenario.accounts as i32,
            pause_ms_max: scenario.pause_ms_max,
            tally,
            transfers: AtomicU64::new(1),
            builders: AtomicU64::new(0),
            ledger: Mutex::default(),
        }
    }

    /// Makes the tables and gives every account its first balance.
    pub(in super::super) async fn open(&self, gateway: &Gateway) -> Vec<String> {
        let client = gateway.connect().await;
        let values: Vec<String> = (0..self.accounts).map(|id| format!("({id}, {INITIAL})")).collect();
        let fill = format!("INSERT INTO accounts VALUES {} ON CONFLICT DO NOTHING", values.join(", "));
        let opened = async {
            insist(|| client.batch_execute(SCHEMA)).await?;
            insist(|| client.batch_execute(&fill)).await?;
            let mut others = Vec::new();
            for ByIndex { index, query, .. } in &BY_INDEX {
                let plan = client.query(&format!("EXPLAIN {query}"), &[]).await?;
                let plan: Vec<&str> = plan.iter().map(|row| row.get(0)).collect();
                if !plan.iter().any(|line| line.contains(index)) {
                    others.push(format!("not by {index}: {plan:?}"));
                }
            }
            Ok::<_, Error>(others)
        };
        match opened.await {
            Ok(others) => others,
            Err(error) => vec![format!("the bank cannot be opened: {error:?}")],
        }
    }

    /// Transfers until told to stop.
    pub(in super::super) async fn teller(self: Arc<Self>, gateway: Gateway, signals: Signals) {
        let client = gateway.connect().await;
        while signals.may_write(self.pause_ms_max).await {
            let transfer = Transfer {
                number: self.transfers.fetch_add(1, Ordering::Relaxed) as i64,
                source: random::below(self.accounts as u64) as i32,
                target: random::below(self.accounts as u64) as i32,
                amount: 1 + random::below(100) as i64,
            };
            if transfer.source == transfer.target {
                continue;
            }
            let known = match self.transfer_insistently(&client, transfer).await {
                Known::Ambiguous => self.settle_transfer(&client, transfer).await,
                known => known,
            };
            tracing::debug!(?transfer, ?known);
            self.ledger.lock().insert(transfer.number, known);
        }
    }

    /// Runs the transfer again as long as that is what the database asks for.
    async fn transfer_insistently(&self, client: &Client, transfer: Transfer) -> Known {
        for _ in 0..ATTEMPTS_MAX {
            let Err(error) = self.transfer(client, transfer).await else {
                self.tally.committed();
                return Known::Committed;
            };
            let failure = judge(&error);
            self.tally.failed(failure.clone());
            match failure {
                Failure::Conflict => {}
                Failure::Ambiguous => return Known::Ambiguous,
                Failure::Unavailable | Failure::TooOld | Failure::Divided | Failure::Unexpected(_) => {
                    return Known::Failed;
                }
            }
        }
        Known::Failed
    }

    async fn transfer(&self, client: &Client, transfer: Transfer) -> Result<(), Error> {
        let Transfer { number, source, target, amount } = transfer;
        let way = random::below(6);
        if way == 0 {
            // One query string is one transaction.
            return client
                .batch_execute(&format!(
                    "UPDATE accounts SET balance = balance - {amount} WHERE id = {source};
                     UPDATE accounts SET balance = balance + {amount} WHERE id = {target};
                     INSERT INTO transfers VALUES ({number}, {source}, {target}, {amount})"
                ))
                .await;
        }
        // Money that is moved as it was read needs a snapshot.
        let level = if way == 1 { "SERIALIZABLE" } else { any_level() };
        in_block(client, &format!("BEGIN ISOLATION LEVEL {level}"), async {
            if random::below(8) == 0 {
                // A change of mind must leave no trace.
                client.batch_execute("SAVEPOINT doubt").await?;
                client.execute("UPDATE accounts SET balance = 0 WHERE id = $1", &[&source]).await?;
                client.batch_execute("ROLLBACK TO doubt").await?;
            }
            let moved = match way {
                1 => self.move_by_value(client, transfer, "").await?,
                2 => self.move_by_value(client, transfer, " FOR UPDATE").await?,
                3 => {
                    let upsert = "INSERT INTO accounts VALUES ($1, $2) \
                                  ON CONFLICT (id) DO UPDATE SET balance = accounts.balance + excluded.balance \
                                  RETURNING id, balance";
                    changed(client, upsert, &[&source, &-amount]).await?
                        + changed(client, upsert, &[&target, &amount]).await?
                }
                4 => {
                    let both = "UPDATE accounts \
                                SET balance = balance + CASE id WHEN $1 THEN -$3::bigint ELSE $3 END \
                                WHERE id IN ($1, $2) RETURNING id, balance";
                    changed(client, both, &[&source, &target, &amount]).await?
                }
                _ => {
                    let one = "UPDATE accounts SET balance = balance + $2 WHERE id = $1 RETURNING id, balance";
                    changed(client, one, &[&source, &-amount]).await?
                        + changed(client, one, &[&target, &amount]).await?
                }
            };
            tracing::debug!(number, way, level, "moved");
            if moved != 2 {
                self.tally.violation(format!("{transfer:?} changed {moved} accounts"));
            }
            let record = "INSERT INTO transfers VALUES ($1, $2, $3, $4)";
            client.execute(record, &[&number, &source, &target, &amount]).await.map(drop)
        })
        .await
    }

    /// Reads both balances and writes new ones.
    async fn move_by_value(&self, client: &Client, transfer: Transfer, lock: &str) -> Result<usize, Error> {
        let Transfer { source, target, amount, .. } = transfer;
        let read = format!("SELECT balance FROM accounts WHERE id = $1{lock}");
        let from: i64 = client.query_one(&read, &[&source]).await?.get(0);
        let to: i64 = client.query_one(&read, &[&target]).await?.get(0);
        let write = "UPDATE accounts SET balance = $2 WHERE id = $1 RETURNING id, balance";
        Ok(changed(client, write, &[&source, &(from - amount)]).await?
            + changed(client, write, &[&target, &(to + amount)]).await?)
    }

    /// Finds out whether the transfer has taken place, and prevents it if it has not.
    async fn settle_transfer(&self, client: &Client, transfer: Transfer) -> Known {
        for _ in 0..ATTEMPTS_MAX {
            let take = "INSERT INTO transfers VALUES ($1, 0, 0, 0) ON CONFLICT (number) DO NOTHING";
            let read = "SELECT amount FROM transfers WHERE number = $1";
            let taken = async {
                client.execute(take, &[&transfer.number]).await?;
                client.query_one(read, &[&transfer.number]).await
            };
            match taken.await {
                Ok(row) if row.get::<_, i64>(0) == 0 => return Known::Failed,
                Ok(_) => return Known::Committed,
                Err(error) => self.tally.failed(judge(&error)),
            }
        }
        Known::Ambiguous
    }

    /// Until told to stop: the sum at any moment is what it was, the index has what the table has, and what was
    /// acknowledged is there.
    pub(in super::super) async fn auditor(self: Arc<Self>, gateway: Gateway, signals: Signals) {
        let client = gateway.connect().await;
        while signals.may_read(self.pause_ms_max).await {
            let audited = match random::below(5) {
                0 => self.audit_sum(&client).await,
                1 => self.audit_index(&client).await,
                2 => self.audit_past(&client).await,
                _ => self.audit_acknowledged(&client).await,
            };
            match audited {
                Ok(()) => self.tally.read(),
                Err(error) => self.tally.failed(judge(&error)),
            }
        }
    }

    /// Until told to stop: an index is built beside all transfers, has what the table has, and goes again.
    pub(in super::super) async fn builder(self: Arc<Self>, gateway: Gateway, signals: Signals) {
        let client = gateway.connect().await;
        let number = self.builders.fetch_add(1, Ordering::Relaxed);
        while signals.may_write(BUILD_PAUSE_MS_MAX).await {
            match self.build(&client, number).await {
                Ok(()) => self.tally.read(),
                Err(error) => self.tally.failed(match error.code().map(|code| code.code()) {
                    // Whether an earlier attempt made it, or somebody took it away, was not known.
                    Some("42P07" | "42704" | "55000") => Failure::Conflict,
                    _ => judge(&error),
                }),
            }
        }
    }

    async fn build(&self, client: &Client, number: u64) -> Result<(), Error> {
        let index = format!("accounts_marks_{number}");
        // No two accounts have the same, whatever they hold.
        let mark = format!("balance * {} + id", 1000 + number);
        client.batch_execute(&format!("DROP INDEX IF EXISTS {index}")).await?;
        client.batch_execute(&format!("CREATE UNIQUE INDEX {index} ON accounts (({mark}))")).await?;
        let query = format!("SELECT id, balance FROM accounts WHERE {mark} > -1000000000");
        let (plan, by_table, by_index) =
            in_block(client, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", async {
                let plan = client.query(&format!("EXPLAIN {query}"), &[]).await?;
                let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
                Ok((plan, pairs(client, BY_TABLE).await?, pairs(client, &query).await?))
            })
            .await?;
        tracing::debug!(index, ?by_table, "built");
        if !plan.iter().any(|line| line.contains(&index)) {
            self.tally.violation(format!("not by {index}: {plan:?}"));
        } else if by_table != by_index {
            self.tally.violation(format!("the table holds {by_table:?}, {index} {by_index:?}"));
        }
        Ok(())
    }

    async fn audit_sum(&self, client: &Client) -> Result<(), Error> {
        let row = client.query_one("SELECT sum(balance)::bigint, count(*) FROM accounts", &[]).await?;
        let (sum, count): (i64, i64) = (row.get(0), row.get(1));
        tracing::debug!(sum, count, "audit");
        if sum != INITIAL * i64::from(self.accounts) || count != i64::from(self.accounts) {
            self.tally.violation(format!("{count} accounts sum up to {sum}"));
        }
        Ok(())
    }

    async fn audit_index(&self, client: &Client) -> Result<(), Error> {
        let begin =
            format!("BEGIN ISOLATION LEVEL {} READ ONLY", super::LEVELS[1 + random::below(2) as usize]);
        let by = &BY_INDEX[random::below(BY_INDEX.len() as u64) as usize];
        let (by_table, by_index) = in_block(client, &begin, async {
            Ok((pairs(client, BY_TABLE).await?, pairs(client, by.query).await?))
        })
        .await?;
        if by.of(&by_table) != by_index {
            self.tally.violation(format!("the table holds {by_table:?}, {} {by_index:?}", by.index));
        }
        Ok(())
    }

    /// At any moment of the past the balances were what the transfers up to then had made them, and the versions of accounts
    /// that were current say the same.
    async fn audit_past(&self, client: &Client) -> Result<(), Error> {
        let starts = "SELECT DISTINCT system_start::text FROM accounts FOR SYSTEM_TIME ALL ORDER BY 1";
        let starts = client.query(starts, &[]).await?;
        if starts.is_empty() {
            self.tally.violation("accounts without versions".to_owned());
            return Ok(());
        }
        let at: &str = starts[random::below(starts.len() as u64) as usize].get(0);
        let then = pairs(client, &format!("{BY_TABLE} FOR SYSTEM_TIME AS OF {at}")).await?;
        let versions = format!(
            "{BY_TABLE} FOR SYSTEM_TIME ALL WHERE system_start <= {at} AND (system_end > {at} OR system_end IS NULL)"
        );
        let versions = pairs(client, &versions).await?;
        let transfers = format!("SELECT source, target, amount FROM transfers FOR SYSTEM_TIME AS OF {at}");
        let mut expected: BTreeMap<i32, i64> = (0..self.accounts).map(|id| (id, INITIAL)).collect();
        for row in client.query(&transfers, &[]).await? {
            let amount: i64 = row.get(2);
            *expected.entry(row.get(0)).or_default() -= amount;
            *expected.entry(row.get(1)).or_default() += amount;
        }
        if then != expected || versions != expected {
            self.tally.violation(format!(
                "at {at} balances were {then:?}, by versions {versions:?}, their transfers make them {expected:?}"
            ));
        }
        Ok(())
    }

    async fn audit_acknowledged(&self, client: &Client) -> Result<(), Error> {
        let newest =
            self.ledger.lock().iter().rev().find(|(_, known)| **known == Known::Committed).map(|(n, _)| *n);
        let Some(number) = newest else { return Ok(()) };
        let read = "SELECT amount FROM transfers WHERE number = $1";
        if client.query_opt(read, &[&number]).await?.is_none() {
            self.tally.violation(format!("acknowledged transfer {number} is not seen"));
        }
        Ok(())
    }

    /// The final account.
    pub(in super::super) async fn settle(&self, gateway: &Gateway) -> Vec<String> {
        let client = gateway.connect().await;
        let read = in_block(&client, "BEGIN READ ONLY", async {
            let by_table = pairs(&client, BY_TABLE).await?;
            let mut by_index = Vec::new();
            for by in &BY_INDEX {
                by_index.push((by, pairs(&client, by.query).await?));
            }
            let transfers = client.query("SELECT number, source, target, amount FROM transfers", &[]).await?;
            Ok((by_table, by_index, transfers))
        });
        let (by_table, by_index, transfers) = match read.await {
            Ok(read) => read,
            Err(error) => return vec![format!("the final state cannot be read: {error:?}")],
        };
        let mut violations = Vec::new();
        for (by, by_index) in by_index {
            if by.of(&by_table) != by_index {
                let index = by.index;
                violations.push(format!("in the end the table holds {by_table:?}, {index} {by_index:?}"));
            }
        }
        let mut expected: BTreeMap<i32, i64> = (0..self.accounts).map(|id| (id, INITIAL)).collect();
        let mut amounts = BTreeMap::new();
        for row in &transfers {
            let (number, amount): (i64, i64) = (row.get(0), row.get(3));
            amounts.insert(number, amount);
            *expected.entry(row.get(1)).or_default() -= amount;
            *expected.entry(row.get(2)).or_default() += amount;
        }
        if by_table != expected {
            violations.push(format!("balances are {by_table:?}, their transfers make them {expected:?}"));
        }
        for (number, known) in &*self.ledger.lock() {
            let there = amounts.get(number).is_some_and(|amount| *amount > 0);
            match known {
                Known::Committed if !there => {
                    violations.push(format!("acknowledged transfer {number} is lost"))
                }
                Known::Failed if there => violations.push(format!("failed transfer {number} is there")),
                _ => {}
            }
        }
        violations
    }
}

/// Runs a statement that returns the accounts that it changes; how many they are.
async fn changed(
    client: &Client,
    statement: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<usize, Error> {
    let rows = client.query(statement, parameters).await?;
    for row in &rows {
        tracing::debug!(id = row.get::<_, i32>(0), balance = row.get::<_, i64>(1), ?parameters, "changed");
    }
    Ok(rows.len())
}

/// Rows of an id and a balance.
pub(super) async fn pairs(client: &Client, query: &str) -> Result<BTreeMap<i32, i64>, Error> {
    Ok(client.query(query, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}
