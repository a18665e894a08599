//! The operators that make rows, one per kind of [`crate::plan::Node`]. Rows are pulled in batches.
//!
//! Operators own what they need of the plan, so that a portal can rest between fetches, and can be rewound, so that
//! a subquery is built once and run once per outer row.

mod aggregate;
mod apply;
mod basic;
mod build;
mod group;
mod hash_join;
mod join;
mod membership;
mod nested_loop;
mod scan;
mod set_operation;
mod sort;
mod source;

use async_trait::async_trait;
use expr::Row;

use super::context::Context;
use crate::error::Result;

pub(crate) use build::build;
pub(crate) use scan::is_behind_its_writes;

/// How many rows operators that make rows by themselves put into a batch.
pub(crate) const BATCH_ROWS: usize = 1024;

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
