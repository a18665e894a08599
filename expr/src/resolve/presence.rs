//! Whether there is a value at all. Of a record `IS NULL` asks about the fields; that it is there is another matter.

use crate::operators;
use crate::tree::Expr;

/// Whether a value is there.
pub fn is_there(value: Expr) -> Expr {
    tested(value, true)
}

/// Whether a value is not there.
pub fn is_missing(value: Expr) -> Expr {
    tested(value, false)
}

fn tested(value: Expr, there: bool) -> Expr {
    let ty = value.ty();
    match operators::equality(ty.kind).filter(|_| ty.kind.is_record()) {
        Some(equals) => {
            let (left, right) = (Box::new(value), Box::new(Expr::null(ty)));
            Expr::IsDistinct { left, right, equals, negated: !there }
        }
        None => Expr::IsNull { operand: Box::new(value), negated: there },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::datum::Datum;
    use crate::datum::record::Record;
    use crate::evaluate::EvalContext;
    use crate::session::SessionContext;
    use crate::types::{Symbol, Type, TypeKind};

    fn answers(value: Datum, kind: TypeKind) -> (bool, bool) {
        let session = SessionContext::default();
        let context = EvalContext::new(&[], &[], &session);
        let value = Expr::Literal { value, ty: Type::plain(kind) };
        let asked = |test: Expr| test.evaluate(&context).unwrap().is_true();
        (asked(is_there(value.clone())), asked(is_missing(value)))
    }

    #[test]
    fn records_of_nulls_are_there() {
        let pair = TypeKind::made(20_000, TypeKind::Record, Symbol::NONE);
        let record = |fields| Datum::Record(Arc::new(Record::composite(fields).unwrap()));
        for (value, kind, is_there) in [
            (Datum::Int4(1), TypeKind::Int4, true),
            (Datum::Null, TypeKind::Int4, false),
            (Datum::Null, pair, false),
            (record(vec![Datum::Null, Datum::Null]), pair, true),
            (record(vec![Datum::Int4(1), Datum::Null]), pair, true),
            (record(Vec::new()), TypeKind::Record, true),
        ] {
            assert_eq!(answers(value, kind), (is_there, !is_there));
        }
    }
}
