//! `nunatak-bench rpc`: what a call between two processes costs, alone and on a stream of calls.
//!
//! A node that answers with what it was asked runs in a process of its own, as a node's port does. Callers ask it one
//! small batch after the other, in two ways in turn: as gRPC calls of their own, and as gateways ask, on one stream.

mod echo;
mod load;
mod process;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::failure::Result;
use crate::figures::Figures;
use load::Way;

pub(crate) use echo::{Task, run as run_task};

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds; each figure is the median of so many.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of one measurement.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Numbers of callers at a time.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    callers: Vec<usize>,
    /// Bytes of the value that travels both ways.
    #[arg(long, default_value_t = 100)]
    bytes: usize,
}

/// The figures of one way with so many callers.
#[derive(Default)]
struct Row {
    calls_per_second: Figures,
    latency_us: Figures,
    client_us: Figures,
    node_us: Figures,
    client_switches: Figures,
    node_switches: Figures,
}

/// Runs the benchmark and prints its table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let node = process::Node::start()?;
    let mut rows: BTreeMap<(usize, Way), Row> = BTreeMap::new();
    for _ in 0..options.rounds {
        for callers in &options.callers {
            for way in [Way::Alone, Way::Together] {
                let seconds = Duration::from_secs(options.seconds);
                let measured = load::measure(&node, way, *callers, options.bytes, seconds)?;
                let row = rows.entry((*callers, way)).or_default();
                row.calls_per_second.add(measured.calls / measured.seconds);
                row.latency_us.add(measured.seconds * 1e6 * *callers as f64 / measured.calls);
                row.client_us.add(measured.client.cpu_us / measured.calls);
                row.node_us.add(measured.node.cpu_us / measured.calls);
                row.client_switches.add(measured.client.switches / measured.calls);
                row.node_switches.add(measured.node.switches / measured.calls);
            }
        }
    }
    println!(
        "{:>7}  {:<8} {:>10} {:>12} {:>15} {:>13} {:>16} {:>14}",
        "callers",
        "way",
        "calls/s",
        "latency us",
        "CPU us, caller",
        "CPU us, node",
        "sleeps, caller",
        "sleeps, node"
    );
    for ((callers, way), row) in &rows {
        println!(
            "{callers:>7}  {:<8} {:>10.0} {:>12.1} {:>15.1} {:>13.1} {:>16.2} {:>14.2}",
            way.name(),
            row.calls_per_second.median(),
            row.latency_us.median(),
            row.client_us.median(),
            row.node_us.median(),
            row.client_switches.median(),
            row.node_switches.median(),
        );
    }
    Ok(())
}
