//! Places that may be used: whoever names one in a statement has no more of this machine's files than whoever runs it lets backups lie
//! at.

use std::sync::Arc;

use env::disk::Disk;

use super::Place;
use super::url::{Scheme, Url};
use crate::error::{Error, Result};

/// Where backups may lie: at these places, and at all that are below them. At first, nowhere.
///
/// It is the names that are compared, part by part: where a directory leads that is a symbolic link is up to who has made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(Vec<Allowed>);

/// A URL, cut into its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowed {
    scheme: Scheme,
    parts: Vec<String>,
}

impl Places {
    /// Those of URLs.
    ///
    /// # Errors
    /// One names no place.
    pub fn of<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Result<Self> {
        let mut places = Vec::new();
        for url in urls {
            places.push(Allowed::of(url.as_ref())?);
        }
        Ok(Self(places))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The place that a URL names, if it may be used. `./DIR` lies below the first that may be.
    ///
    /// # Errors
    /// [`Error::NotAllowed`]; as [`Place::on`].
    pub fn place(&self, disk: Arc<dyn Disk>, url: &str) -> Result<Place> {
        if let Some(path) = url.strip_prefix("./") {
            let first = self.0.first().ok_or_else(|| Error::NotAllowed(url.to_owned()))?;
            return self.place(disk, &format!("{}/{path}", first.url()));
        }
        let wanted = Allowed::of(url)?;
        let place = Place::on(disk, url)?;
        let holds = |own: &Allowed| own.scheme == wanted.scheme && wanted.parts.starts_with(&own.parts);
        match self.0.iter().any(holds) {
            true => Ok(place),
            false => Err(Error::NotAllowed(url.to_owned())),
        }
    }
}

impl Allowed {
    fn of(url: &str) -> Result<Self> {
        let url = Url::parse(url)?;
        Ok(Self { scheme: url.scheme, parts: url.parts().map(str::to_owned).collect() })
    }

    /// Its URL.
    fn url(&self) -> String {
        let begins = match self.scheme {
            Scheme::Directory => "file:///",
            Scheme::Bucket => "s3://",
        };
        format!("{begins}{}", self.parts.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use env::disk::MemoryDisk;

    use super::*;

    #[test]
    fn what_lies_below_an_allowed_place_may_be_used() {
        let places = Places::of(["file:///srv/backups/", "s3://bucket/prefix"]).unwrap();
        let asked =
            |url: &str| places.place(Arc::new(MemoryDisk::new()), url).map(|place| place.url().to_owned());
        for url in ["file:///srv/backups", "file:///srv/./backups//", "file:///srv/backups/one/two"] {
            assert_eq!(asked(url).unwrap(), url);
        }
        for url in
            ["file:///", "file:///srv", "file:///srv/backups2", "file:///etc/nunatak", "file:///srv//etc"]
        {
            assert!(matches!(asked(url), Err(Error::NotAllowed(_))), "{url}");
        }
        for url in [
            "file:///srv/backups/../../etc",
            "file:///srv/backups/a\0b",
            "file://srv/backups",
            "srv",
            "s3://",
        ] {
            assert!(matches!(asked(url), Err(Error::Location { .. })), "{url}");
        }
        // Of a program that was not built for buckets that is the first thing to say.
        assert!(asked("s3://bucket2").is_err());
        let nowhere = Places::default().place(Arc::new(MemoryDisk::new()), "file:///srv/backups");
        assert!(matches!(nowhere, Err(Error::NotAllowed(_))));
        assert!(Places::of(["/srv"]).is_err());
        // What begins nowhere begins at the first.
        assert_eq!(asked("./one/two").unwrap(), "file:///srv/backups/one/two");
        assert!(matches!(asked("./../etc"), Err(Error::Location { .. })));
        let nowhere = Places::default().place(Arc::new(MemoryDisk::new()), "./one");
        assert!(matches!(nowhere, Err(Error::NotAllowed(_))));
        let anywhere = Places::of(["file:///"]).unwrap();
        assert!(anywhere.place(Arc::new(MemoryDisk::new()), "file:///srv").is_ok());
    }
}
