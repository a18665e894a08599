//! The model: sorted maps, and a generator of operations on small key spaces.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use env::disk::MemoryDisk;

use crate::{
    Background, Compression, Db, KeySource, Keyspace, MasterKey, Note, Options, Result, ScanOptions,
    Snapshot, Versioned, VersionedEntry, WriteBatch,
};

/// A small random generator, so that a failing seed repeats itself.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// How many seeds a test plays: so many, or what `NUNATAK_LSM_SEEDS` says, of which 500 is the usual.
pub(super) fn seeds(usual: u64) -> u64 {
    let asked = std::env::var("NUNATAK_LSM_SEEDS").ok().and_then(|seeds| seeds.parse::<u64>().ok());
    asked.map_or(usual, |asked| (usual * asked / 500).max(1))
}

pub(super) type Versions = BTreeMap<u64, Option<Vec<u8>>>;

/// What the database should hold: keyspace `p` without versions, `v` with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) plain: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) versioned: BTreeMap<Vec<u8>, Versions>,
}

/// One operation, for the model and a batch alike.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    PutAt(Vec<u8>, u64, Vec<u8>),
    DeleteAt(Vec<u8>, u64),
    DeleteRange(Vec<u8>, Vec<u8>),
}

impl Op {
    pub(super) fn add_to(&self, batch: &mut WriteBatch) {
        match self {
            Self::Put(key, value) => batch.put(key, value),
            Self::Delete(key) => batch.delete(key),
            Self::PutAt(key, timestamp, value) => batch.put_at(key, *timestamp, value),
            Self::DeleteAt(key, timestamp) => batch.delete_at_with(key, *timestamp, note(*timestamp)),
            Self::DeleteRange(start, end) => batch.delete_range(start, end),
        }
    }
}

/// The note of a deletion at a timestamp: none, or up to the longest.
pub(super) fn note(timestamp: u64) -> Note {
    let length = timestamp as usize % (Note::BYTES_MAX + 1);
    Note::new(&[timestamp as u8; Note::BYTES_MAX][..length]).unwrap()
}

fn note_of(timestamp: u64, value: &Option<Vec<u8>>) -> Note {
    if value.is_none() { note(timestamp) } else { Note::default() }
}

impl Model {
    pub(super) fn apply(&mut self, op: &Op) {
        match op.clone() {
            Op::Put(key, value) => drop(self.plain.insert(key, value)),
            Op::Delete(key) => drop(self.plain.remove(&key)),
            Op::PutAt(key, timestamp, value) => {
                self.versioned.entry(key).or_default().insert(timestamp, Some(value));
            }
            Op::DeleteAt(key, timestamp) => {
                drop(self.versioned.entry(key).or_default().insert(timestamp, None))
            }
            Op::DeleteRange(start, end) => {
                self.plain.retain(|key, _| *key < start || *key >= end);
                self.versioned.retain(|key, _| *key < start || *key >= end);
            }
        }
    }

    pub(super) fn get_at(&self, key: &[u8], at: u64) -> Option<Versioned> {
        let (timestamp, value) = self.versioned.get(key)?.range(..=at).next_back()?;
        let (timestamp, note) = (*timestamp, note_of(*timestamp, value));
        Some(Versioned { timestamp, value: value.clone().map(Bytes::from), note })
    }

    pub(super) fn scan(&self, start: &[u8], end: &[u8], reverse: bool) -> Vec<(Bytes, Bytes)> {
        let range = self.plain.iter().filter(|(key, _)| ***key >= *start && ***key < *end);
        let mut entries: Vec<_> =
            range.map(|(k, v)| (Bytes::copy_from_slice(k), Bytes::copy_from_slice(v))).collect();
        if reverse {
            entries.reverse();
        }
        entries
    }

    pub(super) fn scan_at(
        &self,
        start: &[u8],
        end: &[u8],
        at: u64,
        options: ScanOptions,
    ) -> Vec<VersionedEntry> {
        let range = self.versioned.iter().filter(|(key, _)| ***key >= *start && ***key < *end);
        let mut groups: Vec<Vec<VersionedEntry>> = Vec::new();
        for (key, versions) in range {
            let mut group: Vec<_> = versions
                .range(..=at)
                .rev()
                .map(|(timestamp, value)| VersionedEntry {
                    key: Bytes::copy_from_slice(key),
                    timestamp: *timestamp,
                    value: value.clone().map(Bytes::from),
                    note: note_of(*timestamp, value),
                })
                .collect();
            if !options.all_versions {
                group.truncate(1);
            }
            group.retain(|entry| {
                options.since.is_none_or(|since| entry.timestamp > since)
                    && (options.tombstones || entry.value.is_some())
            });
            groups.push(group);
        }
        if options.reverse {
            groups.reverse();
        }
        groups.concat()
    }
}

