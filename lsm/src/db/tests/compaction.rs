//! What compaction drops, keeps and leaves alone, and what reads pass over.

use std::ops::Bound;

use bytes::Bytes;
use env::disk::{Disk, MemoryDisk};

use super::model::{Dice, Readable, options};
use crate::{
    Background, Compression, Db, Keyspace, Options, Retention, ScanOptions, Stats, WriteBatch, WriteOptions,
};

/// Small blocks and tables, nothing encrypted.
fn open(disk: &MemoryDisk) -> Db {
    open_with(disk, 0)
}

fn open_with(disk: &MemoryDisk, cache_bytes: u64) -> Db {
    let versioned = Keyspace { compression: Compression::None, ..Keyspace::versioned(b'v', "versioned") };
    Db::open(Options {
        keyspaces: vec![versioned, Keyspace::plain(b'p', "plain")],
        memtable_bytes_max: 1 << 20,
        table_bytes: 2_000,
        block_bytes: 300,
        cache_bytes,
        level0_tables: 4,
        level1_bytes: 1 << 20,
        encryption: None,
        ..options(disk, &mut Dice::new(5))
    })
    .unwrap()
}

fn key(n: u64) -> Vec<u8> {
    format!("v{n:04}").into_bytes()
}

/// Writes a version of 200 keys at a timestamp and flushes them.
fn fill(db: &Db, timestamp: u64) {
    let mut batch = WriteBatch::new();
    (0..200).for_each(|n| batch.put_at(&key(n), timestamp, &[n as u8; 50]));
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
    db.flush().unwrap();
}

fn level_tables(db: &Db) -> Vec<usize> {
    db.stats().keyspaces[0].levels.iter().map(|level| level.tables).collect()
}

fn history(db: &Db) -> u64 {
    db.stats().keyspaces[0].levels.iter().map(|level| level.history).sum()
}

fn retention(safe_point: u64, protected: &[u64]) -> Retention {
    let (start, end) = (Bytes::from_static(b"v"), Bytes::from_static(b"w"));
    Retention { start, end, safe_point, protected: protected.to_vec() }
}

#[test]
fn tables_under_a_range_delete_go_without_being_read() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    fill(&db, 5);
    fill(&db, 10);
    db.compact().unwrap();
    let before = level_tables(&db)[6];
    assert!(before > 3);
    let mut batch = WriteBatch::new();
    batch.delete_range(&key(0), &key(150));
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
    db.flush().unwrap();
    let reads = disk.counters().reads;
    assert!(db.step().unwrap());
    assert_eq!(disk.counters().reads, reads);
    let dropped = db.stats().tables_dropped;
    assert!(dropped > 1 && level_tables(&db)[6] == before - dropped as usize, "{dropped} of {before}");
    assert_eq!(db.scan_versions(b"v", b"w", 10, ScanOptions::default()).unwrap().len(), 50);
    db.verify().unwrap();
}

#[test]
fn a_span_is_compacted_by_itself() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    fill(&db, 10);
    db.compact().unwrap();
    fill(&db, 20);
    db.compact_span(b"p", b"q").unwrap();
    assert_eq!((level_tables(&db)[0], history(&db)), (1, 0));
    db.compact_span(&key(0), &key(10)).unwrap();
    assert_eq!((level_tables(&db)[0], history(&db)), (0, 200));
    db.set_retention(vec![retention(20, &[])]).unwrap();
    db.compact_span(&key(0), &key(1)).unwrap();
    let left = history(&db);
    assert!(left > 0 && left < 200, "{left}");
    db.compact().unwrap();
    assert_eq!(history(&db), 0);
}

#[test]
fn reads_over_level_0_pay_for_merging_it() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    (1..=10).for_each(|timestamp| fill(&db, timestamp));
    db.compact().unwrap();
    (11..=14).for_each(|timestamp| fill(&db, timestamp));
    while db.step().unwrap() {}
    assert_eq!(level_tables(&db)[0], 4, "what is small beside the base waits");
    let mut rounds = 0;
    while !db.step().unwrap() {
        (0..200).for_each(|n| assert!(db.get_at(&key(n), 20).unwrap().is_some()));
        rounds += 1;
        assert!(rounds < 1000);
    }
    assert!(rounds > 1, "not after a few");
    assert_eq!(level_tables(&db)[0], 0);

    (15..=18).for_each(|timestamp| fill(&db, timestamp));
    while db.step().unwrap() {}
    let all = (Bound::Included(&b"v"[..]), Bound::Excluded(&b"w"[..]));
    let mut scans = 0;
    while !db.step().unwrap() {
        assert_eq!(db.scan_at(all, 20, ScanOptions::default()).unwrap().count(), 200);
        scans += 1;
        assert!(scans < 1000);
    }
    assert!(scans > 1 && level_tables(&db)[0] == 0);
}

