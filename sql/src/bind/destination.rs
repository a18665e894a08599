//! What INSERT, UPDATE and DELETE change: a table, or a view and through it the table that it stands on.
//!
//! ```text
//! UPDATE v SET x = x + 1     v (x, s) ─▶ w (x, y, s) ─▶ t (a, b, c)
//!                            x is t's b, s is computed of t's row: every name means an expression over that row
//! rows                       t's rows, through w's WHERE, then v's
//! rights                     on v whoever acts, on w v's owner, on t w's owner
//! guards                     t's policies as w's owner has them, and what views WITH CHECK OPTION ask
//! ```
//!
//! A table is such a destination too, with no view above it.

use std::sync::Arc;

use super::from::{Source, relation};
use super::scope::{Scope, ScopeColumn};
use super::select::first_columns;
use super::simple_view::{Below, NO_COLUMNS, Refusal, Seen, SimpleView, Why};
use super::{Binder, system_column};
use crate::catalog::access::Right;
use crate::catalog::writer::unasked;
use crate::catalog::{CatalogSnapshot, CheckOption, TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse::ast::{Name, QualifiedName};
use crate::plan::{Command, Filter, GuardKind, LockStrength, LockWait, Node, RowGuard, RowLock};

/// What a statement changes.
#[derive(Debug)]
pub(super) struct Destination {
    /// What the statement names.
    pub(super) named: Arc<TableDescriptor>,
    /// Where the rows are.
    pub(super) table: Arc<TableDescriptor>,
    /// The table, its columns called and filled as those of what is named that are columns of it.
    pub(super) face: Arc<TableDescriptor>,
    /// What each column of what is named is.
    columns: Vec<Seen>,
    /// The views above the table, the outermost first.
    views: Vec<SimpleView>,
}

impl Destination {
    /// A table.
    pub(super) fn table(table: Arc<TableDescriptor>) -> Self {
        Self {
            columns: table.columns.iter().enumerate().map(Seen::of_table).collect(),
            named: table.clone(),
            face: table.clone(),
            views: Vec::new(),
            table,
        }
    }

    /// Whether rows are changed through a view.
    pub(super) fn is_view(&self) -> bool {
        !self.views.is_empty()
    }

    /// The place in the table of a column of what is named.
    ///
    /// # Errors
    /// 0A000: it is none of the table's.
    pub(super) fn place(&self, place: usize, command: Command) -> Result<usize> {
        match self.columns.get(place).map(|seen| &seen.place) {
            Some(Ok(place)) => Ok(*place),
            Some(Err(refusal)) => Err(refused(refusal, command)),
            None => Err(Error::internal("a target that is no column")),
        }
    }

    /// The names of its row, over that of the table.
    pub(super) fn scope(&self, alias: Option<&Name>) -> Result<Scope> {
        let columns = self.named.visible().filter_map(|(place, column)| {
            Some(ScopeColumn {
                name: column.name.clone(),
                value: self.columns.get(place)?.value.clone(),
                origin: Some((self.named.oid, i16::try_from(column.id).unwrap_or(0))),
            })
        });
        let called = alias.map_or(&self.named.name, |alias| &alias.value);
        let schema = if alias.is_none() { Some(self.named.schema.clone()) } else { None };
        let mut row = relation(called, schema, columns.collect(), Some(self.named.clone()), None)?;
        let stored = self.named.columns.iter().enumerate();
        let writer = stored.filter_map(|(place, column)| system_column::writer(&self.named, column, place));
        row.beside.extend(writer);
        Ok(row.into_scope())
    }
}

impl Binder<'_> {
    /// What a statement changes by this name; `columns` are those that it gives values to by theirs.
    ///
    /// # Errors
    /// 55000: rows cannot be changed through the view.
    pub(super) fn destination<'n>(
        &mut self,
        name: &QualifiedName,
        columns: impl Iterator<Item = &'n Name>,
        command: Command,
    ) -> Result<Destination> {
        let named = self.table(name)?;
        if named.kind != TableKind::View {
            return Ok(Destination::table(self.with_writer(writable(named)?)));
        }
        let below = self.below(&named)?;
        // What is no column of the view is told before what the view is.
        for column in columns {
            if command == Command::Update {
                system_column::check_assigned(&named, column)?;
            }
            self.place(&named, column)?;
        }
        let below = match below {
            Ok(below) => below,
            Err(stuck) => return Err(not_updatable(&stuck.view, stuck.why, command)),
        };
        if command != Command::Delete
            && let Some(view) = below.views.iter().find(|view| !view.has_columns())
        {
            return Err(not_updatable(&view.relation.name, NO_COLUMNS, command));
        }
        let Below { views, table, columns, face, cannot_fill } = below;
        if let (Command::Insert, Some(refusal)) = (command, &cannot_fill) {
            return Err(refused(refusal, command));
        }
        // A view has no system columns: who has written rows is noted, and not asked.
        let noted = |table| unasked(&self.with_writer(table));
        let (table, face) = (noted(writable(table)?), noted(Arc::new(face)));
        Ok(Destination { named, table, face, columns, views })
    }

    /// The rows that UPDATE and DELETE change, marked to be locked, with all columns of the table: those that can be seen
    /// through the views.
    pub(super) fn destination_rows(
        &mut self,
        destination: &Destination,
        alias: Option<&Name>,
    ) -> Result<Source> {
        let table = &destination.table;
        let all = (0..table.columns.len()).collect();
        let called = match destination.views.last() {
            Some(view) => Some(&view.called),
            None => alias.map(|alias| &alias.value),
        };
        let lock = RowLock { strength: LockStrength::Exclusive, wait: LockWait::Block };
        let mut node = self.scan(table.clone(), all, called.map(|called| (called, None)), Some(lock))?.node;
        for view in destination.views.iter().rev() {
            let Some((mut predicate, asides)) = self.view_condition(view)? else { continue };
            let width = node.width();
            let input = Box::new(self.apply(node, asides, &mut [&mut predicate]));
            let barrier = view.options().barrier;
            node = first_columns(Node::Filter(Filter { input, predicate, barrier }), width);
        }
        Ok(Source { node, scope: destination.scope(alias)? })
    }

    /// Takes a right on it: of whoever acts on what is named, of each view's owner on what that stands on.
    pub(super) fn need(&mut self, destination: &Destination, right: Right) {
        self.needs.add(&destination.named, right);
        for view in &destination.views {
            let before = self.needs.act(view.acting);
            self.needs.add(&view.base, right);
            self.needs.act(before);
        }
    }

    /// The same for columns of what is named, by their places there.
    pub(super) fn need_write(&mut self, destination: &Destination, right: Right, places: &[usize]) {
        self.needs.write(&destination.named, right, places);
        let mut places = places.to_vec();
        for view in &destination.views {
            places = places.iter().filter_map(|place| view.onto.get(*place).copied().flatten()).collect();
            let before = self.needs.act(view.acting);
            self.needs.write(&view.base, right, &places);
            self.needs.act(before);
        }
    }

    /// What the statement reads of a view the view reads as a whole, as its owner.
    ///
    /// # Errors
    /// 0A000: it reads a column that a query computes.
    pub(super) fn need_reads(&mut self, destination: &Destination) -> Result<()> {
        if !destination.is_view() || !self.needs.asks(destination.named.oid, Right::Select) {
            return Ok(());
        }
        let read = self.needs.columns_read(destination.named.oid);
        for (column, seen) in destination.named.columns.iter().zip(&destination.columns) {
            if seen.asks && read.contains(&column.id) {
                let (view, column) = (&destination.named.name, &column.name);
                let what = format!("column \"{column}\" of view \"{view}\", which a query computes,");
                return Err(Error::unsupported(format!("{what} beside a change of the view's rows")));
            }
        }
        for view in &destination.views {
            let before = self.needs.act(view.acting);
            self.needs.read_places(&view.base, &view.places_read());
            self.needs.act(before);
        }
        Ok(())
    }

    /// Takes what has been read of it out of what is asked for; what was in it, for [`Self::take_reads_back`].
    pub(super) fn put_reads_aside(&mut self, destination: &Destination) -> Vec<bool> {
        let mut were = vec![self.needs.put_aside(destination.named.oid, Right::Select)];
        for view in &destination.views {
            let before = self.needs.act(view.acting);
            were.push(self.needs.put_aside(view.base.oid, Right::Select));
            self.needs.act(before);
        }
        were
    }

    /// Asks for it again.
    pub(super) fn take_reads_back(&mut self, destination: &Destination, were: &[bool]) {
        let acting = self.needs.acting();
        let named = std::iter::once((acting, &destination.named));
        let all = named.chain(destination.views.iter().map(|view| (view.acting, &view.base)));
        for ((acting, relation), _) in all.zip(were).filter(|(_, was)| **was) {
            let before = self.needs.act(acting);
            self.needs.add(relation, Right::Select);
            self.needs.act(before);
        }
    }

    /// Binds as whoever acts on the table itself.
    pub(super) fn on_table<T>(
        &mut self,
        destination: &Destination,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let acting = destination.views.last().map_or(self.needs.acting(), |view| view.acting);
        let before = self.needs.act(acting);
        let bound = bind(self);
        self.needs.act(before);
        bound
    }

    /// What the views ask of rows that become others, the innermost first: each whose option says so, and each below one whose
    /// option is CASCADED. `given` are the columns of the table that the statement gives values to.
    pub(super) fn view_guards(
        &mut self,
        destination: &Destination,
        given: &[usize],
    ) -> Result<Vec<RowGuard>> {
        let mut guards = Vec::new();
        let mut cascades = false;
        for view in &destination.views {
            let check = view.options().check;
            cascades |= check == Some(CheckOption::Cascaded);
            if !cascades && check.is_none() {
                continue;
            }
            let Some((predicate, asides)) = self.view_condition(view)? else { continue };
            guards.push(RowGuard {
                of: Some(view.relation.name.clone()),
                kind: GuardKind::View,
                condition: self.guard(&destination.table, predicate, asides),
                given: given.to_vec(),
            });
        }
        guards.reverse();
        Ok(guards)
    }
}

