//! Where backups lie: a directory that all nodes see, or a bucket.
//!
//! A place keeps files by names such as `a/b.data`. Whoever puts one puts it whole: it is there with all its bytes, lasting, or it is
//! not there under its name.

mod allowed;
#[cfg(feature = "s3")]
mod bucket;
mod directory;
mod url;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use env::disk::Disk;

pub use self::allowed::Places;
#[cfg(feature = "s3")]
use self::bucket::Bucket;
use self::directory::Directory;
use self::url::{Scheme, Url};
use crate::error::{Error, Result};

/// A place that keeps backups. Clones are the same place.
#[derive(Clone)]
pub struct Place {
    url: Arc<str>,
    at: At,
}

/// What keeps the files.
#[derive(Clone)]
enum At {
    Directory(Directory),
    #[cfg(feature = "s3")]
    Bucket(Bucket),
}

impl Place {
    /// The place that a URL names: `file:///…` is a directory of a disk, best one that all nodes see; `s3://BUCKET/…` a part of a
    /// bucket, where the program was built for that. What others may name is asked of [`Places`].
    ///
    /// # Errors
    /// The URL names none, or one that this program cannot reach.
    pub fn on(disk: Arc<dyn Disk>, url: &str) -> Result<Self> {
        let Url { scheme, path } = Url::parse(url)?;
        let at = match scheme {
            Scheme::Directory => At::Directory(Directory::new(disk, path)),
            Scheme::Bucket => Self::bucket(path)?,
        };
        Ok(Self { url: url.into(), at })
    }

    #[cfg(feature = "s3")]
    fn bucket(path: &str) -> Result<At> {
        Ok(At::Bucket(Bucket::new(path)?))
    }

    #[cfg(not(feature = "s3"))]
    fn bucket(_: &str) -> Result<At> {
        Err(Error::Unsupported(
            "a place in a bucket (s3://), for which this program was not built,".to_owned(),
        ))
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Puts a file under a name, in place of one that is there.
    pub async fn put(&self, name: &str, content: Vec<u8>) -> Result<()> {
        match &self.at {
            At::Directory(directory) => directory.put(name, content).await,
            #[cfg(feature = "s3")]
            At::Bucket(bucket) => bucket.put(name, content).await,
        }
    }

    /// Puts a file under a name that there is not yet: of two who do so at once, with content that is not the same, one does.
    ///
    /// # Errors
    /// [`Error::Exists`]
    pub async fn claim(&self, name: &str, content: Vec<u8>) -> Result<()> {
        match &self.at {
            At::Directory(directory) => directory.claim(name, content).await,
            #[cfg(feature = "s3")]
            At::Bucket(bucket) => bucket.claim(name, content).await,
        }
    }

    /// All of a file, which has no more bytes than so many.
    pub async fn get(&self, name: &str, bytes_max: u64) -> Result<Bytes> {
        match &self.at {
            At::Directory(directory) => directory.get(name, bytes_max).await,
            #[cfg(feature = "s3")]
            At::Bucket(bucket) => bucket.get(name, bytes_max).await,
        }
    }

    /// Whether there is a file.
    pub async fn has(&self, name: &str) -> Result<bool> {
        match &self.at {
            At::Directory(directory) => directory.has(name).await,
            #[cfg(feature = "s3")]
            At::Bucket(bucket) => bucket.has(name).await,
        }
    }

    /// Removes a file; one that is not there is fine.
    pub async fn remove(&self, name: &str) -> Result<()> {
        match &self.at {
            At::Directory(directory) => directory.remove(name).await,
            #[cfg(feature = "s3")]
            At::Bucket(bucket) => bucket.remove(name).await,
        }
    }

    /// The names of the files that have no directory in theirs, sorted; none where there is no such place.
    pub async fn names(&self) -> Result<Vec<String>> {
        match &self.at {
            At::Directory(directory) => directory.names().await,
            #[cfg(feature = "s3")]
            At::Bucket(bucket) => bucket.names().await,
        }
    }
}

/// A file is longer than it may be.
fn too_long(name: &str, bytes: u64, bytes_max: u64) -> Error {
    Error::damaged(name, format!("it has {bytes} bytes, where {bytes_max} are the most"))
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.url).finish()
    }
}
