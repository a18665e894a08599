//! What is done to the queue, each in one transaction.
//!
//! Who notifies locks the head and the rows that follow it belong to it alone; who reads looks at a snapshot; who deletes locks
//! the tail. Readers say how far they are by a row each, which nobody else writes as long as they are heard of.

use std::time::Duration;

use bytes::Bytes;
use client::{Client, Isolation, ScanOptions, Strength, Transaction, TransactionOptions, WaitPolicy};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use prost::Message;

use super::notification::{Notification, Speaker};
use super::pending::{Said, full};
use super::stored::{self, Mark, Note, Reader, Row};
use crate::error::{Cause, Error, Result};

/// The bytes of notifications that the queue holds at most.
pub(super) const QUEUE_BYTES_MAX: u64 = 64 << 20;

/// A row holds about as many bytes of notifications at most, or one.
const ROW_BYTES_MAX: usize = 256 << 10;

/// A reader that is not heard of for so long counts no more.
const SILENT_MAX_MS: u64 = 30_000;

/// So many bytes are read at once, and so many rows deleted.
const PAGE_BYTES_MAX: usize = 1 << 20;
const DELETED_MAX: u64 = 1024;

/// How often is tried what others get in the way of.
const ATTEMPTS_MAX: u32 = 20;

/// A timestamp of the cluster counts milliseconds above these bits.
const LOGICAL_BITS: u32 = 18;

/// How far rows were deleted, as far as this gateway knows. It may be farther.
#[derive(Debug, Default)]
pub(crate) struct KnownTail(Mutex<u64>);

impl KnownTail {
    /// The bytes of all rows that were deleted.
    fn bytes(&self) -> u64 {
        *self.0.lock()
    }

    fn learn(&self, tail: Mark) {
        let mut known = self.0.lock();
        *known = tail.bytes.max(*known);
    }
}

/// Puts notifications of a session into the queue, as part of the transaction, which is to commit next: others wait for
/// that. The number of the last row.
///
/// # Errors
/// 54000: there is no room for them.
pub(crate) async fn post(
    client: &Client,
    transaction: &mut Transaction,
    tail: &KnownTail,
    said: &[Said],
    from: Speaker,
) -> Result<u64> {
    let head_key = stored::head_key();
    let locked = transaction.lock_key(&head_key, Strength::Exclusive, WaitPolicy::Block).await?;
    let mut head = stored::decode_mark(locked.value.as_ref())?;
    let added = said.iter().map(|said| said.bytes() as u64).sum::<u64>();
    let after = head.bytes.saturating_add(added);
    if after.saturating_sub(tail.bytes()) > QUEUE_BYTES_MAX {
        look(client, tail).await?;
        if after.saturating_sub(tail.bytes()) > QUEUE_BYTES_MAX {
            return Err(full());
        }
    }
    let mut left = said;
    while !left.is_empty() {
        let (mut bytes, mut count) = (0_usize, 0_usize);
        for said in left {
            if count > 0 && bytes.saturating_add(said.bytes()) > ROW_BYTES_MAX {
                break;
            }
            bytes = bytes.saturating_add(said.bytes());
            count = count.saturating_add(1);
        }
        let (row, rest) = left.split_at(count);
        left = rest;
        head = Mark::new(head.number.saturating_add(1), head.bytes.saturating_add(bytes as u64));
        let notes = row
            .iter()
            .map(|said| Note { channel: said.channel.to_string(), payload: said.payload.to_string() });
        let row = Row::new(head.bytes, from, notes.collect());
        transaction.put(stored::row_key(head.number), row.encode_to_vec().into());
    }
    transaction.put(head_key, head.encode_to_vec().into());
    Ok(head.number)
}

/// The head and the tail at one moment.
async fn marks(transaction: &mut Transaction) -> Result<(Mark, Mark)> {
    let found = transaction.get_unrelied(vec![stored::head_key(), stored::tail_key()]).await?;
    let mark = |place: usize| stored::decode_mark(found.get(place).and_then(Option::as_ref));
    Ok((mark(0)?, mark(1)?))
}