/// The table, if its rows can be changed.
pub(super) fn writable(table: Arc<TableDescriptor>) -> Result<Arc<TableDescriptor>> {
    match table.kind {
        TableKind::Base => Ok(table),
        TableKind::Virtual => {
            let message = format!("permission denied: \"{}\" is a system catalog", table.name);
            Err(Error::new("42501", message))
        }
        TableKind::Materialised | TableKind::View | TableKind::Sequence => {
            let (word, name) = (table.kind.word(), &table.name);
            Err(Error::new("42809", format!("cannot change {word} \"{name}\"")))
        }
    }
}

fn refused(refusal: &Refusal, command: Command) -> Error {
    let Refusal { view, column, why } = refusal;
    let verb = if command == Command::Insert { "insert into" } else { "update" };
    Error::new("0A000", format!("cannot {verb} column \"{column}\" of view \"{view}\"")).detail(*why)
}

fn not_updatable(view: &str, why: Why, command: Command) -> Error {
    let (verb, doing, event) = match command {
        Command::Insert => ("insert into", "inserting into", "INSERT"),
        Command::Delete => ("delete from", "deleting from", "DELETE"),
        Command::Update | Command::Merge | Command::Select => ("update", "updating", "UPDATE"),
    };
    Error::new("55000", format!("cannot {verb} view \"{view}\"")).detail(why).hint(format!(
        "To enable {doing} the view, provide an INSTEAD OF {event} trigger or an unconditional ON {event} DO INSTEAD rule."
    ))
}

