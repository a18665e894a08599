//! The disk's door: append-only files, random reads, names in directories, and the syncs that make them last.
//!
//! [`RealDisk`] is the operating system's. [`MemoryDisk`] keeps everything in memory and forgets, when it crashes,
//! whatever was not synced; it also counts, fails and fills up on request.
//!
//! What a user of this trait may assume, and no more:
//! - the bytes of a file survive a crash up to its last [`AppendFile::sync_data`]; of what came later any part may be
//!   there, torn in any place;
//! - the length of a file, too, is what it was at that sync, or what it was made since ([`AppendFile::set_room`]);
//! - a name (created, renamed, linked, removed) survives a crash after [`Disk::sync_dir`] of its directory; before
//!   that each change may or may not be there, a rename as a whole;
//! - after a failed sync nothing is known about the file, and no later sync repairs that.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod memory;
mod memory_crash;
mod real;

pub use memory::{Fault, MemoryDisk};
pub use memory_crash::CrashMode;
pub use real::RealDisk;

/// A place that keeps files. All methods may be called from any thread.
pub trait Disk: Send + Sync + fmt::Debug {
    /// A new, empty file to append to. An existing one is an error ([`io::ErrorKind::AlreadyExists`]).
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;

    /// An existing file, to read at any offset.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>>;

    /// Cuts a file to `length` bytes and syncs it.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;

    /// The length of a file in bytes, [`io::ErrorKind::NotFound`] if there is none.
    fn length(&self, path: &Path) -> io::Result<u64>;

    /// Gives a file another name in one step; a file of that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name. Open files stay readable.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// A second name for the same file.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes a directory and its parents; an existing one is fine. The names are synced.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with all that is in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The names of the files (not of the directories) in a directory, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Makes the names in a directory last.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes a directory for this process until the guard is dropped. Held elsewhere:
    /// [`io::ErrorKind::WouldBlock`].
    fn lock_dir(&self, path: &Path) -> io::Result<Box<dyn DirectoryLock>>;

    /// Bytes that can still be written near `path`.
    fn available_bytes(&self, path: &Path) -> io::Result<u64>;

    /// What has been done on this disk so far.
    fn counters(&self) -> DiskCounters;

    /// The whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let length = usize::try_from(file.length()?)
            .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "file larger than memory"))?;
        let mut content = vec![0; length];
        file.read_exact_at(0, &mut content)?;
        Ok(content)
    }

    /// Whether there is a file of that name.
    fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.length(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts `content` under a name in one step that lasts: written aside, synced, renamed, directory synced.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let aside = PathBuf::from(format!("{}.new", path.display()));
        if self.exists(&aside)? {
            self.remove(&aside)?;
        }
        let mut file = self.create(&aside)?;
        file.append(content)?;
        file.sync_data()?;
        self.rename(&aside, path)?;
        match path.parent() {
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        }
    }
}

/// A file that is written at its end. If room was made behind it, the file is longer.
pub trait AppendFile: Send + fmt::Debug {
    /// Writes all of `bytes` at the end. After an error any part of them may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the file so many bytes longer than what was appended; they read as zeros until something is appended there.
    /// While there is room a sync need not make a new length last. After a crash, room that was not synced may be there or
    /// not.
    fn set_room(&mut self, bytes: u64) -> io::Result<()>;

    /// Makes what was appended, and the file's length, last (`fdatasync`).
    fn sync_data(&mut self) -> io::Result<()>;

    /// Bytes appended so far, without the room behind them.
    fn length(&self) -> u64;
}

/// A file that is read at any offset, from many threads at once.
pub trait ReadFile: Send + Sync + fmt::Debug {
    /// Fills `buffer` from `offset`; a file that ends before is [`io::ErrorKind::UnexpectedEof`].
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// The file's length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Reads will come in no order, and say themselves what they will need: a hint, which may do nothing.
    fn at_random(&self) {}

    /// These bytes will be read soon: a hint, which may do nothing.
    fn will_need(&self, _offset: u64, _length: u64) {}
}

/// Holds a directory until dropped.
pub trait DirectoryLock: Send + Sync + fmt::Debug {}

/// What a disk has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// Completed syncs of files and directories.
    pub syncs: u64,
    /// Calls that wrote to files.
    pub writes: u64,
    /// Bytes written to files.
    pub bytes_written: u64,
    /// Calls that read from files.
    pub reads: u64,
    /// Bytes read from files.
    pub bytes_read: u64,
}

#[cfg(test)]
mod tests;
