//! A gateway's bounds.

use std::sync::Arc;
use std::time::Duration;

use env::pool::PoolHandle;

use crate::access::AccessRules;
use crate::tls::ServerTls;

/// Bounds of a gateway.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// More clients than this are refused with 53300.
    pub connections_max: usize,
    /// More clients than this that have not yet proved who they are are refused.
    pub handshakes_max: usize,
    /// Longer messages than this are refused.
    pub message_bytes_max: usize,
    /// A client that has not finished its startup after this is disconnected.
    pub startup_timeout: Duration,
    /// A statement that begins a transaction waits for its turn for so long where the gateway has more to do than it can.
    pub queue_timeout: Duration,
    /// Who has to show what; `None`: everybody is believed.
    pub access: Option<Arc<AccessRules>>,
    /// TLS for clients that ask for it; `None`: they are told that there is none.
    pub tls: Option<Arc<ServerTls>>,
    /// Where statements go on that take long. The default has no threads of its own for them.
    pub pool: PoolHandle,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            connections_max: 2000,
            handshakes_max: 1000,
            message_bytes_max: 64 << 20,
            startup_timeout: Duration::from_secs(15),
            queue_timeout: Duration::from_secs(1),
            access: None,
            tls: None,
            pool: PoolHandle::default(),
        }
    }
}
