//! Views through which rows can be changed: those that PostgreSQL calls automatically updatable.
//!
//! Such a view selects from one table or view, and makes a row of it of each row that it lets pass: so its row is the other's row
//! with its columns chosen, called otherwise and computed. What it says is bound over the row of the table at the bottom.

use std::sync::Arc;

use expr::{Datum, Expr, TypeKind};

use super::from::relation;
use super::level::{Clause, Level, PutAside};
use super::object::WithinView;
use super::placeholder::Stands;
use super::query_windows::QueryWindows;
use super::scope::{Scope, ScopeColumn};
use super::{Binder, system_column};
use crate::catalog::object::{ObjectDescriptor, ViewOptions};
use crate::catalog::{Column, ColumnId, Oid, TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse;
use crate::parse::ast::{self, ExprKind, QualifiedName, QueryBody, SelectItem, TableExpr};
use crate::plan::Acting;
use crate::plan::same::same;

/// How deep views may stand in views.
const DEEP_MAX: usize = 64;

/// Why rows cannot be changed through a view, or values not be given to a column: PostgreSQL's words.
pub(super) type Why = &'static str;

pub(super) const NO_COLUMNS: Why = "Views that have no updatable columns are not automatically updatable.";
const NOT_SINGLE: Why =
    "Views that do not select from a single table or view are not automatically updatable.";
const COMPUTED: Why = "View columns that are not columns of their base relation are not updatable.";
const OF_THE_SYSTEM: Why = "View columns that refer to system columns are not updatable.";

/// A view that is simple, and what it stands on.
#[derive(Debug)]
pub(super) struct SimpleView {
    /// The view.
    pub(super) relation: Arc<TableDescriptor>,
    object: Arc<ObjectDescriptor>,
    /// Who acts in its query.
    pub(super) acting: Acting,
    /// What it selects from.
    pub(super) base: Arc<TableDescriptor>,
    /// What it calls that.
    pub(super) called: String,
    select: ast::Select,
    height: usize,
    /// Of each of its columns the place in what it selects from; `None`: it is computed.
    pub(super) onto: Vec<Option<usize>>,
    /// The row that its query sees, over the row of the table at the bottom.
    scope: Scope,
}

/// A column of a view.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Its value over the row of the table at the bottom.
    pub(super) value: Expr,
    /// The column of that table that it is.
    pub(super) place: std::result::Result<usize, Refusal>,
    /// It is computed by a query.
    pub(super) asks: bool,
}

/// A column of a view that takes no values.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) view: String,
    pub(super) column: String,
    pub(super) why: Why,
}

/// A view that is not simple.
#[derive(Debug)]
pub(super) struct Stuck {
    pub(super) view: String,
    pub(super) why: Why,
}

/// What a view stands on.
pub(super) struct Below {
    /// The views, itself the first, each upon the next.
    pub(super) views: Vec<SimpleView>,
    /// The table.
    pub(super) table: Arc<TableDescriptor>,
    /// What each of its columns is.
    pub(super) columns: Vec<Seen>,
    /// The table, its columns called and filled as those of the views that are columns of it.
    pub(super) face: TableDescriptor,
    /// A column that has a default and takes no values.
    pub(super) cannot_fill: Option<Refusal>,
}

/// A view's query as far as it is looked at without what it names.
struct Shape<'q> {
    select: &'q ast::Select,
    name: &'q QualifiedName,
    alias: Option<&'q ast::Alias>,
}

impl SimpleView {
    /// How it is read and written.
    pub(super) fn options(&self) -> ViewOptions {
        self.object.view().map(|view| view.options).unwrap_or_default()
    }

    /// The places of the columns that its query reads in what it selects from.
    pub(super) fn places_read(&self) -> Vec<usize> {
        let relations = self.object.view().map(|view| view.relations.as_slice()).unwrap_or_default();
        let own = relations.iter().filter(|relation| relation.oid == self.base.oid);
        let read: Vec<ColumnId> = own.flat_map(|relation| relation.read.iter().copied()).collect();
        read.into_iter().filter_map(|id| self.base.column_by_id(id)).collect()
    }

    /// Whether a value can be given to any of its columns, as far as it is up to it.
    pub(super) fn has_columns(&self) -> bool {
        self.onto.iter().any(Option::is_some)
    }
}

