//! `nunatak-bench doors`: single objects and pairs through each door of one durable node, beside point reads and writes of
//! SQL by pgbench, prepared, over rows like them.
//!
//! Clients run in a closed loop each. Those of the doors are in this process;
//! pgbench is one of its own, so that what its clients cost is not in the figures of this one.

mod graphql;
mod objects;
mod pairs;
mod rows;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use env::{clock, random, task};
use tokio::runtime::Runtime;

use crate::cluster::{address, binary};
use crate::failure::{Failure, Result};
use crate::figures::{Figures, percentile};
use crate::process::{Process, await_sql, free_port};

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// One round of 2 s instead of five of 5 s
    #[arg(long)]
    quick: bool,
    /// Also write the table, as Markdown, to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Concurrent clients
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,8,32")]
    clients: Vec<u32>,
    /// Keys that are read and overwritten
    #[arg(long, default_value_t = 10_000)]
    keys: u64,
    /// The nunatak binary (default: beside this one)
    #[arg(long, value_name = "FILE", env = "NUNATAK_BINARY")]
    binary: Option<PathBuf>,
}

/// What a client does, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Read,
    Write,
}

/// A client of a door. An error is text: it is counted and told.
#[async_trait]
trait Client: Send {
    async fn read(&mut self, key: u64) -> Result<(), String>;
    async fn write(&mut self, key: u64) -> Result<(), String>;
}

/// A door.
#[async_trait]
trait Door: Send + Sync {
    fn name(&self) -> &'static str;
    async fn connect(&self) -> Result<Box<dyn Client>, String>;
}

/// What clients got done.
#[derive(Debug, Clone, Copy)]
struct Done {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    failed: f64,
}

/// Medians by work, clients and door.
type Outcomes = BTreeMap<(Work, u32, &'static str), [Figures; 4]>;

/// A node with all its doors.
struct Server {
    sql: u16,
    objects: u16,
    kv: u16,
    graphql: u16,
    _process: Process,
}

impl Server {
    fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let (sql, objects, kv, graphql) = (free_port()?, free_port()?, free_port()?, free_port()?);
        let process = Process::start(
            Command::new(binary)
                .args(["start-single", "--listen", &address(sql), "--http", &address(free_port()?)])
                .args(["--objects", &address(objects), "--kv", &address(kv)])
                .args(["--graphql", &address(graphql), "--data"])
                .arg(folder.join("doors")),
            &folder.join("doors.log"),
        )?;
        await_sql("nunatak start-single", sql)?;
        Ok(Self { sql, objects, kv, graphql, _process: process })
    }
}

/// Runs the benchmark and prints its table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder =
        tempfile::tempdir().map_err(|source| Failure::File { path: std::env::temp_dir(), source })?;
    let (rounds, seconds) = if options.quick { (1, 2) } else { (5, 5) };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::Start { program: "the clients".to_owned(), source })?;
    let server = Server::start(&binary(options.binary.as_deref())?, folder.path())?;
    let doors: Vec<Arc<dyn Door>> = vec![
        Arc::new(objects::Objects::at(server.objects)),
        Arc::new(pairs::Pairs::at(server.kv)),
        Arc::new(graphql::GraphQl::at(server.graphql)),
    ];
    rows::load(server.sql, options.keys)?;
    for door in &doors {
        eprintln!("loading {}", door.name());
        runtime.block_on(fill(door.as_ref(), options.keys))?;
    }
    let heading = format!("{} keys, {rounds} rounds of {seconds} s, one node, fsync on", options.keys);
    println!("{heading}");
    let mut outcomes = Outcomes::new();
    for round in 1..=rounds {
        for work in [Work::Read, Work::Write] {
            for clients in &options.clients {
                eprintln!("round {round}/{rounds}: {work:?} by {clients}");
                let done = rows::run(server.sql, work, *clients, options.keys, seconds, folder.path())?;
                note(&mut outcomes, (work, *clients, "PostgreSQL's"), done);
                for door in &doors {
                    let done = measure(&runtime, door, work, *clients, options.keys, seconds)?;
                    note(&mut outcomes, (work, *clients, door.name()), done);
                }
            }
        }
    }
    let table = markdown(&outcomes);
    print!("{table}");
    if let Some(path) = &options.markdown {
        let page = format!("# The doors beside each other\n\n{heading}\n{table}");
        #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
        std::fs::write(path, page).map_err(|source| Failure::File { path: path.clone(), source })?;
    }
    Ok(())
}

