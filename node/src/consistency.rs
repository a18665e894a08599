//! Whether the replicas of a range are alike.
//!
//! A range's leader chooses a timestamp and makes sure that nothing will commit at or below it any more; then the
//! index it has applied stands for all of it. Every replica that has applied that index digests what is visible at the
//! timestamp. The root range has no versions: there a log entry has every replica take its digest at that very place.

use std::sync::Arc;
use std::time::Duration;

use proto::Status;
use proto::v1::{
    CheckConsistencyResponse, DigestRequest, DigestResponse, RangeConsistency, RangeDescriptor, ReplicaDigest,
};
use xxhash_rust::xxh3::Xxh3;

use crate::member::Member;
use crate::range::state::contains;
use crate::range::{Refusal, Replica};
use crate::root::ROOT_RANGE;

/// How long a replica may take to catch up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a replica may take to read all it has.
const READING: Duration = Duration::from_secs(600);

/// Answers for one replica of this node.
pub(crate) async fn digest(member: &Member, request: DigestRequest) -> Result<DigestResponse, Status> {
    let replica = member.replica(request.range_id);
    let replica = replica.ok_or_else(|| Status::not_found("this node holds no replica of the range"))?;
    let (at, index) = match request.at {
        0 => agree(member, &replica).await?,
        at => (at, request.applied_index),
    };
    let applied = env::clock::timeout(PATIENCE, replica.group.wait_applied(index)).await;
    match applied {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(Status::unavailable(error.to_string())),
        Err(_) => return Err(Status::unavailable("the replica has not caught up in time")),
    }
    let (digest, keys) = if request.range_id == ROOT_RANGE {
        let found = member.machine.root().lock().digest(at);
        found.ok_or_else(|| Status::unavailable("the replica came by this state in a snapshot; ask again"))?
    } else {
        let replica = replica.clone();
        let read = env::task::blocking(move || digest_visible(&replica, at)).await;
        let read = read.map_err(|_| Status::unavailable("the node is stopping"))?;
        read.map_err(|error| Status::unavailable(error.to_string()))?
    };
    let digest = ReplicaDigest {
        node_id: member.node_id,
        replica_id: replica.group.replica_id(),
        applied_index: index,
        digest: digest.to_be_bytes().to_vec().into(),
        keys,
        error: String::new(),
    };
    Ok(DigestResponse { digest: Some(digest), at })
}

/// As the range's leader: a timestamp, and an index at which all at or below it is applied.
async fn agree(member: &Member, replica: &Arc<Replica>) -> Result<(u64, u64), Status> {
    let not_leading = || Status::unavailable("this node does not lead the range");
    if replica.cell.range_id() == ROOT_RANGE {
        let number = env::random::next_u64().max(1);
        let root = member.link.local().ok_or_else(not_leading)?;
        return Ok((number, root.take_digest(number).await?));
    }
    let serving = replica.cell.serving().ok_or_else(not_leading)?;
    let state = replica.cell.state();
    let span = state.span.clone().ok_or_else(not_leading)?;
    let refused = |refusal: Refusal| Status::unavailable(refusal.to_string());
    let at = replica.context.time.fresh().await.map_err(refused)?;
    replica.close_at(&serving, &span, at).await.map_err(refused)?;
    replica.group.read_index().await.map_err(|error| refused(error.into()))?;
    Ok((at, replica.group.applied_index()))
}

fn digest_visible(replica: &Replica, at: u64) -> Result<(u128, u64), lsm::Error> {
    let state = replica.cell.state();
    let mut hash = Xxh3::new();
    let mut keys = 0;
    let Some(span) = &state.span else { return Ok((0, 0)) };
    hash.update(&state.span_epoch.to_be_bytes());
    let range = crate::range::bounds(&span.start, &span.end);
    let entries = replica.context.db.scan_at(range, at, lsm::ScanOptions::default())?;
    // After the snapshot was taken: what it holds from there on is whole.
    let safe_point = replica.cell.state().safe_point;
    if at < safe_point {
        return Err(lsm::Error::Invalid(format!("history is kept from timestamp {safe_point} on")));
    }
    for entry in entries {
        let entry = entry?;
        debug_assert!(contains(span, &entry.key));
        let Some(value) = entry.value else { continue };
        for part in [entry.key.as_ref(), &entry.timestamp.to_be_bytes(), value.as_ref()] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        keys += 1;
    }
    Ok((hash.digest128(), keys))
}

/// Compares all replicas of all ranges.
pub(crate) async fn check(member: &Member) -> CheckConsistencyResponse {
    let mut ranges = Vec::new();
    for range in member.directory().ranges {
        ranges.push(check_range(member, &range).await);
    }
    CheckConsistencyResponse { ranges }
}

async fn check_range(member: &Member, range: &RangeDescriptor) -> RangeConsistency {
    let mut found = RangeConsistency { range_id: range.range_id, ..RangeConsistency::default() };
    let leader = range.replicas.iter().find(|replica| replica.node_id == range.leader_node_id);
    let failed = |node_id, replica_id, status: &Status| ReplicaDigest {
        node_id,
        replica_id,
        error: status.message().to_owned(),
        ..ReplicaDigest::default()
    };
    let request = DigestRequest {
        cluster_id: member.cluster_id.clone(),
        range_id: range.range_id,
        ..DigestRequest::default()
    };
    let asked = match leader {
        Some(leader) => ask(member, leader.node_id, &leader.address, request.clone()).await,
        None => Err(Status::unavailable("the range has no known leader")),
    };
    let agreed = match asked {
        Ok(agreed) => agreed,
        Err(status) => {
            found.replicas.push(failed(range.leader_node_id, 0, &status));
            return found;
        }
    };
    let of_leader = agreed.digest.unwrap_or_default();
    found.at = agreed.at;
    for replica in range.replicas.iter().filter(|replica| replica.node_id != range.leader_node_id) {
        let request =
            DigestRequest { at: agreed.at, applied_index: of_leader.applied_index, ..request.clone() };
        let answer = ask(member, replica.node_id, &replica.address, request).await;
        found.replicas.push(match answer {
            Ok(answer) => answer.digest.unwrap_or_default(),
            Err(status) => failed(replica.node_id, replica.replica_id, &status),
        });
    }
    let alike = |replica: &ReplicaDigest| replica.error.is_empty() && replica.digest == of_leader.digest;
    found.consistent = found.replicas.iter().all(alike);
    found.replicas.insert(0, of_leader);
    found
}

async fn ask(
    member: &Member,
    node_id: u64,
    address: &str,
    request: DigestRequest,
) -> Result<DigestResponse, Status> {
    if node_id == member.node_id {
        return digest(member, request).await;
    }
    let node = member.network.connect(address);
    let answer = env::clock::timeout(READING, node.digest(request)).await;
    answer.unwrap_or_else(|_| Err(Status::unavailable("no answer in time")))
}
