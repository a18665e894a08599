//! Encryption at rest: nothing readable on disk, keys that fit, do not fit, change and go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::disk::{CrashMode, Disk, Fault, MemoryDisk};

use super::model::{Dice, Model, contents, master_key, op, options, tidy};
use crate::{Compression, Db, Error, KeySource, MasterKey, Options, Result, WriteBatch, WriteOptions};

fn plain_options(disk: &MemoryDisk) -> Options {
    let mut options = options(disk, &mut Dice::new(3));
    for keyspace in &mut options.keyspaces {
        keyspace.compression = Compression::None;
    }
    Options {
        memtable_bytes_max: 1 << 20,
        table_bytes: 3_000,
        block_bytes: 300,
        log_segment_bytes: 2_000,
        encryption: None,
        ..options
    }
}

fn encrypted_options(disk: &MemoryDisk) -> Options {
    Options { encryption: Some(master_key()), ..plain_options(disk) }
}

/// Writes for a while; some of it is flushed, some compacted, the rest only in the log.
fn grow(db: &Db, dice: &mut Dice, model: &mut Model) {
    for n in 0..120 {
        let mut batch = WriteBatch::new();
        let op = op(dice, n + 100, 0);
        op.add_to(&mut batch);
        model.apply(&op);
        let key = format!("pkey-canary-{}", n % 20).into_bytes();
        batch.put(&key, b"value-canary");
        model.plain.insert(key, b"value-canary".to_vec());
        db.write(batch, WriteOptions::SYNCED).unwrap();
        match n {
            40 => db.compact().unwrap(),
            60 | 90 => db.flush().unwrap(),
            _ => {}
        }
    }
}

fn files(disk: &MemoryDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    disk.files().into_iter().map(|path| (path.clone(), disk.read(&path).unwrap())).collect()
}

fn with_canaries(disk: &MemoryDisk) -> Vec<PathBuf> {
    let holds = |content: &[u8], text: &[u8]| content.windows(text.len()).any(|window| window == text);
    let found = files(disk).into_iter().filter(|(_, content)| {
        holds(content, b"key-canary") || holds(content, b"value-canary") || holds(content, b"versioned")
    });
    found.map(|(path, _)| path).collect()
}

fn settle(db: &Db) {
    for _ in 0..10_000 {
        if !db.step().unwrap() {
            break;
        }
    }
    let status = db.encryption().unwrap().unwrap();
    assert!(status.is_settled(), "{status:?}");
}

#[test]
fn nothing_that_was_written_can_be_read_in_any_file() {
    let mut found = Vec::new();
    for make in [plain_options, encrypted_options] {
        let disk = MemoryDisk::new();
        let db = Db::open(make(&disk)).unwrap();
        grow(&db, &mut Dice::new(1), &mut Model::default());
        drop(db);
        found.push(with_canaries(&disk));
    }
    assert_eq!(found[1], Vec::<PathBuf>::new());
    for kind in ["manifest", "wal", "tables"] {
        assert!(found[0].iter().any(|path| path.to_string_lossy().contains(kind)), "{kind}: {:?}", found[0]);
    }
}

#[test]
fn a_wrong_a_missing_or_a_malformed_key_is_told_and_changes_nothing() {
    let disk = MemoryDisk::new();
    let db = Db::open(encrypted_options(&disk)).unwrap();
    grow(&db, &mut Dice::new(1), &mut Model::default());
    drop(db);
    disk.create_dir_all(Path::new("/etc")).unwrap();
    disk.replace(Path::new("/etc/short"), b"0123456789abcdef").unwrap();
    let before = files(&disk);
    let refused = |encryption: Option<KeySource>, expected: &str| {
        let error = Db::open(Options { encryption, ..plain_options(&disk) }).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(files(&disk), before, "{error}");
    };
    refused(None, "open it with the master key");
    refused(Some(KeySource::Key(MasterKey::new([8; 32]))), "another master key");
    refused(Some(KeySource::File("/etc/short".into())), "not a master key");
    refused(Some(KeySource::File("/etc/none".into())), "cannot read the master key from /etc/none");
    refused(Some(KeySource::Environment("NUNATAK_NO_SUCH_VARIABLE".to_owned())), "holds no master key");
    let lost = disk.duplicate();
    lost.remove(Path::new("/db/KEYS")).unwrap();
    let before = files(&lost);
    for encryption in [None, Some(master_key())] {
        let error = Db::open(Options { encryption, ..plain_options(&lost) }).unwrap_err();
        assert!(matches!(error, Error::Key { .. }), "{error}");
        assert_eq!(files(&lost), before);
    }
}