async fn look(client: &Client, tail: &KnownTail) -> Result<(Mark, Mark)> {
    let mut transaction = client.begin(reading());
    let found = marks(&mut transaction).await?;
    transaction.rollback().await;
    tail.learn(found.1);
    Ok(found)
}

/// The number of the newest row.
pub(super) async fn newest(client: &Client, tail: &KnownTail) -> Result<u64> {
    Ok(look(client, tail).await?.0.number)
}

/// How full the queue is: from 0 to 1.
///
/// # Errors
/// The cluster cannot be asked.
pub(crate) async fn usage(client: &Client) -> Result<f64> {
    let (head, tail) = look(client, &KnownTail::default()).await?;
    Ok(head.bytes.saturating_sub(tail.bytes) as f64 / QUEUE_BYTES_MAX as f64)
}

/// What a reader finds.
pub(super) enum Page {
    /// Nothing new.
    Nothing,
    /// Rows are gone that it has not read. `newest` is the last there is.
    Missed { newest: u64 },
    /// The rows that follow, perhaps not all of them, each with its number.
    Rows(Vec<(u64, Row)>),
}

/// What follows row `after`.
pub(super) async fn read(client: &Client, tail: &KnownTail, after: u64) -> Result<Page> {
    let mut transaction = client.begin(reading());
    let page = read_in(&mut transaction, tail, after).await;
    transaction.rollback().await;
    page
}

async fn read_in(transaction: &mut Transaction, known: &KnownTail, after: u64) -> Result<Page> {
    let (head, tail) = marks(transaction).await?;
    known.learn(tail);
    if head.number <= after {
        return Ok(Page::Nothing);
    }
    if tail.number > after {
        return Ok(Page::Missed { newest: head.number });
    }
    let first = after.saturating_add(1);
    let mut left = Some(stored::rows(first, head.number));
    let options = ScanOptions { bytes_max: PAGE_BYTES_MAX, ..ScanOptions::default() };
    let mut rows = Vec::new();
    while let Some(span) = left
        && rows.is_empty()
    {
        let page = transaction.scan_unrelied(span, options).await?;
        for ((key, value), number) in page.rows.iter().zip(first..) {
            if *key != stored::row_key(number) {
                return Err(stored::damaged(format!("row {number} is missing")));
            }
            rows.push((number, stored::decode::<Row>(value)?));
        }
        left = page.resume;
    }
    if rows.is_empty() {
        Err(stored::damaged(format!("row {first} is missing")))
    } else {
        Ok(Page::Rows(rows))
    }
}

/// Makes this gateway a reader that has read everything there is; up to where that is.
pub(super) async fn register(client: &Client) -> Result<u64> {
    retried(|| register_once(client).boxed()).await
}

async fn register_once(client: &Client) -> Result<u64> {
    let mut transaction = client.begin(writing());
    let head_key = stored::head_key();
    // Nobody notifies in between.
    let locked = transaction.lock_key(&head_key, Strength::Exclusive, WaitPolicy::Block).await?;
    let head = stored::decode_mark(locked.value.as_ref())?;
    let reader = Reader::new(head.number, now_ms(&mut transaction).await?);
    transaction.put(stored::reader_key(client.gateway_id()), reader.encode_to_vec().into());
    transaction.commit().await?;
    Ok(head.number)
}

/// This gateway is there, and has read up to `number`.
pub(super) async fn renew(client: &Client, number: u64) -> Result<()> {
    retried(|| renew_once(client, number).boxed()).await
}

async fn renew_once(client: &Client, number: u64) -> Result<()> {
    let mut transaction = client.begin(writing());
    let reader = Reader::new(number, now_ms(&mut transaction).await?);
    transaction.put(stored::reader_key(client.gateway_id()), reader.encode_to_vec().into());
    transaction.commit().await?;
    Ok(())
}

/// This gateway reads no more.
pub(super) async fn unregister(client: &Client) -> Result<()> {
    retried(|| unregister_once(client).boxed()).await
}

