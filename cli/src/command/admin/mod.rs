//! `nunatak admin`: what an operator asks a cluster.

mod coverage;
mod nodes;
mod replicas;
mod salvage;

use std::cmp::Reverse;

use clap::{Args, Subcommand, ValueEnum};
use proto::Network;
use proto::v1::{
    AddReplicaRequest, CheckConsistencyRequest, CheckConsistencyResponse, HistoryRequest, HistoryResponse,
    MergeRequest, MergeResponse, MoveReplicaRequest, NodesRequest, RangeStatus, RangesRequest,
    RangesResponse, RemoveReplicaRequest, RotateKeyRequest, SplitRequest, SplitResponse,
    TransferLeaderRequest,
};
use serde_json::{Value, json};

use self::nodes::{Leaving, Wait};
use self::salvage::UnsafeRecover;
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
    /// List the nodes: what each is for the cluster, and what it holds
    Nodes,
    /// List the ranges with their replicas
    Ranges {
        /// Those first that are asked most
        #[arg(long, env = "NUNATAK_BY_LOAD")]
        by_load: bool,
    },
    /// Compare the replicas of every range; exit status 1 if any differ
    CheckConsistency,
    /// Find out whether every key has one range, led by a node that lives; exit status 1 if not
    CheckCoverage,
    /// Have ranges whose majority is lost go on with what the store of one stopped node has of them
    ///
    /// For when there is no other way: it says what is given up, and asks. Done again it does nothing. Give it the store of every node
    /// that is left, so that none takes anything from the lost ones any more.
    UnsafeRecover(UnsafeRecover),
    /// Have a range begin at a key: what the range that holds it has from there on becomes another range's
    Split {
        /// The key, as `admin ranges` shows it: text, other bytes as \xNN, a backslash as \\
        #[arg(value_name = "KEY", value_parser = parse_key)]
        key: Key,
    },
    /// Have no range begin at a key: the one that does is taken over by its left neighbour
    ///
    /// Its replicas move to the nodes of that one first. Done again it does nothing.
    Merge {
        /// The key, as `admin ranges` shows it: text, other bytes as \xNN, a backslash as \\
        #[arg(value_name = "KEY", value_parser = parse_key)]
        key: Key,
    },
    /// Have a node lead a range
    ///
    /// The node holds a replica of the range. Done again it does nothing.
    TransferLeader {
        /// The range, as `admin ranges` numbers it
        #[arg(value_name = "RANGE")]
        range: u64,
        /// The node, as `admin nodes` numbers it
        #[arg(value_name = "NODE")]
        node: u64,
    },
    /// Have one more node hold a replica of a range
    ///
    /// Waits until the replica has all of the range and votes. Done again it does nothing.
    AddReplica {
        /// The range, as `admin ranges` numbers it
        #[arg(value_name = "RANGE")]
        range: u64,
        /// The node, as `admin nodes` numbers it
        #[arg(value_name = "NODE")]
        node: u64,
    },
    /// Have a node hold no replica of a range
    ///
    /// Refused if too few replicas would be left that answer. Where a range is left with fewer than three replicas and another node
    /// can take one, it gets one again: to choose where, use `move`. Done again it does nothing.
    RemoveReplica {
        /// The range, as `admin ranges` numbers it
        #[arg(value_name = "RANGE")]
        range: u64,
        /// The node, as `admin nodes` numbers it
        #[arg(value_name = "NODE")]
        node: u64,
    },
    /// Have another node hold the replica of a range that a node holds
    ///
    /// The new one has all of the range before the old one goes. Done again it does nothing.
    Move {
        /// The range, as `admin ranges` numbers it
        #[arg(value_name = "RANGE")]
        range: u64,
        /// The node that holds the replica
        #[arg(value_name = "FROM")]
        from: u64,
        /// The node that is to hold it
        #[arg(value_name = "TO")]
        to: u64,
    },
    /// Have a node lead nothing, as before its machine is restarted
    ///
    /// Waits until other nodes lead what it has led; no statement fails by that. It lasts until the node's process is started again, or until
    /// --cancel. A process that is ended in order (SIGTERM) drains by itself.
    Drain {
        /// The node, as `admin nodes` numbers it [default: the one at --host]
        #[arg(value_name = "NODE")]
        node: Option<u64>,
        /// The node may lead again
        #[arg(long, env = "NUNATAK_CANCEL")]
        cancel: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Have all replicas of a node go to other nodes, so that it can be taken away for good
    ///
    /// Waits until it holds none, and tells on standard error how many are left. Interrupted, it goes on in the cluster; given again, it
    /// waits again. Refused if the nodes that are left could not hold what there is.
    Decommission {
        /// The node, as `admin nodes` numbers it
        #[arg(value_name = "NODE")]
        node: u64,
        #[command(flatten)]
        wait: Wait,
    },
    /// Have a node hold replicas again that was to be decommissioned
    Recommission {
        /// The node, as `admin nodes` numbers it
        #[arg(value_name = "NODE")]
        node: u64,
    },
    /// Give the node at --host a new data key
    ///
    /// What it writes from now on is encrypted with that. The rest it encrypts anew bit by bit; `admin nodes` shows how much is still to
    /// go. The old keys are forgotten then.
    RotateKey,
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
    /// What is not as it should be, if something is not.
    trouble: Option<String>,
}

