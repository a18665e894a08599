//! Many sessions that update one row: they take turns, and what a turn costs does not grow with how many wait.
//!
//! `NUNATAK_HOT_ROW=all` has a thousand sessions wait too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nunatak_tests::processes::{connect, installed, psql, start_single};

/// How long each measurement takes.
const MEASURED: Duration = Duration::from_secs(4);

/// Updates per second by so many sessions; how many there were in all. None of them may fail.
async fn measure(address: &str, sessions: usize) -> (f64, u64) {
    let mut clients = Vec::new();
    for _ in 0..sessions {
        clients.push(connect(address).await);
    }
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for client in clients {
        let (stop, done) = (stop.clone(), done.clone());
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                client.batch_execute("update hot set v = v + 1 where k = 1").await.expect("an update");
                done.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, began) = (done.load(Ordering::SeqCst), Instant::now());
    tokio::time::sleep(MEASURED).await;
    let (after, took) = (done.load(Ordering::SeqCst), began.elapsed());
    stop.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.expect("no session fails");
    }
    ((after - before) as f64 / took.as_secs_f64(), done.load(Ordering::SeqCst))
}

#[test]
fn a_turn_at_a_hot_row_costs_no_more_the_more_sessions_wait() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let single = start_single(folder.path());
    psql(&single.address, "create table hot (k int primary key, v bigint)").expect("a table");
    psql(&single.address, "insert into hot values (1, 0)").expect("a row");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (few, mut updates) = runtime.block_on(measure(&single.address, 8));
    println!("8 sessions: {few:.0} updates/s");
    // What we want, and what fails the test: this machine may be busy with other tests.
    let mut measured = vec![(300, 0.7, 0.45)];
    if std::env::var("NUNATAK_HOT_ROW").is_ok_and(|form| form == "all") {
        measured.push((1000, 0.5, 0.3));
    }
    for (sessions, wanted, bound) in measured {
        let (many, more) = runtime.block_on(measure(&single.address, sessions));
        updates += more;
        let ratio = many / few;
        println!("{sessions} sessions: {many:.0} updates/s, {ratio:.2} of that (wanted: {wanted})");
        assert!(ratio >= bound, "{sessions} sessions reach {ratio:.2} of what 8 do");
    }
    let stored = psql(&single.address, "select v from hot").expect("the row");
    assert_eq!(stored, updates.to_string(), "each update counts once");
}
