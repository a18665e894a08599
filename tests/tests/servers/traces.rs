//! Traces of a cluster's processes, received as a collector receives them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nunatak_tests::processes::{Cluster, installed, psql, run};
use parking_lot::Mutex;
use proto::otlp::any_value::Value;
use proto::otlp::trace_service_server::{TraceService, TraceServiceServer};
use proto::otlp::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, KeyValue, Span, SpanKind, StatusCode,
};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// How long spans may take from a process to the collector.
const ARRIVES: Duration = Duration::from_secs(20);

/// After so long whatever comes has come.
const SETTLED: Duration = Duration::from_secs(2);

/// A span, and the process that it comes from.
#[derive(Debug, Clone)]
struct Received {
    process: String,
    span: Span,
}

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Received>>>);

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for from in request.into_inner().resource_spans {
            let attributes = from.resource.unwrap_or_default().attributes;
            assert_eq!(text(&attributes, "service.name").as_deref(), Some("nunatak"));
            let process = text(&attributes, "service.instance.id").expect("who sends");
            let spans = from.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.0.lock().extend(spans.map(|span| Received { process: process.clone(), span }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts to receive; where.
    fn start(&self, runtime: &tokio::runtime::Runtime) -> String {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let service = TraceServiceServer::new(self.clone());
        runtime
            .spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));
        format!("http://{address}")
    }

    fn of(&self, trace_id: &[u8]) -> Vec<Received> {
        self.0.lock().iter().filter(|received| received.span.trace_id == trace_id).cloned().collect()
    }

    /// The spans of a trace, once it has all that `is_whole` asks for.
    fn whole(&self, trace_id: &[u8], is_whole: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let deadline = Instant::now() + ARRIVES;
        loop {
            let spans = self.of(trace_id);
            if is_whole(&spans) {
                return spans;
            }
            assert!(Instant::now() < deadline, "spans are missing: {:#?}", shown(&spans));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The spans of the trace of a statement, once there are so many.
    fn whole_of(&self, part: &str, least: usize) -> Vec<Received> {
        let deadline = Instant::now() + ARRIVES;
        loop {
            if let Some(trace_id) = self.trace_of(part) {
                return self.whole(&trace_id, |spans| spans.len() >= least);
            }
            assert!(Instant::now() < deadline, "{part} is not traced");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The trace of the one statement with this in its text.
    fn trace_of(&self, part: &str) -> Option<Vec<u8>> {
        let received = self.0.lock();
        let is_it = |received: &&Received| {
            text(&received.span.attributes, "db.query.text").is_some_and(|text| text.contains(part))
        };
        received.iter().find(is_it).map(|received| received.span.trace_id.clone())
    }
}

fn shown(spans: &[Received]) -> Vec<String> {
    spans.iter().map(|received| format!("{} {}", received.process, received.span.name)).collect()
}

fn named<'a>(spans: &'a [Received], name: &str) -> Vec<&'a Received> {
    spans.iter().filter(|received| received.span.name == name).collect()
}

/// The names from a span up to the root.
fn way_up(spans: &[Received], from: &Received) -> Vec<String> {
    let by_id: BTreeMap<&[u8], &Received> =
        spans.iter().map(|received| (&received.span.span_id[..], received)).collect();
    let mut way = vec![from.span.name.clone()];
    let mut at = from;
    while let Some(above) = by_id.get(&at.span.parent_span_id[..]) {
        way.push(above.span.name.clone());
        at = above;
    }
    way
}

/// Has the two ranges of a table led by two nodes.
fn lead_apart(cluster: &Cluster, gateway: &str) {
    let deadline = Instant::now() + ARRIVES;
    loop {
        let ranges = psql(gateway, "show ranges from table t").expect("the ranges");
        let ranges: Vec<Vec<String>> =
            ranges.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect();
        let leaders: BTreeSet<&str> = ranges.iter().map(|range| range[3].as_str()).collect();
        if ranges.len() >= 2 && leaders.len() == 2 && !leaders.contains("") {
            return;
        }
        assert!(Instant::now() < deadline, "two nodes do not lead: {ranges:?}");
        if let Some(last) = ranges.last().filter(|_| ranges.len() >= 2) {
            let other = if last[3] == "1" { "2" } else { "1" };
            // It may be refused while the range is new.
            let _ = run(&["admin", "transfer-leader", &last[0], other, "--host", &cluster.addresses[0]]);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn one_statement_is_one_tree_over_three_processes() {
    if !installed("psql") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let collector = Collector::default();
    let endpoint = format!("NUNATAK_TRACE_ENDPOINT={}", collector.start(&runtime));
    let folder = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start_by(&["env".to_owned(), endpoint], folder.path(), 3, 1);
    let gateway = cluster.gateways[0].address.as_str();
    psql(gateway, "create table t (id int primary key, v int); insert into t select g, 0 from generate_series(1, 100) g")
        .expect("a table");
    psql(gateway, "alter table t split at values (50)").expect("two ranges");
    lead_apart(&cluster, gateway);
    let (trace_id, parent) = ([0x5a; 16], [0x77; 8]);
    let traceparent = format!("00-{}-{}-01", "5a".repeat(16), "77".repeat(8));
    let update = "update t set v = v + 1 where id in (10, 90)";
    psql(gateway, &format!("{update} /*db_driver='test',traceparent='{traceparent}'*/")).expect("changed");
    let spans = collector.whole(&trace_id, |spans| {
        let processes: BTreeSet<&str> = spans.iter().map(|received| received.process.as_str()).collect();
        let has = |name| !named(spans, name).is_empty();
        let batches: BTreeSet<&str> =
            named(spans, "batch").iter().map(|received| received.process.as_str()).collect();
        processes.len() == 3 && batches.len() == 2 && has("query") && has("log") && has("apply")
    });
    let [root] = named(&spans, "query")[..] else { panic!("one root: {:#?}", shown(&spans)) };
    assert_eq!((&root.span.parent_span_id[..], root.span.kind()), (&parent[..], SpanKind::Server));
    let said = text(&root.span.attributes, "db.query.text").expect("its text");
    assert!(said.starts_with("update t set v = v + $1") && !said.contains("90"), "{said}");
    assert_eq!(text(&root.span.attributes, "db.namespace").as_deref(), Some("postgres"));
    // What SQL takes for a name is a value in DriftQL; there is no such document, and it is traced all the same.
    let parent = format!("00-{}-{}-01", "5b".repeat(16), "77".repeat(8));
    let _ = psql(
        gateway,
        &format!("set dialect = driftql; SHOW DRIFT t KEY \"hunter2\" /*traceparent='{parent}'*/"),
    );
    for received in collector.whole(&[0x5b; 16], |spans| !named(spans, "query").is_empty()) {
        assert!(
            text(&received.span.attributes, "db.query.text").is_none_or(|said| !said.contains("hunter2"))
        );
    }
    // Each span but the first is under another one of the trace, whichever process that is of, and within its time there.
    let ids: BTreeSet<&[u8]> = spans.iter().map(|received| &received.span.span_id[..]).collect();
    assert_eq!(ids.len(), spans.len());
    for received in &spans {
        let Span { parent_span_id, start_time_unix_nano: start, end_time_unix_nano: end, .. } =
            &received.span;
        assert!(start <= end && *start > 0);
        let is_root = received.span.span_id == root.span.span_id;
        assert!(is_root || ids.contains(&parent_span_id[..]), "{} is under nothing", received.span.name);
        assert_eq!(
            way_up(&spans, received).last().map(String::as_str),
            Some("query"),
            "{}",
            received.span.name
        );
    }
    for name in ["parse", "bind", "plan", "execute", "commit", "request"] {
        let found = named(&spans, name);
        assert!(!found.is_empty(), "no {name} in {:#?}", shown(&spans));
        assert!(found.iter().all(|received| received.process == root.process), "{name}");
    }
    for batch in named(&spans, "batch") {
        assert_ne!(batch.process, root.process);
        assert_eq!(batch.span.kind(), SpanKind::Server);
        assert_eq!(way_up(&spans, batch)[1], "request");
        assert!(text(&batch.span.attributes, "nunatak.range").is_some());
    }
    for name in ["log", "apply"] {
        for done in named(&spans, name) {
            assert_eq!(way_up(&spans, done)[1..3], ["propose", "batch"], "{name}");
        }
    }
    // What nobody has asked for is not traced; what was asked for has arrived by then.
    std::thread::sleep(SETTLED);
    let before = collector.0.lock().len();
    psql(gateway, "select count(*) from t").expect("an answer");
    psql(gateway, &format!("select 'x' /*traceparent='00-{}-{}-00'*/", "5b".repeat(16), "77".repeat(8)))
        .expect("an answer");
    std::thread::sleep(SETTLED);
    assert_eq!(collector.0.lock().len(), before);
    // By session; what fails says how.
    psql(gateway, "alter role postgres set trace = on").expect("set");
    psql(gateway, "select v / 0 from t where id = 5").expect_err("an error");
    psql(gateway, "alter role postgres reset trace").expect("set");
    let found = collector.whole_of("select v / $1", 2);
    let [root] = named(&found, "query")[..] else { panic!("one root: {:#?}", shown(&found)) };
    assert_eq!(root.span.status.as_ref().map(|status| status.code()), Some(StatusCode::Error));
    assert_eq!(text(&root.span.attributes, "db.response.status_code").as_deref(), Some("22012"));
    // Those that take long, and no others; only the gateway's part of them.
    psql(gateway, "alter role postgres set trace_min_duration = '4s'").expect("set");
    psql(gateway, "select 'soon done' as quick").expect("an answer");
    psql(gateway, "select pg_sleep(4.1) as slow, (select count(*) from t)").expect("an answer");
    let found = collector.whole_of("as slow", 3);
    let processes: BTreeSet<&str> = found.iter().map(|received| received.process.as_str()).collect();
    assert_eq!(processes.len(), 1, "{:#?}", shown(&found));
    assert!(collector.trace_of("as quick").is_none());
    // All of them, or a part.
    psql(gateway, "alter role postgres reset trace_min_duration; alter role postgres set trace_ratio = 1")
        .expect("set");
    psql(gateway, "select 'drawn' as drawn").expect("an answer");
    collector.whole_of("as drawn", 3);
}
