//! Whether the replicas of a range are alike.
//!
//! A range's leader chooses a timestamp and makes sure that nothing will commit at or below it any more; then the
//! index it has applied stands for all of it. Every replica that has applied that index digests what is visible at the
//! timestamp, deletions among it, and that no intent is left that could still become visible there. A deletion may be dropped once the safe point has passed it, and every replica does that in
//! its own time: so the leader also chooses from when on deletions count, well above the safe point. What is ingested
//! (`range/evaluate/ingest.rs`) comes below what was read before: it counts only where no more of its time can come. The root range has no versions: there a log entry has every replica take its digest at that very place.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use proto::Status;
use proto::v1::{
    CheckConsistencyResponse, DigestRequest, DigestResponse, IntentRow, RangeConsistency, RangeDescriptor,
    ReplicaDigest, Span,
};
use xxhash_rust::xxh3::Xxh3;

use crate::member::Member;
use crate::range::erased::deletions_gone;
use crate::range::state::contains;
use crate::range::{Refusal, Replica, is_ingested};
use crate::root::ROOT_RANGE;

/// How long a replica may take to catch up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a replica may take to read all it has.
const READING: Duration = Duration::from_secs(600);

/// What the replicas of a range are to be compared by.
#[derive(Clone, Copy, Debug)]
struct Agreed {
    /// What is visible at this timestamp,
    at: u64,
    /// and deletions only if they are above this one,
    deletions_since: u64,
    /// and what was ingested only if it is not above this one,
    ingested_until: u64,
    /// where this index is applied.
    index: u64,
}

/// Answers for one replica of this node.
pub(crate) async fn digest(member: &Member, request: DigestRequest) -> Result<DigestResponse, Status> {
    let replica = member.replica(request.range_id);
    let replica = replica.ok_or_else(|| Status::not_found("this node holds no replica of the range"))?;
    let agreed = match request.at {
        0 => agree(member, &replica).await?,
        at => {
            let DigestRequest { deletions_since, ingested_until, applied_index: index, .. } = request;
            Agreed { at, deletions_since, ingested_until, index }
        }
    };
    let Agreed { at, deletions_since, ingested_until, index } = agreed;
    let applied = env::clock::timeout(PATIENCE, replica.group.wait_applied(index)).await;
    match applied {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(Status::unavailable(error.to_string())),
        Err(_) => return Err(Status::unavailable("the replica has not caught up in time")),
    }
    let span_epoch = replica.cell.state().span_epoch;
    let is_another = |epoch: u64| request.span_epoch != 0 && epoch != request.span_epoch;
    let (digest, keys) = if request.range_id == ROOT_RANGE {
        let found = member.machine.root().lock().digest(at);
        found.ok_or_else(|| Status::unavailable("the replica came by this state in a snapshot; ask again"))?
    } else {
        let replica = replica.clone();
        let read = env::task::blocking(move || digest_visible(&replica, agreed)).await;
        let read = read.map_err(|_| Status::unavailable("the node is stopping"))?;
        read.map_err(|error| Status::unavailable(error.to_string()))?
    };
    if is_another(span_epoch) || replica.cell.state().span_epoch != span_epoch {
        return Err(Status::unavailable("the range was divided meanwhile; ask again"));
    }
    let digest = ReplicaDigest {
        node_id: member.node_id,
        replica_id: replica.group.replica_id(),
        applied_index: index,
        digest: digest.to_be_bytes().to_vec().into(),
        keys,
        error: String::new(),
    };
    Ok(DigestResponse { digest: Some(digest), at, deletions_since, span_epoch, ingested_until })
}

