//! Statistics as rows beside the catalog.
//!
//! ```text
//! key   = the prefix of index TABLES or COLUMNS, the id of the table's primary index as a varint, suffix 0
//! value of TABLES = protobuf TableRecord
//!         version = 1            a reader ignores what is newer than it knows
//!         rows, bytes, at
//! value of COLUMNS = protobuf ColumnsRecord
//!         version = 1
//!         columns                each with its common values, then its histogram, as a row of the row format
//! ```
//!
//! They are apart because views ask often how many rows all tables have.
//!
//! A table that is truncated has another primary index, and no statistics.

use std::collections::BTreeMap;

use bytes::Bytes;
use expr::Datum;
use expr::calendar::UNIX_EPOCH_DISTANCE_MICROS;
use expr::row::{RowDecoder, encode_row};
use keys::Span;
use keys::encode::{put_varint, take_varint};
use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT};
use prost::Message;

use super::{ColumnStatistics, TARGET, TableStatistics};
use crate::catalog::{ColumnId, IndexId};
use crate::error::Result;

/// The index id of the keys of what is known of tables.
const TABLES: u64 = 36;
/// The same of what is known of their columns.
const COLUMNS: u64 = 37;

/// The newest version of the rows that this code reads, and the one it writes.
const VERSION: u32 = 1;

/// The milliseconds of the cluster's timestamps stand above so many bits.
const LOGICAL_BITS: u32 = 18;

/// So many bytes of values are kept of a table.
const VALUES_BYTES_MAX: usize = 128 << 10;

/// A table's statistics as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The value of its row.
    pub(crate) table: Bytes,
    /// The value of its columns' row.
    pub(crate) columns: Bytes,
}

/// The keys of what is known of all tables.
pub(crate) fn tables_span() -> Span {
    keys::sql::index_span(TENANT_DEFAULT, TABLES)
}

/// The keys of what is known of all tables' columns.
pub(crate) fn columns_span() -> Span {
    keys::sql::index_span(TENANT_DEFAULT, COLUMNS)
}

fn key(index: u64, primary: IndexId) -> Bytes {
    let mut key = keys::sql::index_prefix(TENANT_DEFAULT, index).to_vec();
    put_varint(primary, &mut key);
    key.push(SUFFIX_ROW);
    key.into()
}

/// The keys of a table's statistics, by its primary index: that of its row, and that of its columns' row.
pub(crate) fn row_keys(primary: IndexId) -> [Bytes; 2] {
    [key(TABLES, primary), key(COLUMNS, primary)]
}

/// The primary index of the table whose statistics stand under a key.
pub(crate) fn index_of(key: &[u8]) -> Option<IndexId> {
    let (_, _, mut rest) = keys::sql::split_index_key(key).ok()?;
    take_varint(&mut rest).ok()
}

#[derive(Clone, PartialEq, Message)]
struct TableRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(double, tag = "2")]
    rows: f64,
    #[prost(uint64, tag = "3")]
    bytes: u64,
    #[prost(uint64, tag = "4")]
    at: u64,
}

#[derive(Clone, PartialEq, Message)]
struct ColumnsRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(message, repeated, tag = "2")]
    columns: Vec<ColumnRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct ColumnRecord {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(float, tag = "2")]
    null_fraction: f32,
    #[prost(int32, tag = "3")]
    width: i32,
    #[prost(float, tag = "4")]
    distinct: f32,
    #[prost(float, optional, tag = "5")]
    correlation: Option<f32>,
    /// One for each common value.
    #[prost(float, repeated, tag = "6")]
    frequencies: Vec<f32>,
    /// How many bounds the histogram has.
    #[prost(uint32, tag = "7")]
    bounds: u32,
    #[prost(bytes = "bytes", tag = "8")]
    values: Bytes,
}

/// The values of a table's rows. What is too wide to be kept of a column's values is left out.
///
/// # Errors
/// A value has no form in rows.
pub(crate) fn encode(statistics: &TableStatistics) -> Result<Stored> {
    let mut left = VALUES_BYTES_MAX;
    let mut columns = Vec::with_capacity(statistics.columns.len());
    for (id, column) in &statistics.columns {
        let values = column.common.iter().map(|(value, _)| value).chain(&column.histogram);
        let values: Vec<(u32, &Datum)> = (1..).zip(values).collect();
        let values = encode_row(VERSION, &values)?;
        let fits = left.checked_sub(values.len());
        left = fits.unwrap_or(left);
        let mut record = ColumnRecord {
            id: *id,
            null_fraction: column.null_fraction,
            width: column.width,
            distinct: column.distinct,
            correlation: column.correlation,
            ..ColumnRecord::default()
        };
        if fits.is_some() {
            record.frequencies = column.common.iter().map(|(_, part)| *part).collect();
            record.bounds = u32::try_from(column.histogram.len()).unwrap_or(0);
            record.values = values.into();
        }
        columns.push(record);
    }
    let TableStatistics { rows, bytes, at, .. } = *statistics;
    Ok(Stored {
        table: TableRecord { version: VERSION, rows, bytes, at }.encode_to_vec().into(),
        columns: ColumnsRecord { version: VERSION, columns }.encode_to_vec().into(),
    })
}

