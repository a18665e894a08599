//! Materialised views: CREATE, REFRESH, and whether one can be read.

use std::sync::Arc;

use expr::{Expr, TypeKind};

use super::{Bound, WithinView, unplaced};
use crate::bind::Binder;
use crate::bind::query::BoundQuery;
use crate::catalog::object::{ObjectBody, ObjectDescriptor, ViewColumn, ViewDescriptor, ViewOptions};
use crate::catalog::{IndexDescriptor, Materialised, TableDescriptor, TableKind, access};
use crate::error::{Error, Result};
use crate::parse;
use crate::parse::ast::{self, QualifiedName};
use crate::plan::{Acting, Ddl, Node, Plan, Project, Refresh};

impl Binder<'_> {
    /// The query of CREATE TABLE AS or CREATE MATERIALIZED VIEW; of the latter also what is kept of it.
    pub(in crate::bind) fn query_of_table(
        &mut self,
        create: &ast::CreateTableAs,
    ) -> Result<(BoundQuery, Option<Materialised>)> {
        self.only_keeps = !create.with_data;
        let Some(text) = &create.view else {
            let bound = self.query(&create.query)?;
            return Ok((self.settle_outputs(bound)?, None));
        };
        self.types_named.borrow_mut().clear();
        let bound = self.new_view_rows(&create.query)?;
        let mut relations = std::mem::take(&mut self.viewed);
        for relation in &mut relations {
            relation.read = self.needs.columns_read(relation.oid);
        }
        for table in relations.iter().filter_map(|relation| self.catalog.table_by_oid(relation.oid)) {
            if table.is_temporary() {
                return Err(Error::new("0A000", "materialized views must not use temporary tables or views"));
            }
            if create.with_data {
                unpopulated(table)?;
            }
        }
        let types = bound.node.types();
        let columns = bound.columns.iter().zip(types);
        let columns =
            columns.map(|(column, ty)| ViewColumn { name: column.name.clone(), ty, default: None }).collect();
        let types = std::mem::take(&mut *self.types_named.borrow_mut()).into_iter().collect();
        let query = self.kept_query(text);
        let view = ViewDescriptor {
            columns,
            pinned: parse::relations_in(&query),
            query,
            relations,
            grouped_by: std::mem::take(&mut self.grouped_by),
            options: ViewOptions::default(),
            types,
        };
        Ok((bound, Some(Materialised { view, is_populated: create.with_data })))
    }

    /// 55000 if a materialised view is to be read that has no rows yet. What is only named in a new view is not read, however
    /// deep it stands in others; nor what a query names that is to be written.
    pub(in crate::bind) fn check_populated(&self, table: &TableDescriptor) -> Result<()> {
        match &self.within_view {
            Some(WithinView::New(_)) => Ok(()),
            _ if self.only_keeps || self.edits.is_some() => Ok(()),
            _ => unpopulated(table),
        }
    }

    /// REFRESH MATERIALIZED VIEW.
    pub(super) fn refresh(
        &mut self,
        name: &QualifiedName,
        concurrently: bool,
        with_data: bool,
    ) -> Result<Bound> {
        let table = self.table(name).map_err(unplaced)?;
        let Some(materialised) = &table.materialised else {
            return Err(Error::new("0A000", format!("\"{}\" is not a materialized view", table.name)));
        };
        if concurrently && !materialised.is_populated {
            let message = "CONCURRENTLY cannot be used when the materialized view is not populated";
            return Err(Error::new("0A000", message));
        }
        if concurrently && !with_data {
            let message = "CONCURRENTLY and WITH NO DATA options cannot be used together";
            return Err(Error::new("42601", message));
        }
        let is_key = |index: &IndexDescriptor| index.unique && index.is_plain() && !index.name.is_empty();
        if concurrently && !table.indexes.iter().any(is_key) {
            let quoted = expr::functions::quote::identifier;
            let shown = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
            let message = format!("cannot refresh materialized view \"{shown}\" concurrently");
            return Err(Error::new("55000", message).hint(
                "Create a unique index with no WHERE clause on one or more columns of the materialized view.",
            ));
        }
        let source = match with_data {
            false => None,
            true => Some(Box::new(self.rows_of(&table, &materialised.view)?)),
        };
        Ok((Plan::Ddl(Box::new(Ddl::Refresh(Refresh { table, source }))), None))
    }

    /// The rows that a materialised view would have now, a NULL in place of the hidden row id.
    fn rows_of(&mut self, table: &Arc<TableDescriptor>, view: &ViewDescriptor) -> Result<Node> {
        let query = parse::parse_query(&view.query)?;
        let object = Arc::new(ObjectDescriptor {
            oid: table.oid,
            schema: table.schema.clone(),
            name: table.name.clone(),
            body: ObjectBody::View(view.clone()),
        });
        let owner = self.catalog.access().object(access::Object::of(table)).owner;
        let acting = Acting { owner: Some(owner), within_view: true };
        // Whoever refreshes it: what its functions do is its owner's doing, too.
        let runner = self.runs_as.replace(owner);
        let bound = self.apart(WithinView::Known(object), acting, &query);
        self.runs_as = runner;
        let bound = bound?;
        let types = bound.node.types();
        let mut expressions: Vec<Expr> =
            types.iter().enumerate().map(|(index, ty)| Expr::Column { index, ty: *ty }).collect();
        if table.row_id().is_some() {
            expressions.push(Expr::null(TypeKind::Int8));
        }
        Ok(Node::Project(Project { input: Box::new(bound.node), expressions }))
    }
}

fn unpopulated(table: &TableDescriptor) -> Result<()> {
    debug_assert_eq!(table.materialised.is_some(), table.kind == TableKind::Materialised);
    match &table.materialised {
        Some(materialised) if !materialised.is_populated => {
            let message = format!("materialized view \"{}\" has not been populated", table.name);
            Err(Error::new("55000", message).hint("Use the REFRESH MATERIALIZED VIEW command."))
        }
        _ => Ok(()),
    }
}
