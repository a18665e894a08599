//! Queues in tables: many workers take jobs by `FOR UPDATE SKIP LOCKED`, each job once, and none of their statements fails,
//! however transactions are isolated: rows that a statement passes over are no rows that it has read.

use std::collections::BTreeSet;
use std::time::Instant;

use nunatak_tests::clients::connect;
use nunatak_tests::embedded::Embedded;

const WORKERS: usize = 16;
const JOBS: usize = 800;

const TAKE: &str = "update jobs set state = 'done', taken = taken + 1 where id =
    (select id from jobs where state = 'new' order by prio limit 1 for update skip locked) returning id";

async fn every_job_once(isolation: &str, index: &str) {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    let setup = format!(
        "create table jobs (id int primary key, prio int not null, state text not null, taken int not null);
         insert into jobs select g, g * 7919 % 100, 'new', 0 from generate_series(1, {JOBS}) g; {index}"
    );
    client.batch_execute(&setup).await.expect("jobs");
    let began = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        let worker = connect(&cluster.url()).await;
        worker
            .batch_execute(&format!("set default_transaction_isolation = '{isolation}'"))
            .await
            .expect("a setting");
        workers.push(tokio::spawn(async move {
            let mut taken = Vec::new();
            loop {
                let rows = worker.query(TAKE, &[]).await.expect("no statement fails");
                match rows.first() {
                    Some(row) => taken.push(row.get::<_, i32>(0)),
                    None => break,
                }
            }
            taken
        }));
    }
    let (mut seen, mut count) = (BTreeSet::new(), 0);
    for worker in workers {
        let taken = worker.await.expect("a worker");
        count += taken.len();
        seen.extend(taken);
    }
    println!("{isolation}: {count} jobs by {WORKERS} workers in {:?}", began.elapsed());
    assert_eq!((count, seen.len()), (JOBS, JOBS), "{isolation}: jobs taken, different ones");
    let left = client.query("select from jobs where state <> 'done' or taken <> 1", &[]).await.expect("rows");
    assert_eq!(left.len(), 0, "{isolation}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_committed_with_an_index() {
    every_job_once("read committed", "create index on jobs (state, prio)").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serializable_with_an_index() {
    every_job_once("serializable", "create index on jobs (state, prio)").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeatable_read_with_an_index() {
    every_job_once("repeatable read", "create index on jobs (state, prio)").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serializable_without_an_index() {
    every_job_once("serializable", "").await;
}
