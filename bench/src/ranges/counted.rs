//! What work costs of messages between nodes, entries of logs and fsyncs, beyond what an idle cluster does.

use std::time::Duration;

use env::clock::{self, Instant};

use crate::cluster::Nodes;
use crate::failure::Result;
use crate::process::pause;

/// What is counted, summed over all nodes.
const COUNTED: [(&str, &str); 3] = [
    ("messages", "nunatak_raft_messages_total"),
    ("log records", "nunatak_raft_records_total"),
    ("fsyncs", "nunatak_disk_syncs_total"),
];

/// How long nodes are given to count what was left behind.
const LAGGING: Duration = Duration::from_secs(2);

/// How long an idle cluster is watched.
const WATCHED: Duration = Duration::from_secs(10);

/// What an idle cluster does in a second.
#[derive(Clone, Copy)]
pub(super) struct Idle([f64; 3]);

impl Idle {
    pub(super) fn watch(nodes: &Nodes) -> Result<Self> {
        let begun = Begun::now(nodes)?;
        pause(WATCHED);
        let counts = begun.since(nodes)?;
        let seconds = begun.at.elapsed().as_secs_f64();
        Ok(Self(counts.map(|count| count / seconds)))
    }
}

/// The counters when something began.
pub(super) struct Begun {
    counts: [f64; 3],
    at: Instant,
}

impl Begun {
    /// Once what was begun before is counted.
    pub(super) fn now(nodes: &Nodes) -> Result<Self> {
        let counts = read(nodes)?;
        Ok(Self { counts, at: clock::now() })
    }

    fn since(&self, nodes: &Nodes) -> Result<[f64; 3]> {
        let [messages, records, fsyncs] = self.counts;
        let [messages_now, records_now, fsyncs_now] = read(nodes)?;
        Ok([messages_now - messages, records_now - records, fsyncs_now - fsyncs])
    }

    /// What each of so many transactions has cost, which were all there was but for what an idle cluster does.
    pub(super) fn each(&self, nodes: &Nodes, idle: Idle, transactions: f64) -> Result<String> {
        let counts = self.since(nodes)?;
        let seconds = self.at.elapsed().as_secs_f64();
        let each = COUNTED.iter().zip(counts).zip(idle.0).map(|(((what, _), count), idle)| {
            format!("{:.1} {what}", (count - idle * seconds) / transactions.max(1.0))
        });
        Ok(each.collect::<Vec<_>>().join(", "))
    }
}

fn read(nodes: &Nodes) -> Result<[f64; 3]> {
    pause(LAGGING);
    let [messages, records, fsyncs] = COUNTED.map(|(_, counter)| nodes.counter(counter));
    Ok([messages?, records?, fsyncs?])
}
