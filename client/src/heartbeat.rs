//! Keeps the locks of open transactions alive: a range forgets those of a transaction it has not heard of for 5 s.
//!
//! Most transactions are over before anybody need be told that they live. One that asks for locks leaves word of itself
//! (a [`Holding`], held weakly), and takes nothing back when it ends; once a second whatever is still there is reported.
//!
//! A new leader of a range knows of no locks. What a transaction has locked its commit checks; names that are locked for
//! longer ([`Holding::keep`]) are locked anew as soon as a report finds them forgotten, unless somebody was faster.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use env::{clock, task};
use parking_lot::Mutex;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Heartbeat, Lock, Release, operation};

use crate::router::Route;
use crate::sender::{Call, Sender};
use crate::{Strength, WaitPolicy};

/// How often open transactions are reported.
const PERIOD: Duration = Duration::from_secs(1);

/// With fewer fresh transactions nobody looks which of them are over.
const FRESH_MIN: usize = 1 << 12;

/// So many names are locked anew at once.
const NAMES_PER_REQUEST: usize = 1024;

/// How long a report may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The ranges that a transaction has asked for locks, and the least and the greatest key in each: where one is divided
/// meanwhile, both of its parts are told. It is kept alive there as long as this is.
#[derive(Debug)]
pub(crate) struct Holding {
    txn_id: Bytes,
    ranges: Mutex<Vec<HeldRange>>,
    /// The names that were granted for longer than a transaction, and how.
    names: Mutex<BTreeMap<Bytes, Strength>>,
}

#[derive(Debug)]
struct HeldRange {
    range_id: u64,
    least: Bytes,
    greatest: Bytes,
}

impl Holding {
    /// Before the range is asked for locks: from now on they may exist.
    pub(crate) fn expect(&self, range_id: u64, key: &Bytes) {
        let mut ranges = self.ranges.lock();
        match ranges.iter_mut().find(|held| held.range_id == range_id) {
            Some(held) if *key < held.least => held.least = key.clone(),
            Some(held) if *key > held.greatest => held.greatest = key.clone(),
            Some(_) => {}
            None => ranges.push(HeldRange { range_id, least: key.clone(), greatest: key.clone() }),
        }
    }

    /// The range has let go of them.
    pub(crate) fn forget(&self, range_id: u64) {
        self.ranges.lock().retain(|held| held.range_id != range_id);
    }

    /// A name was granted: it is locked anew where its range forgets it.
    pub(crate) fn keep(&self, name: &Bytes, strength: Strength) {
        self.names.lock().insert(name.clone(), strength);
    }

    /// Before a name is given back.
    pub(crate) fn let_go(&self, name: &Bytes) {
        self.names.lock().remove(name);
    }

    /// The same of all names.
    pub(crate) fn let_go_of_all(&self) {
        self.names.lock().clear();
    }

    fn has_names(&self) -> bool {
        !self.names.lock().is_empty()
    }

    /// The names in a range that are locked so.
    fn names_locked(&self, strength: Strength, route: &Route) -> Vec<Bytes> {
        let names = self.names.lock();
        let here = names.iter().filter(|(name, own)| **own == strength && route.holds(name));
        here.map(|(name, _)| name.clone()).collect()
    }

    /// Those of the names that are locked no more.
    fn without_kept(&self, names: &[Bytes]) -> Vec<Bytes> {
        let kept = self.names.lock();
        names.iter().filter(|name| !kept.contains_key(*name)).cloned().collect()
    }

    /// Keys in each of the ranges.
    pub(crate) fn keys(&self) -> Vec<Bytes> {
        let ranges = self.ranges.lock();
        let mut keys = Vec::with_capacity(ranges.len());
        for held in ranges.iter() {
            keys.push(held.least.clone());
            if held.greatest != held.least {
                keys.push(held.greatest.clone());
            }
        }
        keys
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.lock().is_empty()
    }
}

/// The open transactions that hold locks.
#[derive(Default)]
pub(crate) struct Heartbeats {
    fresh: Mutex<Fresh>,
    running: AtomicBool,
}

/// Transactions that have begun since the last report, many of them over by now.
#[derive(Default)]
struct Fresh {
    holdings: Vec<Weak<Holding>>,
    /// So many remain once those that were over then are left out.
    remained: usize,
}

impl Fresh {
    fn push(&mut self, holding: Weak<Holding>) {
        if self.holdings.len() >= FRESH_MIN.max(2 * self.remained) {
            self.holdings.retain(is_open);
            self.remained = self.holdings.len();
        }
        self.holdings.push(holding);
    }

    fn take(&mut self) -> Vec<Weak<Holding>> {
        self.remained = 0;
        std::mem::take(&mut self.holdings)
    }
}

