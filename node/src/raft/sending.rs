//! The snapshots that a replica is sending: to whom, and of what. Its receivers ask before they believe one.

use std::sync::Arc;

use parking_lot::Mutex;
use proto::v1;

use super::apply::LogPoint;

/// The snapshots on their way from one replica.
#[derive(Default)]
pub(super) struct Sending(Mutex<Vec<(u64, LogPoint)>>);

/// One snapshot on its way, for as long as this lives.
pub(super) struct OnItsWay {
    sending: Arc<Sending>,
    snapshot: (u64, LogPoint),
}

impl Sending {
    /// A snapshot up to `last` is on its way to the replica `to`.
    pub(super) fn begin(self: &Arc<Self>, to: u64, last: LogPoint) -> OnItsWay {
        self.0.lock().push((to, last));
        OnItsWay { sending: Arc::clone(self), snapshot: (to, last) }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// All of them, as they are told to whoever asks.
    pub(super) fn told(&self) -> Vec<v1::SnapshotOnItsWay> {
        self.0.lock().iter().map(|(to, last)| on_its_way(*to, *last)).collect()
    }
}

/// A snapshot up to `last` to a replica, as it is told to whoever asks.
pub(super) fn on_its_way(to_replica_id: u64, last: LogPoint) -> v1::SnapshotOnItsWay {
    v1::SnapshotOnItsWay { to_replica_id, term: last.term, index: last.index }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        let mut all = self.sending.0.lock();
        if let Some(place) = all.iter().position(|snapshot| *snapshot == self.snapshot) {
            all.swap_remove(place);
        }
    }
}
