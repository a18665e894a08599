//! A crash, or an error, at any call of the disk: what was durable is there, and what is there is a prefix.

use std::sync::Arc;

use bytes::Bytes;
use env::disk::{CrashMode, Fault, MemoryDisk};
use parking_lot::Mutex;

use super::model::{Dice, Model, compare, contents, key, op, options, seeds, tidy};
use crate::{Db, Options, Result, WriteBatch, WriteOptions};

/// What was attempted, in order: the model after each batch, and its sequence if the write returned.
#[derive(Debug)]
struct History {
    steps: Vec<(Option<u64>, Model)>,
    /// Index of the last step that is known to be durable.
    durable: usize,
}

impl History {
    fn new(model: Model) -> Self {
        Self { steps: vec![(Some(0), model)], durable: 0 }
    }

    fn model(&self) -> Model {
        self.steps.last().unwrap().1.clone()
    }

    fn attempt(&mut self, model: Model) {
        self.steps.push((None, tidy(&model)));
    }

    fn succeed(&mut self, sequence: u64) {
        self.steps.last_mut().unwrap().0 = Some(sequence);
    }

    fn note_durable(&mut self, sequence: u64) {
        let durable = self.steps.iter().rposition(|(s, _)| s.is_some_and(|s| s <= sequence));
        self.durable = self.durable.max(durable.unwrap_or(0));
    }

    /// The step that a recovered database stands at.
    fn find(&self, found: &Model) -> Option<usize> {
        (self.durable..self.steps.len()).rev().find(|at| self.steps[*at].1 == *found)
    }
}

/// Works until an error or for so many steps. The history is not locked while the database works.
fn drive(
    options: Options,
    dice: &mut Dice,
    history: &Mutex<History>,
    logged: bool,
    steps: usize,
) -> Result<()> {
    let encrypted = options.encryption.is_some();
    let db = Db::open(options)?;
    let mut now = 100;
    for _ in 0..steps {
        match dice.below(20) {
            0..=12 => {
                let mut batch = WriteBatch::new();
                let mut model = history.lock().model();
                for _ in 0..1 + dice.below(5) {
                    let op = op(dice, now, 0);
                    op.add_to(&mut batch);
                    model.apply(&op);
                }
                now += 1;
                history.lock().attempt(model);
                let options = match (logged, dice.one_in(2)) {
                    (false, _) => WriteOptions::UNLOGGED,
                    (true, false) => WriteOptions::LOGGED,
                    (true, true) => WriteOptions::SYNCED,
                };
                let sequence = db.write(batch, options)?;
                history.lock().succeed(sequence);
            }
            13..=15 => {
                let _ = db.step();
            }
            16 => db.flush()?,
            17 => ingest(&db, dice, history)?,
            18 if encrypted => drop(db.rotate_data_key()?),
            _ => {
                if db.failure().is_none() {
                    let model = history.lock().model();
                    if let Ok(found) = contents(&db) {
                        assert_eq!(found, tidy(&model));
                    }
                }
            }
        }
        let durable = db.sequence_durable();
        history.lock().note_durable(durable);
    }
    Ok(())
}

fn ingest(db: &Db, dice: &mut Dice, history: &Mutex<History>) -> Result<()> {
    let (a, b) = (key(dice, b'p'), key(dice, b'p'));
    let (start, end) = (a.clone().min(b.clone()), a.max(b));
    let (mut model, number) = {
        let history = history.lock();
        (history.model(), history.steps.len().to_le_bytes())
    };
    model.plain.retain(|key, _| *key < start || *key >= end);
    let mut builder = db.table_builder(b'p')?;
    if start < end {
        builder.put(&start, b"ingested")?;
        model.plain.insert(start.clone(), b"ingested".to_vec());
    }
    let mut batch = WriteBatch::new();
    batch.put(b"p~", &number);
    model.plain.insert(b"p~".to_vec(), number.to_vec());
    let tables = builder.finish()?;
    history.lock().attempt(model);
    let sequence = db.excise_and_ingest(&[(Bytes::from(start), Bytes::from(end))], tables, batch)?;
    history.lock().succeed(sequence);
    Ok(())
}

/// Opens what is left and checks it; returns what it holds.
fn recover(options: Options, history: &History, what: &str) -> Model {
    let db = Db::open(options).unwrap_or_else(|error| panic!("{what}: {error} {error:?}"));
    let found = contents(&db).unwrap_or_else(|error| panic!("{what}: {error}"));
    db.verify().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(
        history.find(&found).is_some(),
        "{what}: neither a prefix nor as far as step {} of {}: {found:?}",
        history.durable,
        history.steps.len()
    );
    found
}

fn on(disk: &MemoryDisk, template: &Options) -> Options {
    Options { disk: Arc::new(disk.clone()), ..template.clone() }
}

