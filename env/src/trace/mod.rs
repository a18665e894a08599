//! Traces: what a statement had done for it, when, and in which process.
//!
//! ```text
//! statement ─▶ root ─▶ child ─▶ child                 a Span ends when it is dropped, and becomes a Record
//!                        └─ Parent, as bytes ─▶ another process: a root of its own, with that parent
//! Records gather in their trace ──its root ends──▶ kept: to the Sink │ dropped
//! ```
//!
//! A span is under whichever one the task is in: [`within`] and [`under`] say so for as long as a future is polled, on whatever
//! thread. Whether a trace is kept may be known only at its end ([`Keep::IfLonger`]); no other process takes part in such a one.
//!
//! As long as nobody has [installed](install) a sink there are no spans, and to ask for one is one load of an atomic.
//!
//! # Invariants
//! - A trace gathers so many records and no more, each so many bytes of attributes; what is beyond is counted as lost.
//! - Nothing here waits: a sink takes records, or loses them, at once.

mod gather;
mod parent;
mod record;
mod span;
mod task;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::{self, Instant};

pub use parent::Parent;
pub use record::{Kind, Record, Value};
pub use span::{Context, Span};
pub use task::{Within, under, within};

/// What takes the records of traces that are kept.
pub trait Sink: Send + Sync {
    /// Takes records.
    fn take(&self, records: Vec<Record>);

    /// So many were lost before.
    fn lost(&self, records: usize);
}

static ON: AtomicBool = AtomicBool::new(false);
static SINK: OnceLock<Box<dyn Sink>> = OnceLock::new();

/// From now on there are traces, for the rest of the process; false: there were already, and this sink takes nothing.
pub fn install(sink: Box<dyn Sink>) -> bool {
    let is_first = SINK.set(sink).is_ok();
    ON.store(true, Ordering::Release);
    is_first
}

/// Whether there are traces at all.
#[inline]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Whether a trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is.
    Always,
    /// It is if its root has taken so long.
    IfLonger(Duration),
}

/// A span under the one that the task is in; `None`: it is in none.
#[inline]
pub fn child(name: &'static str) -> Option<Span> {
    if is_on() { task::current().map(|context| Span::under(context, name, Kind::Internal)) } else { None }
}

/// The span that the task is in.
#[inline]
pub fn current() -> Option<Context> {
    if is_on() { task::current() } else { None }
}

/// The first span of a trace in this process; `None` if there are no traces.
pub fn root(name: &'static str, kind: Kind, parent: Option<Parent>, keep: Keep) -> Option<Span> {
    is_on().then(|| Span::root(name, kind, parent, keep))
}

/// The span of a request that came with these bytes of a [`Parent`]: under the span that the task is in if the request has come
/// by a function call, else the first one here.
#[inline]
pub fn served(parent: &[u8], name: &'static str) -> Option<Span> {
    if !is_on() {
        return None;
    }
    match task::current() {
        Some(context) => Some(Span::under(context, name, Kind::Server)),
        None => Some(Span::root(name, Kind::Server, Some(Parent::from_bytes(parent)?), Keep::Always)),
    }
}

/// A disk is about to be read: since when, if the task is in a span.
#[inline]
pub fn reading() -> Option<Instant> {
    (is_on() && task::is_followed()).then(clock::now)
}

/// It was read. A span tells how often that was, and how long it took.
#[inline]
pub fn has_read(since: Option<Instant>) {
    if let Some(since) = since {
        task::note_read(since.elapsed());
    }
}

#[cfg(test)]
mod tests;
