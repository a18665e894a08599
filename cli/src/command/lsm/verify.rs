//! `nunatak lsm verify`: every block and record read and checked.
//!
//! Opening has read the manifest, the write-ahead log and the raft log, record by record; what is left are the tables.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use serde_json::json;

use super::{OutputFormat, Problem, line};
use crate::failure::{Failure, chain};
use crate::output::errln;

/// How often a person is told how far it is, and a log.
const PROGRESS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Reads everything; an error if something is damaged.
pub(super) fn run(
    store: &node::OfflineStore,
    format: OutputFormat,
    out: &mut dyn Write,
) -> Result<(), Problem> {
    let all = store.db().tables()?;
    let bytes: u64 = all.iter().map(|table| table.bytes).sum();
    let every = if stderr().is_terminal() { PROGRESS.0 } else { PROGRESS.1 };
    let mut told = env::clock::now();
    let (mut tables, mut read) = (0, 0);
    let mut damaged = Vec::new();
    store.db().verify_tables(|table, verified| {
        tables += 1;
        read += table.bytes;
        if let Err(error) = verified {
            damaged.push(chain(&error));
        }
        let now = env::clock::now();
        if now.saturating_duration_since(told) >= every {
            told = now;
            errln!("verified {tables} of {} tables, {read} of {bytes} bytes", all.len());
        }
    })?;
    let (segments, log_bytes) = store.raft_log();
    match format {
        OutputFormat::Table => {
            writeln!(out, "{tables} tables with {read} bytes read, {} damaged", damaged.len())?;
            writeln!(out, "raft log: {segments} segments with {log_bytes} bytes read")?;
            for problem in &damaged {
                writeln!(out, "{problem}")?;
            }
        }
        OutputFormat::Json => line(
            out,
            &json!({
                "tables": tables,
                "bytes": read,
                "raft_log": { "segments": segments, "bytes": log_bytes },
                "damaged": damaged,
            }),
        )?,
    }
    match damaged.first() {
        None => Ok(()),
        Some(first) => {
            Err(Problem::Failure(Failure::failed(format!("{} tables are damaged: {first}", damaged.len()))))
        }
    }
}
