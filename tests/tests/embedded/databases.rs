//! Databases: what is in one is not in another, whatever becomes of them, through the real wire.

use nunatak_tests::clients::{code, run};
use nunatak_tests::embedded::Embedded;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

async fn connect(url: &str, database: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config: tokio_postgres::Config = url.parse().expect("a URL");
    let (client, connection) = config.dbname(database).connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn one(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("∅").to_owned()),
        _ => None,
    });
    row.unwrap_or_default()
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
    assert_eq!(refused, Some(SqlState::INSUFFICIENT_PRIVILEGE));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_is_copied_with_all_that_is_in_it() {
    // What is copied is more than a transaction keeps in memory.
    let cluster = Embedded::start_flushing(64 << 10).await;
    let url = cluster.url();
    let first = connect(&url, "postgres").await.expect("a connection");
    run(&first, "create database model").await;
    run(&first, "create role reader").await;
    let model = connect(&url, "model").await.expect("a connection");
    run(&model, "create schema s; create type mood as enum ('low', 'high'); create domain few as int check (value < 10)")
        .await;
    run(
        &model,
        "create table s.parent (id serial primary key, m mood default 'high', f few);
        create table s.child (id int generated always as identity, p int references s.parent on delete cascade, t text unique);
        create index on s.child (p) where t <> '';
        create view s.v as select c.t, p.m from s.child c join s.parent p on p.id = c.p;
        create materialized view s.mv as select count(*) as n from s.child;
        create sequence s.lone start 100;
        comment on table s.child is 'of a parent'; comment on column s.child.t is 'its text';
        grant usage on schema s to reader; grant select on s.v to reader; grant update (t) on s.child to reader",
    )
    .await;
    run(&model, "insert into s.parent (f) select n % 10 from generate_series(1, 50) n").await;
    run(
        &model,
        "insert into s.child (p, t) select n % 50 + 1, repeat('x', 100) || n from generate_series(1, 3000) n",
    )
    .await;
    run(&model, "refresh materialized view s.mv; select nextval('s.lone'), nextval('s.lone'); analyze").await;
    let facts = [
        "select count(*), sum(length(t)), max(id) from s.child",
        "select count(*) from s.v where m = 'high'",
        "select n from s.mv",
        "select obj_description('s.child'::regclass), col_description('s.child'::regclass, 3)",
        "select has_table_privilege('reader', 's.v', 'select'), has_column_privilege('reader', 's.child', 't', 'update'),
            has_table_privilege('reader', 's.child', 'select')",
        "select string_agg(indexdef, ';' order by indexname) from pg_indexes where schemaname = 's'",
        "select string_agg(pg_get_constraintdef(oid), ';' order by conname) from pg_constraint where connamespace = 's'::regnamespace",
        "select id from s.child where t = repeat('x', 100) || 77",
        "select pg_get_viewdef('s.v'::regclass)",
    ];
    let mut before = Vec::new();
    for fact in facts {
        before.push(one(&model, fact).await);
    }
    // A template that somebody is in may change while it is copied.
    let refused = first.simple_query("create database copy template model").await.expect_err("an error");
    let refused = refused.as_db_error().expect("of the database");
    assert_eq!(refused.code(), &SqlState::OBJECT_IN_USE);
    assert_eq!(refused.message(), "source database \"model\" is being accessed by other users");
    assert_eq!(refused.detail(), Some("There is 1 other session using the database."));
    // Who copies where it is itself is not another user.
    run(&model, "create database copy template model").await;
    let copy = connect(&url, "copy").await.expect("a connection");
    for (fact, before) in facts.iter().zip(&before) {
        assert_eq!(&one(&copy, fact).await, before, "{fact}");
    }
    // From now on each goes its own way.
    assert_eq!(one(&copy, "select nextval('s.lone') > 101").await, "t");
    assert_eq!(one(&copy, "insert into s.parent (f) values (1) returning id > 50").await, "t");
    assert_eq!(code(&copy, "insert into s.parent (f) values (10)").await, SqlState::CHECK_VIOLATION);
    assert_eq!(code(&copy, "insert into s.child (p) values (99999)").await, SqlState::FOREIGN_KEY_VIOLATION);
    run(&copy, "delete from s.parent where id <= 25; alter type mood add value 'none'; drop view s.v").await;
    assert_eq!(one(&copy, "select count(*) < 3000 from s.child").await, "t");
    assert_eq!(one(&model, "select count(*) from s.child").await, "3000");
    assert_eq!(one(&model, "select count(*) from s.v").await, "3000");
    run(&model, "drop table s.child cascade; truncate s.parent").await;
    assert_eq!(one(&copy, "select count(*) > 1000 from s.child").await, "t");
    // Numbers of a sequence are not given twice in either.
    assert_eq!(one(&model, "select nextval('s.lone') > 101").await, "t");
    drop(model);
    run(&first, "drop database model with (force)").await;
    assert_eq!(one(&copy, "select count(*) > 1000 from s.child").await, "t");
    // What is made in template1 is in what is made of it, and not in what is made of template0.
    let template = connect(&url, "template1").await.expect("a connection");
    run(&template, "create table everywhere (a int); insert into everywhere values (7)").await;
    drop(template);
    wait_for(&first, "select count(*) from pg_stat_activity where datname = 'template1'", "0").await;
    run(&first, "create database with_it").await;
    run(&first, "create database without_it template template0").await;
    let with_it = connect(&url, "with_it").await.expect("a connection");
    assert_eq!(one(&with_it, "select a from everywhere").await, "7");
    let without_it = connect(&url, "without_it").await.expect("a connection");
    assert_eq!(code(&without_it, "select a from everywhere").await, SqlState::UNDEFINED_TABLE);
    // Only whom it belongs to copies what is no template.
    run(&first, "create role maker login createdb").await;
    let maker = as_user(&url, "maker", "postgres").await.expect("a connection");
    assert_eq!(code(&maker, "create database mine template copy").await, SqlState::INSUFFICIENT_PRIVILEGE);
    drop(copy);
    wait_for(&first, "select count(*) from pg_stat_activity where datname = 'copy'", "0").await;
    run(&first, "alter database copy is_template true").await;
    run(&maker, "create database mine template copy").await;
    cluster.stop().await;
}