#[test]
fn nothing_durable_is_lost_whenever_it_crashes() {
    for seed in 0..seeds(500) {
        let mut dice = Dice::new(seed);
        let mut disk = MemoryDisk::new();
        let template = options(&disk, &mut dice);
        let logged = dice.one_in(2);
        let mut model = Model::default();
        for life in 0..2 {
            let history = Mutex::new(History::new(model));
            let reach = if dice.one_in(4) { 30 } else { 400 };
            disk.fault_at(dice.below(reach), Fault::Crash);
            let _ = drive(on(&disk, &template), &mut dice, &history, logged, 60);
            let mode = if dice.one_in(3) { CrashMode::Strict } else { CrashMode::Random(dice.next()) };
            disk = disk.crash(mode);
            let what = format!("seed {seed}, life {life}, {mode:?}");
            model = recover(on(&disk, &template), &history.lock(), &what);
            if dice.one_in(2) {
                // What recovery itself wrote may be lost again.
                disk = disk.crash(CrashMode::Random(dice.next()));
                recover(on(&disk, &template), &history.lock(), &format!("{what}, again"));
            }
        }
    }
}

#[test]
fn a_crash_at_every_call_of_a_long_run_loses_nothing_durable() {
    for seed in 0..seeds(500) / 125 {
        let mut dice = Dice::new(seed);
        let disk = MemoryDisk::new();
        let template = options(&disk, &mut dice);
        let logged = dice.one_in(2);
        let history = Arc::new(Mutex::new(History::new(Model::default())));
        let crashes = Arc::new(Mutex::new(0));
        let (seen, counted, until) = (history.clone(), crashes.clone(), template.clone());
        let mut modes = Dice::new(seed);
        disk.watch(move |fork| {
            let strict = modes.one_in(2);
            let mode = if strict { CrashMode::Strict } else { CrashMode::Random(modes.next()) };
            let call = *counted.lock();
            *counted.lock() += 1;
            let what = format!("seed {seed}, change {call}, {mode:?}");
            recover(on(&fork.crash(mode), &until), &seen.lock(), &what);
        });
        drive(template, &mut dice, &history, logged, 200).unwrap();
        assert!(*crashes.lock() > 100, "seed {seed}: {}", crashes.lock());
    }
}

#[test]
fn an_error_at_each_call_in_turn_is_told_or_harmless() {
    for seed in 0..1 + seeds(500) / 5000 {
        for (logged, kind) in [
            (false, std::io::ErrorKind::TimedOut),
            (true, std::io::ErrorKind::TimedOut),
            (true, std::io::ErrorKind::StorageFull),
        ] {
            let mut call = 0;
            loop {
                let mut dice = Dice::new(78 + seed);
                let disk = MemoryDisk::new();
                let template = options(&disk, &mut dice);
                disk.fault_at(call, Fault::Error(kind));
                let history = Mutex::new(History::new(Model::default()));
                let _ = drive(template.clone(), &mut dice, &history, logged, 40);
                let fired = disk.io_calls() > call;
                disk.clear_faults();
                // The process starts again; the machine has kept what it was given.
                recover(template, &history.lock(), &format!("seed {seed}, call {call}, {kind}"));
                if !fired {
                    break;
                }
                call += 1;
            }
            assert!(call > 100, "{call}");
        }
    }
}

#[test]
fn a_disk_that_fills_up_anywhere_loses_nothing_durable_and_goes_on_when_there_is_room() {
    for seed in 0..seeds(500) / 10 {
        let mut dice = Dice::new(seed);
        let disk = MemoryDisk::new();
        let template = options(&disk, &mut dice);
        let logged = dice.one_in(2);
        disk.set_capacity(Some(500 + dice.below(30_000)));
        let history = Mutex::new(History::new(Model::default()));
        let full = drive(template.clone(), &mut dice, &history, logged, 150);
        if let Err(error) = full {
            assert!(error.is_disk_full(), "seed {seed}: {error} {error:?}");
        }
        disk.set_capacity(None);
        recover(template, &history.lock(), &format!("seed {seed}"));
    }
}

#[test]
fn a_run_goes_on_after_many_crashes() {
    let mut dice = Dice::new(4711);
    let mut disk = MemoryDisk::new();
    let template = options(&disk, &mut dice);
    let mut model = Model::default();
    for life in 0..30 {
        let history = Mutex::new(History::new(model));
        disk.fault_at(dice.below(600), Fault::Crash);
        let _ = drive(on(&disk, &template), &mut dice, &history, true, 80);
        disk = disk.crash(CrashMode::Random(life));
        model = recover(on(&disk, &template), &history.lock(), &format!("life {life}"));
        let db = Db::open(on(&disk, &template)).unwrap();
        compare(&db, &model, &mut dice, 200, 0);
    }
}
