//! `pg_relation_is_updatable` and its like: what can be changed of a table, or through a view.

use expr::Datum;

use crate::bind::Changeable;
use crate::catalog::{CatalogSnapshot, ColumnId, Oid};

/// The answer of such a function; `None`: it is another.
pub(super) fn answer(name: &str, arguments: &[Datum], catalog: &CatalogSnapshot) -> Option<Datum> {
    let is_of_column = match name {
        "pg_relation_is_updatable" | "pg_relation_is_publishable" => false,
        "pg_column_is_updatable" => true,
        _ => return None,
    };
    let oid = arguments.first().and_then(Datum::as_i64).and_then(|oid| Oid::try_from(oid).ok());
    let relation = oid.and_then(|oid| catalog.table_by_oid(oid));
    if name == "pg_relation_is_publishable" {
        return Some(Datum::Bool(relation.is_some_and(super::is_base)));
    }
    let changeable = relation.map(|relation| (relation, Changeable::of(relation, catalog)));
    if !is_of_column {
        return Some(Datum::Int4(changeable.map_or(0, |(_, changeable)| changeable.events())));
    }
    let number = arguments.get(1).and_then(Datum::as_i64).and_then(|number| ColumnId::try_from(number).ok());
    let takes_values = changeable.zip(number).is_some_and(|((relation, changeable), number)| {
        // The hidden row id has the number of no column.
        let place = relation.column_by_id(number).filter(|_| number > 0);
        place.and_then(|place| changeable.columns.get(place).copied()).unwrap_or_default()
    });
    Some(Datum::Bool(takes_values))
}
