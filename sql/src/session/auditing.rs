//! What the session hands over to the audit log.
//!
//! A statement that is to be recorded takes a place in the log before it runs, and hands over its record when it has come
//! to its end; what it answers is sent once that is written. What could not be parsed or bound is recorded where anything of
//! its class is.
//!
//! A portal that is run in parts has a record of each. What is done before its rows are handed out, as what RETURNING answers
//! is, has one, which says that it is done, whatever becomes of its rows.
//!
//! # Invariants
//! - A run that was seen and is due has one record of its end: by [`Session::audit_run`], or, where the session is dropped in
//!   the middle of it, by that.
//! - A record says `ok` of nothing that did not happen, and an error of nothing that did; of what nobody knows, that it is unknown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use audit::{Class, Classes, Object, Place, Record, Ticket};
use env::clock::{self, Instant};
use env::task::boxed;

use super::Session;
use super::portal::{CommandTag, Fetched, Portal, State};
use super::prepared::{Planned, Prepared, Statement};
use super::transaction::Block;
use crate::error::{Error, Result};
use crate::parse::ast::{AccessStatement, AlterAction, Body, SettingChange, SettingValue};
use crate::parse::{self, first_words, keywords_alone, redacted};
use crate::plan::audited::{self, Audited};
use crate::plan::{Plan, SessionCommand};
use crate::settings::{AUDIT, SessionParameters, is_made_up};

/// So much of a statement's text is recorded.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// The class of what could not be read.
const UNKNOWN: &str = "UNKNOWN";

/// The outcome of what was under way when its session was dropped.
const UNKNOWN_OUTCOME: &str = "unknown";

/// What the audit log has to know of a session.
pub(super) struct Auditing {
    remote: String,
    encrypted: bool,
    authentication: &'static str,
    /// The client itself has said what is audited.
    is_set_by_client: bool,
    since: Instant,
    run: Option<Run>,
    /// The newest record that may have yet to be written.
    newest: Option<Ticket>,
    /// Changes of the transaction under way were recorded: what becomes of it is to be, too.
    has_changes: bool,
    /// The client has been let in.
    is_in: bool,
    /// The end of the session is recorded, if that is to be.
    is_over: bool,
}

/// A statement under way that is to be recorded.
struct Run {
    planned: Arc<Planned>,
    command: &'static str,
    place: Option<Place>,
    since: Instant,
    is_started: bool,
    /// So many of its rows were asked for, and recorded, before.
    rows_before: u64,
    /// It has done its work: what is left is to send what it answers.
    done: Option<CommandTag>,
}

impl Run {
    fn of(planned: &Arc<Planned>) -> Self {
        let command = audited::command(&planned.bound.plan);
        Self {
            planned: planned.clone(),
            command,
            place: None,
            since: clock::now(),
            is_started: false,
            rows_before: 0,
            done: None,
        }
    }
}

/// A statement under way that waits for others which it runs.
pub(super) struct SetAside(Option<Run>);

