//! A gateway's bounds.

use std::time::Duration;

use env::pool::PoolHandle;

/// Bounds of a gateway.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// More clients than this are refused with 53300.
    pub connections_max: usize,
    /// Longer messages than this are refused.
    pub message_bytes_max: usize,
    /// A client that has not finished its startup after this is disconnected.
    pub startup_timeout: Duration,
    /// Where statements go on that take long. The default has no threads of its own for them.
    pub pool: PoolHandle,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            connections_max: 2000,
            message_bytes_max: 64 << 20,
            startup_timeout: Duration::from_secs(15),
            pool: PoolHandle::default(),
        }
    }
}
