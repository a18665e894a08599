//! Random operations, with flushes, compactions, reopening, snapshots, ingests and retention, against the model.

use std::collections::BTreeSet;

use bytes::Bytes;
use env::disk::MemoryDisk;

use super::model::{Dice, Model, Op, Readable, compare, contents, key, note, op, options, seeds, tidy};
use crate::{Db, Retention, ScanOptions, Snapshot, TableBuilder, WriteBatch, WriteOptions};

struct Run {
    dice: Dice,
    disk: MemoryDisk,
    options: crate::Options,
    db: Db,
    model: Model,
    snapshots: Vec<(Snapshot, Model, u64)>,
    now: u64,
    floor: u64,
    /// Timestamps below the floor at which reads stay exact.
    protected: Vec<u64>,
}

/// Adds a version, or a deletion with the model's note.
fn add(builder: &mut TableBuilder, key: &[u8], timestamp: u64, value: Option<&[u8]>) {
    match value {
        Some(value) => builder.put_at(key, timestamp, value).unwrap(),
        None => builder.delete_at(key, timestamp, note(timestamp)).unwrap(),
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let disk = MemoryDisk::new();
        let options = options(&disk, &mut dice);
        let db = Db::open(options.clone()).unwrap();
        Self {
            dice,
            disk,
            options,
            db,
            model: Model::default(),
            snapshots: Vec::new(),
            now: 100,
            floor: 0,
            protected: Vec::new(),
        }
    }

    fn write(&mut self) {
        let mut batch = WriteBatch::new();
        for _ in 0..1 + self.dice.below(6) {
            let op = op(&mut self.dice, self.now, self.floor);
            op.add_to(&mut batch);
            self.model.apply(&op);
        }
        self.now += self.dice.below(4);
        let options = [WriteOptions::UNLOGGED, WriteOptions::LOGGED, WriteOptions::SYNCED];
        let options = options[self.dice.below(3) as usize];
        let sequence = self.db.write(batch, options).unwrap();
        assert_eq!(self.db.sequence(), sequence);
    }

    fn ingest(&mut self) {
        let (a, b) = (key(&mut self.dice, b'v'), key(&mut self.dice, b'v'));
        let (start, end) = (a.clone().min(b.clone()), a.max(b));
        self.model.apply(&Op::DeleteRange(start.clone(), end.clone()));
        let mut builder = self.db.table_builder(b'v').unwrap();
        let mut keys: Vec<_> = (0..self.dice.below(30)).map(|_| key(&mut self.dice, b'v')).collect();
        keys.retain(|key| (&start..&end).contains(&key));
        keys.sort();
        keys.dedup();
        for key in keys {
            for back in 0..1 + self.dice.below(3) {
                let timestamp = (self.now - back).max(self.floor + 1);
                if timestamp != self.now - back {
                    break;
                }
                let value = if self.dice.one_in(4) { None } else { Some(vec![back as u8; 30]) };
                add(&mut builder, &key, timestamp, value.as_deref());
                match value {
                    Some(value) => self.model.apply(&Op::PutAt(key.clone(), timestamp, value)),
                    None => self.model.apply(&Op::DeleteAt(key.clone(), timestamp)),
                }
            }
        }
        let tables = builder.finish().unwrap();
        let mut batch = WriteBatch::new();
        let ops: Vec<Op> =
            (0..self.dice.below(4)).map(|_| op(&mut self.dice, self.now, self.floor)).collect();
        for op in &ops {
            op.add_to(&mut batch);
            self.model.apply(op);
        }
        let spans = [(Bytes::from(start), Bytes::from(end))];
        let sequence = self.db.excise_and_ingest(&spans, tables, batch).unwrap();
        assert_eq!(self.db.sequence_durable(), sequence);
    }

    /// Tables over whatever there is, in memory, too; of two that overlap the later is newer.
    fn ingest_over(&mut self) {
        let mut tables = Vec::new();
        for _ in 0..1 + self.dice.below(2) {
            let mut builder = self.db.table_builder(b'v').unwrap();
            let keys: BTreeSet<_> = (0..self.dice.below(8)).map(|_| key(&mut self.dice, b'v')).collect();
            for key in keys {
                let timestamp = self.now.saturating_sub(self.dice.below(9)).max(self.floor + 1);
                let value = (!self.dice.one_in(4)).then(|| vec![timestamp as u8; 30]);
                add(&mut builder, &key, timestamp, value.as_deref());
                self.model.apply(&match value {
                    Some(value) => Op::PutAt(key, timestamp, value),
                    None => Op::DeleteAt(key, timestamp),
                });
            }
            tables.extend(builder.finish().unwrap());
            let mut builder = self.db.table_builder(b'p').unwrap();
            let keys: BTreeSet<_> = (0..self.dice.below(8)).map(|_| key(&mut self.dice, b'p')).collect();
            for key in keys {
                builder.put(&key, &self.now.to_le_bytes()).unwrap();
                self.model.apply(&Op::Put(key, self.now.to_le_bytes().to_vec()));
            }
            tables.extend(builder.finish().unwrap());
        }
        let sequence = self.db.ingest(tables).unwrap();
        assert_eq!(self.db.sequence_durable(), sequence);
    }

    fn reopen(&mut self) {
        self.snapshots.clear();
        self.db.flush().unwrap();
        self.db = {
            drop(std::mem::replace(
                &mut self.db,
                Db::open(super::model::options(&MemoryDisk::new(), &mut self.dice)).unwrap(),
            ));
            Db::open(self.options.clone()).unwrap()
        };
        if self.floor > 0 {
            self.retain(self.floor);
        }
    }

    fn retain(&mut self, floor: u64) {
        self.floor = floor;
        let protected = self.protected.clone();
        let (start, end) = (Bytes::from_static(b"v"), Bytes::from_static(b"w"));
        // In two parts, so that tables lie over their border.
        let middle = Bytes::from(key(&mut self.dice, b'v'));
        let part = |start: &Bytes, end: &Bytes| Retention {
            start: start.clone(),
            end: end.clone(),
            safe_point: floor,
            protected: protected.clone(),
        };
        self.db.set_retention(vec![part(&start, &middle), part(&middle, &end)]).unwrap();
    }

    /// Protects a timestamp that is not below the floor yet, or lets one go.
    fn protect(&mut self, floor: u64) {
        if self.dice.one_in(3) && !self.protected.is_empty() {
            self.protected.remove(0);
        }
        if self.dice.one_in(2) {
            self.protected.push(self.floor + self.dice.below(1 + floor.saturating_sub(self.floor)));
        }
    }

    fn check_protected(&self) {
        for at in &self.protected {
            let options = ScanOptions::default();
            let expected = self.model.scan_at(b"v", b"w", *at, options);
            assert_eq!(self.db.scan_versions(b"v", b"w", *at, options).unwrap(), expected, "at {at}");
        }
    }

    fn step(&mut self) {
        match self.dice.below(40) {
            0..=24 => self.write(),
            25..=29 => drop(self.db.step().unwrap()),
            30 => self.db.flush().unwrap(),
            31 if self.dice.one_in(2) => self.db.compact().unwrap(),
            31 => {
                let (a, b) = (key(&mut self.dice, b'v'), key(&mut self.dice, b'v'));
                self.db.compact_span(&a, &b).unwrap();
            }
            32 if self.dice.one_in(2) => self.ingest(),
            32 => self.ingest_over(),
            33 => self.reopen(),
            34 => {
                let snapshot = self.db.snapshot().unwrap();
                self.snapshots.push((snapshot, self.model.clone(), self.floor));
                if self.snapshots.len() > 3 {
                    self.snapshots.remove(0);
                }
            }
            35 if self.options.encryption.is_some() => drop(self.db.rotate_data_key().unwrap()),
            _ => {
                compare(&self.db, &self.model, &mut self.dice, self.now, self.floor);
                self.check_protected();
                for (snapshot, model, floor) in &self.snapshots {
                    compare(snapshot, model, &mut self.dice, self.now, *floor);
                }
            }
        }
    }
}

