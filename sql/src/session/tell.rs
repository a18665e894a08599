//! What a session tells others of what it is doing, and what is counted and logged of each statement.

use std::net::SocketAddr;
use std::time::Duration;

use super::Session;
use super::portal::Portal;
use super::prepared::Prepared;
use crate::activity::{Activity, SessionState};
use crate::error::Error;
use crate::execute;
use crate::parse;
use crate::plan::Plan;

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

    /// Tells that the client is to say what comes next.
    pub fn tell_rest(&self) {
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
    pub fn note_run(&self, portal: &Portal, took: Duration, outcome: Result<u64, &Error>) {
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

    fn log_slow(&self, prepared: &Prepared, took: Duration, outcome: Result<u64, &Error>) {
        // Without literals: there may be a password among them, and what people keep in tables is not for logs.
        let planned = prepared.planned.lock().clone();
        let plan = match &planned.bound.plan {
            plan @ (Plan::Query(_) | Plan::Modify(_)) => {
                let lines = execute::explain(plan, &self.context);
                lines.iter().map(|line| without_literals(line)).collect::<Vec<_>>().join("\n")
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
