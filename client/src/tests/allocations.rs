//! What requests by key cost in allocations: an allocator that counts, and bounds that hold what was reached.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::scripted::{Cluster, committed, got, key, locked, with_cluster};
use crate::{Isolation, Strength, TransactionOptions, WaitPolicy};

thread_local! {
    static COUNTED: Cell<u64> = const { Cell::new(0) };
    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe to write; this one only counts what the system's does"
)]
// SAFETY: the system's allocator does all the work, on the very same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if PAUSED.try_with(|paused| !paused.get()).unwrap_or(false) {
            let _ = COUNTED.try_with(|counted| counted.set(counted.get() + 1));
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// While this lives nothing is counted on this thread: what a scripted node does is not the client's.
pub(super) struct Pause;

pub(super) fn pause() -> Pause {
    PAUSED.set(true);
    Pause
}

impl Drop for Pause {
    fn drop(&mut self) {
        PAUSED.set(false);
    }
}

async fn counted<T>(work: impl Future<Output = T>) -> (T, u64) {
    let before = COUNTED.get();
    let done = work.await;
    (done, COUNTED.get() - before)
}

#[test]
fn requests_by_key_allocate_little() {
    with_cluster(async |cluster: Cluster| {
        let options = || TransactionOptions { isolation: Isolation::ReadCommitted, ..Default::default() };
        let mut costs = Vec::new();
        for round in 0..3 {
            cluster.answer(got("1", 50)).answer(locked("2", 60, 90)).answer(committed(200));
            let mut transaction = cluster.client.begin(options());
            let (read, get) = counted(transaction.get(key("da"))).await;
            read.unwrap();
            let row = key("db");
            let locking = transaction.lock_key(&row, Strength::Exclusive, WaitPolicy::Block);
            let (locked, lock) = counted(locking).await;
            locked.unwrap();
            transaction.put(row, key("3"));
            let (done, commit) = counted(transaction.commit()).await;
            done.unwrap();
            // The first round starts what reports in the background.
            if round > 0 {
                costs.push([get, lock, commit]);
            }
        }
        // The request's two vectors, and its future at each of the two ends of the wire; for a lock also the transaction's id,
        // what it holds and where, and the entry of the key; for a commit its checks and writes.
        let bounds = [8, 16, 12];
        let within = |cost: &[u64; 3]| cost.iter().zip(bounds).all(|(cost, bound)| *cost <= bound);
        assert!(costs.iter().all(within), "get, lock, commit: {costs:?}, not within {bounds:?}");
    });
}
