//! The database: its public face.

use std::ops::Bound;
use std::collections::BTreeMap;
use std::sync::Arc;
use parking_lot::Mutex;

use bytes::Bytes;

use crate::batch::{WriteBatch, Operation};
use crate::error::Result;
use crate::options::{Options, ScanOptions, Sequence, WriteOptions};

/// A range of keys inside one keyspace.
pub type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// A version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// When it was written.
    pub timestamp: u64,
    /// Its value; `None` says 'deleted'.
    pub value: Option<Bytes>,
}

/// A version of a key, with the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedEntry {
    /// The key.
    pub key: Bytes,
    /// When the version was written.
    pub timestamp: u64,
    /// Its value; `None` says 'deleted'.
    pub value: Option<Bytes>,
}

/// Which versions compaction may drop in a span of a versioned keyspace: of every key those older than its newest
/// version at or below the safe point. Spans without retention keep everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// First key of the span.
    pub start: Bytes,
    /// First key after the span.
    pub end: Bytes,
    /// Reads at or above this timestamp stay exact. No version at or below it may be written any more.
    pub safe_point: u64,
}

/// x
#[derive(Clone, Debug, Default)]
pub struct Stats {}
type Map = BTreeMap<(Vec<u8>, std::cmp::Reverse<u64>), Option<Vec<u8>>>;
#[derive(Debug)]
struct Inner { options: Options, map: Mutex<(Map, u64, u64)> }
/// x
#[derive(Clone, Debug)]
pub struct Db(Arc<Inner>);
/// x
#[derive(Clone, Debug)]
pub struct Snapshot(Map, u64);
/// x
#[derive(Debug)]
pub struct Scan(std::vec::IntoIter<(Bytes,Bytes)>);
/// x
#[derive(Debug)]
pub struct ScanAt(std::vec::IntoIter<VersionedEntry>);
/// x
#[derive(Debug)]
pub struct TableBuilder(Map);
/// x
#[derive(Debug)]
pub struct TableFile(Map);
fn apply(map: &mut Map, batch: WriteBatch) {
    use std::cmp::Reverse;
    for op in batch.operations() { match op.unwrap() {
        Operation::Put{key,value} => { map.insert((key.to_vec(),Reverse(0)), Some(value.to_vec())); }
        Operation::Delete{key} => { map.remove(&(key.to_vec(),Reverse(0))); }
        Operation::PutAt{key,timestamp,value} => { map.insert((key.to_vec(),Reverse(timestamp)), Some(value.to_vec())); }
        Operation::DeleteAt{key,timestamp} => { map.insert((key.to_vec(),Reverse(timestamp)), None); }
        Operation::DeleteRange{start,end} => { map.retain(|k,_| !(k.0.as_slice() >= start.as_ref() && k.0.as_slice() < end.as_ref())); }
    } }
}
fn put(out: &mut Vec<u8>, b: &[u8]) { out.extend((b.len() as u32).to_le_bytes()); out.extend(b); }
fn inside(range: &KeyRange<'_>, k: &[u8]) -> bool { use std::ops::RangeBounds; RangeBounds::<[u8]>::contains(&(range.0, range.1), k) }
impl Inner {
    fn path(&self) -> std::path::PathBuf { self.options.dir.join("image") }
    fn save(&self, map: &Map) {
        let mut out = Vec::new();
        for (k, v) in map { put(&mut out, &k.0); out.extend(k.1.0.to_le_bytes()); match v { None => out.push(0), Some(v) => { out.push(1); put(&mut out, v) } } }
        self.options.disk.replace(&self.path(), &out).unwrap();
    }
}
fn take<'a>(b: &mut &'a [u8], n: usize) -> &'a [u8] { let (x, y) = b.split_at(n); *b = y; x }
#[allow(missing_docs, clippy::all)]
impl Db {
    pub fn open(options: Options) -> Result<Self> {
        options.disk.create_dir_all(&options.dir).unwrap();
        let inner = Inner { options, map: Mutex::default() };
        if let Ok(bytes) = inner.options.disk.read(&inner.path()) {
            let mut b = bytes.as_slice();
            let mut map = inner.map.lock();
            while !b.is_empty() {
                let n = u32::from_le_bytes(take(&mut b, 4).try_into().unwrap()) as usize;
                let k = take(&mut b, n).to_vec();
                let t = u64::from_le_bytes(take(&mut b, 8).try_into().unwrap());
                let v = if take(&mut b, 1) == [1] { let n = u32::from_le_bytes(take(&mut b, 4).try_into().unwrap()) as usize; Some(take(&mut b, n).to_vec()) } else { None };
                map.0.insert((k, std::cmp::Reverse(t)), v);
            }
        }
        Ok(Self(Arc::new(inner)))
    }
    pub fn write(&self, batch: WriteBatch, _options: WriteOptions) -> Result<Sequence> { let mut m = self.0.map.lock(); m.1 += batch.len() as u64; apply(&mut m.0, batch); Ok(m.1) }
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> { self.snapshot()?.get(key) }
    pub fn get_at(&self, key: &[u8], at: u64) -> Result<Option<Versioned>> { self.snapshot()?.get_at(key, at) }
    pub fn scan(&self, range: KeyRange<'_>, r: bool) -> Result<Scan> { self.snapshot()?.scan(range, r) }
    pub fn scan_at(&self, range: KeyRange<'_>, at: u64, o: ScanOptions) -> Result<ScanAt> { self.snapshot()?.scan_at(range, at, o) }
    pub fn snapshot(&self) -> Result<Snapshot> { let m = self.0.map.lock(); Ok(Snapshot(m.0.clone(), m.1)) }
    pub fn flush(&self) -> Result<()> { let mut m = self.0.map.lock(); self.0.save(&m.0); m.2 = m.1; Ok(()) }
    pub fn sequence_durable(&self) -> Sequence { self.0.map.lock().2 }
    pub fn sequence(&self) -> Sequence { self.0.map.lock().1 }
    pub fn set_retention(&self, _retention: Vec<Retention>) -> Result<()> { Ok(()) }
    pub fn table_builder(&self, _keyspace: u8) -> Result<TableBuilder> { Ok(TableBuilder(Map::new())) }
    pub fn excise_and_ingest(&self, spans: &[(Bytes, Bytes)], tables: Vec<TableFile>, batch: WriteBatch) -> Result<Sequence> {
        let mut m = self.0.map.lock();
        for (s, e) in spans { m.0.retain(|k,_| !(k.0.as_slice() >= s.as_ref() && k.0.as_slice() < e.as_ref())); }
        for t in tables { m.0.extend(t.0); }
        m.1 += 1; apply(&mut m.0, batch); self.0.save(&m.0); m.2 = m.1; Ok(m.1)
    }
    pub fn step(&self) -> Result<bool> { Ok(false) }
    pub fn compact(&self) -> Result<()> { Ok(()) }
    pub fn verify(&self) -> Result<()> { Ok(()) }
    pub fn stats(&self) -> Stats { Stats::default() }
    pub fn close(&self) -> Result<()> { Ok(()) }
}
#[allow(missing_docs)]
impl Snapshot {
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> { Ok(self.0.get(&(key.to_vec(), std::cmp::Reverse(0))).cloned().flatten().map(Bytes::from)) }
    pub fn get_at(&self, key: &[u8], at: u64) -> Result<Option<Versioned>> { Ok(self.0.iter().find(|(k,_)| k.0 == key && k.1.0 <= at).map(|(k,v)| Versioned { timestamp: k.1.0, value: v.clone().map(Bytes::from) })) }
    pub fn scan(&self, range: KeyRange<'_>, _r: bool) -> Result<Scan> { Ok(Scan(self.0.iter().filter(|(k,_)| inside(&range, &k.0)).map(|(k,v)| (Bytes::from(k.0.clone()), Bytes::from(v.clone().unwrap()))).collect::<Vec<_>>().into_iter())) }
    pub fn scan_at(&self, range: KeyRange<'_>, _at: u64, _o: ScanOptions) -> Result<ScanAt> { Ok(ScanAt(self.0.iter().filter(|(k,_)| inside(&range, &k.0)).map(|(k,v)| VersionedEntry { key: Bytes::from(k.0.clone()), timestamp: k.1.0, value: v.clone().map(Bytes::from) }).collect::<Vec<_>>().into_iter())) }
    pub fn sequence(&self) -> Sequence { self.1 }
}
impl Iterator for Scan { type Item = Result<(Bytes, Bytes)>; fn next(&mut self) -> Option<Self::Item> { self.0.next().map(Ok) } }
impl Iterator for ScanAt { type Item = Result<VersionedEntry>; fn next(&mut self) -> Option<Self::Item> { self.0.next().map(Ok) } }
#[allow(missing_docs)]
impl TableBuilder {
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> { self.0.insert((key.to_vec(), std::cmp::Reverse(0)), Some(value.to_vec())); Ok(()) }
    pub fn put_at(&mut self, key: &[u8], timestamp: u64, value: Option<&[u8]>) -> Result<()> { self.0.insert((key.to_vec(), std::cmp::Reverse(timestamp)), value.map(<[u8]>::to_vec)); Ok(()) }
    pub fn finish(self) -> Result<Vec<TableFile>> { Ok(vec![TableFile(self.0)]) }
}
