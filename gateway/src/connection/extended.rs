//! The extended protocol: Parse, Bind, Describe, Execute, Close, up to a Sync.
//!
//! What is executed up to a Sync shares one implicit transaction. A lone Execute that its Sync follows at once, as most
//! drivers send it, needs none: the statement commits by itself, and can be run again after a conflict.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use expr::datum::Row;
use sql::{CommandTag, Error, Portal, Prepared, StatementKind, TransactionStatus};
use tokio::io::{AsyncRead, AsyncWrite};

use super::statement::{Completion, Output};
use super::value::{decode_parameters, parameter_types};
use super::{Connection, Ending, Failure};
use crate::pgwire::frontend::{Bind, ColumnFormats, Format, Message, Parse, Target};
use crate::pgwire::{ProtocolError, backend};

/// A session's named things, and where it is in a series of messages.
///
/// # Invariants
/// - Portals do not outlive their transaction: outside of a transaction block a Sync ends them all.
#[derive(Default)]
pub(super) struct Extended {
    statements: HashMap<String, Source>,
    unnamed_statement: Option<Source>,
    portals: HashMap<String, Bound>,
    unnamed_portal: Option<Bound>,
    /// Messages have been handled that no Sync has followed yet.
    awaiting_sync: bool,
    /// The session has been told to keep one transaction until the Sync.
    in_transaction: bool,
    /// There was an error: nothing is answered until the Sync.
    skipping: bool,
}

/// What a name was parsed to; None = a string without a statement.
type Source = Option<Arc<Prepared>>;

/// A portal.
struct Bound {
    source: Source,
    formats: ColumnFormats,
    state: BoundState,
}

enum BoundState {
    /// Not yet executed.
    Ready(Row),
    /// Executed in part.
    Started(Portal),
    /// Executed to its end.
    Finished,
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

    /// Forgets what a simple query replaces.
    pub(super) fn forget_unnamed(&mut self) {
        self.unnamed_statement = None;
        self.unnamed_portal = None;
    }

    /// Forgets the portals if their transaction has ended.
    pub(super) fn forget_portals(&mut self, status: TransactionStatus) {
        if status == TransactionStatus::Idle {
            self.unnamed_portal = None;
            self.portals.clear();
        }
    }

    fn statement(&self, name: &str) -> Result<&Source, Error> {
        let found = if name.is_empty() { self.unnamed_statement.as_ref() } else { self.statements.get(name) };
        found.ok_or_else(|| {
            if name.is_empty() {
                Error::new("26000", "unnamed prepared statement does not exist")
            } else {
                Error::new("26000", format!("prepared statement \"{name}\" does not exist"))
            }
        })
    }

    fn portal(&self, name: &str) -> Result<&Bound, Error> {
        let found = if name.is_empty() { self.unnamed_portal.as_ref() } else { self.portals.get(name) };
        found.ok_or_else(|| no_portal(name))
    }

    /// Takes a portal out, so that a run that fails leaves none behind.
    fn take_portal(&mut self, name: &str) -> Result<Bound, Error> {
        let found = if name.is_empty() { self.unnamed_portal.take() } else { self.portals.remove(name) };
        found.ok_or_else(|| no_portal(name))
    }

    fn put_portal(&mut self, name: &str, bound: Bound) {
        if name.is_empty() {
            self.unnamed_portal = Some(bound);
        } else {
            self.portals.insert(name.to_owned(), bound);
        }
    }
}

