//! A statement that is several, one after the other: all of them happen, or none.

use std::sync::Arc;

use env::clock::{self, Instant};

use super::Session;
use super::auditing::RunOutcome;
use super::portal::{CommandTag, Fetched, Portal};
use super::prepared::Statement;
use super::transaction::Block;
use crate::error::{Cause, Error, Result};
use crate::parse;

impl Session {
    /// Runs them in the transaction block that there is, or in a transaction of their own.
    pub(super) async fn run_steps(
        &mut self,
        steps: &[parse::Statement],
        deadline: Option<Instant>,
    ) -> Result<()> {
        if self.transaction.block != Block::Idle {
            return self.run_each(steps, deadline).await;
        }
        if self.transaction.open.is_some() {
            // A portal was left before its end.
            self.rollback(Block::Idle).await;
        }
        let mut attempt = 0_u32;
        loop {
            let Err(error) = self.run_apart(steps, deadline).await else { return Ok(()) };
            // The client has seen nothing of them.
            if error.cause() == Cause::Statement || attempt >= self.engine.options().retries_max {
                return Err(error);
            }
            tracing::debug!(%error, attempt, "running the steps of a statement again");
            self.wait_to_retry(&error, attempt, deadline).await?;
            attempt = attempt.saturating_add(1);
        }
    }

    /// Runs them in a transaction of their own.
    async fn run_apart(&mut self, steps: &[parse::Statement], deadline: Option<Instant>) -> Result<()> {
        self.transaction.block = Block::Implicit;
        match self.run_each(steps, deadline).await {
            Ok(()) => {
                let committed = self.commit(Block::Idle).await;
                self.audit_implicit_end("COMMIT", &committed);
                committed
            }
            Err(error) => {
                self.rollback(Block::Idle).await;
                self.audit_implicit_end("ROLLBACK", &Ok(()));
                Err(error)
            }
        }
    }

    async fn run_each(&mut self, steps: &[parse::Statement], deadline: Option<Instant>) -> Result<()> {
        for step in steps {
            let statement = Statement(Arc::new(step.clone()));
            let prepared = self.plan_first(statement, None, false).await.map_err(unplaced)?;
            let mut portal = self.portal_over(&prepared, Vec::new())?;
            portal.deadline = deadline;
            let begun = clock::now();
            let ran = self.run_one(&mut portal).await.map_err(unplaced);
            let outcome = match &ran {
                Ok(tag) => RunOutcome::Done(tag),
                Err(error) => RunOutcome::Failed(error.sqlstate),
            };
            self.audit_run(&portal, clock::now().saturating_duration_since(begun), outcome).await?;
            ran?;
        }
        Ok(())
    }

    /// Runs a step to its end, whatever rows it has.
    async fn run_one(&mut self, portal: &mut Portal) -> Result<CommandTag> {
        loop {
            // Boxed: it is what has led here.
            match self.advance(portal, 0).await? {
                Fetched::Rows(_) => {}
                Fetched::Whole(_, tag) | Fetched::Done(tag) => return Ok(tag),
                _ => return Err(Error::internal("a step asks the client for something")),
            }
        }
    }
}

/// Where something stands in a text that the client has not written tells it nothing.
fn unplaced(mut error: Error) -> Error {
    error.position = None;
    error
}
