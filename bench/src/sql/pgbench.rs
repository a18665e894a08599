//! Runs pgbench and reads what it measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::process::output;
use crate::failure::{Failure, Result};
use crate::figures::percentile;

/// What one run of pgbench measured.
pub(crate) struct Measured {
    pub(crate) tps: f64,
    pub(crate) transactions: f64,
    pub(crate) failed: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
}

fn pgbench(port: u16) -> Command {
    let mut command = Command::new("pgbench");
    command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port.to_string()]);
    command
}

/// Makes pgbench's tables.
pub(crate) fn load(port: u16, scale: u32) -> Result<()> {
    output(pgbench(port).args(["-i", "-q", "-s", &scale.to_string(), "postgres"])).map(drop)
}

/// Runs the script that `arguments` choose for so many seconds, after a short warm-up.
pub(crate) fn run(
    port: u16,
    arguments: &[&str],
    clients: u32,
    seconds: u32,
    folder: &Path,
) -> Result<Measured> {
    let clients = clients.to_string();
    let load = |seconds: u32| {
        let mut command = pgbench(port);
        command.args(arguments).args(["-n", "-c", &clients, "-j", "2", "-T", &seconds.to_string()]);
        command
    };
    output(load(1).arg("postgres"))?;
    let prefix = folder.join("transactions");
    let printed = output(load(seconds).arg("-l").arg("--log-prefix").arg(&prefix).arg("postgres"))?;
    let latencies = latencies_ms(folder)?;
    Ok(Measured {
        tps: number_after(&printed, "tps = ")?,
        transactions: number_after(&printed, "number of transactions actually processed: ")?,
        failed: number_after(&printed, "number of failed transactions: ")?,
        p50_ms: percentile(&latencies, 0.5),
        p99_ms: percentile(&latencies, 0.99),
        p999_ms: percentile(&latencies, 0.999),
    })
}

fn number_after(printed: &str, label: &'static str) -> Result<f64> {
    printed
        .split_once(label)
        .and_then(|(_, rest)| rest.split([' ', '\n', '/']).next())
        .and_then(|number| number.parse().ok())
        .ok_or(Failure::Missing { program: "pgbench".to_owned(), what: label })
}

/// The sorted latencies of the transaction logs, which are removed. A line: client, count, microseconds, ….
fn latencies_ms(folder: &Path) -> Result<Vec<f64>> {
    let failed = |source| Failure::File { path: folder.to_path_buf(), source };
    let mut latencies = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("transactions") {
            let log = fs::read_to_string(entry.path()).map_err(failed)?;
            let of_line = |line: &str| line.split(' ').nth(2).and_then(|us| us.parse::<f64>().ok());
            latencies.extend(log.lines().filter_map(of_line).map(|us| us / 1000.0));
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}
