//! Storage nodes: replicated ranges, transactions beside the data, the root range.
//!
//! A [`Node`] is one process's store: a data directory (`store`), the replicas in it, and what it answers (`service`).
//! The life of a request:
//!
//! 1. `service` takes it from the transport, refuses what makes no sense, and finds the range's replica here (`member`).
//! 2. `range` serves it if this replica leads: reads from the engine, locks and evaluation in memory, proposals of
//!    effects.
//! 3. [`raft`] replicates proposals; `machine` applies them on every replica, each range's by `range`, the root's rows
//!    by `root`.
//! 4. `root` is the one range that gives timestamps and ids, knows nodes and ranges, finds deadlocks and places
//!    replicas. Every node reaches its leader by a link: a function call where the leader is itself.
//!
//! `bootstrap` makes a cluster or joins one; `offline` opens the directory of a node that has stopped, and `salvage` has it go on alone where the others are lost; `consistency` compares replicas; `vitals` tells a full disk and a store that
//! has stopped.

pub mod addresses;
mod bootstrap;
mod consistency;
mod error;
mod machine;
mod member;
mod metrics;
mod node;
mod offline;
mod options;
pub mod raft;
mod range;
mod root;
mod salvage;
mod service;
mod store;
mod tasks;
mod timestamp;
mod vitals;

pub use error::NodeError;
pub use node::Node;
pub use offline::OfflineStore;
pub use options::NodeOptions;
pub use salvage::{Prospect, Salvage, Salvaged};
