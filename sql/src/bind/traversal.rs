//! SEARCH and CYCLE of WITH RECURSIVE: columns that say in which order a row was found, and whether it was there before.
//!
//! As PostgreSQL rewrites them (manual, 7.8.2): the first rows begin a sequence, and a path, with themselves; each round hands
//! them on, and goes on from no row that was there before.
//!
//! ```text
//! depth first     seq = ARRAY[ROW(by…)]                   seq || ARRAY[ROW(by…)]
//! breadth first   seq = ROW(0, by…)                       ROW(seq.depth + 1, by…)
//! cycle           mark = the one, path = ARRAY[ROW(…)]    ROW(…) = ANY (path), path || ARRAY[ROW(…)]
//! ```

use expr::types::Order;
use expr::{Datum, Expr, FunctionId, Type, TypeKind};

use super::Binder;
use super::bound::{BoundQuery, QueryColumn};
use super::level::{Clause, Level};
use super::scope::Scope;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind, QueryBody, SelectItem, TableExpr};
use crate::plan::{Filter, Node, Project};

/// What the first field is called of a row that says how many rounds it took.
const DEPTH: &str = "*DEPTH*";

/// How many columns SEARCH and CYCLE add to a query.
pub(super) fn added(common: &ast::CommonTable) -> usize {
    let of_cycle = if common.cycle.is_some() { 2 } else { 0 };
    usize::from(common.search.is_some()).saturating_add(of_cycle)
}

/// 42601: what they ask for has rounds alone.
pub(super) fn not_recursive(common: &ast::CommonTable) -> Error {
    Error::new("42601", "WITH query is not recursive").at(common.name.at)
}

/// What SEARCH and CYCLE ask of a query.
pub(super) struct Traversal<'a> {
    search: Option<&'a ast::Search>,
    cycle: Option<(&'a ast::Cycle, Marks)>,
}

/// The values of a mark, of one type.
struct Marks {
    /// Of a row that was there before.
    repeated: Expr,
    /// Of any other.
    fresh: Expr,
    ty: Type,
}

/// Where among the columns of a query those stand that rows are told apart by.
#[derive(Debug, Default)]
pub(super) struct Places {
    search: Vec<usize>,
    cycle: Vec<usize>,
}

/// The columns of these names.
fn places(kind: &str, by: &[ast::Name], at: usize, columns: &[QueryColumn]) -> Result<Vec<usize>> {
    let mut found = Vec::with_capacity(by.len());
    for name in by {
        let name = &name.value;
        let place = columns.iter().position(|column| column.name == *name).ok_or_else(|| {
            Error::new("42601", format!("{kind} column \"{name}\" not in WITH query column list")).at(at)
        })?;
        if found.contains(&place) {
            let message = format!("{kind} column \"{name}\" specified more than once");
            return Err(Error::new("42701", message).at(at));
        }
        found.push(place);
    }
    Ok(found)
}

impl Traversal<'_> {
    /// The names of the columns that are added, in their order.
    fn names(&self) -> Vec<&ast::Name> {
        let of_cycle = self.cycle.iter().flat_map(|(cycle, _)| [&cycle.mark, &cycle.path]);
        self.search.iter().map(|search| &search.sequence).chain(of_cycle).collect()
    }

    /// Where the columns stand that it names.
    ///
    /// # Errors
    /// 42601, 42701: there are none, or one has the name of another.
    pub(super) fn places(&self, columns: &[QueryColumn]) -> Result<Places> {
        let mut all = Places::default();
        let is_used = |name: &ast::Name| columns.iter().any(|column| column.name == name.value);
        let used = |what: &str, name: &ast::Name, at: usize| {
            let name = &name.value;
            let message = format!("{what} column name \"{name}\" already used in WITH query column list");
            Error::new("42601", message).at(at)
        };
        if let Some(search) = self.search {
            all.search = places("search", &search.by, search.at, columns)?;
            if is_used(&search.sequence) {
                return Err(used("search sequence", &search.sequence, search.at));
            }
        }
        let Some((cycle, _)) = &self.cycle else { return Ok(all) };
        all.cycle = places("cycle", &cycle.by, cycle.at, columns)?;
        for (what, name) in [("cycle mark", &cycle.mark), ("cycle path", &cycle.path)] {
            if is_used(name) {
                return Err(used(what, name, cycle.at));
            }
        }
        let same = |one: &str, other: &str, at: usize| {
            let message = format!("{one} column name and {other} column name are the same");
            Err(Error::new("42601", message).at(at))
        };
        if cycle.mark.value == cycle.path.value {
            return same("cycle mark", "cycle path", cycle.at);
        }
        match self.search {
            Some(search) if search.sequence.value == cycle.mark.value => {
                same("search sequence", "cycle mark", search.at)
            }
            Some(search) if search.sequence.value == cycle.path.value => {
                same("search sequence", "cycle path", search.at)
            }
            _ => Ok(all),
        }
    }

    /// The query of a round that hands on the columns that are added, too; None if it does not read the rows of the last one
    /// itself.
    ///
    /// # Errors
    /// 0A000: it makes them one of several.
    pub(super) fn handed_on(&self, body: &QueryBody, name: &str) -> Result<Option<QueryBody>> {
        let select = match body {
            QueryBody::Select(select) => select,
            QueryBody::Query(query) if is_bare(query) => return self.handed_on(&query.body, name),
            _ => return Ok(None),
        };
        let Some(called) = select.from.iter().find_map(|item| called(item, name)) else { return Ok(None) };
        if !matches!(select.distinct, ast::Distinct::No) || select.group_by.is_some() {
            let what = "DISTINCT or GROUP BY in the recursive term of a query with SEARCH or CYCLE";
            return Err(Error::unsupported(what).at(called.at));
        }
        let mut select = select.clone();
        for added in self.names() {
            let kind = ExprKind::Column(vec![called.clone(), ast::Name { at: called.at, ..added.clone() }]);
            let expr = ast::Expr { kind, at: called.at };
            select.items.push(SelectItem::Expr { expr, alias: None });
        }
        Ok(Some(QueryBody::Select(select)))
    }
}

