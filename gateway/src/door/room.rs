//! Room for what is large, which all connections share: requests and answers that many clients send or ask for at once
//! take no more memory than this, the others wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All of it, in KiB.
const KIB_MAX: usize = 256 << 10;

/// What is smaller takes none.
const SMALL_BYTES: usize = 64 << 10;

/// How long is waited for a share.
const PATIENCE: Duration = Duration::from_secs(30);

/// No share became free in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much that is large is under way")]
pub(crate) struct Full;

/// What somebody has of it, until dropped; none of what is small.
pub(crate) type Share = Option<OwnedSemaphorePermit>;

/// The room.
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(KIB_MAX)))
    }

    /// Whether something of so many bytes takes none of it.
    pub(crate) fn is_small(bytes: usize) -> bool {
        bytes <= SMALL_BYTES
    }

    /// The share of something of so many bytes: all of the room if it is larger than that.
    pub(crate) async fn share(&self, bytes: usize) -> Result<Share, Full> {
        if Self::is_small(bytes) {
            return Ok(None);
        }
        let kib = u32::try_from(bytes.div_ceil(1 << 10).min(KIB_MAX)).map_err(|_| Full)?;
        let share = self.0.clone().acquire_many_owned(kib);
        match env::clock::timeout(PATIENCE, share).await {
            Ok(Ok(share)) => Ok(Some(share)),
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }
}
