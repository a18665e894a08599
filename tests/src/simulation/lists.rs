//! Lists that transactions read and append to: from what each one saw, `cycles` finds out whether there is any order
//! in which they could have run one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{
    Client, CommitTimestamp, Error, Isolation, Span, Strength, Transaction, TransactionOptions, VersionsLeft,
    WaitPolicy,
};
use env::random;

use super::bank::scan_all;
use super::cycles::Operation;
use super::history::History;
use super::report::{Failure, Tally};
use super::scenario::Scenario;
use super::signals::Signals;
use super::snapshots::Snapshots;

const TENANT: u8 = 1;

/// So far back the lists are looked at as they were, as a difference of timestamps: three seconds.
const BACK_MAX: u64 = 3_000 << 18;

/// How long one call of a worker may try to reach the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The lists, and what was done to them.
pub(super) struct Lists {
    lists: u32,
    pause_ms_max: u64,
    history: History,
    snapshots: Snapshots,
}

/// The key of a list.
pub(super) fn key(list: u32) -> Bytes {
    keys::sql::kv_key(TENANT, &[b"list/", &list.to_be_bytes()[..]].concat())
}

/// That key alone.
pub(super) fn only(list: u32) -> Span {
    let key = key(list);
    Span { end: keys::span::successor(&key), start: key }
}

/// The keys of all lists.
pub(super) fn all() -> Span {
    let prefix = keys::sql::kv_key(TENANT, b"list/");
    Span { end: keys::span::prefix_end(&prefix), start: prefix }
}

fn decode(value: Option<&Bytes>) -> Vec<u64> {
    let bytes = value.map_or(&[][..], |value| value.as_ref());
    bytes.chunks_exact(8).filter_map(|element| Some(u64::from_be_bytes(element.try_into().ok()?))).collect()
}

fn encode(list: &[u64]) -> Bytes {
    list.iter().flat_map(|element| element.to_be_bytes()).collect::<Vec<u8>>().into()
}

impl Lists {
    pub(super) fn new(scenario: &Scenario, tally: Tally) -> Self {
        let (lists, pause_ms_max) = (scenario.lists, scenario.pause_ms_max);
        Self { lists, pause_ms_max, history: History::new(tally), snapshots: Snapshots::default() }
    }

    /// Reads and appends until told to stop.
    pub(super) async fn appender(self: Arc<Self>, client: Client, signals: Signals) {
        while signals.may_write(self.pause_ms_max).await {
            if random::below(8) == 0 {
                let looked = self.look_back(&client).await;
                self.history.looked(looked.err().map(|error| Failure::from(&error)));
                continue;
            }
            let invoked = self.history.now();
            let read_only = random::below(4) == 0;
            let options = TransactionOptions {
                isolation: Isolation::Serializable,
                read_only,
                timeout: TIMEOUT,
                ..TransactionOptions::default()
            };
            let mut transaction = client.begin(options);
            let mut operations = Vec::new();
            let outcome = self.transact(&mut transaction, read_only, &mut operations).await;
            if let Ok(at) = &outcome {
                self.snapshots.note(*at, &operations);
            }
            let failure = outcome.err().map(|error| Failure::from(&error));
            self.history.record(invoked, operations, failure);
        }
    }

    async fn transact(
        &self,
        transaction: &mut Transaction,
        read_only: bool,
        operations: &mut Vec<Operation>,
    ) -> Result<CommitTimestamp, Error> {
        let first = random::below(u64::from(self.lists)) as u32;
        for turn in 0..1 + random::below(3) as u32 {
            let list = (first + turn) % self.lists;
            let appends = !read_only && random::below(2) == 0;
            let value = if appends && random::below(2) == 0 {
                let locked =
                    transaction.lock(vec![key(list)], Strength::Exclusive, WaitPolicy::Block).await?;
                locked.into_iter().next().and_then(|locked| locked.value)
            } else {
                transaction.get(key(list)).await?
            };
            let seen = decode(value.as_ref());
            let appended = appends.then(|| self.history.element());
            if let Some(element) = appended {
                let longer: Vec<u64> = seen.iter().copied().chain([element]).collect();
                transaction.put(key(list), encode(&longer));
                transaction.flush_if_large().await?;
            }
            operations.push(Operation { list, seen, appended });
        }
        transaction.commit().await
    }

    /// A list as it was at a moment not long ago, and its versions since: what each of them holds had been committed when it was
    /// current, and nothing else.
    async fn look_back(&self, client: &Client) -> Result<(), Error> {
        let newest = client.timestamp().await?.timestamp;
        // Often a moment ago: by then some replicas have all of it, and others do not.
        let at = newest.saturating_sub(random::below(BACK_MAX) >> (4 * random::below(3)));
        let list = random::below(u64::from(self.lists)) as u32;
        let seen = |value: Option<&Bytes>| [Operation { list, seen: decode(value), appended: None }];
        let mut past = client.past(at);
        let read = past.get(key(list)).await;
        past.rollback().await;
        let then = read?;
        self.snapshots.note(at, &seen(then.as_ref()));
        if random::below(2) == 0 {
            // Whoever leads remembers what is asked next, and so would not let in late what another replica has answered without.
            return Ok(());
        }
        let mut left = Some(VersionsLeft::all(only(list)));
        let (mut first, mut until) = (None, newest);
        while let Some(wanted) = left.take() {
            let bytes_max = 1 + random::below(4096) as usize;
            let page = client.versions(wanted, at, newest, bytes_max).await?;
            for version in page.versions {
                if version.timestamp > until {
                    let begun = version.timestamp;
                    self.history.violation(format!("of list {list} a version of {begun} follows {until}"));
                }
                // All of them would be too much to look at.
                if random::below(16) == 0 {
                    self.snapshots.note(version.timestamp, &seen(version.value.as_ref()));
                    self.snapshots.note(until, &seen(version.value.as_ref()));
                }
                until = version.timestamp.saturating_sub(1);
                first = Some(version);
            }
            left = page.left;
        }
        let first = first.filter(|version| version.timestamp <= at).and_then(|version| version.value);
        if first != then {
            self.history.violation(format!(
                "at {at} list {list} was {then:?}, its versions say that it was {first:?}"
            ));
        }
        Ok(())
    }

    /// Reads the lists as they are in the end and judges the history.
    pub(super) async fn settle(&self, client: Client) -> Vec<String> {
        let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
        let mut transaction = client.begin(options);
        let rows = match scan_all(&mut transaction, all()).await {
            Ok(rows) => rows,
            Err(error) => return vec![format!("the final lists cannot be read: {error:?}")],
        };
        let finals: BTreeMap<u32, Vec<u64>> = rows
            .iter()
            .filter_map(|(key, value)| {
                let list = u32::from_be_bytes(key.get(key.len() - 4..)?.try_into().ok()?);
                Some((list, decode(Some(value))))
            })
            .collect();
        let mut violations = self.history.judge(&finals);
        violations.extend(self.snapshots.judge());
        violations
    }
}
