//! Whether conditions that hold of a row make a predicate true of it: then a partial index has all of their rows.
//!
//! What is proved is simple: the predicate's parts are among the conditions, or follow from one of them that compares the
//! same operand with constants, or says that it is not NULL.

use std::cmp::Ordering;

use expr::operators::{Comparison, comparison};
use expr::{Datum, Expr, TypeKind};

use super::same::same;

/// Whether the predicate is true of all rows of which all conditions are. `false`: it may be.
pub(crate) fn implied(conditions: &[&Expr], predicate: &Expr) -> bool {
    match predicate {
        Expr::And(parts) => parts.iter().all(|part| implied(conditions, part)),
        Expr::Or(parts) if parts.iter().any(|part| implied(conditions, part)) => true,
        Expr::Literal { value: Datum::Bool(true), .. } => true,
        part => conditions.iter().any(|condition| follows(condition, part)),
    }
}

/// Whether a predicate that is no AND follows from one condition.
fn follows(condition: &Expr, predicate: &Expr) -> bool {
    let (condition, predicate) = (plain_truth(condition), plain_truth(predicate));
    if same(condition, predicate) {
        return true;
    }
    match condition {
        Expr::And(parts) => return parts.iter().any(|part| follows(part, predicate)),
        Expr::Or(parts) => return !parts.is_empty() && parts.iter().all(|part| follows(part, predicate)),
        _ => {}
    }
    if let Expr::IsNull { operand, negated: true } = predicate {
        // A row is not NULL if none of its fields is, and may be compared all the same.
        return !operand.ty().kind.is_record() && is_strict_of(condition, operand);
    }
    let Some((operand, wanted)) = compared(predicate) else { return false };
    let Some((own, given)) = compared(condition) else { return false };
    same(own, operand) && given.iter().all(|given| wanted.iter().any(|wanted| given.is_within(*wanted)))
}

/// `a` instead of `a = TRUE`.
fn plain_truth(condition: &Expr) -> &Expr {
    if let Expr::Call { function, args, .. } = condition
        && comparison(*function) == Some(Comparison::Equal)
        && let [operand, Expr::Literal { value: Datum::Bool(true), .. }] = args.as_slice()
    {
        return operand;
    }
    condition
}

/// Whether a condition cannot be true where the operand is NULL.
fn is_strict_of(condition: &Expr, operand: &Expr) -> bool {
    match condition {
        Expr::Call { function, args, .. }
            if comparison(*function).is_some() || function.name == "textlike" =>
        {
            args.iter().any(|arg| same(stripped(arg), operand) || same(arg, operand))
        }
        Expr::In { operand: own, .. } | Expr::AnyAll { operand: own, all: false, .. } => {
            same(stripped(own), operand) || same(own, operand)
        }
        Expr::Column { .. } => same(condition, operand),
        Expr::Not(inner) => same(inner, operand),
        _ => false,
    }
}

/// What a cast is of.
fn stripped(expression: &Expr) -> &Expr {
    match expression {
        Expr::Cast { operand, .. } => operand,
        other => other,
    }
}

/// What an operand is compared with.
#[derive(Clone, Copy)]
struct Bound<'e> {
    comparison: Comparison,
    value: &'e Datum,
}

impl Bound<'_> {
    /// Whether all values within this one are within another.
    fn is_within(&self, other: Bound<'_>) -> bool {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        if self.value.is_null() || other.value.is_null() {
            return false;
        }
        let order = expr::compare::compare(self.value, other.value);
        match (self.comparison, other.comparison) {
            (Equal, Equal) | (NotEqual, NotEqual) => order == Ordering::Equal,
            (Equal, NotEqual) => order != Ordering::Equal,
            (Equal | Less | LessOrEqual, Less) if self.comparison != Less => order == Ordering::Less,
            (Less, Less | LessOrEqual | NotEqual) => order != Ordering::Greater,
            (Equal | LessOrEqual, LessOrEqual) => order != Ordering::Greater,
            (LessOrEqual, NotEqual) => order == Ordering::Less,
            (Equal | GreaterOrEqual, Greater) => order == Ordering::Greater,
            (Greater, Greater | GreaterOrEqual | NotEqual) => order != Ordering::Less,
            (Equal | GreaterOrEqual, GreaterOrEqual) => order != Ordering::Less,
            (GreaterOrEqual, NotEqual) => order == Ordering::Greater,
            _ => false,
        }
    }
}

