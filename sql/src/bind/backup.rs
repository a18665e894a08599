//! BACKUP, RESTORE, SHOW BACKUPS, and schedules of backups.

use expr::TypeKind;

use super::Binder;
use super::query::output_column;
use crate::catalog::{TableKind, schema};
use crate::error::{Error, Result};
use crate::parse::ast::{self, BackupStatement, Name, Persistence, QualifiedName};
use crate::plan::{BackupCommand, BackupOf, BackupOrder, OutputColumn, SessionCommand};

/// The option that names the file with the key.
const KEY_FILE: &str = "encryption_key_file";

/// The option for all versions.
const HISTORY: &str = "history";

impl Binder<'_> {
    pub(super) fn backup(&mut self, statement: &BackupStatement) -> Result<SessionCommand> {
        let BackupStatement { command, url, as_of, options } = statement;
        let moment = as_of.as_ref().map(|own| self.without_parameters(|binder| binder.moment(own)));
        let moment = moment.transpose()?;
        let mut key_file = None;
        let mut keeps_history = None;
        for (name, value) in options {
            let is_given = match (name.value.as_str(), command) {
                (KEY_FILE, _) => {
                    let missing = || wrong(name, "it is the name of a file, in quotes");
                    key_file.replace(value.clone().ok_or_else(missing)?).is_some()
                }
                (
                    HISTORY,
                    ast::BackupCommand::Take { resume: false, .. } | ast::BackupCommand::Schedule { .. },
                ) => {
                    let history = match value.as_deref() {
                        None | Some("true" | "on") => true,
                        Some("false" | "off") => false,
                        Some(_) => return Err(wrong(name, "it is on or off")),
                    };
                    keeps_history.replace(history).is_some()
                }
                _ => {
                    let message = format!("unrecognized parameter \"{}\"", name.value);
                    return Err(Error::new("22023", message).at(name.at));
                }
            };
            if is_given {
                let message = format!("parameter \"{}\" specified more than once", name.value);
                return Err(Error::new("22023", message).at(name.at));
            }
        }
        let command = match command {
            ast::BackupCommand::Take { of, incremental, resume } => BackupCommand::Take {
                of: self.taken(of)?,
                incremental: *incremental,
                resume: *resume,
                history: keeps_history.unwrap_or_default(),
            },
            ast::BackupCommand::Restore { of, name } => BackupCommand::Restore {
                of: self.restored(of)?,
                name: name.as_ref().map(|name| name.value.clone()),
            },
            ast::BackupCommand::Show => BackupCommand::Show,
            ast::BackupCommand::Schedule { name, if_not_exists, of, every, full_every } => {
                BackupCommand::Schedule {
                    name: name.value.clone(),
                    if_not_exists: *if_not_exists,
                    of: self.taken(of)?,
                    history: keeps_history.unwrap_or_default(),
                    every_ms: self.every(every)?,
                    full_every_ms: full_every.as_ref().map(|own| self.every(own)).transpose()?,
                }
            }
            ast::BackupCommand::Unschedule { name, if_exists } => {
                BackupCommand::Unschedule { name: name.value.clone(), if_exists: *if_exists }
            }
            ast::BackupCommand::ShowSchedules => BackupCommand::ShowSchedules,
        };
        let order = BackupOrder { command, url: url.clone(), moment, key_file };
        Ok(SessionCommand::Backup(Box::new(order)))
    }

    /// The time between two backups, in ms.
    fn every(&self, own: &Name) -> Result<u64> {
        self.period_ms(&own.value).ok_or_else(|| {
            Error::new("22023", format!("invalid time between backups: \"{}\"", own.value))
                .hint("It is a time of a minute at least, such as '1 day'.")
                .at(own.at)
        })
    }

    /// What is there to be backed up.
    fn taken(&self, of: &ast::BackupOf) -> Result<BackupOf> {
        Ok(match of {
            ast::BackupOf::Cluster => BackupOf::Cluster,
            ast::BackupOf::Database(name) => {
                let missing =
                    || Error::new("3D000", format!("database \"{}\" does not exist", name.value)).at(name.at);
                let found = self.catalog.databases().meant(&name.value).ok_or_else(missing)?;
                BackupOf::Database(found.name.clone())
            }
            ast::BackupOf::Table(name) => {
                let table = self.table(name)?;
                if table.is_temporary() || table.kind != TableKind::Base {
                    let at = name.name.at;
                    let what = format!("a backup of \"{}\", which is no table that lasts,", table.name);
                    return Err(Error::unsupported(what).at(at));
                }
                BackupOf::Table { schema: table.schema.clone(), name: table.name.clone() }
            }
        })
    }

    /// What is to come back: it need not be there.
    fn restored(&mut self, of: &ast::BackupOf) -> Result<BackupOf> {
        Ok(match of {
            ast::BackupOf::Cluster => BackupOf::Cluster,
            ast::BackupOf::Database(name) => BackupOf::Database(name.value.clone()),
            ast::BackupOf::Table(name) => {
                let schema = self.schema_restored(name)?;
                BackupOf::Table { schema, name: name.name.value.clone() }
            }
        })
    }

    fn schema_restored(&mut self, name: &QualifiedName) -> Result<String> {
        let found = self.creation_schema(name, Persistence::Permanent)?;
        match found == schema::TEMPORARY {
            true => Err(Error::unsupported("RESTORE of a temporary table").at(name.name.at)),
            false => Ok(found),
        }
    }
}

/// The columns of what is answered, if that is rows.
pub(super) fn columns(statement: &BackupStatement) -> Option<Vec<OutputColumn>> {
    let column = |name: &str, kind: TypeKind| output_column(name, kind.into(), None);
    let sizes = ["files", "versions", "bytes"].map(|name| column(name, TypeKind::Int8));
    let mut columns = match statement.command {
        ast::BackupCommand::Take { .. } => {
            vec![column("moment", TypeKind::Timestamptz), column("system_timestamp", TypeKind::Numeric)]
        }
        ast::BackupCommand::Restore { .. } => {
            return Some(vec![
                column("moment", TypeKind::Timestamptz),
                column("system_timestamp", TypeKind::Numeric),
                column("tables", TypeKind::Int8),
                column("entries", TypeKind::Int8),
            ]);
        }
        ast::BackupCommand::Schedule { .. } | ast::BackupCommand::Unschedule { .. } => return None,
        ast::BackupCommand::ShowSchedules => {
            let texts = ["name", "of", "place", "every", "full_every", "state"];
            let texts = texts.into_iter().map(|name| column(name, TypeKind::Text));
            let moments = ["next", "began", "ended"];
            let moments = moments.into_iter().map(|name| column(name, TypeKind::Timestamptz));
            return Some(texts.chain(moments).chain([column("failure", TypeKind::Text)]).collect());
        }
        ast::BackupCommand::Show => vec![
            column("of", TypeKind::Text),
            column("kind", TypeKind::Text),
            column("moment", TypeKind::Timestamptz),
            column("system_timestamp", TypeKind::Numeric),
            column("begins", TypeKind::Timestamptz),
            column("encrypted", TypeKind::Bool),
        ],
    };
    columns.extend(sizes);
    Some(columns)
}

fn wrong(name: &Name, hint: &str) -> Error {
    Error::new("22023", format!("invalid value for parameter \"{}\"", name.value)).hint(hint).at(name.at)
}
