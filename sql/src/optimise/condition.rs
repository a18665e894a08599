//! Conditions as lists of conjuncts.

use expr::functions::Volatility;
use expr::{Datum, Expr};

/// The parts of a condition that all have to hold.
pub(super) fn conjuncts(condition: Expr) -> Vec<Expr> {
    match condition {
        Expr::And(parts) => parts.into_iter().flat_map(conjuncts).collect(),
        condition if is_true(&condition) => Vec::new(),
        condition => vec![condition],
    }
}

/// One condition of its parts; `None` if there are none.
pub(super) fn all(conjuncts: Vec<Expr>) -> Option<Expr> {
    if conjuncts.is_empty() { None } else { Some(Expr::all(conjuncts)) }
}

/// Adds parts to a condition that may not exist yet.
pub(super) fn add(condition: &mut Option<Expr>, more: Vec<Expr>) {
    let mut parts = condition.take().map_or_else(Vec::new, conjuncts);
    parts.extend(more);
    *condition = all(parts);
}

/// Whether the condition is the constant TRUE.
pub(super) fn is_true(condition: &Expr) -> bool {
    matches!(condition, Expr::Literal { value: Datum::Bool(true), .. })
}

/// Whether it may be evaluated elsewhere, and another number of times.
pub(super) fn may_move(expression: &Expr) -> bool {
    expression.volatility() != Volatility::Volatile
}

/// Whether it may end in an error, as far as can be told: then it is not computed of rows that nobody asks for.
pub(super) fn may_fail(expression: &Expr) -> bool {
    let mut may_fail = false;
    expression.walk(&mut |part| {
        may_fail |= match part {
            Expr::Call { function, args, .. } => {
                let never = ["numeric_add", "numeric_sub", "numeric_mul"];
                let has_good_pattern = matches!(function.name, "textlike" | "textnlike")
                    && matches!(args.get(1), Some(Expr::Literal { .. }));
                expr::operators::comparison(*function).is_none()
                    && !never.contains(&function.name)
                    && !has_good_pattern
            }
            Expr::AnyAll { operator, .. } => expr::operators::comparison(*operator).is_none(),
            Expr::Cast { explicit, .. } => *explicit,
            Expr::Subscript { .. } => true,
            _ => false,
        };
    });
    may_fail
}

/// Whether it names no column: its value is known before any row is.
pub(super) fn is_free(expression: &Expr) -> bool {
    let mut free = true;
    expression.walk(&mut |part| free &= !matches!(part, Expr::Column { .. } | Expr::CaseOperand { .. }));
    free
}

/// The expression with each column replaced by what `expressions` say of it.
pub(super) fn substitute(mut expression: Expr, expressions: &[Expr]) -> Expr {
    expression.rewrite(&mut |part| {
        if let Expr::Column { index, .. } = part
            && let Some(replacement) = expressions.get(*index)
        {
            *part = replacement.clone();
        }
    });
    expression
}
