//! The operators that are built in, as `pg_operator` shows them.

use expr::TypeKind;
use expr::operators::{Operator, all};
use expr::types::{Category, Order};

use super::record::Records;
use super::{OWNER_OID, World};

/// The operator that says the same of the operands in the other order.
fn commuted(name: &str) -> Option<&'static str> {
    Some(match name {
        "=" => "=",
        "<>" => "<>",
        "<" => ">",
        ">" => "<",
        "<=" => ">=",
        ">=" => "<=",
        "*=" => "*=",
        "*<>" => "*<>",
        "*<" => "*>",
        "*>" => "*<",
        "*<=" => "*>=",
        "*>=" => "*<=",
        "~<~" => "~>~",
        "~>~" => "~<~",
        "~<=~" => "~>=~",
        "~>=~" => "~<=~",
        "+" => "+",
        "*" => "*",
        "&" => "&",
        "|" => "|",
        "#" => "#",
        "&&" => "&&",
        "-|-" => "-|-",
        "@>" => "<@",
        "<@" => "@>",
        "<<" => ">>",
        ">>" => "<<",
        "<<=" => ">>=",
        ">>=" => "<<=",
        // Distances of vectors.
        "<->" => "<->",
        "<#>" => "<#>",
        "<=>" => "<=>",
        "<+>" => "<+>",
        _ => return None,
    })
}

/// Whether an operator has such a one in PostgreSQL: bits of addresses do not know theirs, and bits that are moved are no order.
fn is_commuted(operator: &Operator) -> bool {
    match operator.name {
        "&" | "|" => !matches!(operator.right, TypeKind::Inet | TypeKind::Macaddr | TypeKind::Macaddr8),
        "<<" | ">>" => operator.right != TypeKind::Int4,
        _ => true,
    }
}

/// The operator that says the opposite.
fn negated(name: &str) -> Option<&'static str> {
    Some(match name {
        "=" => "<>",
        "<>" => "=",
        "<" => ">=",
        ">" => "<=",
        "<=" => ">",
        ">=" => "<",
        "*=" => "*<>",
        "*<>" => "*=",
        "*<" => "*>=",
        "*>=" => "*<",
        "*>" => "*<=",
        "*<=" => "*>",
        "~~" => "!~~",
        "!~~" => "~~",
        "~~*" => "!~~*",
        "!~~*" => "~~*",
        "~" => "!~",
        "!~" => "~",
        "~*" => "!~*",
        "!~*" => "~*",
        "~<~" => "~>=~",
        "~>=~" => "~<~",
        "~>~" => "~<=~",
        "~<=~" => "~>~",
        _ => return None,
    })
}

fn oid_of(name: Option<&str>, left: Option<TypeKind>, right: Option<TypeKind>) -> u32 {
    let is_meant = |own: &&Operator| Some(own.name) == name && own.left == left && Some(own.right) == right;
    all().iter().find(is_meant).map_or(0, |found| found.oid)
}

/// Whether a type's values are in an order.
fn is_ordered(kind: TypeKind) -> bool {
    kind.is_ordered() || kind.category() == Category::Pseudo
}

/// Whether values that are equal by it have equal hashes in PostgreSQL.
fn hashes(operator: &Operator) -> bool {
    let mixes_days = operator.left != Some(operator.right)
        && [operator.left, Some(operator.right)].contains(&Some(TypeKind::Date));
    let mixes_zones = [operator.left, Some(operator.right)].contains(&Some(TypeKind::Timestamp))
        && [operator.left, Some(operator.right)].contains(&Some(TypeKind::Timestamptz));
    operator.name == "=" && operator.right.hashes() && !mixes_days && !mixes_zones
}

pub(super) fn pg_operator(world: &World<'_>, records: &mut Records<'_>) {
    for operator in all() {
        let Operator { oid, name, left, right, result, function } = *operator;
        let Some(schema) = world.namespace(function.extension) else { continue };
        // What has no order and is compared with another type has no hash either.
        let is_hashed = left == Some(right) && right.order() == Order::Hashed;
        let merges = matches!(name, "=" | "*=") && left.into_iter().chain([right]).all(is_ordered);
        let commuted = commuted(name).filter(|_| is_commuted(operator));
        records.push(&[
            ("oid", oid.into()),
            ("oprname", name.into()),
            ("oprnamespace", schema.into()),
            ("oprowner", OWNER_OID.into()),
            ("oprkind", if left.is_some() { "b" } else { "l" }.into()),
            ("oprcanmerge", merges.into()),
            ("oprcanhash", ((merges || is_hashed) && hashes(operator)).into()),
            ("oprleft", left.map_or(0, TypeKind::oid).into()),
            ("oprright", right.oid().into()),
            ("oprresult", result.oid().into()),
            ("oprcom", oid_of(commuted, Some(right), left).into()),
            ("oprnegate", oid_of(negated(name), left, Some(right)).into()),
            ("oprcode", function.oid().into()),
        ]);
    }
}
