//! BACKUP and RESTORE: rows and the catalog that says what they are, to a place outside of the cluster and back.
//!
//! ```text
//! BACKUP    moment ─▶ catalog of then ─▶ spans (`contents`) ─▶ files, by the ranges' leaders ─▶ manifest       (`take`)
//!                                                              those of clones by the gateway                   (`branches`)
//! RESTORE   chain, moment ─▶ catalog of then ─▶ under new index ids (`copies`) ─▶ rows, ingested ─▶ commit     (`restore`)
//! ```
//!
//! What is scheduled is taken by whichever gateway comes first (`schedules`).
//!
//! A backup holds the catalog as it holds rows: as keys and values of a moment. So what a row means is in it, whenever it is
//! restored. It needs no lock: everything is read at one timestamp, and history is kept from there on by a transaction that is
//! open all the time.
//!
//! What is restored nobody sees before it is whole. Its rows stand under index ids that nobody else has, on the list of those
//! that are out of use ([`dropped`](crate::catalog::dropped)); the transaction that writes the catalog's rows takes them off. Whatever ends
//! a restoring before leaves no more than that list, and the room is given back.

mod branches;
mod contents;
mod copies;
mod key_file;
mod restore;
mod schedules;
mod take;

pub(crate) use key_file::read_key;
pub(crate) use restore::{Restore, Restored, restore_backup};
pub(crate) use schedules::{all_schedules, run_schedules, scheduled_of};
pub(crate) use take::{How, Take, Taken, take_backup};
