//! Whether, and how, an expression becomes one of another type.

use crate::casts::{self, CastContext};
use crate::codec;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::functions::Volatility;
use crate::length;
use crate::session::SessionContext;
use crate::tree::Expr;
use crate::types::{Type, TypeKind};

/// The SQLSTATE of a number that its type has no room for.
const OUT_OF_RANGE: &str = "22003";

/// Whether a value of one type may become the other in a context. Everything may be "any" or polymorphic.
pub fn can_coerce(from: TypeKind, to: TypeKind, context: CastContext) -> bool {
    let from = if from == to { from } else { from.base() };
    from == to
        || from == TypeKind::Unknown
        || to == TypeKind::Any
        // Whether its fields fit is found out when they are known.
        || from == TypeKind::Record && to.base().is_composite()
        || match to {
            TypeKind::AnyArray | TypeKind::AnyCompatibleArray => from.element().is_some(),
            TypeKind::AnyNonArray => from.element().is_none(),
            TypeKind::AnyEnum => from.is_enum(),
            TypeKind::AnyRange => from.subtype().is_some(),
            TypeKind::AnyMultirange => from.ranges().is_some(),
            _ => to.is_polymorphic(),
        }
        || casts::find(from, to).is_some_and(|cast| cast.context <= context)
}

/// The expression as a value of the type: unchanged, an unknown literal read as that type, or a cast.
/// 22003 for a number that the type has no room for, unless the cast is explicit; 42846 if there is no cast in this context (the caller words column assignments itself: 42804).
pub fn coerce(expr: Expr, to: Type, context: CastContext, session: &SessionContext) -> Result<Expr> {
    let from = expr.ty();
    let explicit = context == CastContext::Explicit;
    if from == to || from.kind == to.kind && to.modifier < 0 {
        return Ok(expr);
    }
    let (expr, from) = (expr.into_base(), Type { kind: from.kind.base(), ..from });
    if from == to {
        return Ok(expr);
    }
    if let Expr::Literal { value, ty } = &expr
        && (ty.kind == TypeKind::Unknown || value.is_null())
        && (ty.kind == TypeKind::Unknown || can_coerce(ty.kind, to.kind, context))
    {
        return Ok(Expr::Literal { value: coerce_literal(value, to, explicit, session)?, ty: to });
    }
    if !can_coerce(from.kind, to.kind, context) {
        return Err(Error::new(
            "42846",
            format!("cannot cast type {} to {}", from.kind.display_name(), to.kind.display_name()),
        ));
    }
    if let Expr::Literal { value, .. } = &expr
        && casts::volatility(from.kind, to.kind) == Volatility::Immutable
    {
        match casts::apply(value.clone(), from, to, explicit, session) {
            Ok(value) => return Ok(Expr::Literal { value, ty: to }),
            // A number that its place has no room for is none, whether there are rows or not. What was asked for in so many
            // words may stand where it is never computed.
            Err(error) if !explicit && error.sqlstate == OUT_OF_RANGE => return Err(error),
            Err(_) => {}
        }
    }
    Ok(Expr::Cast { operand: Box::new(expr), to, explicit })
}

/// As [`coerce`], with everything left in place that was written: casts of constants are not computed, what a literal's
/// modifier asks for is a cast of its own, and so is what makes a value of a domain one of what that is over. To be printed.
pub fn coerce_as_written(
    expr: Expr,
    to: Type,
    context: CastContext,
    session: &SessionContext,
) -> Result<Expr> {
    let from = expr.ty();
    let explicit = context == CastContext::Explicit;
    if from == to || from.kind == to.kind && to.modifier < 0 {
        return Ok(expr);
    }
    let expr = match expr {
        Expr::Literal { value, ty } if ty.kind == TypeKind::Unknown => {
            let ty = read_as(to);
            Expr::Literal { value: coerce_literal(&value, ty, explicit, session)?, ty }
        }
        expr => expr,
    };
    if expr.ty() == to {
        return Ok(expr);
    }
    if !can_coerce(expr.ty().kind, to.kind, context) {
        return Err(Error::new(
            "42846",
            format!("cannot cast type {} to {}", from.kind.display_name(), to.kind.display_name()),
        ));
    }
    Ok(Expr::Cast { operand: Box::new(expr), to, explicit })
}

/// A condition. 42804 in PostgreSQL's words if it is not boolean: `argument of WHERE must be type boolean, …`.
pub fn coerce_boolean(expr: Expr, construct: &str, session: &SessionContext) -> Result<Expr> {
    let from = expr.ty().kind;
    match can_coerce(from, TypeKind::Bool, CastContext::Implicit) {
        true => implicit(expr, TypeKind::Bool, session),
        false => Err(Error::new(
            "42804",
            format!("argument of {construct} must be type boolean, not type {}", from.display_name()),
        )),
    }
}

/// An unknown literal read as the type, and cut off to its length only if the cast is explicit.
pub fn coerce_literal(value: &Datum, to: Type, explicit: bool, session: &SessionContext) -> Result<Datum> {
    match value {
        Datum::Text(literal) => length::coerce(codec::input(literal, read_as(to), session)?, to, explicit),
        other => Ok(other.clone()),
    }
}

/// The type that a literal is read as: the fields of an interval decide what its numbers are, all other modifiers are looked at
/// behind that.
fn read_as(to: Type) -> Type {
    if to.interval_fields().is_some() { to } else { Type::plain(to.kind) }
}

/// For an argument whose type was chosen by what can be coerced implicitly.
pub(super) fn implicit(expr: Expr, to: TypeKind, session: &SessionContext) -> Result<Expr> {
    coerce(expr, to.into(), CastContext::Implicit, session)
}
