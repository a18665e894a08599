//! EXPLAIN ANALYZE: what it says that the steps of a plan have done is what they have done, whatever kind they are of.

use nunatak_tests::clients::{connect, rows, run};
use nunatak_tests::embedded::Embedded;
use sql::EngineOptions;
use tokio_postgres::Client;

/// The lines of a plan that was run, without times and costs.
async fn analysed(client: &Client, sql: &str) -> Vec<String> {
    rows(client, &format!("explain (analyze, costs off, timing off, summary off) {sql}")).await
}

/// The rows and the runs of a step, from its line.
fn done(line: &str) -> (u64, u64) {
    let numbers = line.split_once("(actual rows=").and_then(|(_, done)| done.split_once(" loops="));
    let (rows, loops) = numbers.unwrap_or_else(|| panic!("a step that was run: {line}"));
    (rows.parse().expect("rows"), loops.trim_end_matches(')').parse().expect("loops"))
}

/// The first line that tells of such a step.
fn step<'l>(lines: &'l [String], what: &str) -> &'l str {
    let found = lines.iter().find(|line| line.contains(what) && line.contains(" ("));
    found.unwrap_or_else(|| panic!("{what} in {lines:#?}"))
}

const TABLES: &str = "
    create table t (id int primary key, k int, n int);
    create table u (id int primary key, k int, n int);
    create index u_k on u (k);
    insert into t select g, g % 10, g * 7 % 100 from generate_series(1, 100) g;
    insert into u select g, g % 20, g from generate_series(1, 200) g;
    analyze t, u;";

