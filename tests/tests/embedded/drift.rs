//! DriftQL: PostgreSQL has no such language, so what each script in `tests/driftql` answers was written by hand beside it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nunatak_tests::embedded::Embedded;
use nunatak_tests::golden::transcript;
use sql::EngineOptions;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    drop(tokio::spawn(connection));
    client.batch_execute("set dialect = driftql").await.expect("a setting");
    client
}

async fn run(client: &Client, statement: &str) {
    client.simple_query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
}

/// The first column of all rows.
async fn answers(client: &Client, statement: &str) -> Vec<String> {
    let messages =
        client.simple_query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    let first = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("∅").to_owned()),
        _ => None,
    };
    messages.iter().filter_map(first).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_are_answered_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("driftql");
    let mut broken = Vec::new();
    for entry in fs::read_dir(folder).expect("tests/driftql") {
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

/// Clients that know nothing of where its statements end send a script as one string.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_without_semicolons_is_run_as_one_string() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    let script = "-- a shop\nCREATE TABLE t (pk=id, INDEX(n))\nINSERT INTO t {\"id\": 1}\n\n\
        BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ\nINSERT INTO t {\"id\": 2}\nPATCH t\n  KEY 1\n  SET {\"n\": 5}\nCOMMIT\n\
        BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE\nSOFT DELETE FROM t KEY 1\nROLLBACK\nSNAPSHOT t\nSELECT * FROM t\n";
    assert_eq!(answers(&client, script).await, ["{\"n\": 5, \"id\": 1}", "{\"id\": 2}"]);
    // What stands behind a BEGIN is undone alone; a string without one is undone as a whole.
    let failing = "INSERT INTO t {\"id\": 3}\nBEGIN\nINSERT INTO t {\"id\": 4}\nPATCH t KEY 99 SET {}\n";
    client.simple_query(failing).await.expect_err("there is no such document");
    run(&client, "ROLLBACK").await;
    let failing = "INSERT INTO t {\"id\": 5}\nPATCH t KEY 99 SET {}\n";
    client.simple_query(failing).await.expect_err("there is no such document");
    let ids = answers(&client, "select id from t order by id").await;
    assert_eq!(ids, ["1", "2", "3"]);
    let last = answers(&client, "select max(seq) from t_drift").await;
    assert_eq!(last, ["4"], "numbers of what was undone are given again");
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_that_is_shown_of_a_change_is_one_that_it_can_be_read_by() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "CREATE TABLE t (pk=id)").await;
    for n in 0..3 {
        match n {
            0 => run(&client, "INSERT INTO t {\"id\": 1, \"n\": 0}").await,
            n => run(&client, &format!("PATCH t KEY 1 SET {{\"n\": {n}}}")).await,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let times = answers(&client, "select \"time\" from t_drift where seq > 0 order by seq").await;
    assert_eq!(times.len(), 3);
    for (n, time) in times.iter().enumerate() {
        let then = answers(&client, &format!("SELECT * FROM t AS OF \"{time}\"")).await;
        assert_eq!(then, [format!("{{\"n\": {n}, \"id\": 1}}")], "{time}");
    }
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_beside_each_other_leave_no_gap_and_count_nothing_twice() {
    const WRITERS: usize = 4;
    const CHANGES: usize = 25;
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let urls = [cluster.url(), other];
    run(&connect(&urls[0]).await, "CREATE TABLE t (pk=id)").await;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let url = urls[writer % urls.len()].clone();
        writers.push(tokio::spawn(async move {
            let client = connect(&url).await;
            let mut done = 0;
            for change in 0..CHANGES {
                let insert = format!("INSERT INTO t {{\"id\": \"{writer}-{change}\"}}");
                // What is refused has not happened.
                let _ = client.simple_query("PATCH t KEY \"nobody\" SET {}").await.expect_err("no document");
                match change % 3 {
                    0 => run(&client, &insert).await,
                    1 => {
                        run(&client, &insert).await;
                        run(&client, &format!("SOFT DELETE FROM t KEY \"{writer}-{change}\"")).await;
                        done += 1;
                    }
                    _ => run(&client, &format!("BEGIN;{insert};ROLLBACK;{insert}")).await,
                }
                done += 1;
            }
            done
        }));
    }
    let mut done = 0;
    for writer in writers {
        done += writer.await.expect("a writer");
    }
    let client = connect(&urls[0]).await;
    let numbers =
        "select count(*) || ' ' || count(distinct seq) || ' ' || max(seq) from t_drift where seq > 0";
    assert_eq!(answers(&client, numbers).await, [format!("{done} {done} {done}")]);
    let falling = "select count(*) from (select \"time\" < lag(\"time\") over (order by seq) as falls from t_drift \
        where seq > 0) as x where falls";
    assert_eq!(answers(&client, falling).await, ["0"]);
    let now = answers(&client, "SELECT * FROM t").await;
    assert_eq!(answers(&client, &format!("SELECT * FROM t AS OF @seq:{done}")).await, now);
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_all_documents_misses_none_that_is_being_inserted() {
    let cluster = Embedded::start().await;
    let (client, other) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&client, "CREATE TABLE t (pk=id); INSERT INTO t {\"id\": \"a\"}").await;
    for (number, alter) in [(1, "ADD COLUMN n DEFAULT \"it's \\\\ \\u00e9\""), (2, "DROP COLUMN n")] {
        run(&client, "BEGIN").await;
        run(&client, &format!("INSERT INTO t {{\"id\": \"b{number}\", \"n{number}\": 1}}")).await;
        run(&client, "PATCH t KEY \"a\" SET {\"x\": 1}").await;
        let altering = async { run(&other, &format!("ALTER TABLE t {alter}")).await };
        let committing = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            run(&client, "PATCH t KEY \"a\" SET {\"x\": 2}").await;
            run(&client, "COMMIT").await;
        };
        tokio::join!(altering, committing);
        let with =
            answers(&client, "select count(*) from t where document ->> 'n' = E'it''s \\\\ \u{e9}'").await;
        let expected = if number == 1 { "2" } else { "0" };
        assert_eq!(with, [expected], "{alter}");
    }
    let numbers = "select count(*) || ' ' || max(seq) from t_drift where seq > 0";
    assert_eq!(answers(&client, numbers).await, ["12 12"]);
    drop((client, other));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_use_indexes() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "CREATE TABLE t (pk=id, INDEX(state))").await;
    for part in 0..4 {
        let documents = (0..250).map(|number| {
            let number = part * 250 + number;
            format!("INSERT INTO t {{\"id\": {number}, \"state\": {number}, \"text\": \"{number:0100}\"}}")
        });
        run(&client, &documents.collect::<Vec<_>>().join(";")).await;
    }
    run(&client, "ANALYZE TABLE t").await;
    let by_field = answers(&client, "EXPLAIN (COSTS OFF) SELECT * FROM t WHERE state = 7").await.join("\n");
    assert!(by_field.contains("Index Cond: (jsonb_canonical("), "{by_field}");
    let by_key = answers(&client, "EXPLAIN (COSTS OFF) SELECT * FROM t WHERE id = 7").await.join("\n");
    assert!(by_key.contains("t_pkey"), "{by_key}");
    let found = answers(&client, "SELECT * FROM t WHERE state = 7.0").await;
    assert_eq!(found.len(), 1);
    let refused = client.simple_query("EXPLAIN ANALYZE PATCH t KEY 1 SET {}").await;
    assert!(refused.is_err(), "it would count");
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prepared_statements_are_in_the_dialect_that_they_were_prepared_in() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "CREATE TABLE t (pk=id)\nINSERT INTO t {\"id\": 1}").await;
    let text = "SELECT * FROM t";
    let documents = client.prepare(text).await.expect("a statement");
    assert_eq!(documents.columns().len(), 1);
    for _ in 0..3 {
        run(&client, "set dialect = sql").await;
        let rows = client.simple_query(text).await.expect("rows");
        let widths = rows.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.len()),
            _ => None,
        });
        assert_eq!(widths.collect::<Vec<_>>(), [3]);
        run(&client, "set dialect = driftql").await;
        assert_eq!(answers(&client, text).await, ["{\"id\": 1}"]);
        assert_eq!(client.query(&documents, &[]).await.expect("rows").len(), 1);
    }
    let patch = client.prepare("PATCH t KEY 1 SET {\"n\": 1}").await.expect("a statement");
    assert_eq!(client.execute(&patch, &[]).await.expect("a patch"), 1);
    // A block that has failed goes on as SQL's do.
    run(&client, "BEGIN").await;
    client.simple_query("PATCH t KEY 2 SET {}").await.expect_err("no document");
    let late = client.simple_query(text).await.expect_err("it has failed");
    assert_eq!(late.code().map(|code| code.code()), Some("25P02"));
    run(&client, "ROLLBACK").await;
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_comes_whole_or_not_at_all_and_a_backup_brings_its_events_back() {
    let place = tempfile::tempdir().expect("a directory");
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t_drift_snapshots (a int)").await;
    client.simple_query("CREATE TABLE t (pk=id)").await.expect_err("a name is taken");
    assert!(
        answers(&client, "select relname from pg_class where relname in ('t', 't_drift')").await.is_empty()
    );
    run(&client, "BEGIN").await;
    run(&client, "CREATE TABLE gone (pk=id)").await;
    run(&client, "INSERT INTO gone {\"id\": 1}").await;
    run(&client, "ROLLBACK").await;
    client.simple_query("SELECT * FROM gone").await.expect_err("no table");
    run(&client, "CREATE TABLE kept (pk=id); INSERT INTO kept {\"id\": 1}; PATCH kept KEY 1 SET {\"a\": 2}")
        .await;
    run(&client, &format!("BACKUP TO '{}'", place.path().join("b").display())).await;
    let restore =
        format!("restore database postgres as other from 'file://{}'", place.path().join("b").display());
    run(&client, &restore).await;
    let other = connect(&cluster.url().replace("dbname=postgres", "dbname=other")).await;
    assert_eq!(answers(&other, "SELECT * FROM kept AS OF @seq:1").await, ["{\"id\": 1}"]);
    run(&other, "PATCH kept KEY 1 SET {\"a\": 3}").await;
    assert_eq!(answers(&other, "SHOW DRIFT kept KEY 1").await, ["1", "2", "3"]);
    drop((client, other));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_of_a_document_is_for_those_who_may_read_it() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    let refused = async |statement: &str| {
        let error = client.simple_query(statement).await.expect_err(statement);
        error.code().map(|code| code.code().to_owned())
    };
    let documents = "CREATE TABLE t (pk=id); INSERT INTO t {\"id\": \"a\", \"of\": \"ann\"}; \
        INSERT INTO t {\"id\": \"b\", \"of\": \"bob\"}; PATCH t KEY \"b\" SET {\"n\": 1}; SNAPSHOT t; SOFT DELETE FROM t KEY \"a\"";
    run(&client, documents).await;
    run(&client, "create role ann; grant select on t to ann; set role ann").await;
    assert_eq!(answers(&client, "SELECT * FROM t").await.len(), 1);
    for statement in
        ["SHOW DRIFT t KEY 1", "SELECT * FROM t AS OF @seq:1", "PATCH t KEY \"b\" SET {}", "COMPACT t"]
    {
        assert_eq!(refused(statement).await.as_deref(), Some("42501"), "{statement}");
    }
    let grants = "reset role; grant insert, update (document, deleted) on t to ann; grant select on t_drift_snapshots to ann; \
        grant select, insert, update (counted, \"time\") on t_drift to ann; \
        create policy own on t using (document ->> 'of' = current_user); alter table t enable row level security";
    run(&client, grants).await;
    for statement in ["SHOW DRIFT t KEY \"b\"", "SELECT * FROM t"] {
        assert_eq!(refused(statement).await.as_deref(), Some("0A000"), "{statement}");
    }
    let policies = "create policy past on t_drift using (seq = 0 or exists (select 1 from t where id = key)) with check (true); \
        create policy past on t_drift_snapshots using (exists (select 1 from t where id = key)) with check (true); \
        alter table t_drift enable row level security; alter table t_drift_snapshots enable row level security; set role ann";
    run(&client, policies).await;
    assert_eq!(answers(&client, "SHOW DRIFT t KEY \"a\"").await, ["1", "4"]);
    assert!(answers(&client, "SHOW DRIFT t KEY \"b\"").await.is_empty());
    for moment in ["@seq:2", "@seq:3"] {
        let then = answers(&client, &format!("SELECT * FROM t AS OF {moment}")).await;
        assert_eq!(then, ["{\"id\": \"a\", \"of\": \"ann\"}"], "{moment}");
    }
    run(&client, "INSERT INTO t {\"id\": \"c\", \"of\": \"ann\"}; PATCH t KEY \"c\" SET {\"n\": 1}").await;
    assert_eq!(refused("PATCH t KEY \"b\" SET {\"n\": 2}").await.as_deref(), Some("P0002"));
    assert_eq!(refused("INSERT INTO t {\"id\": \"d\", \"of\": \"bob\"}").await.as_deref(), Some("42501"));
    assert_eq!(refused("update t_drift set document = null").await.as_deref(), Some("42501"));
    assert_eq!(answers(&client, "SHOW DRIFT t KEY \"c\"").await, ["5", "6"]);
    drop(client);
    cluster.stop().await;
}
