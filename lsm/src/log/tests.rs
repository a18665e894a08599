//! What a log keeps through crashes, damage and failures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use env::disk::{CrashMode, Disk, Fault, MemoryDisk};

use super::{Log, LogOptions, Position, Writer};
use crate::{Error, KeySource, Keys, MasterKey};

const KEYS: &str = "/keys";
const DIR: &str = "/log";

fn options() -> LogOptions {
    LogOptions { segment_bytes: 400, ..LogOptions::default() }
}

/// A disk with a key store, on which logs are encrypted.
fn sealed_disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir_all(Path::new(KEYS)).unwrap();
    let key = KeySource::Key(MasterKey::new([1; 32]));
    Keys::open(&as_disk(&disk), Path::new(KEYS), Some(&key), &[]).unwrap();
    disk
}

fn as_disk(disk: &MemoryDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn keys(disk: &MemoryDisk) -> crate::Result<Option<Keys>> {
    let key = KeySource::Key(MasterKey::new([1; 32]));
    match disk.files().iter().any(|path| path.starts_with(KEYS)) {
        true => Keys::open(&as_disk(disk), Path::new(KEYS), Some(&key), &[]),
        false => Ok(None),
    }
}

fn open(disk: &MemoryDisk) -> crate::Result<(Log, Vec<Vec<u8>>)> {
    let mut records = Vec::new();
    let options = LogOptions { keys: keys(disk)?, ..options() };
    let log = Log::open(Arc::new(disk.clone()), DIR, options, |_, record| {
        records.push(record.to_vec());
        Ok(())
    })?;
    Ok((log, records))
}

/// Opens a log with marks, of one long segment.
fn open_marked(disk: &MemoryDisk) -> Log {
    let options = LogOptions { mark_synced: true, ..LogOptions::default() };
    Log::open(as_disk(disk), DIR, options, |_, _| Ok(())).unwrap()
}

fn record(n: u32) -> Vec<u8> {
    format!("record {n} {}", "x".repeat((n * 7 % 50) as usize)).into_bytes()
}

fn expected(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(record).collect()
}

#[test]
fn records_come_back_in_order_over_many_segments_and_lives() {
    for disk in [MemoryDisk::new(), sealed_disk()] {
        for life in 0..5 {
            let (log, records) = open(&disk).unwrap();
            assert_eq!(records, expected(life * 20));
            for n in life * 20..(life + 1) * 20 {
                let position = log.append(&record(n)).unwrap();
                if n % 3 == 0 {
                    log.sync_to(position).unwrap();
                    assert!(log.is_durable(position));
                }
            }
        }
        assert!(disk.files().len() > 5);
    }
}

fn contains(disk: &MemoryDisk, text: &[u8]) -> bool {
    let contents = disk.files().into_iter().map(|path| disk.read(&path).unwrap());
    contents.into_iter().any(|content| content.windows(text.len()).any(|window| window == text))
}

#[test]
fn an_old_log_is_encrypted_when_it_is_opened_with_keys_and_refused_without() {
    let disk = MemoryDisk::new();
    let (log, _) = open(&disk).unwrap();
    for n in 0..40 {
        let position = log.append(&record(n)).unwrap();
        if n % 3 == 0 {
            log.sync_to(position).unwrap();
        }
    }
    drop(log);
    assert!(contains(&disk, b"record 7"));
    disk.create_dir_all(Path::new(KEYS)).unwrap();
    let key = KeySource::Key(MasterKey::new([1; 32]));
    Keys::open(&as_disk(&disk), Path::new(KEYS), Some(&key), &[]).unwrap();
    let (log, records) = open(&disk).unwrap();
    assert_eq!(records, expected(40));
    assert!(!contains(&disk, b"record 7"));
    log.append(&record(40)).unwrap();
    drop(log);
    assert_eq!(open(&disk).unwrap().1, expected(41));
    let without = Log::open(as_disk(&disk), DIR, options(), |_, _| Ok(()));
    assert!(matches!(without, Err(Error::Key { .. })));
    // One that is put there later is refused.
    let plain = MemoryDisk::new();
    open(&plain).unwrap().0.append(&record(0)).unwrap();
    let segment = Path::new(DIR).join(super::segment::file_name(1));
    disk.corrupt(&segment, |content| *content = plain.read(&segment).unwrap()).unwrap();
    assert!(matches!(open(&disk), Err(Error::Corrupt { path, .. }) if path == segment));
}

#[test]
fn segments_are_sealed_anew_while_the_log_is_written_and_read() {
    let disk = sealed_disk();
    let keys = keys(&disk).unwrap().unwrap();
    let options = LogOptions { keys: Some(keys.clone()), ..options() };
    let log = Log::open(as_disk(&disk), DIR, options, |_, _| Ok(())).unwrap();
    let mut positions = Vec::new();
    for round in 0..4 {
        for n in round * 20..round * 20 + 20 {
            positions.push(log.append(&record(n)).unwrap());
            if n % 3 == 0 {
                log.sync().unwrap();
            }
        }
        let read = |n: usize| assert_eq!(log.read_at(positions[n]).unwrap(), record(n as u32));
        (0..positions.len()).for_each(read);
        let old = keys.active();
        keys.rotate().unwrap();
        while keys.reseal_one().unwrap() {
            (0..positions.len()).step_by(7).for_each(read);
        }
        (0..positions.len()).for_each(read);
        assert_eq!(keys.retire().unwrap(), 1);
        assert_ne!(keys.active(), old);
        let status = keys.status().unwrap();
        assert!(status.is_settled(), "{status:?}");
    }
    drop(log);
    assert_eq!(open(&disk).unwrap().1, expected(80));
}

#[test]
fn a_segment_in_the_place_of_another_is_refused() {
    let disk = sealed_disk();
    let (log, _) = open(&disk).unwrap();
    for n in 0..40 {
        log.append(&record(n)).unwrap();
    }
    drop(log);
    let segment = |number| Path::new(DIR).join(super::segment::file_name(number));
    let other = disk.read(&segment(2)).unwrap();
    let rename = |content: &mut Vec<u8>| {
        *content = other;
        content[12..20].copy_from_slice(&1u64.to_le_bytes());
        let crc = crc32c::crc32c(&content[..28]).to_le_bytes();
        content[28..32].copy_from_slice(&crc);
    };
    disk.corrupt(&segment(1), rename).unwrap();
    assert!(matches!(open(&disk), Err(Error::Corrupt { .. })));
}

#[test]
fn a_record_can_be_read_again_at_its_position() {
    for disk in [MemoryDisk::new(), sealed_disk()] {
        let (log, _) = open(&disk).unwrap();
        let positions: Vec<Position> = (0..30).map(|n| log.append(&record(n)).unwrap()).collect();
        for (n, position) in positions.iter().enumerate() {
            assert_eq!(log.read_at(*position).unwrap(), record(n as u32));
        }
        drop(log);
        let (log, _) = open(&disk).unwrap();
        for (n, position) in positions.iter().enumerate() {
            assert_eq!(log.read_at(*position).unwrap(), record(n as u32));
        }
    }
}

#[test]
fn callbacks_come_once_their_records_are_durable() {
    let disk = MemoryDisk::new();
    let (log, _) = open(&disk).unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    for n in 0..10 {
        let told = told.clone();
        let callback = Box::new(move |result: crate::Result<()>| {
            result.unwrap();
            assert_eq!(told.fetch_add(1, Ordering::SeqCst), n);
        });
        log.append_with(&[record(2 * n as u32), record(2 * n as u32 + 1)], callback).unwrap();
    }
    log.write_out().unwrap();
    assert_eq!(told.load(Ordering::SeqCst), 0);
    let before = disk.counters().syncs;
    assert!(log.write_pending().unwrap());
    assert_eq!(told.load(Ordering::SeqCst), 10);
    assert!(disk.counters().syncs - before <= 2 * log.segments().len() as u64);
    assert!(!log.write_pending().unwrap());
    let disk = disk.crash(CrashMode::Strict);
    assert_eq!(open(&disk).unwrap().1, expected(20));
}

#[test]
fn no_caller_of_many_is_told_too_early() {
    let disk = MemoryDisk::new();
    let (log, _) = open(&disk).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..100 {
                    let position = log.append(&record(n)).unwrap();
                    log.sync_to(position).unwrap();
                    assert!(log.is_durable(position));
                }
            });
        }
    });
    assert_eq!(open(&disk.crash(CrashMode::Strict)).unwrap().1.len(), 800);
}

