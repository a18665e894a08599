//! A node as its clients see it: one node, or three, in this process, spoken to through `NodeService`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "all of this crate is test code, which clippy sees only in functions marked as tests"
)]

mod addresses;
mod anomalies;
mod asked;
mod barren;
mod changes;
mod clocks;
mod damage;
mod disks;
mod erase;
mod export;
mod flushes;
mod followers;
mod harness;
mod history;
mod ingest;
mod intents;
mod large;
mod locks;
mod merges;
mod refusals;
mod replicas;
mod requests;
mod restarts;
mod salvage;
mod sleeping;
mod versions;
