//! Whose the rows of temporary tables are, and who gives their room back.
//!
//! What a session keeps in temporary tables and sequences are keys of the cluster. Which those are is written down by the
//! transaction that makes them, under the tenure of the session's gateway:
//!
//! ```text
//! session ─ begins to keep ─▶ Keeper: a tenure, renewed every few seconds as long as there are such sessions
//!    │                           │
//!    │ goes                      │ what the session kept is put on the list of dropped indexes
//!    ▼                           ▼
//! gateway ─ dies ─▶ another one (or itself, started anew) has seen the tenure unchanged in so many looks:
//!                   it is forfeit, and all that was kept under it is put on that list
//! ```
//!
//! From the list the keys are deleted as those of any dropped table are, once history reaches back to them no more. No
//! clock is compared with another: a look counts only if the cluster has answered it, and many have to find the same.
//!
//! What it costs: a row for each index that is temporary; one write every few seconds by a gateway with sessions that have
//! temporary tables; and a look of each gateway a minute at the tenures that there are.
//!
//! A gateway that was away for so long that its tenure is forfeit ends its sessions that relied on it (57P01). It finds out
//! before their next statement, or their commit: who has not renewed for a while, by the monotonic clock or by that on the wall
//! (the machine may have slept), does so first. What a commit kept that was under way when a session was cut off is looked for once
//! more later; where it was under way when the tenure was given up, it may stay.
//!
//! # Invariants
//! - Keys are kept under a tenure whose row is there: it is written first, and deleted last.
//! - A tenure's number only rises, until it is forfeit; nobody renews it then.

mod ended;
mod stored;
mod tenure;

pub(crate) use tenure::{Holder, Keeper};
