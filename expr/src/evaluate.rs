//! The value of an expression for a row.
//!
//! Columns, literals and parameters are borrowed from where they stand, and operators of one or two operands are
//! called without a list of arguments, so that a comparison of a column with a constant copies nothing.

use std::borrow::Cow;
use std::sync::Arc;

use crate::casts;
use crate::compare::{Comparison, compare_of};
use crate::datum::Datum;
use crate::datum::array::{Array, DIMENSIONS_MAX};
use crate::datum::record::{Record, Shape};
use crate::dissimilar;
use crate::error::{Error, Result};
use crate::functions::{Body, FunctionId};
use crate::session::SessionContext;
use crate::tree::{Domain, Expr, Subscript};
use crate::types::Type;
use crate::work;

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

    /// Whether a condition holds: NULL counts as false. Of conditions that all have to hold none is looked at behind the
    /// first that does not, be it NULL: those behind may be about what the first has to hide.
    pub fn evaluate_condition(&self, context: &EvalContext<'_>) -> Result<bool> {
        if let Expr::And(items) = self {
            for item in items {
                if !item.evaluate_condition(context)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        if let Expr::Call { function, args, .. } = self
            && let (Body::Ordered(test), [left, right]) = (function.body, args.as_slice())
        {
            work::part()?;
            return Ok(ordered(test, function.strict, left, right, context)? == Some(true));
        }
        Ok(self.evaluate_ref(context)?.is_true())
    }

    /// The value, borrowed where it stands ready.
    ///
    /// Expressions are nested as deep as people write them, so what is needed at every level is kept small: each
    /// kind has a function, and a frame, of its own.
    pub fn evaluate_ref<'a>(&'a self, context: &EvalContext<'a>) -> Result<Cow<'a, Datum>> {
        match self {
            Expr::Literal { value, .. } => Ok(Cow::Borrowed(value)),
            Expr::Column { index, .. } => column(*index, context),
            Expr::Parameter { index, .. } => parameter(*index, context),
            Expr::CaseOperand { .. } => case_operand(context),
            _ => self.evaluate_part(context),
        }
    }

    /// The value of the kinds that have to be computed: each counts as work.
    fn evaluate_part<'a>(&'a self, context: &EvalContext<'a>) -> Result<Cow<'a, Datum>> {
        work::part()?;
        match self {
            Expr::Call { function, args, .. } => call(*function, args, context),
            Expr::Coalesce { args, .. } => coalesce(args, context),
            Expr::Case { operand, branches, otherwise, .. } => {
                case(operand.as_deref(), branches, otherwise.as_deref(), context)
            }
            Expr::NullIf { left, right, equals, .. } => null_if(left, right, *equals, context),
            Expr::Cast { operand, to, explicit } => cast(operand, *to, *explicit, context),
            Expr::Checked { operand, domain, .. } => {
                let value = operand.evaluate_ref(context)?;
                domain.judge(&value, context.session)?;
                Ok(value)
            }
            _ => self.evaluate_owned(context).map(Cow::Owned),
        }
    }

    /// The value of the kinds whose values never stand ready.
    fn evaluate_owned(&self, context: &EvalContext<'_>) -> Result<Datum> {
        match self {
            Expr::Extreme { args, greatest, ty } => extreme(args, *greatest, *ty, context),
            Expr::And(items) => junction(items, false, context),
            Expr::Or(items) => junction(items, true, context),
            Expr::Not(operand) => not(operand, context),
            Expr::IsNull { operand, negated } => is_null(operand, *negated, context),
            Expr::IsBool { operand, value, negated } => is_bool(operand, *value, *negated, context),
            Expr::IsDistinct { left, right, equals, negated } => {
                is_distinct(left, right, *equals, *negated, context)
            }
            Expr::In { operand, items, equals, negated } => is_in(operand, items, *equals, *negated, context),
            Expr::AnyAll { operand, array, operator, all } => {
                any_all(operand, array, *operator, *all, context)
            }
            Expr::Array { items, ty } => array(items, *ty, context),
            Expr::Subscript { array, subscripts, .. } => subscript(array, subscripts, context),
            Expr::Row { fields, shape, ty } => row(fields, shape, *ty, context),
            Expr::Field { record, place, .. } => field(record, *place, context),
            _ => Err(Error::internal("an expression whose value stands ready")),
        }
    }
}

impl Domain {
    /// Judges a value that is to be one of the domain, or an array of such.
    ///
    /// # Errors
    /// 23502: it is NULL and must not be; 23514: a condition is false.
    pub fn judge(&self, value: &Datum, session: &SessionContext) -> Result<()> {
        match value {
            Datum::Array(items) if self.of_elements => {
                items.iter().try_for_each(|item| self.judge_one(item, session))
            }
            _ if self.of_elements => Ok(()),
            value => self.judge_one(value, session),
        }
    }

    fn judge_one(&self, value: &Datum, session: &SessionContext) -> Result<()> {
        if self.not_null && value.is_null() {
            return Err(Error::new("23502", format!("domain {} does not allow null values", self.name)));
        }
        let row = std::slice::from_ref(value);
        for (name, condition) in &self.checks {
            if let Datum::Bool(false) = condition.evaluate(&EvalContext::new(row, &[], session))? {
                let message = format!("value for domain {} violates check constraint \"{name}\"", self.name);
                return Err(Error::new("23514", message).with_constraint(name));
            }
        }
        Ok(())
    }
}

fn column<'a>(index: usize, context: &EvalContext<'a>) -> Result<Cow<'a, Datum>> {
    let value = context.row.get(index).ok_or_else(|| Error::internal("row has no such column"))?;
    Ok(Cow::Borrowed(value))
}

