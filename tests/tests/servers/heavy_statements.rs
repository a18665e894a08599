//! Heavy statements in the real binary: each hears its timeout, a cancel request and the end of its client, and none
//! starves what runs beside it.
//!
//! `NUNATAK_HEAVY_ROWS` sets the rows of the table (20 000), `NUNATAK_HEAVY_SECONDS` how long each kind of statement is
//! run four times over while others are probed (1). What is asserted leaves room for a busy machine; what is printed
//! is the measure.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use nunatak_tests::processes::{Listener, psql, start_single};
use tokio::runtime::Runtime;
use tokio_postgres::{CancelToken, Client, NoTls};

/// What each statement may take before it is to end.
const TIMEOUT: Duration = Duration::from_millis(100);

/// How long a statement may not listen.
const HEARD: Duration = Duration::from_millis(200);

/// How much later than that it may end. A millisecond or two, but for the machine and unoptimised builds.
const SLACK: Duration = Duration::from_millis(1500);

/// Statements that take far longer than [`TIMEOUT`], by kind.
const STATEMENTS: &[(&str, &str)] = &[
    ("scan", "select sum(a.x) from big a, generate_series(1, 100) g, generate_series(1, 100) h"),
    (
        "filter",
        "select count(*) from big a where exists (select from big b where b.t like '%' || a.t || 'z')",
    ),
    (
        "hash join, many partners",
        "select count(*) from big a join big b on a.x = b.x join big c on b.x = c.x",
    ),
    ("hash join, none returned", "select count(*) from big a join big b on a.x = b.x and a.t > b.t || 'z'"),
    ("nested loop", "select count(*) from big a join big b on a.id < b.x - 100000"),
    (
        "full join",
        "select count(*) from (select x, t from big, generate_series(1, 20)) a full join big b on a.x = b.x and a.t = b.t || 'z'",
    ),
    ("lateral", "select count(*) from big a, lateral (select count(*) from big b where b.x = a.x) s"),
    ("sort", "select * from big a, generate_series(1, 4) g order by a.t desc, g, a.id"),
    ("top", "select a.t from big a, generate_series(1, 100) g order by a.t desc, g limit 20000"),
    ("group by", "select a.t, g, count(*), sum(a.x) from big a, generate_series(1, 5) g group by a.t, g"),
    (
        "ordered aggregate",
        "select length(string_agg(a.t, ',' order by a.t desc)) from big a, generate_series(1, 4)",
    ),
    ("distinct", "select count(*) from (select distinct a.t, g from big a, generate_series(1, 9) g) s"),
    (
        "union",
        "select count(*) from (select t, g from big, generate_series(1, 4) g union select t, x from big) s",
    ),
    ("except", "select count(*) from (select t from big, generate_series(1, 50) except select t from big) s"),
    ("in", "select count(*) from big a, generate_series(1, 50) g where a.id + g in (select id from big)"),
    ("not in", "select count(*) from big a where a.t || 'z' not in (select t || a.x from big)"),
    (
        "array",
        "select cardinality(array(select g % 10 from big a, generate_series(1, 1000) g where g + a.x < 0))",
    ),
    ("unnest", "select count(*) from unnest(array_fill(1, array[900000])) a, generate_series(1, 99) g"),
    ("series", "select count(*) from generate_series(1, 1000000000)"),
    ("like", "select count(*) from big where repeat('x', 3000000) like '%y'"),
    ("ilike", "select count(*) from big where repeat('xY', 4000000) ilike '%z%z'"),
    ("regexp", "select count(*) from big where repeat('x', 1000000) ~ 'y$'"),
    (
        "regexp_replace",
        "select count(*) from big where regexp_replace(repeat('ab', 300000), 'a', 'c', 'g') = t",
    ),
    ("replace", "select count(*) from big where replace(repeat('ab', 300000), 'a', 'cd') = t"),
    (
        "arrays",
        "select array(select generate_series(1, 60000)) @> array(select 60001 - g from generate_series(1, 60000) g)",
    ),
    (
        "any",
        "select count(*) from big where x = any (array(select 2000000 + g from generate_series(1, 20000) g))",
    ),
    (
        "explain analyze",
        "explain analyze select count(*) from big a join big b on a.x = b.x join big c on b.x = c.x",
    ),
    ("insert", "insert into other select a.id * 1000 + g, a.x, a.t from big a, generate_series(1, 10) g"),
    ("update", "update big set x = (select count(*) from big b where b.x = big.x)"),
    ("delete", "delete from big where t not in (select t || big.x from big)"),
    ("create index", "create index on wide (t)"),
    ("copy to", "copy (select a.* from big a, generate_series(1, 1000)) to stdout"),
    ("numeric functions", "select factorial(32177) from generate_series(1, 1000000)"),
    ("logarithms", "select log(1 + 1e-16000, 2.0 + g) from generate_series(1, 1000000) g"),
];

