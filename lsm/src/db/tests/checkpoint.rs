//! Checkpoints: whole and independent, or refused.

use std::path::Path;
use std::sync::Arc;

use env::disk::{CrashMode, Fault, MemoryDisk, RealDisk};

use super::model::{Dice, Model, contents, op, options, tidy};
use crate::{Background, Db, Options, Result, WriteBatch, WriteOptions};

const COPY: &str = "/copies/one";

fn write(db: &Db, dice: &mut Dice, model: &mut Model, count: u64) -> Result<()> {
    for n in 0..count {
        let mut batch = WriteBatch::new();
        let op = op(dice, n + 100, 0);
        op.add_to(&mut batch);
        db.write(batch, if n % 2 == 0 { WriteOptions::UNLOGGED } else { WriteOptions::LOGGED })?;
        model.apply(&op);
        if n % 5 == 0 {
            db.step()?;
        }
    }
    Ok(())
}

fn copy_options(options: &Options, disk: &MemoryDisk) -> Options {
    Options { disk: Arc::new(disk.clone()), dir: COPY.into(), create_if_missing: false, ..options.clone() }
}

#[test]
fn a_checkpoint_is_a_database_of_its_own() {
    for seed in 0..20 {
        let (mut dice, disk) = (Dice::new(seed), MemoryDisk::new());
        let options = options(&disk, &mut dice);
        let db = Db::open(options.clone()).unwrap();
        let mut model = Model::default();
        write(&db, &mut dice, &mut model, 100).unwrap();
        let sequence = db.checkpoint(Path::new(COPY)).unwrap();
        assert_eq!(sequence, db.sequence());
        let (then, mut copied) = (model.clone(), model.clone());
        // Neither sees what becomes of the other.
        write(&db, &mut dice, &mut model, 100).unwrap();
        db.compact().unwrap();
        let copy = Db::open(copy_options(&options, &disk)).unwrap();
        assert_eq!(contents(&copy).unwrap(), tidy(&then), "seed {seed}");
        assert_eq!(copy.sequence(), sequence);
        copy.verify().unwrap();
        write(&copy, &mut dice, &mut copied, 100).unwrap();
        copy.compact().unwrap();
        assert_eq!(contents(&db).unwrap(), tidy(&model));
        drop(db);
        assert_eq!(contents(&copy).unwrap(), tidy(&copied));
        let again = copy.checkpoint(Path::new(COPY)).unwrap_err();
        assert!(again.to_string().contains("not empty"), "{again}");
    }
}

#[test]
fn a_checkpoint_that_crashes_at_any_call_is_whole_or_refused() {
    for (mode, stride) in [(CrashMode::Strict, 1), (CrashMode::Random(9), 1)] {
        let (mut call, mut whole) = (0, 0);
        loop {
            let (mut dice, disk) = (Dice::new(4), MemoryDisk::new());
            let options = options(&disk, &mut dice);
            let db = Db::open(options.clone()).unwrap();
            let mut model = Model::default();
            write(&db, &mut dice, &mut model, 150).unwrap();
            disk.fault_at(disk.io_calls() + call, Fault::Crash);
            let made = db.checkpoint(Path::new(COPY));
            drop(db);
            let disk = disk.crash(mode);
            let opened = Db::open(copy_options(&options, &disk));
            match (&made, opened) {
                (_, Ok(copy)) => {
                    assert_eq!(contents(&copy).unwrap(), tidy(&model), "call {call}");
                    copy.verify().unwrap();
                    whole += 1;
                }
                (Ok(_), Err(error)) => panic!("call {call}: {error}"),
                (Err(_), Err(_)) => {}
            }
            // The database itself is none the worse.
            let db = Db::open(Options { disk: Arc::new(disk.clone()), ..options }).unwrap();
            db.verify().unwrap();
            if made.is_ok() {
                break;
            }
            call += stride;
        }
        assert!(call > 20 && whole > 0, "{call} {whole}");
    }
}

#[test]
fn a_checkpoint_is_taken_on_the_real_disk_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        disk: Arc::new(RealDisk::new()),
        dir: dir.path().join("db"),
        background: Background::Threads(2),
        memtable_bytes_max: 20_000,
        table_bytes: 20_000,
        ..options(&MemoryDisk::new(), &mut Dice::new(1))
    };
    let db = Db::open(options.clone()).unwrap();
    std::thread::scope(|scope| {
        let writer = db.clone();
        scope.spawn(move || {
            for n in 0..4000u64 {
                let mut batch = WriteBatch::new();
                batch.put(format!("p{:03}", n % 300).as_bytes(), &n.to_le_bytes());
                batch.put(b"p-last", &n.to_le_bytes());
                writer.write(batch, WriteOptions::UNLOGGED).unwrap();
            }
        });
        for number in 0..5 {
            let before = db.sequence();
            let copy = dir.path().join(format!("copy{number}"));
            let sequence = db.checkpoint(&copy).unwrap();
            assert!(sequence >= before);
            let copy = Db::open(Options { dir: copy, create_if_missing: false, ..options.clone() }).unwrap();
            copy.verify().unwrap();
            if sequence == 0 {
                continue;
            }
            // Batches of two operations: what the last one says is there, and nothing later.
            let last = copy.get(b"p-last").unwrap().unwrap();
            let last = u64::from_le_bytes(last.as_ref().try_into().unwrap());
            assert_eq!((last + 1) * 2, sequence);
            let key = format!("p{:03}", last % 300);
            assert_eq!(copy.get(key.as_bytes()).unwrap().unwrap(), last.to_le_bytes().as_ref());
        }
    });
}
