//! A queue: jobs are put into slots that are free, scans with a limit find and take them, and what they leave behind is mostly dead.
//!
//! Slots are few, so that they are put again and again, often in the midst of what is dead: a scan that takes it for empty still misses
//! them. Scans are held against gets of every slot in the same snapshot, and in the end `jobs` judges what became of each job.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{
    Client, CommitTimestamp, Error, Isolation, ScanOptions, Span, Strength, Transaction, TransactionOptions,
    WaitPolicy,
};
use env::{clock, random};
use parking_lot::Mutex;

use super::bank::Known;
use super::jobs::{Jobs, Standing};
use super::report::Tally;
use super::scenario::Scenario;
use super::signals::Signals;

const TENANT: u8 = 1;

/// How many slots there are.
const SLOTS: u32 = 40;

/// So far back the slots are looked at as they were, as a difference of timestamps: three seconds.
const BACK_MAX: u64 = 3_000 << 18;

/// How long at most a snapshot is kept while others go on.
const LOOK_MS_MAX: u64 = 400;

/// How long one call of a worker may try to reach the cluster.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The slots, and what became of the jobs in them.
pub(super) struct Queue {
    pause_ms_max: u64,
    tally: Tally,
    jobs: Mutex<Jobs>,
}

/// A scan of some of the slots.
#[derive(Clone, Copy, Debug)]
struct Look {
    from: u32,
    /// The first slot that it does not come to.
    to: u32,
    reverse: bool,
    /// It ends with so many rows.
    rows_max: usize,
    /// It asks for so many at a time.
    page: usize,
}

fn key(slot: u32) -> Bytes {
    keys::sql::kv_key(TENANT, &[b"queue/", &slot.to_be_bytes()[..]].concat())
}

/// The key of any slot.
pub(super) fn any_key() -> Bytes {
    key(any_slot())
}

fn any_slot() -> u32 {
    random::below(u64::from(SLOTS)) as u32
}

/// The keys of all slots.
fn all() -> Span {
    Span::prefix(keys::sql::kv_key(TENANT, b"queue/"))
}

/// The slot of a key; none has the number that it has if it is the key of none.
fn slot_of(key: &[u8]) -> u32 {
    key.last_chunk().map_or(SLOTS, |slot| u32::from_be_bytes(*slot))
}

/// The job that a slot holds; none has the number that it has if it is no job.
fn job_of(value: &[u8]) -> u64 {
    <[u8; 8]>::try_from(value).map_or(0, u64::from_be_bytes)
}

fn options(isolation: Isolation) -> TransactionOptions {
    TransactionOptions { isolation, timeout: TIMEOUT, ..TransactionOptions::default() }
}

fn read_only() -> TransactionOptions {
    TransactionOptions { read_only: true, timeout: TIMEOUT, ..TransactionOptions::default() }
}

impl Look {
    /// From one end or from any slot on, for a few rows mostly.
    fn any() -> Self {
        let reverse = random::below(2) == 0;
        let (from, to) = match random::below(4) {
            0 if reverse => (0, any_slot() + 1),
            0 => (any_slot(), SLOTS),
            1 => {
                let (one, other) = (any_slot(), any_slot());
                (one.min(other), one.max(other) + 1)
            }
            _ => (0, SLOTS),
        };
        let rows_max = match random::below(8) {
            0 => usize::MAX,
            few => 1 + few as usize % 3,
        };
        let page = match random::below(4) {
            0 => usize::MAX,
            few => few as usize,
        };
        Self { from, to, reverse, rows_max, page }
    }

    /// Of all slots, and all that they hold.
    fn whole() -> Self {
        Self { from: 0, to: SLOTS, rows_max: usize::MAX, ..Self::any() }
    }

    fn span(self) -> Span {
        let all = all();
        let start = if self.from == 0 { all.start } else { key(self.from) };
        let end = if self.to >= SLOTS { all.end } else { key(self.to) };
        Span { start, end }
    }

    /// What it finds where these jobs stand.
    fn expected(self, standing: &Standing) -> Vec<(u32, u64)> {
        let mut rows: Vec<(u32, u64)> =
            standing.range(self.from..self.to).map(|(slot, job)| (*slot, *job)).collect();
        if self.reverse {
            rows.reverse();
        }
        rows.truncate(self.rows_max);
        rows
    }

    /// What is wrong with what it has found where these jobs stand.
    fn disagreement(self, found: &[(u32, u64)], standing: &Standing) -> Option<String> {
        let expected = self.expected(standing);
        if found == expected {
            return None;
        }
        let missed: Vec<u32> =
            expected.iter().filter(|row| !found.contains(row)).map(|(slot, _)| *slot).collect();
        let invented: Vec<u32> =
            found.iter().filter(|row| !expected.contains(row)).map(|(slot, _)| *slot).collect();
        Some(format!(
            "{self:?} misses slots {missed:?} and makes up {invented:?}: found {found:?}, and by gets it is {expected:?}"
        ))
    }
}

