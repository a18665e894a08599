//! WITHIN GROUP: the values are collected in their order by aggregates, and a function makes the result of what was
//! collected ([`expr::functions::ordered_set`]).

use expr::aggregate::Aggregate;
use expr::functions::{Body, FunctionId, OrderedSet, ordered_set};
use expr::resolve::{Callee, Resolved};
use expr::{Datum, Expr, Type, TypeKind, resolve};

use super::Binder;
use super::coerce::placed;
use super::level::{Clause, Windows};
use super::query::sort_key;
use super::types::comparable;
use crate::error::{Error, Result};
use crate::parse::ast;
use crate::plan::{AggregateCall, SortKey};

/// The OID of `array_agg`.
const ARRAY_AGG_OID: u32 = 2335;

/// An expression, and where it stands.
type Placed = (Expr, usize);

impl Binder<'_> {
    /// A call with WITHIN GROUP, or of a function that has to have it.
    pub(super) fn ordered_set(&mut self, call: &ast::Function, at: usize) -> Result<Expr> {
        let nested = self.within_aggregate(at)?;
        let direct = self.within(nested, |binder| binder.arguments(&call.arguments))?;
        let inside = if call.within_group.is_some() { call.order_by.as_slice() } else { &[] };
        let (ordered, filter) = self.before_grouping(nested, |binder| {
            let mut ordered = Vec::with_capacity(inside.len());
            for order in inside {
                ordered.push((binder.expression(&order.expr)?, order.expr.at));
            }
            Ok((ordered, binder.aggregate_filter(call, nested)?))
        })?;
        let kinds: Vec<TypeKind> = direct.iter().chain(&ordered).map(|(part, _)| part.ty().kind).collect();
        let (resolved, set) = called(call, &kinds, at)?;
        check_counts(call, set, &kinds, direct.len(), at)?;
        if set.is_hypothetical() {
            return self.hypothetical(call, (direct, ordered), filter, (resolved, set), at);
        }
        let count = direct.len();
        let mut direct = self.fit(&resolved, direct.into_iter().chain(ordered).collect())?;
        let ordered = direct.split_off(count);
        if self.is_shown() {
            let keys = sort_keys(inside, ordered);
            return self.ordered_set_in_words(call, &direct, &keys, filter.as_ref(), resolved.result.into());
        }
        let are_there = ordered.iter().cloned().map(resolve::is_there);
        let filter = Expr::all(filter.into_iter().chain(are_there));
        let mut args = self.collected(inside, ordered, Some(filter), at)?;
        args.extend(direct);
        Ok(Expr::Call { function: set.finisher(), args, ty: resolved.result.into() })
    }

    /// The place that a row would have: its values go with those that are ordered by, one by one.
    fn hypothetical(
        &mut self,
        call: &ast::Function,
        (direct, ordered): (Vec<Placed>, Vec<Placed>),
        filter: Option<Expr>,
        (resolved, set): (Resolved, OrderedSet),
        at: usize,
    ) -> Result<Expr> {
        let (mut own, mut all) = (Vec::with_capacity(direct.len()), Vec::with_capacity(ordered.len()));
        for (direct, ordered) in direct.into_iter().zip(ordered) {
            let (pair, _) = self.unify("WITHIN GROUP", vec![ordered, direct])?;
            let mut pair = pair.into_iter();
            all.extend(pair.next());
            own.extend(pair.next());
        }
        let order_by = call.order_by.as_slice();
        if self.is_shown() {
            let keys = sort_keys(order_by, all);
            return self.ordered_set_in_words(call, &own, &keys, filter.as_ref(), resolved.result.into());
        }
        let directions: Vec<Datum> = order_by
            .iter()
            .map(|order| {
                let nulls_first = order.nulls_first.unwrap_or(order.descending);
                Datum::Int4(ordered_set::direction(order.descending, nulls_first))
            })
            .collect();
        let mut args = vec![Expr::literal(Datum::Array(directions.into()), TypeKind::Int4Array)];
        args.extend(own);
        args.extend(self.collected(order_by, all, filter, at)?);
        Ok(Expr::Call { function: set.finisher(), args, ty: resolved.result.into() })
    }

    /// An array of the values of each key, all in the same order.
    fn collected(
        &mut self,
        order_by: &[ast::OrderBy],
        ordered: Vec<Expr>,
        filter: Option<Expr>,
        at: usize,
    ) -> Result<Vec<Expr>> {
        let function = FunctionId::from_oid(ARRAY_AGG_OID)
            .ok_or_else(|| Error::internal("there is no array_agg"))
            .and_then(|function| Aggregate::from_function(function).map_err(placed(at)))?;
        for (expression, order) in ordered.iter().zip(order_by) {
            comparable(expression.ty(), "an ordering", order.expr.at)?;
        }
        let keys = sort_keys(order_by, ordered.clone());
        let mut arrays = Vec::with_capacity(ordered.len());
        for value in ordered {
            let ty = value.ty();
            arrays.push(self.add_aggregate(
                AggregateCall {
                    function,
                    arguments: vec![value],
                    distinct: false,
                    filter: filter.clone(),
                    order_by: keys.clone(),
                    ty: ty.kind.array().map_or(ty, Type::plain),
                },
                at,
            )?);
        }
        Ok(arrays)
    }

    /// FILTER of an aggregate.
    pub(super) fn aggregate_filter(&mut self, call: &ast::Function, nested: Clause) -> Result<Option<Expr>> {
        let Some(filter) = &call.filter else { return Ok(None) };
        let filtering = Clause { name: "FILTER", windows: Windows::Refused, ..nested };
        self.within(filtering, |binder| {
            let bound = binder.expression(filter)?;
            binder.condition(bound, "FILTER", filter.at).map(Some)
        })
    }
}

