//! What a user relies on, one thing at a time.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use env::disk::{CrashMode, Fault, MemoryDisk, RealDisk};

use super::model::{Dice, options};
use crate::{Background, Db, Error, Keyspace, Options, ScanOptions, WriteBatch, WriteOptions};

fn open(disk: &MemoryDisk) -> Db {
    let keyspaces = vec![Keyspace::versioned(b'v', "versioned"), Keyspace::plain(b'p', "plain")];
    Db::open(Options { keyspaces, ..options(disk, &mut Dice::new(5)) }).unwrap()
}

fn put(db: &Db, key: &str, value: &str, options: WriteOptions) -> u64 {
    let mut batch = WriteBatch::new();
    batch.put(key.as_bytes(), value.as_bytes());
    db.write(batch, options).unwrap()
}

#[test]
fn a_second_opener_is_told_that_the_directory_is_in_use() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    let second = Db::open(options(&disk, &mut Dice::new(5)));
    assert!(matches!(second, Err(Error::Locked { .. })));
    drop(db);
    open(&disk);
}

#[test]
fn a_database_lives_on_the_real_disk_too() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        disk: Arc::new(RealDisk::new()),
        dir: dir.path().join("deep/er"),
        background: Background::Threads(1),
        ..options(&MemoryDisk::new(), &mut Dice::new(1))
    };
    for life in 0..3 {
        let db = Db::open(options.clone()).unwrap();
        assert!(matches!(Db::open(options.clone()), Err(Error::Locked { .. })));
        for n in 0..200 {
            assert_eq!(db.get(format!("p{n}").as_bytes()).unwrap().is_some(), life > 0);
        }
        for n in 0..200 {
            put(&db, &format!("p{n}"), &format!("value {n}"), WriteOptions::LOGGED);
        }
        db.sync().unwrap();
        assert_eq!(db.sequence_durable(), db.sequence());
        if life == 1 {
            db.compact().unwrap();
            db.close().unwrap();
            assert!(matches!(db.get(b"p1"), Err(Error::Closed)));
        } else {
            db.verify().unwrap();
        }
        assert!(db.stats().disk.syncs > 0);
    }
}

#[test]
fn tables_of_another_database_are_refused() {
    let (ours, theirs) = (open(&MemoryDisk::new()), {
        let disk = MemoryDisk::new();
        Db::open(Options { dir: "/other".into(), ..options(&disk, &mut Dice::new(5)) }).unwrap()
    });
    let mut builder = theirs.table_builder(b'p').unwrap();
    builder.put(b"pa", b"1").unwrap();
    let tables = builder.finish().unwrap();
    assert!(matches!(ours.excise_and_ingest(&[], tables, WriteBatch::new()), Err(Error::Invalid(_))));
}

#[test]
fn durable_sequences_follow_the_log_and_the_flushes() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    assert_eq!(db.sequence_durable(), 0);
    let synced = put(&db, "pa", "1", WriteOptions::SYNCED);
    assert_eq!(db.sequence_durable(), synced);
    put(&db, "pb", "2", WriteOptions::LOGGED);
    assert_eq!(db.sequence_durable(), synced);
    db.sync().unwrap();
    assert_eq!(db.sequence_durable(), 2);
    put(&db, "pc", "3", WriteOptions::UNLOGGED);
    put(&db, "pd", "4", WriteOptions::SYNCED);
    assert_eq!(db.sequence_durable(), 2);
    db.flush().unwrap();
    assert_eq!(db.sequence_durable(), 4);
}

#[test]
fn logged_writes_keep_their_sequences_though_unlogged_ones_between_them_are_lost() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    put(&db, "pa", "1", WriteOptions::SYNCED);
    for (sequence, key) in [(2, "pb"), (3, "pc")] {
        assert_eq!(put(&db, key, "lost", WriteOptions::UNLOGGED), sequence);
    }
    put(&db, "pd", "4", WriteOptions::LOGGED);
    put(&db, "pe", "5", WriteOptions::SYNCED);
    let disk = disk.crash(CrashMode::Strict);
    drop(db);
    for life in 0..2 {
        let db = open(&disk);
        assert_eq!(db.sequence(), 5 + life);
        let found = ["pa", "pb", "pc", "pd", "pe"].map(|key| db.get(key.as_bytes()).unwrap().is_some());
        assert_eq!(found, [true, false, false, true, true]);
        assert_eq!(put(&db, "pf", "6", WriteOptions::SYNCED), 6 + life);
    }
}

