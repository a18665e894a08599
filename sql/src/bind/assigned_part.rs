//! `SET array[1] = …`, `SET document['key'] = …`, `SET composite.field = …`: the column's value with a part of it replaced.

use expr::casts::CastContext;
use expr::functions::subscript_assign;
use expr::{Datum, Expr, Type, TypeKind, resolve};

use super::Binder;
use super::coerce::placed;
use crate::catalog::Column;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind, Name};

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
        if let Some(field) = &target.field {
            return self.assigned_field(column, before, (target, field), value);
        }
        if matches!(value.kind, ExprKind::Default) {
            return Err(Error::new("0A000", "cannot set an array element to DEFAULT").at(at));
        }
        let ty = Type { kind: column.ty.kind.base(), modifier: column.ty.modifier };
        let whole = match ty.element() {
            _ if ty.kind == TypeKind::Jsonb => self.document_part(before, target, value)?,
            Some(element) => self.array_part(before, (ty, element), target, value)?,
            None => {
                let name = ty.kind.display_name();
                let message =
                    format!("cannot subscript type {name} because it does not support subscripting");
                return Err(Error::new("42804", message).at(at));
            }
        };
        self.assign(whole, column.ty, &column.name, value.at)
    }

    /// The value of a column of a composite type that was `before`, with one of its fields replaced. Of a NULL all others
    /// are NULL from then on.
    fn assigned_field(
        &mut self,
        column: &Column,
        before: Expr,
        (target, field): (&ast::AssignmentTarget, &Name),
        value: &ast::Expr,
    ) -> Result<Expr> {
        let at = target.column.at;
        let place = self.field_target(column, field, at)?;
        if matches!(value.kind, ExprKind::Default) {
            return Err(Error::new("0A000", "cannot set a subfield to DEFAULT").at(at));
        }
        if !target.subscripts.is_empty() {
            return Err(Error::unsupported("an assignment to a part of a field").at(at));
        }
        let attributes = self.shape_of(column.ty).unwrap_or_default();
        // What was replaced before is one of a domain only when all is.
        let mut before = before;
        while let Expr::Checked { operand, .. } = before {
            before = *operand;
        }
        let mut fields = match before {
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
        let (Some(own), Some(ty)) = (fields.get_mut(place), attributes.types().get(place)) else {
            return Err(Error::internal("a field that is not there"));
        };
        *own = self.fitting_field(value, *ty, field, at)?;
        let whole = Expr::Row { fields, shape: attributes, ty: self.beneath(column.ty) };
        self.convert(whole, column.ty, CastContext::Assignment).map_err(placed(value.at))
    }

    /// Which field of a column is meant.
    pub(super) fn field_target(&self, column: &Column, field: &Name, at: usize) -> Result<usize> {
        let what = format!("cannot assign to field \"{}\" of column \"{}\"", field.value, column.name);
        let shown = column.ty.kind.display_name();
        if !self.beneath(column.ty).kind.is_composite() {
            let message = format!("{what} because its type {shown} is not a composite type");
            return Err(Error::new("42804", message).at(at));
        }
        self.shape_of(column.ty).and_then(|attributes| attributes.place(&field.value)).ok_or_else(|| {
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
        (ty, element): (Type, Type),
        target: &ast::AssignmentTarget,
        value: &ast::Expr,
    ) -> Result<Expr> {
        self.check_dimensions(&target.subscripts, target.column.at)?;
        let is_slice = target.subscripts.iter().any(|part| matches!(part, ast::Subscript::Slice(..)));
        let (mut lower, mut upper, mut given) = (Vec::new(), Vec::new(), 0_i32);
        for (number, subscript) in target.subscripts.iter().enumerate() {
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
        let value = self.fitting(value, if is_slice { ty } else { element }, target)?;
        let bounds = |items| Expr::Array { items, ty: TypeKind::Int4Array.into() };
        let upper = if is_slice { bounds(upper) } else { Expr::null(TypeKind::Int4Array) };
        let args = vec![before, value, bounds(lower), upper, Expr::literal(given, TypeKind::Int4)];
        Ok(Expr::Call { function: subscript_assign::ARRAY, args, ty })
    }

    fn document_part(
        &mut self,
        before: Expr,
        target: &ast::AssignmentTarget,
        value: &ast::Expr,
    ) -> Result<Expr> {
        let mut keys = Vec::with_capacity(target.subscripts.len());
        let mut begins_with_number = false;
        for subscript in &target.subscripts {
            let index = match subscript {
                ast::Subscript::Index(index) => index,
                ast::Subscript::Slice(from, to) => {
                    let at = to.as_ref().or(from.as_ref()).map_or(target.column.at, |bound| bound.at);
                    return Err(Error::new("42804", "jsonb subscript does not support slices").at(at));
                }
            };
            let (key, is_number) = self.json_key(index)?;
            begins_with_number |= keys.is_empty() && is_number;
            keys.push(key);
        }
        let value = self.fitting(value, TypeKind::Jsonb.into(), target)?;
        let path = Expr::Array { items: keys, ty: TypeKind::TextArray.into() };
        let args = vec![before, value, path, Expr::literal(Datum::Bool(begins_with_number), TypeKind::Bool)];
        Ok(Expr::Call { function: subscript_assign::DOCUMENT, args, ty: TypeKind::Jsonb.into() })
    }

    /// The new value, as what is assigned to has to be.
    fn fitting(&mut self, value: &ast::Expr, ty: Type, target: &ast::AssignmentTarget) -> Result<Expr> {
        let bound = self.expression(value)?;
        let from = bound.ty().kind;
        if !resolve::can_coerce(from, ty.kind, CastContext::Assignment) {
            let message = format!(
                "subscripted assignment to \"{}\" requires type {} but expression is of type {}",
                target.column.value,
                ty.kind.display_name(),
                from.display_name()
            );
            return Err(Error::new("42804", message)
                .hint("You will need to rewrite or cast the expression.")
                .at(target.column.at));
        }
        self.coerce(bound, ty, CastContext::Assignment, value.at)
    }
}
