//! `nunatak admin`: what an operator asks a cluster.

use clap::{Args, Subcommand, ValueEnum};
use proto::Network;
use proto::v1::{
    CheckConsistencyRequest, CheckConsistencyResponse, HistoryRequest, HistoryResponse, NodesRequest,
    NodesResponse, RangeStatus, RangesRequest, RangesResponse, SplitRequest, SplitResponse,
};
use serde_json::{Value, json};

use super::NODE_ADDRESS;
use super::refusal::refused;
use crate::address::Address;
use crate::escape::{Key, parse_key};
use crate::failure::Failure;
use crate::history::History;
use crate::output::{out, outln};
use crate::security::PeerArguments;
use crate::table::{Alignment, Table};

/// Look after a cluster.
#[derive(Debug, Args)]
pub(crate) struct Admin {
    #[command(subcommand)]
    pub(crate) question: Question,

    /// A node of the cluster
    #[arg(long, global = true, env = "NUNATAK_HOST", value_name = "ADDR", default_value = NODE_ADDRESS)]
    pub(crate) host: Address,

    #[command(flatten)]
    pub(crate) security: PeerArguments,

    /// How the answer is printed
    #[arg(long, global = true, env = "NUNATAK_FORMAT", value_name = "FORMAT", default_value = "table")]
    pub(crate) format: OutputFormat,
}

/// What can be asked.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Question {
    /// List the nodes
    Nodes,
    /// List the ranges with their replicas
    Ranges,
    /// Compare the replicas of every range; exit status 1 if any differ
    CheckConsistency,
    /// Have a range begin at a key: what the range that holds it has from there on becomes another range's
    Split {
        /// The key, as `admin ranges` shows it: text, other bytes as \xNN, a backslash as \\
        #[arg(value_name = "KEY", value_parser = parse_key)]
        key: Key,
    },
    /// Show how long history is kept, or change it
    History {
        /// From now on keep it for so long: 90s, 10min, 1h, 7d, forever
        #[arg(long, env = "NUNATAK_SET", value_name = "TIME")]
        set: Option<History>,
        /// Take less than a minute, too
        #[arg(long, env = "NUNATAK_SHORT_HISTORY", hide = true)]
        short_history: bool,
    },
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// An answer in both its forms.
struct Answer {
    table: Table,
    json: Value,
    /// Whether the cluster is as it should be.
    healthy: bool,
}

impl Admin {
    /// Asks and prints the answer.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let node = proto::grpc::GrpcNetwork::new(self.security.for_nodes()?).connect(self.host.as_str());
        let answer = match self.question {
            Question::Nodes => node.nodes(NodesRequest {}).await.map(nodes),
            Question::Ranges => node.ranges(RangesRequest {}).await.map(ranges),
            Question::CheckConsistency => {
                node.check_consistency(CheckConsistencyRequest {}).await.map(consistency)
            }
            Question::Split { key } => {
                let request = SplitRequest { key: key.0.into(), passed_on: false };
                node.split(request).await.map(split)
            }
            Question::History { set, short_history } => {
                let set_ms = set.map(|history| history.0);
                let request = HistoryRequest { set_ms, short_history, passed_on: false };
                node.history(request).await.map(history)
            }
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(status) => return Err(refused(node.as_ref(), &self.host, &status).await),
        };
        match self.format {
            OutputFormat::Table => out!("{}", answer.table),
            OutputFormat::Json => outln!("{:#}", answer.json),
        }
        if answer.healthy { Ok(()) } else { Err(Failure::failed("replicas differ or could not be asked")) }
    }
}

fn nodes(response: NodesResponse) -> Answer {
    let mut table = Table::new(&[
        ("node", Alignment::Right),
        ("address", Alignment::Left),
        ("live", Alignment::Left),
        ("locality", Alignment::Left),
        ("version", Alignment::Left),
    ]);
    let mut list = Vec::new();
    for node in response.nodes {
        let mut locality: Vec<String> =
            node.locality.iter().map(|(key, value)| format!("{key}={value}")).collect();
        locality.sort();
        let live = if node.live { "yes" } else { "no" };
        table.row([
            node.node_id.to_string(),
            node.address.clone(),
            live.to_owned(),
            locality.join(","),
            node.version.clone(),
        ]);
        list.push(json!({
            "node_id": node.node_id, "address": node.address, "live": node.live,
            "last_seen_ms": node.last_seen_ms, "locality": node.locality, "version": node.version,
        }));
    }
    Answer { table, json: Value::Array(list), healthy: true }
}

