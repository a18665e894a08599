//! Subqueries within expressions: put aside while the expression is bound, computed by [`Apply`] nodes afterwards.

use std::collections::HashMap;

use expr::casts::CastContext;
use expr::types::Category;
use expr::{Expr, Type, TypeKind, resolve};

use super::Binder;
use super::coerce::placed;
use super::level::{Level, PutAside};
use super::placeholder::{SUBQUERY, SUBQUERY_ROW, Stands};
use crate::error::{Error, Result};
use crate::parse::ast;
use crate::plan::{Apply, ApplyKind, Binding, Node, Project, ProjectSet, Subquery};

impl Binder<'_> {
    /// Binds a subquery of an expression, and tells which slots it reads from the row at hand.
    pub(super) fn inner_query(
        &mut self,
        query: &ast::Query,
    ) -> Result<(super::query::BoundQuery, Vec<Binding>)> {
        let before = std::mem::take(&mut self.level()?.pending);
        let locking = std::mem::take(&mut self.locking);
        let bound = self.barred("a subquery", |binder| binder.query(query));
        self.locking = locking;
        let bindings = std::mem::replace(&mut self.level()?.pending, before);
        Ok((bound?, bindings))
    }

    /// Puts something aside; the column that stands for it.
    pub(super) fn put_aside(&mut self, aside: PutAside, ty: Type) -> Result<Expr> {
        let level = self.level()?;
        let number = level.asides_from.saturating_add(level.subqueries.len());
        let index = SUBQUERY.saturating_add(number);
        level.subqueries.push(aside);
        Ok(Expr::Column { index, ty })
    }

    /// `(SELECT …)`
    pub(super) fn scalar_subquery(&mut self, query: &ast::Query, at: usize) -> Result<Expr> {
        if self.is_shown() {
            return self.query_in_words(query, "(", ")", |binder| binder.scalar_subquery(query, at));
        }
        let (bound, bindings) = self.one_column(query, at)?;
        if let Some(column) = bound.columns.first() {
            self.subquery_names.insert(at, column.name.clone());
        }
        let ty = bound.ty(0);
        let kind = ApplyKind::Scalar(ty);
        self.put_aside(aside(bound.node, bindings, kind), ty)
    }

    /// `ARRAY (SELECT …)`
    pub(super) fn array_subquery(&mut self, query: &ast::Query, at: usize) -> Result<Expr> {
        if self.is_shown() {
            return self.query_in_words(query, "ARRAY(", ")", |binder| binder.array_subquery(query, at));
        }
        let (bound, bindings) = self.one_column(query, at)?;
        let element = bound.ty(0).kind;
        // An array of arrays is one with a dimension more.
        let own = element.element().is_some().then_some(element);
        let array = element.array().or(own).ok_or_else(|| {
            let message = format!("could not find array type for data type {}", element.display_name());
            Error::new("42704", message).at(at)
        })?;
        let kind = ApplyKind::Array(array.into());
        self.put_aside(aside(bound.node, bindings, kind), array.into())
    }

    /// The row that a query answers, of so many columns, once for all that ask for one of them.
    pub(super) fn row_subquery(
        &mut self,
        query: &ast::Query,
        count: usize,
        compared: bool,
        at: usize,
    ) -> Result<Expr> {
        if self.is_shown() {
            return Err(Error::unsupported("to print a row that is compared with a query"));
        }
        if let Some(known) = self.row_queries.get(&at) {
            return Ok(known.clone());
        }
        let (bound, bindings) = self.inner_query(query)?;
        if bound.columns.len() != count {
            let message = match (compared, bound.columns.len() > count) {
                (false, _) => "number of columns does not match number of values",
                (true, true) => "subquery has too many columns",
                (true, false) => "subquery has too few columns",
            };
            return Err(Error::new("42601", message).at(at));
        }
        let bound = self.settle_outputs(bound)?;
        let columns = bound.node.types().into_iter().enumerate();
        let fields = columns.map(|(index, ty)| (format!("f{index}"), Expr::Column { index, ty })).collect();
        let record = self.record(fields);
        let ty = record.ty();
        let node = Node::Project(Project { input: Box::new(bound.node), expressions: vec![record] });
        let row = self.put_aside(aside(node, bindings, ApplyKind::Scalar(ty)), ty)?;
        self.row_queries.insert(at, row.clone());
        Ok(row)
    }

    fn one_column(
        &mut self,
        query: &ast::Query,
        at: usize,
    ) -> Result<(super::query::BoundQuery, Vec<Binding>)> {
        let (bound, bindings) = self.inner_query(query)?;
        if bound.columns.len() != 1 {
            return Err(Error::new("42601", "subquery must return only one column").at(at));
        }
        Ok((self.settle_outputs(bound)?, bindings))
    }

    /// `EXISTS (SELECT …)`
    pub(super) fn exists(&mut self, query: &ast::Query) -> Result<Expr> {
        if self.is_shown() {
            return self.query_in_words(query, "(EXISTS (", "))", |binder| binder.exists(query));
        }
        let (bound, bindings) = self.inner_query(query)?;
        let node = self.settle_outputs(bound)?.node;
        self.put_aside(aside(node, bindings, ApplyKind::Exists), TypeKind::Bool.into())
    }

    /// `x op ANY (SELECT …)`, `x op ALL (SELECT …)`; `(x, y) IN (SELECT …)`.
    pub(super) fn quantified_subquery(
        &mut self,
        left: &ast::Expr,
        operator: &ast::Operator,
        query: &ast::Query,
        all: bool,
    ) -> Result<Expr> {
        if self.is_shown() {
            return self.quantified_in_words(left, operator, query, all);
        }
        let operands = match &left.kind {
            ast::ExprKind::Row(items) => self.row_fields(items)?,
            _ => vec![(self.expression(left)?, left.at)],
        };
        let (mut bound, bindings) = self.inner_query(query)?;
        match bound.columns.len().cmp(&operands.len()) {
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => {
                return Err(Error::new("42601", "subquery has too many columns").at(operator.at));
            }
            std::cmp::Ordering::Less => {
                return Err(Error::new("42601", "subquery has too few columns").at(operator.at));
            }
        }
        // x op ALL (q) is NOT (x negated-op ANY (q)).
        let name = if all { negated(&operator.name, operator.at)?.into() } else { operator.name.clone() };
        let mut columns = Vec::with_capacity(operands.len());
        for (column, (operand, _)) in operands.iter().enumerate() {
            let ty = self.settled_output(&mut bound, column, operand.ty())?;
            let index = SUBQUERY_ROW.saturating_add(column);
            columns.push((Expr::Column { index, ty }, operator.at));
        }
        if all {
            // What is refused is what was written.
            self.row_comparison(operator, operands.clone(), columns.clone())?;
        }
        let test = self.row_comparison(&ast::Operator { name, at: operator.at }, operands, columns)?;
        let aside = aside(bound.node, bindings, ApplyKind::Any { test });
        let any = self.put_aside(aside, TypeKind::Bool.into())?;
        Ok(if all { Expr::Not(Box::new(any)) } else { any })
    }

    /// The type of a subquery's column; an open one becomes that of what it is compared with.
    pub(super) fn settled_output(
        &mut self,
        bound: &mut super::query::BoundQuery,
        column: usize,
        other: Type,
    ) -> Result<Type> {
        let ty = bound.ty(column);
        if ty.kind != TypeKind::Unknown {
            return Ok(ty);
        }
        let kind = if other.kind == TypeKind::Unknown { TypeKind::Text } else { other.kind };
        let at = bound.columns.get(column).map_or(0, |column| column.at);
        self.retype(&mut bound.node, column, kind.into(), CastContext::Implicit, at)?;
        Ok(bound.ty(column))
    }

    /// Adds what was put aside to the rows of `input`, and lets `expressions` name the columns that it ends up in.
    pub(super) fn apply(
        &mut self,
        input: Node,
        asides: Vec<PutAside>,
        expressions: &mut [&mut Expr],
    ) -> Node {
        self.apply_some(input, asides.into_iter().enumerate().collect(), expressions)
    }

    /// The same of some of what was put aside, with their numbers.
    pub(super) fn apply_some(
        &mut self,
        input: Node,
        asides: Vec<(usize, PutAside)>,
        expressions: &mut [&mut Expr],
    ) -> Node {
        let places: HashMap<usize, usize> =
            (input.width()..).zip(&asides).map(|(place, (number, _))| (*number, place)).collect();
        let place = |expr: &mut Expr, row: Option<usize>| {
            expr.rewrite(&mut |part| {
                if let Expr::Column { index, .. } = part {
                    match Stands::of(*index) {
                        Stands::Subquery(number) => {
                            if let Some(place) = places.get(&number) {
                                *index = *place;
                            }
                        }
                        Stands::SubqueryRow(number) => {
                            if let Some(row) = row {
                                *index = row.saturating_add(number);
                            }
                        }
                        Stands::Column(_)
                        | Stands::Aggregate(_)
                        | Stands::Grouping(_)
                        | Stands::Window(_) => {}
                    }
                }
            });
        };
        let mut node = input;
        for (_, mut aside) in asides {
            let width = node.width();
            aside.expressions().into_iter().for_each(|expr| place(expr, Some(width)));
            node = match aside {
                PutAside::Subquery(subquery) => match node {
                    Node::Apply(mut apply) => {
                        apply.subqueries.push(*subquery);
                        Node::Apply(apply)
                    }
                    input => Node::Apply(Apply { input: Box::new(input), subqueries: vec![*subquery] }),
                },
                PutAside::Rows(function) => {
                    let read = function.arguments.iter().flat_map(Expr::columns).max();
                    match node {
                        // Beside those that read no more than it does.
                        Node::ProjectSet(mut set) if read.is_none_or(|read| read < set.input.width()) => {
                            set.functions.push(*function);
                            Node::ProjectSet(set)
                        }
                        input => Node::ProjectSet(ProjectSet {
                            input: Box::new(input),
                            functions: vec![*function],
                            ordinality: false,
                        }),
                    }
                }
                PutAside::Moved(_) => node,
            };
        }
        expressions.iter_mut().for_each(|expr| place(expr, None));
        node
    }

    /// Refuses subqueries in a clause whose expressions nothing can compute them for.
    pub(super) fn without_subqueries(&mut self, level: &Level, clause: &str) -> Result<()> {
        if level.subqueries.is_empty() && level.argument_subqueries.is_empty() {
            return Ok(());
        }
        Err(Error::unsupported(format!("a subquery in {clause}")))
    }

    /// `x op ANY (array)`, `x op ALL (array)`
    pub(super) fn quantified_array(
        &mut self,
        left: &ast::Expr,
        operator: &ast::Operator,
        right: &ast::Expr,
        all: bool,
    ) -> Result<Expr> {
        let operand = self.expression(left)?;
        let mut array = self.expression(right)?;
        if array.is_unknown() {
            let element = if operand.is_unknown() { TypeKind::Text } else { operand.ty().kind };
            // Of what the operator takes beside the operand: of texts beside a varchar.
            let (_, resolved) = resolve::operator(&operator.name, Some(element), TypeKind::Unknown)
                .map_err(placed(operator.at))?;
            let taken = resolved.args.last().copied().filter(|kind| kind.category() != Category::Pseudo);
            let kind = taken.unwrap_or(element).array().or(element.array()).unwrap_or(TypeKind::TextArray);
            array = self.implicit(array, kind, right.at)?;
        }
        let Some(element) = array.ty().kind.element() else {
            let message = "op ANY/ALL (array) requires array on right side";
            return Err(Error::new("42809", message).at(operator.at));
        };
        let (_, resolved) = resolve::operator(&operator.name, Some(operand.ty().kind), element)
            .map_err(placed(operator.at))?;
        if resolved.result != TypeKind::Bool {
            let message = "op ANY/ALL (array) requires operator to yield boolean";
            return Err(Error::new("42809", message).at(operator.at));
        }
        let [left_kind, right_kind] = resolved.args.as_slice() else {
            return Err(Error::internal("an operator without two operands"));
        };
        let operand = self.implicit(operand, *left_kind, left.at)?;
        let is_of_domain = array.ty().kind.is_domain() || element.is_domain() && element != *right_kind;
        if is_of_domain && let Some(kind) = right_kind.array() {
            // As a cast that is said of it: views are bound again from what is printed of them.
            array = self.coerce(array, kind.into(), CastContext::Implicit, right.at)?;
        } else if element != *right_kind
            && !(expr::casts::is_binary_coercible(element, *right_kind)
                && expr::casts::is_relabel(element, *right_kind))
            && let Some(kind) = right_kind.array()
        {
            array = self.coerce(array, kind.into(), CastContext::Explicit, right.at)?;
        }
        Ok(Expr::AnyAll {
            operand: Box::new(operand),
            array: Box::new(array),
            operator: resolved.function,
            all,
        })
    }
}

pub(super) fn aside(node: Node, bindings: Vec<Binding>, kind: ApplyKind) -> PutAside {
    PutAside::Subquery(Box::new(Subquery { node, bindings, kind }))
}

/// The operator that is true where the other is false.
fn negated(name: &str, at: usize) -> Result<&'static str> {
    Ok(match name {
        "=" => "<>",
        "<>" => "=",
        "<" => ">=",
        "<=" => ">",
        ">" => "<=",
        ">=" => "<",
        "~" => "!~",
        "!~" => "~",
        "~~" => "!~~",
        "!~~" => "~~",
        "~~*" => "!~~*",
        "!~~*" => "~~*",
        _ => return Err(Error::unsupported(format!("{name} ALL (a query)")).at(at)),
    })
}
