//! A session that a door works with: its statements are prepared once, and run, counted and recorded as those of
//! PostgreSQL's clients are.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use env::clock::Instant;
use env::trace::{self, Kind, Parent, Span};
use expr::{Row, SessionContext, TypeKind};
use sql::{
    CancelHandle, Error, Fetched, OutputColumn, Portal, Prepared, RunOutcome, Session, TransactionStatus,
    WatchedTable,
};

use super::{Door, Guest, Tables};
use crate::connection::Shared;
use crate::connection::authenticate::Refusal;
use crate::connection::startup::{Opening, note_refusal, open_session};
use crate::limits::{Holder, Tally};
use crate::registry::{Registered, Seat};
use crate::turn::Turn;

/// What is left of a statement that nobody wants the rest of.
const LEFT: &str = "57014";

/// A session, its client, and what it has prepared.
pub(crate) struct Work {
    session: Session,
    prepared: HashMap<&'static str, Arc<Prepared>>,
    shared: Arc<Shared>,
    tables: Arc<Tables>,
    turn: Turn,
    _registered: Registered,
    _seats: Vec<Seat>,
}

/// A statement under way.
pub(crate) struct Run {
    portal: Portal,
    started: Instant,
    /// Its span, if it is traced.
    executing: Option<Span>,
    /// How many rows it tells of, once it is done.
    done: Option<u64>,
}

impl Run {
    /// How many rows it tells of; 0 as long as it is not done.
    pub(crate) fn count(&self) -> u64 {
        self.done.unwrap_or(0)
    }

    /// The columns of its rows, once the first were asked for.
    pub(crate) fn columns(&self) -> &[OutputColumn] {
        self.portal.columns().unwrap_or_default()
    }
}

impl Work {
    /// A session of a client that may come in.
    pub(crate) async fn open(door: &Door, guest: &Guest) -> Result<Self, Error> {
        let address = door.shared.accounts.of(Holder::address(guest.peer.ip()), env::clock::now());
        let within = (address, door.shared.engine.gateway_bounds());
        let opened = open_session(guest.parameters.clone(), &guest.bounds, within, guest.peer, &door.shared);
        let counted = opened.and_then(|opening| guest.count(&opening, &door.shared).map(|()| opening));
        let Opening { session, registered, seats, turn } = match counted {
            Ok(opening) => opening,
            Err(error) => {
                let refusal = Refusal::Told(error.clone());
                note_refusal(&door.shared, &guest.parameters, guest.peer, &refusal).await;
                return Err(error);
            }
        };
        let mut work = Self {
            session,
            prepared: HashMap::new(),
            shared: door.shared.clone(),
            tables: door.tables.clone(),
            turn,
            _registered: registered,
            _seats: seats,
        };
        work.session.audit_login().await?;
        Ok(work)
    }

    /// What cancels it, from any task.
    pub(crate) fn cancel_handle(&self) -> CancelHandle {
        self.session.cancel_handle()
    }

    /// Whether its session is to end.
    pub(crate) fn is_over(&self) -> bool {
        self.session.cancel_handle().is_terminated()
    }

    /// Whether nothing is open in it.
    pub(crate) fn is_at_rest(&self) -> bool {
        !self.session.has_transaction() && !self.is_over()
    }

    /// Whether its transaction block has failed: nothing but its end is left.
    pub(crate) fn has_failed(&self) -> bool {
        self.session.status() == TransactionStatus::Failed
    }