/// What a table's rows say; `None` if one is damaged, or newer than this code.
pub(crate) fn decode(table: &[u8], columns: &[u8]) -> Option<TableStatistics> {
    let TableRecord { version, rows, bytes, at } = TableRecord::decode(table).ok()?;
    (version <= VERSION).then_some(())?;
    Some(TableStatistics { rows, bytes, at, columns: decode_columns(columns)? })
}

/// How many rows a table has by its row, and when that was found, in microseconds since 2000; `None` as with [`decode`].
pub(crate) fn decode_found(table: &[u8]) -> Option<(f64, i64)> {
    let TableRecord { version, rows, at, .. } = TableRecord::decode(table).ok()?;
    (version <= VERSION).then_some((rows, moment(at)))
}

/// A timestamp of the cluster in microseconds since 2000.
fn moment(timestamp: u64) -> i64 {
    let us = (timestamp >> LOGICAL_BITS).saturating_mul(1000);
    i64::try_from(us).unwrap_or(i64::MAX).saturating_sub(UNIX_EPOCH_DISTANCE_MICROS)
}

/// What the row of a table's columns says; `None` as with [`decode`].
pub(crate) fn decode_columns(columns: &[u8]) -> Option<BTreeMap<ColumnId, ColumnStatistics>> {
    let ColumnsRecord { version, columns } = ColumnsRecord::decode(columns).ok()?;
    (version <= VERSION).then_some(())?;
    columns.into_iter().map(|record| Some((record.id, decode_column(&record)?))).collect()
}

fn decode_column(record: &ColumnRecord) -> Option<ColumnStatistics> {
    let (common, bounds) = (record.frequencies.len(), usize::try_from(record.bounds).ok()?);
    if common > TARGET || bounds > TARGET.saturating_add(1) {
        return None;
    }
    let count = common.saturating_add(bounds);
    let mut values = vec![Datum::Null; count];
    if count > 0 {
        RowDecoder::new((1..).zip(0..count)).decode_into(&record.values, &mut values).ok()?;
    }
    let histogram = values.split_off(common);
    Some(ColumnStatistics {
        null_fraction: record.null_fraction,
        width: record.width,
        distinct: record.distinct,
        common: values.into_iter().zip(record.frequencies.iter().copied()).collect(),
        histogram,
        correlation: record.correlation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values are compared by how they look.
    fn shown(value: impl std::fmt::Debug) -> String {
        format!("{value:?}")
    }

    #[test]
    fn what_was_written_is_read_back() {
        let column = ColumnStatistics {
            null_fraction: 0.5,
            width: 6,
            distinct: -0.25,
            common: vec![(Datum::text("x"), 0.25), (Datum::text(""), 0.125)],
            histogram: vec![Datum::text("a"), Datum::text("b")],
            correlation: Some(-1.0),
        };
        let empty = ColumnStatistics::default();
        let statistics =
            TableStatistics { rows: 7.0, bytes: 8, at: 9, columns: [(1, column), (3, empty)].into() };
        let Stored { table, columns } = encode(&statistics).unwrap();
        assert_eq!(decode_found(&table).map(|(rows, _)| rows), Some(7.0));
        assert_eq!(shown(decode_columns(&columns)), shown(Some(&statistics.columns)));
        assert_eq!(shown(decode(&table, &columns)), shown(Some(statistics)));
        assert!(decode(b"\xff\xff", &columns).is_none() && decode(&table, b"\xff\xff").is_none());
        assert_eq!(decode_found(b"\xff\xff"), None);
        assert_eq!(moment((UNIX_EPOCH_DISTANCE_MICROS as u64 / 1000) << LOGICAL_BITS), 0);
        let [table, columns] = row_keys(5000);
        assert_eq!((index_of(&table), index_of(&columns)), (Some(5000), Some(5000)));
        assert!(tables_span().contains(&table) && columns_span().contains(&columns));
    }

    #[test]
    fn no_room_is_made_for_what_a_damaged_row_says() {
        let record = ColumnRecord { bounds: u32::MAX, ..ColumnRecord::default() };
        assert!(decode_column(&record).is_none());
        let damaged = ColumnsRecord { version: VERSION, columns: vec![record] };
        assert!(decode_columns(&damaged.encode_to_vec()).is_none());
        let newer = VERSION + 1;
        let columns = ColumnsRecord { version: newer, columns: Vec::new() }.encode_to_vec();
        let table = TableRecord { version: newer, ..TableRecord::default() }.encode_to_vec();
        assert!(decode_columns(&columns).is_none() && decode_found(&table).is_none());
    }
}
