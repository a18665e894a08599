//! Plain reads: at the transaction's timestamp, through its own writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use env::canary::{self, Canary};
use env::task::boxed;
use futures::FutureExt as _;
use keys::Span;
use keys::sql::branch_of;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Get, operation};

use super::{REROUTES_MAX, ReadSet, Transaction};
use crate::router::Route;
use crate::sender::Failure;
use crate::{Error, Isolation, Result};

impl Transaction {
    /// The value of `key`; `None`: no such key.
    pub async fn get(&mut self, key: Bytes) -> Result<Option<Bytes>> {
        if branch_of(&key).is_none() {
            return self.get_own(key).await;
        }
        let values = self.get_some(vec![key], usize::MAX, true).await?;
        Ok(values.into_iter().next().flatten())
    }

    /// The value of `key` itself, whatever lies below it.
    pub(super) async fn get_own(&mut self, key: Bytes) -> Result<Option<Bytes>> {
        self.open()?;
        self.pristine = false;
        if let Some(own) = self.buffer.get(&key, self.position()) {
            return Ok(own.clone());
        }
        if self.sees_held(&key) {
            return self.held_value(&key).boxed().await;
        }
        let at = self.timestamp_or_ask();
        let value = self.get_committed(&key, at).await?;
        if self.tracks_reads() {
            self.reads.add_key(key);
        }
        Ok(value)
    }

    /// Whether the key is locked, and its newest value is what a read sees: it was committed at or below the timestamp that
    /// there is, or that is yet to come. Under READ COMMITTED a lock may have found a newer one than its statement reads at.
    pub(super) fn sees_held(&self, key: &Bytes) -> bool {
        self.held.get(key).is_some_and(|held| {
            !self.has_timestamp() || held.newest <= self.timestamp || canary::sings(Canary::HeldFromTheFuture)
        })
    }

    /// What was committed to `key` up to `at`; 0: up to a timestamp that its range's leader takes.
    pub(super) async fn get_committed(&mut self, key: &Bytes, mut at: u64) -> Result<Option<Bytes>> {
        for _ in 0..REROUTES_MAX {
            let route = self.client.sender.route(key, self.options.timeout).await?;
            at = self.gated(&route, at).await?;
            let build = || operation::Operation::Get(Get { keys: vec![key.clone()], at });
            match self.client.sender.send(&route, &self.call(), build).await {
                Ok(Answer::Get(got)) => {
                    self.took(at, got.read_at)?;
                    return Ok(got.versions.into_iter().next().and_then(|version| version.value));
                }
                Ok(_) => return Err(mismatch()),
                Err(Failure::Rerouted) => {}
                Err(Failure::NoTimestamp) => at = self.take_timestamp().await?,
                Err(failure) => return Err(self.fail(failure)),
            }
        }
        Err(self.fail(Failure::Rerouted))
    }

    /// The values of `keys`, in their order.
    pub async fn get_many(&mut self, keys: Vec<Bytes>) -> Result<Vec<Option<Bytes>>> {
        self.get_some(keys, usize::MAX, true).await
    }

    /// The same, and the transaction does not rely on what it reads: others may change it before it commits, or its locks
    /// keep them from what matters.
    pub async fn get_unrelied(&mut self, keys: Vec<Bytes>) -> Result<Vec<Option<Bytes>>> {
        self.get_some(keys, usize::MAX, false).await
    }

    /// The values of the first of `keys`: of one at least, and of no more once they take `bytes_max`, about. `relies`: the
    /// transaction commits only if what it reads holds, as far as its isolation level says so.
    #[boxed]
    pub async fn get_some(
        &mut self,
        keys: Vec<Bytes>,
        bytes_max: usize,
        relies: bool,
    ) -> Result<Vec<Option<Bytes>>> {
        let tracks = relies && self.tracks_reads();
        if !keys.iter().any(|key| branch_of(key).is_some()) {
            return self.get_all(keys, bytes_max, tracks).await;
        }
        let mut values = self.get_all(keys.clone(), bytes_max, tracks).await?;
        self.look_below(&keys, &mut values, bytes_max).boxed().await?;
        Ok(values)
    }

    /// From now on the transaction relies on what it has read of `span` at its timestamp, whatever its isolation level: it
    /// commits only if nothing of it has changed.
    pub fn rely_on(&mut self, span: Span) {
        /// More timestamps than this are not told apart, which may find conflicts where there are none.
        const TIMESTAMPS_MAX: usize = 256;
        if self.options.read_only || self.options.isolation == Isolation::Serializable {
            return;
        }
        let full = self.relied.len() >= TIMESTAMPS_MAX;
        match self.relied.last_mut() {
            Some((at, relied)) if full || *at == self.timestamp => relied.add_span(span),
            _ => {
                let mut relied = ReadSet::default();
                relied.add_span(span);
                self.relied.push((self.timestamp, relied));
            }
        }
    }

