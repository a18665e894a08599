//! The database against a model, through crashes, failures and damage.

mod basic;
mod checkpoint;
mod compaction;
mod crash;
mod damage;
mod encryption;
#[cfg(feature = "shuttle")]
mod interleavings;
mod model;
mod random;
mod refresh;
mod stress;
mod tables;
