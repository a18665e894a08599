//! Expressions.

use expr::casts::CastContext;
use expr::tree::Subscript;
use expr::{Datum, Expr, Type, TypeKind, resolve};

use super::Binder;
use super::coerce::{number, placed};
use super::types::collatable;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind, PatternForm};

impl Binder<'_> {
    /// The expression over the row of the level at hand. Its type may still be open (a literal, NULL, a parameter).
    pub(super) fn expression(&mut self, expr: &ast::Expr) -> Result<Expr> {
        let at = expr.at;
        self.budget.take_part()?;
        match &expr.kind {
            ExprKind::Column(names) => self.column(names),
            ExprKind::TableWildcard(name) => self.row_of(name, at),
            ExprKind::Field { operand, name } => self.field(operand, name),
            ExprKind::AllFields(_) => {
                let message = "row expansion via \"*\" is not supported here";
                Err(Error::new("0A000", message).at(at))
            }
            ExprKind::Parameter(number) => self.parameter(*number, at),
            ExprKind::Number(text) => number(text, at),
            ExprKind::String(text) => Ok(Expr::literal(text.as_str(), TypeKind::Unknown)),
            ExprKind::Bits(text) => {
                let (digits, ty) = (Datum::text(text.as_str()), Type::plain(TypeKind::Bit));
                let value = resolve::coerce_literal(&digits, ty, false, self.settings.context);
                Ok(Expr::Literal { value: value.map_err(placed(at))?, ty })
            }
            ExprKind::Bool(value) => Ok(Expr::literal(*value, TypeKind::Bool)),
            ExprKind::Null => Ok(Expr::null(TypeKind::Unknown)),
            ExprKind::Default => Err(Error::new("42601", "DEFAULT is not allowed in this context").at(at)),
            ExprKind::Cast { operator_at, operand, ty } => self.cast(operand, ty, *operator_at),
            ExprKind::Unary { operator, operand } => {
                let bound = self.expression(operand)?;
                self.operator(&operator.name, None, (bound, operand.at), operator.at)
            }
            ExprKind::Binary { operator, left, right } => self.binary(operator, left, right),
            ExprKind::And(items) => self.conditions(items, "AND").map(Expr::And),
            ExprKind::Or(items) => self.conditions(items, "OR").map(Expr::Or),
            ExprKind::Not(operand) => {
                let bound = self.expression(operand)?;
                Ok(Expr::Not(Box::new(self.condition(bound, "NOT", operand.at)?)))
            }
            ExprKind::IsNull { operand, negated } => self.is_null(operand, *negated),
            ExprKind::IsBool { operand, value, negated } => {
                let bound = self.expression(operand)?;
                let clause = match (value, negated) {
                    (Some(true), false) => "IS TRUE",
                    (Some(true), true) => "IS NOT TRUE",
                    (Some(false), false) => "IS FALSE",
                    (Some(false), true) => "IS NOT FALSE",
                    (None, false) => "IS UNKNOWN",
                    (None, true) => "IS NOT UNKNOWN",
                };
                let operand = Box::new(self.condition(bound, clause, operand.at)?);
                Ok(Expr::IsBool { operand, value: *value, negated: *negated })
            }
            ExprKind::IsDistinct { operator_at, left, right, negated } => {
                self.is_distinct(left, right, *negated, *operator_at)
            }
            ExprKind::InList { operator_at, operand, list, negated } => {
                self.in_list(operand, list, (*operator_at, *negated))
            }
            ExprKind::QuantifiedQuery { left, operator, query, all, negated } => {
                self.may_hold_queries(operator.at)?;
                let any = self.quantified_subquery(left, operator, query, *all)?;
                Ok(if *negated { Expr::Not(Box::new(any)) } else { any })
            }
            ExprKind::QuantifiedArray { left, operator, right, all } => {
                self.quantified_array(left, operator, right, *all)
            }
            ExprKind::Between { operator_at, operand, low, high, symmetric, negated } => match operand.kind {
                ExprKind::Row(_) => {
                    self.row_between(operand, (low, high), (*symmetric, *negated), *operator_at)
                }
                _ => self.between(operand, low, high, (*symmetric, *negated), *operator_at),
            },
            ExprKind::Like { operator_at, operand, pattern, escape, form, negated } => {
                let left = (self.expression(operand)?, operand.at);
                let right = self.pattern(pattern, escape.as_deref(), *form, *operator_at)?;
                let name = match (form, negated) {
                    (PatternForm::Like, false) => "~~",
                    (PatternForm::Like, true) => "!~~",
                    (PatternForm::Insensitive, false) => "~~*",
                    (PatternForm::Insensitive, true) => "!~~*",
                    (PatternForm::Similar, false) => "~",
                    (PatternForm::Similar, true) => "!~",
                };
                self.operator(name, Some(left), (right, pattern.at), *operator_at)
            }
            ExprKind::Case { operand, branches, otherwise } => self.conditionally("CASE", |binder| {
                binder.case(operand.as_deref(), branches, otherwise.as_deref())
            }),
            ExprKind::Function(call) => self.function(call, at),
            ExprKind::Exists(_) | ExprKind::Subquery(_) | ExprKind::ArrayQuery(_) => {
                self.query_as_value(expr)
            }
            ExprKind::RowQuery { query, place, count, compared } => {
                let record = self.row_subquery(query, *count, *compared, at)?;
                self.field_at(record, *place)
            }
            ExprKind::Array(items) => self.array(items, at),
            ExprKind::Subscript { array, subscripts } => self.subscript(array, subscripts),
            ExprKind::Row(items) => self.row_value(items, at),
            ExprKind::Collate { operator_at: collate_at, operand, collation } => {
                let operand = self.expression(operand)?;
                collatable(operand.ty(), *collate_at)?;
                let known = collation.schema.as_ref().is_none_or(|schema| schema.value == "pg_catalog");
                if !known || !matches!(collation.name.value.as_str(), "default" | "C" | "POSIX") {
                    let name = &collation.name.value;
                    let message = format!("collation \"{name}\" for encoding \"UTF8\" does not exist");
                    return Err(Error::new("42704", message).at(*collate_at));
                }
                Ok(self.collated_in_words(operand, &collation.name.value))
            }
        }
    }

    fn query_as_value(&mut self, expr: &ast::Expr) -> Result<Expr> {
        let at = expr.at;
        self.may_hold_queries(at)?;
        match &expr.kind {
            ExprKind::Exists(query) => self.exists(query),
            ExprKind::Subquery(query) => self.scalar_subquery(query, at),
            ExprKind::ArrayQuery(query) => self.array_subquery(query, at),
            _ => Err(Error::internal("no query")),
        }
    }

    pub(super) fn may_hold_queries(&mut self, at: usize) -> Result<()> {
        match self.level()?.clause.without_queries {
            Some(clause) => Err(Error::new("0A000", format!("cannot use subquery in {clause}")).at(at)),
            None => Ok(()),
        }
    }

    /// The expression with a type: what is still open becomes text.
    pub(super) fn settled_expression(&mut self, expr: &ast::Expr) -> Result<Expr> {
        let bound = self.expression(expr)?;
        self.settle(bound, expr.at)
    }

    /// The pattern of LIKE with its escapes, or that of SIMILAR TO as a regular expression.
    fn pattern(
        &mut self,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
        form: PatternForm,
        at: usize,
    ) -> Result<Expr> {
        let function = match (form, escape) {
            (PatternForm::Like | PatternForm::Insensitive, None) => return self.expression(pattern),
            (PatternForm::Like | PatternForm::Insensitive, Some(_)) => "like_escape",
            (PatternForm::Similar, _) => "similar_to_escape",
        };
        let mut args = vec![(self.expression(pattern)?, pattern.at)];
        if let Some(escape) = escape {
            args.push((self.expression(escape)?, escape.at));
        }
        self.call_by_name(function, args, at)
    }

    /// `ARRAY[…]::t[]`: the elements are cast one by one, so that its own type need not be known. If one of them is an
    /// array, they all have to be.
    fn array_as(&mut self, items: &[ast::Expr], element: Type, to: Type) -> Result<Expr> {
        let mut bound = Vec::with_capacity(items.len());
        for item in items {
            bound.push(match &item.kind {
                ExprKind::Array(inner) => self.array_as(inner, element, to)?,
                _ => self.expression_as(item, element, CastContext::Explicit, item.at)?,
            });
        }
        let has_arrays = bound.iter().any(|item| item.ty().kind.element().is_some());
        let wanted = if has_arrays { to } else { element };
        let cast = bound.into_iter().zip(items);
        let cast = cast.map(|(bound, item)| match &item.kind {
            ExprKind::Array(_) => Ok(bound),
            _ => self.coerce(bound, wanted, CastContext::Explicit, item.at),
        });
        let items = cast.collect::<Result<Vec<_>>>()?;
        Ok(Expr::Array { items, ty: to })
    }

    fn cast(&mut self, operand: &ast::Expr, ty: &ast::TypeName, at: usize) -> Result<Expr> {
        if let Some(row) = self.no_row(operand, ty)? {
            return Ok(row);
        }
        let to = self.type_of(ty)?;
        let over = self.beneath(to);
        if let (ExprKind::Array(items), Some(element)) = (&operand.kind, over.element()) {
            let array = self.array_as(items, element, over)?;
            return self.coerce(array, to, CastContext::Explicit, at);
        }
        let bound = self.expression_as(operand, to, CastContext::Explicit, at)?;
        let at = if bound.is_unknown() { operand.at } else { at };
        self.coerce(bound, to, CastContext::Explicit, at)
    }

    fn conditions(&mut self, items: &[ast::Expr], clause: &str) -> Result<Vec<Expr>> {
        let mut bound = Vec::with_capacity(items.len());
        for item in items {
            let condition = self.expression(item)?;
            bound.push(self.condition(condition, clause, item.at)?);
        }
        Ok(bound)
    }

    fn is_null(&mut self, operand: &ast::Expr, negated: bool) -> Result<Expr> {
        if let ExprKind::Row(items) = &operand.kind {
            if self.written.is_some() {
                let row = self.row_value(items, operand.at)?;
                return Ok(Expr::IsNull { operand: Box::new(row), negated });
            }
            // Of a row: whether all of its fields are (not) NULL. Of a field that is a record nobody asks what is in it.
            let mut parts = Vec::with_capacity(items.len());
            for (field, at) in self.row_fields(items)? {
                parts.push(if self.beneath(field.ty()).kind.is_record() {
                    let null = (Expr::null(TypeKind::Unknown), at);
                    self.values_are_distinct((field, at), null, !negated, at)?
                } else {
                    Expr::IsNull { operand: Box::new(self.settle(field, at)?), negated }
                });
            }
            return Ok(Expr::all(parts));
        }
        let bound = self.settled_expression(operand)?;
        Ok(Expr::IsNull { operand: Box::new(bound), negated })
    }

    fn in_list(
        &mut self,
        operand: &ast::Expr,
        list: &[ast::Expr],
        (at, negated): (usize, bool),
    ) -> Result<Expr> {
        if let ExprKind::Row(fields) = &operand.kind {
            return self.row_in_list((fields, operand.at), list, (at, negated));
        }
        let bound = self.expression(operand)?;
        let mut items = vec![(bound, operand.at)];
        for item in list {
            items.push((self.expression(item)?, item.at));
        }
        if self.written.is_some() {
            return self.list_in_words(items, (at, negated));
        }
        self.in_items(items, (at, negated))
    }

    /// `x IN (a, b)` of items that are bound, x first.
    pub(super) fn in_items(
        &mut self,
        items: Vec<(Expr, usize)>,
        (at, negated): (usize, bool),
    ) -> Result<Expr> {
        let kinds: Vec<TypeKind> = items.iter().map(|(item, _)| item.ty().kind).collect();
        let Some(kind) = kind_of_list(&kinds) else {
            return self.in_one_by_one(items, (at, negated));
        };
        // A domain is not always compared as what it is over.
        if let [first, rest @ ..] = kinds.as_slice() {
            let item = if let [only] = rest { *only } else { kind };
            if first.is_domain() || item.is_domain() {
                let name = if negated { "<>" } else { "=" };
                resolve::operator(name, Some(*first), item).map_err(placed(at))?;
            }
        }
        let Ok((_, resolved)) = resolve::operator("=", Some(kind), kind) else {
            return self.in_one_by_one(items, (at, negated));
        };
        let [compared, ..] = resolved.args.as_slice() else {
            return Err(Error::internal("= without operands"));
        };
        let mut coerced = Vec::with_capacity(items.len());
        for (item, at) in items {
            // A literal is one of the common type, which may be compared as another.
            let item = if item.is_unknown() { self.implicit(item, kind, at)? } else { item };
            coerced.push(self.implicit(item, *compared, at)?);
        }
        let mut coerced = coerced.into_iter();
        let Some(operand) = coerced.next() else { return Err(Error::internal("IN without an operand")) };
        Ok(Expr::In {
            operand: Box::new(operand),
            items: coerced.collect(),
            equals: resolved.function,
            negated,
        })
    }

    /// Items without a common type, each compared by an operator of its own.
    fn in_one_by_one(&mut self, items: Vec<(Expr, usize)>, (at, negated): (usize, bool)) -> Result<Expr> {
        let mut items = items.into_iter();
        let Some(operand) = items.next() else { return Err(Error::internal("IN without an operand")) };
        let name = if negated { "<>" } else { "=" };
        let mut parts = Vec::new();
        for item in items {
            self.take_copy(&operand.0)?;
            parts.push(self.operator(name, Some(operand.clone()), item, at)?);
        }
        Ok(self.joined(parts, negated))
    }

    /// What has to hold as a whole, or any of it; in what is printed each stands beside all before it.
    pub(super) fn joined(&self, parts: Vec<Expr>, all: bool) -> Expr {
        let of = |parts| if all { Expr::And(parts) } else { Expr::Or(parts) };
        if self.written.is_none() && parts.len() > 1 {
            return of(parts);
        }
        let whole = parts.into_iter().reduce(|before, part| of(vec![before, part]));
        whole.unwrap_or_else(|| Expr::literal(all, TypeKind::Bool))
    }

    fn between(
        &mut self,
        operand: &ast::Expr,
        low: &ast::Expr,
        high: &ast::Expr,
        (symmetric, negated): (bool, bool),
        at: usize,
    ) -> Result<Expr> {
        let operand = (self.expression(operand)?, operand.at);
        let (from, to) = ((self.expression(low)?, low.at), (self.expression(high)?, high.at));
        if !symmetric {
            return self.range(operand, (from, to), negated, at);
        }
        for (copied, _) in [&operand, &from, &to] {
            self.take_copy(copied)?;
        }
        let one = self.range(operand.clone(), (from.clone(), to.clone()), negated, at)?;
        let other = self.range(operand, (to, from), negated, at)?;
        Ok(if negated { Expr::And(vec![one, other]) } else { Expr::Or(vec![one, other]) })
    }

    /// `x >= low AND x <= high`, or that it is outside.
    fn range(
        &mut self,
        operand: (Expr, usize),
        (low, high): ((Expr, usize), (Expr, usize)),
        negated: bool,
        at: usize,
    ) -> Result<Expr> {
        self.take_copy(&operand.0)?;
        let (first, second) = bounds(negated);
        let lower = self.operator(first, Some(operand.clone()), low, at)?;
        let upper = self.operator(second, Some(operand), high, at)?;
        Ok(if negated { Expr::Or(vec![lower, upper]) } else { Expr::And(vec![lower, upper]) })
    }

    /// Binds what may not be computed at all: no function in it makes rows.
    pub(super) fn conditionally<T>(
        &mut self,
        construct: &'static str,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = self.level()?.conditional.replace(construct);
        let bound = bind(self);
        self.level()?.conditional = before;
        bound
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        branches: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let bound_operand = operand.map(|operand| self.settled_expression(operand)).transpose()?;
        let mut conditions = Vec::with_capacity(branches.len());
        // The result of ELSE comes first, as in PostgreSQL's search for the common type.
        let mut results = vec![match otherwise {
            Some(otherwise) => (self.expression(otherwise)?, otherwise.at),
            None => (Expr::null(TypeKind::Unknown), 0),
        }];
        for (condition, result) in branches {
            let bound = self.expression(condition)?;
            conditions.push(match &bound_operand {
                None => self.condition(bound, "CASE/WHEN", condition.at)?,
                Some(operand) => {
                    let value = Expr::CaseOperand { ty: operand.ty() };
                    let compared =
                        self.operator("=", Some((value, condition.at)), (bound, condition.at), condition.at)?;
                    self.condition(compared, "CASE/WHEN", condition.at)?
                }
            });
            results.push((self.expression(result)?, result.at));
        }
        let (results, ty) = self.unify("CASE", results)?;
        let mut results = results.into_iter();
        let last = results.next();
        Ok(Expr::Case {
            operand: bound_operand.map(Box::new),
            branches: conditions.into_iter().zip(results).collect(),
            otherwise: if otherwise.is_some() { last.map(Box::new) } else { None },
            ty,
        })
    }

    fn array(&mut self, items: &[ast::Expr], at: usize) -> Result<Expr> {
        let mut bound = Vec::with_capacity(items.len());
        for item in items {
            bound.push((self.expression(item)?, item.at));
        }
        if bound.is_empty() {
            return Err(Error::new("42P18", "cannot determine type of empty array")
                .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
                .at(at));
        }
        let (items, element) = self.unify("ARRAY", bound)?;
        if element.kind.element().is_some() {
            return Ok(Expr::Array { items, ty: element });
        }
        let kind = element.kind.array().ok_or_else(|| {
            let message = format!("could not find array type for data type {}", element.kind.display_name());
            Error::new("42704", message).at(at)
        })?;
        Ok(Expr::Array { items, ty: Type { kind, modifier: element.modifier } })
    }

    fn subscript(&mut self, array: &ast::Expr, subscripts: &[ast::Subscript]) -> Result<Expr> {
        let bound = self.expression(array)?;
        let ty = bound.ty();
        if ty.kind == TypeKind::Jsonb {
            return self.json_subscript(bound, subscripts, array.at);
        }
        let over = self.beneath(ty);
        let Some(element) = over.element() else {
            let message = format!(
                "cannot subscript type {} because it does not support subscripting",
                ty.kind.display_name()
            );
            return Err(Error::new("42804", message).at(array.at));
        };
        self.check_dimensions(subscripts, array.at)?;
        let mut is_slice = false;
        let mut places = Vec::with_capacity(subscripts.len());
        for subscript in subscripts {
            places.push(match subscript {
                ast::Subscript::Index(index) => Subscript::Index(self.array_place(index)?),
                ast::Subscript::Slice(lower, upper) => {
                    is_slice = true;
                    let mut place = |bound: &Option<ast::Expr>| {
                        bound.as_ref().map(|bound| self.array_place(bound)).transpose()
                    };
                    Subscript::Slice(place(lower)?, place(upper)?)
                }
            });
        }
        let ty = if is_slice { over } else { element };
        Ok(Expr::Subscript { array: Box::new(bound), subscripts: places, ty })
    }

    /// `document['key'][0]`: each leads to a key of its text, or to the element of its number.
    fn json_subscript(&mut self, document: Expr, subscripts: &[ast::Subscript], at: usize) -> Result<Expr> {
        let mut bound = document;
        let mut written = Vec::new();
        for subscript in subscripts {
            let index = match subscript {
                ast::Subscript::Index(index) => index,
                ast::Subscript::Slice(from, to) => {
                    let at = to.as_ref().or(from.as_ref()).map_or(at, |bound| bound.at);
                    return Err(Error::new("42804", "jsonb subscript does not support slices").at(at));
                }
            };
            let (key, is_number) = self.json_key(index)?;
            if self.written.is_some() {
                // A number is printed as it is looked for, not as the text that it becomes.
                written.push(Subscript::Index(match key {
                    Expr::Cast { operand, .. } if is_number => *operand,
                    key => key,
                }));
                continue;
            }
            let is_name = matches!(&key, Expr::Literal { value: Datum::Text(text), .. }
                if text.trim().parse::<i64>().is_err());
            bound = match is_name {
                true => self.operator("->", Some((bound, at)), (key, index.at), at)?,
                false => {
                    let path = Expr::Array { items: vec![key], ty: TypeKind::TextArray.into() };
                    self.operator("#>", Some((bound, at)), (path, index.at), at)?
                }
            };
        }
        if written.is_empty() {
            return Ok(bound);
        }
        Ok(Expr::Subscript { array: Box::new(bound), subscripts: written, ty: TypeKind::Jsonb.into() })
    }

    /// What stands between the brackets behind a document, as text, and whether it is a number. 42804 if it is neither.
    pub(super) fn json_key(&mut self, index: &ast::Expr) -> Result<(Expr, bool)> {
        let key = self.expression(index)?;
        let kind = key.ty().kind;
        let fits = |to| expr::resolve::can_coerce(kind, to, CastContext::Implicit);
        let is_number = kind != TypeKind::Unknown && fits(TypeKind::Int4);
        if kind != TypeKind::Unknown && is_number == fits(TypeKind::Text) {
            let which = if is_number { "only one type," } else { "either" };
            let message = format!("subscript type {} is not supported", kind.display_name());
            return Err(Error::new("42804", message)
                .hint(format!("jsonb subscript must be coercible to {which} integer or text."))
                .at(index.at));
        }
        let (key, context) = match is_number {
            true => (self.implicit(key, TypeKind::Int4, index.at)?, CastContext::Explicit),
            false => (key, CastContext::Implicit),
        };
        Ok((self.coerce(key, TypeKind::Text.into(), context, index.at)?, is_number))
    }

    /// 54000 if there are more subscripts than an array may have dimensions.
    pub(super) fn check_dimensions(&self, subscripts: &[ast::Subscript], at: usize) -> Result<()> {
        const SUBSCRIPTS_MAX: usize = expr::datum::array::DIMENSIONS_MAX;
        if subscripts.len() > SUBSCRIPTS_MAX {
            let message = format!(
                "number of array dimensions ({}) exceeds the maximum allowed ({SUBSCRIPTS_MAX})",
                subscripts.len()
            );
            return Err(Error::new("54000", message).at(at));
        }
        Ok(())
    }

    pub(super) fn array_place(&mut self, index: &ast::Expr) -> Result<Expr> {
        let position = self.expression(index)?;
        self.coerce(position, TypeKind::Int4.into(), CastContext::Assignment, index.at).map_err(|error| {
            match error.sqlstate {
                // What is written there is no number.
                "22P02" | "22003" => error,
                _ => Error::new("42804", "array subscript must have type integer").at(index.at),
            }
        })
    }
}

/// The type that the items of a list and what is sought there are compared as; `None`: each has to be compared by itself, as
/// records are, whose fields may be of unlike types.
pub(super) fn kind_of_list(kinds: &[TypeKind]) -> Option<TypeKind> {
    resolve::common_type("IN", kinds).ok().filter(|kind| *kind != TypeKind::Record)
}

/// How what is between two others is compared with them, or what is not.
pub(super) fn bounds(negated: bool) -> (&'static str, &'static str) {
    if negated { ("<", ">") } else { (">=", "<=") }
}
