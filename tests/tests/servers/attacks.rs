//! Attacks on every port of a cluster: with old and stripped TLS, with certificates that have ended or are somebody else's, with
//! raft's messages by whoever is none of the range, with silence, with names that are no names. SECURITY.md is the list.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nunatak_tests::processes::{
    Process, await_ready, binary, free_address, installed, output, psql, start_single_with,
};
use nunatak_tests::secured::{Secured, nunatak, text};
use proto::v1::{
    ChangeReplicasRequest, DigestRequest, DirectoryRequest, HelloRequest, JoinRequest, NodeHeartbeatRequest,
    RaftLogId, RaftSleepRequest, RaftTarget, RaftTransferRequest, RaftVote, RaftVoteRequest, RangesRequest,
    SubsumeRequest,
};
use proto::{Code, Network as _, NodeService, Status};

/// A node that asks who comes, and certificates of every kind.
struct GuardedNode {
    process: Process,
    address: String,
    certs: PathBuf,
    folder: tempfile::TempDir,
}

impl GuardedNode {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let certs = folder.path().join("certs");
        nunatak(&["cert", "create-ca", "--dir", text(&certs)]);
        issue(&certs, &[]);
        let address = free_address();
        let files = files(&certs, "node");
        let mut arguments = vec!["node", "--listen", &address, "--join", &address, "--http", "127.0.0.1:0"];
        let data = folder.path().join("data");
        arguments.extend(["--data", text(&data)]);
        arguments.extend(files.iter().map(String::as_str));
        let process = Process::start(&arguments, &folder.path().join("log"));
        let node = Self { process, address, certs, folder };
        let with = self::files(&node.certs, "gateway");
        await_ready("init", &node.process, || {
            let init = ["init", "--host", &node.address];
            output(Command::new(binary()).args(init).args(&with)).is_ok()
        });
        node
    }

    /// The node as whoever has this certificate of these sees it.
    fn seen_by(&self, certs: &Path, name: &str) -> Arc<dyn NodeService> {
        let read = |file: PathBuf| std::fs::read(file).expect("a file");
        let tls = proto::grpc::Tls {
            authority_pem: read(self.certs.join("ca.crt")),
            certificate_pem: read(certs.join(format!("{name}.crt"))),
            key_pem: read(certs.join(format!("{name}.key"))),
            peer_name: None,
        };
        let tls = proto::grpc::MutualTls::new(&tls).expect("certificates");
        proto::grpc::GrpcNetwork::new(Some(tls)).connect(&self.address)
    }
}

/// A certificate of each kind, by the authority that is there.
fn issue(certs: &Path, more: &[&str]) {
    for kind in [&["create-node", "127.0.0.1"], &["create-gateway", "127.0.0.1"], &["create-client", "ann"]] {
        let folder = ["--dir", text(certs)];
        nunatak(&[&["cert"][..], &kind[..], &folder[..], more].concat());
    }
}

/// Certificates of each kind that have ended, by the same authority.
fn issue_ended(certs: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for file in ["ca.crt", "ca.key"] {
        std::fs::copy(certs.join(file), to.join(file)).expect("a copy");
    }
    issue(to, &["--days", "0"]);
    // They hold up to the second in which they were made.
    std::thread::sleep(Duration::from_millis(2100));
}

/// The three flags of a process with this certificate.
fn files(certs: &Path, name: &str) -> Vec<String> {
    let file = |file: String| text(&certs.join(file)).to_owned();
    [
        ("--tls-cert", format!("{name}.crt")),
        ("--tls-key", format!("{name}.key")),
        ("--tls-ca", "ca.crt".into()),
    ]
    .into_iter()
    .flat_map(|(flag, name)| [flag.to_owned(), file(name)])
    .collect()
}

fn is_denied<T>(answer: Result<T, Status>) -> bool {
    answer.err().is_some_and(|status| status.code() == Code::PermissionDenied)
}

