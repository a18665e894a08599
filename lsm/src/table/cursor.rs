//! Walking tables in either direction: a section's blocks, a table's keys, and a sorted run of tables.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::ahead::Ahead;
use super::file::{Section, Table};
use crate::block::{Block, BlockCursor, DELETES, HAS_HISTORY};
use crate::entry::Versioned;
use crate::error::{Error, Result};

/// Tables of a level in key order, or of level 0 from the newest to the oldest. Views share it.
pub(crate) type Level = Arc<Vec<Arc<Table>>>;

/// Which versions a cursor gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// None above.
    pub(crate) at: u64,
    /// None at or below.
    pub(crate) since: Option<u64>,
    /// All in the window, or only the newest at or below `at`.
    pub(crate) all: bool,
}

impl Window {
    /// Everything.
    pub(crate) const ALL: Self = Self { at: u64::MAX, since: None, all: true };
    /// The newest of each key.
    pub(crate) const NEWEST: Self = Self { at: u64::MAX, since: None, all: false };

    pub(crate) fn contains(&self, timestamp: u64) -> bool {
        timestamp <= self.at && self.since.is_none_or(|since| timestamp > since)
    }
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Current,
    History,
}

/// Walks the entries of one section of a table.
#[derive(Debug)]
struct SectionCursor {
    table: Arc<Table>,
    which: Which,
    partition: usize,
    /// The partition of the index, and which of its entries it stands on: none before the first is `usize::MAX`.
    index: Option<(Block, usize)>,
    data: Option<BlockCursor>,
    /// Blocks without anything in it are passed over.
    window: Window,
    /// They are passed over up to the block where this place is, or would be.
    bound: Option<(Bytes, u64)>,
    /// Its partition and, once that is loaded, its entry of the index.
    edge: Option<(usize, Option<usize>)>,
    /// Whether blocks that are read go into the cache.
    caching: bool,
    ahead: Ahead,
}

impl SectionCursor {
    fn new(table: Arc<Table>, which: Which, window: Window, caching: bool) -> Self {
        let ahead = if caching { Ahead::scan() } else { Ahead::whole() };
        let (bound, edge) = (None, None);
        Self { table, which, partition: 0, index: None, data: None, window, bound, edge, caching, ahead }
    }

    /// Whether all that the index stands on and what comes behind it, in this direction, lies beyond the bound.
    fn is_beyond(&self, reverse: bool) -> bool {
        let Some((edge, edge_at)) = self.edge else { return false };
        let at = self.index.as_ref().filter(|_| self.partition == edge).map(|(_, at)| *at);
        let order = self.partition.cmp(&edge).then(match (at, edge_at) {
            // Before the first entry of the index there is none.
            (Some(usize::MAX), _) => Ordering::Less,
            (Some(at), Some(edge_at)) => at.cmp(&edge_at),
            _ => Ordering::Equal,
        });
        order == if reverse { Ordering::Less } else { Ordering::Greater }
    }

    /// Finds the bound's partition, at the beginning of a walk.
    fn find_edge(&mut self) -> Result<()> {
        self.edge = match &self.bound {
            Some((key, timestamp)) => {
                self.table.partition_of(self.section(), key, *timestamp)?.map(|partition| (partition, None))
            }
            None => None,
        };
        Ok(())
    }

    fn section(&self) -> &Section {
        match self.which {
            Which::Current => &self.table.current,
            Which::History => &self.table.history,
        }
    }

    /// The data cursor, if it stands on an entry.
    #[inline]
    fn entry(&self) -> Option<&BlockCursor> {
        self.data.as_ref().filter(|data| data.is_valid())
    }

