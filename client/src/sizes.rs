//! How much room spans of keys take.

use env::task::boxed;
use keys::Span;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Measure, operation};

use crate::router::Route;
use crate::sender::{Call, Failure};
use crate::{Client, Error, Result};

/// So many times in a row may ranges answer one request with new bounds.
const REROUTES_MAX: u32 = 50;

/// A part of a span, and the span's place among those that were asked about.
type Part = (usize, Span);

impl Client {
    /// About how many bytes each span takes at the leaders of its ranges, history included.
    #[boxed]
    pub async fn sizes(&self, spans: &[Span]) -> Result<Vec<u64>> {
        self.measured(spans, false).await
    }

    /// About how many of these are taken by what has a newer version.
    #[boxed]
    pub async fn history_sizes(&self, spans: &[Span]) -> Result<Vec<u64>> {
        self.measured(spans, true).await
    }

    async fn measured(&self, spans: &[Span], history: bool) -> Result<Vec<u64>> {
        let call = Call::of_nobody(self.options().timeout);
        let mut sizes = vec![0; spans.len()];
        let spans = spans.iter().cloned().enumerate();
        let mut left: Vec<Part> = spans.filter(|(_, span)| !span.is_empty()).collect();
        let mut reroutes = 0;
        while let Some((_, first)) = left.first() {
            let route = self.sender.route(&first.start, call.timeout).await?;
            let (here, rest) = cut(&left, &route);
            let build = || {
                let spans = here
                    .iter()
                    .map(|(_, span)| proto::v1::Span { start: span.start.clone(), end: span.end.clone() });
                operation::Operation::Measure(Measure { spans: spans.collect(), history })
            };
            match self.sender.send(&route, &call, build).await {
                Ok(Answer::Measure(measured)) if measured.bytes.len() == here.len() => {
                    let measured = if history { measured.history } else { measured.bytes };
                    for ((place, _), bytes) in here.iter().zip(measured) {
                        if let Some(size) = sizes.get_mut(*place) {
                            *size += bytes;
                        }
                    }
                    left = rest;
                    reroutes = 0;
                }
                Ok(_) => {
                    let message = "a range answered something else than it was asked".to_owned();
                    return Err(Error::Invalid { message });
                }
                Err(Failure::Rerouted) if reroutes < REROUTES_MAX => reroutes += 1,
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Ok(sizes)
    }
}

/// The parts of the spans that begin in a range, and what is left of them all.
fn cut(spans: &[Part], route: &Route) -> (Vec<Part>, Vec<Part>) {
    let (mut here, mut rest) = (Vec::new(), Vec::new());
    for (place, span) in spans {
        if !route.holds(&span.start) {
            rest.push((*place, span.clone()));
            continue;
        }
        let mut part = span.clone();
        if !route.end().is_empty() && route.end() < part.end.as_ref() {
            part.end = bytes::Bytes::copy_from_slice(route.end());
            rest.push((*place, Span { start: part.end.clone(), end: span.end.clone() }));
        }
        here.push((*place, part));
    }
    (here, rest)
}
