//! INSERT, UPDATE, DELETE.

use std::sync::Arc;

use expr::casts::CastContext;
use expr::{Datum, Expr, Type, TypeKind};

use super::assignments::{assigned_twice, generated_always, made_of_others};
use super::destination::{Destination, writable};
use super::level::{Clause, Level, PutAside};
use super::query::output_column;
use super::scope::Scope;
use super::select::first_columns;
use super::{Binder, system_column};
use crate::catalog::access::Right;
use crate::catalog::object::Identity;
use crate::catalog::writer::unasked;
use crate::catalog::{PolicyCommand, TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind, Name, QualifiedName, QueryBody};
use crate::plan::{
    Command, ConflictAction, Delete, Insert, LockRows, Modify, Node, OnConflict, OutputColumn, Plan, Project,
    Update,
};

/// A plan and the columns that it returns.
pub(super) type Bound = (Plan, Option<Vec<OutputColumn>>);

/// RETURNING, if there is one.
#[derive(Default)]
pub(super) struct Returning {
    pub(super) expressions: Option<Vec<Expr>>,
    /// The subqueries in them.
    pub(super) asides: Vec<PutAside>,
    /// What clients are told of them.
    columns: Option<Vec<OutputColumn>>,
}

/// The columns that INSERT gives values to.
struct Targets {
    /// Their places in what it names. If they are not listed, those that values are for come first.
    named: Vec<usize>,
    /// The places of those in the table that can be given values, up to the first that cannot.
    places: Vec<usize>,
    /// Why that one cannot.
    refused: Option<Error>,
}

impl Targets {
    /// The places in what is named of those that can be given values.
    fn named(&self) -> &[usize] {
        self.named.get(..self.places.len()).unwrap_or_default()
    }

    /// The error of the first that cannot, if so many values reach it.
    fn check(&mut self, values: usize) -> Result<()> {
        if values <= self.places.len() || values > self.named.len() {
            return Ok(());
        }
        self.refused.take().map_or(Ok(()), Err)
    }
}

/// The places, none of which may come twice.
fn distinct<'a>(named: impl Iterator<Item = Result<(usize, &'a Name)>>) -> Result<Vec<usize>> {
    let mut places = Vec::new();
    for one in named {
        let (place, name) = one?;
        if places.contains(&place) {
            let message = format!("column \"{}\" specified more than once", name.value);
            return Err(Error::new("42701", message).at(name.at));
        }
        places.push(place);
    }
    Ok(places)
}

