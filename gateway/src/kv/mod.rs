//! The public key-value service over gRPC: `nunatak.kv.v1.Kv`, health checks and reflection.
//!
//! ```text
//! serve (connections, wire) ──▶ entrance (who calls: caller) ──▶ service (calls)
//!     service ──▶ place: caller (idle sessions) │ transactions (open ones, by id)
//!            └──▶ pairs (statements over kv.pairs), scan (streams), status (errors)
//! ```

mod caller;
mod entrance;
mod health;
mod holdings;
mod pairs;
mod place;
mod scan;
mod serve;
mod service;
mod status;
mod transactions;
mod wire;

pub(crate) use holdings::Kv;
pub(crate) use serve::serve;
