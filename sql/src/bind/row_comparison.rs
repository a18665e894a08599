//! Rows that are compared field by field, as PostgreSQL's parser takes them apart (`make_row_comparison_op`,
//! `make_row_distinct_op`): those that are written as such on both sides. What stands in a field is one value, be it a row as
//! well; everything else is a record, which is compared as a whole while the statement runs.

use std::sync::Arc;

use expr::types::{Category, Order};
use expr::volatility::Volatility;
use expr::{Expr, TypeKind};

use super::Binder;
use super::expression::bounds;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind};

/// How many fields rows may have of which one is asked to come before the other: each adds a level.
const ORDERED_FIELDS_MAX: usize = 100;

/// A field of a row, and where it stands.
type Field = (Expr, usize);

/// The fields of a row.
type Fields = Vec<Field>;

impl Binder<'_> {
    pub(super) fn binary(
        &mut self,
        operator: &ast::Operator,
        left: &ast::Expr,
        right: &ast::Expr,
    ) -> Result<Expr> {
        if let (ExprKind::Row(lefts), ExprKind::Row(rights)) = (&left.kind, &right.kind) {
            let (lefts, rights) = (self.row_fields(lefts)?, self.row_fields(rights)?);
            return self.row_comparison(operator, lefts, rights);
        }
        if let (ExprKind::Row(lefts), ExprKind::Subquery(query)) = (&left.kind, &right.kind) {
            return self.row_query_comparison(operator, lefts, query);
        }
        let bound_left = self.expression(left)?;
        let bound_right = self.expression(right)?;
        self.operator(&operator.name, Some((bound_left, left.at)), (bound_right, right.at), operator.at)
    }

    /// `(a, b) = (SELECT c, d …)`
    fn row_query_comparison(
        &mut self,
        operator: &ast::Operator,
        lefts: &[ast::Expr],
        query: &ast::Query,
    ) -> Result<Expr> {
        self.may_hold_queries(operator.at)?;
        let lefts = self.row_fields(lefts)?;
        let (query, count) = (Arc::new(query.clone()), lefts.len());
        let field = |place| ast::Expr {
            kind: ExprKind::RowQuery { query: query.clone(), place, count, compared: true },
            at: operator.at,
        };
        let rights: Vec<ast::Expr> = (0..count).map(field).collect();
        // The texts of views have places of their own, which may be the same.
        let outside = self.row_queries.remove(&operator.at);
        let rights = self.row_fields(&rights);
        self.row_queries.remove(&operator.at);
        self.row_queries.extend(outside.map(|record| (operator.at, record)));
        self.row_comparison(operator, lefts, rights?)
    }

    /// `(a, b) = (c, d)`
    pub(super) fn row_comparison(
        &mut self,
        operator: &ast::Operator,
        lefts: Fields,
        rights: Fields,
    ) -> Result<Expr> {
        if lefts.len() != rights.len() {
            return Err(Error::new("42601", "unequal number of entries in row expressions").at(operator.at));
        }
        if lefts.is_empty() {
            return Err(Error::new("0A000", "cannot compare rows of zero length").at(operator.at));
        }
        if lefts.len() > 1 && matches!(operator.name.as_ref(), "<" | "<=" | ">" | ">=") {
            return self.row_order(operator, lefts, rights);
        }
        let mut parts = Vec::with_capacity(lefts.len());
        for (left, right) in lefts.into_iter().zip(rights) {
            let part = self.operator(&operator.name, Some(left), right, operator.at)?;
            let kind = part.ty().kind;
            if kind != TypeKind::Bool {
                let message = format!(
                    "row comparison operator must yield type boolean, not type {}",
                    kind.display_name()
                );
                return Err(Error::new("42804", message).at(operator.at));
            }
            parts.push(part);
        }
        let are_ordered = parts.iter().all(is_of_ordered);
        match operator.name.as_ref() {
            "=" if are_ordered => Ok(Expr::all(parts)),
            _ if parts.len() == 1 => Ok(self.joined(parts, true)),
            "<>" if are_ordered => Ok(Expr::Or(parts)),
            name => {
                let message = format!("could not determine interpretation of row comparison operator {name}");
                Err(Error::new("0A000", message)
                    .hint("Row comparison operators must be associated with btree operator families.")
                    .at(operator.at))
            }
        }
    }

    /// `(a, b) < (c, d)`: `a < c OR a = c AND b < d`.
    fn row_order(&mut self, operator: &ast::Operator, lefts: Fields, rights: Fields) -> Result<Expr> {
        if lefts.len() > ORDERED_FIELDS_MAX {
            let what = format!("an order of rows of more than {ORDERED_FIELDS_MAX} fields");
            return Err(Error::unsupported(what).at(operator.at));
        }
        if self.written.is_some() {
            return self.row_order_in_words(operator, lefts, rights);
        }
        let strict = operator.name.get(..1).unwrap_or_default();
        let last = lefts.len().saturating_sub(1);
        let mut fields = lefts.iter().chain(&rights);
        let are_once = fields.any(|(field, _)| field.volatility() == Volatility::Volatile);
        let mut tests = Vec::with_capacity(lefts.len());
        for (place, (left, right)) in lefts.into_iter().zip(rights).enumerate() {
            if place == last {
                tests.push((None, self.operator(&operator.name, Some(left), right, operator.at)?, None));
                continue;
            }
            // What is refused is what was written.
            if operator.name.len() > 1 {
                self.operator(&operator.name, Some(left.clone()), right.clone(), operator.at)?;
            }
            let (pair, left, right) = match are_once {
                true => self.paired(strict, left, right, operator.at)?,
                false => (None, left, right),
            };
            self.take_copy(&left.0)?;
            self.take_copy(&right.0)?;
            let before = self.operator(strict, Some(left.clone()), right.clone(), operator.at)?;
            tests.push((pair, before, Some(self.operator("=", Some(left), right, operator.at)?)));
        }
        let mut tests = tests.into_iter().rev();
        let Some((_, mut whole, _)) = tests.next() else {
            return Err(Error::internal("rows without fields"));
        };
        for (pair, before, equal) in tests {
            let equal = equal.ok_or_else(|| Error::internal("a field whose equality nobody asks for"))?;
            whole = match pair {
                None => Expr::Or(vec![before, Expr::And(vec![equal, whole])]),
                Some(pair) => order_of_pair(pair, before, equal, whole),
            };
        }
        Ok(whole)
    }

    /// The record of two fields that are computed once and compared more than once, and what they are in the conditions of a
    /// CASE over it.
    fn paired(
        &mut self,
        name: &str,
        left: Field,
        right: Field,
        at: usize,
    ) -> Result<(Option<Expr>, Field, Field)> {
        let (left_at, right_at) = (left.1, right.1);
        let Expr::Call { args, .. } = self.operator(name, Some(left), right, at)? else {
            return Err(Error::internal("an operator is no call"));
        };
        let fields = (1..).zip(args).map(|(number, side): (usize, Expr)| (format!("f{number}"), side));
        let pair = self.record(fields.collect());
        let both = Expr::CaseOperand { ty: pair.ty() };
        let (one, other) = (self.field_at(both.clone(), 0)?, self.field_at(both, 1)?);
        Ok((Some(pair), (one, left_at), (other, right_at)))
    }

    /// `(a, b) BETWEEN (c, d) AND (e, f)`, or that it is outside: two comparisons, each as if it were written.
    pub(super) fn row_between(
        &mut self,
        operand: &ast::Expr,
        (low, high): (&ast::Expr, &ast::Expr),
        (symmetric, negated): (bool, bool),
        at: usize,
    ) -> Result<Expr> {
        let (first, second) = bounds(negated);
        let one = |binder: &mut Self, low: &ast::Expr, high: &ast::Expr| -> Result<Expr> {
            let lower = binder.binary(&ast::Operator { name: first.into(), at }, operand, low)?;
            let upper = binder.binary(&ast::Operator { name: second.into(), at }, operand, high)?;
            Ok(binder.joined(vec![lower, upper], !negated))
        };
        let inside = one(self, low, high)?;
        if !symmetric {
            return Ok(inside);
        }
        let turned = one(self, high, low)?;
        Ok(self.joined(vec![inside, turned], negated))
    }

    /// `(a, b) IN ((c, d), r)`, the fields of the row and where it stands first.
    pub(super) fn row_in_list(
        &mut self,
        (fields, row_at): (&[ast::Expr], usize),
        list: &[ast::Expr],
        (at, negated): (usize, bool),
    ) -> Result<Expr> {
        let name = if negated { "<>" } else { "=" };
        let operator = ast::Operator { name: name.into(), at };
        let lefts = self.row_fields(fields)?;
        let mut parts = Vec::with_capacity(list.len());
        for item in list {
            for (field, _) in &lefts {
                self.take_copy(field)?;
            }
            parts.push(match &item.kind {
                ExprKind::Row(rights) => {
                    let rights = self.row_fields(rights)?;
                    self.row_comparison(&operator, lefts.clone(), rights)?
                }
                _ => {
                    let row = self.row_of_fields(lefts.clone(), row_at)?;
                    let other = (self.expression(item)?, item.at);
                    self.operator(name, Some((row, row_at)), other, at)?
                }
            });
        }
        Ok(self.joined(parts, negated))
    }

    /// `x IS DISTINCT FROM y`
    pub(super) fn is_distinct(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        negated: bool,
        at: usize,
    ) -> Result<Expr> {
        if let (ExprKind::Row(lefts), ExprKind::Row(rights)) = (&left.kind, &right.kind) {
            let (lefts, rights) = (self.row_fields(lefts)?, self.row_fields(rights)?);
            return self.rows_are_distinct(lefts, rights, negated, at);
        }
        let (one, other) = ((self.expression(left)?, left.at), (self.expression(right)?, right.at));
        // Whether something is NULL asks for no equality; of a row it would ask for its fields.
        let tested = match (&left.kind, &right.kind) {
            (_, ExprKind::Null) => Some(&one),
            (ExprKind::Null, _) => Some(&other),
            _ => None,
        };
        match tested.filter(|(tested, _)| !self.beneath(tested.ty()).kind.is_record()) {
            Some((tested, tested_at)) => {
                let operand = self.settle(tested.clone(), *tested_at)?;
                Ok(Expr::IsNull { operand: Box::new(operand), negated: !negated })
            }
            None => self.values_are_distinct(one, other, negated, at),
        }
    }

    fn rows_are_distinct(&mut self, lefts: Fields, rights: Fields, negated: bool, at: usize) -> Result<Expr> {
        if lefts.len() != rights.len() {
            return Err(Error::new("42601", "unequal number of entries in row expressions").at(at));
        }
        let mut parts = Vec::with_capacity(lefts.len());
        for (left, right) in lefts.into_iter().zip(rights) {
            parts.push(self.values_are_distinct(left, right, false, at)?);
        }
        let any = self.joined(parts, false);
        Ok(if negated { Expr::Not(Box::new(any)) } else { any })
    }

    pub(super) fn values_are_distinct(
        &mut self,
        left: (Expr, usize),
        right: (Expr, usize),
        negated: bool,
        at: usize,
    ) -> Result<Expr> {
        let call = self.operator("=", Some(left), right, at)?;
        let Expr::Call { function, args, .. } = call else { return Err(Error::internal("= is no call")) };
        let mut args = args.into_iter();
        let (Some(left), Some(right)) = (args.next(), args.next()) else {
            return Err(Error::internal("= without two operands"));
        };
        Ok(Expr::IsDistinct { left: Box::new(left), right: Box::new(right), equals: function, negated })
    }
}

/// Whether a comparison is of values that are in an order: of others PostgreSQL knows no family of operators that says what it
/// means of rows.
fn is_of_ordered(part: &Expr) -> bool {
    let Expr::Call { args, .. } = part else { return true };
    let has_order = |kind: TypeKind| kind.order() != Order::None || kind.category() == Category::Pseudo;
    args.iter().all(|arg| has_order(arg.ty().kind.base()))
}

/// Whether the first of a pair comes before the second, or what is left to compare does if they are equal; NULL if either is.
fn order_of_pair(pair: Expr, before: Expr, equal: Expr, rest: Expr) -> Expr {
    let unknown = Expr::IsNull { operand: Box::new(before.clone()), negated: false };
    Expr::Case {
        operand: Some(Box::new(pair)),
        branches: vec![
            (before, Expr::literal(true, TypeKind::Bool)),
            (equal, rest),
            (unknown, Expr::null(TypeKind::Bool)),
        ],
        otherwise: Some(Box::new(Expr::literal(false, TypeKind::Bool))),
        ty: TypeKind::Bool.into(),
    }
}
