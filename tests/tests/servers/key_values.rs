//! The key-value service against the real binary: its calls, its transactions, its port, and the command that uses it.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use api::credentials::Credentials;
use api::health::HealthCheckRequest;
use api::health::health_check_response::ServingStatus;
use api::health::health_client::HealthClient;
use api::kv::kv_client::KvClient;
use api::kv::{
    BeginRequest, CommitRequest, DeleteRequest, GetRequest, Mode, RollbackRequest, ScanRequest, SetRequest,
};
use nunatak_tests::processes::{Listener, binary, free_address, installed, psql, start_single_with};
use nunatak_tests::secured::Secured;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// A gateway, and where its key-value service is.
fn start(folder: &tempfile::TempDir) -> (Listener, String) {
    let kv = free_address();
    let server = start_single_with(folder.path(), &["--kv", &kv]);
    (server, kv)
}

async fn channel(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("a connection")
}

/// A client of few words.
#[derive(Clone)]
struct Client(KvClient<Channel>);

impl Client {
    async fn connect(address: &str) -> Self {
        Self(KvClient::new(channel(address).await))
    }

    async fn get(&mut self, transaction: u64, key: &str) -> Result<Option<String>, Status> {
        let answer = self.0.get(GetRequest { transaction, key: key.to_owned().into() }).await?;
        Ok(answer.into_inner().value.map(|value| String::from_utf8(value.to_vec()).expect("UTF-8")))
    }

    async fn set(&mut self, transaction: u64, key: &str, value: &str) -> Result<(), Status> {
        let (key, value) = (key.to_owned().into(), value.to_owned().into());
        self.0.set(SetRequest { transaction, key, value }).await.map(drop)
    }

    async fn delete(&mut self, transaction: u64, key: &str) -> Result<bool, Status> {
        let answer = self.0.delete(DeleteRequest { transaction, key: key.to_owned().into() }).await?;
        Ok(answer.into_inner().deleted)
    }

    async fn begin(&mut self, mode: Mode) -> u64 {
        let begun = self.0.begin(BeginRequest { mode: mode.into() }).await.expect("a transaction");
        begun.into_inner().transaction
    }

    async fn commit(&mut self, transaction: u64) -> Result<(), Status> {
        self.0.commit(CommitRequest { transaction }).await.map(drop)
    }

    async fn rollback(&mut self, transaction: u64) -> Result<(), Status> {
        self.0.rollback(RollbackRequest { transaction }).await.map(drop)
    }

    /// The keys of a span.
    async fn scan(&mut self, request: ScanRequest) -> Vec<String> {
        let mut answers = self.0.scan(request).await.expect("a scan").into_inner();
        let mut keys = Vec::new();
        while let Some(answer) = answers.message().await.expect("pairs") {
            let pairs = answer.pairs.iter();
            keys.extend(pairs.map(|pair| String::from_utf8(pair.key.to_vec()).expect("UTF-8")));
        }
        keys
    }
}

fn span(start: &str, end: &str, limit: u64, reverse: bool) -> ScanRequest {
    let (start, end) = (start.to_owned().into(), end.to_owned().into());
    ScanRequest { transaction: 0, start, end, limit, reverse }
}

fn is_retryable(status: &Status) -> bool {
    api::refusal::detail(status).expect("a detail").retryable
}

