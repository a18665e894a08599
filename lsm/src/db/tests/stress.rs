//! Threads that write, read, flush, compact and open again: what each writer did is seen whole and in its order.

use env::disk::{Disk, MemoryDisk};

use super::model::{Dice, options, seeds};
use crate::{Background, Db, Options, ScanOptions, Snapshot, WriteBatch, WriteOptions};

/// Keys that a writer goes round.
const KEYS: u64 = 50;

fn key(writer: u64, n: u64) -> Vec<u8> {
    format!("v{writer}{:03}", n % KEYS).into_bytes()
}

/// The batch number n of a writer: a counter, a version at that time, and what the last one left is gone.
pub(super) fn numbered_batch(writer: u64, n: u64) -> WriteBatch {
    let mut batch = WriteBatch::new();
    let trail = |n: u64| format!("pt{writer}{n:08}").into_bytes();
    batch.put(&trail(n), b"");
    batch.delete(&trail(n - 1));
    batch.put_at(&key(writer, n), n, &n.to_le_bytes());
    batch.put(format!("p{writer}").as_bytes(), &n.to_le_bytes());
    if n.is_multiple_of(16) {
        batch.delete_range(format!("pt{writer}").as_bytes(), &trail(n));
    }
    batch
}

/// Every writer's batches are there as a whole, and none that was seen before is gone.
pub(super) fn check_whole_batches(snapshot: &Snapshot, seen: &mut [u64]) {
    for (writer, seen) in (0..).zip(seen) {
        let counter = snapshot.get(format!("p{writer}").as_bytes()).unwrap();
        let n = counter.map_or(0, |counter| u64::from_le_bytes(counter.as_ref().try_into().unwrap()));
        assert!(n >= *seen, "writer {writer} went back from {seen} to {n}");
        *seen = n;
        let bounds = (format!("pt{writer}").into_bytes(), format!("pt{}", writer + 1).into_bytes());
        let range = (std::ops::Bound::Included(&bounds.0[..]), std::ops::Bound::Excluded(&bounds.1[..]));
        for reverse in [false, true] {
            let trail: Vec<_> = snapshot.scan(range, reverse).unwrap().map(|e| e.unwrap().0).collect();
            let expected: Vec<_> = (n > 0).then(|| format!("pt{writer}{n:08}")).into_iter().collect();
            assert_eq!(trail, expected, "writer {writer} at {n}");
        }
        if n > 0 {
            let version = snapshot.get_at(&key(writer, n), u64::MAX).unwrap().unwrap();
            assert_eq!(version.timestamp, n, "writer {writer}");
        }
    }
}

#[test]
fn writers_readers_flushes_compactions_and_lives_agree() {
    const WRITERS: u64 = 3;
    let disk = MemoryDisk::new();
    let options = Options {
        background: Background::Threads(3),
        background_bytes_per_second: Some(100 << 20),
        memtable_bytes_max: 30_000,
        table_bytes: 20_000,
        level1_bytes: 60_000,
        block_bytes: 600,
        ..options(&disk, &mut Dice::new(9))
    };
    let batches = seeds(500) * 2;
    let mut done = vec![0; WRITERS as usize];
    for _life in 0..3 {
        let db = Db::open(options.clone()).unwrap();
        check_whole_batches(&db.snapshot().unwrap(), &mut done);
        let first = done[0] + 1;
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let db = db.clone();
                scope.spawn(move || {
                    let mut last = 0;
                    for n in first..first + batches {
                        let mode =
                            if n.is_multiple_of(40) { WriteOptions::SYNCED } else { WriteOptions::LOGGED };
                        let sequence = db.write(numbered_batch(writer, n), mode).unwrap();
                        assert!(sequence > last && db.sequence() >= sequence);
                        last = sequence;
                    }
                });
            }
            let reader = db.clone();
            let done = done.clone();
            scope.spawn(move || {
                let mut seen = done;
                let end = first + batches - 1;
                while seen.iter().any(|n| *n < end) {
                    let snapshot = reader.snapshot().unwrap();
                    let before = seen.clone();
                    check_whole_batches(&snapshot, &mut seen);
                    check_whole_batches(&snapshot, &mut seen.clone());
                    assert!(before.iter().zip(&seen).all(|(before, now)| before <= now));
                }
            });
        });
        db.verify().unwrap();
        assert!(db.failure().is_none());
        let end = first + batches - 1;
        assert_eq!(done.iter().max(), done.iter().min());
        check_whole_batches(&db.snapshot().unwrap(), &mut done);
        assert_eq!(done, vec![end; WRITERS as usize]);
    }
    let db = Db::open(options).unwrap();
    let stats = db.stats();
    check_whole_batches(&db.snapshot().unwrap(), &mut done);
    let all = ScanOptions { all_versions: true, ..ScanOptions::default() };
    let range = (std::ops::Bound::Included(&b"v"[..]), std::ops::Bound::Unbounded);
    assert_eq!(db.scan_at(range, u64::MAX, all).unwrap().count() as u64, WRITERS * done[0]);
    assert!(stats.keyspaces.iter().flat_map(|k| &k.levels).skip(1).any(|level| level.tables > 0));
    assert!(disk.list(std::path::Path::new("/db/wal")).unwrap().len() < 60);
}
