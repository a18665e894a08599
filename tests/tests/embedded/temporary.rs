//! Temporary tables beside each other: names of sessions, what other sessions notice of them and they of others, what is left
//! once a session has gone.

use std::time::{Duration, Instant};

use client::{ScanOptions, Strength, TransactionOptions, WaitPolicy};
use keys::sql::TENANT_DEFAULT;
use nunatak_tests::clients::{connect, run};
use nunatak_tests::embedded::Embedded;
use sql::EngineOptions;
use tokio_postgres::Client;

/// The index of what is kept for sessions; the kinds of its keys: those of gateways, and those that name an index.
const KEPT: u64 = 22;
const TENURE: u8 = 1;
const KEY: u8 = 2;

/// The index of dropped indexes.
const DROPPED: u64 = 2;

const PATIENCE: Duration = Duration::from_secs(20);

async fn code(client: &Client, sql: &str) -> String {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned())
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

/// The same as a query string, which the session may remember.
async fn text(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("∅").to_owned()),
        _ => None,
    });
    row.expect("a row")
}

/// How many keys there are of an index of the catalog that begin so.
async fn count(client: &client::Client, index: u64, rest: &[u8]) -> usize {
    let mut prefix = keys::sql::index_prefix(TENANT_DEFAULT, index).to_vec();
    prefix.extend_from_slice(rest);
    let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
    let mut transaction = client.begin(options);
    let page = transaction.scan(keys::Span::prefix(prefix), ScanOptions::default()).await.expect("keys");
    transaction.rollback().await;
    page.rows.len()
}

/// The key of the only tenure that there is.
async fn the_tenure(client: &client::Client) -> bytes::Bytes {
    let mut prefix = keys::sql::index_prefix(TENANT_DEFAULT, KEPT).to_vec();
    prefix.push(TENURE);
    let mut transaction = client.begin(TransactionOptions::default());
    let page = transaction.scan(keys::Span::prefix(prefix), ScanOptions::default()).await.expect("keys");
    transaction.rollback().await;
    let [(tenure, _)] = page.rows.as_slice() else { panic!("one gateway has one tenure") };
    tenure.clone()
}

