//! Looking into tables, checking them one by one, and compacting a span.

use std::collections::BTreeMap;
use std::sync::Arc;

use env::disk::{Disk, MemoryDisk};

use super::model::{Dice, Model, Versions, contents, op, options, tidy};
use crate::{Background, Db, Keyspace, Options, WriteBatch, WriteOptions};

fn grown(disk: &MemoryDisk, seed: u64) -> (Options, Db, Model) {
    let mut dice = Dice::new(seed);
    let options = Options { memtable_bytes_max: 1 << 20, table_bytes: 1_500, ..options(disk, &mut dice) };
    let db = Db::open(options.clone()).unwrap();
    let mut model = Model::default();
    for n in 0..400 {
        let mut batch = WriteBatch::new();
        let op = op(&mut dice, n + 100, 0);
        op.add_to(&mut batch);
        model.apply(&op);
        db.write(batch, WriteOptions::UNLOGGED).unwrap();
        if n == 250 {
            db.compact().unwrap();
        }
    }
    db.flush().unwrap();
    (options, db, model)
}

#[test]
fn blocks_and_entries_add_up_to_what_tables_say() {
    for seed in 0..6 {
        let (_, db, model) = grown(&MemoryDisk::new(), seed);
        let mut plain = BTreeMap::new();
        let mut versioned: BTreeMap<Vec<u8>, Versions> = BTreeMap::new();
        db.compact().unwrap();
        for table in db.tables().unwrap() {
            let blocks = db.table_blocks(table.id).unwrap();
            assert_eq!(blocks.iter().map(|block| block.entries).sum::<u64>(), table.entries);
            let history = blocks.iter().filter(|block| block.history).map(|block| block.entries);
            assert_eq!(history.sum::<u64>(), table.history);
            assert!(blocks.iter().all(|b| b.first <= b.last && b.first >= table.start && b.last < table.end));
            let mut entries = Vec::new();
            db.table_entries(table.id, None, |entry| {
                entries.push(entry);
                true
            })
            .unwrap();
            assert_eq!(entries.len() as u64, table.entries);
            let middle = entries[entries.len() / 2].key.clone();
            let mut part = Vec::new();
            let span = Some((&middle[..], &table.end[..]));
            db.table_entries(table.id, span, |entry| {
                part.push(entry);
                part.len() < 5
            })
            .unwrap();
            let expected: Vec<_> =
                entries.iter().filter(|entry| entry.key >= middle).take(5).cloned().collect();
            assert_eq!(part, expected);
            for entry in entries {
                let value = entry.value.map(|value| value.to_vec());
                match (table.keyspace, value) {
                    ("plain", Some(value)) => drop(plain.insert(entry.key.to_vec(), value)),
                    ("plain", None) => {}
                    (_, value) => {
                        versioned.entry(entry.key.to_vec()).or_default().insert(entry.timestamp, value);
                    }
                }
            }
        }
        assert_eq!(Model { plain, versioned }, tidy(&model), "seed {seed}");
        assert!(db.table_blocks(u64::MAX).is_err());
    }
}

#[test]
fn a_compacted_span_lies_in_the_last_level_and_nothing_is_lost() {
    for seed in 0..6 {
        let (_, db, model) = grown(&MemoryDisk::new(), seed);
        db.compact_span(b"v10", b"v20").unwrap();
        assert_eq!(contents(&db).unwrap(), tidy(&model));
        for table in db.tables().unwrap() {
            assert!(
                table.level == 6 || *table.end <= *b"v10".as_slice() || *table.start >= *b"v20".as_slice()
            );
        }
        db.verify().unwrap();
    }
}

