//! The manifest: which tables make up the database, as a log of edits.
//!
//! It is a [`crate::log`] of its own in the directory `manifest`. Opening replays it, writes what it found as one record
//! into a new segment, and drops the older segments; so does an open manifest that has grown.
//!
//! ```text
//! record   := version u8 (1) | field*                        field as in the properties of tables
//!   1 whole       empty: forget all before, this record tells everything
//!   2 keyspace    prefix u8 | versioned u8 | name
//!   3 removed     keyspace u8 | level u8 | table number varint
//!   4 added       keyspace u8 | level u8 | table number varint | summary
//!   5 flushed     sequence varint: every write up to it is in tables
//!   6 log         segment varint: the write-ahead log is needed from there on
//!   7 next table  varint: smaller numbers may have been used
//! ```
//! # Invariants
//! - A table that the manifest names was synced, and its name too, before the record was written.
//! - A table's file is removed only after the record that removes it is durable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use env::disk::Disk;

use crate::coding::{Reader, put_prefixed, put_varint};
use crate::encryption::Keys;
use crate::error::{Error, Result};
use crate::log::{Log, LogOptions, Writer};
use crate::options::{Keyspace, Sequence};
use crate::table::properties::{Summary, for_each_field, put_field, put_integer};
use crate::tree::{Added, Edit};

const VERSION: u8 = 1;
const WHOLE: u64 = 1;
const KEYSPACE: u64 = 2;
const REMOVED: u64 = 3;
const ADDED: u64 = 4;
const FLUSHED: u64 = 5;
const LOG_SEGMENT: u64 = 6;
const TABLE_NEXT: u64 = 7;

/// The manifest is written anew when it has grown by so much.
const GROWTH_BYTES_MAX: u64 = 4 << 20;

/// A keyspace as the manifest remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownKeyspace {
    pub(crate) prefix: u8,
    pub(crate) versioned: bool,
    pub(crate) name: String,
}

/// What the manifest says after all its records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Whether there was any record.
    pub(crate) exists: bool,
    pub(crate) keyspaces: Vec<KnownKeyspace>,
    /// Of each keyspace the tables in the order in which an edit must add them.
    pub(crate) tables: Vec<Added>,
    pub(crate) flushed: Sequence,
    pub(crate) log_segment: u64,
    pub(crate) table_next: u64,
}

impl State {
    fn apply(&mut self, record: Bytes) -> std::result::Result<(), String> {
        let mut reader = Reader::new(record.clone());
        match reader.byte() {
            Some(VERSION) => {}
            version => return Err(format!("a manifest record of unknown version {version:?}")),
        }
        self.exists = true;
        let mut misfit = None;
        let read = for_each_field(record.slice(1..), |tag, mut value, raw| {
            match tag {
                WHOLE => *self = Self { exists: true, ..Self::default() },
                KEYSPACE => {
                    let (prefix, versioned) = (value.byte()?, value.byte()? != 0);
                    let name = String::from_utf8(value.prefixed()?.to_vec()).ok()?;
                    self.keyspaces.retain(|known| known.prefix != prefix);
                    self.keyspaces.push(KnownKeyspace { prefix, versioned, name });
                }
                REMOVED => {
                    let (keyspace, level, id) = (value.byte()?, usize::from(value.byte()?), value.varint()?);
                    let before = self.tables.len();
                    self.tables.retain(|table| {
                        !(table.id == id && table.level == level && table.summary.keyspace == keyspace)
                    });
                    if self.tables.len() + 1 != before {
                        misfit = Some(format!("table {id} is removed from level {level} and was not there"));
                    }
                }
                ADDED => {
                    let (_, level, id) = (value.byte()?, usize::from(value.byte()?), value.varint()?);
                    self.tables.push(Added { level, id, summary: Summary::decode(value.prefixed()?)? });
                }
                FLUSHED => self.flushed = value.varint()?,
                LOG_SEGMENT => self.log_segment = value.varint()?,
                TABLE_NEXT => self.table_next = value.varint()?,
                _ => return None,
            }
            let _ = raw;
            Some(())
        });
        match (read, misfit) {
            (Some(()), None) => Ok(()),
            (_, Some(misfit)) => Err(misfit),
            (None, None) => Err("a manifest record cannot be read".to_owned()),
        }
    }
}

/// An open manifest.
#[derive(Debug)]
pub(crate) struct Manifest {
    log: Log,
    written: u64,
}