fn parameter<'a>(index: usize, context: &EvalContext<'a>) -> Result<Cow<'a, Datum>> {
    let missing = || Error::new("42P02", format!("there is no parameter ${}", index + 1));
    Ok(Cow::Borrowed(context.params.get(index).ok_or_else(missing)?))
}

fn case_operand<'a>(context: &EvalContext<'a>) -> Result<Cow<'a, Datum>> {
    Ok(Cow::Borrowed(context.case_operand.ok_or_else(|| Error::internal("no CASE at hand"))?))
}

fn coalesce<'a>(args: &'a [Expr], context: &EvalContext<'a>) -> Result<Cow<'a, Datum>> {
    for arg in args {
        let value = arg.evaluate_ref(context)?;
        if !value.is_null() {
            return Ok(value);
        }
    }
    Ok(Cow::Owned(Datum::Null))
}

fn null_if<'a>(
    left: &'a Expr,
    right: &'a Expr,
    equals: FunctionId,
    context: &EvalContext<'a>,
) -> Result<Cow<'a, Datum>> {
    let value = left.evaluate_ref(context)?;
    let other = right.evaluate_ref(context)?;
    match apply_two(equals, &value, &other, context)?.is_true() {
        true => Ok(Cow::Owned(Datum::Null)),
        false => Ok(value),
    }
}

fn cast<'a>(
    operand: &'a Expr,
    to: Type,
    explicit: bool,
    context: &EvalContext<'a>,
) -> Result<Cow<'a, Datum>> {
    let value = operand.evaluate_ref(context)?;
    let from = operand.ty();
    if to.modifier < 0 && casts::is_relabel(from.kind, to.kind) {
        return Ok(value);
    }
    work::note(&value)?;
    made(casts::apply(value.into_owned(), from, to, explicit, context.session)?).map(Cow::Owned)
}

fn not(operand: &Expr, context: &EvalContext<'_>) -> Result<Datum> {
    Ok(truth(&*operand.evaluate_ref(context)?)?.map(|value| !value).into())
}

fn is_null(operand: &Expr, negated: bool, context: &EvalContext<'_>) -> Result<Datum> {
    let value = operand.evaluate_ref(context)?;
    Ok(Datum::Bool(match &*value {
        // Of a row: whether all of its fields are (not) NULL, those too that it lacks.
        Datum::Record(record) => {
            let attributes = context.session.catalog.attributes(operand.ty().kind);
            let lacks = attributes.is_some_and(|all| record.fields().len() < all.len());
            record.fields().iter().all(|field| field.is_null() != negated) && !(negated && lacks)
        }
        value => value.is_null() != negated,
    }))
}

fn row(fields: &[Expr], shape: &Arc<Shape>, ty: Type, context: &EvalContext<'_>) -> Result<Datum> {
    let mut bytes = 0;
    let values = fields.iter().map(|field| work::grown(&mut bytes, field.evaluate(context)?));
    let values = values.collect::<Result<Vec<Datum>>>()?;
    let record = match ty.kind.is_composite() {
        true => Record::composite(values)?,
        false => Record::new(shape.clone(), values)?,
    };
    Ok(Datum::Record(Arc::new(record)))
}

fn field(record: &Expr, place: usize, context: &EvalContext<'_>) -> Result<Datum> {
    match &*record.evaluate_ref(context)? {
        Datum::Null => Ok(Datum::Null),
        Datum::Record(record) => Ok(record.fields().get(place).cloned().unwrap_or_default()),
        _ => Err(Error::internal("a field of what is no record")),
    }
}

