//! Watches over the lists: what they are told is what was committed, each change once, none late.
//!
//! A watch goes on for a while and ends; the next one begins where it had told all. Whenever more is resolved, all versions that were committed
//! between are read from the ranges: those that were told must be the same ones. It is looked a moment later at times, for what was under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{Client, CommitTimestamp, Error, Span, VersionsLeft};
use env::{clock, random};

use super::report::Tally;
use super::signals::Signals;

/// How long at most is waited before what was told is compared with what was committed.
const LOOK_MS_MAX: u64 = 400;

/// So many times at most a watch is asked before another one goes on.
const ASKED_MAX: u64 = 8;

/// What was told: by key and timestamp, the value; none if it was removed.
type Told = BTreeMap<(Bytes, CommitTimestamp), Option<Bytes>>;

/// Watches over a span, and what they have seen.
pub(super) struct Watches {
    span: Span,
    pause_ms_max: u64,
    tally: Tally,
}

impl Watches {
    pub(super) fn new(span: Span, pause_ms_max: u64, tally: Tally) -> Self {
        Self { span, pause_ms_max, tally }
    }

    /// Watches until told to stop.
    pub(super) async fn watcher(self: Arc<Self>, client: Client, signals: Signals) {
        let mut since = None;
        while signals.may_read(self.pause_ms_max).await {
            match self.watch(&client, &mut since).await {
                Ok(()) => self.tally.read(),
                Err(error) => {
                    if matches!(error, Error::SnapshotTooOld { .. } | Error::HistoryErased { .. }) {
                        since = None;
                    }
                    self.tally.failed(&error);
                }
            }
        }
    }

    /// Watches for a while, from where all was told before; `since` moves on with what is resolved.
    async fn watch(&self, client: &Client, since: &mut Option<CommitTimestamp>) -> Result<(), Error> {
        let mut resolved = match *since {
            Some(since) => since,
            None => client.timestamp().await?.timestamp,
        };
        *since = Some(resolved);
        let mut watch = client.watch(vec![self.span.clone()], resolved);
        let mut told = Told::new();
        let mut newest: BTreeMap<Bytes, CommitTimestamp> = BTreeMap::new();
        for _ in 0..1 + random::below(ASKED_MAX) {
            let changed = watch.next().await?;
            for version in changed.parts.into_iter().flatten() {
                let at = version.timestamp;
                let before = newest.insert(version.key.clone(), at).unwrap_or(0).max(resolved);
                if at <= before {
                    self.tally.violation(format!("a watch is told of {at} after {before}"));
                }
                told.insert((version.key, at), version.value);
            }
            if changed.resolved < resolved {
                let now = changed.resolved;
                self.tally.violation(format!("what is resolved goes back from {resolved} to {now}"));
            }
            if changed.resolved > resolved {
                self.compare(client, (resolved, changed.resolved), &told).await?;
                let count = told.len();
                told.retain(|(_, at), _| *at > changed.resolved);
                self.tally.watched((count - told.len()) as u64);
                resolved = changed.resolved;
                *since = Some(resolved);
            }
        }
        Ok(())
    }

    /// That of all that was committed above one timestamp and at or below another each change was told.
    async fn compare(
        &self,
        client: &Client,
        (from, to): (CommitTimestamp, CommitTimestamp),
        told: &Told,
    ) -> Result<(), Error> {
        if random::below(2) == 0 {
            clock::sleep(Duration::from_millis(random::below(LOOK_MS_MAX))).await;
        }
        let mut committed = Told::new();
        let mut left = Some(VersionsLeft::all(self.span.clone()));
        while let Some(wanted) = left.take() {
            let page = client.versions(wanted, from, to, 1 << 16).await?;
            let since = page.versions.into_iter().filter(|version| version.timestamp > from);
            committed.extend(since.map(|version| ((version.key, version.timestamp), version.value)));
            left = page.left;
        }
        let missed = committed.iter().filter(|(of, value)| told.get(*of) != Some(*value)).count();
        let told_of = told.keys().filter(|(_, at)| *at <= to);
        let invented = told_of.filter(|of| !committed.contains_key(*of)).count();
        if missed + invented > 0 {
            self.tally.violation(format!(
                "from {from} to {to} a watch has missed {missed} of {} changes, and made up {invented}",
                committed.len()
            ));
        }
        Ok(())
    }
}