async fn unregister_once(client: &Client) -> Result<()> {
    let mut transaction = client.begin(writing());
    transaction.delete(stored::reader_key(client.gateway_id()));
    transaction.commit().await?;
    Ok(())
}

/// Deletes rows that all readers have read. Whether any are left.
pub(super) async fn trim(client: &Client, known: &KnownTail) -> Result<bool> {
    let (head, mut tail) = look(client, known).await?;
    while head.number > tail.number {
        let before = tail.number;
        tail = retried(|| trim_once(client).boxed()).await?;
        known.learn(tail);
        if tail.number <= before {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes some of them; up to where they are deleted now.
async fn trim_once(client: &Client) -> Result<Mark> {
    let mut transaction = client.begin(writing());
    let trimmed = trim_in(&mut transaction).await?;
    transaction.commit().await?;
    Ok(trimmed)
}

async fn trim_in(transaction: &mut Transaction) -> Result<Mark> {
    let tail_key = stored::tail_key();
    let locked = transaction.lock_key(&tail_key, Strength::Exclusive, WaitPolicy::Block).await?;
    let tail = stored::decode_mark(locked.value.as_ref())?;
    let now_ms = now_ms(transaction).await?;
    let (head, _) = marks(transaction).await?;
    let mut last = head.number.min(tail.number.saturating_add(DELETED_MAX));
    let mut left = Some(stored::readers());
    while let Some(span) = left {
        let page = transaction.scan_unrelied(span, ScanOptions::default()).await?;
        for (key, value) in &page.rows {
            let reader = stored::decode::<Reader>(value)?;
            if reader.at_ms.saturating_add(SILENT_MAX_MS) < now_ms {
                transaction.delete(key.clone());
            } else {
                last = last.min(reader.number);
            }
        }
        left = page.resume;
    }
    if last <= tail.number {
        return Ok(tail);
    }
    let found = transaction.get_unrelied(vec![stored::row_key(last)]).await?;
    let row: Option<&Bytes> = found.first().and_then(Option::as_ref);
    let row = row.ok_or_else(|| stored::damaged(format!("row {last} is missing")))?;
    let trimmed = Mark::new(last, stored::decode::<Row>(row)?.bytes);
    for number in tail.number.saturating_add(1)..=last {
        transaction.delete(stored::row_key(number));
    }
    transaction.put(tail_key, trimmed.encode_to_vec().into());
    Ok(trimmed)
}

/// What the cluster's clock says, about.
async fn now_ms(transaction: &mut Transaction) -> Result<u64> {
    Ok(transaction.read_timestamp().await? >> LOGICAL_BITS)
}

fn reading() -> TransactionOptions {
    TransactionOptions { read_only: true, ..TransactionOptions::default() }
}

/// How a transaction is to run that does nothing but this.
pub(crate) fn writing() -> TransactionOptions {
    TransactionOptions { isolation: Isolation::ReadCommitted, ..TransactionOptions::default() }
}

/// Does it again where others got in the way.
async fn retried<'a, T>(work: impl Fn() -> BoxFuture<'a, Result<T>>) -> Result<T> {
    let mut attempt = 0;
    loop {
        let error = match work().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        attempt += 1;
        if !try_again(&error, attempt).await {
            return Err(error);
        }
    }
}

/// Whether to try once more after this error, the how manieth; waits a little first.
pub(crate) async fn try_again(error: &Error, attempt: u32) -> bool {
    if error.cause() != Cause::Conflict || attempt >= ATTEMPTS_MAX {
        return false;
    }
    let bound = 1_u64 << attempt.min(6);
    env::clock::sleep(Duration::from_millis(env::random::below(bound))).await;
    true
}

impl Notification {
    /// Those of a row.
    pub(super) fn of_row(row: Row) -> impl Iterator<Item = Self> {
        let pid = row.pid;
        row.notes.into_iter().map(move |note| Self {
            channel: note.channel.into(),
            payload: note.payload.into(),
            pid,
        })
    }
}
