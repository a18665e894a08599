//! Sends spans to a collector, in batches, or loses them.
//!
//! ```text
//! spans that have ended ─▶ queue, bounded in bytes ─▶ a batch at a time ─▶ collector
//!                           └─ full: lost, counted      └─ refused, or late: lost, counted
//! ```
//!
//! Nothing waits for a collector, and nothing is sent twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use env::clock;
use env::trace::{Kind, Record, Sink, Value};
use metrics::Counter;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tonic::transport::{Channel, Endpoint};

use super::any_value::Value as Sent;
use super::trace_service_client::TraceServiceClient;
use super::{
    AnyValue, ExportTraceServiceRequest, InstrumentationScope, KeyValue, Resource, ResourceSpans, ScopeSpans,
    Span, SpanKind, SpanStatus, StatusCode,
};

/// What waits to be sent has about so many bytes at most.
const QUEUE_BYTES_MAX: usize = 8 << 20;

/// So many spans are sent at once.
const BATCH_SPANS: usize = 512;

/// Spans wait for company for so long.
const COMPANY: Duration = Duration::from_millis(200);

/// How long a connection may take to open, and a collector to take a batch.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(5);

/// The endpoint cannot be sent to.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is none that is spoken to.
    #[error(
        "{0:?} is not of the form http://HOST:PORT; where traces have to be encrypted let a collector beside the process pass them on"
    )]
    Scheme(String),
    /// It makes no sense.
    #[error("{0:?} is no address")]
    Address(String, #[source] tonic::transport::Error),
}

/// Sends what a process traces. Clones share the queue.
#[derive(Clone)]
pub struct Exporter {
    queue: Arc<Queue>,
    client: TraceServiceClient<Channel>,
    /// Who sends.
    resource: Resource,
}

struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
    exported: Counter,
    dropped: Counter,
}

#[derive(Default)]
struct Waiting {
    spans: VecDeque<Record>,
    bytes: usize,
    /// Taken and not yet sent.
    under_way: usize,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("waiting", &self.queue.waiting.lock().spans.len()).finish()
    }
}

impl Exporter {
    /// To the collector at `http://HOST:PORT`, for the process that is known by this name. Within a runtime; it connects with the
    /// first batch.
    ///
    /// # Errors
    /// There can be none.
    pub fn new(endpoint: &str, instance: &str) -> Result<Self, EndpointError> {
        let channel = address(endpoint)?.connect_timeout(CONNECT_TIMEOUT).connect_lazy();
        metrics::describe_counter!("nunatak_trace_spans_exported_total", "Spans that a collector has taken");
        metrics::describe_counter!("nunatak_trace_spans_dropped_total", "Spans that were lost");
        let queue = Queue {
            waiting: Mutex::default(),
            filled: Notify::new(),
            exported: metrics::counter!("nunatak_trace_spans_exported_total"),
            dropped: metrics::counter!("nunatak_trace_spans_dropped_total"),
        };
        let resource = Resource {
            attributes: vec![
                text("service.name", "nunatak"),
                text("service.version", env!("CARGO_PKG_VERSION")),
                text("service.instance.id", instance),
            ],
        };
        Ok(Self { queue: Arc::new(queue), client: TraceServiceClient::new(channel), resource })
    }

    /// Whether there can be an exporter to this endpoint.
    ///
    /// # Errors
    /// Why not.
    pub fn check(endpoint: &str) -> Result<(), EndpointError> {
        address(endpoint).map(drop)
    }

