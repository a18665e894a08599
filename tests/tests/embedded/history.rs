//! Tables as they were: PostgreSQL has no such statements, so what each script in `tests/history` answers was written by
//! hand beside it.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use nunatak_tests::embedded::Embedded;
use nunatak_tests::golden::transcript;
use sql::EngineOptions;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    drop(tokio::spawn(connection));
    client
}

fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("none", |code| code.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_is_answered_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("history");
    let mut broken = Vec::new();
    for entry in fs::read_dir(folder).expect("tests/history") {
        let script = entry.expect("an entry").path();
        if script.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let cluster = Embedded::start().await;
        let text = fs::read_to_string(&script).expect("the script");
        let answered = transcript(&cluster.url(), &text).await;
        cluster.stop().await;
        let written = fs::read_to_string(script.with_extension("out")).expect("the answers");
        let pairs = answered.split("\n\n").zip(written.split("\n\n"));
        broken.extend(
            pairs
                .filter(|(ours, written)| ours != written)
                .map(|(ours, written)| format!("--- answered\n{ours}\n--- written\n{written}\n")),
        );
        assert_eq!(answered.split("\n\n").count(), written.split("\n\n").count(), "{}", script.display());
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_changes_of_a_row_are_told_in_order() {
    let cluster = Embedded::start().await;
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.expect("a connection");
    let driver = tokio::spawn(connection);
    for statement in [
        "create table t (a int, b text, n int, primary key (a, b))",
        "insert into t values (1, 'x', 10), (1, 'y', 20)",
        "update t set n = 11 where b = 'x'",
        "update t set n = 21 where b = 'y'",
        "delete from t where b = 'x'",
        "insert into t values (1, 'x', 12)",
        "begin; delete from t where b = 'x'; insert into t values (1, 'x', 13); commit",
    ] {
        client.batch_execute(statement).await.expect("a statement");
    }
    let rows = client.query("show changes for row (1, lower('X')) of t", &[]).await.expect("the changes");
    let told: Vec<(&str, SystemTime)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let changes: Vec<&str> = told.iter().map(|(change, _)| *change).collect();
    assert_eq!(changes, ["insert", "update", "delete", "insert", "update"]);
    assert!(told.is_sorted_by_key(|(_, at)| *at), "the first comes first");
    let prepared = client.query("show changes for row ($1, $2) of t", &[&1i32, &"y"]).await;
    assert_eq!(prepared.expect("the changes").len(), 2);
    drop(client);
    let _ = driver.await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_away_at_another_gateway_is_not_seen_as_it_was_either() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let (owner, reader) = (connect(&cluster.url()).await, connect(&other).await);
    let begin = "create role reader; create table t (id int primary key); insert into t values (1), (2); \
        grant select on t to reader";
    owner.batch_execute(begin).await.expect("a table");
    reader.batch_execute("set role reader").await.expect("a role");
    let mut queries = Vec::new();
    for query in [
        "select id from t for system_time as of '-10ms'",
        "select id from t for system_time as of now()",
        "select id from t for system_time all",
    ] {
        queries.push(reader.prepare(query).await.expect("a query"));
    }
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    for query in &queries {
        assert_eq!(reader.query(query, &[]).await.expect("the rows").len(), 2);
    }
    let hide = "alter table t enable row level security; create policy one on t using (id = 1)";
    owner.batch_execute(hide).await.expect("a policy");
    for query in &queries {
        assert_eq!(reader.query(query, &[]).await.expect("the rows").len(), 1);
    }
    for query in &queries {
        owner
            .batch_execute("grant select on t to reader; revoke select on t from reader")
            .await
            .expect("no right");
        assert_eq!(code(&reader.query(query, &[]).await.expect_err("no rows")), "42501");
        owner.batch_execute("grant select on t to reader").await.expect("a right");
        assert_eq!(reader.query(query, &[]).await.expect("the rows").len(), 1);
    }
    drop((owner, reader));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_written_anew_begins_when_what_it_was_ends() {
    // However few rows there are, they are written anew as many would be.
    let options = EngineOptions { ingest_bytes_min: 0, ..EngineOptions::default() };
    let cluster = Embedded::start_with(options).await;
    let client = connect(&cluster.url()).await;
    for statement in [
        "create table t (id int primary key, n int)",
        "insert into t values (1, 10), (2, 20), (3, 30)",
        "alter table t alter column n type bigint using n + 0",
        "update t set n = 31 where id = 3",
    ] {
        client.batch_execute(statement).await.expect("a statement");
    }
    let lives = "select n, system_start::text, system_end::text from t for system_time all where id = 3 \
        order by system_start";
    let rows = client.query(lives, &[]).await.expect("the versions");
    let lives: Vec<(i64, &str, Option<&str>)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(lives.iter().map(|(n, ..)| *n).collect::<Vec<_>>(), [30, 30, 31]);
    for pair in lives.windows(2) {
        assert_eq!(pair[0].2, Some(pair[1].1));
    }
    let rows = client.query("show changes for row (3) of t", &[]).await.expect("the changes");
    let changes: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(changes, ["insert", "update", "update"]);
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_come_back_does_not_go() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    let begin = "create table late (a text); insert into late values ('x'); \
        create table parent (a int unique); insert into parent values (1); \
        create table child (a int references parent (a) on delete cascade); insert into child values (1)";
    client.batch_execute(begin).await.expect("the tables");
    let row = client.query_one("select clock_timestamp()::text", &[]).await.expect("a moment");
    let moment: &str = row.get(0);
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let key = "alter table late add column id int generated by default as identity primary key";
    client.batch_execute(key).await.expect("a key");
    // The rows of then have no key of now.
    let back = client.batch_execute(&format!("flashback table late to '{moment}'")).await;
    assert_eq!(code(&back.expect_err("no key")), "23502");
    assert_eq!(client.query("select id from late", &[]).await.expect("the row").len(), 1);
    let changed = client.query(&format!("diff table late between '{moment}' and now()"), &[]).await;
    let mut changed: Vec<String> = changed.expect("the rows").iter().map(|row| row.get(0)).collect();
    changed.sort_unstable();
    assert_eq!(changed, ["delete", "insert"]);
    // All of its rows would go, and those that follow them would not come back.
    let back = client.batch_execute(&format!("flashback table parent to '{moment}'")).await;
    assert_eq!(code(&back.expect_err("a key that follows")), "0A000");
    assert_eq!(client.query("select a from child", &[]).await.expect("the row").len(), 1);
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_only_read_may_be_about_a_moment_that_any_replica_answers() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    let run = async |sql: &str| client.batch_execute(sql).await;
    let n = async || -> i32 { client.query_one("select n from t", &[]).await.expect("a row").get(0) };
    // What follows the update takes less than four seconds.
    for statement in [
        "set nunatak.follower_read_ms = 4000",
        "create table t (a int primary key, n int)",
        "insert into t values (1, 10)",
        "select pg_sleep(5)",
        "update t set n = 11",
    ] {
        run(statement).await.expect("a statement");
    }
    let then = client.query_one("select n from t as of system time follower_read_timestamp()", &[]).await;
    assert_eq!(then.expect("a row").get::<_, i32>(0), 10);
    assert_eq!(n().await, 11);
    run("set default_transaction_use_follower_reads = on").await.expect("a setting");
    assert_eq!(n().await, 11, "it might write");
    run("begin read only").await.expect("a block");
    assert_eq!(n().await, 10);
    let late = run("set transaction read write").await.expect_err("it is about the past");
    assert_eq!(code(&late), "25001");
    run("rollback; begin; set transaction read only").await.expect("a block");
    assert_eq!(n().await, 10);
    run("rollback; begin read only; set transaction read write").await.expect("a block");
    assert_eq!(n().await, 11);
    run("rollback; begin").await.expect("a block");
    assert_eq!(n().await, 11);
    run("rollback; set default_transaction_read_only = on").await.expect("a setting");
    assert_eq!(n().await, 10, "a statement by itself");
    run("begin as of system time now()").await.expect("a block");
    assert_eq!(n().await, 11, "what is said goes first");
    run("rollback; begin read write").await.expect("a block");
    assert_eq!(n().await, 11);
    run("rollback").await.expect("the end of a block");
    run("begin; commit and chain").await.expect("a block after a block");
    assert_eq!(n().await, 10, "it only reads, too");
    run("rollback").await.expect("the end of a block");
    let told = client.simple_query("select 1; commit; select n from t").await.expect("two transactions");
    let rows = told.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    assert_eq!(rows.collect::<Vec<_>>(), ["1", "10"], "one that begins within a message, too");
    let update = "set default_transaction_read_only = off; update t set n = n + (select n from t)";
    run(update).await.expect("an update");
    assert_eq!(n().await, 22, "who may write reads what is there");
    let bound = run("set nunatak.follower_read_ms = 100").await.expect_err("half a second at least");
    assert_eq!(code(&bound), "22023");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_cluster_cannot_keep_is_refused_by_who_wants_it() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    // Nine tables with a hundred indexes each beside their primary keys.
    let columns: Vec<String> = (0..100).map(|column| format!("c{column} int unique")).collect();
    for table in 0..9 {
        let statement = format!("create table t{table} (id int primary key, {})", columns.join(", "));
        client.batch_execute(&statement).await.expect("a table");
    }
    client.batch_execute("alter database postgres set (history = 'forever')").await.expect("a setting");
    let statement = format!("create table t9 (id int primary key, {})", columns.join(", "));
    let refused = client.batch_execute(&statement).await.expect_err("there is no room for so many");
    assert_eq!(code(&refused), "54000", "{refused}");
    client.batch_execute("create table small (id int primary key)").await.expect("there is room for one");
    client.batch_execute("alter database postgres reset (history)").await.expect("a setting");
    client.batch_execute(&statement).await.expect("it is not kept for longer");
    let refused = client.batch_execute("alter database postgres set (history = 'forever')").await;
    let refused = refused.expect_err("there is no room for all");
    assert_eq!(code(&refused), "54000", "{refused}");
    client.batch_execute("alter table small set (history = 'forever')").await.expect("there is room for one");
    let shown = client.simple_query("show history").await.expect("what is said");
    let rows = shown.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count();
    assert_eq!(rows, 2, "the cluster, and the table");
    drop(client);
    cluster.stop().await;
}
