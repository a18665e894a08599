//! Following a table: which of its rows have changed, whoever may see them, and up to when all of that is told.
//!
//! ```text
//! client::Watch, in rounds ──▶ Step: some rows that have changed │ up to when all is told │ the catalog is another ──▶ who tells it
//! ```
//!
//! What is told of a row that has changed is asked for by statements of the client's role (`watching`, and GraphQL's subscriptions): from
//! here comes nothing but keys, and when these changed.

use std::collections::VecDeque;

use bytes::Bytes;
use client::{RowVersion, Watch};
use sql::{Error, WatchedTable};

use super::Door;
use super::watchers::Watcher;
use super::work::Work;
use crate::metrics::Opened;

/// What has been committed just now is read now, also of a role whose sessions read as of a while ago.
pub(crate) const READS_NOW: &str = "SET default_transaction_use_follower_reads = off";

/// What of a row is to be looked at: its key in the cluster, and when it changed.
pub(crate) type Changes = Vec<(Bytes, u64)>;

/// The place of one who follows, until dropped.
pub(crate) struct Follower {
    _watcher: Watcher,
    _counted: Opened,
}

impl Follower {
    /// A place for one more.
    ///
    /// # Errors
    /// 53400: too many are watching.
    pub(crate) fn admit(door: &Door, work: &Work) -> Result<Self, Error> {
        let watcher = door.watchers.admit(&work.context().session_user);
        let watcher = watcher.ok_or_else(|| Error::new("53400", "too many watches are open"))?;
        Ok(Self { _watcher: watcher, _counted: door.metrics.watching() })
    }
}

/// What there is to be told next.
pub(crate) enum Step {
    /// These rows have changed. Changes of a row stand together, in the order in which they were committed.
    Changed(Changes),
    /// Nothing at or below this timestamp is told any more.
    Resolved(u64),
    /// The catalog may not be what it was, up to this timestamp; the rows lie where they did.
    OtherCatalog(u64),
}

/// One who follows a table, in a session that is for nothing else.
///
/// # Invariants
/// - What is resolved is told once all that was committed up to then is.
pub(crate) struct Following {
    pub(crate) work: Work,
    watch: Watch,
    table: WatchedTable,
    /// So many rows are told of at once.
    rows_at_once: usize,
    /// Under which catalog the rows were found to lie there; 0: not known.
    catalog_version: u64,
    waiting: VecDeque<Changes>,
    /// Up to when all is told once nothing waits.
    resolves: u64,
    /// Up to when it was said that all is.
    resolved: u64,
    _place: Follower,
}

impl Following {
    pub(crate) fn new(
        place: Follower,
        work: Work,
        watch: Watch,
        table: WatchedTable,
        rows_at_once: usize,
    ) -> Self {
        Self {
            work,
            resolves: watch.resolved(),
            watch,
            table,
            rows_at_once,
            catalog_version: 0,
            waiting: VecDeque::new(),
            resolved: 0,
            _place: place,
        }
    }

    /// Where the rows lie.
    pub(crate) fn table(&self) -> &WatchedTable {
        &self.table
    }

    /// Makes sure that the rows lie where they did.
    ///
    /// # Errors
    /// 55000: they do not.
    pub(crate) async fn lies_there(&mut self) -> Result<(), Error> {
        self.work.watch_on(&self.table).await
    }

    /// What there is to be told next: at first the moment that it begins after. A call that is dropped may have lost what it was to tell.
    pub(crate) async fn next(&mut self) -> Result<Step, Error> {
        if let Some(changes) = self.waiting.pop_front() {
            return Ok(Step::Changed(changes));
        }
        if self.resolves > self.resolved {
            self.resolved = self.resolves;
            return Ok(Step::Resolved(self.resolved));
        }
        loop {
            let changed = self.watch.next().await?;
            if self.work.is_over() {
                return Err(Error::new("57P01", "terminating connection due to administrator command"));
            }
            let rows_at_once = self.rows_at_once;
            self.waiting.extend(changed.parts.iter().flat_map(|part| runs(part, rows_at_once)));
            self.resolves = changed.resolved;
            if changed.catalog_version != self.catalog_version || changed.catalog_version == 0 {
                self.lies_there().await?;
                self.catalog_version = changed.catalog_version;
                return Ok(Step::OtherCatalog(changed.resolved));
            }
            if let Some(changes) = self.waiting.pop_front() {
                return Ok(Step::Changed(changes));
            }
            if self.resolves > self.resolved {
                self.resolved = self.resolves;
                return Ok(Step::Resolved(self.resolved));
            }
        }
    }

    /// Has changes told in two halves, which were too much at once.
    pub(crate) fn halve(&mut self, mut changes: Changes) {
        let rest = changes.split_off(changes.len() / 2);
        let halves = [rest, changes].into_iter().filter(|half| !half.is_empty());
        halves.for_each(|half| self.waiting.push_front(half));
    }
}

/// What has changed, in runs of so many rows at most. Versions of a row stand together. What stands beside a row for those that
/// reference it is none: it goes along with the row.
fn runs(versions: &[RowVersion], rows_max: usize) -> Vec<Changes> {
    let mut runs: Vec<Changes> = Vec::new();
    let rows = versions.chunk_by(|one, other| one.key == other.key);
    let rows = rows.filter(|row| row.first().is_some_and(|version| WatchedTable::is_row(&version.key)));
    for (place, row) in rows.enumerate() {
        let changes = row.iter().map(|version| (version.key.clone(), version.timestamp));
        match runs.last_mut() {
            Some(last) if !place.is_multiple_of(rows_max) => last.extend(changes),
            _ => runs.push(changes.collect()),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_row_stay_together() {
        let version = |key: usize| RowVersion { key: format!("{key}\0").into(), ..RowVersion::default() };
        let versions: Vec<RowVersion> = (0..600).flat_map(|key| [version(key), version(key)]).collect();
        let found: Vec<usize> = runs(&versions, 256).iter().map(Vec::len).collect();
        assert_eq!(found, [512, 512, 176]);
        assert!(runs(&[], 256).is_empty());
        let reference = RowVersion { key: "1\x01".into(), ..RowVersion::default() };
        let found = runs(&[version(1), reference, version(2)], 256);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
    }
}
