//! Tables against a sorted list of versions.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use env::disk::{Disk, MemoryDisk};

use super::builder::{TableOptions, TableWriter};
use super::cursor::{RunCursor, Window};
use super::file::Table;
use super::filter;
use crate::cache::BlockCache;
use crate::entry::Versioned;
use crate::options::Compression;
use crate::spans::{Span, Spans};

type Model = BTreeMap<Vec<u8>, Vec<Versioned>>;

/// Keys with one to five versions, the newest at different times.
fn model(keys: std::ops::Range<u64>) -> Model {
    let version = |n: u64, back: u64| {
        let timestamp = 1000 + n % 7 * 10 - back * 10;
        if (back + n) % 6 == 5 {
            return Versioned::deletion(timestamp, &[n as u8; 15][..(n % 16) as usize]);
        }
        Versioned::value(timestamp, Bytes::from(vec![n as u8; (n % 50) as usize]))
    };
    let key = |n: u64| format!("v{:05}{}", n * 2, "k".repeat((n % 4) as usize)).into_bytes();
    keys.map(|n| (key(n), (0..1 + n % 5).map(|back| version(n, back)).collect())).collect()
}

fn write(disk: &Arc<dyn Disk>, id: u64, model: &Model, block_bytes: usize, spans: &Spans) -> Arc<Table> {
    let options = TableOptions {
        keyspace: b'v',
        versioned: true,
        filter_bits: 10,
        compression: if id == 2 { Compression::Lz4 } else { Compression::None },
        block_bytes,
    };
    let path = Path::new("/t").join(id.to_string());
    let mut writer = TableWriter::create(disk, path.clone(), options, None).unwrap();
    for (key, versions) in model {
        writer.add(key, versions).unwrap();
    }
    let summary = writer.finish(spans).unwrap();
    let table = Table::open(disk, &path, id, &Arc::new(BlockCache::new(1 << 20, block_bytes)), None).unwrap();
    assert_eq!(table.summary, summary);
    Arc::new(table)
}

fn disk() -> Arc<dyn Disk> {
    let disk = MemoryDisk::new();
    disk.create_dir_all(Path::new("/t")).unwrap();
    Arc::new(disk)
}

#[test]
fn every_version_is_found_and_nothing_else() {
    let disk = disk();
    for (id, block_bytes) in [(1, 50), (2, 400), (3, 10_000)] {
        let model = model(0..300);
        let table = write(&disk, id, &model, block_bytes, &Spans::default());
        for (key, versions) in &model {
            assert!(table.may_contain(filter::hash(key)));
            for at in (940..1080).step_by(5).chain([u64::MAX]) {
                let expected = versions.iter().find(|version| version.timestamp <= at).cloned();
                assert_eq!(table.get(key, at).unwrap(), expected, "{key:?} at {at}");
            }
            let absent = [&key[..], b"\0"].concat();
            assert_eq!(table.get(&absent, u64::MAX).unwrap(), None);
        }
        assert_eq!(table.get(b"v", u64::MAX).unwrap(), None);
        assert_eq!(table.get(b"w", u64::MAX).unwrap(), None);
    }
}

/// All that a cursor gives from `seek` on.
fn walk(tables: &[Arc<Table>], window: Window, reverse: bool, seek: &[u8]) -> Vec<(Vec<u8>, Vec<Versioned>)> {
    let mut cursor = RunCursor::over(tables.to_vec(), window, reverse, true);
    let mut found = Vec::new();
    cursor.seek(seek).unwrap();
    while let Some(key) = cursor.key().map(<[u8]>::to_vec) {
        let mut versions = Vec::new();
        cursor.collect(&mut versions).unwrap();
        if !versions.is_empty() {
            found.push((key, versions));
        }
        cursor.advance().unwrap();
    }
    found
}

fn expected(model: &Model, window: Window, reverse: bool, seek: &[u8]) -> Vec<(Vec<u8>, Vec<Versioned>)> {
    let mut all = Vec::new();
    for (key, versions) in model.iter().filter(|(key, _)| (***key < *seek) == reverse) {
        let mut versions: Vec<_> = versions.iter().filter(|v| v.timestamp <= window.at).cloned().collect();
        if !window.all {
            versions.truncate(1);
        }
        versions.retain(|version| window.contains(version.timestamp));
        if !versions.is_empty() {
            all.push((key.clone(), versions));
        }
    }
    if reverse {
        all.reverse();
    }
    all
}

#[test]
fn runs_of_tables_are_walked_both_ways_from_anywhere() {
    let disk = disk();
    let parts = [model(0..40), model(40..41), model(60..200), model(200..230)];
    let mut whole = Model::new();
    for part in &parts {
        whole.extend(part.clone());
    }
    let tables: Vec<_> = parts
        .iter()
        .enumerate()
        .map(|(id, part)| write(&disk, id as u64, part, 150, &Spans::default()))
        .collect();
    let windows = [
        Window::ALL,
        Window::NEWEST,
        Window { at: 1020, since: None, all: false },
        Window { at: 1020, since: Some(990), all: true },
        Window { at: u64::MAX, since: Some(1050), all: false },
        Window { at: 900, since: None, all: true },
    ];
    for window in windows {
        for reverse in [false, true] {
            for seek in ["v", "v00000", "v00079k", "v00081", "v00100", "v00120", "v00399", "v00459", "w"] {
                assert_eq!(
                    walk(&tables, window, reverse, seek.as_bytes()),
                    expected(&whole, window, reverse, seek.as_bytes()),
                    "{window:?} {reverse} {seek}"
                );
            }
        }
    }
}

#[test]
fn bounds_enclose_keys_and_range_deletes() {
    let disk = disk();
    let span = |start: &'static str, end: &'static str| Span {
        start: Bytes::from_static(start.as_bytes()),
        end: Bytes::from_static(end.as_bytes()),
    };
    let spans = Spans::union(vec![span("v1", "v2"), span("v5", "v6")]);
    let table = write(&disk, 1, &model(0..3), 400, &spans);
    assert_eq!((&table.summary.start[..], &table.summary.end[..]), (&b"v00000"[..], &b"v6"[..]));
    assert_eq!((&table.range_deletes, table.summary.range_deletes), (&spans, 2));
    let table = write(&disk, 2, &Model::new(), 400, &spans);
    assert_eq!((&table.summary.start[..], &table.summary.end[..]), (&b"v1"[..], &b"v6"[..]));
    assert_eq!(table.get(b"v1", u64::MAX).unwrap(), None);
}

#[test]
fn keys_that_do_not_ascend_are_refused() {
    let options = TableOptions {
        keyspace: b'v',
        versioned: true,
        filter_bits: 10,
        compression: Compression::None,
        block_bytes: 100,
    };
    let mut writer = TableWriter::create(&disk(), Path::new("/t/1").to_owned(), options, None).unwrap();
    let version = [Versioned::deletion(1, b"")];
    writer.add(b"vb", &version).unwrap();
    assert!(writer.add(b"vb", &version).is_err());
    assert!(writer.add(b"va", &version).is_err());
}
