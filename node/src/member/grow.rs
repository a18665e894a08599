//! How large ranges are, and how much they are asked: those that a node leads are measured. One that has become too large is divided
//! in its middle, one that is asked too much where its requests are divided best.
//!
//! Measuring reads the indexes of all that the range holds. So one that could not be divided rests, each time for longer. What
//! was measured goes to the root range's leader, which balances by it, and has ranges merged that are small.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;

use super::Member;
use super::split::check_key;
use crate::range::{Replica, divided_at};
use crate::root::ROOT_RANGE;

/// How often ranges are measured.
const TICK: Duration = Duration::from_secs(5);

/// How long a range is left alone that was not divided though it is too large; each time for twice as long.
const REST_MIN: Duration = Duration::from_secs(10);

/// And at the longest.
const REST_MAX: Duration = Duration::from_secs(600);

/// What a node has found out about the ranges that it leads.
#[derive(Debug, Default)]
pub(super) struct Measures {
    /// What each takes in bytes.
    pub(super) bytes: BTreeMap<u64, u64>,
    /// How many requests each had had, and when that was; how many it had in a second before that.
    requests: BTreeMap<u64, (u64, Instant, u64)>,
}

impl Measures {
    /// Requests in a second.
    pub(super) fn rate(&self, range: u64) -> u64 {
        self.requests.get(&range).map_or(0, |(_, _, rate)| *rate)
    }

    /// So many requests have come by now; how many in a second since they were counted last.
    fn count(&mut self, range: u64, requests: u64, now: Instant) -> u64 {
        let (before, at, _) = self.requests.get(&range).copied().unwrap_or((requests, now, 0));
        let ms = now.saturating_duration_since(at).as_millis().max(1) as u64;
        let rate = requests.saturating_sub(before).saturating_mul(1000) / ms;
        self.requests.insert(range, (requests, now, rate));
        rate
    }

    fn forget(&mut self, range: u64) {
        self.bytes.remove(&range);
        self.requests.remove(&range);
    }
}

impl Member {
    /// Measures the ranges that this node leads, as long as it runs.
    pub(super) async fn divide_large(self: Arc<Self>) {
        let mut rests = Rests::default();
        loop {
            env::clock::sleep(TICK).await;
            let here = |range: &u64| self.replica(*range).is_some();
            {
                let mut measures = self.measures.lock();
                measures.bytes.retain(|range, _| here(range));
                measures.requests.retain(|range, _| here(range));
            }
            self.show_loads();
            for replica in self.replicas() {
                let range = replica.cell.range_id();
                if range == ROOT_RANGE || replica.cell.serving().is_none() {
                    rests.end(range);
                    self.measures.lock().forget(range);
                    replica.cell.load.sample(false);
                    continue;
                }
                if let Some(key) = self.border_if_hot(&replica) {
                    match self.divide_at(&replica, key, "load").await {
                        Ok(()) => continue,
                        Err(status) => tracing::info!(range, %status, "a hot range was not divided"),
                    }
                }
                // Who sleeps takes what it took.
                let is_known = replica.group.is_asleep() && self.measures.lock().bytes.contains_key(&range);
                if is_known || rests.contains(range, env::clock::now()) {
                    continue;
                }
                match self.middle_if_large(&replica).await {
                    Ok(Measured::Small) => rests.end(range),
                    Ok(Measured::Large(Some(key))) => match self.divide_at(&replica, key, "size").await {
                        Ok(()) => rests.end(range),
                        Err(status) => {
                            let again_in = rests.begin(range, env::clock::now());
                            tracing::info!(range, %status, ?again_in, "a large range was not divided");
                        }
                    },
                    Ok(Measured::Large(None)) => {
                        let again_in = rests.begin(range, env::clock::now());
                        tracing::info!(range, ?again_in, "a large range has no key to be divided at");
                    }
                    Err(error) => {
                        rests.begin(range, env::clock::now());
                        tracing::debug!(range, %error, "a range cannot be measured");
                    }
                }
            }
        }
    }

