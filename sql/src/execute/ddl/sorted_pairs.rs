//! Pairs of keys and values, put into the order of their keys: in memory as far as the statement's share goes, beyond that in
//! temporary files.
//!
//! ```text
//! pairs ─▶ block ─full─▶ sorted block ─┬──────────────────────────────▶ merge ─▶ pairs in order
//!                                      └─ beyond the share: a run of all ─▲
//!
//! run   pages, in order
//! page  (key length u32 LE | value length u32 LE | key | value)…
//! ```
//!
//! Bytes are compared, nothing is decoded: what becomes entries of an index needs no more. No more than a block is sorted at once,
//! so that nobody is held up.

use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::memory::Memory;
use crate::execute::spill::create_file;
use crate::execute::temporary::{Page, TemporaryFile};

/// Bytes of keys and values of a block, at most and at least.
const BLOCK_BYTES: usize = 1 << 20;
const BLOCK_BYTES_MIN: usize = 4 << 10;

/// In a block there is room for a pair for so many bytes of it.
const PAIR_BYTES: usize = 32;

/// So much is reserved at once.
const PORTION_BYTES: usize = 16 << 10;

/// Of its share a block takes one part in so many.
const BLOCKS: usize = 8;

/// Bytes of a page, give or take a pair.
const PAGE_BYTES: usize = 64 << 10;

/// More runs than this are merged into one.
const RUNS_MAX: usize = 64;

/// What a pair's lengths take in a page.
const LENGTHS: usize = 8;

/// Where a pair stands in its block.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The bytes of the key behind those that all keys begin with.
    head: u64,
    start: usize,
    key: u32,
    value: u32,
}

/// Some pairs in memory.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// What it was reserved.
    reserved: usize,
}

impl Block {
    fn pair(&self, place: &Place) -> (&[u8], &[u8]) {
        let middle = place.start.saturating_add(place.key as usize);
        let end = middle.saturating_add(place.value as usize);
        (part(&self.bytes, place.start, middle), part(&self.bytes, middle, end))
    }

    fn sort(&mut self) {
        let mut places = std::mem::take(&mut self.places);
        places.sort_unstable_by(|left, right| {
            left.head.cmp(&right.head).then_with(|| self.pair(left).0.cmp(self.pair(right).0))
        });
        self.places = places;
    }
}

fn part(bytes: &[u8], from: usize, to: usize) -> &[u8] {
    bytes.get(from..to).unwrap_or_default()
}

/// Puts pairs into the order of their keys. Those whose keys are equal come in any order.
#[derive(Debug)]
pub(crate) struct PairSorter {
    /// How many bytes all keys have in common.
    common: usize,
    share: Option<usize>,
    block_bytes: usize,
    block: Block,
    sorted: Vec<Block>,
    /// What all blocks were reserved.
    held: usize,
    runs: Vec<Vec<Page>>,
    file: Option<TemporaryFile>,
    bytes: usize,
}

