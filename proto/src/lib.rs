//! The messages that gateways and nodes exchange, and the transports that carry them.
//!
//! [`v1`] are the messages. [`NodeService`] is what a node answers; a [`Network`] gives whoever knows
//! an address a handle on the node behind it: in this process ([`inprocess`]), over gRPC ([`grpc`]), or in a
//! deterministic simulation with faults ([`simulated`]). Timestamps are asked for in batches ([`oracle`]). Traces go to whom an
//! operator names ([`otlp`]).

mod calls;
pub mod grpc;
pub mod inprocess;
mod lane;
pub mod oracle;
pub mod otlp;
pub mod service;
pub mod simulated;

pub use messages::v1;
pub use service::{Network, NodeService, RequestStream, ResponseStream};
pub use tonic::{Code, Status};

#[cfg(test)]
mod tests;
