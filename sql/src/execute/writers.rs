//! Who has written rows, as the system column `xmin` tells it: a number of 32 bits for each transaction.
//!
//! ```text
//! a row that a statement writes which names xmin   a number that its transaction has from the beginning, stored with the row
//! any other row                                    what is made of the timestamp that it was committed at
//! a row that a clone has from its origin           what is made of which clone it is, unless a number is stored with it
//! ```
//!
//! The timestamp is not known before the commit, and the number costs room: so it is stored where somebody is told of it
//! before. A row that the transaction itself has written without has no number yet (0A000 where somebody asks).
//!
//! Numbers are mixed of 64 bits. Two versions of a row have the same once in four thousand million times.

use bytes::Bytes;
use client::Written;
use expr::{Datum, Row};

use super::context::Context;
use super::rows::{RowReader, TableFormat};
use crate::catalog::TableDescriptor;
use crate::error::{Error, Result};

/// Lesser numbers mean something else in PostgreSQL.
const NUMBER_MIN: u32 = 3;

/// A number made of what tells a transaction from others. Clients remember it: it stays the same for good.
fn number(of: u64) -> Datum {
    // As SplitMix64 mixes.
    let mut mixed = of.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Datum::Oid(((mixed ^ (mixed >> 31)) as u32).max(NUMBER_MIN))
}

/// The number of the transaction at hand.
pub(crate) fn own_number(cx: &mut Context<'_>) -> Datum {
    number(cx.transaction.number())
}

/// Puts the transaction's number into a row that it is about to write, where that is stored with it.
pub(crate) fn sign(cx: &mut Context<'_>, table: &TableDescriptor, row: &mut Row) -> Result<()> {
    let Some(place) = table.writer() else { return Ok(()) };
    let own = own_number(cx);
    match row.get_mut(place) {
        Some(writer) => *writer = own,
        None => return Err(Error::internal("a plan's rows do not fit its table")),
    }
    Ok(())
}

/// 0A000: it is asked who has written a row that has no number yet.
pub(crate) fn unknown() -> Error {
    Error::unsupported("xmin of a row that the same transaction has written before")
        .hint("A statement that names xmin makes it known of the rows that it writes: INSERT and UPDATE with RETURNING xmin.")
}

/// Tells who has written the rows of a table that are read.
pub(crate) struct Writers {
    /// Reads the number that is stored with a row, and nothing else.
    stored: RowReader,
    /// Where the number stands in a row that is read.
    place: usize,
}

impl Writers {
    /// For rows of which these columns are read (places among the table's); `None`: nobody asks.
    pub(crate) fn new(format: &TableFormat, columns: &[usize]) -> Result<Option<Self>> {
        let Some(own) = format.table.writer().filter(|_| format.table.tells_writer()) else {
            return Ok(None);
        };
        let Some(place) = columns.iter().position(|column| *column == own) else { return Ok(None) };
        Ok(Some(Self { stored: RowReader::new(&format.primary, &format.table, &[own])?, place }))
    }

    /// Where the number stands in a row.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Who has written rows that were read, by their keys and values; `None`: the transaction itself, without a number.
    pub(crate) async fn of_read(
        &self,
        cx: &mut Context<'_>,
        rows: &[(Bytes, Bytes)],
    ) -> Result<Vec<Option<Datum>>> {
        let mut writers = Vec::with_capacity(rows.len());
        let (mut keys, mut places) = (Vec::new(), Vec::new());
        for (place, (key, value)) in rows.iter().enumerate() {
            let stored = self.stored(key, value)?;
            if stored.is_none() {
                keys.push(key.clone());
                places.push(place);
            }
            writers.push(stored);
        }
        if keys.is_empty() {
            return Ok(writers);
        }
        cx.note_request(1);
        let written = cx.transaction.written(&keys).await?;
        for (place, written) in places.into_iter().zip(written) {
            if let Some(writer) = writers.get_mut(place) {
                *writer = told(written);
            }
        }
        Ok(writers)
    }

    /// The same of a row that is locked, and of which the newest version was read.
    pub(crate) fn of_locked(&self, cx: &Context<'_>, key: &[u8], value: &[u8]) -> Result<Option<Datum>> {
        Ok(self.stored(key, value)?.or_else(|| told(cx.transaction.written_locked(key))))
    }

    /// Puts who has written a row that is locked into it.
    ///
    /// # Errors
    /// 0A000: it has no number yet.
    pub(crate) fn put_locked(&self, cx: &Context<'_>, key: &[u8], value: &[u8], row: &mut Row) -> Result<()> {
        let writer = self.of_locked(cx, key, value)?.ok_or_else(unknown)?;
        self.put(row, writer);
        Ok(())
    }

    /// Puts a number into a row that was read.
    pub(crate) fn put(&self, row: &mut Row, writer: Datum) {
        if let Some(place) = row.get_mut(self.place) {
            *place = writer;
        }
    }

    fn stored(&self, key: &[u8], value: &[u8]) -> Result<Option<Datum>> {
        Ok(self.stored.read(key, value)?.into_iter().next().filter(|writer| !writer.is_null()))
    }
}

/// The number of whoever has written a version.
fn told(written: Written) -> Option<Datum> {
    match written {
        Written::At(timestamp) => Some(number(timestamp)),
        Written::Below(branch) => Some(number(branch)),
        Written::Here => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn shown(of: u64) -> u32 {
        let Datum::Oid(number) = number(of) else { panic!("no number") };
        number
    }

    #[test]
    fn numbers_stay_what_they_are() {
        assert_eq!([shown(0), shown(1), shown(u64::MAX)], [2_065_550_767, 2_298_633_409, 459_615_264]);
    }

    #[test]
    fn what_is_near_has_other_numbers() {
        let start = 458_000_000_000_000_000_u64;
        // Within a millisecond, and at every one, as timestamps are.
        let near = (0..20_000).map(|step| shown(start + step));
        let far = (1..20_000).map(|step| shown(start + (step << 18)));
        let all: HashSet<u32> = near.chain(far).collect();
        assert!(all.len() >= 39_990 && all.iter().all(|number| *number >= NUMBER_MIN), "{}", all.len());
    }
}