impl Admin {
    /// Asks and prints the answer.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if let Question::UnsafeRecover(recover) = self.question {
            return recover.run()?.print(self.format);
        }
        let node = proto::grpc::GrpcNetwork::new(self.security.for_nodes()?).connect(self.host.as_str());
        let answer = match self.question {
            Question::Nodes => node.nodes(NodesRequest {}).await.map(|answer| nodes::list(&answer.nodes)),
            Question::Ranges { by_load } => {
                let request = RangesRequest { loads: true, ..RangesRequest::default() };
                node.ranges(request).await.map(|response| ranges(response, by_load))
            }
            Question::CheckConsistency => {
                node.check_consistency(CheckConsistencyRequest {}).await.map(consistency)
            }
            Question::CheckCoverage => match node.nodes(NodesRequest {}).await {
                Ok(nodes) => {
                    node.ranges(RangesRequest::default()).await.map(|ranges| coverage::answer(ranges, &nodes))
                }
                Err(status) => Err(status),
            },
            // It asks no node: done above.
            Question::UnsafeRecover(_) => return Ok(()),
            Question::Split { key } => {
                let request = SplitRequest { key: key.0.into(), passed_on: false };
                node.split(request).await.map(split)
            }
            Question::Merge { key } => {
                let request = MergeRequest { key: key.0.into(), passed_on: false };
                node.merge(request).await.map(merge)
            }
            Question::TransferLeader { range: range_id, node: node_id } => {
                let request = TransferLeaderRequest { range_id, node_id };
                node.transfer_leader(request).await.map(replicas::answer)
            }
            Question::AddReplica { range: range_id, node: node_id } => {
                node.add_replica(AddReplicaRequest { range_id, node_id }).await.map(replicas::answer)
            }
            Question::RemoveReplica { range: range_id, node: node_id } => {
                node.remove_replica(RemoveReplicaRequest { range_id, node_id }).await.map(replicas::answer)
            }
            Question::Move { range: range_id, from: from_node_id, to: to_node_id } => {
                let request = MoveReplicaRequest { range_id, from_node_id, to_node_id };
                node.move_replica(request).await.map(replicas::answer)
            }
            Question::RotateKey => {
                node.rotate_key(RotateKeyRequest {}).await.map(|answer| nodes::rotated(&answer))
            }
            Question::Drain { node: given, cancel, wait } => {
                match nodes::given_or_asked(node.as_ref(), given).await {
                    Ok(node_id) => {
                        nodes::leave(node.as_ref(), Leaving::Drain { node_id, cancel }, wait).await
                    }
                    Err(status) => Err(status),
                }
            }
            Question::Decommission { node: node_id, wait } => {
                nodes::leave(node.as_ref(), Leaving::Decommission { node_id, cancel: false }, wait).await
            }
            Question::Recommission { node: node_id } => {
                let leaving = Leaving::Decommission { node_id, cancel: true };
                nodes::leave(node.as_ref(), leaving, Wait::default()).await
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
        answer.print(self.format)
    }
}

impl Answer {
    fn print(self, format: OutputFormat) -> Result<(), Failure> {
        match format {
            OutputFormat::Table => out!("{}", self.table),
            OutputFormat::Json => outln!("{:#}", self.json),
        }
        self.trouble.map_or(Ok(()), |trouble| Err(Failure::failed(trouble)))
    }
}

fn ranges(mut response: RangesResponse, by_load: bool) -> Answer {
    if by_load {
        let rate = |range: &RangeStatus| range.load.map(|load| (load.requests_per_second, load.bytes));
        response.ranges.sort_by_key(|range| Reverse(rate(range)));
    }
    let mut table = Table::new(&[
        ("range", Alignment::Right),
        ("start", Alignment::Left),
        ("end", Alignment::Left),
        ("leader", Alignment::Right),
        ("term", Alignment::Right),
        ("applied", Alignment::Right),
        ("size", Alignment::Right),
        ("requests/s", Alignment::Right),
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
            status.load.map(|load| nodes::mebibytes(load.bytes)).unwrap_or_default(),
            status.load.map(|load| load.requests_per_second.to_string()).unwrap_or_default(),
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
            "bytes": status.load.map(|load| load.bytes),
            "requests_per_second": status.load.map(|load| load.requests_per_second),
        }));
    }
    Answer { table, json: Value::Array(list), trouble: None }
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
    let trouble = (!healthy).then(|| "replicas differ or could not be asked".to_owned());
    Answer { table, json: Value::Array(list), trouble }
}

fn split(response: SplitResponse) -> Answer {
    let halves = [response.left, response.right].into_iter().flatten();
    let status = |descriptor| RangeStatus { descriptor: Some(descriptor), ..RangeStatus::default() };
    let Answer { json, .. } = ranges(RangesResponse { ranges: halves.clone().map(status).collect() }, false);
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
    Answer { table, json: json!({ "already": response.already, "ranges": json }), trouble: None }
}

fn merge(response: MergeResponse) -> Answer {
    let range = response.range.unwrap_or_default();
    let status = RangeStatus { descriptor: Some(range.clone()), ..RangeStatus::default() };
    let Answer { json, .. } = ranges(RangesResponse { ranges: vec![status] }, false);
    let mut table = Table::new(&[
        ("range", Alignment::Right),
        ("start", Alignment::Left),
        ("end", Alignment::Left),
        ("merged", Alignment::Left),
    ]);
    let merged = if response.already { "before" } else { "now" };
    let span = range.span.unwrap_or_default();
    let row = [range.range_id.to_string(), printable(&span.start), printable(&span.end), merged.to_owned()];
    table.row(row);
    Answer { table, json: json!({ "already": response.already, "ranges": json }), trouble: None }
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
    Answer { table, json, trouble: None }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key for people: printable bytes as they are.
fn printable(key: &[u8]) -> String {
    if key.is_empty() { "-".to_owned() } else { key.escape_ascii().to_string() }
}
