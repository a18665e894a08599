//! The public key-value service over gRPC: `nunatak.kv.v1.Kv`, health checks and reflection.
//!
//! ```text
//! serve (connections) ──▶ entrance (who calls) ──▶ message (room for it) ──▶ service (calls)
//!     service ──▶ place: the caller's idle sessions │ transactions (open ones, by id)
//!            └──▶ pairs (statements over kv.pairs), scan and watch (streams: answers), status (errors)
//! ```

mod answers;
mod entrance;
mod health;
mod holdings;
mod in_process;
mod message;
mod pairs;
mod place;
mod scan;
mod serve;
mod service;
mod status;
mod transactions;
mod watch;

pub(crate) use holdings::Kv;
pub use in_process::KvService;
pub(crate) use serve::{keep, serve};
