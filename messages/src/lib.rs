//! The messages that gateways and nodes exchange, and those of traces: generated from `messages/proto`.
//!
//! A crate of their own: what carries them changes more often, and they take longer to compile than it does.

mod secret;

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

/// OpenTelemetry's protocol of traces.
#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated; the .proto file holds the documentation"
)]
pub mod otlp {
    tonic::include_proto!("opentelemetry.proto.collector.trace.v1");
}

/// What [`v1`] is generated from, comments included: a `FileDescriptorSet`, for whoever asks a port what it speaks.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