fn no_portal(name: &str) -> Error {
    Error::new("34000", format!("portal \"{name}\" does not exist"))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Handles one message of a series.
    pub(super) async fn extended_message(&mut self, message: Message<'_>) -> Result<(), Failure> {
        self.extended.awaiting_sync = true;
        match message {
            Message::Parse(parse) => self.parse(parse).await,
            Message::Bind(bind) => self.bind(&bind),
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
        if self.extended.end_series()
            && let Err(error) = self.session.finish_implicit(failed).await
        {
            self.report(error.report());
        }
        self.extended.forget_portals(self.session.status());
        self.ready_for_query().await
    }

    async fn parse(&mut self, parse: Parse<'_>) -> Result<(), Failure> {
        if parse.name.is_empty() {
            self.extended.unnamed_statement = None;
        } else if self.extended.statements.contains_key(parse.name) {
            return Err(
                Error::new("42P05", format!("prepared statement \"{}\" already exists", parse.name)).into()
            );
        }
        let mut statements = self.session.split(parse.sql).await?.into_iter();
        let source = match (statements.next(), statements.next()) {
            (None, _) => None,
            (Some(statement), None) => {
                Some(self.session.prepare(statement, &parameter_types(&parse.types)?).await?)
            }
            (Some(_), Some(_)) => {
                return Err(
                    Error::new("42601", "cannot insert multiple commands into a prepared statement").into()
                );
            }
        };
        if parse.name.is_empty() {
            self.extended.unnamed_statement = Some(source);
        } else {
            self.extended.statements.insert(parse.name.to_owned(), source);
        }
        self.report_notices();
        backend::bare(self.wire.output(), b'1');
        Ok(())
    }

    fn bind(&mut self, bind: &Bind<'_>) -> Result<(), Failure> {
        let source = self.extended.statement(bind.statement)?.clone();
        if !bind.portal.is_empty()
            && let Entry::Occupied(_) = self.extended.portals.entry(bind.portal.to_owned())
        {
            return Err(Error::new("42P03", format!("portal \"{}\" already exists", bind.portal)).into());
        }
        if self.session.status() == TransactionStatus::Failed
            && source.as_ref().is_some_and(|prepared| prepared.kind() != StatementKind::Transaction)
        {
            return Err(Error::new(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            )
            .into());
        }
        let types = source.as_deref().map(Prepared::parameters).unwrap_or_default();
        let columns = source.as_deref().and_then(Prepared::columns).map_or(0, <[_]>::len);
        let parameters = decode_parameters(self.session.context(), types, bind)?;
        let formats = bind.result_formats.resolve(columns, "result")?;
        self.extended
            .put_portal(bind.portal, Bound { source, formats, state: BoundState::Ready(parameters) });
        backend::bare(self.wire.output(), b'2');
        Ok(())
    }

    fn describe(&mut self, target: &Target<'_>) -> Result<(), Failure> {
        let text = ColumnFormats::Uniform(Format::Text);
        let (source, formats) = match target {
            Target::Statement(name) => {
                let source = self.extended.statement(name)?;
                let types = source.as_deref().map(Prepared::parameters).unwrap_or_default();
                backend::parameter_description(self.wire.output(), types);
                (source, &text)
            }
            Target::Portal(name) => {
                let bound = self.extended.portal(name)?;
                (&bound.source, &bound.formats)
            }
        };
        match source.as_deref().and_then(Prepared::columns) {
            Some(columns) => backend::row_description(self.wire.output(), columns, formats),
            None => backend::bare(self.wire.output(), b'n'),
        }
        Ok(())
    }

    async fn execute(&mut self, name: &str, rows_max: usize) -> Result<(), Failure> {
        let mut bound = self.extended.take_portal(name)?;
        let Some(prepared) = bound.source.clone() else {
            self.extended.put_portal(name, bound);
            self.complete(Completion::Empty);
            return Ok(());
        };
        let mut portal = match bound.state {
            BoundState::Ready(parameters) => {
                let alone = rows_max == 0 && self.wire.next_is(b'S');
                if !alone && !self.extended.in_transaction {
                    self.extended.in_transaction = true;
                    self.session.begin_implicit().await;
                }
                self.session.execute(&prepared, parameters).await?
            }
            BoundState::Started(portal) => portal,
            BoundState::Finished => {
                bound.state = BoundState::Finished;
                self.extended.put_portal(name, bound);
                if prepared.columns().is_none() {
                    return Err(Error::new("55000", format!("portal \"{name}\" cannot be run")).into());
                }
                self.complete(Completion::Done(CommandTag::Select(0)));
                return Ok(());
            }
        };
        let output = Output { columns: prepared.columns(), formats: &bound.formats, rows_max };
        let completion = self.run_portal(&mut portal, &output).await?;
        bound.state = match completion {
            Completion::Suspended => BoundState::Started(portal),
            Completion::Done(_) | Completion::Empty => BoundState::Finished,
        };
        if prepared.kind() == StatementKind::Transaction {
            self.extended.forget_portals(self.session.status());
        }
        self.extended.put_portal(name, bound);
        self.complete(completion);
        self.wire.flush_if_large().await?;
        Ok(())
    }

    fn close(&mut self, target: &Target<'_>) {
        match target {
            Target::Statement("") => self.extended.unnamed_statement = None,
            Target::Statement(name) => drop(self.extended.statements.remove(*name)),
            Target::Portal("") => self.extended.unnamed_portal = None,
            Target::Portal(name) => drop(self.extended.portals.remove(*name)),
        }
        backend::bare(self.wire.output(), b'3');
    }
}
