//! The columns of a row and the names they go by.

use std::sync::Arc;

use expr::Expr;

use super::placeholder::Stands;
use super::suggest;
use crate::catalog::{Oid, TableDescriptor};
use crate::error::{Error, Result};
use crate::parse::ast::Name;

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
    /// What is found by name alone: what is known of its rows beside them.
    pub(super) beside: Vec<ScopeColumn>,
    /// Columns that `*` does not see.
    pub(super) unseen: Vec<ScopeColumn>,
    pub(super) table: Option<Arc<TableDescriptor>>,
    /// An outer join may have no row of it.
    pub(super) nullable: bool,
    /// It is the last round of a recursive query.
    pub(super) is_working: bool,
}

/// The columns of a row and their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// What `*` and bare names see, in order. A column that USING merged is here once.
    pub(super) columns: Vec<ScopeColumn>,
    /// What qualified names see.
    pub(super) relations: Vec<Relation>,
}

impl Relation {
    /// A column that no row of its table has NULL in.
    pub(super) fn never_null(&self) -> Option<&ScopeColumn> {
        let table = self.table.as_ref()?;
        let is_never_null = |column: &&ScopeColumn| {
            let number = column.origin.and_then(|(_, number)| u32::try_from(number).ok());
            table.columns.iter().any(|own| Some(own.id) == number && own.not_null)
        };
        self.columns.iter().find(is_never_null)
    }

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
        for relation in &mut self.relations {
            shift(&mut relation.columns);
            shift(&mut relation.beside);
            shift(&mut relation.unseen);
        }
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

    /// The column of this name, if there is one; 42702 if it is not alone, 42703 if its table has no such column.
    pub(super) fn find(&self, names: &[Name]) -> Result<Option<ScopeColumn>> {
        let ambiguous = |name: &Name| {
            Error::new("42702", format!("column reference \"{}\" is ambiguous", name.value)).at(name.at)
        };
        match names {
            [name] => {
                let unseen = self.relations.iter().flat_map(|relation| &relation.unseen);
                let unseen = unseen.filter(|column| column.name == name.value);
                let mut found = self.named(&name.value).chain(unseen);
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
        let columns = relation.columns.iter().chain(&relation.unseen);
        let mut found = columns.filter(|column| column.name == name.value);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                let message = format!("column reference \"{}\" is ambiguous", name.value);
                Err(Error::new("42702", message).at(table.at))
            }
            (Some(column), None) => Ok(Some(column.clone())),
            (None, _) => {
                let message = format!("column {}.{} does not exist", table.value, name.value);
                let error = Error::new("42703", message).at(table.at);
                Err(match suggest::hint(self.names(), Some(&table.value), &name.value) {
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
        }
    }

    /// What a column is called in messages: `t.a`, or its bare name.
    pub(super) fn describe(&self, index: usize) -> String {
        let is =
            |column: &&ScopeColumn| matches!(&column.value, Expr::Column { index: own, .. } if *own == index);
        for relation in &self.relations {
            if let Some(column) = relation.columns.iter().chain(&relation.beside).find(is) {
                return format!("{}.{}", relation.name, column.name);
            }
        }
        match Stands::of(index) {
            Stands::Column(_) => {
                self.columns.iter().find(is).map_or_else(String::new, |column| column.name.clone())
            }
            _ => String::new(),
        }
    }

    /// The names of the relations and of their columns, for suggestions.
    pub(super) fn names(&self) -> impl Iterator<Item = suggest::Candidates<'_>> {
        self.relations.iter().map(|relation| suggest::Candidates {
            name: &relation.name,
            columns: relation.columns.iter().map(|column| column.name.as_str()).collect(),
        })
    }
}
