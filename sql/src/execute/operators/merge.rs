//! Merges sorted runs: the first rows of all of them in a heap, the smallest on top.

use std::cmp::Ordering;

use expr::Row;

use super::order::compare_keys;
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::memory::Memory;
use crate::execute::spill::{Stream, StreamReader, StreamWriter, create_file};
use crate::plan::SortKey;

/// How many runs are merged at once, even if the share has no room for them, and at most.
const WAYS: std::ops::RangeInclusive<usize> = 2..=64;

/// The rows of several runs in order; of those that are alike the ones of earlier runs first.
pub(super) struct Merge {
    keys: Vec<SortKey>,
    /// A heap of the runs that have rows.
    heads: Vec<Head>,
}

/// A run with its first row.
struct Head {
    row: Row,
    /// Which run it is.
    number: usize,
    page: std::vec::IntoIter<Row>,
    reader: StreamReader,
}

impl Merge {
    /// Of these runs; if they are more than there is room for, some are made one before.
    pub(super) async fn of(
        cx: &mut Context<'_>,
        keys: &[SortKey],
        mut runs: Vec<Stream>,
        share: Option<usize>,
    ) -> Result<Self> {
        loop {
            let mut rest = runs.into_iter();
            let mut some = Self::start(cx, keys, &mut rest, share).await?;
            if rest.len() == 0 {
                return Ok(some);
            }
            let file = create_file(cx.memory).await?;
            let mut merged = Vec::new();
            loop {
                let mut run = StreamWriter::new(&file);
                while let Some(row) = some.next(cx).await? {
                    run.push(cx.memory, &row).await?;
                    cx.tick(1).await?;
                }
                merged.push(run.finish(cx.memory).await?);
                if rest.len() == 0 {
                    break;
                }
                some = Self::start(cx, keys, &mut rest, share).await?;
            }
            runs = merged;
        }
    }

    /// Of as many of the next runs as there is room for with their first pages.
    async fn start(
        cx: &mut Context<'_>,
        keys: &[SortKey],
        runs: &mut std::vec::IntoIter<Stream>,
        share: Option<usize>,
    ) -> Result<Self> {
        let mut merge = Self { keys: keys.to_vec(), heads: Vec::new() };
        let (mut number, mut held) = (0_usize, 0_usize);
        while let Some(run) = runs.as_slice().first() {
            let may_wait = number >= *WAYS.start();
            if number >= *WAYS.end() || may_wait && share.is_some_and(|share| held >= share) {
                break;
            }
            let mut reader = run.reader();
            let first = match reader.next(cx.memory).await {
                // Others have taken what there was.
                Err(error) if may_wait && error.sqlstate == "53200" => break,
                first => first?,
            };
            runs.next();
            held = held.saturating_add(reader.held());
            let mut page = first.unwrap_or_default().into_iter();
            if let Some(row) = page.next() {
                merge.heads.push(Head { row, number, page, reader });
            }
            number = number.saturating_add(1);
        }
        for place in (0..merge.heads.len() / 2).rev() {
            merge.sink(place);
        }
        Ok(merge)
    }

    /// The next row.
    pub(super) async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Row>> {
        let Some(head) = self.heads.first_mut() else { return Ok(None) };
        let mut next = head.page.next();
        if next.is_none()
            && let Some(rows) = head.reader.next(cx.memory).await?
        {
            head.page = rows.into_iter();
            next = head.page.next();
        }
        let row = match next {
            Some(next) => std::mem::replace(&mut head.row, next),
            None => self.heads.swap_remove(0).row,
        };
        self.sink(0);
        Ok(Some(row))
    }

    /// Lets a head sink below those that come before it.
    fn sink(&mut self, mut place: usize) {
        loop {
            let below = place.saturating_mul(2).saturating_add(1);
            let smallest = (below..below.saturating_add(2)).filter(|other| *other < self.heads.len()).fold(
                place,
                |smallest, other| if self.is_before(other, smallest) { other } else { smallest },
            );
            if smallest == place {
                return;
            }
            self.heads.swap(place, smallest);
            place = smallest;
        }
    }

    fn is_before(&self, one: usize, other: usize) -> bool {
        let (Some(one), Some(other)) = (self.heads.get(one), self.heads.get(other)) else { return false };
        let order = compare_keys(&self.keys, &one.row, &other.row);
        order.then(one.number.cmp(&other.number)) == Ordering::Less
    }

    /// Gives its memory back.
    pub(super) fn release(&mut self, memory: &mut Memory) {
        self.heads.iter_mut().for_each(|head| head.reader.release(memory));
        self.heads.clear();
    }
}