#[test]
fn a_retention_waits_until_what_was_written_before_it_is_durable() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    fill(&db, 10);
    fill(&db, 20);
    db.compact().unwrap();
    let mut batch = WriteBatch::new();
    batch.put(b"psafe", b"20");
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
    db.set_retention(vec![retention(20, &[])]).unwrap();
    while db.step().unwrap() {}
    assert_eq!(history(&db), 200);
    db.flush().unwrap();
    while db.step().unwrap() {}
    assert_eq!(history(&db), 0);
}

#[test]
fn garbage_that_is_still_needed_is_not_rewritten_again_and_again() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    (1..4).for_each(|time| fill(&db, time * 10));
    db.compact().unwrap();
    assert_eq!(history(&db), 400);
    db.set_retention(vec![retention(30, &[10, 20])]).unwrap();
    let mut steps = 0;
    while db.step().unwrap() {
        steps += 1;
        assert!(steps < 100, "it never ends");
    }
    assert_eq!(history(&db), 400);
    // Once they are not protected any more they go.
    db.set_retention(vec![retention(30, &[20])]).unwrap();
    while db.step().unwrap() {}
    assert_eq!(history(&db), 200);
}

#[test]
fn deletions_in_the_last_level_go_once_the_safe_point_has_passed_them() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    fill(&db, 10);
    let mut batch = WriteBatch::new();
    (0..200).for_each(|n| batch.delete_at(&key(n), 20));
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
    db.set_retention(vec![retention(15, &[])]).unwrap();
    db.compact().unwrap();
    assert_eq!(db.stats().keyspaces[0].levels[6].deletes, 200);
    db.set_retention(vec![retention(20, &[])]).unwrap();
    while db.step().unwrap() {}
    assert_eq!(db.stats().table_bytes(), 0);
}

#[test]
fn what_was_deleted_goes_while_level_0_is_not_full() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    fill(&db, 10);
    db.compact().unwrap();
    let mut batch = WriteBatch::new();
    (0..200).for_each(|n| batch.delete_at(&key(n), 20));
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
    db.set_retention(vec![retention(15, &[])]).unwrap();
    db.flush().unwrap();
    while db.step().unwrap() {}
    assert_eq!(level_tables(&db)[0], 1, "a read at 15 sees them");
    db.set_retention(vec![retention(20, &[])]).unwrap();
    while db.step().unwrap() {}
    assert_eq!(db.stats().table_bytes(), 0);

    fill(&db, 30);
    db.compact().unwrap();
    let mut batch = WriteBatch::new();
    batch.delete_range(&key(50), &key(150));
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
    db.flush().unwrap();
    while db.step().unwrap() {}
    let entries: u64 = db.stats().keyspaces[0].levels.iter().map(|level| level.entries).sum();
    assert_eq!((level_tables(&db)[0], entries), (0, 100));
}

#[test]
fn a_flush_leaves_out_what_nobody_can_read_any_more() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let write = |timestamp| {
        let mut batch = WriteBatch::new();
        (0..200).for_each(|n| batch.put_at(&key(n), timestamp, &[n as u8; 50]));
        db.write(batch, WriteOptions::UNLOGGED).unwrap();
    };
    write(5);
    db.set_retention(vec![retention(30, &[])]).unwrap();
    db.flush().unwrap();
    (10..=40).step_by(10).for_each(write);
    db.flush().unwrap();
    // 40 for now and 30 for the safe point; 5 came before the safe point's record was durable.
    assert_eq!(history(&db), 200);
    for at in [30, 40] {
        assert_eq!(db.get_at(&key(7), at).unwrap().unwrap().timestamp, at);
    }
}

#[test]
fn a_compaction_leaves_the_reserve_of_the_disk_alone() {
    let disk = MemoryDisk::new();
    let open = || {
        let versioned = Keyspace { compression: Compression::None, ..Keyspace::versioned(b'v', "versioned") };
        Db::open(Options {
            keyspaces: vec![versioned],
            disk_reserve_bytes: 100_000,
            encryption: None,
            ..options(&disk, &mut Dice::new(5))
        })
        .unwrap()
    };
    let db = open();
    let mut batch = WriteBatch::new();
    (0..4000).for_each(|n| batch.put_at(&key(n), 10, &[n as u8; 50]));
    db.write(batch.clone(), WriteOptions::UNLOGGED).unwrap();
    db.flush().unwrap();
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
    db.flush().unwrap();
    let before = disk.bytes_used();
    disk.set_capacity(Some(before + 150_000));
    assert!(db.compact().unwrap_err().is_disk_full());
    assert!(disk.bytes_used() < before + 10_000, "what was written is gone again");
    assert_eq!(db.get_at(&key(7), 10).unwrap().unwrap().timestamp, 10);
    disk.set_capacity(None);
    db.flush().unwrap();
    let mut batch = WriteBatch::new();
    batch.delete_at(&key(1), 20);
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
    db.flush().unwrap();
    db.compact().unwrap();
    assert_eq!(db.get_at(&key(7), 10).unwrap().unwrap().timestamp, 10);
}

