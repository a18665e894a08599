//! The data keys that the store is encrypted with: how far everything is under the newest, and a new one where that is asked for.
//!
//! What is under an older key the engine rewrites by itself, bit by bit. How much that still is it reads off the files, now and then;
//! the root range's leader hears of it with the next heartbeat.

use std::sync::Arc;
use std::time::Duration;

use proto::Status;
use proto::v1::{DataKeys, RotateKeyResponse};

use super::Member;
use crate::error::chain;

/// How often the files are looked at while there are some to encrypt anew, and how often otherwise: it takes a look at each.
const LOOKS: Duration = Duration::from_secs(10);
const LOOKS_SETTLED: Duration = Duration::from_secs(30);

impl Member {
    /// Looks at the keys of the files now and then. Never completes.
    pub(super) async fn watch_data_keys(self: Arc<Self>) {
        if self.context.db.keys().is_none() {
            // Nor does a store become encrypted while it is open.
            return std::future::pending().await;
        }
        loop {
            if let Err(status) = self.look_at_data_keys().await {
                tracing::debug!(%status, "it is not known which data keys are in use");
            }
            let is_settled = self.data_keys().is_some_and(|keys| keys.stale_bytes == 0);
            env::clock::sleep(if is_settled { LOOKS_SETTLED } else { LOOKS }).await;
        }
    }

    /// What is known of them, for the next heartbeat.
    pub(super) fn data_keys(&self) -> Option<DataKeys> {
        *self.data_keys.lock()
    }

    /// Has all new files of this node sealed with a new data key.
    pub(crate) async fn rotate_key(&self) -> Result<RotateKeyResponse, Status> {
        let db = self.context.db.clone();
        if db.keys().is_none() {
            return Err(Status::failed_precondition(
                "the node's directory is not encrypted: start it with --encryption-key-file",
            ));
        }
        let rotated = env::task::blocking(move || db.rotate_data_key()).await;
        let active = rotated.map_err(|_| stopping())?.map_err(|error| Status::internal(chain(&error)))?;
        let keys = self.look_at_data_keys().await?;
        self.heartbeat_now.notify_one();
        Ok(RotateKeyResponse { node_id: self.node_id, active, keys })
    }

    async fn look_at_data_keys(&self) -> Result<Option<DataKeys>, Status> {
        let db = self.context.db.clone();
        let looked = env::task::blocking(move || db.encryption()).await;
        let found = looked.map_err(|_| stopping())?.map_err(|error| Status::internal(chain(&error)))?;
        let keys = found.map(|found| DataKeys {
            active: found.active,
            keys: found.keys.len() as u64,
            stale_bytes: found.stale_bytes(),
        });
        *self.data_keys.lock() = keys;
        Ok(keys)
    }
}

fn stopping() -> Status {
    Status::unavailable("the node is stopping")
}
