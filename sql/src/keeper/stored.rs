//! Tenures, and what is kept under them, as rows.
//!
//! ```text
//! key = the prefix of index KEPT, a kind, and                                       value
//!   1  id of a tenure (16 bytes)                                      suffix 0      its number, u64
//!   2  id of a tenure, session (u64), index id (u64), big-endian      suffix 0      nothing
//! ```
//!
//! The number is the version of the format, one byte, and eight bytes, big-endian; 0: the tenure is forfeit.

use bytes::Bytes;
use keys::Span;
use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT};

use crate::catalog::IndexId;
use crate::error::{Error, Result};

/// The index id of the keys.
const KEPT: u64 = 22;

/// The version of the format.
const VERSION: u8 = 1;

const TENURE: u8 = 1;
const KEY: u8 = 2;

/// The bytes of a tenure's id.
const ID_BYTES: usize = 16;

fn prefix(kind: u8) -> Vec<u8> {
    let mut key = keys::sql::index_prefix(TENANT_DEFAULT, KEPT).to_vec();
    key.push(kind);
    key
}

/// The key of a tenure's row.
pub(super) fn tenure_key(id: &[u8]) -> Bytes {
    let mut key = prefix(TENURE);
    key.extend_from_slice(id);
    key.push(SUFFIX_ROW);
    key.into()
}

/// Where the rows of all tenures are.
pub(super) fn tenures() -> Span {
    Span::prefix(prefix(TENURE))
}

/// The id of the tenure that a row stands for.
pub(super) fn tenure_of(key: &[u8]) -> Option<Bytes> {
    let id = key.strip_prefix(prefix(TENURE).as_slice())?.strip_suffix(&[SUFFIX_ROW])?;
    (id.len() == ID_BYTES).then(|| Bytes::copy_from_slice(id))
}

/// The value of a tenure's row.
pub(super) fn encode(number: u64) -> Bytes {
    let mut value = vec![VERSION];
    value.extend_from_slice(&number.to_be_bytes());
    value.into()
}

/// The number of a tenure. XX001 if the row is damaged, 0A000 if it is newer than this code.
pub(super) fn decode(value: &[u8]) -> Result<u64> {
    let damaged = || Error::new("XX001", "the row of a tenure is damaged");
    let (version, number) = value.split_first().ok_or_else(damaged)?;
    if *version > VERSION {
        return Err(Error::new(
            "0A000",
            format!("a tenure was written by a newer version (format {version})"),
        ));
    }
    Ok(u64::from_be_bytes(number.try_into().map_err(|_| damaged())?))
}

fn of_session(id: &[u8], session: u64) -> Vec<u8> {
    let mut key = prefix(KEY);
    key.extend_from_slice(id);
    key.extend_from_slice(&session.to_be_bytes());
    key
}

/// The key that says that an index is kept for a session.
pub(super) fn key(id: &[u8], session: u64, index: IndexId) -> Bytes {
    let mut key = of_session(id, session);
    key.extend_from_slice(&index.to_be_bytes());
    key.push(SUFFIX_ROW);
    key.into()
}

/// The index that such a key names.
pub(super) fn index_of(key: &[u8]) -> Option<IndexId> {
    let rest = key.strip_prefix(prefix(KEY).as_slice())?.strip_suffix(&[SUFFIX_ROW])?;
    let (_, index) = rest.split_at_checked(ID_BYTES.checked_add(8)?)?;
    Some(u64::from_be_bytes(index.try_into().ok()?))
}

/// Where what is kept under a tenure is named.
pub(super) fn kept_under(id: &[u8]) -> Span {
    let mut key = prefix(KEY);
    key.extend_from_slice(id);
    Span::prefix(key)
}

/// The same of one session.
pub(super) fn kept_for(id: &[u8], session: u64) -> Span {
    Span::prefix(of_session(id, session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_what_they_stand_for() {
        let (one, other) = ([7; ID_BYTES], [8; ID_BYTES]);
        let row = tenure_key(&one);
        assert_eq!(tenure_of(&row).as_deref(), Some(one.as_slice()));
        assert!(tenures().contains(&row) && !tenures().contains(&key(&one, 1, 2000)));
        let kept = key(&one, 3, 2000);
        assert_eq!(index_of(&kept), Some(2000));
        assert_eq!(index_of(&row), None);
        assert!(kept_under(&one).contains(&kept) && kept_for(&one, 3).contains(&kept));
        assert!(!kept_under(&other).contains(&kept) && !kept_for(&one, 4).contains(&kept));
    }

    #[test]
    fn a_number_is_read_back_and_damage_is_seen() {
        assert_eq!(decode(&encode(5)).unwrap(), 5);
        assert_eq!(decode(b"").unwrap_err().sqlstate, "XX001");
        assert_eq!(decode(&[VERSION, 1]).unwrap_err().sqlstate, "XX001");
        assert_eq!(decode(&[VERSION + 1]).unwrap_err().sqlstate, "0A000");
    }
}