impl Manifest {
    /// Opens or creates the manifest of the database in `dir`.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path, keys: Option<&Keys>) -> Result<(Self, State)> {
        let dir: PathBuf = dir.join("manifest");
        let options = LogOptions {
            segment_bytes: 1 << 30,
            writer: Writer::Caller,
            mark_synced: true,
            name: "manifest",
            keys: keys.cloned(),
        };
        let mut state = State::default();
        let log = Log::open(disk.clone(), &dir, options, |position, record| {
            state.apply(record).map_err(|what| Error::corrupt(&dir, position.offset, what))
        })?;
        Ok((Self { log, written: 0 }, state))
    }

    /// Makes an edit durable.
    pub(crate) fn append(&mut self, edit: &Edit) -> Result<()> {
        let mut record = vec![VERSION];
        put_edit(&mut record, edit);
        self.written += record.len() as u64;
        self.log.append(&record)?;
        self.log.sync()
    }

    /// Whether it is time for [`Self::rewrite`].
    pub(crate) fn has_grown(&self) -> bool {
        self.written > GROWTH_BYTES_MAX
    }

    /// Writes everything as one record into a new segment and drops all older ones.
    pub(crate) fn rewrite(&mut self, keyspaces: &[Keyspace], everything: &Edit) -> Result<()> {
        let mut record = vec![VERSION];
        put_field(&mut record, WHOLE, &[]);
        for keyspace in keyspaces {
            let mut value = vec![keyspace.prefix, u8::from(keyspace.versioned)];
            put_prefixed(&mut value, keyspace.name.as_bytes());
            put_field(&mut record, KEYSPACE, &value);
        }
        put_edit(&mut record, everything);
        self.log.rotate();
        let position = self.log.append(&record)?;
        self.log.sync()?;
        self.written = 0;
        self.log.drop_segments_before(position)
    }
}

fn put_edit(record: &mut Vec<u8>, edit: &Edit) {
    for removed in &edit.removed {
        let mut value = vec![removed.keyspace, removed.level as u8];
        put_varint(&mut value, removed.id);
        put_field(record, REMOVED, &value);
    }
    for added in &edit.added {
        let mut value = vec![added.summary.keyspace, added.level as u8];
        put_varint(&mut value, added.id);
        put_prefixed(&mut value, &added.summary.encode());
        put_field(record, ADDED, &value);
    }
    for (tag, value) in
        [(FLUSHED, edit.flushed), (LOG_SEGMENT, edit.log_segment), (TABLE_NEXT, edit.table_next)]
    {
        if let Some(value) = value {
            put_integer(record, tag, value);
        }
    }
}

/// The files that should be there, by number.
pub(crate) fn expected_tables(state: &State) -> BTreeMap<u64, &Summary> {
    state.tables.iter().map(|table| (table.id, &table.summary)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Removed;
    use env::disk::MemoryDisk;

    fn added(id: u64, level: usize) -> Added {
        let summary = Summary { keyspace: b'd', start: Bytes::from_static(b"da"), ..Summary::default() };
        Added { level, id, summary }
    }

    #[test]
    fn edits_add_up_and_a_rewrite_changes_nothing() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let dir = Path::new("/db");
        let keyspaces = [Keyspace::versioned(b'd', "data")];
        let (mut manifest, state) = Manifest::open(&disk, dir, None).unwrap();
        assert!(!state.exists);
        manifest.rewrite(&keyspaces, &Edit::default()).unwrap();
        manifest
            .append(&Edit { added: vec![added(1, 0), added(2, 0)], flushed: Some(9), ..Edit::default() })
            .unwrap();
        let removed = vec![Removed { keyspace: b'd', level: 0, id: 1 }];
        manifest
            .append(&Edit { removed, added: vec![added(3, 6)], table_next: Some(4), ..Edit::default() })
            .unwrap();
        drop(manifest);
        let (mut manifest, state) = Manifest::open(&disk, dir, None).unwrap();
        assert_eq!(state.tables, [added(2, 0), added(3, 6)]);
        assert_eq!((state.flushed, state.table_next, state.keyspaces.len()), (9, 4, 1));
        let everything =
            Edit { added: state.tables.clone(), flushed: Some(9), table_next: Some(4), ..Edit::default() };
        manifest.rewrite(&keyspaces, &everything).unwrap();
        drop(manifest);
        assert_eq!(Manifest::open(&disk, dir, None).unwrap().1, state);
    }

    #[test]
    fn a_record_that_does_not_fit_is_an_error() {
        let mut state = State::default();
        let mut record = vec![VERSION];
        let removed = vec![Removed { keyspace: b'd', level: 0, id: 1 }];
        put_edit(&mut record, &Edit { removed, ..Edit::default() });
        assert!(state.apply(Bytes::from(record)).is_err());
        assert!(state.apply(Bytes::from_static(&[9])).is_err());
        assert!(state.apply(Bytes::from_static(&[1, 99, 0])).is_err());
    }
}
