//! What sessions wait for beside rows: time, and advisory locks; and what portals see that are left in the middle.

use std::time::{Duration, Instant};

use nunatak_tests::clients::{await_rows, cancelled, code, connect};
use nunatak_tests::embedded::Embedded;
use sql::EngineOptions;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

async fn value(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("∅").to_owned()),
        _ => None,
    });
    rows.collect::<Vec<_>>().join(",")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sleep_beside_each_other_and_hear_a_cancel() {
    let cluster = Embedded::start().await;
    let started = Instant::now();
    let mut sleepers = Vec::new();
    for _ in 0..20 {
        let client = connect(&cluster.url()).await;
        sleepers.push(tokio::spawn(async move { value(&client, "select pg_sleep(3)").await }));
    }
    for sleeper in sleepers {
        sleeper.await.expect("a sleeper");
    }
    // One after the other they would take a minute.
    assert!(started.elapsed() < Duration::from_secs(24), "{:?}", started.elapsed());
    let client = connect(&cluster.url()).await;
    let started = Instant::now();
    assert_eq!(cancelled(&client, "select pg_sleep(60)").await, SqlState::QUERY_CANCELED);
    assert!(started.elapsed() < Duration::from_secs(20));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advisory_locks_keep_sessions_apart() {
    let cluster = Embedded::start().await;
    let (first, second) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    value(&first, "select pg_advisory_lock(1), pg_advisory_lock_shared(2)").await;
    assert_eq!(value(&second, "select pg_try_advisory_lock(1)").await, "f");
    assert_eq!(value(&second, "select pg_try_advisory_lock(2)").await, "f");
    assert_eq!(value(&second, "select pg_try_advisory_lock_shared(2)").await, "t");
    assert_eq!(value(&second, "select pg_try_advisory_lock(0, 1)").await, "t");
    assert_eq!(
        code(&second, "set lock_timeout = '50ms'; select pg_advisory_lock(1)").await,
        SqlState::LOCK_NOT_AVAILABLE
    );
    value(&second, "set lock_timeout = 0").await;
    // Who waits is cancelled, and holds nothing afterwards.
    assert_eq!(cancelled(&second, "select pg_advisory_lock(1)").await, SqlState::QUERY_CANCELED);
    let third = connect(&cluster.url()).await;
    let waiting = tokio::spawn(async move { value(&third, "select pg_advisory_lock(1)").await });
    await_rows(&second, "select count(*) from pg_locks where not granted", &["1"]).await;
    assert_eq!(value(&first, "select pg_advisory_unlock(1)").await, "t");
    waiting.await.expect("the waiter");
    // What a session held is free once it is gone.
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(10);
    value(&second, "select pg_advisory_unlock_all()").await;
    while value(&second, "select pg_try_advisory_lock(1) and pg_try_advisory_lock(2)").await != "t" {
        assert!(Instant::now() < deadline, "locks outlive their sessions");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_try_takes_nothing_away_that_is_granted_behind_it() {
    let cluster = Embedded::start().await;
    let (first, second) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    for _ in 0..20 {
        value(&first, "select pg_advisory_lock(1)").await;
        assert_eq!(value(&second, "select pg_try_advisory_lock(1)").await, "f");
        assert_eq!(value(&first, "select pg_advisory_unlock(1)").await, "t");
        assert_eq!(value(&second, "select pg_try_advisory_lock(1)").await, "t");
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(value(&first, "select pg_try_advisory_lock(1)").await, "f");
        assert_eq!(value(&second, "select pg_advisory_unlock(1)").await, "t");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_cursor_ends_with_a_transaction_that_cannot_commit() {
    let cluster = Embedded::start().await;
    let (first, second) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    value(&first, "create table t (a int primary key, n int); insert into t values (1, 0), (2, 0)").await;
    value(&first, "begin isolation level serializable; select n from t where a = 1").await;
    value(
        &first,
        "update t set n = 7 where a = 2; declare k cursor with hold for select n from t where a = 2",
    )
    .await;
    value(&second, "update t set n = 5 where a = 1").await;
    assert_eq!(code(&first, "commit").await, SqlState::T_R_SERIALIZATION_FAILURE);
    assert_eq!(code(&first, "fetch k").await, SqlState::INVALID_CURSOR_NAME);
    value(&first, "begin; declare k cursor with hold for select n from t where a = 2; commit").await;
    value(&first, "begin").await;
    assert_eq!(value(&first, "fetch k").await, "0");
    value(&first, "rollback").await;
    assert_eq!(value(&first, "fetch k").await, "", "it stands where it stood");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advisory_locks_of_transactions_end_with_them() {
    let cluster = Embedded::start().await;
    let (first, second) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    for end in ["commit", "rollback"] {
        value(&first, "begin; select pg_advisory_xact_lock(7)").await;
        assert_eq!(value(&second, "select pg_try_advisory_lock(7)").await, "f");
        value(&first, end).await;
        assert_eq!(value(&second, "select pg_try_advisory_lock(7)").await, "t");
        value(&second, "select pg_advisory_unlock(7)").await;
    }
    value(&first, "create table t (a int primary key, n int); insert into t values (1, 0)").await;
    value(&first, "begin; select pg_advisory_xact_lock(7); update t set n = 1; savepoint s").await;
    value(&first, "select pg_advisory_xact_lock(8); rollback to s").await;
    assert_eq!(value(&second, "select pg_try_advisory_lock(8)").await, "t");
    assert_eq!(value(&second, "select pg_try_advisory_lock(7)").await, "f");
    value(&first, "commit").await;
    assert_eq!(value(&second, "select pg_try_advisory_lock(7)").await, "t");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlocks_over_advisory_locks_are_found() {
    let cluster = Embedded::start().await;
    let (first, second) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    value(&first, "create table t (a int primary key, n int); insert into t values (1, 0), (2, 0)").await;
    for [one, other] in [
        ["select pg_advisory_lock(1)", "select pg_advisory_lock(2)"],
        ["select pg_advisory_xact_lock(3)", "update t set n = n + 1 where a = 1"],
    ] {
        value(&first, "begin isolation level read committed").await;
        value(&second, "begin isolation level read committed").await;
        value(&first, one).await;
        value(&second, other).await;
        let crossed = async { first.simple_query(other).await.map_err(|error| error.code().cloned()) };
        let crossing = async { second.simple_query(one).await.map_err(|error| error.code().cloned()) };
        let both = async {
            let (crossed, crossing) = tokio::join!(
                async {
                    let outcome = crossed.await;
                    if outcome.is_err() {
                        value(&first, "rollback; select pg_advisory_unlock_all()").await;
                    }
                    outcome
                },
                async {
                    let outcome = crossing.await;
                    if outcome.is_err() {
                        value(&second, "rollback; select pg_advisory_unlock_all()").await;
                    }
                    outcome
                }
            );
            [crossed.err(), crossing.err()]
        };
        let ends = tokio::time::timeout(Duration::from_secs(20), both).await.expect("the deadlock is found");
        let victims = ends.iter().flatten().filter(|code| **code == Some(SqlState::T_R_DEADLOCK_DETECTED));
        assert_eq!(victims.count(), 1, "{ends:?}");
        value(&first, "rollback; select pg_advisory_unlock_all()").await;
        value(&second, "rollback; select pg_advisory_unlock_all()").await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_does_not_see_what_its_transaction_writes_later() {
    let cluster = Embedded::start().await;
    let mut client = connect(&cluster.url()).await;
    let other = connect(&cluster.url()).await;
    value(&client, "create table t (a int primary key, n int)").await;
    for level in ["serializable", "repeatable read", "read committed"] {
        value(&client, "truncate t; insert into t select i, 0 from generate_series(1, 3000) i").await;
        let transaction = client.transaction().await.expect("a transaction");
        transaction
            .batch_execute(&format!("set transaction isolation level {level}"))
            .await
            .expect("a level");
        let portal = transaction.bind("select a, n from t order by a", &[]).await.expect("a portal");
        let mut seen = 0;
        loop {
            let rows = transaction.query_portal(&portal, 100).await.expect("rows");
            if rows.is_empty() {
                break;
            }
            for row in rows {
                assert_eq!(row.get::<_, i32>(1), 0, "{level}: row {}", row.get::<_, i32>(0));
                seen += 1;
            }
            let write = "update t set n = n + 1; insert into t values ((select max(a) + 1 from t), 1)";
            transaction.batch_execute(write).await.expect("a write");
            if level == "read committed" {
                value(&other, "insert into t values (-(select count(*) from t where a < 0) - 1, 9)").await;
            }
        }
        assert_eq!(seen, 3000, "{level}");
        transaction.rollback().await.expect("an end");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advisory_locks_are_the_clusters() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let (first, second) = (connect(&cluster.url()).await, connect(&other).await);
    value(&first, "select pg_advisory_lock(1)").await;
    assert_eq!(value(&second, "select pg_try_advisory_lock(1)").await, "f");
    let waiting = tokio::spawn(async move { value(&second, "select pg_advisory_xact_lock(1), 1").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    value(&first, "select pg_advisory_unlock(1)").await;
    waiting.await.expect("the waiter");
    assert_eq!(value(&first, "select pg_try_advisory_lock(1)").await, "t");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_hold_no_more_than_they_may() {
    let options = EngineOptions { statement_bytes_max: 8 << 20, ..EngineOptions::default() };
    let cluster = Embedded::start_with(options).await;
    let client = connect(&cluster.url()).await;
    let wide = "select i, repeat('x', 1000) from generate_series(1, 20000) i";
    value(&client, &format!("create table t as {wide}")).await;
    // What has been moved over is not held.
    for (declared, then) in
        [("scroll cursor", "move all from c"), ("cursor with hold", "move 9 from c; commit")]
    {
        value(&client, &format!("begin; declare c {declared} for select * from t")).await;
        assert_eq!(code(&client, then).await, SqlState::OUT_OF_MEMORY, "{declared}");
        value(&client, "rollback").await;
    }
    value(&client, "begin; declare c cursor with hold for select * from t; move all from c; commit").await;
    value(&client, "close c").await;
    // What goes forward alone keeps nothing, and what may go back does so as long as that takes little.
    value(
        &client,
        "begin; declare c no scroll cursor for select * from t; declare d cursor for select * from t",
    )
    .await;
    for name in ["c", "d"] {
        let moved = client.simple_query(&format!("move all from {name}")).await.expect("all of it");
        assert!(matches!(moved.first(), Some(SimpleQueryMessage::CommandComplete(20_000))));
    }
    assert_eq!(code(&client, "fetch prior from d").await, SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    value(&client, "rollback; begin; declare d cursor for select * from t").await;
    assert_eq!(
        value(&client, "move 100 from d; fetch backward 1 from d; fetch 1 from d").await.split(',').count(),
        2
    );
    value(&client, "rollback").await;
    cluster.stop().await;
}
