//! What roles, addresses and statements may do, and what those are told who want more.

use std::time::{Duration, Instant};

use nunatak_tests::embedded::Embedded;
use sql::{EngineOptions, SessionParameters};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

async fn connect(url: &str, user: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config: tokio_postgres::Config = url.parse().expect("a URL");
    config.user(user);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn one(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("∅").to_owned()),
        _ => None,
    });
    row.unwrap_or_default()
}

fn told(error: &tokio_postgres::Error) -> &DbError {
    error.as_db_error().unwrap_or_else(|| panic!("{error:?}"))
}

async fn refused(client: &Client, sql: &str) -> DbError {
    told(&client.simple_query(sql).await.expect_err("an error")).clone()
}

/// The time to wait that a hint tells.
fn wait(error: &DbError) -> Duration {
    let hint = error.hint().unwrap_or_else(|| panic!("no hint: {error:?}"));
    let ms = hint.strip_prefix("Try again in ").and_then(|rest| rest.strip_suffix(" ms."));
    Duration::from_millis(ms.and_then(|ms| ms.parse().ok()).unwrap_or_else(|| panic!("{hint}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_runs_so_many_statements_a_second_and_is_told_when_to_go_on() {
    let cluster = Embedded::start().await;
    let url = cluster.url();
    let boss = connect(&url, "postgres").await.expect("a connection");
    run(
        &boss,
        "create table t (id int primary key); create role ann login; create role ben login;
                grant all on t to ann; alter role ann set nunatak.statements_per_second = 5",
    )
    .await;
    let (first, second) =
        (connect(&url, "ann").await.expect("ann"), connect(&url, "ann").await.expect("ann"));
    let since = Instant::now();
    run(&first, "begin; insert into t values (1)").await;
    let mut error = None;
    for _ in 0..50 {
        if let Err(found) = second.simple_query("select 1").await {
            error = Some(told(&found).clone());
            break;
        }
    }
    let error = error.expect("ann is refused");
    assert_eq!(error.code(), &SqlState::CONFIGURATION_LIMIT_EXCEEDED);
    assert_eq!(error.message(), "too many statements a second of this role");
    assert!(wait(&error) <= Duration::from_millis(201), "{error:?}");
    // What ends a transaction goes, in whatever form.
    run(&first, "commit").await;
    assert!(since.elapsed() < Duration::from_secs(10), "the machine is too slow for this test");
    // Others are not held up, and ann cannot help herself.
    let ben = connect(&url, "ben").await.expect("ben");
    for _ in 0..50 {
        run(&ben, "select 1").await;
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let denied = refused(&second, "set nunatak.statements_per_second = 0").await;
    assert_eq!(denied.code(), &SqlState::INSUFFICIENT_PRIVILEGE);
    assert_eq!(one(&second, "select count(*) from t").await, "1");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // One that is prepared for itself counts once.
    for _ in 0..5 {
        second.query("select 1", &[]).await.expect("an answer");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_and_bytes_are_counted_by_role_and_by_address() {
    let mut cluster = Embedded::start().await;
    let url = cluster.url();
    let boss = connect(&url, "postgres").await.expect("a connection");
    run(
        &boss,
        "create role ann login; alter role ann set nunatak.connections_per_second = 2;
                create role ben login; alter role ben set nunatak.bytes_per_second = 100000",
    )
    .await;
    let mut error = None;
    for _ in 0..50 {
        if let Err(found) = connect(&url, "ann").await {
            error = Some(told(&found).clone());
            break;
        }
    }
    let error = error.expect("ann is refused");
    assert_eq!(error.code(), &SqlState::TOO_MANY_CONNECTIONS);
    assert_eq!(error.message(), "too many connections a second of this role");
    assert!(wait(&error) <= Duration::from_millis(501), "{error:?}");
    let ben = connect(&url, "ben").await.expect("ben");
    run(&ben, "select repeat('x', 300000)").await;
    let error = refused(&ben, "select 1").await;
    assert_eq!(error.message(), "too many bytes a second of this role");
    assert!(wait(&error) > Duration::from_secs(1), "{error:?}");
    // What it is told of the refusal counts, too.
    tokio::time::sleep(wait(&error) + Duration::from_millis(100)).await;
    run(&ben, "select 1").await;
    // Those of an address are the cluster's to say, in force for whoever connects then.
    run(
        &boss,
        "set cluster setting gateway.address_statements_per_second = 3;
                set cluster setting gateway.address_connections_per_second = 5",
    )
    .await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    // The gateway hears of it with its first client.
    drop(connect(&other, "postgres").await.expect("a connection"));
    let mut error = None;
    for _ in 0..50 {
        match connect(&other, "postgres").await {
            Ok(client) if error.is_none() => {
                let mut last = Ok(Vec::new());
                for _ in 0..50 {
                    last = client.simple_query("select 1").await;
                    if last.is_err() {
                        break;
                    }
                }
                let found = last.expect_err("statements of the address are refused");
                assert_eq!(told(&found).message(), "too many statements a second of this address");
                error = Some(told(&found).clone());
            }
            Ok(_) => {}
            Err(found) => {
                assert_eq!(told(&found).message(), "too many connections a second of this address");
                error = Some(told(&found).clone());
                break;
            }
        }
    }
    assert_eq!(error.expect("refused").code(), &SqlState::TOO_MANY_CONNECTIONS);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_waits_for_its_turn_no_longer_than_it_may_take() {
    let cluster = Embedded::start().await;
    let engine = sql::Engine::new(cluster.client().await, EngineOptions::default());
    let settings = vec![("statement_timeout".to_owned(), "1s".to_owned())];
    let parameters = SessionParameters {
        user: "postgres".to_owned(),
        database: "postgres".to_owned(),
        settings,
        ..SessionParameters::default()
    };
    let mut session = engine.session(parameters).expect("a session");
    session.message_arrived();
    let never = session.wait_for_turn(std::future::pending::<()>()).await;
    let error = never.expect_err("the time is over");
    assert_eq!((error.sqlstate, &*error.message), ("57014", "canceling statement due to statement timeout"));
    let cancel = session.cancel_handle();
    session.message_arrived();
    cancel.cancel();
    let error = session.wait_for_turn(std::future::pending::<()>()).await.expect_err("cancelled");
    assert_eq!((error.sqlstate, &*error.message), ("57014", "canceling statement due to user request"));
    // What it has waited for is of the statement's time.
    session.finish_implicit(true).await.expect("rolled back");
    session.message_arrived();
    let statement = session.split("select pg_sleep(0.5)").await.expect("a statement").remove(0);
    let prepared = session.prepare_once(statement).await.expect("prepared");
    let waited = tokio::time::sleep(Duration::from_millis(800));
    session.wait_for_turn(waited).await.expect("its turn");
    let mut portal = session.execute(&prepared, Vec::new()).await.expect("a portal");
    let error = session.fetch(&mut portal, 0).await.expect_err("the time is over");
    assert_eq!(&*error.message, "canceling statement due to statement timeout");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_answers_and_changes_no_more_rows_than_it_may() {
    let cluster = Embedded::start().await;
    let url = cluster.url();
    let boss = connect(&url, "postgres").await.expect("a connection");
    run(&boss, "create table t (id int primary key); create role ann login; grant all on t to ann;
                alter role ann set nunatak.rows_max = 100; alter role ann set nunatak.statement_bytes_max = 200")
        .await;
    let ann = connect(&url, "ann").await.expect("ann");
    let over = SqlState::CONFIGURATION_LIMIT_EXCEEDED;
    run(&ann, "insert into t select generate_series(1, 100)").await;
    assert_eq!(one(&ann, "select count(*) from t").await, "100");
    for sql in [
        "select generate_series(1, 101)",
        "insert into t select generate_series(1001, 1101)",
        "insert into t select generate_series(1001, 1101) returning id",
        "with w as (insert into t select generate_series(1001, 1003) returning id) select generate_series(1, 200) from w",
    ] {
        assert_eq!(refused(&ann, sql).await.code(), &over, "{sql}");
        assert_eq!(one(&ann, "select count(*) from t").await, "100", "{sql}");
    }
    assert_eq!(
        ann.query("select generate_series(1, 500)", &[]).await.expect_err("too many").code(),
        Some(&over)
    );
    let long = format!("select '{}'", "x".repeat(200));
    assert_eq!(refused(&ann, &long).await.code(), &SqlState::PROGRAM_LIMIT_EXCEEDED);
    run(&boss, &long).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gateway_tells_of_itself_is_so() {
    let mut cluster = Embedded::start().await;
    let boss = connect(&cluster.url(), "postgres").await.expect("a connection");
    assert_eq!(one(&boss, "show max_connections").await, "2000");
    assert_eq!(one(&boss, "show superuser_reserved_connections").await, "3");
    assert_eq!(one(&boss, "show authentication_timeout").await, "15s");
    assert_eq!(one(&boss, "show ssl").await, "off");
    run(&boss, "set cluster setting gateway.connections_max = 20; set cluster setting gateway.authentication_timeout = '1min'")
        .await;
    let again = connect(&cluster.url(), "postgres").await.expect("a connection");
    drop(again);
    let again = connect(&cluster.url(), "postgres").await.expect("a connection");
    assert_eq!(one(&again, "show max_connections").await, "20");
    assert_eq!(one(&again, "show superuser_reserved_connections").await, "2");
    assert_eq!(one(&again, "show authentication_timeout").await, "1min");
    // Settings that bound what a statement holds do.
    let temporary = Some(cluster.temporary(1 << 30, None));
    let other = cluster.add_gateway(EngineOptions { temporary, ..EngineOptions::default() }).await;
    let client = connect(&other, "postgres").await.expect("a connection");
    assert_eq!(one(&client, "show work_mem").await, "-1");
    run(&client, "set work_mem = '64kB'").await;
    let distinct = "select count(*) from (select distinct n % 60001 m from generate_series(1, 60000) n) s";
    assert_eq!(one(&client, distinct).await, "60000");
    run(&client, "set temp_file_limit = '100kB'").await;
    let error = refused(&client, distinct).await;
    assert_eq!(error.code(), &SqlState::CONFIGURATION_LIMIT_EXCEEDED);
    assert_eq!(error.message(), "temporary file size exceeds temp_file_limit (100kB)");
    run(&client, "set work_mem = default").await;
    assert_eq!(one(&client, distinct).await, "60000");
    assert_eq!(refused(&client, "set work_mem = '63kB'").await.code(), &SqlState::INVALID_PARAMETER_VALUE);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_of_work_ends_what_works_more_however_fast() {
    let options = EngineOptions { work_max: Some(100_000), ..EngineOptions::default() };
    let cluster = Embedded::start_with(options).await;
    let client = connect(&cluster.url(), "postgres").await.expect("a connection");
    let pairs = |each: u64| {
        format!("select count(*) from generate_series(1, {each}) a, generate_series(1, {each}) b")
    };
    let error = refused(&client, &pairs(1000)).await;
    assert_eq!(error.code(), &SqlState::QUERY_CANCELED);
    assert_eq!(error.message(), "canceling statement due to its work");
    // Each string has a bound of its own.
    for _ in 0..30 {
        assert_eq!(one(&client, &pairs(100)).await, "10000");
    }
    cluster.stop().await;
}
