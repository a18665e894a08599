//! What names mean at a place: the columns of the query at hand, and those of the queries around it.

use std::sync::Arc;

use expr::Expr;

use super::placeholder;
use super::same::same;
use super::subquery::PutAside;
use super::suggest;
use super::{Binder, placeholder::Stands};
use crate::catalog::{Oid, TableDescriptor};
use crate::error::{Error, Result};
use crate::parse::ast::{Name, QualifiedName};
use crate::plan::{AggregateCall, Binding};

/// A column that can be named.
#[derive(Debug, Clone)]
pub(super) struct ScopeColumn {
    pub(super) name: String,
    /// Its value over the query's row.
    pub(super) value: Expr,
    /// The table and number that clients are told it comes from.
    pub(super) origin: Option<(Oid, i16)>,
}

/// A table, subquery or function of FROM.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) name: String,
    /// The schema that may stand before the name.
    pub(super) schema: Option<String>,
    pub(super) columns: Vec<ScopeColumn>,
    pub(super) table: Option<Arc<TableDescriptor>>,
}

/// The columns of a row and their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// What `*` and bare names see, in order. A column that USING merged is here once.
    pub(super) columns: Vec<ScopeColumn>,
    /// What qualified names see.
    pub(super) relations: Vec<Relation>,
}

/// Whether aggregates may stand in a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregates {
    Allowed,
    Refused,
    /// Within an aggregate's arguments.
    Nested,
}

/// The clause that is being bound; for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clause {
    pub(super) name: &'static str,
    pub(super) aggregates: Aggregates,
}

impl Clause {
    pub(super) const fn plain(name: &'static str) -> Self {
        Self { name, aggregates: Aggregates::Refused }
    }

    pub(super) const fn grouped(name: &'static str) -> Self {
        Self { name, aggregates: Aggregates::Allowed }
    }
}

/// A query around the expression at hand, or the left side of a join that LATERAL may look at.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) kind: LevelKind,
    pub(super) scope: Scope,
    pub(super) clause: Clause,
    /// Slots that the subquery which is being bound below reads from this level's row.
    pub(super) pending: Vec<Binding>,
    /// What was put aside while binding expressions over this level's row.
    pub(super) subqueries: Vec<PutAside>,
    /// The same within the arguments of aggregates and in GROUP BY: over the row before it is grouped.
    pub(super) argument_subqueries: Vec<PutAside>,
    pub(super) aggregates: Vec<AggregateCall>,
    /// Columns that were named outside of aggregates, and where.
    pub(super) references: Vec<(usize, usize)>,
}

/// What a level is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LevelKind {
    /// A query, or something else whose expressions are over one row.
    Query {
        /// Whether it sees the [`LevelKind::Lateral`] levels right around it.
        lateral: bool,
    },
    /// What stands before an item of FROM.
    Lateral,
}

impl Level {
    pub(super) fn query(scope: Scope, clause: Clause, lateral: bool) -> Self {
        Self::new(LevelKind::Query { lateral }, scope, clause)
    }

    pub(super) fn lateral(scope: Scope) -> Self {
        Self::new(LevelKind::Lateral, scope, Clause::plain("FROM"))
    }

    fn new(kind: LevelKind, scope: Scope, clause: Clause) -> Self {
        Self {
            kind,
            scope,
            clause,
            pending: Vec::new(),
            subqueries: Vec::new(),
            argument_subqueries: Vec::new(),
            aggregates: Vec::new(),
            references: Vec::new(),
        }
    }
}

impl Relation {
    /// The relation with its columns in the order of `*`.
    pub(super) fn into_scope(self) -> Scope {
        Scope { columns: self.columns.clone(), relations: vec![self] }
    }
}

impl Scope {
    /// The columns of both; the other's row follows this one's, which has `width` columns.
    pub(super) fn join(mut self, other: Self, width: usize) -> Result<Self> {
        let other = other.shifted(width);
        self.add_relations(other.relations)?;
        self.columns.extend(other.columns);
        Ok(self)
    }

    /// Adds relations; 42712 if a name is taken.
    pub(super) fn add_relations(&mut self, relations: Vec<Relation>) -> Result<()> {
        for relation in relations {
            let taken = |other: &Relation| other.name == relation.name && other.schema == relation.schema;
            if self.relations.iter().any(taken) {
                let message = format!("table name \"{}\" specified more than once", relation.name);
                return Err(Error::new("42712", message));
            }
            self.relations.push(relation);
        }
        Ok(())
    }