#[test]
fn a_database_becomes_encrypted_when_it_is_opened_with_a_key() {
    let disk = MemoryDisk::new();
    let (mut dice, mut model) = (Dice::new(2), Model::default());
    let db = Db::open(plain_options(&disk)).unwrap();
    grow(&db, &mut dice, &mut model);
    assert_eq!(db.encryption().unwrap(), None);
    assert!(db.rotate_data_key().is_err());
    drop(db);
    let db = Db::open(encrypted_options(&disk)).unwrap();
    assert_eq!(contents(&db).unwrap(), tidy(&model));
    assert!(db.encryption().unwrap().unwrap().plain_bytes > 0);
    grow(&db, &mut dice, &mut model);
    settle(&db);
    assert_eq!(contents(&db).unwrap(), tidy(&model));
    db.verify().unwrap();
    drop(db);
    assert_eq!(with_canaries(&disk), Vec::<PathBuf>::new());
    let db = Db::open(encrypted_options(&disk)).unwrap();
    assert_eq!(contents(&db).unwrap(), tidy(&model));
}

#[test]
fn an_old_data_key_goes_when_nothing_uses_it() {
    let disk = MemoryDisk::new();
    let (mut dice, mut model) = (Dice::new(3), Model::default());
    let db = Db::open(encrypted_options(&disk)).unwrap();
    let mut last = db.encryption().unwrap().unwrap().active;
    for _ in 0..3 {
        grow(&db, &mut dice, &mut model);
        let snapshot = db.snapshot().unwrap();
        let seen = contents(&snapshot).unwrap();
        let new = db.rotate_data_key().unwrap();
        assert_ne!(new, last);
        let status = db.encryption().unwrap().unwrap();
        assert_eq!((status.active, status.keys.len()), (new, 2));
        assert!(status.stale_bytes() > 0 && !status.is_settled());
        while db.step().unwrap() {}
        // A snapshot holds its files, and they hold their key.
        assert_eq!(contents(&snapshot).unwrap(), seen);
        assert_eq!(db.encryption().unwrap().unwrap().keys.len(), 2);
        drop(snapshot);
        settle(&db);
        assert_eq!(contents(&db).unwrap(), tidy(&model));
        db.verify().unwrap();
        last = new;
    }
    drop(db);
    let db = Db::open(encrypted_options(&disk)).unwrap();
    assert_eq!(contents(&db).unwrap(), tidy(&model));
    assert_eq!(db.encryption().unwrap().unwrap().active, last);
}

#[test]
fn a_new_master_key_takes_the_place_of_the_old_one() {
    let disk = MemoryDisk::new();
    let db = Db::open(encrypted_options(&disk)).unwrap();
    let mut model = Model::default();
    grow(&db, &mut Dice::new(4), &mut model);
    disk.create_dir_all(Path::new("/etc")).unwrap();
    let hex = MasterKey::new([9; 32]).to_hex() + "\n";
    disk.replace(Path::new("/etc/new"), hex.as_bytes()).unwrap();
    let source = KeySource::File("/etc/new".into());
    db.set_master_key(&source).unwrap();
    drop(db);
    assert!(matches!(Db::open(encrypted_options(&disk)), Err(Error::Key { .. })));
    let db = Db::open(Options { encryption: Some(source), ..plain_options(&disk) }).unwrap();
    assert_eq!(contents(&db).unwrap(), tidy(&model));
}

