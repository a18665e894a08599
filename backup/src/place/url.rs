//! URLs of places.

use crate::error::{Error, Result};

/// What keeps the files of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// file://
    Directory,
    /// s3://
    Bucket,
}

/// A URL that names a place.
pub(super) struct Url<'a> {
    pub(super) scheme: Scheme,
    /// What stands behind the scheme: the path of a directory, or the bucket and what names begin with there.
    pub(super) path: &'a str,
}

impl<'a> Url<'a> {
    pub(super) fn parse(url: &'a str) -> Result<Self> {
        let wrong = |what: &'static str| Error::Location { url: url.to_owned(), what };
        let of = |scheme: Scheme, begins: &str| Some(Self { scheme, path: url.strip_prefix(begins)? });
        let found = of(Scheme::Directory, "file://").or_else(|| of(Scheme::Bucket, "s3://"));
        let found = found.ok_or_else(|| wrong("it begins with file:// or s3://"))?;
        match found.scheme {
            Scheme::Directory if !found.path.starts_with('/') => {
                return Err(wrong("the path of a directory begins with /: file:///…"));
            }
            Scheme::Bucket if found.path.is_empty() || found.path.starts_with('/') => {
                return Err(wrong("it names no bucket: s3://BUCKET/…"));
            }
            _ => {}
        }
        if found.path.split('/').any(|part| part == "..") || found.path.contains('\0') {
            return Err(wrong("its path has no parts that lead out of it"));
        }
        Ok(found)
    }

    /// The parts of the path, however often it says / or . between them.
    pub(super) fn parts(&self) -> impl Iterator<Item = &'a str> {
        self.path.split('/').filter(|part| !part.is_empty() && *part != ".")
    }
}
