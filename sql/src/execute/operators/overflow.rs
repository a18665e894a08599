//! Rows for which a hash table has no room: they go to partitions by their keys, and each partition is looked at by itself once
//! the table is done with, and may overflow again. What is in the table already has no rows here.

use expr::Row;

use super::group::GroupKey;
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::spill::{Partitions, Stream, StreamReader};

/// What is aside.
#[derive(Debug, Default)]
pub(super) struct Overflow {
    /// Where rows go that have no room now.
    open: Option<Partitions>,
    /// What is still to be looked at, the next last, and how often it was divided.
    waiting: Vec<(Stream, u32)>,
    /// What is being looked at.
    reader: Option<StreamReader>,
    page: std::vec::IntoIter<Row>,
    /// How often that was divided.
    level: u32,
}

impl Overflow {
    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.waiting.is_empty()
    }

    /// Whether rows went aside since the last partition began.
    pub(super) fn has_begun(&self) -> bool {
        self.open.is_some()
    }

    /// Puts a row with such a key aside.
    pub(super) async fn push(&mut self, cx: &mut Context<'_>, key: &GroupKey, row: &Row) -> Result<()> {
        let partitions = match &mut self.open {
            Some(partitions) => partitions,
            None => self.open.insert(Partitions::create(cx.memory).await?),
        };
        partitions.push(cx.memory, key.hash_at(self.level), row).await
    }

    /// Begins with the next partition; false if there is none.
    pub(super) async fn next_partition(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        if let Some(partitions) = self.open.take() {
            let level = self.level.saturating_add(1);
            let streams = partitions.finish(cx.memory).await?;
            let filled = streams.into_iter().filter(|stream| stream.rows() > 0);
            self.waiting.extend(filled.map(|stream| (stream, level)));
        }
        let Some((stream, level)) = self.waiting.pop() else { return Ok(false) };
        self.reader = Some(stream.reader());
        self.page = Vec::new().into_iter();
        self.level = level;
        Ok(true)
    }

    /// The next row of the partition; `None` at its end.
    pub(super) async fn next_row(&mut self, cx: &mut Context<'_>) -> Result<Option<Row>> {
        loop {
            if let Some(row) = self.page.next() {
                return Ok(Some(row));
            }
            let Some(reader) = &mut self.reader else { return Ok(None) };
            match reader.next(cx.memory).await? {
                Some(rows) => self.page = rows.into_iter(),
                None => self.reader = None,
            }
        }
    }

    /// Forgets all rows.
    pub(super) fn clear(&mut self, cx: &mut Context<'_>) {
        if let Some(partitions) = self.open.take() {
            partitions.release(cx.memory);
        }
        if let Some(mut reader) = self.reader.take() {
            reader.release(cx.memory);
        }
        self.waiting.clear();
        self.page = Vec::new().into_iter();
        self.level = 0;
    }
}
