//! Spans that snapshots on their way to this store will replace.
//!
//! A snapshot is judged by the spans that the store's replicas say are theirs ([`Apply::check_snapshot`]), long before it is
//! installed. A replica that is sent its first one says nothing until then. Were two ranges sent snapshots of the same keys
//! (a range as it was before it was divided, and the new one), the one installed last would replace what the other has
//! committed since. So a snapshot first reserves its spans, then is judged, and lets go of them once its replica says them.
//!
//! [`Apply::check_snapshot`]: super::apply::Apply::check_snapshot

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::apply::SnapshotSpan;

/// What is reserved on a store.
///
/// # Invariants
///
/// - Spans reserved for different ranges have no key in common.
#[derive(Default)]
pub(super) struct Reserved(Mutex<State>);

#[derive(Default)]
struct State {
    tickets: u64,
    /// By ticket, the range and its spans: no more than snapshots are received, one for each replica.
    held: BTreeMap<u64, (u64, Vec<SnapshotSpan>)>,
}

/// Spans into which no other range's snapshot reaches as long as this is there.
pub(super) struct Reservation {
    reserved: Arc<Reserved>,
    ticket: u64,
}

impl Reserved {
    /// Keeps the spans for the range; none if another one's snapshot on its way reaches into them.
    pub(super) fn reserve(self: &Arc<Self>, range_id: u64, spans: &[SnapshotSpan]) -> Option<Reservation> {
        let mut state = self.0.lock();
        let meets =
            |other: &SnapshotSpan| spans.iter().any(|own| other.start < own.end && own.start < other.end);
        if state.held.values().any(|(other, held)| *other != range_id && held.iter().any(meets)) {
            return None;
        }
        state.tickets += 1;
        let ticket = state.tickets;
        state.held.insert(ticket, (range_id, spans.to_vec()));
        Some(Reservation { reserved: Arc::clone(self), ticket })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.reserved.0.lock().held.remove(&self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: &'static str, end: &'static str) -> SnapshotSpan {
        SnapshotSpan { start: start.into(), end: end.into(), versioned: true }
    }

    #[test]
    fn two_ranges_are_not_sent_the_same_keys_at_a_time() {
        let reserved = Arc::new(Reserved::default());
        let whole = reserved.reserve(2, &[span("s2", "s3"), span("da", "dz")]).unwrap();
        assert!(reserved.reserve(3, &[span("s3", "s4"), span("dm", "dz")]).is_none());
        assert!(reserved.reserve(3, &[span("d", "da\0")]).is_none());
        let beside = reserved.reserve(3, &[span("d", "da"), span("dz", "e")]).unwrap();
        // The same range's again, whose first sending was given up and is not gone yet.
        let again = reserved.reserve(2, &[span("da", "dm")]).unwrap();
        drop(whole);
        let heir = reserved.reserve(4, &[span("dm", "dz")]).unwrap();
        assert!(reserved.reserve(4, &[span("dl", "dz")]).is_none());
        drop((beside, again, heir));
        assert!(reserved.reserve(5, &[span("d", "e")]).is_some());
    }
}
