//! The file that a key of backups stands in, on the machine of the gateway.

use std::path::PathBuf;

use backup::SecretKey;
use env::disk::{Disk, RealDisk};
use env::task;

use crate::error::{Error, Result};

/// A file with a key is no longer than this.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// The key that stands in a file of this gateway's machine.
pub(crate) async fn read_key(path: String) -> Result<SecretKey> {
    let file = PathBuf::from(&path);
    let read = task::blocking(move || {
        let disk = RealDisk::new();
        match disk.length(&file)? {
            ..=KEY_FILE_BYTES_MAX => disk.read(&file),
            _ => Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge)),
        }
    });
    let content = read.await.map_err(|_| Error::new("57P01", "the gateway is stopping"))?;
    let content = content.map_err(|error| {
        let sqlstate = if error.kind() == std::io::ErrorKind::NotFound { "58P01" } else { "58030" };
        Error::new(sqlstate, format!("could not read the encryption key from \"{path}\": {error}"))
    })?;
    let content = zeroize::Zeroizing::new(content);
    Ok(SecretKey::parse(&content)?)
}
