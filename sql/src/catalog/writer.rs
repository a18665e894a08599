//! Tables whose rows say who has written them: a table's own columns, and behind them one for the number of the transaction
//! that has written the row, as the system column `xmin` tells it.
//!
//! No such table is kept: it is made of a table for the statement that names the column. A row that such a statement writes
//! holds the number under the column's id; any other row lacks it, and what is meant then is worked out when it is read.

use std::sync::Arc;

use expr::TypeKind;

use super::{Column, ColumnId, TableDescriptor};

/// The id of the column: no other column has it. Rows store the number by it.
pub const WRITER_COLUMN: ColumnId = ColumnId::MAX;

impl TableDescriptor {
    /// The place of the column that says who has written a row, if the table has one.
    pub fn writer(&self) -> Option<usize> {
        let is_one = self.columns.last().is_some_and(|column| column.id == WRITER_COLUMN);
        is_one.then(|| self.columns.len().saturating_sub(1))
    }

    /// Whether somebody asks who has written the rows that there are; else it is noted of those that are written alone.
    pub fn tells_writer(&self) -> bool {
        self.columns.last().is_some_and(|column| column.id == WRITER_COLUMN && column.not_null)
    }
}

/// The table with the column that says who has written each row.
#[must_use]
pub fn with_writer(table: &TableDescriptor) -> TableDescriptor {
    let mut written = table.clone();
    written.columns.push(Column {
        id: WRITER_COLUMN,
        name: "xmin".to_owned(),
        ty: TypeKind::Xid.into(),
        not_null: true,
        default: None,
        generated: None,
        hidden: true,
        missing: None,
    });
    written
}

/// The same where nobody asks who has written the rows that there are: the column may be NULL in them.
#[must_use]
pub fn unasked(table: &Arc<TableDescriptor>) -> Arc<TableDescriptor> {
    if !table.tells_writer() {
        return Arc::clone(table);
    }
    let mut unasked = TableDescriptor::clone(table);
    if let Some(writer) = unasked.columns.last_mut() {
        writer.not_null = false;
    }
    Arc::new(unasked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Constraints, RowSecurity, TableKind};

    #[test]
    fn the_column_is_behind_all_others_and_hidden() {
        let table = TableDescriptor {
            oid: 1,
            schema: "public".to_owned(),
            name: "t".to_owned(),
            kind: TableKind::Base,
            columns: Vec::new(),
            indexes: Vec::new(),
            constraints: Constraints::default(),
            row_security: RowSecurity::default(),
            materialised: None,
            audit: audit::Classes::NONE,
            next_column_id: 1,
            schema_version: 1,
        };
        assert_eq!((table.writer(), table.tells_writer()), (None, false));
        let asked = Arc::new(with_writer(&table));
        assert_eq!((asked.writer(), asked.tells_writer()), (Some(0), true));
        assert_eq!((asked.row_id(), asked.visible().count()), (None, 0));
        let unasked = unasked(&asked);
        assert_eq!((unasked.writer(), unasked.tells_writer()), (Some(0), false));
    }
}
