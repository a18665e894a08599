//! One replica of a range: the term it serves, and how requests are evaluated.
//!
//! The life of a request that has reached the range's node:
//!
//! 1. [`Replica::batch`] finds the term being served (`serving`), and proves by its lease, after the request arrived,
//!    that no other leader has begun.
//! 2. Reads (`evaluate`) raise the read memory, wait for commits under way at or below their timestamp, and read the
//!    engine.
//! 3. Locks queue in the lock table; what they return is the newest version.
//! 4. A commit is let in where the disk keeps up (`admission`), latches what it touches, checks that what it relied on is
//!    unchanged, picks its timestamp, marks its keys, and proposes its effect to the range's replicas (`effect`): in one
//!    entry of the log, or in several (`pieces`).
//!    Of a transaction over several ranges it writes `intents`, which are made versions of later; what its coordinator has
//!    left undone is settled by the ranges themselves (`recovery`).
//! 5. The leader closes timestamps (`closing`): what is read at or below one of those any replica may answer.
//! 6. Every replica applies the effect ([`apply`]); on the leader the marks, latches and locks go, and the
//!    transaction's client is answered.

mod admission;
pub(crate) mod apply;
#[cfg(test)]
mod apply_tests;
mod barren;
mod batch;
mod closing;
mod divide;
mod effect;
pub(crate) mod erased;
mod evaluate;
mod exports;
mod garbage;
mod gate;
mod horizon;
mod inflight;
mod intents;
pub(crate) mod kept;
mod key_list;
mod latches;
mod load;
mod locks;
pub(crate) mod map;
mod memory;
pub(crate) mod merge;
#[cfg(test)]
mod merge_tests;
mod pieces;
mod recovery;
mod refusal;
mod replica;
mod reservations;
mod room;
mod serving;
mod sparse;
mod split;
pub(crate) mod state;
mod subsume;
mod unite;
mod version;

pub(crate) use admission::Admission;
pub(crate) use divide::{NewRange, reaches_over};
pub(crate) use evaluate::bounds;
pub(crate) use exports::Exports;
pub(crate) use horizon::{WOKEN_AT_ONCE, in_turn};
pub(crate) use intents::has_room;
pub(crate) use load::divided_at;
pub(crate) use locks::TxnId;
pub(crate) use refusal::Refusal;
pub(crate) use replica::{Context, DeadlockDetector, Elsewhere, Inquiry, Replica, TimeSource};
pub(crate) use state::RangeCell;
pub(crate) use version::is_ingested;
