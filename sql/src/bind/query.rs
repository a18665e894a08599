//! Queries: WITH, VALUES, set operations, and what stands around a SELECT.

use std::collections::HashSet;

use expr::casts::CastContext;
use expr::{Expr, Type, TypeKind};

use super::bound::CommonTable;
pub(super) use super::bound::{BoundQuery, CommonTables, QueryColumn, output_column};
use super::level::{Clause, Level, LevelKind, PutAside};
use super::scope::{Relation, Scope};
use super::{Binder, traversal};
use crate::error::{Error, Result};
use crate::parse::ast::{self, QueryBody};
use crate::plan::budget::PlanSize;
use crate::plan::{Append, Limit, Node, Project, Sort, SortKey, Values, budget};

/// A column that is to be of another type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retyped {
    pub(super) column: usize,
    pub(super) to: Type,
    /// Where it stands, for messages.
    pub(super) at: usize,
}

impl Binder<'_> {
    /// A query within an expression, or a statement of its own.
    pub(super) fn query(&mut self, query: &ast::Query) -> Result<BoundQuery> {
        self.query_in(query, true)
    }

    /// A query; `lateral` says whether it sees the items of FROM before it.
    pub(super) fn query_in(&mut self, query: &ast::Query, lateral: bool) -> Result<BoundQuery> {
        let visible = self.common_tables.len();
        // Parentheses around all of a statement are none.
        let is_around = self.at_top && query.with.is_empty() && matches!(query.body, QueryBody::Query(_));
        let is_between = std::mem::take(&mut self.is_between);
        self.with(&query.with, lateral)?;
        self.at_top = is_around;
        let before = self.own_with;
        self.own_with = match &query.body {
            QueryBody::SetOperation { .. } | QueryBody::Modify(_) => None,
            // Parentheses around a query are none of it.
            _ if is_between && query.with.is_empty() => before,
            _ => Some((visible, self.queries_around().saturating_add(1))),
        };
        let bound = self.query_inner(query, lateral);
        self.own_with = before;
        self.common_tables.truncate(visible);
        bound
    }

    /// How many queries are around what is bound.
    pub(super) fn queries_around(&self) -> usize {
        self.levels.iter().filter(|level| matches!(level.kind, LevelKind::Query { .. })).count()
    }

    /// Binds the FROM of a statement that has the queries of WITH from this place on itself.
    pub(super) fn with_own<T>(
        &mut self,
        first: usize,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let depth = self.queries_around();
        let before = self.own_with.replace((first, depth));
        let bound = bind(self);
        self.own_with = before;
        bound
    }

    /// Whether the query whose FROM is bound has the query of this place in its own WITH.
    pub(super) fn has_with(&self, place: usize) -> bool {
        self.own_with.is_some_and(|(first, depth)| place >= first && self.queries_around() == depth)
    }

    /// Makes the queries of WITH visible; the caller hides them again. `lateral` says whether they see the items of FROM
    /// before the query that they belong to.
    pub(super) fn with(&mut self, with: &[ast::CommonTable], lateral: bool) -> Result<()> {
        let at_top = std::mem::take(&mut self.at_top);
        if let Some(common) = with.iter().find(|common| changes_rows(common) && !at_top) {
            let message = "WITH clause containing a data-modifying statement must be at the top level";
            return Err(Error::new("0A000", message).at(common.name.at));
        }
        let outer = self.common_tables.len();
        let unready = self.unready.len();
        self.unready.extend(with.iter().rev().map(|common| (common.name.value.clone(), common.recursive)));
        // What locks the rows of a query does not lock what its WITH reads.
        let locking = std::mem::take(&mut self.locking);
        let bound = self.with_in_order(with, outer, lateral);
        self.locking = locking;
        self.unready.truncate(unready);
        bound
    }

    fn with_in_order(&mut self, with: &[ast::CommonTable], outer: usize, lateral: bool) -> Result<()> {
        for common in with {
            if self.common_tables.place(&common.name.value).is_some_and(|place| place >= outer) {
                let message = format!("WITH query name \"{}\" specified more than once", common.name.value);
                return Err(Error::new("42712", message).at(common.name.at));
            }
            let bound = if common.recursive {
                self.recursive_query(common, &common.query)?
            } else {
                let bound = self.query_in(&common.query, lateral)?;
                if traversal::added(common) > 0 {
                    return Err(traversal::not_recursive(common));
                }
                bound
            };
            let mut bound = self.settle_outputs(bound)?;
            let hidden = traversal::added(common);
            let own = bound.columns.len().saturating_sub(hidden);
            if common.columns.len() > own {
                let message = format!(
                    "WITH query \"{}\" has {own} columns available but {} columns specified",
                    common.name.value,
                    common.columns.len()
                );
                return Err(Error::new("42P10", message).at(common.name.at));
            }
            for (column, name) in bound.columns.iter_mut().zip(&common.columns) {
                column.name.clone_from(&name.value);
            }
            budget::check_depth(budget::measure(&bound.node).0)?;
            let size = PlanSize::of(&mut bound.node);
            let id = self.common_count;
            self.common_count = id.saturating_add(1);
            self.common_tables.push(CommonTable {
                name: common.name.value.clone(),
                id,
                materialized: common.materialized,
                bound,
                size,
                hidden,
                recursion: None,
            });
            if changes_rows(common) {
                let node = self.common_tables.find(&common.name.value).map(CommonTable::mention);
                self.effects.extend(node);
            }
            self.unready.pop();
        }
        Ok(())
    }

    fn query_inner(&mut self, query: &ast::Query, lateral: bool) -> Result<BoundQuery> {
        if let QueryBody::Select(select) = &query.body {
            return self.select(select, query, lateral);
        }
        if let Some(lock) = query.locks.first() {
            let what = match &query.body {
                QueryBody::Values(_) => "VALUES",
                _ => "UNION/INTERSECT/EXCEPT",
            };
            let verb = lock_verb(lock.strength);
            return Err(Error::new("0A000", format!("{verb} is not allowed with {what}")));
        }
        let bound = self.query_body(&query.body, lateral)?;
        let is_set = matches!(query.body, QueryBody::SetOperation { .. });
        let mut sorted = self.sort_outputs(bound, &query.order_by, is_set)?;
        if query.ties
            && let Node::Sort(sort) = &sorted.node
        {
            let keys = sort.keys.clone();
            sorted.node = self.with_ties(sorted.node, keys, query, &Scope::default(), lateral)?;
        }
        self.limited(sorted, query, Scope::default(), lateral)
    }

    pub(super) fn query_body(&mut self, body: &QueryBody, lateral: bool) -> Result<BoundQuery> {
        match body {
            QueryBody::Select(select) => {
                let plain = ast::Query {
                    with: Vec::new(),
                    body: QueryBody::Values(Vec::new()),
                    order_by: Vec::new(),
                    limit: None,
                    ties: false,
                    offset: None,
                    locks: Vec::new(),
                    at: 0,
                };
                self.select(select, &plain, lateral)
            }
            QueryBody::Values(rows) => self.values(rows, lateral),
            QueryBody::Modify(body) => self.changing_query(body),
            QueryBody::Query(query) => {
                self.is_between = true;
                self.query_in(query, lateral)
            }
            QueryBody::SetOperation { first, rest } => self.set_operations(first, rest, lateral),
        }
    }

    fn values(&mut self, rows: &[Vec<ast::Expr>], lateral: bool) -> Result<BoundQuery> {
        let width = rows.first().map_or(0, Vec::len);
        let mut bound_rows: Vec<Vec<(Expr, usize)>> = Vec::with_capacity(rows.len());
        let mut levels = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != width {
                let at = row.first().map_or(0, |expr| expr.at);
                return Err(Error::new("42601", "VALUES lists must all be the same length").at(at));
            }
            let level = Level::query(Scope::default(), Clause::plain("VALUES"), lateral);
            let (bound, level) = self.at_level(level, |binder| binder.arguments(row))?;
            bound_rows.push(bound);
            levels.push(level);
        }
        let mut types = Vec::with_capacity(width);
        for column in 0..width {
            let cells: Vec<(Expr, usize)> =
                bound_rows.iter().filter_map(|row| row.get(column)).cloned().collect();
            let at = cells.first().map_or(0, |(_, at)| *at);
            let (cells, ty) = if cells.iter().all(|(cell, _)| cell.is_unknown()) {
                (cells.into_iter().map(|(cell, _)| cell).collect(), Type::plain(TypeKind::Unknown))
            } else {
                self.unify("VALUES", cells)?
            };
            for (row, cell) in bound_rows.iter_mut().zip(cells) {
                if let Some(place) = row.get_mut(column) {
                    *place = (cell, at);
                }
            }
            types.push(ty);
        }
        let columns = (0..width).map(|column| QueryColumn {
            name: format!("column{}", column.saturating_add(1)),
            origin: None,
            at: bound_rows.first().and_then(|row| row.get(column)).map_or(0, |(_, at)| *at),
        });
        let columns = columns.collect();
        let rows =
            bound_rows.into_iter().map(|row| row.into_iter().map(|(cell, _)| cell).collect()).collect();
        let node = self.rows(rows, levels.into_iter().map(|level| level.subqueries).collect(), types);
        Ok(BoundQuery { node, columns })
    }

    /// Rows written out, with the subqueries that each of them has.
    pub(super) fn rows(
        &mut self,
        rows: Vec<Vec<Expr>>,
        asides: Vec<Vec<PutAside>>,
        types: Vec<Type>,
    ) -> Node {
        if asides.iter().all(Vec::is_empty) {
            return Node::Values(Values { rows, types });
        }
        let mut inputs = Vec::with_capacity(rows.len());
        for (mut row, asides) in rows.into_iter().zip(asides) {
            let mut cells: Vec<&mut Expr> = row.iter_mut().collect();
            let input = self.apply(Node::Values(Values::one_row()), asides, &mut cells);
            inputs.push(Node::Project(Project { input: Box::new(input), expressions: row }));
        }
        Node::Append(Append { inputs })
    }

    /// ORDER BY over the result of VALUES, a set operation or a query between parentheses.
    pub(super) fn sort_outputs(
        &mut self,
        bound: BoundQuery,
        order_by: &[ast::OrderBy],
        is_set: bool,
    ) -> Result<BoundQuery> {
        if order_by.is_empty() {
            return Ok(bound);
        }
        let bound = self.settle_outputs(bound)?;
        let columns = bound.scope_columns();
        let width = columns.len();
        let mut scope = Relation {
            name: String::new(),
            schema: None,
            columns,
            table: None,
            beside: Vec::new(),
            unseen: Vec::new(),
            nullable: false,
            is_working: false,
        }
        .into_scope();
        let mut keys = Vec::with_capacity(order_by.len());
        for order in order_by {
            let column = self.output_column_of(&order.expr, &bound.columns)?;
            let expression = match column {
                Some(index) => Expr::Column { index, ty: bound.ty(index) },
                None if is_set => {
                    return Err(Error::new("0A000", "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                        .detail("Only result column names can be used, not expressions or functions.")
                        .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
                        .at(order.expr.at));
                }
                None => {
                    let level = Level::query(scope, Clause::plain("ORDER BY"), false);
                    let (expression, level) =
                        self.at_level(level, |binder| binder.settled_expression(&order.expr))?;
                    self.without_subqueries(&level, "ORDER BY")?;
                    scope = level.scope;
                    expression
                }
            };
            keys.push(sort_key(expression, order));
        }
        debug_assert_eq!(width, bound.columns.len());
        let node = Node::Sort(Sort { input: Box::new(bound.node), keys, limit: None });
        Ok(BoundQuery { node, columns: bound.columns })
    }

    /// The result column that an item of ORDER BY names by number or name.
    pub(super) fn output_column_of(
        &self,
        expr: &ast::Expr,
        columns: &[QueryColumn],
    ) -> Result<Option<usize>> {
        match &expr.kind {
            ast::ExprKind::Number(digits) => {
                let number: i64 = digits
                    .parse()
                    .map_err(|_| Error::new("42601", "non-integer constant in ORDER BY").at(expr.at))?;
                let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
                match place.filter(|place| *place < columns.len()) {
                    Some(place) => Ok(Some(place)),
                    None => {
                        let message = format!("ORDER BY position {number} is not in select list");
                        Err(Error::new("42P10", message).at(expr.at))
                    }
                }
            }
            ast::ExprKind::String(_)
            | ast::ExprKind::Bits(_)
            | ast::ExprKind::Null
            | ast::ExprKind::Bool(_) => {
                Err(Error::new("42601", "non-integer constant in ORDER BY").at(expr.at))
            }
            ast::ExprKind::Column(names) => {
                let [name] = names.as_slice() else { return Ok(None) };
                Ok(columns.iter().position(|column| column.name == name.value))
            }
            _ => Ok(None),
        }
    }

    /// Columns whose type is still open become text.
    pub(super) fn settle_outputs(&mut self, mut bound: BoundQuery) -> Result<BoundQuery> {
        let open = bound.node.types().into_iter().enumerate().filter(|(_, ty)| ty.kind == TypeKind::Unknown);
        let changes: Vec<Retyped> =
            open.map(|(column, _)| Retyped { column, to: TypeKind::Text.into(), at: 0 }).collect();
        self.retype_columns(&mut bound.node, &changes, CastContext::Implicit)?;
        Ok(bound)
    }

    /// Makes a column of a query's rows be of another type, where its expression is.
    pub(super) fn retype(
        &mut self,
        node: &mut Node,
        column: usize,
        to: Type,
        context: CastContext,
        at: usize,
    ) -> Result<()> {
        self.retype_columns(node, &[Retyped { column, to, at }], context)
    }

    /// The same of several columns at once.
    pub(super) fn retype_columns(
        &mut self,
        node: &mut Node,
        changes: &[Retyped],
        context: CastContext,
    ) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let types = node.types();
        self.budget.look(types.len())?;
        let differs = |change: &Retyped| types.get(change.column) != Some(&change.to);
        let changes: Vec<Retyped> = changes.iter().copied().filter(differs).collect();
        match node {
            _ if changes.is_empty() => Ok(()),
            Node::Project(project) => self.retype_expressions(&mut project.expressions, &changes, context),
            Node::Values(values) => {
                for change in &changes {
                    for cell in values.rows.iter_mut().filter_map(|row| row.get_mut(change.column)) {
                        self.retype_expression(cell, change, context)?;
                    }
                    if let Some(ty) = values.types.get_mut(change.column) {
                        *ty = change.to;
                    }
                }
                Ok(())
            }
            Node::Limit(Limit { input, .. }) => self.retype_columns(input, &changes, context),
            Node::LockRows(lock) => self.retype_columns(&mut lock.input, &changes, context),
            Node::Append(append) => {
                append.inputs.iter_mut().try_for_each(|input| self.retype_columns(input, &changes, context))
            }
            Node::Sort(Sort { input, keys, .. }) => {
                let sorted_by: HashSet<usize> =
                    keys.iter().flat_map(|key| key.expression.columns()).collect();
                let (above, below): (Vec<_>, Vec<_>) =
                    changes.into_iter().partition(|change| sorted_by.contains(&change.column));
                self.retype_columns(input, &below, context)?;
                self.retype_above(node, &above, context)
            }
            _ => self.retype_above(node, &changes, context),
        }
    }

    /// Puts the node under a projection that changes the types of columns.
    fn retype_above(&mut self, node: &mut Node, changes: &[Retyped], context: CastContext) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let types = node.types().into_iter().enumerate();
        let mut expressions: Vec<Expr> = types.map(|(index, ty)| Expr::Column { index, ty }).collect();
        self.retype_expressions(&mut expressions, changes, context)?;
        let input = std::mem::replace(node, Node::Values(Values::one_row()));
        *node = Node::Project(Project { input: Box::new(input), expressions });
        Ok(())
    }

    fn retype_expressions(
        &mut self,
        expressions: &mut [Expr],
        changes: &[Retyped],
        context: CastContext,
    ) -> Result<()> {
        for change in changes {
            if let Some(expression) = expressions.get_mut(change.column) {
                self.retype_expression(expression, change, context)?;
            }
        }
        Ok(())
    }

    fn retype_expression(
        &mut self,
        expression: &mut Expr,
        change: &Retyped,
        context: CastContext,
    ) -> Result<()> {
        self.budget.look(1)?;
        let taken = std::mem::replace(expression, Expr::null(change.to));
        *expression = self.coerce(taken, change.to, context, change.at)?;
        Ok(())
    }
}

/// Whether a query of WITH does more than read.
fn changes_rows(common: &ast::CommonTable) -> bool {
    matches!(common.query.body, QueryBody::Modify(_))
}

/// An item of ORDER BY over a value.
pub(super) fn sort_key(expression: Expr, order: &ast::OrderBy) -> SortKey {
    SortKey {
        expression,
        descending: order.descending,
        nulls_first: order.nulls_first.unwrap_or(order.descending),
    }
}

/// The clause that takes such locks.
pub(super) fn lock_verb(strength: ast::LockStrength) -> &'static str {
    match strength {
        ast::LockStrength::Exclusive => "FOR UPDATE",
        ast::LockStrength::Shared => "FOR SHARE",
    }
}
