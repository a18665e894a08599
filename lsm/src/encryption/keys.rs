//! The key store: the data keys of a directory, sealed by the master key in one small file.
//!
//! ```text
//! KEYS := "NUNAKEY\0" | version u32 = 1 | fingerprint of the master key [u8; 8] | salt [u8; 32] | length u32
//!       | body, sealed at offset 0 as file 0 of kind "keys" | crc32c u32 of all before
//! body := active data key u64 | count varint | (data key u64 | secret [u8; 32])*
//!       | count varint | (directory string | placement u8 | bytes u64 | sealed u8)*
//! ```
//! Directories are those with files of these keys, relative to the store's own: files in the directory itself tell by
//! their envelopes (so many bytes from their start, placement 1, or before their end, placement 2) which keys are in
//! use. In a *sealed* directory every file is encrypted, and one that is not is refused: it was put there.
//!
//! # Invariants
//! - The active key is one of the keys. New files use it and no other.
//! - A directory is named here, durably, before a file in it is sealed.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use env::disk::Disk;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::cipher::{DataKey, FileCipher, Part};
use super::envelope::{Envelope, Placement, SALT_BYTES};
use super::master::{KEY_BYTES, KeySource, MasterKey};
use crate::coding::{Reader, put_prefixed, put_varint, u32_at};
use crate::error::{Error, Result};

/// The name of the key store in a database's directory.
pub(crate) const KEYS_NAME: &str = "KEYS";
const MAGIC: &[u8; 8] = b"NUNAKEY\0";
/// The newest format that this program writes and reads.
const VERSION: u32 = 1;
const BODY_AT: usize = 56;

/// An open key store. Clones are the same one.
#[derive(Clone)]
pub struct Keys {
    shared: Arc<Shared>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    state: Mutex<State>,
    /// That of the state, for those who ask often.
    active: AtomicU64,
    /// Open logs whose closed segments can be sealed anew.
    logs: Mutex<Vec<Weak<dyn Reseal>>>,
}

#[derive(Clone)]
struct State {
    master: MasterKey,
    active: u64,
    keys: BTreeMap<u64, Arc<DataKey>>,
    directories: Vec<Directory>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Directory {
    /// Relative to the key store's.
    path: String,
    placement: Placement,
    sealed: bool,
}

/// Files that can be sealed anew under the active key, a piece at a time.
pub(crate) trait Reseal: Send + Sync {
    /// Seals one file anew; false if none is under another key.
    fn reseal_one(&self) -> Result<bool>;
}

/// Which keys are in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncryptionStatus {
    /// The data key of new files, as files and messages name it.
    pub active: u64,
    /// The active key, and older ones that are not free yet.
    pub keys: Vec<KeyUse>,
    /// Bytes of files that are not encrypted.
    pub plain_bytes: u64,
}

/// What uses a data key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Its number.
    pub data_key: u64,
    /// Files that it seals.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl EncryptionStatus {
    /// Bytes of files that are under an old key, or not encrypted at all.
    pub fn stale_bytes(&self) -> u64 {
        let old = self.keys.iter().filter(|used| used.data_key != self.active);
        old.map(|used| used.bytes).sum::<u64>() + self.plain_bytes
    }

    /// Whether the active key is the only one left, and everything is under it.
    pub fn is_settled(&self) -> bool {
        self.keys.len() == 1 && self.stale_bytes() == 0
    }
}

impl Keys {
    /// Whether the database in `dir` is encrypted: it has a key store.
    pub fn exist(disk: &dyn Disk, dir: &Path) -> Result<bool> {
        let path = dir.join(KEYS_NAME);
        disk.exists(&path).map_err(Error::io("look for", &path))
    }