#[test]
fn after_a_failed_sync_every_caller_is_told() {
    let disk = MemoryDisk::new();
    let (log, _) = open(&disk).unwrap();
    let position = log.append(&record(0)).unwrap();
    log.sync_to(position).unwrap();
    let positions: Vec<Position> = (1..5).map(|n| log.append(&record(n)).unwrap()).collect();
    disk.fault_at(disk.io_calls() + 1, Fault::Error(std::io::ErrorKind::Other));
    std::thread::scope(|scope| {
        for position in positions {
            let log = &log;
            scope.spawn(move || assert!(log.sync_to(position).is_err()));
        }
    });
}

#[test]
fn the_logs_thread_hands_over_what_nobody_syncs() {
    let disk = MemoryDisk::new();
    let options = LogOptions { writer: Writer::Thread, ..options() };
    let log = Log::open(Arc::new(disk.clone()), DIR, options, |_, _| Ok(())).unwrap();
    log.append(&record(1)).unwrap();
    let deadline = env::clock::now() + std::time::Duration::from_secs(20);
    while log.segments().is_empty() {
        assert!(env::clock::now() < deadline, "the record was never written");
        std::thread::yield_now();
    }
    assert_eq!(log.stats().syncs, 0);
}

#[test]
fn numbers_go_on_after_all_segments_are_dropped() {
    for disk in [MemoryDisk::new(), sealed_disk()] {
        let (log, _) = open(&disk).unwrap();
        let position = log.append(&record(0)).unwrap();
        log.sync().unwrap();
        let next = log.rotate();
        log.drop_segments_before(next).unwrap();
        let numbers: Vec<u64> = log.segments().iter().map(|segment| segment.number).collect();
        assert_eq!(numbers, [position.segment + 1]);
        drop(log);
        let (log, records) = open(&disk.crash(CrashMode::Strict)).unwrap();
        assert!(records.is_empty());
        assert!(log.append(&record(1)).unwrap().segment > position.segment);
    }
}

