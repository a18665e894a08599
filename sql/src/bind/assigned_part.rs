//! `SET array[1] = …`, `SET document['key'] = …`, `SET composite.field = …`, and any of these within each other: the column's value
//! with a part of it replaced.

use expr::casts::CastContext;
use expr::functions::subscript_assign;
use expr::tree::Subscript as Place;
use expr::volatility::Volatility;
use expr::{Datum, Expr, Type, TypeKind, resolve};

use super::Binder;
use super::coerce::placed;
use crate::catalog::Column;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind, Name, TargetPart};

/// What a part is replaced of.
#[derive(Clone, Copy)]
struct Held<'a> {
    /// What messages call it: a column, or a field.
    name: &'a str,
    ty: Type,
    /// Where the target begins.
    at: usize,
}

impl Binder<'_> {
    /// The value of a column that was `before`, with a part of it replaced.
    pub(super) fn assigned_part(
        &mut self,
        column: &Column,
        before: Expr,
        target: &ast::AssignmentTarget,
        value: &ast::Expr,
    ) -> Result<Expr> {
        let at = target.column.at;
        if matches!(value.kind, ExprKind::Default) {
            let part = match target.parts.first() {
                Some(TargetPart::Subscripts(_)) => "an array element",
                _ => "a subfield",
            };
            return Err(Error::new("0A000", format!("cannot set {part} to DEFAULT")).at(at));
        }
        self.replaced(Held { name: &column.name, ty: column.ty, at }, before, &target.parts, value)
    }

    /// The value of what was `before`, with that replaced which the parts lead to.
    fn replaced(
        &mut self,
        held: Held<'_>,
        before: Expr,
        parts: &[TargetPart],
        value: &ast::Expr,
    ) -> Result<Expr> {
        match parts {
            [] => Err(Error::internal("a part that is all")),
            [TargetPart::Field(field), rest @ ..] => self.field_replaced(held, before, (field, rest), value),
            [TargetPart::Subscripts(subscripts), rest @ ..] => {
                let ty = self.beneath(held.ty);
                let whole = match ty.element() {
                    _ if ty.kind == TypeKind::Jsonb => {
                        if !rest.is_empty() {
                            let what = "an assignment to a field of an element of a document";
                            return Err(Error::unsupported(what).at(held.at));
                        }
                        self.document_part(before, held, subscripts, value)?
                    }
                    Some(element) => {
                        self.array_part(before, (held, ty, element), (subscripts, rest), value)?
                    }
                    None => {
                        let name = ty.kind.display_name();
                        let message =
                            format!("cannot subscript type {name} because it does not support subscripting");
                        return Err(Error::new("42804", message).at(held.at));
                    }
                };
                self.assign(whole, held.ty, held.name, value.at)
            }
        }
    }

    /// The same where the first part is a field. Of a NULL all others are NULL from then on.
    fn field_replaced(
        &mut self,
        held: Held<'_>,
        before: Expr,
        (field, rest): (&Name, &[TargetPart]),
        value: &ast::Expr,
    ) -> Result<Expr> {
        let place = self.field_target((held.name, held.ty), field, held.at)?;
        let over = self.beneath(held.ty);
        let attributes = self.shape_of(over).unwrap_or_default();
        // What was replaced before is one of a domain only when all is.
        let mut before = before;
        while let Expr::Checked { operand, .. } = before {
            before = *operand;
        }
        let mut fields = match before {
            // Others were replaced before.
            Expr::Row { fields, .. } => fields,
            before => {
                let mut fields = Vec::with_capacity(attributes.len());
                for place in 0..attributes.len() {
                    self.budget.take_copy(&before)?;
                    fields.push(self.field_at(before.clone(), place)?);
                }
                fields
            }
        };
        let (Some(own), Some(ty)) = (fields.get_mut(place), attributes.types().get(place).copied()) else {
            return Err(Error::internal("a field that is not there"));
        };
        *own = match rest {
            [] => self.fitting_field(value, ty, field, held.at)?,
            rest => {
                let was = std::mem::replace(own, Expr::null(ty));
                self.replaced(Held { name: &field.value, ty, ..held }, was, rest, value)?
            }
        };
        let whole = Expr::Row { fields, shape: attributes, ty: over };
        self.convert(whole, held.ty, CastContext::Assignment).map_err(placed(value.at))
    }

    /// Which field of a value that is called so is meant.
    pub(super) fn field_target(&self, (name, ty): (&str, Type), field: &Name, at: usize) -> Result<usize> {
        let what = format!("cannot assign to field \"{}\" of column \"{name}\"", field.value);
        let shown = ty.kind.display_name();
        if !self.beneath(ty).kind.is_composite() {
            let message = format!("{what} because its type {shown} is not a composite type");
            return Err(Error::new("42804", message).at(at));
        }
        self.shape_of(ty).and_then(|attributes| attributes.place(&field.value)).ok_or_else(|| {
            let message = format!("{what} because there is no such column in data type {shown}");
            Error::new("42703", message).at(at)
        })
    }

    /// The new value of a field.
    fn fitting_field(&mut self, value: &ast::Expr, ty: Type, field: &Name, at: usize) -> Result<Expr> {
        let bound = self.expression_as(value, ty, CastContext::Assignment, value.at)?;
        let from = bound.ty().kind;
        if !resolve::can_coerce(from, ty.kind, CastContext::Assignment) {
            let message = format!(
                "subfield \"{}\" is of type {} but expression is of type {}",
                field.value,
                ty.kind.display_name(),
                from.display_name()
            );
            return Err(Error::new("42804", message)
                .hint("You will need to rewrite or cast the expression.")
                .at(at));
        }
        self.coerce(bound, ty, CastContext::Assignment, value.at)
    }

    fn array_part(
        &mut self,
        before: Expr,
        (held, ty, element): (Held<'_>, Type, Type),
        (subscripts, rest): (&[ast::Subscript], &[TargetPart]),
        value: &ast::Expr,
    ) -> Result<Expr> {
        self.check_dimensions(subscripts, held.at)?;
        let is_slice = subscripts.iter().any(|part| matches!(part, ast::Subscript::Slice(..)));
        let (mut lower, mut upper, mut given) = (Vec::new(), Vec::new(), 0_i32);
        for (number, subscript) in subscripts.iter().enumerate() {
            let none = Expr::null(TypeKind::Int4);
            let (from, to) = match subscript {
                ast::Subscript::Index(index) if is_slice => {
                    (Some(Expr::literal(1, TypeKind::Int4)), Some(self.array_place(index)?))
                }
                ast::Subscript::Index(index) => (Some(self.array_place(index)?), None),
                ast::Subscript::Slice(from, to) => {
                    let mut place = |bound: &Option<ast::Expr>| {
                        bound.as_ref().map(|bound| self.array_place(bound)).transpose()
                    };
                    (place(from)?, place(to)?)
                }
            };
            given |= i32::from(from.is_some()) << (2 * number) | i32::from(to.is_some()) << (2 * number + 1);
            lower.push(from.unwrap_or_else(|| none.clone()));
            upper.push(to.unwrap_or(none));
        }
        let value = match rest {
            [] => self.fitting(value, if is_slice { ty } else { element }, held)?,
            rest => {
                // Where the element stands is asked twice.
                if is_slice || lower.iter().any(|place| place.volatility() == Volatility::Volatile) {
                    let what = "an assignment to a field of elements, or of one at a volatile place";
                    return Err(Error::unsupported(what).at(held.at));
                }
                self.budget.take_copy(&before)?;
                let subscripts = lower.iter().cloned().map(Place::Index).collect();
                let was = Expr::Subscript { array: Box::new(before.clone()), subscripts, ty: element };
                self.replaced(Held { ty: element, ..held }, was, rest, value)?
            }
        };
        let bounds = |items| Expr::Array { items, ty: TypeKind::Int4Array.into() };
        let upper = if is_slice { bounds(upper) } else { Expr::null(TypeKind::Int4Array) };
        let args = vec![before, value, bounds(lower), upper, Expr::literal(given, TypeKind::Int4)];
        Ok(Expr::Call { function: subscript_assign::ARRAY, args, ty })
    }

    fn document_part(
        &mut self,
        before: Expr,
        held: Held<'_>,
        subscripts: &[ast::Subscript],
        value: &ast::Expr,
    ) -> Result<Expr> {
        let mut keys = Vec::with_capacity(subscripts.len());
        let mut begins_with_number = false;
        for subscript in subscripts {
            let index = match subscript {
                ast::Subscript::Index(index) => index,
                ast::Subscript::Slice(from, to) => {
                    let at = to.as_ref().or(from.as_ref()).map_or(held.at, |bound| bound.at);
                    return Err(Error::new("42804", "jsonb subscript does not support slices").at(at));
                }
            };
            let (key, is_number) = self.json_key(index)?;
            begins_with_number |= keys.is_empty() && is_number;
            keys.push(key);
        }
        let value = self.fitting(value, TypeKind::Jsonb.into(), held)?;
        let path = Expr::Array { items: keys, ty: TypeKind::TextArray.into() };
        let args = vec![before, value, path, Expr::literal(Datum::Bool(begins_with_number), TypeKind::Bool)];
        Ok(Expr::Call { function: subscript_assign::DOCUMENT, args, ty: TypeKind::Jsonb.into() })
    }

    /// The new value, as what is assigned to has to be.
    fn fitting(&mut self, value: &ast::Expr, ty: Type, held: Held<'_>) -> Result<Expr> {
        let bound = self.expression(value)?;
        let from = bound.ty().kind;
        if !resolve::can_coerce(from, ty.kind, CastContext::Assignment) {
            let message = format!(
                "subscripted assignment to \"{}\" requires type {} but expression is of type {}",
                held.name,
                ty.kind.display_name(),
                from.display_name()
            );
            return Err(Error::new("42804", message)
                .hint("You will need to rewrite or cast the expression.")
                .at(held.at));
        }
        self.coerce(bound, ty, CastContext::Assignment, value.at)
    }
}
