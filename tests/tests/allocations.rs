//! What a prepared statement over one row allocates, from its session down to the range and back, in one process.
//!
//! The bounds are what was reached and a little more: what makes a statement allocate more is to be seen here first.

#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use expr::Datum;
use nunatak_tests::embedded::Embedded;
use sql::{Engine, EngineOptions, Fetched, Prepared, Session, SessionParameters};

/// The system's allocator, with a count for each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is passed on as it came; a thread that ends counts no more.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One execution, as a series of Bind, Execute and Sync has it; what it allocated on this thread.
async fn execute(session: &mut Session, prepared: &Arc<Prepared>, values: &[i32]) -> u64 {
    let before = ALLOCATIONS.get();
    session.message_arrived();
    let values = values.iter().map(|value| Datum::Int4(*value)).collect();
    let mut portal = session.execute(prepared, values).await.expect("runs");
    loop {
        match session.fetch(&mut portal, 0).await.expect("an answer") {
            Fetched::Rows(_) => {}
            Fetched::Whole(..) | Fetched::Done(_) => break,
            other => panic!("{other:?}"),
        }
    }
    session.finish_implicit(false).await.expect("ends");
    drop(portal);
    ALLOCATIONS.get() - before
}

async fn run(session: &mut Session, sql: &str) {
    for statement in session.split(sql).await.expect("parses") {
        let prepared = session.prepare_once(statement).await.expect("binds");
        let mut portal = session.execute(&prepared, Vec::new()).await.expect("runs");
        while !matches!(
            session.fetch(&mut portal, 0).await.expect("an answer"),
            Fetched::Whole(..) | Fetched::Done(_)
        ) {}
    }
}

/// What most executions of a statement allocate, in the order of its executions.
async fn usual(session: &mut Session, sql: &str) -> u64 {
    let statement = session.split(sql).await.expect("parses").remove(0);
    let prepared = session.prepare(statement, &[]).await.expect("binds");
    let mut counts = Vec::new();
    for execution in 0..200 {
        let values = [execution % 100, execution];
        let values = values.get(..prepared.parameters().len()).expect("two at most");
        counts.push(execute(session, &prepared, values).await);
    }
    counts.sort_unstable();
    counts[counts.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prepared_statements_over_one_row_allocate_little() {
    let cluster = Embedded::start().await;
    let engine = Engine::new(cluster.client().await, EngineOptions::default());
    let user = "postgres".to_owned();
    let mut session =
        engine.session(SessionParameters { user, ..SessionParameters::default() }).expect("a session");
    run(
        &mut session,
        "create table t (a int primary key, b int, c char(84));
         create table h (a int, b int, c char(22));
         insert into t select n, 0, '' from generate_series(0, 99) n",
    )
    .await;
    let bounds = [
        ("select b from t where a = $1", 16),
        ("update t set b = b + $2 where a = $1", 62),
        ("insert into h (a, b) values ($1, $2)", 36),
    ];
    for (sql, most) in bounds {
        let count = usual(&mut session, sql).await;
        println!("{count} allocations: {sql}");
        assert!(count <= most, "{count} allocations, at most {most}: {sql}");
    }
    session.close().await;
    cluster.stop().await;
}
