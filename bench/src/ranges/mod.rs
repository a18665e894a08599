//! `nunatak-bench ranges`: what many ranges cost, on three nodes that serve SQL themselves.
//!
//! Each figure stands beside its mark, most as a multiple of the same work on one range, measured in the same run.

mod counted;
mod idle;
mod latency;
mod scan;
mod work;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::{Nodes, binary};
use crate::failure::{Failure, Result};
use crate::link::Links;
use crate::marks::{Row, markdown};
use crate::process::{await_sql, free_port};

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fewer of everything: a minute or two
    #[arg(long)]
    quick: bool,
    /// What a long link takes, one way, in milliseconds
    #[arg(long, default_value_t = 10)]
    delay_ms: u64,
    /// Ranges that nobody asks anything (quick: 100)
    #[arg(long)]
    idle_ranges: Option<u32>,
    /// Only these parts
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = PARTS, default_value = "latency,work,scan,idle")]
    parts: Vec<String>,
    /// Also write the table, as Markdown, to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The nunatak binary (default: beside this one)
    #[arg(long, value_name = "FILE", env = "NUNATAK_BINARY")]
    binary: Option<PathBuf>,
}

const PARTS: [&str; 4] = ["latency", "work", "scan", "idle"];

/// Three nodes with a gateway each.
struct Cluster {
    nodes: Nodes,
    /// Where the first of them serves SQL.
    sql: u16,
}

impl Cluster {
    /// Starts them in a folder of this name; each is reached over a link that takes so long, if any.
    fn start(binary: &Path, folder: &Path, name: &str, delay: Option<Duration>) -> Result<Self> {
        let ports = [free_port()?, free_port()?, free_port()?];
        let links = delay.map(Links::new).transpose()?;
        let nodes = Nodes::start_over(links, binary, &folder.join(name), &ports)?;
        for port in ports {
            await_sql("a node's SQL", port)?;
        }
        nodes.await_replicas()?;
        let [sql, ..] = ports;
        Ok(Self { nodes, sql })
    }
}

/// Runs the benchmark and prints its table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder =
        tempfile::tempdir().map_err(|source| Failure::File { path: std::env::temp_dir(), source })?;
    let binary = binary(options.binary.as_deref())?;
    let delay = Duration::from_millis(options.delay_ms);
    let begin = |name: &str, delay| {
        eprintln!("{name}");
        Cluster::start(&binary, folder.path(), name, delay)
    };
    let wanted = |part: &str| options.parts.iter().any(|wanted| wanted == part);
    let mut rows: Vec<Row> = Vec::new();
    if wanted("latency") {
        let count = if options.quick { 100 } else { 1000 };
        rows.extend(latency::measure(&begin("latency", None)?, None, count)?);
        rows.extend(latency::measure(&begin("latency-far", Some(delay))?, Some(delay), count / 5)?);
    }
    if wanted("work") {
        let (scale, seconds) = if options.quick { (1, 3) } else { (5, 15) };
        rows.extend(work::measure(&begin("work", None)?, scale, seconds)?);
    }
    if wanted("scan") {
        rows.extend(scan::measure(&begin("scan", Some(delay))?, if options.quick { 5 } else { 20 })?);
    }
    if wanted("idle") {
        let ranges = options.idle_ranges.unwrap_or(if options.quick { 100 } else { 1000 });
        let watched = Duration::from_secs(if options.quick { 10 } else { 60 });
        rows.extend(idle::measure(&begin("idle", None)?, ranges, watched)?);
    }
    let table = markdown("What many ranges cost", &rows);
    print!("{table}");
    if let Some(path) = &options.markdown {
        #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
        std::fs::write(path, table).map_err(|source| Failure::File { path: path.clone(), source })?;
    }
    Ok(())
}