/// What a scan finds, in its order.
async fn scan(transaction: &mut Transaction, look: Look) -> Result<Vec<(u32, u64)>, Error> {
    let (mut found, mut left) = (Vec::new(), Some(look.span()));
    while found.len() < look.rows_max
        && let Some(span) = left
    {
        let rows_max = look.page.min(look.rows_max - found.len());
        let page =
            transaction.scan(span, ScanOptions { rows_max, bytes_max: 0, reverse: look.reverse }).await?;
        found.extend(page.rows.iter().map(|(key, value)| (slot_of(key), job_of(value))));
        left = page.resume;
        if random::below(16) == 0 {
            clock::sleep(Duration::from_millis(random::below(LOOK_MS_MAX))).await;
        }
    }
    Ok(found)
}

/// The jobs that stand, slot by slot. The transaction does not rely on them.
async fn standing(transaction: &mut Transaction) -> Result<Standing, Error> {
    let values = transaction.get_unrelied((0..SLOTS).map(key).collect()).await?;
    Ok((0..SLOTS).zip(values).filter_map(|(slot, value)| Some((slot, job_of(&value?)))).collect())
}

/// Locks what was found, without what others hold; the jobs that stand there by now.
async fn lock(transaction: &mut Transaction, found: &[(u32, u64)]) -> Result<Vec<(u32, u64)>, Error> {
    let keys = found.iter().map(|(slot, _)| key(*slot)).collect();
    let locked = transaction.lock(keys, Strength::Exclusive, WaitPolicy::SkipLocked).await?;
    let held = found.iter().zip(locked).filter(|(_, locked)| !locked.skipped);
    Ok(held.filter_map(|((slot, _), locked)| Some((*slot, job_of(&locked.value?)))).collect())
}

impl Queue {
    pub(super) fn new(scenario: &Scenario, tally: Tally) -> Self {
        Self { pause_ms_max: scenario.pause_ms_max, tally, jobs: Mutex::default() }
    }

    /// Puts, takes and looks until told to stop.
    pub(super) async fn queuer(self: Arc<Self>, client: Client, signals: Signals) {
        while signals.may_write(self.pause_ms_max).await {
            match random::below(8) {
                0..=3 => self.put(&client).await,
                4 | 5 => self.take(&client).await,
                _ => match self.look(&client).await {
                    Ok(()) => self.tally.read(),
                    Err(error) => self.tally.failed(&error),
                },
            }
        }
    }

    async fn put(&self, client: &Client) {
        let mut jobs = Vec::new();
        let outcome = self.try_put(client, &mut jobs).await;
        let known = Known::of(&outcome);
        tracing::debug!(?jobs, ?known, ?outcome, "put");
        for job in &jobs {
            self.jobs.lock().end_put(*job, known);
        }
        match outcome {
            Ok(_) if jobs.is_empty() => self.tally.read(),
            Ok(_) => self.tally.committed(),
            Err(error) => self.tally.failed(&error),
        }
    }

    /// Puts a job or two, each with a number of its own, into slots that are free.
    async fn try_put(&self, client: &Client, jobs: &mut Vec<u64>) -> Result<CommitTimestamp, Error> {
        let mut transaction = client.begin(options(Isolation::Serializable));
        for _ in 0..1 + random::below(2) {
            let slot = any_slot();
            if transaction.get(key(slot)).await?.is_some() {
                continue;
            }
            let job = self.jobs.lock().begin_put();
            jobs.push(job);
            transaction.put(key(slot), Bytes::copy_from_slice(&job.to_be_bytes()));
            transaction.flush_if_large().await?;
        }
        transaction.commit().await
    }

    async fn take(&self, client: &Client) {
        let mut number = None;
        let outcome = self.try_take(client, &mut number).await;
        let known = Known::of(&outcome);
        if let Some(number) = number {
            tracing::debug!(number, ?known, ?outcome, "take");
            self.jobs.lock().end_take(number, known);
        }
        match outcome {
            Ok(0) => self.tally.read(),
            Ok(taken) => {
                self.tally.committed();
                self.tally.taken(taken);
            }
            Err(error) => self.tally.failed(&error),
        }
    }

    /// Takes what a scan finds, relying on what it has read or on locks; how many jobs that were.
    async fn try_take(&self, client: &Client, number: &mut Option<usize>) -> Result<u64, Error> {
        let (isolation, locks) = match random::below(6) {
            0 => (Isolation::ReadCommitted, true),
            1 => (Isolation::RepeatableRead, true),
            2 => (Isolation::Serializable, true),
            _ => (Isolation::Serializable, false),
        };
        let mut transaction = client.begin(options(isolation));
        transaction.begin_statement();
        let look = Look::any();
        let found = scan(&mut transaction, look).await?;
        self.jobs.lock().saw(found.iter().map(|(_, job)| *job));
        let mut known = None;
        if random::below(2) == 0 {
            let standing = standing(&mut transaction).await?;
            self.check(&mut transaction, look, &found, &standing).await?;
            known = Some(standing);
        }
        let jobs = if locks && !found.is_empty() { lock(&mut transaction, &found).await? } else { found };
        if jobs.is_empty() {
            transaction.rollback().await;
            return Ok(0);
        }
        for (slot, _) in &jobs {
            transaction.delete(key(*slot));
            transaction.flush_if_large().await?;
        }
        if !locks && let Some(mut left) = known {
            // Through its own deletions, too.
            left.retain(|slot, _| !jobs.iter().any(|(taken, _)| taken == slot));
            let again = Look::any();
            let found = scan(&mut transaction, again).await?;
            self.check(&mut transaction, again, &found, &left).await?;
        }
        *number = Some(self.jobs.lock().begin_take(jobs.iter().map(|(_, job)| *job).collect()));
        tracing::debug!(?number, ?jobs, ?isolation, locks, "takes");
        transaction.commit().await?;
        Ok(jobs.len() as u64)
    }

