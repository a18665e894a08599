//! Statements that change rows in parts of them: queries of WITH, and RETURNING that asks more than once.

use expr::{Expr, Type};

use super::Binder;
use super::bound::{BoundQuery, QueryColumn};
use super::modify::{Bound, Returning};
use crate::error::{Error, Result};
use crate::parse::ast::Body;
use crate::plan::{Command, Compound, Modify, Node, Plan, Project, RowGuard};

impl Binder<'_> {
    /// A statement that changes rows, with what its WITH does beside.
    pub(super) fn changing(
        &mut self,
        bind: impl FnOnce(&mut Self) -> Result<Bound>,
        command: Command,
    ) -> Result<Bound> {
        let (plan, columns) = bind(self)?;
        Ok((self.with_effects(plan, command), columns))
    }

    /// The plan, with the queries of WITH that change rows.
    pub(super) fn with_effects(&mut self, plan: Plan, command: Command) -> Plan {
        let effects = std::mem::take(&mut self.effects);
        match plan {
            plan if effects.is_empty() && !reads_changed(&plan) && !judges_by_own(&plan) => plan,
            main => {
                Plan::Modify(Box::new(Modify::Compound(Compound { command, main: Box::new(main), effects })))
            }
        }
    }

    /// INSERT, UPDATE or DELETE as a query of WITH.
    pub(super) fn changing_query(&mut self, body: &Body) -> Result<BoundQuery> {
        let (plan, columns) = match body {
            Body::Insert(insert) => self.insert(insert)?,
            Body::Update(update) => self.update(update)?,
            Body::Delete(delete) => self.delete(delete)?,
            _ => return Err(Error::internal("a query of WITH that is none")),
        };
        let node = match plan {
            Plan::Query(node) => *node,
            plan @ Plan::Modify(_) => Node::Modify(Box::new(plan)),
            _ => return Err(Error::internal("a query of WITH that is none")),
        };
        let columns = columns.unwrap_or_default().into_iter().map(|column| QueryColumn {
            origin: (column.table_oid != 0).then_some((column.table_oid, column.column_number)),
            name: column.name,
            at: 0,
        });
        Ok(BoundQuery { node, columns: columns.collect() })
    }

    /// What changes rows, with RETURNING: over `row`, the types of the row that it is of. Where that holds subqueries, they
    /// are asked for the rows that were changed, once those are known.
    pub(super) fn returned(
        &mut self,
        modify: impl FnOnce(Option<Vec<Expr>>) -> Modify,
        row: Vec<Type>,
        returning: Returning,
    ) -> Plan {
        if returning.asides.is_empty() {
            return Plan::Modify(Box::new(modify(returning.expressions)));
        }
        let whole = row.into_iter().enumerate().map(|(index, ty)| Expr::Column { index, ty }).collect();
        let changed = Node::Modify(Box::new(Plan::Modify(Box::new(modify(Some(whole))))));
        let mut expressions = returning.expressions.unwrap_or_default();
        let mut all: Vec<&mut Expr> = expressions.iter_mut().collect();
        let input = Box::new(self.apply(changed, returning.asides, &mut all));
        Plan::Query(Box::new(Node::Project(Project { input, expressions })))
    }
}

/// Whether what judges the rows that a statement writes asks about their table: it is told of the rows that were there before.
fn judges_by_own(plan: &Plan) -> bool {
    let Plan::Modify(modify) = plan else { return false };
    let table = match modify.as_ref() {
        Modify::Insert(insert) => insert.table.oid,
        Modify::Update(update) => update.table.oid,
        Modify::Merge(merge) => merge.table.oid,
        Modify::Delete(_) | Modify::Compound(_) | Modify::CopyFrom(_) | Modify::CopyTo(_) => return false,
    };
    let mut open: Vec<&Node> = modify.guards().into_iter().filter_map(RowGuard::node).collect();
    while let Some(node) = open.pop() {
        if matches!(node, Node::Scan(scan) if scan.table.oid == table) {
            return true;
        }
        open.extend(crate::plan::walk::children(node));
    }
    false
}

/// Whether a query reads what it changes itself.
fn reads_changed(plan: &Plan) -> bool {
    let Plan::Query(node) = plan else { return false };
    let mut open = vec![node.as_ref()];
    while let Some(node) = open.pop() {
        if matches!(node, Node::Modify(_)) {
            return true;
        }
        open.extend(crate::plan::walk::children(node));
    }
    false
}
