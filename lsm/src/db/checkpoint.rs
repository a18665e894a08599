//! Checkpoints: a copy of the database in another directory that shares its tables by hard links.
//!
//! ```text
//! DIR/INCOMPLETE    first, until all else is synced: a database with it is not opened
//! DIR/tables/…      hard links
//! DIR/KEYS          the same data keys under the same master key, if the database is encrypted
//! DIR/manifest/…    one record that names all
//! ```
//! Tables are never changed, so the copy is independent from the first moment on. It holds what had been written when it
//! was asked for, and perhaps some of what was written meanwhile, as one prefix; it has no write-ahead log.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use env::disk::Disk;

use super::engine::Engine;
use crate::encryption::Keys;
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::options::Sequence;
use crate::table::builder::table_path;
use crate::tree::{Edit, Version};

/// Marks a checkpoint that is being made.
const INCOMPLETE: &str = "INCOMPLETE";

impl Engine {
    /// Makes a checkpoint in an empty or new directory of the same file system, and returns the sequence that it reaches.
    pub(crate) fn checkpoint(&self, dir: &Path) -> Result<Sequence> {
        self.check()?;
        self.flush()?;
        let (version, flushed, table_next) = {
            let _unchanged = self.manifest.lock();
            // Holding the version keeps its files.
            let version = self.view().version.clone();
            (version, self.flushed.load(Ordering::Acquire), self.tables.next.load(Ordering::Relaxed))
        };
        let disk = &self.tables.disk;
        disk.create_dir_all(dir).map_err(Error::io("create", dir))?;
        refuse_used(disk.as_ref(), dir)?;
        let marker = dir.join(INCOMPLETE);
        let marked = disk.create(&marker).and_then(|mut file| {
            file.append(b"A checkpoint that was not finished. Remove this directory.\n")?;
            file.sync_data()
        });
        marked.map_err(Error::io("create", &marker))?;
        disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
        self.link_tables(&version, dir)?;
        let keys = self.tables.keys.as_ref().map(|keys| keys.copy_to(dir)).transpose()?;
        self.write_manifest(&version, flushed, table_next, dir, keys.as_ref())?;
        disk.remove(&marker).map_err(Error::io("remove", &marker))?;
        disk.sync_dir(dir).map_err(Error::io("sync", dir))?;
        Ok(flushed)
    }

    fn link_tables(&self, version: &Version, dir: &Path) -> Result<()> {
        let disk = &self.tables.disk;
        let dir = dir.join("tables");
        disk.create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        for (_, table) in version.tables() {
            let link = table_path(&dir, table.id);
            disk.hard_link(table.path(), &link).map_err(Error::io("make the hard link", &link))?;
        }
        disk.sync_dir(&dir).map_err(Error::io("sync", &dir))
    }

    fn write_manifest(
        &self,
        version: &Version,
        flushed: Sequence,
        table_next: u64,
        dir: &Path,
        keys: Option<&Keys>,
    ) -> Result<()> {
        let (mut manifest, _) = Manifest::open(&self.tables.disk, dir, keys)?;
        let everything = Edit {
            flushed: Some(flushed),
            log_segment: Some(1),
            table_next: Some(table_next),
            ..version.as_edit()
        };
        manifest.rewrite(self.keyspaces.all(), &everything)
    }
}

/// The directory must hold nothing.
fn refuse_used(disk: &dyn Disk, dir: &Path) -> Result<()> {
    for place in [dir.to_owned(), dir.join("tables"), dir.join("manifest"), dir.join("wal")] {
        match disk.list(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(names) if names.is_empty() => {}
            Ok(_) => return Err(Error::Invalid(format!("{} is not empty", dir.display()))),
            Err(error) => return Err(Error::io("list", &place)(error)),
        }
    }
    Ok(())
}

/// An unfinished checkpoint is not a database.
pub(super) fn refuse_incomplete(disk: &Arc<dyn Disk>, dir: &Path) -> Result<()> {
    let marker = dir.join(INCOMPLETE);
    if disk.exists(&marker).map_err(Error::io("look for", &marker))? {
        let what = format!("{} is a checkpoint that was not finished: remove it", dir.display());
        return Err(Error::Invalid(what));
    }
    Ok(())
}
