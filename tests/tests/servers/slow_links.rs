//! Large writes over slow and long links, in real processes: they get through, and small writers of the same range go on.
//!
//! `NUNATAK_SLOW_LINKS_LONG=1` adds a transaction of 60 MiB over 100 Mbit/s with 50 ms of delay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nunatak_tests::processes::{Cluster, connect, installed};
use nunatak_tests::throttle::Speed;
use tokio_postgres::Client;

/// Small writers beside the large one.
const WRITERS: usize = 4;

/// How long a small writer may wait.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Inserts row after row until told to stop; how long each took.
async fn write_small(client: Client, writer: usize, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let mut waits = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = (writer * 1_000_000 + number) as i32;
        let began = Instant::now();
        client.execute("insert into small values ($1, $1)", &[&key]).await.expect("a small row");
        waits.push(began.elapsed());
    }
    waits
}

/// Writes `rows` rows of `bytes` each in one transaction, small writers beside it.
fn write_large(name: &str, speed: Speed, rows: usize, bytes: usize) {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start_over(speed, folder.path(), 3, 1);
    let address = cluster.gateways[0].address.clone();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let large = connect(&address).await;
        large.batch_execute("create table small (k int primary key, v int)").await.expect("a table");
        large.batch_execute("create table large (k int primary key, v text)").await.expect("a table");
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            writers.push(tokio::spawn(write_small(connect(&address).await, writer, stop.clone())));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        large.batch_execute("begin").await.expect("a transaction");
        for row in 0..rows {
            let insert = format!("insert into large values ({row}, repeat('x', {bytes}))");
            large.batch_execute(&insert).await.expect("a large row");
        }
        large.batch_execute("commit").await.expect("the large transaction");
        let took = began.elapsed();
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.store(true, Ordering::Relaxed);
        let mut waits = Vec::new();
        for writer in writers {
            waits.extend(writer.await.expect("a writer"));
        }
        waits.sort();
        let (median, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
        println!(
            "{name}: {} MiB in {took:.1?}; meanwhile {} small writes, median {median:.0?}, longest {longest:.0?}",
            (rows * bytes).div_ceil(1 << 20),
            waits.len(),
        );
        let rows_found = large.query_one("select count(*) from large where length(v) > 0", &[]).await;
        assert_eq!(rows_found.expect("the rows").get::<_, i64>(0), rows as i64);
        assert!(longest <= WAIT_MAX, "a small writer waited {longest:?}");
    });
    println!("{}", cluster.check_consistency().expect("the replicas agree"));
}

#[test]
fn a_row_of_8_mib_passes_50_mbit_per_second() {
    let speed = Speed { bits_per_second: 50_000_000, delay: Duration::ZERO };
    write_large("8 MiB row, 50 Mbit/s", speed, 1, (8 << 20) - 1024);
}

#[test]
fn a_transaction_of_60_mib_passes_100_mbit_per_second_with_50_ms_of_delay() {
    if std::env::var_os("NUNATAK_SLOW_LINKS_LONG").is_none() {
        println!("skipped: NUNATAK_SLOW_LINKS_LONG is not set");
        return;
    }
    let speed = Speed { bits_per_second: 100_000_000, delay: Duration::from_millis(50) };
    write_large("60 MiB transaction, 100 Mbit/s, 50 ms", speed, 10, 6 << 20);
}
