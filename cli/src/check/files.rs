//! Files and directories that settings name.

use std::path::{Path, PathBuf};

use super::Findings;
use crate::encryption::EncryptionArguments;
use crate::failure::chain;

/// A directory that is made if it is not there.
pub(super) fn directory(flag: &str, path: &Path, findings: &mut Findings) {
    let place = format!("{flag} {}", path.display());
    let Some((nearest, is_there)) = nearest(path) else {
        findings.error(place, "none of the directories above it exists", "give an absolute path");
        return;
    };
    match std::fs::metadata(&nearest) {
        Err(error) => {
            findings.error(place, format!("{}: {error}", nearest.display()), "let this user reach it")
        }
        Ok(metadata) if !metadata.is_dir() => {
            findings.error(place, format!("{} is no directory", nearest.display()), "name another one");
        }
        // The file has no name, and is gone when it is closed.
        Ok(_) => {
            if let Err(error) = tempfile::tempfile_in(&nearest) {
                let remedy = "let this user own it: chown";
                findings.error(
                    place,
                    format!("nothing can be written to {}: {error}", nearest.display()),
                    remedy,
                );
            } else if is_there && std::fs::read_dir(&nearest).is_err() {
                findings.error(place, "it cannot be listed", "let this user own it: chown");
            }
        }
    }
}

/// The path, or the first above it that exists; whether it is the path itself.
fn nearest(path: &Path) -> Option<(PathBuf, bool)> {
    let absolute = std::path::absolute(path).ok()?;
    let found = absolute.ancestors().find(|path| path.symlink_metadata().is_ok())?;
    Some((found.to_owned(), found == absolute))
}

/// A directory that must be there.
pub(super) fn present_directory(path: &Path, findings: &mut Findings) {
    if let Err(error) = std::fs::read_dir(path) {
        findings.error(
            format!("--data {}", path.display()),
            error,
            "name the directory of a node that has stopped",
        );
    }
}

/// A file that is made if it is not there, and appended to.
pub(super) fn appendable(flag: &str, path: &Path, findings: &mut Findings) {
    let place = format!("{flag} {}", path.display());
    let outcome = match path.symlink_metadata() {
        // As it will be opened: a pipe that nobody reads yet is waited for otherwise.
        Ok(_) => std::fs::File::options().read(true).append(true).open(path).map(drop),
        Err(_) => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            tempfile::tempfile_in(parent.unwrap_or(Path::new("."))).map(drop)
        }
    };
    if let Err(error) = outcome {
        findings.error(
            place,
            format!("it cannot be written: {error}"),
            "make its directory, and let this user write there",
        );
    }
}

/// A file that must be there.
pub(super) fn readable(flag: &str, path: &Path, findings: &mut Findings) {
    let opened = std::fs::File::options().read(true).open(path).and_then(|file| file.metadata());
    let place = format!("{flag} {}", path.display());
    match opened {
        Err(error) => findings.error(place, format!("it cannot be read: {error}"), "name another one"),
        Ok(metadata) if metadata.is_dir() => findings.error(place, "it is a directory", "name a file"),
        Ok(_) => {}
    }
}

/// The master key of a data directory.
pub(super) fn master_key(arguments: &EncryptionArguments, findings: &mut Findings) {
    let Some(Some(source)) = findings.refusal(arguments.source()) else { return };
    if let Err(error) = source.read(&env::disk::RealDisk::new()) {
        let place = match &source {
            lsm::KeySource::Environment(name) => name.as_str(),
            _ => "--encryption-key-file",
        };
        findings.error(place, chain(&error), "make one: openssl rand -hex 32");
    }
    let Some(path) = &arguments.encryption_key_file else { return };
    if cert::others_can_read(path).unwrap_or(false) {
        let place = format!("--encryption-key-file {}", path.display());
        findings.warning(place, "others can read this key", format!("chmod 600 {}", path.display()));
    }
}
