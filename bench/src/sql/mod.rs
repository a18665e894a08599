//! `nunatak-bench sql`: pgbench against every server in turn, round after round.
//!
//! Servers stay up for the whole run; a round visits each workload and, within it, each server, so that drift of the
//! machine meets all alike. All servers sync every commit to the same disk.

mod nunatak;
mod pgbench;
mod postgres;
mod process;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::failure::{Failure, Result};
use crate::figures::Figures;
use pgbench::Measured;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Three rounds of 5 s instead of five of 20 s.
    #[arg(long)]
    quick: bool,
    /// Also write the figures, tab-separated, to this file.
    #[arg(long, value_name = "FILE")]
    tsv: Option<PathBuf>,
    /// pgbench's scale factor: 100 000 accounts each.
    #[arg(long, default_value_t = 1)]
    scale: u32,
    /// Concurrent clients.
    #[arg(long, default_value_t = 8)]
    clients: u32,
    /// Rounds (default: 5, quick: 3).
    #[arg(long)]
    rounds: Option<u32>,
    /// Seconds of one measurement (default: 20, quick: 5).
    #[arg(long)]
    seconds: Option<u32>,
    /// Leave out the servers of three nodes and of synchronous standbys.
    #[arg(long)]
    single: bool,
    /// The nunatak binary (default: beside this one).
    #[arg(long, value_name = "FILE", env = "NUNATAK_BINARY")]
    binary: Option<PathBuf>,
}

/// What a server has done to its disk since it started.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DiskWork {
    pub(crate) fsyncs: f64,
    pub(crate) bytes_written: f64,
}

/// A database under measurement.
pub(crate) trait Server {
    fn name(&self) -> &'static str;
    fn port(&self) -> u16;
    fn disk_work(&self) -> Result<DiskWork>;
}

/// A pgbench script with its way of sending statements.
struct Workload {
    name: &'static str,
    arguments: &'static [&'static str],
}

const WORKLOADS: &[Workload] = &[
    Workload { name: "select_prepared", arguments: &["-S", "-M", "prepared"] },
    Workload { name: "select_simple", arguments: &["-S", "-M", "simple"] },
    Workload { name: "tpcb_prepared", arguments: &["-M", "prepared"] },
    Workload { name: "tpcb_simple", arguments: &["-M", "simple"] },
];

/// Server and peer of each ratio that is printed.
const PEERS: &[(&str, &str)] = &[("nunatak-1", "postgres"), ("nunatak-3", "postgres-sync")];

type Table = BTreeMap<(&'static str, &'static str), BTreeMap<&'static str, Figures>>;

/// Runs the benchmark and prints its table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = nunatak::binary(options.binary.as_deref())?;
    let folder =
        tempfile::tempdir().map_err(|source| Failure::File { path: std::env::temp_dir(), source })?;
    let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { 5 });
    let seconds = options.seconds.unwrap_or(if options.quick { 5 } else { 20 });

    let mut servers: Vec<Box<dyn Server>> = vec![Box::new(nunatak::Single::start(&binary, folder.path())?)];
    match postgres::programs() {
        Some(programs) => {
            servers.push(Box::new(postgres::Postgres::start(
                &programs,
                folder.path(),
                postgres::Standbys::None,
            )?));
            if !options.single {
                let standbys = postgres::Standbys::TwoSynchronous;
                servers.push(Box::new(postgres::Postgres::start(&programs, folder.path(), standbys)?));
            }
        }
        None => eprintln!("PostgreSQL 15 is not installed: Nunatak alone is measured"),
    }
    if !options.single {
        servers.push(Box::new(nunatak::Cluster::start(&binary, folder.path())?));
    }

    println!(
        "scale {}, {} clients, {rounds} rounds of {seconds} s, fsync on everywhere",
        options.scale, options.clients
    );
    for server in &servers {
        eprintln!("loading {}", server.name());
        pgbench::load(server.port(), options.scale)?;
    }
    let mut table = Table::new();
    for round in 1..=rounds {
        for workload in WORKLOADS {
            for server in &servers {
                eprintln!("round {round}/{rounds}: {} on {}", workload.name, server.name());
                let before = server.disk_work()?;
                let measured =
                    pgbench::run(server.port(), workload.arguments, options.clients, seconds, folder.path())?;
                let after = server.disk_work()?;
                enter(&mut table, workload.name, server.name(), &measured, before, after);
            }
        }
    }
    print!("{}", report(&table));
    if let Some(path) = &options.tsv {
        #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
        fs::write(path, tsv(&table)).map_err(|source| Failure::File { path: path.clone(), source })?;
    }
    Ok(())
}

fn enter(
    table: &mut Table,
    workload: &'static str,
    server: &'static str,
    measured: &Measured,
    before: DiskWork,
    after: DiskWork,
) {
    let transactions = measured.transactions.max(1.0);
    let row = table.entry((workload, server)).or_default();
    for (figure, value) in [
        ("tps", measured.tps),
        ("p50_ms", measured.p50_ms),
        ("p99_ms", measured.p99_ms),
        ("p999_ms", measured.p999_ms),
        ("fsyncs_per_txn", (after.fsyncs - before.fsyncs) / transactions),
        ("bytes_per_txn", (after.bytes_written - before.bytes_written) / transactions),
        ("failed", measured.failed),
    ] {
        row.entry(figure).or_default().add(value);
    }
}

fn median(table: &Table, workload: &'static str, server: &'static str, figure: &str) -> f64 {
    table.get(&(workload, server)).and_then(|row| row.get(figure)).map_or(f64::NAN, Figures::median)
}

fn report(table: &Table) -> String {
    let mut out = format!(
        "\n{:<16} {:<14} {:>9} {:>19} {:>8} {:>8} {:>8} {:>10} {:>10} {:>7}\n",
        "workload",
        "server",
        "tps",
        "(min … max)",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "fsyncs/txn",
        "bytes/txn",
        "failed"
    );
    for ((workload, server), row) in table {
        let figure = |name: &str| row.get(name).map_or(f64::NAN, Figures::median);
        let tps = row.get("tps").cloned().unwrap_or_default();
        out += &format!(
            "{workload:<16} {server:<14} {:>9.0} {:>19} {:>8.2} {:>8.2} {:>8.2} {:>10.3} {:>10.0} {:>7.0}\n",
            tps.median(),
            format!("({:.0} … {:.0})", tps.min(), tps.max()),
            figure("p50_ms"),
            figure("p99_ms"),
            figure("p999_ms"),
            figure("fsyncs_per_txn"),
            figure("bytes_per_txn"),
            figure("failed"),
        );
    }
    out += "\nratios of median tps\n";
    for workload in WORKLOADS {
        for (ours, peer) in PEERS {
            let ratio = median(table, workload.name, ours, "tps") / median(table, workload.name, peer, "tps");
            if ratio.is_finite() {
                out += &format!("{:<16} {ours} / {peer}: {ratio:.2}\n", workload.name);
            }
        }
    }
    out
}

fn tsv(table: &Table) -> String {
    let mut out = "workload\tserver\tfigure\tmedian\tmin\tmax\n".to_owned();
    for ((workload, server), row) in table {
        for (figure, values) in row {
            out += &format!(
                "{workload}\t{server}\t{figure}\t{}\t{}\t{}\n",
                values.median(),
                values.min(),
                values.max()
            );
        }
    }
    out
}