impl Binder<'_> {
    /// The table of this name, if it can be written.
    pub(super) fn writable_table(&self, name: &QualifiedName) -> Result<Arc<TableDescriptor>> {
        writable(self.table(name)?)
    }

    /// The table of this name, if it stores rows; `otherwise` is the error of a sequence or view.
    pub(super) fn stored_table(
        &self,
        name: &QualifiedName,
        otherwise: impl Fn(&TableDescriptor) -> Error,
    ) -> Result<Arc<TableDescriptor>> {
        let table = self.table(name)?;
        match table.kind {
            TableKind::Sequence | TableKind::View | TableKind::Materialised => Err(otherwise(&table)),
            TableKind::Base | TableKind::Virtual => self.writable_table(name),
        }
    }

    /// The places of columns by their names.
    pub(super) fn places(&self, table: &TableDescriptor, names: &[Name]) -> Result<Vec<usize>> {
        distinct(names.iter().map(|name| Ok((self.place(table, name)?, name))))
    }

    /// The places of the columns that values are given to.
    pub(super) fn targets(
        &self,
        table: &TableDescriptor,
        targets: &[ast::AssignmentTarget],
    ) -> Result<Vec<usize>> {
        if let Some(part) = targets.iter().find(|target| !target.parts.is_empty()) {
            return Err(Error::unsupported("an INSERT of an element").at(part.column.at));
        }
        distinct(targets.iter().map(|target| Ok((self.place(table, &target.column)?, &target.column))))
    }

    /// The columns that INSERT gives values to.
    fn insert_targets(&self, destination: &Destination, insert: &ast::Insert) -> Result<Targets> {
        let named = match &insert.columns {
            Some(targets) => self.targets(&destination.named, targets)?,
            None => destination.named.visible().map(|(place, _)| place).collect(),
        };
        let mut places: Vec<usize> = Vec::with_capacity(named.len());
        let mut refused = None;
        for own in &named {
            let place = match destination.place(*own, Command::Insert) {
                Ok(place) if places.contains(&place) => Err(assigned_twice(&destination.table, place)),
                other => other,
            };
            match place {
                Ok(place) => places.push(place),
                Err(error) if insert.columns.is_some() => return Err(error),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        Ok(Targets { named, places, refused })
    }

    pub(super) fn place(&self, table: &TableDescriptor, name: &Name) -> Result<usize> {
        table.column_by_name(&name.value).ok_or_else(|| {
            let message = format!("column \"{}\" of relation \"{}\" does not exist", name.value, table.name);
            Error::new("42703", message).at(name.at)
        })
    }

    /// INSERT.
    pub(super) fn insert(&mut self, insert: &ast::Insert) -> Result<Bound> {
        let visible = self.common_tables.len();
        self.with(&insert.with, true)?;
        let columns = insert.columns.iter().flatten().map(|target| &target.column);
        let destination = self.destination(&insert.table, columns, Command::Insert)?;
        let (table, face) = (destination.table.clone(), destination.face.clone());
        let whole = self.whole_targets(&destination.named, insert)?;
        let insert: &ast::Insert = &whole;
        let mut targets = self.insert_targets(&destination, insert)?;
        let explicit = insert.columns.as_deref();
        let named = if insert.source.is_some() { targets.named() } else { &[] };
        self.need_write(&destination, Right::Insert, named);
        self.target = Some(destination.named.clone());
        let ignored = self.overridden(&table, &targets.places, insert)?;
        let source = match &insert.source {
            None => self.inserted_rows(&face, &[], &[Vec::new()], None)?,
            Some(query) => match &query.body {
                QueryBody::Values(rows) if is_bare(query) => {
                    let first = rows.first().map_or(&[][..], Vec::as_slice);
                    check_count(first.len(), targets.named.len(), None, || {
                        first.get(targets.named.len()).map_or(0, |expr| expr.at)
                    })?;
                    targets.check(first.len())?;
                    let rows = with_defaults(rows, &targets.places, &ignored);
                    self.inserted_rows(&face, &targets.places, &rows, explicit)?
                }
                _ => self.inserted_query(&face, &mut targets, query, explicit, &ignored)?,
            },
        };
        self.target = None;
        // What the source reads of the table is another matter.
        let reads_apart = self.put_reads_aside(&destination);
        let alias = insert.alias.as_ref();
        let before = self.writers_named;
        let mut on_conflict = match &insert.on_conflict {
            None => None,
            Some(conflict) => Some(self.on_conflict(&destination, alias, conflict)?),
        };
        // Of rows that are there nobody else asks who has written them.
        let table = if self.writers_named == before { unasked(&table) } else { table };
        let mut scope = destination.scope(alias)?;
        let mut row = table.types();
        if self.tells_changer(&destination)
            && let Some(OnConflict { action: ConflictAction::Update { .. }, .. }) = on_conflict
        {
            system_column::tell_changer(&mut scope, row.len());
            row.push(TypeKind::Xid.into());
        }
        let mut returning = self.returning(insert.returning.as_deref(), scope)?;
        let columns = returning.columns.take();
        self.common_tables.truncate(visible);
        self.need_reads(&destination)?;
        let mut guards =
            self.on_table(&destination, |binder| binder.insert_guards(&table, on_conflict.as_mut()))?;
        let mut given = targets.places;
        if let Some(ConflictAction::Update { assignments, guards, .. }) =
            on_conflict.as_mut().map(|conflict| &mut conflict.action)
        {
            given.extend(assignments.iter().map(|assignment| assignment.column));
            guards.extend(self.view_guards(&destination, &given)?);
        }
        guards.extend(self.view_guards(&destination, &given)?);
        self.take_reads_back(&destination, &reads_apart);
        let rules = self.row_rules(&table)?;
        let linked = self.catalog.is_linked(&table);
        let insert = |returning| {
            Modify::Insert(Insert { table, source, rules, guards, linked, on_conflict, returning })
        };
        Ok((self.returned(insert, row, returning), columns))
    }

    /// The rows of VALUES, each with all columns of the table.
    fn inserted_rows(
        &mut self,
        table: &TableDescriptor,
        targets: &[usize],
        rows: &[Vec<ast::Expr>],
        explicit: Option<&[ast::AssignmentTarget]>,
    ) -> Result<Node> {
        let width = rows.first().map_or(0, Vec::len);
        let is_default = |expr: &ast::Expr| matches!(expr.kind, ExprKind::Default);
        // Defaults that all rows have are computed of each, but bound once.
        let given: Vec<(usize, usize)> = (0..)
            .zip(targets.iter().copied())
            .filter(|(place, _)| rows.iter().any(|row| row.get(*place).is_some_and(|cell| !is_default(cell))))
            .collect();
        let is_given = |column: usize| given.iter().any(|(_, target)| *target == column);
        let apart = rows.len() > 1
            && table
                .columns
                .iter()
                .enumerate()
                .any(|(place, column)| self.makes_values(table, column) && !is_given(place));
        let mut whole = Vec::with_capacity(rows.len());
        let mut asides = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != width {
                let at = row.first().map_or(0, |expr| expr.at);
                return Err(Error::new("42601", "VALUES lists must all be the same length").at(at));
            }
            check_count(row.len(), targets.len(), explicit, || {
                row.get(targets.len()).or(row.last()).map_or(0, |expr| expr.at)
            })?;
            let level = Level::query(Scope::default(), Clause::plain("VALUES"), true);
            let (cells, level) = self.at_level(level, |binder| {
                if apart {
                    let cells = given.iter().filter_map(|(place, target)| {
                        let (column, cell) = (table.columns.get(*target)?, row.get(*place)?);
                        Some(binder.assigned(table, column, cell))
                    });
                    return cells.collect();
                }
                let mut cells = vec![None; table.columns.len()];
                for (target, expr) in targets.iter().zip(row) {
                    let (Some(column), Some(cell)) = (table.columns.get(*target), cells.get_mut(*target))
                    else {
                        return Err(Error::internal("a target that is no column"));
                    };
                    *cell = Some(binder.assigned(table, column, expr)?);
                }
                binder.completed(table, cells)
            })?;
            whole.push(cells);
            asides.push(level.subqueries);
        }
        if !apart {
            return Ok(self.rows(whole, asides, table.types()));
        }
        let columns: Vec<_> = given.iter().filter_map(|(_, target)| table.columns.get(*target)).collect();
        let types: Vec<Type> = columns.iter().map(|column| column.ty).collect();
        let mut cells = vec![None; table.columns.len()];
        for (index, ((_, target), ty)) in given.iter().zip(&types).enumerate() {
            if let Some(cell) = cells.get_mut(*target) {
                *cell = Some(Expr::Column { index, ty: *ty });
            }
        }
        let input = Box::new(self.rows(whole, asides, types));
        let expressions = self.completed(table, cells)?;
        Ok(Node::Project(Project { input, expressions }))
    }

    /// The columns whose values are ignored. 428C9 if a column that is GENERATED ALWAYS is given any.
    pub(super) fn overridden(
        &self,
        table: &TableDescriptor,
        targets: &[usize],
        insert: &ast::Insert,
    ) -> Result<Vec<usize>> {
        let rows = match insert.source.as_ref().map(|query| (&query.body, is_bare(query))) {
            None => return Ok(Vec::new()),
            Some((QueryBody::Values(rows), true)) => Some(rows),
            Some(_) => None,
        };
        let mut ignored = Vec::new();
        for (place, target) in targets.iter().enumerate() {
            let Some(column) = table.columns.get(*target) else { continue };
            let is_default = |row: &Vec<ast::Expr>| {
                row.get(place).is_none_or(|cell| matches!(cell.kind, ExprKind::Default))
            };
            let given = rows.is_none_or(|rows| !rows.iter().all(is_default));
            if column.generated.is_some() && given {
                let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
                return Err(made_of_others(message, column));
            }
            let Some((identity, _)) = self.catalog.objects().identity(table.oid, column.id) else { continue };
            match insert.overriding {
                Some(ast::Overriding::User) => ignored.push(*target),
                None if given && identity == Identity::Always => {
                    let message =
                        format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
                    return Err(
                        generated_always(message, column).hint("Use OVERRIDING SYSTEM VALUE to override.")
                    );
                }
                _ => {}
            }
        }
        Ok(ignored)
    }

    /// Whether a column that is given no value gets one.
    pub(super) fn makes_values(&self, table: &TableDescriptor, column: &crate::catalog::Column) -> bool {
        column.default.is_some() || self.catalog.objects().identity(table.oid, column.id).is_some()
    }

    /// A value for a column: an expression, or DEFAULT.
    pub(super) fn assigned(
        &mut self,
        table: &TableDescriptor,
        column: &crate::catalog::Column,
        expr: &ast::Expr,
    ) -> Result<Expr> {
        if let ExprKind::Default = expr.kind {
            return self.default_of(table, column);
        }
        let bound = self.expression_as(expr, column.ty, CastContext::Assignment, expr.at)?;
        self.assign(bound, column.ty, &column.name, expr.at)
    }

    /// Defaults for the columns that are given no value.
    pub(super) fn completed(
        &mut self,
        table: &TableDescriptor,
        cells: Vec<Option<Expr>>,
    ) -> Result<Vec<Expr>> {
        let mut row = Vec::with_capacity(cells.len());
        for (column, cell) in table.columns.iter().zip(cells) {
            row.push(match cell {
                Some(expr) => expr,
                None if column.hidden => Expr::Literal { value: Datum::Null, ty: column.ty },
                None => self.default_of(table, column)?,
            });
        }
        Ok(row)
    }

    fn inserted_query(
        &mut self,
        table: &TableDescriptor,
        targets: &mut Targets,
        query: &ast::Query,
        explicit: Option<&[ast::AssignmentTarget]>,
        ignored: &[usize],
    ) -> Result<Node> {
        let mut bound = self.query(query)?;
        targets.check(bound.columns.len())?;
        let targets = targets.places.as_slice();
        let at =
            |place: usize| bound.columns.get(place).or(bound.columns.last()).map_or(0, |column| column.at);
        check_count(bound.columns.len(), targets.len(), explicit, || at(targets.len()))?;
        let places: Vec<usize> = bound.columns.iter().map(|column| column.at).collect();
        let mut cells = vec![None; table.columns.len()];
        for (index, target) in targets.iter().enumerate().take(places.len()) {
            if ignored.contains(target) {
                continue;
            }
            let (Some(column), Some(cell)) = (table.columns.get(*target), cells.get_mut(*target)) else {
                return Err(Error::internal("a target that is no column"));
            };
            if bound.ty(index).kind == TypeKind::Unknown {
                let at = places.get(index).copied().unwrap_or(0);
                self.retype(
                    &mut bound.node,
                    index,
                    Type::plain(column.ty.kind),
                    CastContext::Assignment,
                    at,
                )?;
            }
            let value = Expr::Column { index, ty: bound.ty(index) };
            let at = places.get(index).copied().unwrap_or(0);
            *cell = Some(self.assign(value, column.ty, &column.name, at)?);
        }
        let expressions = self.completed(table, cells)?;
        Ok(Node::Project(Project { input: Box::new(bound.node), expressions }))
    }

    /// Whether `xmax` may be asked of the rows that a statement changes: a view has none.
    fn tells_changer(&self, destination: &Destination) -> bool {
        self.system_columns.changer && !destination.is_view()
    }

    fn returning(&mut self, items: Option<&[ast::SelectItem]>, scope: Scope) -> Result<Returning> {
        let Some(items) = items else { return Ok(Returning::default()) };
        let level = Level::query(scope, Clause::plain("RETURNING"), false);
        let (bound, level) = self.at_level(level, |binder| {
            let mut bound = binder.select_list(items, Clause::plain("RETURNING"))?;
            for item in &mut bound {
                let taken = std::mem::replace(&mut item.expr, Expr::null(TypeKind::Text));
                item.expr = binder.settle(taken, item.column.at)?;
            }
            Ok(bound)
        })?;
        let columns = bound
            .iter()
            .map(|item| output_column(&item.column.name, item.expr.ty(), item.column.origin))
            .collect();
        let expressions = bound.into_iter().map(|item| item.expr).collect();
        Ok(Returning { expressions: Some(expressions), asides: level.subqueries, columns: Some(columns) })
    }

    /// UPDATE.
    pub(super) fn update(&mut self, update: &ast::Update) -> Result<Bound> {
        let visible = self.common_tables.len();
        self.with(&update.with, true)?;
        let columns = update.assignments.iter().map(|assignment| &assignment.target.column);
        let destination = self.destination(&update.table, columns, Command::Update)?;
        let table = destination.table.clone();
        let before = self.writers_named;
        self.need(&destination, Right::Update);
        let mut source = self.destination_rows(&destination, update.alias.as_ref())?;
        if let Some(cursor) = &update.current_of {
            check_current_of(&destination)?;
            source.node = self.current_row(source.node, &table, cursor)?;
        }
        source = self.with_own(visible, |binder| {
            let mut depth = 1;
            update.from.iter().try_fold(source, |source, item| binder.cross_join(source, item, &mut depth))
        })?;
        let level = Level::query(source.scope, Clause::plain("UPDATE"), false);
        let ((node, assignments), level) = self.at_level(level, |binder| {
            let mut node = source.node;
            if let Some(filter) = &update.filter {
                node = binder.affected(node, filter)?;
            }
            node = Node::LockRows(Box::new(LockRows::over(node)));
            let assigned = &update.assignments;
            let mut assignments = binder.assignments(&destination, assigned, 0, Command::Update)?;
            let asides = std::mem::take(&mut binder.level()?.subqueries);
            let mut values: Vec<&mut Expr> =
                assignments.iter_mut().map(|assignment| &mut assignment.value).collect();
            node = binder.apply(node, asides, &mut values);
            Ok((node, assignments))
        })?;
        let mut node = node;
        // RETURNING asks about the rows as they become.
        if table.tells_writer() && self.writers_named == before {
            system_column::ask_no_writer(&mut node)?;
        }
        let mut returning = self.returning(update.returning.as_deref(), level.scope)?;
        let columns = returning.columns.take();
        self.common_tables.truncate(visible);
        self.need_reads(&destination)?;
        let mut guards = self.on_table(&destination, |binder| binder.update_guards(&mut node, &table))?;
        let given: Vec<usize> = assignments.iter().map(|assignment| assignment.column).collect();
        guards.extend(self.view_guards(&destination, &given)?);
        let rules = self.row_rules(&table)?;
        let linked = self.catalog.is_linked(&table);
        let row = node.types();
        let update = |returning| {
            Modify::Update(Update { table, source: node, assignments, rules, guards, linked, returning })
        };
        Ok((self.returned(update, row, returning), columns))
    }

    /// DELETE.
    pub(super) fn delete(&mut self, delete: &ast::Delete) -> Result<Bound> {
        let visible = self.common_tables.len();
        self.with(&delete.with, true)?;
        let destination = self.destination(&delete.table, std::iter::empty(), Command::Delete)?;
        let table = destination.table.clone();
        self.need(&destination, Right::Delete);
        let mut source = self.destination_rows(&destination, delete.alias.as_ref())?;
        if let Some(cursor) = &delete.current_of {
            check_current_of(&destination)?;
            source.node = self.current_row(source.node, &table, cursor)?;
        }
        source = self.with_own(visible, |binder| {
            let mut depth = 1;
            delete.using.iter().try_fold(source, |source, item| binder.cross_join(source, item, &mut depth))
        })?;
        let level = Level::query(source.scope, Clause::plain("DELETE"), false);
        let (node, level) = self.at_level(level, |binder| match &delete.filter {
            Some(filter) => binder.affected(source.node, filter),
            None => Ok(source.node),
        })?;
        let mut scope = level.scope;
        let tells_changer = self.tells_changer(&destination);
        if tells_changer {
            system_column::tell_changer(&mut scope, node.width());
        }
        let mut returning = self.returning(delete.returning.as_deref(), scope)?;
        let columns = returning.columns.take();
        self.common_tables.truncate(visible);
        let mut node = Node::LockRows(Box::new(LockRows::over(node)));
        self.need_reads(&destination)?;
        self.on_table(&destination, |binder| {
            let mut commands = vec![PolicyCommand::Delete];
            if binder.needs.asks(table.oid, Right::Select) {
                commands.push(PolicyCommand::Select);
            }
            binder.shield_target(&mut node, &table, &commands)
        })?;
        let linked = self.catalog.is_linked(&table);
        let mut row = node.types();
        row.extend(tells_changer.then(|| Type::plain(TypeKind::Xid)));
        let delete = |returning| Modify::Delete(Delete { table, source: node, linked, returning });
        Ok((self.returned(delete, row, returning), columns))
    }
}

