//! Ranges that nobody asks anything: what they take of the processor, and of memory.

use std::fs;
use std::time::Duration;

use super::Cluster;
use crate::failure::{Failure, Result};
use crate::marks::Row;
use crate::process::{pause, query};
use crate::processor;

/// The marks: of one core, of all nodes together; and of memory, for each replica.
const CORE_PERCENT_MAX: f64 = 5.0;
const KIB_MAX: f64 = 102.4;

/// How long a cluster is left alone before it is watched.
const SETTLING: Duration = Duration::from_secs(30);

/// How long it may take until leaders have gone where they had better be: each of those wakes its range.
const SETTLED_MAX: Duration = Duration::from_secs(1200);

/// So many replicas wake in a cluster left alone, for what it does of itself.
const WOKEN_MAX: f64 = 6.0;

/// The figures of so many ranges, watched for so long.
pub(super) fn measure(cluster: &Cluster, ranges: u32, watched: Duration) -> Result<Vec<Row>> {
    let port = cluster.sql;
    query(port, "create table idle (k int primary key)")?;
    pause(SETTLING);
    let (idle_before, memory_before) = (share_of_core(cluster, watched), memory_kib(cluster)?);
    let count_before = cluster.nodes.range_count()?;
    let borders: Vec<String> = (1..=ranges).map(|range| format!("({range})")).collect();
    query(port, &format!("alter table idle split at values {}", borders.join(", ")))?;
    cluster.nodes.await_replicas()?;
    settle(cluster)?;
    let count = cluster.nodes.range_count()?;
    let new = count.saturating_sub(count_before);
    if new < ranges as usize {
        let what = format!("{ranges} more ranges than {count_before}");
        return Err(Failure::NotReady { what, seconds: SETTLING.as_secs() });
    }
    let (idle, memory) = (share_of_core(cluster, watched), memory_kib(cluster)?);
    let replicas = (new * 3) as f64;
    Ok(vec![
        Row::plain(format!("{count_before} idle ranges, of one core in all"), format!("{idle_before:.1} %")),
        Row::at_most(format!("{count} idle ranges, of one core in all"), idle, CORE_PERCENT_MAX, " %"),
        Row::at_most("memory of an idle replica", (memory - memory_before) / replicas, KIB_MAX, " KiB"),
    ])
}

/// Waits until hardly any range wakes any more.
fn settle(cluster: &Cluster) -> Result<()> {
    let woken = || cluster.nodes.counter("nunatak_groups_woken_total");
    for _ in 0..SETTLED_MAX.as_secs() / SETTLING.as_secs() {
        let before = woken()?;
        pause(SETTLING);
        if woken()? - before <= WOKEN_MAX {
            return Ok(());
        }
    }
    Err(Failure::NotReady { what: "sleep".to_owned(), seconds: SETTLED_MAX.as_secs() })
}

/// What all nodes take of one core, in percent.
fn share_of_core(cluster: &Cluster, watched: Duration) -> f64 {
    let busy_us = || cluster.nodes.ids().into_iter().map(processor::tree_us).sum::<f64>();
    let before = busy_us();
    pause(watched);
    (busy_us() - before) / watched.as_secs_f64() / 1e4
}

/// What all nodes hold in memory.
fn memory_kib(cluster: &Cluster) -> Result<f64> {
    let of = |id: u32| {
        let path = format!("/proc/{id}/status");
        let status =
            fs::read_to_string(&path).map_err(|source| Failure::File { path: path.into(), source })?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        kib.ok_or(Failure::Missing { program: "the kernel".to_owned(), what: "VmRSS" })
    };
    cluster.nodes.ids().into_iter().map(of).sum()
}
