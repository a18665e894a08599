//! The records of one trace in this process, until it is known whether it is kept.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Keep, Record, SINK};
use crate::clock::{self, Instant};

/// So many records of a trace are gathered until its root ends.
const RECORDS_MAX: usize = 512;

/// One trace, as far as this process sees it.
pub(super) struct Trace {
    pub(super) id: [u8; 16],
    pub(super) keep: Keep,
    /// A moment by both clocks.
    base: Instant,
    base_ns: u64,
    gathered: Mutex<Gathered>,
}

enum Gathered {
    /// The root has not ended.
    Open(Vec<Record>),
    /// It has, and what comes late goes the same way.
    Kept,
    Dropped,
}

impl Trace {
    pub(super) fn new(id: [u8; 16], keep: Keep) -> Arc<Self> {
        let gathered = Mutex::new(Gathered::Open(Vec::new()));
        let base_ns = clock::wall_us().saturating_mul(1000);
        Arc::new(Self { id, keep, base: clock::now(), base_ns, gathered })
    }

    /// Nanoseconds since 1970.
    pub(super) fn unix_ns(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.base).as_nanos();
        self.base_ns.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    pub(super) fn add(&self, record: Record) {
        let mut gathered = self.gathered.lock();
        match &mut *gathered {
            Gathered::Open(records) if records.len() < RECORDS_MAX => records.push(record),
            Gathered::Open(_) => {
                drop(gathered);
                if let Some(sink) = SINK.get() {
                    sink.lost(1);
                }
            }
            Gathered::Kept => {
                drop(gathered);
                hand_over(vec![record]);
            }
            Gathered::Dropped => {}
        }
    }

    /// The root has ended, after so long. Its record has room whatever else there is.
    pub(super) fn end(&self, root: Record, took: Duration) {
        let is_kept = match self.keep {
            Keep::Always => true,
            Keep::IfLonger(least) => took >= least,
        };
        let after = if is_kept { Gathered::Kept } else { Gathered::Dropped };
        let gathered = std::mem::replace(&mut *self.gathered.lock(), after);
        if let (true, Gathered::Open(mut records)) = (is_kept, gathered) {
            records.push(root);
            hand_over(records);
        }
    }
}

fn hand_over(records: Vec<Record>) {
    if let Some(sink) = SINK.get() {
        sink.take(records);
    }
}
