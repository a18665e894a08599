//! SELECT.
//!
//! ```text
//! Limit ← Project (drops what only ORDER BY needs, computes what is volatile) ← Sort ← Distinct ← Project (the select list)
//!   ← (Apply | ProjectSet)* ← Window* ← Filter (HAVING) ← Apply* ← Aggregate ← Filter (WHERE) ← Apply* ← FROM
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use expr::{Expr, TypeKind};

use super::Binder;
use super::after_order::{sorted_first, waiting};
use super::from::Source;
use super::label::label;
use super::level::{Clause, Level, PutAside};
use super::lock_rights::{Locked, Locking};
use super::past::locked_past;
use super::query::{BoundQuery, QueryColumn, lock_verb, sort_key};
use super::query_windows::QueryWindows;
use super::scope::{Scope, ScopeColumn};
use super::types::comparable;
use crate::catalog::{Oid, TableDescriptor};
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind, SelectItem};
use crate::plan::same::same;
use crate::plan::{Distinct, Filter, LockRows, Node, Project, RowLock, Sort, SortKey, Values, walk};

/// How many columns a query may answer, as in PostgreSQL.
const COLUMNS_MAX: usize = 1664;

/// A column of the select list, or one that only ORDER BY and DISTINCT ON need.
pub(super) struct Item {
    pub(super) expr: Expr,
    pub(super) column: QueryColumn,
}

/// What is computed of the rows after WHERE.
pub(super) struct Grouped {
    pub(super) items: Vec<Item>,
    pub(super) having: Option<Expr>,
}

