//! The root range: timestamps, the registry of nodes, the directory of ranges, ids, deadlocks, placement.

mod deadlock;
mod oracle;
mod placement;
