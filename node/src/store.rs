//! The data directory: whose it is, who works on it, and the engine within.
//!
//! ```text
//! DIR/IDENTITY   format, store id, cluster, node: a StoreIdentity behind its XXH3, replaced as a whole
//! DIR/engine/    the storage engine: data, intents, the root range's rows, range state, this store's own rows
//! DIR/raft/      the shared raft log
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use env::disk::{DirectoryLock, Disk};
use keys::keyspace;
use parking_lot::Mutex;
use prost::Message;
use proto::v1::{JoinRequest, StoreIdentity};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::NodeError;
use crate::options::NodeOptions;

/// The newest format of a data directory that this program knows, and the one it writes.
pub(crate) const FORMAT: u32 = 2;

/// The file that says whose a data directory is.
pub(crate) const IDENTITY: &str = "IDENTITY";

/// Bytes of the checksum before the identity.
const CHECKSUM_BYTES: usize = 8;

/// A data directory that this process works on.
///
/// # Invariants
///
/// - No other process works on it while this exists.
/// - Each opening has a larger generation than all before, and it is on disk before anybody hears of it.
/// - The identity on disk is the one in memory: it is replaced in one step that lasts, before anything relies on it.
pub(crate) struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    identity: Mutex<StoreIdentity>,
    db: lsm::Db,
    _lock: Box<dyn DirectoryLock>,
}

impl Store {
    /// Opens a data directory, or makes one.
    pub(crate) fn open(options: &NodeOptions) -> Result<Self, NodeError> {
        let (disk, dir) = (options.disk.clone(), options.dir.clone());
        let failed = |action| {
            let path = dir.clone();
            move |source| NodeError::Directory { action, path, source }
        };
        disk.create_dir_all(&dir).map_err(failed("create"))?;
        let lock = lock(&*disk, &dir)?;
        let path = dir.join(IDENTITY);
        let mut identity = match disk.exists(&path).map_err(failed("read"))? {
            true => read_identity(&*disk, &path)?,
            false => {
                let store_id = Bytes::copy_from_slice(&env::random::id());
                StoreIdentity { format: FORMAT, store_id, ..StoreIdentity::default() }
            }
        };
        identity.generation += 1;
        write_identity(&*disk, &path, &identity)?;
        let mut engine = engine_options(&disk, &dir);
        engine.memtable_bytes_max = options.memtable_bytes_max;
        engine.cache_bytes = options.cache_bytes;
        // Writes stop long before: the rest is for the raft log and for what must be flushed.
        engine.disk_reserve_bytes = options.disk_reserve_bytes / 4;
        engine.encryption = options.encryption.clone();
        let db = lsm::Db::open(engine).map_err(|error| match error {
            lsm::Error::Locked { path } => NodeError::Locked { path },
            other => NodeError::Engine(other),
        })?;
        Ok(Self { disk, dir, identity: Mutex::new(identity), db, _lock: lock })
    }

    /// The engine.
    pub(crate) fn db(&self) -> &lsm::Db {
        &self.db
    }

    /// The data directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whose it is.
    pub(crate) fn identity(&self) -> StoreIdentity {
        self.identity.lock().clone()
    }

    /// Replaces the identity.
    pub(crate) fn set_identity(&self, identity: StoreIdentity) -> Result<(), NodeError> {
        let mut known = self.identity.lock();
        write_identity(&*self.disk, &self.dir.join(IDENTITY), &identity)?;
        *known = identity;
        Ok(())
    }

    /// Where the raft log lives.
    pub(crate) fn raft_dir(&self) -> PathBuf {
        raft_dir(&self.dir)
    }
}

/// What a node says of itself.
pub(crate) fn introduction(options: &NodeOptions, identity: &StoreIdentity) -> JoinRequest {
    JoinRequest {
        store_id: identity.store_id.clone(),
        generation: identity.generation,
        address: options.address.clone(),
        locality: options.locality.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        format_version: u64::from(FORMAT),
    }
}