fn is_bool(operand: &Expr, value: Truth, negated: bool, context: &EvalContext<'_>) -> Result<Datum> {
    Ok(Datum::Bool((truth(&*operand.evaluate_ref(context)?)? == value) != negated))
}

fn is_distinct(
    left: &Expr,
    right: &Expr,
    equals: FunctionId,
    negated: bool,
    context: &EvalContext<'_>,
) -> Result<Datum> {
    let (left, right) = (left.evaluate_ref(context)?, right.evaluate_ref(context)?);
    let same = match (left.is_null(), right.is_null()) {
        (false, false) => apply_two(equals, &left, &right, context)?.is_true(),
        (left, right) => left && right,
    };
    Ok(Datum::Bool(same == negated))
}

fn is_in(
    operand: &Expr,
    items: &[Expr],
    equals: FunctionId,
    negated: bool,
    context: &EvalContext<'_>,
) -> Result<Datum> {
    let value = operand.evaluate_ref(context)?;
    work::spend(items.len().saturating_mul(size_of::<Datum>()))?;
    let found = any(items
        .iter()
        .map(|item| truth(&apply_two(equals, &value, &*item.evaluate_ref(context)?, context)?)))?;
    Ok(found.map(|found| found != negated).into())
}

fn any_all(
    operand: &Expr,
    array: &Expr,
    operator: FunctionId,
    all: bool,
    context: &EvalContext<'_>,
) -> Result<Datum> {
    let (value, array) = (operand.evaluate_ref(context)?, array.evaluate_ref(context)?);
    work::note(&array)?;
    let items = match &*array {
        Datum::Null => return Ok(Datum::Null),
        Datum::Array(items) => items,
        _ => return Err(Error::internal("ANY or ALL of what is no array")),
    };
    let results = items.iter().map(|item| truth(&apply_two(operator, &value, item, context)?));
    Ok(match all {
        // ALL holds unless the operator fails for any.
        true => any(results.map(|result| Ok(result?.map(|holds| !holds))))?.map(|fails| !fails).into(),
        false => any(results)?.into(),
    })
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
        let with_operand = EvalContext { case_operand: value.as_ref().or(context.case_operand), ..*context };
        let holds = condition.evaluate_ref(&with_operand)?.is_true();
        if holds {
            return result.evaluate_ref(context);
        }
    }
    otherwise.map_or(Ok(Cow::Owned(Datum::Null)), |otherwise| otherwise.evaluate_ref(context))
}

fn extreme(args: &[Expr], greatest: bool, ty: Type, context: &EvalContext<'_>) -> Result<Datum> {
    let mut best: Option<Datum> = None;
    for arg in args {
        let value = arg.evaluate_ref(context)?;
        if value.is_null() {
            continue;
        }
        let order = match &best {
            None => None,
            Some(best) if ty.kind.is_record() => Some(dissimilar::order(Comparison::Less, &value, best)?),
            Some(best) => Some(compare_of(ty.kind, &value, best)),
        };
        if order.is_none_or(|order| if greatest { order.is_gt() } else { order.is_lt() }) {
            best = Some(value.into_owned());
        }
    }
    Ok(best.unwrap_or_default())
}

fn array(items: &[Expr], ty: Type, context: &EvalContext<'_>) -> Result<Datum> {
    work::spend(items.len().saturating_mul(size_of::<Datum>()))?;
    let nested = items.first().is_some_and(|item| item.ty().kind == ty.kind);
    let items: Result<Vec<_>> = items.iter().map(|item| item.evaluate(context)).collect();
    Ok(Datum::Array(if nested { Array::stacked(&items?)? } else { items?.into() }))
}

fn subscript(array: &Expr, subscripts: &[Subscript], context: &EvalContext<'_>) -> Result<Datum> {
    let array = array.evaluate_ref(context)?;
    let Datum::Array(items) = &*array else { return Ok(Datum::Null) };
    if subscripts.iter().any(|subscript| matches!(subscript, Subscript::Slice(..))) {
        return slice(items, subscripts, context);
    }
    let mut places = [0; DIMENSIONS_MAX];
    let given = places.get_mut(..subscripts.len());
    for (subscript, place) in subscripts.iter().zip(given.into_iter().flatten()) {
        for bound in subscript.bounds() {
            match int4(bound, context)? {
                Some(number) => *place = number,
                None => return Ok(Datum::Null),
            }
        }
    }
    let item = places.get(..subscripts.len()).and_then(|places| items.get_at(places));
    Ok(item.cloned().unwrap_or_default())
}

