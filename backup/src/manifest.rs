//! The manifest of a link: what it covers, and the files it is made of.
//!
//! ```text
//! file   "NUNABACK" | format u32 = 1 | head length u32 | head | body length u32 | body | crc32c u32 of all before
//! head   protobuf Head: the data key, wrapped, and the salt beside it; empty of a link that is not sealed
//! body   protobuf Manifest; sealed, as the only part of the file of this name and salt, where there is a key
//! ```
//! It is written once all data files are, so that a link without one is none. Its name says which chain it belongs to, and when
//! it is of: `<chain>-<at>.manifest`, both of 16 hex digits. While a link is made, the same stands in `<chain>-<at>.progress`, with
//! what is done by then: whoever goes on needs no more.

use std::fmt;

use prost::Message;

use crate::data::FILE_BYTES_MAX;
use crate::error::{Error, Result};
use crate::key::{DataKey, SecretKey};

/// A manifest has no more bytes: it is held in memory, by who writes it and by who reads it.
pub(crate) const BYTES_MAX: u64 = 256 << 20;

const MAGIC: &[u8; 8] = b"NUNABACK";

/// The newest format that this code reads, and the one it writes.
const FORMAT: u32 = 1;

/// What the name of a manifest ends with.
const SUFFIX: &str = ".manifest";

/// What the name of one that is not finished ends with.
const SUFFIX_PROGRESS: &str = ".progress";

/// What a backup is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum ScopeKind {
    /// All databases, roles and settings.
    Cluster = 0,
    /// A database.
    Database = 1,
    /// A table.
    Table = 2,
}

/// What a backup is of, by name.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Scope {
    /// What.
    #[prost(enumeration = "ScopeKind", tag = "1")]
    pub kind: i32,
    /// The database; nothing for a whole cluster.
    #[prost(string, tag = "2")]
    pub database: String,
    /// The table's schema.
    #[prost(string, tag = "3")]
    pub schema: String,
    /// The table.
    #[prost(string, tag = "4")]
    pub table: String,
}

/// A database whose catalog is in the backup.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DatabaseName {
    /// Its identity.
    #[prost(uint32, tag = "1")]
    pub oid: u32,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
}

/// A span of keys that a link covers.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Covered {
    /// Its first key.
    #[prost(bytes = "bytes", tag = "1")]
    pub start: bytes::Bytes,
    /// The first key behind it.
    #[prost(bytes = "bytes", tag = "2")]
    pub end: bytes::Bytes,
    /// The link has what was committed above this timestamp; 0: all.
    #[prost(uint64, tag = "3")]
    pub since: u64,
    /// With the links before, it has the rows as of each timestamp from this one up to its own.
    #[prost(uint64, tag = "4")]
    pub readable_from: u64,
}

/// A part of a span.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Part {
    /// Its first key.
    #[prost(bytes = "bytes", tag = "1")]
    pub start: bytes::Bytes,
    /// The first key behind it.
    #[prost(bytes = "bytes", tag = "2")]
    pub end: bytes::Bytes,
}

/// A data file.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DataFile {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The key of its first version.
    #[prost(bytes = "bytes", tag = "2")]
    pub first: bytes::Bytes,
    /// That of its last.
    #[prost(bytes = "bytes", tag = "3")]
    pub last: bytes::Bytes,
    /// How long it is.
    #[prost(uint64, tag = "4")]
    pub bytes: u64,
    /// Its checksum.
    #[prost(uint32, tag = "5")]
    pub crc32c: u32,
    /// How many versions it holds.
    #[prost(uint64, tag = "6")]
    pub entries: u64,
}

/// A link of a chain.
///
/// Invariants, checked by [`Manifest::check`]: its files are in the order of their keys, each within one span that it covers; the
/// spans ascend, none overlaps another, and each is of what was committed since the link before, or of all; a link that follows
/// another is of a later timestamp.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Manifest {
    /// The timestamp of the full backup that the chain begins with.
    #[prost(uint64, tag = "1")]
    pub chain: u64,
    /// The timestamp that this one is of.
    #[prost(uint64, tag = "2")]
    pub at: u64,
    /// That of the one before; 0: it is the full one.
    #[prost(uint64, tag = "3")]
    pub since: u64,
    /// Whether it holds all versions since, and not only the newest of each row.
    #[prost(bool, tag = "4")]
    pub history: bool,
    /// What it is of.
    #[prost(message, optional, tag = "5")]
    pub scope: Option<Scope>,
    /// The databases whose catalog is in it, as they were called then.
    #[prost(message, repeated, tag = "6")]
    pub databases: Vec<DatabaseName>,
    /// The spans that it covers.
    #[prost(message, repeated, tag = "7")]
    pub covered: Vec<Covered>,
    /// Its files.
    #[prost(message, repeated, tag = "8")]
    pub files: Vec<DataFile>,
    /// The version of the program that made it.
    #[prost(string, tag = "9")]
    pub program: String,
    /// All oids in it are below this one.
    #[prost(uint64, tag = "10")]
    pub oid_next: u64,
    /// And all ids of rows below this one.
    #[prost(uint64, tag = "11")]
    pub row_id_next: u64,
    /// Of one that is not finished: the parts of spans whose files are written.
    #[prost(message, repeated, tag = "12")]
    pub done: Vec<Part>,
    /// By chance, so that no two that are begun are alike.
    #[prost(bytes = "vec", tag = "13")]
    pub begun: Vec<u8>,
}

