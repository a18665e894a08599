//! Counters of the key-value service, each count in a transaction with a record of itself, and a chain of objects, each of which
//! answers the one before it: through calls and bytes of clients, with everything of the doors but their sockets.
//!
//! A count whose outcome is unknown may have a record or none. Of the chain a link is lost to who tells it where an answer is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::kv::kv_client::KvClient;
use api::kv::{BeginRequest, CommitRequest, GetRequest, Mode, RollbackRequest, ScanRequest, SetRequest};
use env::{clock, random};
use gateway::KvService;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tonic::{Code, Status};

use super::super::gateway::Gateway;
use super::super::report::{Failure, Tally};
use super::super::scenario::Scenario;
use super::super::signals::Signals;

/// Counters; few, so that their counts meet.
const COUNTERS: u64 = 3;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the end is asked for, once all faults are over.
const ATTEMPTS: usize = 20;

const RECORDS: &str = "record/";
const CHAIN: &[u8] = b"\0\x05chain";

/// What a client has come to know of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Acknowledged,
    Failed,
}

/// The links that have been told: what stood there before.
#[derive(Default)]
struct Chain {
    attempted: BTreeSet<i64>,
    acknowledged: BTreeSet<i64>,
    before: Vec<Option<i64>>,
    unknown: usize,
}

/// The doors, and the ledgers of what was acknowledged.
pub(in super::super) struct Doors {
    is_used: bool,
    pause_ms_max: u64,
    tally: Tally,
    numbers: AtomicU64,
    /// Nothing is known of those that are absent.
    ledger: Mutex<BTreeMap<u64, Known>>,
    chain: Mutex<Chain>,
}

type Kv = KvClient<KvService>;

