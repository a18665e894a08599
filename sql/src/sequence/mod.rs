//! Numbers from sequences: what `nextval` and its like do beyond the statement that calls them.
//!
//! ```text
//! nextval ─▶ what the session holds (CACHE) ─▶ the gateway's block ─▶ a transaction of its own: state + 32, committed
//! ```
//!
//! A sequence's state is a row under an index id of its own ([`state`]). A gateway draws a block of numbers by a transaction
//! that is none of the statement's, and gives them out to its sessions in order ([`store`]): no number is given twice,
//! whatever fails, and what is left of a block when a gateway goes is never given. Functions are evaluated without waiting;
//! where one needs what only the cluster can tell, it leaves the question with the session ([`session`]), the statement gets
//! the answer, and evaluates the row again, with what it was told before.

mod session;
mod state;
mod store;

pub(crate) use session::{Asked, SessionSequences};
pub(crate) use store::{SequenceStore, state_then};