impl Scope {
    /// A whole cluster.
    pub fn cluster() -> Self {
        Self { kind: ScopeKind::Cluster as i32, ..Self::default() }
    }

    /// A database.
    pub fn database(name: &str) -> Self {
        Self { kind: ScopeKind::Database as i32, database: name.to_owned(), ..Self::default() }
    }

    /// A table of a database.
    pub fn table(database: &str, schema: &str, table: &str) -> Self {
        let (database, schema, table) = (database.to_owned(), schema.to_owned(), table.to_owned());
        Self { kind: ScopeKind::Table as i32, database, schema, table }
    }

    /// Whether what is of this is of the other, too.
    pub fn holds(&self, other: &Self) -> bool {
        match self.kind() {
            ScopeKind::Cluster => true,
            ScopeKind::Database => other.kind() != ScopeKind::Cluster && other.database == self.database,
            ScopeKind::Table => self == other,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            ScopeKind::Cluster => f.write_str("cluster"),
            ScopeKind::Database => write!(f, "database {}", self.database),
            ScopeKind::Table => write!(f, "table {}.{}.{}", self.database, self.schema, self.table),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(bytes = "vec", tag = "1")]
    wrapped: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    salt: Vec<u8>,
}

impl Manifest {
    /// The name of the manifest of a link.
    pub fn name(chain: u64, at: u64) -> String {
        format!("{chain:016x}-{at:016x}{SUFFIX}")
    }

    /// The name of what stands for a link while it is made.
    pub fn progress_name(chain: u64, at: u64) -> String {
        format!("{chain:016x}-{at:016x}{SUFFIX_PROGRESS}")
    }

    /// The chain and the timestamp that a name is of; `None`: it is no manifest's.
    pub fn of_name(name: &str) -> Option<(u64, u64)> {
        numbers(name.strip_suffix(SUFFIX)?)
    }

    /// The same of a link that is made.
    pub fn of_progress_name(name: &str) -> Option<(u64, u64)> {
        numbers(name.strip_suffix(SUFFIX_PROGRESS)?)
    }

    /// A name for a data file of a link that no other has.
    pub fn new_file_name(chain: u64, at: u64) -> String {
        let random: String = env::random::id().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}{random}.data", Self::directory(chain, at))
    }

    /// What the names of a link's data files begin with.
    fn directory(chain: u64, at: u64) -> String {
        format!("{chain:016x}-{at:016x}/")
    }

    /// From which timestamp on all that it covers is to be had as of, with the links before.
    pub fn begins(&self) -> u64 {
        self.covered.iter().map(|covered| covered.readable_from).max().unwrap_or(self.at)
    }

    /// How many versions its files hold, and how many bytes they have.
    pub fn sizes(&self) -> (u64, u64) {
        self.files.iter().fold((0, 0), |(entries, bytes), file| {
            (entries.saturating_add(file.entries), bytes.saturating_add(file.bytes))
        })
    }