#[test]
fn certificates_that_have_ended_open_nothing() {
    if !installed("psql") {
        return;
    }
    let server = Secured::start();
    server.run("create user ann");
    let hba = server.folder.path().join("hba.conf");
    std::fs::write(&hba, "hostssl all ann all cert\nhostnossl all postgres 127.0.0.1/32 trust\n")
        .expect("a file");
    let pid = server.process.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs").success());
    let fresh = server.folder.path().join("fresh");
    let ended = server.folder.path().join("ended");
    std::fs::create_dir(&fresh).expect("a folder");
    for file in ["ca.crt", "ca.key"] {
        std::fs::copy(server.certs.join(file), fresh.join(file)).expect("a copy");
    }
    issue(&fresh, &[]);
    issue_ended(&server.certs, &ended);
    let with = |certs: &Path| {
        let (cert, key) = (certs.join("client.ann.crt"), certs.join("client.ann.key"));
        let shown = format!("user=ann sslmode=verify-full sslcert={} sslkey={}", text(&cert), text(&key));
        server.psql(&shown, None, "select current_user")
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while with(&fresh) != Ok("ann".to_owned()) {
        assert!(Instant::now() < deadline, "{:?}\n{}", with(&fresh), server.process.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    with(&ended).expect_err("a refusal");
    // Nor does a client go on where the server's has ended.
    for ending in ["crt", "key"] {
        let (from, to) =
            (ended.join(format!("gateway.{ending}")), server.certs.join(format!("gateway.{ending}")));
        std::fs::rename(from, to).expect("another file");
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while !with(&fresh).is_err_and(|said| said.contains("certificate verify failed")) {
        assert!(Instant::now() < deadline, "{:?}\n{}", with(&fresh), server.process.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn tls_is_not_talked_down_at_any_port() {
    if !installed("psql") || !installed("openssl") {
        return;
    }
    let (server, node) = (Secured::start(), GuardedNode::start());
    let (cert, key) = (node.certs.join("node.crt"), node.certs.join("node.key"));
    let handshake = |address: &str, version: &str, more: &[&str]| {
        let out = Command::new("openssl")
            .args(["s_client", "-connect", address, version])
            .args(more)
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let as_node = ["-cert", text(&cert), "-key", text(&key), "-alpn", "h2"];
    for (address, more) in [
        (&server.address, &["-starttls", "postgres"][..]),
        (&server.objects, &["-alpn", "nunatak-objects"][..]),
        (&server.kv, &["-alpn", "h2"][..]),
        (&node.address, &as_node[..]),
    ] {
        let said = handshake(address, "-tls1_3", more);
        assert!(said.contains("New, TLSv1.3, Cipher is TLS_"), "{address} {more:?}: {said}");
        let said = handshake(address, "-tls1_2", more);
        assert!(
            !said.contains("Cipher is TLS_") && !said.contains("Cipher is EC"),
            "{address} {more:?}: {said}"
        );
    }
    // Nor is plain text spoken where TLS is asked for.
    let plain = proto::grpc::GrpcNetwork::new(None).connect(&node.address);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async { plain.hello(HelloRequest::default()).await.expect_err("no answer") });
}

/// Somebody in between who says that there is no TLS hears nothing more of a client that wants it.
#[test]
fn who_strips_tls_hears_nothing() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let certs = folder.path().join("certs");
    nunatak(&["cert", "create-ca", "--dir", text(&certs)]);
    let authority = certs.join("ca.crt");
    let strip = |client: &dyn Fn(&str) -> Command| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let hearing = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
            let (mut request, mut rest) = ([0; 8], Vec::new());
            stream.read_exact(&mut request).expect("a request for TLS");
            stream.write_all(b"N").expect("an answer");
            // However the client goes.
            let _ = stream.read_to_end(&mut rest);
            (request, rest)
        });
        let refused = output(client(&address).env("PGPASSWORD", "k9-true")).expect_err("no connection");
        let (request, rest) = hearing.join().expect("no panic");
        assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
        assert!(rest.is_empty(), "{refused}: {rest:?}");
    };
    strip(&|address: &str| {
        let port = address.rsplit_once(':').expect("host:port").1;
        let mut command = Command::new("psql");
        let parameters =
            format!("host=localhost hostaddr=127.0.0.1 port={port} user=ann sslmode=verify-full");
        command.args(["-X", "-w", "-c", "select 1"]);
        command.arg(format!("{parameters} dbname=postgres sslrootcert={}", text(&authority)));
        command
    });
    strip(&|address: &str| {
        let mut command = Command::new(binary());
        command.args(["sql", "--url", &format!("postgresql://ann@{address}/postgres"), "-c", "select 1"]);
        command.args(["--tls-ca", text(&authority)]);
        command
    });
}

#[test]
fn what_nodes_say_among_themselves_nobody_else_says() {
    let node = GuardedNode::start();
    let (ended, elsewhere) = (node.folder.path().join("ended"), node.folder.path().join("elsewhere"));
    nunatak(&["cert", "create-ca", "--dir", text(&elsewhere)]);
    issue(&elsewhere, &[]);
    issue_ended(&node.certs, &ended);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let hello = HelloRequest::default;
        for name in ["node", "gateway"] {
            node.seen_by(&node.certs, name).hello(hello()).await.expect("an answer");
        }
        // Of another authority, and of before.
        for certs in [&elsewhere, &ended] {
            for name in ["node", "gateway", "client.ann"] {
                let answer = node.seen_by(certs, name).hello(hello()).await;
                assert!(answer.is_err(), "{} {name}", certs.display());
            }
        }
        // A client's may nothing, a gateway's none of this.
        let client = node.seen_by(&node.certs, "client.ann");
        assert!(is_denied(client.hello(hello()).await));
        assert!(is_denied(client.ranges(RangesRequest::default()).await));
        for name in ["gateway", "client.ann"] {
            let seen = node.seen_by(&node.certs, name);
            assert!(is_denied(seen.join(JoinRequest::default()).await), "{name}");
            assert!(is_denied(seen.node_heartbeat(NodeHeartbeatRequest::default()).await), "{name}");
            assert!(is_denied(seen.digest(DigestRequest::default()).await), "{name}");
            assert!(is_denied(seen.subsume(SubsumeRequest::default()).await), "{name}");
            assert!(is_denied(seen.change_replicas(ChangeReplicasRequest::default()).await), "{name}");
            assert!(is_denied(seen.raft_vote(RaftVoteRequest::default()).await), "{name}");
            assert!(is_denied(seen.raft_transfer(RaftTransferRequest::default()).await), "{name}");
            assert!(is_denied(seen.raft_sleep(RaftSleepRequest::default()).await), "{name}");
        }
    });
}

#[test]
fn nodes_take_new_certificates_while_they_run() {
    if !installed("openssl") {
        return;
    }
    let mut node = GuardedNode::start();
    let own = files(&node.certs, "gateway");
    let (certificate, key) = (node.certs.join("node.crt"), node.certs.join("node.key"));
    let shown = || {
        let out = Command::new("openssl")
            .args(["s_client", "-connect", &node.address, "-alpn", "h2", "-cert", &own[1], "-key", &own[3]])
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.split("-----END CERTIFICATE-----").next().unwrap_or_default().to_owned()
    };
    let hangup = || {
        let pid = node.process.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs").success());
    };
    let before = shown();
    assert!(before.contains("BEGIN CERTIFICATE"), "{before}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hello = |seen: &Arc<dyn NodeService>| runtime.block_on(seen.hello(HelloRequest::default()));
    let connected = runtime.block_on(async { node.seen_by(&node.certs, "gateway") });
    hello(&connected).expect("an answer");
    for file in [&certificate, &key] {
        std::fs::remove_file(file).expect("a file");
    }
    nunatak(&["cert", "create-node", "127.0.0.1", "--dir", text(&node.certs)]);
    hangup();
    let deadline = Instant::now() + Duration::from_secs(30);
    while shown() == before {
        assert!(Instant::now() < deadline, "the certificate was not read again:\n{}", node.process.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    hello(&connected).expect("the connection goes on");
    let fresh = || runtime.block_on(async { node.seen_by(&node.certs, "gateway") });
    hello(&fresh()).expect("an answer");
    // What cannot be used changes nothing.
    std::fs::write(&certificate, "no certificate").expect("a file");
    hangup();
    while !node.process.log().contains("the one before stays in force") {
        assert!(Instant::now() < deadline, "{}", node.process.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    hello(&fresh()).expect("an answer");
    assert!(!node.process.has_ended(), "{}", node.process.log());
}

/// Where there is nothing to be read again, either.
#[test]
fn a_hangup_ends_no_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let (address, data) = (free_address(), folder.path().join("data"));
    let arguments =
        ["node", "--data", text(&data), "--listen", &address, "--join", &address, "--http", "127.0.0.1:0"];
    let mut process = Process::start(&arguments, &folder.path().join("log"));
    await_ready("the port", &process, || TcpStream::connect(&address).is_ok());
    let pid = process.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs").success());
    let answer = output(Command::new(binary()).args(["init", "--host", &address]));
    assert!(answer.is_ok() && !process.has_ended(), "{answer:?}: {}", process.log());
}

#[test]
fn a_candidate_that_is_none_of_the_range_moves_nothing() {
    let node = GuardedNode::start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let seen = node.seen_by(&node.certs, "node");
        let directory = seen.directory(DirectoryRequest::default()).await.expect("a directory");
        let cluster_id = directory.cluster_id;
        let hello = HelloRequest { cluster_id: cluster_id.clone(), ..HelloRequest::default() };
        let greeting = seen.hello(hello).await.expect("an answer");
        let before = seen.ranges(RangesRequest::default()).await.expect("the ranges").ranges;
        assert!(!before.is_empty());
        for range in &before {
            let descriptor = range.descriptor.as_ref().expect("a descriptor");
            let own = descriptor.replicas.iter().find(|replica| replica.node_id == greeting.node_id);
            let own = own.expect("a replica of the only node").replica_id;
            let target = RaftTarget {
                cluster_id: cluster_id.clone(),
                range_id: descriptor.range_id,
                replica_id: own,
                from_replica_id: 77,
                node_id: greeting.node_id,
                generation: greeting.generation,
                from_node_id: 77,
                from_generation: 1,
            };
            let far = RaftLogId { term: 1 << 40, index: 1 << 40 };
            for leadership_transfer in [false, true] {
                let request = RaftVoteRequest {
                    target: Some(target.clone()),
                    vote: Some(RaftVote { term: far.term, replica_id: 77, committed: false }),
                    last_log_id: Some(far),
                    pre_vote: false,
                    leadership_transfer,
                };
                let answer = seen.raft_vote(request).await;
                assert!(answer.is_err() || answer.is_ok_and(|answer| !answer.granted));
            }
            // Nor does one of another cluster.
            let foreign = RaftTarget { cluster_id: b"another".to_vec().into(), ..target };
            let vote = Some(RaftVote { term: far.term, replica_id: own, committed: false });
            let request = RaftVoteRequest { target: Some(foreign), vote, ..RaftVoteRequest::default() };
            seen.raft_vote(request).await.expect_err("a refusal");
        }
        let after = seen.ranges(RangesRequest::default()).await.expect("the ranges").ranges;
        assert!(after.len() >= before.len() && after.iter().all(|range| range.term < 1 << 40), "{after:?}");
    });
}

/// So many connections that say this and nothing more.
fn hold(address: &str, said: &[u8], count: usize) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.write_all(said).expect("it is taken");
        stream
    };
    (0..count).map(connect).collect()
}

/// Whether the other side ends the connection within so many seconds.
fn is_ended(stream: &mut TcpStream, seconds: u64) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(seconds))).expect("a timeout");
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

