//! The extended protocol: Parse, Bind, Describe, Execute, Close, up to a Sync.
//!
//! What is executed up to a Sync shares one implicit transaction. A lone Execute that its Sync follows, perhaps behind a
//! Close, as most drivers send it, needs none: the statement commits by itself, and can be run again after a conflict.
//! Which of both it is, the messages behind the Execute tell, whenever they arrive. What runs in no transaction block
//! (VACUUM, DISCARD ALL) commits by itself as the first of a series, too.

use std::pin::pin;
use std::sync::Arc;

use env::trace;
use sql::{
    ColumnFormats, CommandTag, Error, Format, Portal, PortalState, Prepared, Statement, TransactionStatus,
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::spans::note_failure;
use super::statement::{Completion, Output};
use super::value::{decode_parameters, parameter_types};
use super::{Connection, Ending, Failure};
use crate::pgwire::frontend::{Bind, Message, Parse, Target};
use crate::pgwire::{ProtocolError, backend};

/// Where a session is in a series of messages.
#[derive(Default)]
pub(super) struct Extended {
    /// Messages have been handled that no Sync has followed yet.
    awaiting_sync: bool,
    /// The session has been told to keep one transaction until the Sync.
    in_transaction: bool,
    /// There was an error: nothing is answered until the Sync.
    skipping: bool,
    /// A statement was counted when it was prepared, and is not when it is run then.
    is_counted: bool,
}

impl Extended {
    /// Whether errors have silenced the server until the next Sync.
    pub(super) fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Says nothing more until the next Sync.
    pub(super) fn skip_to_sync(&mut self) {
        self.awaiting_sync = true;
        self.skipping = true;
    }

    /// Whether no series is under way.
    pub(super) fn is_idle(&self) -> bool {
        !self.awaiting_sync
    }

    /// Ends the series. Returns whether the session keeps a transaction for it.
    pub(super) fn end_series(&mut self) -> bool {
        self.awaiting_sync = false;
        self.skipping = false;
        std::mem::take(&mut self.in_transaction)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Handles one message of a series.
    pub(super) async fn extended_message(&mut self, message: Message<'_>) -> Result<(), Failure> {
        self.extended.awaiting_sync = true;
        if self.series.is_none() && trace::is_on() {
            let sql = if let Message::Parse(parse) = &message { Some(parse.sql) } else { None };
            self.series = self.begin_trace("series", sql);
        }
        let context = self.series.as_ref().map(|span| span.context().clone());
        let handled = trace::under(context, pin!(self.one_of_series(message))).await;
        note_failure(&mut self.series, &handled);
        handled
    }

    async fn one_of_series(&mut self, message: Message<'_>) -> Result<(), Failure> {
        match message {
            Message::Parse(parse) => self.parse(parse).await,
            Message::Bind(bind) => self.bind(&bind).await,
            Message::Describe(target) => self.describe(&target),
            Message::Execute { portal, rows_max } => self.execute(portal, rows_max).await,
            Message::Close(target) => {
                self.close(&target);
                Ok(())
            }
            _ => Err(ProtocolError::malformed("unexpected message").into()),
        }
    }

    /// Ends a series of messages.
    pub(super) async fn sync(&mut self) -> Result<(), Ending> {
        let failed = self.extended.is_skipping();
        self.extended.end_series();
        let span = self.series.take();
        let context = span.as_ref().map(|span| span.context().clone());
        let finished = trace::under(context, pin!(self.session.finish_implicit(failed))).await;
        if let Err(error) = finished {
            self.report(error.report());
        }
        drop(span);
        self.ready_for_query().await
    }

    async fn parse(&mut self, parse: Parse<'_>) -> Result<(), Failure> {
        self.session.message_arrived();
        self.session.tell_query(parse.sql);
        if parse.name.is_empty() {
            self.session.close_statement("");
        }
        if let Err(error) = self.session.check_statement_name(parse.name) {
            return Err(self.session.audit_unparsed(parse.sql, error).await.into());
        }
        let mut statements = self.session.split(parse.sql).await?.into_iter();
        let source = match (statements.next(), statements.next()) {
            (None, _) => None,
            (Some(statement), None) => {
                let types = match parameter_types(self.session.context(), &parse.types) {
                    Ok(types) => types,
                    Err(error) => return Err(self.session.audit_unbound(&statement, error).await.into()),
                };
                if let Err(error) = self.count_statement(&statement) {
                    return Err(self.session.audit_unbound(&statement, error).await.into());
                }
                self.extended.is_counted = true;
                Some(self.session.prepare(statement, &types).await?)
            }
            (Some(_), Some(_)) => {
                let error = Error::new("42601", "cannot insert multiple commands into a prepared statement");
                return Err(self.session.audit_unparsed(parse.sql, error).await.into());
            }
        };
        if let Err(error) = self.session.add_statement(parse.name, source.clone()) {
            return Err(self.refused(source.as_ref(), error).await);
        }
        self.report_notices();
        backend::bare(self.wire.output(), b'1');
        Ok(())
    }

    /// What is refused before it runs has a record where what fails has one.
    async fn refused(&mut self, source: Option<&Arc<Prepared>>, error: Error) -> Failure {
        let error = match source {
            Some(prepared) => self.session.audit_refused(prepared, error).await,
            None => self.session.audit_unnamed(error).await,
        };
        Failure::Statement(error)
    }

    async fn bind(&mut self, bind: &Bind<'_>) -> Result<(), Failure> {
        self.session.message_arrived();
        match self.bind_portal(bind) {
            Err(Failure::Statement(error)) => {
                let source = self.session.statement(bind.statement).ok().cloned().flatten();
                Err(self.refused(source.as_ref(), error).await)
            }
            bound => bound,
        }
    }

    fn bind_portal(&mut self, bind: &Bind<'_>) -> Result<(), Failure> {
        let source = self.session.statement(bind.statement)?.clone();
        if let Some(prepared) = &source {
            self.session.check_runnable(prepared)?;
        }
        let types = source.as_deref().map(Prepared::parameters).unwrap_or_default();
        let columns = source.as_deref().and_then(Prepared::columns).map(<[_]>::len);
        let parameters = decode_parameters(self.session.context(), types, bind)?;
        let formats = bind.result_formats.of_columns(columns)?;
        self.session.add_portal(bind.portal, source, parameters, formats)?;
        backend::bare(self.wire.output(), b'2');
        Ok(())
    }

    fn describe(&mut self, target: &Target<'_>) -> Result<(), Failure> {
        let text = ColumnFormats::Uniform(Format::Text);
        let (source, formats) = match target {
            Target::Statement(name) => {
                let source = self.session.statement(name)?;
                self.session.check_describable(source)?;
                let types = source.as_deref().map(Prepared::parameters).unwrap_or_default();
                backend::parameter_description(self.wire.output(), types);
                (source, &text)
            }
            Target::Portal(name) => {
                let bound = self.session.portal(name)?;
                self.session.check_describable(&bound.source)?;
                (&bound.source, &bound.formats)
            }
        };
        match source.as_deref().and_then(Prepared::columns) {
            Some(columns) => {
                let encoding = self.session.context().client_encoding;
                backend::row_description(self.wire.output(), encoding, columns, formats)?;
            }
            None => backend::bare(self.wire.output(), b'n'),
        }
        Ok(())
    }

    async fn execute(&mut self, name: &str, rows_max: usize) -> Result<(), Failure> {
        self.session.message_arrived();
        let source = self.session.portal(name).ok().and_then(|bound| bound.source.clone());
        if let Some(prepared) = source
            && let Err(error) = self.begin_statement(prepared.statement()).await
        {
            return Err(self.refused(Some(&prepared), error).await);
        }
        let mut bound = match self.session.take_portal(name) {
            Ok(bound) => bound,
            Err(error) => {
                let source = self.session.portal(name).ok().and_then(|bound| bound.source.clone());
                return Err(self.refused(source.as_ref(), error).await);
            }
        };
        let Some(prepared) = bound.source.clone() else {
            self.session.put_portal(name, bound);
            self.complete(Completion::Empty);
            return Ok(());
        };
        self.session.tell_prepared(&prepared);
        let mut portal = match bound.state {
            PortalState::Ready(parameters) => {
                self.enter_series(&prepared).await?;
                self.session.execute(&prepared, parameters).await?
            }
            PortalState::Started(mut portal) => {
                self.session.resume(&mut portal).await?;
                *portal
            }
            PortalState::Cursor(_) => {
                let formats = bound.formats.clone();
                self.session.put_portal(name, bound);
                if let Err(error) = self.session.check_runnable(&prepared) {
                    return Err(self.refused(Some(&prepared), error).await);
                }
                let mut portal = self.session.cursor_portal(name, &prepared);
                let output = Output { describes: false, formats: &formats, rows_max };
                let completion = self.run_portal(&mut portal, &output).await?;
                self.complete(completion);
                self.flush_if_large().await?;
                return Ok(());
            }
            PortalState::Failed => {
                self.session.put_portal(name, bound);
                return Err(self.refused(Some(&prepared), cannot_be_run(name)).await);
            }
            PortalState::Finished => {
                if let Err(error) = self.session.check_runnable(&prepared) {
                    return Err(self.refused(Some(&prepared), error).await);
                }
                bound.state = PortalState::Finished;
                self.session.put_portal(name, bound);
                if prepared.columns().is_none() {
                    return Err(self.refused(Some(&prepared), cannot_be_run(name)).await);
                }
                self.complete(Completion::Done(CommandTag::Select(0)));
                return Ok(());
            }
        };
        let output = Output { describes: false, formats: &bound.formats, rows_max };
        let run = self.run_portal(&mut portal, &output).await;
        let completion = run.inspect_err(|_| self.session.portal_failed(name))?;
        bound.state = state_after(portal, &completion);
        self.session.put_portal(name, bound);
        self.complete(completion);
        self.flush_if_large().await?;
        Ok(())
    }

    /// Counts a statement that is to begin, unless that was done when it was prepared, and has it wait for its turn.
    async fn begin_statement(&mut self, statement: &Statement) -> Result<(), Error> {
        if !std::mem::take(&mut self.extended.is_counted) {
            self.count_statement(statement)?;
        }
        self.take_place().await
    }

    /// Has the session keep one transaction until the Sync, unless that is what comes next, or the statement cannot be
    /// one of several.
    async fn enter_series(&mut self, prepared: &Prepared) -> Result<(), Failure> {
        if self.extended.in_transaction {
            return Ok(());
        }
        let alone = self.session.status() == TransactionStatus::Idle
            && (prepared.is_always_alone()
                || self.kind_behind_closes().await.map_err(Failure::Connection)? == b'S');
        if !alone {
            self.extended.in_transaction = true;
            self.session.begin_implicit().await;
        }
        Ok(())
    }

    fn close(&mut self, target: &Target<'_>) {
        match target {
            Target::Statement(name) => self.session.close_statement(name),
            Target::Portal(name) => self.session.close_portal(name),
        }
        backend::bare(self.wire.output(), b'3');
    }
}

fn cannot_be_run(name: &str) -> Error {
    Error::new("55000", format!("portal \"{name}\" cannot be run"))
}

/// How far a portal is after a run.
fn state_after(portal: Portal, completion: &Completion) -> PortalState {
    match completion {
        Completion::Suspended => PortalState::Started(Box::new(portal)),
        Completion::Done(_) | Completion::Empty => PortalState::Finished,
    }
}
