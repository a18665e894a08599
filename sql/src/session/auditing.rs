//! What the session hands over to the audit log.
//!
//! A statement that is to be recorded takes a place in the log before it runs, and hands over its record when it has come
//! to its end; what it answers is sent once that is written. What could not be parsed or bound is recorded where anything of
//! its class is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use audit::{Class, Classes, Object, Place, Record, Ticket};
use env::clock::{self, Instant};

use super::Session;
use super::portal::{CommandTag, Portal};
use super::prepared::{Planned, Statement};
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
}

/// A statement under way that is to be recorded.
struct Run {
    planned: Arc<Planned>,
    command: &'static str,
    place: Option<Place>,
    is_started: bool,
}

impl Run {
    fn of(planned: &Arc<Planned>) -> Self {
        let command = audited::command(&planned.bound.plan);
        Self { planned: planned.clone(), command, place: None, is_started: false }
    }
}

/// How far a run of a portal has come.
#[derive(Debug, Clone, Copy)]
pub enum RunOutcome<'a> {
    /// To its end.
    Done(&'a CommandTag),
    /// To so many rows; there may be more.
    Suspended(u64),
    /// It failed, with this SQLSTATE.
    Failed(&'a str),
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
                (run.place, run.is_started) = (before.place, before.is_started);
            }
            self.auditing.run = Some(run);
        }
    }

    /// The statement under way reads on a cursor.
    pub(super) async fn audit_cursor(&mut self, name: &str, command: &'static str) -> Result<()> {
        let cursor = self.registry.cursor(name).ok();
        if let Some(planned) = cursor.map(|cursor| cursor.prepared.planned.lock().clone()) {
            self.audit_seen(&planned);
            self.auditing.call(command);
        }
        self.audit_reserve().await
    }

    /// A table that the statement under way touches has come to be audited since its transaction began: it goes on under its
    /// own catalog, and not unseen.
    pub(super) fn audit_due(&mut self, planned: &Arc<Planned>) {
        self.auditing.run.get_or_insert_with(|| Run::of(planned));
    }

    fn is_audited(&self, planned: &Planned) -> bool {
        let audited = &planned.audited;
        let ends = match &planned.bound.plan {
            Plan::Session(command) => {
                use SessionCommand::{Commit, Rollback, RollbackTo};
                matches!(**command, Commit { .. } | Rollback { .. } | RollbackTo(_))
            }
            _ => false,
        };
        audited.always
            || audited.by_table
            || self.settings.hot().audit.meets(audited.classes)
            || ends && self.auditing.has_changes
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

    /// Rows of a portal are about to leave before it has come to its end.
    pub fn audit_started(&mut self, portal: &Portal) {
        let Some(mut run) = self.auditing.run.take() else { return };
        if !run.is_started {
            run.is_started = true;
            let record = self.record_of(&run, portal, run.command, "started");
            self.hand_over_at_once(&record);
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
        let (command, told, rows) = match outcome {
            // What a COMMIT came to.
            RunOutcome::Done(CommandTag::Plain(tag @ ("COMMIT" | "ROLLBACK"))) if run.command == "COMMIT" => {
                (*tag, "ok", None)
            }
            RunOutcome::Done(CommandTag::Plain(_)) => (run.command, "ok", None),
            RunOutcome::Done(tag) => (run.command, "ok", Some(tag.rows())),
            RunOutcome::Suspended(rows) => (run.command, "suspended", Some(rows)),
            RunOutcome::Failed(sqlstate) => (run.command, sqlstate, None),
        };
        let mut record = self.record_of(&run, portal, command, told);
        record.rows = rows;
        record.duration_us = Some(micros(took));
        let is_end = matches!(command, "COMMIT" | "ROLLBACK") || self.transaction.block == Block::Idle;
        let changes = matches!(run.planned.audited.class, Class::Write | Class::Ddl | Class::Role);
        self.auditing.has_changes = !is_end && (self.auditing.has_changes || changes);
        match run.place.take() {
            Some(place) => {
                let ticket = self.engine.audit().hand_over(place, &record);
                self.auditing.newest = Some(ticket);
                Ok(())
            }
            None if run.command == "ROLLBACK" => {
                self.hand_over_at_once(&record);
                Ok(())
            }
            None => self.hand_over(&record).await,
        }
    }

    /// A transaction that no statement ends has come to its end: what was recorded in it may have come to nothing.
    pub(super) fn audit_implicit_end(&mut self, command: &str, ended: &Result<()>) {
        let has_changes = std::mem::take(&mut self.auditing.has_changes);
        if has_changes && (ended.is_err() || command == "ROLLBACK") {
            let outcome = ended.as_ref().map_or_else(|error| error.sqlstate, |()| "ok");
            let record = self.record(Class::Misc.name(), command.to_owned(), outcome);
            self.hand_over_at_once(&record);
        }
    }

    /// A function has changed what is audited.
    pub(super) fn audit_setting(&mut self, name: &str) {
        if name.eq_ignore_ascii_case(AUDIT) {
            let mut record = self.record(Class::Session.name(), "SET".to_owned(), "ok");
            record.objects = vec![Object { kind: "setting", name: AUDIT.to_owned(), access: Vec::new() }];
            self.hand_over_at_once(&record);
        }
    }

    /// A text could not be parsed; the error that the client is to be told.
    pub(super) async fn audit_unparsed(&mut self, text: &str, error: Error) -> Error {
        if self.settings.hot().audit.is_empty() {
            return error;
        }
        let mut record = self.record(UNKNOWN, first_words(text), error.sqlstate);
        record.statement = Some(keywords_alone(text, TEXT_BYTES_MAX));
        self.hand_over(&record).await.err().unwrap_or(error)
    }

    /// The same of a statement that could not be bound.
    pub(super) async fn audit_unbound(&mut self, statement: &Statement, error: Error) -> Error {
        let audited = Audited::of_body(&statement.0.body);
        if !audited.always && !self.settings.hot().audit.meets(audited.classes) {
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
    pub async fn audit_login(&mut self) -> Result<()> {
        if !self.audits_sessions() && !self.auditing.is_set_by_client {
            return Ok(());
        }
        let record = self.record(Class::Session.name(), "LOGIN".to_owned(), "ok");
        self.hand_over(&record).await
    }

    /// The session is about to end.
    pub fn audit_logout(&mut self) {
        // A transaction that is open yet is rolled back with the session.
        self.audit_implicit_end("ROLLBACK", &Ok(()));
        if self.audits_sessions() {
            let mut record = self.record(Class::Session.name(), "LOGOUT".to_owned(), "ok");
            record.duration_us = Some(micros(self.auditing.since.elapsed()));
            self.hand_over_at_once(&record);
        }
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

    fn hand_over_at_once(&mut self, record: &Record) {
        let ticket = self.engine.audit().hand_over_at_once(record);
        self.auditing.newest = Some(ticket);
    }

    fn record_of(&self, run: &Run, portal: &Portal, command: &str, outcome: &str) -> Record {
        let mut record = self.record(run.planned.audited.class.name(), command.to_owned(), outcome);
        record.objects = audited::objects(&run.planned.bound);
        record.objects_cut = record.objects.len() > audited::OBJECTS_MAX;
        record.objects.truncate(audited::OBJECTS_MAX);
        record.statement = told_text(&portal.prepared.statement.0);
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
