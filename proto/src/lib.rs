//! The messages that gateways and nodes exchange, and the transports that carry them.
//!
//! [`v1`] is generated from `proto/*.proto`. [`NodeService`] is what a node answers; a [`Network`] gives whoever knows
//! an address a handle on the node behind it: in this process ([`inprocess`]), over gRPC ([`grpc`]), or in a
//! deterministic simulation with faults ([`simulated`]). Timestamps are asked for in batches ([`oracle`]). Traces go to whom an
//! operator names ([`otlp`]).

mod calls;
pub mod grpc;
pub mod inprocess;
mod lane;
pub mod oracle;
pub mod otlp;
mod secret;
pub mod service;
pub mod simulated;

pub use service::{Network, NodeService, RequestStream, ResponseStream};
pub use tonic::{Code, Status};

/// Version 1 of the protocol.
#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated; the .proto files hold the documentation"
)]
pub mod v1 {
    tonic::include_proto!("nunatak.v1");
}

#[cfg(test)]
mod tests;