    /// Opens the key store in `dir`, or makes one if a key is given and the files in `directories` (relative to it) are not
    /// encrypted. None: without a key store and without a key. Nothing is changed on disk if this is an error.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        source: Option<&KeySource>,
        directories: &[(&str, Placement)],
    ) -> Result<Option<Self>> {
        let path = dir.join(KEYS_NAME);
        let exists = Self::exist(disk.as_ref(), dir)?;
        let Some(source) = source else {
            if exists {
                return Err(Error::key(
                    &path,
                    "the database is encrypted: open it with the master key of this key store",
                ));
            }
            return Ok(None);
        };
        let master = source.read(disk.as_ref())?;
        let state = if exists {
            let content = disk.read(&path).map_err(Error::io("read", &path))?;
            State::decode(&path, &content, master)?
        } else {
            refuse_sealed(disk.as_ref(), dir, directories)?;
            let state = State::new(master);
            persist(disk.as_ref(), dir, &state)?;
            state
        };
        let keys = Self::of(disk, dir, state);
        for (directory, placement) in directories {
            keys.register(&dir.join(directory), *placement)?;
        }
        Ok(Some(keys))
    }

    /// Whether these bytes are what a key store seals.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn can_decode(body: Bytes) -> bool {
        State::decode_body(body, MasterKey::new([0; KEY_BYTES])).is_some()
    }

    /// Names a directory whose files are about to be sealed.
    pub(crate) fn register(&self, dir: &Path, placement: Placement) -> Result<()> {
        let shared = &self.shared;
        let path = relative(&shared.dir, dir)?;
        let mut state = shared.state.lock();
        if state.directories.iter().any(|known| known.path == path) {
            return Ok(());
        }
        let files = list(shared.disk.as_ref(), dir)?;
        let mut next = state.clone();
        next.directories.push(Directory { path, placement, sealed: files.is_empty() });
        persist(shared.disk.as_ref(), &shared.dir, &next)?;
        *state = next;
        Ok(())
    }

    /// Whether every file in a directory is encrypted.
    pub(crate) fn is_sealed(&self, dir: &Path) -> bool {
        let Ok(path) = relative(&self.shared.dir, dir) else { return false };
        self.shared.state.lock().directories.iter().any(|known| known.path == path && known.sealed)
    }

    /// Remembers that every file in a directory is encrypted, and will be.
    pub(crate) fn mark_sealed(&self, dir: &Path) -> Result<()> {
        let path = relative(&self.shared.dir, dir)?;
        let mut state = self.shared.state.lock();
        let mut next = state.clone();
        match next.directories.iter_mut().find(|known| known.path == path) {
            Some(known) if !known.sealed => known.sealed = true,
            _ => return Ok(()),
        }
        persist(self.shared.disk.as_ref(), &self.shared.dir, &next)?;
        *state = next;
        Ok(())
    }

    /// A log to be asked when files are sealed anew.
    pub(crate) fn watch_log(&self, log: Weak<dyn Reseal>) {
        let mut logs = self.shared.logs.lock();
        logs.retain(|known| known.strong_count() > 0);
        logs.push(log);
    }

    /// The number of the key of new files.
    pub(crate) fn active(&self) -> u64 {
        self.shared.active.load(Ordering::Acquire)
    }

    /// Whether there are keys beside the active one.
    pub(crate) fn has_old(&self) -> bool {
        self.shared.state.lock().keys.len() > 1
    }

    /// The cipher of a file that is begun now.
    pub(crate) fn new_file(&self, file_kind: &str, number: u64) -> Result<FileCipher> {
        let mut salt = [0; SALT_BYTES];
        env::random::fill(&mut salt);
        let (data_key, key) = {
            let state = self.shared.state.lock();
            (state.active, state.keys.get(&state.active).cloned())
        };
        let key = key.ok_or_else(|| Error::Invalid("the key store has no active key".to_owned()))?;
        FileCipher::of_file(key, Envelope { data_key, salt }, file_kind, number)
    }

    /// The cipher of the file with this envelope.
    pub(crate) fn file(
        &self,
        path: &Path,
        envelope: Envelope,
        file_kind: &str,
        number: u64,
    ) -> Result<FileCipher> {
        let key = self.shared.state.lock().keys.get(&envelope.data_key).cloned();
        let key = key.ok_or_else(|| {
            let store = self.shared.dir.join(KEYS_NAME);
            let (data_key, store) = (envelope.data_key, store.display());
            Error::key(
                path,
                format!("encrypted with data key {data_key:016x}, which {store} does not hold: restore its key store"),
            )
        })?;
        FileCipher::of_file(key, envelope, file_kind, number)
    }

    /// Makes a new data key for all new files, and returns its number.
    pub(crate) fn rotate(&self) -> Result<u64> {
        let mut state = self.shared.state.lock();
        let mut next = state.clone();
        let key = DataKey::generate();
        next.active = key.id;
        next.keys.insert(key.id, Arc::new(key));
        persist(self.shared.disk.as_ref(), &self.shared.dir, &next)?;
        *state = next;
        self.shared.active.store(state.active, Ordering::Release);
        Ok(state.active)
    }

    /// Seals the key store under another master key, the only one that opens it from then on. If this fails either key may
    /// be the right one.
    pub(crate) fn set_master(&self, source: &KeySource) -> Result<()> {
        let master = source.read(self.shared.disk.as_ref())?;
        let mut state = self.shared.state.lock();
        let next = State { master, ..state.clone() };
        persist(self.shared.disk.as_ref(), &self.shared.dir, &next)?;
        *state = next;
        Ok(())
    }

    /// Seals one file of an open log anew; false if all are under the active key.
    pub(crate) fn reseal_one(&self) -> Result<bool> {
        let logs: Vec<_> = self.shared.logs.lock().iter().filter_map(Weak::upgrade).collect();
        for log in logs {
            if log.reseal_one()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets the old keys that no file uses any more, and returns how many.
    pub(crate) fn retire(&self) -> Result<usize> {
        let mut state = self.shared.state.lock();
        let idle: Vec<u64> = state
            .keys
            .values()
            .filter(|key| key.id != state.active && Arc::strong_count(key) == 1)
            .map(|key| key.id)
            .collect();
        if idle.is_empty() {
            return Ok(0);
        }
        let uses = self.uses(&state)?;
        let mut next = state.clone();
        next.keys.retain(|id, _| !idle.contains(id) || uses.contains_key(&Some(*id)));
        let retired = state.keys.len() - next.keys.len();
        if retired > 0 {
            persist(self.shared.disk.as_ref(), &self.shared.dir, &next)?;
            *state = next;
        }
        Ok(retired)
    }

    /// Which keys the files use, by their envelopes.
    pub(crate) fn status(&self) -> Result<EncryptionStatus> {
        let state = self.shared.state.lock().clone();
        let uses = self.uses(&state)?;
        let used = |id: Option<u64>| uses.get(&id).copied().unwrap_or_default();
        let known = state.keys.keys().map(|id| {
            let (files, bytes) = used(Some(*id));
            KeyUse { data_key: *id, files, bytes }
        });
        Ok(EncryptionStatus { active: state.active, keys: known.collect(), plain_bytes: used(None).1 })
    }

    /// By data key, or without one, the files in all directories and their bytes.
    fn uses(&self, state: &State) -> Result<BTreeMap<Option<u64>, (u64, u64)>> {
        let disk = self.shared.disk.as_ref();
        let mut uses: BTreeMap<Option<u64>, (u64, u64)> = BTreeMap::new();
        for directory in &state.directories {
            let dir = self.shared.dir.join(&directory.path);
            for name in list(disk, &dir)? {
                let path = dir.join(name);
                let envelope = match Envelope::peek(disk, &path, directory.placement) {
                    // It went while we looked.
                    Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
                    peeked => peeked?,
                };
                let length = disk.length(&path).unwrap_or(0);
                let used = uses.entry(envelope.map(|envelope| envelope.data_key)).or_default();
                *used = (used.0 + 1, used.1 + length);
            }
        }
        Ok(uses)
    }

    /// Makes a key store for a copy of the database, with the same keys and the directories inside of it.
    pub(crate) fn copy_to(&self, dir: &Path) -> Result<Self> {
        let mut copy = self.shared.state.lock().clone();
        copy.directories.retain(|known| !known.path.starts_with(".."));
        persist(self.shared.disk.as_ref(), dir, &copy)?;
        Ok(Self::of(&self.shared.disk, dir, copy))
    }

    fn of(disk: &Arc<dyn Disk>, dir: &Path, state: State) -> Self {
        let shared = Shared {
            disk: disk.clone(),
            dir: dir.to_owned(),
            active: AtomicU64::new(state.active),
            state: Mutex::new(state),
            logs: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl State {
    fn new(master: MasterKey) -> Self {
        let key = DataKey::generate();
        Self {
            master,
            active: key.id,
            keys: BTreeMap::from([(key.id, Arc::new(key))]),
            directories: Vec::new(),
        }
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.active.to_le_bytes());
        put_varint(&mut body, self.keys.len() as u64);
        for key in self.keys.values() {
            body.extend_from_slice(&key.id.to_le_bytes());
            body.extend_from_slice(&*key.secret);
        }
        put_varint(&mut body, self.directories.len() as u64);
        for directory in &self.directories {
            put_prefixed(&mut body, directory.path.as_bytes());
            let (placement, bytes) = match directory.placement {
                Placement::Head(bytes) => (1, bytes),
                Placement::Tail(bytes) => (2, bytes),
            };
            body.push(placement);
            body.extend_from_slice(&bytes.to_le_bytes());
            body.push(u8::from(directory.sealed));
        }
        let mut salt = [0; SALT_BYTES];
        env::random::fill(&mut salt);
        FileCipher::of_key_store(self.master.bytes(), salt)?.seal(Part::Keys, 0, VERSION, &mut body, 0)?;
        let mut content = Vec::with_capacity(BODY_AT + body.len() + 4);
        content.extend_from_slice(MAGIC);
        content.extend_from_slice(&VERSION.to_le_bytes());
        content.extend_from_slice(&self.master.fingerprint());
        content.extend_from_slice(&salt);
        content.extend_from_slice(&(body.len() as u32).to_le_bytes());
        content.extend_from_slice(&body);
        content.extend_from_slice(&crc32c::crc32c(&content).to_le_bytes());
        Ok(content)
    }

    fn decode(path: &Path, content: &[u8], master: MasterKey) -> Result<Self> {
        let damaged = || Error::corrupt(path, 0, "the key store does not check");
        let crc_at = content.len().checked_sub(4).ok_or_else(damaged)?;
        let covered = content.get(..crc_at).unwrap_or_default();
        if u32_at(content, crc_at) != Some(crc32c::crc32c(covered)) || !covered.starts_with(MAGIC) {
            return Err(damaged());
        }
        match u32_at(covered, 8) {
            Some(VERSION) => {}
            Some(found) => return Err(Error::TooNew { path: path.to_owned(), found, known: VERSION }),
            None => return Err(damaged()),
        }
        let print = master.fingerprint();
        if covered.get(12..20) != Some(&print) {
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let (asked, given) = (hex(covered.get(12..20).unwrap_or_default()), hex(&print));
            return Err(Error::key(
                path,
                format!(
                    "sealed with another master key (fingerprint {asked}, the one given has {given}): give the key that \
                     the database was encrypted with last"
                ),
            ));
        }
        let salt = covered.get(20..20 + SALT_BYTES).and_then(|salt| salt.try_into().ok());
        let mut sealed = Zeroizing::new(covered.get(BODY_AT..).unwrap_or_default().to_vec());
        if u32_at(covered, BODY_AT - 4) != Some(sealed.len() as u32) {
            return Err(damaged());
        }
        let cipher = FileCipher::of_key_store(master.bytes(), salt.ok_or_else(damaged)?)?;
        let length = cipher.open(Part::Keys, 0, VERSION, &mut sealed).ok_or_else(damaged)?.len();
        sealed.truncate(length);
        Self::decode_body(Bytes::from_owner(sealed), master).ok_or_else(damaged)
    }

    fn decode_body(body: Bytes, master: MasterKey) -> Option<Self> {
        let mut reader = Reader::new(body);
        let active = reader.u64()?;
        let mut keys = BTreeMap::new();
        for _ in 0..reader.varint()? {
            let id = reader.u64()?;
            let mut secret = Zeroizing::new([0; KEY_BYTES]);
            for byte in secret.iter_mut() {
                *byte = reader.byte()?;
            }
            keys.insert(id, Arc::new(DataKey { id, secret }));
        }
        let mut directories = Vec::new();
        for _ in 0..reader.varint()? {
            let path = String::from_utf8(reader.prefixed()?.to_vec()).ok()?;
            let (kind, bytes, sealed) = (reader.byte()?, reader.u64()?, reader.byte()? != 0);
            let placement = match kind {
                1 => Placement::Head(bytes),
                2 => Placement::Tail(bytes),
                _ => return None,
            };
            directories.push(Directory { path, placement, sealed });
        }
        let whole = reader.is_empty() && keys.contains_key(&active);
        whole.then_some(Self { master, active, keys, directories })
    }
}

impl DataKey {
    fn generate() -> Self {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        env::random::fill(&mut *secret);
        Self { id: env::random::next_u64(), secret }
    }
}

fn persist(disk: &dyn Disk, dir: &Path, state: &State) -> Result<()> {
    let path = dir.join(KEYS_NAME);
    disk.replace(&path, &state.encode()?).map_err(Error::io("replace", &path))
}

/// The files of a directory; none if it does not exist.
fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>> {
    match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(Error::io("list", dir)),
    }
}

/// Without a key store no file may be encrypted: its key would be lost, or is elsewhere.
fn refuse_sealed(disk: &dyn Disk, dir: &Path, directories: &[(&str, Placement)]) -> Result<()> {
    for (directory, placement) in directories {
        let directory = dir.join(directory);
        for name in list(disk, &directory)? {
            let path = directory.join(name);
            if Envelope::peek(disk, &path, *placement)?.is_some() {
                let store = dir.join(KEYS_NAME);
                return Err(Error::key(
                    &path,
                    format!("encrypted, and the key store {} is missing: restore it", store.display()),
                ));
            }
        }
    }
    Ok(())
}

/// `to` as seen from `from`.
fn relative(from: &Path, to: &Path) -> Result<String> {
    let (mut from, mut to) = (from.components().peekable(), to.components().peekable());
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let up = from.map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to).collect();
    path.to_str().map(str::to_owned).ok_or_else(|| Error::Invalid("a directory that is not UTF-8".to_owned()))
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}