#[tokio::test]
async fn keys_are_written_read_and_scanned() {
    let folder = tempfile::tempdir().expect("a directory");
    let (server, kv) = start(&folder);
    let mut client = Client::connect(&kv).await;
    assert_eq!(client.get(0, "a").await.expect("an answer"), None);
    for key in ["a", "b", "c", "d"] {
        client.set(0, key, &format!("{key}1")).await.expect("set");
    }
    client.set(0, "b", "b2").await.expect("set");
    client.set(0, "", "of nothing").await.expect("set");
    assert_eq!(client.get(0, "b").await.expect("an answer").as_deref(), Some("b2"));
    assert_eq!(client.get(0, "").await.expect("an answer").as_deref(), Some("of nothing"));
    assert!(client.delete(0, "").await.expect("an answer"));
    assert!(!client.delete(0, "").await.expect("an answer"));
    assert_eq!(client.scan(span("", "", 0, false)).await, ["a", "b", "c", "d"]);
    assert_eq!(client.scan(span("b", "d", 0, false)).await, ["b", "c"]);
    assert_eq!(client.scan(span("b", "", 2, false)).await, ["b", "c"]);
    assert_eq!(client.scan(span("", "d", 2, true)).await, ["c", "b"]);
    assert_eq!(client.scan(span("b", "", 0, true)).await, ["d", "c", "b"]);
    assert_eq!(client.scan(span("x", "", 0, false)).await, [""; 0]);
    if installed("psql") {
        let said = psql(&server.address, "select convert_from(value, 'UTF8') from kv.pairs where key = 'b'");
        assert_eq!(said.as_deref(), Ok("b2"));
    }
    let long = GetRequest { transaction: 0, key: vec![0; 70_000].into() };
    let refused = client.0.get(long).await.expect_err("too long a key");
    assert_eq!((refused.code(), is_retryable(&refused)), (Code::InvalidArgument, false));
    // More than any window holds.
    let mut filling = tokio::task::JoinSet::new();
    for number in 0..40 {
        let mut client = client.clone();
        filling.spawn(async move {
            client.set(0, &format!("large{number:02}"), &"x".repeat(200_000)).await.expect("set");
        });
    }
    filling.join_all().await;
    assert_eq!(client.scan(span("large", "largf", 0, false)).await.len(), 40);
    // A scan that nobody reads to its end holds up nobody.
    let scan = client.0.scan(span("large", "", 0, false)).await.expect("a scan");
    drop(scan);
    assert_eq!(client.get(0, "a").await.expect("an answer").as_deref(), Some("a1"));
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}

#[tokio::test]
async fn transactions_are_serializable_and_end() {
    let folder = tempfile::tempdir().expect("a directory");
    let (_server, kv) = start(&folder);
    let mut client = Client::connect(&kv).await;
    client.set(0, "x", "1").await.expect("set");
    let first = client.begin(Mode::ReadWrite).await;
    assert_ne!(first, 0);
    client.set(first, "x", "2").await.expect("set");
    assert_eq!(client.get(first, "x").await.expect("its own").as_deref(), Some("2"));
    assert_eq!(client.get(0, "x").await.expect("the others'").as_deref(), Some("1"));
    assert_eq!(client.scan(ScanRequest { transaction: first, ..span("", "", 0, false) }).await, ["x"]);
    client.commit(first).await.expect("committed");
    assert_eq!(client.get(0, "x").await.expect("an answer").as_deref(), Some("2"));
    let over = client.commit(first).await.expect_err("it has ended");
    assert_eq!(over.code(), Code::NotFound);
    client.rollback(first).await.expect("no error");

    let undone = client.begin(Mode::Unspecified).await;
    client.set(undone, "x", "3").await.expect("set");
    client.rollback(undone).await.expect("rolled back");
    assert_eq!(client.get(0, "x").await.expect("an answer").as_deref(), Some("2"));

    let reader = client.begin(Mode::ReadOnly).await;
    assert_eq!(client.get(reader, "x").await.expect("an answer").as_deref(), Some("2"));
    client.set(0, "x", "4").await.expect("set");
    assert_eq!(client.get(reader, "x").await.expect("as it was").as_deref(), Some("2"));
    let refused = client.set(reader, "x", "5").await.expect_err("it only reads");
    assert_eq!((refused.code(), is_retryable(&refused)), (Code::FailedPrecondition, false));
    client.rollback(reader).await.expect("rolled back");

    // Each has read what the other writes: both cannot be first.
    let (one, other) = (client.begin(Mode::ReadWrite).await, client.begin(Mode::ReadWrite).await);
    client.get(one, "left").await.expect("read");
    client.get(other, "right").await.expect("read");
    client.set(one, "right", "1").await.expect("set");
    client.set(other, "left", "1").await.expect("set");
    let ends = [client.commit(one).await, client.commit(other).await];
    let refused: Vec<_> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    assert!(!refused.is_empty(), "write skew");
    for status in refused {
        assert_eq!((status.code(), is_retryable(status)), (Code::Aborted, true), "{status:?}");
    }
    // A call that its client has given up takes its transaction along, never half of it.
    let (holder, waiter) = (client.begin(Mode::ReadWrite).await, client.begin(Mode::ReadWrite).await);
    client.set(holder, "held", "1").await.expect("set");
    client.set(waiter, "other", "1").await.expect("set");
    let waiting = client.set(waiter, "held", "2");
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), waiting).await.is_err());
    client.commit(holder).await.expect("committed");
    let gone = client.commit(waiter).await.expect_err("it is gone");
    assert_eq!(gone.code(), Code::NotFound);
    assert_eq!(client.get(0, "other").await.expect("an answer"), None);
}

