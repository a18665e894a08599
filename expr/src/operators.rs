//! The registry of operators: PostgreSQL's `pg_operator` as far as it is supported, by PostgreSQL's OIDs.
//!
//! LIKE, NOT LIKE, ILIKE and NOT ILIKE are the operators `~~`, `!~~`, `~~*` and `!~~*`.

use crate::functions::FunctionId;
use crate::types::TypeKind;

/// One row of `pg_operator`.
#[derive(Debug, Clone, Copy)]
pub struct Operator {
    /// `pg_operator.oid`.
    pub oid: u32,
    /// `oprname`.
    pub name: &'static str,
    /// `oprleft`; None of a prefix operator.
    pub left: Option<TypeKind>,
    /// `oprright`.
    pub right: TypeKind,
    /// `oprresult`.
    pub result: TypeKind,
    /// `oprcode`.
    pub function: FunctionId,
}

/// What a comparison operator means, whatever its types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// All operators.
pub fn all() -> &'static [Operator] {
    &[]
}

/// All operators of a name, for the resolution of overloads.
pub fn by_name(name: &str) -> &'static [Operator] {
    let _ = name;
    &[]
}

/// The operator of exactly these types.
pub fn find(name: &str, left: Option<TypeKind>, right: TypeKind) -> Option<&'static Operator> {
    by_name(name).iter().find(|operator| operator.left == left && operator.right == right)
}

/// What comparison a function computes, if it is that of one: for planners that turn conditions into key ranges.
pub fn comparison(function: FunctionId) -> Option<Comparison> {
    let _ = function;
    None
}

/// The function of `=` for two values of a type; None if it has no equality.
pub fn equality(kind: TypeKind) -> Option<FunctionId> {
    find("=", Some(kind), kind).map(|operator| operator.function)
}
