//! ERASE HISTORY: what was before nobody reads any more, by whatever way, and nothing else is lost.

use nunatak_tests::clients::{code, connect, rows, run};
use nunatak_tests::embedded::Embedded;
use tokio_postgres::Client;

/// The moment now, as a literal, with nothing else in its millisecond.
async fn moment(client: &Client) -> String {
    let found = rows(client, "select clock_timestamp()").await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    found.into_iter().next().expect("a moment")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_is_read_in_no_way() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (id int primary key, mail text unique, city text, n int)").await;
    run(&client, "create index by_city on t (city) where n > 0").await;
    run(&client, "insert into t select n, 'mail ' || n, 'city ' || n % 3, n from generate_series(1, 9) n")
        .await;
    let then = moment(&client).await;
    for statement in [
        "update t set mail = 'other', city = 'far' where id = 4",
        "update t set mail = 'mail 4' where id = 5",
        "delete from t where id = 6",
        "erase history of row (4) of t",
        "erase history of row (6) of t",
    ] {
        run(&client, statement).await;
    }
    let of_then = format!("from t for system_time as of '{then}'");
    for gone in [
        format!("select * {of_then} where id = 4"),
        format!("select * {of_then} where id = 6"),
        format!("select id {of_then} where mail = 'mail 4'"),
        format!("select id {of_then} where city = 'city 1' and n > 0"),
        format!("select count(*) {of_then}"),
        format!("select id from t for system_time between '{then}' and now() where id = 4"),
        format!("diff table t between '{then}' and now()"),
        format!("flashback table t to '{then}'"),
        format!("create table c clone t as of system time '{then}'"),
    ] {
        assert_eq!(code(&client, &gone).await.code(), "72000", "{gone}");
    }
    let error = client.simple_query(&format!("select * {of_then} where id = 4")).await.expect_err("erased");
    let error = error.as_db_error().map(|error| error.message().to_owned()).expect("an answer");
    assert!(error.contains("was erased"), "{error}");
    // What is beside it is there.
    assert_eq!(rows(&client, &format!("select mail {of_then} where id = 5")).await, ["mail 5"]);
    assert_eq!(rows(&client, &format!("select id {of_then} where mail = 'mail 7'")).await, ["7"]);
    assert_eq!(
        rows(&client, &format!("select id {of_then} where id > 6 order by id")).await,
        ["7", "8", "9"]
    );
    assert_eq!(rows(&client, "select id, mail from t where city = 'far' and n > 0").await, ["4,other"]);
    let changes = rows(&client, "show changes for row (4) of t").await;
    assert!(changes.len() == 1 && changes[0].starts_with("insert,"), "{changes:?}");
    assert!(rows(&client, "show changes for row (6) of t").await.is_empty());
    assert_eq!(rows(&client, "show changes for row (5) of t").await.len(), 2);
    let told = rows(&client, "show history").await;
    assert!(told.iter().any(|row| row.starts_with("erased: rows of table public.t,")), "{told:?}");
    // The table goes on.
    run(&client, "insert into t values (6, 'again', 'near', 6); update t set n = 40 where id = 4").await;
    assert_eq!(rows(&client, "select count(*), sum(n) from t").await, ["9,81"]);
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_a_whole_table_is_erased_with_what_it_held_under_other_keys() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (id int, a text)").await;
    run(&client, "insert into t values (1, 'one'), (2, 'two')").await;
    let then = moment(&client).await;
    run(&client, "alter table t add primary key (id)").await;
    run(&client, "update t set a = 'new' where id = 1").await;
    let of_then = format!("select count(*) from t for system_time as of '{then}'");
    assert_eq!(rows(&client, &of_then).await, ["2"]);
    // Under which keys its rows were it does not know.
    assert_eq!(code(&client, "erase history of row (1) of t").await.code(), "55000");
    assert_eq!(code(&client, "erase history of table t before '2100-01-01'").await.code(), "22023");
    run(&client, "erase history of table t").await;
    assert_eq!(code(&client, &of_then).await.code(), "72000");
    assert_eq!(rows(&client, "select id, a from t order by id").await, ["1,new", "2,two"]);
    assert_eq!(rows(&client, "select count(*) from t for system_time all").await, ["2"]);
    let now = moment(&client).await;
    run(&client, "delete from t where id = 2").await;
    let of_now = format!("select count(*) from t for system_time as of '{now}'");
    assert_eq!(rows(&client, &of_now).await, ["2"]);
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_begun_before_is_told_to_begin_anew() {
    let cluster = Embedded::start().await;
    let (client, other) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&client, "create table t (id int primary key, n int)").await;
    run(&client, "insert into t values (1, 1), (2, 2)").await;
    run(&client, "begin isolation level repeatable read").await;
    assert_eq!(rows(&client, "select n from t where id = 2").await, ["2"]);
    run(&other, "update t set n = 10 where id = 1").await;
    run(&other, "erase history of row (1) of t").await;
    assert_eq!(rows(&client, "select n from t where id = 2").await, ["2"]);
    assert_eq!(code(&client, "select n from t where id = 1").await.code(), "40001");
    run(&client, "rollback").await;
    assert_eq!(rows(&client, "select n from t where id = 1").await, ["10"]);
    drop((client, other));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_driftql_are_not_erased_alone() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "set dialect = driftql").await;
    run(&client, "CREATE TABLE d (pk=id)").await;
    run(&client, "set dialect = sql").await;
    assert_eq!(code(&client, "erase history of table d").await.code(), "0A000");
    drop(client);
    cluster.stop().await;
}
