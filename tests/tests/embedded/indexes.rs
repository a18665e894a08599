//! Indexes that are built beside others' statements, or of so many entries that no transaction writes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nunatak_tests::embedded::Embedded;
use sql::EngineOptions;
use tokio_postgres::{Client, NoTls};

const ROWS: i64 = 6_000;

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    drop(tokio::spawn(connection));
    client
}

/// However little there is, it is built as much would be.
fn always() -> EngineOptions {
    EngineOptions { ingest_bytes_min: 0, ..EngineOptions::default() }
}

async fn number(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap().get(0)
}

fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("none", |code| code.code())
}

/// How a query is run.
async fn plan(client: &Client, query: &str) -> String {
    let rows = client.query(&format!("EXPLAIN {query}"), &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}

async fn filled(options: EngineOptions) -> (Embedded, Client) {
    let cluster = Embedded::start_with(options).await;
    let client = connect(&cluster.url()).await;
    let table = "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, note text)";
    client.batch_execute(table).await.unwrap();
    let fill =
        format!("INSERT INTO t SELECT g, g * 7 % {ROWS}, 'note ' || g FROM generate_series(1, {ROWS}) g");
    assert_eq!(client.execute(&fill, &[]).await.unwrap(), ROWS as u64);
    (cluster, client)
}

/// That an index, by which `by_index` is run, has what the table has.
async fn is_whole(client: &Client, index: &str, by_index: &str, by_table: &str) {
    assert!(plan(client, by_index).await.contains(index), "{}", plan(client, by_index).await);
    let pairs = async |query: &str| {
        let rows = client.query(query, &[]).await.unwrap();
        let mut pairs: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        pairs.sort_unstable();
        pairs
    };
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.unwrap();
    let (kept, expected) = (pairs(by_index).await, pairs(by_table).await);
    client.batch_execute("COMMIT").await.unwrap();
    assert!(!kept.is_empty() && kept == expected, "{} and {}", kept.len(), expected.len());
}

const BY_N: &str = "SELECT id, n FROM t WHERE n > -1";
const BY_TABLE: &str = "SELECT id, n FROM t WHERE n + 0 > -1";

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_built_beside_writers_and_has_what_the_table_has() {
    let (cluster, client) = filled(always()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..3_i64 {
        let (other, stop) = (connect(&cluster.url()).await, stop.clone());
        writers.push(tokio::spawn(async move {
            let mut done = 0;
            for round in 0..i64::MAX {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let id = 1 + (round * 3 + writer) % (2 * ROWS);
                let written = match round % 3 {
                    0 => other.execute("UPDATE t SET n = n + 1 WHERE id = $1", &[&id]).await,
                    1 => other.execute("DELETE FROM t WHERE id = $1", &[&id]).await,
                    _ => {
                        let upsert = "INSERT INTO t VALUES ($1, $2, 'new') \
                                      ON CONFLICT (id) DO UPDATE SET n = excluded.n";
                        other.execute(upsert, &[&id, &round]).await
                    }
                };
                // No index keeps them from writing; a change of the schema may come in between.
                match written {
                    Ok(_) => done += 1,
                    Err(error) => assert_eq!(code(&error), "40001", "{error:?}"),
                }
            }
            done
        }));
    }
    for round in 0..3 {
        client.execute("CREATE INDEX t_n ON t (n)", &[]).await.unwrap();
        is_whole(&client, "t_n", BY_N, BY_TABLE).await;
        let tens = "CREATE UNIQUE INDEX t_tens ON t ((n * 100000 + id)) WHERE id % 2 = 0";
        client.execute(tens, &[]).await.unwrap();
        let by_tens = "SELECT id, n FROM t WHERE n * 100000 + id > 0 AND id % 2 = 0";
        is_whole(
            &client,
            "t_tens",
            by_tens,
            "SELECT id, n FROM t WHERE n * 100000 + id + 0 > 0 AND id % 2 = 0",
        )
        .await;
        if round < 2 {
            client.batch_execute("DROP INDEX t_n; DROP INDEX t_tens").await.unwrap();
        }
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        assert!(writer.await.unwrap() > 0);
    }
    is_whole(&client, "t_n", BY_N, BY_TABLE).await;
    assert_eq!(number(&client, "SELECT count(*) FROM pg_index WHERE NOT indisvalid").await, 0);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_has_written_before_an_index_was_made_does_not_commit_beside_it() {
    let (cluster, client) = filled(always()).await;
    let other = connect(&cluster.url()).await;
    for level in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        let begin = format!("BEGIN ISOLATION LEVEL {level}; INSERT INTO t VALUES (90000, 90000, 'early')");
        other.batch_execute(&begin).await.unwrap();
        client.batch_execute("CREATE INDEX t_n ON t (n)").await.unwrap();
        // What it sees of the catalog by now does not make its row one that the index knows of.
        let seen = other.query("SELECT relname FROM pg_class", &[]).await;
        let ended = other.batch_execute("COMMIT").await;
        let error = seen.err().or(ended.err()).expect("it was planned under another catalog");
        assert_eq!(code(&error), "40001", "{level}: {error:?}");
        is_whole(&client, "t_n", BY_N, BY_TABLE).await;
        assert_eq!(number(&client, "SELECT count(*) FROM t WHERE id = 90000").await, 0);
        client.batch_execute("DROP INDEX t_n").await.unwrap();
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_there_twice_is_found_and_nothing_of_the_index_is_left() {
    let (cluster, client) = filled(always()).await;
    client.batch_execute("UPDATE t SET n = (SELECT n FROM t WHERE id = 10) WHERE id = 4000").await.unwrap();
    for block in [false, true] {
        if block {
            client.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE").await.unwrap();
        }
        let error = client.execute("CREATE UNIQUE INDEX t_n ON t (n)", &[]).await.unwrap_err();
        let report = error.as_db_error().unwrap();
        assert_eq!(report.code().code(), "23505");
        assert_eq!(report.message(), "could not create unique index \"t_n\"");
        assert_eq!(report.detail(), Some("Key (n)=(70) is duplicated."));
        if block {
            client.batch_execute("ROLLBACK").await.unwrap();
        }
        assert_eq!(number(&client, "SELECT count(*) FROM pg_class WHERE relname = 't_n'").await, 0);
    }
    client.batch_execute("DELETE FROM t WHERE id = 4000").await.unwrap();
    client.execute("CREATE UNIQUE INDEX t_n ON t (n)", &[]).await.unwrap();
    is_whole(&client, "t_n", BY_N, BY_TABLE).await;
    let error = client.execute("INSERT INTO t VALUES (4000, 70)", &[]).await.unwrap_err();
    assert_eq!(code(&error), "23505");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_come_twice_while_a_unique_index_is_built_are_found() {
    let (cluster, client) = filled(always()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (other, told) = (connect(&cluster.url()).await, stop.clone());
    // For a while two rows have one key, then the older is gone: whether the index notices or not, it may not be wrong.
    let writer = tokio::spawn(async move {
        for id in 1..=ROWS {
            if told.load(Ordering::Relaxed) {
                break;
            }
            let twin = "INSERT INTO t SELECT id + 100000, n, note FROM t WHERE id = $1";
            for statement in [twin, "DELETE FROM t WHERE id = $1"] {
                if let Err(error) = other.execute(statement, &[&id]).await {
                    assert!(["40001", "23505"].contains(&code(&error)), "{error:?}");
                    break;
                }
            }
        }
    });
    let mut made = 0;
    for _ in 0..10 {
        match client.execute("CREATE UNIQUE INDEX t_n ON t (n)", &[]).await {
            Ok(_) => {
                made += 1;
                is_whole(&client, "t_n", BY_N, BY_TABLE).await;
                client.batch_execute("DROP INDEX t_n").await.unwrap();
            }
            Err(error) => assert_eq!(code(&error), "23505", "{error:?}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    client
        .batch_execute("DELETE FROM t WHERE id > 100000 AND n IN (SELECT n FROM t WHERE id <= 100000)")
        .await
        .unwrap();
    client.execute("CREATE UNIQUE INDEX t_n ON t (n)", &[]).await.unwrap();
    is_whole(&client, "t_n", BY_N, BY_TABLE).await;
    println!("{made} of 10 were made");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_cancelled_leaves_nothing_behind() {
    let (cluster, client) = filled(always()).await;
    client
        .batch_execute("INSERT INTO t SELECT g, g, 'more' FROM generate_series(10000, 60000) g")
        .await
        .unwrap();
    let mut cancelled = 0;
    for wait_ms in [0, 1, 3, 10, 20, 40, 80] {
        let token = client.cancel_token();
        let canceller = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            token.cancel_query(NoTls).await.unwrap();
        });
        let built = client.execute("CREATE INDEX t_note ON t (note, n)", &[]).await;
        canceller.await.unwrap();
        // What comes too late may hit this one.
        let _ = client.simple_query("SELECT 1").await;
        match built {
            Ok(_) => client.batch_execute("DROP INDEX t_note").await.unwrap(),
            Err(error) => {
                assert_eq!(code(&error), "57014", "{error:?}");
                cancelled += 1;
                let left = "SELECT count(*) FROM pg_class WHERE relname = 't_note'";
                assert_eq!(number(&client, left).await, 0);
            }
        }
    }
    assert!(cancelled > 0);
    // In a session of its own: a statement that takes the bound back has no longer than others.
    let hurried = connect(&cluster.url()).await;
    hurried.batch_execute("SET statement_timeout = '1ms'").await.unwrap();
    let error = hurried.execute("CREATE INDEX t_note ON t (note, n)", &[]).await.unwrap_err();
    assert_eq!(code(&error), "57014");
    drop(hurried);
    client.execute("CREATE INDEX t_note ON t (note, n)", &[]).await.unwrap();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_whose_builder_is_gone_is_maintained_not_read_and_taken_away() {
    let (mut cluster, client) = filled(always()).await;
    client
        .batch_execute("INSERT INTO t SELECT g, g, 'more' FROM generate_series(10000, 60000) g")
        .await
        .unwrap();
    let other = connect(&cluster.url()).await;
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    for _ in 0..50 {
        let builder = connect(&cluster.add_gateway(always()).await).await;
        let building = tokio::spawn(async move {
            builder.execute("CREATE INDEX t_left ON t (note, n)", &[]).await.map(drop)
        });
        while !building.is_finished() && number(&other, invalid).await == 0 {}
        cluster.kill_gateway();
        // Its client hears of no outcome, but of the end of the connection, unless the index was made before.
        drop(building.await.unwrap());
        if number(&other, invalid).await == 1 {
            break;
        }
        client.batch_execute("DROP INDEX IF EXISTS t_left").await.unwrap();
    }
    assert_eq!(number(&other, invalid).await, 1, "no build was left in the middle");
    let query = "SELECT id, n FROM t WHERE note = 'note 7'";
    assert!(!plan(&other, query).await.contains("t_left"));
    other.execute("UPDATE t SET note = 'note 7' WHERE id = 8", &[]).await.unwrap();
    assert_eq!(other.query(query, &[]).await.unwrap().len(), 2);
    let error = other.execute("ALTER TABLE t ADD UNIQUE USING INDEX t_left", &[]).await.unwrap_err();
    assert_eq!(code(&error), "55000");
    let mut seconds = 0;
    while number(&other, invalid).await == 1 {
        assert!(seconds < 180, "nobody took it away");
        seconds += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(number(&other, "SELECT count(*) FROM pg_class WHERE relname = 't_left'").await, 0);
    other.execute("CREATE INDEX t_left ON t (note, n)", &[]).await.unwrap();
    assert!(plan(&other, query).await.contains("t_left"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_makes_an_index_may_ingest_it() {
    let (mut cluster, client) = filled(always()).await;
    // Sorted outside of memory, down to every block.
    let temporary = Some(cluster.temporary(1 << 30, Some(3)));
    let spilling = connect(&cluster.add_gateway(EngineOptions { temporary, ..always() }).await).await;
    for client in [&client, &spilling] {
        client.batch_execute("CREATE INDEX t_n ON t (n)").await.unwrap();
        is_whole(client, "t_n", BY_N, BY_TABLE).await;
        client.batch_execute("REINDEX INDEX t_n").await.unwrap();
        is_whole(client, "t_n", BY_N, BY_TABLE).await;
        client.batch_execute("DROP INDEX t_n").await.unwrap();
        client.batch_execute("ALTER TABLE t ADD CONSTRAINT t_n UNIQUE (n)").await.unwrap();
        is_whole(client, "t_n", BY_N, BY_TABLE).await;
        for kind in ["numeric", "bigint"] {
            client.batch_execute(&format!("ALTER TABLE t ALTER n TYPE {kind}")).await.unwrap();
        }
        is_whole(client, "t_n", BY_N, BY_TABLE).await;
        client.batch_execute("ALTER TABLE t DROP CONSTRAINT t_n").await.unwrap();
        // In a block, over rows that it has written itself, back to a savepoint and on.
        client
            .batch_execute(
                "BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO t VALUES (70001, 70001, 'own'); SAVEPOINT s;
                 CREATE INDEX t_n ON t (n); ROLLBACK TO s; CREATE INDEX t_n ON t (n);
                 UPDATE t SET n = 70002 WHERE n = 70001; DELETE FROM t WHERE n = 3",
            )
            .await
            .unwrap();
        assert_eq!(number(client, "SELECT id FROM t WHERE n = 70002").await, 70001);
        assert_eq!(number(client, "SELECT count(*) FROM t WHERE n = 3").await, 0);
        client.batch_execute("COMMIT").await.unwrap();
        is_whole(client, "t_n", BY_N, BY_TABLE).await;
        client.batch_execute("DROP INDEX t_n; DELETE FROM t WHERE id > 70000").await.unwrap();
        client
            .batch_execute(
                "BEGIN; CREATE TABLE made AS SELECT id, n FROM t; CREATE INDEX made_n ON made (n); COMMIT;
                 CREATE MATERIALIZED VIEW seen AS SELECT id, n FROM t; CREATE UNIQUE INDEX seen_id ON seen (id)",
            )
            .await
            .unwrap();
        is_whole(client, "made_n", "SELECT id, n FROM made WHERE n > -1", "SELECT id, n FROM made").await;
        client.batch_execute("REFRESH MATERIALIZED VIEW seen").await.unwrap();
        is_whole(client, "seen_id", "SELECT id, n FROM seen WHERE id > 0", "SELECT id, n FROM seen").await;
        client.batch_execute("DROP TABLE made; DROP MATERIALIZED VIEW seen").await.unwrap();
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_emptied_or_dropped_meanwhile_ends_a_build_one_way_or_the_other() {
    let (cluster, client) = filled(always()).await;
    let other = connect(&cluster.url()).await;
    client
        .batch_execute("INSERT INTO t SELECT g, g, 'more' FROM generate_series(10000, 60000) g")
        .await
        .unwrap();
    let (built, emptied) =
        tokio::join!(client.execute("CREATE INDEX t_n ON t (n)", &[]), other.batch_execute("TRUNCATE t"));
    emptied.unwrap();
    built.unwrap();
    client.batch_execute("INSERT INTO t VALUES (1, 5), (2, 6)").await.unwrap();
    is_whole(&client, "t_n", BY_N, BY_TABLE).await;
    client
        .batch_execute("DROP INDEX t_n; INSERT INTO t SELECT g, g FROM generate_series(10, 50000) g")
        .await
        .unwrap();
    let (built, dropped) =
        tokio::join!(client.execute("CREATE INDEX t_n ON t (n)", &[]), other.batch_execute("DROP TABLE t"));
    dropped.unwrap();
    if let Err(error) = built {
        assert!(["55000", "42P01"].contains(&code(&error)), "{error:?}");
    }
    assert_eq!(number(&client, "SELECT count(*) FROM pg_class WHERE relname = 't_n'").await, 0);
    cluster.stop().await;
}
