//! Asking other ranges, on behalf of a range of this node.
//!
//! Where a range is the directory says, and whoever is asked and knows better. What is not answered is asked again, until
//! the caller's patience ends: all that is asked may be carried out twice.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use proto::v1::error::Kind;
use proto::v1::operation_result::Result as Answer;
use proto::v1::{self, BatchRequest, BatchResponse, Header, RangeDescriptor};

use super::Member;
use crate::range::map::holds;
use crate::range::{Elsewhere, Inquiry, Refusal};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one node may take to answer.
const CALL: Duration = Duration::from_secs(2);

/// How long before those are asked again who have not answered.
const AGAIN: Duration = Duration::from_millis(50);

/// The way from this node's ranges to others.
#[derive(Default)]
pub(crate) struct Asker {
    member: OnceLock<Weak<Member>>,
}

/// What the directory says, and what was heard since.
#[derive(Default)]
struct Heard {
    ranges: BTreeMap<u64, RangeDescriptor>,
    leaders: BTreeMap<u64, String>,
}

impl Asker {
    /// From now on it asks.
    pub(super) fn serve(&self, member: &Arc<Member>) {
        // It is told once.
        let _ = self.member.set(Arc::downgrade(member));
    }
}

#[async_trait]
impl Elsewhere for Asker {
    async fn ask(&self, inquiry: Inquiry) -> Result<Vec<Answer>, Refusal> {
        let gone = || Refusal::Unavailable("the node is stopping".to_owned());
        let until = env::clock::now() + PATIENCE;
        let mut heard = Heard::default();
        let mut answers = Vec::new();
        let mut left = inquiry.keys;
        loop {
            let member = self.member.get().and_then(Weak::upgrade).ok_or_else(gone)?;
            let mut unanswered = Vec::new();
            let asked = member.by_range(left, &heard, &mut unanswered).into_iter().map(|(range, keys)| {
                let operation = (inquiry.operation)(keys.clone());
                let (member, leader) = (&member, heard.leaders.get(&range.range_id).cloned());
                async move {
                    let answered = member.ask_range(&range, leader, operation).await;
                    (range.range_id, keys, answered)
                }
            });
            let mut refused = "nobody knows where its range is".to_owned();
            for (range_id, keys, answered) in join_all(asked).await {
                heard.leaders.remove(&range_id);
                match answered {
                    Ok(BatchResponse { error: None, results }) => {
                        answers.extend(results.into_iter().filter_map(|result| result.result));
                    }
                    Ok(BatchResponse { error: Some(error), .. }) => {
                        unanswered.extend(keys);
                        refused = error.message;
                        match error.kind {
                            Some(Kind::StaleRange(stale)) => {
                                heard
                                    .ranges
                                    .extend(stale.current.into_iter().map(|range| (range.range_id, range)));
                            }
                            Some(Kind::NotLeader(hint)) if !hint.leader_address.is_empty() => {
                                heard.leaders.insert(range_id, hint.leader_address);
                            }
                            _ => {}
                        }
                    }
                    Err(status) => {
                        unanswered.extend(keys);
                        refused = status.message().to_owned();
                    }
                }
            }
            if unanswered.is_empty() {
                return Ok(answers);
            }
            if env::clock::now() >= until {
                return Err(Refusal::Unavailable(refused));
            }
            left = unanswered;
            drop(member);
            env::clock::sleep(AGAIN).await;
        }
    }
}

impl Member {
    /// The keys by the range that holds them, as far as is known; `lost` are those of which it is not.
    fn by_range(
        &self,
        keys: Vec<Bytes>,
        heard: &Heard,
        lost: &mut Vec<Bytes>,
    ) -> Vec<(RangeDescriptor, Vec<Bytes>)> {
        let mut ranges: BTreeMap<u64, (RangeDescriptor, Vec<Bytes>)> = BTreeMap::new();
        for key in keys {
            if let Some((_, of_range)) = ranges.values_mut().find(|(range, _)| holds(range, &key)) {
                of_range.push(key);
                continue;
            }
            let heard = heard.ranges.values().filter(|range| holds(range, &key)).cloned();
            // Of two that overlap the newest holds it.
            let newest = heard
                .chain(self.range_holding(&key))
                .max_by_key(|range| (range.span_epoch, range.config_epoch));
            match newest {
                Some(range) => {
                    let (_, of_range) = ranges.entry(range.range_id).or_insert_with(|| (range, Vec::new()));
                    of_range.push(key);
                }
                None => lost.push(key),
            }
        }
        ranges.into_values().collect()
    }

    async fn ask_range(
        &self,
        range: &RangeDescriptor,
        leader: Option<String>,
        operation: v1::operation::Operation,
    ) -> Result<BatchResponse, proto::Status> {
        let header = Header {
            cluster_id: self.cluster_id.clone(),
            range_id: range.range_id,
            span_epoch: range.span_epoch,
            timeout_ms: CALL.as_millis() as u64,
            ..Header::default()
        };
        let operations = vec![v1::Operation { operation: Some(operation) }];
        let request = BatchRequest { header: Some(header), operations };
        if let Some(replica) = self.replica(range.range_id)
            && replica.cell.serving().is_some()
        {
            let mut answered = replica.batch(request).await;
            self.say_where(&mut answered);
            return Ok(answered);
        }
        let mut replicas = range.replicas.iter();
        let named = replicas.find(|replica| replica.node_id == range.leader_node_id);
        let any = || {
            let place = env::random::below(range.replicas.len().max(1) as u64) as usize;
            range.replicas.get(place).map(|replica| replica.address.clone())
        };
        let address = leader
            .or_else(|| named.map(|replica| replica.address.clone()).filter(|_| env::random::below(4) > 0));
        let address = address.or_else(any).filter(|address| !address.is_empty());
        let address =
            address.ok_or_else(|| proto::Status::unavailable("nobody knows who leads its range"))?;
        let node = self.network.connect(&address);
        let answered = env::clock::timeout(CALL, node.batch(request)).await;
        answered.unwrap_or_else(|_| Err(proto::Status::unavailable("no answer in time")))
    }
}
