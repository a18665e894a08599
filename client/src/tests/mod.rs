//! The client's own logic against nodes that answer by a script. What real nodes answer is the end-to-end tests' part.

mod allocations;
mod branches;
mod changes;
mod exports;
mod failover;
mod followers;
mod ingest;
mod routing;
mod scripted;
mod transactions;
mod written;
