//! FROM: tables, subqueries, functions and joins become rows with named columns.

use std::collections::HashSet;
use std::sync::Arc;

use expr::Expr;

use super::level::{Clause, Level};
use super::scope::{Relation, Scope, ScopeColumn};
use super::{Binder, system_column};
use crate::catalog::access::Right;
use crate::catalog::{TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse::ast::{self, JoinCondition, Name, QualifiedName, TableExpr};
use crate::plan::{
    Binding, Filter, Join, JoinKind, JoinStrategy, Node, RowLock, Scan, Values, VirtualScan, budget,
};

/// Rows and what their columns are called.
pub(super) struct Source {
    pub(super) node: Node,
    pub(super) scope: Scope,
}

impl Binder<'_> {
    /// The items of FROM, each joined to those before it.
    pub(super) fn sources(&mut self, items: &[TableExpr]) -> Result<Source> {
        let mut items = items.iter();
        let Some(first) = items.next() else {
            return Ok(Source { node: Node::Values(Values::one_row()), scope: Scope::default() });
        };
        let mut joined = self.table_expr(first)?;
        let mut depth = budget::measure(&joined.node).0;
        for item in items {
            joined = self.cross_join(joined, item, &mut depth)?;
        }
        Ok(joined)
    }

    /// Another item of FROM after what is there already, which is so deep.
    pub(super) fn cross_join(&mut self, left: Source, item: &TableExpr, depth: &mut usize) -> Result<Source> {
        let (left_scope, right, bindings) = self.right_side(left.scope, item)?;
        *depth = budget::measure(&right.node).0.max(*depth).saturating_add(1);
        budget::check_depth(*depth)?;
        let width = left.node.width();
        let scope = left_scope.join(right.scope, width)?;
        let node = Node::Join(Join {
            kind: JoinKind::Inner,
            left: Box::new(left.node),
            right: Box::new(right.node),
            strategy: strategy(bindings),
            condition: None,
            left_rows: 0.0,
        });
        Ok(Source { node, scope })
    }

    /// An item of FROM whose LATERAL parts see what stands before it, and the slots that they read. What stands before
    /// it is given back.
    fn right_side(&mut self, left: Scope, item: &TableExpr) -> Result<(Scope, Source, Vec<Binding>)> {
        let (source, level) = self.at_level(Level::lateral(left), |binder| binder.table_expr(item))?;
        Ok((level.scope, source, level.pending))
    }

    pub(super) fn table_expr(&mut self, item: &TableExpr) -> Result<Source> {
        let source = self.item(item)?;
        self.budget.look(source.scope.columns.len())?;
        Ok(source)
    }

    fn item(&mut self, item: &TableExpr) -> Result<Source> {
        let called = match item {
            TableExpr::Table { name, alias, .. } => {
                Some(alias.as_ref().map_or(name.name.value.as_str(), |alias| alias.name.value.as_str()))
            }
            TableExpr::Subquery { alias, .. } => alias.as_ref().map(|alias| alias.name.value.as_str()),
            // Its items are looked at one by one.
            TableExpr::Join { .. } => return self.bare_item(item),
            TableExpr::Function { .. } => None,
        };
        let locking = self.locking.within(called);
        let before = std::mem::replace(&mut self.locking, locking);
        let source = self.bare_item(item);
        self.locking = before;
        source
    }

    fn bare_item(&mut self, item: &TableExpr) -> Result<Source> {
        match item {
            TableExpr::Table { name, system_time, alias, sample } => {
                let bind = |binder: &mut Self| match sample {
                    None => binder.named_table(name, alias.as_ref()),
                    Some(sample) => binder.sampled_table(name, alias.as_ref(), sample),
                };
                let Some(system_time) = system_time else { return bind(self) };
                if sample.is_none()
                    && let Some(item) = self.numbered(name, system_time, alias.as_ref())?
                {
                    return self.bare_item(&item);
                }
                self.at_system_time(name, system_time, bind)
            }
            TableExpr::Subquery { query, alias, lateral, at } => {
                let bound = self.query_in(query, *lateral)?;
                let bound = self.settle_outputs(bound)?;
                let Some(alias) = alias else {
                    return Err(Error::new("42601", "subquery in FROM must have an alias")
                        .hint("For example, FROM (SELECT ...) [AS] foo.")
                        .at(*at));
                };
                let columns = bound.scope_columns();
                Ok(Source {
                    scope: relation(&alias.name.value, None, columns, None, Some(alias))?.into_scope(),
                    node: bound.node,
                })
            }
            TableExpr::Function { calls, ordinality, alias, .. } => {
                self.table_functions(calls, *ordinality, alias.as_ref())
            }
            TableExpr::Join { left, right, kind, condition, at } => {
                self.join(left, right, join_kind(*kind), condition, *at)
            }
        }
    }

    fn named_table(&mut self, name: &QualifiedName, alias: Option<&ast::Alias>) -> Result<Source> {
        if name.schema.is_none()
            && let Some(place) = self.common_tables.place(&name.name.value)
            && self.common_tables.recursion(place).is_some()
        {
            return self.working_rows(place, &name.name, alias);
        }
        if name.schema.is_none()
            && let Some(place) = self.common_tables.place(&name.name.value)
            && let Some(common) = self.common_tables.find(&name.name.value)
        {
            if common.returns_nothing() {
                let message = format!("WITH query \"{}\" does not have a RETURNING clause", name.name.value);
                return Err(Error::new("0A000", message).at(name.name.at));
            }
            let mut columns = common.bound.scope_columns();
            let hidden = if self.has_with(place) { 0 } else { common.hidden };
            let unseen = columns.split_off(columns.len().saturating_sub(hidden));
            self.budget.take_plan(common.size)?;
            let node = common.mention();
            let called = alias.map_or(&name.name.value, |alias| &alias.name.value);
            let relation = Relation { unseen, ..relation(called, None, columns, None, alias)? };
            return Ok(Source { node, scope: relation.into_scope() });
        }
        // It is meant before a table of its name.
        let is_behind = |(unready, recursive): &(String, bool)| *recursive && *unready == name.name.value;
        if name.schema.is_none() && self.unready.iter().any(is_behind) {
            let what = format!("a reference to WITH query \"{}\", which stands behind,", name.name.value);
            return Err(Error::unsupported(what).at(name.name.at));
        }
        let table = self.table(name)?;
        self.needs.add(&table, Right::Select);
        if self.frames.is_empty() {
            self.needs.name(&table, name.schema.as_ref().unwrap_or(&name.name).at);
        }
        self.note_viewed(name, &table);
        self.note_item(name, alias);
        if table.kind == TableKind::View {
            return self.view(&table, alias);
        }
        self.check_populated(&table)?;
        let alias = alias.map(|alias| (&alias.name.value, Some(alias)));
        let at = name.schema.as_ref().unwrap_or(&name.name).at;
        if let Some(then) = self.with_columns_then(&table, at)? {
            let mut source = self.scan_then(&then, self.seen_places(name, &then), alias)?;
            // Its rows are of no type that has a name.
            source.scope.relations.iter_mut().for_each(|relation| relation.table = None);
            return Ok(Source { node: self.seen_then(source.node, &then)?, ..source });
        }
        let table = self.with_writer(table);
        let mut places = self.seen_places(name, &table);
        places.extend(table.writer());
        let source = self.scan_then(&table, places, alias)?;
        Ok(Source { node: self.seen_then(source.node, &table)?, ..source })
    }

    fn view(&mut self, table: &Arc<TableDescriptor>, alias: Option<&ast::Alias>) -> Result<Source> {
        let bound = self.view_rows(table)?;
        let columns = bound.scope_columns();
        let called = alias.map_or(&table.name, |alias| &alias.name.value);
        let schema = if alias.is_none() { Some(table.schema.clone()) } else { None };
        let scope = relation(called, schema, columns, Some(table.clone()), alias)?.into_scope();
        Ok(Source { node: bound.node, scope })
    }

    /// The table of this name; 42P01 if there is none.
    pub(super) fn table(&self, name: &QualifiedName) -> Result<Arc<TableDescriptor>> {
        if let Some(found) = self.table_of_view(name) {
            return found;
        }
        let at = name.schema.as_ref().unwrap_or(&name.name).at;
        let found = match &name.schema {
            Some(schema) => self.catalog.table(&schema.value, &name.name.value),
            None => self.catalog.find_table(self.settings.search_path, &name.name.value),
        };
        if let Some(table) = found {
            return Ok(table.clone());
        }
        let schema_name = name.schema.as_ref().map(|schema| schema.value.as_str());
        let shown = shown(name);
        if self.catalog.relation_oid(self.settings.search_path, schema_name, &name.name.value).is_some() {
            return Err(Error::new("42809", format!("\"{}\" is an index", name.name.value)).at(at));
        }
        let error = Error::new("42P01", format!("relation \"{shown}\" does not exist")).at(at);
        if name.schema.is_none() && self.unready.iter().any(|(unready, _)| *unready == name.name.value) {
            return Err(error
                .detail(format!(
                    "There is a WITH item named \"{}\", but it cannot be referenced from this part of the query.",
                    name.name.value
                ))
                .hint("Use WITH RECURSIVE, or re-order the WITH items to remove forward references."));
        }
        Err(error)
    }

    /// The rows of a table.
    pub(super) fn scan(
        &mut self,
        table: Arc<TableDescriptor>,
        places: Vec<usize>,
        alias: Option<(&String, Option<&ast::Alias>)>,
        lock: Option<RowLock>,
    ) -> Result<Source> {
        let columns = places.iter().enumerate().filter_map(|(index, place)| {
            let column = table.columns.get(*place)?;
            Some(ScopeColumn {
                name: column.name.clone(),
                value: Expr::Column { index, ty: column.ty },
                origin: Some((table.oid, i16::try_from(column.id).unwrap_or(0))),
            })
        });
        let visible = columns.filter(|column| column.origin.is_some_and(|(_, number)| number != 0)).collect();
        let called = alias.map_or(&table.name, |(name, _)| name).clone();
        let schema = if alias.is_none() { Some(table.schema.clone()) } else { None };
        let mut scope = relation(&called, schema, visible, Some(table.clone()), alias.and_then(|(_, a)| a))?;
        scope.beside.extend(
            places.iter().enumerate().filter_map(|(index, place)| {
                system_column::writer(&table, table.columns.get(*place)?, index)
            }),
        );
        let node = match (table.kind, table.primary()) {
            (TableKind::Base | TableKind::Materialised, Some(primary)) => Node::Scan(Box::new(Scan {
                index: primary.id,
                table,
                alias: called,
                spans: None,
                columns: places,
                filter: None,
                lock,
                passing: false,
                shielded: false,
                veiled: false,
                recheck: None,
                reverse: false,
                ordered: false,
                limit: None,
            })),
            (TableKind::Base | TableKind::Materialised, None) => {
                return Err(Error::internal("a table without a primary index"));
            }
            (TableKind::View, _) => return Err(Error::internal("a view has no rows of its own")),
            (TableKind::Virtual | TableKind::Sequence, _) => {
                Node::VirtualScan(VirtualScan { table, alias: called, columns: places, filter: None })
            }
        };
        Ok(Source { node, scope: scope.into_scope() })
    }

    fn join(
        &mut self,
        left: &TableExpr,
        right: &TableExpr,
        kind: JoinKind,
        condition: &JoinCondition,
        at: usize,
    ) -> Result<Source> {
        let outer = "an outer join";
        let left = match kind {
            JoinKind::Right | JoinKind::Full => self.barred(outer, |binder| binder.table_expr(left))?,
            _ => self.table_expr(left)?,
        };
        let (mut left_scope, mut right, bindings) = match kind {
            JoinKind::Left | JoinKind::Full => {
                self.barred(outer, |binder| binder.right_side(left.scope, right))?
            }
            _ => self.right_side(left.scope, right)?,
        };
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            left_scope.relations.iter_mut().for_each(|relation| relation.nullable = true);
        }
        if matches!(kind, JoinKind::Left | JoinKind::Full) {
            right.scope.relations.iter_mut().for_each(|relation| relation.nullable = true);
        }
        if !bindings.is_empty() && !matches!(kind, JoinKind::Inner | JoinKind::Left) {
            return Err(Error::new("42P10", "invalid reference to FROM-clause entry in a lateral join")
                .detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
                .at(at));
        }
        let width = left.node.width();
        let shared = match condition {
            JoinCondition::Using(names) => names.clone(),
            JoinCondition::Natural => natural(&left_scope, &right.scope, at),
            JoinCondition::On(_) | JoinCondition::None => Vec::new(),
        };
        let merges = matches!(condition, JoinCondition::Using(_) | JoinCondition::Natural);
        let (mut scope, mut conditions) = if merges {
            self.merge(left_scope, right.scope.shifted(width), kind, &shared)?
        } else {
            (left_scope.join(right.scope, width)?, Vec::new())
        };
        let mut join = Join {
            kind,
            left: Box::new(left.node),
            right: Box::new(right.node),
            strategy: strategy(bindings),
            condition: None,
            left_rows: 0.0,
        };
        let mut asides = Vec::new();
        if let JoinCondition::On(on) = condition {
            let level = Level::query(scope, Clause::plain("JOIN conditions"), false);
            let (bound, level) = self.at_level(level, |binder| {
                let bound = binder.expression(on)?;
                binder.condition(bound, "JOIN/ON", on.at)
            })?;
            self.pass_on(level.pending)?;
            scope = level.scope;
            asides = level.subqueries;
            conditions.push(bound);
        }
        if asides.is_empty() {
            join.condition = if conditions.is_empty() { None } else { Some(Expr::all(conditions)) };
            return Ok(Source { node: Node::Join(join), scope });
        }
        if kind != JoinKind::Inner {
            return Err(Error::unsupported("a subquery in the condition of an outer join").at(at));
        }
        let mut predicate = Expr::all(conditions);
        let node = self.apply(Node::Join(join), asides, &mut [&mut predicate]);
        Ok(Source { node: Node::Filter(Filter { input: Box::new(node), predicate, barrier: false }), scope })
    }

    /// Slots that a level read from a row that is none of its own cannot exist.
    fn pass_on(&self, pending: Vec<Binding>) -> Result<()> {
        if pending.is_empty() { Ok(()) } else { Err(Error::internal("a join's condition left slots behind")) }
    }

    /// The columns of a join that USING or NATURAL merged, and the conditions that they are equal.
    fn merge(
        &mut self,
        left: Scope,
        right: Scope,
        kind: JoinKind,
        shared: &[Name],
    ) -> Result<(Scope, Vec<Expr>)> {
        let mut merged = Vec::new();
        let mut conditions = Vec::new();
        self.budget.look(left.columns.len().saturating_add(right.columns.len()))?;
        for name in shared {
            let l = shared_column(&left, name, "left")?;
            let r = shared_column(&right, name, "right")?;
            self.needs.read(l.origin);
            self.needs.read(r.origin);
            // Once to be compared, once to be the merged column's value.
            for value in [&l.value, &r.value] {
                self.budget.take_copy(value)?;
                self.budget.take_copy(value)?;
            }
            let operands = (Some((l.value.clone(), name.at)), (r.value.clone(), name.at));
            conditions.push(self.operator("=", operands.0, operands.1, name.at)?);
            let (values, ty) =
                self.unify("JOIN/USING", vec![(l.value.clone(), name.at), (r.value.clone(), name.at)])?;
            let mut values = values.into_iter();
            let (Some(left_value), Some(right_value)) = (values.next(), values.next()) else {
                return Err(Error::internal("a merged column without two sides"));
            };
            let (value, origin) = match kind {
                // Of two that are equal the one that is as it was.
                JoinKind::Inner if l.value.ty() != ty && r.value.ty() == ty => (right_value, r.origin),
                JoinKind::Inner | JoinKind::Left => (left_value, l.origin),
                JoinKind::Right => (right_value, r.origin),
                _ => (Expr::Coalesce { args: vec![left_value, right_value], ty }, None),
            };
            merged.push(ScopeColumn { name: name.value.clone(), value, origin });
        }
        let shared: HashSet<&str> = shared.iter().map(|name| name.value.as_str()).collect();
        let is_shared = |column: &ScopeColumn| shared.contains(column.name.as_str());
        let mut scope = Scope { columns: merged, relations: left.relations };
        scope.add_relations(right.relations)?;
        scope.columns.extend(left.columns.into_iter().filter(|column| !is_shared(column)));
        scope.columns.extend(right.columns.into_iter().filter(|column| !is_shared(column)));
        Ok((scope, conditions))
    }
}

