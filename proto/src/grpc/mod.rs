//! gRPC: a node's service on a port, and handles on the nodes behind other ports.
//!
//! HTTP/2 over TCP, with mutual TLS where it is asked for. Both sides probe their connections, so that a peer that
//! vanished without a word is noticed within [`KEEPALIVE_INTERVAL`] + [`KEEPALIVE_TIMEOUT`]. Small requests, large ones,
//! the cluster's services, appended entries, heartbeats with votes, and snapshots travel on connections of their own, so
//! that none waits behind another's bytes.

mod aborting;
mod apart;
mod callers;
mod connect;
mod mark;
mod serve;
mod served;
mod stream;
mod tls;

use std::time::Duration;

pub use apart::serve_apart;
pub use connect::GrpcNetwork;
pub use serve::{ServeError, ServeOptions, serve};
pub use served::{Admission, Ending, Ends, Served};
pub use tls::{MutualTls, Tls, TlsError};

/// The largest message that is taken or sent: the largest transaction, and room around it.
pub const MESSAGE_BYTES_MAX: usize = 80 << 20;

/// How often a silent connection is probed.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);

/// How long the answer to a probe may take before the connection counts as broken.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// The same where the probe may stand behind others' bytes: what one stream may have in flight, at 1 Mbit/s.
const KEEPALIVE_TIMEOUT_BULK: Duration = Duration::from_secs(40);

/// How much one stream may have in flight; larger answers wait for the reader.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;

/// How much one connection may have in flight.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
