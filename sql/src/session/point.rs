//! Statements over one row: everything they answer is answered at once.

use super::Session;
use super::portal::{CommandTag, Fetched, Portal};
use super::run::guard;
use crate::error::Result;
use crate::execute::{PointExecution, PointOutcome};

impl Session {
    /// Runs it to its end, its commit included, unless that is a block's.
    pub(super) async fn run_point(&mut self, portal: &mut Portal, point: &PointExecution) -> Result<Fetched> {
        let deadline = portal.deadline;
        let mut memory = self.statement_memory();
        let mut cx = self.make_context(&mut portal.parameters, &mut memory)?;
        let cancel = cx.cancel;
        let PointOutcome { count, row } = guard(cancel, deadline, point.run(&mut cx)).await?;
        self.try_answer(portal, row.as_slice(), 0).await?;
        self.complete_statement().await?;
        let tag = match point {
            PointExecution::Read(_) => CommandTag::Select(count),
            PointExecution::Insert(_) => CommandTag::Insert(count),
            PointExecution::Update(_) => CommandTag::Update(count),
            PointExecution::Delete(_) => CommandTag::Delete(count),
        };
        Ok(Fetched::Whole(row, tag))
    }
}
