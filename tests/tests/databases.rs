//! Databases: what is in one is not in another, whatever becomes of them, through the real wire.

use nunatak_tests::embedded::Embedded;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

async fn connect(url: &str, database: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config: tokio_postgres::Config = url.parse().expect("a URL");
    let (client, connection) = config.dbname(database).connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn one(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("∅").to_owned()),
        _ => None,
    });
    row.unwrap_or_default()
}

async fn code(client: &Client, sql: &str) -> SqlState {
    let error = client.simple_query(sql).await.expect_err("an error");
    error.code().cloned().unwrap_or_else(|| panic!("{sql}: {error:?}"))
}

fn state(outcome: Result<Client, tokio_postgres::Error>) -> Option<SqlState> {
    outcome.err().and_then(|error| error.code().cloned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_one_database_is_not_in_another() {
    let cluster = Embedded::start().await;
    let url = cluster.url();
    let first = connect(&url, "postgres").await.expect("a connection");
    run(&first, "create table t (a int primary key, s text); insert into t values (1, 'first')").await;
    run(&first, "create schema s; create sequence q; create view v as select a from t").await;
    assert_eq!(state(connect(&url, "shop").await), Some(SqlState::INVALID_CATALOG_NAME));
    assert_eq!(state(connect(&url, "template0").await), Some(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE));
    run(&first, "create database shop").await;
    let shop = connect(&url, "shop").await.expect("a connection");
    assert_eq!(one(&shop, "select current_database()").await, "shop");
    for sql in ["select * from t", "select * from v", "select nextval('q')"] {
        assert_eq!(code(&shop, sql).await, SqlState::UNDEFINED_TABLE, "{sql}");
    }
    // The same names, other things.
    run(&shop, "create table t (a int, n numeric); create index on t (n); insert into t values (7, 1.5)")
        .await;
    run(&shop, "create schema s; create table s.u (a serial); insert into s.u default values").await;
    run(&shop, "comment on table t is 'in the shop'; create role clerk login; grant select on t to clerk")
        .await;
    assert_eq!(one(&first, "select s from t").await, "first");
    assert_eq!(one(&shop, "select n from t where n > 1").await, "1.5");
    assert_eq!(one(&first, "select count(*) from pg_class where relname = 'u'").await, "0");
    assert_eq!(one(&first, "select obj_description('t'::regclass, 'pg_class')").await, "∅");
    // Roles are everybody's, rights are not.
    let clerk = url.replace("postgres@", "clerk@").replace("user=postgres", "user=clerk");
    let clerk_here = connect(&clerk, "shop").await.expect("a connection");
    assert_eq!(one(&clerk_here, "select n from t").await, "1.5");
    let clerk_there = connect(&clerk, "postgres").await.expect("a connection");
    assert_eq!(code(&clerk_there, "select * from t").await, SqlState::INSUFFICIENT_PRIVILEGE);
    assert_eq!(code(&first, "drop role clerk").await, SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
    // DDL in one is seen by sessions in it, and disturbs none in the other.
    run(&clerk_here, "begin").await;
    assert_eq!(one(&clerk_here, "select a from t").await, "7");
    run(&first, "create table more (a int)").await;
    run(&clerk_here, "commit").await;
    run(&shop, "alter table t add column extra text default 'x'").await;
    assert_eq!(one(&clerk_here, "select extra from t").await, "x");
    // What somebody is in stays, unless by force.
    assert_eq!(code(&first, "drop database shop").await, SqlState::OBJECT_IN_USE);
    assert_eq!(code(&shop, "drop database shop").await, SqlState::OBJECT_IN_USE);
    assert_eq!(code(&first, "alter database shop rename to store").await, SqlState::OBJECT_IN_USE);
    run(&first, "drop database shop with (force)").await;
    assert!(shop.simple_query("select 1").await.is_err());
    assert_eq!(state(connect(&url, "shop").await), Some(SqlState::INVALID_CATALOG_NAME));
    run(&first, "drop role clerk").await;
    // One of the same name begins empty.
    run(&first, "create database shop").await;
    let shop = connect(&url, "shop").await.expect("a connection");
    assert_eq!(code(&shop, "select * from t").await, SqlState::UNDEFINED_TABLE);
    assert_eq!(one(&shop, "select count(*) from pg_namespace where nspname = 's'").await, "0");
    drop(shop);
    // What is said of a role, of a database, and of both holds from the next session on.
    run(&first, "create role set_up login; alter role set_up set statement_timeout = '7s'").await;
    run(
        &first,
        "alter database shop set statement_timeout = '8s'; alter database shop set lock_timeout = '3s'",
    )
    .await;
    run(&first, "alter role set_up in database shop set idle_session_timeout = '9s'").await;
    let set_up = url.replace("postgres@", "set_up@").replace("user=postgres", "user=set_up");
    let shown = "select concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), \
        current_setting('idle_session_timeout'))";
    let there = connect(&set_up, "postgres").await.expect("a connection");
    assert_eq!(one(&there, shown).await, "7s 0 0");
    let here = connect(&set_up, "shop").await.expect("a connection");
    assert_eq!(one(&here, shown).await, "7s 3s 9s");
    run(&here, "set lock_timeout = '1s'; reset lock_timeout").await;
    assert_eq!(one(&here, shown).await, "7s 3s 9s");
    drop((here, there));
    // Who may connect is asked at the door.
    run(&first, "create role guest login; revoke connect on database shop from public").await;
    let guest = url.replace("postgres@", "guest@").replace("user=postgres", "user=guest");
    assert!(connect(&guest, "postgres").await.is_ok());
    let refused = state(connect(&guest, "shop").await);
    assert!(refused.is_none() || refused == Some(SqlState::INSUFFICIENT_PRIVILEGE), "{refused:?}");
    cluster.stop().await;
}
