//! Transfers between accounts. Each one also writes a record of itself, so that the end can be accounted for: every
//! acknowledged transfer's record is there, no failed one's is, and the balances are what the records make them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use client::{
    Client, Error, Isolation, ScanOptions, Span, Strength, Transaction, TransactionOptions, WaitPolicy,
};
use env::{clock, random};
use parking_lot::Mutex;

use super::report::Tally;
use super::scenario::Scenario;
use super::signals::Signals;

const TENANT: u8 = 1;
const INITIAL: i64 = 1000;

/// How long one call of a worker may try to reach the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The bank, and the ledger of what was acknowledged.
pub(super) struct Bank {
    accounts: u32,
    pause_ms_max: u64,
    tally: Tally,
    transfers: AtomicU64,
    ledger: Mutex<BTreeMap<u64, Known>>,
}

/// What is known of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Committed,
    Failed,
    Ambiguous,
}

impl Known {
    /// Of one that has come to this.
    pub(super) fn of<T>(outcome: &Result<T, Error>) -> Self {
        match outcome {
            Ok(_) => Self::Committed,
            Err(Error::Ambiguous { .. }) => Self::Ambiguous,
            Err(_) => Self::Failed,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Transfer {
    number: u64,
    from: u32,
    to: u32,
    amount: i64,
}

impl Transfer {
    fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(16);
        bytes.extend_from_slice(&self.from.to_be_bytes());
        bytes.extend_from_slice(&self.to.to_be_bytes());
        bytes.extend_from_slice(&self.amount.to_be_bytes());
        bytes.into()
    }

    fn decode(number: u64, bytes: &[u8]) -> Option<Self> {
        let from = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
        let to = u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?);
        let amount = i64::from_be_bytes(bytes.get(8..)?.try_into().ok()?);
        Some(Self { number, from, to, amount })
    }
}

fn account(number: u32) -> Bytes {
    keys::sql::kv_key(TENANT, &[b"account/", &number.to_be_bytes()[..]].concat())
}

fn record(number: u64) -> Bytes {
    keys::sql::kv_key(TENANT, &[b"transfer/", &number.to_be_bytes()[..]].concat())
}

fn accounts() -> Span {
    let prefix = keys::sql::kv_key(TENANT, b"account/");
    Span { end: keys::span::prefix_end(&prefix), start: prefix }
}

fn records() -> Span {
    let prefix = keys::sql::kv_key(TENANT, b"transfer/");
    Span { end: keys::span::prefix_end(&prefix), start: prefix }
}

fn balance(value: Option<Bytes>) -> Option<i64> {
    Some(i64::from_be_bytes(value?.as_ref().try_into().ok()?))
}

fn options(isolation: Isolation) -> TransactionOptions {
    TransactionOptions { isolation, timeout: TIMEOUT, ..TransactionOptions::default() }
}

fn read_only() -> TransactionOptions {
    TransactionOptions { read_only: true, timeout: TIMEOUT, ..TransactionOptions::default() }
}

/// All rows of a span.
pub(super) async fn scan_all(
    transaction: &mut Transaction,
    span: Span,
) -> Result<Vec<(Bytes, Bytes)>, Error> {
    let (mut rows, mut left) = (Vec::new(), Some(span));
    // Small pages, and in both directions, so that their bounds are put to the test.
    let reverse = random::below(2) == 0;
    while let Some(span) = left {
        let rows_max = 1 + random::below(50) as usize;
        let page = transaction.scan(span, ScanOptions { rows_max, bytes_max: 0, reverse }).await?;
        rows.extend(page.rows);
        left = page.resume;
    }
    Ok(rows)
}

impl Bank {
    pub(super) fn new(scenario: &Scenario, tally: Tally) -> Self {
        let (accounts, pause_ms_max) = (scenario.accounts, scenario.pause_ms_max);
        Self { accounts, pause_ms_max, tally, transfers: AtomicU64::new(1), ledger: Mutex::default() }
    }