impl Binder<'_> {
    /// SELECT with what its query adds: ORDER BY, LIMIT, locks.
    pub(super) fn select(
        &mut self,
        select: &ast::Select,
        query: &ast::Query,
        lateral: bool,
    ) -> Result<BoundQuery> {
        self.check_as_of(select)?;
        self.budget.take_nodes(1)?;
        let level = Level::query(Scope::default(), Clause::grouped("SELECT"), lateral);
        let (bound, level) = self.at_level(level, |binder| binder.select_inner(select, query))?;
        if !level.pending.is_empty() {
            return Err(Error::internal("a query left slots behind"));
        }
        self.limited(bound, query, level.scope, lateral)
    }

    fn select_inner(&mut self, select: &ast::Select, query: &ast::Query) -> Result<BoundQuery> {
        let source = self.locked_sources(select, query)?;
        let mut node = source.node;
        let level = self.level()?;
        level.scope = source.scope;
        level.windows = QueryWindows::of(&select.windows);
        // In this order parameters learn their types; what the select list put aside waits for its turn.
        let mut items = self.select_list(&select.items, Clause::grouped("SELECT"))?;
        if let Some(filter) = &select.filter {
            let asides = std::mem::take(&mut self.level()?.subqueries);
            node = self.filtered(node, filter)?;
            self.level()?.subqueries = asides;
        }
        let visible = items.len();
        let keys = match &select.group_by {
            None => None,
            Some(group_by) => Some(self.grouping(group_by, &items)?),
        };
        let having = match &select.having {
            None => None,
            Some(having) => Some(self.within(Clause::having(), |binder| {
                let bound = binder.expression(having)?;
                binder.condition(bound, "HAVING", having.at)
            })?),
        };
        let is_distinct = matches!(select.distinct, ast::Distinct::All);
        let mut order = self.order_by(&query.order_by, &mut items, visible, is_distinct)?;
        let on = match &select.distinct {
            ast::Distinct::On(columns) => Some(self.distinct_on(columns, &mut items, visible, &mut order)?),
            ast::Distinct::No | ast::Distinct::All => None,
        };
        self.check_windows()?;
        let level = self.level()?;
        if let Some(at) = level.aggregate_at
            && level.scope.relations.iter().any(|relation| relation.is_working)
        {
            let message = "aggregate functions are not allowed in a recursive query's recursive term";
            return Err(Error::new("42P19", message).at(at));
        }
        let level = self.level()?;
        let is_grouped =
            keys.is_some() || having.is_some() || !level.aggregates.is_empty() || !level.groupings.is_empty();
        let locks = !query.locks.is_empty();
        if locks {
            self.lock_rows(&mut node, select, query, is_grouped)?;
        }
        let mut grouped = Grouped { items, having };
        if is_grouped {
            node = self.group(node, keys.unwrap_or_default(), &mut grouped)?;
        }
        let Grouped { items, having } = grouped;
        let (mut expressions, columns): (Vec<Expr>, Vec<QueryColumn>) =
            items.into_iter().map(|item| (item.expr, item.column)).unzip();
        node = self.computed(node, &mut expressions, having)?;
        let keys: Vec<SortKey> = order.into_iter().map(|(_, key)| key).collect();
        let is_plain = !is_distinct && on.is_none() && !locks && !query.ties;
        if let Some(waits) = waiting(&expressions, &keys, visible).filter(|_| is_plain) {
            let node = sorted_first(node, expressions, keys, &waits, visible);
            return Ok(trimmed(node, columns, visible));
        }
        node = Node::Project(Project { input: Box::new(node), expressions });
        if is_distinct {
            for (ty, column) in node.types().into_iter().zip(&columns) {
                comparable(ty, "an equality", column.at)?;
            }
            node = Node::Distinct(Distinct { input: Box::new(node), on: None });
        }
        node = sorted(node, keys.clone());
        if locks {
            node = Node::LockRows(Box::new(LockRows::over(node)));
        }
        if on.is_some() {
            node = Node::Distinct(Distinct { input: Box::new(node), on });
        }
        if query.ties {
            let scope = self.level()?.scope.clone();
            node = self.with_ties(node, keys, query, &scope, false)?;
        }
        Ok(trimmed(node, columns, visible))
    }

    /// The items of FROM; who locks rows may lock those alone that it may change.
    fn locked_sources(&mut self, select: &ast::Select, query: &ast::Query) -> Result<Source> {
        if query.locks.is_empty() {
            return self.sources(&select.from);
        }
        let before = std::mem::replace(&mut self.locking, Locking::of(query));
        let source = self.sources(&select.from);
        self.locking = before;
        source
    }

    /// What of the select list is computed by nodes of their own, and HAVING.
    fn computed(&mut self, node: Node, expressions: &mut [Expr], having: Option<Expr>) -> Result<Node> {
        let level = self.level()?;
        let asides = std::mem::take(&mut level.subqueries);
        let mut windows = std::mem::take(&mut level.windows);
        let (mut early, mut late, mut turns) = (Vec::new(), Vec::new(), HashMap::new());
        for (number, mut aside) in asides.into_iter().enumerate() {
            match aside.turn(&turns) {
                _ if matches!(aside, PutAside::Moved(_)) => {}
                None => early.push((number, aside)),
                Some(turn) => {
                    turns.insert(number, turn);
                    late.push((number, aside));
                }
            }
        }
        // Functions that make rows of the same turn stand beside each other.
        let is_subquery = |aside: &PutAside| matches!(aside, PutAside::Subquery(_));
        late.sort_by_key(|(number, aside)| (turns.get(number).copied(), is_subquery(aside)));
        let mut having = having;
        let mut all: Vec<&mut Expr> = expressions.iter_mut().chain(having.as_mut()).collect();
        all.extend(late.iter_mut().flat_map(|(_, aside)| aside.expressions()));
        all.extend(windows.expressions_mut());
        let mut node = self.apply_some(node, early, &mut all);
        if let Some(predicate) = having {
            node = Node::Filter(Filter { input: Box::new(node), predicate, barrier: false });
        }
        if !windows.is_empty() {
            let mut all: Vec<&mut Expr> = expressions.iter_mut().collect();
            all.extend(late.iter_mut().flat_map(|(_, aside)| aside.expressions()));
            node = self.windowed(node, windows.used, &mut all);
        }
        let mut all: Vec<&mut Expr> = expressions.iter_mut().collect();
        Ok(self.apply_some(node, late, &mut all))
    }

    /// WHERE.
    pub(super) fn filtered(&mut self, node: Node, filter: &ast::Expr) -> Result<Node> {
        let mut predicate = self.within(Clause::plain("WHERE"), |binder| {
            let bound = binder.expression(filter)?;
            binder.condition(bound, "WHERE", filter.at)
        })?;
        let asides = std::mem::take(&mut self.level()?.subqueries);
        let input = Box::new(self.apply(node, asides, &mut [&mut predicate]));
        Ok(Node::Filter(Filter { input, predicate, barrier: false }))
    }

    /// The columns of a select list or of RETURNING.
    pub(super) fn select_list(&mut self, items: &[SelectItem], clause: Clause) -> Result<Vec<Item>> {
        self.within(clause, |binder| {
            let mut bound = Vec::with_capacity(items.len());
            for item in items {
                match item {
                    SelectItem::Expr {
                        expr: ast::Expr { kind: ExprKind::AllFields(operand), at },
                        alias: None,
                    } => {
                        let item =
                            |(name, expr)| Item { expr, column: QueryColumn { name, origin: None, at: *at } };
                        bound.extend(binder.all_fields(operand)?.into_iter().map(item));
                    }
                    SelectItem::Expr { expr, alias } => bound.push(binder.select_item(expr, alias.as_ref())?),
                    SelectItem::Wildcard { at } => {
                        let scope = &binder.level()?.scope;
                        if scope.relations.is_empty() {
                            let message = "SELECT * with no tables specified is not valid";
                            return Err(Error::new("42601", message).at(*at));
                        }
                        let columns = scope.columns.clone();
                        for column in &columns {
                            binder.budget.take_copy(&column.value)?;
                            binder.needs.read(column.origin);
                            for index in column.value.columns() {
                                binder.level()?.references.push((index, *at));
                            }
                        }
                        bound.extend(columns.into_iter().map(|column| expanded(column, *at)));
                    }
                    SelectItem::TableWildcard(name) => {
                        let columns = binder.wildcard_of(name)?;
                        bound.extend(columns.into_iter().map(|column| expanded(column, name.name.at)));
                    }
                }
                check_columns(bound.len())?;
            }
            Ok(bound)
        })
    }

    fn select_item(&mut self, expr: &ast::Expr, alias: Option<&ast::Name>) -> Result<Item> {
        let bound = self.expression(expr)?;
        let origin = match &expr.kind {
            ExprKind::Column(_) => self.origin_of(&bound)?,
            _ => None,
        };
        let name = alias.map_or_else(|| label(expr, &self.subquery_names), |alias| alias.value.clone());
        Ok(Item { expr: bound, column: QueryColumn { name, origin, at: expr.at } })
    }

    fn origin_of(&mut self, expr: &Expr) -> Result<Option<(crate::catalog::Oid, i16)>> {
        let scope = &self.level()?.scope;
        let all = scope.columns.iter().chain(scope.relations.iter().flat_map(|relation| &relation.columns));
        let mut found = all.filter(|column| same(&column.value, expr));
        Ok(found.next().and_then(|column| column.origin))
    }

    /// ORDER BY as places in `items`; what is not there is added behind the visible ones.
    fn order_by(
        &mut self,
        order_by: &[ast::OrderBy],
        items: &mut Vec<Item>,
        visible: usize,
        is_distinct: bool,
    ) -> Result<Vec<(usize, SortKey)>> {
        let mut order = Vec::with_capacity(order_by.len());
        let not_listed = |at: usize| {
            let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
            Error::new("42P10", message).at(at)
        };
        for one in order_by {
            if let ExprKind::Row(_) = one.expr.kind {
                if is_distinct {
                    return Err(not_listed(one.expr.at));
                }
                for place in self.sort_row(&one.expr, items)? {
                    let ty = items.get(place).map_or(TypeKind::Text.into(), |item| item.expr.ty());
                    let expression = Expr::Column { index: place, ty };
                    // A row is not NULL, so where NULLs come is not said of its fields: they are the greatest.
                    let (descending, nulls_first) = (one.descending, one.descending);
                    order.push((place, SortKey { expression, descending, nulls_first }));
                }
                continue;
            }
            let place = self.sort_item(&one.expr, items, visible, "ORDER BY")?;
            if is_distinct && place >= visible {
                return Err(not_listed(one.expr.at));
            }
            let ty = items.get(place).map_or(TypeKind::Text.into(), |item| item.expr.ty());
            comparable(ty, "an ordering", one.expr.at)?;
            order.push((place, sort_key(Expr::Column { index: place, ty }, one)));
        }
        Ok(order)
    }

    /// The item that an expression of ORDER BY or DISTINCT ON means.
    fn sort_item(
        &mut self,
        expr: &ast::Expr,
        items: &mut Vec<Item>,
        visible: usize,
        clause: &'static str,
    ) -> Result<usize> {
        if let ExprKind::Column(names) = &expr.kind
            && let [name] = names.as_slice()
        {
            let mut found = (0..visible)
                .filter(|place| items.get(*place).is_some_and(|item| item.column.name == name.value));
            if let Some(first) = found.next() {
                let (one, others) = (items.get(first), found.collect::<Vec<_>>());
                let differs = |place: &usize| match (one, items.get(*place)) {
                    (Some(one), Some(other)) => !same(&one.expr, &other.expr),
                    _ => false,
                };
                if others.iter().any(differs) {
                    let message = format!("{clause} \"{}\" is ambiguous", name.value);
                    return Err(Error::new("42702", message).at(expr.at));
                }
                return self.settled_item(items, first);
            }
        } else if matches!(
            &expr.kind,
            ExprKind::Number(_)
                | ExprKind::String(_)
                | ExprKind::Bits(_)
                | ExprKind::Null
                | ExprKind::Bool(_)
        ) {
            let columns: Vec<QueryColumn> =
                items.iter().take(visible).map(|item| item.column.clone()).collect();
            if let Some(place) = self.output_column_of(expr, &columns)? {
                return self.settled_item(items, place);
            }
        }
        self.sort_expression(expr, items, clause)
    }

    /// The items that the fields of a row are, one after the other.
    fn sort_row(&mut self, expr: &ast::Expr, items: &mut Vec<Item>) -> Result<Vec<usize>> {
        let ExprKind::Row(fields) = &expr.kind else {
            return Ok(vec![self.sort_expression(expr, items, "ORDER BY")?]);
        };
        let mut places = Vec::with_capacity(fields.len());
        for field in fields {
            places.extend(self.sort_row(field, items)?);
        }
        Ok(places)
    }

    /// The item that an expression is, whatever the names of items.
    fn sort_expression(
        &mut self,
        expr: &ast::Expr,
        items: &mut Vec<Item>,
        clause: &'static str,
    ) -> Result<usize> {
        let bound = self.within(Clause::grouped(clause), |binder| binder.settled_expression(expr))?;
        if let Some(place) = items.iter().position(|item| same(&item.expr, &bound)) {
            return Ok(place);
        }
        check_columns(items.len().saturating_add(1))?;
        let column = QueryColumn { name: String::new(), origin: None, at: expr.at };
        items.push(Item { expr: bound, column });
        Ok(items.len().saturating_sub(1))
    }

    /// What is sorted by has a type.
    fn settled_item(&mut self, items: &mut [Item], place: usize) -> Result<usize> {
        if let Some(item) = items.get_mut(place)
            && item.expr.is_unknown()
        {
            let taken = std::mem::replace(&mut item.expr, Expr::null(TypeKind::Text));
            item.expr = self.settle(taken, item.column.at)?;
        }
        Ok(place)
    }

    /// DISTINCT ON as places in `items`; the order is completed so that what is alike stands together.
    fn distinct_on(
        &mut self,
        columns: &[ast::Expr],
        items: &mut Vec<Item>,
        visible: usize,
        order: &mut Vec<(usize, SortKey)>,
    ) -> Result<Vec<usize>> {
        let mut on = Vec::with_capacity(columns.len());
        for column in columns {
            let place = self.sort_item(column, items, visible, "DISTINCT ON")?;
            if !on.contains(&place) {
                on.push(place);
            }
        }
        let leading = order.iter().take_while(|(place, _)| on.contains(place)).count();
        let sorted: Vec<usize> = order.iter().take(leading).map(|(place, _)| *place).collect();
        let missing: Vec<usize> = on.iter().copied().filter(|place| !sorted.contains(place)).collect();
        if !missing.is_empty() && leading < order.len() {
            let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
            let at = columns.first().map_or(0, |column| column.at);
            return Err(Error::new("42P10", message).at(at));
        }
        for place in missing {
            let ty = items.get(place).map_or(TypeKind::Text.into(), |item| item.expr.ty());
            let expression = Expr::Column { index: place, ty };
            order.push((place, SortKey { expression, descending: false, nulls_first: false }));
        }
        Ok(on)
    }

    /// FOR UPDATE and FOR SHARE: the scans of FROM are marked whose rows are locked.
    fn lock_rows(
        &mut self,
        node: &mut Node,
        select: &ast::Select,
        query: &ast::Query,
        is_grouped: bool,
    ) -> Result<()> {
        for lock in &query.locks {
            let verb = lock_verb(lock.strength);
            let clash = if !matches!(select.distinct, ast::Distinct::No) {
                Some("DISTINCT clause")
            } else if select.group_by.is_some() {
                Some("GROUP BY clause")
            } else if select.having.is_some() {
                Some("HAVING clause")
            } else if is_grouped {
                Some("aggregate functions")
            } else if !self.level()?.windows.is_empty() {
                Some("window functions")
            } else if self.level()?.subqueries.iter().any(|aside| matches!(aside, PutAside::Rows(_))) {
                Some("set-returning functions in the target list")
            } else {
                None
            };
            if let Some(clash) = clash {
                return Err(Error::new("0A000", format!("{verb} is not allowed with {clash}")));
            }
            let row_lock = RowLock { strength: lock.strength, wait: lock.wait };
            let of = lock.of.as_ref().map(|name| name.value.as_str());
            let tables = self.need_locks(&select.from, of)?;
            let is_meant = |alias: &str| of.is_none_or(|of| of == alias);
            if let Some(past) = locked_past(node, &is_meant) {
                let what = format!("{verb} of \"{past}\", which is read as it was,");
                return Err(Error::unsupported(what));
            }
            let mut locked = Vec::new();
            lock_scans(node, of.map(|_| tables.as_slice()), row_lock, &mut locked);
            if let Some(of) = &lock.of
                && locked.is_empty()
            {
                if let Some(what) = self.without_rows(&select.from, &of.value) {
                    return Err(Error::new("0A000", format!("{verb} cannot be applied to {what}")).at(of.at));
                }
                let message = format!("relation \"{}\" in {verb} clause not found in FROM clause", of.value);
                return Err(Error::new("42P01", message).at(of.at));
            }
        }
        Ok(())
    }
}

