//! Which query strings and series of messages are traced, and what stands in their spans.

use env::trace::{self, Kind, Parent, Span};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Connection, Ending, Failure};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The span of what begins with this SQL, if it is traced.
    pub(super) fn begin_trace(&self, name: &'static str, sql: Option<&str>) -> Option<Span> {
        if !trace::is_on() {
            return None;
        }
        let parent = sql.and_then(Parent::of_sql);
        let keep = self.session.traces(parent)?;
        let mut span = trace::root(name, Kind::Server, parent, keep)?;
        self.session.describe(&mut span, sql);
        Some(span)
    }
}

/// Notes how what a span is about has failed, if it has.
pub(super) fn note_failure<T>(span: &mut Option<Span>, outcome: &Result<T, Failure>) {
    let Some(span) = span else { return };
    match outcome {
        Ok(_) => {}
        Err(Failure::Statement(error)) => {
            span.note("db.response.status_code", error.sqlstate);
            span.fail(error.sqlstate);
        }
        Err(Failure::Connection(Ending::Told(error))) => span.fail(error.sqlstate),
        Err(Failure::Connection(_)) => span.fail("the connection ended"),
    }
}
