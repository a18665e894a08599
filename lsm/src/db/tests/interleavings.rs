//! Every order in which threads may meet, or very many: writing, publishing, sealing, flushing and the log, explored by
//! shuttle. `cargo test -p nunatak-lsm --features shuttle interleavings`; `NUNATAK_LSM_SEEDS` scales it.

use std::sync::Arc;

use bytes::Bytes;
use env::disk::{CrashMode, MemoryDisk};
use shuttle::thread;

use super::model::{Dice, options, seeds};
use super::stress::{check_whole_batches, numbered_batch};
use crate::entry::Content;
use crate::skiplist::{Entry, NONE, Place, SkipList, levels_of};
use crate::{Db, Options, WriteOptions};

fn small(disk: &MemoryDisk) -> Options {
    Options { memtable_bytes_max: 1_000, ..options(disk, &mut Dice::new(5)) }
}

fn explore(usual: u64, scenario: impl Fn() + Copy + Send + Sync + 'static) {
    let iterations = seeds(usual) as usize;
    shuttle::check_random(scenario, iterations);
    shuttle::check_pct(scenario, iterations, 3);
}

/// Two writers with different durability, a reader, and one who flushes, with memtables of a few batches.
fn writers_readers_and_flushes() {
    let disk = MemoryDisk::new();
    let db = Db::open(small(&disk)).unwrap();
    let mut threads = Vec::new();
    for (writer, options) in [(0, WriteOptions::SYNCED), (1, WriteOptions::UNLOGGED)] {
        let db = db.clone();
        threads.push(thread::spawn(move || {
            let mut last = 0;
            for n in 1..5 {
                let sequence = db.write(numbered_batch(writer, n), options).unwrap();
                assert!(sequence > last, "sequences of a writer rise");
                assert!(db.sequence() >= sequence, "what was written is readable");
                last = sequence;
            }
        }));
    }
    let flushing = db.clone();
    threads.push(thread::spawn(move || flushing.flush().unwrap()));
    let mut seen = [0; 2];
    for _ in 0..4 {
        check_whole_batches(&db.snapshot().unwrap(), &mut seen);
        thread::yield_now();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    check_whole_batches(&db.snapshot().unwrap(), &mut seen);
    assert_eq!(seen, [4, 4]);
}

/// What a write that asked for a sync has returned from survives, whoever did the sync for it. Each writer adds so many
/// bytes to its batches.
fn group_commit_and_a_crash(memtable_bytes_max: usize, writers: &[(WriteOptions, usize)]) {
    let disk = MemoryDisk::new();
    let options = Options { memtable_bytes_max, ..small(&disk) };
    let db = Db::open(options.clone()).unwrap();
    let done = Arc::new(shuttle::sync::Mutex::new(vec![0; writers.len()]));
    let threads: Vec<_> = (0..)
        .zip(writers.iter().copied())
        .map(|(writer, (options, padding))| {
            let (db, done) = (db.clone(), done.clone());
            thread::spawn(move || {
                for n in 1..4 {
                    let mut batch = numbered_batch(writer, n);
                    batch.put(b"pz", &vec![0; padding]);
                    // The crash comes anywhere: from then on the disk of this life fails.
                    if db.write(batch, options).is_err() {
                        return;
                    }
                    if options.sync {
                        done.lock().unwrap()[writer as usize] = n;
                    }
                }
            })
        })
        .collect();
    thread::yield_now();
    // Read before the crash: what is done later may be lost.
    let durable = done.lock().unwrap().clone();
    let sequence_durable = db.sequence_durable();
    let next = disk.crash(CrashMode::Strict);
    for thread in threads {
        thread.join().unwrap();
    }
    drop(db);
    let db = Db::open(Options { disk: Arc::new(next), ..options }).unwrap();
    let mut seen = durable;
    check_whole_batches(&db.snapshot().unwrap(), &mut seen);
    assert!(db.sequence() >= sequence_durable, "{} of {sequence_durable}", db.sequence());
}

/// All that a list holds, in its order.
fn walk(list: &SkipList) -> Vec<(Vec<u8>, u64)> {
    let mut found = Vec::new();
    let mut at = list.next(NONE);
    while let Some(entry) = list.entry(at) {
        found.push((entry.key().to_vec(), entry.sequence));
        at = list.next(at);
    }
    found
}

/// Three who insert, one of them ascending, between each other and with tall nodes among them, and one who reads.
fn insertions_into_one_list() {
    let list = Arc::new(SkipList::new());
    // Sequences of nodes that are on all sorts of levels.
    let tall: Vec<u64> = (1..100_000).filter(|sequence| levels_of(*sequence) > 4).take(6).collect();
    let keys = |thread: u64| -> Vec<(Vec<u8>, u64)> {
        let key = |n: u64| match thread {
            0 => format!("key of sixteen bytes and more {n}"),
            1 => format!("key of sixteen bytes and more {}", 7 - n),
            _ => format!("k{n}"),
        };
        let sequence = |n: u64| {
            if n.is_multiple_of(2) { tall[(thread * 2 + n / 2) as usize] } else { 200_000 + thread * 10 + n }
        };
        (0..4).map(|n| (key(n).into_bytes(), sequence(n))).collect()
    };
    let threads: Vec<_> = (0..3)
        .map(|thread| {
            let (list, keys) = (list.clone(), keys(thread));
            thread::spawn(move || {
                for (key, sequence) in keys {
                    let batch = Bytes::from(key.clone());
                    let entry =
                        Entry::new(&batch, &batch, Content::Deletion(&batch[batch.len()..]), 0, sequence);
                    list.insert(entry);
                    let found = list.entry(list.at_or_after(&Place::before(&key)));
                    assert!(found.is_some_and(|entry| entry.key() == key), "what was inserted is found");
                }
            })
        })
        .collect();
    let mut before = Vec::new();
    for _ in 0..4 {
        let now = walk(&list);
        assert!(now.is_sorted_by(|a, b| a.0 < b.0 || (a.0 == b.0 && a.1 > b.1)), "{now:?}");
        assert!(before.iter().all(|entry| now.contains(entry)), "what was seen is gone: {before:?} {now:?}");
        before = now;
        thread::yield_now();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let mut expected: Vec<_> = (0..3).flat_map(keys).collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    assert_eq!(walk(&list), expected);
    for (key, sequence) in &expected {
        let place = Place::new(key, 0, *sequence);
        assert_eq!(list.entry(list.at_or_after(&place)).map(|entry| entry.sequence), Some(*sequence));
        let last = list.entry(list.last_before(&place)).map(|entry| (entry.key().to_vec(), entry.sequence));
        let index = expected.iter().position(|entry| entry == &(key.clone(), *sequence)).unwrap();
        assert_eq!(last, index.checked_sub(1).map(|index| expected[index].clone()));
    }
}

#[test]
fn a_list_holds_all_in_order_in_every_interleaving() {
    explore(5000, insertions_into_one_list);
}

#[test]
fn readers_see_whole_batches_in_their_order_in_every_interleaving() {
    explore(500, writers_readers_and_flushes);
}

#[test]
fn a_synced_write_survives_in_every_interleaving() {
    explore(2000, || group_commit_and_a_crash(1000, &[(WriteOptions::SYNCED, 0); 2]));
}

/// The records of the second are handed over as soon as there are any, if nobody else holds the file.
#[test]
fn a_synced_write_beside_unsynced_ones_survives_in_every_interleaving() {
    let writers = [(WriteOptions::SYNCED, 0), (WriteOptions::LOGGED, 5000)];
    explore(1000, move || group_commit_and_a_crash(10_000, &writers));
}
