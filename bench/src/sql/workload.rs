//! What is run: the rows of the table, each with the marks that ours is held to beside its peer.

use super::{hot_row, pgbench, queue, sysbench};
use crate::failure::Result;

/// How isolated transactions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Isolation {
    /// As each server has it: PostgreSQL read committed, Nunatak serializable.
    Default,
    /// READ COMMITTED
    ReadCommitted,
    /// REPEATABLE READ
    RepeatableRead,
    /// SERIALIZABLE
    Serializable,
}

impl Isolation {
    /// What libpq's `PGOPTIONS` says of it.
    pub(crate) fn options(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::ReadCommitted => "-c default_transaction_isolation=read\\ committed",
            Self::RepeatableRead => "-c default_transaction_isolation=repeatable\\ read",
            Self::Serializable => "-c default_transaction_isolation=serializable",
        }
    }
}

/// What runs a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// pgbench, with what chooses its script and how statements are sent.
    Pgbench(&'static [&'static str]),
    /// The script of sysbench with this name.
    Sysbench(&'static str),
    /// One row, updated by everybody.
    HotRow,
    /// A queue of jobs.
    Queue,
}

/// What is asked of ours beside its peer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mark {
    /// So much of its transactions per second.
    Throughput(f64),
    /// At most so many times its latency.
    Latency(f64),
    /// So much of its transactions per second, and fewer failed ones.
    ThroughputAndFewerFailed(f64),
    /// Nothing: it is measured.
    None,
    /// It is not measured here.
    Skipped,
}

/// A row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its name, with the number of clients.
    pub(crate) name: String,
    pub(crate) tool: Tool,
    pub(crate) clients: u32,
    /// None: what the options say.
    pub(crate) isolation: Option<Isolation>,
    /// For each of [`super::PAIRS`].
    pub(crate) marks: [Mark; 3],
}

const SELECT_PREPARED: &[&str] = &["-S", "-M", "prepared"];
const SELECT_SIMPLE: &[&str] = &["-S", "-M", "simple"];
const TPCB_PREPARED: &[&str] = &["-M", "prepared"];
const TPCB_SIMPLE: &[&str] = &["-M", "simple"];

