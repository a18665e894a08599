//! Runs pgbench and reads what it measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::workload::{Measured, Run};
use crate::failure::{Failure, Result};
use crate::figures::percentile;
use crate::process::{output, outputs};

const USER: &str = "postgres";

/// A transaction that fails for want of serializability is run again so often.
const TRIES_MAX: &str = "1000";

/// One transaction in so many is logged with its latency.
const SAMPLED: &str = "0.2";

/// pgbench, yet to be told what to do, as this user.
pub(crate) fn command(port: u16, user: &str) -> Command {
    let mut command = Command::new("pgbench");
    command.args(["-h", "127.0.0.1", "-U", user, "-p", &port.to_string()]);
    command
}

/// Makes pgbench's tables.
pub(crate) fn load(port: u16, scale: u32) -> Result<()> {
    output(command(port, USER).args(["-i", "-q", "-s", &scale.to_string(), "postgres"])).map(drop)
}

/// Runs the script that `arguments` choose.
pub(crate) fn run(run: &Run<'_>, arguments: &[&str]) -> Result<Measured> {
    let dealt = run.dealt();
    let threads = if dealt.len() > 1 { "1" } else { "2" };
    let printed = outputs(dealt.iter().map(|(port, clients)| {
        let mut command = command(*port, USER);
        command.args(arguments).args(["-n", "-c", &clients.to_string(), "-j", threads]);
        command.args(["-T", &run.seconds.to_string(), "--max-tries", TRIES_MAX]);
        command.args(["-l", "--sampling-rate", SAMPLED, "--log-prefix"]);
        command.arg(run.folder.join(format!("transactions-{port}"))).arg("postgres");
        command.env("PGOPTIONS", run.isolation.options());
        command
    }))?;
    let latencies = latencies_ms(run.folder)?;
    let mut measured = Measured {
        p50_ms: percentile(&latencies, 0.5),
        p99_ms: percentile(&latencies, 0.99),
        ..Measured::default()
    };
    for printed in &printed {
        measured.tps += number_after(printed, "tps = ")?;
        measured.transactions += number_after(printed, "number of transactions actually processed: ")?;
        measured.failed += number_after(printed, "number of failed transactions: ")?;
        measured.retried += number_after(printed, "number of transactions retried: ")?;
    }
    measured.mean_ms = f64::from(run.clients) / measured.tps * 1000.0;
    Ok(measured)
}

/// The number that pgbench has printed behind these words.
pub(crate) fn number_after(printed: &str, label: &'static str) -> Result<f64> {
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