fn is_open(holding: &Weak<Holding>) -> bool {
    holding.strong_count() > 0
}

impl Heartbeats {
    /// What a transaction that is about to ask for its first lock keeps until it is over. `sender` must be the one that
    /// owns this.
    pub(crate) fn begin(self: &Arc<Self>, sender: &Arc<Sender>, txn_id: Bytes) -> Arc<Holding> {
        let holding = Arc::new(Holding { txn_id, ranges: Mutex::default(), names: Mutex::default() });
        self.fresh.lock().push(Arc::downgrade(&holding));
        if !self.running.load(Ordering::Relaxed) && !self.running.swap(true, Ordering::Relaxed) {
            drop(task::spawn(run(Arc::downgrade(self), Arc::downgrade(sender))));
        }
        holding
    }

    /// What to report of those that are open still, by range: a route to it and its transactions.
    fn due(&self, sender: &Sender, open: &mut Vec<Weak<Holding>>) -> BTreeMap<u64, (Arc<Route>, Vec<Bytes>)> {
        let mut fresh = self.fresh.lock().take();
        open.append(&mut fresh);
        open.retain(is_open);
        let mut due: BTreeMap<u64, (Arc<Route>, Vec<Bytes>)> = BTreeMap::new();
        for holding in open.iter().filter_map(Weak::upgrade) {
            for key in holding.keys() {
                let Some(route) = sender.router.route(&key) else { continue };
                let (_, ids) = due.entry(route.range_id()).or_insert_with(|| (route.clone(), Vec::new()));
                if ids.last() != Some(&holding.txn_id) {
                    ids.push(holding.txn_id.clone());
                }
            }
        }
        due
    }
}

/// Reports until the client is gone.
async fn run(heartbeats: Weak<Heartbeats>, sender: Weak<Sender>) {
    let mut open = Vec::new();
    loop {
        clock::sleep(PERIOD).await;
        let (Some(heartbeats), Some(sender)) = (heartbeats.upgrade(), sender.upgrade()) else { return };
        let reports = heartbeats.due(&sender, &mut open).into_values().map(|(route, txn_ids)| {
            let sender = sender.clone();
            async move {
                let call = Call::of_nobody(TIMEOUT);
                let build = || operation::Operation::Heartbeat(Heartbeat { txn_ids: txn_ids.clone() });
                let answer = sender.send(&route, &call, build).await;
                let unknown = match answer {
                    Ok(Answer::Heartbeat(answer)) => answer.unknown,
                    Ok(_) => Vec::new(),
                    Err(failure) => {
                        // The locks may expire; commit checks what they protected.
                        tracing::debug!(
                            range = route.range_id(),
                            ?failure,
                            "heartbeat of open transactions failed"
                        );
                        Vec::new()
                    }
                };
                (route, unknown)
            }
        });
        for (route, unknown) in futures::future::join_all(reports).await {
            let forgotten = |own: &Arc<Holding>| own.has_names() && unknown.contains(&own.txn_id);
            for holding in open.iter().filter_map(Weak::upgrade).filter(forgotten) {
                let (sender, route) = (sender.clone(), route.clone());
                drop(task::spawn(async move { lock_again(&holding, &sender, &route).await }));
            }
        }
    }
}

/// Locks the names of a range anew that knows nothing of their holder; those that somebody else holds by now are lost.
async fn lock_again(holding: &Holding, sender: &Sender, route: &Arc<Route>) {
    let priority = crate::moment::about_now();
    let call = Call { txn_id: holding.txn_id.clone(), priority, ..Call::of_nobody(TIMEOUT) };
    for strength in [Strength::Exclusive, Strength::Shared] {
        let names = holding.names_locked(strength, route);
        for part in names.chunks(NAMES_PER_REQUEST) {
            let lock = || {
                operation::Operation::Lock(Lock {
                    keys: part.to_vec(),
                    strength: strength.into(),
                    wait: WaitPolicy::SkipLocked.into(),
                    wait_ms_max: 0,
                })
            };
            if let Err(failure) = sender.send(route, &call, lock).await {
                tracing::warn!(
                    range = route.range_id(),
                    ?failure,
                    "names that a range forgot were not locked anew"
                );
            }
            // Given back meanwhile, perhaps before they were granted here.
            let given_back = holding.without_kept(part);
            if given_back.is_empty() {
                continue;
            }
            let release = || operation::Operation::Release(Release { keys: given_back.clone() });
            if let Err(failure) = sender.send(route, &call, release).await {
                tracing::debug!(range = route.range_id(), ?failure, "names are left to expire");
            }
        }
    }
}
