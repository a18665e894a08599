//! Rows that leave memory: statements of every kind over more rows than they may hold answer what they answer where there is
//! room for all, leave no file behind, end when they are told to, and fail alone where the disk fails.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use env::disk::{Disk, Fault, MemoryDisk};
use nunatak_tests::clients::connect;
use nunatak_tests::embedded::Embedded;
use sql::{EngineOptions, TemporaryOptions};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

const SETUP: &str = "
    create table small (id int primary key, k int, t text);
    create table large (id int primary key, k int, t text);
    insert into small select g, case when g % 10 > 0 then g % 700 end, 'text ' || g % 97 from generate_series(1, 3000) g;
    insert into large select g, case when g % 11 > 0 then g * 7919 % 5000 end, repeat('t', 20) || g % 1000
    from generate_series(1, 20000) g;
    create schema brief;
    create table brief.small as select * from small where id <= 200;
    create table brief.large as select * from large where id <= 1000";

/// Statements that hold rows, by what holds them.
const STATEMENTS: &[(&str, &str)] = &[
    ("sort", "select id, k, t from large order by k desc nulls last, t, id"),
    ("sort, some", "select id from large order by t, id limit 7000"),
    ("inner join", "select a.id, b.id, b.t from large a join large b on a.k = b.id"),
    ("join, many partners", "select a.id, b.id from large a join small b on a.k = b.k where a.id < 9000"),
    (
        "one key",
        "select count(*), sum(a.id + b.id) from large a join small b on a.k / 100000 = b.k / 100000 where a.id < 100",
    ),
    ("left join", "select a.id, b.id from large a left join large b on a.k = b.id and b.id % 3 = 0"),
    ("right join", "select a.id, b.id from small a right join large b on a.k = b.k and a.id > 1500"),
    ("full join", "select a.id, b.id, a.t from large a full join large b on a.k = b.id + 15000"),
    (
        "semi join",
        "select id from large a where exists (select from large b where b.k = a.id and b.t <> a.t)",
    ),
    ("semi join, keys alone", "select id from large a where k in (select id * 2 from large)"),
    (
        "anti join",
        "select id from large a where not exists (select from large b where b.k = a.id and b.id > 100)",
    ),
    ("not in", "select id from large where k not in (select k from small where k is not null)"),
    ("group by", "select k, count(*), sum(id), min(t), max(id % 13) from large group by k"),
    ("group by, all", "select id, t, count(*) from large group by id, t having count(*) = 1"),
    ("grouping sets", "select k, t, grouping(k, t), count(*), sum(id) from large group by cube(k, t)"),
    (
        "distinct values of grouping sets",
        "select k % 9, id % 7, count(distinct id), count(distinct t) from large group by rollup(1, 2)",
    ),
    (
        "within group",
        "select k, percentile_disc(0.5) within group (order by id) from large group by k order by k",
    ),
    ("distinct values", "select count(distinct t), sum(distinct k), count(distinct id) from large"),
    (
        "distinct values of groups",
        "select k % 9, count(distinct id), string_agg(distinct t, ',' order by t desc) from large group by 1",
    ),
    ("distinct", "select distinct k, t from large"),
    ("distinct on", "select distinct on (t) t, id from large order by t, id desc"),
    ("union", "select k, t from large union select k, t from small union select id, t from large"),
    ("intersect", "select k from large intersect select id from large"),
    ("intersect all", "select k % 3000 from large intersect all select k from large"),
    ("except", "select id, t from large except select k, t from large"),
    ("except all", "select k from large except all select k from small"),
    ("with", "with w as materialized (select * from large) select a.id, b.t from w a join w b on a.id = b.k"),
    ("row_number", "select id, row_number() over (order by t, id), rank() over (order by t) from large"),
    ("running sums", "select id, sum(id) over (order by k, id rows unbounded preceding) from large"),
    ("groups of a window", "select id, sum(id) over (order by t), count(*) over (order by t) from large"),
    (
        "whole partitions",
        "select id, sum(id) over (partition by k % 2), first_value(t) over (partition by k % 2 order by id) from large",
    ),
];