/// The rows with DEFAULT for what is ignored.
pub(super) fn with_defaults<'r>(
    rows: &'r [Vec<ast::Expr>],
    targets: &[usize],
    ignored: &[usize],
) -> std::borrow::Cow<'r, [Vec<ast::Expr>]> {
    if ignored.is_empty() {
        return std::borrow::Cow::Borrowed(rows);
    }
    let mut rows = rows.to_vec();
    for row in &mut rows {
        for (cell, target) in row.iter_mut().zip(targets) {
            if ignored.contains(target) {
                cell.kind = ExprKind::Default;
            }
        }
    }
    std::borrow::Cow::Owned(rows)
}

impl Binder<'_> {
    /// The rows that WHERE leaves, without the answers of its subqueries: nobody else asks for those.
    fn affected(&mut self, node: Node, filter: &ast::Expr) -> Result<Node> {
        let width = node.width();
        Ok(first_columns(self.filtered(node, filter)?, width))
    }
}

/// Whether a query is VALUES and nothing else.
pub(super) fn is_bare(query: &ast::Query) -> bool {
    query.with.is_empty()
        && query.order_by.is_empty()
        && query.limit.is_none()
        && query.offset.is_none()
        && query.locks.is_empty()
}

pub(super) fn check_count(
    values: usize,
    targets: usize,
    explicit: Option<&[ast::AssignmentTarget]>,
    at: impl FnOnce() -> usize,
) -> Result<()> {
    if values > targets {
        return Err(Error::new("42601", "INSERT has more expressions than target columns").at(at()));
    }
    match explicit.and_then(|targets| targets.get(values)) {
        Some(missing) => {
            let message = "INSERT has more target columns than expressions";
            Err(Error::new("42601", message).at(missing.column.at))
        }
        None => Ok(()),
    }
}

/// 0A000 if WHERE CURRENT OF is about a view.
fn check_current_of(destination: &Destination) -> Result<()> {
    match destination.is_view() {
        true => Err(Error::new("0A000", "WHERE CURRENT OF on a view is not implemented")),
        false => Ok(()),
    }
}