/// A key of few, so that operations meet. Lengths differ, and some keys are prefixes of others.
pub(super) fn key(dice: &mut Dice, prefix: u8) -> Vec<u8> {
    let mut key = vec![prefix];
    key.extend(format!("{:02}", dice.below(40)).into_bytes());
    if dice.one_in(4) {
        key.extend(vec![b'x'; 1 + dice.below(20) as usize]);
    }
    key
}

fn value(dice: &mut Dice) -> Vec<u8> {
    let byte = dice.next() as u8;
    let length = if dice.one_in(20) { 700 } else { dice.below(40) };
    (0..length).map(|n| if dice.one_in(2) { byte } else { n as u8 }).collect()
}

/// A random operation; timestamps around `now`, all above `floor`.
pub(super) fn op(dice: &mut Dice, now: u64, floor: u64) -> Op {
    let far = if dice.one_in(4) { 60 } else { 3 };
    let back = dice.below(far);
    let timestamp = now.saturating_sub(back).max(floor + 1);
    match dice.below(22) {
        0..=6 => Op::Put(key(dice, b'p'), value(dice)),
        7..=8 => Op::Delete(key(dice, b'p')),
        9..=17 => Op::PutAt(key(dice, b'v'), timestamp, value(dice)),
        18..=20 => Op::DeleteAt(key(dice, b'v'), timestamp),
        _ => {
            let prefix = if dice.one_in(2) { b'p' } else { b'v' };
            let (a, b) = (key(dice, prefix), key(dice, prefix));
            let end = if dice.one_in(10) { vec![prefix + 1] } else { a.clone().max(b.clone()) };
            Op::DeleteRange(a.min(b), end)
        }
    }
}

/// Options with everything small.
pub(super) fn options(disk: &MemoryDisk, dice: &mut Dice) -> Options {
    let mut plain = Keyspace::plain(b'p', "plain");
    let mut versioned = Keyspace::versioned(b'v', "versioned");
    for keyspace in [&mut plain, &mut versioned] {
        keyspace.filter_bits = [0, 2, 10][dice.below(3) as usize];
        keyspace.compression =
            [Compression::None, Compression::Lz4, Compression::Zstd][dice.below(3) as usize];
    }
    let keyspaces = if dice.one_in(2) {
        vec![versioned, plain]
    } else {
        // One that stays empty, too.
        vec![plain, Keyspace::versioned(b'q', "empty"), versioned]
    };
    Options {
        memtable_bytes_max: [2_000, 8_000, 30_000][dice.below(3) as usize],
        cache_bytes: [0, 20_000, 1 << 20][dice.below(3) as usize],
        background: Background::Manual,
        block_bytes: [64, 300, 4096][dice.below(3) as usize],
        table_bytes: [1_000, 4_000, 100_000][dice.below(3) as usize],
        level0_tables: 1 + dice.below(4) as usize,
        level1_bytes: [1_000, 10_000][dice.below(2) as usize],
        log_segment_bytes: [500, 1 << 20][dice.below(2) as usize],
        encryption: dice.one_in(2).then(master_key),
        ..Options::new(Arc::new(disk.clone()), "/db", keyspaces)
    }
}

/// The master key of encrypted databases.
pub(super) fn master_key() -> KeySource {
    KeySource::Key(MasterKey::new([7; 32]))
}

/// A database or a snapshot of it.
pub(super) trait Readable {
    fn plain(&self, key: &[u8]) -> Result<Option<Bytes>>;
    fn at(&self, key: &[u8], at: u64) -> Result<Option<Versioned>>;
    fn scan_plain(&self, start: &[u8], end: &[u8], reverse: bool) -> Result<Vec<(Bytes, Bytes)>>;
    /// A scan that has given an entry and is then sought.
    fn scan_plain_from(
        &self,
        start: &[u8],
        end: &[u8],
        reverse: bool,
        from: &[u8],
    ) -> Result<Vec<(Bytes, Bytes)>>;
    fn scan_versions(
        &self,
        start: &[u8],
        end: &[u8],
        at: u64,
        options: ScanOptions,
    ) -> Result<Vec<VersionedEntry>>;
}

