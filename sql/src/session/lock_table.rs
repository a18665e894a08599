//! LOCK TABLE.
//!
//! Rows are locked here, tables never are. The three modes in which statements that read and write rows keep out nobody but who
//! changes the table itself are what those statements do anyway, so there is nothing to take; the others are refused when they
//! are bound.

use std::sync::Arc;

use super::Session;
use crate::catalog::access::{Object, Right, Rights};
use crate::catalog::{CatalogSnapshot, TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse::ast::TableLock;

impl Session {
    pub(super) fn lock_tables(
        &self,
        tables: &[Arc<TableDescriptor>],
        mode: TableLock,
        catalog: &CatalogSnapshot,
    ) -> Result<()> {
        if !self.transaction.in_block() {
            return Err(Error::new("25P01", "LOCK TABLE can only be used in transaction blocks"));
        }
        let access = catalog.access();
        let role = access.role_named(&self.context.current_user);
        let powers =
            role.map(|role| access.powers(role.oid)).ok_or_else(|| Error::internal("nobody acts"))?;
        let change = Rights::of(Right::Update).or(Rights::of(Right::Delete)).or(Rights::of(Right::Truncate));
        let any = match mode {
            TableLock::AccessShare => Rights::of(Right::Select),
            TableLock::RowExclusive => change.or(Rights::of(Right::Insert)),
            _ => change,
        };
        for table in tables {
            if access.granted(&powers, Object::of(table), Some(table.kind), any).is_empty() {
                let kind = if table.kind == TableKind::View { "view" } else { "table" };
                return Err(Error::new("42501", format!("permission denied for {kind} {}", table.name)));
            }
        }
        Ok(())
    }
}
