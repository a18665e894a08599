//! `SET array[1] = …`, `SET document['key'] = …`: the column's value with a part of it replaced.

use expr::casts::CastContext;
use expr::functions::subscript_assign;
use expr::{Datum, Expr, Type, TypeKind, resolve};

use super::Binder;
use crate::catalog::Column;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind};

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
            let key = self.expression(index)?;
            let is_number = key.ty().kind == TypeKind::Int4;
            begins_with_number |= keys.is_empty() && is_number;
            let context = if is_number { CastContext::Explicit } else { CastContext::Assignment };
            keys.push(self.coerce(key, TypeKind::Text.into(), context, index.at)?);
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
