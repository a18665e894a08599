//! What is known of the values in a table: how many rows there are, and of each column its NULLs, its distinct values, the
//! common ones and a histogram of the others. ANALYZE gathers it, the planner estimates by it, `pg_stats` shows it.
//!
//! Statistics are rows beside the catalog that no transaction depends on: a plan is right whatever they say.

mod compute;
mod stored;

use std::collections::BTreeMap;

use expr::Datum;

use crate::catalog::ColumnId;

pub(crate) use compute::{Sampled, column};
pub(crate) use stored::{
    Stored, columns_span, decode, decode_columns, decode_found, encode, index_of, row_keys, tables_span,
};

/// How many common values, and how many parts of a histogram, are kept of a column, as PostgreSQL does by default.
pub(crate) const TARGET: usize = 100;

/// What is known of a table.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableStatistics {
    /// About how many rows it had.
    pub(crate) rows: f64,
    /// How many bytes it took then.
    pub(crate) bytes: u64,
    /// When that was, by the cluster's clock: which statistics these are.
    pub(crate) at: u64,
    /// Its columns, by their ids.
    pub(crate) columns: BTreeMap<ColumnId, ColumnStatistics>,
}

/// What is known of a column.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnStatistics {
    /// The part of the rows where it is NULL.
    pub(crate) null_fraction: f32,
    /// About how many bytes a value takes.
    pub(crate) width: i32,
    /// How many values there are; as a part of the rows, and negative, where they grow with the table; 0 if that is not known.
    pub(crate) distinct: f32,
    /// The most common values, each with the part of the rows that has it, the most common first.
    pub(crate) common: Vec<(Datum, f32)>,
    /// What divides the other values into parts with about as many rows each.
    pub(crate) histogram: Vec<Datum>,
    /// How far the order of the values is that of the rows, from -1 to 1.
    pub(crate) correlation: Option<f32>,
}

impl TableStatistics {
    /// About how many bytes it takes to hold this.
    pub(crate) fn size_bytes(&self) -> usize {
        let columns = self.columns.values().map(ColumnStatistics::size_bytes);
        columns.fold(size_of::<Self>(), usize::saturating_add)
    }
}

impl ColumnStatistics {
    /// About how many bytes it takes to hold this.
    pub(crate) fn size_bytes(&self) -> usize {
        let values = self.common.iter().map(|(value, _)| value).chain(&self.histogram);
        let values = values.map(|value| value.size_bytes().saturating_add(size_of::<Datum>()));
        values.fold(size_of::<Self>(), usize::saturating_add)
    }

    /// How many values there are in a table of so many rows, if that is known.
    pub(crate) fn values(&self, rows: f64) -> Option<f64> {
        match f64::from(self.distinct) {
            0.0 => None,
            part if part < 0.0 => Some((-part * rows).max(1.0)),
            count => Some(count.max(1.0)),
        }
    }
}
