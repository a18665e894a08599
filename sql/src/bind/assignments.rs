//! `SET column = value, …` of UPDATE, ON CONFLICT and MERGE.

use expr::Expr;

use super::destination::Destination;
use super::level::Clause;
use super::{Binder, system_column};
use crate::catalog::access::Right;
use crate::catalog::object::Identity;
use crate::catalog::{Column, TableDescriptor};
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind, TargetPart};
use crate::plan::{Assignment, Command};

impl Binder<'_> {
    /// The values of SET in a command; the table's row begins at column `row_at` of what they are computed from.
    pub(super) fn assignments(
        &mut self,
        destination: &Destination,
        assignments: &[ast::Assignment],
        row_at: usize,
        command: Command,
    ) -> Result<Vec<Assignment>> {
        let Destination { named, table, .. } = destination;
        let clause = Clause::plain("UPDATE");
        self.row_queries.clear();
        self.within(clause, |binder| {
            let mut bound: Vec<Assignment> = Vec::with_capacity(assignments.len());
            let mut wholes: Vec<usize> = Vec::new();
            let mut names: Vec<usize> = Vec::with_capacity(assignments.len());
            for ast::Assignment { target, value } in assignments {
                let own = binder.target(named, target)?;
                let place = destination.place(own, command)?;
                let is_part = !target.parts.is_empty();
                let known = bound.iter_mut().find(|other| other.column == place);
                if known.is_some() && !is_part || wholes.contains(&place) {
                    return Err(match names.contains(&own) {
                        true => assigned_twice(named, own),
                        false => assigned_twice(table, place),
                    });
                }
                names.push(own);
                let (Some(column), Some(stored)) = (named.columns.get(own), table.columns.get(place)) else {
                    return Err(Error::internal("a target that is no column"));
                };
                if !is_part {
                    // The default is that of what is named, and then it is a value like any other.
                    let is_default = matches!(value.kind, ExprKind::Default) && !destination.is_view();
                    binder.check_updated(table, stored, is_default)?;
                    wholes.push(place);
                    let value = binder.assigned(named, column, value)?;
                    bound.push(Assignment { column: place, value });
                    continue;
                }
                // Parts of one column are replaced one after the other.
                let index = row_at.saturating_add(place);
                let before = match &known {
                    Some(known) => known.value.clone(),
                    None => Expr::Column { index, ty: column.ty },
                };
                let part = binder.assigned_part(column, before, target, value)?;
                binder.check_updated(table, stored, false)?;
                match known {
                    Some(known) => known.value = part,
                    None => bound.push(Assignment { column: place, value: part }),
                }
            }
            binder.need_write(destination, Right::Update, &names);
            Ok(bound)
        })
    }

    fn target(&self, table: &TableDescriptor, target: &ast::AssignmentTarget) -> Result<usize> {
        system_column::check_assigned(table, &target.column)?;
        let place = self.place(table, &target.column)?;
        if let (Some(TargetPart::Field(field)), Some(column)) =
            (target.parts.first(), table.columns.get(place))
        {
            self.field_target((column.name.as_str(), column.ty), field, target.column.at)?;
        }
        Ok(place)
    }

    /// 428C9 if a column that is GENERATED ALWAYS is to be set to other than DEFAULT.
    fn check_updated(&self, table: &TableDescriptor, column: &Column, is_default: bool) -> Result<()> {
        let identity = self.catalog.objects().identity(table.oid, column.id);
        let always = identity.is_some_and(|(identity, _)| identity == Identity::Always);
        let message = || format!("column \"{}\" can only be updated to DEFAULT", column.name);
        if is_default {
            Ok(())
        } else if column.generated.is_some() {
            Err(made_of_others(message(), column))
        } else if always {
            Err(generated_always(message(), column))
        } else {
            Ok(())
        }
    }
}

/// 428C9: only the system gives values to an identity column.
pub(super) fn generated_always(message: String, column: &Column) -> Error {
    let detail = format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", column.name);
    Error::new("428C9", message).detail(detail)
}

/// 428C9: a column is computed of others.
pub(super) fn made_of_others(message: String, column: &Column) -> Error {
    Error::new("428C9", message).detail(format!("Column \"{}\" is a generated column.", column.name))
}

/// 42601: a column is to be given two values.
pub(super) fn assigned_twice(relation: &TableDescriptor, place: usize) -> Error {
    let name = relation.columns.get(place).map(|column| column.name.as_str()).unwrap_or_default();
    Error::new("42601", format!("multiple assignments to same column \"{name}\""))
}
