//! A storage node: what it holds, how it starts and stops.

use std::sync::Arc;
use std::time::Duration;

use crate::error::NodeError;
use crate::options::NodeOptions;

/// A storage node. Implements [`proto::NodeService`], behind whatever transport it is registered with.
pub struct Node {}

impl Node {
    /// Opens the data directory and starts what it holds. A node without a cluster tries to join one in the
    /// background, or waits for [`Node::init`]. Returns before the node can serve: see [`Node::wait_ready`].
    pub async fn start(options: NodeOptions) -> Result<Arc<Self>, NodeError> {
        let _ = options;
        Err(NodeError::Unavailable("the node's body is not built yet".to_owned()))
    }

    /// Makes a cluster of this node alone; `false` if it belongs to one already.
    pub async fn init(&self) -> Result<bool, NodeError> {
        Err(NodeError::Unavailable("the node's body is not built yet".to_owned()))
    }

    /// Whether the node can serve now, or why not.
    pub fn ready(&self) -> Result<(), String> {
        Err("starting".to_owned())
    }

    /// Waits until the node can serve.
    pub async fn wait_ready(&self, timeout: Duration) -> Result<(), NodeError> {
        let _ = timeout;
        self.ready().map_err(NodeError::Unavailable)
    }

    /// Hands leaderships over, flushes and stops. The data directory is free when the last handle is dropped.
    pub async fn shutdown(&self) {}
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}