    async fn divide_at(
        self: &Arc<Self>,
        replica: &Arc<Replica>,
        key: Bytes,
        cause: &str,
    ) -> Result<(), proto::Status> {
        let key_shown = key.escape_ascii().to_string();
        self.divide(replica.clone(), key, false).await?;
        let range = replica.cell.range_id();
        tracing::info!(range, key = key_shown, "divided a range for its {cause}");
        Ok(())
    }

    /// Where a range is divided that is asked too much; nothing if it is not, or if no border divides what it is asked. Of one that
    /// is asked half as much requests are kept, so that it is known when there is need.
    fn border_if_hot(&self, replica: &Replica) -> Option<Bytes> {
        let load = &replica.cell.load;
        let range = replica.cell.range_id();
        let rate = self.measures.lock().count(range, load.requests(), env::clock::now());
        let rate_max = self.limits.requests_per_second_max;
        if rate_max == 0 {
            return None;
        }
        let sampled = load.sampled();
        load.sample(rate >= rate_max / 2);
        if rate < rate_max {
            return None;
        }
        let span = replica.cell.state().span.clone()?;
        divided_at(&sampled, |key| {
            let border = keys::sql::row_border(key.clone());
            (border > span.start && border < span.end && check_key(&border).is_ok()).then_some(border)
        })
    }

    /// Whether a range takes too much here, and where its middle is then. Beside what answers requests: it may walk through a
    /// whole memtable.
    async fn middle_if_large(&self, replica: &Replica) -> lsm::Result<Measured> {
        let Some(span) = replica.cell.state().span.clone() else { return Ok(Measured::Small) };
        let (db, bytes_max) = (self.context.db.clone(), self.limits.bytes_max);
        let measuring = move || {
            let bytes = db.span_bytes(&span.start, &span.end)?;
            if bytes_max == 0 || bytes <= bytes_max {
                return Ok((bytes, Measured::Small));
            }
            let middle = db.span_middle(&span.start, &span.end)?.map(keys::sql::row_border);
            Ok((bytes, Measured::Large(middle.filter(|key| *key > span.start && check_key(key).is_ok()))))
        };
        // It fails only where the node stops.
        let Ok(measured) = env::task::blocking(measuring).await else { return Ok(Measured::Small) };
        let (bytes, measured) = measured?;
        self.measures.lock().bytes.insert(replica.cell.range_id(), bytes);
        Ok(measured)
    }
}

/// How large a range is.
enum Measured {
    /// Not too large.
    Small,
    /// Too large; where it can be divided, if it can.
    Large(Option<Bytes>),
}

/// Ranges that were not divided though they are too large: until when each is left alone, and for how long it was.
#[derive(Default)]
struct Rests(BTreeMap<u64, (Instant, Duration)>);

impl Rests {
    /// Whether the range is left alone still.
    fn contains(&self, range: u64, now: Instant) -> bool {
        self.0.get(&range).is_some_and(|(until, _)| now < *until)
    }

    /// The range was not divided; how long it is left alone.
    fn begin(&mut self, range: u64, now: Instant) -> Duration {
        let rest = self.0.get(&range).map_or(REST_MIN, |(_, before)| (*before * 2).min(REST_MAX));
        self.0.insert(range, (now + rest, rest));
        rest
    }

    /// The range is small, or somebody else's.
    fn end(&mut self, range: u64) {
        self.0.remove(&range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_the_second() {
        let (mut measures, now) = (Measures::default(), env::clock::now());
        assert_eq!(measures.count(2, 500, now), 0, "since when is not known");
        assert_eq!(measures.count(2, 1500, now + Duration::from_secs(5)), 200);
        assert_eq!((measures.rate(2), measures.rate(3)), (200, 0));
    }

    #[test]
    fn a_range_that_cannot_be_divided_is_measured_ever_less_often() {
        let (mut rests, now) = (Rests::default(), env::clock::now());
        assert!(!rests.contains(2, now));
        assert_eq!(rests.begin(2, now), REST_MIN);
        assert!(rests.contains(2, now) && !rests.contains(2, now + REST_MIN) && !rests.contains(3, now));
        assert_eq!(rests.begin(2, now), REST_MIN * 2);
        let longest = (0..20).map(|_| rests.begin(2, now)).max();
        assert_eq!(longest, Some(REST_MAX));
        rests.end(2);
        assert_eq!(rests.begin(2, now), REST_MIN);
    }
}
