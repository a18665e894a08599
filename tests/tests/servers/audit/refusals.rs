//! What is refused: messages of the extended protocol, what only superusers may change, parameters of tables.

use tokio_postgres::error::SqlState;

use super::raw::Raw;
use super::{Audited, code, objects, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_at_parse_and_bind_is_recorded_as_what_fails() {
    let Some(audited) = Audited::start(&[]) else { return };
    let admin = audited.connect("postgres", "").await;
    run(&admin, "create role auditor login; create table t (a int primary key); grant all on t to auditor")
        .await;
    run(&admin, "alter role auditor set nunatak.audit to 'all'").await;
    let mut raw = Raw::connect(&audited.server.address, "auditor");
    let refused = |raw: &mut Raw, send: &dyn Fn(&mut Raw), state: &str, told: &str, touched: &[&str]| {
        let before = audited.count_of("auditor");
        send(raw);
        assert_eq!(raw.sync(), [state], "{told}");
        assert_eq!(audited.told_of("auditor", before), [told]);
        assert_eq!(objects(&audited.last_of("auditor")), touched, "{told}");
    };
    refused(&mut raw, &|raw| raw.parse("", "selekt 'hunter2'"), "42601", " 42601", &[]);
    refused(&mut raw, &|raw| raw.parse("", "select * from nothing"), "42P01", "SELECT 42P01", &[]);
    refused(&mut raw, &|raw| raw.parse("", "select 1; select 'hunter2'"), "42601", "SELECT 42601", &[]);
    raw.parse("p", "select a from t where a = $1");
    assert!(raw.sync().is_empty());
    refused(&mut raw, &|raw| raw.parse("p", "select 'hunter2'"), "42P05", "SELECT 42P05", &[]);
    refused(&mut raw, &|raw| raw.bind("p", "hunter2"), "22P02", "SELECT 22P02", &["public.t read"]);
    refused(&mut raw, &|raw| raw.bind("nothing", "1"), "26000", "EXECUTE 26000", &[]);
    refused(&mut raw, &|raw| raw.execute("nothing"), "34000", "EXECUTE 34000", &[]);
    raw.query("prepare q (int) as select a from t where a = $1");
    assert!(raw.until_ready().is_empty());
    raw.query("begin; select 1 / 0");
    assert_eq!(raw.until_ready(), ["22012"]);
    refused(&mut raw, &|raw| raw.bind("p", "1"), "25P02", "SELECT 25P02", &["public.t read"]);
    refused(&mut raw, &|raw| raw.parse("", "select a from t"), "25P02", "SELECT 25P02", &[]);
    raw.query("rollback");
    assert!(raw.until_ready().is_empty());
    // What nobody could read is known to have come.
    refused(&mut raw, &|raw| raw.send(b'P', b"\0select '\xffhunter2'\0\0\0"), "22021", " 22021", &[]);
    refused(&mut raw, &|raw| raw.send(b'F', &[0; 8]), "0A000", " 0A000", &[]);
    assert!(!std::fs::read_to_string(&audited.log).expect("the log").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_execute_fails_with_before_it_runs_is_recorded_of_its_statement() {
    let Some(audited) = Audited::start(&[]) else { return };
    let admin = audited.connect("postgres", "").await;
    run(&admin, "create role auditor login; create table t (a int primary key); grant all on t to auditor")
        .await;
    run(&admin, "alter table t set (audit = 'read')").await;
    let user = audited.connect("auditor", "").await;
    run(&user, "prepare q (int) as select a from t where a = $1").await;
    assert_eq!(audited.count_of("auditor"), 0);
    assert_eq!(code(&user, "execute q(1 / 0)").await, SqlState::DIVISION_BY_ZERO);
    assert_eq!(audited.told_of("auditor", 0), ["SELECT 22012"]);
    assert_eq!(objects(&audited.last_of("auditor")), ["public.t read"]);
    run(&user, "execute q(1)").await;
    assert_eq!(audited.told_of("auditor", 1), ["SELECT ok 0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_audited_is_changed_by_no_function_unseen() {
    let Some(audited) = Audited::start(&[]) else { return };
    let admin = audited.connect("postgres", "").await;
    run(&admin, "create role auditor login").await;
    let user = audited.connect("auditor", "").await;
    // Whoever may not is recorded, though nothing of his is audited, once for each try.
    for sql in [
        "select set_config('nunatak.audit', 'none', false)",
        "select set_config('NUNATAK.audit', 'none', true)",
        "select set_config(name, 'none', false) from pg_settings where name = 'nunatak.audit'",
    ] {
        let before = audited.count_of("auditor");
        assert_eq!(code(&user, sql).await, SqlState::INSUFFICIENT_PRIVILEGE, "{sql}");
        assert_eq!(audited.told_of("auditor", before), ["SET 42501"], "{sql}");
        let record = audited.last_of("auditor");
        assert_eq!(
            (record["class"].as_str(), objects(&record)),
            (Some("SESSION"), vec!["nunatak.audit".to_owned()])
        );
    }
    let before = audited.count_of("postgres");
    assert_eq!(code(&admin, "select set_config('nunatak.audit', 'bogus', false)").await.code(), "22023");
    assert_eq!(audited.told_of("postgres", before), ["SET 22023"]);
    run(&admin, "select set_config('nunatak.audit', 'Write', false)").await;
    assert_eq!(audited.told_of("postgres", before + 1), ["SET ok"]);
    assert_eq!(audited.last_of("postgres")["statement"], "/* audit: write */");

    // What is undone is recorded as that.
    let before = audited.count_of("postgres");
    run(&admin, "begin; set nunatak.audit = 'none'; rollback").await;
    assert_eq!(audited.told_of("postgres", before), ["SET ok", "ROLLBACK ok"]);
    let before = audited.count_of("postgres");
    run(&admin, "begin; select set_config('nunatak.audit', 'none', false); rollback").await;
    assert_eq!(audited.told_of("postgres", before), ["SET ok", "ROLLBACK ok"]);
    // It is audited as before; what a role may not is recorded beside its statement where that is, too.
    run(&admin, "alter role auditor set nunatak.audit to 'read'").await;
    let user = audited.connect("auditor", "").await;
    let before = audited.count_of("auditor");
    assert_eq!(
        code(&user, "select set_config('nunatak.audit', 'none', false)").await,
        SqlState::INSUFFICIENT_PRIVILEGE
    );
    assert_eq!(audited.told_of("auditor", before), ["SET 42501", "SELECT 42501"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_table_is_audited_for_is_not_ended_by_mistake() {
    let Some(audited) = Audited::start(&[]) else { return };
    let admin = audited.connect("postgres", "").await;
    run(&admin, "create table t (a int) with (audit = 'read, write')").await;
    for (sql, state, said) in [
        ("alter table t set (audit)", "22023", "invalid value for parameter \"audit\": \"true\""),
        ("alter table t set (audit = false)", "22023", "invalid value for parameter \"audit\": \"false\""),
        (
            "alter table t set (audit = 'read', audit = 'none')",
            "22023",
            "parameter \"audit\" specified more than once",
        ),
        ("alter table t reset (audit = 'read')", "42601", "RESET must not include values for parameters"),
        ("create table u (a int) with (audit)", "22023", "invalid value for parameter \"audit\": \"true\""),
    ] {
        let error = admin.batch_execute(sql).await.expect_err(sql);
        let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}"));
        assert_eq!((error.code().code(), error.message()), (state, said), "{sql}");
        let rows =
            admin.query("select reloptions[1] from pg_class where relname = 't'", &[]).await.expect("a row");
        let shown = rows.first().map(|row| row.get::<_, String>(0));
        assert_eq!(shown.as_deref(), Some("audit=read, write"), "{sql}");
    }
    run(&admin, "alter table t reset (fillfactor, audit)").await;
    let rows = admin.query("select reloptions is null from pg_class where relname = 't'", &[]).await;
    assert!(rows.expect("a row").first().is_some_and(|row| row.get::<_, bool>(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_recorded_though_nothing_is_audited() {
    let Some(audited) = Audited::start(&[]) else { return };
    let admin = audited.connect("postgres", "").await;
    run(&admin, "create table t (a int primary key)").await;
    let before = audited.count_of("postgres");
    for statement in [
        "backup table t into 'file:///nowhere' with (encryption_key_file = '/nowhere/key')",
        "restore table t from 'file:///nowhere'",
        "show backups in 'file:///nowhere'",
    ] {
        assert_eq!(code(&admin, statement).await, SqlState::INSUFFICIENT_PRIVILEGE, "{statement}");
    }
    assert_eq!(audited.told_of("postgres", before), ["BACKUP 42501", "RESTORE 42501"]);
}