    /// Gives every account its first balance.
    pub(super) async fn open(&self, client: Client) {
        loop {
            let mut transaction = client.begin(options(Isolation::Serializable));
            for number in 0..self.accounts {
                transaction.put(account(number), INITIAL.to_be_bytes().to_vec().into());
            }
            // Done twice it is the same.
            match transaction.commit().await {
                Ok(_) => return,
                Err(error) => self.tally.failed(&error),
            }
        }
    }

    /// Transfers until told to stop.
    pub(super) async fn teller(self: Arc<Self>, client: Client, signals: Signals) {
        while signals.may_write(self.pause_ms_max).await {
            let transfer = Transfer {
                number: self.transfers.fetch_add(1, Ordering::Relaxed),
                from: random::below(u64::from(self.accounts)) as u32,
                to: random::below(u64::from(self.accounts)) as u32,
                amount: 1 + random::below(100) as i64,
            };
            if transfer.from == transfer.to {
                continue;
            }
            // Whoever dies meanwhile does not know.
            self.ledger.lock().insert(transfer.number, Known::Ambiguous);
            let outcome = match random::below(4) {
                0 => self.transfer_optimistically(&client, transfer).await,
                1 => self.transfer_locked(&client, transfer, Isolation::ReadCommitted).await,
                2 => self.transfer_locked(&client, transfer, Isolation::RepeatableRead).await,
                _ => self.transfer_locked(&client, transfer, Isolation::Serializable).await,
            };
            let known = Known::of(&outcome);
            tracing::debug!(number = transfer.number, ?known, "transfer");
            self.ledger.lock().insert(transfer.number, known);
            match outcome {
                Ok(()) => self.tally.committed(),
                Err(error) => self.tally.failed(&error),
            }
        }
    }

    /// Reads without locks and relies on validation at commit.
    async fn transfer_optimistically(&self, client: &Client, transfer: Transfer) -> Result<(), Error> {
        let mut transaction = client.begin(options(Isolation::Serializable));
        let values = match random::below(3) {
            0 => transaction.get_many(vec![account(transfer.from), account(transfer.to)]).await?,
            1 => {
                let from = transaction.get(account(transfer.from)).await?;
                vec![from, transaction.get(account(transfer.to)).await?]
            }
            _ => {
                let rows: BTreeMap<Bytes, Bytes> =
                    scan_all(&mut transaction, accounts()).await?.into_iter().collect();
                [transfer.from, transfer.to].map(|number| rows.get(&account(number)).cloned()).to_vec()
            }
        };
        self.move_money(&mut transaction, transfer, values).await?;
        transaction.commit().await.map(drop)
    }

    /// Locks both accounts, in the order in which they come: deadlocks are welcome.
    async fn transfer_locked(
        &self,
        client: &Client,
        transfer: Transfer,
        isolation: Isolation,
    ) -> Result<(), Error> {
        let mut transaction = client.begin(options(isolation));
        transaction.begin_statement();
        let keys = vec![account(transfer.from), account(transfer.to)];
        let mut values = Vec::new();
        if random::below(2) == 0 {
            let locked = transaction.lock(keys, Strength::Exclusive, WaitPolicy::Block).await?;
            values.extend(locked.into_iter().map(|locked| locked.value));
        } else {
            for key in keys {
                transaction.begin_statement();
                let locked = transaction.lock(vec![key], Strength::Exclusive, WaitPolicy::Block).await?;
                values.extend(locked.into_iter().map(|locked| locked.value));
            }
        }
        let savepoint = transaction.savepoint();
        if random::below(8) == 0 {
            // A change of mind must leave no trace.
            transaction.put(account(transfer.from), Bytes::from_static(b"nonsense"));
            transaction.rollback_to(&savepoint).await?;
        }
        self.move_money(&mut transaction, transfer, values).await?;
        transaction.commit().await.map(drop)
    }

