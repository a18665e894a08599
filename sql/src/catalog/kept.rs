//! How long the history of tables is kept that is to be kept for longer than all other: rows of the catalog that no transaction
//! depends on.
//!
//! ```text
//! key   = index key of the catalog's index of kept history, in the database's home: oid of the table, 0: of all tables; suffix 0
//! value = protobuf KeptRecord
//!         version = 1            a reader refuses what is newer than it knows
//!         oid, history in ms, held until (Unix time in ms)
//! ```
//!
//! A table keeps its row after it was dropped: as long as something of it can be read.

use bytes::Bytes;
use keys::Span;
use prost::Message;

use super::Oid;
use super::home::Home;
use crate::error::{Error, Result};

/// The index of these rows.
const KEPT: u64 = 39;

/// The newest version of a row that this code reads, and the one it writes.
const VERSION: u32 = 1;

/// The oid under which stands what holds of all tables of a database that say nothing themselves.
pub const ALL_TABLES: Oid = 0;

/// What the cluster keeps unless somebody says something else, in ms.
pub const HISTORY_MS_DEFAULT: u64 = 3600 * 1000;

/// Units of time in ms, the largest first.
const UNITS: [(&str, u64); 4] =
    [("day", 24 * 3600 * 1000), ("hour", 3600 * 1000), ("minute", 60 * 1000), ("second", 1000)];

/// For how long history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// In ms; 0: for ever. `None`: nothing is said.
    pub history_ms: Option<u64>,
    /// Until this Unix time, in ms, nothing is forgotten. `None`: nothing is said.
    pub held_until_ms: Option<u64>,
}

impl Kept {
    /// What holds of a table, where the other is said of all of its database.
    #[must_use]
    pub fn or(self, all: Self) -> Self {
        Self {
            history_ms: self.history_ms.or(all.history_ms),
            held_until_ms: self.held_until_ms.or(all.held_until_ms),
        }
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What keeps everything that one of both keeps.
    #[must_use]
    pub fn longer(self, other: Self) -> Self {
        let history_ms = match (self.history_ms, other.history_ms) {
            (Some(0), _) | (_, Some(0)) => Some(0),
            (one, other) => one.max(other),
        };
        Self { history_ms, held_until_ms: self.held_until_ms.max(other.held_until_ms) }
    }
}

/// The key of a table's row.
pub fn key(home: Home, table: Oid) -> Bytes {
    home.key(KEPT, &[table])
}

/// The keys of all rows of a database.
pub fn span(home: Home) -> Span {
    home.span(KEPT)
}

#[derive(Clone, PartialEq, Message)]
struct KeptRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint32, tag = "2")]
    oid: u32,
    #[prost(uint64, optional, tag = "3")]
    history_ms: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    held_until_ms: Option<u64>,
}

/// The value of a table's row.
pub fn encode(table: Oid, kept: Kept) -> Bytes {
    let Kept { history_ms, held_until_ms } = kept;
    KeptRecord { version: VERSION, oid: table, history_ms, held_until_ms }.encode_to_vec().into()
}

/// The table, and what is said of it. XX001 if the row is damaged, 0A000 if it is newer than this code.
pub fn decode(value: &[u8]) -> Result<(Oid, Kept)> {
    let record = KeptRecord::decode(value).map_err(|why| {
        Error::new("XX001", format!("the catalog's row of a table's history is damaged: {why}"))
    })?;
    if record.version > VERSION {
        let version = record.version;
        let message =
            format!("the row of a table's history was written by a newer version (format {version})");
        return Err(Error::new("0A000", message));
    }
    let KeptRecord { oid, history_ms, held_until_ms, .. } = record;
    Ok((oid, Kept { history_ms, held_until_ms }))
}

/// How long history is kept, in the largest unit that it is a number of; 0: for ever.
pub fn shown(ms: u64) -> String {
    if ms == 0 {
        return "forever".to_owned();
    }
    match UNITS.iter().find(|(_, unit)| ms.is_multiple_of(*unit)) {
        Some((name, unit)) if ms == *unit => format!("1 {name}"),
        Some((name, unit)) => format!("{} {name}s", ms / unit),
        None => format!("{ms} milliseconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_their_largest_unit() {
        assert_eq!(shown(30 * 24 * 3600 * 1000), "30 days");
        assert_eq!(shown(HISTORY_MS_DEFAULT), "1 hour");
        assert_eq!(shown(90 * 60 * 1000), "90 minutes");
        assert_eq!(shown(1_500), "1500 milliseconds");
        assert_eq!(shown(0), "forever");
    }

    #[test]
    fn a_row_is_read_back_and_a_newer_one_refused() {
        let kept = Kept { history_ms: Some(0), held_until_ms: None };
        assert_eq!(decode(&encode(20_000, kept)).unwrap(), (20_000, kept));
        let newer = KeptRecord { version: VERSION + 1, ..KeptRecord::default() }.encode_to_vec();
        assert_eq!(decode(&newer).unwrap_err().sqlstate, "0A000");
        assert!(decode(b"\xff").is_err());
    }

    #[test]
    fn for_ever_is_the_longest() {
        let kept = |history_ms| Kept { history_ms, held_until_ms: None };
        assert_eq!(kept(Some(5)).longer(kept(Some(0))), kept(Some(0)));
        assert_eq!(kept(Some(5)).longer(kept(Some(7))), kept(Some(7)));
        assert_eq!(kept(None).longer(kept(Some(7))), kept(Some(7)));
        assert_eq!(kept(None).or(kept(Some(7))), kept(Some(7)));
        assert_eq!(kept(Some(5)).or(kept(Some(7))), kept(Some(5)));
    }
}
