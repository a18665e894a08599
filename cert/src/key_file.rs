//! Private keys in files, which nobody but their owner may read.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A private key is not taken from its file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others can read it, too.
    #[error(
        "{}: others can read this private key: its mode must be 0600 or less, or 0640 or less if root owns it",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
    },
}

/// The text of the file, if nobody but its owner can read it; one of root's may be readable to a group, as PostgreSQL
/// has it.
///
/// # Errors
/// It cannot be read, or others can.
pub fn read_private_key(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let unreadable = |source| KeyFileError::Unreadable { path: path.to_owned(), source };
    if others_can_read(path).map_err(unreadable)? {
        return Err(KeyFileError::Exposed { path: path.to_owned() });
    }
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(unreadable)
}

/// Whether others than a key's owner can read its file; one of root's may be readable to a group.
///
/// # Errors
/// There is no such file, or it cannot be looked at.
pub fn others_can_read(path: &Path) -> std::io::Result<bool> {
    let metadata = std::fs::metadata(path)?;
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    Ok(metadata.mode() & forbidden != 0)
}
