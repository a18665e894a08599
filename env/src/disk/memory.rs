//! The disk of tests and simulations: all in memory, strict about what was synced, and failing on request.
//!
//! A [`MemoryDisk`] is the disk as one life of a process sees it. [`MemoryDisk::crash`] ends that life: every handle
//! of it answers errors from then on, and the disk of the next life holds what survived. Nothing here uses time or
//! randomness but the seed it is given, so a run replays exactly.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{AppendFile, DirectoryLock, Disk, DiskCounters, ReadFile};

/// What to do at a chosen IO call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// That call fails with this kind; an append may have written a part.
    Error(io::ErrorKind),
    /// That call and all later ones of this life fail, as if the process had been killed in it.
    Crash,
}

/// An in-memory disk. Clones share the content and the life.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    pub(super) shared: Arc<Mutex<State>>,
    pub(super) life: u64,
}

/// The content of a file, and how much of it is synced.
///
/// # Invariants
/// - `synced <= content.len()`: files grow at their end, and what is synced is cut only by a synced truncation.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) content: Vec<u8>,
    pub(super) synced: usize,
    /// Up to here the file goes on with zeros, if the content ends before.
    pub(super) room_end: usize,
    pub(super) room_end_synced: usize,
}

impl Inode {
    fn length(&self) -> usize {
        self.content.len().max(self.room_end)
    }

    pub(super) fn sync(&mut self) {
        self.synced = self.content.len();
        self.room_end_synced = self.room_end;
    }

    /// Fills `buffer` from `start`; false if the file ends before.
    fn read(&self, start: usize, buffer: &mut [u8]) -> bool {
        if start.checked_add(buffer.len()).is_none_or(|end| end > self.length()) {
            return false;
        }
        let written = self.content.get(start..).unwrap_or_default();
        let (content, room) = buffer.split_at_mut(buffer.len().min(written.len()));
        content.copy_from_slice(written.get(..content.len()).unwrap_or_default());
        room.fill(0);
        true
    }
}

/// One change of names that was made and not yet synced: each name with what it then stood for.
pub(super) type NameChange = Vec<(PathBuf, Option<u64>)>;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) life: u64,
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) inode_next: u64,
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) names_synced: BTreeMap<PathBuf, u64>,
    pub(super) changes: Vec<NameChange>,
    pub(super) directories: BTreeSet<PathBuf>,
    pub(super) locks: BTreeMap<PathBuf, u64>,
    counters: DiskCounters,
    /// Changes of lengths.
    rooms: u64,
    io_calls: u64,
    faults: BTreeMap<u64, Fault>,
    dead: bool,
    capacity: Option<u64>,
    watcher: Option<Watcher>,
}

/// Sees the disk as it stands before each call that follows a change.
struct Watcher {
    /// Syncs, writes, changes of lengths and unsynced changes of names when it looked last.
    seen: (u64, u64, u64, usize),
    look: Box<dyn FnMut(MemoryDisk) + Send>,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self { shared: Arc::new(Mutex::new(State::default())), life: 0 }
    }

    /// IO calls made so far in this life, for [`Self::fault_at`].
    pub fn io_calls(&self) -> u64 {
        self.shared.lock().io_calls
    }

    /// Makes the IO call number `call` of this life (the first is 0) fail.
    pub fn fault_at(&self, call: u64, fault: Fault) {
        self.shared.lock().faults.insert(call, fault);
    }

    /// Takes back all faults that have not come yet.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// Bounds the bytes of all files together; `None` is no bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.lock().capacity = bytes;
    }

    /// Bytes of all named files together.
    pub fn bytes_used(&self) -> u64 {
        self.shared.lock().bytes_used()
    }

    /// The names of all files, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        self.shared.lock().names.keys().cloned().collect()
    }

    /// Changes the content of a file behind everybody's back, as decaying media do; what results counts as synced.
    pub fn corrupt(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.shared.lock();
        let id = state.lookup(path)?;
        let inode = state.inodes.entry(id).or_default();
        inode.content.resize(inode.length(), 0);
        inode.room_end = 0;
        change(&mut inode.content);
        inode.sync();
        Ok(())
    }

    /// A copy of the disk as it stands, all of it synced, that shares nothing with this one.
    pub fn duplicate(&self) -> MemoryDisk {
        let mut copy = self.shared.lock().fork();
        copy.inodes.values_mut().for_each(Inode::sync);
        copy.names_synced = copy.names.clone();
        copy.changes.clear();
        MemoryDisk { shared: Arc::new(Mutex::new(copy)), life: 0 }
    }

    /// Shows `look`, until the next crash, a copy of the disk as each call finds it, if anything has changed since the
    /// one before: what is not synced is not synced in the copy either. So one run can be crashed everywhere. `look`
    /// must leave this disk alone.
    pub fn watch(&self, look: impl FnMut(MemoryDisk) + Send + 'static) {
        let mut state = self.shared.lock();
        state.watcher = Some(Watcher { seen: state.changes_seen(), look: Box::new(look) });
    }

    fn call<T>(&self, io: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.shared.lock();
        state.enter(self.life)?;
        io(&mut state)
    }
}

