//! What relations and their columns are called: each relation otherwise than every other of the query and of those around it
//! (`set_rtable_names`).

use expr::Expr;
use expr::functions::quote::identifier;

use crate::bind::Binder;
use crate::bind::scope::{Relation, Scope};
use crate::catalog::TableDescriptor;
use crate::error::{Error, Result};

/// What the columns of a query are called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Called<'n> {
    /// By whoever reads the query, if it is not what they are called by themselves.
    pub(super) given: Option<&'n [String]>,
    /// Whether somebody sees it.
    pub(super) seen: bool,
}

impl Binder<'_> {
    /// What the relations are called, which nothing else is within the query then.
    pub(super) fn name_relations(&mut self, scope: &Scope) -> Vec<String> {
        let mut names = Vec::with_capacity(scope.relations.len());
        for relation in &scope.relations {
            let mut name = relation.name.clone();
            let mut number = 0_usize;
            while self.naming.contains(&name) {
                number = number.saturating_add(1);
                name = format!("{}_{number}", relation.name);
            }
            self.naming.push(name.clone());
            names.push(name);
        }
        names
    }

    /// A table's name, with its schema where it is not found without, or a query of WITH is.
    pub(super) fn name_in_from(&self, table: &TableDescriptor) -> String {
        match self.common_tables.place(&table.name) {
            Some(_) => format!("{}.{}", identifier(&table.schema), identifier(&table.name)),
            None => self.shown_name(table),
        }
    }
}

/// What the columns of a row are called, by their places in it; empty: they cannot be named.
pub(super) fn column_names(scope: &Scope, relations: &[String], width: usize) -> Vec<String> {
    let mut names = vec![String::new(); width];
    for (relation, called) in scope.relations.iter().zip(relations) {
        for column in relation.columns.iter().chain(&relation.unseen) {
            if let Expr::Column { index, .. } = column.value
                && let Some(name) = names.get_mut(index)
            {
                *name = format!("{}.{}", identifier(called), identifier(&column.name));
            }
        }
    }
    names
}

/// The relations of FROM with what they are called, in the order that they stand in.
pub(super) struct Relations<'r> {
    scope: &'r Scope,
    names: &'r [String],
    next: usize,
}

impl<'r> Relations<'r> {
    pub(super) fn new(scope: &'r Scope, names: &'r [String]) -> Self {
        Self { scope, names, next: 0 }
    }

    /// How many there were.
    pub(super) fn place(&self) -> usize {
        self.next
    }

    /// What those are called that came since then.
    pub(super) fn since(&self, place: usize) -> &'r [String] {
        self.names.get(place..self.next).unwrap_or_default()
    }

    /// The next.
    ///
    /// # Errors
    /// XX000: there is none.
    pub(super) fn take(&mut self) -> Result<(&'r str, &'r Relation)> {
        let found = self.names.get(self.next).zip(self.scope.relations.get(self.next));
        let (name, relation) = found.ok_or_else(|| Error::internal("an item of FROM was lost"))?;
        self.next = self.next.saturating_add(1);
        Ok((name.as_str(), relation))
    }
}

/// ` (a, b)` without the space: the columns of a relation.
pub(super) fn column_list(relation: &Relation) -> String {
    let names: Vec<String> = relation.columns.iter().map(|column| identifier(&column.name)).collect();
    format!("({})", names.join(", "))
}
