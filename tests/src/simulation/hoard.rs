//! Rows of megabytes. Each transaction writes two of them and a record of itself, so that a reader can tell: the two are
//! of one transaction, whole, and what was acknowledged is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use client::{Client, Error, Span, Transaction, TransactionOptions};
use env::random;
use parking_lot::Mutex;

use super::bank::scan_all;
use super::report::{Failure, Tally};
use super::scenario::{Large, Scenario};
use super::signals::Signals;

const TENANT: u8 = 1;

/// Pairs of rows; few, so that they are written over and over.
const PAIRS: u64 = 4;

/// How long one call of a worker may try to reach the cluster.
const TIMEOUT: Duration = Duration::from_secs(20);

/// So much of a row is alike.
const BLOCK_BYTES: usize = 512;

/// The rows, and the ledger of what was acknowledged.
pub(super) struct Hoard {
    large: Large,
    pause_ms_max: u64,
    tally: Tally,
    numbers: AtomicU64,
    /// Whether it was acknowledged; nothing is known of those that are absent.
    ledger: Mutex<BTreeMap<u64, bool>>,
}

fn row(pair: u64, half: u64) -> Bytes {
    keys::sql::kv_key(TENANT, &[b"hoard/", &pair.to_be_bytes()[..], &half.to_be_bytes()].concat())
}

fn record(number: u64) -> Bytes {
    keys::sql::kv_key(TENANT, &[b"haul/", &number.to_be_bytes()[..]].concat())
}

fn records() -> Span {
    let prefix = keys::sql::kv_key(TENANT, b"haul/");
    Span { end: keys::span::prefix_end(&prefix), start: prefix }
}

/// `bytes` that name their writer, their half and their place.
fn content(number: u64, half: u64, bytes: usize) -> Bytes {
    let mut content = number.to_be_bytes().to_vec();
    for block in 0.. {
        if content.len() >= bytes {
            break;
        }
        let mark = (number << 24 | half << 20 | block).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        content.extend(mark.to_be_bytes().repeat(BLOCK_BYTES / 8));
    }
    content.truncate(bytes.max(8));
    content.into()
}

/// Who wrote a row, if it is whole.
fn writer(half: u64, value: &Bytes) -> Option<u64> {
    let number = u64::from_be_bytes(value.get(..8)?.try_into().ok()?);
    (content(number, half, value.len()) == *value).then_some(number)
}

fn options(read_only: bool) -> TransactionOptions {
    TransactionOptions { read_only, timeout: TIMEOUT, ..TransactionOptions::default() }
}

impl Hoard {
    pub(super) fn new(scenario: &Scenario, tally: Tally) -> Self {
        let (large, pause_ms_max) = (scenario.large, scenario.pause_ms_max);
        Self { large, pause_ms_max, tally, numbers: AtomicU64::new(1), ledger: Mutex::default() }
    }

    /// Writes pairs of rows until told to stop.
    pub(super) async fn hauler(self: Arc<Self>, client: Client, signals: Signals) {
        while signals.may_write(self.pause_ms_max).await {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            let outcome = self.haul(&client, number).await;
            match &outcome {
                Ok(()) => drop(self.ledger.lock().insert(number, true)),
                Err(Error::Ambiguous { .. }) => {}
                Err(_) => drop(self.ledger.lock().insert(number, false)),
            }
            tracing::debug!(number, ?outcome, "haul");
            match outcome {
                Ok(()) => self.tally.hauled(),
                Err(error) => self.tally.failed(&error),
            }
        }
    }

    async fn haul(&self, client: &Client, number: u64) -> Result<(), Error> {
        let mut transaction = client.begin(options(false));
        let pair = random::below(PAIRS);
        for half in 0..2 {
            let spread = self.large.bytes_max - self.large.bytes_min + 1;
            let bytes = (self.large.bytes_min + random::below(spread)) as usize;
            transaction.put(row(pair, half), content(number, half, bytes));
            transaction.flush_if_large().await?;
        }
        transaction.put(record(number), Bytes::copy_from_slice(&pair.to_be_bytes()));
        transaction.commit().await.map(drop)
    }

    /// Until told to stop: the halves of a pair are of one transaction, at any moment.
    pub(super) async fn auditor(self: Arc<Self>, client: Client, signals: Signals) {
        while signals.may_read(self.pause_ms_max * 8).await {
            let mut transaction = client.begin(options(true));
            match self.check_pair(&mut transaction, random::below(PAIRS)).await {
                Ok(_) => self.tally.read(),
                Err(error) => self.tally.failed(&error),
            }
        }
    }

    /// The number of the transaction that wrote a pair.
    async fn check_pair(&self, transaction: &mut Transaction, pair: u64) -> Result<Option<u64>, Error> {
        let first = transaction.get(row(pair, 0)).await?;
        let second = transaction.get(row(pair, 1)).await?;
        let writers = [(0, &first), (1, &second)]
            .map(|(half, value)| value.as_ref().map(|value| writer(half, value).ok_or(value.len())));
        match writers {
            [None, None] => Ok(None),
            [Some(Ok(first)), Some(Ok(second))] if first == second => Ok(Some(first)),
            torn => {
                self.tally.violation(format!("pair {pair} is torn: {torn:?}"));
                Ok(None)
            }
        }
    }

    /// The final account.
    pub(super) async fn settle(&self, client: Client) -> Vec<String> {
        let mut transaction = client.begin(options(true));
        let mut violations = Vec::new();
        let found = async {
            let found: BTreeMap<u64, u64> = scan_all(&mut transaction, records())
                .await?
                .iter()
                .filter_map(|(key, pair)| {
                    let number = u64::from_be_bytes(key.get(key.len() - 8..)?.try_into().ok()?);
                    Some((number, u64::from_be_bytes(pair.as_ref().try_into().ok()?)))
                })
                .collect();
            for pair in 0..PAIRS {
                let Some(number) = self.check_pair(&mut transaction, pair).await? else { continue };
                if found.get(&number) != Some(&pair) {
                    violations.push(format!("pair {pair} was written by {number}, which has no record"));
                }
            }
            Ok::<_, Error>(found)
        };
        let found = match found.await {
            Ok(found) => found,
            Err(error) => return vec![format!("the final rows cannot be read: {:?}", Failure::from(&error))],
        };
        for (number, acknowledged) in &*self.ledger.lock() {
            match (acknowledged, found.contains_key(number)) {
                (true, false) => violations.push(format!("acknowledged haul {number} is lost")),
                (false, true) => violations.push(format!("failed haul {number} is there")),
                _ => {}
            }
        }
        violations
    }
}
