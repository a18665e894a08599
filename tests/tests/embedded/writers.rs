//! Who has written rows, as `xmin` tells it: the same to the transaction that writes and to all others, until the row is changed.

use nunatak_tests::clients::{code, connect, rows, run};
use nunatak_tests::embedded::Embedded;
use tokio_postgres::Client;

/// What `xmin` is of rows.
async fn writers(client: &Client, condition: &str) -> Vec<String> {
    rows(client, &format!("select xmin from t where {condition} order by id")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_returning_tells_is_what_others_read_until_the_row_is_changed() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, "create table t (id int primary key, v int, u int unique)").await;
    let told = rows(&here, "insert into t values (1, 1, 1) returning xmin").await;
    assert_eq!(writers(&there, "id = 1").await, told);
    let number: u32 = told[0].parse().expect("a number");
    assert!(number > 2);
    for statement in [
        "update t set v = v + 1 where id = 1",
        "update t set v = v + 1",
        "update t set u = u + 1 where id = 1",
        "insert into t values (1, 1, 1) on conflict (id) do update set v = 7",
        "merge into t using (values (1)) s (id) on t.id = s.id when matched then update set v = 8",
        "delete from t; insert into t values (1, 1, 1)",
    ] {
        let told = rows(&here, "update t set v = v + 1 where id = 1 returning xmin").await;
        assert_eq!(writers(&there, "id = 1").await, told);
        let kept = format!("update t set v = v where id = 1 and xmin = '{}'", told[0]);
        run(&there, "begin").await;
        assert_eq!(there.execute(&kept, &[]).await.expect("an update"), 1, "{statement}");
        run(&there, "rollback").await;
        run(&here, statement).await;
        assert_ne!(writers(&there, "id = 1").await, told, "{statement}");
        assert_eq!(there.execute(&kept, &[]).await.expect("an update"), 0, "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_change_what_they_have_read_one_does() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, "create table t (id int primary key, v int); insert into t values (1, 1)").await;
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let read = writers(&here, "id = 1").await.remove(0);
        let change = format!("update t set v = v + 1 where id = 1 and xmin = '{read}' returning xmin");
        run(&there, &format!("set default_transaction_isolation = '{isolation}'")).await;
        run(&here, "begin").await;
        assert_eq!(rows(&here, &change).await.len(), 1);
        // It waits for the other, and looks at the row anew.
        let (changed, ()) = tokio::join!(rows(&there, &change), async {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            run(&here, "commit").await;
        });
        assert_eq!(changed, Vec::<String>::new(), "{isolation}");
    }
    assert_eq!(rows(&here, "select v from t").await, ["4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_transaction_writes_without_a_number_has_one_once_it_is_committed() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (id int primary key, v int)").await;
    run(&client, "begin; insert into t values (1, 1), (2, 2)").await;
    assert_eq!(code(&client, "select xmin from t where id = 1").await.code(), "0A000");
    run(&client, "rollback; begin; insert into t values (1, 1), (2, 2), (3, 3)").await;
    // What it was before nobody asks.
    let told = rows(&client, "update t set v = 2 where id = 1 returning xmin").await;
    assert_eq!(writers(&client, "id = 1").await, told);
    assert_eq!(rows(&client, "select id, xmax from t where id = 2").await, ["2,0"]);
    assert_eq!(code(&client, "update t set v = 2 where xmin <> '0'").await.code(), "0A000");
    run(&client, "rollback; insert into t select n, n from generate_series(1, 3000) n").await;
    assert_eq!(rows(&client, "select count(distinct xmin::text) from t").await, ["1"]);
    run(&client, "update t set v = 0 where id > 2990").await;
    assert_eq!(rows(&client, "select count(distinct xmin::text) from t").await, ["2"]);
    run(&client, "begin; update t set v = 1 where id = 1").await;
    // Others of its rows are in nobody's way.
    assert_eq!(writers(&client, "id in (2, 3)").await.len(), 2);
    assert_eq!(rows(&client, "select count(xmin) from t where id > 1").await, ["2999"]);
    run(&client, "rollback").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_leaves_a_transactions_memory_tells_what_is_stored_with_it() {
    let cluster = Embedded::start_flushing(64 << 10).await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (id int primary key, v text); insert into t values (0, '')").await;
    run(&client, "begin").await;
    let told = rows(&client, "insert into t values (1, '') returning xmin").await;
    run(&client, "insert into t select n, repeat('x', 1000) from generate_series(2, 500) n").await;
    assert_eq!(writers(&client, "id = 1").await, told);
    assert_eq!(code(&client, "select xmin from t where id = 500").await.code(), "0A000");
    run(&client, "rollback; begin").await;
    let told = rows(&client, "insert into t values (1, '') returning xmin").await;
    run(&client, "insert into t select n, repeat('x', 1000) from generate_series(2, 500) n").await;
    run(&client, "commit").await;
    assert_eq!(writers(&client, "id = 1").await, told);
    assert_eq!(rows(&client, "select count(distinct xmin::text) from t where id > 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_clone_are_written_by_it_unless_they_say_otherwise() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table o (id int primary key, v int)").await;
    run(&client, "insert into o values (1, 1); insert into o values (2, 2); insert into o values (3, 3)")
        .await;
    let told = rows(&client, "update o set v = 4 where id = 3 returning xmin").await;
    run(&client, "create table t clone o").await;
    let at_first = writers(&client, "true").await;
    assert_eq!((&at_first[0], &at_first[2]), (&at_first[1], &told[0]));
    run(&client, "update t set v = 5 where id = 1").await;
    let later = writers(&client, "true").await;
    assert!(later[0] != at_first[0] && later[1..] == at_first[1..], "{later:?} {at_first:?}");
    let changed = format!("update t set v = 6 where id = 2 and xmin = '{}' returning v", at_first[1]);
    assert_eq!(rows(&client, &changed).await, ["6"]);
    assert_eq!(rows(&client, &changed).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_conditions_go_on_to_are_looked_at_with_who_has_written_them() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (id int primary key, k int, v text); create index on t (k)").await;
    run(&client, "create table s (k int primary key, w int)").await;
    run(&client, "insert into t select n, n % 50, 'x' from generate_series(1, 500) n").await;
    run(&client, "insert into s select n, n from generate_series(0, 3) n").await;
    run(&client, "analyze t; analyze s").await;
    let one = rows(&client, "select distinct xmin::text from t").await;
    assert_eq!(one.len(), 1);
    let xmin = &one[0];
    for (query, count) in [
        (format!("select count(*) from t where k = 7 and xmin = '{xmin}'"), "10"),
        (format!("select count(*) from s join t using (k) where t.xmin = '{xmin}'"), "40"),
        (format!("select count(*) from s left join t on t.k = s.k and t.xmin <> '{xmin}'"), "4"),
        (
            format!(
                "select count(*) from s where exists (select 1 from t where t.k = s.k and t.xmin = '{xmin}')"
            ),
            "4",
        ),
        (
            format!(
                "select count(*) from (select xmin as x from t order by id desc limit 7) q where x = '{xmin}'"
            ),
            "7",
        ),
        ("select count(*) from t a join t b on a.id = b.id and a.xmin = b.xmin".to_owned(), "500"),
        ("select count(*) from t a where xmin = (select xmin from t b where b.id = a.id)".to_owned(), "500"),
    ] {
        assert_eq!(rows(&client, &query).await, [count], "{query}");
    }
    run(&client, "begin").await;
    let locked = format!("select id from t where k = 7 and xmin = '{xmin}' order by id limit 2 for update");
    assert_eq!(rows(&client, &locked).await, ["7", "57"]);
    run(&client, "commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_can_tell_it_says_so() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (id int primary key, v int); insert into t values (1, 1)").await;
    run(&client, "create temporary table tt (id int primary key); insert into tt values (1)").await;
    assert_eq!(rows(&client, "select xmin <> 0, xmax from tt").await, ["t,0"]);
    for refused in [
        "select ctid from t",
        "select cmin from t",
        "update t set v = 2 returning cmax",
        "select xmin from pg_class",
        "select xmin from t for system_time as of '-1us'",
        "select xmax from t for system_time all",
        "create view v as select xmin from t",
        "create function f() returns xid language sql as 'select xmin from t limit 1'",
    ] {
        assert_eq!(code(&client, refused).await.code(), "0A000", "{refused}");
    }
}
