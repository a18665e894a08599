//! A bucket that speaks S3.
//!
//! Where it is and who asks stands in the environment of each process, by the names that Amazon's own programs know:
//! `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL` and the others. An object is there once all of
//! it is.

use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutPayload, RetryConfig};

use super::too_long;
use crate::error::{Error, Result};

/// How long a request is tried again, and how often.
const PATIENCE: Duration = Duration::from_secs(60);
const ATTEMPTS_MAX: usize = 8;

#[derive(Clone)]
pub(super) struct Bucket {
    store: AmazonS3,
    /// What names begin with there.
    prefix: String,
}

impl Bucket {
    /// The one of `bucket/prefix`.
    pub(super) fn new(place: &str) -> Result<Self> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let retry =
            RetryConfig { max_retries: ATTEMPTS_MAX, retry_timeout: PATIENCE, ..RetryConfig::default() };
        let store = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).build();
        let store = store.map_err(|error| Error::io("reach", place)(error.into()))?;
        Ok(Self { store, prefix: prefix.trim_matches('/').to_owned() })
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    pub(super) async fn put(&self, name: &str, content: Vec<u8>) -> Result<()> {
        let put = self.store.put(&self.path(name), PutPayload::from(content)).await;
        put.map_err(|error| Error::Io { doing: "write", name: name.to_owned(), source: error.into() })?;
        Ok(())
    }

    pub(super) async fn claim(&self, name: &str, content: Vec<u8>) -> Result<()> {
        let content = Bytes::from(content);
        let payload = PutPayload::from(content.clone());
        match self.store.put_opts(&self.path(name), payload, PutMode::Create.into()).await {
            Ok(_) => Ok(()),
            // An attempt of this one, whose answer was lost, may have put it.
            Err(object_store::Error::AlreadyExists { .. }) => {
                own(name, &content, self.get(name, content.len() as u64).await)
            }
            Err(error) => Err(Error::Io { doing: "write", name: name.to_owned(), source: error.into() }),
        }
    }

    pub(super) async fn get(&self, name: &str, bytes_max: u64) -> Result<Bytes> {
        let failed = |error: object_store::Error| Error::io("read", name)(error.into());
        let found = self.store.get(&self.path(name)).await.map_err(failed)?;
        if found.meta.size > bytes_max {
            return Err(too_long(name, found.meta.size, bytes_max));
        }
        found.bytes().await.map_err(failed)
    }

    pub(super) async fn has(&self, name: &str) -> Result<bool> {
        match self.store.head(&self.path(name)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(Error::io("look for", name)(error.into())),
        }
    }

    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Error::io("remove", name)(error.into())),
        }
    }

    pub(super) async fn names(&self) -> Result<Vec<String>> {
        let prefix = Path::from(self.prefix.as_str());
        let listed = self.store.list_with_delimiter(Some(&prefix)).await;
        let listed = listed.map_err(|error| Error::io("list", &self.prefix)(error.into()))?;
        let mut names: Vec<String> = listed
            .objects
            .iter()
            .filter_map(|object| object.location.filename().map(str::to_owned))
            .collect();
        names.sort();
        Ok(names)
    }
}

/// Whether what was found under a name is what was to be put there.
fn own(name: &str, content: &Bytes, found: Result<Bytes>) -> Result<()> {
    match found {
        Ok(found) if found == *content => Ok(()),
        // It is another one, or longer.
        Ok(_) | Err(Error::Damaged { .. }) => Err(Error::Exists(name.to_owned())),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_his_own_has_put_it() {
        let content = Bytes::from_static(b"own");
        assert!(own("a", &content, Ok(content.clone())).is_ok());
        for other in [Ok(Bytes::from_static(b"ow")), Ok(Bytes::from_static(b"owe")), Err(too_long("a", 4, 3))]
        {
            assert!(matches!(own("a", &content, other), Err(Error::Exists(name)) if name == "a"));
        }
        let gone = Error::io("read", "a")(std::io::ErrorKind::NotFound.into());
        assert!(matches!(own("a", &content, Err(gone)), Err(Error::Missing(_))));
    }
}