/// Where the raft log of a data directory lives.
pub(crate) fn raft_dir(dir: &Path) -> PathBuf {
    dir.join("raft")
}

/// Takes a data directory for this process.
pub(crate) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DirectoryLock>, NodeError> {
    disk.lock_dir(dir).map_err(|source| match source.kind() {
        std::io::ErrorKind::WouldBlock => NodeError::Locked { path: dir.to_owned() },
        _ => NodeError::Directory { action: "lock", path: dir.to_owned(), source },
    })
}

/// The engine of a data directory.
pub(crate) fn engine_options(disk: &Arc<dyn Disk>, dir: &Path) -> lsm::Options {
    let keyspaces = vec![
        lsm::Keyspace::versioned(keyspace::DATA, "data"),
        lsm::Keyspace::plain(keyspace::INTENTS, "intents"),
        lsm::Keyspace::plain(keyspace::ROOT, "root"),
        lsm::Keyspace::plain(keyspace::RANGE, "range"),
        lsm::Keyspace::plain(keyspace::STORE, "store"),
    ];
    let mut engine = lsm::Options::new(Arc::clone(disk), dir.join("engine"), keyspaces);
    if env::simulation::is_active() {
        engine.background = lsm::Background::Manual;
    }
    engine
}

/// Whose a data directory is.
pub(crate) fn read_identity(disk: &dyn Disk, path: &Path) -> Result<StoreIdentity, NodeError> {
    let damaged = |what: &str| NodeError::Damaged { path: path.to_owned(), what: what.to_owned() };
    let content = disk.read(path).map_err(|source| NodeError::Directory {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let (checksum, encoded) =
        content.split_at_checked(CHECKSUM_BYTES).ok_or_else(|| damaged("it is too short"))?;
    if checksum != xxh3_64(encoded).to_be_bytes() {
        return Err(damaged("its checksum does not match"));
    }
    let identity = StoreIdentity::decode(encoded).map_err(|_| damaged("it cannot be decoded"))?;
    if identity.format > FORMAT {
        return Err(NodeError::TooNew { path: path.to_owned(), found: identity.format, known: FORMAT });
    }
    if identity.format < FORMAT {
        return Err(NodeError::TooOld { path: path.to_owned(), found: identity.format, known: FORMAT });
    }
    if identity.store_id.len() != 16 {
        return Err(damaged("its store id has not 16 bytes"));
    }
    Ok(identity)
}

/// Replaces whose a data directory is.
pub(crate) fn write_identity(
    disk: &dyn Disk,
    path: &Path,
    identity: &StoreIdentity,
) -> Result<(), NodeError> {
    let encoded = identity.encode_to_vec();
    let mut content = xxh3_64(&encoded).to_be_bytes().to_vec();
    content.extend_from_slice(&encoded);
    disk.replace(path, &content).map_err(|source| NodeError::Directory {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use env::disk::MemoryDisk;

    use super::*;

    #[test]
    fn an_identity_that_is_damaged_or_of_another_format_is_refused() {
        let disk = MemoryDisk::new();
        let dir = Path::new("/store");
        disk.create_dir_all(dir).unwrap();
        let path = dir.join(IDENTITY);
        let identity =
            StoreIdentity { format: FORMAT, store_id: vec![1; 16].into(), ..StoreIdentity::default() };
        write_identity(&disk, &path, &identity).unwrap();
        assert_eq!(read_identity(&disk, &path).unwrap(), identity);
        let mut content = disk.read(&path).unwrap();
        content[10] ^= 1;
        disk.replace(&path, &content).unwrap();
        assert!(matches!(read_identity(&disk, &path), Err(NodeError::Damaged { .. })));
        write_identity(&disk, &path, &StoreIdentity { format: FORMAT + 1, ..identity.clone() }).unwrap();
        assert!(matches!(read_identity(&disk, &path), Err(NodeError::TooNew { .. })));
        write_identity(&disk, &path, &StoreIdentity { format: FORMAT - 1, ..identity }).unwrap();
        assert!(matches!(read_identity(&disk, &path), Err(NodeError::TooOld { .. })));
    }
}