    async fn move_money(
        &self,
        transaction: &mut Transaction,
        transfer: Transfer,
        values: Vec<Option<Bytes>>,
    ) -> Result<(), Error> {
        let balances: Vec<Option<i64>> = values.into_iter().map(balance).collect();
        let [Some(from), Some(to)] = balances[..] else {
            self.tally.violation(format!("{transfer:?} found {balances:?}"));
            return Ok(());
        };
        if random::below(8) == 0 {
            // What is written twice is what was written last.
            transaction.put(account(transfer.from), Bytes::from_static(b"nonsense"));
            transaction.flush_if_large().await?;
        }
        transaction.put(account(transfer.from), (from - transfer.amount).to_be_bytes().to_vec().into());
        transaction.flush_if_large().await?;
        transaction.put(account(transfer.to), (to + transfer.amount).to_be_bytes().to_vec().into());
        transaction.flush_if_large().await?;
        transaction.put(record(transfer.number), transfer.encode());
        if random::below(8) == 0 {
            self.look_at_own(transaction, transfer, from - transfer.amount).await?;
        }
        Ok(())
    }

    /// A transaction sees what it has written itself, wherever that is by now.
    async fn look_at_own(
        &self,
        transaction: &mut Transaction,
        transfer: Transfer,
        expected: i64,
    ) -> Result<(), Error> {
        let seen = match random::below(3) {
            0 => transaction.get(account(transfer.from)).await?,
            1 => {
                let keys = vec![account(transfer.from)];
                let locked = transaction.lock(keys, Strength::Exclusive, WaitPolicy::Block).await?;
                locked.into_iter().next().and_then(|locked| locked.value)
            }
            _ => {
                let rows = scan_all(transaction, accounts()).await?;
                let own = rows.into_iter().find(|(key, _)| *key == account(transfer.from));
                own.map(|(_, value)| value)
            }
        };
        if balance(seen.clone()) != Some(expected) {
            self.tally.violation(format!("{transfer:?} wrote {expected} and then read {seen:?}"));
        }
        Ok(())
    }

    /// Until told to stop: the sum at any moment is what it was, and what was acknowledged is there.
    pub(super) async fn auditor(self: Arc<Self>, client: Client, signals: Signals) {
        while signals.may_read(self.pause_ms_max).await {
            let audited = match random::below(4) {
                0 => self.audit_sum(&client).await,
                1 => self.audit_beside_a_lock(&client).await,
                _ => self.audit_acknowledged(&client).await,
            };
            match audited {
                Ok(()) => self.tally.read(),
                Err(error) => self.tally.failed(&error),
            }
        }
    }

    async fn audit_sum(&self, client: &Client) -> Result<(), Error> {
        let mut transaction = client.begin(read_only());
        let rows = scan_all(&mut transaction, accounts()).await?;
        let at = transaction.read_timestamp().await?;
        let sum: i64 = rows.iter().filter_map(|(_, value)| balance(Some(value.clone()))).sum();
        if sum != INITIAL * i64::from(self.accounts) || rows.len() != self.accounts as usize {
            self.tally.violation(format!("{} accounts sum up to {sum} at timestamp {at}", rows.len()));
        }
        Ok(())
    }

    /// One statement under READ COMMITTED locks an account after it has begun to read, and may find a newer version than it
    /// reads at: it sees the others as they were, and so this one, too.
    async fn audit_beside_a_lock(&self, client: &Client) -> Result<(), Error> {
        let mut transaction = client.begin(options(Isolation::ReadCommitted));
        transaction.begin_statement();
        let any = || account(random::below(u64::from(self.accounts)) as u32);
        transaction.get(any()).await?;
        transaction.lock(vec![any()], Strength::Exclusive, WaitPolicy::Block).await?;
        let values = transaction.get_many((0..self.accounts).map(account).collect()).await?;
        let sum: i64 = values.into_iter().filter_map(balance).sum();
        if sum != INITIAL * i64::from(self.accounts) {
            let at = transaction.read_timestamp().await?;
            self.tally.violation(format!("beside a lock the accounts sum up to {sum} at timestamp {at}"));
        }
        transaction.rollback().await;
        Ok(())
    }