impl Binder<'_> {
    /// What rows that are changed through a view go through.
    pub(super) fn below(&mut self, view: &Arc<TableDescriptor>) -> Result<std::result::Result<Below, Stuck>> {
        let mut open = Vec::new();
        let mut relation = view.clone();
        let table = loop {
            if open.len() >= DEEP_MAX {
                let message = format!("views stand more than {DEEP_MAX} deep in each other");
                return Err(Error::new("54001", message));
            }
            let (object, acting) = self.viewing(&relation)?;
            let own = object.view().ok_or_else(|| Error::internal("a view that is none"))?;
            let (query, height) = parse::parse_measured_query(&own.query)?;
            let stuck = |why| Ok(Err(Stuck { view: relation.name.clone(), why }));
            let shape = match shape(&query) {
                Ok(shape) => shape,
                Err(why) => return stuck(why),
            };
            // In its query it has the names of then.
            let outer = self.within_view.replace(WithinView::Known(object.clone()));
            let known = self.table(shape.name);
            let places = known.as_ref().map(|known| self.seen_places(shape.name, known)).unwrap_or_default();
            self.within_view = outer;
            let known = known?;
            let base = self.catalog.table_by_oid(known.oid).cloned();
            let base = base.ok_or_else(|| Error::internal("what a view names is not there"))?;
            let is_last = match base.kind {
                TableKind::Base | TableKind::Virtual => true,
                TableKind::View => false,
                TableKind::Materialised | TableKind::Sequence => return stuck(NOT_SINGLE),
            };
            let called = shape.alias.map_or(&known.name, |alias| &alias.name.value).clone();
            let (alias, select) = (shape.alias.cloned(), shape.select.clone());
            let (onto, scope) = (Vec::new(), Scope::default());
            let simple = SimpleView {
                relation,
                object,
                acting,
                base: base.clone(),
                called,
                select,
                height,
                onto,
                scope,
            };
            open.push((simple, known, places, alias));
            if is_last {
                break base;
            }
            relation = base;
        };
        let mut columns: Vec<Seen> = table.columns.iter().enumerate().map(Seen::of_table).collect();
        let mut face = TableDescriptor::clone(&table);
        let (mut views, mut cannot_fill) = (Vec::with_capacity(open.len()), None);
        while let Some((mut simple, known, places, alias)) = open.pop() {
            let seen = places.iter().filter_map(|place| {
                let name = known.columns.get(*place)?.name.clone();
                Some(ScopeColumn { name, value: columns.get(*place)?.value.clone(), origin: None })
            });
            let schema = if alias.is_none() { Some(known.schema.clone()) } else { None };
            let seen = relation_of(&simple, schema, seen.collect(), &known, alias.as_ref())?;
            simple.scope = seen;
            let bound = match self.seen_columns(&mut simple, &places, &columns)? {
                Ok(bound) => bound,
                Err(why) => return Ok(Err(Stuck { view: simple.relation.name.clone(), why })),
            };
            if simple.asks_below(&columns) {
                let name = &simple.base.name;
                let what = format!("a view over a column of view \"{name}\" that a query computes");
                return Err(Error::unsupported(format!("a change of rows through {what}")));
            }
            columns = bound;
            for (own, seen) in simple.relation.columns.iter().zip(&columns) {
                let filled = match &seen.place {
                    Ok(place) => face.columns.get_mut(*place),
                    Err(refusal) => {
                        // The outermost is told.
                        if own.default.is_some() {
                            cannot_fill = Some(refusal.clone());
                        }
                        None
                    }
                };
                if let Some(column) = filled {
                    column.name.clone_from(&own.name);
                    if own.default.is_some() {
                        column.default.clone_from(&own.default);
                    }
                }
            }
            face.name.clone_from(&simple.relation.name);
            views.push(simple);
        }
        views.reverse();
        Ok(Ok(Below { views, table, columns, face, cannot_fill }))
    }

    /// What the columns of a view are, over those of what it selects from; or why it is not simple.
    fn seen_columns(
        &mut self,
        view: &mut SimpleView,
        places: &[usize],
        base: &[Seen],
    ) -> Result<std::result::Result<Vec<Seen>, Why>> {
        let select = view.select.clone();
        let (items, level) = self.in_view(view, Clause::grouped("SELECT"), |binder| {
            binder.level()?.windows = QueryWindows::of(&select.windows);
            let mut items = binder.select_list(&select.items, Clause::grouped("SELECT"))?;
            for item in &mut items {
                let taken = std::mem::replace(&mut item.expr, Expr::null(TypeKind::Text));
                item.expr = binder.settle(taken, item.column.at)?;
            }
            Ok(items)
        })?;
        if let Some(why) = beyond_rows(&level) {
            return Ok(Err(why));
        }
        let mut columns = Vec::with_capacity(items.len());
        let mut onto = Vec::with_capacity(items.len());
        for (item, own) in items.into_iter().zip(&view.relation.columns) {
            let what = Reference::of(&select, &view.scope, item.column.at);
            let is_it = |place: &&usize| {
                base.get(**place).is_some_and(|seen| {
                    !seen.asks && seen.value.ty() == item.expr.ty() && same(&seen.value, &item.expr)
                })
            };
            let place = match what {
                Reference::System => None,
                Reference::Column => places.iter().find(is_it).copied(),
                Reference::None if matches!(item.expr, Expr::Column { .. }) => {
                    places.iter().find(is_it).copied()
                }
                Reference::None => None,
            };
            let why = if what == Reference::System { OF_THE_SYSTEM } else { COMPUTED };
            let refusal = || Refusal { view: view.relation.name.clone(), column: own.name.clone(), why };
            let asks =
                item.expr.columns().into_iter().any(|index| !matches!(Stands::of(index), Stands::Column(_)));
            let ty = item.expr.ty();
            columns.push(Seen {
                value: if asks { Expr::Literal { value: Datum::Null, ty } } else { item.expr },
                place: match place.and_then(|place| base.get(place)) {
                    Some(seen) => seen.place.clone(),
                    None => Err(refusal()),
                },
                asks,
            });
            onto.push(place);
        }
        view.onto = onto;
        Ok(Ok(columns))
    }

    /// Binds what a view's query says of the row that it sees, with that view's rights and names.
    fn in_view<T>(
        &mut self,
        view: &SimpleView,
        clause: Clause,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Level)> {
        let outer = self.within_view.replace(WithinView::Known(view.object.clone()));
        let kept = std::mem::replace(&mut self.reads_kept, false);
        let before = self.needs.act(view.acting);
        self.views.push(view.relation.oid);
        self.views_deep = self.views_deep.saturating_add(1);
        let scope = view.scope.clone();
        let bound = self.within_text(view.height, |binder| {
            binder.by_itself(clause, |binder| {
                binder.level()?.scope = scope;
                bind(binder)
            })
        });
        self.views_deep = self.views_deep.saturating_sub(1);
        self.views.pop();
        self.needs.act(before);
        self.reads_kept = kept;
        self.within_view = outer;
        bound
    }

    /// A view's WHERE, over the row of the table at the bottom, and the queries that it asks.
    pub(super) fn view_condition(&mut self, view: &SimpleView) -> Result<Option<(Expr, Vec<PutAside>)>> {
        let Some(filter) = &view.select.filter else { return Ok(None) };
        let (condition, level) = self.in_view(view, Clause::plain("WHERE"), |binder| {
            let bound = binder.expression(filter)?;
            binder.condition(bound, "WHERE", filter.at)
        })?;
        Ok(Some((condition, level.subqueries)))
    }

    /// Why rows cannot be changed through a view with this query, as far as it is up to that.
    pub(super) fn why_not_simple(&mut self, query: &ast::Query) -> Result<Option<Why>> {
        let select = match shape(query) {
            Ok(shape) => shape.select,
            Err(why) => return Ok(Some(why)),
        };
        let source = self.sources(&select.from)?;
        let base = source.scope.relations.first().and_then(|relation| relation.table.clone());
        let is_one = |base: &&Arc<TableDescriptor>| {
            matches!(base.kind, TableKind::Base | TableKind::Virtual | TableKind::View)
        };
        let Some(base) = base.as_ref().filter(is_one) else { return Ok(Some(NOT_SINGLE)) };
        let level = Level::query(source.scope, Clause::grouped("SELECT"), false);
        let (items, level) = self.at_level(level, |binder| {
            binder.level()?.windows = QueryWindows::of(&select.windows);
            binder.select_list(&select.items, Clause::grouped("SELECT"))
        })?;
        if let Some(why) = beyond_rows(&level) {
            return Ok(Some(why));
        }
        let is_column = |(oid, number): (Oid, i16)| oid == base.oid && number > 0;
        let has_columns = items.iter().any(|item| item.column.origin.is_some_and(is_column));
        Ok(if has_columns { None } else { Some(NO_COLUMNS) })
    }
}