#[test]
fn an_empty_range_delete_still_becomes_durable() {
    let db = open(&MemoryDisk::new());
    let mut batch = WriteBatch::new();
    batch.delete_range(b"pb", b"pa");
    let sequence = db.write(batch, WriteOptions::UNLOGGED).unwrap();
    db.flush().unwrap();
    assert_eq!(db.sequence_durable(), sequence);
}

#[test]
fn operations_that_do_not_fit_a_keyspace_are_refused_whole() {
    let db = open(&MemoryDisk::new());
    let refused = |fill: &dyn Fn(&mut WriteBatch)| {
        let mut batch = WriteBatch::new();
        batch.put(b"pgood", b"1");
        fill(&mut batch);
        assert!(matches!(db.write(batch, WriteOptions::UNLOGGED), Err(Error::Invalid(_))));
    };
    refused(&|batch| batch.put(b"va", b"1"));
    refused(&|batch| batch.put_at(b"pa", 1, b"1"));
    refused(&|batch| batch.put(b"xa", b"1"));
    refused(&|batch| batch.put(b"", b"1"));
    refused(&|batch| batch.put(&[b'p'; 70_000], b"1"));
    refused(&|batch| batch.delete_range(b"pa", b"va"));
    assert_eq!(db.get(b"pgood").unwrap(), None);
    assert!(db.get_at(b"pa", 1).is_err() && db.get(b"va").is_err() && db.get(b"").is_err());
    assert!(db.scan((Bound::Unbounded, Bound::Unbounded), false).is_err());
    assert!(db.scan((Bound::Included(b"p"), Bound::Excluded(b"w")), false).is_err());
}

#[test]
fn half_open_ranges_reach_to_the_end_of_the_keyspace() {
    let db = open(&MemoryDisk::new());
    for key in ["pa", "pb", "pc"] {
        put(&db, key, "", WriteOptions::UNLOGGED);
    }
    let keys = |range: (Bound<&[u8]>, Bound<&[u8]>), reverse| -> Vec<Bytes> {
        db.scan(range, reverse).unwrap().map(|entry| entry.unwrap().0).collect()
    };
    assert_eq!(keys((Bound::Excluded(b"pa"), Bound::Unbounded), false), ["pb", "pc"]);
    assert_eq!(keys((Bound::Unbounded, Bound::Included(b"pb")), true), ["pb", "pa"]);
    assert_eq!(keys((Bound::Unbounded, Bound::Excluded(b"q")), false), ["pa", "pb", "pc"]);
    assert_eq!(keys((Bound::Included(b"pc"), Bound::Excluded(b"pa")), false), Vec::<Bytes>::new());
}

#[test]
fn a_scan_can_be_sought_again() {
    let db = open(&MemoryDisk::new());
    for n in 0..50 {
        put(&db, &format!("p{n:02}"), "", WriteOptions::UNLOGGED);
        if n == 25 {
            db.flush().unwrap();
        }
    }
    let mut scan = db.scan((Bound::Included(b"p10"), Bound::Excluded(b"p40")), false).unwrap();
    scan.seek(b"p30").unwrap();
    assert_eq!(scan.next().unwrap().unwrap().0, "p30");
    scan.seek(b"p05").unwrap();
    assert_eq!(scan.next().unwrap().unwrap().0, "p10");
    scan.seek(b"p41").unwrap();
    assert!(scan.next().is_none());
    let mut back = db.scan((Bound::Included(b"p10"), Bound::Excluded(b"p40")), true).unwrap();
    back.seek(b"p30").unwrap();
    assert_eq!(back.next().unwrap().unwrap().0, "p29");
}

#[test]
fn current_and_old_versions_are_both_found_after_compaction() {
    let db = open(&MemoryDisk::new());
    for version in 1..=50u64 {
        let mut batch = WriteBatch::new();
        for key in 0..20 {
            batch.put_at(format!("v{key:02}").as_bytes(), version * 10, format!("{version}").as_bytes());
        }
        db.write(batch, WriteOptions::UNLOGGED).unwrap();
        if version % 7 == 0 {
            db.flush().unwrap();
        }
    }
    db.compact().unwrap();
    for at in [9, 10, 11, 255, 499, 500, u64::MAX] {
        let found = db.get_at(b"v07", at).unwrap().map(|version| version.timestamp);
        assert_eq!(found, if at < 10 { None } else { Some(at.min(500) / 10 * 10) });
        let range = (Bound::Included(&b"v"[..]), Bound::Unbounded);
        let scanned = db.scan_at(range, at, ScanOptions::default()).unwrap().count();
        assert_eq!(scanned, if at < 10 { 0 } else { 20 });
    }
    let stats = db.stats();
    let history: u64 = stats.keyspaces[0].levels.iter().map(|level| level.history).sum();
    assert_eq!(history, 20 * 49);
}

