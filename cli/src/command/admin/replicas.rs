//! What became of a range whose replicas or leader an operator has changed.

use proto::v1::{RangeStatus, RangesResponse, ReplicasResponse};
use serde_json::json;

use super::{Answer, ranges};
use crate::table::{Alignment, Table};

/// The range as it is now, and whether it was so before.
pub(super) fn answer(response: ReplicasResponse) -> Answer {
    let range = response.range.unwrap_or_default();
    let mut table = Table::new(&[
        ("range", Alignment::Right),
        ("leader", Alignment::Right),
        ("replicas", Alignment::Left),
        ("changed", Alignment::Left),
    ]);
    let mut held: Vec<String> = Vec::new();
    for replica in &range.replicas {
        let role = if replica.learner { " (learner)" } else { "" };
        held.push(format!("n{}{role}", replica.node_id));
    }
    let changed = if response.already { "before" } else { "now" };
    table.row([
        range.range_id.to_string(),
        format!("n{}", range.leader_node_id),
        held.join(" "),
        changed.to_owned(),
    ]);
    let status = RangeStatus { descriptor: Some(range), ..RangeStatus::default() };
    let Answer { json, .. } = ranges(RangesResponse { ranges: vec![status] }, false);
    let range = json.as_array().and_then(|ranges| ranges.first()).cloned().unwrap_or_default();
    Answer { table, json: json!({ "already": response.already, "range": range }), trouble: None }
}