async fn await_keys(client: &client::Client, wanted: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let there = count(client, KEPT, &[KEY]).await;
        if there == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{there} indexes are kept, not {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_session_has_its_own_and_sees_no_others() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let sessions = [connect(&cluster.url()).await, connect(&cluster.url()).await, connect(&other).await];
    run(&sessions[0], "create table t (a bigint primary key); insert into t values (-1)").await;
    let count = "select count(*) from pg_class where relpersistence = 't'";
    for (session, a) in sessions.iter().zip(0_i64..) {
        assert_eq!(number(session, "select a from t").await, -1);
        assert_eq!(number(session, count).await, 0);
        run(session, "create temp table t (a bigint primary key)").await;
        run(session, &format!("insert into t values ({a})")).await;
    }
    for (session, a) in sessions.iter().zip(0_i64..) {
        assert_eq!(number(session, "select a from t").await, a);
        assert_eq!(number(session, "select a from public.t").await, -1);
        assert_eq!(number(session, count).await, 2);
        let schemas = "select count(*) from pg_namespace where nspname like 'pg_temp%'";
        assert_eq!(number(session, schemas).await, 1);
    }
    run(&sessions[0], "discard temp").await;
    assert_eq!(number(&sessions[0], "select a from t").await, -1);
    assert_eq!(number(&sessions[1], "select a from t").await, 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_used_under_the_names_it_was_made_under() {
    let options = EngineOptions { keeps_texts_at_once: true, ..EngineOptions::default() };
    let cluster = Embedded::start_with(options).await;
    let (first, second) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&first, "create table t (a bigint primary key, b bigint); insert into t values (1, 10)").await;
    let point = first.prepare("select b from t where a = $1").await.expect("prepared");
    let whole = first.prepare("select sum(b)::bigint from t").await.expect("prepared");
    let by_point = async |wanted: i64| {
        assert_eq!(first.query_one(&point, &[&1_i64]).await.expect("a row").get::<_, i64>(0), wanted);
        assert_eq!(first.query_one(&whole, &[]).await.expect("a row").get::<_, i64>(0), wanted);
        for _ in 0..3 {
            assert_eq!(text(&first, "select b from t where a = 1").await, wanted.to_string());
        }
    };
    by_point(10).await;
    run(&first, "create temp table t (a bigint primary key, b bigint); insert into t values (1, 20)").await;
    by_point(20).await;
    for _ in 0..3 {
        assert_eq!(text(&second, "select b from t where a = 1").await, "10");
    }
    run(&first, "update t set b = 21 where a = 1").await;
    by_point(21).await;
    run(&first, "begin; drop table t").await;
    by_point(10).await;
    run(&first, "rollback").await;
    by_point(21).await;
    run(&first, "set search_path = public, pg_temp").await;
    by_point(10).await;
    run(&first, "reset search_path").await;
    by_point(21).await;
    run(&first, "begin; create temp table u (a bigint); savepoint s; drop table t; rollback to s").await;
    by_point(21).await;
    run(&first, "commit; drop table t").await;
    by_point(10).await;
    assert_eq!(number(&first, "select count(*) from u").await, 0);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_kept_is_given_back_when_it_goes() {
    let cluster = Embedded::start().await;
    let observer = cluster.client().await;
    let (staying, going) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&staying, "create temp table s (a int primary key, b int unique)").await;
    run(&going, "create temp table g (id serial primary key); insert into g default values").await;
    run(&going, "begin; create temp table never (a int); insert into never values (1); rollback").await;
    // Two indexes; one, and a sequence.
    assert_eq!(count(&observer, KEPT, &[KEY]).await, 4);
    run(&going, "truncate g; alter table g add unique (id)").await;
    assert_eq!(count(&observer, KEPT, &[KEY]).await, 5);
    run(&going, "begin; create temp table h (a int) on commit drop; insert into h values (1); commit").await;
    run(&going, "create temp table k (a int) on commit delete rows; insert into k values (1)").await;
    run(&going, "drop table k").await;
    assert_eq!(count(&observer, KEPT, &[KEY]).await, 5);
    let dropped = count(&observer, DROPPED, &[]).await;
    // What nobody else has ever known of is not even listed; unless a savepoint keeps it.
    run(&going, "begin; create temp table m (a int unique); insert into m values (1); drop table m; commit")
        .await;
    run(&going, "begin; create temp table m (a int unique); insert into m values (1); savepoint p").await;
    run(&going, "truncate m; drop table m; rollback to p; commit").await;
    assert_eq!(number(&going, "select count(*) from m").await, 1);
    assert_eq!(count(&observer, KEPT, &[KEY]).await, 7);
    run(&going, "begin; truncate m; insert into m values (2); truncate m; commit").await;
    assert_eq!(number(&going, "select count(*) from m").await, 0);
    assert_eq!(count(&observer, KEPT, &[KEY]).await, 7);
    assert_eq!(count(&observer, DROPPED, &[]).await, dropped + 2);
    run(&going, "drop table m").await;
    assert_eq!(count(&observer, KEPT, &[KEY]).await, 5);
    let dropped = count(&observer, DROPPED, &[]).await;
    drop(going);
    await_keys(&observer, 2).await;
    assert_eq!(count(&observer, DROPPED, &[]).await, dropped + 3);
    run(&staying, "insert into s values (1, 1)").await;
    assert_eq!(number(&staying, "select count(*) from s").await, 1);
    run(&staying, "discard all").await;
    await_keys(&observer, 0).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_temporary_tables_or_hears_of_them() {
    let cluster = Embedded::start().await;
    let (first, second) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&first, "create table t (a bigint primary key); insert into t values (1)").await;
    run(&second, "begin; select * from t; insert into t values (2)").await;
    run(&first, "create temp table own (a bigint); insert into own select a from t").await;
    run(&first, "create index on own (a); alter table own add column b int; drop table own").await;
    // Not a word of all that to a transaction that has begun.
    run(&second, "insert into t values (3); commit").await;
    run(&first, "begin; create temp table own (a bigint); insert into own values (7)").await;
    let others = async {
        run(&second, "create table u (a bigint)").await;
        run(&second, "drop table u").await;
    };
    tokio::time::timeout(PATIENCE, others).await.expect("nobody waits for temporary tables");
    run(&first, "rollback").await;
    assert_eq!(code(&first, "select * from own").await, "42P01");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn temporary_objects_go_with_what_others_take_from_under_them() {
    let cluster = Embedded::start().await;
    let (first, second) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&second, "create type mood as enum ('sad', 'ok'); create table t (a bigint, b bigint)").await;
    run(&second, "create sequence s; insert into t values (1, 2)").await;
    run(&first, "create temp table plain (a bigint); insert into plain values (5)").await;
    run(&first, "create temp table typed (m mood); insert into typed values ('ok')").await;
    run(&first, "create temp view v as select a from t; create temp view vv as select a from v").await;
    run(&first, "create temp table numbered (a bigint default nextval('s'))").await;
    run(&first, "create temp view of_b as select b from t; create temp view over_b as select b from of_b")
        .await;
    run(&second, "alter table t alter column b type text").await;
    assert_eq!(code(&first, "select * from over_b").await, "42P01");
    assert_eq!(code(&first, "select * from of_b").await, "42P01");
    run(&first, "create temp view of_b as select b from t").await;
    assert_eq!(text(&first, "select * from of_b").await, "2");
    assert_eq!(number(&first, "select a from vv").await, 1);
    run(&second, "alter table t add column c int; alter type mood rename to humour").await;
    assert_eq!(number(&first, "select a from vv").await, 1);
    assert_eq!(text(&first, "select m from typed").await, "ok");
    run(&second, "drop table t; drop type humour; drop sequence s").await;
    assert_eq!(code(&first, "select * from vv").await, "42P01");
    assert_eq!(code(&first, "select * from v").await, "42P01");
    assert_eq!(code(&first, "select * from typed").await, "42P01");
    assert_eq!(number(&first, "select a from plain").await, 5);
    assert_eq!(code(&first, "insert into numbered default values").await, "42P01");
    // The names are free, and what is made again is whole.
    run(&second, "create table t (a bigint); insert into t values (9)").await;
    run(&first, "create temp view w as select a from t").await;
    assert_eq!(number(&first, "select a from w").await, 9);
    run(&first, "discard temp").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_transactions_end_as_small_ones_do() {
    let cluster = Embedded::start_flushing(16 << 10).await;
    let observer = cluster.client().await;
    let session = connect(&cluster.url()).await;
    run(&session, "create temp table emptied (a bigint primary key, b text) on commit delete rows").await;
    run(&session, "begin; create temp table gone (a bigint, b text) on commit drop").await;
    for table in ["emptied", "gone"] {
        let rows = "select g, repeat('x', 100) from generate_series(1, 2000) g";
        run(&session, &format!("insert into {table} {rows}")).await;
        assert_eq!(number(&session, &format!("select count(*) from {table}")).await, 2000);
    }
    run(&session, "commit").await;
    assert_eq!(number(&session, "select count(*) from emptied").await, 0);
    assert_eq!(code(&session, "select * from gone").await, "42P01");
    assert_eq!(count(&observer, KEPT, &[KEY]).await, 1);
    run(&session, "create temp table kept as select generate_series(1, 5000) as a").await;
    assert_eq!(number(&session, "select count(*) from kept").await, 5000);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_lasts_depends_on_what_is_temporary() {
    let cluster = Embedded::start().await;
    let session = connect(&cluster.url()).await;
    run(&session, "create temp sequence s; create temp table t (a bigint)").await;
    assert_eq!(code(&session, "create table p (a bigint default nextval('s'))").await, "0A000");
    run(&session, "create table p (a bigint)").await;
    assert_eq!(code(&session, "alter table p alter column a set default nextval('s')").await, "0A000");
    assert_eq!(code(&session, "create view public.v as select 't'::regclass as t").await, "0A000");
    assert_eq!(code(&session, "create policy q on p using (a in (select a from t))").await, "0A000");
    for lasting in [
        "create domain d as bigint default nextval('s')",
        "create domain d as bigint check (value <> nextval('s'))",
        "create table g (a bigint, b boolean generated always as ('t'::regclass is not null) stored)",
        "create index on p ((a + nextval('s')))",
        "create index on p (('t'::regclass is not null))",
        "create index on p (a) where 't'::regclass is not null",
        "create table q (a bigint check ('t'::regclass is not null))",
    ] {
        let refused = code(&session, lasting).await;
        // A function that is not immutable is refused as such where PostgreSQL does so, too.
        assert!(refused == "0A000" || refused == "42P17", "{lasting}: {refused}");
    }
    run(&session, "create domain d as bigint").await;
    assert_eq!(code(&session, "alter domain d set default nextval('s')").await, "0A000");
    assert_eq!(code(&session, "alter domain d add check (value <> nextval('s'))").await, "0A000");
    run(&session, "drop domain d").await;
    // By number, too: of whichever session it is.
    let by_number = "create table q (a boolean default ('3221225480'::regclass is not null))";
    assert_eq!(code(&session, by_number).await, "0A000");
    assert_eq!(code(&session, "create type pg_temp.e as enum ('a')").await, "0A000");
    assert_eq!(code(&session, "create domain pg_temp.d as int").await, "0A000");
    assert_eq!(code(&session, "drop schema pg_temp cascade").await, "0A000");
    run(&session, "drop table p, t; drop sequence s").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_at_the_commit_takes_nothing_that_lasts_along() {
    let cluster = Embedded::start().await;
    let (first, second) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    // Each session gives its objects the same numbers.
    run(&first, "create temp sequence s; create table lasting (a int); insert into lasting values (1)").await;
    assert_eq!(code(&first, "create domain d as bigint default nextval('s')").await, "0A000");
    run(&first, "create domain d as bigint default 5; alter table lasting add column v d").await;
    run(&second, "begin; create temp table x (id serial primary key) on commit drop").await;
    run(&second, "create temp view over_x as select id from x; create temp table stays (x int references x)")
        .await;
    run(&second, "create table other (a int); insert into x default values; commit").await;
    assert_eq!(number(&second, "select v::bigint from lasting").await, 5);
    assert_eq!(number(&second, "select count(*) from other").await, 0);
    // What is temporary goes along, or loses what ties it.
    assert_eq!(code(&second, "select * from over_x").await, "42P01");
    run(&second, "insert into stays values (7)").await;
    assert_eq!(number(&second, "select count(*) from pg_class where relpersistence = 't'").await, 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_once_others_have_given_up_what_it_kept() {
    let cluster = Embedded::start().await;
    let observer = cluster.client().await;
    let (session, plain) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&session, "create temp table t (a bigint); insert into t values (1)").await;
    let committing = connect(&cluster.url()).await;
    run(&committing, "begin; create temp table late (a bigint); insert into late values (1)").await;
    let tenure = the_tenure(&observer).await;
    let mut transaction = observer.begin(TransactionOptions::default());
    // As another gateway does that has seen it unchanged for too long.
    transaction.put(tenure, vec![1, 0, 0, 0, 0, 0, 0, 0, 0].into());
    transaction.commit().await.expect("nobody else writes it now");
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        match session.batch_execute("select * from t").await {
            Ok(()) => assert!(Instant::now() < deadline, "the session goes on"),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(error.code().map(|code| code.code()), Some("57P01"), "{error:?}");
    // Nor is anything kept that was under way.
    assert_eq!(code(&committing, "commit").await, "57P01");
    // Nobody else's does, and there is a new tenure for who begins to keep something.
    run(&plain, "create temp table t (a bigint); insert into t values (2)").await;
    assert_eq!(number(&plain, "select a from t").await, 2);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_however_long_a_renewal_takes() {
    let cluster = Embedded::start().await;
    let observer = cluster.client().await;
    let sessions = [connect(&cluster.url()).await, connect(&cluster.url()).await];
    for session in &sessions {
        run(session, "create temp table t (a bigint); insert into t values (1)").await;
    }
    let tenure = the_tenure(&observer).await;
    let mut transaction = observer.begin(TransactionOptions::default());
    transaction.lock_key(&tenure, Strength::Exclusive, WaitPolicy::Block).await.expect("a lock");
    // Longer than a tenure is trusted without being renewed.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let later = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        transaction.rollback().await;
    };
    let [first, second] = &sessions;
    let counts = async { (number(first, "select a from t").await, number(second, "select a from t").await) };
    let (counts, ()) = tokio::join!(counts, later);
    assert_eq!(counts, (1, 1));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_another_gateway_are_nobodys_error() {
    let mut cluster = Embedded::start().await;
    let observer = cluster.client().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let (first, second) = (connect(&cluster.url()).await, connect(&other).await);
    for round in 0..4 {
        run(&second, &format!("create table lasting_{round} (a bigint)")).await;
        run(&first, "create temp table t (id serial primary key)").await;
        run(&second, &format!("alter table lasting_{round} add column b bigint")).await;
        run(&first, if round % 2 == 0 { "discard all" } else { "discard temp" }).await;
        assert_eq!(code(&first, "select * from t").await, "42P01");
        assert_eq!(count(&observer, KEPT, &[KEY]).await, 0);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_sessions_kept_is_given_back_together() {
    let cluster = Embedded::start().await;
    let observer = cluster.client().await;
    let staying = connect(&cluster.url()).await;
    run(&staying, "create temp table t (a bigint)").await;
    let mut going = Vec::new();
    for _ in 0..20 {
        let session = connect(&cluster.url()).await;
        run(&session, "create temp table t (id serial primary key, b int unique)").await;
        going.push(session);
    }
    assert_eq!(count(&observer, KEPT, &[KEY]).await, 61);
    drop(going);
    await_keys(&observer, 1).await;
    run(&staying, "insert into t values (1)").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_of_temporary_objects_has_two_names() {
    let cluster = Embedded::start().await;
    let (first, second) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&second, "create role reader; create table t (a bigint); insert into t values (2)").await;
    assert_eq!(code(&first, "grant select on all tables in schema pg_temp to reader").await, "3F000");
    run(&first, "create temp table t (a bigint); insert into t values (1); create temp sequence s").await;
    let own = text(&first, "select nspname from pg_namespace where oid = pg_my_temp_schema()").await;
    run(&second, "begin; insert into t values (3)").await;
    run(&first, &format!("grant select on all tables in schema {own} to reader")).await;
    run(&first, "grant usage on all sequences in schema pg_temp to reader").await;
    run(&first, &format!("grant usage on schema {own} to reader")).await;
    run(&first, &format!("comment on schema {own} is 'mine'")).await;
    // Nobody hears of that.
    run(&second, "insert into t values (4); commit").await;
    let rights = async |relation: &str| {
        text(&first, &format!("select relacl::text from pg_class where oid = '{relation}'::regclass")).await
    };
    assert!(rights("t").await.contains("reader=r/"));
    assert!(rights("s").await.contains("reader=U/"));
    let comment = "select description from pg_description where objoid = pg_my_temp_schema()";
    assert_eq!(text(&first, comment).await, "mine");
    assert_eq!(code(&first, "grant usage on schema pg_temp to reader").await, "3F000");
    assert_eq!(code(&first, "comment on schema pg_temp is 'nobody''s'").await, "3F000");
    assert_eq!(code(&first, "alter schema pg_temp owner to reader").await, "3F000");
    let defaults = |schema: &str| {
        format!("alter default privileges in schema {schema} grant select on tables to reader")
    };
    assert_eq!(code(&first, &defaults("pg_temp")).await, "3F000");
    assert_eq!(code(&first, &defaults(&own)).await, "0A000");
    // In the search path either says where it stands; somebody else's says nothing.
    run(&first, &format!("set search_path = public, {own}")).await;
    assert_eq!(number(&first, "select min(a) from t").await, 2);
    run(&first, "set search_path = public, pg_temp_4000").await;
    assert_eq!(number(&first, "select min(a) from t").await, 1);
    cluster.stop().await;
}
