//! The rights that FOR UPDATE and its like take: UPDATE on each table and view that FROM names, of whoever names it.
//!
//! The rows of a view are locked where its query finds them: that takes the view's owner's right on what the query names.

use super::Binder;
use super::object::WithinView;
use crate::catalog::access::Right;
use crate::catalog::{Oid, TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse;
use crate::parse::ast::{Name, Query, QueryBody, TableExpr};

/// A table whose rows are locked, and what FROM calls it, there or in a query or view that is meant.
pub(super) struct Locked {
    pub(super) called: String,
    pub(super) table: Oid,
}

/// Of what FROM names rows are locked.
#[derive(Debug, Clone, Default)]
pub(super) enum Locking {
    /// Of nothing.
    #[default]
    None,
    /// Of all.
    All,
    /// Of what goes by these names.
    Named(Vec<String>),
}

impl Locking {
    /// Whether rows of anything are locked.
    pub(super) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// The same within an item of FROM that goes by this name.
    pub(super) fn within(&self, called: Option<&str>) -> Self {
        match self {
            Self::Named(names) => match called {
                Some(called) if names.iter().any(|name| name == called) => Self::All,
                _ => Self::None,
            },
            other => other.clone(),
        }
    }

    /// Of a query.
    pub(super) fn of(query: &Query) -> Self {
        let names: Vec<Option<&Name>> = query.locks.iter().map(|lock| lock.of.as_ref()).collect();
        match names.iter().copied().collect::<Option<Vec<_>>>() {
            Some(names) if names.is_empty() => Self::None,
            Some(names) => Self::Named(names.into_iter().map(|name| name.value.clone()).collect()),
            None => Self::All,
        }
    }
}

impl Binder<'_> {
    /// Of items of FROM that have been bound; `of` is the name of the one that is locked, if not all are. Tells whose
    /// rows are locked then.
    pub(super) fn need_locks(&mut self, items: &[TableExpr], of: Option<&str>) -> Result<Vec<Locked>> {
        let mut tables = Vec::new();
        self.need_item_locks(items, of, &[], &mut tables)?;
        Ok(tables)
    }

    /// `hidden` are the names of queries of WITH within what FROM names: those have no rows of their own to lock.
    fn need_item_locks(
        &mut self,
        items: &[TableExpr],
        of: Option<&str>,
        hidden: &[&str],
        tables: &mut Vec<Locked>,
    ) -> Result<()> {
        for item in items {
            match item {
                TableExpr::Join { left, right, .. } => {
                    self.need_item_locks(std::slice::from_ref(left), of, hidden, tables)?;
                    self.need_item_locks(std::slice::from_ref(right), of, hidden, tables)?;
                }
                TableExpr::Subquery { query, alias, .. } => {
                    let called = alias.as_ref().map(|alias| alias.name.value.as_str());
                    if of.is_none() || of == called {
                        self.need_query_locks(query, hidden, tables)?;
                    }
                }
                TableExpr::Table { name, alias, .. } => {
                    let called = alias.as_ref().map_or(&name.name.value, |alias| &alias.name.value);
                    let is_common = hidden.contains(&name.name.value.as_str())
                        || self.common_tables.place(&name.name.value).is_some();
                    if name.schema.is_none() && is_common || of.is_some_and(|of| of != called) {
                        continue;
                    }
                    let table = self.table(name)?;
                    match table.kind {
                        TableKind::Base => {
                            self.needs.add(&table, Right::Update);
                            tables.push(Locked { called: called.clone(), table: table.oid });
                        }
                        TableKind::View => {
                            self.needs.add(&table, Right::Update);
                            self.need_view_locks(&table, tables)?;
                        }
                        TableKind::Materialised | TableKind::Sequence => {
                            let (kind, name) = (table.kind.word(), &table.name);
                            let message = format!("cannot lock rows in {kind} \"{name}\"");
                            return Err(Error::new("42809", message));
                        }
                        TableKind::Virtual => {}
                    }
                }
                TableExpr::Function { .. } => {}
            }
        }
        Ok(())
    }

    /// What an item of FROM is that goes by a name and has no rows of its own to lock.
    pub(super) fn without_rows(&self, items: &[TableExpr], called: &str) -> Option<&'static str> {
        items.iter().find_map(|item| match item {
            TableExpr::Join { left, right, .. } => self
                .without_rows(std::slice::from_ref(left), called)
                .or_else(|| self.without_rows(std::slice::from_ref(right), called)),
            TableExpr::Function { alias: Some(alias), .. } if alias.name.value == called => {
                Some("a function")
            }
            TableExpr::Table { name, alias, .. }
                if name.schema.is_none() && self.common_tables.place(&name.name.value).is_some() =>
            {
                let own = alias.as_ref().map_or(&name.name.value, |alias| &alias.name.value);
                (own == called).then_some("a WITH query")
            }
            TableExpr::Function { .. } | TableExpr::Table { .. } | TableExpr::Subquery { .. } => None,
        })
    }

    /// Of a query whose rows are locked.
    fn need_query_locks(&mut self, query: &Query, hidden: &[&str], tables: &mut Vec<Locked>) -> Result<()> {
        let with = query.with.iter().map(|common| common.name.value.as_str());
        let hidden: Vec<&str> = hidden.iter().copied().chain(with).collect();
        self.need_body_locks(&query.body, &hidden, tables)
    }

    fn need_body_locks(&mut self, body: &QueryBody, hidden: &[&str], tables: &mut Vec<Locked>) -> Result<()> {
        match body {
            QueryBody::Select(select) => self.need_item_locks(&select.from, None, hidden, tables),
            QueryBody::Query(query) => self.need_query_locks(query, hidden, tables),
            // Those are refused below FOR UPDATE, or lock what they change.
            QueryBody::Values(_) | QueryBody::Modify(_) => Ok(()),
            QueryBody::SetOperation { first, rest } => {
                self.need_body_locks(first, hidden, tables)?;
                rest.iter().try_for_each(|branch| self.need_body_locks(&branch.body, hidden, tables))
            }
        }
    }

    /// Of what a view's query names.
    fn need_view_locks(&mut self, relation: &TableDescriptor, tables: &mut Vec<Locked>) -> Result<()> {
        let (object, acting) = self.viewing(relation)?;
        let Some(query) = object.view().map(|view| parse::parse_query(&view.query)).transpose()? else {
            return Ok(());
        };
        let outer = self.within_view.replace(WithinView::Known(object));
        let common = std::mem::take(&mut self.common_tables);
        let before = self.needs.act(acting);
        let done = self.need_query_locks(&query, &[], tables);
        self.needs.act(before);
        self.common_tables = common;
        self.within_view = outer;
        done
    }
}
