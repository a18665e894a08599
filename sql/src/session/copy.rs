//! The data of COPY FROM STDIN.

use super::Session;
use super::portal::{CommandTag, Portal, State};
use super::run::guard;
use crate::error::{Error, Result};
use crate::execute::Execution;
use env::task::boxed;

impl Session {
    /// CopyData from the client, after [`super::Fetched::CopyIn`].
    #[boxed]
    pub async fn copy_data(&mut self, portal: &mut Portal, data: &[u8]) -> Result<()> {
        let taken = self.take_copy_data(portal, data).await;
        if taken.is_err() {
            portal.state = State::Finished;
            self.fail().await;
        }
        taken
    }

    async fn take_copy_data(&mut self, portal: &mut Portal, data: &[u8]) -> Result<()> {
        let deadline = portal.deadline;
        let State::CopyIn(running) = &mut portal.state else { return Err(no_copy()) };
        let (execution, mut cx) = self.context_for(running)?;
        let Execution::CopyFrom(copy) = execution else { return Err(no_copy()) };
        let cancel = cx.cancel.clone();
        guard(&cancel, deadline, copy.data(&mut cx, data)).await
    }

    /// CopyDone from the client: the last rows are written.
    #[boxed]
    pub async fn copy_done(&mut self, portal: &mut Portal) -> Result<CommandTag> {
        let done = self.finish_copy(portal).await;
        portal.state = State::Finished;
        if done.is_err() {
            self.fail().await;
        }
        done
    }

    async fn finish_copy(&mut self, portal: &mut Portal) -> Result<CommandTag> {
        let deadline = portal.deadline;
        let State::CopyIn(running) = &mut portal.state else { return Err(no_copy()) };
        let (execution, mut cx) = self.context_for(running)?;
        let Execution::CopyFrom(copy) = execution else { return Err(no_copy()) };
        let cancel = cx.cancel.clone();
        let count = guard(&cancel, deadline, copy.done(&mut cx)).await?;
        self.settings.hot().limits.check_rows(count)?;
        self.complete_statement().await?;
        Ok(CommandTag::Copy(count))
    }

    /// CopyFail from the client, with its reason. Returns the error to answer with.
    #[boxed]
    pub async fn copy_fail(&mut self, portal: &mut Portal, reason: &str) -> Error {
        portal.state = State::Finished;
        self.fail().await;
        Error::new("57014", format!("COPY from stdin failed: {reason}"))
    }
}

fn no_copy() -> Error {
    Error::new("08P01", "no COPY FROM STDIN is under way")
}
