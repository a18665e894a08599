//! The typed expression: what the binder makes of SQL and the evaluator computes. Every node knows its type,
//! every call names its function: nothing is left to be resolved.

pub mod visit;

use std::sync::Arc;

use crate::datum::Datum;
use crate::datum::record::Shape;
use crate::functions::FunctionId;
use crate::types::{Type, TypeKind};

/// A typed expression.
#[derive(Debug, Clone)]
pub enum Expr {
    /// A constant.
    Literal {
        /// Its value.
        value: Datum,
        /// Its type.
        ty: Type,
    },
    /// A column of the row at hand, by position.
    Column {
        /// From 0.
        index: usize,
        /// Its type.
        ty: Type,
    },
    /// A parameter of the statement.
    Parameter {
        /// From 0: `$1` is 0.
        index: usize,
        /// Its type.
        ty: Type,
    },
    /// A function or operator applied to its arguments.
    Call {
        /// Which.
        function: FunctionId,
        /// Already of the function's parameter types.
        args: Vec<Expr>,
        /// Of the result.
        ty: Type,
    },
    /// Three-valued AND of one or more.
    And(Vec<Expr>),
    /// Three-valued OR of one or more.
    Or(Vec<Expr>),
    /// Three-valued NOT.
    Not(Box<Expr>),
    /// IS NULL, IS NOT NULL.
    IsNull {
        /// What is asked about.
        operand: Box<Expr>,
        /// IS NOT NULL.
        negated: bool,
    },
    /// IS TRUE, IS FALSE, IS UNKNOWN and their negations.
    IsBool {
        /// A boolean.
        operand: Box<Expr>,
        /// What it is compared with; None = UNKNOWN.
        value: Option<bool>,
        /// IS NOT.
        negated: bool,
    },
    /// IS DISTINCT FROM; IS NOT DISTINCT FROM if negated.
    IsDistinct {
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
        /// The equality operator's function.
        equals: FunctionId,
        /// IS NOT DISTINCT FROM.
        negated: bool,
    },
    /// CASE. `CASE x WHEN y` is written with conditions `CaseOperand = y`.
    Case {
        /// `x` of `CASE x WHEN`, computed once.
        operand: Option<Box<Expr>>,
        /// Conditions and results in order.
        branches: Vec<(Expr, Expr)>,
        /// ELSE.
        otherwise: Option<Box<Expr>>,
        /// The common type of the results.
        ty: Type,
    },
    /// Inside a condition of [`Expr::Case`]: the value of its operand.
    CaseOperand {
        /// Of the operand.
        ty: Type,
    },
    /// COALESCE.
    Coalesce {
        /// Of the common type.
        args: Vec<Expr>,
        /// The common type.
        ty: Type,
    },
    /// NULLIF.
    NullIf {
        /// The result, unless it equals the right side. May have to be cast for the comparison, hence two fields.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
        /// The equality operator's function.
        equals: FunctionId,
        /// Of the left side.
        ty: Type,
    },
    /// GREATEST and LEAST.
    Extreme {
        /// Of the common type.
        args: Vec<Expr>,
        /// GREATEST.
        greatest: bool,
        /// The common type.
        ty: Type,
    },
    /// IN and NOT IN over a list of expressions.
    In {
        /// Left side.
        operand: Box<Expr>,
        /// Of the common type.
        items: Vec<Expr>,
        /// The equality operator's function.
        equals: FunctionId,
        /// NOT IN.
        negated: bool,
    },
    /// `operand op ANY (array)` and `operand op ALL (array)`.
    AnyAll {
        /// Left side.
        operand: Box<Expr>,
        /// An array expression.
        array: Box<Expr>,
        /// The operator's function, of operand and element.
        operator: FunctionId,
        /// ALL.
        all: bool,
    },
    /// ARRAY[…].
    Array {
        /// Of the element type, or arrays of the same type, which become one with a dimension more.
        items: Vec<Expr>,
        /// The array's type.
        ty: Type,
    },
    /// `array[i][j]`, `array[i:j]`.
    Subscript {
        /// An array expression.
        array: Box<Expr>,
        /// One for each dimension, or for each of the first ones of a slice.
        subscripts: Vec<Subscript>,
        /// The element's type, or the array's if this is a slice.
        ty: Type,
    },
    /// `ROW(…)`, or the row of a table as one value.
    Row {
        /// Its fields.
        fields: Vec<Expr>,
        /// Their names and types.
        shape: Arc<Shape>,
        /// A record, or a composite type.
        ty: Type,
    },
    /// `(record).field`
    Field {
        /// A record.
        record: Box<Expr>,
        /// Which of its fields, from 0.
        place: usize,
        /// The field's type.
        ty: Type,
    },
    /// A cast.
    Cast {
        /// What is cast.
        operand: Box<Expr>,
        /// To which type.
        to: Type,
        /// `CAST` or `::`, which may cut off what does not fit, rather than an assignment or an implicit cast.
        explicit: bool,
    },
    /// A value that becomes one of a domain.
    Checked {
        /// Of what the domain is over.
        operand: Box<Expr>,
        /// Judges it.
        domain: Arc<Domain>,
        /// The domain, or arrays of it.
        ty: Type,
    },
}

