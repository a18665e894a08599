//! Data keys: rows of the catalog and of tables, and entries of their indexes.
//!
//! ```text
//! row or entry   'd' tenant area index-id  column…  suffix
//! area           's' for indexes of the catalog (id < SYSTEM_INDEX_IDS), 't' for all others
//! index-id       ordered varint, see `encode::put_varint`
//! column         see `encode` and `expr::key`
//! suffix         0 = the whole row; other values are kept for column groups and chunks of a row
//! ```

use bytes::Bytes;

use crate::encode::{self, Malformed};
use crate::keyspace::DATA;
use crate::span::Span;

/// The tenant byte of a cluster that has one tenant.
pub const TENANT_DEFAULT: u8 = 1;

/// Ids of indexes below this belong to the SQL catalog.
pub const SYSTEM_INDEX_IDS: u64 = 1024;

/// Ids of indexes that have this bit are branches: their keys lie over those of another index, as that was at a moment.
/// Whoever reads one of their keys has to know.
const BRANCH: u64 = 1 << 40;

/// The suffix byte of a whole row.
pub const SUFFIX_ROW: u8 = 0;
/// The suffix of the key beside a row's that stands for its being referenced by others. No value is ever stored under it, deletions are.
pub const SUFFIX_REFERENCE: u8 = 1;

const AREA_SYSTEM: u8 = b's';
const AREA_TABLES: u8 = b't';
const AREA_KV: u8 = b'k';

/// All data keys.
pub fn data_span() -> Span {
    Span::prefix(vec![DATA])
}

/// What every key of an index begins with.
pub fn index_prefix(tenant: u8, index_id: u64) -> Bytes {
    let area = if index_id < SYSTEM_INDEX_IDS { AREA_SYSTEM } else { AREA_TABLES };
    let mut key = Vec::with_capacity(16);
    key.extend_from_slice(&[DATA, tenant, area]);
    encode::put_varint(index_id, &mut key);
    key.into()
}

/// All keys of an index.
pub fn index_span(tenant: u8, index_id: u64) -> Span {
    Span::prefix(index_prefix(tenant, index_id))
}

/// The tenant and index id at the front of a key, and the columns behind them.
pub fn split_index_key(key: &[u8]) -> Result<(u8, u64, &[u8]), Malformed> {
    match key {
        [DATA, tenant, AREA_SYSTEM | AREA_TABLES, rest @ ..] => {
            let mut rest = rest;
            let index_id = encode::take_varint(&mut rest)?;
            Ok((*tenant, index_id, rest))
        }
        _ => Err(Malformed("index key")),
    }
}

/// The id of the branch that an id of no other index makes.
pub fn to_branch(index_id: u64) -> u64 {
    index_id | BRANCH
}

/// Whether an index is a branch.
pub fn is_branch(index_id: u64) -> bool {
    index_id & BRANCH != 0
}

/// The branch that a key is of, if it is of one.
pub fn branch_of(key: &[u8]) -> Option<u64> {
    let (_, index_id, _) = split_index_key(key).ok()?;
    is_branch(index_id).then_some(index_id)
}

/// Where a span may be cut at about a key, or a separator between two, so that no row's groups of columns come apart: at the
/// front of the row. It does not lie behind the key.
pub fn row_border(key: Bytes) -> Bytes {
    let is_row = matches!(split_index_key(&key), Ok((_, _, [_, ..])));
    // The suffix is one byte, and no separator is longer than the keys on its sides.
    if is_row { key.slice(..key.len() - 1) } else { key }
}

/// A plain key.
pub fn kv_key(tenant: u8, key: &[u8]) -> Bytes {
    [&[DATA, tenant, AREA_KV], key].concat().into()
}

/// The catalog version: a u64, big-endian, that every DDL writes. Sorts before every catalog row, whose index ids
/// start at 1.
pub fn catalog_version_key() -> Bytes {
    index_prefix(TENANT_DEFAULT, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_keys_come_apart_again() {
        for index_id in [1, 500, SYSTEM_INDEX_IDS, 1 << 40] {
            let key = [index_prefix(TENANT_DEFAULT, index_id).as_ref(), b"rest"].concat();
            assert_eq!(split_index_key(&key), Ok((TENANT_DEFAULT, index_id, &b"rest"[..])));
            assert!(index_span(TENANT_DEFAULT, index_id).contains(&key));
            assert!(!index_span(TENANT_DEFAULT, index_id + 1).contains(&key));
            assert!(data_span().contains(&key));
        }
        assert!(split_index_key(b"r").is_err());
    }

    #[test]
    fn a_branch_is_told_by_its_keys() {
        let branch = to_branch(SYSTEM_INDEX_IDS + 5);
        let span = index_span(TENANT_DEFAULT, branch);
        let row = [span.start.as_ref(), b"row\0"].concat();
        assert_eq!((branch_of(&row), branch_of(&span.start)), (Some(branch), Some(branch)));
        assert!(is_branch(branch) && !is_branch(SYSTEM_INDEX_IDS + 5));
        for other in [index_prefix(TENANT_DEFAULT, SYSTEM_INDEX_IDS + 5), kv_key(TENANT_DEFAULT, b"\xf6")] {
            assert_eq!(branch_of(&other), None);
        }
        assert_eq!((branch_of(b""), branch_of(b"r")), (None, None));
    }

    #[test]
    fn no_row_is_cut_between_its_groups_of_columns() {
        let table = index_prefix(TENANT_DEFAULT, SYSTEM_INDEX_IDS);
        let row = |columns: &[u8]| Bytes::from([table.as_ref(), columns].concat());
        assert_eq!(row_border(row(b"ab\0")), row(b"ab"));
        assert_eq!(row_border(row(b"ab\x07")), row(b"ab"));
        assert_eq!(row_border(row(b"a")), table);
        assert_eq!(row_border(table.clone()), table);
        for plain in [kv_key(TENANT_DEFAULT, b"ab\0"), catalog_version_key(), Bytes::from_static(b"d")] {
            assert_eq!(row_border(plain.clone()), plain);
        }
    }

    #[test]
    fn the_catalog_version_is_no_row_of_the_catalog() {
        let key = catalog_version_key();
        assert!((1..10).all(|index_id| !index_span(TENANT_DEFAULT, index_id).contains(&key)));
        assert!(key < index_prefix(TENANT_DEFAULT, 1));
    }
}
