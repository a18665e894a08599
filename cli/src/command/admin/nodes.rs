//! The nodes, and waiting for what leaves one.

use std::time::Duration;

use clap::Args;
use proto::v1::{
    DataKeys, DecommissionRequest, DrainRequest, HelloRequest, NodeDescriptor, NodeState, NodeStateResponse,
    RotateKeyResponse,
};
use proto::{Code, NodeService, Status};
use serde_json::{Value, json};

use super::Answer;
use crate::output::errln;
use crate::table::{Alignment, Table};

/// How often it is asked how far it has come.
const TICK: Duration = Duration::from_secs(1);

/// So many times in a row nothing leaves before that is an answer: the cluster may be about to find a place.
const STUCK_MAX: u32 = 15;

/// So many times in a row the cluster may not answer.
const UNANSWERED_MAX: u32 = 30;

/// How long is waited.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Wait {
    /// Answer at once: what was asked for goes on in the cluster
    #[arg(long, env = "NUNATAK_NO_WAIT")]
    no_wait: bool,
}

/// What leaves a node, or stays after all.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaving {
    /// Its leaders.
    Drain { node_id: u64, cancel: bool },
    /// Its replicas.
    Decommission { node_id: u64, cancel: bool },
}

impl Leaving {
    async fn ask(self, node: &dyn NodeService) -> Result<NodeStateResponse, Status> {
        match self {
            Self::Drain { node_id, cancel } => {
                node.drain(DrainRequest { node_id, cancel, passed_on: false }).await
            }
            Self::Decommission { node_id, cancel } => {
                node.decommission(DecommissionRequest { node_id, cancel, passed_on: false }).await
            }
        }
    }

    /// How much is left, of what.
    fn left(self, node: &NodeDescriptor) -> (u64, &'static str) {
        match self {
            Self::Drain { cancel: false, .. } => (node.leaders, "ranges are led there still"),
            Self::Decommission { cancel: false, .. } => (node.replicas, "replicas are there still"),
            _ => (0, ""),
        }
    }

    /// What to do where nothing leaves any more.
    fn trouble(self, left: u64, node_id: u64) -> String {
        match self {
            Self::Drain { .. } => format!(
                "node {node_id} leads {left} ranges still, for no other replica of theirs is fit to lead: \
                 `nunatak admin ranges` shows who holds them"
            ),
            Self::Decommission { .. } => format!(
                "{left} replicas of node {node_id} have nowhere to go: start another node, or make room on those there are; or \
                 keep the node (`nunatak admin recommission {node_id}`)"
            ),
        }
    }
}

/// The node that was given, or else the one that is asked.
pub(super) async fn given_or_asked(node: &dyn NodeService, given: Option<u64>) -> Result<u64, Status> {
    match given {
        Some(node_id) => Ok(node_id),
        None => node.hello(HelloRequest::default()).await.map(|hello| hello.node_id),
    }
}

/// Has it leave, and waits until it has.
pub(super) async fn leave(node: &dyn NodeService, leaving: Leaving, wait: Wait) -> Result<Answer, Status> {
    let mut answer = leaving.ask(node).await?;
    let already = answer.already;
    let (mut told, mut stuck, mut unanswered) = (None, 0, 0);
    loop {
        let descriptor = answer.node.clone().unwrap_or_default();
        let (left, what) = leaving.left(&descriptor);
        let stays = told == Some(left) && (answer.stuck > 0 || matches!(leaving, Leaving::Drain { .. }));
        stuck = if stays { stuck + 1 } else { 0 };
        if left == 0 || wait.no_wait || stuck >= STUCK_MAX {
            let Answer { table, json, .. } = list(std::slice::from_ref(&descriptor));
            let shown = json.as_array().and_then(|nodes| nodes.first()).cloned().unwrap_or_default();
            let json = json!({ "already": already, "node": shown, "stuck": answer.stuck });
            let trouble = (stuck >= STUCK_MAX).then(|| leaving.trouble(left, descriptor.node_id));
            return Ok(Answer { table, json, trouble });
        }
        if told.replace(left) != Some(left) {
            errln!("nunatak: {left} {what}");
        }
        env::clock::sleep(TICK).await;
        match leaving.ask(node).await {
            Ok(newer) => (answer, unanswered) = (newer, 0),
            Err(status) if status.code() == Code::Unavailable && unanswered < UNANSWERED_MAX => {
                unanswered += 1
            }
            Err(status) => return Err(status),
        }
    }
}

