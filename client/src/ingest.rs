//! Entries of an index that nobody reads yet, written in bulk: gathered into requests of bounded size, a few of which are under
//! way at a time, each to the range that holds its keys.
//!
//! What is ingested are versions at one timestamp. It must have been handed out before anybody could write to the index,
//! so that whatever is written there meanwhile stands above them, and history from it on has to be kept until all of it is
//! written: by a transaction that began before and stays open. A request may be sent again as often as one likes.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use env::task::boxed;
use env::task::{self, JoinHandle};
use env::trace;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Ingest as Request, Write, operation};

use crate::sender::{Call, Failure};
use crate::{Client, Error, Result};

/// The bytes of keys and values of one request, its last entry apart: what a range proposes at once, and room for what frames
/// them there.
const REQUEST_BYTES: usize = 96 << 10;

/// What frames an entry where it is proposed, at most.
const ENTRY_BYTES: usize = 32;

/// A larger entry goes into no request. Its key and the key that it leads to fit.
const ENTRY_BYTES_MAX: usize = 144 << 10;

/// So many requests are under way at a time: about as much as a range lets be under way in its log.
const UNDER_WAY_MAX: usize = 16;

/// So many times in a row may ranges answer one request with new bounds.
const REROUTES_MAX: u32 = 50;

/// How long a request may wait for the ranges beside what the cluster may be out of reach: they let in what their disks
/// take, and no more.
const ADMISSION: Duration = Duration::from_secs(60);

/// Writes entries of one index in the order of their keys. What was given to it is written once [`Ingest::finish`] says so.
///
/// Dropping it gives up: what is under way may still be written.
#[derive(Debug)]
pub struct Ingest {
    client: Client,
    at: u64,
    /// Keys and values of the next request, one after the other.
    gathered: BytesMut,
    /// Where in it they stand.
    places: Vec<(Range<usize>, Range<usize>)>,
    under_way: VecDeque<UnderWay>,
    entries: u64,
}

/// A request under way, given up when this is dropped.
#[derive(Debug)]
struct UnderWay(JoinHandle<Result<()>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Client {
    /// Begins to write entries as versions at `at`; see [`Ingest`].
    pub fn ingest(&self, at: u64) -> Ingest {
        Ingest {
            client: self.clone(),
            at,
            gathered: BytesMut::new(),
            places: Vec::new(),
            under_way: VecDeque::new(),
            entries: 0,
        }
    }
}

impl Ingest {
    /// Whether an entry of so many bytes can be ingested at all.
    pub fn takes(key_bytes: usize, value_bytes: usize) -> bool {
        key_bytes.saturating_add(value_bytes) <= ENTRY_BYTES_MAX
    }

    /// How many entries it was given.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Takes the next entry, whose key is above those before. Waits where too much is under way.
    ///
    /// # Errors
    /// What was under way could not be written. [`Error::TooLarge`]: see [`Ingest::takes`].
    pub async fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let bytes = key.len().saturating_add(value.len());
        if !Self::takes(key.len(), value.len()) {
            return Err(Error::TooLarge { bytes: bytes as u64, bytes_max: ENTRY_BYTES_MAX as u64 });
        }
        if self.gathered.capacity() == 0 {
            self.gathered.reserve(REQUEST_BYTES + ENTRY_BYTES_MAX);
        }
        let start = self.gathered.len();
        self.gathered.extend_from_slice(key);
        let middle = self.gathered.len();
        self.gathered.extend_from_slice(value);
        self.places.push((start..middle, middle..self.gathered.len()));
        self.entries = self.entries.saturating_add(1);
        let framed = self.gathered.len().saturating_add(self.places.len().saturating_mul(ENTRY_BYTES));
        if framed >= REQUEST_BYTES {
            self.send().await?;
        }
        Ok(())
    }

    /// Writes what is left; returns once all of it is applied, and stays so whatever fails.
    ///
    /// # Errors
    /// Some of it could not be written.
    #[boxed]
    pub async fn finish(mut self) -> Result<u64> {
        self.send().await?;
        while !self.under_way.is_empty() {
            self.wait().await?;
        }
        Ok(self.entries)
    }

    /// Sends what is gathered.
    async fn send(&mut self) -> Result<()> {
        if self.places.is_empty() {
            return Ok(());
        }
        while self.under_way.len() >= UNDER_WAY_MAX {
            self.wait().await?;
        }
        let bytes = std::mem::take(&mut self.gathered).freeze();
        let write = |(key, value): (Range<usize>, Range<usize>)| Write {
            key: bytes.slice(key),
            value: Some(bytes.slice(value)),
            changes_key: None,
        };
        let writes: Vec<Write> = std::mem::take(&mut self.places).into_iter().map(write).collect();
        let (sending, context) = (send(self.client.clone(), self.at, writes), trace::current());
        let sent = task::spawn(async move { trace::under(context, pin!(sending)).await });
        self.under_way.push_back(UnderWay(sent));
        Ok(())
    }

    /// Waits for the oldest of those under way. It stays the oldest until its answer is there.
    async fn wait(&mut self) -> Result<()> {
        let Some(UnderWay(oldest)) = self.under_way.front_mut() else { return Ok(()) };
        let written = oldest.await;
        self.under_way.pop_front();
        written.unwrap_or_else(|_| {
            Err(Error::Unavailable { message: "the gateway is stopping".to_owned(), source: None })
        })
    }
}

/// Has entries written by the ranges that hold them.
async fn send(client: Client, at: u64, writes: Vec<Write>) -> Result<()> {
    let call = Call::of_nobody(client.options().timeout + ADMISSION);
    let mut left = writes.as_slice();
    let mut reroutes = 0;
    while let Some(first) = left.first() {
        let route = client.sender.route(&first.key, call.timeout).await?;
        let here = match route.end() {
            [] => left.len(),
            end => left.partition_point(|write| write.key.as_ref() < end),
        };
        let (part, rest) = left.split_at_checked(here).unwrap_or((left, &[]));
        let build = || operation::Operation::Ingest(Request { at, writes: part.to_vec() });
        match client.sender.send(&route, &call, build).await {
            Ok(Answer::Ingest(_)) => (left, reroutes) = (rest, 0),
            Ok(_) => {
                let message = "a range answered something else than it was asked".to_owned();
                return Err(Error::Invalid { message });
            }
            Err(Failure::Rerouted) if reroutes < REROUTES_MAX => reroutes += 1,
            Err(failure) => return Err(failure.into_error()),
        }
    }
    Ok(())
}
