//! What a session tells others of what it is doing, and what is counted and logged of each statement.

use std::net::SocketAddr;
use std::time::Duration;

use env::trace::{Keep, Parent, Span};

use super::Session;
use super::portal::Portal;
use super::prepared::Prepared;
use super::run::guard;
use crate::activity::{Activity, SessionState};
use crate::error::Error;
use crate::execute;
use crate::parse::{self, Dialect};
use crate::plan::Plan;
use crate::settings::Traced;

/// The beginning of a slow statement's text and plan that is logged.
const LOGGED_BYTES_MAX: usize = 16 << 10;

impl Session {
    /// From now on the session is known by this number (`pg_backend_pid()`, also the cancel key's first half), and others
    /// see what it does.
    pub fn enlist(&mut self, pid: i32, client: Option<SocketAddr>) {
        self.context.backend_pid = pid;
        self.auditing.place(client);
        self.advisory.set_pid(pid);
        let names = (self.authenticated.clone(), self.context.database.clone());
        let signals = Box::new(self.cancel.clone());
        let activity = Activity::new(pid, names, client, signals, self.shown_id.clone());
        if let Ok(name) = self.settings.show("application_name") {
            activity.call_application(&name);
        }
        self.activity = Some(self.engine.roster().enlist(activity));
    }

    /// Tells that this query string has arrived.
    pub fn tell_query(&self, query: &str) {
        if let Some(activity) = &self.activity {
            activity.begin(query, self.context.statement_timestamp, self.context.transaction_timestamp);
        }
    }

    /// The same of a statement that was prepared before.
    pub fn tell_prepared(&self, prepared: &Prepared) {
        self.tell_query(&prepared.statement.0.text);
    }

    /// Waits for what stands before a statement, for its turn say. A request to cancel ends that, and `statement_timeout` counts
    /// from here.
    ///
    /// # Errors
    /// 57014: it was cancelled, or the time is over.
    pub async fn wait_for_turn<T>(&mut self, turn: impl Future<Output = T>) -> Result<T, Error> {
        self.queued = Some(env::clock::now());
        let (cancel, deadline) = (self.cancel.clone(), self.statement_deadline());
        guard(&cancel, deadline, async { Ok(turn.await) }).await
    }

    /// Tells that the client is to say what comes next.
    pub fn tell_rest(&mut self) {
        self.used.settle();
        let Some(activity) = &self.activity else { return };
        activity.rest(match self.status() {
            super::TransactionStatus::Idle => SessionState::Idle,
            super::TransactionStatus::InBlock => SessionState::InTransaction,
            super::TransactionStatus::Failed => SessionState::InFailedTransaction,
        });
    }

    pub(super) fn tell_application(&self, changes: &[(&'static str, String)]) {
        let Some(activity) = &self.activity else { return };
        if let Some((_, name)) = changes.iter().find(|(name, _)| *name == "application_name") {
            activity.call_application(name);
        }
    }

    /// A portal was run, for so long, with so many rows; or failed. It is counted, and logged if that was long.
    pub fn note_run(&mut self, portal: &Portal, took: Duration, outcome: Result<u64, &Error>) {
        if outcome.is_err_and(|error| error.sqlstate == "40P01") {
            self.used.of_database().deadlocks += 1;
        }
        let prepared = &portal.prepared;
        if let Ok(rows) = outcome {
            let (user, database) = (&self.context.current_user, &self.context.database);
            let mut counted = prepared.counted.lock();
            let known = counted.as_ref().filter(|counted| counted.is_of(user, database));
            let counted = match known {
                Some(known) => known.clone(),
                None => {
                    let text = &prepared.statement.0.text;
                    let found = self.engine.roster().statements().find(user, database, text);
                    counted.insert(found).clone()
                }
            };
            counted.count(took, rows);
            if let Some(activity) = &self.activity {
                activity.identify(counted.query_id());
            }
        }
        if self.settings.hot().log_statements_over.is_some_and(|bound| took >= bound) {
            self.log_slow(prepared, took, outcome);
        }
    }

    /// Whether a trace is kept of what comes from the client now, perhaps under a span of the client's; `None`: none is begun.
    pub fn traces(&self, parent: Option<Parent>) -> Option<Keep> {
        let Traced { all, ratio, over } = self.settings.hot().traced;
        let is_drawn = || ratio > 0.0 && (env::random::next_u64() as f64) < ratio * u64::MAX as f64;
        if all || parent.is_some_and(|parent| parent.is_sampled) || is_drawn() {
            return Some(Keep::Always);
        }
        over.map(Keep::IfLonger)
    }

    /// Notes in a span whose it is, and what it is about, literals taken out.
    pub fn describe(&self, span: &mut Span, sql: Option<&str>) {
        span.note("db.system.name", "postgresql");
        span.note("db.namespace", &*self.context.database);
        span.note("db.user", &*self.context.current_user);
        span.note("nunatak.session", self.context.backend_pid);
        if let Some(sql) = sql {
            // What SQL takes for a name may be a value in DriftQL, which a string may also change over to.
            let is_sql = self.settings.hot().dialect == Dialect::Sql
                && !sql.to_ascii_lowercase().contains(Dialect::WORD_OF_DRIFTQL);
            let text = match is_sql {
                true => without_literals(sql),
                false => parse::keywords_alone(sql, LOGGED_BYTES_MAX),
            };
            span.note("db.query.text", &*text);
        }
    }

    fn log_slow(&self, prepared: &Prepared, took: Duration, outcome: Result<u64, &Error>) {
        // Without literals: there may be a password among them, and what people keep in tables is not for logs.
        let planned = prepared.planned.lock().clone();
        let plan = match &planned.bound.plan {
            plan @ (Plan::Query(_) | Plan::Modify(_)) => {
                match execute::explain(plan, &self.context, &execute::Shown::PLAIN) {
                    Ok(lines) => {
                        lines.iter().map(|line| without_literals(line)).collect::<Vec<_>>().join("\n")
                    }
                    Err(error) => error.to_string(),
                }
            }
            _ => String::new(),
        };
        tracing::info!(
            target: "slow",
            session = self.context.backend_pid,
            user = %self.context.session_user,
            database = %self.context.database,
            duration_ms = took.as_secs_f64() * 1000.0,
            rows = outcome.as_ref().copied().unwrap_or(0),
            sqlstate = outcome.as_ref().err().map_or("00000", |error| error.sqlstate),
            statement = without_literals(&prepared.statement.0.text),
            plan = beginning(&plan),
            "a slow statement"
        );
    }
}

fn without_literals(text: &str) -> String {
    parse::template(text, LOGGED_BYTES_MAX).beginning
}

fn beginning(text: &str) -> &str {
    let mut end = text.len().min(LOGGED_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
