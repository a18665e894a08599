//! `r(lower, upper)` and `r(lower, upper, '[]')` of ranges that were made: one function for all of them, with an OID of our own.
//! Which range it is says the type of the call.

use super::arguments::mismatch;
use super::{Body, Function, FunctionId, FunctionKind, Volatility, extent};
use crate::datum::Datum;
use crate::error::Result;
use crate::extent::Subtype;
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};

pub use crate::extent::can_bound;

/// Of two values of the type that the bounds are of, or NULL, and with `[)` or its like behind.
pub const CONSTRUCTOR: FunctionId = FunctionId(&MADE);

static MADE: Function = Function {
    oid: 9030,
    name: "range_constructor",
    extension: None,
    args: &[TypeKind::Any],
    defaults: 0,
    variadic: true,
    result: TypeKind::Any,
    output: None,
    columns: &[],
    kind: FunctionKind::Scalar,
    volatility: Volatility::Immutable,
    strict: false,
    body: Body::Typed(made),
};

fn made(args: &[Datum], types: &[Type], _: &SessionContext) -> Result<Datum> {
    let bounds = types.first().ok_or_else(mismatch)?;
    extent::made(args, Subtype::of_made(bounds.kind))
}