#[test]
fn tables_that_change_places_are_refused() {
    let disk = MemoryDisk::new();
    let db = Db::open(encrypted_options(&disk)).unwrap();
    grow(&db, &mut Dice::new(5), &mut Model::default());
    drop(db);
    let tables: Vec<PathBuf> =
        disk.files().into_iter().filter(|path| path.starts_with("/db/tables")).collect();
    for pair in tables.windows(2) {
        let copy = disk.duplicate();
        let (one, other) = (disk.read(&pair[0]).unwrap(), disk.read(&pair[1]).unwrap());
        copy.corrupt(&pair[0], |content| *content = other).unwrap();
        copy.corrupt(&pair[1], |content| *content = one).unwrap();
        let error = Db::open(encrypted_options(&copy)).unwrap_err();
        assert!(error.is_corrupt(), "{error}");
    }
    // Nor is one believed that is not encrypted, whatever it says.
    let plain = MemoryDisk::new();
    let db = Db::open(plain_options(&plain)).unwrap();
    grow(&db, &mut Dice::new(5), &mut Model::default());
    drop(db);
    let copy = disk.duplicate();
    copy.corrupt(&tables[0], |content| *content = plain.read(&tables[0]).unwrap()).unwrap();
    assert!(Db::open(encrypted_options(&copy)).unwrap_err().is_corrupt());
}

/// Rotates both keys and finishes; true if it came to its end.
fn rotate(options: Options, dice: &mut Dice, model: &Model) -> Result<()> {
    let db = Db::open(options)?;
    db.rotate_data_key()?;
    for _ in 0..3 {
        db.step()?;
    }
    db.set_master_key(&KeySource::Key(MasterKey::new([6; 32])))?;
    let mut batch = WriteBatch::new();
    let overwritten = dice.below(20);
    let key = format!("pkey-canary-{overwritten}").into_bytes();
    batch.put(&key, model.plain.get(&key).unwrap());
    db.write(batch, WriteOptions::SYNCED)?;
    db.encrypt_anew()?;
    assert!(db.encryption()?.unwrap().is_settled());
    Ok(())
}

#[test]
fn a_rotation_may_crash_at_any_call() {
    let grown = MemoryDisk::new();
    let mut model = Model::default();
    let db = Db::open(encrypted_options(&grown)).unwrap();
    grow(&db, &mut Dice::new(6), &mut model);
    drop(db);
    for (mode, stride) in [(CrashMode::Strict, 1), (CrashMode::Random(5), 3)] {
        let mut call = 0;
        loop {
            let disk = grown.duplicate();
            disk.fault_at(call, Fault::Crash);
            let done = rotate(encrypted_options(&disk), &mut Dice::new(call), &model);
            let disk = disk.crash(mode);
            let open = |key: u8| {
                let encryption = Some(KeySource::Key(MasterKey::new([key; 32])));
                Db::open(Options { encryption, disk: Arc::new(disk.clone()), ..plain_options(&disk) })
            };
            let db = match open(7) {
                Err(Error::Key { .. }) => open(6),
                opened => opened,
            };
            let db = db.unwrap_or_else(|error| panic!("call {call}: {error}"));
            assert_eq!(contents(&db).unwrap(), tidy(&model), "call {call}");
            db.verify().unwrap();
            settle(&db);
            assert_eq!(contents(&db).unwrap(), tidy(&model), "call {call}");
            if done.is_ok() {
                break;
            }
            call += stride;
        }
        assert!(call > 100, "{call}");
    }
}

#[test]
fn switching_encryption_on_may_crash_at_any_call() {
    let grown = MemoryDisk::new();
    let mut model = Model::default();
    let db = Db::open(plain_options(&grown)).unwrap();
    grow(&db, &mut Dice::new(8), &mut model);
    drop(db);
    for (mode, stride) in [(CrashMode::Strict, 1), (CrashMode::Random(6), 2)] {
        let mut call = 0;
        loop {
            let disk = grown.duplicate();
            disk.fault_at(call, Fault::Crash);
            let done = Db::open(encrypted_options(&disk)).and_then(|db| db.encrypt_anew());
            let disk = disk.crash(mode);
            let db =
                Db::open(encrypted_options(&disk)).unwrap_or_else(|error| panic!("call {call}: {error}"));
            assert_eq!(contents(&db).unwrap(), tidy(&model), "call {call}");
            db.verify().unwrap();
            settle(&db);
            drop(db);
            assert_eq!(with_canaries(&disk), Vec::<PathBuf>::new(), "call {call}");
            if done.is_ok() {
                break;
            }
            call += stride;
        }
        assert!(call > 50, "{call}");
    }
}
