//! The value of an expression for a row.
//!
//! Columns, literals and parameters are borrowed from where they stand, and operators of one or two operands are
//! called without a list of arguments, so that a comparison of a column with a constant copies nothing.

use std::borrow::Cow;

use crate::casts;
use crate::compare::compare;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::functions::{Body, FunctionId};
use crate::session::SessionContext;
use crate::tree::Expr;
use crate::types::Type;

/// What an expression is evaluated against.
#[derive(Debug, Clone, Copy)]
pub struct EvalContext<'a> {
    /// What [`Expr::Column`] reads.
    pub row: &'a [Datum],
    /// What [`Expr::Parameter`] reads.
    pub params: &'a [Datum],
    /// What functions may depend on.
    pub session: &'a SessionContext,
    /// What [`Expr::CaseOperand`] reads.
    case_operand: Option<&'a Datum>,
}

impl<'a> EvalContext<'a> {
    /// For one row.
    pub fn new(row: &'a [Datum], params: &'a [Datum], session: &'a SessionContext) -> Self {
        Self { row, params, session, case_operand: None }
    }
}

/// A truth value of three-valued logic; None = NULL.
type Truth = Option<bool>;

fn truth(value: &Datum) -> Result<Truth> {
    match value {
        Datum::Bool(value) => Ok(Some(*value)),
        Datum::Null => Ok(None),
        _ => Err(Error::internal("condition is not boolean")),
    }
}

impl Expr {
    /// The value for the context's row.
    pub fn evaluate(&self, context: &EvalContext<'_>) -> Result<Datum> {
        self.evaluate_ref(context).map(Cow::into_owned)
    }

    /// Whether a condition holds: NULL counts as false.
    pub fn evaluate_condition(&self, context: &EvalContext<'_>) -> Result<bool> {
        Ok(self.evaluate_ref(context)?.is_true())
    }

    /// The value, borrowed where it stands ready.
    pub fn evaluate_ref<'a>(&'a self, context: &EvalContext<'a>) -> Result<Cow<'a, Datum>> {
        let owned = match self {
            Expr::Literal { value, .. } => return Ok(Cow::Borrowed(value)),
            Expr::Column { index, .. } => {
                let value =
                    context.row.get(*index).ok_or_else(|| Error::internal("row has no such column"))?;
                return Ok(Cow::Borrowed(value));
            }
            Expr::Parameter { index, .. } => {
                let value = context
                    .params
                    .get(*index)
                    .ok_or_else(|| Error::new("42P02", format!("there is no parameter ${}", index + 1)))?;
                return Ok(Cow::Borrowed(value));
            }
            Expr::CaseOperand { .. } => {
                let value = context.case_operand.ok_or_else(|| Error::internal("no CASE at hand"))?;
                return Ok(Cow::Borrowed(value));
            }
            Expr::Call { function, args, .. } => call(*function, args, context)?,
            Expr::Coalesce { args, .. } => {
                for arg in args {
                    let value = arg.evaluate_ref(context)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Datum::Null
            }
            Expr::Case { operand, branches, otherwise, .. } => {
                return case(operand.as_deref(), branches, otherwise.as_deref(), context);
            }
            Expr::NullIf { left, right, equals, .. } => {
                let value = left.evaluate_ref(context)?;
                let other = right.evaluate_ref(context)?;
                match apply_two(*equals, &value, &other, context)?.is_true() {
                    true => Datum::Null,
                    false => return Ok(value),
                }
            }
            Expr::Extreme { args, greatest, .. } => extreme(args, *greatest, context)?,
            Expr::And(items) => junction(items, false, context)?,
            Expr::Or(items) => junction(items, true, context)?,
            Expr::Not(operand) => truth(&*operand.evaluate_ref(context)?)?.map(|value| !value).into(),
            Expr::IsNull { operand, negated } => {
                Datum::Bool(operand.evaluate_ref(context)?.is_null() != *negated)
            }
            Expr::IsBool { operand, value, negated } => {
                Datum::Bool((truth(&*operand.evaluate_ref(context)?)? == *value) != *negated)
            }
            Expr::IsDistinct { left, right, equals, negated } => {
                let (left, right) = (left.evaluate_ref(context)?, right.evaluate_ref(context)?);
                let same = match (left.is_null(), right.is_null()) {
                    (false, false) => apply_two(*equals, &left, &right, context)?.is_true(),
                    (left, right) => left && right,
                };
                Datum::Bool(same == *negated)
            }
            Expr::In { operand, items, equals, negated } => {
                let value = operand.evaluate_ref(context)?;
                let found = any(items.iter().map(|item| {
                    truth(&apply_two(*equals, &value, &*item.evaluate_ref(context)?, context)?)
                }))?;
                found.map(|found| found != *negated).into()
            }
            Expr::AnyAll { operand, array, operator, all } => {
                let (value, array) = (operand.evaluate_ref(context)?, array.evaluate_ref(context)?);
                let items = match &*array {
                    Datum::Null => return Ok(Cow::Owned(Datum::Null)),
                    Datum::Array(items) => items,
                    _ => return Err(Error::internal("ANY or ALL of what is no array")),
                };
                let results = items.iter().map(|item| truth(&apply_two(*operator, &value, item, context)?));
                match all {
                    // ALL holds unless the operator fails for any.
                    true => {
                        any(results.map(|result| Ok(result?.map(|holds| !holds))))?.map(|fails| !fails).into()
                    }
                    false => any(results)?.into(),
                }
            }
            Expr::Array { items, .. } => {
                let items: Result<Vec<_>> = items.iter().map(|item| item.evaluate(context)).collect();
                Datum::Array(items?.into())
            }
            Expr::Subscript { array, index, .. } => subscript(array, index, context)?,
            Expr::Cast { operand, to, explicit } => {
                let value = operand.evaluate_ref(context)?;
                let from = operand.ty();
                if to.modifier < 0 && casts::is_relabel(from.kind, to.kind) {
                    return Ok(value);
                }
                casts::apply(value.into_owned(), from, *to, *explicit, context.session)?
            }
        };
        Ok(Cow::Owned(owned))
    }
}

/// True if any is, else NULL if any is, else false.
fn any(results: impl Iterator<Item = Result<Truth>>) -> Result<Truth> {
    let mut answer = Some(false);
    for result in results {
        match result? {
            Some(true) => return Ok(Some(true)),
            Some(false) => {}
            None => answer = None,
        }
    }
    Ok(answer)
}

/// OR, or AND, which is decided by the first operand that equals `decisive`.
fn junction(items: &[Expr], decisive: bool, context: &EvalContext<'_>) -> Result<Datum> {
    let mut answer = Some(!decisive);
    for item in items {
        match truth(&*item.evaluate_ref(context)?)? {
            Some(value) if value == decisive => return Ok(Datum::Bool(decisive)),
            Some(_) => {}
            None => answer = None,
        }
    }
    Ok(answer.into())
}

fn case<'a>(
    operand: Option<&'a Expr>,
    branches: &'a [(Expr, Expr)],
    otherwise: Option<&'a Expr>,
    context: &EvalContext<'a>,
) -> Result<Cow<'a, Datum>> {
    let value = operand.map(|operand| operand.evaluate(context)).transpose()?;
    for (condition, result) in branches {
        let holds = match &value {
            Some(value) => {
                condition.evaluate_condition(&EvalContext { case_operand: Some(value), ..*context })?
            }
            None => condition.evaluate_condition(context)?,
        };
        if holds {
            return result.evaluate_ref(context);
        }
    }
    otherwise.map_or(Ok(Cow::Owned(Datum::Null)), |otherwise| otherwise.evaluate_ref(context))
}

