//! Attacks by who has logged in: on what they have no right to read, by whichever way. SECURITY.md is the list.

use nunatak_tests::processes::{installed, psql, start_single_with};

#[test]
fn a_superuser_that_is_one_no_more_sets_nothing_more() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let single = start_single_with(folder.path(), &[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let admin = nunatak_tests::processes::connect(&single.address).await;
        admin.batch_execute("create role boss superuser login").await.expect("a role");
        let (host, port) = single.address.rsplit_once(':').expect("host:port");
        let parameters = format!("host={host} port={port} user=boss dbname=postgres");
        let connecting = tokio_postgres::connect(&parameters, tokio_postgres::NoTls);
        let (boss, connection) = connecting.await.expect("a connection");
        tokio::spawn(connection);
        boss.batch_execute("set nunatak.rows_max = 5; reset nunatak.rows_max").await.expect("a superuser's");
        boss.batch_execute("begin; select 1; rollback").await.expect("a block");
        admin.batch_execute("alter role boss nosuperuser").await.expect("a change");
        for sql in [
            "set nunatak.audit = 'none'",
            "reset nunatak.audit",
            "select set_config('nunatak.audit', 'none', false)",
            "begin; select 1; set log_min_duration_statement = 0",
            "select set_config('nunatak.rows_max', '0', false)",
        ] {
            let error = boss.batch_execute(sql).await.expect_err(sql);
            let code = error.as_db_error().expect("an answer").code().code().to_owned();
            assert_eq!(code, "42501", "{sql}");
            boss.batch_execute("rollback").await.expect("a rollback");
        }
        admin.batch_execute("alter role boss superuser").await.expect("a change");
        boss.batch_execute("set nunatak.rows_max = 0").await.expect("a superuser's");
    });
}

#[test]
fn statistics_tell_nothing_that_may_not_be_read() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let single = start_single_with(folder.path(), &[]);
    let run = |sql: &str| psql(&single.address, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    run("create role eve login; create role ann login;
         create table t (id int primary key, open text, secret text);
         insert into t select n, 'seen', 'hush' from generate_series(1, 100) n; grant select (id, open) on t to eve;
         create table p (id int primary key, secret text); insert into p select n, 'hush' from generate_series(1, 100) n;
         alter table p enable row level security; create policy none on p using (id < 0); grant select on p to eve");
    // What a transaction has made is looked through once it is committed.
    run("analyze t, p");
    let shown = "select tablename, attname from pg_stats where tablename in ('t', 'p') order by 1, 2";
    assert_eq!(run(shown), "p|id\np|secret\nt|id\nt|open\nt|secret");
    for asked in [format!("set role eve; {shown}"), format!("prepare s as {shown}; set role eve; execute s")]
    {
        assert_eq!(run(&asked), "t|id\nt|open", "{asked}");
    }
    run(&format!("create view seen as {shown}; grant select on seen to ann, eve"));
    assert_eq!(run("set role eve; select * from seen"), "t|id\nt|open");
    assert_eq!(run("set role ann; select * from seen"), "");
    for sql in ["select secret from t", "explain select * from t where secret = 'hush'"] {
        let said = psql(&single.address, &format!("set role eve; {sql}")).expect_err(sql);
        assert!(said.contains("permission denied"), "{sql}: {said}");
    }
    let told = "select count(*) from pg_stat_statements where query like '%generate_series%'";
    assert_ne!(run(told), "0");
    assert_eq!(run(&format!("set role eve; {told}")), "0");
}

/// Whichever way somebody takes who has no right to read a table: all end in the same refusal.
#[test]
fn rights_are_not_got_round() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let single = start_single_with(folder.path(), &[]);
    let run = |sql: &str| psql(&single.address, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    run("create table secret (id int primary key, s text); insert into secret values (1, 'hush');
         create view hidden as select s from secret; create table mine (id int primary key, s text);
         create role eve login; grant create on schema public to eve; alter table mine owner to eve");
    // Whoever makes a view or a function may do so: it reads with the rights of its owner, or of who calls it.
    run("set role eve; create view seen as select * from secret;
         create function told() returns text language sql as 'select s from secret';
         create function whole() returns text language sql begin atomic select s from secret; end;
         create view called as select told() as s");
    for sql in [
        "select * from secret",
        "select count(*) from secret",
        "select 1 from secret",
        "select s from seen",
        "select s from hidden",
        "select told()",
        "select whole()",
        "select s from called",
        "copy secret to stdout",
        "copy (select s from secret) to stdout",
        "copy (select told()) to stdout",
        "create table copied as select * from secret",
        "create materialized view kept as select * from secret",
        "create table copied (like secret)",
        "create table copied clone secret",
        "create table refers (id int references secret)",
        "insert into mine select * from secret",
        "insert into mine values (1, (select s from secret))",
        "update mine set s = secret.s from secret",
        "delete from mine using secret",
        "merge into mine using secret on mine.id = secret.id when not matched then insert values (secret.id, secret.s)",
        "with read as (select * from secret) select count(*) from read",
        "select s from mine where exists (select from secret)",
        "begin; declare c cursor for select * from secret",
        "prepare p as select s from secret; execute p",
        "select 1 from secret for share",
        "insert into secret values (2, 'x') returning *",
        "update secret set s = s returning s",
        "delete from secret returning s",
        "truncate secret",
        "explain select * from secret",
        "explain analyze select * from secret",
        "begin as of system time '-1ms'; select * from secret",
        "create index i on secret (s)",
        "comment on table secret is 'mine'",
        "alter table secret owner to eve",
        "drop table secret",
        "grant select on secret to eve",
        "set role postgres",
        "grant postgres to eve",
        "grant pg_read_all_data to eve",
        "select rolpassword from pg_authid",
    ] {
        let said = psql(&single.address, &format!("set session authorization eve; {sql}")).expect_err(sql);
        let refusals = ["permission denied", "must be owner", "must be superuser", "must have admin option"];
        assert!(refusals.iter().any(|refusal| said.contains(refusal)), "{sql}: {said}");
        assert!(!said.contains("hush"), "{sql}: {said}");
    }
    assert_eq!(run("select count(*) from mine"), "0");
    assert_eq!(run("select s from secret"), "hush");
}
