//! The root range: timestamps, the registry of nodes, the directory of ranges, ids, deadlocks, placement, history.
//!
//! Its rows ([`RootState`]) are replicated like any range's. Its leader serves them, and what it keeps in memory beside
//! them, for one term ([`RootTerm`]). [`RootLink`] is how every node reaches that leader, wherever it is.

mod assign;
mod calls;
mod changes;
mod clocks;
mod deadlock;
mod history;
mod link;
mod oracle;
mod placement;
mod registry;
mod relay;
mod roster;
mod state;
mod term;
mod view;

pub(crate) use link::RootLink;
pub(crate) use placement::Limits;
pub(crate) use state::{COUNTER_NODE, COUNTER_OID, COUNTER_RANGE, COUNTER_REPLICA, RootState};
pub(crate) use term::{COUNTERS, RootTerm, check_history, root_command};
pub(crate) use view::Nodes;

/// The root range's id.
pub(crate) const ROOT_RANGE: u64 = 1;

/// The id of the first range of data.
pub(crate) const FIRST_DATA_RANGE: u64 = 2;

#[cfg(test)]
mod tests;
