//! A client's session: its settings, its transaction, its prepared statements' plans and its portals.
//!
//! The gateway drives it: [`Session::split`] a query string, [`Session::prepare`] each statement,
//! [`Session::execute`] it into a [`Portal`], [`Session::fetch`] until [`Fetched::Done`].

mod cancel;
mod engine;
mod portal;
mod prepared;
mod settings;

pub use cancel::CancelHandle;
pub use engine::{Engine, EngineOptions};
pub use portal::{CommandTag, CopyFormat, CopyHeader, Fetched, Portal};
pub use prepared::{OutputColumn, Prepared, Statement, StatementKind};
pub use settings::SessionParameters;

use std::sync::Arc;

use bytes::Bytes;
use expr::{Datum, TypeKind};

use crate::error::{Error, Notice, Result};

/// What ReadyForQuery says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// No transaction block: 'I'.
    Idle,
    /// In a transaction block: 'T'.
    InBlock,
    /// In a failed transaction block: 'E'.
    Failed,
}

/// One client's session. Everything a gateway knows of a client stands here; dropping it rolls back.
pub struct Session {
    #[expect(dead_code, reason = "used by the statements' execution")]
    engine: Arc<Engine>,
    cancel: CancelHandle,
    notices: Vec<Notice>,
    parameter_changes: Vec<(&'static str, String)>,
    status: TransactionStatus,
    context: expr::session::SessionContext,
}

impl Session {
    pub(crate) fn new(engine: Arc<Engine>, _parameters: SessionParameters) -> Self {
        Self {
            engine,
            cancel: CancelHandle::default(),
            notices: Vec::new(),
            parameter_changes: Vec::new(),
            status: TransactionStatus::Idle,
            context: expr::session::SessionContext::default(),
        }
    }

    /// The statements of a query string. Empty for a string without any (EmptyQueryResponse).
    pub async fn split(&self, _sql: &str) -> Result<Vec<Statement>> {
        Err(Error::unsupported("this statement"))
    }

    /// Binds and plans one statement. Types that are `None` are inferred.
    pub async fn prepare(
        &mut self,
        _statement: Statement,
        _parameter_types: &[Option<TypeKind>],
    ) -> Result<Arc<Prepared>> {
        Err(Error::unsupported("this statement"))
    }

    /// Starts to run a prepared statement. Work may be done here or in the first [`Session::fetch`].
    pub async fn execute(&mut self, _prepared: &Arc<Prepared>, _parameters: Vec<Datum>) -> Result<Portal> {
        Err(Error::unsupported("this statement"))
    }

    /// The next rows, at most `rows_max` (0: a batch of the session's choosing); called until
    /// [`Fetched::Done`]. A portal that is left early is simply dropped.
    pub async fn fetch(&mut self, _portal: &mut Portal, _rows_max: usize) -> Result<Fetched> {
        Err(Error::unsupported("this statement"))
    }

    /// CopyData from the client, after [`Fetched::CopyIn`].
    pub async fn copy_data(&mut self, _portal: &mut Portal, _data: &[u8]) -> Result<()> {
        Err(Error::unsupported("this statement"))
    }

    /// CopyDone from the client: the last rows are written.
    pub async fn copy_done(&mut self, _portal: &mut Portal) -> Result<CommandTag> {
        Err(Error::unsupported("this statement"))
    }

    /// CopyFail from the client, with its reason. Returns the error to answer with.
    pub async fn copy_fail(&mut self, _portal: &mut Portal, _reason: &str) -> Error {
        Error::unsupported("this statement")
    }

    /// From here on statements share one implicit transaction, until [`Session::finish_implicit`]: a query string
    /// of several statements, or what the extended protocol sends up to a Sync. Outside of it, every statement
    /// commits by itself before its [`Fetched::Done`].
    pub async fn begin_implicit(&mut self) {}

    /// Ends what [`Session::begin_implicit`] began: commits, or rolls back if there was an error. Does nothing to a
    /// transaction block that the client opened (but an error fails it). An error here is the commit's.
    pub async fn finish_implicit(&mut self, _error: bool) -> Result<()> {
        Ok(())
    }

    /// Tells the session that an error arose outside of it while a statement was under way (a wrong parameter
    /// format, say): a transaction block becomes failed, as PostgreSQL's does.
    pub async fn fail(&mut self) {}

    /// What the text of values depends on: time zone, bytea_output and the like.
    pub fn context(&self) -> &expr::session::SessionContext {
        &self.context
    }

    /// The transaction status for ReadyForQuery.
    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// The notices since the last call, to be sent before the statement's result.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The reported settings that changed since the last call (ParameterStatus). After connecting: all of them.
    pub fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.parameter_changes)
    }

    /// What a CancelRequest calls, from any task.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// How long the session may idle inside of a transaction block, if bounded
    /// (`idle_in_transaction_session_timeout`): the gateway ends it then with 25P03.
    pub fn idle_in_transaction_timeout(&self) -> Option<std::time::Duration> {
        None
    }

    /// The backend process id that the session reports (`pg_backend_pid()`), also the cancel key's first half.
    pub fn set_backend_pid(&mut self, _pid: i32) {}

    /// Rolls back what is open and waits for it.
    pub async fn close(self) {}
}

/// Bytes of COPY TO STDOUT: one CopyData message each.
pub type CopyBytes = Bytes;
