//! Versions of rows: what stood under keys, and when.

mod below;

use bytes::Bytes;
use env::task::boxed;
use keys::Span;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{KeyVersion, Versions, VersionsResult, operation};

use crate::router::Route;
use crate::sender::{Call, Failure};
use crate::{Client, Error, Result};

/// So many times in a row may ranges answer one request with new bounds.
const REROUTES_MAX: u32 = 50;

/// A version of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowVersion {
    /// Its key.
    pub key: Bytes,
    /// Its value; `None`: the row was deleted.
    pub value: Option<Bytes>,
    /// When it was committed.
    pub timestamp: u64,
    /// The start timestamp of its transaction, which no other has; 0: not known.
    pub start_timestamp: u64,
}

impl From<KeyVersion> for RowVersion {
    fn from(found: KeyVersion) -> Self {
        let KeyVersion { key, value, timestamp, start_timestamp } = found;
        Self { key, value, timestamp, start_timestamp }
    }
}

/// What is left of a walk over versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionsLeft {
    span: Span,
    /// Versions of the span's first key at or above this timestamp were answered; 0: none.
    below: u64,
}

impl VersionsLeft {
    /// All versions of a span's keys.
    pub fn all(span: Span) -> Self {
        Self { span, below: 0 }
    }
}

/// Some versions, in the order of keys, the newest of each key first.
#[derive(Clone, Debug, Default)]
pub struct VersionsPage {
    /// The versions.
    pub versions: Vec<RowVersion>,
    /// What is left; `None`: nothing. A page may be empty and yet leave something.
    pub left: Option<VersionsLeft>,
    /// Where what is kept began, if that was asked for; else 0.
    pub kept: u64,
}

impl Client {
    /// One page of the versions that were committed at or below `at`, which is at most [`Client::newest_timestamp`], and were
    /// the newest of their keys at some timestamp from `from` on; 0: from the beginning of what is kept. Deletions above `from` are
    /// among them. The page ends with the version that passes so many bytes.
    ///
    /// # Errors
    /// [`Error::SnapshotTooOld`]: what was current at `from` is kept no more.
    #[boxed]
    pub async fn versions(
        &self,
        wanted: VersionsLeft,
        from: u64,
        at: u64,
        bytes_max: usize,
    ) -> Result<VersionsPage> {
        let VersionsLeft { span, below } = wanted;
        if span.is_empty() {
            return Ok(VersionsPage::default());
        }
        let call = Call::of_nobody(self.options().timeout);
        for _ in 0..REROUTES_MAX {
            let route = self.sender.route(&span.start, call.timeout).await?;
            let end = end_within(&span, &route);
            let build = || {
                let span = Some(proto::v1::Span { start: span.start.clone(), end: end.clone() });
                operation::Operation::Versions(Versions {
                    span,
                    from,
                    at,
                    below,
                    bytes_max: bytes_max as u64,
                })
            };
            match self.sender.send(&route, &call, build).await {
                Ok(Answer::Versions(answer)) => return Ok(page(answer, &span, end)),
                Ok(_) => {
                    let message = "a range answered something else than it was asked".to_owned();
                    return Err(Error::Invalid { message });
                }
                Err(Failure::Rerouted) => {}
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Err(Failure::Rerouted.into_error())
    }
}

/// Where the part of a span ends that lies in the range of its start.
pub(crate) fn end_within(span: &Span, route: &Route) -> Bytes {
    if !route.end().is_empty() && route.end() < span.end.as_ref() {
        Bytes::copy_from_slice(route.end())
    } else {
        span.end.clone()
    }
}

/// What a range has answered of the part of a span that ends so.
fn page(answer: VersionsResult, span: &Span, end: Bytes) -> VersionsPage {
    let (start, below) = match answer.resume {
        Some(resume) => (resume.start, answer.below),
        None => (end, 0),
    };
    let rest = Span { start, end: span.end.clone() };
    let left = (!rest.is_empty()).then_some(VersionsLeft { span: rest, below });
    let kept = answer.from;
    VersionsPage { versions: answer.versions.into_iter().map(RowVersion::from).collect(), left, kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: &'static str, end: &'static str) -> Span {
        Span { start: start.into(), end: end.into() }
    }

    #[test]
    fn what_a_range_leaves_comes_before_the_next_range() {
        let whole = span("a", "z");
        let done = page(VersionsResult::default(), &whole, "m".into());
        assert_eq!(done.left, Some(VersionsLeft { span: span("m", "z"), below: 0 }));
        let resume = Some(proto::v1::Span { start: "c".into(), end: "m".into() });
        let in_a_key = page(VersionsResult { resume, below: 7, ..Default::default() }, &whole, "m".into());
        assert_eq!(in_a_key.left, Some(VersionsLeft { span: span("c", "z"), below: 7 }));
        assert_eq!(page(VersionsResult::default(), &whole, "z".into()).left, None);
    }
}