    /// Stands before the first or behind the last entry of a partition; false if there is no such partition.
    fn load_partition(&mut self, partition: usize) -> Result<bool> {
        self.partition = partition;
        if partition >= self.section().partitions() {
            self.data = None;
            self.index = None;
            return Ok(false);
        }
        let block = if self.caching {
            self.table.index_block(self.section(), partition)?
        } else {
            self.table.index_block_uncached(self.section(), partition)?
        };
        if let (Some((key, timestamp)), Some((edge, at @ None))) = (&self.bound, &mut self.edge)
            && *edge == partition
        {
            *at = Some(block.position(key, *timestamp).map_err(|_| self.table.malformed())?.0);
        }
        self.index = Some((block, usize::MAX));
        Ok(true)
    }

    fn step_index(&mut self, reverse: bool) {
        if let Some((_, at)) = &mut self.index {
            *at = if reverse { at.wrapping_sub(1) } else { at.wrapping_add(1) };
        }
    }

    fn seek_index(&mut self, key: &[u8], timestamp: u64) -> Result<()> {
        if let Some((block, at)) = &mut self.index {
            *at = block.position(key, timestamp).map_err(|_| self.table.malformed())?.0;
        }
        Ok(())
    }

    /// Loads the block that the index stands on, or the next one in this direction that may hold something.
    fn settle(&mut self, reverse: bool) -> Result<bool> {
        loop {
            if self.is_beyond(reverse) {
                (self.data, self.index) = (None, None);
            }
            let Some((index, at)) = &self.index else { return Ok(false) };
            if *at >= index.count() {
                let next = if reverse { self.partition.checked_sub(1) } else { Some(self.partition + 1) };
                let Some(next) = next else {
                    self.data = None;
                    return Ok(false);
                };
                let Window { at, since, .. } = self.window;
                let timed = at < u64::MAX || since.is_some();
                if timed && self.table.partition_is_outside(self.section(), next, at, since)? {
                    self.partition = next;
                    continue;
                }
                if !self.load_partition(next)? {
                    return Ok(false);
                }
                self.seek_index_end(reverse);
                continue;
            }
            let value = self.table.index_value(index, *at)?;
            if value.is_outside(self.window.at, self.window.since) {
                self.step_index(reverse);
                continue;
            }
            let block = if self.caching {
                self.table.block_ahead(value.handle, &mut self.ahead)?
            } else {
                self.table.block_uncached(value.handle, &mut self.ahead)?
            };
            match &mut self.data {
                Some(data) => data.reset(block),
                data => *data = Some(BlockCursor::new(block)),
            }
            return Ok(true);
        }
    }

    fn seek_index_end(&mut self, last: bool) {
        if let Some((block, at)) = &mut self.index {
            *at = if last { block.count() - 1 } else { 0 };
        }
    }

    fn seek_data_end(&mut self, last: bool) -> Result<()> {
        let Some(data) = &mut self.data else { return Ok(()) };
        if last { data.seek_last() } else { data.seek_first() }.map_err(|_| self.table.malformed())
    }

    /// The first entry at or after (key, timestamp).
    fn seek(&mut self, key: &[u8], timestamp: u64) -> Result<()> {
        self.find_edge()?;
        let Some(partition) = self.table.partition_of(self.section(), key, timestamp)? else {
            self.data = None;
            return Ok(());
        };
        self.load_partition(partition)?;
        self.seek_index(key, timestamp)?;
        if !self.settle(false)? {
            return Ok(());
        }
        if let Some(data) = &mut self.data {
            data.seek(key, timestamp).map_err(|_| self.table.malformed())?;
            if !data.is_valid() {
                self.step_index(false);
                if self.settle(false)? {
                    self.seek_data_end(false)?;
                }
            }
        }
        Ok(())
    }

    /// The last entry before (key, timestamp).
    fn seek_before(&mut self, key: &[u8], timestamp: u64) -> Result<()> {
        self.find_edge()?;
        match self.table.partition_of(self.section(), key, timestamp)? {
            None => return self.seek_end(true),
            Some(partition) => self.load_partition(partition)?,
        };
        self.seek_index(key, timestamp)?;
        if !self.settle(true)? {
            return Ok(());
        }
        if let Some(data) = &mut self.data {
            data.seek_before(key, timestamp).map_err(|_| self.table.malformed())?;
            if !data.is_valid() {
                self.step_index(true);
                if self.settle(true)? {
                    self.seek_data_end(true)?;
                }
            }
        }
        Ok(())
    }