fn slice(items: &Array, subscripts: &[Subscript], context: &EvalContext<'_>) -> Result<Datum> {
    let mut bounds = Vec::with_capacity(subscripts.len());
    for (number, subscript) in subscripts.iter().enumerate() {
        let whole = items.dimension(number).map_or((1, 0), |dimension| (dimension.lower, dimension.upper()));
        let bound = |expr: Option<&Expr>, otherwise: i32| match expr {
            Some(expr) => int4(expr, context),
            None => Ok(Some(otherwise)),
        };
        let (lower, upper) = match subscript {
            Subscript::Index(index) => (Some(1), int4(index, context)?),
            Subscript::Slice(lower, upper) => {
                (bound(lower.as_ref(), whole.0)?, bound(upper.as_ref(), whole.1)?)
            }
        };
        let (Some(lower), Some(upper)) = (lower, upper) else { return Ok(Datum::Null) };
        bounds.push((lower, upper));
    }
    work::spend(size_of_val(items.items().as_ref()))?;
    Ok(Datum::Array(items.slice(&bounds).unwrap_or_default()))
}

fn int4(expr: &Expr, context: &EvalContext<'_>) -> Result<Option<i32>> {
    match &*expr.evaluate_ref(context)? {
        Datum::Int4(number) => Ok(Some(*number)),
        Datum::Null => Ok(None),
        _ => Err(Error::internal("subscript is not an integer")),
    }
}

/// A function of two arguments that are at hand.
fn apply_two(function: FunctionId, left: &Datum, right: &Datum, context: &EvalContext<'_>) -> Result<Datum> {
    match function.body {
        _ if function.strict && (left.is_null() || right.is_null()) => Ok(Datum::Null),
        Body::Two(body) => body(left, right),
        Body::Ordered(test) => Ok(Datum::Bool(dissimilar::holds(test, left, right)?)),
        _ => function.call(&[left.clone(), right.clone()], &[], context.session),
    }
}

fn call<'a>(function: FunctionId, args: &'a [Expr], context: &EvalContext<'a>) -> Result<Cow<'a, Datum>> {
    match (function.body, args) {
        (Body::Ordered(test), [left, right]) => {
            ordered(test, function.strict, left, right, context).map(Datum::from)
        }
        (Body::Two(body), [left, right]) => call_two(body, function.strict, left, right, context),
        (Body::One(body), [operand]) => call_one(body, function.strict, operand, context),
        _ => call_many(function, args, context),
    }
    .map(Cow::Owned)
}

/// What a comparison says of two operands.
fn ordered(
    test: Comparison,
    strict: bool,
    left: &Expr,
    right: &Expr,
    context: &EvalContext<'_>,
) -> Result<Truth> {
    if let (Some(left), Some(right)) = (at_hand(left, context), at_hand(right, context)) {
        return compared(test, strict, left, right);
    }
    let left = left.evaluate_ref(context)?;
    if strict && left.is_null() {
        return Ok(None);
    }
    compared(test, strict, &left, &*right.evaluate_ref(context)?)
}

fn compared(test: Comparison, strict: bool, left: &Datum, right: &Datum) -> Result<Truth> {
    if strict && (left.is_null() || right.is_null()) {
        return Ok(None);
    }
    work::note(left)?;
    work::note(right)?;
    dissimilar::holds(test, left, right).map(Some)
}

/// The value of an operand that has nothing to be computed.
#[inline]
fn at_hand<'a>(operand: &'a Expr, context: &EvalContext<'a>) -> Option<&'a Datum> {
    match operand {
        Expr::Column { index, .. } => context.row.get(*index),
        Expr::Literal { value, .. } => Some(value),
        Expr::Parameter { index, .. } => context.params.get(*index),
        _ => None,
    }
}

fn call_two(
    body: fn(&Datum, &Datum) -> Result<Datum>,
    strict: bool,
    left: &Expr,
    right: &Expr,
    context: &EvalContext<'_>,
) -> Result<Datum> {
    if let (Some(left), Some(right)) = (at_hand(left, context), at_hand(right, context)) {
        return applied(body, strict, left, right);
    }
    let left = left.evaluate_ref(context)?;
    if strict && left.is_null() {
        return Ok(Datum::Null);
    }
    applied(body, strict, &left, &*right.evaluate_ref(context)?)
}

