//! One replica of a range: the term it serves, and how requests are evaluated.

mod inflight;
mod latches;
mod locks;
mod memory;

pub use locks::TxnId;
