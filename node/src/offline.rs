//! A node's data directory without the node: for an operator's look at it, and for work that needs it stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::disk::{DirectoryLock, Disk};
use lsm::log::{Log, Writer};

use crate::error::NodeError;
use crate::raft::raft_log_options;
use crate::store::{IDENTITY, engine_options, lock, raft_dir, read_identity};

/// The stored data of a node that does not run.
///
/// # Invariants
///
/// - No node works on the directory while this exists.
/// - Nothing happens in the background.
pub struct OfflineStore {
    db: lsm::Db,
    /// Open, so that it is encrypted anew with the rest.
    raft_log: Option<Log>,
    _lock: Box<dyn DirectoryLock>,
}

impl OfflineStore {
    /// Opens the data directory of a node that has stopped. The engine recovers as it does when the node starts. A key for
    /// a directory that is not encrypted is refused: looking at it does not change it.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        encryption: Option<lsm::KeySource>,
    ) -> Result<Self, NodeError> {
        let dir = dir.into();
        require_identity(&*disk, &dir)?;
        let engine = engine_options(&disk, &dir).dir;
        if encryption.is_some() && !lsm::Keys::exist(&*disk, &engine)? {
            let what =
                "not encrypted: open it without a key, or begin by making one with `nunatak lsm rotate-key`";
            return Err(lsm::Error::Key { path: dir, what: what.to_owned() }.into());
        }
        Self::open_encrypting(disk, dir, encryption)
    }

    /// The same, but a directory that is not encrypted becomes so if there is a key.
    pub fn open_encrypting(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        encryption: Option<lsm::KeySource>,
    ) -> Result<Self, NodeError> {
        let dir = dir.into();
        require_identity(&*disk, &dir)?;
        let lock = lock(&*disk, &dir)?;
        read_identity(&*disk, &dir.join(IDENTITY))?;
        let mut options = engine_options(&disk, &dir);
        options.encryption = encryption;
        options.background = lsm::Background::Manual;
        options.create_if_missing = false;
        let db = lsm::Db::open(options)?;
        let raft_log = open_raft_log(&disk, &dir, &db)?;
        Ok(Self { db, raft_log, _lock: lock })
    }

    /// The engine.
    pub fn db(&self) -> &lsm::Db {
        &self.db
    }

    /// Segments and bytes of the raft log, every record of which was checked when this was opened.
    pub fn raft_log(&self) -> (usize, u64) {
        let segments = self.raft_log.as_ref().map(Log::segments).unwrap_or_default();
        (segments.len(), segments.iter().map(|segment| segment.bytes).sum())
    }
}

/// The directory must be a node's.
pub(crate) fn require_identity(disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    let path = dir.join(IDENTITY);
    match disk.exists(&path) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let what =
                if disk.list(dir).is_ok() { "is not the data directory of a node" } else { "does not exist" };
            Err(NodeError::NotANode { path: dir.to_owned(), what })
        }
        Err(source) => Err(NodeError::Directory { action: "read", path, source }),
    }
}

/// The raft log, if there is one.
fn open_raft_log(disk: &Arc<dyn Disk>, dir: &Path, db: &lsm::Db) -> Result<Option<Log>, NodeError> {
    let dir = raft_dir(dir);
    match disk.list(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(NodeError::Directory { action: "list", path: dir, source }),
        Ok(_) => {}
    }
    let options = raft_log_options(0, Writer::Caller, db.keys());
    Ok(Some(Log::open(Arc::clone(disk), dir, options, |_, _| Ok(()))?))
}

impl std::fmt::Debug for OfflineStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OfflineStore").field("db", &self.db).finish_non_exhaustive()
    }
}
