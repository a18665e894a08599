//! What is known of an expression whose columns of one side of an outer join are all NULL.

use expr::Expr;

use crate::logical::ColumnId;

/// Whether a condition cannot be true where the columns that are `missing` are NULL: then an outer join below it answers
/// no row that it has filled with NULLs.
pub(super) fn rejects(condition: &Expr, missing: &impl Fn(ColumnId) -> bool) -> bool {
    match condition {
        Expr::And(parts) => parts.iter().any(|part| rejects(part, missing)),
        Expr::Or(parts) => parts.iter().all(|part| rejects(part, missing)),
        Expr::IsNull { operand, negated: true } => is_null(operand, missing),
        Expr::IsBool { operand, value: Some(_), negated: false } => is_null(operand, missing),
        condition => is_null(condition, missing),
    }
}

/// Whether an expression is NULL then.
fn is_null(expression: &Expr, missing: &impl Fn(ColumnId) -> bool) -> bool {
    let is_null = |part: &Expr| self::is_null(part, missing);
    match expression {
        Expr::Column { index, .. } => missing(*index),
        Expr::Literal { value, .. } => value.is_null(),
        Expr::Call { function, args, .. } => function.strict && args.iter().any(is_null),
        Expr::Cast { operand, .. } | Expr::Not(operand) => is_null(operand),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().all(is_null),
        Expr::Coalesce { args, .. } | Expr::Extreme { args, .. } => args.iter().all(is_null),
        Expr::NullIf { left, .. } => is_null(left),
        Expr::In { operand, items, .. } => !items.is_empty() && is_null(operand),
        Expr::Subscript { .. } => expression.children().into_iter().any(is_null),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use expr::{Datum, TypeKind};

    use super::*;

    #[test]
    fn a_comparison_rejects_and_a_test_for_null_does_not() {
        let column = |index: usize| Expr::column(index, TypeKind::Int4);
        let equals = expr::operators::equality(TypeKind::Int4).unwrap();
        let equal = |left, right| Expr::call(equals, vec![left, right], TypeKind::Bool);
        let missing = |column: usize| column >= 10;
        let compared = equal(column(10), Expr::literal(Datum::Int4(1), TypeKind::Int4));
        assert!(rejects(&compared, &missing));
        assert!(rejects(&Expr::Not(Box::new(compared.clone())), &missing));
        assert!(!rejects(&equal(column(1), column(2)), &missing));
        let is_null = |negated| Expr::IsNull { operand: Box::new(column(10)), negated };
        assert!(rejects(&is_null(true), &missing) && !rejects(&is_null(false), &missing));
        assert!(!rejects(&Expr::Or(vec![compared.clone(), is_null(false)]), &missing));
        assert!(rejects(&Expr::And(vec![compared, is_null(false)]), &missing));
    }
}