    /// The file of that name.
    pub fn encode_file(&self, name: &str, key: Option<(&SecretKey, &DataKey)>) -> Result<Vec<u8>> {
        let mut body = self.encode_to_vec();
        let mut head = Head { wrapped: Vec::new(), salt: Vec::new() };
        if let Some((secret, key)) = key {
            let (wrapped, salt) = secret.wrap(key)?;
            key.manifest_cipher(name, &salt)?.seal(0, &mut body, 0)?;
            head = Head { wrapped, salt: salt.to_vec() };
        }
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&FORMAT.to_le_bytes());
        for part in [head.encode_to_vec(), body] {
            let length = u32::try_from(part.len());
            let length = length.map_err(|_| Error::Unsupported("a backup of so many files".to_owned()))?;
            file.extend_from_slice(&length.to_le_bytes());
            file.extend_from_slice(&part);
        }
        let sum = crc32c::crc32c(&file);
        file.extend_from_slice(&sum.to_le_bytes());
        // What nobody can read again is not written.
        match file.len() as u64 {
            ..=BYTES_MAX => Ok(file),
            _ => Err(Error::Unsupported("a backup of so many files".to_owned())),
        }
    }

    /// What a file of that name says, and the key of the data files, if they have one.
    pub fn decode_file(
        name: &str,
        file: &[u8],
        secret: Option<&SecretKey>,
    ) -> Result<(Self, Option<DataKey>)> {
        let damaged = |what: &str| Error::damaged(name, what);
        let (content, sum) = file
            .split_last_chunk::<4>()
            .filter(|(content, _)| content.starts_with(MAGIC))
            .ok_or_else(|| damaged("it is no manifest"))?;
        let mut rest = content.get(MAGIC.len()..).unwrap_or_default();
        let version = take_u32(&mut rest).ok_or_else(|| damaged("it says no format"))?;
        if version > FORMAT {
            return Err(Error::Newer { name: name.to_owned(), version });
        }
        if crc32c::crc32c(content) != u32::from_le_bytes(*sum) {
            return Err(damaged("its checksum is wrong"));
        }
        let head = take_part(&mut rest).ok_or_else(|| damaged("it ends too early"))?;
        let body = take_part(&mut rest).ok_or_else(|| damaged("it ends too early"))?;
        let head = Head::decode(head).map_err(|why| damaged(&format!("its head: {why}")))?;
        let key = match (secret, head.wrapped.is_empty()) {
            (None, true) => None,
            (None, false) => {
                return Err(Error::Key("the backup is encrypted, and no key is given".to_owned()));
            }
            // Whoever can write there could put one of their own in its place.
            (Some(_), true) => {
                return Err(Error::Key("the backup is not encrypted, and a key is given".to_owned()));
            }
            (Some(secret), false) => {
                let wrong = || Error::Key("the backup was encrypted with another key".to_owned());
                Some(secret.unwrap(&head.wrapped, &head.salt)?.ok_or_else(wrong)?)
            }
        };
        let mut body = body.to_vec();
        let plain: &[u8] = match &key {
            None => body.as_slice(),
            Some(key) => {
                let opened = key.manifest_cipher(name, &head.salt)?.open(0, &mut body);
                opened.ok_or_else(|| damaged("it was sealed under another name, or has changed"))?
            }
        };
        let manifest = Self::decode(plain).map_err(|why| damaged(&format!("its body: {why}")))?;
        manifest.check(name).map_err(|what| damaged(&what))?;
        Ok((manifest, key))
    }

    fn check(&self, name: &str) -> Result<(), String> {
        let own = [Self::name(self.chain, self.at), Self::progress_name(self.chain, self.at)];
        if !own.iter().any(|own| own == name) {
            return Err("it is another link's".to_owned());
        }
        if (self.since == 0) != (self.chain == self.at) || self.since >= self.at {
            return Err("it does not follow the link before".to_owned());
        }
        let ends = |covered: &Covered| covered.start < covered.end;
        if !self.covered.iter().all(ends) || !self.covered.is_sorted_by(|one, other| one.end <= other.start) {
            return Err("the spans that it covers do not ascend".to_owned());
        }
        let fits =
            |own: &Covered| (own.since == 0 || own.since == self.since) && own.readable_from <= self.at;
        if !self.covered.iter().all(fits) {
            return Err("the spans that it covers are of other moments".to_owned());
        }
        let directory = Self::directory(self.chain, self.at);
        for file in &self.files {
            let own = file.name.strip_prefix(&directory);
            if own.is_none_or(|own| own.contains('/') || !own.ends_with(".data")) {
                return Err(format!("\"{}\" is no name of a data file", file.name));
            }
            if file.bytes > FILE_BYTES_MAX {
                return Err(format!("\"{}\" is longer than a data file can be", file.name));
            }
            let of = self.covered.iter().find(|covered| covered.end > file.first);
            if of.is_none_or(|of| file.first < of.start || file.last < file.first || file.last >= of.end) {
                return Err(format!("\"{}\" lies outside of what it covers", file.name));
            }
        }
        if !self.files.is_sorted_by(|one, other| one.last <= other.first) {
            return Err("its files do not ascend".to_owned());
        }
        Ok(())
    }
}

/// The chain and the timestamp that a name begins with.
fn numbers(name: &str) -> Option<(u64, u64)> {
    let (chain, at) = name.split_once('-')?;
    let number = |digits: &str| {
        let is_hex = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        u64::from_str_radix(digits, 16).ok().filter(|_| is_hex)
    };
    Some((number(chain)?, number(at)?))
}

fn take_u32(from: &mut &[u8]) -> Option<u32> {
    let (taken, rest) = from.split_first_chunk::<4>()?;
    *from = rest;
    Some(u32::from_le_bytes(*taken))
}