    /// The first entry, or the last.
    fn seek_end(&mut self, last: bool) -> Result<()> {
        let partitions = self.section().partitions();
        if partitions == 0 {
            self.data = None;
            return Ok(());
        }
        self.find_edge()?;
        self.load_partition(if last { partitions - 1 } else { 0 })?;
        self.seek_index_end(last);
        if self.settle(last)? { self.seek_data_end(last) } else { Ok(()) }
    }

    fn step(&mut self, reverse: bool) -> Result<()> {
        let Some(data) = &mut self.data else { return Ok(()) };
        if reverse { data.prev() } else { data.next() }.map_err(|_| self.table.malformed())?;
        if !data.is_valid() {
            self.step_index(reverse);
            if self.settle(reverse)? {
                self.seek_data_end(reverse)?;
            }
        }
        Ok(())
    }
}

/// Walks the keys of one table; the versions of the key it stands on are collected on demand.
#[derive(Debug)]
struct TableCursor {
    current: SectionCursor,
    history: Option<SectionCursor>,
    window: Window,
}

impl TableCursor {
    fn new(table: Arc<Table>, window: Window, caching: bool, bound: Option<&Bytes>) -> Self {
        let mut current = SectionCursor::new(table, Which::Current, window, caching);
        current.bound = bound.map(|bound| (bound.clone(), u64::MAX));
        Self { current, history: None, window }
    }

    fn collect(&mut self, versions: &mut Vec<Versioned>) -> Result<()> {
        let Some(entry) = self.current.entry() else { return Ok(()) };
        let (timestamp, flags) = (entry.timestamp(), entry.flags());
        if self.window.contains(timestamp) {
            versions.push(version(entry));
        }
        if flags & HAS_HISTORY == 0 || (timestamp <= self.window.at && !self.window.all) {
            return Ok(());
        }
        self.collect_history(versions)
    }

    fn collect_history(&mut self, versions: &mut Vec<Versioned>) -> Result<()> {
        let Some(current) = self.current.entry() else { return Ok(()) };
        let key = current.key();
        let (table, caching, window) = (&self.current.table, self.current.caching, self.window);
        let history = self
            .history
            .get_or_insert_with(|| SectionCursor::new(table.clone(), Which::History, window, caching));
        // In a walk the cursor often stands here already: where it left the key before.
        if history.entry().is_none_or(|entry| entry.key() != key || !self.window.all) {
            if !window.all && window.since.is_some() {
                history.bound = Some((Bytes::copy_from_slice(key), 0));
            }
            history.seek(key, self.window.at)?;
        }
        while let Some(entry) = history.entry()
            && entry.key() == key
        {
            if self.window.since.is_some_and(|since| entry.timestamp() <= since) {
                break;
            }
            if self.window.contains(entry.timestamp()) {
                versions.push(version(entry));
                if !self.window.all {
                    break;
                }
            }
            history.step(false)?;
        }
        Ok(())
    }
}

fn version(entry: &BlockCursor) -> Versioned {
    let (timestamp, content) = (entry.timestamp(), entry.value());
    if entry.flags() & DELETES != 0 {
        return Versioned::deletion(timestamp, &content);
    }
    Versioned::value(timestamp, content)
}

/// Walks the keys of tables that lie one after another: a level, a part of one, or a single table.
#[derive(Debug)]
pub(crate) struct RunCursor {
    level: Level,
    /// Which tables of the level.
    first: usize,
    last: usize,
    at: usize,
    cursor: Option<TableCursor>,
    window: Window,
    reverse: bool,
    caching: bool,
    /// Ascending: keys from here on are not wanted. Descending: those before it.
    bound: Option<Bytes>,
}