fn note(outcomes: &mut Outcomes, place: (Work, u32, &'static str), done: Done) {
    let figures = outcomes.entry(place).or_default();
    let all = [done.per_second, done.p50_us, done.p99_us, done.failed];
    figures.iter_mut().zip(all).for_each(|(figures, value)| figures.add(value));
}

fn complaint(output: String) -> Failure {
    Failure::Program { program: "a client".to_owned(), output }
}

/// Writes every key once.
async fn fill(door: &dyn Door, keys: u64) -> Result<()> {
    let mut client = door.connect().await.map_err(complaint)?;
    for key in 0..keys {
        client.write(key).await.map_err(complaint)?;
    }
    Ok(())
}

fn measure(
    runtime: &Runtime,
    door: &Arc<dyn Door>,
    work: Work,
    clients: u32,
    keys: u64,
    seconds: u32,
) -> Result<Done> {
    runtime.block_on(async {
        let begun = clock::now();
        let end = begun + Duration::from_secs(u64::from(seconds));
        let running: Vec<_> = (0..clients)
            .map(|_| {
                let door = door.clone();
                task::spawn(async move { repeat(door.connect().await?, work, keys, end).await })
            })
            .collect();
        let (mut latencies, mut failed) = (Vec::new(), 0);
        for client in running {
            let ended = client.await.map_err(|error| complaint(error.to_string()))?;
            let (own, errors) = ended.map_err(complaint)?;
            latencies.extend(own);
            failed += errors;
        }
        let took = begun.elapsed().as_secs_f64();
        latencies.sort_by(f64::total_cmp);
        Ok(Done {
            per_second: latencies.len() as f64 / took,
            p50_us: percentile(&latencies, 0.5),
            p99_us: percentile(&latencies, 0.99),
            failed: f64::from(failed),
        })
    })
}

/// The latencies of what went well, in microseconds, and how much did not. An error that most ends with is one of this.
async fn repeat(
    mut client: Box<dyn Client>,
    work: Work,
    keys: u64,
    end: clock::Instant,
) -> Result<(Vec<f64>, u32), String> {
    let (mut latencies, mut failed) = (Vec::new(), 0_u32);
    let mut now = clock::now();
    while now < end {
        let key = random::below(keys);
        let outcome = match work {
            Work::Read => client.read(key).await,
            Work::Write => client.write(key).await,
        };
        let after = clock::now();
        match outcome {
            Ok(()) => latencies.push((after - now).as_secs_f64() * 1e6),
            Err(error) if latencies.len() <= failed as usize => return Err(error),
            Err(_) => failed += 1,
        }
        now = after;
    }
    Ok((latencies, failed))
}

fn markdown(outcomes: &Outcomes) -> String {
    let mut out = "\n| work | clients | door | per second | min … max | p50 µs | p99 µs | failed |\n\
        |---|--:|---|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for ((work, clients, door), [rate, p50, p99, failed]) in outcomes {
        // Writing to a string never fails.
        let _ = writeln!(
            out,
            "| {work:?} | {clients} | {door} | {:.0} | {:.0} … {:.0} | {:.0} | {:.0} | {:.0} |",
            rate.median(),
            rate.min(),
            rate.max(),
            p50.median(),
            p99.median(),
            failed.median()
        );
    }
    out
}