    /// What takes spans for it.
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(Waits(self.queue.clone()))
    }

    /// Sends. Never completes.
    pub async fn run(self) {
        let mut fails = false;
        loop {
            self.queue.filled.notified().await;
            clock::sleep(COMPANY).await;
            loop {
                let batch = self.queue.take(BATCH_SPANS);
                if batch.is_empty() {
                    break;
                }
                fails = self.send(batch, fails).await;
            }
        }
    }

    /// Waits until all that has ended is sent or lost, for so long at most.
    pub async fn settle(&self, patience: Duration) {
        const LOOKS: Duration = Duration::from_millis(20);
        let settled = async {
            while !self.queue.is_settled() {
                clock::sleep(LOOKS).await;
            }
        };
        if clock::timeout(patience, settled).await.is_err() {
            tracing::warn!("the last spans were not sent: the collector does not take them");
        }
    }

    /// Sends a batch; whether that failed. It is told when it begins to, and when it ends.
    async fn send(&self, batch: Vec<Record>, failed: bool) -> bool {
        let count = batch.len();
        let request = self.request(batch);
        let mut client = self.client.clone();
        let sent = clock::timeout(DEADLINE, client.export(request)).await;
        self.queue.done(count);
        let why = match sent {
            Ok(Ok(answer)) => {
                let rejected =
                    answer.into_inner().partial_success.map_or(0, |partial| partial.rejected_spans);
                let rejected = u64::try_from(rejected).unwrap_or(0).min(count as u64);
                self.queue.exported.increment((count as u64).saturating_sub(rejected));
                self.queue.dropped.increment(rejected);
                if failed {
                    tracing::info!("the collector takes spans again");
                }
                return false;
            }
            Ok(Err(status)) => status.message().to_owned(),
            Err(_) => format!("it has not answered for {} s", DEADLINE.as_secs()),
        };
        self.queue.dropped.increment(count as u64);
        if !failed {
            tracing::warn!(%why, "the collector takes no spans; they are lost");
        }
        true
    }

    fn request(&self, batch: Vec<Record>) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope {
            name: "nunatak".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let spans = batch.into_iter().map(span).collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        let resource = Some(self.resource.clone());
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] }
    }
}

fn address(endpoint: &str) -> Result<Endpoint, EndpointError> {
    if !endpoint.starts_with("http://") {
        return Err(EndpointError::Scheme(endpoint.to_owned()));
    }
    Endpoint::from_shared(endpoint.to_owned())
        .map_err(|error| EndpointError::Address(endpoint.to_owned(), error))
}

impl Queue {
    fn take(&self, most: usize) -> Vec<Record> {
        let mut waiting = self.waiting.lock();
        let count = waiting.spans.len().min(most);
        let taken: Vec<Record> = waiting.spans.drain(..count).collect();
        let bytes: usize = taken.iter().map(size).sum();
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        waiting.under_way = waiting.under_way.saturating_add(count);
        taken
    }

    fn done(&self, count: usize) {
        let mut waiting = self.waiting.lock();
        waiting.under_way = waiting.under_way.saturating_sub(count);
    }

    fn is_settled(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.spans.is_empty() && waiting.under_way == 0
    }

    fn put(&self, records: Vec<Record>) {
        let mut lost = 0;
        {
            let mut waiting = self.waiting.lock();
            for record in records {
                let bytes = waiting.bytes.saturating_add(size(&record));
                if bytes > QUEUE_BYTES_MAX {
                    lost += 1;
                    continue;
                }
                waiting.bytes = bytes;
                waiting.spans.push_back(record);
            }
        }
        if lost > 0 {
            self.dropped.increment(lost);
        }
        self.filled.notify_one();
    }
}

/// Has spans wait in a queue.
struct Waits(Arc<Queue>);

impl Sink for Waits {
    fn take(&self, records: Vec<Record>) {
        self.0.put(records);
    }

    fn lost(&self, records: usize) {
        self.0.dropped.increment(records as u64);
    }
}

/// About how many bytes a span takes.
fn size(record: &Record) -> usize {
    /// An attribute's own.
    const ATTRIBUTE: usize = 64;
    let text = |(_, value): &(&str, Value)| match value {
        Value::Int(_) => ATTRIBUTE,
        Value::Text(text) => text.len().saturating_add(ATTRIBUTE),
    };
    let attributes: usize = record.attributes.iter().map(text).sum();
    let failure = record.failure.as_ref().map_or(0, String::len);
    size_of::<Record>().saturating_add(attributes).saturating_add(failure)
}