fn applied(
    body: fn(&Datum, &Datum) -> Result<Datum>,
    strict: bool,
    left: &Datum,
    right: &Datum,
) -> Result<Datum> {
    if strict && (left.is_null() || right.is_null()) {
        return Ok(Datum::Null);
    }
    work::note(left)?;
    work::note(right)?;
    made(body(left, right)?)
}

/// A value that a function has made, counted.
fn made(value: Datum) -> Result<Datum> {
    work::note(&value)?;
    Ok(value)
}

fn call_one(
    body: fn(&Datum) -> Result<Datum>,
    strict: bool,
    operand: &Expr,
    context: &EvalContext<'_>,
) -> Result<Datum> {
    let value = operand.evaluate_ref(context)?;
    if strict && value.is_null() {
        return Ok(Datum::Null);
    }
    work::note(&value)?;
    made(body(&value)?)
}

fn call_many(function: FunctionId, args: &[Expr], context: &EvalContext<'_>) -> Result<Datum> {
    let values = args.iter().map(|arg| arg.evaluate(context)).collect::<Result<Vec<_>>>()?;
    values.iter().try_for_each(work::note)?;
    let types: Vec<Type> = match function.body {
        Body::Typed(_) => args.iter().map(Expr::ty).collect(),
        _ => Vec::new(),
    };
    made(function.call(&values, &types, context.session)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::compare::compare;
    use crate::datum::arbitrary::{any_datum, datum_of};
    use crate::functions;
    use crate::operators::comparison;
    use crate::types::TypeKind;

    /// The comparisons that are told from the order alone.
    fn ordered_functions() -> impl Iterator<Item = (FunctionId, Comparison)> {
        functions::all().filter_map(|function| match function.body {
            Body::Ordered(test) => Some((function, test)),
            _ => None,
        })
    }

    #[test]
    fn functions_test_what_their_operators_say() {
        assert!(ordered_functions().count() > 200);
        for (function, test) in ordered_functions() {
            // Of `~<~` and its like planners know nothing.
            assert_eq!(comparison(function).unwrap_or(test), test, "{function:?}");
            assert!(function.strict, "{function:?}");
        }
    }

    #[test]
    fn a_condition_holds_where_its_value_is_true() {
        let mut runner = TestRunner::deterministic();
        let session = SessionContext::default();
        for (function, test) in ordered_functions() {
            let [left, right] = function.args else { panic!("{function:?}") };
            for round in 0..20 {
                let mut value = |kind: TypeKind| {
                    let value = prop_oneof![1 => Just(Datum::Null), 6 => datum_of(kind), 1 => any_datum()];
                    value.new_tree(&mut runner).unwrap().current()
                };
                let row = [value(*left), value(*right)];
                let expected = match row.iter().any(Datum::is_null) {
                    true => None,
                    false => Some(test.holds(compare(&row[0], &row[1]))),
                };
                let context = EvalContext::new(&row, &row, &session);
                let operand = |place: usize, form: usize| match form {
                    0 => Expr::column(place, function.args[place]),
                    1 => Expr::Parameter { index: place, ty: function.args[place].into() },
                    2 => Expr::literal(row[place].clone(), function.args[place]),
                    _ => Expr::Coalesce {
                        args: vec![Expr::column(place, function.args[place])],
                        ty: function.args[place].into(),
                    },
                };
                let args = vec![operand(0, round % 4), operand(1, round / 4 % 4)];
                let call = Expr::call(function, args, TypeKind::Bool);
                let value = call.evaluate(&context).unwrap();
                assert_eq!(
                    format!("{value:?}"),
                    format!("{:?}", Datum::from(expected)),
                    "{call:?} of {row:?}"
                );
                assert_eq!(call.evaluate_condition(&context).unwrap(), expected == Some(true));
                let all = Expr::And(vec![Expr::literal(true, TypeKind::Bool), call]);
                assert_eq!(all.evaluate_condition(&context).unwrap(), expected == Some(true));
            }
        }
        work::take();
    }

    #[test]
    fn a_condition_over_a_column_that_is_not_there_is_an_error() {
        let equal = FunctionId::from_oid(65).unwrap();
        let args = vec![Expr::column(1, TypeKind::Int4), Expr::literal(1_i32, TypeKind::Int4)];
        let condition = Expr::call(equal, args, TypeKind::Bool);
        let session = SessionContext::default();
        let row = [Datum::Int4(1)];
        let outcome = condition.evaluate_condition(&EvalContext::new(&row, &[], &session));
        assert_eq!(outcome.unwrap_err().sqlstate, "XX000");
    }
}
