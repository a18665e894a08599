//! Watching what is committed to spans of keys.
//!
//! ```text
//!             keys ─────────────────────────────────────▶
//!                ┌──────────┬───────┬──────────────┐
//!   target   ────┼──────────┤       ├──────────────┼──── what is told next: a little behind what is new
//!                │          └───────┘              │
//!   resolved ────┼──────────── 97 ─────────────────┼──── nothing at or below it comes any more
//!                └─────────────────────────────────┘
//! ```
//!
//! A [`Watch`] knows for each key up to when its changes were told ([`Frontier`]), and nothing else. In rounds it asks each part
//! that lies behind for what came since, up to a timestamp that is the same for all. Who leads a range, and which ranges there are, is looked up for each request: so
//! splits, merges, moves and other leaders are nothing special, and who begins again from a resolved timestamp misses nothing. Who lies far
//! behind is not told all at once: a round goes on by a minute, or by more where nothing was found, so that more and more is resolved.
//!
//! Nothing is read ahead of whoever asks: who does not ask for more holds up nobody. A round in which nothing is new costs a
//! small request to each range; the pause before the next one grows up to [`PAUSE_MAX`].

mod frontier;

use std::time::Duration;

use env::clock;
use env::task::boxed;
use futures::future::join_all;
use keys::Span;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{Changes, ChangesResult, operation};

use self::frontier::{Frontier, Part};
use crate::moment::{earlier, later};
use crate::sender::{Call, Failure};
use crate::versions::{RowVersion, end_within};
use crate::{Client, CommitTimestamp, Error, Result};

/// So far behind what is new a watch reads, in milliseconds: transactions that are about to commit are to have done so.
const LAG_MS: u64 = 200;

/// So far at most a round goes on, in milliseconds: what was told before it is not told again to who begins anew. Each round in which
/// nothing is found goes on twice as far as the one before, up to the latter.
const STEP_MS: u64 = 60_000;
const STEP_MS_MAX: u64 = 3_600_000;

/// How long is waited between rounds: after one that has found something, and at most.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// So many ranges are asked at a time.
const RANGES_AT_ONCE: usize = 4;

/// An answer of a range ends with the key that passes so many bytes.
const BYTES_OF_RANGE: u64 = 256 << 10;

/// What has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Versions that were not told before, by where they lie: of some keys each all that came between two timestamps, key by key, in
    /// the order in which they were committed.
    pub parts: Vec<Vec<RowVersion>>,
    /// Nothing that was committed at or below this timestamp is told after this.
    pub resolved: CommitTimestamp,
    /// The version of the catalog when it was asked.
    pub catalog_version: u64,
}

/// Follows what is committed to spans of keys.
///
/// # Invariants
///
/// - A version is told once, those of a key in the order of their timestamps.
/// - What is resolved never goes back, and nothing at or below it is told later.
/// - A call that is dropped half way has told nothing, and the next one tells it.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    frontier: Frontier,
    /// Up to when the round under way goes.
    target: CommitTimestamp,
    catalog_version: u64,
    /// How long was waited before the round under way; none before the first.
    pause: Option<Duration>,
    /// Whether the round under way has found anything.
    found: bool,
    /// How far it goes on at most, in milliseconds.
    step_ms: u64,
    /// Whether there is more behind it already.
    is_behind: bool,
}

impl Client {
    /// Follows what is committed to these spans after a timestamp, which has been handed out.
    pub fn watch(&self, spans: Vec<Span>, since: CommitTimestamp) -> Watch {
        Watch {
            client: self.clone(),
            frontier: Frontier::new(spans, since),
            target: since,
            catalog_version: 0,
            pause: None,
            found: false,
            step_ms: STEP_MS,
            is_behind: false,
        }
    }

    /// What a range answers of a part of a span, which lies in one range as far as is known.
    async fn changes(&self, part: Part, at: CommitTimestamp) -> Result<(Part, ChangesResult)> {
        let call = Call::of_nobody(self.options().timeout);
        let Part { span, told: since } = part;
        let route = self.sender.route(&span.start, call.timeout).await?;
        let span = Span { end: end_within(&span, &route), start: span.start };
        let build = || {
            operation::Operation::Changes(Changes {
                span: Some(proto::v1::Span { start: span.start.clone(), end: span.end.clone() }),
                since,
                at,
                bytes_max: BYTES_OF_RANGE,
            })
        };
        let answer = match self.sender.send(&route, &call, build).await {
            Ok(Answer::Changes(answer)) => answer,
            Ok(_) => {
                let message = "a range answered something else than it was asked".to_owned();
                return Err(Error::Invalid { message });
            }
            // Its bounds have changed: all of it is left.
            Err(Failure::Rerouted) => {
                let resume = proto::v1::Span { start: span.start.clone(), end: span.end.clone() };
                ChangesResult { resume: Some(resume), at, ..ChangesResult::default() }
            }
            Err(failure) => return Err(failure.into_error()),
        };
        Ok((Part { span, told: since }, answer))
    }
}

