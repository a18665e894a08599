//! Running a portal: rows, COPY and the command's tag, in either protocol.

use std::pin::pin;
use std::time::Duration;

use env::trace;
use expr::Datum;
use futures::future::{Either, select};
use sql::{ColumnFormats, CommandTag, Fetched, Format, Portal, RunOutcome, Sending};
use tokio::io::{AsyncRead, AsyncWrite};

use super::value::{try_columns, try_rows};
use super::{Connection, Ending, Failure};
use crate::pgwire::backend;

/// How long the statement of a client that has hung up may still run.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(50);

/// How a run of a portal ended.
pub(super) enum Completion {
    /// The statement is done.
    Done(CommandTag),
    /// The statement was empty.
    Empty,
    /// As many rows as were asked for have been sent; there may be more.
    Suspended,
}

/// What is to be sent of a portal's rows.
pub(super) struct Output<'a> {
    /// Whether the client has yet to be told the columns.
    pub(super) describes: bool,
    /// Their formats.
    pub(super) formats: &'a ColumnFormats,
    /// At most so many rows; 0 = all.
    pub(super) rows_max: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Runs a portal to its end or to `rows_max`. Its rows and notices are buffered, its completion is not.
    pub(super) async fn run_portal(
        &mut self,
        portal: &mut Portal,
        output: &Output<'_>,
    ) -> Result<Completion, Failure> {
        let started = env::clock::now();
        portal.sent_as(Sending {
            describes: output.describes,
            formats: output.formats.clone(),
            try_columns,
            try_rows,
        });
        let executing = trace::child("execute");
        let completion = trace::within(executing, pin!(self.fetch_all(portal, output))).await;
        let took = started.elapsed();
        self.shared.metrics.ran(portal.class(), took);
        let outcome = match &completion {
            Ok(Completion::Done(tag)) => {
                self.session.note_run(portal, took, Ok(tag.rows()));
                RunOutcome::Done(tag)
            }
            Ok(Completion::Suspended) => {
                let rows = output.rows_max as u64;
                self.session.note_run(portal, took, Ok(rows));
                RunOutcome::Suspended(rows)
            }
            Ok(Completion::Empty) => return completion,
            Err(Failure::Connection(ending)) => RunOutcome::Left(ending.sqlstate(&self.session)),
            Err(Failure::Statement(error)) => {
                self.session.note_run(portal, took, Err(error));
                RunOutcome::Failed(error.sqlstate)
            }
        };
        let recorded = self.session.audit_run(portal, took, outcome).await;
        if !matches!(completion, Err(Failure::Connection(_))) {
            recorded?;
        }
        completion
    }

    /// Sends what is buffered of a portal's rows if it is much. The audit log knows before that they are on their way.
    async fn flush_rows_if_large(&mut self, portal: &Portal) -> Result<(), Ending> {
        if self.wire.holds_much() {
            self.session.audit_started(portal);
        }
        self.flush_if_large().await
    }

    async fn fetch_all(&mut self, portal: &mut Portal, output: &Output<'_>) -> Result<Completion, Failure> {
        let mut sent = 0;
        let mut copying_out = false;
        let mut describes = output.describes;
        let binary = ColumnFormats::Uniform(Format::Binary);
        loop {
            let wanted = output.rows_max.saturating_sub(sent);
            let fetched = self.fetch(portal, wanted).await?;
            let formats = if output.describes && portal.is_binary() { &binary } else { output.formats };
            if std::mem::take(&mut describes)
                && let Some(columns) = portal.columns()
            {
                let encoding = self.session.context().client_encoding;
                backend::row_description(self.wire.output(), encoding, columns, formats)?;
            }
            match fetched {
                Fetched::Rows(rows) => {
                    for row in &rows {
                        self.encode(portal, formats, row)?;
                        self.flush_rows_if_large(portal).await?;
                    }
                    sent += rows.len();
                    if output.rows_max != 0 && sent >= output.rows_max {
                        self.report_notices();
                        return Ok(Completion::Suspended);
                    }
                }
                Fetched::Whole(row, tag) => {
                    if let Some(row) = &row {
                        self.encode(portal, formats, row)?;
                    }
                    self.report_notices();
                    return Ok(Completion::Done(tag));
                }
                Fetched::Done(tag) => {
                    if copying_out {
                        backend::bare(self.wire.output(), b'c');
                    }
                    self.report_notices();
                    return Ok(Completion::Done(match tag {
                        // Each run of a portal counts the rows that it has sent itself.
                        CommandTag::Select(_) if portal.columns().is_some() => {
                            CommandTag::Select(sent as u64)
                        }
                        other => other,
                    }));
                }
                Fetched::EmptyQuery => return Ok(Completion::Empty),
                Fetched::CopyIn(header) => {
                    self.report_notices();
                    let tag = self.copy_in(portal, header).await?;
                    self.report_notices();
                    return Ok(Completion::Done(tag));
                }
                Fetched::CopyOutStart(header) => {
                    copying_out = true;
                    backend::copy_out_response(self.wire.output(), header);
                }
                Fetched::CopyOut(data) => {
                    backend::copy_data(self.wire.output(), &data);
                    self.flush_rows_if_large(portal).await?;
                }
            }
        }
    }

    /// Buffers a row.
    fn encode(&mut self, portal: &Portal, formats: &ColumnFormats, row: &[Datum]) -> Result<(), sql::Error> {
        let columns = portal.columns().unwrap_or_default();
        self.encoder.encode(self.session.context(), columns, formats, row, self.wire.output())
    }

    /// The next rows of a portal, unless the client hangs up meanwhile: then its statement is cancelled.
    async fn fetch(&mut self, portal: &mut Portal, wanted: usize) -> Result<Fetched, sql::Error> {
        let cancel = self.session.cancel_handle();
        let fetched = pin!(self.session.fetch(portal, wanted));
        let gone = pin!(async {
            self.wire.closed().await;
            // What is nearly done may still be meant: some clients do not wait for the answer to their last words.
            env::clock::sleep(LAST_WORDS).await;
        });
        match select(fetched, gone).await {
            Either::Left((fetched, _)) => fetched,
            Either::Right(((), fetched)) => {
                cancel.cancel();
                fetched.await
            }
        }
    }

    /// Buffers what ends a run.
    pub(super) fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Done(tag) => backend::command_complete(self.wire.output(), &tag),
            Completion::Empty => backend::bare(self.wire.output(), b'I'),
            Completion::Suspended => backend::bare(self.wire.output(), b's'),
        }
    }
}
