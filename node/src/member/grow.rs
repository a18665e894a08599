//! How large ranges are: those that a node leads are measured, and one that has become too large is divided in its middle.
//!
//! Measuring reads the indexes of all that the range holds. So one that could not be divided rests, each time for longer. What
//! was measured goes to the root range's leader, which balances by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;

use super::Member;
use super::split::check_key;
use crate::range::Replica;
use crate::root::ROOT_RANGE;

/// How often ranges are measured.
const TICK: Duration = Duration::from_secs(5);

/// How long a range is left alone that was not divided though it is too large; each time for twice as long.
const REST_MIN: Duration = Duration::from_secs(10);

/// And at the longest.
const REST_MAX: Duration = Duration::from_secs(600);

impl Member {
    /// Measures the ranges that this node leads, as long as it runs.
    pub(super) async fn divide_large(self: Arc<Self>) {
        let mut rests = Rests::default();
        loop {
            env::clock::sleep(TICK).await;
            self.sizes.lock().retain(|range, _| self.replica(*range).is_some());
            for replica in self.replicas() {
                let range = replica.cell.range_id();
                if range == ROOT_RANGE || replica.cell.serving().is_none() {
                    rests.end(range);
                    self.sizes.lock().remove(&range);
                    continue;
                }
                if rests.contains(range, env::clock::now()) {
                    continue;
                }
                match self.middle_if_large(&replica).await {
                    Ok(Measured::Small) => rests.end(range),
                    Ok(Measured::Large(Some(key))) => {
                        let key_shown = key.escape_ascii().to_string();
                        match self.divide(replica, key).await {
                            Ok(_) => {
                                rests.end(range);
                                tracing::info!(range, key = key_shown, "divided a range for its size");
                            }
                            Err(status) => {
                                let again_in = rests.begin(range, env::clock::now());
                                tracing::info!(range, %status, ?again_in, "a large range was not divided");
                            }
                        }
                    }
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

    /// Whether a range takes too much here, and where its middle is then. Beside what answers requests: it may walk through a
    /// whole memtable.
    async fn middle_if_large(&self, replica: &Replica) -> lsm::Result<Measured> {
        let Some(span) = replica.cell.state().span.clone() else { return Ok(Measured::Small) };
        let (db, bytes_max) = (self.context.db.clone(), self.range_bytes_max);
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
        self.sizes.lock().insert(replica.cell.range_id(), bytes);
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
