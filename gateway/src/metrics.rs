//! What a gateway counts.

use std::time::Duration;

use audit::Class;
use metrics::{Counter, Gauge, Histogram};

/// What clients are told often enough to be watched for: these are there before their first.
const COMMON_ERRORS: [&str; 6] = ["40001", "40P01", "42501", "53100", "53200", "57014"];

/// The handles, looked up once.
#[derive(Clone)]
pub(crate) struct GatewayMetrics {
    /// Connections that are open: [`GatewayMetrics::opened`].
    connections: Gauge,
    /// Connections that were accepted.
    accepted: Counter,
    /// Connections that were refused for there being too many.
    pub(crate) refused: Counter,
    /// Logins that failed for want of a proof.
    pub(crate) login_failures: Counter,
    /// Statements run.
    statements: Counter,
    /// Cancel requests that named a session.
    pub(crate) cancelled: Counter,
    /// Statements refused for there being too many, or too many bytes, in a second.
    pub(crate) limited: Counter,
    /// Statements refused because their turn did not come in time.
    pub(crate) shed: Counter,
    /// Seconds that statements waited for their turn.
    pub(crate) queue_seconds: Histogram,
    /// Seconds from a statement's Execute or Query to its end, by class in the order of [`Class::ALL`].
    statement_seconds: [Histogram; Class::ALL.len()],
}

/// A connection that is open, until dropped.
pub(crate) struct Opened(Gauge);

impl Opened {
    /// Counts one more, until dropped.
    pub(crate) fn count(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl GatewayMetrics {
    /// Counts a connection for as long as the answer is kept.
    pub(crate) fn opened(&self) -> Opened {
        self.accepted.increment(1);
        Opened::count(&self.connections)
    }

    /// Counts a statement that was run, for so long.
    pub(crate) fn ran(&self, class: Class, took: Duration) {
        self.statements.increment(1);
        if let Some(seconds) = self.statement_seconds.get(class as usize) {
            seconds.record(took.as_secs_f64());
        }
    }

    /// Counts an error that a client is sent.
    pub(crate) fn failed(&self, sqlstate: &'static str) {
        metrics::counter!("nunatak_sql_errors_total", "sqlstate" => sqlstate).increment(1);
    }

    pub(crate) fn new() -> Self {
        for sqlstate in COMMON_ERRORS {
            metrics::counter!("nunatak_sql_errors_total", "sqlstate" => sqlstate).increment(0);
        }
        metrics::describe_gauge!("nunatak_sql_connections", "Connections that are open");
        metrics::describe_counter!(
            "nunatak_sql_connections_accepted_total",
            "Connections that were accepted"
        );
        metrics::describe_counter!(
            "nunatak_sql_connections_refused_total",
            "Connections that were refused because there were too many"
        );
        metrics::describe_counter!(
            "nunatak_sql_login_failures_total",
            "Logins that failed for want of a proof"
        );
        metrics::describe_gauge!(
            "nunatak_sql_certificate_expiry_seconds",
            metrics::Unit::Seconds,
            "When the certificate that clients are shown ends to hold, in seconds since 1970"
        );
        metrics::describe_counter!("nunatak_sql_statements_total", "Statements that were run");
        metrics::describe_counter!("nunatak_sql_errors_total", "Errors that were sent to clients");
        metrics::describe_counter!("nunatak_sql_cancelled_total", "Cancel requests that named a session");
        metrics::describe_counter!(
            "nunatak_sql_statements_limited_total",
            "Statements that were refused because their role or address had run too many, or moved too much"
        );
        metrics::describe_counter!(
            "nunatak_sql_statements_shed_total",
            "Statements that were refused because their turn did not come in time"
        );
        metrics::describe_histogram!(
            "nunatak_sql_queue_seconds",
            metrics::Unit::Seconds,
            "Time that statements waited for their turn"
        );
        metrics::describe_histogram!(
            "nunatak_sql_statement_seconds",
            metrics::Unit::Seconds,
            "Time from a statement's start to its end"
        );
        Self {
            connections: metrics::gauge!("nunatak_sql_connections"),
            accepted: metrics::counter!("nunatak_sql_connections_accepted_total"),
            refused: metrics::counter!("nunatak_sql_connections_refused_total"),
            login_failures: metrics::counter!("nunatak_sql_login_failures_total"),
            statements: metrics::counter!("nunatak_sql_statements_total"),
            cancelled: metrics::counter!("nunatak_sql_cancelled_total"),
            limited: metrics::counter!("nunatak_sql_statements_limited_total"),
            shed: metrics::counter!("nunatak_sql_statements_shed_total"),
            queue_seconds: metrics::histogram!("nunatak_sql_queue_seconds"),
            statement_seconds: Class::ALL
                .map(|class| metrics::histogram!("nunatak_sql_statement_seconds", "class" => class.word())),
        }
    }
}