fn extreme(args: &[Expr], greatest: bool, context: &EvalContext<'_>) -> Result<Datum> {
    let mut best: Option<Datum> = None;
    for arg in args {
        let value = arg.evaluate_ref(context)?;
        if value.is_null() {
            continue;
        }
        let better = best.as_ref().is_none_or(|best| {
            let order = compare(&value, best);
            if greatest { order.is_gt() } else { order.is_lt() }
        });
        if better {
            best = Some(value.into_owned());
        }
    }
    Ok(best.unwrap_or_default())
}

fn subscript(array: &Expr, index: &Expr, context: &EvalContext<'_>) -> Result<Datum> {
    let first = i64::from(array.ty().kind.first_subscript());
    let (array, index) = (array.evaluate_ref(context)?, index.evaluate_ref(context)?);
    let (Datum::Array(items), Some(index)) = (&*array, index.as_i64()) else { return Ok(Datum::Null) };
    let item = usize::try_from(index - first).ok().and_then(|place| items.get(place));
    Ok(item.cloned().unwrap_or_default())
}

/// A function of two arguments that are at hand.
fn apply_two(function: FunctionId, left: &Datum, right: &Datum, context: &EvalContext<'_>) -> Result<Datum> {
    match function.body {
        _ if function.strict && (left.is_null() || right.is_null()) => Ok(Datum::Null),
        Body::Two(body) => body(left, right),
        _ => function.call(&[left.clone(), right.clone()], &[], context.session),
    }
}

fn call(function: FunctionId, args: &[Expr], context: &EvalContext<'_>) -> Result<Datum> {
    match (function.body, args) {
        (Body::Two(body), [left, right]) => {
            let left = left.evaluate_ref(context)?;
            if function.strict && left.is_null() {
                return Ok(Datum::Null);
            }
            let right = right.evaluate_ref(context)?;
            match function.strict && right.is_null() {
                true => Ok(Datum::Null),
                false => body(&left, &right),
            }
        }
        (Body::One(body), [operand]) => {
            let value = operand.evaluate_ref(context)?;
            match function.strict && value.is_null() {
                true => Ok(Datum::Null),
                false => body(&value),
            }
        }
        _ => {
            let values: Result<Vec<_>> = args.iter().map(|arg| arg.evaluate(context)).collect();
            let types: Vec<Type> = match function.body {
                Body::Typed(_) => args.iter().map(Expr::ty).collect(),
                _ => Vec::new(),
            };
            function.call(&values?, &types, context.session)
        }
    }
}
