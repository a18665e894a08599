//! Sessions beside each other: conflicts, waits, cancellation, DDL under their feet, COPY, portals.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use nunatak_tests::clients::{cancelled, code, connect, rows, run};
use nunatak_tests::embedded::Embedded;
use sql::EngineOptions;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_of_one_row_are_never_lost_and_never_fail() {
    let cluster = Embedded::start().await;
    let first = connect(&cluster.url()).await;
    run(&first, "create table t (a int primary key, n int); insert into t values (1, 0)").await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let client = connect(&cluster.url()).await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                run(&client, "update t set n = n + 1 where a = 1").await;
            }
        }));
    }
    for task in tasks {
        task.await.expect("the task");
    }
    assert_eq!(rows(&first, "select n from t").await, ["40"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_skew_is_refused_under_serializable_and_happens_under_repeatable_read() {
    let cluster = Embedded::start().await;
    let (one, two) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&one, "create table t (a int primary key, n int)").await;
    for (level, skewed) in [("serializable", false), ("repeatable read", true)] {
        run(&one, "delete from t; insert into t values (1, 1), (2, 1)").await;
        for client in [&one, &two] {
            run(client, &format!("begin isolation level {level}")).await;
            assert_eq!(rows(client, "select sum(n) from t").await, ["2"]);
        }
        run(&one, "update t set n = 0 where a = 1").await;
        let second = two.batch_execute("update t set n = 0 where a = 2; commit").await;
        let first = one.batch_execute("commit").await;
        assert_eq!(first.is_ok() && second.is_ok(), skewed, "{level}: {first:?} {second:?}");
        for result in [first, second] {
            if let Err(error) = result {
                assert_eq!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE));
            }
        }
        let _ = two.batch_execute("rollback").await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_committed_looks_again_after_it_has_waited() {
    let cluster = Embedded::start().await;
    let (one, two) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&one, "create table t (a int primary key, v int); insert into t values (1, 1), (2, 1)").await;
    run(&one, "begin; update t set v = 2 where a = 1").await;
    let waiting = tokio::spawn(async move {
        run(&two, "begin isolation level read committed").await;
        let changed = rows(&two, "update t set v = v + 10 where v = 1 returning a").await;
        run(&two, "commit").await;
        changed
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    run(&one, "commit").await;
    assert_eq!(waiting.await.expect("the task"), ["2"]);
    assert_eq!(rows(&one, "select a, v from t order by a").await, ["1,2", "2,11"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked_rows_are_waited_for_refused_or_skipped() {
    let cluster = Embedded::start().await;
    let (one, two) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&one, "create table t (a int primary key); insert into t values (1), (2), (3)").await;
    run(&one, "begin; select * from t where a = 1 for update").await;
    assert_eq!(rows(&two, "select a from t where a = 1").await, ["1"]);
    assert_eq!(
        code(&two, "select a from t where a = 1 for update nowait").await,
        SqlState::LOCK_NOT_AVAILABLE
    );
    assert_eq!(rows(&two, "select a from t order by a for update skip locked").await, ["2", "3"]);
    assert_eq!(rows(&two, "select a from t order by a limit 1 for update skip locked").await, ["2"]);
    run(&two, "set lock_timeout = '200ms'").await;
    assert_eq!(code(&two, "delete from t where a = 1").await, SqlState::LOCK_NOT_AVAILABLE);
    run(&one, "rollback").await;
    run(&two, "delete from t where a = 1").await;
    assert_eq!(rows(&one, "select a from t order by a").await, ["2", "3"]);
    run(&one, "begin; select * from t where a = 2 for share").await;
    assert_eq!(rows(&two, "select a from t where a = 2 for share").await, ["2"]);
    assert_eq!(code(&two, "update t set a = 9 where a = 2").await, SqlState::LOCK_NOT_AVAILABLE);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_that_wait_for_each_other_goes_with_all_that_it_did() {
    let cluster = Embedded::start().await;
    let one = connect(&cluster.url()).await;
    run(&one, "create table t (a int primary key, n int); insert into t values (1, 0), (2, 0)").await;
    for level in ["serializable", "repeatable read", "read committed"] {
        let two = connect(&cluster.url()).await;
        run(&one, "update t set n = 0").await;
        run(&one, &format!("begin isolation level {level}; update t set n = n + 1 where a = 1")).await;
        run(&two, &format!("begin isolation level {level}; update t set n = n + 10 where a = 2")).await;
        let other = tokio::spawn(async move {
            let result = two.batch_execute("update t set n = n + 10 where a = 1").await;
            let _ = two.batch_execute("commit").await;
            result
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let first = one.batch_execute("update t set n = n + 1 where a = 2").await;
        let _ = one.batch_execute("commit").await;
        let second = other.await.expect("the task");
        let left = if first.is_ok() { "1" } else { "10" };
        let failed: Vec<_> = [first, second].into_iter().filter_map(Result::err).collect();
        assert_eq!(failed.len(), 1, "{level}: {failed:?}");
        assert_eq!(failed[0].code(), Some(&SqlState::T_R_DEADLOCK_DETECTED), "{level}");
        assert_eq!(rows(&one, "select n from t").await, [left, left], "{level}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_end_when_cancelled_or_out_of_time() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    let endless = "select count(*) from generate_series(1, 1000000000000)";
    run(&client, "set statement_timeout = '300ms'").await;
    let started = Instant::now();
    assert_eq!(code(&client, endless).await, SqlState::QUERY_CANCELED);
    assert!(started.elapsed() < Duration::from_secs(20));
    run(&client, "reset statement_timeout").await;
    assert_eq!(cancelled(&client, endless).await, SqlState::QUERY_CANCELED);
    assert_eq!(rows(&client, "select 1").await, ["1"]);
    run(&client, "create table t (a int primary key); insert into t values (1)").await;
    let other = connect(&cluster.url()).await;
    run(&other, "begin; update t set a = 2").await;
    assert_eq!(cancelled(&client, "update t set a = 3").await, SqlState::QUERY_CANCELED);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_lasts_too_long_ends_with_its_session() {
    let cluster = Embedded::start().await;
    let watcher = connect(&cluster.url()).await;
    run(&watcher, "create table t (a int primary key, n int); insert into t values (1, 0)").await;
    let code = async |client: &Client, sql: &str| {
        let error = client.batch_execute(sql).await.expect_err(sql);
        error.code().map(|code| code.code().to_owned())
    };
    // At work: by itself, in a block, waiting for a lock.
    for (before, sql) in [
        ("select 1", "select pg_sleep(60)"),
        ("begin", "select pg_sleep(60)"),
        ("begin", "update t set n = 2 where a = 1"),
    ] {
        run(&watcher, "begin; update t set n = 1 where a = 1").await;
        let client = connect(&cluster.url()).await;
        run(&client, "set transaction_timeout = '2s'").await;
        run(&client, before).await;
        assert_eq!(code(&client, sql).await.as_deref(), Some("25P04"), "{sql}");
        assert!(client.simple_query("select 1").await.is_err(), "the session is over");
        run(&watcher, "rollback").await;
    }
    // Idle, and in a block that has failed: what it has locked is free again.
    for then in ["select 1", "select 1 / 0"] {
        let client = connect(&cluster.url()).await;
        run(&client, "set transaction_timeout = '2s'; begin; update t set n = 3 where a = 1").await;
        let _ = client.batch_execute(then).await;
        run(&watcher, "set lock_timeout = '20s'; update t set n = n + 1 where a = 1").await;
        assert!(client.simple_query("select 1").await.is_err(), "{then}");
    }
    assert_eq!(rows(&watcher, "select n from t").await, ["2"]);
    // What is sooner goes first, and each transaction has its own time.
    let client = connect(&cluster.url()).await;
    run(&client, "set transaction_timeout = '1min'; set statement_timeout = '100ms'").await;
    assert_eq!(code(&client, "select pg_sleep(60)").await.as_deref(), Some("57014"));
    let client = connect(&cluster.url()).await;
    run(&client, "set transaction_timeout = '4s'").await;
    for _ in 0..5 {
        run(&client, "select pg_sleep(1)").await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_gateway_changes_in_the_schema_holds_on_the_other() {
    let mut cluster = Embedded::start().await;
    let elsewhere = cluster.add_gateway(EngineOptions::default()).await;
    let (one, two) = (connect(&cluster.url()).await, connect(&elsewhere).await);
    assert_eq!(code(&two, "select * from t").await, SqlState::UNDEFINED_TABLE);
    run(&one, "create table t (a int primary key, b int); insert into t values (1, 1)").await;
    assert_eq!(rows(&two, "select * from t").await, ["1,1"]);
    let insert = two.prepare("insert into t values ($1, $2)").await.expect("prepared");
    two.execute(&insert, &[&2i32, &2i32]).await.expect("inserted");
    run(&one, "create unique index t_b on t (b)").await;
    two.execute(&insert, &[&3i32, &3i32]).await.expect("inserted under the new schema");
    let error = two.execute(&insert, &[&4i32, &3i32]).await.expect_err("a duplicate");
    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
    assert_eq!(rows(&one, "select a from t where b = 3").await, ["3"]);
    run(&one, "drop table t; create table t (z text)").await;
    assert_eq!(rows(&two, "select count(*) from t").await, ["0"]);
    assert_eq!(
        rows(&two, "select attname from pg_attribute where attrelid = 't'::regclass and attnum > 0").await,
        ["z"]
    );
    // A transaction that has seen the old schema cannot write under it.
    run(&two, "begin; insert into t values ('x')").await;
    run(&one, "create index t_z on t (z)").await;
    assert_eq!(code(&two, "commit").await, SqlState::T_R_SERIALIZATION_FAILURE);
    assert_eq!(rows(&one, "select count(*) from t where z = 'x'").await, ["0"]);
    // What is described only when it runs has the columns of then.
    run(&one, "drop table t; create table t (q text, r int); insert into t values ('a', 1)").await;
    assert_eq!(rows(&two, "select * from t").await, ["a,1"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_whole_though_rows_came_while_it_was_built() {
    let cluster = Embedded::start().await;
    let (one, two) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&one, "create table t (a int primary key, b int); insert into t select n, n % 7 from generate_series(1, 500) n").await;
    let writer = tokio::spawn(async move {
        let mut written = 0;
        for n in 501..700 {
            match two.batch_execute(&format!("insert into t values ({n}, {n} % 7)")).await {
                Ok(()) => written += 1,
                Err(error) => assert_eq!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE)),
            }
        }
        written
    });
    let mut built = one.batch_execute("create index t_b on t (b)").await;
    for _ in 0..20 {
        if built.is_ok() {
            break;
        }
        built = one.batch_execute("create index t_b on t (b)").await;
    }
    built.expect("the index");
    let written: i32 = writer.await.expect("the task");
    let total = 500 + written;
    assert_eq!(rows(&one, "select count(*) from t").await, [total.to_string()]);
    assert_eq!(
        rows(&one, "explain select count(*) from t where b = 3")
            .await
            .iter()
            .filter(|line| line.contains("t_b"))
            .count(),
        1
    );
    let by_index: i32 = {
        let mut sum = 0;
        for b in 0..7 {
            let found = rows(&one, &format!("select count(*) from t where b = {b}")).await;
            sum += found[0].parse::<i32>().expect("a number");
        }
        sum
    };
    assert_eq!(by_index, total);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_brings_back_what_it_took() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (a int primary key, b text default 'd', c numeric)").await;
    let text = "1\tone\\ttab\\\\\t1.50\n2\t\\N\t\\N\n3\tline\\nbreak\t-7\n";
    let sink = client.copy_in("copy t from stdin").await.expect("copy");
    tokio::pin!(sink);
    for piece in text.as_bytes().chunks(5) {
        sink.send(Bytes::copy_from_slice(piece)).await.expect("sent");
    }
    assert_eq!(sink.finish().await.expect("done"), 3);
    let out = copy_out(&client, "copy (select * from t order by a) to stdout").await;
    assert_eq!(out, text);
    let csv =
        copy_out(&client, "copy (select a, b from t order by a) to stdout with (format csv, header)").await;
    assert_eq!(csv, "a,b\n1,one\ttab\\\n2,\n3,\"line\nbreak\"\n");
    run(&client, "truncate t").await;
    let sink = client.copy_in("copy t (a, c) from stdin with (format csv)").await.expect("copy");
    tokio::pin!(sink);
    sink.send(Bytes::from_static(b"4,4.0\n5,\n")).await.expect("sent");
    assert_eq!(sink.finish().await.expect("done"), 2);
    assert_eq!(rows(&client, "select * from t order by a").await, ["4,d,4.0", "5,d,∅"]);
    for (data, sqlstate) in [
        ("6\n", SqlState::BAD_COPY_FILE_FORMAT),
        ("6\tb\t1\t2\n", SqlState::BAD_COPY_FILE_FORMAT),
        ("x\tb\t1\n", SqlState::INVALID_TEXT_REPRESENTATION),
        ("4\tb\t1\n", SqlState::UNIQUE_VIOLATION),
        ("\\N\tb\t1\n", SqlState::NOT_NULL_VIOLATION),
    ] {
        let sink = client.copy_in("copy t from stdin").await.expect("copy");
        tokio::pin!(sink);
        sink.send(Bytes::copy_from_slice(data.as_bytes())).await.expect("sent");
        let error = sink.finish().await.expect_err("an error");
        assert_eq!(error.code(), Some(&sqlstate), "{data:?}: {error:?}");
    }
    assert_eq!(rows(&client, "select count(*) from t").await, ["2"]);
    cluster.stop().await;
}

async fn copy_out(client: &Client, sql: &str) -> String {
    let stream = client.copy_out(sql).await.expect("copy");
    tokio::pin!(stream);
    let mut out = Vec::new();
    while let Some(piece) = stream.next().await {
        out.extend_from_slice(&piece.expect("a piece"));
    }
    String::from_utf8(out).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn portals_rest_between_fetches_and_statements_are_used_again() {
    let cluster = Embedded::start().await;
    let mut client = connect(&cluster.url()).await;
    run(&client, "create table t (a int primary key); insert into t select * from generate_series(1, 2500)")
        .await;
    let statement = client.prepare("select a from t where a > $1 order by a").await.expect("prepared");
    let transaction = client.transaction().await.expect("begun");
    let portal = transaction.bind(&statement, &[&100i32]).await.expect("bound");
    let mut seen = Vec::new();
    loop {
        let page = transaction.query_portal(&portal, 700).await.expect("a page");
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 700);
        seen.extend(page.iter().map(|row| row.get::<_, i32>(0)));
    }
    assert_eq!(seen, (101..=2500).collect::<Vec<_>>());
    transaction.commit().await.expect("committed");
    // What was described by name does not come under other names.
    run(&client, "create table named (a int, b int); insert into named values (1, 2)").await;
    let star = client.prepare("select * from named").await.expect("prepared");
    client.query(&star, &[]).await.expect("rows");
    run(&client, "drop table named; create table named (b int, a int); insert into named values (2, 1)")
        .await;
    let error = client.query(&star, &[]).await.expect_err("other columns");
    assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    for from in [2490i32, 0, 2499, 1000] {
        let found = client.query(&statement, &[&from]).await.expect("rows");
        assert_eq!(found.len() as i32, 2500 - from);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_would_hold_too_many_rows_says_so() {
    let options = EngineOptions { statement_bytes_max: 1 << 20, ..EngineOptions::default() };
    let cluster = Embedded::start_with(options).await;
    let client = connect(&cluster.url()).await;
    for sql in [
        "select n from generate_series(1, 100000) n order by n desc",
        "select count(distinct n) from generate_series(1, 100000) n",
        "select n, count(*) from generate_series(1, 100000) n group by n",
        "select count(*) from generate_series(1, 100000) a join generate_series(1, 100000) b on a = b",
    ] {
        assert_eq!(code(&client, sql).await, SqlState::OUT_OF_MEMORY, "{sql}");
    }
    assert_eq!(rows(&client, "select count(*) from generate_series(1, 100000) n").await, ["100000"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_write_returns_and_plans_is_in_its_account() {
    let options = EngineOptions { memory_bytes_max: 14 << 20, ..EngineOptions::default() };
    let cluster = Embedded::start_with(options).await;
    let (mut one, two) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&one, "create table t (a int primary key)").await;
    run(&one, "insert into t select g from generate_series(1, 3000) g").await;
    let sorted =
        "select count(*) from (select repeat('x', 1000) || g from generate_series(1, 5500) g order by 1) s";
    let transaction = one.transaction().await.expect("a transaction");
    let portal =
        transaction.bind("update t set a = a returning repeat('x', 3000)", &[]).await.expect("a portal");
    assert_eq!(transaction.query_portal(&portal, 10).await.expect("rows").len(), 10);
    assert_eq!(code(&two, sorted).await, SqlState::OUT_OF_MEMORY, "rows that wait for their client");
    assert_eq!(transaction.query_portal(&portal, 0).await.expect("rows").len(), 2990);
    transaction.commit().await.expect("a commit");
    assert_eq!(rows(&two, sorted).await, ["5500"]);
    cluster.stop().await;

    let options = EngineOptions { statement_bytes_max: 6 << 20, ..EngineOptions::default() };
    let cluster = Embedded::start_with(options).await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (a int primary key)").await;
    run(&client, "insert into t select g from generate_series(1, 20000) g").await;
    assert_eq!(code(&client, "update t set a = a + 100000").await, SqlState::OUT_OF_MEMORY, "keys");
    run(&client, "update t set a = a + 100000 where a < 1000").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_savepoint_is_gone_back_to_only_where_the_transaction_can_go_on() {
    let cluster = Embedded::start().await;
    let (one, two) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&one, "create table t (a int primary key, n int); insert into t values (1, 0), (2, 0)").await;
    run(&one, "begin isolation level serializable; savepoint p; select * from t").await;
    run(&two, "update t set n = 1 where a = 1").await;
    assert_eq!(code(&one, "update t set n = 2 where a = 1").await, SqlState::T_R_SERIALIZATION_FAILURE);
    // What was read has changed: nothing that it does now could commit, so it is told at once.
    assert_eq!(code(&one, "rollback to p").await, SqlState::T_R_SERIALIZATION_FAILURE);
    assert_eq!(code(&one, "select 1").await, SqlState::IN_FAILED_SQL_TRANSACTION);
    run(&one, "rollback").await;
    assert_eq!(rows(&one, "select n from t order by a").await, ["1", "0"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_passed_on_within_an_update_of_any_size_and_judged_at_its_end() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (a int primary key, u int unique, n int)").await;
    for count in [10, 1100, 2500] {
        run(
            &client,
            &format!("delete from t; insert into t select g, g, 0 from generate_series(1, {count}) g"),
        )
        .await;
        run(&client, "update t set u = u + 1; update t set a = a + 1; update t set u = u - 1, a = a - 1")
            .await;
        assert_eq!(
            rows(&client, "select count(*), min(a), max(a), min(u), max(u) from t where a = u").await,
            [format!("{count},1,{count},1,{count}")]
        );
        assert_eq!(code(&client, "update t set u = u / 2").await, SqlState::UNIQUE_VIOLATION, "{count}");
        let beyond = format!("update t set a = a + 1 where a < {count}");
        assert_eq!(code(&client, &beyond).await, SqlState::UNIQUE_VIOLATION, "{count}");
        let swapped =
            rows(&client, "update t set u = case u when 1 then 2 else 1 end where a < 3 returning u").await;
        assert_eq!(swapped, ["2", "1"]);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_keeps_by_name_is_bounded() {
    let options = EngineOptions { session_bytes_max: 1 << 20, ..EngineOptions::default() };
    let cluster = Embedded::start_with(options).await;
    let client = connect(&cluster.url()).await;
    let mut refused = None;
    for number in 0..2000 {
        if let Err(error) = client.simple_query(&format!("prepare s{number} as select {number}")).await {
            refused = error.code().cloned();
            break;
        }
    }
    assert_eq!(refused, Some(SqlState::OUT_OF_MEMORY));
    run(&client, "deallocate all").await;
    // A short text may make a large plan.
    let ranges = " between false and true)".repeat(10);
    let short = format!("select {}(a between 0 and 1){ranges} from generate_series(1, 2) a", "(".repeat(10));
    let mut held = 0;
    while client.simple_query(&format!("prepare l{held} as {short}")).await.is_ok() {
        held += 1;
        assert!(held < 10, "{held} of them");
    }
    run(&client, "deallocate all; prepare s0 as select 0").await;
    let value = "x".repeat(10_000);
    let mut refused = None;
    for number in 0..2000 {
        if let Err(error) = client.simple_query(&format!("set my.n{number} = '{value}'")).await {
            refused = error.code().cloned();
            break;
        }
    }
    assert_eq!(refused, Some(SqlState::OUT_OF_MEMORY));
    assert_eq!(rows(&client, "execute s0").await, ["0"]);
    let elsewhere = cluster.url().replace("dbname=postgres", "dbname=nosuch");
    let error = tokio_postgres::connect(&elsewhere, NoTls).await.err().expect("no such database");
    assert_eq!(error.code(), Some(&SqlState::UNDEFINED_DATABASE));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_were_given_at_another_gateway_count_at_once() {
    let mut cluster = Embedded::start().await;
    let url = cluster.add_gateway(EngineOptions::default()).await;
    let owner = connect(&cluster.url()).await;
    run(&owner, "create role reader; create table t (id int primary key); insert into t values (1)").await;
    run(&owner, "grant usage on schema public to reader; grant select on t to reader").await;
    let reader = connect(&url).await;
    run(&reader, "set role reader").await;
    let prepared = reader.prepare("select id from t where id > $1").await.expect("a query");
    for _ in 0..5 {
        run(&owner, "revoke select on t from reader").await;
        let denied = reader.query(&prepared, &[&0]).await.expect_err("no right");
        assert_eq!(denied.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
        run(&owner, "grant select on t to reader").await;
        assert_eq!(reader.query(&prepared, &[&0]).await.expect("a right").len(), 1);
        run(&owner, "revoke select on t from reader").await;
        let denied = reader.batch_execute("select id from t where id = 1").await.expect_err("no right");
        assert_eq!(denied.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
        run(&owner, "grant select on t to reader").await;
        assert_eq!(rows(&reader, "select id from t where id = 1").await, ["1"]);
    }
    cluster.stop().await;
}