#[test]
fn a_log_that_is_not_used_has_no_segments() {
    let disk = MemoryDisk::new();
    let (log, _) = open(&disk).unwrap();
    for _ in 0..3 {
        let next = log.rotate();
        log.drop_segments_before(next).unwrap();
    }
    assert_eq!(disk.counters().writes, 0);
    log.append(&record(0)).unwrap();
    log.sync().unwrap();
    let writes = |log: &Log| {
        let next = log.rotate();
        log.drop_segments_before(next).unwrap();
        disk.counters().writes
    };
    let begun = writes(&log);
    assert_eq!(writes(&log), begun, "an empty segment is not followed by another");
    assert_eq!(log.segments().len(), 1);
}

#[test]
fn only_a_segment_that_is_written_has_room() {
    for disk in [MemoryDisk::new(), sealed_disk()] {
        let (log, _) = open(&disk).unwrap();
        let rooms = |disk: &MemoryDisk, log: &Log| -> Vec<u64> {
            let path = |number| Path::new(DIR).join(super::segment::file_name(number));
            let segments = log.segments().into_iter();
            segments.map(|segment| disk.length(&path(segment.number)).unwrap() - segment.bytes).collect()
        };
        for n in 0..2 {
            log.append(&record(n)).unwrap();
            log.sync().unwrap();
            log.rotate();
        }
        let [0, room] = rooms(&disk, &log)[..] else { panic!("{:?}", rooms(&disk, &log)) };
        assert!(room > 1000);
        let disk = disk.crash(CrashMode::Strict);
        let (log, records) = open(&disk).unwrap();
        assert_eq!((records, rooms(&disk, &log)), (expected(2), vec![0, 0]));
        log.append(&record(2)).unwrap();
        drop(log);
        let (log, records) = open(&disk).unwrap();
        assert_eq!((records, rooms(&disk, &log)), (expected(3), vec![0, 0, 0]));
    }
}

