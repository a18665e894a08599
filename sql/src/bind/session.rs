//! Commands of the session itself, and those that are accepted without effect.

use expr::TypeKind;

use super::Binder;
use super::level::{Clause, Level};
use super::query::output_column;
use super::scope::Scope;
use crate::error::{Error, Result};
use crate::parse::ast::{Body, QualifiedName};
use crate::plan::{OutputColumn, Plan, SessionCommand};

impl Binder<'_> {
    /// A command of the session.
    pub(super) fn session_command(&mut self, body: &Body) -> Result<(Plan, Option<Vec<OutputColumn>>)> {
        let text = |name: &str| output_column(name, TypeKind::Text.into(), None);
        let columns = match body {
            Body::Show(name) => Some(vec![text(shown_name(name))]),
            Body::ShowAll => Some(vec![text("name"), text("setting"), text("description")]),
            _ => None,
        };
        let command = match body {
            Body::Begin(modes) => SessionCommand::Begin(*modes),
            Body::Commit { chain } => SessionCommand::Commit { chain: *chain },
            Body::Rollback { chain } => SessionCommand::Rollback { chain: *chain },
            Body::Savepoint(name) => SessionCommand::Savepoint(name.clone()),
            Body::Release(name) => SessionCommand::Release(name.clone()),
            Body::RollbackTo(name) => SessionCommand::RollbackTo(name.clone()),
            Body::SetTransaction(modes) => SessionCommand::SetTransaction(*modes),
            Body::SetSessionCharacteristics(modes) => SessionCommand::SetSessionCharacteristics(*modes),
            Body::Set { name, value, local } => {
                SessionCommand::Set { name: name.clone(), value: value.clone(), local: *local }
            }
            Body::Reset(name) => SessionCommand::Reset(name.clone()),
            Body::Show(name) => SessionCommand::Show(name.clone()),
            Body::ShowAll => SessionCommand::ShowAll,
            Body::Prepare { name, types, statement } => SessionCommand::Prepare {
                name: name.clone(),
                types: types.iter().map(|ty| self.type_of(ty)).collect::<Result<_>>()?,
                statement: statement.clone(),
            },
            Body::Execute { name, arguments } => {
                let level = Level::query(Scope::default(), Clause::plain("EXECUTE parameters"), false);
                let (bound, level) = self.without_parameters(|binder| {
                    binder.at_level(level, |binder| binder.arguments(arguments))
                })?;
                self.without_subqueries(&level, "an argument of EXECUTE")?;
                let arguments = bound.into_iter().map(|(argument, _)| argument).collect();
                SessionCommand::Execute { name: name.clone(), arguments }
            }
            Body::Deallocate(name) => SessionCommand::Deallocate(name.clone()),
            Body::Close(name) => SessionCommand::Close(name.clone()),
            Body::Unlisten => SessionCommand::NoEffect { tag: "UNLISTEN" },
            Body::Discard(what) => SessionCommand::Discard(*what),
            Body::Vacuum(tables) => {
                self.check_tables(tables)?;
                SessionCommand::Vacuum
            }
            Body::Analyze(tables) => {
                self.check_tables(tables)?;
                SessionCommand::Analyze
            }
            Body::Checkpoint => SessionCommand::NoEffect { tag: "CHECKPOINT" },
            _ => return Err(Error::internal("a statement that the session does not know")),
        };
        Ok((Plan::Session(Box::new(command)), columns))
    }

    fn check_tables(&self, names: &[QualifiedName]) -> Result<()> {
        names.iter().try_for_each(|name| self.table(name).map(|_| ()))
    }
}

/// The setting's name as SHOW spells it.
fn shown_name(name: &str) -> &str {
    match name {
        "timezone" => "TimeZone",
        "datestyle" => "DateStyle",
        "intervalstyle" => "IntervalStyle",
        name => name,
    }
}
