//! What the views say that was done to tables, through whichever gateway.

use nunatak_tests::embedded::Embedded;
use sql::EngineOptions;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// The first row, its values parted by bars.
async fn one(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|place| row.get(place).unwrap_or("∅")).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    });
    row.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_to_tables_is_counted_at_all_gateways() {
    let mut cluster = Embedded::start().await;
    let here = connect(&cluster.url()).await;
    let url = cluster.add_gateway(EngineOptions::default()).await;
    run(&here, "create table t (id int primary key, n int); create table untouched (a int)").await;
    let there = connect(&url).await;
    run(&here, "insert into t select g, g from generate_series(1, 10) g").await;
    run(&here, "update t set n = n + 1 where id <= 3").await;
    here.execute("update t set n = 0 where id = $1", &[&4]).await.expect("updated");
    run(&here, "delete from t where id in (9, 10)").await;
    assert_eq!(one(&here, "select count(*) from t").await, "8");
    for id in 1..=5 {
        here.query("select n from t where id = $1", &[&id]).await.expect("a row");
    }
    run(&there, "insert into t values (11, 1), (12, 1), (13, 1)").await;
    // PostgreSQL counts what is rolled back, too.
    run(&there, "begin; insert into t values (14, 1), (15, 1); rollback").await;
    let counts =
        "select n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd, seq_scan, seq_tup_read, idx_scan >= 5
                  from pg_stat_user_tables where relname = 't'";
    for client in [&here, &there] {
        assert_eq!(one(client, counts).await, "15|4|2|0|1|8|t");
    }
    let index = "select idx_scan >= 5, idx_tup_read >= 5, idx_tup_fetch >= 5 from pg_stat_user_indexes where indexrelname = 't_pkey'";
    assert_eq!(one(&there, index).await, "t|t|t");
    let untouched = "select seq_scan, idx_scan, n_live_tup, n_dead_tup, last_analyze, n_mod_since_analyze
                     from pg_stat_all_tables where relname = 'untouched'";
    assert_eq!(one(&there, untouched).await, "0|∅|0|∅|∅|∅");
    run(&here, "analyze t").await;
    let analyzed = "select n_live_tup, last_analyze > now() - interval '10 minutes', last_autoanalyze
                    from pg_stat_user_tables where relname = 't'";
    assert_eq!(one(&there, analyzed).await, "11|t|∅");
    let database = "select datname, numbackends >= 2, xact_commit >= 10, xact_rollback >= 1, tup_inserted >= 15, tup_deleted >= 2, blks_read
                    from pg_stat_database where datname = current_database()";
    assert_eq!(one(&there, database).await, "postgres|t|t|t|t|t|∅");
    for empty in ["pg_stat_sys_tables", "pg_stat_sys_indexes", "pg_statio_sys_tables"] {
        assert_eq!(one(&here, &format!("select count(*) from {empty}")).await, "0", "{empty}");
    }
    let blocks = "select relname, heap_blks_read from pg_statio_user_tables where relname = 't'";
    assert_eq!(one(&here, blocks).await, "t|∅");
    run(&here, "create sequence s").await;
    assert_eq!(one(&here, "select relname, blks_hit from pg_statio_user_sequences").await, "s|∅");
    // All gateways begin anew, with one table or with the database.
    run(&there, "insert into untouched values (1)").await;
    run(&there, "select pg_stat_reset_single_table_counters('t'::regclass)").await;
    for (client, other) in [(&here, &there), (&there, &here)] {
        assert_eq!(one(client, counts).await, "0|0|0|0|0|0|t");
        let kept = "select n_tup_ins from pg_stat_user_tables where relname = 'untouched'";
        assert_eq!(one(other, kept).await, "1");
    }
    run(&here, "select pg_stat_reset()").await;
    for client in [&here, &there] {
        let all =
            "select sum(n_tup_ins), sum(n_tup_del), sum(coalesce(idx_scan, 0)) from pg_stat_user_tables";
        assert_eq!(one(client, all).await, "0|0|0");
    }
    run(&here, "create role ann login").await;
    let ann = connect(&cluster.url().replace("user=postgres", "user=ann")).await;
    let denied = ann.simple_query("select pg_stat_reset()").await.expect_err("only superusers may");
    assert_eq!(denied.code(), Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE));
    cluster.stop().await;
}