/// Those that are long to write.
fn wide_statements() -> Vec<(&'static str, String)> {
    let list = |item: &dyn Fn(usize) -> String, between: &str, count: usize| {
        (0..count).map(item).collect::<Vec<_>>().join(between)
    };
    let ranges = (0..14).fold("x".to_owned(), |inner, level| match level {
        0 => format!("({inner} between 0 and 1)"),
        _ => format!("({inner} between false and true)"),
    });
    vec![
        (
            "numeric functions in one row",
            format!("select {}", list(&|i| format!("factorial(32177) + {i}"), ", ", 500)),
        ),
        (
            "wide condition",
            format!(
                "select count(*) from big where {}",
                list(&|i| format!("x = {}", 1000 + i), " or ", 3000)
            ),
        ),
        ("nested ranges", format!("select count(*) from big where {ranges} is null")),
        ("wide from", format!("select 1 from {}", list(&|i| format!("pg_class c{i}"), ", ", 900))),
        (
            "arguments of execute",
            format!(
                "prepare heavy (numeric) as select $1; execute heavy ({})",
                list(&|_| "factorial(32177)".to_owned(), " + ", 300)
            ),
        ),
        (WRONG, format!("select array[{}, true]", list(&|_| "1".to_owned(), ", ", 60_000))),
    ]
}

/// The kind that is refused for what it says (42804), but only at its end.
const WRONG: &str = "array with a wrong last item";

/// Those that are run four times over while others are probed.
const BESIDE: &[&str] = &[
    "scan",
    "hash join, many partners",
    "nested loop",
    "sort",
    "group by",
    "like",
    "insert",
    "copy to",
    "numeric functions",
    "wide from",
];

/// Those that are also cancelled, and left by their clients, in the short form.
const SAMPLED: &[&str] =
    &["scan", "hash join, many partners", "sort", "regexp_replace", "update", "create index", "copy to"];

/// Whether the long form was asked for.
fn is_long() -> bool {
    std::env::var_os("NUNATAK_HEAVY_SECONDS").is_some()
}

