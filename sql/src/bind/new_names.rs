//! Names for what a statement makes and does not name, as PostgreSQL chooses them.

use super::{Binder, system_column};
use crate::catalog::{Check, Column};
use crate::error::{Error, Result};

/// The longest name in bytes.
const NAME_BYTES_MAX: usize = 63;

/// Chooses names that are free.
pub(super) struct NewNames<'b, 'a> {
    pub(super) binder: &'b Binder<'a>,
    pub(super) schema: String,
    /// Names that the statement has taken.
    pub(super) chosen: Vec<String>,
    /// Names of what it has dropped.
    pub(super) freed: Vec<String>,
}

impl<'b, 'a> NewNames<'b, 'a> {
    pub(super) fn new(binder: &'b Binder<'a>, schema: &str) -> Self {
        Self { binder, schema: schema.to_owned(), chosen: Vec::new(), freed: Vec::new() }
    }

    /// Whether a table or an index has the name.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        self.chosen.iter().any(|chosen| chosen == name)
            || !self.is_freed(name) && self.binder.catalog.is_taken(&self.schema, name)
    }

    fn is_freed(&self, name: &str) -> bool {
        self.freed.iter().any(|freed| freed == name)
    }

    /// Whether a constraint of any table has the name.
    fn is_of_constraint(&self, name: &str) -> bool {
        let tables = self.binder.catalog.tables().filter(|table| table.schema == self.schema);
        let mut named = tables.map(|table| {
            let keys = table.indexes.iter().any(|index| index.constraint.is_some() && index.name == name);
            keys || table.constraints.is_named(name)
        });
        !self.is_freed(name) && named.any(|named| named)
    }

    /// `table_column_suffix` for an index, with a number if need be (`ChooseRelationName`).
    pub(super) fn choose(&mut self, table: &str, columns: &[String], suffix: &str) -> String {
        self.choose_unless(table, columns, suffix, Self::is_taken)
    }

    /// The same for the index of a constraint.
    pub(super) fn choose_key(&mut self, table: &str, columns: &[String], suffix: &str) -> String {
        let taken = |names: &Self, name: &str| names.is_taken(name) || names.is_of_constraint(name);
        self.choose_unless(table, columns, suffix, taken)
    }

    /// The same for a constraint without an index (`ChooseConstraintName`).
    pub(super) fn choose_constraint(&mut self, table: &str, columns: &[String], suffix: &str) -> String {
        let taken = |names: &Self, name: &str| {
            names.chosen.iter().any(|chosen| chosen == name) || names.is_of_constraint(name)
        };
        self.choose_unless(table, columns, suffix, taken)
    }

    /// Names a check that was given no name: by its column, if it names just one.
    pub(super) fn name_check(&mut self, table: &str, columns: &[Column], check: &mut Check) {
        if !check.name.is_empty() {
            self.chosen.push(check.name.clone());
            return;
        }
        let named: Vec<String> = match check.columns.as_slice() {
            [only] => columns.iter().filter(|column| column.id == *only).map(|c| c.name.clone()).collect(),
            _ => Vec::new(),
        };
        check.name = self.choose_constraint(table, &named, "check");
    }

    fn choose_unless(
        &mut self,
        table: &str,
        columns: &[String],
        suffix: &str,
        is_taken: impl Fn(&Self, &str) -> bool,
    ) -> String {
        let columns = columns.join("_");
        let mut attempt = 0_u32;
        loop {
            let number = if attempt == 0 { String::new() } else { attempt.to_string() };
            let name = object_name(table, &columns, &format!("{suffix}{number}"));
            if !is_taken(self, &name) {
                self.chosen.push(name.clone());
                return name;
            }
            attempt = attempt.saturating_add(1);
        }
    }
}

/// `table_columns_suffix` within the bound of names; the longer of the first two is cut (`makeObjectName`).
fn object_name(table: &str, columns: &str, suffix: &str) -> String {
    let overhead = suffix.len().saturating_add(if columns.is_empty() { 1 } else { 2 });
    let room = NAME_BYTES_MAX.saturating_sub(overhead);
    let (mut first, mut second) = (table.len(), columns.len());
    while first.saturating_add(second) > room {
        if first > second {
            first = first.saturating_sub(1);
        } else {
            second = second.saturating_sub(1);
        }
    }
    let cut = |text: &str, mut end: usize| {
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        text.get(..end).unwrap_or_default().to_owned()
    };
    let table = cut(table, first);
    if columns.is_empty() {
        format!("{table}_{suffix}")
    } else {
        format!("{table}_{}_{suffix}", cut(columns, second))
    }
}

/// 42701 for a name that PostgreSQL keeps for a column of its own.
pub(super) fn check_column_name(name: &str) -> Result<()> {
    if system_column::is_postgres(name) {
        let message = format!("column name \"{name}\" conflicts with a system column name");
        return Err(Error::new("42701", message));
    }
    Ok(())
}

/// That no column of a new table has the name yet.
pub(super) fn check_distinct_name(name: &str, others: &[Column]) -> Result<()> {
    if others.iter().any(|other| other.name == name) {
        return Err(Error::new("42701", format!("column \"{name}\" specified more than once")));
    }
    Ok(())
}
