//! Views as relations.

use crate::catalog::{
    Column, ColumnId, Constraints, Oid, RowSecurity, TableDescriptor, TableKind, ViewDescriptor,
};

/// A view as a relation.
pub(super) fn relation(oid: Oid, schema: &str, name: &str, view: &ViewDescriptor) -> TableDescriptor {
    let columns: Vec<Column> = (1..)
        .zip(&view.columns)
        .map(|(id, column)| Column {
            id,
            name: column.name.clone(),
            ty: column.ty,
            not_null: false,
            default: column.default.clone(),
            generated: None,
            hidden: false,
            missing: None,
        })
        .collect();
    TableDescriptor {
        oid,
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind: TableKind::View,
        next_column_id: ColumnId::try_from(columns.len().saturating_add(1)).unwrap_or(ColumnId::MAX),
        columns,
        indexes: Vec::new(),
        constraints: Constraints::default(),
        row_security: RowSecurity::default(),
        materialised: None,
        audit: audit::Classes::NONE,
        schema_version: 1,
    }
}
