//! Where records go: what hangs, and what is read slowly.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nunatak_tests::processes::{Listener, binary, free_address, installed, psql, start_single_with};
use serde_json::Value;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::{run, text};

/// A statement whose record is large.
fn large() -> String {
    format!("select {}1", "1 as a_column_with_a_name, ".repeat(300))
}

async fn try_connect(server: &Listener, user: &str) -> Result<Client, tokio_postgres::Error> {
    let (host, port) = server.address.rsplit_once(':').expect("host:port");
    let parameters = format!("host={host} port={port} user={user} dbname=postgres");
    let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn metrics(server: &Listener) -> String {
    let mut stream = TcpStream::connect(&server.http).expect("a connection");
    let request = "GET /metrics HTTP/1.1\r\nHost: nunatak\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("a request");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("a page");
    page
}

/// A server whose audit log is a pipe that nobody reads.
fn start(folder: &Path, full: &str) -> (Listener, std::path::PathBuf) {
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let server = start_single_with(folder, &["--audit-log", text(&pipe), "--audit-full", full]);
    (server, pipe)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_hangs_stops_what_is_audited_and_nothing_else() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (mut server, pipe) = start(folder.path(), "wait");
    let admin = try_connect(&server, "postgres").await.expect("a connection");
    run(&admin, "create role auditor login; alter role auditor set nunatak.audit = 'all'").await;
    let user = try_connect(&server, "auditor").await.expect("a connection");
    let mut refused = None;
    for _ in 0..40 {
        if let Err(error) = user.batch_execute(&large()).await {
            refused = Some(error);
            break;
        }
    }
    // The statement whose record hangs was done: its client is not told, and its session ends.
    assert_eq!(refused.expect("the pipe is full").code(), Some(&SqlState::IO_ERROR));
    // From then on nothing that is audited begins; what is not goes on as ever.
    let began = Instant::now();
    let error = admin.batch_execute("create role never").await.expect_err("a refusal");
    assert_eq!(error.code(), Some(&SqlState::IO_ERROR));
    assert!(began.elapsed() < Duration::from_secs(10));
    let refused = try_connect(&server, "auditor").await.err().and_then(|error| error.code().cloned());
    assert_eq!(refused, Some(SqlState::IO_ERROR));
    let began = Instant::now();
    run(&admin, "create table t (a int); insert into t values (1)").await;
    let roles = admin.query("select 1 from pg_roles where rolname = 'never'", &[]).await.expect("rows");
    assert!(roles.is_empty() && began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(server.process.log().contains("a write does not come back"), "{}", server.process.log());
    assert!(metrics(&server).lines().any(|line| line == "nunatak_sql_audit_failing 1"));

    // Once somebody reads, all goes on.
    let reader = std::thread::spawn(move || {
        let mut told = String::new();
        File::open(pipe).expect("the pipe").read_to_string(&mut told).expect("text");
        told
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    while admin.batch_execute("create role later").await.is_err() {
        assert!(Instant::now() < deadline, "it does not go on");
    }
    assert!(server.process.log().contains("the audit log is written again"));
    assert!(metrics(&server).lines().any(|line| line == "nunatak_sql_audit_failing 0"));
    drop(admin);
    server.process.terminate();
    let told = reader.join().expect("no panic");
    let records: Vec<Value> =
        told.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    let has = |name: &str| records.iter().any(|record| record["objects"][0]["name"] == name);
    assert!(has("later") && has("auditor") && !has("never"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_hangs_holds_neither_those_who_do_not_wait_nor_the_end() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (mut server, _pipe) = start(folder.path(), "drop");
    let admin = try_connect(&server, "postgres").await.expect("a connection");
    run(&admin, "create role auditor login; alter role auditor set nunatak.audit = 'all'").await;
    let user = try_connect(&server, "auditor").await.expect("a connection");
    // What nobody records takes as long as the machine is slow.
    let began = Instant::now();
    for _ in 0..40 {
        run(&admin, &large()).await;
    }
    let (unrecorded, began) = (began.elapsed(), Instant::now());
    let mut slowest = Duration::ZERO;
    for _ in 0..40 {
        let asked = Instant::now();
        run(&user, &large()).await;
        slowest = slowest.max(asked.elapsed());
    }
    let took = began.elapsed();
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    assert!(took < Duration::from_secs(4) + unrecorded * 2, "{took:?}, {unrecorded:?} unrecorded");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !server.process.log().contains("a write does not come back") {
        assert!(Instant::now() < deadline, "nobody says so:\n{}", server.process.log());
        tokio::time::sleep(Duration::from_millis(500)).await;
        run(&user, "select 1").await;
    }
    assert!(metrics(&server).lines().any(|line| line == "nunatak_sql_audit_failing 1"));
    let ending = Instant::now();
    server.process.terminate();
    assert!(ending.elapsed() < Duration::from_secs(25), "{:?}", ending.elapsed());
}

/// A process that ends with its test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_on_standard_output_stay_whole_however_large_and_slow() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (data, address, http) = (folder.path().join("data"), free_address(), free_address());
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    // As whoever starts the process may have left it: what does not fit at once is refused.
    theirs.set_nonblocking(true).expect("its mode");
    let log = File::create(folder.path().join("log")).expect("a file");
    let own = ["start-single", "--data", text(&data), "--listen", &address, "--http", &http];
    let mut child = Ending(
        Command::new(binary())
            .args(own)
            .args(["--audit-log", "-"])
            .stdin(Stdio::null())
            .stdout(OwnedFd::from(theirs))
            .stderr(log)
            .spawn()
            .expect("the binary starts"),
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    while !psql(&address, "select 1").is_ok_and(|answer| answer == "1") {
        assert!(Instant::now() < deadline, "it does not come up");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let run_one = |sql: String| {
        let address = address.clone();
        tokio::task::spawn_blocking(move || psql(&address, &sql).is_ok())
    };
    assert!(run_one("create role auditor".to_owned()).await.expect("no panic"));
    // Each record names 256 objects; together they are more than fits between the two.
    let many = vec!["auditor"; 300].join(", ");
    let grants: Vec<_> = (0..60).map(|number| run_one(format!("grant nobody{number} to {many}"))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reader = std::thread::spawn(move || {
        let (mut ours, mut bytes, mut portion) = (ours, Vec::new(), [0; 4 << 10]);
        while let Ok(1..) = ours.read(&mut portion).inspect(|read| bytes.extend_from_slice(&portion[..*read]))
        {
        }
        bytes
    });
    for grant in grants {
        assert!(!grant.await.expect("no panic"), "there is no such role");
    }
    let pid = child.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    child.0.wait().expect("it ends");
    let told = String::from_utf8(reader.join().expect("no panic")).expect("text");
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for line in told.lines() {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if record["command"] == "GRANT ROLE" || record["command"] == "GRANT" {
            *seen.entry(record["statement"].to_string()).or_default() += 1;
        }
    }
    assert!(seen.len() == 60 && seen.values().all(|count| *count == 1), "{:?}", seen.values());
}