#[test]
fn a_thread_of_its_own_serves_callbacks() {
    let disk = MemoryDisk::new();
    let options = LogOptions { writer: Writer::Thread, ..options() };
    let log = Log::open(Arc::new(disk.clone()), DIR, options, |_, _| Ok(())).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    for n in 0..200 {
        let sender = sender.clone();
        log.append_with(&[record(n)], Box::new(move |result| sender.send((n, result.is_ok())).unwrap()))
            .unwrap();
    }
    let answers: Vec<_> = (0..200).map(|_| receiver.recv().unwrap()).collect();
    assert_eq!(answers, (0..200).map(|n| (n, true)).collect::<Vec<_>>());
    drop(log);
    assert_eq!(open(&disk).unwrap().1, expected(200));
}

#[test]
fn many_threads_share_syncs() {
    let disk = MemoryDisk::new();
    let log = Log::open(Arc::new(disk.clone()), DIR, LogOptions::default(), |_, _| Ok(())).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u32 {
            let log = log.clone();
            scope.spawn(move || {
                for n in 0..50 {
                    let position = log.append(&record(thread * 50 + n)).unwrap();
                    log.sync_to(position).unwrap();
                }
            });
        }
    });
    assert!(log.stats().syncs <= 400);
    drop(log);
    let mut records = open(&disk.crash(CrashMode::Strict)).unwrap().1;
    let mut all = expected(400);
    records.sort();
    all.sort();
    assert_eq!(records, all);
}

#[test]
fn a_segment_is_whole_before_the_next_one_is_there_even_if_it_was_marked() {
    for seed in 0..200 {
        let disk = MemoryDisk::new();
        let options = LogOptions { mark_synced: true, ..options() };
        let log = Log::open(as_disk(&disk), DIR, options, |_, _| Ok(())).unwrap();
        for n in 0..3 {
            log.append(&record(n)).unwrap();
            log.sync().unwrap();
            log.rotate();
        }
        let disk = disk.crash(CrashMode::Random(seed));
        assert_eq!(open(&disk).unwrap().1, expected(3), "seed {seed}");
    }
}

/// Appends until the disk stops; returns how many records are known to be synced.
fn run(disk: &MemoryDisk, first: u32) -> u32 {
    let Ok((log, _)) = open(disk) else { return first };
    let mut synced = first;
    for n in first..first + 25 {
        let Ok(position) = log.append(&record(n)) else { break };
        if n % 4 == 3 && log.sync_to(position).is_ok() {
            synced = n + 1;
        }
        if n % 10 == 9 {
            let _ = log.drop_segments_before(Position { segment: 1, offset: 0 });
        }
    }
    synced
}

#[test]
fn no_synced_record_is_lost_whenever_it_crashes() {
    for seed in 0..400u64 {
        let mut disk = if seed % 3 == 0 { sealed_disk() } else { MemoryDisk::new() };
        let mut synced = 0;
        for life in 0..3 {
            disk.fault_at((seed * 7 + life * 13) % 60, Fault::Crash);
            synced = synced.max(run(&disk, synced));
            disk = disk.crash(if seed % 4 == 0 {
                CrashMode::Strict
            } else {
                CrashMode::Random(seed * 3 + life)
            });
            let records = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}")).1;
            assert!(records.len() >= synced as usize, "seed {seed}: {} of {synced}", records.len());
            assert_eq!(records, expected(records.len() as u32), "seed {seed}");
            synced = records.len() as u32;
            disk = disk.crash(CrashMode::Strict);
        }
    }
}