fn health(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn whoever_is_silent_holds_up_nobody_at_any_port() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (objects, kv) = (free_address(), free_address());
    let single = start_single_with(folder.path(), &["--objects", &objects, "--kv", &kv]);
    let node = GuardedNode::start();
    // Begun and not ended, at each port; nothing at all as well.
    let mut held = Vec::new();
    for (address, begun) in [
        (&single.address, &[0, 0, 0, 40, 0][..]),
        (&objects, &[0, 0][..]),
        (&kv, &b"PRI * HTTP/2.0\r\n"[..]),
        (&single.http, &b"GET /health HTT"[..]),
        (&node.address, &[0x16, 3, 1][..]),
    ] {
        held.push((address.as_str(), hold(address, begun, 100)));
        held.push((address.as_str(), hold(address, b"", 100)));
    }
    assert_eq!(psql(&single.address, "select 1").as_deref(), Ok("1"));
    assert!(health(&single.http).contains(" 200 "));
    let mut key_values = Command::new(binary());
    let said = output(key_values.args(["kv", "--host", &kv, "get", "nothing"])).expect_err("there is none");
    assert!(said.contains("there is no such key"), "{said}");
    let nodes = ["admin", "nodes", "--host", &node.address];
    output(Command::new(binary()).args(nodes).args(files(&node.certs, "gateway"))).expect("an answer");
    // At the HTTP port those that came first have given way, at the node's the time of all is over soon.
    for (address, streams) in &mut held {
        if *address == single.http {
            // Of the second hundred some stay.
            let ended = streams.iter_mut().take(10).all(|stream| is_ended(stream, 5));
            assert!(ended, "a connection to {address} is kept");
        }
        if *address == node.address {
            let deadline = Instant::now() + Duration::from_secs(30);
            for stream in streams {
                let left = deadline.saturating_duration_since(Instant::now()).as_secs().max(1);
                assert!(is_ended(stream, left), "a connection to {address} is kept");
            }
        }
    }
    assert_eq!(psql(&single.address, "select 1").as_deref(), Ok("1"));
}

