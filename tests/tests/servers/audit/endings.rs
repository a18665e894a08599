//! What is recorded of what comes to no end of its own: clients that go, sessions that are ended.

use std::time::{Duration, Instant};

use super::raw::Raw;
use super::{Audited, objects, run};

/// More than any buffer between the two takes.
const MUCH: &str = "select repeat('x', 1000) from generate_series(1, 1000000)";

async fn prepared() -> Option<Audited> {
    let audited = Audited::start(&[])?;
    let admin = audited.connect("postgres", "").await;
    run(&admin, "create role auditor login; create table t (a int primary key); grant all on t to auditor")
        .await;
    run(&admin, "alter role auditor set nunatak.audit to 'all'").await;
    Some(audited)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_committed_is_recorded_as_that_whoever_hears_of_it() {
    let Some(audited) = prepared().await else { return };
    let insert = "insert into t select * from generate_series(1, 30000) returning a, repeat('x', 1000)";
    let mut raw = Raw::connect(&audited.server.address, "auditor");
    let before = audited.count_of("auditor");
    raw.query(insert);
    audited.await_told("auditor", before, "INSERT ok 30000").await;
    drop(raw);
    let told = audited.await_told("auditor", before, "LOGOUT ok").await;
    assert_eq!(told, ["INSERT ok 30000", "LOGOUT ok"]);

    // What has not is gone with its client.
    let mut raw = Raw::connect(&audited.server.address, "auditor");
    raw.query("begin");
    raw.until_ready();
    let before = audited.count_of("auditor");
    raw.query("update t set a = -a returning a, repeat('x', 1000)");
    audited.await_told("auditor", before, "UPDATE ok 30000").await;
    drop(raw);
    let told = audited.await_told("auditor", before, "LOGOUT ok").await;
    assert_eq!(told, ["UPDATE ok 30000", "ROLLBACK ok", "LOGOUT ok"]);
    let admin = audited.connect("postgres", "").await;
    let rows = admin.query("select count(*) from t where a > 0", &[]).await.expect("a row");
    assert_eq!(rows.first().map(|row| row.get::<_, i64>(0)), Some(30_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_answered_is_recorded_as_what_it_came_to() {
    let Some(audited) = prepared().await else { return };
    let admin = audited.connect("postgres", "").await;
    let mut raw = Raw::connect(&audited.server.address, "auditor");
    raw.query("set client_encoding to 'latin1'");
    raw.until_ready();
    // There is no such letter in the client's encoding.
    for (insert, key) in [
        ("insert into t values (1) returning a, U&'\\65E5'", 1),
        ("insert into t select * from generate_series(2, 3) returning a, U&'\\65E5'", 2),
    ] {
        let before = audited.count_of("auditor");
        raw.query(insert);
        assert_eq!(raw.until_ready(), ["22P05"]);
        let rows = admin.query("select 1 from t where a = $1", &[&key]).await.expect("rows");
        let last = audited.last_of("auditor");
        assert_eq!(audited.count_of("auditor"), before + 1);
        let told = last["outcome"].as_str().expect("an outcome");
        assert_eq!(told, if rows.is_empty() { "22P05" } else { "ok" }, "{insert}: {last}");
    }
    // In a block it comes to nothing with the block.
    let before = audited.count_of("auditor");
    raw.query("begin; insert into t values (9) returning a, U&'\\65E5'");
    assert_eq!(raw.until_ready(), ["22P05"]);
    raw.query("rollback");
    raw.until_ready();
    assert_eq!(audited.told_of("auditor", before), ["BEGIN ok", "INSERT 22P05", "ROLLBACK ok"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_ended_leave_no_transaction_without_its_end() {
    let Some(mut audited) = prepared().await else { return };
    let admin = audited.connect("postgres", "").await;
    // By a timeout, and by an administrator, idle and in the middle of something.
    run(&admin, "alter role auditor set idle_in_transaction_session_timeout to '300ms'").await;
    let mut raw = Raw::connect(&audited.server.address, "auditor");
    let before = audited.count_of("auditor");
    raw.query("begin; insert into t values (1)");
    let told = audited.await_told("auditor", before, "LOGOUT ok").await;
    assert_eq!(told, ["BEGIN ok", "INSERT ok 1", "ROLLBACK ok", "LOGOUT ok"]);
    run(&admin, "alter role auditor reset idle_in_transaction_session_timeout").await;
    for (under_way, last) in
        [("insert into t values (1)", "INSERT ok 1"), ("select pg_sleep(60)", "SELECT 57P01")]
    {
        let mut raw = Raw::connect(&audited.server.address, "auditor");
        raw.query("begin; insert into t values (0)");
        raw.until_ready();
        let before = audited.count_of("auditor");
        raw.query(under_way);
        // It is under way, or done.
        let shown = "select 1 from pg_stat_activity where usename = 'auditor' and query = $1 \
            and (state = 'active' or query not like 'select%')";
        let deadline = Instant::now() + Duration::from_secs(60);
        while admin.query(shown, &[&under_way]).await.expect("rows").is_empty()
            || last.starts_with("INSERT") && audited.told_of("auditor", before) != [last]
        {
            assert!(Instant::now() < deadline, "{under_way} is not begun");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        run(&admin, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'auditor'").await;
        let told = audited.await_told("auditor", before, "LOGOUT ok").await;
        assert_eq!(told, [last, "ROLLBACK ok", "LOGOUT ok"]);
    }

    // By the end of the server, with a client that does not listen to it.
    let mut raw = Raw::connect(&audited.server.address, "auditor");
    raw.query("begin; insert into t values (1)");
    raw.until_ready();
    let before = audited.count_of("auditor");
    raw.query(MUCH);
    audited.await_told("auditor", before, "SELECT started").await;
    let ending = Instant::now();
    assert_eq!(audited.server.process.terminate(), Some(0));
    assert!(ending.elapsed() < Duration::from_secs(20), "{:?}", ending.elapsed());
    let told = audited.told_of("auditor", before);
    assert_eq!(told, ["SELECT started", "SELECT unknown", "ROLLBACK ok", "LOGOUT ok"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_statement_does_in_several_steps_is_recorded_step_by_step() {
    let Some(audited) = Audited::start(&[]) else { return };
    let admin = audited.connect("postgres", "").await;
    run(&admin, "create role auditor login").await;
    run(&admin, "set dialect = driftql; CREATE TABLE t (pk=id); INSERT INTO t {\"id\": 1}").await;
    run(&admin, "grant select, insert, update on t, t_drift to auditor; alter table t set (audit = 'write')")
        .await;
    let user = audited.connect("auditor", "").await;
    run(&user, "set dialect = driftql").await;
    run(&user, "ALTER TABLE t ADD COLUMN c DEFAULT \"hunter2\"").await;
    assert_eq!(audited.told_of("auditor", 0), ["INSERT ok 1"]);
    assert!(objects(&audited.last_of("auditor")).iter().any(|object| object.starts_with("public.t ")));
    assert!(!std::fs::read_to_string(&audited.log).expect("the log").contains("hunter2"));
}