/// A call of this role's, which proves nothing.
fn of_role<T>(role: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let said = Credentials { role: role.to_owned(), password: String::new() }.to_metadata();
    Credentials::put(request.metadata_mut(), said.expect("metadata"));
    request
}

#[tokio::test]
async fn what_bounds_a_role_in_sql_bounds_it_here() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let (server, kv) = start(&folder);
    let mut owner = Client::connect(&kv).await;
    owner.set(0, "a", "1").await.expect("set");
    owner.set(0, "long", &"x".repeat(300_000)).await.expect("set");
    for sql in [
        "create role ann login; alter role ann set nunatak.statements_per_second = 2",
        "create role ben login; alter role ben set nunatak.bytes_per_second = 50000",
        "grant usage on schema kv to ann, ben; grant select, insert, update on kv.pairs to ann, ben",
    ] {
        psql(&server.address, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let get = |key: &str| GetRequest { transaction: 0, key: key.to_owned().into() };
    let mut ann = KvClient::new(channel(&kv).await);
    let begun = ann.begin(of_role("ann", BeginRequest { mode: Mode::ReadWrite.into() })).await;
    let transaction = begun.expect("a transaction").into_inner().transaction;
    let mut refused = None;
    for _ in 0..50 {
        if let Err(status) = ann.get(of_role("ann", get("a"))).await {
            refused = Some(status);
            break;
        }
    }
    let status = refused.expect("ann is refused");
    assert_eq!(status.code(), Code::ResourceExhausted);
    let told = "too many statements a second of this role. Try again in ";
    assert!(status.message().starts_with(told), "{status:?}");
    assert!(is_retryable(&status));
    // So is a scan, and what a transaction does; not its end.
    let all = || of_role("ann", span("", "", 0, false));
    assert_eq!(ann.scan(all()).await.expect_err("refused").code(), Code::ResourceExhausted);
    let (key, value) = ("b".to_owned().into(), "1".to_owned().into());
    let within = ann.set(of_role("ann", SetRequest { transaction, key, value })).await;
    assert_eq!(within.expect_err("refused").code(), Code::ResourceExhausted);
    ann.commit(of_role("ann", CommitRequest { transaction })).await.expect("committed");
    for _ in 0..50 {
        owner.get(0, "a").await.expect("others are not held up");
    }
    // What ben is sent counts, over whichever connection.
    for _ in 0..2 {
        let mut ben = KvClient::new(channel(&kv).await);
        if let Err(status) = ben.get(of_role("ben", get("long"))).await {
            assert!(status.message().starts_with("too many bytes a second of this role"), "{status:?}");
            continue;
        }
        let status = ben.get(of_role("ben", get("a"))).await.expect_err("too much was sent");
        assert!(status.message().starts_with("too many bytes a second of this role"), "{status:?}");
    }
}

#[tokio::test]
async fn the_port_says_what_it_is() {
    // What the server inherits, too.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: files.maximum, ..files };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).expect("more files");
    let folder = tempfile::tempdir().expect("a directory");
    let (mut server, kv) = start(&folder);
    let channel = channel(&kv).await;
    let mut health = HealthClient::new(channel.clone());
    for (service, is_known) in [("", true), ("nunatak.kv.v1.Kv", true), ("nunatak.v1.Admin", false)] {
        let request = HealthCheckRequest { service: service.to_owned() };
        match health.check(request).await {
            Ok(answer) => {
                assert!(is_known, "{service}");
                assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
            }
            Err(status) => assert_eq!((status.code(), is_known), (Code::NotFound, false)),
        }
    }
    let mut reflection = ServerReflectionClient::new(channel.clone());
    let ask = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let answers = reflection.server_reflection_info(tokio_stream::iter([ask])).await.expect("reflection");
    let answer = answers.into_inner().message().await.expect("an answer").expect("one");
    let Some(MessageResponse::ListServicesResponse(services)) = answer.message_response else {
        panic!("no services")
    };
    let names: Vec<&str> = services.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"nunatak.kv.v1.Kv") && names.contains(&"grpc.health.v1.Health"), "{names:?}");
    for version in ["v1", "v1alpha"] {
        assert!(names.contains(&&*format!("grpc.reflection.{version}.ServerReflection")), "{names:?}");
    }
    assert!(!names.iter().any(|name| name.starts_with("nunatak.v1.")), "{names:?}");
    // What is no HTTP/2 ends its connection, and nothing else.
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\x00\x05hello",
        &[0xa5; 3000],
        b"\0\0\0\x08\x04\xd2\x16\x2f",
    ] {
        let mut raw = std::net::TcpStream::connect(&kv).expect("a connection");
        raw.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("a timeout");
        // It may have been closed already.
        let _ = raw.write_all(garbage);
        let _ = raw.read_to_end(&mut Vec::new());
    }
    let idle: Vec<_> = (0..1000).map(|_| std::net::TcpStream::connect(&kv)).collect();
    assert!(idle.iter().all(Result::is_ok));
    let mut client = Client(KvClient::new(channel));
    client.set(0, "k", "v").await.expect("set");
    // A watcher of its health hears of the end, and the end is one in order.
    let watching = health.watch(HealthCheckRequest::default()).await.expect("a watch");
    let mut watching = watching.into_inner();
    let first = watching.message().await.expect("an answer").expect("one");
    assert_eq!(first.status(), ServingStatus::Serving);
    let ended = tokio::task::spawn_blocking(move || server.process.terminate());
    let last = watching.message().await;
    if let Ok(Some(last)) = last {
        assert_eq!(last.status(), ServingStatus::NotServing);
    }
    assert_eq!(ended.await.expect("an end"), Some(0));
}

