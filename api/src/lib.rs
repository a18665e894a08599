//! The public key-value API: its messages, and both sides of its calls.
//!
//! [`kv`] and [`health`] are generated from `proto/`. [`refusal`] makes and reads the details of errors, [`credentials`]
//! the metadata by which a client says who it is. What is internal to a cluster is none of this: see the crate `proto`.

pub mod credentials;
pub mod refusal;

/// The key-value service.
#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated; the .proto files hold the documentation"
)]
pub mod kv {
    tonic::include_proto!("nunatak.kv.v1");
}

/// gRPC's health checks.
#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated; the .proto files hold the documentation"
)]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// What the services look like, for whoever asks a port: a `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The largest message that is taken or sent: the largest row, and room around it.
pub const MESSAGE_BYTES_MAX: usize = 9 << 20;