/// Statements of every kind of step.
const STATEMENTS: &[&str] = &[
    "select * from t",
    "select * from t where k = 3",
    "select * from t where id = 5",
    "select * from t where id in (1, 5, 900)",
    "select * from u where k = 7 and n > 100",
    "select * from t order by n, id",
    "select * from t order by n, id limit 7",
    "select * from t order by id desc limit 3 offset 2",
    "select * from t limit 0",
    "select k, count(*), sum(n) from t group by k",
    "select count(*) from t where k > 20",
    "select k, n, count(*) from t group by grouping sets ((k), (n), ())",
    "select distinct k from t",
    "select distinct on (k) k, n from t order by k, n desc",
    "select k, row_number() over (partition by k order by n) from t",
    "select * from t join u on t.k = u.k",
    "select * from t join u on t.id = u.n and t.n < u.id",
    "select * from t left join u on t.n = u.id + 150",
    "select * from t right join u on t.n = u.id + 50",
    "select * from t full join u on t.n = u.n",
    "select * from t, u where t.n > u.n + 80",
    "select * from t left join u on t.n > u.n + 80",
    "select * from t where exists (select 1 from u where u.n = t.n and u.id > 50)",
    "select * from t where not exists (select 1 from u where u.n = t.n and u.id > 50)",
    "select * from t where k not in (select k from u where id < 4)",
    "select * from t where exists (select 1 from u where u.n > t.n + 150)",
    "select id, (select count(*) from u where u.n > t.n) from t",
    "select id, (select max(n) from u) from t where n > (select avg(n) from u) / 2",
    "select * from t, lateral (select id from u where u.k = t.k order by id limit 2) l",
    "select * from t join u on u.id = t.n where t.id < 4",
    "select k from t union all select k from u",
    "select k from t union select k from u",
    "select k from t intersect select k from u",
    "select k from t intersect all select k from u",
    "select k from u except select k from t",
    "select k from u except all select k from t",
    "with w as materialized (select k, count(*) n from t group by k) select * from w a join w b on a.n = b.n",
    "with recursive r (n) as (select 1 union all select n + 1 from r where n < 20) select * from r",
    "with recursive r (n) as (select 1 union select n % 7 + 1 from r) select * from r",
    "select generate_series(1, k) from t",
    "select * from generate_series(1, 50) g where g % 7 = 0",
    "values (1), (2), (3)",
    "select relname from pg_class where relname = 't'",
    "select * from t where k = 3 for update",
    "select t.id from t join u on u.id = t.n where u.k < 5 for update of t",
    "select id from t order by n, id limit 4 for update skip locked",
    "with w as (update t set n = n where k = 4 returning id) select * from w",
    "insert into t select g, 0, 0 from generate_series(1001, 1010) g returning id",
    "insert into t values (1, 0, 0), (2000, 0, 0) on conflict do nothing returning id",
    "update t set n = u.n from u where u.id = t.n and u.k < 5 returning t.id",
    "delete from t using u where u.id = t.n and u.k < 5 returning t.id",
    "delete from t where k = 9 returning id",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_top_has_made_the_rows_that_are_answered_and_every_step_tells_of_itself() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, TABLES).await;
    for sql in STATEMENTS {
        run(&client, "begin").await;
        let answered = rows(&client, sql).await.len() as u64;
        run(&client, "rollback; begin").await;
        let lines = analysed(&client, sql).await;
        run(&client, "rollback; begin").await;
        let (made, loops) = done(&lines[0]);
        assert_eq!((made, loops), (answered, 1), "{sql}: {lines:#?}");
        for line in lines.iter().filter(|line| line.trim_start().starts_with("->  ")) {
            assert!(line.contains("(actual rows=") || line.contains("(never executed)"), "{sql}: {line}");
        }
        // The same as a document, with all that can be told.
        let options = "analyze, verbose, buffers, format json";
        let document = rows(&client, &format!("explain ({options}) {sql}")).await.join("\n");
        run(&client, "rollback").await;
        let document: serde_json::Value =
            serde_json::from_str(&document).unwrap_or_else(|error| panic!("{sql}: {error} in {document}"));
        let plan = &document[0]["Plan"];
        assert_eq!(plan["Actual Rows"].as_u64(), Some(answered), "{sql}: {document:#}");
        assert!(plan["Plan Rows"].is_number() && plan["Total Cost"].is_number(), "{sql}: {document:#}");
        assert!(document[0]["Execution Time"].is_number(), "{sql}: {document:#}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_steps_have_done_is_told_of_each_run() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    run(&client, TABLES).await;
    let has = |lines: &[String], line: &str| lines.iter().any(|own| own.trim() == line);
    let lines = analysed(&client, "select * from t where k = 3").await;
    assert!(has(&lines, "Rows Removed by Filter: 90"), "{lines:#?}");
    let lines = analysed(&client, "select * from t, u where t.id = 1 and t.n > u.n").await;
    assert!(lines.iter().any(|line| line.contains("Rows Removed by Join Filter: 194")), "{lines:#?}");
    let lines = analysed(&client, "select * from t order by n").await;
    assert!(lines.iter().any(|line| line.contains("Sort Method: in memory  Memory: ")), "{lines:#?}");
    let lines = analysed(&client, "select * from t limit 0").await;
    assert!(step(&lines, "Seq Scan on t").ends_with(" (never executed)"), "{lines:#?}");
    // A subquery that depends on the row is run for each, one that does not once.
    let lines =
        analysed(&client, "select * from t where exists (select 1 from u where u.n > t.n + 150)").await;
    assert_eq!(done(step(&lines, " on u")).1, 100, "{lines:#?}");
    let lines = analysed(&client, "select * from t where k not in (select k from u where id < 4)").await;
    assert_eq!(done(step(&lines, " on u")).1, 1, "{lines:#?}");
    let lines = analysed(
        &client,
        "select * from t, lateral (select id from u where u.k = t.k order by id limit 2) l",
    )
    .await;
    assert_eq!(done(step(&lines, "->  Limit")), (2, 100), "{lines:#?}");
    // Those of a few are looked up together, and each counts.
    let lines = analysed(&client, "select * from t join u on u.id = t.n where t.id in (1, 2, 3)").await;
    assert_eq!(done(step(&lines, " on u")), (1, 3), "{lines:#?}");
    // So do those that lead to many rows each, by an index.
    let by_index = "select * from t join u on u.k = t.k and u.n > 100 where t.id in (1, 2, 3)";
    let lines =
        rows(&client, &format!("explain (analyze, buffers, costs off, timing off, summary off) {by_index}"))
            .await;
    assert_eq!(done(step(&lines, "using u_k on u")), (5, 3), "{lines:#?}");
    assert!(has(&lines, "Rows Removed by Filter: 5"), "{lines:#?}");
    // The entries of all three in one request, and the rows that those lead to in another.
    assert!(lines.iter().any(|line| line.trim().starts_with("Reads: requests=2 values=60 ")), "{lines:#?}");
    // Rounds of a recursive query.
    let recursive =
        "with recursive r (n) as (select 1 union all select n + 1 from r where n < 20) select * from r";
    let lines = analysed(&client, recursive).await;
    assert_eq!(done(step(&lines, "WorkTable Scan")), (1, 20), "{lines:#?}");
    // A query of WITH is computed once for all that name it.
    let with = "with w as materialized (select k from t where k < 3) select * from w a, w b";
    let lines = analysed(&client, with).await;
    assert_eq!(done(step(&lines, "Seq Scan on t")), (30, 1), "{lines:#?}");
    // What changes rows answers none by itself, and has changed them.
    let lines = analysed(&client, "update t set n = -1 where k = 4").await;
    assert_eq!((done(&lines[0]), lines[0].starts_with("Update on t")), ((0, 1), true), "{lines:#?}");
    assert_eq!(rows(&client, "select count(*) from t where n = -1").await, ["10"]);
    // What is told beside.
    let lines = rows(&client, "explain (analyze, buffers) select * from t").await;
    let reads = lines.iter().find(|line| line.trim().starts_with("Reads: requests=")).expect("what was read");
    assert!(reads.contains(" values=100 "), "{lines:#?}");
    assert!(step(&lines, "Seq Scan on t").contains("  (cost=0.00..") && lines[0].contains("actual time="));
    for name in ["Planning Time: ", "Execution Time: "] {
        assert!(lines.iter().any(|line| line.starts_with(name) && line.ends_with(" ms")), "{lines:#?}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_others_hold_and_that_have_changed_are_counted() {
    let cluster = Embedded::start().await;
    let (here, there) = (connect(&cluster.url()).await, connect(&cluster.url()).await);
    run(&here, TABLES).await;
    run(&there, "begin; select from t where id <= 3 for update").await;
    for sql in [
        "select id from t where id <= 10 for update skip locked",
        "select t.id from t join u on u.id = t.id where t.id <= 10 for update of t skip locked",
    ] {
        let lines = analysed(&here, sql).await;
        assert_eq!(done(&lines[0]), (7, 1), "{lines:#?}");
        assert!(lines.iter().any(|line| line.trim() == "Rows Skipped: 3"), "{lines:#?}");
    }
    run(&there, "rollback").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_steps_have_put_aside_is_told_of_them() {
    let mut cluster = Embedded::start().await;
    run(
        &connect(&cluster.url()).await,
        "create table t as select g, g * 7919 % 30000 k, repeat('x', 40) x from generate_series(1, 30000) g",
    )
    .await;
    let temporary = Some(cluster.temporary(1 << 30, None));
    let options = EngineOptions { statement_bytes_max: 6 << 20, temporary, ..EngineOptions::default() };
    let client = connect(&cluster.add_gateway(options).await).await;
    for (sql, step) in [
        ("select * from t order by k, g", "Sort Method: external merge  Disk: "),
        ("select a.g, b.x from t a join t b on a.k = b.g", "  Disk Usage: "),
        ("select k, x, count(*) from t group by k, x", "  Disk Usage: "),
        ("select distinct k, x from t", "  Disk Usage: "),
    ] {
        let lines = analysed(&client, sql).await;
        assert_eq!(done(&lines[0]).1, 1, "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains(step)), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("Temporary Files: ")), "{lines:#?}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_many_rows_policies_hide_is_not_told() {
    let cluster = Embedded::start().await;
    let client = connect(&cluster.url()).await;
    let tables = "
        create role ann;
        create table t (id int primary key, owner name, secret text);
        create table friend (owner name primary key);
        insert into t select g, case when g % 4 = 0 then 'ann' else 'bob' end, 's' || g % 2 from generate_series(1, 40) g;
        insert into friend values ('ann');
        analyze t;
        grant all on t, friend to ann; grant usage on schema public to ann;
        alter table t enable row level security;
        create policy own on t using (owner = current_user);
        set role ann";
    run(&client, tables).await;
    let lines = analysed(&client, "select * from t where secret <> 's1'").await;
    assert_eq!(done(&lines[0]), (10, 1), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("Removed")), "{lines:#?}");
    let lines = rows(&client, "explain (analyze, buffers) select * from t").await;
    assert!(!lines.iter().any(|line| line.contains("Reads: ")), "{lines:#?}");
    // Nor is what ANALYZE has found of values.
    let taken =
        |line: &str| line.split_once(" rows=").map(|(_, rest)| rest.split(' ').next().map(str::to_owned));
    let common = rows(&client, "explain select * from t where secret = 's0'").await;
    let missing = rows(&client, "explain select * from t where secret = 'none'").await;
    assert_eq!(taken(&common[0]), taken(&missing[0]), "{common:#?} {missing:#?}");
    // What a policy asks of other tables comes after the scan: nothing below the top is told.
    let other = "reset role; drop policy own on t;
        create policy own on t using (exists (select 1 from friend f where f.owner = t.owner)); set role ann";
    run(&client, other).await;
    let lines = analysed(&client, "select count(*) from t").await;
    assert_eq!(done(&lines[0]), (1, 1), "{lines:#?}");
    assert!(
        !lines.iter().skip(1).any(|line| line.contains("actual") || line.contains("Removed")),
        "{lines:#?}"
    );
    run(&client, "reset role").await;
    let lines = analysed(&client, "select count(*) from t").await;
    assert_eq!(done(step(&lines, "Seq Scan on t")), (40, 1), "{lines:#?}");
    cluster.stop().await;
}
