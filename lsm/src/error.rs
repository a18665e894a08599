//! The engine's error.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What can go wrong in the engine. Cheap to clone: one failed sync is told to every waiter.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The disk failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A file does not hold what was written to it.
    #[error("{} is corrupt at offset {offset}: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A file was written by a newer version of this program.
    #[error("{} has format version {found}, newer than {known}, the newest this program knows", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest known version.
        known: u32,
    },
    /// Another process works on the directory.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A key is missing, wrong, or not one. Nothing has been changed on disk.
    #[error("{}: {what}", path.display())]
    Key {
        /// The key store, key file or encrypted file, or the variable.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// An earlier write, sync or flush failed; the engine answers nothing more until it is opened again.
    #[error("stopped after an earlier failure")]
    Poisoned(#[source] Arc<Error>),
    /// The caller asked for something that makes no sense.
    #[error("invalid: {0}")]
    Invalid(String),
    /// The database or log has been closed.
    #[error("closed")]
    Closed,
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err`: what was attempted, and on which file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source: Arc::new(source) }
    }

    pub(crate) fn corrupt(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), offset, what: what.into() }
    }

    pub(crate) fn key(path: &Path, what: impl Into<String>) -> Self {
        Self::Key { path: path.to_owned(), what: what.into() }
    }

    /// Whether the disk had no room.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Poisoned(cause) => cause.is_disk_full(),
            _ => false,
        }
    }

    /// Whether a file was found damaged.
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Poisoned(cause) => cause.is_corrupt(),
            _ => false,
        }
    }
}
