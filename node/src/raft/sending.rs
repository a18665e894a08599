//! The snapshots that a replica is sending: to whom, and of what. Its receivers ask before they believe one.

use std::sync::Arc;

use parking_lot::Mutex;

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

    /// All of them, with the replicas that they are for.
    pub(super) fn all(&self) -> Vec<(u64, LogPoint)> {
        self.0.lock().clone()
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        let mut all = self.sending.0.lock();
        if let Some(place) = all.iter().position(|snapshot| *snapshot == self.snapshot) {
            all.swap_remove(place);
        }
    }
}