#[test]
fn a_range_delete_in_a_sealed_memtable_hides_newer_timestamps_below_it() {
    let disk = MemoryDisk::new();
    let keyspaces = vec![Keyspace::versioned(b'v', "versioned")];
    // Every write seals the memtable before it.
    let all = Options { keyspaces, memtable_bytes_max: 1, ..options(&disk, &mut Dice::new(5)) };
    let db = Db::open(all).unwrap();
    let write = |change: &dyn Fn(&mut WriteBatch)| {
        let mut batch = WriteBatch::new();
        change(&mut batch);
        db.write(batch, WriteOptions::UNLOGGED).unwrap();
    };
    write(&|batch| batch.put_at(b"vk", 10, b"deleted"));
    db.flush().unwrap();
    write(&|batch| batch.delete_range(b"va", b"vz"));
    write(&|batch| batch.put_at(b"vk", 5, b"written later"));
    let range = (Bound::Included(&b"va"[..]), Bound::Excluded(&b"vz"[..]));
    for flushed in [false, true] {
        assert_eq!(db.get_at(b"vk", 20).unwrap().map(|version| version.timestamp), Some(5), "{flushed}");
        let found = db.scan_at(range, 20, ScanOptions::default()).unwrap();
        assert_eq!(found.map(|entry| entry.unwrap().timestamp).collect::<Vec<_>>(), [5]);
        db.flush().unwrap();
    }
}

#[test]
fn a_write_ahead_log_that_fails_behind_the_scenes_stops_the_database() {
    let disk = MemoryDisk::new();
    let keyspaces = vec![Keyspace::plain(b'p', "plain")];
    let background = Background::Threads(2);
    let db = Db::open(Options { keyspaces, background, ..options(&disk, &mut Dice::new(5)) }).unwrap();
    disk.set_capacity(Some(disk.bytes_used()));
    put(&db, "p1", "value", WriteOptions::LOGGED);
    let deadline = env::clock::now() + std::time::Duration::from_secs(20);
    while db.failure().is_none() {
        assert!(env::clock::now() < deadline, "nobody was told");
        std::thread::yield_now();
    }
    assert!(matches!(db.get(b"p1"), Err(Error::Poisoned(_))));
}

#[test]
fn an_error_while_flushing_stops_the_database() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    put(&db, "pa", "1", WriteOptions::SYNCED);
    disk.fault_at(disk.io_calls() + 1, Fault::Error(std::io::ErrorKind::TimedOut));
    assert!(matches!(db.flush(), Err(Error::Io { .. })));
    assert!(matches!(db.get(b"pa"), Err(Error::Poisoned(_))));
    assert!(matches!(db.write(WriteBatch::new(), WriteOptions::UNLOGGED), Err(Error::Poisoned(_))));
    assert!(db.failure().is_some());
    drop(db);
    assert_eq!(open(&disk).get(b"pa").unwrap().unwrap(), "1");
}

#[test]
fn a_full_disk_is_said_to_be_full_and_nothing_synced_is_lost() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    disk.set_capacity(Some(20_000));
    let mut synced = 0;
    let error = loop {
        let mut batch = WriteBatch::new();
        batch.put(format!("p{synced:04}").as_bytes(), &[synced as u8; 100]);
        match db.write(batch, WriteOptions::SYNCED) {
            Ok(_) => synced += 1,
            Err(error) => break error,
        }
        let _ = db.step();
    };
    assert!(error.is_disk_full() || db.failure().unwrap().is_disk_full(), "{error}");
    drop(db);
    disk.set_capacity(None);
    let db = open(&disk);
    for n in 0..synced {
        assert_eq!(db.get(format!("p{n:04}").as_bytes()).unwrap().unwrap(), vec![n as u8; 100]);
    }
}

#[test]
fn keyspaces_cannot_change_their_nature() {
    let disk = MemoryDisk::new();
    drop(open(&disk));
    let with = |keyspaces| Db::open(Options::new(Arc::new(disk.clone()), "/db", keyspaces));
    assert!(with(vec![Keyspace::plain(b'p', "plain"), Keyspace::plain(b'v', "versioned")]).is_err());
    assert!(with(vec![Keyspace::plain(b'p', "plain")]).is_err());
    let more = vec![
        Keyspace::plain(b'n', "new"),
        Keyspace::plain(b'p', "plain"),
        Keyspace::versioned(b'v', "versioned"),
    ];
    assert!(with(more).is_ok());
}