async fn rows(client: &Client, sql: &str) -> Result<Vec<String>, SqlState> {
    let messages = client.simple_query(sql).await;
    let messages = messages.map_err(|error| error.code().cloned().expect("an error of the server"))?;
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let values = (0..row.len()).map(|place| row.get(place).unwrap_or("∅"));
            Some(values.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    Ok(messages.iter().filter_map(row).collect())
}

fn small(temporary: TemporaryOptions) -> EngineOptions {
    EngineOptions { statement_bytes_max: 6 << 20, temporary: Some(temporary), ..EngineOptions::default() }
}

/// Whether the rows have an order: ORDER BY stands outside of all parentheses.
fn is_ordered(sql: &str) -> bool {
    let mut depth = 0;
    let outside = sql.chars().filter(|character| {
        depth += i32::from(*character == '(') - i32::from(*character == ')');
        depth == 0
    });
    outside.collect::<String>().contains("order by")
}

/// The files in a directory; none if there is no directory.
fn files(folder: &Path) -> Vec<String> {
    env::disk::RealDisk::new().list(folder).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_answer_the_same_however_much_they_may_hold() {
    let mut cluster = Embedded::start().await;
    let large = connect(&cluster.url()).await;
    large.batch_execute(SETUP).await.expect("tables");
    let folder = cluster.temporary(0, None).folder;
    let mut others = vec![("6 MB".to_owned(), small(cluster.temporary(1 << 30, None)))];
    // A statement by itself may hold more than the gateway has.
    let temporary = Some(cluster.temporary(1 << 30, None));
    let options = EngineOptions { memory_bytes_max: 8 << 20, temporary, ..EngineOptions::default() };
    others.push(("8 MB of all".to_owned(), options));
    for seed in 0..2 {
        let temporary = Some(cluster.temporary(1 << 30, Some(seed)));
        others.push((format!("forced {seed}"), EngineOptions { temporary, ..EngineOptions::default() }));
    }
    let mut spilled = Vec::new();
    for (name, options) in others {
        let client = connect(&cluster.add_gateway(options).await).await;
        // Where every few rows go to a file, few rows do.
        let path =
            if name.starts_with("forced") { "set search_path = brief" } else { "set search_path = public" };
        for session in [&large, &client] {
            session.batch_execute(path).await.expect("a path");
        }
        for (kind, sql) in STATEMENTS {
            let mut right = rows(&large, sql).await.expect("an answer");
            let started = Instant::now();
            let mut answer =
                rows(&client, sql).await.unwrap_or_else(|code| panic!("{name}, {kind}: {code:?}"));
            println!("{name}, {kind}: {} rows, {:?}", answer.len(), started.elapsed());
            if !is_ordered(sql) {
                right.sort_unstable();
                answer.sort_unstable();
            }
            assert!(right == answer, "{name}, {kind}: {} rows, not {}", answer.len(), right.len());
            if spilled.len() < STATEMENTS.len() {
                let explained = rows(&client, &format!("explain analyze {sql}")).await.expect("a plan");
                spilled.push((kind, explained.iter().any(|line| line.starts_with("Temporary Files: "))));
            }
            assert_eq!(files(&folder), Vec::<String>::new(), "{name}, {kind}");
        }
    }
    let in_memory: Vec<_> = spilled.iter().filter(|(_, spilled)| !spilled).map(|(kind, _)| kind).collect();
    assert!(in_memory.len() * 3 < spilled.len(), "stay in memory: {in_memory:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_ends_at_the_bound_and_when_it_is_told_to() {
    let mut cluster = Embedded::start().await;
    connect(&cluster.url()).await.batch_execute(SETUP).await.expect("tables");
    let bounded = small(cluster.temporary(1 << 20, None));
    let client = connect(&cluster.add_gateway(bounded).await).await;
    let sort = "select * from large a, generate_series(1, 3) g order by a.t, g, a.id";
    for _ in 0..2 {
        assert_eq!(rows(&client, sort).await, Err(SqlState::CONFIGURATION_LIMIT_EXCEEDED));
        assert_eq!(rows(&client, "select 1").await.expect("the session goes on"), ["1"]);
    }
    let nowhere = EngineOptions { statement_bytes_max: 8 << 20, ..EngineOptions::default() };
    let client = connect(&cluster.add_gateway(nowhere).await).await;
    assert_eq!(rows(&client, sort).await, Err(SqlState::OUT_OF_MEMORY));

    let forced =
        EngineOptions { temporary: Some(cluster.temporary(1 << 30, Some(1))), ..EngineOptions::default() };
    let client = connect(&cluster.add_gateway(forced).await).await;
    client.batch_execute("set statement_timeout = '200ms'").await.expect("a timeout");
    for (kind, sql) in [
        ("sort", "select * from large a, generate_series(1, 300) g order by a.t, g"),
        ("group by", "select a.t, g, count(*) from large a, generate_series(1, 300) g group by a.t, g"),
        (
            "join",
            "select a.id from large a join (select k + g n from large, generate_series(1, 300) g) b on a.id = b.n",
        ),
        ("except", "select id from large except select g from generate_series(1, 100000000) g"),
        (
            "with",
            "with w as materialized (select id + g n from large, generate_series(1, 900) g) select count(*) from w a, w b",
        ),
    ] {
        let started = Instant::now();
        assert_eq!(rows(&client, sql).await, Err(SqlState::QUERY_CANCELED), "{kind}");
        assert!(started.elapsed() < Duration::from_secs(3), "{kind}: {:?}", started.elapsed());
    }
    assert_eq!(files(&cluster.temporary(0, None).folder), Vec::<String>::new());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_ends_the_statement_alone() {
    let mut cluster = Embedded::start().await;
    connect(&cluster.url()).await.batch_execute(SETUP).await.expect("tables");
    let disk = MemoryDisk::new();
    disk.create_dir_all(Path::new("/temporary")).expect("a directory");
    let temporary = TemporaryOptions {
        disk: Arc::new(disk.clone()),
        folder: "/temporary".into(),
        bytes_max: 1 << 30,
        forced: None,
    };
    let client = connect(&cluster.add_gateway(small(temporary)).await).await;
    let statements = [
        "select count(*) from (select id, t from large order by t, id) s",
        "select count(*) from large a join large b on a.k = b.id and a.t <> b.t",
        "select count(*) from (select id, t, count(*) from large group by id, t) s",
        "with w as materialized (select * from large) select count(*) from w a join w b using (id)",
    ];
    let mut failed = 0;
    for sql in statements {
        let before = disk.io_calls();
        let right = rows(&client, sql).await.expect("an answer");
        let calls = disk.io_calls() - before;
        assert!(calls > 4, "{sql}: {calls} calls");
        for step in (0..calls).step_by((calls / 12).max(1) as usize) {
            for kind in [std::io::ErrorKind::Other, std::io::ErrorKind::StorageFull] {
                disk.fault_at(disk.io_calls() + step, Fault::Error(kind));
                match rows(&client, sql).await {
                    Ok(answer) => assert_eq!(answer, right, "{sql}"),
                    Err(code) => {
                        let expected = if kind == std::io::ErrorKind::Other { "58030" } else { "53100" };
                        assert_eq!(code.code(), expected, "{sql}, call {step}");
                        failed += 1;
                    }
                }
                disk.clear_faults();
                assert_eq!(rows(&client, "select 1").await.expect("the session goes on"), ["1"]);
            }
        }
        assert_eq!(rows(&client, sql).await.expect("an answer"), right, "{sql}");
    }
    println!("{failed} statements failed");
    assert!(failed > 40);
    cluster.stop().await;
}
