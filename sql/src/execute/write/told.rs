//! What an error may tell of a row: nothing that whoever acts may not read, unless the statement has brought it.

use expr::Datum;

use crate::catalog::access::{Object, Right, Rights};
use crate::catalog::{Column, ColumnId, TableDescriptor};
use crate::execute::context::Context;

/// PostgreSQL cuts values of a failing row after so many bytes.
const VALUE_BYTES_MAX: usize = 64;

/// Whether the acting role may read columns of a table.
pub(super) fn is_readable_of(cx: &Context<'_>, table: &TableDescriptor, columns: &[ColumnId]) -> bool {
    is_readable(cx, table, table.columns.iter().filter(|column| columns.contains(&column.id)))
}

/// Whether the acting role may read these columns: what it may not is not told by an error either.
pub(super) fn is_readable<'a>(
    cx: &Context<'_>,
    table: &TableDescriptor,
    mut columns: impl Iterator<Item = &'a Column>,
) -> bool {
    let access = cx.catalog.access();
    let Some(role) = access.role_named(&cx.session.current_user) else { return false };
    let (powers, select) = (access.powers(role.oid), Rights::of(Right::Select));
    // Where policies bind it, an error would tell it of rows that it may not see.
    if access.heeds_policies(&powers, table) {
        return false;
    }
    powers.is_superuser
        || !access.granted(&powers, Object::Table(table.oid), Some(table.kind), select).is_empty()
        || columns.all(|column| !access.granted_on_column(&powers, table.oid, column.id, select).is_empty())
}

/// The values of a row, all columns of the table.
pub(super) fn texts(cx: &Context<'_>, table: &TableDescriptor, row: &[Datum]) -> String {
    let told = table.columns.iter().zip(row).filter(|(column, _)| !column.hidden);
    let values: Vec<String> = told.map(|(column, value)| text(cx, column, value)).collect();
    values.join(", ")
}

fn text(cx: &Context<'_>, column: &Column, value: &Datum) -> String {
    if value.is_null() {
        return "null".to_owned();
    }
    let mut text = expr::codec::shown(value, column.ty, cx.session);
    if text.len() > VALUE_BYTES_MAX {
        let cut = (0..=VALUE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push_str("...");
    }
    text
}

/// The detail of an error about a row, all columns of the table: all of it to whoever may read it, else the columns that it may
/// read and those that it has `given` values to. `None`: there is nothing that it may know.
pub(super) fn failing_row(
    cx: &Context<'_>,
    table: &TableDescriptor,
    row: &[Datum],
    given: &[usize],
) -> Option<String> {
    let access = cx.catalog.access();
    let powers = access.powers(access.role_named(&cx.session.current_user)?.oid);
    if access.heeds_policies(&powers, table) {
        return None;
    }
    let select = Rights::of(Right::Select);
    let is_granted = !access.granted(&powers, Object::Table(table.oid), Some(table.kind), select).is_empty();
    if powers.is_superuser || is_granted {
        return Some(format!("Failing row contains ({}).", texts(cx, table, row)));
    }
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (place, (column, value)) in table.columns.iter().zip(row).enumerate() {
        let may_read = || !access.granted_on_column(&powers, table.oid, column.id, select).is_empty();
        if !column.hidden && (given.contains(&place) || may_read()) {
            names.push(column.name.as_str());
            values.push(text(cx, column, value));
        }
    }
    let (names, values) = (names.join(", "), values.join(", "));
    (!names.is_empty()).then(|| format!("Failing row contains ({names}) = ({values})."))
}
