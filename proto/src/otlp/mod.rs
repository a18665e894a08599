//! OpenTelemetry's protocol: where traces go.
//!
//! The messages, and a service that takes them, are generated from `proto/otlp.proto`; the [`Exporter`] sends them what
//! [`env::trace`] gathers.

mod export;

pub use export::{EndpointError, Exporter};
pub use generated::*;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated; the .proto file holds the documentation"
)]
mod generated {
    tonic::include_proto!("opentelemetry.proto.collector.trace.v1");
}
