//! Tables whose rows are versions: a table's own columns, and behind them when each version was current and who wrote it.
//!
//! No such table is kept: it is made of a table for the statement that asks for versions. Several of its rows may have the
//! same key.

use expr::TypeKind;

use super::{Column, IndexDescriptor, TableDescriptor};

/// What is known of a version beside its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemColumn {
    /// When it was committed.
    Start,
    /// When the next version of the row was, or its end; infinity: it is the newest.
    End,
    /// Its transaction.
    Transaction,
    /// When it was committed, as the cluster counts it.
    StartTimestamp,
    /// When it was current no more, as the cluster counts it; NULL: it is.
    EndTimestamp,
}

/// All of them, in order.
const ALL: [SystemColumn; 5] = [
    SystemColumn::Start,
    SystemColumn::End,
    SystemColumn::Transaction,
    SystemColumn::StartTimestamp,
    SystemColumn::EndTimestamp,
];

impl SystemColumn {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "system_time_start",
            Self::End => "system_time_end",
            Self::Transaction => "system_txn",
            Self::StartTimestamp => "system_start",
            Self::EndTimestamp => "system_end",
        }
    }

    /// The type of its values.
    pub const fn kind(self) -> TypeKind {
        match self {
            Self::Start | Self::End => TypeKind::Timestamptz,
            Self::Transaction | Self::StartTimestamp | Self::EndTimestamp => TypeKind::Numeric,
        }
    }

    /// Whether one of them is called so.
    pub fn is_name(name: &str) -> bool {
        ALL.iter().any(|column| column.name() == name)
    }

    /// Which one stands at a place of a table of versions.
    pub fn at(versions: &TableDescriptor, place: usize) -> Option<Self> {
        let behind = place.checked_sub(versions.columns.len().checked_sub(ALL.len())?)?;
        ALL.get(behind).copied()
    }
}

/// The table of the versions of a table's rows.
#[must_use]
pub fn versions_of(table: &TableDescriptor) -> TableDescriptor {
    let mut versions = table.clone();
    for (id, own) in (table.next_column_id..).zip(ALL) {
        versions.columns.push(Column {
            id,
            name: own.name().to_owned(),
            ty: own.kind().into(),
            not_null: false,
            default: None,
            generated: None,
            hidden: false,
            missing: None,
        });
        versions.next_column_id = id.saturating_add(1);
    }
    // Other indexes may have been others.
    let primary = versions.indexes.drain(..).find(|index| index.primary);
    versions.indexes = primary
        .into_iter()
        .map(|primary| IndexDescriptor { unique: false, constraint: None, ..primary })
        .collect();
    versions
}

/// The places of what is known of versions beside their rows.
pub fn system_places(versions: &TableDescriptor) -> impl Iterator<Item = (usize, SystemColumn)> {
    let own = versions.columns.len().saturating_sub(ALL.len());
    (own..).zip(ALL)
}
