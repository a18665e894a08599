//! WHERE CURRENT OF: the row of the table that a cursor is on, found by its primary key. The cursor's row is looked at when
//! the statement runs.

use std::sync::Arc;

use expr::{Expr, resolve};

use super::{Binder, placeholder};
use crate::catalog::TableDescriptor;
use crate::error::{Error, Result};
use crate::parse::ast::Name;
use crate::plan::{CurrentOf, Filter, Node};

impl Binder<'_> {
    /// Of all rows of the table the one that the cursor is on.
    pub(super) fn current_row(
        &mut self,
        node: Node,
        table: &Arc<TableDescriptor>,
        cursor: &Name,
    ) -> Result<Node> {
        let Some(key) = table.primary_key() else {
            return Err(
                Error::unsupported("WHERE CURRENT OF with a table without a primary key").at(cursor.at)
            );
        };
        let mut current = CurrentOf {
            cursor: cursor.value.clone(),
            table: table.clone(),
            columns: Vec::with_capacity(key.columns.len()),
            slot: self.slots,
        };
        let mut conditions = Vec::with_capacity(key.columns.len());
        for column in key.plain_columns().unwrap_or_default() {
            let place = table.column_by_id(column);
            let place = place.ok_or_else(|| Error::internal("a key names a column that is not there"))?;
            let Some(described) = table.columns.get(place) else { continue };
            current.columns.push(described.id);
            let value = placeholder::slot(self.slots, described.ty);
            self.slots = self.slots.saturating_add(1);
            let own = Expr::Column { index: place, ty: described.ty };
            conditions.push(resolve::operator_call("=", Some(own), value, self.settings.context)?);
        }
        self.current_of = Some(current);
        let predicate = match conditions.len() {
            1 => conditions.remove(0),
            _ => Expr::And(conditions),
        };
        Ok(Node::Filter(Filter { input: Box::new(node), predicate, barrier: false }))
    }
}