/// A byte now and then is silence as well.
#[test]
fn whoever_says_a_byte_at_a_time_is_cut_off() {
    let node = GuardedNode::start();
    let mut stream = TcpStream::connect(&node.address).expect("a connection");
    let begun = Instant::now();
    // A handshake that claims to be 512 bytes long.
    let mut said = vec![0x16, 3, 1, 2, 0];
    said.extend([0; 512]);
    let cut = said.chunks(1).any(|byte| {
        std::thread::sleep(Duration::from_millis(200));
        stream.write_all(byte).is_err()
    });
    assert!(cut && begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

/// Whatever names hold, the statements that make a table again make it again, and nothing else.
#[test]
fn names_stay_names_in_what_is_made_of_them() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let single = start_single_with(folder.path(), &[]);
    let run = |sql: &str| psql(&single.address, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    run("create table canary (a int); insert into canary values (1)");
    let names = [
        "a\"; drop table canary; --",
        "x'; drop table canary; --",
        "new\nline",
        "tab\there",
        "100%s %d %%",
        "$1 $$ $q$",
        "a.b.\"c\"",
        "/* -- */",
        "\\ \\n",
        "select",
        "gr\u{fc}n \u{2603} \u{202e}",
    ];
    for name in names {
        let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let (quoted, kind) = (quote(name), quote(&format!("{name} kind")));
        let literal = format!("'{}'", name.replace('\'', "''"));
        run(&format!("create schema {quoted}; create type {quoted}.{kind} as enum ({literal})"));
        run(&format!(
            "create table {quoted}.{quoted} ({quoted} int, b text default {literal}, c {quoted}.{kind},
                 constraint {quoted} check ({quoted} > 0 and b <> {literal}), primary key ({quoted}));
             create index on {quoted}.{quoted} (c, b) where b = {literal};
             comment on table {quoted}.{quoted} is {literal};
             comment on column {quoted}.{quoted}.{quoted} is {literal};
             create policy {quoted} on {quoted}.{quoted} using (b = {literal});
             create view {quoted}.v as select {quoted} as {quoted}, c from {quoted}.{quoted} where b = {literal}"
        ));
        // The name stands before the statements.
        let shown = |what: &str| {
            let told = run(&format!("show create {what}"));
            let at = told.find("|CREATE ").unwrap_or_else(|| panic!("{what}: {told}"));
            told[at + 1..].to_owned()
        };
        let (table, view) = (shown(&format!("table {quoted}.{quoted}")), shown(&format!("view {quoted}.v")));
        run(&format!("drop view {quoted}.v; drop table {quoted}.{quoted}"));
        run(&table);
        run(&view);
        assert_eq!(shown(&format!("table {quoted}.{quoted}")), table, "{name}");
        assert_eq!(shown(&format!("view {quoted}.v")), view, "{name}");
        run(&format!("insert into {quoted}.{quoted} values (1, 'b', {literal}::{quoted}.{kind})"));
        for sql in [
            format!("copy {quoted}.{quoted} ({quoted}, c) to stdout (format csv, header)"),
            format!("copy (select {quoted}, c from {quoted}.{quoted}) to stdout"),
            format!("explain analyze select {quoted} from {quoted}.{quoted} where c = {literal}"),
            format!("analyze {quoted}.{quoted}"),
            format!("select * from pg_stats where schemaname = {literal} and tablename = {literal}"),
        ] {
            run(&sql);
        }
        let answer = run(&format!(
            "select format('%I.%I', {literal}, {literal})::regclass = c.oid, quote_ident(n.nspname) = quote_ident({literal})
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relname = {literal} and n.nspname = {literal}"
        ));
        assert_eq!(answer, "t|t", "{name}");
        for function in [
            format!("pg_get_viewdef(format('%I.v', {literal})::regclass)"),
            format!(
                "(select string_agg(pg_get_constraintdef(oid), ';') from pg_constraint where conname = {literal})"
            ),
            format!(
                "(select string_agg(pg_get_indexdef(indexrelid), ';') from pg_index where indrelid = format('%I.%I', {literal}, {literal})::regclass)"
            ),
            format!(
                "(select string_agg(pg_get_expr(adbin, adrelid), ';') from pg_attrdef where adrelid = format('%I.%I', {literal}, {literal})::regclass)"
            ),
            format!(
                "obj_description(format('%I.%I', {literal}, {literal})::regclass, 'pg_class') = {literal}"
            ),
        ] {
            assert!(!run(&format!("select {function}")).is_empty(), "{name}: {function}");
        }
    }
    for command in [r"\d", r"\dt *.*", r"\dv *.*", r"\dn", r"\dp"] {
        let shell = Command::new(binary())
            .args(["sql", "--url", &format!("postgresql://postgres@{}/postgres", single.address)])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        let mut shell = shell.expect("the shell starts");
        let mut input = shell.stdin.take().expect("its input");
        input.write_all(format!("{command}\n").as_bytes()).expect("it reads");
        drop(input);
        shell.wait().expect("it ends");
        run(command);
    }
    assert_eq!(run("select count(*) from canary"), "1");
    assert!(!single.process.log().contains("panicked"), "{}", single.process.log());
}