/// Runs `nunatak kv`: what it printed, or its complaint.
fn command(address: &str, words: &[&str], input: &str) -> Result<String, String> {
    let mut command = Command::new(binary());
    command.args(["kv", "--host", address]).args(words);
    finish(&mut command, input)
}

fn finish(command: &mut Command, input: &str) -> Result<String, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("its end");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn the_command_is_a_client_of_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let (_server, address) = start(&folder);
    let kv = |words: &[&str], input: &str| command(&address, words, input);
    assert!(kv(&["get", "a"], "").expect_err("nothing is there").contains("there is no such key"));
    assert_eq!(kv(&["set", "a", "one \\xff"], "").as_deref(), Ok(""));
    assert_eq!(kv(&["get", "a"], "").as_deref(), Ok("one \\xff"));
    assert_eq!(kv(&["set", "a", "-5"], "").as_deref(), Ok(""));
    assert_eq!(kv(&["get", "a"], "").as_deref(), Ok("-5"));
    assert!(kv(&["get", "-a"], "").expect_err("an error").contains("use '-- -a'"));
    assert_eq!(kv(&["set", "--", "-a", "-1"], "").as_deref(), Ok(""));
    assert_eq!(kv(&["get", "--", "-a"], "").as_deref(), Ok("-1"));
    assert_eq!(kv(&["scan", "--limit", "1", "--", "-a", "-b"], "").as_deref(), Ok("-a\t-1"));
    assert_eq!(kv(&["delete", "--", "-a"], "").as_deref(), Ok(""));
    assert_eq!(
        kv(&["txn"], "set b two words\nget b\ndelete a\nscan\n").as_deref(),
        Ok("two words\nb\ttwo words")
    );
    assert_eq!(kv(&["txn"], "set c 1\nrollback\n").as_deref(), Ok(""));
    assert!(kv(&["txn"], "set d 1\nnonsense\n").expect_err("an error").contains("'nonsense' is none of"));
    assert!(kv(&["txn", "--read-only"], "set d 1\n").expect_err("an error").contains("25006"));
    assert_eq!(kv(&["scan"], "").as_deref(), Ok("b\ttwo words"));
    assert_eq!(kv(&["scan", "a", "b"], "").as_deref(), Ok(""));
    assert_eq!(kv(&["delete", "b"], "").as_deref(), Ok(""));
    assert!(kv(&["delete", "b"], "").expect_err("it is gone").contains("there was no such key"));
    // The shell, by both of its names.
    let lines = "set e 1\nbegin\nset e 2\nget e\nrollback\nget e\nbegin read only\nget e\ncommit\n";
    assert_eq!(kv(&["shell"], lines).as_deref(), Ok("2\n1\n1"));
    let shell = |words: &[&str], input: &str| {
        let mut command = Command::new(binary());
        command.args(["sql", "--kv", address.as_str()]).args(words);
        finish(&mut command, input)
    };
    assert_eq!(shell(&[], "get e\nquit\nget e\n").as_deref(), Ok("1"));
    assert_eq!(shell(&["-c", "set e 3", "-c", "scan"], "").as_deref(), Ok("e\t3"));
    let refused = shell(&[], "begin\nset e 4\nnonsense\nget e\n").expect_err("an error");
    assert!(refused.contains("'nonsense' is none of") && refused.contains("rolled back"), "{refused}");
    assert!(shell(&["-c", "begin read only", "-c", "set e 4"], "").expect_err("an error").contains("25006"));
    assert!(shell(&["-c", "commit"], "").expect_err("an error").contains("no transaction is open"));
    assert!(shell(&["--dbname", "x"], "").expect_err("an error").contains("cannot be used with"));
    assert_eq!(shell(&["-c", "get e"], "").as_deref(), Ok("3"));
}

