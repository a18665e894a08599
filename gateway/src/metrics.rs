//! What a gateway counts.

use metrics::{Counter, Gauge, Histogram};

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
    pub(crate) statements: Counter,
    /// Errors sent to clients.
    pub(crate) errors: Counter,
    /// Cancel requests that named a session.
    pub(crate) cancelled: Counter,
    /// Seconds from a statement's Execute or Query to its end.
    pub(crate) statement_seconds: Histogram,
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

    pub(crate) fn new() -> Self {
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
            errors: metrics::counter!("nunatak_sql_errors_total"),
            cancelled: metrics::counter!("nunatak_sql_cancelled_total"),
            statement_seconds: metrics::histogram!("nunatak_sql_statement_seconds"),
        }
    }
}
