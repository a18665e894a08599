//! Damaged, missing and foreign files: the right answer or a clear error, never a wrong answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::disk::{Disk, MemoryDisk};

use super::model::{Dice, Model, contents, master_key, op, options, tidy};
use crate::{Db, Error, Options, Result, WriteBatch, WriteOptions};

/// A database with tables on several levels, and writes that are only in the log.
fn grown(encrypted: bool) -> (MemoryDisk, Options, Model) {
    let mut dice = Dice::new(3);
    let disk = MemoryDisk::new();
    let options = Options {
        memtable_bytes_max: 1 << 20,
        table_bytes: 3_000,
        block_bytes: 300,
        log_segment_bytes: 1 << 20,
        encryption: encrypted.then(master_key),
        ..options(&disk, &mut dice)
    };
    let mut model = Model::default();
    let db = Db::open(options.clone()).unwrap();
    for round in 0..6 {
        for now in 0..60 {
            let mut batch = WriteBatch::new();
            let op = op(&mut dice, round * 60 + now + 10, 0);
            op.add_to(&mut batch);
            model.apply(&op);
            db.write(batch, WriteOptions::SYNCED).unwrap();
        }
        match round {
            2 => db.compact().unwrap(),
            5 => {}
            _ => db.flush().unwrap(),
        }
    }
    drop(db);
    (disk, options, model)
}

fn read_all(disk: &MemoryDisk, options: &Options) -> Result<Model> {
    let db = Db::open(Options { disk: Arc::new(disk.clone()), ..options.clone() })?;
    let found = contents(&db)?;
    db.verify()?;
    Ok(found)
}

fn kind_of(path: &Path) -> &'static str {
    if path.extension().is_some_and(|extension| extension == "table") {
        "table"
    } else if path.starts_with("/db/wal") {
        "log"
    } else if path.ends_with("KEYS") {
        "keys"
    } else {
        "manifest"
    }
}

#[test]
fn a_flipped_bit_in_any_file_is_an_error_or_changes_nothing() {
    flip_bits(false);
    flip_bits(true);
}

fn flip_bits(encrypted: bool) {
    let (disk, options, model) = grown(encrypted);
    let mut errors = std::collections::BTreeMap::new();
    for path in disk.files() {
        let bits = disk.length(&path).unwrap() as usize * 8;
        let stride = (bits / 400).max(1) | 1;
        for bit in (0..bits).step_by(stride) {
            let copy = disk.duplicate();
            copy.corrupt(&path, |content| content[bit / 8] ^= 1 << (bit % 8)).unwrap();
            match read_all(&copy, &options) {
                Ok(found) => assert_eq!(found, tidy(&model), "{} bit {bit}", path.display()),
                Err(Error::Corrupt { path: named, .. }) => {
                    assert_eq!(named.parent(), path.parent(), "{} bit {bit}", path.display());
                    *errors.entry(kind_of(&path)).or_insert(0) += 1;
                }
                Err(error) => panic!("{} bit {bit}: {error}", path.display()),
            }
        }
    }
    assert_eq!(errors.len(), 3 + usize::from(encrypted), "{errors:?}");
    assert!(errors.values().all(|count| *count > 100), "{errors:?}");
}

#[test]
fn a_file_that_is_cut_short_or_gone_is_an_error_or_changes_nothing() {
    cut_and_remove(false);
    cut_and_remove(true);
}

fn cut_and_remove(encrypted: bool) {
    let (disk, options, model) = grown(encrypted);
    for path in disk.files() {
        let length = disk.length(&path).unwrap() as usize;
        for cut in [0, 1, 20, length / 2, length - 1] {
            let copy = disk.duplicate();
            copy.corrupt(&path, |content| content.truncate(cut)).unwrap();
            match (kind_of(&path), read_all(&copy, &options)) {
                (_, Err(Error::Corrupt { .. } | Error::Io { .. })) => {}
                // The end of a log may be cut: nobody can tell that from a crash before a sync. What is left is whole.
                ("log" | "manifest", Ok(_)) => {}
                (kind, other) => panic!("{kind} cut at {cut}: {other:?}"),
            }
        }
        let copy = disk.duplicate();
        copy.remove(&path).unwrap();
        match (kind_of(&path), read_all(&copy, &options)) {
            ("keys", Err(error)) => assert!(matches!(error, Error::Key { .. }), "{error}"),
            (_, Err(error)) => assert!(error.is_corrupt(), "{error}"),
            ("log", Ok(_)) => {}
            (kind, Ok(found)) => {
                assert_eq!(found, tidy(&model), "a missing {kind} went unnoticed");
            }
        }
    }
}

#[test]
fn garbage_in_place_of_any_file_is_an_error() {
    put_garbage(false);
    put_garbage(true);
}

fn put_garbage(encrypted: bool) {
    let (disk, options, _) = grown(encrypted);
    for path in disk.files() {
        let copy = disk.duplicate();
        let mut dice = Dice::new(1);
        copy.corrupt(&path, |content| content.iter_mut().for_each(|byte| *byte = dice.next() as u8)).unwrap();
        match (kind_of(&path), read_all(&copy, &options)) {
            (_, Err(error)) => assert!(error.is_corrupt(), "{error}"),
            ("log", Ok(_)) => {}
            (kind, Ok(_)) => panic!("garbage for a {kind} went unnoticed"),
        }
    }
}

#[test]
fn tables_that_never_became_part_of_it_are_removed() {
    let (disk, options, model) = grown(false);
    let orphan = PathBuf::from("/db/tables/000000999999.table");
    disk.create(&orphan).unwrap().append(b"half a table").unwrap();
    assert_eq!(read_all(&disk, &options).unwrap(), tidy(&model));
    assert!(!disk.exists(&orphan).unwrap());
}

#[test]
fn a_newer_table_format_is_refused_with_its_version() {
    let (disk, options, _) = grown(false);
    let table = disk.files().into_iter().find(|path| kind_of(path) == "table").unwrap();
    disk.corrupt(&table, |content| {
        let footer = content.len() - 32;
        content[footer + 12] = 9;
        let crc = crc32c::crc32c(&content[footer..footer + 20]).to_le_bytes();
        content[footer + 20..footer + 24].copy_from_slice(&crc);
    })
    .unwrap();
    match read_all(&disk, &options) {
        Err(Error::TooNew { found: 9, known: 2, path }) => assert_eq!(path, table),
        other => panic!("{other:?}"),
    }
}
