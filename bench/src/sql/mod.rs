//! `nunatak-bench sql`: pgbench and sysbench against every server in turn, round after round.
//!
//! Servers stay up for the whole run; a round visits each row of the table and, within it, each server, so that drift of
//! the machine meets all alike. All servers sync every commit to the same disk.

mod hot_row;
mod micro;
mod nunatak;
mod pgbench;
mod postgres;
mod queue;
mod report;
mod sysbench;
mod workload;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cluster::{DiskWork, binary};
use crate::failure::{Failure, Result};
use crate::figures::Figures;
use crate::processor;
pub(crate) use nunatak::{Cluster, Single};
pub(crate) use pgbench::{command as pgbench_command, load as load_pgbench, number_after};
pub(crate) use postgres::{Postgres, Standbys, programs as postgres_programs};
pub(crate) use workload::Isolation;
use workload::{Mark, Measured, Row, Run, Tool};

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Single statements over a table of a million rows instead, on one node and PostgreSQL alone
    #[arg(long)]
    micro: bool,
    /// One round of 3 s instead of five of 10 s
    #[arg(long)]
    quick: bool,
    /// Also write the tables, as Markdown, to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Also write the figures, tab-separated, to this file
    #[arg(long, value_name = "FILE")]
    tsv: Option<PathBuf>,
    /// Only rows whose name contains one of these, such as `-S prepared/8`, TPC-B, sysbench, or row's
    #[arg(long, value_name = "TEXT,…", value_delimiter = ',', allow_hyphen_values = true)]
    rows: Vec<String>,
    /// Only these servers
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = SERVERS)]
    servers: Vec<String>,
    /// pgbench's scale factor: 100 000 accounts each
    #[arg(long, default_value_t = 5)]
    scale: u32,
    /// Rows of each of sysbench's four tables
    #[arg(long, default_value_t = 100_000)]
    sysbench_rows: u32,
    /// How isolated transactions are, on every server, where a row does not say
    #[arg(long, value_enum, default_value_t = Isolation::Default)]
    isolation: Isolation,
    /// Rounds (default: 5, quick: 1)
    #[arg(long)]
    rounds: Option<u32>,
    /// Seconds of one measurement (default: 10, quick: 3)
    #[arg(long)]
    seconds: Option<u32>,
    /// The nunatak binary (default: beside this one)
    #[arg(long, value_name = "FILE", env = "NUNATAK_BINARY")]
    binary: Option<PathBuf>,
}

/// What a process of a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It has data, and maybe sessions.
    Storage,
    /// It has sessions alone.
    Gateway,
}

/// A database under measurement.
pub(crate) trait Server {
    fn name(&self) -> &'static str;
    /// Where clients connect, now: at any of these.
    fn ports(&self) -> Result<Vec<u16>>;
    /// The processes whose trees it is.
    fn processes(&self) -> Vec<(Part, u32)>;
    fn disk_work(&self) -> Result<DiskWork>;
}

const SERVERS: [&str; 5] = ["nunatak-1", "nunatak-3", "nunatak-3-sql", "postgres", "postgres-sync"];

/// Server and peer of each ratio; a row has a mark for each.
const PAIRS: [(&str, &str); 3] =
    [("nunatak-1", "postgres"), ("nunatak-3", "postgres-sync"), ("nunatak-3-sql", "postgres-sync")];

/// Medians by row and server, then by figure.
type Outcomes = BTreeMap<(String, &'static str), BTreeMap<&'static str, Figures>>;

/// Runs the benchmark and prints its tables.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder =
        tempfile::tempdir().map_err(|source| Failure::File { path: std::env::temp_dir(), source })?;
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 5 });
    if options.micro {
        let table = micro::run(&binary(options.binary.as_deref())?, folder.path(), rounds)?;
        print!("{table}");
        return write(options.markdown.as_deref(), &table);
    }
    let seconds = options.seconds.unwrap_or(if options.quick { 3 } else { 10 });
    let rows = chosen_rows(options);
    let servers = start(options, folder.path())?;
    let mut heading = format!(
        "scale {}, {rounds} rounds of {seconds} s, isolation {:?}, fsync on everywhere",
        options.scale, options.isolation
    );
    println!("{heading}");
    let uses = |tool: fn(&Tool) -> bool| rows.iter().any(|row| tool(&row.tool));
    let (with_pgbench, with_hot_row) =
        (uses(|tool| matches!(tool, Tool::Pgbench(_))), uses(|tool| *tool == Tool::HotRow));
    for server in &servers {
        eprintln!("loading {}", server.name());
        let port = first(server.as_ref())?;
        if with_pgbench {
            pgbench::load(port, options.scale)?;
        }
        if with_hot_row {
            hot_row::load(port)?;
        }
    }
    heading.insert_str(0, "# SQL beside PostgreSQL 15\n\n");
    let mut outcomes = Outcomes::new();
    let mut tables = String::new();
    // What could not be measured leaves the rest as it is, and is told at the end.
    let mut failed = None;
    for round in 1..=rounds {
        // Its deletes of the last round have emptied the tables.
        for server in servers.iter().filter(|server| sysbench_runs_on(&rows, server.name())) {
            eprintln!("round {round}/{rounds}: loading sysbench's tables into {}", server.name());
            sysbench::load(first(server.as_ref())?, options.sysbench_rows)?;
        }
        for row in &rows {
            for server in servers.iter().filter(|server| runs_on(row, server.name())) {
                eprintln!("round {round}/{rounds}: {} on {}", row.name, server.name());
                let run = Run {
                    ports: &server.ports()?,
                    clients: row.clients,
                    seconds,
                    isolation: row.isolation.unwrap_or(options.isolation),
                    folder: folder.path(),
                    sysbench_rows: options.sysbench_rows,
                };
                if let Err(failure) = measure(&mut outcomes, row, server.as_ref(), &run) {
                    eprintln!("round {round}/{rounds}: {} on {}: {failure}", row.name, server.name());
                    failed = Some(failure);
                }
            }
        }
        // Whoever stops the rest keeps this.
        tables = report::markdown(&rows, &outcomes);
        write(options.markdown.as_deref(), &format!("{heading}\nAfter round {round}.\n{tables}"))?;
        write(options.tsv.as_deref(), &report::tsv(&outcomes))?;
    }
    print!("{tables}");
    failed.map_or(Ok(()), Err)
}