    /// From now on the transaction relies on `span` being as it is at its timestamp, whether it has read any of it or not, and
    /// whatever its isolation level: it commits only if nobody has written there since, and history is kept there still.
    pub fn rely_on_all(&mut self, span: Span) {
        if !self.options.read_only && self.options.isolation == Isolation::Serializable {
            self.reads.add_span(span);
        } else {
            self.rely_on(span);
        }
    }

    /// The values of the first of `keys` themselves, whatever lies below them.
    pub(super) async fn get_all(
        &mut self,
        keys: Vec<Bytes>,
        bytes_max: usize,
        tracks: bool,
    ) -> Result<Vec<Option<Bytes>>> {
        self.open()?;
        self.pristine = false;
        let mut values: Vec<Option<Bytes>> = vec![None; keys.len()];
        let mut missing: Vec<usize> = Vec::new();
        let position = self.position();
        for (place, (key, value)) in keys.iter().zip(&mut values).enumerate() {
            if let Some(own) = self.buffer.get(key, position) {
                value.clone_from(own);
            } else if self.sees_held(key) {
                *value = self.held_value(key).await?;
            } else {
                missing.push(place);
            }
        }
        if missing.is_empty() {
            return Ok(values);
        }
        let mut at = self.timestamp_or_ask();
        let mut reroutes = 0;
        while !missing.is_empty() {
            let mut left = Vec::new();
            let mut rerouted = false;
            let ranges = self.by_range(&keys, &missing).await?;
            if at == 0 && ranges.len() > 1 {
                at = self.take_timestamp().await?;
            }
            for (route, _) in &ranges {
                at = self.gated(route, at).await?;
            }
            let call = self.call();
            let all = &keys;
            let asked = ranges.iter().map(|(route, places)| {
                let wanted = move || places.iter().filter_map(|place| all.get(*place)).cloned().collect();
                let build = move || operation::Operation::Get(Get { keys: wanted(), at });
                self.client.sender.send(route, &call, build)
            });
            let answers = futures::future::join_all(asked).await;
            for ((_, places), answer) in ranges.into_iter().zip(answers) {
                match answer {
                    Ok(Answer::Get(got)) if (1..=places.len()).contains(&got.versions.len()) => {
                        at = self.took(at, got.read_at)?;
                        // The range may have answered for the first of them only.
                        let (answered, rest) = places.split_at(got.versions.len());
                        left.extend_from_slice(rest);
                        for (place, version) in answered.iter().zip(got.versions) {
                            if let Some(value) = values.get_mut(*place) {
                                *value = version.value;
                            }
                        }
                        if tracks {
                            let read = answered.iter().filter_map(|place| keys.get(*place));
                            read.for_each(|key| self.reads.add_key(key.clone()));
                        }
                    }
                    Ok(_) => return Err(mismatch()),
                    Err(Failure::Rerouted) => {
                        rerouted = true;
                        left.extend(places);
                    }
                    Err(Failure::NoTimestamp) => {
                        at = self.take_timestamp().await?;
                        left.extend(places);
                    }
                    Err(failure) => return Err(self.fail(failure)),
                }
            }
            reroutes += u32::from(rerouted);
            if reroutes > REROUTES_MAX {
                return Err(self.fail(Failure::Rerouted));
            }
            missing = left;
            let held = || values.iter().flatten().map(Bytes::len).sum::<usize>();
            if let Some(first) = missing.iter().min().filter(|first| **first > 0 && held() >= bytes_max) {
                values.truncate(*first);
                break;
            }
        }
        Ok(values)
    }

    /// The places of keys, by the range that holds them.
    pub(super) async fn by_range(
        &self,
        keys: &[Bytes],
        places: &[usize],
    ) -> Result<Vec<(Arc<Route>, Vec<usize>)>> {
        let mut ranges: BTreeMap<u64, (Arc<Route>, Vec<usize>)> = BTreeMap::new();
        let mut last: Option<Arc<Route>> = None;
        for place in places {
            let Some(key) = keys.get(*place) else { continue };
            let route = match last.take().filter(|route| route.holds(key)) {
                Some(route) => route,
                None => self.client.sender.route(key, self.options.timeout).await?,
            };
            ranges.entry(route.range_id()).or_insert_with(|| (route.clone(), Vec::new())).1.push(*place);
            last = Some(route);
        }
        Ok(ranges.into_values().collect())
    }
}

pub(super) fn mismatch() -> Error {
    Error::Invalid { message: "a range answered something else than it was asked".to_owned() }
}