/// The name as it was written.
pub(super) fn shown(name: &QualifiedName) -> String {
    match &name.schema {
        Some(schema) => format!("{}.{}", schema.value, name.name.value),
        None => name.name.value.clone(),
    }
}

/// What a join answers that is written so.
fn join_kind(written: ast::JoinKind) -> JoinKind {
    match written {
        ast::JoinKind::Inner => JoinKind::Inner,
        ast::JoinKind::Left => JoinKind::Left,
        ast::JoinKind::Right => JoinKind::Right,
        ast::JoinKind::Full => JoinKind::Full,
    }
}

fn strategy(bindings: Vec<Binding>) -> JoinStrategy {
    if bindings.is_empty() { JoinStrategy::NestedLoop } else { JoinStrategy::Dependent { bindings } }
}

/// The columns that both sides have.
pub(super) fn natural(left: &Scope, right: &Scope, at: usize) -> Vec<Name> {
    let names: HashSet<&str> = right.columns.iter().map(|column| column.name.as_str()).collect();
    let shared = left.columns.iter().filter(|column| names.contains(column.name.as_str()));
    shared.map(|column| Name { value: column.name.clone(), at }).collect()
}

fn shared_column(scope: &Scope, name: &Name, side: &str) -> Result<ScopeColumn> {
    let mut found = scope.named(&name.value);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column.clone()),
        (Some(_), Some(_)) => {
            let message =
                format!("common column name \"{}\" appears more than once in {side} table", name.value);
            Err(Error::new("42702", message))
        }
        (None, _) => {
            let message =
                format!("column \"{}\" specified in USING clause does not exist in {side} table", name.value);
            Err(Error::new("42703", message))
        }
    }
}

/// A relation with the names that its alias gives.
pub(super) fn relation(
    name: &str,
    schema: Option<String>,
    mut columns: Vec<ScopeColumn>,
    table: Option<Arc<TableDescriptor>>,
    alias: Option<&ast::Alias>,
) -> Result<Relation> {
    if let Some(alias) = alias {
        if alias.columns.len() > columns.len() {
            let message = format!(
                "table \"{name}\" has {} columns available but {} columns specified",
                columns.len(),
                alias.columns.len()
            );
            return Err(Error::new("42P10", message));
        }
        for (column, name) in columns.iter_mut().zip(&alias.columns) {
            column.name.clone_from(&name.value);
        }
    }
    Ok(Relation {
        name: name.to_owned(),
        schema,
        columns,
        beside: Vec::new(),
        unseen: Vec::new(),
        table,
        nullable: false,
        is_working: false,
    })
}