    /// The same columns where the row begins `by` columns later.
    pub(super) fn shifted(mut self, by: usize) -> Self {
        let shift = |columns: &mut Vec<ScopeColumn>| {
            for column in columns {
                column.value = column.value.clone().map_columns(&|index| index.saturating_add(by));
            }
        };
        shift(&mut self.columns);
        self.relations.iter_mut().for_each(|relation| shift(&mut relation.columns));
        self
    }

    /// The columns of this bare name.
    pub(super) fn named<'s, 'n: 's>(&'s self, name: &'n str) -> impl Iterator<Item = &'s ScopeColumn> {
        self.columns.iter().filter(move |column| column.name == name)
    }

    /// The relation of this name.
    pub(super) fn relation(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| {
            relation.name == name && schema.is_none_or(|schema| relation.schema.as_deref() == Some(schema))
        })
    }

    fn find(&self, names: &[Name]) -> Result<Option<ScopeColumn>> {
        let ambiguous = |name: &Name| {
            Error::new("42702", format!("column reference \"{}\" is ambiguous", name.value)).at(name.at)
        };
        match names {
            [name] => {
                let mut found = self.named(&name.value);
                match (found.next(), found.next()) {
                    (Some(_), Some(_)) => Err(ambiguous(name)),
                    (found, _) => Ok(found.cloned()),
                }
            }
            [table, name] => self.find_qualified(None, table, name),
            [schema, table, name] => self.find_qualified(Some(&schema.value), table, name),
            [first, ..] => {
                let shown: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
                let message = format!("cross-database references are not implemented: {}", shown.join("."));
                Err(Error::new("0A000", message).at(first.at))
            }
            [] => Err(Error::internal("a column without a name")),
        }
    }

    fn find_qualified(&self, schema: Option<&str>, table: &Name, name: &Name) -> Result<Option<ScopeColumn>> {
        let Some(relation) = self.relation(schema, &table.value) else { return Ok(None) };
        let mut found = relation.columns.iter().filter(|column| column.name == name.value);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                let message = format!("column reference \"{}\" is ambiguous", name.value);
                Err(Error::new("42702", message).at(table.at))
            }
            (Some(column), None) => Ok(Some(column.clone())),
            (None, _) => {
                let message = format!("column {}.{} does not exist", table.value, name.value);
                let error = Error::new("42703", message).at(table.at);
                Err(match suggest::hint(std::iter::once(self), Some(&table.value), &name.value) {
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
        }
    }
}