/// Blocks read by a scan.
fn reads(disk: &MemoryDisk, db: &Db, at: u64, since: Option<u64>) -> (u64, usize) {
    let before = disk.counters().reads;
    let options = ScanOptions { since, all_versions: since.is_some(), ..ScanOptions::default() };
    let range = (Bound::Included(&b"v"[..]), Bound::Unbounded);
    let found = db.scan_at(range, at, options).unwrap().filter(|entry| entry.is_ok()).count();
    (disk.counters().reads - before, found)
}

#[test]
fn reads_at_a_time_pass_over_blocks_and_tables_of_other_times() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    fill(&db, 10);
    db.compact().unwrap();
    let mut batch = WriteBatch::new();
    (50..60).for_each(|n| batch.put_at(&key(n), 20, b"new"));
    (300..500).for_each(|n| batch.put_at(&key(n), 30, &[n as u8; 50]));
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
    db.compact().unwrap();
    let (whole, found) = reads(&disk, &db, u64::MAX, None);
    assert_eq!(found, 400);
    // What has changed: the blocks with something newer, and the index on the way.
    let (changed, found) = reads(&disk, &db, 25, Some(15));
    assert_eq!(found, 10);
    assert!(changed * 4 < whole, "{changed} of {whole}");
    // At an old time: nothing of what came later.
    let (old, found) = reads(&disk, &db, 15, None);
    assert_eq!(found, 200);
    assert!(old * 4 < whole * 3, "{old} of {whole}");
    // Before all: not even an index.
    assert_eq!(reads(&disk, &db, 5, None), (0, 0));
    let before = disk.counters().reads;
    assert_eq!(db.get_at(&key(400), 15).unwrap(), None);
    assert!(disk.counters().reads - before <= 2, "an index and at most a block");
}

#[test]
fn levels_tell_what_they_have_had() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    (1..4).for_each(|time| fill(&db, time));
    let keyspace = |db: &Db| db.stats().keyspaces[0].clone();
    let flushed = keyspace(&db);
    assert_eq!(flushed.levels[0].written_bytes, db.stats().flush_bytes);
    assert_eq!((flushed.read_amplification(), flushed.write_amplification()), (3, 1.0));
    db.compact().unwrap();
    let (compacted, stats) = (keyspace(&db), db.stats());
    assert_eq!(compacted.levels[0].read_bytes, flushed.levels[0].bytes);
    assert_eq!(stats.compaction_bytes_read, compacted.levels.iter().map(|l| l.read_bytes).sum::<u64>());
    let written: u64 = compacted.levels.iter().map(|level| level.written_bytes).sum();
    assert_eq!(stats.flush_bytes + stats.compaction_bytes_written, written);
    assert_eq!((compacted.read_amplification(), compacted.space_amplification()), (1, 1.0));
    assert!(compacted.write_amplification() > 1.5 && compacted.write_amplification() < 3.5);
}

#[test]
fn a_compaction_leaves_the_block_cache_alone() {
    let disk = MemoryDisk::new();
    let db = open_with(&disk, 1 << 20);
    fill(&db, 10);
    fill(&db, 20);
    let before = db.stats();
    db.compact().unwrap();
    let after = db.stats();
    let cache = |stats: &Stats| (stats.cache_bytes, stats.cache_hits, stats.cache_misses);
    assert_eq!(cache(&after), cache(&before));
}

#[test]
fn a_database_closes_while_its_compactions_wait_for_their_pace() {
    let disk = MemoryDisk::new();
    let options = Options {
        background: Background::Threads(2),
        // What it compacts below would take hours.
        background_bytes_per_second: Some(1),
        level0_tables: 2,
        ..options(&disk, &mut Dice::new(5))
    };
    let db = Db::open(options.clone()).unwrap();
    (1..5).for_each(|time| fill(&db, time));
    drop(db);
    let db = Db::open(Options { background_bytes_per_second: None, ..options }).unwrap();
    assert_eq!(db.scan_versions(b"v", b"w", 4, ScanOptions::default()).unwrap().len(), 200);
    db.verify().unwrap();
}
