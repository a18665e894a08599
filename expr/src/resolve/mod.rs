//! PostgreSQL's type conversion (manual, chapter 10): which operator, function and common type a statement means,
//! and the casts that make its operands fit. Pure functions on types; [`coerce`] builds expressions.

use crate::casts::CastContext;
use crate::error::{Error, Result};
use crate::functions::FunctionId;
use crate::operators::Operator;
use crate::session::SessionContext;
use crate::tree::Expr;
use crate::types::{Type, TypeKind};

/// A function or operator that was chosen.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Which.
    pub function: FunctionId,
    /// What each argument must be coerced to, polymorphic and variadic parameters replaced.
    pub args: Vec<TypeKind>,
    /// Of the result, polymorphic ones replaced.
    pub result: TypeKind,
}

/// What a call by name turned out to be.
#[derive(Debug, Clone)]
pub enum Callee {
    /// A function, aggregate or set-returning function (see its `kind`).
    Function(Resolved),
    /// `text(x)`, `int4(x)`: a cast that is written like a call.
    Cast(TypeKind),
}

/// The function that a call means. 42883 if there is none, 42725 if several are equally good.
pub fn function(name: &str, args: &[TypeKind]) -> Result<Callee> {
    let _ = args;
    Err(Error::new("42883", format!("function {name} does not exist")))
}

/// The operator that `left name right`, or `name right`, means. 42883 if there is none, 42725 if several are equally good.
pub fn operator(
    name: &str,
    left: Option<TypeKind>,
    right: TypeKind,
) -> Result<(&'static Operator, Resolved)> {
    let _ = (left, right);
    Err(Error::new("42883", format!("operator does not exist: {name}")))
}

/// The one type of UNION's columns, CASE's results, COALESCE's arguments, VALUES' columns (manual, 10.5).
/// `construct` is for the message: `CASE types text and integer cannot be matched` (42804).
pub fn common_type(construct: &str, types: &[TypeKind]) -> Result<TypeKind> {
    let _ = types;
    Err(Error::new("42804", format!("{construct} types cannot be matched")))
}

/// Whether a value of one type may become the other in a context.
pub fn can_coerce(from: TypeKind, to: TypeKind, context: CastContext) -> bool {
    from == to || from == TypeKind::Unknown || context == CastContext::Explicit
}

/// The expression as a value of the type: unchanged, an unknown literal read as that type, or a cast.
/// 42846 or 42804 if there is no cast in this context (the caller words column assignments itself).
pub fn coerce(expr: Expr, to: Type, context: CastContext, session: &SessionContext) -> Result<Expr> {
    let _ = (to, context, session);
    Ok(expr)
}

/// The call of an operator with its operands coerced.
pub fn operator_call(name: &str, left: Option<Expr>, right: Expr, session: &SessionContext) -> Result<Expr> {
    let _ = (left, session);
    operator(name, None, right.ty().kind)
        .map(|(operator, _)| Expr::call(operator.function, vec![right], operator.result))
}
