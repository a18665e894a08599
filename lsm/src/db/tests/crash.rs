//! A crash, or an error, at any call of the disk: what was durable is there, and what is there is a prefix.

use bytes::Bytes;
use env::disk::{CrashMode, Fault, MemoryDisk};

use super::model::{Dice, Model, compare, contents, key, op, options, tidy};
use crate::{Db, Options, Result, WriteBatch, WriteOptions};

/// What was attempted, in order: the model after each batch, and its sequence if the write returned.
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

    fn note_durable(&mut self, sequence: u64) {
        let durable = self.steps.iter().rposition(|(s, _)| s.is_some_and(|s| s <= sequence));
        self.durable = self.durable.max(durable.unwrap_or(0));
    }

    /// The step that a recovered database stands at.
    fn find(&self, found: &Model) -> Option<usize> {
        (self.durable..self.steps.len()).rev().find(|at| tidy(&self.steps[*at].1) == *found)
    }
}

/// Works until an error or for so many steps.
fn drive(options: Options, dice: &mut Dice, history: &mut History, logged: bool, steps: usize) -> Result<()> {
    let db = Db::open(options)?;
    let mut now = 100;
    for _ in 0..steps {
        match dice.below(20) {
            0..=12 => {
                let mut batch = WriteBatch::new();
                let mut model = history.model();
                for _ in 0..1 + dice.below(5) {
                    let op = op(dice, now, 0);
                    op.add_to(&mut batch);
                    model.apply(&op);
                }
                now += 1;
                history.steps.push((None, model));
                let options = match (logged, dice.one_in(2)) {
                    (false, _) => WriteOptions::UNLOGGED,
                    (true, false) => WriteOptions::LOGGED,
                    (true, true) => WriteOptions::SYNCED,
                };
                let sequence = db.write(batch, options)?;
                history.steps.last_mut().unwrap().0 = Some(sequence);
            }
            13..=15 => {
                let _ = db.step();
            }
            16 => db.flush()?,
            17 => ingest(&db, dice, history)?,
            _ => {
                if db.failure().is_none() {
                    let model = history.model();
                    if let Ok(found) = contents(&db) {
                        assert_eq!(found, tidy(&model));
                    }
                }
            }
        }
        history.note_durable(db.sequence_durable());
    }
    Ok(())
}

fn ingest(db: &Db, dice: &mut Dice, history: &mut History) -> Result<()> {
    let (a, b) = (key(dice, b'p'), key(dice, b'p'));
    let (start, end) = (a.clone().min(b.clone()), a.max(b));
    let mut model = history.model();
    model.plain.retain(|key, _| *key < start || *key >= end);
    let mut builder = db.table_builder(b'p')?;
    if start < end {
        builder.put(&start, b"ingested")?;
        model.plain.insert(start.clone(), b"ingested".to_vec());
    }
    let mut batch = WriteBatch::new();
    batch.put(b"p~", &history.steps.len().to_le_bytes());
    model.plain.insert(b"p~".to_vec(), history.steps.len().to_le_bytes().to_vec());
    let tables = builder.finish()?;
    history.steps.push((None, model));
    let sequence = db.excise_and_ingest(&[(Bytes::from(start), Bytes::from(end))], tables, batch)?;
    history.steps.last_mut().unwrap().0 = Some(sequence);
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

fn crash_and_recover(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut dice = Dice::new(seed);
        let mut disk = MemoryDisk::new();
        let template = options(&disk, &mut dice);
        let logged = dice.one_in(2);
        let mut model = Model::default();
        for life in 0..2 {
            let mut history = History::new(model);
            let options = Options { disk: std::sync::Arc::new(disk.clone()), ..template.clone() };
            let reach = if dice.one_in(4) { 30 } else { 400 };
            disk.fault_at(dice.below(reach), Fault::Crash);
            let _ = drive(options, &mut dice, &mut history, logged, 60);
            let mode = if dice.one_in(3) { CrashMode::Strict } else { CrashMode::Random(dice.next()) };
            disk = disk.crash(mode);
            let options = Options { disk: std::sync::Arc::new(disk.clone()), ..template.clone() };
            model = recover(options, &history, &format!("seed {seed}, life {life}, {mode:?}"));
            if dice.one_in(2) {
                // What recovery itself wrote may be lost again.
                disk = disk.crash(CrashMode::Random(dice.next()));
                let options = Options { disk: std::sync::Arc::new(disk.clone()), ..template.clone() };
                recover(options, &history, &format!("seed {seed}, life {life}, again"));
            }
        }
    }
}

#[test]
fn nothing_durable_is_lost_whenever_it_crashes() {
    crash_and_recover(0..500);
}

/// Ten thousand seeds, for a nightly run: `cargo test -p nunatak-lsm --release -- --ignored ten_thousand`.
#[test]
#[ignore = "takes minutes"]
fn nothing_durable_is_lost_in_ten_thousand_crashes() {
    crash_and_recover(10_000..20_000);
}

#[test]
fn a_crash_at_each_call_in_turn_loses_nothing_durable() {
    for logged in [false, true] {
        let mut finished = false;
        let mut call = 0;
        while !finished {
            let mut dice = Dice::new(77);
            let disk = MemoryDisk::new();
            let template = options(&disk, &mut dice);
            disk.fault_at(call, Fault::Crash);
            let mut history = History::new(Model::default());
            finished = drive(template.clone(), &mut dice, &mut history, logged, 40).is_ok();
            let disk = disk.crash(CrashMode::Strict);
            let options = Options { disk: std::sync::Arc::new(disk), ..template };
            recover(options, &history, &format!("call {call}"));
            call += 1;
        }
        assert!(call > 100, "{call}");
    }
}

#[test]
fn an_error_at_each_call_in_turn_is_told_or_harmless() {
    for logged in [false, true] {
        for kind in [std::io::ErrorKind::TimedOut, std::io::ErrorKind::StorageFull] {
            let mut call = 0;
            loop {
                let mut dice = Dice::new(78);
                let disk = MemoryDisk::new();
                let template = options(&disk, &mut dice);
                disk.fault_at(call, Fault::Error(kind));
                let mut history = History::new(Model::default());
                let _ = drive(template.clone(), &mut dice, &mut history, logged, 40);
                let fired = disk.io_calls() > call;
                disk.clear_faults();
                // The process starts again; the machine has kept what it was given.
                recover(template, &history, &format!("call {call}, {kind}"));
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
fn a_run_goes_on_after_many_crashes() {
    let mut dice = Dice::new(4711);
    let mut disk = MemoryDisk::new();
    let template = options(&disk, &mut dice);
    let mut model = Model::default();
    for life in 0..30 {
        let mut history = History::new(model);
        let options = Options { disk: std::sync::Arc::new(disk.clone()), ..template.clone() };
        disk.fault_at(dice.below(600), Fault::Crash);
        let _ = drive(options, &mut dice, &mut history, true, 80);
        disk = disk.crash(CrashMode::Random(life));
        let options = Options { disk: std::sync::Arc::new(disk.clone()), ..template.clone() };
        model = recover(options.clone(), &history, &format!("life {life}"));
        let db = Db::open(options).unwrap();
        compare(&db, &model, &mut dice, 200, 0);
    }
}
