//! Sequences beside each other: sessions, gateways, failed transactions, and what one gateway does to another's numbers.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures::SinkExt;
use nunatak_tests::clients::{connect, run};
use nunatak_tests::embedded::Embedded;
use sql::EngineOptions;
use tokio_postgres::Client;

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_number_is_given_twice_over_gateways_sessions_and_failed_transactions() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let first = connect(&cluster.url()).await;
    run(&first, "create sequence s; create table t (id serial primary key, a int)").await;
    let mut tasks = Vec::new();
    for task in 0..6 {
        let client = connect(if task % 2 == 0 { cluster.url() } else { other.clone() }.as_str()).await;
        tasks.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            for turn in 0..100 {
                if turn % 10 == 9 {
                    run(&client, "begin").await;
                    seen.push(number(&client, "select nextval('s')").await);
                    run(&client, "rollback").await;
                    continue;
                }
                seen.push(number(&client, "select nextval('s')").await);
                let id: i32 = client
                    .query_one("insert into t (a) values (1) returning id", &[])
                    .await
                    .expect("a row")
                    .get(0);
                assert!(id > 0);
            }
            assert!(seen.is_sorted(), "numbers of one session ascend: {seen:?}");
            seen
        }));
    }
    let mut all = BTreeSet::new();
    for task in tasks {
        for number in task.await.expect("the task") {
            assert!(all.insert(number), "{number} was given twice");
        }
    }
    assert_eq!(number(&first, "select count(*) from t").await, 6 * 90);
    assert!(number(&first, "select last_value from s").await >= *all.last().expect("a number"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_one_gateway_follow_each_other_without_gaps() {
    let cluster = Embedded::start().await;
    let (first, second) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&first, "create sequence s").await;
    for turn in 0..100 {
        let client = if turn % 3 == 0 { &first } else { &second };
        assert_eq!(number(client, "select nextval('s')").await, turn + 1);
    }
    assert_eq!(number(&first, "select last_value from s").await, 100);
    assert_eq!(
        number(&first, "select max(n) from (select nextval('s') n from generate_series(1, 10000)) q").await,
        10_100
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_draws_for_the_columns_that_it_is_not_given() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (id serial primary key, n int generated always as identity, a text)").await;
    let sink = client.copy_in("copy t (a) from stdin").await.expect("COPY");
    let mut sink = std::pin::pin!(sink);
    for line in 0..3000 {
        sink.send(Bytes::from(format!("{line}\n"))).await.expect("a line");
    }
    assert_eq!(sink.finish().await.expect("the end"), 3000);
    assert_eq!(number(&client, "select count(*) from t where id = n and id = a::int + 1").await, 3000);
    let sink = client.copy_in("copy t (n, a) from stdin").await.expect("COPY");
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from("77\tx\n")).await.expect("a line");
    assert_eq!(sink.finish().await.expect("the end"), 1);
    assert_eq!(number(&client, "select n::int8 from t where id = 3001").await, 77);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_gateway_sets_the_other_hears_of() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let (here, there) = (connect(&cluster.url()).await, connect(&other).await);
    run(&here, "create sequence s").await;
    assert_eq!(number(&here, "select nextval('s')").await, 1);
    assert!(number(&there, "select nextval('s')").await > 1);
    assert_eq!(number(&here, "select setval('s', 1000)").await, 1000);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(number(&there, "select nextval('s')").await, 1001);
    run(&there, "alter sequence s restart with 5000").await;
    assert_eq!(number(&there, "select nextval('s')").await, 5000);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(number(&here, "select nextval('s')").await > 5000);
    run(&here, "drop sequence s; create sequence s").await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(number(&there, "select nextval('s')").await < 5000);
    cluster.stop().await;
}