impl Binder<'_> {
    /// The level whose row expressions are over.
    pub(super) fn level(&mut self) -> Result<&mut Level> {
        self.levels.last_mut().ok_or_else(|| Error::internal("an expression outside of any query"))
    }

    /// Binds over another row; what is put aside there is the caller's to take from the level that is returned.
    pub(super) fn at_level<T>(
        &mut self,
        level: Level,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Level)> {
        self.levels.push(level);
        let bound = bind(self);
        let level = self.levels.pop().ok_or_else(|| Error::internal("a level was lost"))?;
        Ok((bound?, level))
    }

    /// Binds within a clause.
    pub(super) fn within<T>(
        &mut self,
        clause: Clause,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = std::mem::replace(&mut self.level()?.clause, clause);
        let bound = bind(self);
        self.level()?.clause = before;
        bound
    }

    /// The levels that names are looked up at, from the innermost on.
    fn visible_levels(&self) -> Vec<usize> {
        let mut visible = Vec::new();
        let mut lateral = true;
        for (place, level) in self.levels.iter().enumerate().rev() {
            match level.kind {
                LevelKind::Query { lateral: sees } => {
                    lateral = sees;
                    visible.push(place);
                }
                LevelKind::Lateral if lateral => visible.push(place),
                LevelKind::Lateral => {}
            }
        }
        visible
    }

    /// The value of a column by its name.
    pub(super) fn column(&mut self, names: &[Name]) -> Result<Expr> {
        let own = self.levels.len().saturating_sub(1);
        let at = names.first().map_or(0, |name| name.at);
        for place in self.visible_levels() {
            let Some(level) = self.levels.get(place) else { continue };
            let Some(column) = level.scope.find(names)? else { continue };
            let value = column.value;
            self.refer(place, &value, at);
            return if place == own { Ok(value) } else { Ok(self.outer(place, value)) };
        }
        Err(self.missing_column(names))
    }

    /// Notes that a column was named, for messages about grouping.
    fn refer(&mut self, place: usize, value: &Expr, at: usize) {
        if let Some(level) = self.levels.get_mut(place)
            && level.clause.aggregates != Aggregates::Nested
        {
            for index in value.columns() {
                level.references.push((index, at));
            }
        }
    }

    /// A value of an outer row, through a slot.
    fn outer(&mut self, place: usize, value: Expr) -> Expr {
        let ty = value.ty();
        let Some(level) = self.levels.get_mut(place) else { return value };
        if let Some(binding) = level.pending.iter().find(|binding| same(&binding.value, &value)) {
            return Expr::Parameter { index: binding.slot, ty };
        }
        let number = self.slots;
        self.slots = self.slots.saturating_add(1);
        level.pending.push(Binding { slot: placeholder::slot_index(number), value });
        placeholder::slot(number, ty)
    }

    /// A new slot for a value of the level's own row.
    pub(super) fn new_slot(&mut self, value: Expr) -> (Binding, Expr) {
        let number = self.slots;
        self.slots = self.slots.saturating_add(1);
        let read = placeholder::slot(number, value.ty());
        (Binding { slot: placeholder::slot_index(number), value }, read)
    }

    fn missing_column(&self, names: &[Name]) -> Error {
        let visible = self.visible_levels();
        let mut levels = visible.iter().filter_map(|place| self.levels.get(*place));
        match names {
            [name] => {
                if levels.any(|level| level.scope.relation(None, &name.value).is_some()) {
                    return Error::unsupported("a whole row as a value").at(name.at);
                }
                let error =
                    Error::new("42703", format!("column \"{}\" does not exist", name.value)).at(name.at);
                if let Some(table) = &self.target
                    && table.column_by_name(&name.value).is_some()
                {
                    return error.hint(format!(
                        "There is a column named \"{}\" in table \"{}\", but it cannot be referenced from this part of the query.",
                        name.value, table.name
                    ));
                }
                let scopes =
                    visible.iter().filter_map(|place| self.levels.get(*place)).map(|level| &level.scope);
                match suggest::hint(scopes, None, &name.value) {
                    Some(hint) => error.hint(hint),
                    None => error,
                }
            }
            [.., table, _] => {
                let hidden =
                    self.levels.iter().any(|level| level.scope.relation(None, &table.value).is_some());
                let what = if hidden { "invalid reference to" } else { "missing" };
                let message = format!("{what} FROM-clause entry for table \"{}\"", table.value);
                let error = Error::new("42P01", message).at(names.first().map_or(0, |name| name.at));
                if !hidden {
                    return error;
                }
                error.hint(format!(
                    "There is an entry for table \"{}\", but it cannot be referenced from this part of the query.",
                    table.value
                ))
            }
            [] => Error::internal("a column without a name"),
        }
    }

    /// The columns of `t.*`.
    pub(super) fn wildcard_of(&mut self, name: &QualifiedName) -> Result<Vec<ScopeColumn>> {
        let schema = name.schema.as_ref().map(|schema| schema.value.as_str());
        let own = self.levels.len().saturating_sub(1);
        for place in self.visible_levels() {
            let found =
                self.levels.get(place).and_then(|level| level.scope.relation(schema, &name.name.value));
            let Some(relation) = found else { continue };
            let mut columns = relation.columns.clone();
            for column in &mut columns {
                self.refer(place, &column.value, name.name.at);
                if place != own {
                    column.value = self.outer(place, column.value.clone());
                }
            }
            return Ok(columns);
        }
        let message = format!("missing FROM-clause entry for table \"{}\"", name.name.value);
        Err(Error::new("42P01", message).at(name.schema.as_ref().unwrap_or(&name.name).at))
    }

    /// What a column is called in messages: `t.a`, or its bare name.
    pub(super) fn describe(scope: &Scope, index: usize) -> String {
        let is =
            |column: &&ScopeColumn| matches!(&column.value, Expr::Column { index: own, .. } if *own == index);
        for relation in &scope.relations {
            if let Some(column) = relation.columns.iter().find(is) {
                return format!("{}.{}", relation.name, column.name);
            }
        }
        match Stands::of(index) {
            Stands::Column(_) => {
                scope.columns.iter().find(is).map_or_else(String::new, |column| column.name.clone())
            }
            _ => String::new(),
        }
    }
}
