//! How a node comes to belong to a cluster: it makes one, or joins one.
//!
//! Making a cluster may stop halfway at any point. The identity file says so first, and every step after it can be
//! repeated: the groups are made if they are not there, the first commands do nothing where they were applied.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use proto::v1::range_command::Kind as CommandKind;
use proto::v1::root_command::Kind;
use proto::v1::{
    BootstrapCommand, InitialiseCommand, JoinRequest, JoinResponse, NodeRow, RangeCommand, RangeDescriptor,
    ReplicaDescriptor, Span, StoreIdentity,
};
use proto::{Code, Network};

use crate::addresses::is_address;
use crate::error::NodeError;
use crate::member::Member;
use crate::options::NodeOptions;
use crate::raft::{Group, GroupSeed};
use crate::range::state::FORMAT;
use crate::root::{
    COUNTER_NODE, COUNTER_OID, COUNTER_RANGE, COUNTER_REPLICA, FIRST_DATA_RANGE, ROOT_RANGE, root_command,
};
use crate::store::introduction;

/// How long one node may take to answer a request to join.
const JOIN_CALL: Duration = Duration::from_secs(2);

/// The first node, and its replicas' ids.
const FIRST: u64 = 1;

/// The identity of a store that makes a cluster, which keeps history for `history_ms`.
pub(crate) fn founder(known: StoreIdentity, history_ms: Option<u64>) -> StoreIdentity {
    let cluster_id = Bytes::copy_from_slice(&env::random::id());
    StoreIdentity { cluster_id, node_id: FIRST, bootstrapping: true, history_ms, ..known }
}

/// Makes the first ranges and their first rows, as far as they are not there.
pub(crate) async fn found(
    member: &std::sync::Arc<Member>,
    options: &NodeOptions,
    identity: &StoreIdentity,
) -> Result<(), NodeError> {
    let root = member.host.create(GroupSeed { range_id: ROOT_RANGE, replica_id: FIRST }).await?;
    let mut founded = vec![(root.clone(), keys::root::span())];
    for (range_id, span) in (FIRST_DATA_RANGE..).zip(cut(keys::sql::data_span(), &options.borders)?) {
        founded.push((member.host.create(GroupSeed { range_id, replica_id: FIRST }).await?, span));
    }
    let next_range = FIRST_DATA_RANGE + founded.len() as u64 - 1;
    let mut ranges = Vec::new();
    for (group, span) in founded {
        let span = Span { start: span.start, end: span.end };
        // Whoever has said where the data is cut wants it to stay so.
        let by_hand = options.borders.contains(&span.start);
        propose(&group, initialise(span.clone(), by_hand)).await?;
        ranges.push(RangeDescriptor {
            range_id: group.range_id(),
            span: Some(span),
            span_epoch: 1,
            config_epoch: 0,
            replicas: vec![ReplicaDescriptor {
                replica_id: FIRST,
                node_id: FIRST,
                ..ReplicaDescriptor::default()
            }],
            leader_node_id: FIRST,
            by_hand,
            ..RangeDescriptor::default()
        });
    }
    // Whoever was started again without what its ranges span would take in others that were divided from them meanwhile, and then,
    // when it had caught up, take their keys away.
    member.host.flush().await?;
    let node = NodeRow {
        format: FORMAT,
        node_id: FIRST,
        store_id: identity.store_id.clone(),
        generation: identity.generation,
        address: options.address.clone(),
        locality: options.locality.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..NodeRow::default()
    };
    let counters = [
        (COUNTER_NODE, FIRST + 1),
        (COUNTER_REPLICA, FIRST + 1),
        (COUNTER_RANGE, next_range),
        (COUNTER_OID, 16384),
    ];
    let command = BootstrapCommand {
        cluster_id: member.cluster_id.clone(),
        created_ms: env::clock::wall_ms(),
        node: Some(node),
        ranges,
        history_ms: identity.history_ms,
        counters: BTreeMap::from(counters.map(|(name, next)| (name.to_owned(), next))),
    };
    propose(&root, root_command(Kind::Bootstrap(command))).await?;
    member.adopt()
}

/// A span, cut at the borders.
fn cut(span: keys::Span, borders: &[Bytes]) -> Result<Vec<keys::Span>, NodeError> {
    let mut spans = Vec::with_capacity(borders.len() + 1);
    let mut left = span;
    for border in borders {
        if *border <= left.start || *border >= left.end {
            let wrong = format!("{border:?} is no border of ranges: ascending keys within the data are");
            return Err(NodeError::Unavailable(wrong));
        }
        spans.push(keys::Span::new(left.start, border.clone()));
        left.start = border.clone();
    }
    spans.push(left);
    Ok(spans)
}

async fn propose(group: &Group, command: Bytes) -> Result<(), NodeError> {
    let proposed = group.propose(command).await;
    proposed
        .map(|_| ())
        .map_err(|error| NodeError::Unavailable(format!("the cluster could not be made: {error}")))
}

fn initialise(span: Span, by_hand: bool) -> Bytes {
    let kind = Some(CommandKind::Initialise(InitialiseCommand { span: Some(span), by_hand }));
    RangeCommand { format: FORMAT, kind, ..RangeCommand::default() }.encode_to_vec().into()
}

/// Asks each of the nodes once to be let in; the first answer, or why there is none.
pub(crate) async fn try_join(
    options: &NodeOptions,
    identity: &StoreIdentity,
) -> Result<JoinResponse, String> {
    let request = introduction(options, identity);
    let mut why = format!("there is nobody else to ask; `nunatak init --host {}` makes one", options.address);
    for address in options.join.iter().filter(|address| **address != options.address) {
        let refused = |asked: &str, status: &proto::Status| format!("{asked} answers: {}", status.message());
        why = match ask(&*options.network, address, &request).await {
            Ok(answer) => return Ok(answer),
            Err(status) if status.code() == Code::FailedPrecondition && is_address(status.message()) => {
                match ask(&*options.network, status.message(), &request).await {
                    Ok(answer) => return Ok(answer),
                    Err(refusal) => refused(status.message(), &refusal),
                }
            }
            Err(status) if status.code() == Code::FailedPrecondition => {
                format!("{address} knows of no leader of the root range yet")
            }
            Err(status) => refused(address, &status),
        };
    }
    Err(why)
}

async fn ask(
    network: &dyn Network,
    address: &str,
    request: &JoinRequest,
) -> Result<JoinResponse, proto::Status> {
    let node = network.connect(address);
    let answer = env::clock::timeout(JOIN_CALL, node.join(request.clone())).await;
    answer.unwrap_or_else(|_| Err(proto::Status::unavailable("no answer in time")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_cut_the_data_into_spans_without_gaps() {
        let span = || keys::Span::new(&b"d"[..], &b"e"[..]);
        let cut = |borders: &[&'static [u8]]| {
            cut(span(), &borders.iter().map(|border| Bytes::from_static(border)).collect::<Vec<_>>())
        };
        assert_eq!(cut(&[]).unwrap(), [span()]);
        let spans = cut(&[b"da", b"db"]).unwrap();
        assert_eq!(spans.len(), 3);
        assert!(spans.windows(2).all(|pair| pair[0].end == pair[1].start));
        for wrong in [&[&b"d"[..]][..], &[b"e"], &[b"c"], &[b"db", b"da"], &[b"da", b"da"]] {
            assert!(cut(wrong).is_err());
        }
    }
}
