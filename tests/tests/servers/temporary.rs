//! Temporary tables of a process that was killed: somebody finds what it kept, and gives it back.

use std::path::Path;
use std::time::{Duration, Instant};

use nunatak_tests::processes::{Listener, connect, psql, start_single_with};

fn await_within(seconds: u64, what: &str, server: &Listener, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}, after {seconds} s:\n{}", server.process.log());
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn reclaimed(server: &Listener) -> usize {
    server.process.log().matches("a dropped index is given back").count()
}

fn forgetful(folder: &Path) -> Listener {
    start_single_with(folder, &["--short-history", "--history", "2s"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_kept_is_given_back() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = forgetful(folder.path());
    let session = connect(&server.address).await;
    session.batch_execute("create table t (a int); insert into t values (1)").await.expect("a table");
    let statements = "create temp table t (a int primary key, b int unique); insert into t values (1, 1);
        create temp table u (id serial); insert into u default values";
    session.batch_execute(statements).await.expect("temporary tables");
    assert_eq!(psql(&server.address, "SELECT a FROM t").as_deref(), Ok("1"));
    server.process.kill();
    server.process.restart();
    server.await_sql();
    assert_eq!(psql(&server.address, "SELECT a FROM t").as_deref(), Ok("1"));
    let persistent = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'";
    assert_eq!(psql(&server.address, persistent).as_deref(), Ok("0"));
    // Those of a session that is there are none of them, however long it lasts.
    let session = connect(&server.address).await;
    session
        .batch_execute("create temp table own (a int); insert into own values (7)")
        .await
        .expect("a table");
    await_within(150, "what the process kept is not given up", &server, || {
        server.process.log().contains("the temporary tables of a gateway that is gone are given up")
    });
    // Two indexes, one, and a sequence.
    await_within(60, "four indexes are to be given back", &server, || reclaimed(&server) >= 4);
    let own = session.query_one("select a from own", &[]).await.expect("a row");
    assert_eq!(own.get::<_, i32>(0), 7);
    let before = reclaimed(&server);
    drop(session);
    await_within(60, "a session's own is to be given back", &server, || reclaimed(&server) > before);
    assert!(!server.process.log().contains("panicked"), "{}", server.process.log());
}