#[test]
fn an_error_at_any_call_is_told_and_nothing_is_pretended() {
    for call in 0..120 {
        let disk = if call % 2 == 0 { MemoryDisk::new() } else { sealed_disk() };
        let call = disk.io_calls() + call / 2;
        disk.fault_at(call, Fault::Error(std::io::ErrorKind::TimedOut));
        let synced = run(&disk, 0);
        disk.clear_faults();
        let disk = disk.crash(CrashMode::Strict);
        let records = open(&disk).unwrap().1;
        assert!(records.len() >= synced as usize, "call {call}");
        assert_eq!(records, expected(records.len() as u32));
    }
}

#[test]
fn a_failed_sync_stops_the_log_for_good() {
    let disk = MemoryDisk::new();
    let (log, _) = open(&disk).unwrap();
    log.append(b"a").unwrap();
    // After making the file, appending, and making room.
    disk.fault_at(disk.io_calls() + 3, Fault::Error(std::io::ErrorKind::TimedOut));
    assert!(matches!(log.sync(), Err(Error::Io { .. })));
    assert!(log.sync().is_err());
    assert!(matches!(log.append(b"b"), Err(Error::Poisoned(_))));
}

fn bits_of(disk: &MemoryDisk) -> impl Iterator<Item = (PathBuf, usize)> {
    let files = disk.files();
    let disk = disk.clone();
    files.into_iter().flat_map(move |path| {
        let bits = disk.length(&path).unwrap() as usize * 8;
        (0..bits).step_by(3).map(move |bit| (path.clone(), bit))
    })
}

#[test]
fn a_flipped_bit_is_an_error_or_changes_nothing() {
    flip_bits(MemoryDisk::new());
    flip_bits(sealed_disk());
}

fn flip_bits(disk: MemoryDisk) {
    {
        let (log, _) = open(&disk).unwrap();
        for n in 0..12 {
            log.append(&record(n)).unwrap();
        }
        log.sync().unwrap();
    }
    let mut errors = 0;
    for (path, bit) in bits_of(&disk) {
        let copy = disk.duplicate();
        copy.corrupt(&path, |content| content[bit / 8] ^= 1 << (bit % 8)).unwrap();
        match open(&copy) {
            Ok((_, records)) => assert_eq!(records, expected(12), "{path:?} bit {bit}"),
            Err(Error::Corrupt { path: named, .. }) => {
                assert_eq!(named, path);
                errors += 1;
            }
            Err(error) => panic!("{path:?} bit {bit}: {error}"),
        }
    }
    assert!(errors > 100);
}

#[test]
fn damage_to_a_long_record_is_told_however_its_bytes_look() {
    let long: Vec<u8> = (0..200_000u32).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    for (disk, closed) in [(MemoryDisk::new(), true), (sealed_disk(), true), (sealed_disk(), false)] {
        let (log, _) = open(&disk).unwrap();
        for record in [&long[..], b"small", b"last"] {
            log.append(record).unwrap();
            log.sync().unwrap();
        }
        let segment = Path::new(DIR).join(super::segment::file_name(1));
        let disk = if closed {
            drop(log);
            disk
        } else {
            disk.crash(CrashMode::Strict)
        };
        disk.corrupt(&segment, |content| content[10_000] ^= 1).unwrap();
        assert!(matches!(open(&disk), Err(Error::Corrupt { path, .. }) if path == segment));
    }
}

#[test]
fn a_bad_sector_does_not_hide_what_was_synced_before_it() {
    for seed in 0..40 {
        let disk = MemoryDisk::new();
        let log = open_marked(&disk);
        log.append(&record(0)).unwrap();
        log.sync().unwrap();
        for n in 1..400 {
            log.append(&record(n)).unwrap();
        }
        log.sync().unwrap();
        let disk = disk.crash(CrashMode::Random(seed));
        // The first record and all that shares its sector with it, but for the header.
        disk.corrupt(&disk.files()[0], |content| content[40..512].fill(0)).unwrap();
        assert!(matches!(
            Log::open(as_disk(&disk), DIR, options(), |_, _| Ok(())),
            Err(Error::Corrupt { .. })
        ));
    }
}

