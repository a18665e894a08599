//! Statements of extreme depth, breadth and size against the real binary: one statement cannot end it, nor make it
//! take much memory.
//!
//! The statements are those that `sql/tests/extremes` plans on half a stack; here they are executed, too.
//! `NUNATAK_EXTREMES` sets how many random ones are sent.

#[path = "../../../sql/tests/extremes/shapes.rs"]
mod shapes;

use std::time::Duration;

use nunatak_tests::processes::{Listener, connect, start_single};
use tokio_postgres::Client;

/// How many random statements are sent.
const STATEMENTS: u64 = 120;

/// More than this must never be resident.
const RESIDENT_BYTES_MAX: u64 = 2 << 30;

/// How long a statement may take, its own timeout included.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most that was ever resident of the server.
fn peak_bytes(server: &Listener) -> u64 {
    let path = format!("/proc/{}/status", server.process.id());
    let status = std::fs::read_to_string(path).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its memory");
    let kibibytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    kibibytes.expect("a number") * 1024
}

async fn patient(server: &Listener) -> Client {
    let client = connect(&server.address).await;
    client.batch_execute("set statement_timeout = '2s'").await.expect("a timeout");
    client
}

/// Sends a statement; the SQLSTATE, or how many rows came.
async fn send(server: &Listener, client: &mut Client, sql: &str) -> Result<usize, String> {
    let shown = || sql.chars().take(100).collect::<String>();
    let answer = tokio::time::timeout(PATIENCE, client.simple_query(sql)).await;
    let answer = answer.unwrap_or_else(|_| panic!("no answer to {}", shown()));
    if client.is_closed() {
        let end = server.process.log().lines().rev().take(5).collect::<Vec<_>>().join("\n");
        println!("the connection closed over {}; the server's last words:\n{end}", shown());
        *client = patient(server).await;
    }
    match answer {
        Ok(messages) => Ok(messages.len()),
        Err(error) => Err(error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())),
    }
}

#[tokio::test]
async fn no_statement_ends_the_process_or_fills_its_memory() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_single(folder.path());
    let mut client = patient(&server).await;
    for sql in [
        "create table t (a int primary key, b text)",
        "create table u (a int, b text)",
        "insert into t select g, 'x' from generate_series(1, 3) g",
        "insert into u select g, 'x' from generate_series(1, 3) g",
    ] {
        send(&server, &mut client, sql).await.expect("a table");
    }
    // As deep as the budgets allow, just within and just beyond.
    for times in [240, 330, 490, 990] {
        for sql in shapes::shapes(times) {
            let _ = send(&server, &mut client, &sql).await;
        }
    }
    let given = std::env::var("NUNATAK_EXTREMES").ok().and_then(|given| given.parse().ok());
    for seed in 0..given.unwrap_or(STATEMENTS) {
        let _ = send(&server, &mut client, &shapes::statement(seed)).await;
    }
    let unions = vec!["select 1"; 5000].join(" union all ");
    assert_eq!(send(&server, &mut client, &unions).await, Ok(5002));
    assert!(peak_bytes(&server) < RESIDENT_BYTES_MAX, "{} bytes", peak_bytes(&server));
}

#[tokio::test]
async fn a_statement_of_many_megabytes_takes_bounded_memory() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_single(folder.path());
    let mut client = patient(&server).await;
    client
        .batch_execute("set statement_timeout = 0; create table r (a int, b int, c text)")
        .await
        .expect("a table");
    let rows = (0..500_000).map(|row| format!("({row},{row},'x')")).collect::<Vec<_>>().join(",");
    let values = format!("select count(*) from (values {rows}) v");
    assert_eq!(send(&server, &mut client, &values).await, Ok(3));
    let times = 40 << 20;
    for sql in [
        format!("select 1 where {}1=1", "1=1 or ".repeat(times / 7)),
        format!("select 1 where 1 in ({}1)", "1,".repeat(times / 2)),
        "select 1;".repeat(times / 9),
        format!("select {}1", "(".repeat(times)),
    ] {
        let outcome = send(&server, &mut client, &sql).await;
        assert!(
            matches!(outcome.as_ref().map_err(String::as_str), Err("54000" | "54001")),
            "{}: {outcome:?}",
            &sql[..30]
        );
    }
    assert!(send(&server, &mut client, &";".repeat(1 << 20)).await.is_ok());
    assert!(peak_bytes(&server) < RESIDENT_BYTES_MAX, "{} bytes", peak_bytes(&server));
    send(&server, &mut client, "select 1").await.expect("an answer");
}