impl State {
    /// Counts a call and answers what it has been told to.
    fn enter(&mut self, life: u64) -> io::Result<()> {
        if life != self.life || self.dead {
            return Err(io::Error::other("the disk of a life that has crashed"));
        }
        let call = self.io_calls;
        self.io_calls += 1;
        self.show();
        match self.faults.remove(&call) {
            None => Ok(()),
            Some(Fault::Error(kind)) => Err(io::Error::new(kind, "injected")),
            Some(Fault::Crash) => {
                self.dead = true;
                Err(io::Error::other("injected crash"))
            }
        }
    }

    /// How far changes have come.
    fn changes_seen(&self) -> (u64, u64, u64, usize) {
        (self.counters.syncs, self.counters.writes, self.rooms, self.changes.len())
    }

    fn show(&mut self) {
        let now = self.changes_seen();
        let Some(mut watcher) = self.watcher.take_if(|watcher| watcher.seen != now) else { return };
        watcher.seen = now;
        (watcher.look)(MemoryDisk { shared: Arc::new(Mutex::new(self.fork())), life: 0 });
        self.watcher = Some(watcher);
    }

    /// The content as it stands, synced or not, as the beginning of another disk.
    fn fork(&self) -> State {
        State {
            inodes: self.inodes.clone(),
            inode_next: self.inode_next,
            names: self.names.clone(),
            names_synced: self.names_synced.clone(),
            changes: self.changes.clone(),
            directories: self.directories.clone(),
            capacity: self.capacity,
            ..State::default()
        }
    }

    /// The next life begins.
    pub(super) fn begin_life(&mut self) -> u64 {
        self.life += 1;
        self.io_calls = 0;
        self.faults.clear();
        self.watcher = None;
        self.dead = false;
        self.locks.clear();
        self.life
    }