    /// Compares what is, or what was a moment ago.
    async fn look(&self, client: &Client) -> Result<(), Error> {
        if random::below(3) > 0 {
            let mut transaction = client.begin(read_only());
            return self.compare(&mut transaction).await.map(drop);
        }
        let newest = client.timestamp().await?.timestamp;
        let at = newest.saturating_sub(random::below(BACK_MAX) >> (4 * random::below(3)));
        let mut past = client.past(at);
        let compared = self.compare(&mut past).await;
        past.rollback().await;
        compared.map(drop)
    }

    /// In one snapshot scans find what gets find, whichever come first; the jobs that stand in it.
    async fn compare(&self, transaction: &mut Transaction) -> Result<Standing, Error> {
        let before = if random::below(2) == 0 { Some(standing(transaction).await?) } else { None };
        let mut looks = vec![Look::whole()];
        looks.extend((0..random::below(3)).map(|_| Look::any()));
        let mut looked = Vec::new();
        for look in looks {
            if random::below(4) == 0 {
                clock::sleep(Duration::from_millis(random::below(LOOK_MS_MAX))).await;
            }
            looked.push((look, scan(transaction, look).await?));
        }
        let standing = match before {
            Some(standing) => standing,
            None => standing(transaction).await?,
        };
        self.jobs.lock().saw(standing.values().copied());
        for (look, found) in &looked {
            self.check(transaction, *look, found, &standing).await?;
        }
        Ok(standing)
    }

    async fn check(
        &self,
        transaction: &mut Transaction,
        look: Look,
        found: &[(u32, u64)],
        standing: &Standing,
    ) -> Result<(), Error> {
        if let Some(wrong) = look.disagreement(found, standing) {
            let at = transaction.read_timestamp().await?;
            self.tally.violation(format!("at timestamp {at} {wrong}"));
        }
        Ok(())
    }

    /// Reads the slots as they are in the end and judges what became of the jobs.
    pub(super) async fn settle(&self, client: Client) -> Vec<String> {
        if self.jobs.lock().is_empty() {
            return Vec::new();
        }
        let mut transaction = client.begin(read_only());
        match self.compare(&mut transaction).await {
            Ok(standing) => self.jobs.lock().judge(&standing),
            Err(error) => vec![format!("the final queue cannot be read: {error:?}")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(from: u32, to: u32, reverse: bool, rows_max: usize) -> Look {
        Look { from, to, reverse, rows_max, page: 1 }
    }

    #[test]
    fn keys_and_values_lead_back() {
        assert_eq!(slot_of(&key(7)), 7);
        assert_eq!(job_of(&9_u64.to_be_bytes()), 9);
        assert_eq!((slot_of(b"q"), job_of(b"")), (SLOTS, 0));
        let all = all();
        assert!(all.contains(&key(0)) && all.contains(&key(SLOTS - 1)));
        let some = look(3, 5, false, 1).span();
        assert_eq!((some.start, some.end), (key(3), key(5)));
        assert_eq!(look(0, SLOTS, true, 1).span(), all);
    }

    #[test]
    fn a_scan_finds_the_first_of_what_stands_in_its_direction() {
        let standing = Standing::from([(2, 20), (5, 50), (9, 90)]);
        assert_eq!(look(0, SLOTS, false, 2).expected(&standing), [(2, 20), (5, 50)]);
        assert_eq!(look(0, SLOTS, true, 2).expected(&standing), [(9, 90), (5, 50)]);
        assert_eq!(look(5, 9, false, usize::MAX).expected(&standing), [(5, 50)]);
        assert!(look(6, 9, true, 3).expected(&standing).is_empty());
    }

    #[test]
    fn a_live_key_that_is_missed_and_a_dead_one_that_is_shown_are_told() {
        let standing = Standing::from([(2, 20), (5, 50)]);
        let all = look(0, SLOTS, false, 2);
        assert_eq!(all.disagreement(&[(2, 20), (5, 50)], &standing), None);
        let wrong = all.disagreement(&[(5, 50), (9, 90)], &standing).unwrap();
        assert!(wrong.contains("misses slots [2] and makes up [9]"), "{wrong}");
        // So is another order, and a job that is not the slot's any more.
        assert!(all.disagreement(&[(5, 50), (2, 20)], &standing).is_some());
        assert!(all.disagreement(&[(2, 19), (5, 50)], &standing).is_some());
    }
}
