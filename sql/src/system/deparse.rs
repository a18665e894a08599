//! Definitions as SQL text: what `pg_get_indexdef` and `pg_get_constraintdef` print.

use crate::catalog::object::ViewDescriptor;
use crate::catalog::{IndexDescriptor, TableDescriptor};

/// A name as SQL would have to write it.
pub(super) fn quote_name(name: &str) -> String {
    expr::functions::quote::identifier(name)
}

/// `CREATE INDEX t_b ON public.t USING btree (b)`; without the schema if it `is_visible`.
pub(super) fn index(table: &TableDescriptor, index: &IndexDescriptor, is_visible: bool) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let schema = if is_visible { String::new() } else { format!("{}.", quote_name(&table.schema)) };
    format!(
        "CREATE {unique}INDEX {} ON {schema}{} USING btree ({})",
        quote_name(&index.name),
        quote_name(&table.name),
        index_columns(table, index)
    )
}

fn index_columns(table: &TableDescriptor, index: &IndexDescriptor) -> String {
    let columns: Vec<String> = index
        .columns
        .iter()
        .filter_map(|key| {
            let mut text = quote_name(&table.columns.get(table.column_by_id(key.column)?)?.name);
            match (key.descending, key.nulls_first) {
                (false, false) => {}
                (false, true) => text.push_str(" NULLS FIRST"),
                (true, true) => text.push_str(" DESC"),
                (true, false) => text.push_str(" DESC NULLS LAST"),
            }
            Some(text)
        })
        .collect();
    columns.join(", ")
}

/// The name of one column of an index, from 1.
pub(super) fn index_column(
    table: &TableDescriptor,
    index: &IndexDescriptor,
    number: usize,
) -> Option<String> {
    let key = index.columns.get(number.checked_sub(1)?)?;
    Some(quote_name(&table.columns.get(table.column_by_id(key.column)?)?.name))
}

/// `PRIMARY KEY (a)`, `UNIQUE (b, c)`
pub(super) fn constraint(table: &TableDescriptor, index: &IndexDescriptor) -> Option<String> {
    let what = if index.constraint?.primary_key { "PRIMARY KEY" } else { "UNIQUE" };
    Some(format!("{what} ({})", index_columns(table, index)))
}

/// A view's query, as it was written.
pub(super) fn view(view: &ViewDescriptor) -> String {
    format!(" {};", view.query)
}
