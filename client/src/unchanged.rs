//! Whether nothing was written to a span since a timestamp.

use bytes::Bytes;
use env::task::boxed;
use keys::Span;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Check, Validate, operation};

use crate::router::Route;
use crate::sender::{Call, Failure};
use crate::{Client, Error, Result};

/// So many times in a row may ranges answer one request with new bounds.
const REROUTES_MAX: u32 = 50;

impl Client {
    /// Whether no transaction has committed to `span` after `since` and up to `at`. None ever will, then.
    #[boxed]
    pub async fn is_unchanged(&self, span: &Span, since: u64, at: u64) -> Result<bool> {
        let call = Call::of_nobody(self.options().timeout);
        let mut from = span.start.clone();
        let mut reroutes = 0;
        while from < span.end {
            let route = self.sender.route(&from, call.timeout).await?;
            let end = part_end(&route, span);
            let check = Check { start: from.clone(), end: end.clone(), since };
            let build = || {
                let checks = vec![check.clone()];
                operation::Operation::Validate(Validate { checks, at, ..Validate::default() })
            };
            match self.sender.send(&route, &call, build).await {
                Ok(Answer::Validate(_)) => (from, reroutes) = (end, 0),
                Ok(_) => {
                    let message = "a range answered something else than it was asked".to_owned();
                    return Err(Error::Invalid { message });
                }
                Err(Failure::Conflict { .. }) => return Ok(false),
                Err(Failure::Rerouted) if reroutes < REROUTES_MAX => reroutes += 1,
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Ok(true)
    }
}

/// Where what of a span lies in the range that holds its start ends.
fn part_end(route: &Route, span: &Span) -> Bytes {
    match route.end() {
        end if !end.is_empty() && end < span.end.as_ref() => Bytes::copy_from_slice(end),
        _ => span.end.clone(),
    }
}