impl PairSorter {
    /// Of pairs whose keys begin with the same `common` bytes.
    pub(crate) fn new(common: usize, memory: &Memory) -> Self {
        let share = memory.share();
        let block_bytes =
            share.map_or(BLOCK_BYTES, |share| (share / BLOCKS).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES));
        Self {
            common,
            share,
            block_bytes,
            block: Block::default(),
            sorted: Vec::new(),
            held: 0,
            runs: Vec::new(),
            file: None,
            bytes: 0,
        }
    }

    /// The bytes of all keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a pair.
    ///
    /// # Errors
    /// There is no room for it, in memory or outside.
    pub(crate) async fn push(&mut self, cx: &mut Context<'_>, key: &[u8], value: &[u8]) -> Result<()> {
        let added = key.len().saturating_add(value.len());
        let (bytes, places) = (self.block.bytes.len(), self.block.places.len());
        if bytes.saturating_add(added) > self.block_bytes || places >= self.block_bytes / PAIR_BYTES {
            self.seal(cx).await?;
        }
        if !self.make_room(cx, added)? {
            self.put_aside(cx).await?;
            // Who holds nothing is given room, or an error.
            self.make_room(cx, added)?;
        }
        let length = |bytes: &[u8]| {
            u32::try_from(bytes.len()).map_err(|_| Error::new("54000", "an index entry is too long"))
        };
        let place = Place {
            head: head(key, self.common),
            start: self.block.bytes.len(),
            key: length(key)?,
            value: length(value)?,
        };
        self.block.bytes.extend_from_slice(key);
        self.block.bytes.extend_from_slice(value);
        self.block.places.push(place);
        self.bytes = self.bytes.saturating_add(added);
        Ok(())
    }

    /// Accounts for a pair of so many bytes in the block; false: there is no room before others are put aside.
    fn make_room(&mut self, cx: &mut Context<'_>, added: usize) -> Result<bool> {
        let places = self.block.places.len().saturating_add(1).saturating_mul(size_of::<Place>());
        let needed = self.block.bytes.len().saturating_add(added).saturating_add(places);
        let missing = needed.saturating_sub(self.block.reserved).next_multiple_of(PORTION_BYTES);
        if missing == 0 {
            return Ok(true);
        }
        if !cx.memory.reserve_within(missing, self.held, self.share)? {
            return Ok(false);
        }
        self.held = self.held.saturating_add(missing);
        self.block.reserved = self.block.reserved.saturating_add(missing);
        Ok(true)
    }

    /// Sorts the block that is being filled, if anything is in it.
    async fn seal(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let mut block = std::mem::take(&mut self.block);
        let pairs = block.places.len();
        if pairs > 0 {
            block.sort();
            self.sorted.push(block);
            cx.tick(pairs).await?;
        }
        Ok(())
    }

    /// Makes a run of all that is held.
    async fn put_aside(&mut self, cx: &mut Context<'_>) -> Result<()> {
        self.seal(cx).await?;
        let blocks = std::mem::take(&mut self.sorted);
        let sources = blocks.into_iter().map(Source::of_block).collect();
        self.write_run(cx, sources).await?;
        cx.memory.release(std::mem::take(&mut self.held));
        if self.runs.len() > RUNS_MAX {
            let runs = std::mem::take(&mut self.runs);
            let sources = self.sources_of(cx, runs).await?;
            self.write_run(cx, sources).await?;
        }
        Ok(())
    }

    /// Merges sources into a run.
    async fn write_run(&mut self, cx: &mut Context<'_>, sources: Vec<Source>) -> Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => create_file(cx.memory).await?,
        };
        let mut merge = Merge::new(sources, self.common);
        let (mut pages, mut page) = (Vec::new(), Vec::new());
        // Whoever writes does so because there is no room: that there is none is no reason not to.
        let reserved = if cx.memory.reserve(PAGE_BYTES).is_ok() { PAGE_BYTES } else { 0 };
        while merge.step(cx).await? {
            let (key, value) = merge.pair();
            for part in [key, value] {
                let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
                page.extend_from_slice(&length.to_le_bytes());
            }
            page.extend_from_slice(key);
            page.extend_from_slice(value);
            if page.len() >= PAGE_BYTES {
                cx.memory.note_spilled(page.len())?;
                pages.push(file.append(std::mem::take(&mut page)).await?);
            }
            cx.tick(1).await?;
        }
        if !page.is_empty() {
            cx.memory.note_spilled(page.len())?;
            pages.push(file.append(page).await?);
        }
        cx.memory.release(reserved);
        cx.memory.release(merge.reserved());
        self.runs.push(pages);
        self.file = Some(file);
        Ok(())
    }

    async fn sources_of(&self, cx: &mut Context<'_>, runs: Vec<Vec<Page>>) -> Result<Vec<Source>> {
        let Some(file) = self.file.clone() else { return Ok(Vec::new()) };
        let mut sources = Vec::with_capacity(runs.len());
        for pages in runs {
            cx.memory.reserve(PAGE_BYTES)?;
            sources.push(Source::of_run(file.clone(), pages));
        }
        Ok(sources)
    }

    /// There are no more pairs: all of them, in order.
    pub(crate) async fn finish(mut self, cx: &mut Context<'_>) -> Result<SortedPairs> {
        self.seal(cx).await?;
        let runs = std::mem::take(&mut self.runs);
        let mut sources = self.sources_of(cx, runs).await?;
        sources.extend(std::mem::take(&mut self.sorted).into_iter().map(Source::of_block));
        Ok(SortedPairs { merge: Merge::new(sources, self.common), held: self.held })
    }
}

/// The first bytes of a key behind those that all have, as a number of the same order.
fn head(key: &[u8], common: usize) -> u64 {
    let mut bytes = [0; 8];
    let rest = key.get(common..).unwrap_or_default();
    bytes.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
    u64::from_be_bytes(bytes)
}

/// Pairs in the order of their keys, one after the other.
#[derive(Debug)]
pub(crate) struct SortedPairs {
    merge: Merge,
    /// What the blocks were reserved.
    held: usize,
}

impl SortedPairs {
    /// Steps to the next pair, at first to the first; false if there is none.
    pub(crate) async fn step(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        self.merge.step(cx).await
    }

    /// The key and the value that it stands on.
    pub(crate) fn pair(&self) -> (&[u8], &[u8]) {
        self.merge.pair()
    }

    /// Gives its memory back.
    pub(crate) fn release(self, cx: &mut Context<'_>) {
        cx.memory.release(self.held.saturating_add(self.merge.reserved()));
    }
}

/// Merges sources, each in order.
///
/// Invariant: `heap` is a binary heap, by what they stand on, of the sources that stand on a pair.
#[derive(Debug)]
struct Merge {
    sources: Vec<Source>,
    heap: Vec<usize>,
    common: usize,
    begun: bool,
}

impl Merge {
    fn new(sources: Vec<Source>, common: usize) -> Self {
        Self { heap: Vec::with_capacity(sources.len()), sources, common, begun: false }
    }

    /// What pages of runs were reserved.
    fn reserved(&self) -> usize {
        self.sources
            .iter()
            .filter(|source| matches!(source, Source::Run(_)))
            .count()
            .saturating_mul(PAGE_BYTES)
    }

