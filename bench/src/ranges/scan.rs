//! A table that is scanned whole, its ten ranges on nodes that long links lead to, beside its ranges scanned one after the other.

use std::process::Command;
use std::time::Duration;

use super::Cluster;
use crate::failure::{Failure, Result};
use crate::figures::Figures;
use crate::marks::Row;
use crate::process::{output, pause, query};

const RANGES: u32 = 10;
const ROWS_PER_RANGE: u32 = 1000;

/// The mark: so many times faster than the ranges one after the other.
const TIMES_MIN: f64 = 4.0;

/// How long a statement is waited for, in seconds.
const SECONDS: u32 = 60;

/// The figures, medians of so many rounds.
pub(super) fn measure(cluster: &Cluster, rounds: u32) -> Result<Vec<Row>> {
    let port = cluster.sql;
    query(port, "create table scanned (k int primary key, v text not null)")?;
    let rows = RANGES * ROWS_PER_RANGE;
    query(
        port,
        &format!("insert into scanned select g, repeat('x', 100) from generate_series(0, {}) g", rows - 1),
    )?;
    let borders: Vec<String> = (1..RANGES).map(|range| format!("({})", range * ROWS_PER_RANGE)).collect();
    query(port, &format!("alter table scanned split at values {}", borders.join(", ")))?;
    cluster.nodes.await_replicas()?;
    pause(Duration::from_secs(10));
    let (mut whole, mut apart) = (Figures::default(), Figures::default());
    let parts: Vec<String> = (0..RANGES)
        .map(|range| {
            let from = range * ROWS_PER_RANGE;
            format!("select count(v) from scanned where k >= {from} and k < {}", from + ROWS_PER_RANGE)
        })
        .collect();
    let all = ["select count(v) from scanned".to_owned()];
    // The first warms up.
    for round in 0..=rounds {
        let (together, one_by_one) = (in_transaction(port, &all)?, in_transaction(port, &parts)?);
        if round > 0 {
            whole.add(together);
            apart.add(one_by_one);
        }
    }
    let (whole, apart) = (whole.median(), apart.median());
    let what = format!(
        "{RANGES} ranges one after the other ({apart:.1} ms) / a scan over all of them ({whole:.1} ms)"
    );
    Ok(vec![Row::at_least(what, apart / whole, TIMES_MIN, " ×")])
}

/// How many milliseconds statements take in one transaction, so that all of them together ask once what time it is.
fn in_transaction(port: u16, statements: &[String]) -> Result<f64> {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-U", "postgres", "-d", "postgres"]);
    command.args(["-p", &port.to_string(), "-v", "ON_ERROR_STOP=1"]);
    command.args([
        "-c",
        &format!("set statement_timeout = '{SECONDS}s'"),
        "-c",
        "begin",
        "-c",
        "\\timing on",
    ]);
    for statement in statements {
        command.args(["-c", statement]);
    }
    command.args(["-c", "\\timing off", "-c", "commit"]);
    let printed = output(&mut command)?;
    let took = |line: &str| line.strip_prefix("Time: ")?.split(' ').next()?.parse::<f64>().ok();
    let times: Vec<f64> = printed.lines().filter_map(took).collect();
    if times.len() == statements.len() {
        Ok(times.iter().sum())
    } else {
        Err(Failure::Missing { program: "psql".to_owned(), what: "time of each statement" })
    }
}
