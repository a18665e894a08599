//! Spans of keys that a transaction gave up, and that nobody can read any more: they are deleted, history and all.

use std::time::Duration;

use bytes::Bytes;
use env::task::boxed;
use keys::Span;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Get, Reclaim, Version, operation};

use crate::router::Route;
use crate::sender::{Call, Failure};
use crate::{Client, CommitTimestamp, Error, Result, TransactionOptions};

/// So many times in a row may ranges answer one request with new bounds.
const REROUTES_MAX: u32 = 50;

/// What has become of a span that a transaction gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reclaimed {
    /// It is deleted.
    Gone,
    /// It was given up at this timestamp, and safe points are not there yet.
    TooYoung {
        /// Nothing is to be had before [`Client::safe_point`] is at it.
        given_up: u64,
    },
    /// Ranges do not know yet that they may.
    NotYet,
}

impl Client {
    /// When the newest version of a row was committed, and what it says; `None`: there is no row.
    #[boxed]
    pub async fn newest_row(&self, key: &Bytes) -> Result<Option<(CommitTimestamp, Bytes)>> {
        let newest = self.newest_version(key).await?;
        Ok(newest.value.map(|value| (newest.timestamp, value)))
    }

    /// Deletes `span` with all its history, if the transaction that gave it up, and committed at this timestamp, is older than
    /// every snapshot that can still be read; then `row` goes, too. Nothing is written to the span since, nor ever will be. Whoever
    /// else does the same meanwhile does no harm.
    #[boxed]
    pub async fn reclaim(&self, row: Bytes, span: &Span, given_up: CommitTimestamp) -> Result<Reclaimed> {
        if given_up > self.horizon.safe_point() {
            return Ok(Reclaimed::TooYoung { given_up });
        }
        let mut from = span.start.clone();
        while from < span.end {
            let build = |route: &Route| {
                let end = route.end();
                let end = if end.is_empty() {
                    span.end.clone()
                } else {
                    span.end.clone().min(Bytes::copy_from_slice(end))
                };
                let span = Some(proto::v1::Span { start: from.clone(), end });
                operation::Operation::Reclaim(Reclaim { span, given_up })
            };
            let (answer, asked) = self.ask_range(&from, build).await?;
            match answer {
                Answer::Reclaim(reclaimed) if reclaimed.done => {}
                Answer::Reclaim(_) => return Ok(Reclaimed::NotYet),
                _ => return Err(mismatch()),
            }
            let operation::Operation::Reclaim(Reclaim { span: Some(done), .. }) = asked else {
                return Err(mismatch());
            };
            from = done.end;
        }
        let mut transaction = self.begin(TransactionOptions::default());
        transaction.delete(row);
        transaction.commit().await?;
        Ok(Reclaimed::Gone)
    }

    /// What ranges may have raised their safe points to, as far as this client has heard; 0 = not known.
    pub fn safe_point(&self) -> u64 {
        self.horizon.safe_point()
    }

    /// In what steps safe points move; zero = not known.
    pub fn safe_point_step(&self) -> Duration {
        self.horizon.step()
    }

    async fn newest_version(&self, key: &Bytes) -> Result<Version> {
        let at = self.timestamp().await?.timestamp;
        let build = |_: &Route| operation::Operation::Get(Get { keys: vec![key.clone()], at });
        match self.ask_range(key, build).await?.0 {
            Answer::Get(got) => Ok(got.versions.into_iter().next().unwrap_or_default()),
            _ => Err(mismatch()),
        }
    }

    /// Asks the range that holds `key`; its answer, and what it was asked.
    pub(crate) async fn ask_range(
        &self,
        key: &Bytes,
        build: impl Fn(&Route) -> operation::Operation,
    ) -> Result<(Answer, operation::Operation)> {
        let call = Call::of_nobody(self.options().timeout);
        for _ in 0..REROUTES_MAX {
            let route = self.sender.route(key, call.timeout).await?;
            match self.sender.send(&route, &call, || build(&route)).await {
                Ok(answer) => return Ok((answer, build(&route))),
                Err(Failure::Rerouted) => {}
                Err(failure) => return Err(failure.into_error()),
            }
        }
        Err(Failure::Rerouted.into_error())
    }
}

pub(crate) fn mismatch() -> Error {
    Error::Invalid { message: "a range answered something else than it was asked".to_owned() }
}