/// As the range's leader: a timestamp, and an index at which all at or below it is applied.
async fn agree(member: &Member, replica: &Arc<Replica>) -> Result<Agreed, Status> {
    let not_leading = || Status::unavailable("this node does not lead the range");
    if replica.cell.range_id() == ROOT_RANGE {
        let number = env::random::next_u64().max(1);
        let root = member.link.local().ok_or_else(not_leading)?;
        let index = root.take_digest(number).await?;
        return Ok(Agreed { at: number, deletions_since: 0, ingested_until: 0, index });
    }
    let serving = replica.cell.serving().ok_or_else(not_leading)?;
    let state = replica.cell.state();
    let span = state.span.clone().ok_or_else(not_leading)?;
    let refused = |refusal: Refusal| Status::unavailable(refusal.to_string());
    let at = replica.context.time.fresh().await.map_err(refused)?;
    replica.close_at(&serving, &span, at).await.map_err(refused)?;
    replica.group.read_index().await.map_err(|error| refused(error.into()))?;
    // The safe point may rise while the replicas read what they have.
    let kept = at.saturating_sub(deletions_gone(&state));
    let deletions_since = at.saturating_sub(kept / 4);
    // Whatever of it was evaluated by now, and comes later, is refused.
    let ingested_until = state.forgotten;
    Ok(Agreed { at, deletions_since, ingested_until, index: replica.group.applied_index() })
}

fn digest_visible(replica: &Replica, agreed: Agreed) -> Result<(u128, u64), lsm::Error> {
    let state = replica.cell.state();
    let Some(span) = &state.span else { return Ok((0, 0)) };
    let visible = Visible::read(&replica.context.db, span, agreed)?;
    // After the snapshot was taken: what it holds from there on is whole.
    let safe_point = deletions_gone(&replica.cell.state());
    if agreed.deletions_since < safe_point {
        return Err(lsm::Error::Invalid(format!("history is kept from timestamp {safe_point} on")));
    }
    visible.digest(state.span_epoch)
}

/// What is to be digested, as the engine had it at one moment.
struct Visible<'a> {
    db: &'a lsm::Db,
    span: &'a Span,
    agreed: Agreed,
    entries: lsm::ScanAt,
}

impl<'a> Visible<'a> {
    fn read(db: &'a lsm::Db, span: &'a Span, agreed: Agreed) -> Result<Self, lsm::Error> {
        let range = crate::range::bounds(&span.start, &span.end);
        let options = lsm::ScanOptions { tombstones: true, ..lsm::ScanOptions::default() };
        let entries = db.scan_at(range, agreed.at, options)?;
        Ok(Self { db, span, agreed, entries })
    }

    /// The digest, and how many keys have a value.
    fn digest(self, span_epoch: u64) -> Result<(u128, u64), lsm::Error> {
        let mut hash = Xxh3::new();
        let mut keys = 0;
        hash.update(&span_epoch.to_be_bytes());
        for entry in self.entries {
            let entry = entry?;
            debug_assert!(contains(self.span, &entry.key));
            let (kind, stored) = match &entry.value {
                Some(value)
                    if entry.timestamp > self.agreed.ingested_until
                        && is_ingested(value, entry.timestamp) =>
                {
                    continue;
                }
                Some(value) => (1, value.as_ref()),
                None if entry.timestamp > self.agreed.deletions_since => (2, entry.note.as_bytes()),
                None => continue,
            };
            hash.update(&[kind]);
            for part in [entry.key.as_ref(), &entry.timestamp.to_be_bytes(), stored] {
                hash.update(&(part.len() as u64).to_be_bytes());
                hash.update(part);
            }
            keys += u64::from(kind == 1);
        }
        let left = digest_intents(self.db, self.span, self.agreed.at, &mut hash)?;
        Ok((hash.digest128(), keys + left))
    }
}