    /// A request is to begin whose first statement is this, and that came in so many bytes: it counts as one, however many
    /// statements it takes. One that `must` begins in any case.
    ///
    /// # Errors
    /// 53400: it is one too many in this second, or too much has been sent or received.
    pub(crate) async fn begin_request(
        &mut self,
        statement: &'static str,
        bytes: u64,
        must: bool,
    ) -> Result<(), Error> {
        match self.turn.count(&self.session, bytes, must, &self.shared.metrics) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.session.audit_unparsed(statement, error).await),
        }
    }

    /// Counts bytes that have come and gone.
    pub(crate) fn count_bytes(&self, bytes: u64) {
        self.turn.count_bytes(&self.session, bytes);
    }

    /// What counts bytes when it is gone; `None`: nothing is bounded.
    pub(crate) fn tally(&self) -> Option<Tally> {
        self.turn.tally(&self.session)
    }

    /// The span of a request, if it is traced.
    pub(crate) fn begin_trace(&self, request: &'static str, parent: Option<Parent>) -> Option<Span> {
        if !trace::is_on() {
            return None;
        }
        let keep = self.session.traces(parent)?;
        let mut span = trace::root(request, Kind::Server, parent, keep)?;
        self.session.describe(&mut span, None);
        Some(span)
    }

    /// What the text of values depends on.
    pub(crate) fn context(&self) -> &SessionContext {
        self.session.context()
    }

    /// The version of the catalog as of now, while nothing is open.
    pub(crate) async fn catalog_version(&mut self) -> Result<u64, Error> {
        self.session.message_arrived();
        let version = self.session.catalog_version().await;
        self.end(version).await
    }

    /// Where the rows of a table lie, while nothing is open, for who watches it from a timestamp on.
    pub(crate) async fn watched(
        &mut self,
        table: (&str, &str),
        key: TypeKind,
        since: u64,
    ) -> Result<WatchedTable, Error> {
        self.session.message_arrived();
        let watched = self.session.watched(table, key, since).await;
        self.end(watched).await
    }

    /// The same of a table that has any primary key.
    pub(crate) async fn watched_rows(
        &mut self,
        table: (&str, &str),
        since: u64,
    ) -> Result<WatchedTable, Error> {
        self.session.message_arrived();
        let watched = self.session.watched_rows(table, since).await;
        self.end(watched).await
    }

    /// Makes sure, while nothing is open, that they lie there still.
    pub(crate) async fn watch_on(&mut self, watched: &WatchedTable) -> Result<(), Error> {
        self.session.message_arrived();
        let lies_there = self.session.watch_on(watched).await;
        self.end(lies_there).await
    }

    /// The client is waited for, in the middle of a statement.
    pub(crate) fn rest(&mut self) {
        self.turn.rest();
    }

    /// It goes on.
    pub(crate) fn go_on(&mut self) {
        self.turn.go_on();
    }

    /// Begins what is one transaction, of these statements. Its tables are there then.
    pub(crate) async fn begin(&mut self, statements: &[&'static str]) -> Result<(), Error> {
        self.make_ready(statements).await?;
        self.session.begin_implicit().await;
        Ok(())
    }

    /// Waits for its turn, and prepares statements, outside of transactions: the tables that they are about are made if they are
    /// not there. An error has ended what was begun.
    pub(crate) async fn make_ready(&mut self, statements: &[&'static str]) -> Result<(), Error> {
        self.session.message_arrived();
        if let Err(error) = self.take_turn(statements).await {
            return self.end(Err(error)).await;
        }
        for statement in statements.iter().copied() {
            if let Err(error) = self.prepared(statement).await {
                return self.end(Err(error)).await;
            }
        }
        Ok(())
    }

    /// Ends what was begun, or a statement by itself: commits, or rolls back after an error. A block that the client has
    /// opened goes on, or has failed.
    pub(crate) async fn end<T, E: From<Error>>(&mut self, outcome: Result<T, E>) -> Result<T, E> {
        let finished = self.session.finish_implicit(outcome.is_err()).await;
        // Nobody here reads them.
        drop(self.session.take_notices());
        self.session.tell_rest();
        self.turn.leave(&self.session);
        let answer = outcome?;
        finished?;
        Ok(answer)
    }

    /// Completes once what is recorded of the work so far is written: nothing of it is to be told before.
    pub(crate) async fn settle(&mut self) -> Result<(), Error> {
        self.session.audit_written().await
    }

    /// Runs a statement by itself: its rows, and how many it tells of.
    pub(crate) async fn once(
        &mut self,
        statement: &'static str,
        values: Row,
    ) -> Result<(Vec<Row>, u64), Error> {
        self.make_ready(&[statement]).await?;
        let outcome = self.run(statement, values).await;
        self.end(outcome).await
    }

    /// The same, of whose rows there may be many: each is handed on as it comes.
    pub(crate) async fn once_each(
        &mut self,
        statement: &'static str,
        values: Row,
        take: impl FnMut(Row) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        self.make_ready(&[statement]).await?;
        let outcome = self.each(statement, values, take).await;
        self.end(outcome).await
    }

    async fn each(
        &mut self,
        statement: &'static str,
        values: Row,
        mut take: impl FnMut(Row) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let mut run = self.start(statement, values).await?;
        while let Some(rows) = self.next(&mut run, 0).await? {
            let taken = rows.into_iter().try_for_each(&mut take);
            if let Err(error) = taken {
                self.leave(run).await?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Runs a statement of few rows, in the transaction that is open.
    pub(crate) async fn run(
        &mut self,
        statement: &'static str,
        values: Row,
    ) -> Result<(Vec<Row>, u64), Error> {
        let mut run = self.start(statement, values).await?;
        let mut rows = Vec::new();
        while let Some(more) = self.next(&mut run, 0).await? {
            rows.extend(more);
        }
        Ok((rows, run.count()))
    }

    /// Starts a statement whose rows come by [`Self::next`]. A run that is not read to its end is to be left
    /// ([`Self::leave`]).
    pub(crate) async fn start(&mut self, statement: &'static str, values: Row) -> Result<Run, Error> {
        self.session.message_arrived();
        let prepared = self.prepared(statement).await?;
        self.execute(&prepared, values).await
    }

    /// The same for a statement that is run once, with parameters of these types.
    pub(crate) async fn start_once(
        &mut self,
        statement: &str,
        types: &[TypeKind],
        values: Row,
    ) -> Result<Run, Error> {
        self.session.message_arrived();
        let types: Vec<_> = types.iter().copied().map(Some).collect();
        let prepared = self.prepare(statement, &types).await?;
        self.execute(&prepared, values).await
    }

    /// Runs a statement without parameters once, in the transaction that is open: its rows, which are few.
    pub(crate) async fn run_once(&mut self, statement: &str) -> Result<Vec<Row>, Error> {
        let mut run = self.start_once(statement, &[], Row::new()).await?;
        let mut rows = Vec::new();
        while let Some(more) = self.next(&mut run, 0).await? {
            rows.extend(more);
        }
        Ok(rows)
    }

    async fn execute(&mut self, prepared: &Arc<Prepared>, values: Row) -> Result<Run, Error> {
        self.session.tell_prepared(prepared);
        let portal = self.session.execute(prepared, values).await?;
        Ok(Run { portal, started: env::clock::now(), executing: trace::child("execute"), done: None })
    }

    /// The next rows, at most so many (0: a batch); none at the end.
    pub(crate) async fn next(&mut self, run: &mut Run, rows_max: usize) -> Result<Option<Vec<Row>>, Error> {
        if run.done.is_some() {
            return Ok(None);
        }
        let context = run.executing.as_ref().map(|span| span.context().clone());
        let fetched = trace::under(context, pin!(self.session.fetch(&mut run.portal, rows_max))).await;
        let (rows, tag) = match fetched {
            Ok(Fetched::Rows(rows)) => return Ok(Some(rows)),
            Ok(Fetched::Whole(row, tag)) => (row.into_iter().collect::<Vec<_>>(), tag),
            Ok(Fetched::Done(tag)) => (Vec::new(), tag),
            Ok(_) => return self.failed(run, Error::internal("a door's statement copies")).await,
            Err(error) => return self.failed(run, error).await,
        };
        let took = self.count(run);
        self.session.note_run(&run.portal, took, Ok(tag.rows()));
        run.done = Some(tag.rows());
        run.executing = None;
        self.session.audit_run(&run.portal, took, RunOutcome::Done(&tag)).await?;
        Ok(Some(rows).filter(|rows| !rows.is_empty()))
    }

    /// Rows are about to leave before all of them do.
    pub(crate) fn tell_started(&mut self, run: &Run) {
        self.session.audit_started(&run.portal);
    }

    /// Gives up a run whose rest nobody wants.
    pub(crate) async fn leave(&mut self, run: Run) -> Result<(), Error> {
        if run.done.is_some() {
            return Ok(());
        }
        let took = self.count(&run);
        self.session.audit_run(&run.portal, took, RunOutcome::Left(LEFT)).await
    }

    /// Rolls back what is open and ends the session.
    pub(crate) async fn close(mut self) {
        self.session.audit_logout();
        if let Err(error) = self.session.audit_written().await {
            tracing::debug!(%error, "the record of a session's end is not written");
        }
        self.session.close().await;
    }

    async fn failed<T>(&mut self, run: &mut Run, error: Error) -> Result<T, Error> {
        if Tables::are_missing(&error) || error.sqlstate == "0A000" {
            // They were dropped, or are not what they were: whoever comes next finds them as they are.
            self.prepared.clear();
        }
        run.done = Some(0);
        note_failure(&mut run.executing, &error);
        run.executing = None;
        let took = self.count(run);
        self.session.note_run(&run.portal, took, Err(&error));
        self.session.audit_run(&run.portal, took, RunOutcome::Failed(error.sqlstate)).await?;
        Err(error)
    }

    /// Counts a run that is over; how long it took.
    fn count(&self, run: &Run) -> std::time::Duration {
        let took = run.started.elapsed();
        self.shared.metrics.ran(run.portal.class(), took);
        took
    }

    /// Has the session wait for its turn, unless it has its place already, or a transaction open.
    async fn take_turn(&mut self, statements: &[&'static str]) -> Result<(), Error> {
        if self.turn.take_at_once() {
            return Ok(());
        }
        match self.turn.wait(&mut self.session, &self.shared.metrics).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let first = statements.first().copied().unwrap_or_default();
                Err(self.session.audit_unparsed(first, error).await)
            }
        }
    }

    async fn prepared(&mut self, text: &'static str) -> Result<Arc<Prepared>, Error> {
        if let Some(prepared) = self.prepared.get(text) {
            return Ok(prepared.clone());
        }
        let prepared = match self.prepare(text, &[]).await {
            Err(error) if Tables::are_missing(&error) => {
                self.session.fail().await;
                self.tables.make(&self.shared).await?;
                self.prepare(text, &[]).await?
            }
            prepared => prepared?,
        };
        self.prepared.insert(text, prepared.clone());
        Ok(prepared)
    }

    async fn prepare(&mut self, text: &str, types: &[Option<TypeKind>]) -> Result<Arc<Prepared>, Error> {
        let mut statements = self.session.split(text).await?.into_iter();
        let statement = statements.next().ok_or_else(|| Error::internal("a door's statement is empty"))?;
        self.session.prepare(statement, types).await
    }
}

/// Notes how what a span is about has failed.
pub(crate) fn note_failure(span: &mut Option<Span>, error: &Error) {
    if let Some(span) = span {
        span.note("db.response.status_code", error.sqlstate);
        span.fail(error.sqlstate);
    }
}
