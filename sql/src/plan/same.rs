//! Whether two expressions are the same: what GROUP BY, DISTINCT and ORDER BY look for.

use expr::{Datum, Expr};

/// Whether both are written alike, so that they always have the same value (unless volatile).
pub(crate) fn same(left: &Expr, right: &Expr) -> bool {
    if !alike(left, right) {
        return false;
    }
    let (left, right) = (left.children(), right.children());
    left.len() == right.len() && left.into_iter().zip(right).all(|(left, right)| same(left, right))
}

/// Whether both are alike but for their operands.
fn alike(left: &Expr, right: &Expr) -> bool {
    match (left, right) {
        (Expr::Literal { value: a, ty: s }, Expr::Literal { value: b, ty: t }) => s == t && same_value(a, b),
        (Expr::Column { index: a, .. }, Expr::Column { index: b, .. })
        | (Expr::Parameter { index: a, .. }, Expr::Parameter { index: b, .. }) => a == b,
        (Expr::Call { function: f, ty: s, .. }, Expr::Call { function: g, ty: t, .. }) => f == g && s == t,
        (Expr::And(_), Expr::And(_)) | (Expr::Or(_), Expr::Or(_)) | (Expr::Not(_), Expr::Not(_)) => true,
        (Expr::CaseOperand { .. }, Expr::CaseOperand { .. }) => true,
        (Expr::IsNull { negated: a, .. }, Expr::IsNull { negated: b, .. }) => a == b,
        (Expr::IsBool { value: v, negated: a, .. }, Expr::IsBool { value: w, negated: b, .. }) => {
            v == w && a == b
        }
        (Expr::IsDistinct { equals: f, negated: a, .. }, Expr::IsDistinct { equals: g, negated: b, .. })
        | (Expr::In { equals: f, negated: a, .. }, Expr::In { equals: g, negated: b, .. })
        | (Expr::AnyAll { operator: f, all: a, .. }, Expr::AnyAll { operator: g, all: b, .. }) => {
            f == g && a == b
        }
        (
            Expr::Case { operand: x, branches: a, otherwise: p, .. },
            Expr::Case { operand: y, branches: b, otherwise: q, .. },
        ) => x.is_some() == y.is_some() && a.len() == b.len() && p.is_some() == q.is_some(),
        (Expr::Coalesce { .. }, Expr::Coalesce { .. }) => true,
        (Expr::Checked { ty: l, .. }, Expr::Checked { ty: r, .. }) => l == r,
        (Expr::NullIf { equals: f, .. }, Expr::NullIf { equals: g, .. }) => f == g,
        (Expr::Extreme { greatest: a, .. }, Expr::Extreme { greatest: b, .. }) => a == b,
        (Expr::Array { ty: s, .. }, Expr::Array { ty: t, .. }) => s == t,
        (Expr::Subscript { subscripts: a, .. }, Expr::Subscript { subscripts: b, .. }) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_alike(b))
        }
        (Expr::Row { shape: s, .. }, Expr::Row { shape: t, .. }) => s == t,
        (Expr::Field { place: p, .. }, Expr::Field { place: q, .. }) => p == q,
        (Expr::Cast { to: s, explicit: a, .. }, Expr::Cast { to: t, explicit: b, .. }) => s == t && a == b,
        _ => false,
    }
}

fn same_value(left: &Datum, right: &Datum) -> bool {
    // Values that compare as equal may look different (1.0 and 1.00): their whole form counts.
    format!("{left:?}") == format!("{right:?}")
}