/// All rows, in the order in which they run: sysbench's deletes last, which leave little behind.
pub(crate) fn rows() -> Vec<Row> {
    use Isolation::{ReadCommitted, Serializable};
    use Mark::{Latency, None as Measured, Skipped, Throughput, ThroughputAndFewerFailed};
    let row = |name: &str, tool, clients, isolation, marks| Row {
        name: format!("{name}/{clients}"),
        tool,
        clients,
        isolation,
        marks,
    };
    let pgbench = |name: &str, arguments, clients, marks| {
        row(&format!("pgbench {name}"), Tool::Pgbench(arguments), clients, None, marks)
    };
    let sysbench = |name: &str, script, isolation, one_node, three_nodes| {
        let marks = [one_node, three_nodes, Skipped];
        row(&format!("sysbench {name}"), Tool::Sysbench(script), 8, isolation, marks)
    };
    let hot_row = |clients| row("one row's update", Tool::HotRow, clients, None, [Measured; 3]);
    let queue = |name: &str, isolation, mark| {
        row(&format!("queue{name}"), Tool::Queue, 16, isolation, [mark, Skipped, Skipped])
    };
    let mut rows = vec![
        pgbench("-S prepared", SELECT_PREPARED, 1, [Latency(1.4), Latency(5.0), Latency(1.6)]),
        pgbench("-S prepared", SELECT_PREPARED, 8, [Throughput(1.0), Throughput(0.35), Throughput(0.8)]),
        pgbench("-S prepared", SELECT_PREPARED, 32, [Throughput(1.0), Throughput(0.35), Throughput(0.8)]),
    ];
    let widths = [
        ("-S simple", SELECT_SIMPLE, [Throughput(0.9), Throughput(0.35), Throughput(0.8)]),
        ("TPC-B prepared", TPCB_PREPARED, [Throughput(1.0); 3]),
        ("TPC-B simple", TPCB_SIMPLE, [Throughput(0.9); 3]),
    ];
    for (name, arguments, marks) in widths {
        rows.push(pgbench(name, arguments, 1, [Measured; 3]));
        rows.push(pgbench(name, arguments, 8, marks));
        rows.push(pgbench(name, arguments, 32, [Measured; 3]));
    }
    rows.extend([
        sysbench("point_select", "oltp_point_select", None, Throughput(1.0), Measured),
        sysbench(
            "read_only, read committed",
            "oltp_read_only",
            Some(ReadCommitted),
            Throughput(0.7),
            Skipped,
        ),
        sysbench(
            "read_write, read committed",
            "oltp_read_write",
            Some(ReadCommitted),
            Throughput(0.7),
            Skipped,
        ),
        sysbench(
            "read_write, serializable",
            "oltp_read_write",
            Some(Serializable),
            ThroughputAndFewerFailed(1.0),
            Skipped,
        ),
        sysbench("update_index", "oltp_update_index", None, Throughput(1.0), Throughput(0.8)),
        sysbench("write_only", "oltp_write_only", None, Throughput(1.0), Throughput(0.8)),
        sysbench("insert", "oltp_insert", None, Throughput(1.0), Throughput(0.8)),
        hot_row(8),
        hot_row(64),
        hot_row(500),
        queue(", read committed", Some(ReadCommitted), Throughput(0.5)),
        queue("", None, Measured),
        sysbench("delete", "oltp_delete", None, Throughput(1.0), Throughput(0.8)),
    ]);
    rows
}

/// What one measurement has shown. Latencies that were not told are NaN.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    pub(crate) tps: f64,
    pub(crate) transactions: f64,
    /// Given up.
    pub(crate) failed: f64,
    /// Run again after an error that lets them.
    pub(crate) retried: f64,
    pub(crate) mean_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// How one measurement is made.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    /// Clients are dealt out to these evenly.
    pub(crate) ports: &'a [u16],
    pub(crate) clients: u32,
    pub(crate) seconds: u32,
    pub(crate) isolation: Isolation,
    /// For files that come and go.
    pub(crate) folder: &'a std::path::Path,
    /// Rows of each of sysbench's tables.
    pub(crate) sysbench_rows: u32,
}

impl Run<'_> {
    /// The ports that get clients, and how many.
    pub(crate) fn dealt(&self) -> Vec<(u16, u32)> {
        let ports = (self.ports.len() as u32).min(self.clients).max(1);
        let share = |number: u32| self.clients / ports + u32::from(number < self.clients % ports);
        self.ports.iter().zip(0..ports).map(|(port, number)| (*port, share(number))).collect()
    }

    pub(crate) fn measure(&self, tool: Tool) -> Result<Measured> {
        match tool {
            Tool::Pgbench(arguments) => pgbench::run(self, arguments),
            Tool::Sysbench(script) => sysbench::run(self, script),
            Tool::HotRow => hot_row::run(self),
            Tool::Queue => queue::run(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_dealt_out_evenly() {
        let dealt = |ports: &[u16], clients| {
            let folder = std::path::Path::new("");
            let isolation = Isolation::Default;
            Run { ports, clients, seconds: 1, isolation, folder, sysbench_rows: 1 }.dealt()
        };
        assert_eq!(dealt(&[1, 2], 8), [(1, 4), (2, 4)]);
        assert_eq!(dealt(&[1, 2], 1), [(1, 1)]);
        assert_eq!(dealt(&[1, 2], 3), [(1, 2), (2, 1)]);
    }

    #[test]
    fn rows_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> = rows().into_iter().map(|row| row.name).collect();
        assert_eq!(names.len(), rows().len());
    }
}
