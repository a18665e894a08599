//! FLASHBACK TABLE by the catalog alone: the table holds what it held, and all else of it is as it was before the statement.

use std::time::Duration;

use nunatak_tests::clients::{code, connect, rows, run};
use nunatak_tests::embedded::Embedded;
use sql::EngineOptions;
use tokio_postgres::Client;

const ALL: &str = "select id, u, v from t order by id";

/// A cluster in which no table is so little that its rows are written instead.
async fn start() -> Embedded {
    Embedded::start_with(EngineOptions { ingest_bytes_min: 0, ..EngineOptions::default() }).await
}

/// A moment behind all that was done before, and before all that is done next.
async fn moment(client: &Client) -> String {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let moment = rows(client, "select clock_timestamp()").await.remove(0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    moment
}

/// The tables that lie over others.
async fn clones(client: &Client) -> Vec<String> {
    let told = rows(client, "show clones").await;
    told.iter().filter_map(|row| Some(row.split(',').next()?.to_owned())).collect()
}

async fn changes(client: &Client, id: i32) -> Vec<String> {
    let told = rows(client, &format!("show changes for row ({id}) of t")).await;
    told.iter().filter_map(|row| Some(row.split(',').next()?.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_goes_back_by_the_catalog_alone_and_stays_itself() {
    let cluster = start().await;
    let client = connect(&cluster.url()).await;
    for statement in [
        "create table t (id serial primary key, u int unique, v int check (v >= 0))",
        "create index by_v on t (v desc)",
        "comment on table t is 'kept'",
        "create view w as select count(*) as n from t",
        "create role ann; grant select on t to ann",
        "insert into t (u, v) select n * 5, n % 7 from generate_series(1, 300) n",
    ] {
        run(&client, statement).await;
    }
    let then = moment(&client).await;
    let before = rows(&client, ALL).await;
    run(&client, "update t set v = v + 100 where id <= 50").await;
    run(&client, "delete from t where id > 250").await;
    run(&client, "insert into t (u, v) values (7, 7)").await;
    let later = moment(&client).await;
    let after = rows(&client, ALL).await;

    run(&client, &format!("flashback table t to '{then}'")).await;
    assert_eq!(clones(&client).await, ["public.t"], "no row was written");
    assert_eq!(rows(&client, ALL).await, before);
    assert_eq!(rows(&client, "select id from t where u = 1000").await, ["200"]);
    assert_eq!(rows(&client, "select count(*) from t where v = 3").await, ["43"]);
    assert_eq!(rows(&client, "select n from w").await, ["300"]);
    assert_eq!(rows(&client, "select obj_description('t'::regclass, 'pg_class')").await, ["kept"]);
    run(&client, "set role ann").await;
    assert_eq!(rows(&client, "select count(*) from t").await, ["300"]);
    let refused = code(&client, &format!("flashback table t to '{later}'")).await;
    assert_eq!(refused.code(), "42501");
    run(&client, "reset role").await;
    // Whoever may write its rows and does not own it keeps nothing of it from being forgotten.
    run(&client, "create table shared (id int primary key, v int); insert into shared values (1, 1)").await;
    run(&client, "grant select, insert, update, delete on shared to ann").await;
    let shared_then = moment(&client).await;
    run(&client, "update shared set v = 2; set role ann").await;
    run(&client, &format!("flashback table shared to '{shared_then}'")).await;
    assert_eq!(rows(&client, "select v from shared").await, ["1"]);
    run(&client, "reset role").await;
    assert_eq!(clones(&client).await, ["public.t"], "rows were written");
    assert_eq!(rows(&client, "insert into t (u, v) values (8, 8) returning id > 301").await, ["t"]);
    assert_eq!(code(&client, "insert into t (u, v) values (5, 1)").await.code(), "23505");
    assert_eq!(code(&client, "insert into t (u, v) values (9, -1)").await.code(), "23514");

    // What it was before it went back is read as ever.
    let as_of = format!("select id, u, v from t for system_time as of '{later}' order by id");
    assert_eq!(rows(&client, &as_of).await, after);
    assert_eq!(rows(&client, &format!("diff table t between '{then}' and '{later}'")).await.len(), 101);
    assert_eq!(rows(&client, &format!("diff table t between '{later}' and now()")).await.len(), 102);
    assert_eq!(changes(&client, 1).await, ["insert", "update", "update"]);
    assert_eq!(changes(&client, 251).await, ["insert", "delete", "insert"]);
    run(&client, "delete from t where id = 2").await;
    assert_eq!(changes(&client, 2).await, ["insert", "update", "update", "delete"]);

    // And back again.
    run(&client, &format!("flashback table t to '{later}'")).await;
    assert_eq!(rows(&client, ALL).await, after);
    assert_eq!(rows(&client, "select count(*) from t for system_time all where id = 1").await, ["4"]);
    // In a block rows are written, which go with it.
    run(&client, &format!("begin; flashback table t to '{then}'")).await;
    assert_eq!(rows(&client, ALL).await, before);
    run(&client, "rollback").await;
    assert_eq!(rows(&client, ALL).await, after);
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rows_of_other_tables_refer_to_or_is_looked_for_stays_right() {
    let cluster = start().await;
    let client = connect(&cluster.url()).await;
    for statement in [
        "create table parent (id int primary key); insert into parent values (1), (2)",
        "create table child (id int primary key, p int references parent)",
        "insert into child values (1, 1), (2, 2)",
        "create table late (id int primary key, a int); insert into late values (1, 10), (2, 20)",
        "create table emptied (id int primary key); insert into emptied select generate_series(1, 10)",
    ] {
        run(&client, statement).await;
    }
    let then = moment(&client).await;
    run(&client, "delete from child; delete from parent where id = 1; insert into parent values (3)").await;
    let back = |table: &str| format!("flashback table {table} to '{then}'");
    assert_eq!(code(&client, &back("child")).await.code(), "23503");
    assert!(rows(&client, "select id from child").await.is_empty());
    run(&client, &back("parent")).await;
    assert_eq!(rows(&client, "select id from parent order by id").await, ["1", "2"]);
    assert!(clones(&client).await.is_empty(), "its rows may be referred to");
    run(&client, &back("child")).await;
    assert_eq!(rows(&client, "select id, p from child order by id").await, ["1,1", "2,2"]);
    assert_eq!(clones(&client).await, ["public.child"]);
    assert_eq!(code(&client, "delete from parent where id = 1").await.code(), "23503");

    run(&client, "alter table late add column b int default 5; delete from late where id = 1").await;
    run(&client, &back("late")).await;
    assert_eq!(rows(&client, "select id, a, b from late order by id").await, ["1,10,5", "2,20,5"]);
    assert_eq!(clones(&client).await, ["public.child"], "rows of then lack a column");

    run(&client, "truncate emptied").await;
    run(&client, &back("emptied")).await;
    assert_eq!(rows(&client, "select count(*) from emptied").await, ["10"]);
    assert_eq!(clones(&client).await, ["public.child", "public.emptied"]);
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_goes_back_as_often_as_is_said() {
    let cluster = start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (id int primary key, u int unique, v int)").await;
    for round in 1..=12 {
        run(&client, &format!("insert into t values ({round}, {round}, 0)")).await;
        let then = moment(&client).await;
        run(&client, "update t set v = v + 1; delete from t where id = 1").await;
        let answer = client.execute(&format!("flashback table t to '{then}'"), &[]).await;
        answer.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        let held = rows(&client, "select id from t where v = 0 order by id").await;
        let expected: Vec<String> = (1..=round).map(|id: i32| id.to_string()).collect();
        assert_eq!(held, expected, "round {round}");
        assert_eq!(rows(&client, "select v from t where u = 1").await, ["0"], "round {round}");
    }
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_of_a_clones_rows_begin_with_it() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    for statement in [
        "create table o (id int primary key, v int)",
        "insert into o values (1, 10), (2, 20), (3, 30)",
        "update o set v = 11 where id = 1",
        "create table t clone o",
        "update t set v = 12 where id = 1",
        "delete from t where id = 2",
        "insert into t values (4, 40)",
    ] {
        run(&client, statement).await;
    }
    let versions = "select id, v, system_end is null, system_txn is null from t for system_time all \
        order by id, system_start";
    let expected = ["1,11,f,t", "1,12,t,f", "2,20,f,t", "3,30,t,t", "4,40,t,f"];
    assert_eq!(rows(&client, versions).await, expected);
    assert_eq!(changes(&client, 1).await, ["insert", "update"]);
    assert_eq!(changes(&client, 2).await, ["insert", "delete"]);
    let starts = "select count(distinct system_start) from t for system_time all where system_txn is null";
    assert_eq!(rows(&client, starts).await, ["1"], "when there came to be a clone");
    // Since when it is looked at makes no difference.
    let since = moment(&client).await;
    let start = |times: &str| {
        format!("select system_start from t for system_time {times} where id = 3 and system_txn is null")
    };
    let started = rows(&client, &start(&format!("between '{since}' and now()"))).await;
    assert_eq!((started.len(), &started), (1, &rows(&client, &start("all")).await));
    drop(client);
    cluster.stop().await;
}

/// The SQLSTATE that a statement ends with while another session has a change of the catalog under way, which is committed meanwhile;
/// `None`: it is carried out.
async fn beside(client: &Client, other: &Client, change: &str, statement: &str) -> Option<String> {
    run(other, &format!("begin isolation level serializable; {change}")).await;
    let ends = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        run(other, "commit").await;
    };
    let (outcome, ()) = tokio::join!(client.simple_query(statement), ends);
    let error = outcome.err()?;
    Some(error.code().unwrap_or_else(|| panic!("{change}: {error:?}")).code().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_make_of_a_table_meanwhile_it_goes_back_as() {
    let cluster = start().await;
    let (client, other) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    let then_rows = ["1,1,1", "2,2,2", "3,3,3"];
    // What is changed, what comes of it, and whether the table lies over what it was.
    for (number, (change, ended, lies_over)) in [
        ("alter table # add column c int default 7", None, false),
        ("alter table # alter column v set default 9", None, true),
        ("drop index #_by_v", None, true),
        ("truncate #", None, true),
        ("create index on # (v, u)", None, false),
        ("alter table # enable row level security", None, false),
        ("create table #_child (p int references #); insert into #_child values (2)", None, false),
        ("create table #_child (p int references #); insert into #_child values (4)", Some("23503"), false),
        ("alter table # rename to #_other", Some("42P01"), false),
        ("drop table #", Some("42P01"), false),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("t{number}");
        for statement in [
            "create table # (id int primary key, u int unique, v int)",
            "create index #_by_v on # (v)",
            "insert into # select n, n, n from generate_series(1, 3) n",
        ] {
            run(&client, &statement.replace('#', &table)).await;
        }
        let then = moment(&client).await;
        run(&client, &format!("update {table} set v = 8 where id = 1; insert into {table} values (4, 4, 4)"))
            .await;
        let change = change.replace('#', &table);
        let outcome = beside(&client, &other, &change, &format!("flashback table {table} to '{then}'")).await;
        assert_eq!(outcome.as_deref(), ended, "{change}");
        let over = clones(&client).await.contains(&format!("public.{table}"));
        assert_eq!(over, lies_over, "{change}");
        if ended.is_none() {
            assert_eq!(
                rows(&client, &format!("select id, u, v from {table} order by id")).await,
                then_rows,
                "{change}"
            );
            assert_eq!(rows(&client, &format!("select v from {table} where u = 1")).await, ["1"], "{change}");
            assert_eq!(
                rows(&client, &format!("select id from {table} where v = 2")).await,
                ["2"],
                "{change}"
            );
            let twice = format!("insert into {table} (id, u) values (9, 3)");
            assert_eq!(code(&client, &twice).await.code(), "23505", "{change}");
        }
    }
    assert_eq!(rows(&client, "select c from t0 order by id").await, ["7", "7", "7"]);
    assert_eq!(rows(&client, "select count(*) from t8_other").await, ["4"]);
    drop((client, other));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_others_delete_meanwhile_are_not_referred_to() {
    let cluster = start().await;
    let (client, other) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&client, "create table parent (id int primary key); insert into parent values (1), (2)").await;
    run(&client, "create table child (id int primary key, p int references parent)").await;
    run(&client, "insert into child values (1, 1), (2, 2)").await;
    let then = moment(&client).await;
    run(&client, "delete from child").await;
    run(&other, "begin; delete from parent where id = 1").await;
    let ends = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.batch_execute("commit").await
    };
    let back = format!("flashback table child to '{then}'");
    let (went_back, deleted) = tokio::join!(client.simple_query(&back), ends);
    assert!(went_back.is_err() || deleted.is_err(), "both were done");
    assert!(went_back.is_ok() || deleted.is_ok(), "one goes on: {went_back:?} {deleted:?}");
    let astray = "select count(*) from child c left join parent p on p.id = c.p where p.id is null";
    assert_eq!(rows(&client, astray).await, ["0"]);
    drop((client, other));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_over_a_table_and_what_guards_it_stays_in_force() {
    let cluster = start().await;
    let client = connect(&cluster.url()).await;
    for statement in [
        "create role ann",
        "grant create on schema public to ann",
        "set role ann",
        "create table t (id serial primary key, u int unique, v int)",
        "insert into t (u, v) select n, n from generate_series(1, 3) n",
        "create materialized view m as select sum(v) as s from t",
    ] {
        run(&client, statement).await;
    }
    let then = moment(&client).await;
    run(&client, "update t set v = v + 10").await;
    run(&client, "refresh materialized view m").await;
    let later = moment(&client).await;
    run(&client, &format!("flashback table t to '{then}'")).await;
    assert_eq!(rows(&client, "select s from m").await, ["36"], "it holds what it was given");
    run(&client, "refresh materialized view m").await;
    assert_eq!(rows(&client, "select s from m").await, ["6"]);
    assert_eq!(rows(&client, "insert into t (u, v) values (4, 4) returning id").await.len(), 1);
    // Who is bound by policies has the rows go back that he may change, and no others.
    run(&client, "alter table t enable row level security; alter table t force row level security").await;
    run(&client, "create policy p on t using (id <= 2)").await;
    run(&client, &format!("flashback table t to '{later}'")).await;
    run(&client, "reset role").await;
    assert_eq!(rows(&client, "select u, v from t order by u").await, ["1,11", "2,12", "3,3", "4,4"]);
    drop(client);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_is_called_like_no_type_that_was_made_since() {
    let cluster = start().await;
    let client = connect(&cluster.url()).await;
    for statement in [
        "create table t (id int primary key)",
        "insert into t values (1)",
        "drop table t",
        "create type t as enum ('a')",
    ] {
        run(&client, statement).await;
    }
    assert_eq!(code(&client, "undrop table t").await.code(), "42710");
    run(&client, "drop type t").await;
    run(&client, "undrop table t").await;
    assert_eq!(rows(&client, "select id from t").await, ["1"]);
    drop(client);
    cluster.stop().await;
}
