//! The audit log: who did what, when, from where, to which objects, and what came of it.
//!
//! ```text
//! session ──▶ reserve a place ──▶ run the statement ──▶ hand over its record ──▶ wait until it is written ──▶ answer
//!                                                          │
//!                                                        queue ──▶ writer's thread ──▶ file or standard output
//! ```
//!
//! A [`Record`] is one line of JSON. Which statements have one say [`Classes`], of a session and of a table. The
//! [`AuditLog`] takes them from all sessions of a gateway; without a stream of its own they go where the process logs.

mod class;
mod log;
mod queue;
mod record;
mod writer;

pub use class::{Class, Classes};
pub use log::{AuditLog, Place, Ticket, Unavailable};
pub use queue::WhenFull;
pub use record::{Object, Record};
pub use writer::Destination;
