//! Merging sorted sources into one walk over keys, with range deletes applied.

use std::cmp::Ordering;

use crate::entry::Versioned;
use crate::error::Result;
use crate::memtable::MemCursor;
use crate::spans::Spans;
use crate::table::cursor::{RunCursor, Window};

/// A sorted source of keys.
#[derive(Debug)]
pub(crate) enum Source {
    Memory(MemCursor),
    Tables(Box<RunCursor>),
}

impl Source {
    #[inline]
    fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Memory(cursor) => cursor.key().map(|key| &**key),
            Self::Tables(cursor) => cursor.key(),
        }
    }

    fn collect(&mut self, versions: &mut Vec<Versioned>) -> Result<()> {
        match self {
            Self::Memory(cursor) => {
                cursor.collect(versions);
                Ok(())
            }
            Self::Tables(cursor) => cursor.collect(versions),
        }
    }

    fn advance(&mut self) -> Result<()> {
        match self {
            Self::Memory(cursor) => {
                cursor.advance();
                Ok(())
            }
            Self::Tables(cursor) => cursor.advance(),
        }
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        match self {
            Self::Memory(cursor) => {
                cursor.seek(key);
                Ok(())
            }
            Self::Tables(cursor) => cursor.seek(key),
        }
    }
}

/// Walks the keys of all sources; of two sources the earlier is the newer and wins, and its range deletes hide what the
/// later ones hold.
#[derive(Debug)]
pub(crate) struct Merge {
    sources: Vec<Source>,
    /// What each source deletes of the later ones.
    deletes: Vec<Spans>,
    any_deletes: bool,
    /// Indexes of the sources that stand on a key; a binary heap by (key, index).
    heap: Vec<usize>,
    window: Window,
    reverse: bool,
    key: Vec<u8>,
}

impl Merge {
    /// Over sources from the newest to the oldest, all made for this window and direction.
    pub(crate) fn new(sources: Vec<(Source, Spans)>, window: Window, reverse: bool) -> Self {
        let (sources, deletes): (Vec<_>, Vec<_>) = sources.into_iter().unzip();
        let any_deletes = deletes.iter().any(|spans| !spans.is_empty());
        Self { sources, deletes, any_deletes, heap: Vec::new(), window, reverse, key: Vec::new() }
    }

    /// Ascending: to the first key at or after `key`. Descending: to the last key before `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.heap.clear();
        for index in 0..self.sources.len() {
            if let Some(source) = self.sources.get_mut(index) {
                source.seek(key)?;
            }
            self.skip_deleted(index)?;
            if self.source_key(index).is_some() {
                self.heap.push(index);
            }
        }
        for at in (0..self.heap.len() / 2).rev() {
            self.sift_down(at);
        }
        Ok(())
    }

    /// The key that [`Self::next`] will give, if there is one.
    #[inline]
    pub(crate) fn peek(&self) -> Option<&[u8]> {
        self.source_key(*self.heap.first()?)
    }

    /// Puts the versions of the next key, newest first and each timestamp once, into `versions` and steps on. The key
    /// is in [`Self::key`]. There may be none in the window. False at the end.
    pub(crate) fn next(&mut self, versions: &mut Vec<Versioned>) -> Result<bool> {
        versions.clear();
        let Some(&top) = self.heap.first() else { return Ok(false) };
        self.key.clear();
        if let Some(key) = self.sources.get(top).and_then(Source::key) {
            self.key.extend_from_slice(key);
        }
        let mut sources = 0;
        while let Some(&top) = self.heap.first() {
            if self.source_key(top) != Some(&*self.key) {
                break;
            }
            if let Some(source) = self.sources.get_mut(top) {
                source.collect(versions)?;
                source.advance()?;
            }
            sources += 1;
            self.skip_deleted(top)?;
            if self.source_key(top).is_none() {
                self.heap.swap_remove(0);
            }
            self.sift_down(0);
        }
        if sources > 1 {
            self.reduce(versions);
        }
        Ok(true)
    }

    /// The key whose versions [`Self::next`] gave.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Versions came source by source, newest source first.
    fn reduce(&self, versions: &mut Vec<Versioned>) {
        // Stable: of equal timestamps the newest source's stays first.
        versions.sort_by_key(|version| std::cmp::Reverse(version.timestamp));
        if self.window.all {
            versions.dedup_by(|later, earlier| later.timestamp == earlier.timestamp);
        } else {
            versions.truncate(1);
        }
    }

    #[inline]
    fn source_key(&self, index: usize) -> Option<&[u8]> {
        self.sources.get(index).and_then(Source::key)
    }

    /// Moves a source past keys that newer sources have deleted.
    fn skip_deleted(&mut self, index: usize) -> Result<()> {
        if !self.any_deletes {
            return Ok(());
        }
        loop {
            let Some(source) = self.sources.get_mut(index) else { return Ok(()) };
            let Some(key) = source.key() else { return Ok(()) };
            let newer = self.deletes.get(..index).unwrap_or_default();
            let Some(span) = newer.iter().find_map(|spans| spans.covering(key)) else { return Ok(()) };
            source.seek(if self.reverse { &span.start } else { &span.end })?;
        }
    }

    /// Whether the source of heap slot `a` comes before that of slot `b`.
    #[inline]
    fn before(&self, a: usize, b: usize) -> bool {
        let order = self.source_key(a).cmp(&self.source_key(b));
        let order = if self.reverse { order.reverse() } else { order };
        match order {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => a < b,
        }
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let Some(&here) = self.heap.get(at) else { return };
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let Some(&left_source) = self.heap.get(left) else { return };
            let (child, source) = match self.heap.get(right) {
                Some(&right_source) if self.before(right_source, left_source) => (right, right_source),
                _ => (left, left_source),
            };
            if !self.before(source, here) {
                return;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }
}
