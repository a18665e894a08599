//! Looking into what sessions do, and ending it: here, and from another gateway.

use std::time::{Duration, Instant};

use nunatak_tests::clients::{connect, rows, run};
use nunatak_tests::embedded::Embedded;
use nunatak_tests::processes::{Cluster, installed, psql};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

async fn one(client: &Client, sql: &str) -> String {
    rows(client, sql).await.first().cloned().unwrap_or_default()
}

/// Asks until the answer is this one.
async fn until(client: &Client, sql: &str, wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = one(client, sql).await;
        if answer == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}: {answer}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn code(client: &Client, sql: &str) -> (SqlState, String) {
    let error = client.simple_query(sql).await.expect_err("an error");
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}"));
    (error.code().clone(), error.message().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_does_is_seen_by_others() {
    let cluster = Embedded::start().await;
    let (one_, other) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    let pid = one(&one_, "select pg_backend_pid()").await;
    let of = |what: &str| format!("select {what} from pg_stat_activity where pid = {pid}");
    run(&one_, "create table t (a int primary key, n int); insert into t values (1, 1)").await;
    run(&one_, "set application_name = 'seen'").await;
    let all = of(
        "usename, application_name, state, query, wait_event_type, wait_event, xact_start is null, backend_type",
    );
    assert_eq!(
        one(&other, &all).await,
        "postgres,seen,idle,set application_name = 'seen',Client,ClientRead,t,client backend"
    );
    run(&one_, "begin").await;
    run(&one_, "update t set n = 2 where a = 1").await;
    assert_eq!(
        one(&other, &of("state, query, xact_start <= query_start, backend_xid is null")).await,
        "idle in transaction,update t set n = 2 where a = 1,t,f"
    );
    assert!(one_.batch_execute("select 1 / 0").await.is_err());
    assert_eq!(one(&other, &of("state")).await, "idle in transaction (aborted)");
    run(&one_, "rollback").await;
    // A prepared statement is seen as well.
    let statement = one_.prepare("select n from t where a = $1").await.expect("a statement");
    one_.query(&statement, &[&1]).await.expect("rows");
    assert_eq!(one(&other, &of("state, query")).await, "idle,select n from t where a = $1");
    // Oneself is at work, and every row of the view is a session that is there.
    assert_eq!(
        one(
            &other,
            "select state, query like 'select state%' from pg_stat_activity where pid = pg_backend_pid()"
        )
        .await,
        "active,t"
    );
    assert_eq!(one(&other, "select count(*), count(distinct gateway) from nunatak.sessions").await, "2,1");
    drop(one_);
    until(&other, "select count(*) from pg_stat_activity", "1").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_whom_is_seen_and_can_be_ended() {
    let cluster = Embedded::start().await;
    let holder = connect(&cluster.url()).await;
    let waiter = connect(&cluster.url()).await;
    let watcher = connect(&cluster.url()).await;
    run(&holder, "create table t (a int primary key, n int); insert into t values (1, 1)").await;
    let (holds, waits) =
        (one(&holder, "select pg_backend_pid()").await, one(&waiter, "select pg_backend_pid()").await);
    run(&holder, "begin; update t set n = 2 where a = 1").await;
    let blocked = tokio::spawn(async move {
        let outcome = code(&waiter, "update t set n = 3 where a = 1").await;
        (waiter, outcome)
    });
    until(&watcher, &format!("select pg_blocking_pids({waits})"), &format!("{{{holds}}}")).await;
    assert_eq!(one(&watcher, &format!("select pg_blocking_pids({holds})")).await, "{}");
    let waiting =
        format!("select wait_event_type, wait_event, state from pg_stat_activity where pid = {waits}");
    assert_eq!(one(&watcher, &waiting).await, "Lock,transactionid,active");
    // As people ask it of PostgreSQL.
    let classic = "select w.pid, h.pid from pg_locks w join pg_locks h on h.locktype = w.locktype \
        and h.transactionid = w.transactionid and h.pid <> w.pid where not w.granted and h.granted";
    assert_eq!(one(&watcher, classic).await, format!("{waits},{holds}"));
    let listed = format!("select blocked_by from nunatak.sessions where pid = {waits}");
    assert_eq!(one(&watcher, &listed).await, format!("{{{holds}}}"));
    assert_eq!(
        one(&watcher, "select count(*), sum(cardinality(waits_for)) from nunatak.transactions").await,
        "2,1"
    );
    assert_eq!(one(&watcher, &format!("select pg_cancel_backend({waits})")).await, "t");
    let (waiter, (state, message)) = blocked.await.expect("the task");
    assert_eq!(state, SqlState::QUERY_CANCELED);
    assert_eq!(message, "canceling statement due to user request");
    // It goes on, and is ended while it waits again; so is the idle one that it waits for.
    let blocked = tokio::spawn(async move { code(&waiter, "update t set n = 3 where a = 1").await });
    until(&watcher, &format!("select pg_blocking_pids({waits})"), &format!("{{{holds}}}")).await;
    assert_eq!(one(&watcher, &format!("select pg_terminate_backend({waits}, 5000)")).await, "t");
    let ended = blocked.await.expect("the task");
    assert_eq!(ended.0, SqlState::ADMIN_SHUTDOWN);
    assert_eq!(ended.1, "terminating connection due to administrator command");
    assert_eq!(one(&watcher, &format!("select pg_terminate_backend({holds}, 5000)")).await, "t");
    run(&watcher, "update t set n = 4 where a = 1").await;
    assert!(holder.simple_query("select 1").await.is_err());
    assert_eq!(one(&watcher, "select pg_cancel_backend(1)").await, "f");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_those_who_may_look_and_end() {
    let cluster = Embedded::start().await;
    let root = connect(&cluster.url()).await;
    run(
        &root,
        "create role ann login; create role bob login; create role watch login in role pg_monitor; \
        create role warden login in role pg_signal_backend",
    )
    .await;
    let as_role = |role: &str| cluster.url().replace("postgres@", &format!("{role}@"));
    let url = cluster.url();
    assert!(url.contains("postgres@") || url.contains("user="), "{url}");
    let as_role = |role: &str| {
        if url.contains("user=") {
            url.replace("user=postgres", &format!("user={role}"))
        } else {
            as_role(role)
        }
    };
    let ann = connect(&as_role("ann")).await;
    let ann2 = connect(&as_role("ann")).await;
    let bob = connect(&as_role("bob")).await;
    let watch = connect(&as_role("watch")).await;
    let warden = connect(&as_role("warden")).await;
    let (pid, root_pid) =
        (one(&ann, "select pg_backend_pid()").await, one(&root, "select pg_backend_pid()").await);
    let seen = format!("select query, state from pg_stat_activity where pid = {pid}");
    assert_eq!(one(&ann2, &seen).await, "select pg_backend_pid(),idle");
    assert_eq!(one(&bob, &seen).await, "<insufficient privilege>,∅");
    assert_eq!(one(&watch, &seen).await, "select pg_backend_pid(),idle");
    for function in ["pg_cancel_backend", "pg_terminate_backend"] {
        let (state, message) = code(&bob, &format!("select {function}({pid})")).await;
        assert_eq!(state, SqlState::INSUFFICIENT_PRIVILEGE);
        assert!(message.contains("or member of pg_signal_backend"), "{message}");
        let (_, message) = code(&warden, &format!("select {function}({root_pid})")).await;
        assert!(message.starts_with("must be a superuser to"), "{message}");
    }
    let (state, message) = code(&bob, "select pg_stat_statements_reset()").await;
    assert_eq!(state, SqlState::INSUFFICIENT_PRIVILEGE);
    assert_eq!(message, "permission denied for function pg_stat_statements_reset");
    let (state, _) = code(&bob, "select * from nunatak.ranges").await;
    assert_eq!(state, SqlState::INSUFFICIENT_PRIVILEGE);
    assert_eq!(one(&watch, "select count(*) > 0 from nunatak.ranges").await, "t");
    assert_eq!(one(&watch, "select count(*) from nunatak.nodes where live").await, "1");
    let (state, message) = code(&bob, "set log_min_duration_statement = 0").await;
    assert_eq!(state, SqlState::INSUFFICIENT_PRIVILEGE);
    assert_eq!(message, "permission denied to set parameter \"log_min_duration_statement\"");
    assert_eq!(one(&warden, &format!("select pg_cancel_backend({pid})")).await, "t");
    assert_eq!(one(&ann2, &format!("select pg_terminate_backend({pid}, 5000)")).await, "t");
    assert!(ann.simple_query("select 1").await.is_err());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_counted_without_their_literals() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, "create table t (a int primary key, n int)").await;
    for number in 1..=7 {
        run(&client, &format!("insert into t values ({number}, {number})")).await;
    }
    let statement = client.prepare("select n from t where a = $1 and n < 100").await.expect("a statement");
    for number in 1..=5 {
        client.query(&statement, &[&number]).await.expect("rows");
    }
    run(&client, "create role secretive password 'k9-true'").await;
    let of = |pattern: &str| {
        format!("select query, calls, rows from pg_stat_statements where query like '{pattern}'")
    };
    assert_eq!(one(&client, &of("insert%")).await, "insert into t values ($1, $2),7,7");
    assert_eq!(one(&client, &of("select n from t%")).await, "select n from t where a = $1 and n < $2,5,5");
    assert_eq!(one(&client, &of("%secretive%")).await, "create role secretive password $1,1,0");
    let sane = "select bool_and(min_exec_time <= mean_exec_time and mean_exec_time <= max_exec_time + 1e-9 \
        and total_exec_time >= max_exec_time) from pg_stat_statements";
    assert_eq!(one(&client, sane).await, "t");
    run(&client, "select pg_stat_statements_reset()").await;
    assert_eq!(one(&client, "select count(*) from pg_stat_statements where query like 'insert%'").await, "0");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_long_is_seen_while_it_goes_on() {
    let cluster = Embedded::start().await;
    let (builder, watcher) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&builder, "create table t (a int primary key, n int)").await;
    run(&builder, "insert into t select a, -a from generate_series(1, 100000) a").await;
    let building = tokio::spawn(async move { run(&builder, "create index i on t (n)").await });
    let mut seen = Vec::new();
    while !building.is_finished() {
        let all = "select kind, object, unit, done > 0, started <= now(), pid is not null from nunatak.jobs";
        seen.extend(rows(&watcher, all).await);
    }
    building.await.expect("an index");
    assert!(seen.iter().any(|row| row == "index build,public.i,rows,t,t,t"), "{seen:?}");
    assert_eq!(one(&watcher, "select count(*) from nunatak.jobs").await, "0");
    cluster.stop().await;
}

#[test]
fn sessions_of_other_gateways_are_seen_and_ended() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(folder.path(), 1, 2);
    let (here, there) = (&cluster.gateways[0].address, &cluster.gateways[1].address);
    psql(here, "create table t (a int primary key, n int); insert into t values (1, 1)").expect("a table");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let url = |address: &str| format!("postgresql://postgres@{address}/postgres");
        let (holder, waiter) = (connect(&url(here)).await, connect(&url(there)).await);
        let watcher = connect(&url(there)).await;
        run(&holder, "set application_name = 'holder'; begin; update t set n = 2 where a = 1").await;
        let holds = one(&holder, "select pg_backend_pid()").await;
        let waits = one(&waiter, "select pg_backend_pid()").await;
        let blocked = tokio::spawn(async move { code(&waiter, "update t set n = 3 where a = 1").await });
        for watcher in [&watcher, &holder] {
            until(watcher, &format!("select pg_blocking_pids({waits})"), &format!("{{{holds}}}")).await;
        }
        assert_eq!(
            one(&watcher, "select state from pg_stat_activity where application_name = 'holder'").await,
            "idle in transaction"
        );
        assert_eq!(one(&watcher, "select count(distinct gateway) from nunatak.sessions").await, "2");
        // From the other gateway, by the one that holds what it waits for.
        assert_eq!(one(&holder, &format!("select pg_cancel_backend({waits})")).await, "t");
        assert_eq!(blocked.await.expect("the task").0, SqlState::QUERY_CANCELED);
        assert_eq!(one(&watcher, &format!("select pg_terminate_backend({holds}, 5000)")).await, "t");
        assert!(holder.simple_query("select 1").await.is_err());
        // What was counted at one gateway is seen from the other, together.
        let counted = "select calls from pg_stat_statements where query = 'update t set n = $1 where a = $2'";
        run(&watcher, "update t set n = 9 where a = 1").await;
        assert_eq!(one(&watcher, counted).await, "2");
        run(&watcher, "set log_min_duration_statement = 0").await;
        run(&watcher, "select n from t where n > 4711").await;
    });
    let log = cluster.gateways[1].process.log();
    let slow = log.lines().find(|line| line.contains("a slow statement") && line.contains("select n from t"));
    let slow = slow.unwrap_or_else(|| panic!("no slow statement:\n{log}"));
    assert!(slow.contains("Scan") && !slow.contains("4711"), "{slow}");
}