/// The intents that could become visible at `at`: the leader has seen to it that there are none.
fn digest_intents(db: &lsm::Db, span: &Span, at: u64, hash: &mut Xxh3) -> Result<u64, lsm::Error> {
    let rows = keys::range::intents(&keys::Span::new(span.start.clone(), span.end.clone()));
    let mut found = 0;
    for row in db.scan(crate::range::bounds(&rows.start, &rows.end), false)? {
        let (key, row) = row?;
        if let Some((_, keys::range::IntentRow::Intent)) = keys::range::intent_row(&key) {
            let intent = IntentRow::decode(row).map_err(|error| lsm::Error::Invalid(error.to_string()))?;
            if intent.minimum <= at {
                hash.update(&key);
                found += 1;
            }
        }
    }
    Ok(found)
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
        let request = DigestRequest {
            at: agreed.at,
            applied_index: of_leader.applied_index,
            deletions_since: agreed.deletions_since,
            ingested_until: agreed.ingested_until,
            span_epoch: agreed.span_epoch,
            ..request.clone()
        };
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

#[cfg(test)]
mod tests {
    use env::disk::MemoryDisk;
    use lsm::{Db, Keyspace, Note, WriteBatch};

    use super::*;

    const AGREED: Agreed = Agreed { at: 100, deletions_since: 50, ingested_until: 30, index: 1 };

    /// What a replica that has applied `writes` says.
    fn digest(writes: impl FnOnce(&mut WriteBatch)) -> (u128, u64) {
        let keyspaces = vec![Keyspace::versioned(b'd', "data"), Keyspace::plain(b'i', "intents")];
        let disk = Arc::new(MemoryDisk::new());
        let background = lsm::Background::Manual;
        let db = Db::open(lsm::Options { background, ..lsm::Options::new(disk, "/db", keyspaces) }).unwrap();
        let mut batch = WriteBatch::new();
        batch.put_at(b"da", 10, b"a");
        batch.put_at(b"db", 20, b"b");
        writes(&mut batch);
        db.write(batch, lsm::WriteOptions::UNLOGGED).unwrap();
        let span = Span { start: "d".into(), end: "e".into() };
        Visible::read(&db, &span, AGREED).unwrap().digest(7).unwrap()
    }

    fn delete(batch: &mut WriteBatch, key: &str, at: u64, note: &[u8]) {
        batch.delete_at_with(key.as_bytes(), at, Note::new(note).unwrap());
    }

    #[test]
    fn deletions_and_what_they_say_are_a_part_of_it() {
        let unlike = [
            digest(|_| ()),
            digest(|batch| batch.put_at(b"db", 60, b"")),
            digest(|batch| delete(batch, "db", 60, b"")),
            digest(|batch| delete(batch, "db", 61, b"")),
            digest(|batch| delete(batch, "db", 60, b"note")),
            digest(|batch| delete(batch, "dc", 60, b"")),
        ];
        for (place, one) in unlike.iter().enumerate() {
            assert!(unlike.iter().skip(place + 1).all(|other| one.0 != other.0), "{place}");
        }
        assert_eq!(unlike.map(|(_, keys)| keys), [2, 2, 1, 1, 1, 2]);
    }

    #[test]
    fn what_compaction_may_have_dropped_or_nobody_agreed_upon_is_not() {
        let expected = digest(|_| ());
        assert_eq!(digest(|batch| delete(batch, "dc", 50, b"note")), expected);
        assert_eq!(digest(|batch| delete(batch, "db", 101, b"note")), expected);
        assert_eq!(digest(|batch| batch.put_at(b"da", 5, b"older")), expected);
    }

    #[test]
    fn what_was_ingested_counts_once_no_more_of_it_can_come() {
        let with = |at: u64| {
            digest(|batch| batch.put_at(b"dc", at, &[&at.to_be_bytes()[..], b"\x01value"].concat()))
        };
        assert_eq!(with(31), digest(|_| ()));
        assert_eq!(with(30).1, 3);
    }

    #[test]
    fn an_intent_counts_that_could_become_visible() {
        let with = |minimum| {
            let row = IntentRow { minimum, ..IntentRow::default() }.encode_to_vec();
            digest(|batch| batch.put(&keys::range::intent(b"dc"), &row))
        };
        let expected = digest(|_| ());
        assert_eq!(with(101), expected);
        assert_eq!(with(100).1, 3);
        assert!(with(100).0 != expected.0);
        let record = |batch: &mut WriteBatch| {
            batch.put(&keys::range::decision(b"dc", 10), b"");
            batch.put(&keys::range::rollback(b"dc", 10), b"");
        };
        assert_eq!(digest(record), expected);
    }
}
