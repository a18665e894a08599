//! The unique indexes that ON CONFLICT means by columns, expressions and a predicate.

use expr::Expr;

use super::Binder;
use super::destination::Destination;
use super::level::Clause;
use crate::catalog::access::Right;
use crate::catalog::{IndexDescriptor, IndexId, IndexPart, IndexState, TableDescriptor};
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind};
use crate::plan::implied::implied;
use crate::plan::same::same;

/// What they stand in.
const TARGET: Clause = Clause::plain("ON CONFLICT");

/// What ON CONFLICT names, over a row of its table.
struct Named {
    places: Vec<usize>,
    expressions: Vec<Expr>,
    filter: Option<Expr>,
}

impl Binder<'_> {
    /// The unique indexes over exactly these columns and expressions, whatever their order, that have all rows of which the
    /// filter is true.
    pub(super) fn arbiters_of_key(
        &mut self,
        destination: &Destination,
        parts: &[ast::IndexColumn],
        filter: Option<&ast::Expr>,
        at: usize,
    ) -> Result<Vec<IndexId>> {
        let mut named = Named { places: Vec::new(), expressions: Vec::new(), filter: None };
        // What is named here is read.
        let scope = destination.scope(None)?;
        for part in parts {
            if part.is_ordered {
                let what = if part.nulls_first.is_some() { "NULLS FIRST/LAST" } else { "ASC/DESC" };
                let message = format!("{what} is not allowed in ON CONFLICT clause");
                return Err(Error::new("42P10", message).at(at));
            }
            if part.class.is_some() {
                return Err(Error::unsupported("an operator class in ON CONFLICT").at(at));
            }
            match &part.part {
                ast::IndexPart::Column(name) => {
                    // As PostgreSQL has it, where the list of columns begins.
                    let name = &ast::Name { value: name.value.clone(), at };
                    let written = ast::Expr { kind: ExprKind::Column(vec![name.clone()]), at: name.at };
                    let names = std::slice::from_ref(name);
                    let bound =
                        self.over_scope(scope.clone(), TARGET, &written, |binder| binder.column(names));
                    match bound?.0 {
                        Expr::Column { index, .. } => named.places.push(index),
                        // A view computes it.
                        computed => named.expressions.push(computed),
                    }
                }
                ast::IndexPart::Expression(written) => {
                    let bound = self.over_scope(scope.clone(), TARGET, &written.expr, |binder| {
                        binder.expression(&written.expr)
                    });
                    named.expressions.push(self.settle(bound?.0, written.expr.at)?);
                }
            }
        }
        if let Some(filter) = filter {
            let bound = self.over_scope(scope, TARGET, filter, |binder| binder.expression(filter));
            named.filter = Some(self.condition(bound?.0, "WHERE", filter.at)?);
        }
        self.needs.add(&destination.named, Right::Select);
        let table = destination.table.as_ref();
        let meant = table.indexes.iter().filter(|index| named.means(table, index));
        let arbiters: Vec<IndexId> = meant.map(|index| index.id).collect();
        if arbiters.is_empty() {
            let message = "there is no unique or exclusion constraint matching the ON CONFLICT specification";
            return Err(Error::new("42P10", message));
        }
        Ok(arbiters)
    }
}

impl Named {
    fn means(&self, table: &TableDescriptor, index: &IndexDescriptor) -> bool {
        if !index.unique || index.state != IndexState::Public {
            return false;
        }
        let mut plain = Vec::new();
        let mut expressions = Vec::new();
        for key in &index.columns {
            match &key.part {
                IndexPart::Column(id) => plain.extend(table.column_by_id(*id)),
                IndexPart::Expression(expression) => match &expression.bound {
                    Some(bound) => expressions.push(bound.as_ref()),
                    None => return false,
                },
            }
        }
        let has_all = |own: &&Expr| self.expressions.iter().any(|named| same(named, own));
        let is_there = |named: &Expr| expressions.iter().any(|own| same(named, own));
        let fits = self.places.iter().all(|place| plain.contains(place))
            && plain.iter().all(|place| self.places.contains(place))
            && expressions.iter().all(has_all)
            && self.expressions.iter().all(is_there);
        let conditions: Vec<&Expr> = self.filter.iter().collect();
        fits && match &index.options.predicate {
            None => true,
            Some(predicate) => predicate.bound.as_ref().is_some_and(|bound| implied(&conditions, bound)),
        }
    }
}