/// What so many clients of pgbench get done with a script of its, prepared.
pub(crate) fn run_script(
    port: u16,
    clients: u32,
    seconds: u32,
    folder: &Path,
    script: &Path,
) -> Result<Measured> {
    let run =
        Run { ports: &[port], clients, seconds, isolation: Isolation::Default, folder, sysbench_rows: 0 };
    pgbench::run(&run, &["-M", "prepared", "-f", &script.to_string_lossy()])
}

fn write(path: Option<&Path>, text: &str) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
    fs::write(path, text).map_err(|source| Failure::File { path: path.to_path_buf(), source })
}

fn chosen_rows(options: &Options) -> Vec<Row> {
    let mut rows = workload::rows();
    if !options.rows.is_empty() {
        rows.retain(|row| options.rows.iter().any(|text| row.name.contains(text)));
    }
    if rows.iter().any(|row| matches!(row.tool, Tool::Sysbench(_))) && !sysbench::is_installed() {
        eprintln!("sysbench is not installed (Debian: apt-get install sysbench): its rows are left out");
        rows.retain(|row| !matches!(row.tool, Tool::Sysbench(_)));
    }
    rows
}

/// Whether a row is measured on a server: some pair with it has not left it out.
fn runs_on(row: &Row, server: &str) -> bool {
    let mut pairs = PAIRS.iter().zip(row.marks);
    pairs.any(|((ours, peer), mark)| mark != Mark::Skipped && (server == *ours || server == *peer))
}

fn sysbench_runs_on(rows: &[Row], server: &str) -> bool {
    rows.iter().any(|row| matches!(row.tool, Tool::Sysbench(_)) && runs_on(row, server))
}

fn first(server: &dyn Server) -> Result<u16> {
    let ports = server.ports()?;
    ports.first().copied().ok_or(Failure::Missing { program: server.name().to_owned(), what: "port" })
}

fn start(options: &Options, folder: &Path) -> Result<Vec<Box<dyn Server>>> {
    let wanted =
        |name: &str| options.servers.is_empty() || options.servers.iter().any(|server| server == name);
    let mut servers: Vec<Box<dyn Server>> = Vec::new();
    if SERVERS.iter().any(|name| name.starts_with("nunatak") && wanted(name)) {
        let binary = binary(options.binary.as_deref())?;
        if wanted("nunatak-1") {
            servers.push(Box::new(nunatak::Single::start(&binary, folder)?));
        }
        if wanted("nunatak-3") {
            servers.push(Box::new(nunatak::Cluster::start(&binary, folder)?));
        }
        if wanted("nunatak-3-sql") {
            servers.push(Box::new(nunatak::SqlNodes::start(&binary, folder)?));
        }
    }
    for (name, standbys) in
        [("postgres", postgres::Standbys::None), ("postgres-sync", postgres::Standbys::TwoSynchronous)]
    {
        if !wanted(name) {
            continue;
        }
        match postgres::programs() {
            Some(programs) => servers.push(Box::new(postgres::Postgres::start(&programs, folder, standbys)?)),
            None => eprintln!("{name} is left out: PostgreSQL 15 is not installed (Debian: postgresql-15)"),
        }
    }
    Ok(servers)
}

fn measure(outcomes: &mut Outcomes, row: &Row, server: &dyn Server, run: &Run<'_>) -> Result<()> {
    let busy_us = |part: Part| -> f64 {
        let processes = server.processes();
        processes
            .iter()
            .filter(|process| process.0 == part)
            .map(|process| processor::tree_us(process.1))
            .sum()
    };
    Run { seconds: 1, ..*run }.measure(row.tool)?;
    let disk = server.disk_work()?;
    let busy = (busy_us(Part::Storage), busy_us(Part::Gateway));
    let measured = run.measure(row.tool)?;
    let busy = (busy_us(Part::Storage) - busy.0, busy_us(Part::Gateway) - busy.1);
    let disk_after = server.disk_work()?;
    let transactions = measured.transactions.max(1.0);
    let figures = outcomes.entry((row.name.clone(), server.name())).or_default();
    for (figure, value) in [
        ("tps", measured.tps),
        ("mean_ms", measured.mean_ms),
        ("p50_ms", measured.p50_ms),
        ("p99_ms", measured.p99_ms),
        ("failed", measured.failed),
        ("retried", measured.retried),
        ("cpu_us_per_txn", (busy.0 + busy.1) / transactions),
        ("gateway_cpu_us_per_txn", busy.1 / transactions),
        ("fsyncs_per_txn", (disk_after.fsyncs - disk.fsyncs) / transactions),
        ("bytes_per_txn", (disk_after.bytes_written - disk.bytes_written) / transactions),
    ] {
        figures.entry(figure).or_default().add(value);
    }
    Ok(())
}