/// How far a run of a portal has come.
#[derive(Debug, Clone, Copy)]
pub enum RunOutcome<'a> {
    /// To its end.
    Done(&'a CommandTag),
    /// To so many rows; there may be more.
    Suspended(u64),
    /// It failed, with this SQLSTATE.
    Failed(&'a str),
    /// Its client has gone, or its session is to end, for what this SQLSTATE says.
    Left(&'a str),
}

impl Auditing {
    pub(super) fn new(parameters: &SessionParameters) -> Self {
        let is_set_by_client = parameters.settings.iter().any(|(name, _)| name.eq_ignore_ascii_case(AUDIT));
        Self {
            remote: String::new(),
            encrypted: parameters.encrypted,
            authentication: parameters.authentication,
            is_set_by_client,
            since: clock::now(),
            run: None,
            newest: None,
            has_changes: false,
            is_in: false,
            is_over: false,
        }
    }

    /// Where the client is.
    pub(super) fn place(&mut self, client: Option<SocketAddr>) {
        self.remote = client.map(|client| client.to_string()).unwrap_or_default();
    }

    /// A portal begins to run.
    pub(super) fn begin(&mut self) {
        self.run = None;
    }

    /// The statement under way runs others, which are recorded as any are.
    pub(super) fn set_aside(&mut self) -> SetAside {
        SetAside(self.run.take())
    }

    /// It goes on.
    pub(super) fn take_up(&mut self, aside: SetAside) {
        self.run = aside.0;
    }

    /// This came of the statement under way. What it has done so far is done.
    pub(super) fn note(&mut self, fetched: &Fetched, state: &State) {
        let Some(run) = &mut self.run else { return };
        match (fetched, state) {
            (Fetched::Whole(_, tag) | Fetched::Done(tag), _)
            | (Fetched::Rows(_), State::Held { tag, .. }) => run.done = Some(tag.clone()),
            (Fetched::EmptyQuery, _) => self.run = None,
            _ => {}
        }
    }

    /// The statement under way is this command, whatever its plan is called.
    pub(super) fn call(&mut self, command: &'static str) {
        if let Some(run) = &mut self.run {
            run.command = command;
        }
    }
}

impl Session {
    /// This is the statement under way, as it is about to run.
    pub(super) fn audit_seen(&mut self, planned: &Arc<Planned>) {
        let before = self.auditing.run.take();
        if self.is_audited(planned) {
            let mut run = Run::of(planned);
            if let Some(before) = before {
                (run.place, run.since, run.is_started) = (before.place, before.since, before.is_started);
            }
            self.auditing.run = Some(run);
        }
    }

    /// The same of one that was begun before, and reads on: a table that it reads may have come to be audited meanwhile.
    fn audit_reads_on(&mut self, planned: &Arc<Planned>) {
        self.audit_seen(planned);
        if self.auditing.run.is_none() && self.is_audited_by_now(planned) {
            self.audit_due(planned);
        }
    }

    /// The statement under way reads on a cursor.
    pub(super) async fn audit_cursor(&mut self, name: &str, command: &'static str) -> Result<()> {
        let cursor = self.registry.cursor(name).ok();
        if let Some(planned) = cursor.map(|cursor| cursor.prepared.planned.lock().clone()) {
            self.audit_reads_on(&planned);
            self.auditing.call(command);
        }
        self.audit_reserve().await
    }

    /// A portal that was left in the middle of its rows is gone on with. One whose work is done hands out what was recorded.
    pub(super) async fn audit_resumed(&mut self, portal: &Portal) -> Result<()> {
        self.auditing.begin();
        match &portal.state {
            State::Streaming(running) => self.audit_reads_on(&running.planned),
            State::Fetching(fetching) => {
                self.audit_cursor(&fetching.name, "FETCH").await?;
                if let Some(run) = &mut self.auditing.run {
                    run.rows_before = fetching.count;
                }
            }
            _ => {}
        }
        self.audit_reserve().await
    }

    /// A table that the statement under way touches has come to be audited since its transaction began: it goes on under its
    /// own catalog, and not unseen.
    pub(super) fn audit_due(&mut self, planned: &Arc<Planned>) {
        self.auditing.run.get_or_insert_with(|| Run::of(planned));
    }

    fn is_audited(&self, planned: &Planned) -> bool {
        let ends = match &planned.bound.plan {
            Plan::Session(command) => {
                use SessionCommand::{Commit, Rollback, RollbackTo};
                matches!(**command, Commit { .. } | Rollback { .. } | RollbackTo(_))
            }
            _ => false,
        };
        planned.audited.is_due(self.settings.hot().audit) || ends && self.auditing.has_changes
    }

    /// Whether a table that the statement touches is audited, as far as this gateway has heard.
    fn is_audited_by_now(&mut self, planned: &Planned) -> bool {
        let own = self.transaction.open.as_ref().filter(|open| open.raised).map(|open| open.catalog.clone());
        let newest = own.or_else(|| self.engine.cached_catalog(&mut self.newest, self.database));
        newest.is_some_and(|newest| audited::is_audited_in(&planned.bound, &newest))
    }

    /// Takes a place for the record of the statement under way, if it is to have one.
    pub(super) async fn audit_reserve(&mut self) -> Result<()> {
        let Some(run) = &mut self.auditing.run else { return Ok(()) };
        if run.place.is_none() {
            match self.engine.audit().reserve().await {
                Ok(place) => run.place = Some(place),
                // Nothing is done by that, and nobody is kept in a transaction.
                Err(_) if run.command == "ROLLBACK" => {}
                Err(_) => {
                    self.auditing.run = None;
                    return Err(unavailable());
                }
            }
        }
        Ok(())
    }

    /// Rows of a portal are about to leave before all of them do. What is done by now is recorded as that.
    pub fn audit_started(&mut self, portal: &Portal) {
        let Some(mut run) = self.auditing.run.take() else { return };
        if let Some(tag) = run.done.take() {
            let record = self.record_of_end(&run, portal, run.since.elapsed(), RunOutcome::Done(&tag));
            self.hand_over_in(run.place.take(), &record);
            return;
        }
        if !run.is_started {
            run.is_started = true;
            let record = self.record_of(&run, &portal.prepared, run.command, "started");
            self.hand_over_in(None, &record);
        }
        self.auditing.run = Some(run);
    }

    /// A portal was run, for so long.
    ///
    /// # Errors
    /// 58030: the audit log cannot be written. The statement has failed already.
    pub async fn audit_run(
        &mut self,
        portal: &Portal,
        took: Duration,
        outcome: RunOutcome<'_>,
    ) -> Result<()> {
        let Some(mut run) = self.auditing.run.take() else { return Ok(()) };
        let done = run.done.take();
        let outcome = match (outcome, &done) {
            // It was done whoever hears of it; if what is open yet comes to nothing, that is recorded as well.
            (RunOutcome::Suspended(_) | RunOutcome::Left(_), Some(tag)) => RunOutcome::Done(tag),
            // It had committed when what it answers turned out to be nothing that can be sent.
            (RunOutcome::Failed(_), Some(tag)) if self.transaction.block == Block::Idle => {
                RunOutcome::Done(tag)
            }
            (outcome, _) => outcome,
        };
        let record = self.record_of_end(&run, portal, took, outcome);
        let place = run.place.take();
        if place.is_none() && run.command != "ROLLBACK" {
            return self.hand_over(&record).await;
        }
        self.hand_over_in(place, &record);
        Ok(())
    }

    /// What a run has come to. What becomes of its transaction is to be recorded, too, if it has changed anything.
    fn record_of_end(
        &mut self,
        run: &Run,
        portal: &Portal,
        took: Duration,
        outcome: RunOutcome<'_>,
    ) -> Record {
        let (command, told, rows) = match outcome {
            // What a COMMIT came to.
            RunOutcome::Done(CommandTag::Plain(tag @ ("COMMIT" | "ROLLBACK"))) if run.command == "COMMIT" => {
                (*tag, "ok", None)
            }
            RunOutcome::Done(CommandTag::Plain(_)) => (run.command, "ok", None),
            RunOutcome::Done(tag) => (run.command, "ok", Some(tag.rows().saturating_sub(run.rows_before))),
            RunOutcome::Suspended(rows) => (run.command, "suspended", Some(rows)),
            RunOutcome::Failed(sqlstate) | RunOutcome::Left(sqlstate) => (run.command, sqlstate, None),
        };
        let is_end = matches!(command, "COMMIT" | "ROLLBACK") || self.transaction.block == Block::Idle;
        let audited = &run.planned.audited;
        let changes = audited.always || matches!(audited.class, Class::Write | Class::Ddl | Class::Role);
        self.auditing.has_changes = !is_end && (self.auditing.has_changes || changes);
        let mut record = self.record_of(run, &portal.prepared, command, told);
        record.rows = rows;
        record.duration_us = Some(micros(took));
        record
    }

    /// What was prepared is refused before it runs; the error that the client is to be told.
    #[boxed]
    pub async fn audit_refused(&mut self, prepared: &Prepared, error: Error) -> Error {
        let planned = prepared.planned.lock().clone();
        if !self.is_audited(&planned) && !self.is_audited_by_now(&planned) {
            return error;
        }
        let run = Run::of(&planned);
        let record = self.record_of(&run, prepared, run.command, error.sqlstate);
        self.hand_over(&record).await.err().unwrap_or(error)
    }

    /// The same of a message that names no statement or portal that is there.
    #[boxed]
    pub async fn audit_unnamed(&mut self, error: Error) -> Error {
        if !self.settings.hot().audit.contains(Class::Misc) {
            return error;
        }
        let record = self.record(Class::Misc.name(), "EXECUTE".to_owned(), error.sqlstate);
        self.hand_over(&record).await.err().unwrap_or(error)
    }

    /// A transaction that no statement ends has come to its end: what was recorded in it may have come to nothing.
    pub(super) fn audit_implicit_end(&mut self, command: &str, ended: &Result<()>) {
        let has_changes = std::mem::take(&mut self.auditing.has_changes);
        if has_changes && (ended.is_err() || command == "ROLLBACK") {
            let outcome = ended.as_ref().map_or_else(|error| error.sqlstate, |()| "ok");
            let record = self.record(Class::Misc.name(), command.to_owned(), outcome);
            self.hand_over_in(None, &record);
        }
    }

    /// `set_config` has changed a setting: what is audited from now on is recorded as SET is.
    pub(super) fn audit_setting(&mut self, name: &str) {
        if name.eq_ignore_ascii_case(AUDIT) {
            self.auditing.has_changes |= self.transaction.block != Block::Idle;
            let classes = self.settings.hot().audit;
            self.record_setting("ok", Some(format!("/* audit: {classes} */")));
        }
    }

    /// It was asked to change what is audited, and has refused.
    pub(super) fn audit_refused_settings(&mut self) {
        if let Some(sqlstate) = self.settings.shared().take_refused() {
            self.record_setting(sqlstate, None);
        }
    }

    fn record_setting(&mut self, outcome: &str, statement: Option<String>) {
        let mut record = self.record(Class::Session.name(), "SET".to_owned(), outcome);
        record.objects = vec![Object { kind: "setting", name: AUDIT.to_owned(), access: Vec::new() }];
        record.statement = statement;
        self.hand_over_in(None, &record);
    }

    /// A text could not be parsed, or is not what it may be; the error that the client is to be told.
    #[boxed]
    pub async fn audit_unparsed(&mut self, text: &str, error: Error) -> Error {
        if self.settings.hot().audit.is_empty() {
            return error;
        }
        let mut record = self.record(UNKNOWN, first_words(text), error.sqlstate);
        record.statement = (!text.is_empty()).then(|| keywords_alone(text, TEXT_BYTES_MAX));
        self.hand_over(&record).await.err().unwrap_or(error)
    }

    /// The same of a statement that could not be bound.
    #[boxed]
    pub async fn audit_unbound(&mut self, statement: &Statement, error: Error) -> Error {
        let audited = Audited::of_body(&statement.0.body);
        if !audited.is_due(self.settings.hot().audit) {
            return error;
        }
        let mut record = self.record(audited.class.name(), first_words(&statement.0.text), error.sqlstate);
        record.statement = match error.sqlstate {
            // What nothing is called may be a password without its quotes.
            "42703" | "42704" | "42883" => Some(keywords_alone(&statement.0.text, TEXT_BYTES_MAX)),
            _ => told_text(&statement.0),
        };
        self.hand_over(&record).await.err().unwrap_or(error)
    }

    /// The client has logged in.
    ///
    /// # Errors
    /// 58030: the audit log cannot be written.
    #[boxed]
    pub async fn audit_login(&mut self) -> Result<()> {
        if self.audits_sessions() || self.auditing.is_set_by_client {
            let record = self.record(Class::Session.name(), "LOGIN".to_owned(), "ok");
            self.hand_over(&record).await?;
        }
        self.auditing.is_in = true;
        Ok(())
    }

    /// The session is about to end.
    pub fn audit_logout(&mut self) {
        if std::mem::replace(&mut self.auditing.is_over, true) {
            return;
        }
        // A transaction that is open yet is rolled back with the session.
        self.audit_implicit_end("ROLLBACK", &Ok(()));
        if self.auditing.is_in && self.audits_sessions() {
            let mut record = self.record(Class::Session.name(), "LOGOUT".to_owned(), "ok");
            record.duration_us = Some(micros(self.auditing.since.elapsed()));
            self.hand_over_in(None, &record);
        }
    }

    /// The session is dropped, in the middle of whatever it does: its task was ended, or has panicked.
    pub(super) fn audit_dropped(&mut self) {
        if self.auditing.is_over {
            return;
        }
        let run = self.auditing.run.take();
        // From when a commit is on its way nothing is open, and nobody knows what becomes of it.
        let is_commit = run.as_ref().is_some_and(|run| run.command == "COMMIT");
        let may_have_committed =
            self.transaction.open.is_none() && (is_commit || self.transaction.block == Block::Idle);
        let is_told = run.is_some();
        if let Some(mut run) = run {
            let outcome = if run.done.is_some() { "ok" } else { UNKNOWN_OUTCOME };
            let mut record = self.record(run.planned.audited.class.name(), run.command.to_owned(), outcome);
            name_objects(&mut record, &run);
            self.hand_over_in(run.place.take(), &record);
        }
        if may_have_committed && std::mem::take(&mut self.auditing.has_changes) && !is_told {
            let record = self.record(Class::Misc.name(), "COMMIT".to_owned(), UNKNOWN_OUTCOME);
            self.hand_over_in(None, &record);
        }
        self.audit_logout();
    }

    /// Waits until what was handed over is written: nothing of it is told to the client before.
    ///
    /// # Errors
    /// 58030: it is not.
    pub async fn audit_written(&mut self) -> Result<()> {
        match self.auditing.newest.take() {
            Some(newest) => self.engine.audit().written(newest).await.map_err(|_| unavailable()),
            None => Ok(()),
        }
    }

    fn audits_sessions(&self) -> bool {
        self.settings.hot().audit.contains(Class::Session)
    }

    async fn hand_over(&mut self, record: &Record) -> Result<()> {
        let log = self.engine.audit();
        let place = log.reserve().await.map_err(|_| unavailable())?;
        let ticket = log.hand_over(place, record);
        self.auditing.newest = Some(ticket);
        Ok(())
    }

    /// The same without waiting; a record that has no place is one of which there are few.
    fn hand_over_in(&mut self, place: Option<Place>, record: &Record) {
        let log = self.engine.audit();
        let ticket = match place {
            Some(place) => log.hand_over(place, record),
            None => log.hand_over_at_once(record),
        };
        self.auditing.newest = Some(ticket);
    }

    fn record_of(&self, run: &Run, prepared: &Prepared, command: &str, outcome: &str) -> Record {
        let mut record = self.record(run.planned.audited.class.name(), command.to_owned(), outcome);
        name_objects(&mut record, run);
        record.statement = told_text(&prepared.statement.0);
        record
    }

    fn record(&self, class: &'static str, command: String, outcome: &str) -> Record {
        let application = self.settings.show("application_name").unwrap_or_default();
        Record {
            session: self.context.backend_pid,
            database: self.context.database.to_string(),
            user: self.context.session_user.to_string(),
            login: Some(&self.authenticated)
                .filter(|login| **login != self.context.session_user)
                .map(|login| login.to_string()),
            role: self.context.current_user.to_string(),
            remote: self.auditing.remote.clone(),
            application: application.to_string(),
            encrypted: self.auditing.encrypted,
            authentication: self.auditing.authentication,
            class,
            command,
            outcome: outcome.to_owned(),
            ..Record::default()
        }
    }
}

fn name_objects(record: &mut Record, run: &Run) {
    record.objects = audited::objects(&run.planned.bound);
    record.objects_cut = record.objects.len() > audited::OBJECTS_MAX;
    record.objects.truncate(audited::OBJECTS_MAX);
}

/// What of a statement's text is recorded: no literals but what is audited from now on, and no values of settings that
/// nobody knows.
fn told_text(statement: &parse::Statement) -> Option<String> {
    let setting = match &statement.body {
        Body::Set { name, value, .. } => Some((name, value)),
        Body::Access(access) => match access.as_ref() {
            AccessStatement::Defaults(defaults) => match &defaults.change {
                SettingChange::Set(name, value) => Some((name, value)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    if setting.is_some_and(|(name, _)| is_made_up(name)) {
        return None;
    }
    let audit = match (&statement.body, setting) {
        (_, Some((name, SettingValue::Values(values)))) if name == AUDIT => {
            Classes::parse(&values.join(","), Classes::ALL).ok()
        }
        (Body::AlterTable(alter), _) => alter.actions.iter().find_map(|action| match action {
            AlterAction::Audit(classes) => Some(*classes),
            _ => None,
        }),
        (Body::CreateTable(create), _) => Some(create.audit).filter(|audit| !audit.is_empty()),
        _ => None,
    };
    let text = redacted(&statement.text, TEXT_BYTES_MAX);
    Some(match audit {
        Some(classes) => format!("{text} /* audit: {classes} */"),
        None => text,
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn unavailable() -> Error {
    Error::new("58030", "the audit log cannot be written")
        .hint("The statement is one of those that are audited.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands for a secret in the statements below.
    const SECRETS: [&str; 3] = ["hunter2", "Correct-Horse", "s3cr€t"];

    fn told(text: &str) -> Vec<String> {
        match parse::parse(text) {
            Ok(statements) => statements.iter().filter_map(told_text).collect(),
            Err(_) => vec![keywords_alone(text, TEXT_BYTES_MAX)],
        }
    }

    /// A secret in every form in which it may be written.
    fn written(secret: &str) -> Vec<String> {
        vec![
            format!("'{secret}'"),
            format!("E'{secret}'"),
            format!("U&'{secret}'"),
            format!("$${secret}$$"),
            format!("$tag${secret}$tag$"),
            format!("'{secret}'\n'{secret}'"),
            format!("'{secret}"),
            format!("\"{secret}\""),
            secret.to_owned(),
            format!("'postgresql://ann:{secret}@host:5433/db'"),
            format!("'host=h password={secret}'"),
        ]
    }

    /// Statements that carry passwords, well formed or not; `{}` is where.
    const FORMS: [&str; 40] = [
        "create role ann password {}",
        "create role ann with login encrypted password {} valid until '2030-01-01'",
        "CREATE USER ann PASSWORD {} CONNECTION LIMIT 3",
        "create group g password {}",
        "alter role ann password {}",
        "alter role ann with superuser password {}",
        "alter user current_user password {}",
        "alter role ann unencrypted password {}",
        "alter role ann pasword {}",
        "alter rol ann password {}",
        "alter role ann set my.secret to {}",
        "alter role ann in database d set my.secret = {}",
        "alter role all set my.secret = {}",
        "alter database d set my.secret to {}",
        "alter role ann set application_name = {} garbage",
        "set my.secret to {}",
        "set local my.secret = {}",
        "set session my.secret = {}, 'more'",
        "select set_config('my.secret', {}, false)",
        "select 1; create role ann password {}; select 2",
        "create role ann password -- {}\n 'x'",
        "select 1 /* {} */",
        "-- {}\nselect 1",
        "select * from users where password = {}",
        "insert into users (name, password) values ('ann', {})",
        "update users set password = {} where name = 'ann'",
        "prepare p as select * from users where password = {}",
        "execute p({})",
        "explain select * from users where password = {}",
        "declare c cursor for select * from users where password = {}",
        "notify channel, {}",
        "copy users from stdin with (null {})",
        "comment on table users is {}",
        "create table t (a text default {})",
        "create view v as select {} as a",
        "create server s foreign data wrapper w options (password {})",
        "create user mapping for ann server s options (user 'ann', password {})",
        "create subscription s connection {} publication p",
        "select dblink_connect({})",
        "set session authorization ann {}",
    ];

    #[test]
    fn no_secret_is_told_wherever_it_stands() {
        for secret in SECRETS {
            for form in FORMS {
                for written in written(secret) {
                    let statement = form.replace("{}", &written);
                    let is_name = written.starts_with('"') || written == secret;
                    for told in told(&statement) {
                        // A name that stands where names do is a name.
                        let is_understood = parse::parse(&statement).is_ok();
                        let is_told =
                            told.contains(secret) || told.to_lowercase().contains(&secret.to_lowercase());
                        let is_of_names = [
                            "select",
                            "insert",
                            "update",
                            "prepare",
                            "execute",
                            "explain",
                            "declare",
                            "create table",
                            "create view",
                        ];
                        let is_of_names = is_of_names.iter().any(|words| form.starts_with(words));
                        assert!(
                            !is_told || is_name && is_understood && is_of_names,
                            "{statement}\n  is told as\n{told}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_secret_is_told() {
        assert_eq!(told("alter role ann password 'x'"), ["alter role ann password $1"]);
        assert_eq!(told("grant select on t to ann"), ["grant select on t to ann"]);
        assert_eq!(
            told("alter role ann set nunatak.audit = 'Read,write'"),
            ["alter role ann set nunatak.audit = $1 /* audit: read, write */"]
        );
        assert_eq!(
            told("alter table t set (audit = 'all')"),
            ["alter table t set (audit = $1) /* audit: read, write, ddl */"]
        );
        assert!(told("set my.secret = x").is_empty() && told("alter role ann set my.secret = x").is_empty());
        assert_eq!(told("select a from t where a = 1"), ["select a from t where a = $1"]);
    }
}