impl RunCursor {
    /// A cursor over some tables of a level, in key order; it stands nowhere until [`Self::seek`].
    pub(crate) fn new(
        level: Level,
        tables: Range<usize>,
        window: Window,
        reverse: bool,
        caching: bool,
    ) -> Self {
        let (first, last) = (tables.start, tables.end);
        Self { level, first, last, at: first, cursor: None, window, reverse, caching, bound: None }
    }

    /// Passes over nothing that lies beyond a bound: ascending from it on, descending before it. There it may stand on any
    /// key, or on none.
    pub(crate) fn until(self, bound: Bytes) -> Self {
        Self { bound: Some(bound), ..self }
    }

    /// Over all tables of a list.
    pub(crate) fn over(tables: Vec<Arc<Table>>, window: Window, reverse: bool, caching: bool) -> Self {
        let all = 0..tables.len();
        Self::new(Arc::new(tables), all, window, reverse, caching)
    }

    /// The newest version in its table of the key it stands on.
    #[inline]
    pub(crate) fn entry(&self) -> Option<&BlockCursor> {
        self.cursor.as_ref()?.current.entry()
    }

    /// The error for a table whose keys are not in order.
    pub(crate) fn disorder(&self) -> Error {
        match &self.cursor {
            Some(cursor) => cursor.current.table.malformed(),
            None => Error::Invalid("a walk is out of order".to_owned()),
        }
    }

    /// The key it stands on.
    #[inline]
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.entry().map(BlockCursor::key)
    }

    /// Adds the versions of the key it stands on that lie in the window, newest first.
    pub(crate) fn collect(&mut self, versions: &mut Vec<Versioned>) -> Result<()> {
        match &mut self.cursor {
            Some(cursor) => cursor.collect(versions),
            None => Ok(()),
        }
    }

    /// Steps to the next key in its direction.
    pub(crate) fn advance(&mut self) -> Result<()> {
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        cursor.current.step(self.reverse)?;
        if cursor.current.entry().is_none() {
            self.leave_table()?;
        }
        Ok(())
    }

    /// Ascending: the first key at or after `key`. Descending: the last key before `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<()> {
        let reverse = self.reverse;
        let tables = self.level.get(self.first..self.last).unwrap_or_default();
        let at = if reverse {
            match tables.partition_point(|table| *table.summary.start < *key).checked_sub(1) {
                Some(at) => self.first + at,
                None => {
                    self.cursor = None;
                    return Ok(());
                }
            }
        } else {
            self.first + tables.partition_point(|table| *table.summary.end <= *key)
        };
        if self.cursor.is_none() || at != self.at {
            self.enter_table(at);
        }
        match &mut self.cursor {
            Some(cursor) if reverse => cursor.current.seek_before(key, u64::MAX)?,
            Some(cursor) => cursor.current.seek(key, u64::MAX)?,
            None => {}
        }
        if self.key().is_none() { self.leave_table() } else { Ok(()) }
    }

    fn enter_table(&mut self, at: usize) {
        self.at = at;
        let table = self.level.get(at).filter(|table| at < self.last && self.is_wanted(table));
        let bound = self.bound.as_ref();
        self.cursor = table.map(|table| TableCursor::new(table.clone(), self.window, self.caching, bound));
    }

    /// Whether a table may hold something in the window.
    fn is_wanted(&self, table: &Table) -> bool {
        let summary = &table.summary;
        let entries = summary.entries > 0 && summary.timestamp_min <= self.window.at;
        entries && self.window.since.is_none_or(|since| summary.timestamp_max > since)
    }

    /// Steps to the next table that has a key.
    fn leave_table(&mut self) -> Result<()> {
        loop {
            let next = if self.reverse { self.at.checked_sub(1) } else { Some(self.at + 1) };
            let Some(next) = next.filter(|next| (self.first..self.last).contains(next)) else {
                self.cursor = None;
                return Ok(());
            };
            self.enter_table(next);
            if let Some(cursor) = &mut self.cursor {
                cursor.current.seek_end(self.reverse)?;
            }
            if self.key().is_some() {
                return Ok(());
            }
        }
    }
}