fn number(variable: &str, default: f64) -> f64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn connect(server: &Listener) -> Client {
    let (host, port) = server.address.rsplit_once(':').expect("host:port");
    let config = format!("host={host} port={port} user=postgres dbname=postgres");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// A server with a table `big`, an empty one beside it, and `wide`, whose index takes a while to build.
fn serve(folder: &std::path::Path) -> Listener {
    let server = start_single(folder);
    let rows = number("NUNATAK_HEAVY_ROWS", 20_000.0) as u64;
    for sql in [
        "create table big (id int primary key, x int, t text)".to_owned(),
        "create table other (id int primary key, x int, t text)".to_owned(),
        "create table wide (id int primary key, t text)".to_owned(),
        "create table point (id int primary key, v int)".to_owned(),
        "insert into point select g, g from generate_series(1, 1000) g".to_owned(),
        format!("insert into big select g, g % 100, 'row number ' || g from generate_series(1, {rows}) g"),
    ]
    .into_iter()
    .chain((0..8).map(|part| {
        format!("insert into wide select {part} * {rows} + g, 'wide ' || g from generate_series(1, {rows}) g")
    })) {
        psql(&server.address, &sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    server
}

/// Runs a statement to its end; COPY by its own protocol. The error's SQLSTATE.
async fn run(client: &Client, sql: &str) -> Result<(), String> {
    let state = |error: tokio_postgres::Error| {
        error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())
    };
    if !sql.starts_with("copy") {
        // Row by row, so that the test itself holds nothing.
        let mut rows = std::pin::pin!(client.simple_query_raw(sql).await.map_err(state)?);
        while let Some(message) = rows.next().await {
            message.map_err(state)?;
        }
        return Ok(());
    }
    let mut data = std::pin::pin!(client.copy_out(sql).await.map_err(state)?);
    while let Some(piece) = data.next().await {
        piece.map_err(state)?;
    }
    Ok(())
}

fn check(what: &str, outcomes: Vec<(&str, Result<(), String>, Duration)>) {
    let mut wrong = Vec::new();
    let mut times: Vec<Duration> = Vec::new();
    for (kind, outcome, after) in outcomes {
        println!("{what}: {kind}: {outcome:?} after {} ms", after.as_millis());
        // What ends by itself just then, or can only be waited for by then (a commit that is sent), is heard in time, too.
        let ended_just_then = outcome == Ok(()) && after <= TIMEOUT + HEARD;
        let refused = kind == WRONG && outcome == Err("42804".to_owned());
        let heard = (refused || outcome == Err("57014".to_owned())) && after <= TIMEOUT + SLACK;
        if !heard && !ended_just_then {
            wrong.push(format!("{kind}: {outcome:?} after {after:?}"));
        }
        times.push(after);
    }
    times.sort_unstable();
    println!("{what}: median {:?}, worst {:?}", times[times.len() / 2], times[times.len() - 1]);
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn heavy_statements_end_when_they_must_and_starve_nobody() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = serve(folder.path());
    let runtime = Runtime::new().expect("a runtime");
    let chosen = std::env::var("NUNATAK_HEAVY_KIND").ok();
    let all: Vec<(&str, String)> = STATEMENTS
        .iter()
        .map(|(kind, sql)| (*kind, (*sql).to_owned()))
        .chain(wide_statements())
        .filter(|(kind, _)| chosen.as_ref().is_none_or(|chosen| chosen.split('|').any(|one| one == *kind)))
        .collect();
    let statements: Vec<_> = all.iter().collect();

    let ended = runtime.block_on(async {
        let client = connect(&server).await;
        let mut outcomes = Vec::new();
        for (kind, sql) in &statements {
            let timeout = format!("set statement_timeout = '{}ms'", TIMEOUT.as_millis());
            client.batch_execute(&timeout).await.expect("a setting");
            let began = Instant::now();
            let outcome = run(&client, sql).await;
            outcomes.push((*kind, outcome, began.elapsed()));
        }
        outcomes
    });
    check("timeout", ended);

    // The other ways to end take the same path; all kinds go it in the long form.
    let some: Vec<_> = statements
        .iter()
        .filter(|(kind, _)| is_long() || chosen.is_some() || SAMPLED.contains(kind))
        .copied()
        .collect();
    let ended = runtime.block_on(async {
        let client = connect(&server).await;
        let token: CancelToken = client.cancel_token();
        let mut outcomes = Vec::new();
        for (kind, sql) in &some {
            let token = token.clone();
            let canceller = tokio::spawn(async move {
                tokio::time::sleep(TIMEOUT).await;
                token.cancel_query(NoTls).await
            });
            let began = Instant::now();
            let outcome = run(&client, sql).await;
            outcomes.push((*kind, outcome, began.elapsed()));
            canceller.await.expect("the canceller ends").expect("a cancel request");
        }
        outcomes
    });
    check("cancel", ended);

    runtime.block_on(clients_that_hang_up(&server, &some));
    runtime.block_on(beside_four(&server, &statements));
}

/// The number of connections, as the server counts them.
fn connections(server: &Listener) -> u64 {
    let page = get(&server.http, "/metrics");
    let line = page.lines().find(|line| line.starts_with("nunatak_sql_connections ")).expect("the metric");
    line.split(' ').nth(1).and_then(|number| number.parse::<f64>().ok()).expect("a number") as u64
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

async fn clients_that_hang_up(server: &Listener, statements: &[&(&str, String)]) {
    let mut worst = Duration::ZERO;
    for (kind, sql) in statements {
        let before = connections(server);
        let (host, port) = server.address.rsplit_once(':').expect("host:port");
        let config = format!("host={host} port={port} user=postgres dbname=postgres");
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await.expect("a connection");
        let connection = tokio::spawn(connection);
        let sql = sql.clone();
        let running = tokio::spawn(async move { drop(run(&client, &sql).await) });
        tokio::time::sleep(TIMEOUT).await;
        running.abort();
        connection.abort();
        let hung_up = Instant::now();
        while connections(server) > before {
            assert!(
                hung_up.elapsed() < SLACK,
                "{kind}: goes on {:?} after its client hung up",
                hung_up.elapsed()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        worst = worst.max(hung_up.elapsed());
    }
    println!("client gone: every statement ended, the last {worst:?} later");
}

/// Four of each kind at once, and how long others wait meanwhile.
async fn beside_four(server: &Listener, statements: &[&(&str, String)]) {
    let seconds = number("NUNATAK_HEAVY_SECONDS", 1.0);
    let mut wrong = Vec::new();
    let idle = probe(server, Duration::from_secs_f64(seconds)).await;
    println!("beside nothing: {}", idle.shown());
    for (kind, sql) in statements.iter().filter(|(kind, _)| BESIDE.contains(kind)) {
        let ending = Arc::new(AtomicBool::new(false));
        let mut sessions = Vec::new();
        let mut tokens = Vec::new();
        for _ in 0..4 {
            let client = connect(server).await;
            tokens.push(client.cancel_token());
            let (ending, sql) = (ending.clone(), sql.clone());
            sessions.push(tokio::spawn(async move {
                while !ending.load(Ordering::Relaxed) {
                    let _ended_somehow = run(&client, &sql).await;
                }
            }));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let waits = probe(server, Duration::from_secs_f64(seconds)).await;
        println!("beside four of {kind}: {}", waits.shown());
        ending.store(true, Ordering::Relaxed);
        for session in sessions {
            while !session.is_finished() {
                for token in &tokens {
                    let _may_be_gone = token.cancel_query(NoTls).await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        if waits.median() > Duration::from_millis(50) || waits.p99() > Duration::from_millis(500) {
            wrong.push(format!("{kind}: {}", waits.shown()));
        }
    }
    assert!(wrong.is_empty(), "others wait beside heavy statements:\n{}", wrong.join("\n"));
}

/// How long probes took, by what was asked.
struct Waits(Vec<(&'static str, Vec<Duration>)>);

impl Waits {
    fn worst_of(&self, place: impl Fn(usize) -> usize) -> Duration {
        self.0.iter().map(|(_, waits)| waits[place(waits.len())]).max().expect("probes")
    }

    fn median(&self) -> Duration {
        self.worst_of(|count| count / 2)
    }

    fn p99(&self) -> Duration {
        self.worst_of(|count| count * 99 / 100)
    }

    fn shown(&self) -> String {
        let shown = |(what, waits): &(&str, Vec<Duration>)| {
            let ms = |wait: Duration| wait.as_secs_f64() * 1000.0;
            let (median, p99) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
            let worst = waits[waits.len() - 1];
            format!(
                "{what} p50 {:.1} p99 {:.1} max {:.1} ms ({})",
                ms(median),
                ms(p99),
                ms(worst),
                waits.len()
            )
        };
        self.0.iter().map(shown).collect::<Vec<_>>().join("; ")
    }
}

/// Asks small things one after the other for a while.
async fn probe(server: &Listener, period: Duration) -> Waits {
    let client = connect(server).await;
    let point = client.prepare("select v from point where id = $1").await.expect("a statement");
    let mut one = Vec::new();
    let mut reads = Vec::new();
    let mut health = Vec::new();
    let mut connects = Vec::new();
    let began = Instant::now();
    while began.elapsed() < period || one.is_empty() {
        let asked = Instant::now();
        client.simple_query("select 1").await.expect("an answer");
        one.push(asked.elapsed());
        let asked = Instant::now();
        client.query_one(&point, &[&7i32]).await.expect("a row");
        reads.push(asked.elapsed());
        let asked = Instant::now();
        assert!(get(&server.http, "/health").ends_with("ok\n"));
        health.push(asked.elapsed());
        if one.len() % 10 == 1 {
            let asked = Instant::now();
            drop(connect(server).await);
            connects.push(asked.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut waits = vec![("select 1", one), ("point", reads), ("/health", health), ("connect", connects)];
    waits.iter_mut().for_each(|(_, waits)| waits.sort_unstable());
    Waits(waits)
}

/// Copies a hundred lines of a megabyte each; how many were taken, or the SQLSTATE.
async fn copy_lines(client: &Client) -> Result<u64, String> {
    let mut sink = std::pin::pin!(client.copy_in("copy lines from stdin").await.expect("a copy"));
    let line = [vec![b'x'; 1 << 20], b"\n".to_vec()].concat();
    let mut sent = Ok(());
    for _ in 0..100 {
        sent = sink.send(bytes::Bytes::from(line.clone())).await;
        if sent.is_err() {
            break;
        }
    }
    let ended = match sent {
        Ok(()) => sink.finish().await,
        Err(error) => Err(error),
    };
    ended.map_err(|error| error.code().expect("an SQLSTATE").code().to_owned())
}

/// COPY FROM of long lines holds no two of them, and what is too large is refused early.
#[test]
fn memory_is_refused_and_given_back() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = serve(folder.path());
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = connect(&server).await;
        let refused = [
            ("54000", "select length(repeat('x', 1000000000))"),
            ("54000", "select length(regexp_replace(repeat('x', 100000), 'x', repeat('y', 100000), 'g'))"),
            ("54000", "select length(replace(repeat('x', 100000), 'x', repeat('y', 100000)))"),
            ("54000", "select length(concat(r, r, r)) from (select repeat('x', 100000000) r offset 0) s"),
            ("54000", "select length(r || r || r) from (select repeat('x', 100000000) r offset 0) s"),
            ("54000", "select cardinality(string_to_array(repeat(',', 100000000), ','))"),
            ("54000", "select cardinality(array_fill(1, array[100000000]))"),
            ("54000", "select length(('[' || repeat('1e131071,', 100000) || '1]')::jsonb::text)"),
            ("54000", "select length(('[' || repeat('1e-16383,', 100000) || '1]')::jsonb::text)"),
            ("54000", "select cardinality(('{' || repeat('1e131071,', 100000) || '1}')::numeric[])"),
            ("54000", "select cardinality(('{' || repeat('a,', 1000) || 'a}')::char(10485760)[])"),
            ("54000", "select cardinality(array_fill('x'::text, array[1000])::char(10485760)[])"),
            ("54000", "select length(array_fill(repeat('x', 1000000), array[1000])::text)"),
            ("53200", "select cardinality(array(select g from generate_series(1, 50000000) g))"),
            ("53200", "select length(string_agg(repeat('x', 1000), '')) from generate_series(1, 1000000)"),
        ];
        for (state, sql) in refused {
            assert_eq!(run(&client, sql).await, Err(state.to_owned()), "{sql}");
        }
        // What is sorted goes to files before it is too much.
        let sort = "select repeat('x', 1000000) || g from generate_series(1, 400) g order by 1";
        run(&client, &format!("select count(*) from ({sort}) s")).await.expect("a count");
        // So does what is grouped, once what the groups keep is too much.
        let greatest = "select max(repeat('x', 1000000) || g) m from generate_series(1, 2500) g group by g";
        run(&client, &format!("select count(m) from ({greatest}) s")).await.expect("a count");
        // Large rows are made as they are sent.
        run(&client, "select repeat('x', 1000000) from generate_series(1, 300)").await.expect("rows");
        // Copies of 40 MB lines, of which no two are held at once.
        client.batch_execute("create table t (a int) partition by range (a)").await.unwrap_err();
        client.batch_execute("create table lines (t text)").await.expect("a table");
        // More than memory is to hold goes to the disks before the end; behind a savepoint it cannot.
        assert_eq!(copy_lines(&client).await, Ok(100));
        client.batch_execute("begin; savepoint s").await.expect("a savepoint");
        assert_eq!(copy_lines(&client).await, Err("54000".to_owned()));
        client.batch_execute("rollback").await.expect("the end of the block");
        let count: i64 = client.query_one("select count(*) from lines", &[]).await.expect("a count").get(0);
        assert_eq!(count, 100);
        // NUL bytes are refused, by whatever door.
        let mut sink = std::pin::pin!(client.copy_in("copy lines from stdin").await.expect("a copy"));
        let _may_be_refused_already = sink.send(bytes::Bytes::from_static(b"a\\000b\n")).await;
        let error = sink.finish().await.expect_err("a NUL byte");
        assert_eq!(error.code().map(|code| code.code()), Some("22021"), "{error}");
    });
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", server.process.id())).expect("the process lives");
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its peak");
    let peak =
        peak.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024;
    println!("peak of resident memory: {peak} MiB");
    assert!(peak < 2048, "{peak} MiB");
}
