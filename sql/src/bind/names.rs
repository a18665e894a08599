//! What a name means at a place: a column of the query at hand, or of one of the queries around it.

use expr::Expr;
use expr::functions::quote::identifier;

use super::level::{Aggregates, Clause, Level, LevelKind};
use super::scope::{Relation, ScopeColumn};
use super::written::Form;
use super::{Binder, placeholder, suggest, system_column};
use crate::error::{Error, Result};
use crate::parse::ast::{Name, QualifiedName};
use crate::plan::Binding;
use crate::plan::same::same;

/// So many names are compared as quickly as anything else is looked at.
const NAMES_PER_LOOK: usize = 16;

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
        for (place, level) in self.levels.iter().enumerate().skip(self.floor()).rev() {
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
        if let Some(level) = self.levels.last() {
            system_column::check_own_row(&level.clause, names)?;
        }
        for place in self.visible_levels() {
            let Some(level) = self.levels.get(place) else { continue };
            let names_there = level.scope.columns.len().saturating_add(level.scope.relations.len());
            self.budget.look(names_there / NAMES_PER_LOOK)?;
            let found = match system_column::find(&level.scope, names)? {
                Some(_) if self.is_shown() => return Err(Error::unsupported("to print a system column")),
                Some(column) => {
                    if place == own {
                        system_column::check_named(&level.clause, names)?;
                    }
                    self.writers_named += usize::from(system_column::is_writer(&column));
                    Some(column)
                }
                None => level.scope.find(names)?,
            };
            let Some(column) = found else { continue };
            self.needs.read(column.origin);
            let value = column.value;
            // A column that joins have merged is computed wherever it is named.
            if !matches!(value, Expr::Column { .. }) {
                self.budget.take_copy(&value)?;
            }
            self.refer(place, &value, at);
            if let [before @ .., table, _] = names
                && let (Some(first), Some(schema)) = (before.first(), before.last())
            {
                self.note_qualifier(first, before.len(), schema, table);
            }
            // Nor has it another name than its own, of no table.
            if let ([name], false) = (names, matches!(value, Expr::Column { .. }))
                && self.is_shown()
            {
                return Ok(self.word(identifier(&name.value), Form::Name, value.ty()));
            }
            return if place == own { Ok(value) } else { Ok(self.outer(place, value)) };
        }
        if let [name] = names
            && self.sees_relation(name)
        {
            return self.row_of(&QualifiedName { schema: None, name: name.clone() }, at);
        }
        match self.argument_called(names)? {
            Some(argument) => Ok(argument),
            None => Err(self.missing_column(names)),
        }
    }

    pub(super) fn sees_relation(&self, name: &Name) -> bool {
        let visible = self.visible_levels();
        let mut levels = visible.iter().filter_map(|place| self.levels.get(*place));
        levels.any(|level| level.scope.relation(None, &name.value).is_some())
    }

    /// The row of an item of FROM as one value.
    pub(super) fn row_of(&mut self, name: &QualifiedName, at: usize) -> Result<Expr> {
        if self.is_shown() {
            return Err(Error::unsupported("to print the row of a table"));
        }
        let schema = name.schema.as_ref().map(|schema| schema.value.as_str());
        let visible = self.visible_levels();
        let mut levels = visible.iter().filter_map(|place| self.levels.get(*place));
        let found = levels.find_map(|level| level.scope.relation(schema, &name.name.value)).cloned();
        let columns = self.wildcard_of(name)?;
        match found {
            Some(relation) => self.whole_row(&Relation { columns, ..relation }, at),
            // The columns were the fields of an argument.
            None => match self.argument_called(std::slice::from_ref(&name.name))? {
                Some(argument) => Ok(argument),
                None => Err(Error::internal("a relation was lost")),
            },
        }
    }

    /// Notes that a column was named, for messages about grouping.
    fn refer(&mut self, place: usize, value: &Expr, at: usize) {
        if let Some(level) = self.levels.get_mut(place)
            // The direct arguments of an aggregate are over groups.
            && (level.clause.aggregates != Aggregates::Nested
                || level.asides_from != placeholder::ARGUMENTS)
        {
            for index in value.columns() {
                level.references.push((index, at));
            }
        }
    }

    /// A value of an outer row, through a slot.
    pub(super) fn outer(&mut self, place: usize, value: Expr) -> Expr {
        let ty = value.ty();
        if self.is_shown() {
            let names = self.levels.get(place).map(|level| level.names.as_slice()).unwrap_or_default();
            let name = match &value {
                Expr::Column { index, .. } => names.get(*index).cloned().unwrap_or_default(),
                _ => String::new(),
            };
            let is_lateral = self.levels.get(place).is_some_and(|level| level.kind == LevelKind::Lateral);
            if let Some(written) = self.written.as_mut().filter(|_| is_lateral) {
                written.note_lateral();
            }
            return self.word(name, Form::Name, ty);
        }
        let Some(level) = self.levels.get_mut(place) else { return value };
        if let Some(binding) = level.pending.iter().find(|binding| same(&binding.value, &value)) {
            return Expr::Parameter { index: binding.slot, ty };
        }
        let number = self.slots;
        self.slots = self.slots.saturating_add(1);
        level.pending.push(Binding { slot: placeholder::slot_index(number), value });
        placeholder::slot(number, ty)
    }

    fn missing_column(&self, names: &[Name]) -> Error {
        let visible = self.visible_levels();
        match names {
            [name] => {
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
                let levels = visible.iter().filter_map(|place| self.levels.get(*place));
                let relations = levels.flat_map(|level| level.scope.names());
                match suggest::hint(relations, None, &name.value) {
                    Some(hint) => error.hint(hint),
                    None => error,
                }
            }
            [.., table, _] => {
                let mut levels = self.levels.iter().skip(self.floor());
                let hidden = levels.any(|level| level.scope.relation(None, &table.value).is_some());
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
            if let Some(schema) = &name.schema {
                self.note_qualifier(schema, 1, schema, &name.name);
            }
            for column in &mut columns {
                self.needs.read(column.origin);
                self.refer(place, &column.value, name.name.at);
                if place != own {
                    column.value = self.outer(place, column.value.clone());
                }
            }
            return Ok(columns);
        }
        if name.schema.is_none()
            && let Some(columns) = self.fields_of_argument(&name.name)?
        {
            return Ok(columns);
        }
        let message = format!("missing FROM-clause entry for table \"{}\"", name.name.value);
        Err(Error::new("42P01", message).at(name.schema.as_ref().unwrap_or(&name.name).at))
    }
}