/// 54011 if a row would have too many columns, those included that only ORDER BY or GROUP BY need.
pub(super) fn check_columns(columns: usize) -> Result<()> {
    if columns <= COLUMNS_MAX {
        return Ok(());
    }
    Err(Error::new("54011", format!("target lists can have at most {COLUMNS_MAX} entries")))
}

/// Marks the scans whose rows are locked; `locked` is told their tables. Where a name says which, they are those `of` the tables
/// that are meant by it: others may be called the same elsewhere.
fn lock_scans(node: &mut Node, of: Option<&[Locked]>, lock: RowLock, locked: &mut Vec<Arc<TableDescriptor>>) {
    let is_meant = |alias: &str, oid: Oid| {
        of.is_none_or(|tables| tables.iter().any(|own| own.called == alias && own.table == oid))
    };
    match node {
        Node::Scan(scan) if is_meant(scan.alias.as_str(), scan.table.oid) => {
            locked.push(scan.table.clone());
            scan.lock = Some(scan.lock.map_or(lock, |own| own.and(lock)));
        }
        // What a subquery of an expression reads is not what the query answers.
        Node::Apply(apply) => lock_scans(&mut apply.input, of, lock, locked),
        // Nor has a query of WITH rows of its own.
        Node::Common(_) | Node::Recursive(_) | Node::Working(_) => {}
        // What a query in FROM leaves out is not locked.
        Node::Limit(limit) => {
            let before = locked.len();
            lock_scans(&mut limit.input, of, lock, locked);
            if locked.len() > before && !matches!(*limit.input, Node::LockRows(_)) {
                let input = std::mem::replace(limit.input.as_mut(), Node::Values(Values::one_row()));
                *limit.input = Node::LockRows(Box::new(LockRows::over(input)));
            }
        }
        other => {
            for child in walk::children_mut(other) {
                lock_scans(child, of, lock, locked);
            }
        }
    }
}

fn sorted(node: Node, keys: Vec<SortKey>) -> Node {
    if keys.is_empty() {
        return node;
    }
    Node::Sort(Sort { input: Box::new(node), keys, limit: None })
}

fn expanded(column: ScopeColumn, at: usize) -> Item {
    Item { expr: column.value, column: QueryColumn { name: column.name, origin: column.origin, at } }
}

/// Drops the columns that only ORDER BY and DISTINCT ON needed.
fn trimmed(node: Node, mut columns: Vec<QueryColumn>, visible: usize) -> BoundQuery {
    columns.truncate(visible);
    BoundQuery { node: first_columns(node, visible), columns }
}

/// The first columns of a node, and no others.
pub(super) fn first_columns(node: Node, count: usize) -> Node {
    let types = node.types();
    if types.len() <= count {
        return node;
    }
    let kept = types.into_iter().enumerate().take(count);
    let expressions = kept.map(|(index, ty)| Expr::Column { index, ty }).collect();
    Node::Project(Project { input: Box::new(node), expressions })
}
