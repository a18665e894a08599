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
    /// Opens the data directory of a node that has stopped. The engine recovers as it does when the node starts.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        encryption: Option<lsm::KeySource>,
    ) -> Result<Self, NodeError> {
        let dir = dir.into();
        let path = dir.join(IDENTITY);
        let found = disk.exists(&path);
        let found =
            found.map_err(|source| NodeError::Directory { action: "read", path: path.clone(), source })?;
        if !found {
            return Err(NodeError::Damaged {
                path: dir,
                what: "it is not the data directory of a node".to_owned(),
            });
        }
        let lock = lock(&*disk, &dir)?;
        read_identity(&*disk, &path)?;
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