impl SimpleView {
    /// Whether its query reads a column that another's query computes.
    fn asks_below(&self, base: &[Seen]) -> bool {
        self.places_read().into_iter().any(|place| base.get(place).is_some_and(|seen| seen.asks))
    }
}

impl Seen {
    /// A column of the table at the bottom.
    pub(super) fn of_table((index, column): (usize, &Column)) -> Self {
        Self { value: Expr::Column { index, ty: column.ty }, place: Ok(index), asks: false }
    }
}

/// What an item of a select list names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reference {
    /// A column.
    Column,
    /// A column that the system has beside the table's own.
    System,
    /// Nothing as it is.
    None,
}

impl Reference {
    /// Of the item that stands there, over the row that the query sees.
    fn of(select: &ast::Select, scope: &Scope, at: usize) -> Self {
        let is_system = |name: &ast::Name| {
            system_column::is_postgres(&name.value) && scope.named(&name.value).next().is_none()
        };
        for item in &select.items {
            match item {
                SelectItem::Expr { expr, .. } if expr.at == at => {
                    return match &expr.kind {
                        ExprKind::Column(names) => match names.last() {
                            Some(name) if is_system(name) => Self::System,
                            _ => Self::Column,
                        },
                        _ => Self::None,
                    };
                }
                SelectItem::Wildcard { at: own } if *own == at => return Self::Column,
                SelectItem::TableWildcard(name) if name.name.at == at => return Self::Column,
                SelectItem::Expr { .. } | SelectItem::Wildcard { .. } | SelectItem::TableWildcard(_) => {}
            }
        }
        Self::None
    }
}

