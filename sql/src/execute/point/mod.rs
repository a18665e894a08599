//! Point statements: those over one row whose whole key they name. They bypass the operators.
//!
//! ```text
//! values ─▶ key ─▶ one get, or one lock ─▶ the wanted columns ─▶ filter ─▶ row and count in one answer
//!                                                        └─▶ assignments patch the encoded row
//! ```
//!
//! Expressions are evaluated by the same evaluator, locks and duplicates judged by the same rules as everywhere else;
//! a statement answers and writes the same either way, which a test compares.

mod delete;
mod insert;
mod key;
mod read;
mod target;
mod update;

use expr::{Datum, Expr, Row};

use super::context::Context;
use super::memory::row_bytes;
use crate::error::Result;
use crate::plan::{Bound, Point};
use delete::PointDelete;
use insert::PointInsert;
use read::PointRead;
use update::PointUpdate;

/// A plan over one row, made ready to run any number of times.
pub(crate) enum PointExecution {
    /// A query.
    Read(PointRead),
    /// INSERT
    Insert(PointInsert),
    /// UPDATE
    Update(PointUpdate),
    /// DELETE
    Delete(PointDelete),
}

/// What a statement over one row did.
#[derive(Debug, Default)]
pub(crate) struct PointOutcome {
    /// How many rows it found or wrote: none or one.
    pub(crate) count: u64,
    /// The row that it answers.
    pub(crate) row: Option<Row>,
}

impl PointExecution {
    /// Of a statement, if it is one.
    pub(crate) fn new(bound: &Bound) -> Result<Option<Self>> {
        // Slots belong to subqueries and joins.
        if bound.slots != bound.parameters.len() {
            return Ok(None);
        }
        let Some(point) = Point::of(&bound.plan) else { return Ok(None) };
        Ok(Some(match point {
            Point::Read { scan, projections } => Self::Read(PointRead::new(&scan, &projections)?),
            Point::Insert { insert, row } => Self::Insert(PointInsert::new(insert, row)?),
            Point::Update(scan, update) => Self::Update(PointUpdate::new(&scan, update)?),
            Point::Delete(scan, delete) => Self::Delete(PointDelete::new(&scan, delete)?),
        }))
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, cx: &mut Context<'_>) -> Result<PointOutcome> {
        match self {
            Self::Read(read) => read.run(cx).await,
            Self::Insert(insert) => insert.run(cx).await,
            Self::Update(update) => update.run(cx).await,
            Self::Delete(delete) => delete.run(cx).await,
        }
    }
}

impl PointOutcome {
    /// One row was written, of which RETURNING makes another.
    async fn written(cx: &mut Context<'_>, returning: Option<&[Expr]>, row: &[Datum]) -> Result<Self> {
        let row = match returning {
            None => None,
            Some(expressions) => {
                let returned = cx.settled_all(expressions, row).await?;
                cx.memory.reserve(row_bytes(&returned))?;
                Some(returned)
            }
        };
        Ok(Self { count: 1, row })
    }
}