impl Watch {
    /// Up to when all was told.
    pub fn resolved(&self) -> CommitTimestamp {
        self.frontier.resolved()
    }

    /// What has changed since this was asked last; waits until something has, or at least more is resolved. It takes a few MiB, unless rows are larger.
    ///
    /// # Errors
    /// [`Error::SnapshotTooOld`]: what came since is kept no more; the watch is of no use then. After others the same may be asked again.
    #[boxed]
    pub async fn next(&mut self) -> Result<Changed> {
        loop {
            if self.frontier.is_at(self.target) {
                self.begin_round().await?;
                continue;
            }
            let asked = self.parts().await?;
            let (client, at) = (&self.client, self.target);
            let answers = join_all(asked.into_iter().map(|part| client.changes(part, at))).await;
            // From here on nothing is waited for until all of it is told.
            let mut parts = Vec::new();
            let mut failed = None;
            let before = self.frontier.resolved();
            let mut moved = false;
            for answer in answers {
                match answer {
                    Ok((part, answer)) => moved |= self.take(part, answer, &mut parts),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            self.found |= !parts.is_empty();
            let resolved = self.frontier.resolved();
            if !parts.is_empty() || resolved > before {
                return Ok(Changed { parts, resolved, catalog_version: self.catalog_version });
            }
            match failed {
                Some(error) => return Err(error),
                // Transactions are given time, or ranges have other bounds.
                None if !moved => clock::sleep(PAUSE_MIN).await,
                None => {}
            }
        }
    }

    /// Takes in what a range has answered of a part; whether there was anything.
    fn take(&mut self, part: Part, answer: ChangesResult, parts: &mut Vec<Vec<RowVersion>>) -> bool {
        let Part { mut span, told } = part;
        if let Some(resume) = answer.resume {
            span.end = resume.start;
        }
        // An answer that goes less far than it is known to is none.
        if span.is_empty() || answer.at <= told {
            return false;
        }
        if !answer.versions.is_empty() {
            parts.push(answer.versions.into_iter().map(RowVersion::from).collect());
        }
        self.frontier.advance(&span, answer.at);
        true
    }

    /// Waits for a while, unless there is more already, and then takes a newer target.
    async fn begin_round(&mut self) -> Result<()> {
        let pause = match self.pause {
            None => Duration::ZERO,
            Some(_) if self.is_behind => Duration::ZERO,
            Some(_) if self.found => PAUSE_MIN,
            Some(before) => (before * 2).min(PAUSE_MAX),
        };
        clock::sleep(pause).await;
        let fresh = self.client.timestamp().await?;
        self.pause = Some(pause.max(PAUSE_MIN));
        self.step_ms = match self.is_behind && !self.found {
            true => self.step_ms.saturating_mul(2).min(STEP_MS_MAX),
            false => STEP_MS,
        };
        self.found = false;
        self.catalog_version = fresh.catalog_version;
        let newest = earlier(fresh.timestamp, LAG_MS);
        let next = later(self.frontier.resolved(), self.step_ms);
        self.is_behind = next < newest;
        self.target = self.target.max(newest.min(next));
        Ok(())
    }

    /// Some of what lies behind the target, each in one range as far as is known.
    async fn parts(&self) -> Result<Vec<Part>> {
        let timeout = self.client.options().timeout;
        let mut parts = Vec::new();
        for Part { mut span, told } in self.frontier.behind(self.target) {
            while !span.is_empty() && parts.len() < RANGES_AT_ONCE {
                let route = self.client.sender.route(&span.start, timeout).await?;
                let end = end_within(&span, &route);
                let rest = Span { start: end.clone(), end: span.end.clone() };
                parts.push(Part { span: Span { start: span.start, end }, told });
                span = rest;
            }
            if parts.len() >= RANGES_AT_ONCE {
                break;
            }
        }
        Ok(parts)
    }
}
