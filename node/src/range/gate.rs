//! The catalog gate: no operation runs under a schema that is not the one in force.
//!
//! A request says which catalog version it was planned under. The version is an ordinary key of the data, which every
//! change of the schema writes; comparing a request with it counts as reading that key. Its newest version is cached,
//! so that the comparison costs a point operation without the engine.

use bytes::Bytes;
use parking_lot::RwLock;

use super::memory::Slot;
use super::refusal::Refusal;
use super::version;

/// The catalog version as one term of a range knows it.
///
/// # Invariants
///
/// - What is cached is the newest version applied here: it is filled under the lock, and forgotten after a change is
///   applied and before that change's mark is taken away.
pub(crate) struct CatalogGate {
    key: Bytes,
    slot: Slot,
    /// Timestamp and catalog version of the key's newest version; (0, 0) if there is none.
    newest: RwLock<Option<(u64, u64)>>,
}

impl CatalogGate {
    /// A gate that has not read anything yet.
    pub(crate) fn new() -> Self {
        let key = keys::sql::catalog_version_key();
        Self { slot: Slot::of(&key), key, newest: RwLock::new(None) }
    }

    /// The key that the version is kept under.
    pub(crate) fn key(&self) -> &Bytes {
        &self.key
    }

    /// That key's slot.
    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    /// Refuses what was planned under another version than the one at `at`; 0 depends on none. That counts as a read of the
    /// key: it is remembered, and what is under way on it at or below `at` was waited for.
    pub(crate) fn check_at(&self, planned: u64, at: u64, db: &lsm::Db) -> Result<(), Refusal> {
        if planned == 0 {
            return Ok(());
        }
        let (timestamp, newest) = self.newest(db)?;
        compare(planned, if at >= timestamp { newest } else { read(db, &self.key, at)?.1 })
    }

    /// Refuses what was planned under another version than the newest one; 0 depends on none.
    pub(crate) fn check_newest(&self, planned: u64, db: &lsm::Db) -> Result<(), Refusal> {
        if planned == 0 { Ok(()) } else { compare(planned, self.newest(db)?.1) }
    }

    /// The version has changed.
    pub(crate) fn forget(&self) {
        *self.newest.write() = None;
    }

    fn newest(&self, db: &lsm::Db) -> Result<(u64, u64), Refusal> {
        if let Some(newest) = *self.newest.read() {
            return Ok(newest);
        }
        let mut cached = self.newest.write();
        let newest = read(db, &self.key, u64::MAX)?;
        *cached = Some(newest);
        Ok(newest)
    }
}

fn compare(planned: u64, current: u64) -> Result<(), Refusal> {
    if planned == current { Ok(()) } else { Err(Refusal::StaleCatalog { current }) }
}

fn read(db: &lsm::Db, key: &[u8], at: u64) -> Result<(u64, u64), Refusal> {
    let Some(found) = db.get_at(key, at)? else { return Ok((0, 0)) };
    let Some(stored) = found.value else { return Ok((found.timestamp, 0)) };
    let (_, value) = version::decode(stored)?;
    let version = <[u8; 8]>::try_from(value.as_ref())
        .map_err(|_| Refusal::Unavailable("the catalog version is not a number of 8 bytes".to_owned()))?;
    Ok((found.timestamp, u64::from_be_bytes(version)))
}