/// What of a relation can be changed.
#[derive(Debug)]
pub(crate) struct Changeable {
    /// Whether rows can be removed.
    pub(crate) rows: bool,
    /// Of each of its columns, hidden ones too, whether values can be given to it.
    pub(crate) columns: Vec<bool>,
}

impl Changeable {
    /// Of a table or view.
    pub(crate) fn of(relation: &Arc<TableDescriptor>, catalog: &CatalogSnapshot) -> Self {
        let all = |is: bool| Self { rows: is, columns: vec![is; relation.columns.len()] };
        if relation.kind != TableKind::View {
            return all(relation.kind == TableKind::Base);
        }
        let below = super::check::apart(catalog, |binder| {
            // Nobody acts: policies bind nobody.
            binder.only_keeps = true;
            binder.below(relation)
        });
        // What cannot be bound cannot be changed.
        match below {
            Ok(Ok(below)) if below.table.kind == TableKind::Base => {
                Self { rows: true, columns: below.columns.iter().map(|seen| seen.place.is_ok()).collect() }
            }
            _ => all(false),
        }
    }

    /// Whether rows can be added and changed.
    pub(crate) fn takes_values(&self) -> bool {
        self.rows && self.columns.contains(&true)
    }

    /// The commands that can be run on it, as `pg_relation_is_updatable` has them.
    pub(crate) fn events(&self) -> i32 {
        const UPDATE: i32 = 1 << 2;
        const INSERT: i32 = 1 << 3;
        const DELETE: i32 = 1 << 4;
        match (self.rows, self.takes_values()) {
            (_, true) => UPDATE | INSERT | DELETE,
            (true, false) => DELETE,
            (false, false) => 0,
        }
    }
}