#[test]
fn the_database_agrees_with_sorted_maps() {
    for seed in 0..seeds(60) {
        let mut run = Run::new(seed);
        for _ in 0..300 {
            run.step();
        }
        assert_eq!(contents(&run.db).unwrap(), tidy(&run.model), "seed {seed}");
        run.db.verify().unwrap();
        run.db.compact().unwrap();
        assert_eq!(contents(&run.db).unwrap(), tidy(&run.model), "seed {seed}");
        run.db.verify().unwrap();
        // Files that nothing refers to any more are gone.
        run.snapshots.clear();
        let tables = run.db.stats().keyspaces.iter().flat_map(|k| &k.levels).map(|l| l.tables).sum::<usize>();
        let files =
            run.disk.files().iter().filter(|path| path.extension().is_some_and(|e| e == "table")).count();
        assert_eq!(files, tables, "seed {seed}");
    }
}

#[test]
fn with_retention_reads_at_the_safe_point_and_above_stay_exact() {
    for seed in 1000..1000 + seeds(40) {
        let mut run = Run::new(seed);
        for step in 0..300 {
            run.step();
            if step % 25 == 24 {
                // A snapshot taken before keeps what it saw.
                let floor = run.now.saturating_sub(run.dice.below(30)).max(run.floor);
                run.now += 1;
                run.protect(floor);
                run.retain(floor);
            }
        }
        run.protected.clear();
        run.retain(run.now);
        run.db.compact().unwrap();
        run.snapshots.clear();
        compare(&run.db, &run.model, &mut run.dice, run.now, run.floor);
        for (key, versions) in contents(&run.db).unwrap().versioned {
            assert_eq!(versions.len(), 1, "seed {seed}: {key:?} {versions:?}");
            assert!(versions.values().all(Option::is_some), "seed {seed}: {key:?}");
        }
    }
}
