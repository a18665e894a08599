//! The simple protocol: a string of statements, answered in text.

use std::pin::pin;
use std::sync::Arc;

use env::trace;
use sql::{ColumnFormats, Format, Portal, Session, Statement};
use tokio::io::{AsyncRead, AsyncWrite};

use super::spans::note_failure;
use super::statement::{Completion, Output};
use super::{Connection, Ending, Failure};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Runs a query string. Its statements share one implicit transaction, with those of a series that no Sync has ended.
    pub(super) async fn query(&mut self, sql: &str) -> Result<(), Ending> {
        self.session.message_arrived();
        self.session.tell_query(sql);
        self.session.forget_unnamed();
        let in_transaction = self.extended.end_series();
        self.series = None;
        let mut span = self.begin_trace("query", Some(sql));
        let context = span.as_ref().map(|span| span.context().clone());
        let run = trace::under(context, pin!(self.run_query(sql, in_transaction))).await;
        note_failure(&mut span, &run);
        drop(span);
        if let Err(failure) = run {
            match failure {
                Failure::Statement(_) if self.session.cancel_handle().is_terminated() => {
                    return Err(Ending::Told(self.session.cancel_handle().farewell()));
                }
                Failure::Statement(error) => {
                    self.report_notices();
                    self.report(error.report());
                }
                Failure::Connection(ending) => return Err(ending),
            }
        }
        self.ready_for_query().await
    }

    async fn run_query(&mut self, sql: &str, in_transaction: bool) -> Result<(), Failure> {
        if let Err(error) = self.take_place().await {
            finish_failed(&mut self.session).await;
            return Err(self.session.audit_unparsed(sql, error).await.into());
        }
        if let Some(portal) = self.session.recall(sql).await {
            if let Err(error) = self.count_text(sql, false) {
                finish_failed(&mut self.session).await;
                let prepared = Arc::clone(portal.prepared());
                return Err(self.session.audit_refused(&prepared, error).await.into());
            }
            if in_transaction {
                self.session.begin_implicit().await;
            }
            return self.run_recalled(portal).await;
        }
        let statements = match self.session.split(sql).await {
            Ok(statements) => statements,
            Err(error) => {
                finish_failed(&mut self.session).await;
                return Err(error.into());
            }
        };
        let count = statements.len();
        if in_transaction || count > 1 {
            self.session.begin_implicit().await;
        }
        if count == 0 {
            self.session.finish_implicit(false).await?;
            self.complete(Completion::Empty);
            return Ok(());
        }
        for (index, statement) in statements.into_iter().enumerate() {
            let finishes = index + 1 == count;
            match self.run_one(statement).await {
                Ok(completion) => {
                    if finishes {
                        self.session.finish_implicit(false).await?;
                    }
                    self.complete(completion);
                }
                Err(failure) => {
                    finish_failed(&mut self.session).await;
                    return Err(failure);
                }
            }
            self.flush_if_large().await?;
        }
        Ok(())
    }

    /// Runs a string of one statement that is known.
    async fn run_recalled(&mut self, portal: Portal) -> Result<(), Failure> {
        match self.run_alone(portal).await {
            Ok(completion) => {
                self.session.finish_implicit(false).await?;
                self.complete(completion);
                Ok(self.flush_if_large().await?)
            }
            Err(failure) => {
                finish_failed(&mut self.session).await;
                Err(failure)
            }
        }
    }

    async fn run_one(&mut self, statement: Statement) -> Result<Completion, Failure> {
        if let Err(error) = self.count_statement(&statement) {
            return Err(self.session.audit_unbound(&statement, error).await.into());
        }
        let prepared = self.session.prepare_once(statement).await?;
        let portal = self.session.execute(&prepared, Vec::new()).await?;
        self.run_alone(portal).await
    }

    async fn run_alone(&mut self, mut portal: Portal) -> Result<Completion, Failure> {
        let formats = ColumnFormats::Uniform(Format::Text);
        let output = Output { describes: true, formats: &formats, rows_max: 0 };
        self.run_portal(&mut portal, &output).await
    }
}

/// The error is on its way to the client already.
async fn finish_failed(session: &mut Session) {
    if let Err(error) = session.finish_implicit(true).await {
        tracing::debug!(%error, "rolling back failed");
    }
}
