//! Statements about roles and rights: the tables that they name.

use super::Binder;
use crate::catalog::TableKind;
use crate::error::{Error, Result};
use crate::parse::ast::{AccessStatement, GrantObjects, ObjectKind};
use crate::plan::{AccessChange, Ddl, OutputColumn, Plan};
use crate::settings::{find_cluster, normalise_cluster};

impl Binder<'_> {
    /// A statement about roles or rights.
    pub(super) fn access(
        &mut self,
        statement: &AccessStatement,
    ) -> Result<(Plan, Option<Vec<OutputColumn>>)> {
        let (mut tables, mut types, mut functions) = (Vec::new(), Vec::new(), Vec::new());
        match statement {
            AccessStatement::Rights(grant) => {
                if let GrantObjects::Tables(names) | GrantObjects::Sequences(names) = &grant.objects {
                    let sequences = matches!(grant.objects, GrantObjects::Sequences(_));
                    for name in names {
                        let found = self.table(name).map_err(unplaced)?;
                        if sequences && found.kind != TableKind::Sequence {
                            let message = format!("\"{}\" is not a sequence", found.name);
                            return Err(Error::new("42809", message));
                        }
                        tables.push(found);
                    }
                }
                if let GrantObjects::Functions(names) = &grant.objects {
                    for name in names {
                        functions.push(self.function_named(name)?.oid);
                    }
                }
            }
            AccessStatement::FunctionOwner { function, .. } => {
                functions.push(self.function_named(function)?.oid);
            }
            AccessStatement::Owner { object, .. } if object.kind == ObjectKind::Schema => {
                self.schema(&object.name.name)?;
            }
            AccessStatement::Owner { object, .. } if object.kind.is_type() => {
                types.push(self.altered_type(object)?.oid());
            }
            AccessStatement::Owner { object, .. } => match self.altered(object)? {
                Some(found) => tables.push(found),
                None => return Ok((Plan::Ddl(Box::new(Ddl::Nothing { tag: "ALTER TABLE" })), None)),
            },
            AccessStatement::ClusterSetting { name, value } => {
                let setting = find_cluster(&name.value).map_err(|error| error.at(name.at))?;
                if let Some(value) = value {
                    normalise_cluster(setting, value)?;
                }
            }
            AccessStatement::Role(_)
            | AccessStatement::Database(_)
            | AccessStatement::Defaults(_)
            | AccessStatement::DefaultPrivileges(_)
            | AccessStatement::Membership(_) => {}
        }
        let change = AccessChange { statement: statement.clone(), tables, types, functions };
        Ok((Plan::Ddl(Box::new(Ddl::Access(change))), None))
    }
}

/// PostgreSQL names no place in errors about what DDL is done to.
fn unplaced(mut error: Error) -> Error {
    error.position = None;
    error
}
