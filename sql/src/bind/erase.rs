//! ERASE HISTORY: the rows, by their primary key, and the moment.

use super::Binder;
use super::history::check_kind;
use crate::catalog::{Column, TableDescriptor};
use crate::error::{Error, Result};
use crate::parse::ast;
use crate::plan::{EraseHistory, ErasedRows, SessionCommand};

/// What errors call it.
const ERASE: &str = "ERASE HISTORY";

impl Binder<'_> {
    pub(super) fn erase_history(&mut self, erase: &ast::EraseHistory) -> Result<SessionCommand> {
        let name = &erase.table;
        let table = self.table(name)?;
        check_kind(&table).map_err(|error| error.at(name.name.at))?;
        // What is known of each document stands in rows of another table, which would go on to tell it.
        if self.is_of_documents(&table) {
            return Err(Error::unsupported("ERASE HISTORY of a table of DriftQL").at(name.name.at));
        }
        let rows = match &erase.rows {
            None => None,
            Some(rows) => {
                let columns = super::session::primary_columns(&table, name, ERASE)?;
                let from = self.row_key(&table, &columns, &rows.from, rows.at)?;
                let to = match &rows.to {
                    None => from.clone(),
                    Some(to) => self.row_key(&table, &columns, to, rows.at)?,
                };
                Some(ErasedRows { from, to })
            }
        };
        let moment = erase.before.as_ref();
        let before = moment.map(|own| self.without_parameters(|binder| binder.moment(own))).transpose()?;
        let database = self.catalog.database_oid();
        Ok(SessionCommand::EraseHistory(Box::new(EraseHistory { database, table, rows, before })))
    }

    /// A whole primary key.
    fn row_key(
        &mut self,
        table: &TableDescriptor,
        columns: &[Column],
        key: &[ast::Expr],
        at: usize,
    ) -> Result<Vec<expr::Expr>> {
        if key.len() < columns.len() {
            let message = format!("the primary key of \"{}\" has {} columns", table.name, columns.len());
            return Err(Error::new("42601", message).at(at));
        }
        self.key_values(table, columns, key, ERASE)
    }
}