impl Doors {
    pub(in super::super) fn new(scenario: &Scenario, tally: Tally) -> Self {
        Self {
            is_used: scenario.doors > 0,
            pause_ms_max: scenario.pause_ms_max,
            tally,
            numbers: AtomicU64::new(1),
            ledger: Mutex::default(),
            chain: Mutex::default(),
        }
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts until told to stop.
    pub(in super::super) async fn counter(self: Arc<Self>, gateway: Gateway, signals: Signals) {
        let mut kv = gateway.kv();
        while signals.may_write(self.pause_ms_max).await {
            let number = self.number();
            let outcome = clock::timeout(PATIENCE, count(&mut kv, number)).await;
            let outcome = outcome.unwrap_or(Err((Failure::Ambiguous, true)));
            tracing::debug!(number, ?outcome, "count");
            match outcome {
                Ok(()) => {
                    self.ledger.lock().insert(number, Known::Acknowledged);
                    self.tally.committed();
                }
                Err((failure, may_have_taken_place)) => {
                    if !may_have_taken_place {
                        self.ledger.lock().insert(number, Known::Failed);
                    }
                    self.tally.failed(failure);
                }
            }
        }
    }

    /// Puts objects in place of each other until told to stop.
    pub(in super::super) async fn linker(self: Arc<Self>, gateway: Gateway, signals: Signals) {
        let mut pipe = gateway.objects();
        while signals.may_write(self.pause_ms_max).await {
            let number = self.number() as i64;
            self.chain.lock().attempted.insert(number);
            let asked = [&[1][..], CHAIN, &[1], &number.to_be_bytes()].concat();
            let answer = clock::timeout(PATIENCE, ask(&mut pipe, &asked)).await.ok().flatten();
            match answer.map(|answer| integer(&answer)) {
                Some(Ok(before)) => {
                    let mut chain = self.chain.lock();
                    chain.acknowledged.insert(number);
                    chain.before.push(before);
                    drop(chain);
                    self.tally.committed();
                }
                Some(Err(answer)) => {
                    self.tally.violation(format!("an object of the chain is {answer:?}"));
                }
                // An error says nothing of why; another connection goes on.
                None => {
                    self.chain.lock().unknown += 1;
                    self.tally.failed(Failure::Ambiguous);
                    pipe = gateway.objects();
                }
            }
        }
    }

    /// The final account.
    pub(in super::super) async fn settle(&self, gateway: &Gateway) -> Vec<String> {
        if !self.is_used {
            return Vec::new();
        }
        let mut violations = Vec::new();
        match insist(|| self.counts(gateway)).await {
            Some(wrong) => violations.extend(wrong),
            None => violations.push("the final counters cannot be read".to_owned()),
        }
        let last = insist(|| async {
            let asked = [&[0][..], CHAIN].concat();
            ask(&mut gateway.objects(), &asked).await.ok_or(())
        });
        match last.await.map(|answer| integer(&answer)) {
            Some(Ok(last)) => violations.extend(self.chain.lock().judge(last)),
            Some(Err(answer)) => violations.push(format!("the last object of the chain is {answer:?}")),
            None => violations.push("the last object of the chain cannot be read".to_owned()),
        }
        violations
    }

    /// What is wrong with the counters.
    async fn counts(&self, gateway: &Gateway) -> Result<Vec<String>, Status> {
        let mut kv = gateway.kv();
        let mode = Mode::ReadOnly.into();
        let transaction = kv.begin(BeginRequest { mode }).await?.into_inner().transaction;
        let mut records: BTreeMap<u64, String> = BTreeMap::new();
        let scan = ScanRequest {
            transaction,
            start: RECORDS.into(),
            end: "record0".into(),
            ..ScanRequest::default()
        };
        let mut pages = kv.scan(scan).await?.into_inner();
        while let Some(page) = pages.message().await? {
            for pair in page.pairs {
                let number = text(&pair.key).trim_start_matches(RECORDS).parse().expect("a number");
                records.insert(number, text(&pair.value));
            }
        }
        let mut violations = Vec::new();
        for counter in (0..COUNTERS).map(counter) {
            let key = counter.clone().into();
            let value = kv.get(GetRequest { transaction, key }).await?.into_inner().value;
            let value: usize = value.map_or(0, |value| text(&value).parse().expect("a number"));
            let counted = records.values().filter(|of| **of == counter).count();
            if value != counted {
                violations.push(format!("{counter} is {value}, and has {counted} records"));
            }
        }
        kv.commit(CommitRequest { transaction }).await?;
        for (number, known) in &*self.ledger.lock() {
            match (known, records.contains_key(number)) {
                (Known::Acknowledged, false) => {
                    violations.push(format!("acknowledged count {number} is lost"));
                }
                (Known::Failed, true) => violations.push(format!("failed count {number} is there")),
                _ => {}
            }
        }
        Ok(violations)
    }
}

impl Chain {
    /// What is wrong with it, if this is its last object.
    fn judge(&self, last: Option<i64>) -> Vec<String> {
        let mut violations = Vec::new();
        let mut seen = BTreeSet::new();
        for object in self.before.iter().chain([&last]) {
            if !seen.insert(*object) {
                violations.push(format!("{object:?} of the chain was replaced twice"));
            }
            if object.is_some_and(|object| !self.attempted.contains(&object)) {
                violations.push(format!("{object:?} of the chain was never put there"));
            }
        }
        // An object whose successor was told to nobody is not known to have been there: one for each of these.
        let lost = self.acknowledged.iter().filter(|object| !seen.contains(&Some(**object)));
        let lost: Vec<_> = lost.collect();
        if lost.len() > self.unknown {
            violations.push(format!("acknowledged objects of the chain are lost, among them: {lost:?}"));
        }
        violations
    }
}

fn counter(number: u64) -> String {
    format!("counter/{number}")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Adds one to a counter, with a record of that. An error says whether it may have taken place.
async fn count(kv: &mut Kv, number: u64) -> Result<(), (Failure, bool)> {
    let failed = |status: Status| (judge(&status), false);
    let mode = Mode::ReadWrite.into();
    let begun = kv.begin(BeginRequest { mode }).await.map_err(failed)?;
    let transaction = begun.into_inner().transaction;
    let counter = counter(random::below(COUNTERS));
    let work = async {
        let key = counter.clone().into();
        let value = kv.get(GetRequest { transaction, key }).await?.into_inner().value;
        let value: u64 = value.map_or(0, |value| text(&value).parse().expect("a number"));
        for (key, value) in
            [(counter.clone(), (value + 1).to_string()), (format!("{RECORDS}{number}"), counter.clone())]
        {
            kv.set(SetRequest { transaction, key: key.into(), value: value.into() }).await?;
        }
        Ok::<_, Status>(())
    };
    if let Err(status) = work.await {
        // What has ended needs no end.
        let _ = kv.rollback(RollbackRequest { transaction }).await;
        return Err(failed(status));
    }
    let committed = kv.commit(CommitRequest { transaction }).await;
    committed.map(drop).map_err(|status| {
        let is_open = matches!(status.code(), Code::Unknown | Code::DeadlineExceeded);
        (if is_open { Failure::Ambiguous } else { judge(&status) }, is_open)
    })
}

/// What a code says of a call that failed.
fn judge(status: &Status) -> Failure {
    match status.code() {
        Code::Aborted => Failure::Conflict,
        Code::Unknown => Failure::Ambiguous,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::NotFound => {
            Failure::Unavailable
        }
        Code::OutOfRange => Failure::TooOld,
        _ => Failure::Unexpected(format!("{status:?}")),
    }
}

/// What a request of the object protocol is answered; none: an error, or nothing.
async fn ask(pipe: &mut DuplexStream, request: &[u8]) -> Option<Vec<u8>> {
    let length = (request.len() as u64).to_be_bytes();
    pipe.write_all(&[&length[..], request].concat()).await.ok()?;
    let length = pipe.read_u64().await.ok()?;
    let mut answer = vec![0; usize::try_from(length).ok()?];
    pipe.read_exact(&mut answer).await.ok()?;
    (answer != [255]).then_some(answer)
}

/// The integer that an object is; none of null.
fn integer(object: &[u8]) -> Result<Option<i64>, Vec<u8>> {
    match object {
        [0] => Ok(None),
        [1, value @ ..] => {
            value.try_into().map(|value| Some(i64::from_be_bytes(value))).map_err(|_| object.to_vec())
        }
        _ => Err(object.to_vec()),
    }
}

/// Asks until there is an answer, a few times.
async fn insist<T, E, F: Future<Output = Result<T, E>>>(mut work: impl FnMut() -> F) -> Option<T> {
    for _ in 0..ATTEMPTS {
        if let Ok(Ok(done)) = clock::timeout(PATIENCE, work()).await {
            return Some(done);
        }
        clock::sleep(Duration::from_secs(1)).await;
    }
    None
}
