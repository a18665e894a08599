//! Runs sysbench's OLTP scripts and reads what it measured.

use std::process::Command;

use super::workload::{Measured, Run};
use crate::failure::{Failure, Result};
use crate::process::{output, outputs};

const TABLES: &str = "4";

/// Whether it is installed.
pub(crate) fn is_installed() -> bool {
    Command::new("sysbench").arg("--version").output().is_ok_and(|output| output.status.success())
}

fn sysbench(script: &str, port: u16, rows: u32) -> Command {
    let mut command = Command::new("sysbench");
    command
        .args([script, "--db-driver=pgsql", "--pgsql-host=127.0.0.1", "--pgsql-user=postgres"])
        .args(["--pgsql-db=postgres", "--auto_inc=off"])
        .args([format!("--pgsql-port={port}"), format!("--tables={TABLES}"), format!("--table-size={rows}")]);
    command
}

/// Makes its tables, anew if they are there.
pub(crate) fn load(port: u16, rows: u32) -> Result<()> {
    output(sysbench("oltp_common", port, rows).arg("cleanup"))?;
    output(sysbench("oltp_common", port, rows).arg("prepare")).map(drop)
}

/// Runs a script.
pub(crate) fn run(run: &Run<'_>, script: &str) -> Result<Measured> {
    let dealt = run.dealt();
    let printed = outputs(dealt.iter().map(|(port, clients)| {
        let mut command = sysbench(script, *port, run.sysbench_rows);
        command
            .args([format!("--threads={clients}"), format!("--time={}", run.seconds)])
            // Of two that begin together each needs keys of its own to insert.
            .arg(format!("--rand-seed={}", 1 + env::random::below(1 << 30)))
            .args(["--percentile=99", "run"])
            .env("PGOPTIONS", run.isolation.options());
        command
    }))?;
    let mut measured = Measured { p50_ms: f64::NAN, ..Measured::default() };
    for printed in &printed {
        let transactions = number_after(printed, "transactions:")?;
        measured.transactions += transactions;
        measured.tps += per_second(printed, "transactions:")?;
        // What it ignores it runs again, with other keys.
        measured.failed += number_after(printed, "ignored errors:")?;
        measured.p99_ms = measured.p99_ms.max(number_after(printed, "99th percentile:")?);
    }
    measured.mean_ms = f64::from(run.clients) / measured.tps * 1000.0;
    Ok(measured)
}

fn missing(what: &'static str) -> Failure {
    Failure::Missing { program: "sysbench".to_owned(), what }
}

fn number_after(printed: &str, label: &'static str) -> Result<f64> {
    let rest = printed.split_once(label).map(|(_, rest)| rest).ok_or_else(|| missing(label))?;
    rest.split_whitespace().next().and_then(|number| number.parse().ok()).ok_or_else(|| missing(label))
}

/// The rate in parentheses: `transactions:   4711   (471.05 per sec.)`.
fn per_second(printed: &str, label: &'static str) -> Result<f64> {
    let rest = printed.split_once(label).map(|(_, rest)| rest).ok_or_else(|| missing(label))?;
    let rate = rest.split_once('(').and_then(|(_, rest)| rest.split_whitespace().next());
    rate.and_then(|rate| rate.parse().ok()).ok_or_else(|| missing(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_report_is_understood() {
        let printed = "    transactions:                        4711   (471.05 per sec.)\n    \
            ignored errors:                      3      (0.30 per sec.)\n         99th percentile:  2.35\n";
        assert_eq!(number_after(printed, "transactions:").unwrap(), 4711.0);
        assert_eq!(per_second(printed, "transactions:").unwrap(), 471.05);
        assert_eq!(number_after(printed, "ignored errors:").unwrap(), 3.0);
        assert_eq!(number_after(printed, "99th percentile:").unwrap(), 2.35);
    }
}
