//! Indexes that are being built beside others' statements, each with the signs of life of who builds it.
//!
//! ```text
//! build    index 38, index id (u64), suffix 0       version (u8), then u32 database, u32 table, u32 index, u64 signs, big-endian
//! ```
//!
//! A row is there from the transaction on that makes the index's record, under which all writes maintain it and none of the reads
//! uses it, until the one that makes it public or takes it away. Who builds it counts the signs up; who finds the same
//! number for long takes the index away.

use bytes::{Buf, Bytes};
use keys::Span;
use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT};

use super::{IndexId, Oid};
use crate::error::{Error, Result};

/// The index of indexes that are being built.
const BUILDS: u64 = 38;

/// The version of the format.
const VERSION: u8 = 1;

/// The bytes of a row.
const ROW_BYTES: usize = 1 + 3 * 4 + 8;

/// An index that is being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Where its entries are.
    pub index: IndexId,
    /// The database that it is in.
    pub database: Oid,
    /// Its table.
    pub table: Oid,
    /// Its identity.
    pub oid: Oid,
    /// How often who builds it has shown that it goes on.
    pub signs: u64,
}

impl Build {
    /// The key of its row.
    pub fn key(&self) -> Bytes {
        let mut key = keys::sql::index_prefix(TENANT_DEFAULT, BUILDS).to_vec();
        key.extend_from_slice(&self.index.to_be_bytes());
        key.push(SUFFIX_ROW);
        key.into()
    }

    /// Its row.
    pub fn encode(&self) -> Bytes {
        let mut row = Vec::with_capacity(ROW_BYTES);
        row.push(VERSION);
        for oid in [self.database, self.table, self.oid] {
            row.extend_from_slice(&oid.to_be_bytes());
        }
        row.extend_from_slice(&self.signs.to_be_bytes());
        row.into()
    }

    /// What a row stands for.
    ///
    /// # Errors
    /// XX001: it is damaged. 0A000: it is newer than this code.
    pub fn decode(key: &[u8], mut row: &[u8]) -> Result<Self> {
        let damaged = || Error::new("XX001", "the row of an index that is being built is damaged");
        let version = row.try_get_u8().map_err(|_| damaged())?;
        if version > VERSION {
            let message = format!("an index is being built by a newer version (format {version})");
            return Err(Error::new("0A000", message));
        }
        if row.len() != ROW_BYTES - 1 {
            return Err(damaged());
        }
        let mut oid = || row.try_get_u32().map_err(|_| damaged());
        let (database, table, of_index) = (oid()?, oid()?, oid()?);
        let signs = row.try_get_u64().map_err(|_| damaged())?;
        let index = index_of(key).ok_or_else(damaged)?;
        Ok(Self { index, database, table, oid: of_index, signs })
    }
}

fn index_of(key: &[u8]) -> Option<IndexId> {
    let prefix = keys::sql::index_prefix(TENANT_DEFAULT, BUILDS);
    let id = key.strip_prefix(prefix.as_ref())?.strip_suffix(&[SUFFIX_ROW])?;
    Some(u64::from_be_bytes(id.try_into().ok()?))
}

/// Where the rows are.
pub fn span() -> Span {
    keys::sql::index_span(TENANT_DEFAULT, BUILDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stands_for_its_build() {
        let build = Build { index: 5_000, database: 5, table: 20_000, oid: 20_001, signs: 7 };
        assert_eq!(Build::decode(&build.key(), &build.encode()).unwrap(), build);
        assert!(span().contains(&build.key()));
    }

    #[test]
    fn what_is_damaged_or_newer_is_said() {
        let build = Build { index: 5_000, database: 5, table: 20_000, oid: 20_001, signs: 7 };
        let (key, row) = (build.key(), build.encode());
        let long = [&row[..], &[0]].concat();
        for wrong in [&row[..0], &row[..5], &long[..]] {
            assert_eq!(Build::decode(&key, wrong).unwrap_err().sqlstate, "XX001");
        }
        assert_eq!(Build::decode(b"else", &row).unwrap_err().sqlstate, "XX001");
        assert_eq!(Build::decode(&key, &[VERSION + 1]).unwrap_err().sqlstate, "0A000");
    }
}