/// The row that the query of a view sees.
fn relation_of(
    view: &SimpleView,
    schema: Option<String>,
    columns: Vec<ScopeColumn>,
    known: &Arc<TableDescriptor>,
    alias: Option<&ast::Alias>,
) -> Result<Scope> {
    Ok(relation(&view.called, schema, columns, Some(known.clone()), alias)?.into_scope())
}

/// A query that makes a row of each row of one table or view; or why it is none.
fn shape(query: &ast::Query) -> std::result::Result<Shape<'_>, Why> {
    let mut query = query;
    let select = loop {
        match &query.body {
            QueryBody::Query(inner) => match why_not_plain(query) {
                Some(why) => return Err(why),
                None => query = inner.as_ref(),
            },
            QueryBody::Select(select) => break select,
            QueryBody::SetOperation { .. } => return Err(SETS),
            QueryBody::Values(_) | QueryBody::Modify(_) => {
                return Err(why_not_plain(query).unwrap_or(NOT_SINGLE));
            }
        }
    };
    if !matches!(select.distinct, ast::Distinct::No) {
        return Err("Views containing DISTINCT are not automatically updatable.");
    }
    if select.group_by.is_some() {
        return Err("Views containing GROUP BY are not automatically updatable.");
    }
    if select.having.is_some() {
        return Err("Views containing HAVING are not automatically updatable.");
    }
    if let Some(why) = why_not_plain(query) {
        return Err(why);
    }
    match select.from.as_slice() {
        [TableExpr::Table { sample: Some(_), .. }] => {
            Err("Views containing TABLESAMPLE are not automatically updatable.")
        }
        [TableExpr::Table { name, alias, system_time: None, .. }] if select.as_of.is_none() => {
            Ok(Shape { select, name, alias: alias.as_ref() })
        }
        _ => Err(NOT_SINGLE),
    }
}

const SETS: Why = "Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable.";

fn has_limit(query: &ast::Query) -> bool {
    query.limit.is_some() || query.offset.is_some()
}

/// What stands around a select.
fn why_not_plain(query: &ast::Query) -> Option<Why> {
    if !query.with.is_empty() {
        return Some("Views containing WITH are not automatically updatable.");
    }
    has_limit(query).then_some("Views containing LIMIT or OFFSET are not automatically updatable.")
}

/// What a select list computes of more than one row, or more than one row of.
fn beyond_rows(level: &Level) -> Option<Why> {
    if !level.aggregates.is_empty() || !level.groupings.is_empty() {
        return Some("Views that return aggregate functions are not automatically updatable.");
    }
    if !level.windows.is_empty() {
        return Some("Views that return window functions are not automatically updatable.");
    }
    let makes_rows = level.subqueries.iter().any(|aside| matches!(aside, PutAside::Rows(_)));
    makes_rows.then_some("Views that return set-returning functions are not automatically updatable.")
}