    async fn step(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        if !self.begun {
            self.begun = true;
            for index in 0..self.sources.len() {
                if self.advance(index).await? {
                    self.heap.push(index);
                }
            }
            for place in (0..self.heap.len() / 2).rev() {
                self.sift_down(place);
            }
            cx.tick(1).await?;
            return Ok(!self.heap.is_empty());
        }
        let Some(top) = self.heap.first().copied() else { return Ok(false) };
        if !self.advance(top).await? {
            self.heap.swap_remove(0);
        }
        self.sift_down(0);
        Ok(!self.heap.is_empty())
    }

    fn pair(&self) -> (&[u8], &[u8]) {
        let top = self.heap.first().and_then(|top| self.sources.get(*top));
        top.map(Source::pair).unwrap_or_default()
    }

    /// Steps a source to its next pair; whether there is one.
    async fn advance(&mut self, index: usize) -> Result<bool> {
        match self.sources.get_mut(index) {
            None => Ok(false),
            Some(Source::Block(block)) => Ok(block.advance()),
            Some(Source::Run(run)) => {
                if run.is_at_end() {
                    run.load().await?;
                }
                run.advance(self.common)
            }
        }
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let first = place.saturating_mul(2).saturating_add(1);
            let second = first.saturating_add(1);
            let child = if self.is_before(second, first) { second } else { first };
            if !self.is_before(child, place) {
                return;
            }
            self.heap.swap(child, place);
            place = child;
        }
    }

    /// Whether what stands at one place of the heap, if anything does, comes before what stands at another.
    fn is_before(&self, left: usize, right: usize) -> bool {
        let source = |place: usize| self.heap.get(place).and_then(|index| self.sources.get(*index));
        match (source(left), source(right)) {
            (Some(left), Some(right)) => {
                let order = left.head().cmp(&right.head());
                order.then_with(|| left.pair().0.cmp(right.pair().0)).is_lt()
            }
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

/// Pairs in order.
#[derive(Debug)]
enum Source {
    Block(BlockCursor),
    Run(RunCursor),
}

impl Source {
    fn of_block(block: Block) -> Self {
        Self::Block(BlockCursor { block, next: 0 })
    }

    fn of_run(file: TemporaryFile, pages: Vec<Page>) -> Self {
        Self::Run(RunCursor { file, pages: pages.into_iter(), bytes: Vec::new(), at: Place::NONE, next: 0 })
    }

    fn head(&self) -> u64 {
        match self {
            Self::Block(cursor) => cursor.place().map_or(0, |place| place.head),
            Self::Run(cursor) => cursor.at.head,
        }
    }

    fn pair(&self) -> (&[u8], &[u8]) {
        match self {
            Self::Block(cursor) => cursor.place().map(|place| cursor.block.pair(place)).unwrap_or_default(),
            Self::Run(cursor) => cursor.pair(),
        }
    }
}

impl Place {
    const NONE: Self = Self { head: 0, start: 0, key: 0, value: 0 };
}

/// A place in a sorted block.
#[derive(Debug)]
struct BlockCursor {
    block: Block,
    /// One more than the place that it stands on.
    next: usize,
}

impl BlockCursor {
    fn place(&self) -> Option<&Place> {
        self.block.places.get(self.next.checked_sub(1)?)
    }

    fn advance(&mut self) -> bool {
        self.next = self.next.saturating_add(1);
        self.place().is_some()
    }
}

/// A place in a run.
#[derive(Debug)]
struct RunCursor {
    file: TemporaryFile,
    pages: std::vec::IntoIter<Page>,
    bytes: Vec<u8>,
    at: Place,
    /// Where in the page the next pair begins.
    next: usize,
}

impl RunCursor {
    fn is_at_end(&self) -> bool {
        self.next >= self.bytes.len()
    }

    /// Reads the next page, if there is one.
    async fn load(&mut self) -> Result<()> {
        (self.bytes, self.next) = (Vec::new(), 0);
        if let Some(page) = self.pages.next() {
            self.bytes = self.file.read(page).await?;
        }
        Ok(())
    }

    fn advance(&mut self, common: usize) -> Result<bool> {
        if self.is_at_end() {
            return Ok(false);
        }
        let damaged = || Error::new("XX001", "a temporary file holds something else than was written to it");
        let length = |at: usize| {
            let bytes = self.bytes.get(at..at.saturating_add(4)).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_le_bytes).ok_or_else(damaged)
        };
        let (key, value) = (length(self.next)?, length(self.next.saturating_add(4))?);
        let start = self.next.saturating_add(LENGTHS);
        let end = start.saturating_add(key as usize).saturating_add(value as usize);
        if end > self.bytes.len() {
            return Err(damaged());
        }
        let key_bytes = self.bytes.get(start..start.saturating_add(key as usize)).unwrap_or_default();
        self.at = Place { head: head(key_bytes, common), start, key, value };
        self.next = end;
        Ok(true)
    }

    fn pair(&self) -> (&[u8], &[u8]) {
        let middle = self.at.start.saturating_add(self.at.key as usize);
        let end = middle.saturating_add(self.at.value as usize);
        (part(&self.bytes, self.at.start, middle), part(&self.bytes, middle, end))
    }
}
