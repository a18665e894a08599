//! Files of backups, which the leaders of ranges write: each its own range's.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use env::clock::{self, Instant};
use env::task::boxed;
use keys::Span;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Export, ExportResult, operation};

use crate::sender::{Call, Failure};
use crate::{Client, Error, Result};

/// So many times in a row may ranges answer one request with new bounds.
const REROUTES_MAX: u32 = 50;

/// How long a request may wait at a node for its turn, and for the place, beside what the cluster may be out of reach. It is asked anew as
/// long as turns of others end meanwhile: a node that is slow is no reason to give up.
const TURN: Duration = Duration::from_secs(120);

/// Which versions files are written of, and where to. It does not print the key.
#[derive(Clone)]
pub struct ExportOrder {
    /// Those that were committed above this timestamp; 0: all that are kept.
    pub since: u64,
    /// And at or below this one.
    pub at: u64,
    /// All versions of a key, not the newest alone.
    pub history: bool,
    /// The place, a URL that all nodes can reach.
    pub url: String,
    /// What files are called after, beside `at`.
    pub chain: u64,
    /// What they are sealed with; empty: nothing.
    pub key: Bytes,
    /// A node writes no more bytes of files in a second; 0: as many as it likes.
    pub bytes_per_second: u64,
}

impl fmt::Debug for ExportOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, at, url, .. } = self;
        f.debug_struct("ExportOrder")
            .field("since", since)
            .field("at", at)
            .field("url", url)
            .finish_non_exhaustive()
    }
}

/// What is left to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportLeft {
    span: Span,
    /// Versions of the span's first key at or above this timestamp were written; 0: none.
    below: u64,
}

impl ExportLeft {
    /// All of a span.
    pub fn all(span: Span) -> Self {
        Self { span, below: 0 }
    }
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedFile {
    /// Its name.
    pub name: String,
    /// The key of its first version.
    pub first: Bytes,
    /// That of its last.
    pub last: Bytes,
    /// How long it is.
    pub bytes: u64,
    /// Its checksum.
    pub crc32c: u32,
    /// How many versions it holds.
    pub entries: u64,
}

/// What a node has done.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The file, if there was anything to write.
    pub file: Option<ExportedFile>,
    /// From which timestamp on rows can be had as of.
    pub from: u64,
    /// What is left; `None`: nothing.
    pub left: Option<ExportLeft>,
}

/// How long no turn has ended at the node that a request waits at.
struct Standstill {
    since: Instant,
    turns: Option<u64>,
}

impl Standstill {
    fn new() -> Self {
        Self { since: clock::now(), turns: None }
    }

    /// So many have ended; for how long it was as many.
    fn lasts(&mut self, turns: u64) -> Duration {
        let now = clock::now();
        if self.turns != Some(turns) {
            *self = Self { since: now, turns: Some(turns) };
        }
        now.saturating_duration_since(self.since)
    }
}

impl Client {
    /// Has the leader of the range that holds the front of what is left write a file of it; the message of who could not as an error
    /// of its own: the place, not the cluster, is to be mended.
    ///
    /// # Errors
    /// [`Error::SnapshotTooOld`]: what was committed is kept no more. [`Error::Unavailable`]: no file at all is written.
    #[boxed]
    pub async fn export(
        &self,
        left: ExportLeft,
        order: &ExportOrder,
    ) -> Result<std::result::Result<Exported, String>> {
        let ExportLeft { span, below } = left;
        let call = Call::of_nobody(self.options().timeout + TURN);
        let mut standstill = Standstill::new();
        let mut reroutes = 0;
        while reroutes < REROUTES_MAX {
            let route = self.sender.route(&span.start, call.timeout).await?;
            let end = match route.end() {
                end if !end.is_empty() && end < span.end.as_ref() => Bytes::copy_from_slice(end),
                _ => span.end.clone(),
            };
            let build = || {
                let span = Some(proto::v1::Span { start: span.start.clone(), end: end.clone() });
                operation::Operation::Export(Export {
                    span,
                    since: order.since,
                    at: order.at,
                    history: order.history,
                    below,
                    url: order.url.clone(),
                    chain: order.chain,
                    key: order.key.clone(),
                    bytes_per_second: order.bytes_per_second,
                })
            };
            match self.sender.send(&route, &call, build).await {
                Ok(Answer::Export(answer)) if answer.waits => {
                    if standstill.lasts(answer.turns) >= TURN {
                        let message =
                            "a node writes no files of backups, and has others to write before".to_owned();
                        return Err(Error::Unavailable { message, source: None });
                    }
                }
                Ok(Answer::Export(answer)) if !answer.failure.is_empty() => return Ok(Err(answer.failure)),
                Ok(Answer::Export(answer)) => return Ok(Ok(exported(answer, &span, end))),
                Ok(_) => {
                    let message = "a range answered something else than it was asked".to_owned();
                    return Err(Error::Invalid { message });
                }
                Err(Failure::Rerouted) => reroutes += 1,
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Err(Failure::Rerouted.into_error())
    }
}

/// What a range has done of the part of a span that ends so.
fn exported(answer: ExportResult, span: &Span, end: Bytes) -> Exported {
    let ExportResult { name, first, last, bytes, crc32c, entries, resume, below, from, .. } = answer;
    let (start, below) = match resume {
        Some(resume) => (resume.start, below),
        None => (end, 0),
    };
    let rest = Span { start, end: span.end.clone() };
    let file = (!name.is_empty()).then_some(ExportedFile { name, first, last, bytes, crc32c, entries });
    Exported { file, from, left: (!rest.is_empty()).then_some(ExportLeft { span: rest, below }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_leaves_comes_before_the_next_range() {
        let span = |start: &'static str, end: &'static str| Span { start: start.into(), end: end.into() };
        let whole = span("a", "z");
        let done = exported(ExportResult::default(), &whole, "m".into());
        assert_eq!((done.file, done.left), (None, Some(ExportLeft::all(span("m", "z")))));
        let resume = Some(proto::v1::Span { start: "c".into(), end: "m".into() });
        let name = "1".to_owned();
        let written =
            exported(ExportResult { name, resume, below: 7, ..Default::default() }, &whole, "m".into());
        assert_eq!(written.left, Some(ExportLeft { span: span("c", "z"), below: 7 }));
        assert!(written.file.is_some());
        assert_eq!(exported(ExportResult::default(), &whole, "z".into()).left, None);
    }
}
