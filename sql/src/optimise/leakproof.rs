//! Conditions that may be asked of rows that are hidden: whoever asks learns nothing of those.
//!
//! Such a condition can neither fail nor be watched: it compares by functions that are leakproof, and changes types only where
//! every value has one of the other type.

use expr::{Expr, TypeKind};

use super::condition::{is_free, may_move};

/// Whether a condition is one.
pub(super) fn is_leakproof(condition: &Expr) -> bool {
    // What names no column tells nothing of any row.
    if is_free(condition) && may_move(condition) {
        return true;
    }
    let by_itself = match condition {
        Expr::Literal { .. }
        | Expr::Column { .. }
        | Expr::Parameter { .. }
        | Expr::And(_)
        | Expr::Or(_)
        | Expr::Not(_)
        | Expr::IsNull { .. }
        | Expr::IsBool { .. }
        | Expr::Case { .. }
        | Expr::CaseOperand { .. }
        | Expr::Coalesce { .. } => true,
        Expr::Call { function, .. } => function.is_leakproof(),
        Expr::IsDistinct { equals, .. } | Expr::NullIf { equals, .. } | Expr::In { equals, .. } => {
            equals.is_leakproof()
        }
        Expr::AnyAll { operator, .. } => operator.is_leakproof(),
        Expr::Cast { operand, to, explicit: _ } => {
            always_casts(operand.ty().kind, to.kind) && to.modifier < 0
        }
        Expr::Extreme { .. }
        | Expr::Array { .. }
        | Expr::Subscript { .. }
        | Expr::Row { .. }
        | Expr::Field { .. }
        | Expr::Checked { .. } => false,
    };
    by_itself && condition.children().into_iter().all(is_leakproof)
}

/// Whether every value of the first type has one of the second.
fn always_casts(from: TypeKind, to: TypeKind) -> bool {
    let is_text = |kind| matches!(kind, TypeKind::Text | TypeKind::Varchar);
    from == to
        || is_text(from) && is_text(to)
        || matches!(
            (from, to),
            (TypeKind::Int2, TypeKind::Int4 | TypeKind::Int8)
                | (TypeKind::Int4, TypeKind::Int8)
                | (TypeKind::Float4, TypeKind::Float8)
                | (TypeKind::Name, TypeKind::Text)
        )
}