#[test]
fn who_calls_has_to_be_who_it_says() {
    if !installed("psql") {
        return;
    }
    let server = Secured::start();
    server.run("create user ann password 'k9-true'");
    let port = server.kv.rsplit_once(':').expect("host:port").1;
    let authority = server.certs.join("ca.crt");
    let host = format!("localhost:{port}");
    let ask = |role: &str, password: &str, words: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["kv", "--host", &host, "-U", role]).args(words);
        command.arg("--tls-ca").arg(&authority).env("PGPASSWORD", password);
        finish(&mut command, "")
    };
    // The superuser is believed in plain text on this machine, and makes the table by using it.
    assert_eq!(command(&server.kv, &["set", "k", "1"], "").as_deref(), Ok(""));
    assert!(ask("ann", "k9-false", &["get", "k"]).expect_err("a refusal").contains("28P01"));
    assert!(ask("ann", "k9-true", &["get", "k"]).expect_err("a refusal").contains("42501"));
    server.run("grant usage on schema kv to ann; grant select on kv.pairs to ann");
    assert_eq!(ask("ann", "k9-true", &["get", "k"]).as_deref(), Ok("1"));
    assert!(ask("ann", "k9-true", &["set", "k", "2"]).expect_err("a refusal").contains("42501"));
    // Without TLS no rule is about ann.
    let plain = command(&server.kv, &["-U", "ann", "get", "k"], "").expect_err("a refusal");
    assert!(plain.contains("28000"), "{plain}");
    assert!(!server.process.log().contains("k9-true"), "{}", server.process.log());
}