/// Whether a query between parentheses is no more than what is between them.
fn is_bare(query: &ast::Query) -> bool {
    query.with.is_empty()
        && query.order_by.is_empty()
        && query.limit.is_none()
        && query.offset.is_none()
        && query.locks.is_empty()
}

/// Whether rows are those of several queries.
pub(super) fn is_set(body: &QueryBody) -> bool {
    match body {
        QueryBody::SetOperation { .. } => true,
        QueryBody::Query(query) => is_bare(query) && is_set(&query.body),
        _ => false,
    }
}

/// What a query of WITH is called in an item of FROM.
fn called(item: &TableExpr, name: &str) -> Option<ast::Name> {
    match item {
        TableExpr::Table { name: table, alias, .. } if table.schema.is_none() && table.name.value == name => {
            Some(alias.as_ref().map_or_else(|| table.name.clone(), |alias| alias.name.clone()))
        }
        TableExpr::Join { left, right, .. } => called(left, name).or_else(|| called(right, name)),
        _ => None,
    }
}

impl Binder<'_> {
    /// What SEARCH and CYCLE ask of a query, if they stand there.
    pub(super) fn traversal<'a>(&mut self, common: &'a ast::CommonTable) -> Result<Option<Traversal<'a>>> {
        if added(common) == 0 {
            return Ok(None);
        }
        let cycle = match &common.cycle {
            Some(cycle) => Some((cycle, self.marks(cycle)?)),
            None => None,
        };
        Ok(Some(Traversal { search: common.search.as_ref(), cycle }))
    }

    fn marks(&mut self, cycle: &ast::Cycle) -> Result<Marks> {
        let items = match &cycle.values {
            None => [true, false]
                .map(|truth| (Expr::literal(Datum::Bool(truth), TypeKind::Bool), cycle.at))
                .to_vec(),
            Some((repeated, fresh)) => {
                let level = Level::query(Scope::default(), Clause::plain("CYCLE"), false);
                let bound = self.at_level(level, |binder| {
                    Ok(vec![
                        (binder.expression(repeated)?, repeated.at),
                        (binder.expression(fresh)?, fresh.at),
                    ])
                })?;
                bound.0
            }
        };
        let (mut items, ty) = self.unify("CYCLE", items)?;
        let (Some(fresh), Some(repeated)) = (items.pop(), items.pop()) else {
            return Err(Error::internal("a mark without values"));
        };
        if ty.kind.order() == Order::None {
            let name = ty.kind.display_name();
            let message = format!("could not identify an equality operator for type {name}");
            return Err(Error::new("42883", message));
        }
        Ok(Marks { repeated, fresh, ty })
    }

    /// Some of a row's columns as a record, behind what stands first.
    fn part_of_row(
        &mut self,
        first: Option<Expr>,
        places: &[usize],
        columns: &[QueryColumn],
        types: &[Type],
    ) -> Expr {
        let own = places.iter().filter_map(|index| {
            let (column, ty) = columns.get(*index).zip(types.get(*index))?;
            Some((column.name.clone(), Expr::Column { index: *index, ty: *ty }))
        });
        let fields = first.map(|depth| (DEPTH.to_owned(), depth)).into_iter().chain(own).collect();
        self.record(fields)
    }

    /// The first rows, with the columns that are added. What the names of these are is not yet looked at.
    pub(super) fn traversal_begun(
        &mut self,
        traversal: &Traversal<'_>,
        places: &Places,
        first: BoundQuery,
    ) -> BoundQuery {
        let BoundQuery { node, mut columns } = first;
        let types = node.types();
        let mut made = own_columns(&types);
        if let Some(search) = traversal.search {
            let depth = search.breadth_first.then(|| Expr::literal(Datum::Int8(0), TypeKind::Int8));
            let row = self.part_of_row(depth, &places.search, &columns, &types);
            made.push(if search.breadth_first { row } else { list(row) });
        }
        if let Some((_, marks)) = &traversal.cycle {
            made.push(marks.fresh.clone());
            made.push(list(self.part_of_row(None, &places.cycle, &columns, &types)));
        }
        for name in traversal.names() {
            columns.push(QueryColumn { name: name.value.clone(), origin: None, at: name.at });
        }
        BoundQuery { node: projected(node, made), columns }
    }

    /// The rows of a round, which hand on what was added to those of the last one, with what is added to themselves. `columns`
    /// are the query's own.
    pub(super) fn traversal_continued(
        &mut self,
        traversal: &Traversal<'_>,
        places: &Places,
        node: Node,
        columns: &[QueryColumn],
    ) -> Result<Node> {
        let types = node.types();
        let (own, handed_on) = types.split_at_checked(columns.len()).unwrap_or((types.as_slice(), &[]));
        let mut handed_on =
            (columns.len()..).zip(handed_on).map(|(index, ty)| Expr::Column { index, ty: *ty });
        let mut next = || handed_on.next().ok_or_else(|| Error::internal("a column was not handed on"));
        let mut made = own_columns(own);
        if let Some(search) = traversal.search {
            let before = next()?;
            made.push(match search.breadth_first {
                true => {
                    let depth = self.field_at(before, 0)?;
                    let one = Expr::literal(Datum::Int8(1), TypeKind::Int8);
                    let depth = self.operator("+", Some((depth, 0)), (one, 0), 0)?;
                    self.part_of_row(Some(depth), &places.search, columns, own)
                }
                false => longer(before, self.part_of_row(None, &places.search, columns, own))?,
            });
        }
        let Some((cycle, marks)) = &traversal.cycle else { return Ok(projected(node, made)) };
        let (mark, path) = (next()?, next()?);
        for place in &places.cycle {
            let ty = own.get(*place).copied().unwrap_or(Type::plain(TypeKind::Unknown));
            super::types::comparable(ty, "an equality", cycle.at)?;
        }
        let row = self.part_of_row(None, &places.cycle, columns, own);
        let is_repeated = Expr::AnyAll {
            operand: Box::new(row.clone()),
            array: Box::new(path.clone()),
            operator: expr::operators::equality(TypeKind::Record)
                .ok_or_else(|| Error::internal("records without equality"))?,
            all: false,
        };
        made.push(Expr::Case {
            operand: None,
            branches: vec![(is_repeated, marks.repeated.clone())],
            otherwise: Some(Box::new(marks.fresh.clone())),
            ty: marks.ty,
        });
        made.push(longer(path, row)?);
        let predicate = self.operator("<>", Some((mark, 0)), (marks.repeated.clone(), 0), 0)?;
        let node = Node::Filter(Filter { input: Box::new(node), predicate, barrier: false });
        Ok(projected(node, made))
    }
}

/// The columns of rows of these types as they are.
fn own_columns(types: &[Type]) -> Vec<Expr> {
    types.iter().enumerate().map(|(index, ty)| Expr::Column { index, ty: *ty }).collect()
}

fn projected(node: Node, expressions: Vec<Expr>) -> Node {
    Node::Project(Project { input: Box::new(node), expressions })
}

/// The list of a record alone.
fn list(record: Expr) -> Expr {
    Expr::Array { items: vec![record], ty: TypeKind::RecordArray.into() }
}

/// A list with a record behind.
fn longer(before: Expr, record: Expr) -> Result<Expr> {
    let join: Option<&FunctionId> = expr::functions::by_name("array_cat").first();
    let function = *join.ok_or_else(|| Error::internal("no function joins arrays"))?;
    Ok(Expr::call(function, vec![before, list(record)], TypeKind::RecordArray))
}
