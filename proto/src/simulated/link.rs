//! Bandwidth: what one endpoint sends to another leaves byte after byte.
//!
//! Each lane between two endpoints is a queue, as a TCP connection's is; the lanes that are busy share the link evenly.
//! A message that nobody waits for any more has left all the same: its bytes stand before those of the next.

use std::collections::BTreeMap;
use std::time::Duration;

use env::clock::{self, Instant};

use crate::lane::Lane;

/// What is still leaving, by direction and lane.
#[derive(Default)]
pub(super) struct Links {
    busy_until: BTreeMap<(String, String), BTreeMap<Lane, Instant>>,
}

impl Links {
    /// How long it takes until the last of `bytes` has left, behind everything on its lane. At 0 bytes a second the link
    /// has no bound.
    pub(super) fn transmit(
        &mut self,
        bytes_per_second: u64,
        from: &str,
        to: &str,
        lane: Lane,
        bytes: usize,
    ) -> Duration {
        if bytes_per_second == 0 {
            return Duration::ZERO;
        }
        let now = clock::now();
        let lanes = self.busy_until.entry((from.to_owned(), to.to_owned())).or_default();
        lanes.retain(|_, until| *until > now);
        let sharing = lanes.keys().filter(|other| **other != lane).count() as u64 + 1;
        let took = Duration::from_micros(bytes as u64 * 1_000_000 / (bytes_per_second / sharing).max(1));
        let until = lanes.get(&lane).copied().unwrap_or(now) + took;
        lanes.insert(lane, until);
        until.saturating_duration_since(now)
    }
}
