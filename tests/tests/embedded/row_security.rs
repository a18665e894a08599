//! Row-level security beside what one script can show: two gateways, prepared statements, roles that change under them,
//! transactions and cursors under way, restarts.

use nunatak_tests::clients::{code, connect, rows, run};
use nunatak_tests::embedded::Embedded;
use sql::EngineOptions;
use tokio_postgres::error::SqlState;

/// A table of which each role sees its own rows, and who made it.
const TABLE: &str = "
    create role maker; create role ann; create role bob; create role chief;
    grant all on schema public to maker;
    grant usage on schema public to ann, bob, chief;
    set role maker;
    create table t (id int primary key, owner name, n int);
    insert into t select i, case when i % 2 = 0 then 'ann' else 'bob' end, i from generate_series(1, 10) i;
    grant all on t to ann, bob, chief;
    alter table t enable row level security;
    create policy own on t using (owner = current_user);
    reset role;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_good_for_the_role_that_it_was_made_for() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, TABLE).await;
    let all = client.prepare("select count(*) from t").await.expect("a statement");
    let one = client.prepare("select n from t where id = $1").await.expect("a statement");
    let change = client.prepare("update t set n = n + 100 where id = $1").await.expect("a statement");
    let add = client.prepare("insert into t values ($1, $2::text::name, 0)").await.expect("a statement");
    // So often that plans are kept, in an order in which another's would show.
    for _ in 0..3 {
        for (role, count, seen, hidden) in [("ann", 5_i64, 2, 1), ("bob", 5, 1, 2)] {
            run(&client, &format!("set role {role}")).await;
            let found: i64 = client.query_one(&all, &[]).await.expect("a row").get(0);
            assert_eq!(found, count);
            assert_eq!(client.query(&one, &[&seen]).await.expect("rows").len(), 1);
            assert_eq!(client.query(&one, &[&hidden]).await.expect("rows").len(), 0);
            assert_eq!(client.execute(&change, &[&seen]).await.expect("a count"), 1);
            assert_eq!(client.execute(&change, &[&hidden]).await.expect("a count"), 0);
            let other = if role == "ann" { "bob" } else { "ann" };
            let error = client.execute(&add, &[&99, &other]).await.expect_err("an error");
            assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
            // The same by texts that differ in their literals alone.
            for id in 1..=4 {
                let found = rows(&client, &format!("select id from t where id = {id}")).await;
                assert_eq!(found.len() == 1, (id % 2 == 0) == (role == "ann"), "{role} {id}");
            }
        }
        run(&client, "reset role").await;
        let found: i64 = client.query_one(&all, &[]).await.expect("a row").get(0);
        assert_eq!(found, 10);
    }
    // SET LOCAL ends with its block, and what it was set for with it.
    run(&client, "begin; set local role ann").await;
    assert_eq!(client.query_one(&all, &[]).await.expect("a row").get::<_, i64>(0), 5);
    run(&client, "commit").await;
    assert_eq!(client.query_one(&all, &[]).await.expect("a row").get::<_, i64>(0), 10);
    // A savepoint takes the role back with it.
    run(&client, "begin; savepoint a; set local role bob").await;
    assert_eq!(client.query_one(&all, &[]).await.expect("a row").get::<_, i64>(0), 5);
    run(&client, "rollback to a").await;
    assert_eq!(client.query_one(&all, &[]).await.expect("a row").get::<_, i64>(0), 10);
    run(&client, "commit; set row_security = off; set role ann").await;
    let error = client.query_one(&all, &[]).await.expect_err("an error");
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    run(&client, "reset row_security").await;
    assert_eq!(client.query_one(&all, &[]).await.expect("a row").get::<_, i64>(0), 5);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_was_acknowledged_holds_at_every_gateway() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let (here, there) = (connect(&cluster.url()).await, connect(&other).await);
    run(&here, TABLE).await;
    run(&there, "set role ann").await;
    let all = there.prepare("select count(*) from t").await.expect("a statement");
    let count = async || there.query_one(&all, &[]).await.expect("a row").get::<_, i64>(0);
    for _ in 0..2 {
        assert_eq!(count().await, 5);
        run(&here, "create policy low on t as restrictive using (n <= 6)").await;
        assert_eq!(count().await, 3);
        assert_eq!(code(&there, "insert into t values (50, 'ann', 50)").await.code(), "42501");
        run(&here, "alter policy low on t using (n <= 4)").await;
        assert_eq!(count().await, 2);
        run(&here, "alter policy low on t to bob").await;
        assert_eq!(count().await, 5);
        run(&here, "grant bob to ann").await;
        // Policies for bob now bind ann, too.
        assert_eq!(count().await, 2);
        run(&here, "revoke bob from ann; drop policy low on t; alter role ann bypassrls").await;
        assert_eq!(count().await, 10);
        run(&here, "alter role ann nobypassrls; alter table t disable row level security").await;
        assert_eq!(count().await, 10);
        run(&here, "alter table t enable row level security; grant maker to ann").await;
        // A member of the owner is not bound, unless the owner is.
        assert_eq!(count().await, 10);
        run(&here, "alter table t force row level security").await;
        assert_eq!(count().await, 5);
        run(&here, "alter table t no force row level security; revoke maker from ann").await;
    }
    // What is taken back is as if it had not been.
    run(
        &here,
        "begin; drop policy own on t; savepoint a; create policy every on t using (true); rollback to a",
    )
    .await;
    assert_eq!(count().await, 5);
    run(&here, "rollback").await;
    assert_eq!(count().await, 5);
    // A transaction under way goes on under the policies that it began with, or is told that it cannot; it never sees more.
    run(&there, "begin isolation level repeatable read").await;
    assert_eq!(count().await, 5);
    run(&here, "alter policy own on t using (true)").await;
    match there.query_one(&all, &[]).await {
        Ok(row) => assert_eq!(row.get::<_, i64>(0), 5),
        Err(error) => assert_eq!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE)),
    }
    run(&there, "rollback").await;
    assert_eq!(count().await, 10);
    run(&here, "alter policy own on t using (owner = current_user)").await;
    // A cursor shows what its query was bound to.
    run(&there, "begin; declare c cursor for select id from t order by id").await;
    assert_eq!(rows(&there, "fetch 2 from c").await, ["2", "4"]);
    run(&there, "set local role bob").await;
    assert_eq!(rows(&there, "fetch 1 from c").await, ["6"]);
    assert_eq!(rows(&there, "select id from t order by id limit 1").await, ["1"]);
    run(&there, "commit").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_rows_are_neither_waited_for_nor_told_of() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let (here, there) = (connect(&cluster.url()).await, connect(&other).await);
    run(&here, TABLE).await;
    run(&here, "set role bob; begin; update t set n = 0 where id = 1").await;
    run(&there, "set role ann; set lock_timeout = '5s'").await;
    // Bob's row is locked: whoever does not see it does not wait for it.
    assert_eq!(rows(&there, "update t set n = n + 1 where n > 0 returning id").await.len(), 5);
    assert_eq!(rows(&there, "select id from t for update").await.len(), 5);
    run(&here, "commit").await;
    // What can fail is not asked of hidden rows, whichever way they are come by.
    for sql in [
        "select id from t where 10 / n > 0",
        "select id from t where id = 1 and 10 / n > 0",
        "select t.id from t join generate_series(1, 10) i on i = t.id and 10 / t.n > 0",
        "select id from t where exists (select 1 where 10 / n > 0)",
        "select id from (select id, 10 / n as part from t) q where part > 0",
        "select id from t order by 10 / n",
        "delete from t where 10 / n > 100 returning id",
    ] {
        assert!(there.simple_query(sql).await.is_ok(), "{sql}");
    }
    assert_eq!(rows(&here, "select n from t where id = 1").await, ["0"]);
    // Rows that change under READ COMMITTED are looked at anew.
    run(&here, "reset role; begin; update t set owner = 'bob' where id = 2").await;
    run(&there, "set default_transaction_isolation = 'read committed'").await;
    let waiting = there.simple_query("update t set n = 1000 where id = 2");
    let (waited, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        run(&here, "commit").await;
    });
    waited.expect("nothing to change");
    assert_ne!(rows(&here, "select n from t where id = 2").await, ["1000"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_policies_hide_or_a_condition_leaves_out_is_not_locked() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let (here, there) = (connect(&cluster.url()).await, connect(&other).await);
    run(&here, TABLE).await;
    run(&there, "set lock_timeout = '10s'").await;
    for (locks, found, free) in [
        // By key, rows of others.
        ("select id from t where id = 1 for update", 0, "update t set n = n where id = 1"),
        ("select id from t where id in (1, 2, 3) for update", 1, "update t set n = n where id in (1, 3)"),
        ("delete from t where id = 1 returning id", 0, "update t set n = n where id = 1"),
        ("update t set n = 0 where id = 1 returning id", 0, "delete from t where id = 1"),
        // What may fail or tell, and what names rows of others.
        ("update t set n = n where n % 4 = 0 returning id", 2, "update t set n = n where id in (1, 2)"),
        ("select id from t where n::text like '4%' for update", 1, "update t set n = n where id = 2"),
        (
            "update t set n = t.n from (values (2)) v(id) where t.id = v.id returning t.id",
            1,
            "update t set n = n where id = 4",
        ),
        (
            "delete from t where id in (select v.id from (values (2), (1)) v(id)) returning id",
            1,
            "update t set n = n where id = 4",
        ),
        (
            "update t set n = n where n > length(current_user) + 5 returning id",
            1,
            "update t set n = n where id in (2, 8)",
        ),
    ] {
        run(&here, "begin; set local role ann").await;
        assert_eq!(rows(&here, locks).await.len(), found, "{locks}");
        let freed = there.simple_query(&format!("begin; {free}; rollback")).await;
        assert!(freed.is_ok(), "{locks}: {freed:?}");
        run(&here, "rollback").await;
    }
    // A key leads to its row, also where it is computed.
    run(&here, "set role ann").await;
    let plan = rows(&here, "explain select id from t where id = length(current_user) and n % 2 = 0").await;
    assert!(!plan.iter().any(|line| line.contains("Seq Scan")), "{plan:?}");
    run(&here, "reset role").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_that_a_policy_names_is_not_exchanged() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, TABLE).await;
    run(
        &client,
        "create type trust as enum ('low', 'high'); create table member (who name, c text);
        insert into member values ('ann', 'low'); grant select on member to ann;
        alter table t add column c text; update t set c = case when id = 2 then 'low' else 'high' end;
        alter policy own on t using (exists (select from member m where m.who = current_user and m.c::trust >= t.c::trust));
        create schema other authorization ann",
    )
    .await;
    for refused in ["alter type trust rename to confidence", "alter type trust rename value 'low' to 'none'"]
    {
        assert_eq!(code(&client, refused).await, SqlState::FEATURE_NOT_SUPPORTED);
    }
    run(
        &client,
        "set role ann; create type other.trust as enum ('high', 'low'); set search_path = other, public",
    )
    .await;
    assert_eq!(rows(&client, "select id from t").await, ["2"]);
    cluster.stop().await;
}
