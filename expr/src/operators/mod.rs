//! The registry of operators: PostgreSQL's `pg_operator` as far as it is supported, by PostgreSQL's OIDs.
//!
//! LIKE, NOT LIKE, ILIKE and NOT ILIKE are the operators `~~`, `!~~`, `~~*` and `!~~*`.

mod table;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::functions::FunctionId;
use crate::types::TypeKind;

pub use crate::compare::Comparison;

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

/// A row of the table: OID, name, operands, result, OID of the function.
struct Row {
    oid: u32,
    name: &'static str,
    left: Option<TypeKind>,
    right: TypeKind,
    result: TypeKind,
    function: u32,
}

const fn row(
    oid: u32,
    name: &'static str,
    left: Option<TypeKind>,
    right: TypeKind,
    result: TypeKind,
    function: u32,
) -> Row {
    Row { oid, name, left, right, result, function }
}

static OPERATORS: LazyLock<Vec<Operator>> = LazyLock::new(|| {
    let mut operators: Vec<_> = table::TABLES
        .iter()
        .copied()
        .flatten()
        .filter_map(|row| {
            let Row { oid, name, left, right, result, function } = *row;
            FunctionId::from_oid(function).map(|function| Operator {
                oid,
                name,
                left,
                right,
                result,
                function,
            })
        })
        .collect();
    operators.sort_by_key(|operator| (operator.name, operator.oid));
    operators
});

static COMPARISONS: LazyLock<HashMap<u32, Comparison>> = LazyLock::new(|| {
    let compares = |operator: &Operator| {
        let comparison = match operator.name {
            "=" => Comparison::Equal,
            "<>" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        Some((operator.function.oid(), comparison))
    };
    OPERATORS.iter().filter_map(compares).collect()
});

/// All operators, by name.
pub fn all() -> &'static [Operator] {
    &OPERATORS
}

/// All operators of a name, for the resolution of overloads.
pub fn by_name(name: &str) -> &'static [Operator] {
    let start = OPERATORS.partition_point(|operator| operator.name < name);
    let tail = OPERATORS.get(start..).unwrap_or_default();
    tail.get(..tail.partition_point(|operator| operator.name == name)).unwrap_or_default()
}

/// The operator of exactly these types.
pub fn find(name: &str, left: Option<TypeKind>, right: TypeKind) -> Option<&'static Operator> {
    by_name(name).iter().find(|operator| operator.left == left && operator.right == right)
}

/// What comparison a function computes, if it is that of one: for planners that turn conditions into key ranges.
pub fn comparison(function: FunctionId) -> Option<Comparison> {
    COMPARISONS.get(&function.oid()).copied()
}

/// The function of `=` for two values of a type; None if it has no equality.
pub fn equality(kind: TypeKind) -> Option<FunctionId> {
    let kind = kind.base();
    let kind = match kind {
        kind if kind.is_made_range() || kind.subtype().is_some() => TypeKind::AnyRange,
        kind if kind.ranges().is_some() => TypeKind::AnyMultirange,
        kind if kind.is_enum() => TypeKind::AnyEnum,
        kind if kind.is_composite() => TypeKind::Record,
        kind => kind,
    };
    find("=", Some(kind), kind).map(|operator| operator.function)
}
