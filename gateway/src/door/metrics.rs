//! What a door counts.

use metrics::{Counter, Gauge, Histogram};

use crate::metrics::Opened;

/// The handles, looked up once.
pub(crate) struct DoorMetrics {
    connections: Gauge,
    watches: Gauge,
    accepted: Counter,
    /// Connections that were closed for there being too many.
    pub(crate) refused: Counter,
    /// Requests that were carried out.
    pub(crate) requests: Counter,
    /// Errors that were answered.
    pub(crate) errors: Counter,
    /// Seconds from a request's arrival to its answer.
    pub(crate) request_seconds: Histogram,
}

impl DoorMetrics {
    /// Counts a connection for as long as the answer is kept.
    pub(crate) fn opened(&self) -> Opened {
        self.accepted.increment(1);
        Opened::count(&self.connections)
    }

    /// Counts a watch for as long as the answer is kept.
    pub(super) fn watching(&self) -> Opened {
        Opened::count(&self.watches)
    }

    pub(super) fn new(door: &'static str) -> Self {
        metrics::describe_gauge!("nunatak_door_connections", "Connections that are open, by door");
        metrics::describe_gauge!("nunatak_door_watches", "Clients that watch what is committed, by door");
        metrics::describe_counter!(
            "nunatak_door_connections_accepted_total",
            "Connections that were accepted, by door"
        );
        metrics::describe_counter!(
            "nunatak_door_connections_refused_total",
            "Connections that were closed because there were too many, by door"
        );
        metrics::describe_counter!("nunatak_door_requests_total", "Requests that were carried out, by door");
        metrics::describe_counter!("nunatak_door_errors_total", "Errors that were answered, by door");
        metrics::describe_histogram!(
            "nunatak_door_request_seconds",
            metrics::Unit::Seconds,
            "Time from a request's arrival to its answer, by door"
        );
        Self {
            connections: metrics::gauge!("nunatak_door_connections", "door" => door),
            watches: metrics::gauge!("nunatak_door_watches", "door" => door),
            accepted: metrics::counter!("nunatak_door_connections_accepted_total", "door" => door),
            refused: metrics::counter!("nunatak_door_connections_refused_total", "door" => door),
            requests: metrics::counter!("nunatak_door_requests_total", "door" => door),
            errors: metrics::counter!("nunatak_door_errors_total", "door" => door),
            request_seconds: metrics::histogram!("nunatak_door_request_seconds", "door" => door),
        }
    }
}