    fn lookup(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| not_found(path))
    }

    fn bytes_used(&self) -> u64 {
        let live: BTreeSet<u64> = self.names.values().copied().collect();
        live.iter().filter_map(|id| self.inodes.get(id)).map(|inode| inode.content.len() as u64).sum()
    }

    fn change_names(&mut self, change: NameChange) {
        for (path, id) in &change {
            match id {
                Some(id) => self.names.insert(path.clone(), *id),
                None => self.names.remove(path),
            };
        }
        self.changes.push(change);
    }

    fn require_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() && !self.directories.contains(parent) => {
                Err(not_found(parent))
            }
            _ => Ok(()),
        }
    }

    /// Appends as much as fits; an error tells that it was not all.
    fn append(&mut self, id: u64, bytes: &[u8]) -> io::Result<()> {
        let room = match self.capacity {
            Some(capacity) => {
                usize::try_from(capacity.saturating_sub(self.bytes_used())).unwrap_or(usize::MAX)
            }
            None => usize::MAX,
        };
        let (fitting, rest) = bytes.split_at(bytes.len().min(room));
        self.inodes.entry(id).or_default().content.extend_from_slice(fitting);
        self.counters.writes += 1;
        self.counters.bytes_written += fitting.len() as u64;
        if rest.is_empty() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on the disk"))
    }

    fn sync_names(&mut self, directory: &Path) {
        let inside = |path: &Path| path.parent() == Some(directory);
        for change in &mut self.changes {
            change.retain(|(path, id)| {
                if inside(path) {
                    match id {
                        Some(id) => self.names_synced.insert(path.clone(), *id),
                        None => self.names_synced.remove(path),
                    };
                    return false;
                }
                true
            });
        }
        self.changes.retain(|change| !change.is_empty());
        self.counters.syncs += 1;
    }
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        self.call(|state| {
            state.require_parent(path)?;
            if state.names.contains_key(path) {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, path.display().to_string()));
            }
            let id = state.inode_next;
            state.inode_next += 1;
            state.inodes.insert(id, Inode::default());
            state.change_names(vec![(path.to_owned(), Some(id))]);
            Ok(Box::new(MemoryFile { disk: self.clone(), id, length: 0 }) as Box<dyn AppendFile>)
        })
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>> {
        self.call(|state| {
            let id = state.lookup(path)?;
            Ok(Arc::new(MemoryFile { disk: self.clone(), id, length: 0 }) as Arc<dyn ReadFile>)
        })
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.call(|state| {
            let id = state.lookup(path)?;
            let inode = state.inodes.entry(id).or_default();
            inode.room_end = usize::try_from(length).unwrap_or(usize::MAX);
            inode.content.truncate(inode.room_end);
            inode.sync();
            state.counters.syncs += 1;
            Ok(())
        })
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.call(|state| {
            let id = state.lookup(path)?;
            Ok(state.inodes.get(&id).map_or(0, |inode| inode.length() as u64))
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|state| {
            let id = state.lookup(from)?;
            state.require_parent(to)?;
            state.change_names(vec![(from.to_owned(), None), (to.to_owned(), Some(id))]);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(|state| {
            state.lookup(path)?;
            state.change_names(vec![(path.to_owned(), None)]);
            Ok(())
        })
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|state| {
            let id = state.lookup(from)?;
            state.require_parent(to)?;
            if state.names.contains_key(to) {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, to.display().to_string()));
            }
            state.change_names(vec![(to.to_owned(), Some(id))]);
            Ok(())
        })
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call(|state| {
            state.directories.extend(path.ancestors().map(Path::to_owned));
            Ok(())
        })
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call(|state| {
            if !state.directories.contains(path) {
                return Err(not_found(path));
            }
            let inside: Vec<_> = state.names.keys().filter(|name| name.starts_with(path)).cloned().collect();
            for name in inside {
                state.change_names(vec![(name, None)]);
            }
            state.directories.retain(|directory| !directory.starts_with(path));
            Ok(())
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.call(|state| {
            if !state.directories.contains(path) {
                return Err(not_found(path));
            }
            let inside = state.names.keys().filter(|name| name.parent() == Some(path));
            let mut names: Vec<_> =
                inside.filter_map(|name| Some(name.file_name()?.to_string_lossy().into_owned())).collect();
            names.sort();
            Ok(names)
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call(|state| {
            if !state.directories.contains(path) {
                return Err(not_found(path));
            }
            state.sync_names(path);
            Ok(())
        })
    }

    fn lock_dir(&self, path: &Path) -> io::Result<Box<dyn DirectoryLock>> {
        self.call(|state| {
            if !state.directories.contains(path) {
                return Err(not_found(path));
            }
            if state.locks.contains_key(path) {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "locked"));
            }
            state.locks.insert(path.to_owned(), self.life);
            Ok(Box::new(MemoryLock { disk: self.clone(), path: path.to_owned() }) as Box<dyn DirectoryLock>)
        })
    }

    fn available_bytes(&self, _path: &Path) -> io::Result<u64> {
        self.call(|state| {
            Ok(state.capacity.map_or(1 << 40, |capacity| capacity.saturating_sub(state.bytes_used())))
        })
    }

    fn counters(&self) -> DiskCounters {
        self.shared.lock().counters
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    id: u64,
    length: u64,
}

impl AppendFile for MemoryFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.shared.lock();
        if let Err(error) = state.enter(self.disk.life) {
            // A write that fails, or during which the machine stops, may have happened in part.
            if state.life == self.disk.life && (error.kind() != io::ErrorKind::Other || state.dead) {
                let part = bytes.get(..bytes.len() / 2).unwrap_or_default();
                let at = state.inodes.get(&self.id).map_or(0, |inode| inode.content.len() as u64);
                if at == self.length {
                    let _ = state.append(self.id, part);
                }
            }
            return Err(error);
        }
        // A part of an append that failed is written over.
        if let (Some(inode), Ok(length)) = (state.inodes.get_mut(&self.id), usize::try_from(self.length)) {
            inode.content.truncate(length);
        }
        state.append(self.id, bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn set_room(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.call(|state| {
            let inode = state.inodes.entry(self.id).or_default();
            inode.room_end = usize::try_from(self.length + bytes).unwrap_or(usize::MAX);
            inode.content.truncate(inode.room_end);
            state.rooms += 1;
            Ok(())
        })
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.disk.call(|state| {
            state.inodes.entry(self.id).or_default().sync();
            state.counters.syncs += 1;
            Ok(())
        })
    }

    fn length(&self) -> u64 {
        self.length
    }
}

impl ReadFile for MemoryFile {
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.call(|state| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            if !state.inodes.get(&self.id).is_some_and(|inode| inode.read(start, buffer)) {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "read past the end"));
            }
            state.counters.reads += 1;
            state.counters.bytes_read += buffer.len() as u64;
            Ok(())
        })
    }

    fn length(&self) -> io::Result<u64> {
        self.disk.call(|state| Ok(state.inodes.get(&self.id).map_or(0, |inode| inode.length() as u64)))
    }
}

#[derive(Debug)]
struct MemoryLock {
    disk: MemoryDisk,
    path: PathBuf,
}

impl DirectoryLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut state = self.disk.shared.lock();
        if state.locks.get(&self.path) == Some(&self.disk.life) {
            state.locks.remove(&self.path);
        }
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}
