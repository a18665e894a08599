//! Statements that write more than a transaction keeps in memory: each is one transaction all the same, whatever it has sent
//! to its ranges by then, and whoever reads meanwhile neither sees it nor waits for it.

use bytes::Bytes;
use futures::SinkExt as _;
use nunatak_tests::embedded::Embedded;
use tokio_postgres::{Client, NoTls};

/// What a transaction keeps in memory here.
const FLUSH_BYTES: usize = 64 << 10;

const ROWS: i64 = 6_000;

async fn connect(cluster: &Embedded) -> Client {
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.unwrap();
    drop(tokio::spawn(connection));
    client
}

async fn number(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap().get(0)
}

async fn filled() -> (Embedded, Client) {
    let cluster = Embedded::start_flushing(FLUSH_BYTES).await;
    let client = connect(&cluster).await;
    client
        .batch_execute(
            "CREATE TABLE t (id bigint PRIMARY KEY, n bigint NOT NULL, note text, UNIQUE (n));
             CREATE INDEX t_note ON t (note)",
        )
        .await
        .unwrap();
    let fill = format!("INSERT INTO t SELECT g, g * 2, 'note ' || g FROM generate_series(1, {ROWS}) g");
    assert_eq!(client.execute(&fill, &[]).await.unwrap(), ROWS as u64);
    (cluster, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_writes_more_than_memory_holds_and_its_rows_are_all_there() {
    let (cluster, client) = filled().await;
    assert_eq!(number(&client, "SELECT count(*) FROM t").await, ROWS);
    assert_eq!(number(&client, "SELECT sum(n)::bigint FROM t").await, ROWS * (ROWS + 1));
    assert_eq!(number(&client, "SELECT id FROM t WHERE n = 4000").await, 2000);
    assert_eq!(number(&client, "SELECT count(*) FROM t WHERE note = 'note 77'").await, 1);
    assert_eq!(client.execute("UPDATE t SET n = -n, note = NULL", &[]).await.unwrap(), ROWS as u64);
    assert_eq!(number(&client, "SELECT id FROM t WHERE n = -4000").await, 2000);
    assert_eq!(client.execute("DELETE FROM t WHERE id % 3 <> 0", &[]).await.unwrap(), ROWS as u64 * 2 / 3);
    client.execute("CREATE INDEX t_n_id ON t (n, id)", &[]).await.unwrap();
    let (plain, by_index) =
        ("SELECT count(*) FROM t", "SELECT count(*) FROM t WHERE n BETWEEN -1000000 AND 0");
    assert_eq!(number(&client, plain).await, ROWS / 3);
    assert_eq!(number(&client, by_index).await, ROWS / 3);
    let sink = client.copy_in::<_, Bytes>("COPY t (id, n) FROM STDIN").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    for chunk in 0..6 {
        let lines: String =
            (0..1000).map(|row| 100_000 + chunk * 1000 + row).map(|id| format!("{id}\t{id}\n")).collect();
        sink.send(Bytes::from(lines)).await.unwrap();
    }
    assert_eq!(sink.as_mut().finish().await.unwrap(), 6000);
    assert_eq!(number(&client, plain).await, ROWS / 3 + 6000);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_sees_what_it_has_written_and_others_neither_see_nor_wait() {
    let (cluster, client) = filled().await;
    let other = connect(&cluster).await;
    for level in ["SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"] {
        for end in ["ROLLBACK", "COMMIT"] {
            client.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}")).await.unwrap();
            let insert = "INSERT INTO t SELECT 10000 + g, 100000 + g, 'new' FROM generate_series(1, 4000) g";
            assert_eq!(client.execute(insert, &[]).await.unwrap(), 4000);
            assert_eq!(number(&client, "SELECT count(*) FROM t").await, ROWS + 4000);
            assert_eq!(number(&client, "SELECT count(*) FROM t WHERE note = 'new'").await, 4000);
            assert_eq!(number(&other, "SELECT count(*) FROM t").await, ROWS);
            assert_eq!(number(&other, "SELECT count(*) FROM t WHERE note = 'new'").await, 0);
            assert!(other.query_opt("SELECT 1 FROM t WHERE id = 10001", &[]).await.unwrap().is_none());
            let update = "UPDATE t SET n = n + 1000000 WHERE id > 10000";
            assert_eq!(client.execute(update, &[]).await.unwrap(), 4000);
            assert_eq!(number(&client, "SELECT id FROM t WHERE n = 1100007").await, 10007);
            assert!(client.query_opt("SELECT 1 FROM t WHERE n = 100007", &[]).await.unwrap().is_none());
            assert_eq!(client.execute("DELETE FROM t WHERE id > 12000", &[]).await.unwrap(), 2000);
            let newest = "SELECT max(id) FROM (SELECT id FROM t ORDER BY id DESC LIMIT 3) s";
            assert_eq!(number(&client, newest).await, 12000);
            assert_eq!(number(&other, newest).await, ROWS);
            client.batch_execute(end).await.unwrap();
            let count = if end == "COMMIT" { ROWS + 2000 } else { ROWS };
            for reader in [&client, &other] {
                assert_eq!(number(reader, "SELECT count(*) FROM t").await, count);
                assert_eq!(number(reader, "SELECT count(*) FROM t WHERE note = 'new'").await, count - ROWS);
            }
        }
        client.execute("DELETE FROM t WHERE id > 10000", &[]).await.unwrap();
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_there_twice_is_found_wherever_the_first_is() {
    let (cluster, client) = filled().await;
    let twice = "INSERT INTO t SELECT 10000 + g % 5000, 100000 + g, 'x' FROM generate_series(0, 5000) g";
    let error = client.execute(twice, &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23505");
    let by_index = "INSERT INTO t SELECT 10000 + g, 100000 + g % 5000, 'x' FROM generate_series(0, 5000) g";
    let error = client.execute(by_index, &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23505");
    assert_eq!(number(&client, "SELECT count(*) FROM t").await, ROWS);
    let skip = format!("{twice} ON CONFLICT (id) DO NOTHING");
    assert_eq!(client.execute(&skip, &[]).await.unwrap(), 5000);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_many_ranges_is_written_as_a_whole() {
    let (cluster, client) = filled().await;
    client.batch_execute("ALTER TABLE t SPLIT AT VALUES (1000), (2000), (1000 * 4)").await.unwrap();
    let starts = number(&client, "SELECT 4::bigint").await;
    let shown = client.query("SHOW RANGES FROM TABLE t", &[]).await.unwrap();
    assert!(shown.len() as i64 >= starts, "{shown:?}");
    assert!(shown.iter().all(|range| range.get::<_, i64>("leader") == 1));
    assert_eq!(client.query("SHOW NODES", &[]).await.unwrap().len(), 1);
    let error = client.batch_execute("ALTER TABLE t SPLIT AT VALUES (1, 2)").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42601");
    assert_eq!(client.execute("UPDATE t SET note = 'all'", &[]).await.unwrap(), ROWS as u64);
    assert_eq!(number(&client, "SELECT count(*) FROM t WHERE note = 'all'").await, ROWS);
    assert_eq!(client.execute("DELETE FROM t", &[]).await.unwrap(), ROWS as u64);
    assert_eq!(number(&client, "SELECT count(*) FROM t").await, 0);
    cluster.stop().await;
}