fn span(record: Record) -> Span {
    let kind = match record.kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Client => SpanKind::Client,
        Kind::Server => SpanKind::Server,
    };
    Span {
        trace_id: record.trace_id.to_vec(),
        span_id: record.span_id.to_vec(),
        parent_span_id: record.parent_id.map_or_else(Vec::new, |parent| parent.to_vec()),
        name: record.name.to_owned(),
        kind: kind.into(),
        start_time_unix_nano: record.started_ns,
        end_time_unix_nano: record.ended_ns,
        attributes: record.attributes.into_iter().map(|(key, value)| attribute(key, value)).collect(),
        status: record.failure.map(|message| SpanStatus { message, code: StatusCode::Error.into() }),
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Int(number) => Sent::IntValue(number),
        Value::Text(text) => Sent::StringValue(text),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::Text(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tonic::transport::Server;
    use tonic::transport::server::TcpIncoming;
    use tonic::{Request, Response, Status};

    use super::super::trace_service_server::{TraceService, TraceServiceServer};
    use super::super::{ExportTracePartialSuccess, ExportTraceServiceResponse};
    use super::*;

    /// Takes all but one span of each batch; the names of all are told.
    struct Collector(tokio::sync::mpsc::UnboundedSender<Vec<String>>);

    #[tonic::async_trait]
    impl TraceService for Collector {
        async fn export(
            &self,
            request: Request<ExportTraceServiceRequest>,
        ) -> Result<Response<ExportTraceServiceResponse>, Status> {
            let spans = request.into_inner().resource_spans.into_iter().flat_map(|from| from.scope_spans);
            let names = spans.flat_map(|scope| scope.spans).map(|span| span.name).collect();
            self.0.send(names).map_err(|_| Status::unavailable("the test is over"))?;
            let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message: String::new() };
            Ok(Response::new(ExportTraceServiceResponse { partial_success: Some(partial) }))
        }
    }

    fn record(name: &'static str) -> Record {
        Record {
            trace_id: [1; 16],
            span_id: [2; 8],
            parent_id: None,
            name,
            kind: Kind::Server,
            started_ns: 3,
            ended_ns: 4,
            attributes: vec![("n", Value::Int(5))],
            failure: Some("why".to_owned()),
        }
    }

    #[tokio::test]
    async fn spans_reach_a_collector_and_are_lost_where_there_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, mut names) = tokio::sync::mpsc::unbounded_channel();
        let serving = env::task::spawn(
            Server::builder()
                .add_service(TraceServiceServer::new(Collector(told)))
                .serve_with_incoming(TcpIncoming::from(listener)),
        );
        let exporter = Exporter::new(&format!("http://{address}"), "test").unwrap();
        let sending = env::task::spawn(exporter.clone().run());
        exporter.sink().take(vec![record("first"), record("second")]);
        assert_eq!(names.recv().await.unwrap(), ["first", "second"]);
        exporter.settle(DEADLINE).await;
        assert!(exporter.queue.is_settled());
        serving.abort();
        assert!(serving.await.is_err());
        exporter.sink().take(vec![record("third")]);
        exporter.settle(DEADLINE * 2).await;
        assert!(exporter.queue.is_settled());
        sending.abort();
    }

    #[tokio::test]
    async fn what_waits_is_bounded() {
        let exporter = Exporter::new("http://127.0.0.1:1", "test").unwrap();
        let sink = exporter.sink();
        let long = || Record { failure: Some("x".repeat(1000)), ..record("long") };
        for _ in 0..100 {
            sink.take((0..200).map(|_| long()).collect());
        }
        let waiting = exporter.queue.waiting.lock();
        assert!(waiting.bytes <= QUEUE_BYTES_MAX && waiting.spans.len() < 20_000);
        let bytes: usize = waiting.spans.iter().map(size).sum();
        assert_eq!(bytes, waiting.bytes);
    }

    #[tokio::test]
    async fn what_is_no_endpoint_is_refused() {
        for wrong in ["collector:4317", "https://collector:4317", "http://", "http://a b"] {
            assert!(Exporter::new(wrong, "test").is_err(), "{wrong}");
        }
        let span = span(record("whole"));
        assert_eq!((span.kind, span.trace_id.len(), span.parent_span_id.len()), (2, 16, 0));
        assert_eq!(span.status.unwrap().code, 2);
    }
}
