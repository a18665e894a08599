//! What the statements that change the catalog have in common.

use crate::error::{Error, Result};
use crate::plan::{Ddl, OutputColumn, Plan};

/// A plan and the columns that it returns.
pub(super) type Bound = (Plan, Option<Vec<OutputColumn>>);

/// PostgreSQL names no place in errors about what DDL is done to.
pub(super) fn unplaced(mut error: Error) -> Error {
    error.position = None;
    error
}

pub(super) fn ddl(ddl: Ddl) -> Result<Bound> {
    Ok((Plan::Ddl(Box::new(ddl)), None))
}

/// 42710: a constraint's name is taken.
pub(super) fn duplicate_constraint(table: &str, name: &str) -> Error {
    Error::new("42710", format!("constraint \"{name}\" for relation \"{table}\" already exists"))
}

/// 42P16: something temporary is to be where it cannot.
pub(super) fn not_temporary() -> Error {
    Error::new("42P16", "cannot create temporary relation in non-temporary schema")
}
