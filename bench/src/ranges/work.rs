//! pgbench's point reads and TPC-B, and scans of its accounts, with the accounts in one range, in ten and in a hundred; and what each
//! transaction of TPC-B costs of messages, entries of logs and fsyncs (`counted`).

use super::Cluster;
use super::counted::{Begun, Idle};
use crate::failure::Result;
use crate::figures::Figures;
use crate::marks::Row;
use crate::process::{output, pause, query, timed};
use crate::sql::{load_pgbench, number_after, pgbench_command};

/// In how many ranges the accounts are.
const RANGES: [u32; 3] = [1, 10, 100];

/// Accounts for each unit of pgbench's scale.
const ACCOUNTS: u32 = 100_000;

/// The marks: parts of the throughput with one range, and multiples of a scan's time.
const READS_MIN: f64 = 0.75;
const TPCB_MIN: f64 = 0.5;
const SCAN_MAX: f64 = 1.15;

const CLIENTS: &str = "8";
const SCANS: u32 = 5;
const SCAN_SECONDS: u32 = 300;

struct Measured {
    reads: f64,
    tpcb: f64,
    scan_ms: f64,
}

/// What pgbench has got done.
struct Done {
    per_second: f64,
    transactions: f64,
}

/// The figures, each measured for so many seconds.
pub(super) fn measure(cluster: &Cluster, scale: u32, seconds: u32) -> Result<Vec<Row>> {
    let port = cluster.sql;
    load_pgbench(port, scale)?;
    let mut rows = Vec::new();
    let mut first = None;
    for ranges in RANGES {
        eprintln!("work with {ranges} ranges");
        if ranges > 1 {
            let border = |range: u32| format!("({})", range * (ACCOUNTS * scale / ranges) + 1);
            let borders: Vec<String> = (1..ranges).map(border).collect();
            query(port, &format!("alter table pgbench_accounts split at values {}", borders.join(", ")))?;
        }
        cluster.nodes.await_replicas()?;
        // Leaders spread meanwhile.
        pause(std::time::Duration::from_secs(20));
        let (scan_ms, reads) = (scan(port)?, pgbench(port, &["-S"], seconds)?.per_second);
        let idle = Idle::watch(&cluster.nodes)?;
        let begun = Begun::now(&cluster.nodes)?;
        let done = pgbench(port, &[], seconds)?;
        let each = begun.each(&cluster.nodes, idle, done.transactions)?;
        let tpcb = done.per_second;
        let measured = Measured { reads, tpcb, scan_ms };
        rows.push(Row::plain(
            format!("{ranges} ranges"),
            format!("{reads:.0} reads/s, {tpcb:.0} TPC-B/s, scan {scan_ms:.0} ms"),
        ));
        rows.push(Row::plain(format!("{ranges} ranges: each transaction of TPC-B"), each));
        let one = first.get_or_insert(measured);
        if ranges > 1 {
            let part = |what: &str| format!("{ranges} ranges: {what} / one range");
            rows.push(Row::at_least(part("point reads"), reads / one.reads, READS_MIN, ""));
            rows.push(Row::at_least(part("TPC-B"), tpcb / one.tpcb, TPCB_MIN, ""));
            rows.push(Row::at_most(part("scan's time"), scan_ms / one.scan_ms, SCAN_MAX, " ×"));
        }
    }
    Ok(rows)
}

fn pgbench(port: u16, script: &[&str], seconds: u32) -> Result<Done> {
    let mut command = pgbench_command(port, "postgres");
    command.args(["-n", "-M", "prepared", "-c", CLIENTS, "-j", "2", "--max-tries", "1000"]);
    command.args(["-T", &seconds.to_string()]).args(script).arg("postgres");
    let printed = output(&mut command)?;
    Ok(Done {
        per_second: number_after(&printed, "tps = ")?,
        transactions: number_after(&printed, "number of transactions actually processed: ")?,
    })
}

/// The median time of a scan of the accounts.
fn scan(port: u16) -> Result<f64> {
    let mut figures = Figures::default();
    // The first warms up.
    for round in 0..=SCANS {
        let (_, took) = timed(port, "select sum(abalance) from pgbench_accounts", SCAN_SECONDS)?;
        if round > 0 {
            figures.add(took);
        }
    }
    Ok(figures.median())
}
