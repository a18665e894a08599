//! Spans under way.

use std::sync::Arc;

use super::gather::Trace;
use super::record::beginning;
use super::{Keep, Kind, Parent, Record, Value};
use crate::clock::{self, Instant};
use crate::random;

/// So many attributes a span has at most.
const ATTRIBUTES_MAX: usize = 16;

/// A span that others may be under.
#[derive(Clone)]
pub struct Context {
    trace: Arc<Trace>,
    span: [u8; 8],
}

impl Context {
    /// What another process is told, so that its spans are under this one; `None` as long as it is not known whether the trace is
    /// kept.
    pub fn parent(&self) -> Option<Parent> {
        let is_kept = self.trace.keep == Keep::Always;
        is_kept.then_some(Parent { trace_id: self.trace.id, span_id: self.span, is_sampled: true })
    }

    /// Adds a span that began then and has ended.
    pub fn add(&self, name: &'static str, began: Instant, ended: Instant) {
        self.trace.add(Record {
            trace_id: self.trace.id,
            span_id: new_id(),
            parent_id: Some(self.span),
            name,
            kind: Kind::Internal,
            started_ns: self.trace.unix_ns(began),
            ended_ns: self.trace.unix_ns(ended),
            attributes: Vec::new(),
            failure: None,
        });
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("trace", &self.trace.id).field("span", &self.span).finish()
    }
}

/// Something under way, until dropped.
#[derive(Debug)]
pub struct Span {
    context: Context,
    parent_id: Option<[u8; 8]>,
    name: &'static str,
    kind: Kind,
    began: Instant,
    attributes: Vec<(&'static str, Value)>,
    failure: Option<String>,
    /// Its end is that of the trace in this process.
    is_root: bool,
}

impl Span {
    pub(super) fn root(name: &'static str, kind: Kind, parent: Option<Parent>, keep: Keep) -> Self {
        let trace_id = parent.map_or_else(random::id, |parent| parent.trace_id);
        let context = Context { trace: Trace::new(trace_id, keep), span: new_id() };
        Self::new(context, parent.map(|parent| parent.span_id), name, kind, true)
    }

    pub(super) fn under(parent: Context, name: &'static str, kind: Kind) -> Self {
        let parent_id = Some(parent.span);
        Self::new(Context { trace: parent.trace, span: new_id() }, parent_id, name, kind, false)
    }

    fn new(
        context: Context,
        parent_id: Option<[u8; 8]>,
        name: &'static str,
        kind: Kind,
        is_root: bool,
    ) -> Self {
        let (began, attributes, failure) = (clock::now(), Vec::new(), None);
        Self { context, parent_id, name, kind, began, attributes, failure, is_root }
    }

    /// The same, which asks another process.
    #[must_use]
    pub fn asks(mut self) -> Self {
        self.kind = Kind::Client;
        self
    }

    /// What may be under it.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Notes what else is known of it.
    pub fn note(&mut self, key: &'static str, value: impl Into<Value>) {
        if self.attributes.len() < ATTRIBUTES_MAX {
            self.attributes.push((key, value.into()));
        }
    }

    /// It comes to nothing.
    pub fn fail(&mut self, why: &str) {
        self.failure = Some(beginning(why).to_owned());
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let ended = clock::now();
        let trace = &self.context.trace;
        let record = Record {
            trace_id: trace.id,
            span_id: self.context.span,
            parent_id: self.parent_id,
            name: self.name,
            kind: self.kind,
            started_ns: trace.unix_ns(self.began),
            ended_ns: trace.unix_ns(ended),
            attributes: std::mem::take(&mut self.attributes),
            failure: self.failure.take(),
        };
        match self.is_root {
            true => trace.end(record, ended.saturating_duration_since(self.began)),
            false => trace.add(record),
        }
    }
}

fn new_id() -> [u8; 8] {
    // Zero stands for none.
    random::next_u64().max(1).to_be_bytes()
}
