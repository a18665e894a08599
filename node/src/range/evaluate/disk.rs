//! What is written when a disk of the range is full: only what frees room.

use proto::v1::Commit;

use super::Evaluation;
use super::newest::Known;
use crate::range::refusal::Refusal;

/// So much may a commit write that says itself that it frees more: rows of the catalog.
const FREEING_BYTES_MAX: usize = 1 << 20;

/// So often what is deleted is written before it makes room: to the log, put aside in pieces, and as tombstones.
const COPIES: u64 = 3;

impl Evaluation<'_> {
    /// Refuses what takes room where a replica's disk has only its reserve left, and everything where half of that is
    /// gone: the other half is compaction's, which needs room to make room. What frees room takes some at first: no more
    /// is let through at a time than that.
    pub(super) fn check_disk(
        &self,
        commit: &Commit,
        bytes: u64,
        newest: &[Option<Known>],
    ) -> Result<(), Refusal> {
        let nodes = self.state.replicas.iter().map(|replica| replica.node_id);
        let Some(full) = self.replica.context.vitals.full(nodes) else { return Ok(()) };
        if !full.has_room_to_free() || !frees_space(commit, newest) {
            return Err(full.into());
        }
        let under_way = self.replica.context.admission.bytes().max(bytes);
        if under_way.saturating_mul(COPIES) > full.bytes_to_free_in() {
            return Err(Refusal::DiskFull(full.for_less_at_a_time()));
        }
        Ok(())
    }
}

/// Whether a commit leaves less behind than is there, once the history of what it overwrites is gone.
fn frees_space(commit: &Commit, newest: &[Option<Known>]) -> bool {
    if commit.frees_space {
        let bytes =
            |write: &proto::v1::Write| write.key.len() + write.value.as_ref().map_or(0, bytes::Bytes::len);
        return commit.writes.iter().map(bytes).sum::<usize>() <= FREEING_BYTES_MAX;
    }
    let bytes_before = |newest: &Option<Known>| newest.and_then(|newest| newest.value_bytes);
    commit.writes.iter().zip(newest).all(|(write, newest)| match &write.value {
        None => true,
        Some(value) => bytes_before(newest).is_some_and(|before| value.len() < before),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proto::v1::Write;

    use super::*;
    use crate::range::version;

    fn stored(bytes: usize) -> Option<Known> {
        let header = version::Header { start_timestamp: 4, changes_key: true }.encode();
        let value = Bytes::from([&header[..], &vec![7; bytes]].concat());
        Some(Known::of(5, Some(&value)))
    }

    fn commit(values: &[Option<usize>]) -> Commit {
        let write = |bytes: &Option<usize>| Write {
            key: Bytes::from_static(b"dk"),
            value: bytes.map(|bytes| Bytes::from(vec![1; bytes])),
            changes_key: None,
        };
        Commit { writes: values.iter().map(write).collect(), ..Commit::default() }
    }

    #[test]
    fn deletions_and_shrunk_rows_free_space() {
        assert!(frees_space(&commit(&[None, None]), &[stored(10), None]));
        assert!(frees_space(&commit(&[Some(9), None]), &[stored(10), stored(1)]));
        assert!(!frees_space(&commit(&[Some(10)]), &[stored(10)]));
        assert!(!frees_space(&commit(&[Some(1)]), &[None]));
        let deleted = Some(Known::of(5, None));
        assert!(!frees_space(&commit(&[Some(1)]), &[deleted]));
    }

    #[test]
    fn what_says_that_it_frees_space_is_believed_up_to_a_bound() {
        let says_so = |bytes| Commit { frees_space: true, ..commit(&[Some(bytes)]) };
        assert!(frees_space(&says_so(1000), &[None]));
        assert!(!frees_space(&says_so(FREEING_BYTES_MAX), &[None]));
    }
}
