//! The one face that all engines show to the workloads.

use std::path::Path;

use super::setting::{Engine, Task};
use crate::failure::{Failure, Result};

/// An engine, open on a directory. All that is not said below is its default, and what is said is the same for all.
pub(crate) trait Store: Send + Sync {
    /// Sets a key, logged; with `sync` it returns when the log is synced.
    fn put(&self, key: &[u8], value: &[u8], sync: bool) -> Result<()>;

    /// Deletes a key, logged.
    fn delete(&self, key: &[u8]) -> Result<()>;

    /// Reads a key, without copying the value where the engine can; the value's length.
    fn get(&self, key: &[u8]) -> Result<Option<usize>>;

    /// Visits up to `limit` entries from `from` on, or from the last one at or before it down; how many there were.
    fn scan(
        &self,
        from: &[u8],
        reverse: bool,
        limit: u64,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64>;

    /// Writes what is in memory to tables and returns when no compaction is due any more.
    fn settle(&self) -> Result<()>;
}

/// Opens the engine of a task; the options that it is opened with go to standard error.
pub(crate) fn open(task: &Task) -> Result<Box<dyn Store>> {
    match task.engine {
        Engine::Nunatak => Ok(Box::new(super::nunatak::Nunatak::open(task)?)),
        #[cfg(feature = "peers")]
        Engine::Rocksdb => Ok(Box::new(super::peer_rocksdb::RocksDb::open(task)?)),
        #[cfg(feature = "peers")]
        Engine::Fjall => Ok(Box::new(super::peer_fjall::Fjall::open(task)?)),
        #[cfg(not(feature = "peers"))]
        Engine::Rocksdb | Engine::Fjall => Err(Failure::NotBuilt(task.engine.name())),
    }
}

/// Tells which engine an error came from.
pub(crate) fn failed<E>(engine: &'static str) -> impl FnOnce(E) -> Failure
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |source| Failure::Engine { engine, source: Box::new(source) }
}

/// Tells which file an error was about.
pub(crate) fn on_file(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.to_owned();
    move |source| Failure::File { path, source }
}
