//! Writing rows: INSERT, UPDATE, DELETE, and what they share.
//!
//! Every key that may hold another transaction's row is locked before it is judged (one request per batch), which
//! also reads its newest value: that is how duplicates are found. Keys of non-unique indexes, rows under a hidden row
//! id and everything in an index that the same transaction created are neither locked nor read, because nobody else
//! can have written them.
//!
//! A statement of several parts that write ([`compound`]) holds back what they write until all of them have read.

mod broken_link;
mod changes;
mod children;
mod compound;
mod constraint;
mod delete;
mod guard;
mod insert;
mod judge;
mod links;
mod merge;
mod references;
mod removal;
mod state;
mod told;
mod update;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use expr::{Expr, Row};

use super::context::Context;
use super::operators::{BoxOperator, is_behind_its_writes};
use super::walk::walk;
use crate::catalog::TableDescriptor;
use crate::error::{Error, Result};
use crate::plan::Node;

pub(crate) use compound::CompoundExecution;
pub(crate) use constraint::{check_row, complete_row, duplicate, duplicate_in_index};
pub(crate) use delete::DeleteExecution;
pub(crate) use guard::Guards;
pub(crate) use insert::{InsertExecution, InsertSink};
pub(crate) use judge::settle_deferred;
pub(crate) use merge::MergeExecution;
pub(crate) use references::References;
pub(crate) use state::KeyState;
pub(crate) use update::UpdateExecution;

/// How many rows are written per request for locks.
pub(crate) const WRITE_BATCH_ROWS: usize = 1024;

/// What a writing statement did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How many rows it wrote.
    pub(crate) count: u64,
    /// The rows of RETURNING.
    pub(crate) returned: Vec<Row>,
}

impl Outcome {
    /// Notes a row, and what RETURNING makes of it.
    async fn note(
        &mut self,
        cx: &mut Context<'_>,
        returning: Option<&[Expr]>,
        row: &[expr::Datum],
    ) -> Result<()> {
        self.count = self.count.saturating_add(1);
        if let Some(expressions) = returning {
            let returned = cx.settled_all(expressions, row).await?;
            cx.memory.reserve(super::memory::row_bytes(&returned))?;
            self.returned.push(returned);
        }
        Ok(())
    }
}

/// What was done, and what it owes to other tables.
pub(crate) struct Changed {
    outcome: Outcome,
    owed: Option<References>,
}

impl Changed {
    async fn settled(self, cx: &mut Context<'_>) -> Result<Outcome> {
        if let Some(owed) = self.owed {
            owed.settle(cx).await?;
        }
        Ok(self.outcome)
    }
}

/// Where rows to write come from: all of them first, or batch by batch where what is written cannot come back in.
pub(crate) struct Source {
    operator: BoxOperator,
    streamed: bool,
    held: Option<std::vec::IntoIter<Row>>,
}

impl Source {
    pub(crate) fn new(operator: BoxOperator, streamed: bool) -> Self {
        Self { operator, streamed, held: None }
    }

    /// The next rows to write.
    pub(crate) async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        if self.streamed {
            return self.operator.next(cx).await;
        }
        let held = match &mut self.held {
            Some(held) => held,
            None => {
                let mut rows = Vec::new();
                while let Some(batch) = self.operator.next(cx).await? {
                    cx.memory.reserve(batch.iter().map(|row| super::memory::row_bytes(row)).sum())?;
                    cx.tick(batch.len()).await?;
                    rows.extend(batch);
                }
                self.held.insert(rows.into_iter())
            }
        };
        let batch: Vec<Row> = held.by_ref().take(WRITE_BATCH_ROWS).collect();
        Ok((!batch.is_empty()).then_some(batch))
    }

    pub(crate) fn rewind(&mut self, cx: &mut Context<'_>) {
        self.held = None;
        self.operator.rewind(cx);
    }
}

/// Whether no row that is written to the table can come out of this source later.
pub(crate) fn reads_other_tables_only(node: &Node, table: &Arc<TableDescriptor>) -> bool {
    let mut other = true;
    walk(node, &mut |node| {
        if let Node::Scan(scan) = node {
            other &= scan.table.oid != table.oid;
        }
    });
    other
}

/// Whether rows of the source may be written while it is read: it reads the primary index alone, in order, and the
/// writes move no row within it.
pub(crate) fn is_streamed(source: &Node, moves_rows: bool) -> bool {
    match source {
        Node::Scan(scan) => !moves_rows && is_behind_its_writes(scan),
        _ => false,
    }
}

/// Whether another part of the statement has changed the row of this key: each is changed once.
fn is_changed(cx: &Context<'_>, key: &Bytes) -> bool {
    cx.held_back.as_ref().is_some_and(|held| held.contains(key))
}

/// Whether a key was not seen before in this statement; accounts for it then.
fn note_seen(cx: &mut Context<'_>, seen: &mut HashSet<Bytes>, key: &Bytes) -> Result<bool> {
    /// What an entry of the table takes beside its key.
    const ENTRY_BYTES: usize = 64;
    if !seen.insert(key.clone()) {
        return Ok(false);
    }
    cx.memory.reserve(key.len().saturating_add(ENTRY_BYTES))?;
    Ok(true)
}

/// A statement's own error for a plan that does not fit its table.
pub(crate) fn misfit() -> Error {
    Error::internal("a plan's rows do not fit its table")
}
