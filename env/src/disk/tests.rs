//! What both disks promise, and what the strict one forgets.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{CrashMode, Disk, Fault, MemoryDisk, RealDisk};

/// A directory of the real disk that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("nunatak-env-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn write(disk: &dyn Disk, path: &Path, content: &[u8], sync: bool) {
    let mut file = disk.create(path).unwrap();
    file.append(content).unwrap();
    if sync {
        file.sync_data().unwrap();
    }
}

fn behaves_like_a_disk(disk: &dyn Disk, dir: &Path) {
    disk.create_dir_all(dir).unwrap();
    disk.create_dir_all(dir).unwrap();
    let (a, b, c) = (dir.join("a"), dir.join("b"), dir.join("c"));
    write(disk, &a, b"hello", true);
    assert_eq!(disk.create(&a).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(disk.open(&b).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(disk.read(&a).unwrap(), b"hello");
    let open = disk.open(&a).unwrap();
    let mut part = [0; 3];
    open.read_exact_at(2, &mut part).unwrap();
    assert_eq!(&part, b"llo");
    assert_eq!(open.read_exact_at(3, &mut part).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    disk.hard_link(&a, &b).unwrap();
    disk.rename(&a, &c).unwrap();
    assert_eq!(disk.list(dir).unwrap(), ["b", "c"]);
    disk.truncate(&c, 2).unwrap();
    assert_eq!(disk.read(&b).unwrap(), b"he");
    disk.remove(&b).unwrap();
    assert!(!disk.exists(&b).unwrap());
    let mut file = disk.create(&b).unwrap();
    for (bytes, room, content) in [(b"x", 3, &b"x\0\0\0"[..]), (b"y", 2, b"xy\0\0"), (b"z", 0, b"xyz")] {
        file.append(bytes).unwrap();
        file.set_room(room).unwrap();
        file.sync_data().unwrap();
        assert_eq!(disk.read(&b).unwrap(), content);
        assert_eq!(disk.length(&b).unwrap(), file.length() + room);
    }
    disk.remove(&b).unwrap();
    disk.replace(&c, b"new").unwrap();
    assert_eq!(disk.read(&c).unwrap(), b"new");
    disk.sync_dir(dir).unwrap();
    let lock = disk.lock_dir(dir).unwrap();
    assert_eq!(disk.lock_dir(dir).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(lock);
    drop(disk.lock_dir(dir).unwrap());
    assert!(disk.available_bytes(dir).unwrap() > 0);
    assert!(disk.counters().syncs >= 3 && disk.counters().bytes_written >= 8);
    disk.remove_dir_all(dir).unwrap();
    assert!(disk.list(dir).is_err());
}

#[test]
fn the_real_disk_behaves_like_a_disk() {
    let scratch = Scratch::new();
    behaves_like_a_disk(&RealDisk::new(), &scratch.0.join("x/y"));
}

#[test]
fn the_memory_disk_behaves_like_a_disk() {
    behaves_like_a_disk(&MemoryDisk::new(), Path::new("/x/y"));
}

#[test]
fn a_strict_crash_forgets_bytes_and_names_that_were_not_synced() {
    let disk = MemoryDisk::new();
    let dir = Path::new("/d");
    disk.create_dir_all(dir).unwrap();
    let mut file = disk.create(&dir.join("kept")).unwrap();
    file.append(b"synced").unwrap();
    file.sync_data().unwrap();
    file.append(b" and not").unwrap();
    disk.sync_dir(dir).unwrap();
    write(&disk, &dir.join("nameless"), b"x", true);
    disk.rename(&dir.join("kept"), &dir.join("renamed")).unwrap();
    let lock = disk.lock_dir(dir).unwrap();
    let next = disk.crash(CrashMode::Strict);
    assert!(file.append(b"late").is_err() && disk.list(dir).is_err());
    assert_eq!(next.list(dir).unwrap(), ["kept"]);
    assert_eq!(next.read(&dir.join("kept")).unwrap(), b"synced");
    drop(lock);
    drop(next.lock_dir(dir).unwrap());
}

#[test]
fn a_random_crash_never_touches_what_was_synced() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let disk = MemoryDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        let mut file = disk.create(Path::new("/d/f")).unwrap();
        file.append(&[7; 1000]).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.append(&[8; 2000]).unwrap();
        let content = disk.crash(CrashMode::Random(seed)).read(Path::new("/d/f")).unwrap();
        assert_eq!(content[..1000], [7; 1000]);
        lengths.insert(content.len());
    }
    assert!(lengths.contains(&1000) && lengths.contains(&3000) && lengths.len() > 20);
}

#[test]
fn room_that_was_not_synced_may_be_there_after_a_crash_or_not() {
    let after = |mode| {
        let disk = MemoryDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        let mut file = disk.create(Path::new("/d/f")).unwrap();
        file.append(b"synced").unwrap();
        file.set_room(4).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.append(b"not").unwrap();
        file.set_room(100).unwrap();
        let content = disk.crash(mode).read(Path::new("/d/f")).unwrap();
        assert!(content.starts_with(b"synced"));
        (content[6..9] == *b"not", content.len())
    };
    assert_eq!(after(CrashMode::Strict), (false, 10));
    let seen: std::collections::BTreeSet<_> = (0..100).map(|seed| after(CrashMode::Random(seed))).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(false, 10), (false, 109), (true, 10), (true, 109)]);
}

#[test]
fn faults_come_at_the_call_they_were_set_for() {
    let disk = MemoryDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk.fault_at(disk.io_calls() + 1, Fault::Error(io::ErrorKind::TimedOut));
    let mut file = disk.create(Path::new("/d/f")).unwrap();
    assert_eq!(file.append(b"abcd").unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(disk.read(Path::new("/d/f")).unwrap(), b"ab");
    disk.fault_at(disk.io_calls(), Fault::Crash);
    assert!(disk.list(Path::new("/d")).is_err());
    assert!(disk.list(Path::new("/d")).is_err());
}

#[test]
fn a_watched_disk_shows_each_change_as_unsynced_as_it_was() {
    let disk = MemoryDisk::new();
    let dir = Path::new("/d");
    disk.create_dir_all(dir).unwrap();
    let (sender, seen) = std::sync::mpsc::channel();
    disk.watch(move |fork| sender.send(fork).unwrap());
    let mut file = disk.create(&dir.join("f")).unwrap();
    disk.sync_dir(dir).unwrap();
    file.append(b"abc").unwrap();
    file.sync_data().unwrap();
    file.append(b"def").unwrap();
    for _ in 0..3 {
        disk.list(dir).unwrap();
    }
    let content = |fork: MemoryDisk| fork.crash(CrashMode::Strict).read(&dir.join("f")).ok();
    let contents: Vec<_> = seen.try_iter().map(content).collect();
    let expected: [Option<&[u8]>; 5] = [None, Some(b""), Some(b""), Some(b"abc"), Some(b"abc")];
    assert_eq!(contents.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
    assert_eq!(disk.read(&dir.join("f")).unwrap(), b"abcdef");
}

#[test]
fn a_full_disk_says_so() {
    let disk = MemoryDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk.set_capacity(Some(10));
    let mut file = disk.create(Path::new("/d/f")).unwrap();
    file.append(b"12345678").unwrap();
    assert_eq!(file.append(b"9012").unwrap_err().kind(), io::ErrorKind::StorageFull);
    disk.remove(Path::new("/d/f")).unwrap();
    assert_eq!(disk.available_bytes(Path::new("/d")).unwrap(), 10);
}
