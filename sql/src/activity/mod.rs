//! What sessions are doing, here and at other gateways, for those who look into the cluster by SQL.
//!
//! ```text
//!   session ──▶ Activity ─┐                            ┌─ pg_stat_activity, pg_locks, nunatak.sessions, nunatak.jobs
//!                         ├─ Roster ─▶ here, others' ──┤
//!   session ──▶ Activity ─┘   (client::ask_gateways)   └─ pg_cancel_backend, pg_blocking_pids, …
//! ```
//!
//! A session says what it does in its [`Activity`]; the [`Roster`] of a gateway knows all of them, answers for them when
//! other gateways ask, and asks those. [`ask`] is what functions want of it, [`statements`] what statements have taken, [`usage`] what
//! they have done to tables.

pub(crate) mod ask;
mod job;
mod roster;
mod session;
pub(crate) mod statements;
pub(crate) mod usage;

pub(crate) use job::Job;
pub(crate) use roster::{Enlisted, Everyone, Roster};
pub(crate) use session::{Activity, SessionState};

/// Why a session cannot be told all that it was to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It has not taken it, and there is no room for more.
    Unread,
    /// It was gone before it could be read.
    Missed,
    /// What it kept in temporary tables was given up, because its gateway was away for too long; or nobody knows what became of
    /// a change of them.
    Temporary,
}

/// What others may do to a session.
pub(crate) trait Signals: Send + Sync {
    /// Ends what it is running.
    fn cancel(&self);

    /// Ends it.
    fn terminate(&self);

    /// Ends it because it would miss what others have told it.
    fn lose(&self, why: Lost);

    /// Whether what it is running waits for an answer of the cluster.
    fn waits(&self) -> bool;
}
