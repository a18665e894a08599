//! What one session is doing.

use std::net::SocketAddr;
use std::sync::Arc;

use client::ShownId;
use client::gateways::SessionInfo;
pub(crate) use client::gateways::SessionState;
use expr::session::now_micros;
use parking_lot::Mutex;

use super::Signals;
use super::job::Jobs;

/// So much of a query is shown (`track_activity_query_size`).
const QUERY_BYTES_MAX: usize = 1024;

/// What one session is doing, as others may see it at any time.
pub(crate) struct Activity {
    /// The session's number.
    pub(super) pid: i32,
    /// Since when there is the session.
    pub(super) started_us: i64,
    user: Arc<str>,
    database: Arc<str>,
    client: Option<SocketAddr>,
    pub(super) signals: Box<dyn Signals>,
    transaction: ShownId,
    pub(super) jobs: Arc<Jobs>,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    application: String,
    state: SessionState,
    state_changed_us: i64,
    query: String,
    query_id: i64,
    query_started_us: Option<i64>,
    transaction_started_us: Option<i64>,
}

impl Activity {
    /// Of a session that begins now. `transaction` is where it shows the ids of its transactions.
    pub(crate) fn new(
        pid: i32,
        (user, database): (Arc<str>, Arc<str>),
        client: Option<SocketAddr>,
        signals: Box<dyn Signals>,
        transaction: ShownId,
    ) -> Arc<Self> {
        let started_us = now_micros();
        let now = Mutex::new(Now { state_changed_us: started_us, ..Now::default() });
        let jobs = Arc::default();
        Arc::new(Self { pid, started_us, user, database, client, signals, transaction, jobs, now })
    }

    /// A query has arrived, which began at this moment, in a transaction that began then.
    pub(crate) fn begin(&self, query: &str, at_us: i64, transaction_us: i64) {
        let mut now = self.now.lock();
        now.query.clear();
        now.query.push_str(beginning(query, QUERY_BYTES_MAX));
        now.query_id = 0;
        now.query_started_us = Some(at_us);
        now.state_changed_us = at_us;
        now.transaction_started_us = Some(transaction_us);
        now.state = SessionState::Active;
    }

    /// The statement under way is this one, as statistics know it.
    pub(crate) fn identify(&self, query_id: i64) {
        self.now.lock().query_id = query_id;
    }

    /// The client is asked for more.
    pub(crate) fn rest(&self, state: SessionState) {
        let mut now = self.now.lock();
        now.state = state;
        now.state_changed_us = now_micros();
        if state == SessionState::Idle {
            now.transaction_started_us = None;
        }
    }

    /// `application_name` is this now.
    pub(crate) fn call_application(&self, name: &str) {
        let mut now = self.now.lock();
        now.application.clear();
        now.application.push_str(name);
    }

    /// All of it.
    pub(super) fn info(&self) -> SessionInfo {
        let now = self.now.lock();
        SessionInfo {
            pid: self.pid,
            user: self.user.to_string(),
            database: self.database.to_string(),
            application: now.application.clone(),
            client_address: self.client.map(|client| client.ip().to_string()).unwrap_or_default(),
            client_port: self.client.map_or(0, |client| client.port().into()),
            started_us: self.started_us,
            transaction_started_us: now.transaction_started_us,
            query_started_us: now.query_started_us,
            state_changed_us: now.state_changed_us,
            state: now.state.into(),
            query: now.query.clone(),
            query_id: now.query_id,
            waits: now.state == SessionState::Active && self.signals.waits(),
            transaction_id: self.transaction.get(),
            gateway_id: bytes::Bytes::new(),
            jobs: self.jobs.infos(),
        }
    }
}

/// As much of a text as so many bytes hold.
fn beginning(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