/// Values in the order that is asked for.
fn sort_keys(order_by: &[ast::OrderBy], ordered: Vec<Expr>) -> Vec<SortKey> {
    ordered.into_iter().zip(order_by).map(|(expression, order)| sort_key(expression, order)).collect()
}

/// The ordered-set aggregate that is meant.
fn called(call: &ast::Function, kinds: &[TypeKind], at: usize) -> Result<(Resolved, OrderedSet)> {
    let name = call.name.name.value.as_str();
    let refused = |message: String| Err(Error::new("42809", message).at(at));
    let resolved = match resolve::function(name, kinds).map_err(placed(at))? {
        Callee::Function(resolved) => resolved,
        Callee::Cast(_) => {
            return refused(format!("WITHIN GROUP specified, but {name} is not an aggregate function"));
        }
    };
    match resolved.function.body {
        Body::OrderedSet(_) if call.within_group.is_none() => {
            refused(format!("WITHIN GROUP is required for ordered-set aggregate {name}"))
        }
        Body::OrderedSet(_) if call.over.is_some() => {
            let message = format!("OVER is not supported for ordered-set aggregate {name}");
            Err(Error::new("0A000", message).at(at))
        }
        Body::OrderedSet(set) => Ok((resolved, set)),
        Body::Window(_) if call.within_group.is_none() => {
            refused(format!("window function {name} requires an OVER clause"))
        }
        Body::Window(_) => refused(format!("window function {name} cannot have WITHIN GROUP")),
        Body::Aggregate(_) => {
            refused(format!("{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP"))
        }
        _ => refused(format!("WITHIN GROUP specified, but {name} is not an aggregate function")),
    }
}

/// 42883 if not as many arguments stand on each side as have to.
fn check_counts(
    call: &ast::Function,
    set: OrderedSet,
    kinds: &[TypeKind],
    direct: usize,
    at: usize,
) -> Result<()> {
    let name = call.name.name.value.as_str();
    let ordered = kinds.len().saturating_sub(direct);
    let hint = if set.is_hypothetical() {
        if direct == ordered {
            return Ok(());
        }
        format!(
            "To use the hypothetical-set aggregate {name}, the number of hypothetical direct arguments (here {direct}) \
             must match the number of ordering columns (here {ordered})."
        )
    } else {
        let wanted = set.direct();
        if direct == wanted {
            return Ok(());
        }
        let plural = if wanted == 1 { "" } else { "s" };
        format!(
            "There is an ordered-set aggregate {name}, but it requires {wanted} direct argument{plural}, not {direct}."
        )
    };
    let shown: Vec<&str> = kinds.iter().map(|kind| kind.display_name()).collect();
    let message = format!("function {name}({}) does not exist", shown.join(", "));
    Err(Error::new("42883", message).hint(hint).at(at))
}
