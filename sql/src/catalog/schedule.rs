//! Schedules of backups: rows of the catalog that no transaction depends on but those that are about schedules.
//!
//! ```text
//! key   = index key of the catalog's index of schedules, of the whole cluster: id; suffix 0
//! value = protobuf Schedule
//!         version = 1            a reader refuses what is newer than it knows
//! ```
//!
//! # Invariants
//! - No two have the same name.
//! - Who has a run holds it until `held_until_ms`, and says so anew before. Afterwards anybody may go on with it.

use bytes::Bytes;
use keys::Span;
use prost::Message;

use super::Oid;
use super::home::Home;
use crate::error::{Error, Result};

/// The index of these rows.
const SCHEDULES: u64 = 41;

/// The newest version of a row that this code reads, and the one it writes.
const VERSION: u32 = 1;

/// Backups that are taken by themselves. Times are Unix times in ms.
#[derive(Clone, PartialEq, Message)]
pub struct Schedule {
    /// The version of the row.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// Its id.
    #[prost(uint32, tag = "2")]
    pub id: u32,
    /// Its name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// The database that backups are of, or that the table is in; 0: they are of the whole cluster.
    #[prost(uint32, tag = "4")]
    pub database: Oid,
    /// The table's schema; none: of all tables.
    #[prost(string, optional, tag = "5")]
    pub schema: Option<String>,
    /// The table's name.
    #[prost(string, optional, tag = "6")]
    pub table: Option<String>,
    /// Where they lie.
    #[prost(string, tag = "7")]
    pub url: String,
    /// The file with the key, on each gateway.
    #[prost(string, optional, tag = "8")]
    pub key_file: Option<String>,
    /// All versions, not the newest alone.
    #[prost(bool, tag = "9")]
    pub history: bool,
    /// How often.
    #[prost(uint64, tag = "10")]
    pub every_ms: u64,
    /// How often all is written; none: each time.
    #[prost(uint64, optional, tag = "11")]
    pub full_every_ms: Option<u64>,
    /// When the next is due.
    #[prost(uint64, tag = "12")]
    pub next_ms: u64,
    /// Who takes one just now, by a name of its own; empty: nobody.
    #[prost(bytes = "vec", tag = "13")]
    pub runner: Vec<u8>,
    /// Until when.
    #[prost(uint64, tag = "14")]
    pub held_until_ms: u64,
    /// When the last was begun; 0: none was.
    #[prost(uint64, tag = "15")]
    pub began_ms: u64,
    /// Whether all is written by it.
    #[prost(bool, tag = "16")]
    pub is_full: bool,
    /// When it ended, well or not; 0: none has.
    #[prost(uint64, tag = "17")]
    pub ended_ms: u64,
    /// Why it did not end well; empty: it did.
    #[prost(string, tag = "18")]
    pub failure: String,
    /// When the last was begun that all was written by, of those that ended well; 0: none.
    #[prost(uint64, tag = "19")]
    pub full_ms: u64,
}

impl Schedule {
    /// Whether one is being taken, or was by somebody who has died.
    pub fn is_under_way(&self) -> bool {
        !self.runner.is_empty()
    }

    /// Whether there is something to do now.
    pub fn is_due(&self, now_ms: u64) -> bool {
        let from = if self.is_under_way() { self.held_until_ms } else { self.next_ms };
        from <= now_ms
    }

    /// Whether the next is to be one that all is written by.
    pub fn wants_full(&self, now_ms: u64) -> bool {
        let Some(full_every_ms) = self.full_every_ms else { return true };
        self.full_ms == 0 || self.full_ms.saturating_add(full_every_ms) <= now_ms
    }

    /// When the next is due that is due after now, at the times that it was from its beginning.
    pub fn next_after(&self, now_ms: u64) -> u64 {
        let passed = now_ms.saturating_sub(self.next_ms);
        let left = self.every_ms.saturating_sub(passed.checked_rem(self.every_ms).unwrap_or(0));
        now_ms.max(self.next_ms).saturating_add(left)
    }
}

/// The key of a schedule's row.
pub fn key(id: u32) -> Bytes {
    Home::FIRST.key(SCHEDULES, &[id])
}

/// The keys of all of them.
pub fn span() -> Span {
    Home::FIRST.span(SCHEDULES)
}

/// The value of a row.
pub fn encode(schedule: &Schedule) -> Bytes {
    Schedule { version: VERSION, ..schedule.clone() }.encode_to_vec().into()
}

/// The schedule of a row. XX001 if it is damaged, 0A000 if it is newer than this code.
pub fn decode(value: &[u8]) -> Result<Schedule> {
    let schedule = Schedule::decode(value)
        .map_err(|why| Error::new("XX001", format!("the catalog's row of a schedule is damaged: {why}")))?;
    if schedule.version > VERSION {
        let version = schedule.version;
        let message = format!("the row of a schedule was written by a newer version (format {version})");
        return Err(Error::new("0A000", message));
    }
    Ok(schedule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hourly() -> Schedule {
        Schedule { id: 7, name: "s".to_owned(), every_ms: 100, next_ms: 1000, ..Schedule::default() }
    }

    #[test]
    fn a_row_is_read_back_and_a_newer_one_refused() {
        let schedule = Schedule { full_every_ms: Some(300), table: Some("t".to_owned()), ..hourly() };
        let read = decode(&encode(&schedule)).unwrap();
        assert_eq!(read, Schedule { version: VERSION, ..schedule });
        let newer = Schedule { version: VERSION + 1, ..hourly() }.encode_to_vec();
        assert_eq!(decode(&newer).unwrap_err().sqlstate, "0A000");
        assert!(decode(b"\xff").is_err());
    }

    #[test]
    fn it_is_due_at_its_times_whatever_was_missed() {
        let schedule = hourly();
        assert!(!schedule.is_due(999) && schedule.is_due(1000));
        assert_eq!(
            [1000, 1001, 1099, 1100, 1350].map(|now| schedule.next_after(now)),
            [1100, 1100, 1100, 1200, 1400]
        );
        assert_eq!(schedule.next_after(5), 1100);
        let held = Schedule { runner: vec![1], held_until_ms: 2000, ..schedule };
        assert!(!held.is_due(1999) && held.is_due(2000));
    }

    #[test]
    fn all_is_written_as_often_as_that_is_said() {
        assert!(hourly().wants_full(1000));
        let schedule = Schedule { full_every_ms: Some(300), ..hourly() };
        assert!(schedule.wants_full(1000));
        let schedule = Schedule { full_ms: 1000, ..schedule };
        assert!(!schedule.wants_full(1299) && schedule.wants_full(1300));
    }
}