/// The nodes as a table.
pub(super) fn list(nodes: &[NodeDescriptor]) -> Answer {
    let mut table = Table::new(&[
        ("node", Alignment::Right),
        ("address", Alignment::Left),
        ("state", Alignment::Left),
        ("locality", Alignment::Left),
        ("version", Alignment::Left),
        ("replicas", Alignment::Right),
        ("leaders", Alignment::Right),
        ("data", Alignment::Right),
        ("free disk", Alignment::Right),
        ("encryption", Alignment::Left),
    ]);
    let mut list = Vec::new();
    for node in nodes {
        let mut locality: Vec<String> =
            node.locality.iter().map(|(key, value)| format!("{key}={value}")).collect();
        locality.sort();
        let disk = node.disk.as_ref();
        table.row([
            node.node_id.to_string(),
            node.address.clone(),
            state(node).to_owned(),
            locality.join(","),
            node.version.clone(),
            node.replicas.to_string(),
            node.leaders.to_string(),
            mebibytes(node.bytes),
            disk.map_or_else(|| "-".to_owned(), |disk| mebibytes(disk.bytes_available)),
            node.data_keys.as_ref().map_or_else(|| "-".to_owned(), encryption),
        ]);
        list.push(json!({
            "node_id": node.node_id, "address": node.address, "live": node.live, "state": state(node),
            "last_seen_ms": node.last_seen_ms, "locality": node.locality, "version": node.version,
            "replicas": node.replicas, "leaders": node.leaders, "bytes": node.bytes,
            "disk_bytes_available": disk.map(|disk| disk.bytes_available),
            "disk_bytes_reserved": disk.map(|disk| disk.bytes_reserved),
            "encryption": node.data_keys.as_ref().map(keys),
        }));
    }
    Answer { table, json: Value::Array(list), trouble: None }
}

/// The answer of a node that has a new data key.
pub(super) fn rotated(answer: &RotateKeyResponse) -> Answer {
    let mut table = Table::new(&[
        ("node", Alignment::Right),
        ("data key", Alignment::Left),
        ("encryption", Alignment::Left),
    ]);
    table.row([
        answer.node_id.to_string(),
        data_key(answer.active),
        answer.keys.as_ref().map_or_else(|| "-".to_owned(), encryption),
    ]);
    let json = json!({
        "node_id": answer.node_id, "active": data_key(answer.active), "encryption": answer.keys.as_ref().map(keys),
    });
    Answer { table, json, trouble: None }
}

/// How far a node's files are under its newest data key.
fn encryption(keys: &DataKeys) -> String {
    match keys.stale_bytes {
        0 => "all".to_owned(),
        stale => format!("{} to go", mebibytes(stale)),
    }
}

fn keys(keys: &DataKeys) -> Value {
    json!({ "active": data_key(keys.active), "keys": keys.keys, "stale_bytes": keys.stale_bytes })
}

/// A data key as files and messages name it.
fn data_key(number: u64) -> String {
    format!("{number:016x}")
}

fn state(node: &NodeDescriptor) -> &'static str {
    match node.state() {
        NodeState::Serving if node.live => "live",
        NodeState::Serving => "silent",
        NodeState::Draining => "draining",
        NodeState::Decommissioning => "decommissioning",
        NodeState::Decommissioned => "decommissioned",
        NodeState::Dead => "dead",
    }
}

pub(super) fn mebibytes(bytes: u64) -> String {
    match bytes >> 20 {
        0 if bytes > 0 => "< 1 MiB".to_owned(),
        whole => format!("{whole} MiB"),
    }
}
