//! What goes wrong with backups.

use std::io;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What goes wrong. Each says where.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A URL that names no place.
    #[error("invalid backup location \"{url}\": {what}")]
    Location {
        /// The URL.
        url: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A place that whoever runs this program does not let backups lie at.
    #[error("backup location \"{0}\" is not allowed: it lies in no --backup-place of this process")]
    NotAllowed(String),
    /// Something that this program does not do.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// The place could not be read or written.
    #[error("could not {doing} \"{name}\" of the backup: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// A file that was to be made is there already.
    #[error("file \"{0}\" of the backup is there already")]
    Exists(String),
    /// A file of a backup is not there.
    #[error("file \"{0}\" of the backup is missing")]
    Missing(String),
    /// A file of a backup is not what was written.
    #[error("file \"{name}\" of the backup is damaged: {what}")]
    Damaged {
        /// The file.
        name: String,
        /// What was found.
        what: String,
    },
    /// A file of a backup was written by a newer program.
    #[error("file \"{name}\" of the backup was written by a newer version (format {version})")]
    Newer {
        /// The file.
        name: String,
        /// Its format.
        version: u32,
    },
    /// The key is not there, or not the one.
    #[error("{0}")]
    Key(String),
    /// No backup holds what was asked for.
    #[error("{0}")]
    NotCovered(String),
}

impl Error {
    pub(crate) fn damaged(name: &str, what: impl Into<String>) -> Self {
        Self::Damaged { name: name.to_owned(), what: what.into() }
    }

    pub(crate) fn io(doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> Self {
        let name = name.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::Missing(name),
            _ => Self::Io { doing, name, source },
        }
    }
}
