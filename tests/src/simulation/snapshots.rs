//! Snapshots of the lists: what a transaction that only reads has seen is exactly what had been committed up to its
//! timestamp, by the timestamps that commits were acknowledged with. That shows a read that missed a commit whether anybody
//! could tell by the order of things or not.

use std::collections::BTreeMap;

use client::CommitTimestamp;
use parking_lot::Mutex;

use super::cycles::Operation;

/// What was committed and read, and when.
#[derive(Default)]
pub(super) struct Snapshots {
    /// By list: the elements whose commit was acknowledged, with its timestamp.
    appended: Mutex<BTreeMap<u32, Vec<(CommitTimestamp, u64)>>>,
    reads: Mutex<Vec<(CommitTimestamp, Operation)>>,
}

impl Snapshots {
    /// A transaction was acknowledged, at the timestamp of its writes, or that of its reads if there are none.
    pub(super) fn note(&self, at: CommitTimestamp, operations: &[Operation]) {
        let mut appended = self.appended.lock();
        let mut wrote = false;
        for (operation, element) in operations.iter().filter_map(|done| Some((done, done.appended?))) {
            appended.entry(operation.list).or_default().push((at, element));
            wrote = true;
        }
        if !wrote {
            self.reads.lock().extend(operations.iter().map(|operation| (at, operation.clone())));
        }
    }

    /// What is wrong with them.
    pub(super) fn judge(&self) -> Vec<String> {
        let appended = self.appended.lock();
        let mut violations = Vec::new();
        for (at, read) in &*self.reads.lock() {
            for (committed, element) in appended.get(&read.list).into_iter().flatten() {
                if (committed <= at) != read.seen.contains(element) {
                    let list = read.list;
                    violations.push(format!(
                        "a snapshot of list {list} at {at} does not agree with element {element}, committed at {committed}"
                    ));
                }
            }
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_holds_what_was_committed_up_to_it() {
        let operation = |seen: &[u64], appended| Operation { list: 1, seen: seen.to_vec(), appended };
        let snapshots = Snapshots::default();
        snapshots.note(10, &[operation(&[], Some(7))]);
        snapshots.note(20, &[operation(&[7], Some(8))]);
        snapshots.note(10, &[operation(&[7], None)]);
        snapshots.note(25, &[operation(&[7, 8], None)]);
        assert_eq!(snapshots.judge(), [""; 0]);
        snapshots.note(20, &[operation(&[7], None)]);
        snapshots.note(19, &[operation(&[7, 8], None)]);
        assert_eq!(snapshots.judge().len(), 2);
    }
}
