//! Casts: PostgreSQL's `pg_cast`, the casts through text that every type has, and length coercion.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::functions::Volatility;
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};

/// Where a cast may be used; a wider context allows what a narrower one does (`pg_cast.castcontext`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// Anywhere.
    Implicit,
    /// When a value is stored in a column.
    Assignment,
    /// Only where it is written: `CAST`, `::`.
    Explicit,
}

/// How a cast is done (`pg_cast.castmethod`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastMethod {
    /// Both types have the same values.
    Binary,
    /// By a function of its own.
    Function,
    /// By writing text and reading it.
    Text,
}

/// A cast between two types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cast {
    /// From.
    pub from: TypeKind,
    /// To.
    pub to: TypeKind,
    /// Where it may be used.
    pub context: CastContext,
    /// How it is done.
    pub method: CastMethod,
}

/// The cast from one type to another, if there is one. A type to itself is binary and implicit.
pub fn find(from: TypeKind, to: TypeKind) -> Option<Cast> {
    (from == to).then_some(Cast { from, to, context: CastContext::Implicit, method: CastMethod::Binary })
}

/// Whether the value may be used as the other type without a change: the same type or a binary-coercible one.
pub fn is_binary_coercible(from: TypeKind, to: TypeKind) -> bool {
    find(from, to)
        .is_some_and(|cast| cast.method == CastMethod::Binary && cast.context == CastContext::Implicit)
}

/// How much a cast's result depends on the session.
pub fn volatility(from: TypeKind, to: TypeKind) -> Volatility {
    let _ = (from, to);
    Volatility::Stable
}

/// Casts a value, length coercion to the target's modifier included. `explicit` casts cut off what is too long
/// where others refuse it (22001).
pub fn apply(value: Datum, from: Type, to: Type, explicit: bool, session: &SessionContext) -> Result<Datum> {
    let _ = (value, from, to, explicit, session);
    Err(Error::unsupported("casts"))
}

/// Checks or fits a value of the type's kind to its modifier: varchar(n), char(n), numeric(p, s), timestamp(p).
pub fn coerce_length(value: Datum, ty: Type, explicit: bool) -> Result<Datum> {
    let _ = (&value, ty, explicit);
    Ok(value)
}
