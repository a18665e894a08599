//! Every order in which threads may meet, or very many: writing, publishing, sealing, flushing and the log, explored by
//! shuttle. `cargo test -p nunatak-lsm --features shuttle interleavings`; `NUNATAK_LSM_SEEDS` scales it.

use std::sync::Arc;

use env::disk::{CrashMode, MemoryDisk};
use shuttle::thread;

use super::model::{Dice, options, seeds};
use super::stress::{check_whole_batches, numbered_batch};
use crate::{Db, Options, WriteOptions};

fn small(disk: &MemoryDisk) -> Options {
    Options { memtable_bytes_max: 1_000, ..options(disk, &mut Dice::new(5)) }
}

fn explore(scenario: fn()) {
    let iterations = seeds(5000) as usize;
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

/// What a write that asked for a sync has returned from survives, whoever did the sync for it.
fn group_commit_and_a_crash() {
    let disk = MemoryDisk::new();
    let options = small(&disk);
    let db = Db::open(options.clone()).unwrap();
    let done = Arc::new(shuttle::sync::Mutex::new([0; 2]));
    let threads: Vec<_> = (0..2)
        .map(|writer| {
            let (db, done) = (db.clone(), done.clone());
            thread::spawn(move || {
                for n in 1..4 {
                    // The crash comes anywhere: from then on the disk of this life fails.
                    if db.write(numbered_batch(writer, n), WriteOptions::SYNCED).is_err() {
                        return;
                    }
                    done.lock().unwrap()[writer as usize] = n;
                }
            })
        })
        .collect();
    thread::yield_now();
    // Read before the crash: what is done later may be lost.
    let durable = *done.lock().unwrap();
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

#[test]
fn readers_see_whole_batches_in_their_order_in_every_interleaving() {
    explore(writers_readers_and_flushes);
}

#[test]
fn a_synced_write_survives_in_every_interleaving() {
    explore(group_commit_and_a_crash);
}