macro_rules! readable {
    ($type:ty) => {
        impl Readable for $type {
            fn plain(&self, key: &[u8]) -> Result<Option<Bytes>> {
                self.get(key)
            }

            fn at(&self, key: &[u8], at: u64) -> Result<Option<Versioned>> {
                self.get_at(key, at)
            }

            fn scan_plain(&self, start: &[u8], end: &[u8], reverse: bool) -> Result<Vec<(Bytes, Bytes)>> {
                self.scan((Bound::Included(start), Bound::Excluded(end)), reverse)?.collect()
            }

            fn scan_plain_from(
                &self,
                start: &[u8],
                end: &[u8],
                reverse: bool,
                from: &[u8],
            ) -> Result<Vec<(Bytes, Bytes)>> {
                let mut scan = self.scan((Bound::Included(start), Bound::Excluded(end)), reverse)?;
                scan.next().transpose()?;
                scan.seek(from)?;
                scan.collect()
            }

            fn scan_versions(
                &self,
                start: &[u8],
                end: &[u8],
                at: u64,
                options: ScanOptions,
            ) -> Result<Vec<VersionedEntry>> {
                self.scan_at((Bound::Included(start), Bound::Excluded(end)), at, options)?.collect()
            }
        }
    };
}
readable!(Db);
readable!(Snapshot);

/// All that is in a database, as a model.
pub(super) fn contents(db: &impl Readable) -> Result<Model> {
    let plain = db.scan_plain(b"p", b"q", false)?;
    let options = ScanOptions { all_versions: true, tombstones: true, ..ScanOptions::default() };
    let mut versioned: BTreeMap<Vec<u8>, Versions> = BTreeMap::new();
    for entry in db.scan_versions(b"v", b"w", u64::MAX, options)? {
        versioned
            .entry(entry.key.to_vec())
            .or_default()
            .insert(entry.timestamp, entry.value.map(|v| v.to_vec()));
    }
    Ok(Model { plain: plain.into_iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect(), versioned })
}

/// The model without keys that have no versions, as [`contents`] gives it.
pub(super) fn tidy(model: &Model) -> Model {
    let mut model = model.clone();
    model.versioned.retain(|_, versions| !versions.is_empty());
    model
}

/// Compares random reads at and above `floor`.
pub(super) fn compare(db: &impl Readable, model: &Model, dice: &mut Dice, now: u64, floor: u64) {
    for _ in 0..6 {
        let plain = key(dice, b'p');
        assert_eq!(db.plain(&plain).unwrap().map(|v| v.to_vec()), model.plain.get(&plain).cloned());
        let versioned = key(dice, b'v');
        let at = if dice.one_in(3) { u64::MAX } else { now.saturating_sub(dice.below(70)).max(floor) };
        let (found, expected) = (db.at(&versioned, at).unwrap(), model.get_at(&versioned, at));
        if floor == 0 {
            assert_eq!(found, expected, "{versioned:?} at {at}");
        } else {
            // Below the safe point a deletion may have gone.
            let live =
                |version: Option<Versioned>| version.filter(|v| v.value.is_some() || v.timestamp > floor);
            assert_eq!(live(found), live(expected), "{versioned:?} at {at}");
        }
        let reverse = dice.one_in(2);
        let (a, b) = (key(dice, b'p'), key(dice, b'p'));
        let (start, end) = (a.clone().min(b.clone()), a.max(b));
        let found = db.scan_plain(&start, &end, reverse).unwrap();
        let expected = model.scan(&start, &end, reverse);
        assert_eq!(found, expected);
        let place = key(dice, b'p');
        let rest = |entry: &&(Bytes, Bytes)| (*entry.0 < *place) == reverse;
        let expected: Vec<_> = expected.iter().filter(rest).cloned().collect();
        assert_eq!(db.scan_plain_from(&start, &end, reverse, &place).unwrap(), expected, "from {place:?}");
        let (a, b) = (key(dice, b'v'), key(dice, b'v'));
        let (start, end) = (a.clone().min(b.clone()), a.max(b));
        let all_versions = dice.one_in(2);
        let options = ScanOptions {
            reverse: dice.one_in(2),
            since: if floor > 0 && all_versions {
                Some(floor)
            } else if dice.one_in(2) {
                None
            } else {
                Some(now.saturating_sub(dice.below(70)).max(floor))
            },
            all_versions,
            tombstones: floor == 0 && dice.one_in(2),
        };
        assert_eq!(
            db.scan_versions(&start, &end, at, options).unwrap(),
            model.scan_at(&start, &end, at, options),
            "{options:?} at {at}"
        );
    }
}
