//! `nunatak-bench tpcc`: the workload of TPC-C, by an implementation of our own, on Nunatak with one range and with many, and on
//! PostgreSQL 15 in the same run.
//!
//! All five transactions are run in the specification's mix, over its tables as it fills them, with prepared statements over
//! PostgreSQL's protocol; what it says of terminals' screens, of prices and of audits is left out, so that what is printed is
//! comparable within a run alone. Without `--think` nobody waits between transactions. The specification's consistency conditions
//! are checked after loading and in the end, and a run that breaks one fails.

mod cents;
mod chance;
mod consistency;
mod report;
mod schema;
mod terminal;
mod transactions;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::{DiskWork, binary};
use crate::failure::{Failure, Result};
use crate::processor;
use crate::sql::{Cluster, Isolation, Postgres, Server, Single, Standbys, postgres_programs};
use report::Outcome;
use terminal::Load;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Warehouses: about 500 000 rows each
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(i32).range(1..=1000))]
    warehouses: i32,
    /// Terminals, each with a connection (default: ten for each warehouse)
    #[arg(long)]
    terminals: Option<u32>,
    /// Terminals wait as people do: a warehouse with ten of them has 12.86 New-Orders a minute at most
    #[arg(long)]
    think: bool,
    /// One round of 10 s instead of three of 60 s
    #[arg(long)]
    quick: bool,
    /// Rounds (default: 3, quick: 1)
    #[arg(long)]
    rounds: Option<u32>,
    /// Seconds of one measurement (default: 60, quick: 10)
    #[arg(long)]
    seconds: Option<u32>,
    /// How isolated transactions are, on every server; the specification asks for serializable ones
    #[arg(long, value_enum, default_value_t = Isolation::Serializable)]
    isolation: Isolation,
    /// Only these servers
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = SERVERS, default_value = DEFAULT)]
    servers: Vec<String>,
    /// Also write the tables, as Markdown, to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The nunatak binary (default: beside this one)
    #[arg(long, value_name = "FILE", env = "NUNATAK_BINARY")]
    binary: Option<PathBuf>,
}

/// One node and three, each with the tables in as few ranges as they begin with, and with a range for each district.
const SERVERS: [&str; 5] = ["nunatak-1", "nunatak-1-ranges", "nunatak-3", "nunatak-3-ranges", "postgres"];
const DEFAULT: &str = "nunatak-1,nunatak-1-ranges,postgres";

/// What is run before anything is counted.
const WARM_UP: Duration = Duration::from_secs(5);

/// A server with the tables.
struct Loaded {
    name: &'static str,
    server: Box<dyn Server>,
    /// Orders that terminals were told are there, beyond those that were loaded.
    ordered: u64,
    outcome: Outcome,
}

/// Runs the benchmark and prints its tables.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder =
        tempfile::tempdir().map_err(|source| Failure::File { path: std::env::temp_dir(), source })?;
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 3 });
    let seconds = options.seconds.unwrap_or(if options.quick { 10 } else { 60 });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::Start { program: "the terminals".to_owned(), source })?;
    let terminals = options.terminals.unwrap_or(options.warehouses.unsigned_abs() * 10);
    let heading = format!(
        "{} warehouses, {terminals} terminals{}, {rounds} rounds of {seconds} s, isolation {:?}, fsync on everywhere",
        options.warehouses,
        if options.think { " that think" } else { "" },
        options.isolation
    );
    println!("{heading}");
    let mut servers = Vec::new();
    for name in SERVERS.into_iter().filter(|name| options.servers.iter().any(|wanted| wanted == name)) {
        servers.extend(start(name, options, folder.path())?);
    }
    for round in 1..=rounds {
        for loaded in &mut servers {
            eprintln!("round {round}/{rounds}: {}", loaded.name);
            let load = Load {
                ports: loaded.server.ports()?,
                terminals,
                warehouses: options.warehouses,
                isolation: options.isolation,
                thinks: options.think,
                warm_up: WARM_UP,
                counted: Duration::from_secs(u64::from(seconds)),
            };
            measure(loaded, &load, &runtime)?;
        }
    }
    for loaded in &servers {
        eprintln!("checking {}", loaded.name);
        consistency::check_worked(port(loaded.server.as_ref())?, options.warehouses, loaded.ordered)?;
    }
    let outcomes: Vec<(&'static str, Outcome)> =
        servers.into_iter().map(|loaded| (loaded.name, loaded.outcome)).collect();
    let tables = report::markdown(&outcomes);
    print!("{tables}\nall consistency conditions hold\n");
    if let Some(path) = &options.markdown {
        let page = format!("# TPC-C's workload\n\n{heading}\n{tables}");
        #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
        fs::write(path, page).map_err(|source| Failure::File { path: path.clone(), source })?;
    }
    Ok(())
}

/// A server with the tables, of which all conditions hold; none if it is not installed.
fn start(name: &'static str, options: &Options, folder: &Path) -> Result<Option<Loaded>> {
    let server: Box<dyn Server> = if name == "postgres" {
        let Some(programs) = postgres_programs() else {
            eprintln!("postgres is left out: PostgreSQL 15 is not installed (Debian: postgresql-15)");
            return Ok(None);
        };
        Box::new(Postgres::start(&programs, folder, Standbys::None)?)
    } else {
        let binary = binary(options.binary.as_deref())?;
        let folder = folder.join(name);
        fs::create_dir(&folder).map_err(|source| Failure::File { path: folder.clone(), source })?;
        if name.starts_with("nunatak-1") {
            Box::new(Single::start(&binary, &folder)?)
        } else {
            Box::new(Cluster::start(&binary, &folder)?)
        }
    };
    eprintln!("loading {name}");
    let port = port(server.as_ref())?;
    schema::load(port, options.warehouses)?;
    if name.ends_with("-ranges") {
        schema::split(port, options.warehouses)?;
    }
    consistency::check_loaded(port)?;
    Ok(Some(Loaded { name, server, ordered: 0, outcome: Outcome::default() }))
}

fn port(server: &dyn Server) -> Result<u16> {
    let ports = server.ports()?;
    ports.first().copied().ok_or(Failure::Missing { program: server.name().to_owned(), what: "port" })
}

fn measure(loaded: &mut Loaded, load: &Load, runtime: &tokio::runtime::Runtime) -> Result<()> {
    let server = loaded.server.as_ref();
    let work = || -> Result<(f64, DiskWork)> {
        let busy = server.processes().iter().map(|process| processor::tree_us(process.1)).sum();
        Ok((busy, server.disk_work()?))
    };
    let mut before = None;
    let done = runtime.block_on(terminal::run(load, || {
        before = Some(work()?);
        Ok(())
    }))?;
    let (busy_after, disk_after) = work()?;
    let (busy, disk) = before.unwrap_or((busy_after, disk_after));
    loaded.ordered += done.ordered;
    loaded.outcome.add(&done, load.counted.as_secs_f64(), busy_after - busy, disk_after.fsyncs - disk.fsyncs);
    Ok(())
}
