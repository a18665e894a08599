//! `nunatak-bench tpch`: the 22 queries of TPC-H beside PostgreSQL 15, over the same rows, with the same indexes: every
//! primary key, and one on every foreign key. Parameters are those by which the specification validates answers.
//!
//! Each query is answered by both servers in turn, round after round, and what they answer is compared: numbers as numbers.

mod data;
mod queries;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use crate::cluster::binary;
use crate::failure::{Failure, Result};
use crate::figures::Figures;
use crate::process::timed;
use crate::sql::{Postgres, Server, Single, Standbys, postgres_programs};
use queries::Query;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The scale factor: 1 is about a gigabyte of text
    #[arg(long, default_value_t = 0.1)]
    scale: f64,
    /// How often each query is answered
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Only these queries
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    queries: Vec<u32>,
    /// The folder of the generator's files (default: they are made now)
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The generator (Python's package tpchgen-cli)
    #[arg(long, value_name = "FILE", default_value = "tpchgen-cli")]
    generator: PathBuf,
    /// Seconds after which PostgreSQL is not waited for any longer; ours gets ten times as many, at most 300
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// Also write the table, as Markdown, to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The nunatak binary (default: beside this one)
    #[arg(long, value_name = "FILE", env = "NUNATAK_BINARY")]
    binary: Option<PathBuf>,
}

/// Ours is waited for so many times as long.
const PATIENCE: u32 = 10;
/// But no longer than this, in seconds.
const SECONDS_MAX: u32 = 300;

/// What a server said to a query.
#[derive(Debug, Clone)]
enum Said {
    /// Its rows, and how long each of the runs took.
    Rows { rows: Vec<String>, took_ms: Figures },
    /// Why not.
    Failed(String),
}

/// Both servers' answers to a query.
struct Outcome {
    number: u32,
    ours: Said,
    theirs: Said,
}

/// Runs the benchmark and prints its table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder =
        tempfile::tempdir().map_err(|source| Failure::File { path: std::env::temp_dir(), source })?;
    let programs = postgres_programs().ok_or(Failure::NotInstalled("PostgreSQL 15"))?;
    let files = match &options.data {
        Some(files) => files.clone(),
        None => data::generate(&options.generator, options.scale, &folder.path().join("files"))?,
    };
    let ours = Single::start(&binary(options.binary.as_deref())?, folder.path())?;
    let theirs = Postgres::start(&programs, folder.path(), Standbys::None)?;
    let mut ports = Vec::new();
    for server in [&ours as &dyn Server, &theirs] {
        let port = server.ports()?.first().copied().unwrap_or(0);
        eprintln!("loading {}", server.name());
        data::load(port, &files)?;
        ports.push(port);
    }
    let [ours, theirs] = ports.as_slice() else { return Ok(()) };
    let mut outcomes = Vec::new();
    for query in queries::all(options.scale) {
        if !options.queries.is_empty() && !options.queries.contains(&query.number) {
            continue;
        }
        eprintln!("query {}", query.number);
        let patience = options.seconds.saturating_mul(PATIENCE).clamp(options.seconds, SECONDS_MAX);
        outcomes.push(Outcome {
            number: query.number,
            ours: ask(*ours, &query, options.rounds, patience)?,
            theirs: ask(*theirs, &query, options.rounds, options.seconds)?,
        });
    }
    let table = report::markdown(options.scale, options.rounds, &outcomes);
    print!("{table}");
    if let Some(path) = &options.markdown {
        #[expect(clippy::disallowed_methods, reason = "a benchmark writes to the real disk")]
        std::fs::write(path, table).map_err(|source| Failure::File { path: path.clone(), source })?;
    }
    Ok(())
}

/// What a server answers, once to warm up and then so often.
fn ask(port: u16, query: &Query, rounds: u32, seconds: u32) -> Result<Said> {
    let mut said = once(port, query, seconds)?;
    for _ in 0..rounds {
        let Said::Rows { took_ms, .. } = &mut said else { return Ok(said) };
        match once(port, query, seconds)? {
            Said::Rows { took_ms: again, .. } => took_ms.add(again.median()),
            failed @ Said::Failed(_) => return Ok(failed),
        }
        // One that takes long is not warmer the second time.
        if took_ms.min() > Duration::from_secs(8).as_secs_f64() * 1000.0 {
            break;
        }
    }
    Ok(said)
}

fn once(port: u16, query: &Query, seconds: u32) -> Result<Said> {
    match timed(port, &query.text, seconds) {
        Ok((rows, took)) => {
            let mut took_ms = Figures::default();
            took_ms.add(took);
            Ok(Said::Rows { rows, took_ms })
        }
        Err(Failure::Program { output, .. }) => Ok(Said::Failed(output)),
        Err(failure) => Err(failure),
    }
}
