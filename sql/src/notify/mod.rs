//! LISTEN and NOTIFY: messages between the sessions of all gateways, by channel.
//!
//! ```text
//!   NOTIFY, pg_notify ─▶ Pending ── COMMIT: locks the head, numbers them ──▶ rows of the queue, one number after the other
//!                                                                                │ read at a snapshot, each gateway for itself
//!   session ◀── Mailbox ◀── by channel ── Bulletin of each gateway that listens ◀┘
//! ```
//!
//! 1. What a transaction wants to send or to listen to stands in its [`Pending`] until it commits, and goes with it.
//! 2. At the commit its notifications become rows of the [`queue`], in the same transaction as everything else. Whoever writes
//!    there holds the lock of the queue's head until it has committed, so that the numbers of rows are in the order of commits.
//! 3. A gateway with sessions that listen is a reader of the queue: its [`Bulletin`] reads on from where it was, whenever it is
//!    told that there is something, by its own sessions or by other gateways, and once in a while whatever it is told.
//! 4. A session takes what is in its [`Mailbox`] between transactions. What it does not take is bounded: its session ends.
//! 5. Rows that all readers have read are deleted. A reader that is not heard of for a while counts no more; if it comes back
//!    and rows are gone that it has not read, its listening sessions end: none of them misses anything without knowing.
//!
//! A gateway where nobody listens or notifies does none of this.

mod bulletin;
mod listening;
mod mailbox;
mod notification;
mod pending;
mod queue;
mod stored;

pub(crate) use bulletin::Bulletin;
pub(crate) use listening::{Listening, Outgoing, Wanted};
pub use mailbox::Mailbox;
pub use notification::Notification;
pub(crate) use pending::{Pending, PendingMark, Said};
pub(crate) use queue::{post, try_again, usage, writing};