#[test]
fn a_mark_that_is_not_synced_is_not_told_to_be() {
    for seed in 0..2000 {
        let disk = MemoryDisk::new();
        let log = open_marked(&disk);
        // So that marks lie at both sides of the border of two sectors.
        log.append(&vec![7; 400 + (seed % 100) as usize]).unwrap();
        log.sync().unwrap();
        log.sync().unwrap();
        drop(log);
        let disk = disk.crash(CrashMode::Random(seed));
        let opened = Log::open(as_disk(&disk), DIR, options(), |_, _| Ok(()));
        assert!(opened.is_ok(), "seed {seed}: {opened:?}");
    }
}

#[test]
fn formats_of_other_programs_are_told_apart() {
    for (version, newer) in [(1u32, false), (2, false), (9, true)] {
        let disk = MemoryDisk::new();
        open(&disk).unwrap().0.append(&record(0)).unwrap();
        let segment = Path::new(DIR).join(super::segment::file_name(1));
        let other_version = |content: &mut Vec<u8>| {
            content[8..12].copy_from_slice(&version.to_le_bytes());
            let crc = crc32c::crc32c(&content[..28]).to_le_bytes();
            content[28..32].copy_from_slice(&crc);
        };
        disk.corrupt(&segment, other_version).unwrap();
        match open(&disk).unwrap_err() {
            Error::TooNew { found, .. } => assert!(newer && found == version),
            error => assert!(!newer && error.to_string().contains("before the first release"), "{error}"),
        }
        assert!(disk.exists(&segment).unwrap());
    }
}

#[test]
fn a_segment_of_an_impossible_number_is_an_error() {
    let disk = MemoryDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let path = Path::new(DIR).join(super::segment::file_name(u64::MAX));
    disk.create(&path).unwrap();
    assert!(matches!(open(&disk), Err(Error::Corrupt { path: named, .. }) if named == path));
}

#[test]
fn a_missing_segment_is_an_error() {
    let disk = MemoryDisk::new();
    run(&disk, 0);
    let middle = disk.files()[1].clone();
    disk.remove(&middle).unwrap();
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, Error::Corrupt { path, .. } if path == middle));
}

#[test]
fn dropped_segments_are_gone_and_the_rest_is_replayed() {
    let disk = MemoryDisk::new();
    let (log, _) = open(&disk).unwrap();
    let positions: Vec<Position> = (0..30).map(|n| log.append(&record(n)).unwrap()).collect();
    log.sync().unwrap();
    log.drop_segments_before(positions[20]).unwrap();
    assert_eq!(log.segments()[0].number, positions[20].segment);
    drop(log);
    let (log, records) = open(&disk.crash(CrashMode::Strict)).unwrap();
    assert_eq!(records.last(), expected(30).last());
    assert!(records.len() >= 10 && records.len() < 30);
    assert!(log.read_at(positions[0]).is_err());
    assert!(disk.exists(Path::new("/nowhere")).is_err());
}

#[test]
fn a_torn_tail_that_looks_like_many_long_records_is_cut_in_time() {
    let disk = MemoryDisk::new();
    let (log, _) = open(&disk).unwrap();
    log.append(b"whole").unwrap();
    log.sync().unwrap();
    drop(log);
    // At every hundredth byte there is what might be a record of almost all that follows, and tells of a sync.
    let path = disk.files().into_iter().find(|path| path.starts_with(DIR)).unwrap();
    let false_records = |content: &mut Vec<u8>| {
        let end = content.len() + (1 << 20);
        while content.len() + 100 < end {
            let at = content.len();
            let payload = vec![0; end - at - 100];
            super::segment::put_record(content, 1, at as u64, at as u32, [&payload, &[]], None).unwrap();
            content.truncate(at + 20);
            content.resize(at + 100, 1);
        }
        content.resize(end, 1);
    };
    disk.corrupt(&path, false_records).unwrap();
    let (_, records) = open(&disk).unwrap();
    assert_eq!(records, [b"whole"]);
}
