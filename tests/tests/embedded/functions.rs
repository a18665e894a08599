//! Functions in SQL: what of them is refused, plans that follow what becomes of them, and what depends on them.

use nunatak_tests::clients::{code, connect, rows, run};
use nunatak_tests::embedded::Embedded;
use sql::EngineOptions;
use tokio_postgres::Client;

async fn refused(client: &Client, sql: &str) -> String {
    let error = client.simple_query(sql).await.expect_err(sql);
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}"));
    assert_eq!(error.code().code(), "0A000", "{sql}: {}", error.message());
    error.message().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_supported_of_functions_is_refused_by_name() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (a int primary key, b text); insert into t values (1, 'a'), (2, 'b')").await;
    run(&client, "create function rows_of() returns setof int language sql as 'select a from t'").await;
    run(
        &client,
        "create function asked(x int) returns bigint language sql as 'select count(*) from t where a > x'",
    )
    .await;
    run(
        &client,
        "create function any_row() returns text language sql as 'select b from t order by random()'",
    )
    .await;
    run(&client, "create function plain(x int) returns int language sql immutable as 'select x + 1'").await;
    run(&client, "create function calls(x int) returns int language sql immutable as 'select plain(x)'")
        .await;
    run(&client, "create function twice(x float8) returns bool language sql as 'select x = x'").await;
    for (sql, named) in [
        ("create function f() returns void language sql as 'select 1'", "void"),
        ("create function f() returns record language sql as 'select 1, 2'", "record"),
        ("create function f(x anyelement) returns int language sql as 'select 1'", "anyelement"),
        (
            "create function f() returns int language sql as 'insert into t values (9) returning a'",
            "changes rows",
        ),
        ("create function f() returns int language sql as 'select 1; select 2'", "several statements"),
        ("create function f() returns int language sql as 'create table u (a int)'", "no query"),
        ("create function f() returns int language sql as 'select f()'", "recursive call of function f"),
        ("create function f(x int) returns int return f(x)", "recursive call of function f"),
        (
            "create or replace function plain(x int) returns int language sql as 'select plain(x)'",
            "recursive",
        ),
        ("create function sum(x text) returns int language sql as 'select 1'", "sum"),
        ("create function pg_temp.f() returns int language sql as 'select 1'", "temporary"),
        ("select rows_of()", "set-returning function rows_of"),
        ("select * from rows_of() with ordinality", "WITH ORDINALITY"),
        ("select * from rows from (rows_of(), generate_series(1, 2))", "ROWS FROM"),
        ("select * from rows_of() for update", "FOR UPDATE"),
        ("select any_row() from t", "any_row"),
        ("create table u (a int check (asked(a) > 0))", "check constraint"),
        ("create table u (a bigint default asked(1))", "DEFAULT expression"),
        ("create index on t (asked(a))", "index expression"),
        ("create index on t (calls(a))", "calls function plain"),
        ("create domain d as int check (plain(value) > 0)", "a domain"),
        ("create table u (a int, b bool default twice(random()))", "twice"),
        ("select substr(string => 'abc', 2)", "42601"),
        ("alter default privileges grant execute on functions to public", "FUNCTIONS"),
    ] {
        if named == "42601" {
            assert_eq!(code(&client, sql).await.code(), named, "{sql}");
            continue;
        }
        let message = refused(&client, sql).await;
        assert!(message.contains(named), "{sql}: {message}");
    }
    assert_eq!(rows(&client, "select twice(random()), asked(1), calls(1)").await, ["t,1,2"]);
    // A function that asks itself through others, and many that ask each other.
    run(&client, "create function one() returns int language sql as 'select 1'").await;
    run(&client, "create function two() returns int language sql as 'select one()'").await;
    let circle = "create or replace function one() returns int language sql as 'select 1 + two()'";
    assert!(refused(&client, circle).await.contains("recursive call of function one"));
    run(&client, "create function f0() returns int language sql as 'select 0'").await;
    for number in 1..40 {
        let before = number - 1;
        let sql = format!("create function f{number}() returns int language sql as 'select f{before}() + 1'");
        if client.batch_execute(&sql).await.is_err() {
            assert_eq!(code(&client, &sql).await.code(), "54001");
            assert!(number > 16, "{number}");
            return;
        }
    }
    panic!("functions stand in each other without end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_follow_functions_and_the_search_path() {
    let mut cluster = Embedded::start().await;
    let other = cluster.add_gateway(EngineOptions::default()).await;
    let (here, there) = (connect(&cluster.url()).await, connect(&other).await);
    run(&here, "create schema s; create table t (a int primary key); insert into t values (1), (2), (3)")
        .await;
    run(&here, "create function grow(x int) returns int language sql as 'select x * 2'").await;
    run(&here, "create function s.grow(x int) returns int language sql as 'select x * 100'").await;
    run(&here, "create function outer_grow(x int) returns int language sql as 'select grow(x) + 1'").await;
    let add = there.prepare("select grow($1), outer_grow($1) from t where a = $1").await.expect("prepared");
    let answer = |row: &tokio_postgres::Row| (row.get::<_, i32>(0), row.get::<_, i32>(1));
    for _ in 0..7 {
        assert_eq!(answer(&there.query_one(&add, &[&3]).await.expect("a row")), (6, 7));
    }
    run(&here, "create or replace function grow(x int) returns int language sql as 'select x * 3'").await;
    assert_eq!(answer(&there.query_one(&add, &[&3]).await.expect("a row")), (9, 10));
    // What a body that is a string names is looked up where it is called.
    run(&there, "set search_path = s, public").await;
    assert_eq!(answer(&there.query_one(&add, &[&3]).await.expect("a row")), (300, 301));
    run(&there, "reset search_path").await;
    assert_eq!(answer(&there.query_one(&add, &[&2]).await.expect("a row")), (6, 7));
    run(&here, "drop function grow(int)").await;
    assert_eq!(
        there.query_one(&add, &[&3]).await.expect_err("it is gone").code().expect("a code").code(),
        "42883"
    );
    // What is written as SQL is not.
    run(&here, "set search_path = s, public; create function pinned(x int) returns int return grow(x) + 1")
        .await;
    assert_eq!(rows(&there, "select s.pinned(1)").await, ["101"]);
    run(&here, "reset search_path; alter function s.grow(int) rename to renamed").await;
    assert_eq!(rows(&there, "select s.pinned(1), (select count(*) from t)").await, ["101,3"]);
    assert_eq!(
        rows(
            &there,
            "select pg_get_functiondef('s.pinned(int)'::regprocedure) like '%RETURN s.renamed(x) + 1%'"
        )
        .await,
        ["t"]
    );
    // A transaction sees its own.
    run(&here, "begin; create function inside() returns int language sql as 'select 7'").await;
    assert_eq!(rows(&here, "select inside()").await, ["7"]);
    assert_eq!(code(&there, "select inside()").await.code(), "42883");
    run(&here, "rollback").await;
    assert_eq!(code(&here, "select inside()").await.code(), "42883");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_of_functions_stays_what_they_answered() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create function norm(x text) returns text language sql immutable strict as 'select lower(trim(x))'",
    )
    .await;
    run(&client, "create function always(x int) returns bool language sql as 'select true'").await;
    run(
        &client,
        "create table t (id int primary key, name text, n int check (always(n)), \
         kept text generated always as (norm(name) || '!') stored)",
    )
    .await;
    run(&client, "create unique index t_norm on t (norm(name))").await;
    run(
        &client,
        "insert into t (id, name) select g, ' Name ' || g from generate_series(1, 500) g; analyze t",
    )
    .await;
    assert_eq!(rows(&client, "select id, kept from t where norm(name) = 'name 7'").await, ["7,name 7!"]);
    let plan = rows(&client, "explain select id from t where norm(name) = 'name 7'").await.join("\n");
    assert!(plan.contains("t_norm"), "{plan}");
    assert_eq!(code(&client, "insert into t (id, name) values (501, 'NAME 7 ')").await.code(), "23505");
    for sql in [
        "create or replace function norm(x text) returns text language sql immutable strict as 'select upper(x)'",
        "create or replace function norm(x text) returns text language sql immutable as 'select lower(trim(x))'",
        "alter function norm(text) called on null input",
    ] {
        assert!(refused(&client, sql).await.contains("norm"), "{sql}");
    }
    run(&client, "alter function norm(text) rename to normal; alter function normal(text) volatile").await;
    run(&client, "update t set name = 'Other' where id = 7; insert into t (id, name) values (502, 'name 7')")
        .await;
    assert_eq!(
        rows(&client, "select id from t where normal(name) in ('other', 'name 7') order by id").await,
        ["7", "502"]
    );
    assert_eq!(code(&client, "drop function normal(text)").await.code(), "2BP01");
    // A check that does nothing with a column it is given goes with it.
    run(&client, "alter table t drop column n; insert into t (id, name) values (503, 'z')").await;
    run(&client, "drop function always(int)").await;
    run(&client, "drop function normal(text) cascade").await;
    assert_eq!(rows(&client, "select * from t where id = 7").await, ["7,Other"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_functions_are_looked_up_by_index() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (a int primary key, b int)").await;
    run(&client, "insert into t select g, g % 10 from generate_series(1, 2000) g; analyze t").await;
    run(
        &client,
        "create function found(x int) returns setof t language sql stable as 'select * from t where a = x'",
    )
    .await;
    run(
        &client,
        "create function b_of(x int) returns int language sql stable as 'select b from t where a = x'",
    )
    .await;
    let plan = rows(&client, "explain select * from found(7)").await.join("\n");
    assert!(!plan.contains("Seq Scan"), "{plan}");
    assert_eq!(rows(&client, "select b_of(17), (select b from found(25))").await, ["7,5"]);
    assert_eq!(rows(&client, "select sum(b_of(a)) from t where a <= 20").await, ["90"]);
    let typed = client.query_one("select b_of($1) + $2", &[&33_i32, &1_i32]).await.expect("a row");
    assert_eq!(typed.get::<_, i32>(0), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_calls_what_it_called_when_it_was_kept() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create table t (id int primary key, n int check (abs(n) < 100), name text default lower('DEF'), \
         large text generated always as (upper(name)) stored)",
    )
    .await;
    run(&client, "create index on t (lower(name))").await;
    run(
        &client,
        "create view v as select id, lower(name) as name, round(n) as n from t where upper(name) = 'A'",
    )
    .await;
    run(&client, "create function pinned(x text) returns text return lower(x)").await;
    run(
        &client,
        "create function ended(x text, y text = lower('END')) returns text language sql as 'select x || y'",
    )
    .await;
    run(&client, "insert into t (id, n, name) values (1, 1, 'A'), (2, 2, 'B')").await;
    run(&client, "create table own (owner text); insert into own values ('R_Kept'), ('other')").await;
    run(
        &client,
        "create role r_kept; grant select on own to r_kept; alter table own enable row level security",
    )
    .await;
    run(&client, "create policy theirs on own using (lower(owner) = 'r_kept')").await;
    // Others of these names: in a schema that stands before, or with arguments that fit better.
    run(&client, "create schema s; grant usage on schema s to r_kept").await;
    run(&client, "create function s.lower(text) returns text language sql immutable as $$select 'r_kept'$$")
        .await;
    run(&client, "create function s.upper(text) returns text language sql immutable as $$select 'A'$$").await;
    run(&client, "create function s.abs(int) returns int language sql immutable as 'select 1000'").await;
    run(
        &client,
        "create function public.round(int) returns float8 language sql immutable as 'select -1::float8'",
    )
    .await;
    run(&client, "set search_path = s, public, pg_catalog").await;
    assert_eq!(rows(&client, "select lower('X'), upper('x'), abs(1), round(1)").await, ["r_kept,A,1000,-1"]);
    assert_eq!(rows(&client, "select * from v").await, ["1,a,1"]);
    assert_eq!(rows(&client, "select pinned('Q'), ended('Q')").await, ["q,Qend"]);
    run(&client, "insert into t (id, n) values (3, 3)").await;
    assert_eq!(rows(&client, "select name, large from t where id = 3").await, ["def,DEF"]);
    assert_eq!(rows(&client, "select id from t where pg_catalog.lower(name) = 'a'").await, ["1"]);
    run(&client, "create table again (like t including all)").await;
    run(&client, "insert into again (id, n) values (4, 4)").await;
    assert_eq!(rows(&client, "select name, large from again").await, ["def,DEF"]);
    run(&client, "create function fits(int) returns bool language sql as 'select $1 < 10'").await;
    run(&client, "create table small (n int check (fits(n)))").await;
    run(&client, "create table smaller (like small including constraints)").await;
    assert_eq!(code(&client, "insert into smaller values (11)").await.code(), "23514");
    run(&client, "set role r_kept").await;
    assert_eq!(rows(&client, "select owner from own").await, ["R_Kept"]);
    run(&client, "reset role").await;
    // What is no call to PostgreSQL means no function, whatever is called so.
    run(&client, "create function public.\"coalesce\"(int, int) returns int language sql as 'select -7'")
        .await;
    assert_eq!(rows(&client, "select coalesce(1, 2), public.\"coalesce\"(1, 2)").await, ["1,-7"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_views_keep_what_is_theirs_and_tell_all_that_they_call() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(
        &client,
        "create function dated(x text, d date = '2020-02-01') returns text language sql immutable \
         as $$select x || '@' || d::text$$",
    )
    .await;
    run(&client, "create function plain(x int) returns int language sql immutable as 'select x + 1'").await;
    // What a default says is no part of the view's text.
    run(&client, "create view dates as select dated('first') as a, 'second' as b").await;
    assert_eq!(rows(&client, "select * from dates").await, ["first@2020-02-01,second"]);
    // Wherever a call stands, the function stays as long as the view does.
    for (number, query) in [
        "select plain (1)",
        "select /* it's */ plain(1)",
        "select 1 -- it's\n where plain(1) = 2",
        "select E'it\\'s', plain(1)",
        "select $x$it's$x$, plain /* ( */ (1)",
    ]
    .into_iter()
    .enumerate()
    {
        run(&client, &format!("create view v{number} as {query}")).await;
        assert_eq!(code(&client, "drop function plain(int)").await.code(), "2BP01", "{query}");
        let shown = format!("select pg_get_viewdef('v{number}'::regclass) like '%pg_proc%'");
        assert_eq!(rows(&client, &shown).await, ["f"], "{query}");
        run(&client, &format!("drop view v{number}")).await;
    }
    run(&client, "drop function plain(int)").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_of_a_default_of_a_function_stays_what_it_was() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (a int primary key); insert into t values (1), (2)").await;
    run(&client, "create function base() returns int language sql immutable as 'select 10'").await;
    run(
        &client,
        "create function shifted(x int, step int = base()) returns int language sql immutable as 'select x + step'",
    )
    .await;
    run(&client, "create index on t (shifted(a))").await;
    let other = "create or replace function base() returns int language sql immutable as 'select 20'";
    assert!(refused(&client, other).await.contains("base"));
    assert_eq!(rows(&client, "select a from t where shifted(a) = 12").await, ["2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn built_in_functions_whose_names_others_have_are_bound_once() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create function lower(int) returns text language sql as $$select 'int'$$").await;
    let nested = format!("select {}'X'{}", "lower(".repeat(60), ")".repeat(60));
    assert_eq!(rows(&client, &nested).await, ["x"]);
    assert_eq!(rows(&client, "select lower(1), lower((select 'Y'))").await, ["int,y"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refreshed_calls_functions_with_the_rights_of_its_owner() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table secrets (s text); insert into secrets values ('x')").await;
    run(&client, "create role thief").await;
    run(&client, "create schema own authorization thief").await;
    run(&client, "set role thief").await;
    run(&client, "create function own.steal() returns text language sql as 'select s from public.secrets'")
        .await;
    run(&client, "create materialized view own.loot as select own.steal() as s with no data").await;
    run(&client, "reset role").await;
    let refresh = "refresh materialized view own.loot";
    assert_eq!(code(&client, refresh).await.code(), "42501");
    run(&client, "grant select on secrets to thief").await;
    run(&client, refresh).await;
    assert_eq!(rows(&client, "select s from own.loot").await, ["x"]);
    // So it is with the right to call them.
    run(&client, "create function lent() returns text language sql as $$select 'y'$$").await;
    run(&client, "set role thief").await;
    run(&client, "create materialized view own.more as select lent() as s").await;
    run(&client, "reset role").await;
    run(&client, "revoke execute on function lent() from public").await;
    assert_eq!(code(&client, "refresh materialized view own.more").await.code(), "42501");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_hold_within_functions_whatever_these_are_given() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table own (owner text, v int)").await;
    run(&client, "insert into own values ('r_within', 1), ('other', 2)").await;
    run(&client, "create table listed (v int, name text)").await;
    run(&client, "insert into listed values (1, 'r_within'), (2, 'other')").await;
    run(&client, "create table asked (v int)").await;
    run(&client, "insert into asked values (1), (2)").await;
    run(&client, "create role r_within").await;
    run(&client, "grant select on own, listed, asked to r_within").await;
    run(&client, "alter table own enable row level security").await;
    run(&client, "alter table asked enable row level security").await;
    run(&client, "create policy theirs on own using (owner = current_user)").await;
    run(
        &client,
        "create policy theirs on asked using (exists \
         (select 1 from listed where listed.v = asked.v and name = current_user))",
    )
    .await;
    // The parameters are called as what the policies name.
    for sql in [
        "create function counted(owner text) returns bigint language sql as 'select count(*) from own'",
        "create function rows_of(owner text) returns setof int language sql as 'select v from own'",
        "create function kept(owner text) returns bigint begin atomic select count(*) from own; end",
        "create function asks(v int, name text) returns bigint language sql as 'select count(*) from asked'",
    ] {
        run(&client, sql).await;
    }
    run(&client, "set role r_within").await;
    for (sql, expected) in [
        ("select counted('r_within'), counted('other'), kept('r_within'), asks(2, 'r_within')", "1,1,1,1"),
        ("select counted(n), kept(n), asks(2, n) from (values ('r_within')) x(n)", "1,1,1"),
        ("select * from rows_of('r_within')", "1"),
        ("select r from (values ('r_within')) x(n), rows_of(n) r", "1"),
        ("select sum(counted(owner)), sum(asks(v, owner)) from own", "1,1"),
    ] {
        assert_eq!(rows(&client, sql).await, [expected], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_in_bodies_are_bound_once() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create function f0(x float8) returns float8 language sql as 'select x + x'").await;
    for number in 1..=25 {
        let before = number - 1;
        let body = format!("select f{before}(random()) + x + x");
        run(&client, &format!("create function f{number}(x float8) returns float8 language sql as '{body}'"))
            .await;
    }
    assert_eq!(rows(&client, "select f25(1) >= 2").await, ["t"]);
}