fn ranges(response: RangesResponse) -> Answer {
    let mut table = Table::new(&[
        ("range", Alignment::Right),
        ("start", Alignment::Left),
        ("end", Alignment::Left),
        ("leader", Alignment::Right),
        ("term", Alignment::Right),
        ("applied", Alignment::Right),
        ("replicas", Alignment::Left),
    ]);
    let mut list = Vec::new();
    for status in response.ranges {
        let descriptor = status.descriptor.unwrap_or_default();
        let span = descriptor.span.clone().unwrap_or_default();
        let replicas: Vec<String> = descriptor
            .replicas
            .iter()
            .map(|replica| {
                let role = if replica.learner { " (learner)" } else { "" };
                format!("n{}{role}", replica.node_id)
            })
            .collect();
        table.row([
            descriptor.range_id.to_string(),
            printable(&span.start),
            printable(&span.end),
            format!("n{}", descriptor.leader_node_id),
            status.term.to_string(),
            status.applied_index.to_string(),
            replicas.join(" "),
        ]);
        let replicas: Vec<Value> = descriptor
            .replicas
            .iter()
            .map(|replica| {
                json!({
                    "node_id": replica.node_id, "replica_id": replica.replica_id,
                    "address": replica.address, "learner": replica.learner,
                })
            })
            .collect();
        list.push(json!({
            "range_id": descriptor.range_id, "start": hex(&span.start), "end": hex(&span.end),
            "leader_node_id": descriptor.leader_node_id, "term": status.term,
            "applied_index": status.applied_index, "log_bytes": status.log_bytes, "failure": status.failure, "replicas": replicas,
        }));
    }
    Answer { table, json: Value::Array(list), healthy: true }
}

fn consistency(response: CheckConsistencyResponse) -> Answer {
    let mut table = Table::new(&[
        ("range", Alignment::Right),
        ("consistent", Alignment::Left),
        ("node", Alignment::Right),
        ("applied", Alignment::Right),
        ("keys", Alignment::Right),
        ("digest", Alignment::Left),
    ]);
    let mut list = Vec::new();
    let mut healthy = true;
    for range in response.ranges {
        healthy &= range.consistent && range.replicas.iter().all(|replica| replica.error.is_empty());
        let verdict = if range.consistent { "yes" } else { "NO" };
        let mut replicas = Vec::new();
        for replica in range.replicas {
            let digest = if replica.error.is_empty() { hex(&replica.digest) } else { replica.error.clone() };
            table.row([
                range.range_id.to_string(),
                verdict.to_owned(),
                format!("n{}", replica.node_id),
                replica.applied_index.to_string(),
                replica.keys.to_string(),
                digest,
            ]);
            replicas.push(json!({
                "node_id": replica.node_id, "replica_id": replica.replica_id,
                "applied_index": replica.applied_index, "keys": replica.keys,
                "digest": hex(&replica.digest), "error": replica.error,
            }));
        }
        list.push(json!({
            "range_id": range.range_id, "at": range.at, "consistent": range.consistent, "replicas": replicas,
        }));
    }
    Answer { table, json: Value::Array(list), healthy }
}

fn split(response: SplitResponse) -> Answer {
    let halves = [response.left, response.right].into_iter().flatten();
    let status = |descriptor| RangeStatus { descriptor: Some(descriptor), ..RangeStatus::default() };
    let Answer { json, .. } = ranges(RangesResponse { ranges: halves.clone().map(status).collect() });
    let mut table = Table::new(&[
        ("range", Alignment::Right),
        ("start", Alignment::Left),
        ("end", Alignment::Left),
        ("divided", Alignment::Left),
    ]);
    let divided = if response.already { "before" } else { "now" };
    for half in halves {
        let span = half.span.unwrap_or_default();
        table.row([
            half.range_id.to_string(),
            printable(&span.start),
            printable(&span.end),
            divided.to_owned(),
        ]);
    }
    Answer { table, json: json!({ "already": response.already, "ranges": json }), healthy: true }
}

fn history(response: HistoryResponse) -> Answer {
    let mut table =
        Table::new(&[("history", Alignment::Left), ("held by open transactions", Alignment::Left)]);
    let held_ms = response.held_by_gateways_ms;
    let held = if held_ms == 0 { "-".to_owned() } else { format!("{} s longer", held_ms.div_ceil(1000)) };
    table.row([History(response.history_ms).to_string(), held]);
    let json = json!({
        "history_ms": response.history_ms, "held_by_gateways_ms": held_ms, "safe_point": response.safe_point,
    });
    Answer { table, json, healthy: true }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key for people: printable bytes as they are.
fn printable(key: &[u8]) -> String {
    if key.is_empty() { "-".to_owned() } else { key.escape_ascii().to_string() }
}
