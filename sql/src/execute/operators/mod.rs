//! The operators that make rows, one per kind of [`crate::plan::Node`]. Rows are pulled in batches.
//!
//! A batch is bounded in rows and in bytes, and an operator looks up ([`Context::tick`]) at least once per row that it
//! looks at: no statement holds a thread, and a cancelled one ends.
//!
//! Operators own what they need of the plan, so that a portal can rest between fetches, and can be rewound, so that
//! a subquery is built once and run once per outer row.

mod aggregate;
mod append;
mod apply;
mod basic;
mod build;
mod distinct;
mod group;
mod hash_join;
mod join;
mod join_keys;
mod join_table;
mod key_table;
mod lock_rows;
mod look_up;
mod measured;
mod membership;
mod merge;
mod nested_loop;
mod order;
mod overflow;
mod partitioned_join;
mod past;
mod project_set;
mod recursive;
mod scan;
mod set_operation;
mod sort;
mod source;
mod versions;
mod window;
mod with;

use async_trait::async_trait;
use expr::Row;

use super::context::Context;
use super::memory::row_bytes;
use crate::error::Result;

pub(crate) use build::{Building, build, build_counted};
pub(crate) use scan::is_behind_its_writes;

/// How many rows operators that make rows by themselves put into a batch.
pub(crate) const BATCH_ROWS: usize = 1024;

/// How many bytes of rows that an operator has made go into a batch, give or take a row.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// Rows on their way out of an operator.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, row: Row) {
        self.bytes = self.bytes.saturating_add(row_bytes(&row));
        self.rows.push(row);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows, or `None` if there are none.
    fn into_rows(self) -> Option<Vec<Row>> {
        (!self.rows.is_empty()).then_some(self.rows)
    }
}

/// Makes rows.
#[async_trait]
pub(crate) trait Operator: Send + Sync {
    /// The next rows, never an empty batch; `None` at the end, and from then on.
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>>;

    /// Starts over: the next batch is the first again, computed with the slots' values of then. Releases memory.
    fn rewind(&mut self, cx: &mut Context<'_>);
}

/// An operator of any kind.
pub(crate) type BoxOperator = Box<dyn Operator>;
