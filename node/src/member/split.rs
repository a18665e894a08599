//! Splits by hand: at the node that leads the range, whichever was asked.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::v1::{AllocateIdsRequest, RangeDescriptor, SplitRequest, SplitResponse};
use proto::{Code, Status};

use super::Member;
use crate::range::state::{contains, descriptor};
use crate::range::{NewRange, Replica, has_room, reaches_over};
use crate::root::{COUNTER_RANGE, COUNTER_REPLICA};

/// How long it is waited for the entry that divides.
const DIVIDING: Duration = Duration::from_secs(8);

/// How long the leader may take that the request is passed on to.
const PASSED_ON: Duration = Duration::from_secs(10);

/// How long it is tried at the node that was asked.
const CATCHING_UP: Duration = Duration::from_secs(5);

/// How long before it is tried again.
const AGAIN: Duration = Duration::from_millis(50);

impl Member {
    /// Has a range begin at the key, and stay. Done again it does nothing.
    pub(crate) async fn split(self: &Arc<Self>, request: SplitRequest) -> Result<SplitResponse, Status> {
        check_key(&request.key)?;
        let until = env::clock::now() + CATCHING_UP;
        loop {
            match self.try_split(request.clone()).await {
                // Who holds the key after another split, and who leads after an election, is said soon.
                Err(status)
                    if status.code() == Code::Unavailable
                        && !request.passed_on
                        && env::clock::now() < until =>
                {
                    env::clock::sleep(AGAIN).await;
                }
                answer => return answer,
            }
        }
    }

    async fn try_split(self: &Arc<Self>, request: SplitRequest) -> Result<SplitResponse, Status> {
        let key = request.key.clone();
        let ranges = self.ranges_at(&key);
        let holds = |range: &&RangeDescriptor| range.span.as_ref().is_some_and(|span| contains(span, &key));
        // Of two that the directory has for a moment the older one has given the key away.
        let holding = ranges.iter().filter(holds).max_by_key(|range| range.span_epoch);
        let holding = holding.ok_or_else(|| Status::unavailable("nobody has said who holds the key"))?;
        let begins = holding.span.as_ref().is_some_and(|span| span.start == key);
        let already = || {
            let ends = |range: &&RangeDescriptor| range.span.as_ref().is_some_and(|span| span.end == key);
            let right = Some(RangeDescriptor { by_hand: true, ..holding.clone() });
            SplitResponse { left: ranges.iter().find(ends).cloned(), right, already: true }
        };
        if begins && holding.by_hand {
            return Ok(already());
        }
        if let Some(replica) = self.replica(holding.range_id)
            && replica.cell.serving().is_some()
        {
            if !begins {
                return self.divide(replica, key, true).await;
            }
            let kept = env::clock::timeout(DIVIDING, replica.keep_border(key.clone())).await;
            let late = |_| Status::unavailable("the range's border was not written down in time yet");
            kept.map_err(late)?.map_err(|refusal| Status::unavailable(refusal.to_string()))?;
            self.heartbeat_now.notify_one();
            return Ok(already());
        }
        let elsewhere = || Status::unavailable("the range has no leader that is known here");
        if request.passed_on || holding.leader_node_id == self.node_id {
            return Err(elsewhere());
        }
        let address = self.addresses.address(holding.leader_node_id).ok_or_else(elsewhere)?;
        let node = self.network.connect(&address);
        let asked = node.split(SplitRequest { passed_on: true, ..request });
        let answer = env::clock::timeout(PASSED_ON, asked).await;
        answer.unwrap_or_else(|_| Err(Status::unavailable("the range's leader does not answer in time")))
    }

    /// Divides a range that this node leads.
    pub(crate) async fn divide(
        self: &Arc<Self>,
        replica: Arc<Replica>,
        key: Bytes,
        by_hand: bool,
    ) -> Result<SplitResponse, Status> {
        let state = replica.cell.state();
        if !state.span.as_ref().is_some_and(|span| reaches_over(span, &key)) {
            return Err(Status::unavailable("the range has given the key away meanwhile: ask again"));
        }
        let count = state.replicas.len() as u64;
        let range_id = self.new_ids(COUNTER_RANGE, 1).await?;
        let first_replica_id = self.new_ids(COUNTER_REPLICA, count).await?;
        let new = NewRange { range_id, replica_ids: first_replica_id..first_replica_id + count };
        let dividing = replica.clone();
        // What has been given away must be taken back, or be gone, whoever goes away meanwhile.
        let divided = self.context.tasks.spawn(async move { dividing.divide(key, new, by_hand).await });
        let divided = env::clock::timeout(DIVIDING, divided).await;
        let divided = divided.map_err(|_| Status::unavailable("the range was not divided in time yet"))?;
        let divided = divided.map_err(|_| Status::unavailable("the node is stopping"))?;
        divided.map_err(|refusal| Status::unavailable(refusal.to_string()))?;
        self.heartbeat_now.notify_one();
        let right = self.machine.cell(range_id).map_err(|error| Status::internal(error.to_string()))?;
        let describe = |cell: &crate::range::RangeCell| {
            let mut range = descriptor(&cell.state(), self.node_id);
            self.addresses.describe(&mut range);
            Some(range)
        };
        Ok(SplitResponse { left: describe(&replica.cell), right: describe(&right), already: false })
    }

    async fn new_ids(&self, counter: &str, count: u64) -> Result<u64, Status> {
        let request = AllocateIdsRequest {
            cluster_id: self.cluster_id.clone(),
            counter: counter.to_owned(),
            count,
            forward: false,
        };
        Ok(self.link.allocate_ids(request).await?.first)
    }
}

/// That a range may begin there.
pub(super) fn check_key(key: &Bytes) -> Result<(), Status> {
    // The spans of a range's intents end where it does, and must be spans of the engine.
    if !has_room(key) || !keys::sql::data_span().contains(key) {
        return Err(Status::invalid_argument("a range of data cannot begin at that key"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_begin_at_keys_of_data() {
        assert!(check_key(&keys::sql::kv_key(1, b"key")).is_ok());
        assert!(check_key(&keys::sql::catalog_version_key()).is_ok());
        assert!(check_key(&keys::sql::index_prefix(1, 2000)).is_ok());
        let (long, escaped) = (vec![b'd'; 64 << 10], [b"d".to_vec(), vec![0; 33_000]].concat());
        for wrong in [&b""[..], b"r", b"s12345678", b"i\x64", &long, &escaped] {
            let refused = check_key(&Bytes::copy_from_slice(wrong)).unwrap_err();
            assert_eq!(refused.code(), proto::Code::InvalidArgument);
        }
    }
}