/// An operand, and what it is compared with: one of these is true of it.
fn compared(condition: &Expr) -> Option<(&Expr, Vec<Bound<'_>>)> {
    match condition {
        Expr::Call { function, args, .. } => {
            let own = comparison(*function)?;
            match args.as_slice() {
                [operand, Expr::Literal { value, ty }] if is_comparable(operand, ty.kind) => {
                    Some((operand, vec![Bound { comparison: own, value }]))
                }
                [Expr::Literal { value, ty }, operand] if is_comparable(operand, ty.kind) => {
                    Some((operand, vec![Bound { comparison: own.commuted(), value }]))
                }
                _ => None,
            }
        }
        Expr::In { operand, items, negated: false, .. } => {
            let bound = |item| match item {
                &Expr::Literal { ref value, ty } if is_comparable(operand, ty.kind) => {
                    Some(Bound { comparison: Comparison::Equal, value })
                }
                _ => None,
            };
            Some((operand, items.iter().map(bound).collect::<Option<_>>()?))
        }
        Expr::AnyAll { operand, array, operator, all: false } => {
            let Expr::Literal { value: Datum::Array(items), ty } = array.as_ref() else { return None };
            if comparison(*operator) != Some(Comparison::Equal)
                || !ty.kind.element().is_some_and(|kind| is_comparable(operand, kind))
            {
                return None;
            }
            let bound = |value| Bound { comparison: Comparison::Equal, value };
            Some((operand, items.iter().map(bound).collect()))
        }
        _ => None,
    }
}

/// Whether a constant of this type stands for itself beside an operand: the blanks of char(n) count for nothing.
fn is_comparable(operand: &Expr, kind: TypeKind) -> bool {
    operand.ty().kind == kind && kind != TypeKind::Bpchar
}

#[cfg(test)]
mod tests {
    use expr::Type;

    use super::*;

    fn number(value: i32) -> Expr {
        Expr::literal(Datum::Int4(value), TypeKind::Int4)
    }

    fn compare(operator: &str, value: i32) -> Expr {
        let column = Expr::Column { index: 0, ty: Type::plain(TypeKind::Int4) };
        let found = expr::operators::find(operator, Some(TypeKind::Int4), TypeKind::Int4).unwrap();
        Expr::call(found.function, vec![column, number(value)], TypeKind::Bool)
    }

    #[test]
    fn bounds_imply_what_holds_of_every_value_within_them() {
        let holds = |operator: &str, value: i32, of: i32| match operator {
            "=" => of == value,
            "<>" => of != value,
            "<" => of < value,
            "<=" => of <= value,
            ">" => of > value,
            _ => of >= value,
        };
        // Halves count too: what follows for whole numbers alone is not proved.
        let operators = ["=", "<>", "<", "<=", ">", ">="];
        for given in operators {
            for wanted in operators {
                for value in [1, 3, 5] {
                    let sure = (-9..20)
                        .all(|of| !holds(given, 6, of * 2) || holds(wanted, value * 2, of * 2))
                        && (-9..20)
                            .all(|of| !holds(given, 6, of * 2 + 1) || holds(wanted, value * 2, of * 2 + 1));
                    let proved = implied(&[&compare(given, 6)], &compare(wanted, value * 2));
                    assert_eq!(proved, sure, "x {given} 6, x {wanted} {}", value * 2);
                }
            }
        }
    }

    #[test]
    fn a_comparison_is_not_null() {
        let column = || Expr::Column { index: 0, ty: Type::plain(TypeKind::Int4) };
        let not_null = Expr::IsNull { operand: Box::new(column()), negated: true };
        assert!(implied(&[&compare("<", 5)], &not_null));
        assert!(!implied(&[&Expr::IsNull { operand: Box::new(column()), negated: false }], &not_null));
    }
}