async fn as_user(url: &str, user: &str, database: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config: tokio_postgres::Config = url.parse().expect("a URL");
    let (client, connection) = config.user(user).dbname(database).connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Waits until a query answers this.
async fn wait_for(client: &Client, sql: &str, wanted: &str) {
    for _ in 0..200 {
        if one(client, sql).await == wanted {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{sql} does not come to {wanted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_gateways_know_the_same_databases() {
    let mut cluster = Embedded::start().await;
    let here = cluster.url();
    let there = cluster.add_gateway(sql::EngineOptions::default()).await;
    let (one_side, other_side) =
        (connect(&here, "postgres").await.expect("here"), connect(&there, "postgres").await.expect("there"));
    // Of two who make the same one succeeds, every time.
    for round in 0..5 {
        let sql = format!("create database d{round}");
        let (left, right) = tokio::join!(one_side.simple_query(&sql), other_side.simple_query(&sql));
        let failed = [left.err(), right.err()].into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert_eq!(failed[0].code(), Some(&SqlState::DUPLICATE_DATABASE), "{failed:?}");
        // It is there at once, whichever way one comes.
        assert!(connect(&here, &format!("d{round}")).await.is_ok());
        assert!(connect(&there, &format!("d{round}")).await.is_ok());
    }
    let (left, right) =
        (connect(&here, "d0").await.expect("here"), connect(&there, "d0").await.expect("there"));
    run(&left, "create table t (a int primary key); insert into t values (1)").await;
    assert_eq!(one(&right, "select a from t").await, "1");
    let prepared = right.prepare("select a from t where a = $1").await.expect("prepared");
    run(&left, "alter table t add column b int default 5").await;
    assert_eq!(right.query(&prepared, &[&1_i32]).await.expect("rows").len(), 1);
    // Nobody drops what somebody at another gateway is in.
    drop(left);
    wait_for(&one_side, "select count(*) from pg_stat_activity where datname = 'd0'", "1").await;
    let refused = one_side.simple_query("drop database d0").await.expect_err("an error");
    assert_eq!(
        refused.as_db_error().and_then(|error| error.detail()),
        Some("There is 1 other session using the database.")
    );
    run(&one_side, "create role owner login createdb; alter database d0 owner to owner").await;
    let owner = as_user(&there, "owner", "postgres").await.expect("a connection");
    assert_eq!(code(&owner, "drop database d0 with (force)").await, SqlState::INSUFFICIENT_PRIVILEGE);
    run(&right, "begin; insert into t values (2)").await;
    run(&one_side, "drop database d0 with (force)").await;
    assert!(right.simple_query("commit").await.is_err());
    for url in [&here, &there] {
        assert_eq!(state(connect(url, "d0").await), Some(SqlState::INVALID_CATALOG_NAME));
    }
    // One of two who drop and who rename succeeds.
    let (dropped, renamed) = tokio::join!(
        one_side.simple_query("drop database d1"),
        other_side.simple_query("alter database d1 rename to e1"),
    );
    assert_eq!(u8::from(dropped.is_ok()) + u8::from(renamed.is_ok()), 1, "{dropped:?} {renamed:?}");
    assert_eq!(connect(&here, "e1").await.is_ok(), renamed.is_ok());
    // Whom the doors are closed to stays out, at each.
    run(&one_side, "alter database d2 allow_connections false").await;
    assert_eq!(state(connect(&there, "d2").await), Some(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE));
    run(&one_side, "alter database d3 connection limit 1; create role plain login").await;
    let inside = as_user(&there, "plain", "d3").await.expect("the first");
    assert_eq!(state(as_user(&there, "plain", "d3").await), Some(SqlState::TOO_MANY_CONNECTIONS));
    assert!(connect(&there, "d3").await.is_ok(), "superusers are not counted");
    drop(inside);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_one_database_is_taken_for_anothers() {
    // The same texts, kept and planned by the same gateway.
    let options = sql::EngineOptions { keeps_texts_at_once: true, ..sql::EngineOptions::default() };
    let cluster = Embedded::start_with(options).await;
    let url = cluster.url();
    let first = connect(&url, "postgres").await.expect("a connection");
    run(&first, "create database other").await;
    let other = connect(&url, "other").await.expect("a connection");
    run(&first, "create table t (a int primary key, b text); insert into t values (1, 'first')").await;
    run(&other, "create table t (b int, a text primary key); insert into t values (2, '1')").await;
    for _ in 0..4 {
        assert_eq!(one(&first, "select b from t where a = '1'").await, "first");
        assert_eq!(one(&other, "select b from t where a = '1'").await, "2");
    }
    for (client, wanted) in [(&first, "first"), (&other, "2")] {
        let prepared = client.prepare("select b::text from t where a::text = $1").await.expect("prepared");
        for _ in 0..7 {
            let rows = client.query(&prepared, &[&"1"]).await.expect("rows");
            assert_eq!(rows[0].get::<_, String>(0), wanted);
        }
    }
    run(&first, "update t set b = 'changed' where a = 1").await;
    assert_eq!(one(&other, "select b from t where a = '1'").await, "2");
    // Locks on numbers are a database's own, and shown so.
    assert_eq!(one(&first, "select pg_try_advisory_lock(7)").await, "t");
    assert_eq!(one(&other, "select pg_try_advisory_lock(7)").await, "t");
    let shown = "select string_agg(datname, ',' order by datname) from pg_locks l join pg_database d on d.oid = l.database
        where locktype = 'advisory'";
    assert_eq!(one(&first, shown).await, "other,postgres");
    assert_eq!(one(&first, "select pg_advisory_unlock(7)").await, "t");
    assert_eq!(one(&first, shown).await, "other");
    // Whoever is where.
    let where_is = "select string_agg(a.datname || ' ' || d.datname, ',' order by a.datname) from pg_stat_activity a join pg_database d on d.oid = a.datid
        where a.backend_type = 'client backend'";
    assert_eq!(one(&other, where_is).await, "other other,postgres postgres");
    assert_eq!(one(&other, "select current_catalog || current_database()").await, "otherother");
    assert_eq!(
        one(&other, "select table_catalog from information_schema.tables where table_name = 't'").await,
        "other"
    );
    assert_eq!(code(&other, "select * from postgres.public.t").await, SqlState::FEATURE_NOT_SUPPORTED);
    // Schemas are made by whom the database lets.
    run(&first, "create role plain login").await;
    let plain = as_user(&url, "plain", "other").await.expect("a connection");
    assert_eq!(code(&plain, "create schema mine").await, SqlState::INSUFFICIENT_PRIVILEGE);
    run(&first, "grant create on database other to plain").await;
    run(&plain, "create schema mine").await;
    let plain = as_user(&url, "plain", "postgres").await.expect("a connection");
    assert_eq!(code(&plain, "create schema mine").await, SqlState::INSUFFICIENT_PRIVILEGE);
    // What a role owns in one keeps it in all.
    assert_eq!(code(&first, "drop role plain").await, SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_and_default_privileges_are_a_databases_own() {
    let mut cluster = Embedded::start().await;
    let url = cluster.url();
    let other = cluster.add_gateway(sql::EngineOptions::default()).await;
    let first = connect(&url, "postgres").await.expect("a connection");
    run(&first, "create role maker; create role reader login; create role bound").await;
    run(&first, "create database model").await;
    // The same for other things, and for others, in the first database.
    run(&first, "alter default privileges for role maker grant insert on tables to bound").await;
    let model = connect(&url, "model").await.expect("a connection");
    run(&model, "grant create, usage on schema public to maker; grant usage on schema public to reader")
        .await;
    run(&model, "alter default privileges for role maker in schema public grant select on tables to reader")
        .await;
    run(
        &model,
        "set role maker; create sequence numbers; create table t (id int primary key, owner name);
        insert into t values (1, 'reader'), (2, 'maker'), (3, 'reader');
        create table allowed (id int); insert into allowed values (1), (2);
        alter table t enable row level security;
        create policy own on t using (owner = current_user);
        create policy listed on t as restrictive to bound, reader
            using (id in (select id from allowed) and 'numbers'::regclass is not null);
        alter sequence numbers rename to renamed; reset role",
    )
    .await;
    let kept = "select count(*) || ' ' || string_agg(defaclobjtype::text || defaclacl::text, ';') from pg_default_acl";
    assert_eq!(one(&first, kept).await, "1 r{maker=arwdDxt/maker,bound=a/maker}");
    assert_eq!(one(&model, kept).await, "1 r{reader=r/maker}");
    assert_eq!(one(&first, "select count(*) from pg_policy").await, "0");
    // A role is held by what is in any database, and is told of the others by number.
    let refused = first.simple_query("drop role bound").await.expect_err("an error");
    let detail = refused.as_db_error().and_then(|error| error.detail()).expect("what holds it");
    let here = "privileges for default privileges on new relations belonging to role maker";
    assert_eq!(detail, format!("{here}\n1 object in database model"));
    let refused = model.simple_query("drop role bound").await.expect_err("an error");
    let detail = refused.as_db_error().and_then(|error| error.detail()).expect("what holds it");
    assert_eq!(detail, "target of policy listed on table t\n1 object in database postgres");
    drop(model);
    wait_for(&first, "select count(*) from pg_stat_activity where datname = 'model'", "0").await;
    run(&first, "create database copy template model").await;
    run(&first, "drop database model with (force)").await;
    // What was copied is in force, through another gateway too.
    let reader = as_user(&other, "reader", "copy").await.expect("a connection");
    assert_eq!(one(&reader, "select string_agg(id::text, ',') from t").await, "1");
    assert_eq!(one(&reader, "select count(*) from t tablesample bernoulli (100)").await, "1");
    let copy = connect(&other, "copy").await.expect("a connection");
    assert_eq!(one(&copy, kept).await, "1 r{reader=r/maker}");
    assert_eq!(
        one(&copy, "select string_agg(polname, ',' order by polname) from pg_policy").await,
        "listed,own"
    );
    assert_eq!(
        one(&copy, "select qual like '%''renamed''::regclass%' from pg_policies where policyname = 'listed'")
            .await,
        "t"
    );
    assert_eq!(code(&copy, "drop sequence renamed").await, SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
    run(&copy, "set role maker; create table more (id int); insert into allowed values (3); reset role")
        .await;
    assert_eq!(one(&reader, "select count(*) from more").await, "0");
    assert_eq!(one(&reader, "select count(*) from t").await, "2");
    run(&copy, "alter default privileges for role maker in schema public revoke all on tables from reader")
        .await;
    assert_eq!(one(&first, kept).await, "1 r{maker=arwdDxt/maker,bound=a/maker}");
    // What settings are at first may be that policies are no answer.
    run(&first, "alter role reader in database copy set row_security = off").await;
    let refuses = as_user(&url, "reader", "copy").await.expect("a connection");
    assert_eq!(code(&refuses, "select count(*) from t").await, SqlState::INSUFFICIENT_PRIVILEGE);
    run(&refuses, "set row_security = on").await;
    assert_eq!(one(&refuses, "select count(*) from t").await, "2");
    // What goes with a database holds nobody any more.
    drop((reader, refuses, copy));
    run(&first, "drop database copy with (force)").await;
    run(&first, "alter default privileges for role maker revoke insert on tables from bound").await;
    run(&first, "drop role bound, reader, maker").await;
    assert_eq!(one(&first, "select count(*) from pg_default_acl").await, "0");
    cluster.stop().await;
}

#[test]
fn databases_are_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = nunatak_tests::processes::start_single(folder.path());
    let in_database = |address: &str, database: &str, commands: &[&str]| {
        let (host, port) = address.rsplit_once(':').expect("host:port");
        let mut psql = std::process::Command::new("psql");
        psql.args(["-X", "-q", "-A", "-t", "-h", host, "-p", port, "-U", "postgres", "-d", database]);
        commands.iter().for_each(|command| {
            psql.args(["-c", command]);
        });
        let output = psql.output().expect("psql runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned()
    };
    let address = server.address.clone();
    let made = in_database(
        &address,
        "postgres",
        &[
            "create database shop",
            "alter database shop set work_mem = '9MB'",
            r"\c shop",
            "create table t (a serial, b text)",
            "insert into t (b) values ('kept')",
            "comment on database shop is 'sells'",
        ],
    );
    assert!(!made.contains("ERROR"), "{made}");
    server.process.restart();
    server.await_sql();
    assert_eq!(in_database(&address, "shop", &["select * from t", "show work_mem"]), "1|kept\n9MB");
    let listed = in_database(&address, "nunatak", &[r"\l"]);
    for line in [
        "postgres|postgres|UTF8|C|C|",
        "shop|postgres|UTF8|C|C|",
        "template0|postgres|UTF8|C|C|",
        "template1|postgres|UTF8|C|C|",
    ] {
        assert!(listed.contains(line), "{listed}");
    }
    assert!(in_database(&address, "postgres", &[r"\l+"]).contains("sells"));
    assert_eq!(in_database(&address, "postgres", &[r"\drds"]), "|shop|work_mem=9MB");
    assert!(in_database(&address, "missing", &["select 1"]).contains("database \"missing\" does not exist"));
    assert_eq!(
        in_database(&address, "postgres", &["drop database shop", r"\c shop"])
            .matches("does not exist")
            .count(),
        1
    );
}
