//! MERGE: the source joined to the table, and what is done with the pairs.

use std::sync::Arc;

use expr::{Expr, TypeKind};

use super::Binder;
use super::destination::Destination;
use super::from::Source;
use super::level::{Clause, Level, WithoutSystemColumns};
use super::modify::{Bound, check_count, with_defaults};
use super::scope::Scope;
use crate::catalog::access::Right;
use crate::catalog::{PolicyCommand, TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse::ast::{self, QueryBody};
use crate::plan::{
    Command, Join, JoinKind, JoinStrategy, Merge, MergeAction, MergeWhen, Modify, Node, Plan, Project,
};

/// The clause that a condition of WHEN stands in.
const WHEN: Clause =
    Clause::plain("MERGE WHEN conditions").without_system_columns(WithoutSystemColumns::MergeWhen);

impl Binder<'_> {
    /// MERGE.
    pub(super) fn merge_rows(&mut self, merge: &ast::Merge) -> Result<Bound> {
        let visible = self.common_tables.len();
        self.with(&merge.with, true)?;
        let table = self.merged_table(&merge.table).map(|table| self.with_writer(table))?;
        check_whens(&merge.whens)?;
        let name = merge.alias.as_ref().map_or(&table.name, |alias| &alias.value).clone();
        let source = self.table_expr(&merge.source)?;
        if source.scope.relations.iter().any(|relation| relation.name == name) {
            let message = format!("name \"{name}\" specified more than once");
            return Err(Error::new("42712", message)
                .detail("The name is used both as MERGE target table and data source."));
        }
        let target_at = source.node.width();
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let alias = merge.alias.as_ref().map(|alias| (&alias.value, None));
        let target = self.scan(table.clone(), all, alias, None)?;
        let own = self.shielded(target.node, &table, &[PolicyCommand::Select])?;
        let target = Source { node: own, ..target };
        // What tells a row from none.
        let types = target.node.types().into_iter().enumerate();
        let mut expressions: Vec<Expr> = types.map(|(index, ty)| Expr::Column { index, ty }).collect();
        expressions.push(Expr::literal(true, TypeKind::Bool));
        let right = Node::Project(Project { input: Box::new(target.node), expressions });
        let unmatched = source.scope.clone();
        let scope = source.scope.join(target.scope, target_at)?;

        let level = Level::query(scope.clone(), Clause::plain("JOIN conditions"), false);
        let (condition, level) = self.at_level(level, |binder| {
            let bound = binder.expression(&merge.on)?;
            binder.condition(bound, "JOIN/ON", merge.on.at)
        })?;
        self.without_subqueries(&level, "the condition of MERGE")?;
        let adds = merge.whens.iter().any(|when| !when.matched);
        let joined = Node::Join(Join {
            kind: if adds { JoinKind::Left } else { JoinKind::Inner },
            left: Box::new(source.node),
            right: Box::new(right),
            strategy: JoinStrategy::NestedLoop,
            condition: Some(condition.clone()),
            left_rows: 0.0,
        });
        let level = Level::query(scope.clone(), Clause::plain("MERGE"), false);
        let (mut whens, level) = self.at_level(level, |binder| {
            let mut whens = Vec::with_capacity(merge.whens.len());
            for when in &merge.whens {
                binder.level()?.scope = if when.matched { scope.clone() } else { unmatched.clone() };
                let bound = binder.merge_when(&table, when, target_at);
                whens.push(bound.map_err(|error| out_of_sight(error, &name, &unmatched))?);
            }
            Ok(whens)
        })?;
        let asks = !level.subqueries.is_empty();
        let mut values: Vec<&mut Expr> = Vec::new();
        for when in &mut whens {
            values.extend(&mut when.condition);
            match &mut when.action {
                MergeAction::Update(assignments) => {
                    values.extend(assignments.iter_mut().map(|assignment| &mut assignment.value));
                }
                MergeAction::Insert(cells) => values.extend(cells),
                MergeAction::Nothing | MergeAction::Delete => {}
            }
        }
        let source = self.apply(joined, level.subqueries, &mut values);
        self.common_tables.truncate(visible);
        let rules = self.row_rules(&table)?;
        let linked = self.catalog.is_linked(&table);
        let guards = self.merge_guards(&table)?;
        let merge = Merge { table, source, target_at, condition, whens, asks, rules, guards, linked };
        Ok((Plan::Modify(Box::new(Modify::Merge(merge))), None))
    }

    fn merged_table(&self, name: &ast::QualifiedName) -> Result<Arc<TableDescriptor>> {
        let table = self.table(name)?;
        let what = match table.kind {
            TableKind::View => "views",
            TableKind::Materialised => "materialized views",
            TableKind::Sequence => "sequences",
            TableKind::Base | TableKind::Virtual => return self.writable_table(name),
        };
        let message = format!("cannot execute MERGE on relation \"{}\"", table.name);
        Err(Error::new("0A000", message).detail(format!("This operation is not supported for {what}.")))
    }

    fn merge_when(
        &mut self,
        table: &Arc<TableDescriptor>,
        when: &ast::MergeWhen,
        target_at: usize,
    ) -> Result<MergeWhen> {
        let condition = match &when.condition {
            None => None,
            Some(condition) => Some(self.within(WHEN, |binder| {
                let bound = binder.expression(condition)?;
                binder.condition(bound, "WHEN", condition.at)
            })?),
        };
        let action = match &when.action {
            ast::MergeAction::Nothing => MergeAction::Nothing,
            ast::MergeAction::Delete => {
                self.needs.add(table, Right::Delete);
                MergeAction::Delete
            }
            ast::MergeAction::Update(assignments) => {
                let destination = Destination::table(table.clone());
                MergeAction::Update(self.assignments(&destination, assignments, target_at, Command::Merge)?)
            }
            ast::MergeAction::Insert(insert) => MergeAction::Insert(self.merge_insert(table, insert)?),
        };
        Ok(MergeWhen { matched: when.matched, condition, action })
    }

    /// A value for each column of the table.
    fn merge_insert(&mut self, table: &Arc<TableDescriptor>, insert: &ast::Insert) -> Result<Vec<Expr>> {
        let whole = self.whole_targets(table, insert)?;
        let insert: &ast::Insert = &whole;
        let targets = match &insert.columns {
            Some(targets) => self.targets(table, targets)?,
            None => table.visible().map(|(place, _)| place).collect(),
        };
        self.needs.write(table, Right::Insert, if insert.source.is_some() { &targets } else { &[] });
        let ignored = self.overridden(table, &targets, insert)?;
        let mut cells = vec![None; table.columns.len()];
        let rows = match insert.source.as_ref().map(|query| &query.body) {
            Some(QueryBody::Values(rows)) => with_defaults(rows, &targets, &ignored),
            _ => std::borrow::Cow::Borrowed(&[][..]),
        };
        for row in rows.iter() {
            check_count(row.len(), targets.len(), insert.columns.as_deref(), || {
                row.get(targets.len()).or(row.last()).map_or(0, |expr| expr.at)
            })?;
            self.within(Clause::plain("VALUES"), |binder| {
                for (target, expr) in targets.iter().zip(row) {
                    let (Some(column), Some(cell)) = (table.columns.get(*target), cells.get_mut(*target))
                    else {
                        return Err(Error::internal("a target that is no column"));
                    };
                    *cell = Some(binder.assigned(table, column, expr)?);
                }
                Ok(())
            })?;
        }
        self.completed(table, cells)
    }
}

/// 42601 if one can never be come to.
fn check_whens(whens: &[ast::MergeWhen]) -> Result<()> {
    for matched in [true, false] {
        let of_kind: Vec<&ast::MergeWhen> = whens.iter().filter(|when| when.matched == matched).collect();
        let last = of_kind.len().saturating_sub(1);
        if of_kind.iter().take(last).any(|when| when.condition.is_none()) {
            let message = "unreachable WHEN clause specified after unconditional WHEN clause";
            return Err(Error::new("42601", message));
        }
    }
    Ok(())
}

/// What a row says that does not go with any of the table cannot be about the table.
fn out_of_sight(error: Error, name: &str, unmatched: &Scope) -> Error {
    let is_there = unmatched.relations.iter().any(|relation| relation.name == name);
    if is_there || error.message != format!("missing FROM-clause entry for table \"{name}\"") {
        return error;
    }
    let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
    let hint = format!(
        "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
    );
    let moved = Error::new("42P01", message).hint(hint);
    match error.position {
        Some(at) => moved.at(at),
        None => moved,
    }
}