    /// Until told to stop: a snapshot stays what it was for as long as somebody reads it, or is refused.
    pub(super) async fn historian(self: Arc<Self>, client: Client, signals: Signals) {
        while signals.may_read(self.pause_ms_max).await {
            match self.read_again(&client).await {
                Ok(()) => self.tally.read(),
                Err(error) => self.tally.failed(&error),
            }
        }
    }

    async fn read_again(&self, client: &Client) -> Result<(), Error> {
        let mut transaction = client.begin(read_only());
        let first = ordered(scan_all(&mut transaction, accounts()).await?);
        let at = transaction.read_timestamp().await?;
        for _ in 0..1 + random::below(4) {
            clock::sleep(Duration::from_millis(random::below(6_000))).await;
            let again = match random::below(2) {
                0 => ordered(scan_all(&mut transaction, accounts()).await?),
                _ => {
                    let keys: Vec<Bytes> = (0..self.accounts).map(account).collect();
                    let values = transaction.get_many(keys.clone()).await?;
                    keys.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?))).collect()
                }
            };
            if again != first {
                self.tally.violation(format!(
                    "the snapshot at timestamp {at} has changed: {first:?}, then {again:?}"
                ));
            }
        }
        Ok(())
    }

    async fn audit_acknowledged(&self, client: &Client) -> Result<(), Error> {
        let newest =
            self.ledger.lock().iter().rev().find(|(_, known)| **known == Known::Committed).map(|(n, _)| *n);
        let Some(number) = newest else { return Ok(()) };
        let mut transaction = client.begin(read_only());
        let seen = transaction.get(record(number)).await?.is_some();
        let at = transaction.read_timestamp().await?;
        tracing::debug!(number, at, seen, "audit");
        if !seen {
            self.tally.violation(format!("acknowledged transfer {number} is not seen at timestamp {at}"));
        }
        Ok(())
    }

    /// The final account.
    pub(super) async fn settle(&self, client: Client) -> Vec<String> {
        let mut transaction = client.begin(read_only());
        let read = async {
            let accounts = scan_all(&mut transaction, accounts()).await?;
            let records = scan_all(&mut transaction, records()).await?;
            Ok::<_, Error>((accounts, records))
        };
        let (accounts, records) = match read.await {
            Ok(read) => read,
            Err(error) => return vec![format!("the final state cannot be read: {error:?}")],
        };
        let mut violations = Vec::new();
        let transfers: BTreeMap<u64, Transfer> = records
            .iter()
            .filter_map(|(key, value)| {
                let number = u64::from_be_bytes(key.get(key.len() - 8..)?.try_into().ok()?);
                Some((number, Transfer::decode(number, value)?))
            })
            .collect();
        for (number, known) in &*self.ledger.lock() {
            match (known, transfers.contains_key(number)) {
                (Known::Committed, false) => {
                    violations.push(format!("acknowledged transfer {number} is lost"))
                }
                (Known::Failed, true) => violations.push(format!("failed transfer {number} is there")),
                _ => {}
            }
        }
        for (place, (key, value)) in ordered(accounts).into_iter().enumerate() {
            let expected = transfers.values().fold(INITIAL, |sum, transfer| {
                sum + transfer.amount
                    * (i64::from(transfer.to == place as u32) - i64::from(transfer.from == place as u32))
            });
            if key != account(place as u32) || balance(Some(value.clone())) != Some(expected) {
                violations.push(format!(
                    "account {place} holds {:?}, its transfers make it {expected}",
                    balance(Some(value))
                ));
            }
        }
        violations
    }
}

/// Rows in ascending order, whichever way they were scanned.
pub(super) fn ordered(mut rows: Vec<(Bytes, Bytes)>) -> Vec<(Bytes, Bytes)> {
    rows.sort();
    rows
}