/// A domain, as far as values are judged by it.
#[derive(Debug, Clone)]
pub struct Domain {
    /// What messages call it.
    pub name: String,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Names and conditions, over a row whose only column is the value.
    pub checks: Vec<(String, Expr)>,
    /// Whether it is each element of an array that is judged.
    pub of_elements: bool,
}

/// What stands between brackets behind an array: int4 expressions.
#[derive(Debug, Clone)]
pub enum Subscript {
    /// `[i]`; beside a slice it stands for `[1:i]`.
    Index(Expr),
    /// `[i:j]`, where either may be left out.
    Slice(Option<Expr>, Option<Expr>),
}

impl Subscript {
    /// The expressions.
    pub fn bounds(&self) -> impl Iterator<Item = &Expr> {
        let (first, second) = match self {
            Subscript::Index(index) => (Some(index), None),
            Subscript::Slice(lower, upper) => (lower.as_ref(), upper.as_ref()),
        };
        first.into_iter().chain(second)
    }

    /// The expressions, to be changed in place.
    pub fn bounds_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let (first, second) = match self {
            Subscript::Index(index) => (Some(index), None),
            Subscript::Slice(lower, upper) => (lower.as_mut(), upper.as_mut()),
        };
        first.into_iter().chain(second)
    }

    /// Whether the same bounds of both are given.
    pub fn is_alike(&self, other: &Self) -> bool {
        match (self, other) {
            (Subscript::Index(_), Subscript::Index(_)) => true,
            (Subscript::Slice(a, b), Subscript::Slice(c, d)) => {
                a.is_some() == c.is_some() && b.is_some() == d.is_some()
            }
            _ => false,
        }
    }
}

impl Expr {
    /// A constant.
    pub fn literal(value: impl Into<Datum>, ty: impl Into<Type>) -> Self {
        Expr::Literal { value: value.into(), ty: ty.into() }
    }

    /// NULL of a type.
    pub fn null(ty: impl Into<Type>) -> Self {
        Expr::Literal { value: Datum::Null, ty: ty.into() }
    }

    /// A column of the row.
    pub fn column(index: usize, ty: impl Into<Type>) -> Self {
        Expr::Column { index, ty: ty.into() }
    }

    /// A call whose result has no modifier.
    pub fn call(function: FunctionId, args: Vec<Expr>, ty: impl Into<Type>) -> Self {
        Expr::Call { function, args, ty: ty.into() }
    }

    /// All conditions at once; TRUE if there are none. Nested ANDs become one.
    pub fn all(conditions: impl IntoIterator<Item = Expr>) -> Self {
        let mut flat = Vec::new();
        for condition in conditions {
            match condition {
                Expr::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Expr::literal(true, TypeKind::Bool),
            1 => flat.pop().unwrap_or_else(|| Expr::literal(true, TypeKind::Bool)),
            _ => Expr::And(flat),
        }
    }

    /// The type of its value.
    pub fn ty(&self) -> Type {
        match self {
            Expr::Literal { ty, .. }
            | Expr::Column { ty, .. }
            | Expr::Parameter { ty, .. }
            | Expr::Call { ty, .. }
            | Expr::Case { ty, .. }
            | Expr::CaseOperand { ty }
            | Expr::Coalesce { ty, .. }
            | Expr::NullIf { ty, .. }
            | Expr::Extreme { ty, .. }
            | Expr::Array { ty, .. }
            | Expr::Subscript { ty, .. }
            | Expr::Row { ty, .. }
            | Expr::Field { ty, .. }
            | Expr::Checked { ty, .. } => *ty,
            Expr::Cast { to, .. } => *to,
            Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::IsNull { .. }
            | Expr::IsBool { .. }
            | Expr::IsDistinct { .. }
            | Expr::In { .. }
            | Expr::AnyAll { .. } => Type::plain(TypeKind::Bool),
        }
    }

    /// The same as a value of what its type is over, if that is a domain.
    #[must_use]
    pub fn into_base(self) -> Self {
        let base = self.ty().kind.base();
        match self {
            expr if expr.ty().kind == base => expr,
            Expr::Column { index, .. } => Expr::Column { index, ty: base.into() },
            Expr::Parameter { index, .. } => Expr::Parameter { index, ty: base.into() },
            Expr::Literal { value, .. } => Expr::Literal { value, ty: base.into() },
            expr => Expr::Cast { operand: Box::new(expr), to: base.into(), explicit: false },
        }
    }

    /// Whether this is a string literal, or NULL, whose type is still open.
    pub fn is_unknown(&self) -> bool {
        self.ty().kind == TypeKind::Unknown
    }
}
