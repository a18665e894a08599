//! How much of a range's log may be under way in commits that are not small, so that a small one never stands behind
//! many bytes: it goes between two of theirs.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::inflight::TermEnded;

/// Bytes proposed and not yet applied: 0.35 s of 50 Mbit/s, and 170 Mbit/s where a round takes 100 ms.
const ROOM_BYTES: usize = 2 << 20;

/// Commits up to this size ask nobody.
const SMALL_BYTES: usize = 32 << 10;

/// Room in a term's part of the log, given in the order in which it is asked for.
#[derive(Debug)]
pub(crate) struct Room(Arc<Semaphore>);

/// Room that somebody has, until dropped.
#[derive(Debug)]
pub(crate) struct Taken(#[expect(dead_code, reason = "held until dropped")] Option<OwnedSemaphorePermit>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_BYTES)))
    }
}

impl Taken {
    /// No room, where none is needed.
    pub(crate) fn nothing() -> Self {
        Self(None)
    }
}

impl Room {
    /// Waits for room for a command of about so many bytes.
    pub(crate) async fn take(&self, bytes: usize) -> Result<Taken, TermEnded> {
        if bytes <= SMALL_BYTES {
            return Ok(Taken(None));
        }
        let taken = self.0.clone().acquire_many_owned(bytes.min(ROOM_BYTES) as u32).await;
        taken.map(|taken| Taken(Some(taken))).map_err(|_| TermEnded)
    }

    /// Ends the term: whoever waits is told.
    pub(crate) fn end(&self) {
        self.0.close();
    }
}
