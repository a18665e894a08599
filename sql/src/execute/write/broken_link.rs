//! Violations of foreign keys, in PostgreSQL's words.

use expr::Datum;

use super::links::{Incoming, Outgoing};
use super::told::is_readable_of;
use crate::catalog::{ForeignKey, TableDescriptor};
use crate::error::{Error, ObjectNames};
use crate::execute::context::Context;

fn names(child: &TableDescriptor, key: &ForeignKey) -> ObjectNames {
    ObjectNames {
        schema: Some(child.schema.clone()),
        table: Some(child.name.clone()),
        column: None,
        constraint: Some(key.name.clone()),
    }
}

pub(super) fn violation(child: &TableDescriptor, key: &ForeignKey) -> Error {
    let message = format!(
        "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
        child.name, key.name
    );
    Error::new("23503", message).names(names(child, key))
}

pub(super) fn missing(
    cx: &Context<'_>,
    child: &TableDescriptor,
    outgoing: &Outgoing,
    values: &[Datum],
) -> Error {
    let parent = &outgoing.parent.name;
    let columns = outgoing.places.iter().filter_map(|place| child.columns.get(*place));
    let error = violation(child, &outgoing.key);
    match is_readable_of(cx, child, &outgoing.key.columns) {
        true => {
            let key = key_text(cx, columns, values);
            error.detail(format!("Key {key} is not present in table \"{parent}\"."))
        }
        false => error.detail(format!("Key is not present in table \"{parent}\".")),
    }
}

pub(super) fn still_referenced(
    cx: &Context<'_>,
    parent: &TableDescriptor,
    incoming: &Incoming,
    values: &[Datum],
) -> Error {
    let child = &incoming.child;
    let message = format!(
        "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
        parent.name, incoming.key.name, child.name
    );
    let error = Error::new("23503", message).names(names(child, &incoming.key));
    match is_readable_of(cx, parent, &incoming.key.parent_columns) {
        true => {
            let columns = incoming.places.iter().filter_map(|place| parent.columns.get(*place));
            let key = key_text(cx, columns, values);
            error.detail(format!("Key {key} is still referenced from table \"{}\".", child.name))
        }
        false => error.detail(format!("Key is still referenced from table \"{}\".", child.name)),
    }
}

/// `(a, b)=(1, 2)`
fn key_text<'c>(
    cx: &Context<'_>,
    columns: impl Iterator<Item = &'c crate::catalog::Column>,
    values: &[Datum],
) -> String {
    let (mut names, mut texts) = (Vec::new(), Vec::new());
    for (column, value) in columns.zip(values) {
        names.push(column.name.as_str());
        texts.push(match value {
            Datum::Null => "null".to_owned(),
            value => expr::codec::shown(value, column.ty, cx.session),
        });
    }
    format!("({})=({})", names.join(", "), texts.join(", "))
}
