//! Spans of keys whose history is erased: nobody reads any more what they were before a moment.

use std::collections::VecDeque;

use env::task::boxed;
use keys::Span;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{EraseHistory, operation};

use crate::reclaim::mismatch;
use crate::router::Route;
use crate::{Client, CommitTimestamp, Result};

/// So many spans one range is asked to erase at a time,
const SPANS_MAX: usize = 256;

/// and so many bytes of keys, if it is more than one span: a range remembers little more.
const BYTES_MAX: usize = 32 << 10;

impl Client {
    /// From now on nobody reads what the keys of these spans were before a timestamp, which has been handed out; disks lose it as soon as
    /// their nodes come to it. Spans in any order. Where it ends in between, some of it is done: the same may be asked again.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`]: not all nodes run a program that heeds it. [`crate::Error::TooLarge`]: a range has no room to
    /// remember so many spans.
    #[boxed]
    pub async fn erase_history(&self, spans: Vec<Span>, before: CommitTimestamp) -> Result<()> {
        self.check_erasure().await?;
        let mut rest = ordered(spans);
        while let Some(from) = rest.front().map(|span| span.start.clone()) {
            let build = |route: &Route| {
                let spans = within(&rest, route.end());
                operation::Operation::EraseHistory(EraseHistory { spans, before })
            };
            let (answer, asked) = self.ask_range(&from, build).await?;
            let (Answer::EraseHistory(_), operation::Operation::EraseHistory(asked)) = (answer, asked) else {
                return Err(mismatch());
            };
            let done = asked.spans.into_iter().last().ok_or_else(mismatch)?;
            leave(&mut rest, &done.end);
        }
        Ok(())
    }
}

/// Spans in their order, those that overlap or touch as one.
fn ordered(mut spans: Vec<Span>) -> VecDeque<Span> {
    spans.retain(|span| span.start < span.end);
    spans.sort_by(|a, b| a.start.cmp(&b.start));
    let mut ordered: VecDeque<Span> = VecDeque::with_capacity(spans.len());
    for span in spans {
        match ordered.back_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.clone().max(span.end),
            _ => ordered.push_back(span),
        }
    }
    ordered
}

/// The first of the spans, as far as they lie before an end; an empty one is the end of the keys.
fn within(spans: &VecDeque<Span>, end: &[u8]) -> Vec<proto::v1::Span> {
    let begins = |span: &&Span| end.is_empty() || span.start.as_ref() < end;
    let clipped = |span: &Span| {
        let is_within = end.is_empty() || span.end.as_ref() <= end;
        let end = if is_within { span.end.clone() } else { bytes::Bytes::copy_from_slice(end) };
        proto::v1::Span { start: span.start.clone(), end }
    };
    let mut bytes = 0_usize;
    let has_room = |span: &&Span| {
        let is_first = bytes == 0;
        bytes = bytes.saturating_add(span.start.len()).saturating_add(span.end.len());
        is_first || bytes <= BYTES_MAX
    };
    spans.iter().take_while(begins).take(SPANS_MAX).take_while(has_room).map(clipped).collect()
}

/// Leaves of the spans what lies at or behind a key.
fn leave(spans: &mut VecDeque<Span>, from: &bytes::Bytes) {
    while spans.front().is_some_and(|span| span.end <= *from) {
        spans.pop_front();
    }
    if let Some(first) = spans.front_mut()
        && first.start < *from
    {
        first.start = from.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: &'static str, end: &'static str) -> Span {
        Span { start: start.into(), end: end.into() }
    }

    #[test]
    fn each_range_is_asked_for_what_lies_in_it() {
        let spans = vec![span("m", "p"), span("b", "c"), span("c", "d"), span("x", "x"), span("n", "o")];
        let mut rest = ordered(spans);
        assert_eq!(rest, [span("b", "d"), span("m", "p")]);
        let told = |rest: &VecDeque<Span>, end: &str| {
            let text = |key: &bytes::Bytes| String::from_utf8_lossy(key).into_owned();
            let told = within(rest, end.as_bytes());
            told.iter().map(|span| text(&span.start) + "-" + &text(&span.end)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told(&rest, "n"), "b-d m-n");
        assert_eq!(told(&rest, "c"), "b-c");
        leave(&mut rest, &"n".into());
        assert_eq!(rest, [span("n", "p")]);
        assert_eq!(told(&rest, ""), "n-p");
        leave(&mut rest, &"p".into());
        assert!(rest.is_empty());
    }

    #[test]
    fn a_range_is_asked_for_no_more_than_it_can_remember() {
        let long = |number: u32| {
            let start = bytes::Bytes::from(format!("{number:04}{}", "x".repeat(1000)));
            Span { end: keys::span::successor(&start), start }
        };
        let spans = ordered((0..100).map(long).collect());
        assert_eq!(spans.len(), 100);
        assert_eq!(within(&spans, b"").len(), 16);
        let short: VecDeque<Span> = ordered(
            (0..300)
                .map(|number: u32| {
                    let start = bytes::Bytes::from(format!("{number:04}"));
                    Span { end: keys::span::successor(&start), start }
                })
                .collect(),
        );
        assert_eq!(within(&short, b"").len(), SPANS_MAX);
        let huge = bytes::Bytes::from("x".repeat(40_000));
        let alone = ordered(vec![Span { end: keys::span::successor(&huge), start: huge }]);
        assert_eq!(within(&alone, b"").len(), 1);
    }
}
