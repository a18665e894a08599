//! A directory, on a disk of this machine or on one that all nodes see.
//!
//! A file is written aside, synced, renamed, and its directory synced: what is there under its name lasts, and only who runs this
//! program can read it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use env::disk::Disk;
use env::{random, task};

use super::too_long;
use crate::error::{Error, Result};

#[derive(Clone)]
pub(super) struct Directory {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

impl Directory {
    pub(super) fn new(disk: Arc<dyn Disk>, root: &str) -> Self {
        Self { disk, root: PathBuf::from(root) }
    }

    pub(super) async fn put(&self, name: &str, content: Vec<u8>) -> Result<()> {
        let (disk, path) = (self.disk.clone(), self.root.join(name));
        let written = task::blocking(move || {
            if let Some(parent) = path.parent() {
                disk.create_dir_all(parent)?;
            }
            disk.replace(&path, &content)
        });
        finished(written.await).map_err(|source| Error::Io { doing: "write", name: name.to_owned(), source })
    }

    /// Written aside and then given its name as a second one, which fails where it is taken.
    pub(super) async fn claim(&self, name: &str, content: Vec<u8>) -> Result<()> {
        let (disk, path) = (self.disk.clone(), self.root.join(name));
        let random: String = random::id().iter().map(|byte| format!("{byte:02x}")).collect();
        let aside = self.root.join(format!("{name}.{random}.new"));
        let claimed = task::blocking(move || {
            if let Some(parent) = path.parent() {
                disk.create_dir_all(parent)?;
            }
            let mut file = disk.create(&aside)?;
            let linked = file
                .append(&content)
                .and_then(|()| file.sync_data())
                .and_then(|()| disk.hard_link(&aside, &path));
            disk.remove(&aside)?;
            linked?;
            path.parent().map_or(Ok(()), |parent| disk.sync_dir(parent))
        });
        finished(claimed.await).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists(name.to_owned()),
            _ => Error::Io { doing: "write", name: name.to_owned(), source },
        })
    }

    pub(super) async fn get(&self, name: &str, bytes_max: u64) -> Result<Bytes> {
        let (disk, path) = (self.disk.clone(), self.root.join(name));
        let read = task::blocking(move || match disk.length(&path)? {
            bytes if bytes > bytes_max => Ok(Err(bytes)),
            _ => disk.read(&path).map(Ok),
        });
        let read = finished(read.await).map_err(Error::io("read", name))?;
        read.map(Bytes::from).map_err(|bytes| too_long(name, bytes, bytes_max))
    }

    pub(super) async fn has(&self, name: &str) -> Result<bool> {
        let (disk, path) = (self.disk.clone(), self.root.join(name));
        let found = task::blocking(move || disk.exists(&path));
        finished(found.await).map_err(Error::io("look for", name))
    }

    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        let (disk, path) = (self.disk.clone(), self.root.join(name));
        let removed = task::blocking(move || match disk.remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        });
        finished(removed.await).map_err(Error::io("remove", name))
    }

    pub(super) async fn names(&self) -> Result<Vec<String>> {
        let (disk, root) = (self.disk.clone(), self.root.clone());
        let listed = finished(task::blocking(move || disk.list(&root)).await);
        match listed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => {
                let name = self.root.display().to_string();
                Err(Error::Io { doing: "list", name, source })
            }
            Ok(names) => Ok(names),
        }
    }
}

/// What a thread has done, if it could end.
fn finished<T>(done: Result<io::Result<T>, task::JoinError>) -> io::Result<T> {
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}