fn take_part<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_u32(from)? as usize;
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manifest() -> Manifest {
        let covered = |start: &'static str, end: &'static str| Covered {
            start: start.into(),
            end: end.into(),
            since: 0,
            readable_from: 9,
        };
        let file = |first: &'static str, last: &'static str| DataFile {
            name: Manifest::new_file_name(9, 9),
            first: first.into(),
            last: last.into(),
            bytes: 5,
            crc32c: 6,
            entries: 7,
        };
        Manifest {
            chain: 9,
            at: 9,
            covered: vec![covered("a", "c"), covered("d", "f")],
            files: vec![file("a", "b"), file("b", "bb"), file("d", "e")],
            ..Manifest::default()
        }
    }

    #[test]
    fn names_tell_manifests() {
        let name = Manifest::name(0x1234, u64::MAX);
        assert_eq!(Manifest::of_name(&name), Some((0x1234, u64::MAX)));
        for other in ["a.manifest", "1-2.manifest", "x.data", "+000000000000001-0000000000000001.manifest"] {
            assert_eq!(Manifest::of_name(other), None, "{other}");
        }
    }

    #[test]
    fn a_manifest_is_read_back() {
        let (manifest, name) = (manifest(), Manifest::name(9, 9));
        let plain = manifest.encode_file(&name, None).unwrap();
        let (found, key) = Manifest::decode_file(&name, &plain, None).unwrap();
        assert!(found == manifest && key.is_none());
        let (secret, key) = (SecretKey::parse(&[7; 32]).unwrap(), DataKey::generate());
        let sealed = manifest.encode_file(&name, Some((&secret, &key))).unwrap();
        let again = manifest.encode_file(&name, Some((&secret, &key))).unwrap();
        assert!(sealed != again, "a salt is used once");
        let (found, opened) = Manifest::decode_file(&name, &sealed, Some(&secret)).unwrap();
        assert!(found == manifest && opened.unwrap().bytes() == key.bytes());
        assert!(matches!(Manifest::decode_file(&name, &sealed, None), Err(Error::Key(_))));
        let other = SecretKey::parse(&[8; 32]).unwrap();
        assert!(matches!(Manifest::decode_file(&name, &sealed, Some(&other)), Err(Error::Key(_))));
        // Whoever has a key trusts nothing that was made without it.
        assert!(matches!(Manifest::decode_file(&name, &plain, Some(&secret)), Err(Error::Key(_))));
        for place in 0..plain.len() {
            let mut changed = plain.clone();
            changed[place] ^= 1;
            assert!(Manifest::decode_file(&name, &changed, None).is_err(), "byte {place}");
            assert!(Manifest::decode_file(&name, &plain[..place], None).is_err(), "{place} bytes");
        }
    }

    #[test]
    fn what_a_manifest_cannot_say_is_damage() {
        let refused = |change: &dyn Fn(&mut Manifest)| {
            let mut changed = manifest();
            change(&mut changed);
            let name = Manifest::name(9, 9);
            let file = changed.encode_file(&name, None).unwrap();
            assert!(matches!(Manifest::decode_file(&name, &file, None), Err(Error::Damaged { .. })));
        };
        refused(&|manifest| manifest.at = 10);
        refused(&|manifest| manifest.since = 3);
        refused(&|manifest| manifest.covered.swap(0, 1));
        refused(&|manifest| manifest.files.swap(0, 2));
        refused(&|manifest| manifest.files[0].name = "../etc/passwd".to_owned());
        refused(&|manifest| manifest.files[0].last = "c".into());
        refused(&|manifest| manifest.files[0].bytes = u64::MAX);
        refused(&|manifest| manifest.covered[0].since = 5);
        refused(&|manifest| manifest.covered[0].readable_from = 10);
    }

    proptest! {
        #[test]
        fn whatever_a_manifest_holds_it_is_read_or_refused(
            head in prop::collection::vec(any::<u8>(), 0..100),
            body in prop::collection::vec(any::<u8>(), 0..300),
            place: usize,
            changed: u8,
        ) {
            let secret = SecretKey::parse(&[7; 32]).unwrap();
            // As it comes, and a good one in which a byte has changed.
            let mut near = manifest().encode_to_vec();
            let place = place % near.len();
            near[place] ^= changed;
            for body in [body, near] {
                for head in [Vec::new(), head.clone()] {
                    let mut file = [MAGIC.as_slice(), &FORMAT.to_le_bytes()].concat();
                    for part in [&head, &body] {
                        file.extend_from_slice(&(part.len() as u32).to_le_bytes());
                        file.extend_from_slice(part);
                    }
                    let sum = crc32c::crc32c(&file);
                    file.extend_from_slice(&sum.to_le_bytes());
                    for secret in [None, Some(&secret)] {
                        let _ = Manifest::decode_file(&Manifest::name(9, 9), &file, secret);
                    }
                }
            }
        }
    }
}
