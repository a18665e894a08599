//! `nunatak admin check-coverage`: whether every key has one range, which somebody leads who lives.

use std::collections::BTreeSet;

use proto::v1::{NodeDescriptor, NodesResponse, RangeDescriptor, RangesResponse};
use serde_json::json;

use super::{Answer, printable};
use crate::table::{Alignment, Table};

pub(super) fn answer(ranges: RangesResponse, nodes: &NodesResponse) -> Answer {
    let ranges: Vec<RangeDescriptor> =
        ranges.ranges.into_iter().filter_map(|range| range.descriptor).collect();
    let wrong = judge(&ranges, &nodes.nodes);
    let mut table = Table::new(&[("ranges", Alignment::Right), ("wrong", Alignment::Left)]);
    match wrong.as_slice() {
        [] => table.row([ranges.len().to_string(), "nothing".to_owned()]),
        wrong => wrong.iter().for_each(|what| table.row([ranges.len().to_string(), what.clone()])),
    }
    let trouble = (!wrong.is_empty()).then(|| "not every key is served".to_owned());
    Answer { table, json: json!({ "ranges": ranges.len(), "wrong": wrong }), trouble }
}

/// What is wrong with the ranges of a cluster.
fn judge(ranges: &[RangeDescriptor], nodes: &[NodeDescriptor]) -> Vec<String> {
    let live: BTreeSet<u64> = nodes.iter().filter(|node| node.live).map(|node| node.node_id).collect();
    let data = keys::sql::data_span();
    let mut wrong = Vec::new();
    for range in ranges.iter().filter(|range| !live.contains(&range.leader_node_id)) {
        wrong.push(format!("nobody who lives is known to lead range {}", range.range_id));
    }
    // Who led last is still named where nobody can lead any more.
    for range in ranges {
        let voters: Vec<u64> =
            range.replicas.iter().filter(|replica| !replica.learner).map(|replica| replica.node_id).collect();
        let alive = voters.iter().filter(|node_id| live.contains(node_id)).count();
        if !voters.is_empty() && 2 * alive <= voters.len() {
            let (range_id, voters) = (range.range_id, voters.len());
            wrong.push(format!("range {range_id} has no majority: {alive} of {voters} voters live"));
        }
    }
    let mut spans: Vec<_> =
        ranges.iter().filter_map(|range| Some((range.span.clone()?, range.range_id))).collect();
    spans.retain(|(span, _)| data.start <= span.start && span.start < data.end);
    spans.sort_by(|a, b| a.0.start.cmp(&b.0.start));
    let mut covered = data.start;
    for (span, range_id) in spans {
        if span.start > covered {
            wrong.push(format!(
                "no range holds the keys from {} to {}",
                printable(&covered),
                printable(&span.start)
            ));
        }
        if span.start < covered {
            wrong.push(format!(
                "range {range_id} and the one before it hold the keys from {}",
                printable(&span.start)
            ));
        }
        covered = covered.max(span.end);
    }
    if covered < data.end {
        wrong.push(format!("no range holds the keys from {}", printable(&covered)));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use proto::v1::{ReplicaDescriptor, Span};

    use super::*;

    #[test]
    fn gaps_overlaps_and_ranges_without_a_leader_are_told() {
        let range = |range_id, start: &'static str, end: &'static str| RangeDescriptor {
            range_id,
            span: Some(Span { start: start.into(), end: end.into() }),
            leader_node_id: 1,
            ..RangeDescriptor::default()
        };
        let live = NodeDescriptor { node_id: 1, live: true, ..NodeDescriptor::default() };
        let said = |ranges: &[RangeDescriptor]| judge(ranges, std::slice::from_ref(&live)).len();
        assert_eq!(said(&[range(1, "r", "s"), range(3, "dm", "e"), range(2, "d", "dm")]), 0);
        assert_eq!(said(&[range(2, "d", "dm"), range(3, "dn", "e")]), 1);
        assert_eq!(said(&[range(2, "d", "dn"), range(3, "dm", "e")]), 1);
        assert_eq!(said(&[range(2, "d", "dn")]), 1);
        let leaderless = RangeDescriptor { leader_node_id: 2, ..range(2, "d", "e") };
        assert_eq!(said(&[leaderless]), 1);
        let on = |node_id| ReplicaDescriptor { node_id, ..ReplicaDescriptor::default() };
        let alone = RangeDescriptor { replicas: vec![on(1)], ..range(2, "d", "e") };
        let bereft = RangeDescriptor { replicas: vec![on(1), on(2), on(3)], ..range(2, "d", "e") };
        assert_eq!((said(&[alone]), said(&[bereft])), (0, 1));
    }
}
