//! The descriptors of the system views, read from `columns.txt`.
//!
//! ```text
//! kind oid schema name        'r' for what is a table in PostgreSQL, 'v' for a view
//!   column type[!]            ! = NOT NULL
//! ```

use std::sync::Arc;

use expr::{Type, TypeKind};

use crate::catalog::{Column, Constraints, RowSecurity, TableDescriptor, TableKind};

const COLUMNS: &str = include_str!("columns.txt");

/// The system views. A line that makes no sense is left out; a test holds that there is none.
pub(crate) fn tables() -> Vec<Arc<TableDescriptor>> {
    let mut tables: Vec<TableDescriptor> = Vec::new();
    for line in COLUMNS.lines() {
        if let Some(column) = line.strip_prefix("  ") {
            if let Some(table) = tables.last_mut() {
                let id = table.next_column_id;
                table.columns.extend(parse_column(column, id));
                table.next_column_id = id.saturating_add(1);
            }
        } else {
            tables.extend(parse_table(line));
        }
    }
    tables.into_iter().map(Arc::new).collect()
}

/// Whether PostgreSQL has a view here rather than a table.
pub(super) fn is_view(table: &TableDescriptor) -> bool {
    COLUMNS
        .lines()
        .filter_map(|line| line.strip_prefix("v "))
        .any(|rest| rest.split(' ').skip(1).eq([table.schema.as_str(), table.name.as_str()]))
}

fn parse_table(line: &str) -> Option<TableDescriptor> {
    let mut words = line.split(' ').skip(1);
    let oid = words.next()?.parse().ok()?;
    let schema = words.next()?.to_owned();
    let name = words.next()?.to_owned();
    Some(TableDescriptor {
        oid,
        schema,
        name,
        kind: TableKind::Virtual,
        columns: Vec::new(),
        indexes: Vec::new(),
        constraints: Constraints::default(),
        row_security: RowSecurity::default(),
        materialised: None,
        audit: audit::Classes::NONE,
        next_column_id: 1,
        schema_version: 1,
    })
}

fn parse_column(text: &str, id: u32) -> Option<Column> {
    let (name, ty) = text.split_once(' ')?;
    let not_null = ty.ends_with('!');
    let kind = match ty.trim_end_matches('!') {
        "char" => TypeKind::QuotedChar,
        other => TypeKind::from_name(other)?,
    };
    Some(Column {
        id,
        name: name.to_owned(),
        ty: Type::plain(kind),
        not_null,
        default: None,
        generated: None,
        hidden: false,
        missing: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_makes_sense() {
        let lines = COLUMNS.lines().count();
        let tables = tables();
        let parsed: usize = tables.iter().map(|table| table.columns.len() + 1).sum();
        assert_eq!(parsed, lines);
    }
}
