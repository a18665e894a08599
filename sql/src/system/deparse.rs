//! Definitions as SQL text: what `pg_get_indexdef` and `pg_get_constraintdef` print.

use crate::bind;
use crate::catalog::object::ViewDescriptor;
use crate::catalog::{CatalogSnapshot, IndexDescriptor, SearchPath, TableDescriptor};

/// A name as SQL would have to write it.
pub(super) fn quote_name(name: &str) -> String {
    expr::functions::quote::identifier(name)
}

/// `CREATE INDEX t_b ON public.t USING btree (b)`; without the schema if it `is_visible`.
pub(super) fn index(
    table: &TableDescriptor,
    index: &IndexDescriptor,
    is_visible: bool,
    text: &KeyText<'_>,
) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let schema = if is_visible { String::new() } else { format!("{}.", quote_name(&table.schema)) };
    let predicate = text.predicate(index).map(|predicate| format!(" WHERE {predicate}")).unwrap_or_default();
    format!(
        "CREATE {unique}INDEX {} ON {schema}{} USING {} ({}){}{}{predicate}",
        quote_name(&index.name),
        quote_name(&table.name),
        index.options.method.name(),
        index_columns(index, text),
        included(table, index),
        if index.options.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" },
    )
}

/// How the parts of an index and its predicate are written.
pub(super) struct KeyText<'a> {
    pub(super) table: &'a TableDescriptor,
    pub(super) catalog: &'a CatalogSnapshot,
    /// There is one where parentheses that make no difference are left out.
    pub(super) sparing: Option<&'a SearchPath>,
}

impl KeyText<'_> {
    fn part(&self, index: &IndexDescriptor, part: usize) -> Option<String> {
        bind::key_part_text(self.table, index, part, self.catalog, self.sparing)
    }

    pub(super) fn predicate(&self, index: &IndexDescriptor) -> Option<String> {
        let kept = &index.options.predicate.as_ref()?.kept.text;
        let sparing = self
            .sparing
            .and_then(|path| bind::sparing_index_expression(self.table, kept, self.catalog, path));
        Some(sparing.unwrap_or_else(|| kept.clone()))
    }
}

/// ` INCLUDE (a, b)`
fn included(table: &TableDescriptor, index: &IndexDescriptor) -> String {
    let columns = index.options.included.iter().filter_map(|id| table.columns.get(table.column_by_id(*id)?));
    let names: Vec<String> = columns.map(|column| quote_name(&column.name)).collect();
    if names.is_empty() { String::new() } else { format!(" INCLUDE ({})", names.join(", ")) }
}

fn index_columns(index: &IndexDescriptor, text: &KeyText<'_>) -> String {
    let columns: Vec<String> = index
        .columns
        .iter()
        .enumerate()
        .filter_map(|(part, key)| {
            let mut text = text.part(index, part)?;
            if let Some(class) = &key.class {
                text.push(' ');
                text.push_str(&quote_name(class));
            }
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
    text: &KeyText<'_>,
) -> Option<String> {
    let part = number.checked_sub(1)?;
    let behind = part.checked_sub(index.columns.len());
    match behind.map(|behind| index.options.included.get(behind)) {
        None => text.part(index, part),
        Some(included) => Some(quote_name(&table.columns.get(table.column_by_id(*included?)?)?.name)),
    }
}

/// `PRIMARY KEY (a)`, `UNIQUE (b, c)`
pub(super) fn constraint(table: &TableDescriptor, index: &IndexDescriptor) -> Option<String> {
    let what = if index.constraint?.primary_key { "PRIMARY KEY" } else { "UNIQUE" };
    let columns =
        index.columns.iter().filter_map(|key| table.columns.get(table.column_by_id(key.column()?)?));
    let names: Vec<String> = columns.map(|column| quote_name(&column.name)).collect();
    let nulls = if index.options.nulls_not_distinct { "NULLS NOT DISTINCT " } else { "" };
    Some(format!("{what} {nulls}({}){}", names.join(", "), included(table, index)))
}

/// A view's query, as it has to be written under a search path; `sparing`: without parentheses that make no difference.
pub(super) fn view(
    view: &ViewDescriptor,
    catalog: &CatalogSnapshot,
    path: &SearchPath,
    sparing: bool,
) -> String {
    format!("{};", bind::shown_view(view, catalog, path, sparing))
}