#[test]
fn every_damaged_table_is_told_and_the_others_are_read() {
    let disk = MemoryDisk::new();
    let (options, db, _) = grown(&disk, 3);
    db.compact().unwrap();
    drop(db);
    let db = Db::open(Options { disk: Arc::new(disk.clone()), ..options }).unwrap();
    let tables = db.tables().unwrap();
    assert!(tables.len() > 3);
    for table in tables.iter().take(2) {
        disk.corrupt(&table.path, |content| content[9] ^= 4).unwrap();
        assert!(disk.length(&table.path).unwrap() == table.bytes);
    }
    let (mut good, mut bad) = (0, Vec::new());
    db.verify_tables(|table, verified| match verified {
        Ok(()) => good += 1,
        Err(error) => bad.push((table.id, error.is_corrupt())),
    })
    .unwrap();
    assert_eq!(bad, [(tables[0].id, true), (tables[1].id, true)]);
    assert_eq!(good, tables.len() - 2);
    assert!(db.verify().unwrap_err().is_corrupt());
}

#[test]
fn a_span_takes_what_its_keys_take_in_memory_and_on_disk() {
    let disk = MemoryDisk::new();
    let keyspaces = vec![Keyspace::plain(b'p', "plain"), Keyspace::versioned(b'v', "versioned")];
    let options = Options {
        table_bytes: 20_000,
        background: Background::Manual,
        ..Options::new(Arc::new(disk), "/db", keyspaces)
    };
    let db = Db::open(options).unwrap();
    let key = |n: u32| format!("v{n:05}").into_bytes();
    let mut dice = Dice::new(1);
    let mut payload = 0;
    for n in 0..4000 {
        let value: Vec<u8> = (0..50).map(|_| dice.below(256) as u8).collect();
        payload += key(n).len() as u64 + 50;
        let mut batch = WriteBatch::new();
        batch.put_at(&key(n), 1, &value);
        db.write(batch, WriteOptions::UNLOGGED).unwrap();
    }
    assert_eq!(db.span_bytes(b"v", b"w").unwrap(), payload);
    assert_eq!(db.span_bytes(&key(10), &key(11)).unwrap(), payload / 4000);
    assert_eq!(db.span_middle(b"v", b"w").unwrap().unwrap(), key(1999));
    assert_eq!(db.span_middle(&key(1000), &key(2000)).unwrap().unwrap(), key(1499));
    for compacted in [false, true] {
        if compacted {
            db.compact().unwrap();
        } else {
            db.flush().unwrap();
        }
        let whole = db.span_bytes(b"v", b"w").unwrap();
        assert_eq!(whole, db.stats().table_bytes());
        let quarter = db.span_bytes(&key(1000), &key(2000)).unwrap();
        assert!((whole / 5..whole / 3).contains(&quarter), "{quarter} of {whole}");
        let one = db.span_bytes(&key(10), &key(11)).unwrap();
        assert!(one > 0 && one < whole / 20, "{one} of {whole}");
        let middle = db.span_middle(b"v", b"w").unwrap().unwrap();
        let left = db.span_bytes(b"v", &middle).unwrap();
        assert!((whole * 2 / 5..whole * 3 / 5).contains(&left), "{left} of {whole} before {middle:?}");
        assert_eq!(db.span_middle(b"v9", b"w").unwrap(), None);
        assert_eq!(db.span_bytes(b"v9", b"w").unwrap(), 0);
        assert_eq!(db.span_bytes(b"p", b"q").unwrap(), 0);
    }
    assert!(db.span_bytes(b"x", b"y").is_err());
    assert!(db.span_history_bytes(b"x", b"y").is_err());
    // What has a newer version is told apart, in memory and on disk.
    assert_eq!(db.span_history_bytes(b"v", b"w").unwrap(), 0);
    let mut batch = WriteBatch::new();
    batch.put_at(&key(10), 2, &[7; 500]);
    batch.put_at(&key(10), 3, b"newest");
    db.write(batch, WriteOptions::UNLOGGED).unwrap();
    let older = key(10).len() as u64 + 500;
    assert_eq!(db.span_history_bytes(b"v", b"w").unwrap(), older);
    assert_eq!(db.span_history_bytes(&key(11), b"w").unwrap(), 0);
    db.compact().unwrap();
    let history = db.span_history_bytes(b"v", b"w").unwrap();
    assert!(history > 0 && history < db.span_bytes(b"v", b"w").unwrap() / 10, "{history}");
    assert_eq!(db.span_history_bytes(b"v9", b"w").unwrap(), 0);
}
