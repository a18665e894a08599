//! Violations of constraints, in PostgreSQL's words.

use expr::{Datum, Row};

use super::guard::Guards;
use super::misfit;
use super::told::{is_readable, texts};
use crate::catalog::TableDescriptor;
use crate::error::{Error, ObjectNames, Result};
use crate::execute::context::Context;
use crate::execute::rows::IndexFormat;
use crate::execute::writers::sign;
use crate::plan::RowRules;

/// 23502 if a column that must not be NULL is.
fn check_not_null(cx: &Context<'_>, table: &TableDescriptor, row: &[Datum]) -> Result<()> {
    for (column, value) in table.columns.iter().zip(row) {
        if column.not_null && value.is_null() && !column.hidden {
            let names = ObjectNames {
                schema: Some(table.schema.clone()),
                table: Some(table.name.clone()),
                column: Some(column.name.clone()),
                constraint: None,
            };
            let message = format!(
                "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                column.name, table.name
            );
            let error = Error::new("23502", message).names(names);
            return Err(match is_readable(cx, table, table.columns.iter()) {
                true => error.detail(format!("Failing row contains ({}).", texts(cx, table, row))),
                false => error,
            });
        }
    }
    Ok(())
}

/// Computes the generated columns of a new row, and judges it: 23502 if a column that must not be NULL is, 23514 if a check
/// is false.
pub(crate) fn complete_row(
    cx: &Context<'_>,
    table: &TableDescriptor,
    rules: &RowRules,
    row: &mut Row,
) -> Result<()> {
    generate(cx, rules, row)?;
    check_row(cx, table, rules, row)
}

/// The same, with who writes the row, where that is stored with it, and with what policies ask of the row: after it is complete,
/// before anything of it is told.
pub(crate) async fn complete_guarded_row(
    cx: &mut Context<'_>,
    table: &TableDescriptor,
    rules: &RowRules,
    guards: &mut Guards,
    row: &mut Row,
) -> Result<()> {
    sign(cx, table, row)?;
    if guards.is_empty() {
        return complete_row(cx, table, rules, row);
    }
    generate(cx, rules, row)?;
    guards.judge_new(cx, table, row).await?;
    check_row(cx, table, rules, row)
}

fn generate(cx: &Context<'_>, rules: &RowRules, row: &mut Row) -> Result<()> {
    for generated in &rules.generated {
        let value = cx.evaluate(&generated.value, row)?;
        *row.get_mut(generated.column).ok_or_else(misfit)? = value;
    }
    Ok(())
}

/// 23502 if a column that must not be NULL is, 23514 if a check is false.
pub(crate) fn check_row(
    cx: &Context<'_>,
    table: &TableDescriptor,
    rules: &RowRules,
    row: &[Datum],
) -> Result<()> {
    check_not_null(cx, table, row)?;
    for check in &rules.checks {
        if !matches!(cx.evaluate(&check.condition, row)?, Datum::Bool(false)) {
            continue;
        }
        let message =
            format!("new row for relation \"{}\" violates check constraint \"{}\"", table.name, check.name);
        let names = ObjectNames {
            schema: Some(table.schema.clone()),
            table: Some(table.name.clone()),
            column: None,
            constraint: Some(check.name.clone()),
        };
        let error = Error::new("23514", message).names(names);
        return Err(match is_readable(cx, table, table.columns.iter()) {
            true => error.detail(format!("Failing row contains ({}).", texts(cx, table, row))),
            false => error,
        });
    }
    Ok(())
}

/// 23505: another row has this key already.
pub(crate) fn duplicate(
    cx: &Context<'_>,
    table: &TableDescriptor,
    index: &IndexFormat,
    row: &[Datum],
) -> Error {
    let message = format!("duplicate key value violates unique constraint \"{}\"", index.name);
    let error = Error::new("23505", message).names(names(table, index));
    match is_key_readable(cx, table, index) {
        true => error.detail(format!("{} already exists.", key_text(cx, table, index, row))),
        false => error,
    }
}

/// 23505: a new unique index finds equal keys.
pub(crate) fn duplicate_in_index(
    cx: &Context<'_>,
    table: &TableDescriptor,
    index: &IndexFormat,
    row: &[Datum],
) -> Error {
    let error = Error::new("23505", format!("could not create unique index \"{}\"", index.name));
    let detail = match is_key_readable(cx, table, index) {
        true => format!("{} is duplicated.", key_text(cx, table, index, row)),
        false => "Duplicate keys exist.".to_owned(),
    };
    error.detail(detail).names(names(table, index))
}

/// Whether whoever acts may see what decides about the entries of an index.
fn is_key_readable(cx: &Context<'_>, table: &TableDescriptor, index: &IndexFormat) -> bool {
    is_readable(cx, table, index.decided_by().filter_map(|place| table.columns.get(place)))
}

fn names(table: &TableDescriptor, index: &IndexFormat) -> ObjectNames {
    ObjectNames {
        schema: Some(table.schema.clone()),
        table: Some(table.name.clone()),
        column: None,
        constraint: Some(index.name.clone()),
    }
}

/// `Key (a, lower(b))=(1, 'x')`
fn key_text(cx: &Context<'_>, table: &TableDescriptor, index: &IndexFormat, row: &[Datum]) -> String {
    let of = table.index(index.id);
    let path = Some(&cx.settings.hot().search_path);
    let name =
        |part: usize| of.and_then(|own| crate::bind::key_part_text(table, own, part, cx.catalog, path));
    let names: Vec<String> = (0..index.columns.len()).filter_map(name).collect();
    // What cannot be computed had no entry that another could be equal to.
    let values = index.key_values(row).unwrap_or_default();
    let values: Vec<String> = values
        .iter()
        .zip(&index.columns)
        .map(|(value, key)| match value {
            Datum::Null => "null".to_owned(),
            value => expr::codec::shown(value, key.ty, cx.session),
        })
        .collect();
    format!("Key ({})=({})", names.join(", "), values.join(", "))
}
