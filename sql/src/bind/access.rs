//! Statements about roles and rights: the tables that they name.

use super::Binder;
use super::from::shown;
use crate::error::{Error, Notice, Result};
use crate::parse::ast::{AccessStatement, GrantObjects};
use crate::plan::{AccessChange, Ddl, OutputColumn, Plan};

impl Binder<'_> {
    /// A statement about roles or rights.
    pub(super) fn access(
        &mut self,
        statement: &AccessStatement,
    ) -> Result<(Plan, Option<Vec<OutputColumn>>)> {
        let mut tables = Vec::new();
        match statement {
            AccessStatement::Rights(grant) => {
                if let GrantObjects::Tables(names) = &grant.objects {
                    for name in names {
                        tables.push(self.table(name).map_err(unplaced)?);
                    }
                }
            }
            AccessStatement::Owner { table, if_exists, .. } => match self.writable_table(table) {
                Ok(found) => tables.push(found),
                Err(error) if *if_exists && error.sqlstate == "42P01" => {
                    let message = format!("relation \"{}\" does not exist, skipping", shown(table));
                    self.notices.push(Notice::notice("00000", message));
                    return Ok((Plan::Ddl(Box::new(Ddl::Nothing { tag: "ALTER TABLE" })), None));
                }
                Err(error) => return Err(unplaced(error)),
            },
            AccessStatement::Role(_) | AccessStatement::Membership(_) => {}
        }
        let change = AccessChange { statement: statement.clone(), tables };
        Ok((Plan::Ddl(Box::new(Ddl::Access(change))), None))
    }
}

/// PostgreSQL names no place in errors about what DDL is done to.
fn unplaced(mut error: Error) -> Error {
    error.position = None;
    error
}
