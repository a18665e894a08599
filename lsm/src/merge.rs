//! Merging sorted sources into one walk over keys, with range deletes applied.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::block::{BlockCursor, DELETES};
use crate::entry::Versioned;
use crate::error::{Error, Result};
use crate::memtable::MemCursor;
use crate::skiplist::Entry;
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
            Self::Memory(cursor) => cursor.entry().map(Entry::key),
            Self::Tables(cursor) => cursor.key(),
        }
    }

    /// The newest value of the key it stands on; None if that is deleted.
    #[inline]
    fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Memory(cursor) => cursor.entry()?.value(),
            Self::Tables(cursor) => {
                cursor.entry().filter(|entry| entry.flags() & DELETES == 0).map(BlockCursor::value_bytes)
            }
        }
    }

    /// The same, to be kept.
    fn shared_value(&self) -> Option<Bytes> {
        match self {
            Self::Memory(cursor) => cursor.entry()?.shared_value(),
            Self::Tables(cursor) => {
                cursor.entry().filter(|entry| entry.flags() & DELETES == 0).map(BlockCursor::value)
            }
        }
    }

    /// The error for keys that are not in order.
    #[cold]
    fn disorder(&self) -> Error {
        match self {
            Self::Memory(_) => Error::Invalid("a memtable is out of order".to_owned()),
            Self::Tables(cursor) => cursor.disorder(),
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
    /// [`Self::step`] has given the key at the top, and it is not passed yet.
    standing: bool,
    /// In steps, while the top stands before all others: the source behind it, the only one to compare it with.
    runner_up: Option<usize>,
}

impl Merge {
    /// Over sources from the newest to the oldest, all made for this window and direction.
    pub(crate) fn new(sources: Vec<(Source, Spans)>, window: Window, reverse: bool) -> Self {
        let (sources, deletes): (Vec<_>, Vec<_>) = sources.into_iter().unzip();
        let any_deletes = deletes.iter().any(|spans| !spans.is_empty());
        Self {
            sources,
            deletes,
            any_deletes,
            heap: Vec::new(),
            window,
            reverse,
            key: Vec::new(),
            standing: false,
            runner_up: None,
        }
    }

    /// Ascending: to the first key at or after `key`. Descending: to the last key before `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.heap.clear();
        self.standing = false;
        self.runner_up = None;
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

    /// The key that [`Self::next`] will give, or that [`Self::step`] stands on, if there is one.
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
        let mut previous = None;
        while let Some(&top) = self.heap.first() {
            // A source has a key once: if it is on top again it stands on a later one, and so do all others.
            if previous == Some(top) || self.source_key(top) != Some(&*self.key) {
                break;
            }
            previous = Some(top);
            if let Some(source) = self.sources.get_mut(top) {
                source.collect(versions)?;
            }
            sources += 1;
            self.advance_top(top)?;
        }
        if sources > 1 {
            self.reduce(versions);
        }
        Ok(true)
    }

    /// For keyspaces without versions: steps to the next key, at first to the first one, and stands on it. Its key is
    /// [`Self::peek`], and the newest source's entry of it [`Self::value`]. False at the end.
    #[inline]
    pub(crate) fn step(&mut self) -> Result<bool> {
        if self.standing {
            self.pass()?;
        }
        self.standing = !self.heap.is_empty();
        Ok(self.standing)
    }

    /// Moves all sources past the key at the top.
    #[inline]
    fn pass(&mut self) -> Result<()> {
        let Some(&top) = self.heap.first() else { return Ok(()) };
        if self.heap.len() == 1 {
            return self.advance_top(top);
        }
        if let Some(runner_up) = self.runner_up {
            if let Some(source) = self.sources.get_mut(top) {
                source.advance()?;
            }
            self.skip_deleted(top)?;
            if self.source_key(top).is_some() && self.order(top, runner_up) == Ordering::Less {
                return Ok(());
            }
            self.settle_top(top);
        } else {
            self.pass_all(top)?;
        }
        self.find_runner_up();
        Ok(())
    }

    fn find_runner_up(&mut self) {
        let second = match (self.heap.get(1), self.heap.get(2)) {
            (Some(&left), Some(&right)) if self.before(right, left) => Some(right),
            (left, _) => left.copied(),
        };
        let top = self.heap.first().copied();
        self.runner_up = second.filter(|second| top.is_some_and(|top| self.order(top, *second).is_lt()));
    }

    /// Where other sources may stand on the same key as the top.
    fn pass_all(&mut self, top: usize) -> Result<()> {
        self.key.clear();
        if let Some(key) = self.sources.get(top).and_then(Source::key) {
            self.key.extend_from_slice(key);
        }
        let mut previous = top;
        self.advance_top(top)?;
        while let Some(&top) = self.heap.first()
            && top != previous
            && self.source_key(top) == Some(&*self.key)
        {
            previous = top;
            self.advance_top(top)?;
        }
        Ok(())
    }

    /// Moves the source at the top to its next key and the heap into order.
    #[inline]
    fn advance_top(&mut self, top: usize) -> Result<()> {
        if let Some(source) = self.sources.get_mut(top) {
            source.advance()?;
        }
        self.skip_deleted(top)?;
        self.settle_top(top);
        Ok(())
    }

    /// Moves the heap into order after its top has moved.
    #[inline]
    fn settle_top(&mut self, top: usize) {
        if self.source_key(top).is_none() {
            self.heap.swap_remove(0);
        }
        self.sift_down(0);
    }

    /// The value where [`Self::step`] stands; None if it is deleted.
    #[inline]
    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.sources.get(*self.heap.first()?)?.value()
    }

    /// The same, to be kept.
    pub(crate) fn shared_value(&self) -> Option<Bytes> {
        self.sources.get(*self.heap.first()?)?.shared_value()
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
            if source.key().is_some_and(|key| span.contains(key)) {
                return Err(source.disorder());
            }
        }
    }

    /// Whether the source of heap slot `a` comes before that of slot `b`.
    #[inline]
    fn before(&self, a: usize, b: usize) -> bool {
        match self.order(a, b) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => a < b,
        }
    }

    /// How the keys of two sources are ordered in the direction of the walk.
    #[inline]
    fn order(&self, a: usize, b: usize) -> Ordering {
        let order = self.source_key(a).cmp(&self.source_key(b));
        if self.reverse { order.reverse() } else { order }
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
