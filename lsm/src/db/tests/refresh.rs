//! What it costs to look for what came lately in a span: neither what stands behind it, nor what stands in it.

use bytes::Bytes;
use env::disk::{Disk, MemoryDisk};

use super::model::{Dice, options};
use crate::skiplist::visited;
use crate::{Compression, Db, Keyspace, Options, ScanOptions, VersionedEntry, WriteBatch, WriteOptions};

fn open(disk: &MemoryDisk) -> Db {
    let versioned = Keyspace { compression: Compression::None, ..Keyspace::versioned(b'v', "versioned") };
    Db::open(Options {
        keyspaces: vec![versioned],
        memtable_bytes_max: 64 << 20,
        table_bytes: 1 << 20,
        block_bytes: 300,
        cache_bytes: 0,
        encryption: None,
        ..options(disk, &mut Dice::new(5))
    })
    .unwrap()
}

fn key(n: u64) -> Vec<u8> {
    format!("v{n:06}").into_bytes()
}

fn put(db: &Db, keys: impl IntoIterator<Item = u64>, timestamp: u64) {
    let mut batch = WriteBatch::new();
    keys.into_iter().for_each(|n| batch.put_at(&key(n), timestamp, &[n as u8; 20]));
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
}

/// What came after `since` in the keys from `start` up to and without `end`.
fn changes(db: &Db, (start, end): (u64, u64), since: u64, reverse: bool) -> Vec<VersionedEntry> {
    let options = ScanOptions { since: Some(since), reverse, tombstones: true, ..ScanOptions::default() };
    let (start, end) = (key(start), key(end));
    let range = (std::ops::Bound::Included(&start[..]), std::ops::Bound::Excluded(&end[..]));
    db.scan_at(range, u64::MAX, options).unwrap().map(Result::unwrap).collect()
}

fn keys(entries: &[VersionedEntry]) -> Vec<Bytes> {
    entries.iter().map(|entry| entry.key.clone()).collect()
}

const MANY: u64 = 20_000;

#[test]
fn many_entries_beside_the_span_cost_nothing() {
    let db = open(&MemoryDisk::new());
    put(&db, 0..MANY, 10);
    // Something new, so that the memtable is looked into, on either side of the span.
    put(&db, [0, MANY - 1], 20);
    for reverse in [false, true] {
        let (cost, found) = visited::during(|| changes(&db, (MANY / 2, MANY / 2 + 10), 15, reverse));
        assert_eq!(found, []);
        assert!(cost < 1_000, "{cost} entries looked at");
    }
}

#[test]
fn a_memtable_that_nothing_came_into_since_is_not_looked_into() {
    let db = open(&MemoryDisk::new());
    put(&db, 0..MANY, 10);
    let (cost, found) = visited::during(|| changes(&db, (0, MANY), 10, false));
    assert_eq!((cost, found), (0, Vec::new()));
}

#[test]
fn what_stands_in_a_large_span_costs_nothing_where_little_came_lately() {
    let db = open(&MemoryDisk::new());
    put(&db, 0..MANY, 10);
    put(&db, [MANY / 2, MANY - 2, MANY - 1], 20);
    for reverse in [false, true] {
        let (cost, found) = visited::during(|| changes(&db, (10, MANY - 1), 15, reverse));
        let mut expected = vec![key(MANY / 2), key(MANY - 2)];
        if reverse {
            expected.reverse();
        }
        assert_eq!(keys(&found), expected);
        assert!(cost < 5_000, "{cost} entries looked at");
    }
    // Where much did, it is walked through, and nothing is missed.
    put(&db, (0..MANY).step_by(3), 30);
    assert_eq!(changes(&db, (0, MANY), 25, false).len() as u64, MANY.div_ceil(3));
}

#[test]
fn old_versions_of_a_hot_row_cost_nothing() {
    let db = open(&MemoryDisk::new());
    put(&db, 0..10, 10);
    for timestamp in 11..2_000 {
        put(&db, [4], timestamp);
    }
    put(&db, [20], 3_000);
    let (cost, found) = visited::during(|| changes(&db, (0, 10), 2_500, false));
    assert_eq!(found, []);
    assert!(cost < 1_000, "{cost} entries looked at");
    let scan = || {
        db.scan_at(
            (std::ops::Bound::Included(&b"v"[..]), std::ops::Bound::Unbounded),
            5_000,
            ScanOptions::default(),
        )
    };
    let (cost, found) = visited::during(|| scan().unwrap().count());
    assert_eq!(found, 11);
    assert!(cost < 300, "{cost} entries looked at");
}

#[test]
fn of_a_table_what_lies_behind_the_span_is_not_read() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    put(&db, 0..MANY, 10);
    // New on either side, far away: in the next block that holds something new.
    put(&db, [0, MANY - 1], 20);
    db.flush().unwrap();
    let span = (MANY / 2, MANY / 2 + 10);
    for reverse in [false, true] {
        changes(&db, span, 15, reverse);
        let before = disk.counters().reads;
        assert_eq!(changes(&db, span, 15, reverse), []);
        let reads = disk.counters().reads - before;
        assert!(reads <= 2, "{reads} blocks of the index and of entries");
    }
    // What lies in the span's own first and last block is found all the same.
    put(&db, [MANY / 2, MANY / 2 + 9, MANY / 2 + 10], 30);
    db.flush().unwrap();
    for reverse in [false, true] {
        let mut found = keys(&changes(&db, span, 25, reverse));
        found.sort();
        assert_eq!(found, [key(MANY / 2), key(MANY / 2 + 9)]);
    }
}
