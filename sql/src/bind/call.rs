//! Calls: functions, aggregates, and what the SQL standard writes like one.

use expr::aggregate::{Aggregate, Prepared};
use expr::casts::CastContext;
use expr::functions::quote::identifier;
use expr::functions::{self, Body, FunctionId, FunctionKind, Volatility};
use expr::resolve::{Callee, Resolved};
use expr::{Expr, TypeKind, resolve};

use super::Binder;
use super::coerce::placed;
use super::given::refuse_other_places;
use super::inlined::MadeCall;
use super::level::{Clause, PutAside, Windows};
use super::outer_aggregate;
use super::placeholder::{AGGREGATE, ARGUMENTS, SUBQUERY};
use super::select::check_columns;
use super::types::{comparable, sortable, sorted_by_a_function};
use crate::catalog::schema;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind};
use crate::plan::same::same;
use crate::plan::{AggregateCall, SetFunction, SortKey, TableFunction};

impl Binder<'_> {
    /// A call.
    pub(super) fn function(&mut self, call: &ast::Function, at: usize) -> Result<Expr> {
        let bound = self.called(call, at)?;
        Ok(if call.in_words { self.in_words(call, bound) } else { bound })
    }

    fn called(&mut self, call: &ast::Function, at: usize) -> Result<Expr> {
        if let Some(range) = self.range_call(call, at)? {
            return Ok(range);
        }
        let given = match self.made_call(call, at)? {
            MadeCall::Value(made) => return Ok(made),
            MadeCall::Other(given) => given,
        };
        // A range is called like functions that do not take these arguments.
        let range = if given.is_some() { self.range_named(call)? } else { None };
        let given = match (given, range) {
            (Some(arguments), Some(kind)) => return self.range_made(call, kind, arguments, at),
            (given, _) => given,
        };
        let name = call.name.name.value.as_str();
        self.check_schema(call)?;
        let has_places = call.named.is_empty() && call.variadic.is_none();
        if call.name.schema.is_none()
            && has_places
            && let Some(special) = self.special(name, call, at)?
        {
            return Ok(special);
        }
        let known = functions::by_name(name);
        if call.over.is_some() || known.iter().any(|function| function.kind == FunctionKind::Aggregate) {
            refuse_other_places(call)?;
        }
        let is_ordered = known.iter().any(|function| matches!(function.body, Body::OrderedSet(_)));
        if call.within_group.is_some() || is_ordered && call.over.is_none() {
            return self.ordered_set(call, at);
        }
        if let Some(over) = &call.over {
            return self.window_call(call, over, at);
        }
        if known.iter().any(|function| function.kind == FunctionKind::Aggregate) {
            return self.aggregate(call, at);
        }
        for (there, what) in [
            (call.star, "(*)"),
            (call.distinct, "DISTINCT"),
            (!call.order_by.is_empty(), "ORDER BY"),
            (call.filter.is_some(), "FILTER"),
        ] {
            if there {
                let arguments = self.arguments(&call.arguments)?;
                let kinds: Vec<TypeKind> = arguments.iter().map(|(argument, _)| argument.ty().kind).collect();
                resolve::function(name, &kinds).map_err(placed(at))?;
                let message = format!("{what} specified, but {name} is not an aggregate function");
                return Err(Error::new("42809", message).at(at));
            }
        }
        let arguments = match given {
            Some(arguments) => arguments,
            None => self.arguments(&call.arguments)?,
        };
        match call.variadic {
            Some(word_at) => self.spread_call(call, arguments, word_at, at),
            None => {
                let arguments = self.in_their_places(call, arguments, at)?;
                self.call_by_name(name, arguments, at)
            }
        }
    }

    /// There are no other functions than PostgreSQL's own and those that were made.
    pub(super) fn check_schema(&self, call: &ast::Function) -> Result<()> {
        match &call.name.schema {
            Some(given) if self.catalog.objects().schema_oid(&given.value).is_none() => {
                Err(Error::new("3F000", format!("schema \"{}\" does not exist", given.value)).at(given.at))
            }
            Some(given)
                if given.value == schema::INFORMATION_SCHEMA && is_of_information(&call.name.name.value) =>
            {
                Ok(())
            }
            Some(given) if self.is_of_extension(&given.value, &call.name.name.value) => Ok(()),
            Some(given) if given.value != schema::PG_CATALOG => {
                let message = format!("function {}.{} does not exist", given.value, call.name.name.value);
                Err(Error::new("42883", message).at(given.at))
            }
            _ if is_of_information(&call.name.name.value) => {
                let message = format!("function {} does not exist", call.name.name.value);
                Err(Error::new("42883", message).at(call.name.name.at))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn arguments(&mut self, arguments: &[ast::Expr]) -> Result<Vec<(Expr, usize)>> {
        let mut bound = Vec::with_capacity(arguments.len());
        for argument in arguments {
            bound.push((self.expression(argument)?, argument.at));
        }
        Ok(bound)
    }

    /// The call of a function by its name, overloads resolved.
    pub(super) fn call_by_name(
        &mut self,
        name: &str,
        arguments: Vec<(Expr, usize)>,
        at: usize,
    ) -> Result<Expr> {
        let kinds: Vec<TypeKind> = arguments.iter().map(|(argument, _)| argument.ty().kind).collect();
        if !self.is_in_sight(name) {
            let shown: Vec<&str> = kinds.iter().map(|kind| kind.display_name()).collect();
            let message = format!("function {name}({}) does not exist", shown.join(", "));
            return Err(Error::new("42883", message)
                .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
                .at(at));
        }
        match resolve::function(name, &kinds).map_err(placed(at))? {
            Callee::Cast(kind) => match arguments.into_iter().next() {
                Some((argument, at)) => self.coerce(argument, kind.into(), CastContext::Explicit, at),
                None => Err(Error::internal("a cast without an operand")),
            },
            Callee::Function(resolved) => {
                let args = self.fit(&resolved, arguments)?;
                let args = self.described(&resolved, args)?;
                match resolved.function.kind {
                    FunctionKind::Scalar => {
                        let ty = self.result_type(&resolved, &args);
                        Ok(Expr::Call { function: resolved.function, args, ty })
                    }
                    FunctionKind::Set => self.rows_in_select(&resolved, args, at),
                    FunctionKind::Aggregate => Err(Error::internal("an aggregate called as a function")),
                    FunctionKind::Window => {
                        let message = format!("window function {name} requires an OVER clause");
                        Err(Error::new("42809", message).at(at))
                    }
                }
            }
        }
    }

    /// Arguments as the function takes them.
    pub(super) fn fit(&mut self, resolved: &Resolved, arguments: Vec<(Expr, usize)>) -> Result<Vec<Expr>> {
        let mut args = Vec::with_capacity(arguments.len());
        for (place, (argument, at)) in arguments.into_iter().enumerate() {
            let kind = resolved.args.get(place).copied().unwrap_or(TypeKind::Any);
            args.push(match kind {
                // "any" takes a literal of unknown type as it is.
                TypeKind::Any if matches!(argument, Expr::Literal { .. }) => argument,
                TypeKind::Any | TypeKind::AnyElement | TypeKind::AnyCompatible => {
                    self.settle(argument, at)?
                }
                kind => self.implicit(argument, kind, at)?,
            });
        }
        Ok(args)
    }

    /// A set-returning function in a select list: its rows multiply the query's.
    fn rows_in_select(&mut self, resolved: &Resolved, args: Vec<Expr>, at: usize) -> Result<Expr> {
        let level = self.level()?;
        let within = match level.clause.windows {
            Windows::Nested => Some("window function"),
            Windows::Aggregated => Some("aggregate function"),
            Windows::Allowed | Windows::Refused => None,
        };
        if let Some(within) = within {
            let message = format!("{within} calls cannot contain set-returning function calls");
            return Err(Error::new("0A000", message)
                .hint("You might be able to move the set-returning function into a LATERAL FROM item.")
                .at(at));
        }
        let refused = level.conditional.map(|construct| (construct, true));
        let refused = refused.or((!level.clause.sets).then_some((level.clause.name, false)));
        if let Some((place, is_conditional)) = refused {
            let place = if place.starts_with("window ") { "window definitions" } else { place };
            let message = format!("set-returning functions are not allowed in {place}");
            let error = Error::new("0A000", message).at(at);
            let hint = "You might be able to move the set-returning function into a LATERAL FROM item.";
            return Err(if is_conditional { error.hint(hint) } else { error });
        }
        let shape = match resolved.result {
            TypeKind::Record => self.shape_of(self.result_type(resolved, &args)),
            _ => None,
        };
        let shape = shape.or_else(|| self.shape_of_function(resolved));
        if shape.is_none() && resolved.result == TypeKind::Record && !self.is_shown() {
            let message = format!("could not determine row type for result of {}", resolved.function.name);
            return Err(Error::new("0A000", message).hint(
                "Provide a non-null record argument, or call the function in the FROM clause using a column definition list.",
            ));
        }
        let anonymous = shape.as_ref().filter(|_| !resolved.result.is_composite());
        let ty = anonymous.map_or(resolved.result.into(), |shape| self.record_type(shape));
        if self.is_shown() {
            return Ok(self.call_in_words(&identifier(resolved.function.name), &args, &[], ty));
        }
        let called = TableFunction::Series(resolved.function, shape.clone().unwrap_or_default());
        let function = SetFunction { function: called, arguments: args, ty, shape };
        // (f(x)).a and (f(x)).b are of the same rows.
        let level = self.level()?;
        let before = &level.argument_subqueries;
        let is_own =
            |known: &PutAside| matches!(known, PutAside::Rows(known) if is_same_rows(known, &function));
        let known = level.subqueries.iter().position(|aside| match aside {
            PutAside::Moved(number) => {
                number.checked_sub(ARGUMENTS).and_then(|place| before.get(place)).is_some_and(is_own)
            }
            aside => is_own(aside),
        });
        if let Some(known) = known {
            let number = level.asides_from.saturating_add(known);
            return Ok(Expr::Column { index: SUBQUERY.saturating_add(number), ty });
        }
        self.put_aside(PutAside::Rows(Box::new(function)), ty)
    }

    fn aggregate(&mut self, call: &ast::Function, at: usize) -> Result<Expr> {
        let name = call.name.name.value.as_str();
        let (nested, refused) = self.within_any_aggregate(at)?;
        let noted = self.noted();
        let (mut arguments, mut filter, mut order_by) = self.before_grouping(nested, |binder| {
            let arguments = binder.arguments(&call.arguments)?;
            let filter = binder.aggregate_filter(call, nested)?;
            let mut order_by = Vec::with_capacity(call.order_by.len());
            for order in &call.order_by {
                let expression = binder.settled_expression(&order.expr)?;
                let nulls_first = order.nulls_first.unwrap_or(order.descending);
                comparable(expression.ty(), "an ordering", order.expr.at)?;
                order_by.push(SortKey { expression, descending: order.descending, nulls_first });
            }
            Ok((arguments, filter, order_by))
        })?;
        let keys = order_by.iter_mut().map(|key| &mut key.expression);
        let parts = arguments.iter_mut().map(|(argument, _)| argument).chain(filter.as_mut()).chain(keys);
        let parts: Vec<&mut Expr> = parts.collect();
        let around = self.moved_out(&noted, parts, at)?;
        if let (None, Some(refused)) = (around, refused) {
            return Err(refused);
        }
        if call.star != arguments.is_empty() || call.star && name != "count" {
            let shown = if call.star { "*" } else { "" };
            if name == "count" {
                let message = "count(*) must be used to call a parameterless aggregate function";
                return Err(Error::new("42809", message).at(at));
            }
            let message = format!("function {name}({shown}) does not exist");
            return Err(Error::new("42883", message).at(at));
        }
        let kinds: Vec<TypeKind> = arguments.iter().map(|(argument, _)| argument.ty().kind).collect();
        let Callee::Function(resolved) = resolve::function(name, &kinds).map_err(placed(at))? else {
            return Err(Error::internal("an aggregate that is a cast"));
        };
        let arguments = self.fit(&resolved, arguments)?;
        let written_order = self.is_shown().then(|| order_by.clone());
        if call.distinct {
            order_distinct(call, &arguments, &mut order_by)?;
            for (argument, written) in arguments.iter().zip(&call.arguments) {
                if !argument.is_unknown() {
                    comparable(argument.ty(), "an equality", written.at)?;
                    sortable(argument.ty(), written.at)?;
                }
            }
        }
        let ty = resolved.result.into();
        if let Some(order_by) = written_order {
            return self.aggregate_in_words(call, &arguments, filter.as_ref(), &order_by, ty);
        }
        let function = Aggregate::from_function(resolved.function).map_err(placed(at))?;
        let arguments = self.prepared(&function, arguments, at)?;
        let call = AggregateCall { function, arguments, distinct: call.distinct, filter, order_by, ty };
        match around {
            None => self.add_aggregate(call, at),
            Some(place) => {
                let value = self.add_aggregate_to(place, call, at)?;
                Ok(self.outer(place, value))
            }
        }
    }

    /// What may stand within an aggregate, if one may stand here.
    pub(super) fn within_aggregate(&mut self, at: usize) -> Result<Clause> {
        let clause = self.level()?.clause;
        outer_aggregate::may_aggregate(clause, at)?;
        Ok(outer_aggregate::within(clause))
    }

    /// An aggregate of this level, computed once however often it is called.
    pub(super) fn add_aggregate(&mut self, call: AggregateCall, at: usize) -> Result<Expr> {
        let own = self.levels.len().saturating_sub(1);
        self.add_aggregate_to(own, call, at)
    }

    /// The same of the level at this place.
    fn add_aggregate_to(&mut self, place: usize, call: AggregateCall, at: usize) -> Result<Expr> {
        let ty = call.ty;
        let level = self.levels.get_mut(place);
        let level = level.ok_or_else(|| Error::internal("an aggregate outside of any query"))?;
        level.aggregate_at.get_or_insert(at);
        let calls = &mut level.aggregates;
        let known = calls.iter().position(|known| alike(known, &call));
        let place = known.unwrap_or(calls.len());
        if known.is_none() {
            check_columns(place.saturating_add(1))?;
            calls.push(call);
        }
        Ok(Expr::Column { index: AGGREGATE.saturating_add(place), ty })
    }

    /// Arguments as the aggregate adds them.
    pub(super) fn prepared(
        &mut self,
        function: &Aggregate,
        arguments: Vec<Expr>,
        at: usize,
    ) -> Result<Vec<Expr>> {
        let mut prepared = Vec::with_capacity(arguments.len());
        for (place, argument) in arguments.into_iter().enumerate() {
            let Some(wanted) = function.prepared().get(place) else {
                prepared.push(argument);
                continue;
            };
            let argument = self.settle(argument, at)?;
            prepared.push(match wanted {
                Prepared::Text => {
                    let kind = argument.ty().kind;
                    let is_json = matches!(kind.base(), TypeKind::Json | TypeKind::Jsonb);
                    let key = match is_json || kind.is_record() || kind.element().is_some() {
                        // It says what is wrong with such a key.
                        true => {
                            let value = Expr::null(TypeKind::Text);
                            self.call_by_name("json_build_object", vec![(argument, at), (value, at)], at)?
                        }
                        false => argument,
                    };
                    self.coerce(key, TypeKind::Text.into(), CastContext::Explicit, at)?
                }
                Prepared::Called(oid) => {
                    let called = FunctionId::from_oid(*oid)
                        .ok_or_else(|| Error::internal("an aggregate over a function that is not there"))?;
                    let kind = argument.ty().kind;
                    let made = Expr::call(called, vec![argument], called.result);
                    // Documents that are made of others stand in lines of their own.
                    let is_large = kind.is_record() || kind.element().is_some();
                    if is_large && function.function().name == "json_agg" {
                        let text = self.coerce(made, TypeKind::Text.into(), CastContext::Explicit, at)?;
                        let line = Expr::literal(expr::accumulate::JSON_LINE, TypeKind::Text);
                        self.operator("||", Some((line, at)), (text, at), at)?
                    } else {
                        made
                    }
                }
            });
        }
        Ok(prepared)
    }

    /// Binds what is computed of rows before they are grouped.
    pub(super) fn before_grouping<T>(
        &mut self,
        clause: Clause,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let level = self.level()?;
        std::mem::swap(&mut level.subqueries, &mut level.argument_subqueries);
        let from = std::mem::replace(&mut level.asides_from, ARGUMENTS);
        let bound = self.within(clause, bind);
        let level = self.level()?;
        level.asides_from = from;
        std::mem::swap(&mut level.subqueries, &mut level.argument_subqueries);
        bound
    }

    /// COALESCE and its like, CURRENT_DATE and its like.
    fn special(&mut self, name: &str, call: &ast::Function, at: usize) -> Result<Option<Expr>> {
        let bound = match name {
            "coalesce" | "greatest" | "least" => {
                let items = match name {
                    "coalesce" => {
                        self.conditionally("COALESCE", |binder| binder.arguments(&call.arguments))?
                    }
                    _ => self.arguments(&call.arguments)?,
                };
                let construct = name.to_uppercase();
                if items.is_empty() {
                    return Err(Error::new("42601", "syntax error at or near \")\"").at(at));
                }
                let (args, ty) = self.unify(&construct, items)?;
                match name {
                    "coalesce" => Expr::Coalesce { args, ty },
                    _ => {
                        sorted_by_a_function(ty)?;
                        Expr::Extreme { args, greatest: name == "greatest", ty }
                    }
                }
            }
            "grouping" => self.grouping_call(call, at)?,
            "nullif" => {
                let [left, right] = call.arguments.as_slice() else {
                    return Err(Error::internal("NULLIF of other than two"));
                };
                let (l, r) = (self.expression(left)?, self.expression(right)?);
                let compared = self.operator("=", Some((l, left.at)), (r, right.at), at)?;
                let Expr::Call { function, args, .. } = compared else {
                    return Err(Error::internal("= is no call"));
                };
                let mut args = args.into_iter();
                let (Some(left), Some(right)) = (args.next(), args.next()) else {
                    return Err(Error::internal("= without two operands"));
                };
                let ty = left.ty();
                Expr::NullIf { left: Box::new(left), right: Box::new(right), equals: function, ty }
            }
            "current_timestamp" => {
                let now = self.call_by_name("now", Vec::new(), at)?;
                self.with_precision(now, TypeKind::Timestamptz, call)?
            }
            "localtimestamp" => {
                let now = self.call_by_name("now", Vec::new(), at)?;
                self.with_precision(now, TypeKind::Timestamp, call)?
            }
            "current_date" => {
                let now = self.call_by_name("now", Vec::new(), at)?;
                self.coerce(now, TypeKind::Date.into(), CastContext::Explicit, at)?
            }
            "current_time" => {
                let now = self.call_by_name("now", Vec::new(), at)?;
                self.with_precision(now, TypeKind::Timetz, call)?
            }
            "localtime" => {
                let now = self.call_by_name("now", Vec::new(), at)?;
                self.with_precision(now, TypeKind::Time, call)?
            }
            "current_catalog" => self.call_by_name("current_database", Vec::new(), at)?,
            "current_role" | "user" => self.call_by_name("current_user", Vec::new(), at)?,
            _ => return Ok(None),
        };
        Ok(Some(bound))
    }

    fn with_precision(&mut self, now: Expr, kind: TypeKind, call: &ast::Function) -> Result<Expr> {
        let at = call.name.name.at;
        let precision = match call.arguments.as_slice() {
            [] => Vec::new(),
            [ast::Expr { kind: ExprKind::Number(digits), .. }] => digits.parse::<i64>().into_iter().collect(),
            _ => return Err(Error::new("42601", "syntax error: a precision is a number").at(at)),
        };
        let modifier = kind.modifier(&precision).map_err(placed(at))?;
        self.coerce(now, expr::Type { kind, modifier }, CastContext::Explicit, at)
    }
}

/// Whether a function stands in `information_schema`.
fn is_of_information(name: &str) -> bool {
    name == "_pg_expandarray"
}

/// Whether two functions make the same rows.
pub(super) fn is_same_rows(left: &SetFunction, right: &SetFunction) -> bool {
    let (TableFunction::Series(one, _), TableFunction::Series(other, _)) = (&left.function, &right.function)
    else {
        return false;
    };
    let is_still = |argument: &Expr| argument.volatility() != Volatility::Volatile;
    one == other
        && one.volatility != Volatility::Volatile
        && left.arguments.len() == right.arguments.len()
        && left.arguments.iter().zip(&right.arguments).all(|(a, b)| same(a, b) && is_still(a))
}

/// Whether two aggregates compute the same.
fn alike(left: &AggregateCall, right: &AggregateCall) -> bool {
    let all = |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    left.function.function() == right.function.function()
        && left.distinct == right.distinct
        && left.order_by.len() == right.order_by.len()
        && left.order_by.iter().zip(&right.order_by).all(|(left, right)| {
            left.descending == right.descending
                && left.nulls_first == right.nulls_first
                && same(&left.expression, &right.expression)
        })
        && all(&left.arguments, &right.arguments)
        && all(left.filter.as_slice(), right.filter.as_slice())
        && left
            .arguments
            .iter()
            .chain(&left.filter)
            .chain(left.order_by.iter().map(|key| &key.expression))
            .all(|part| part.volatility() != Volatility::Volatile)
}

/// What is ordered by has to be an argument; what collects values does so in the order of all of them.
fn order_distinct(call: &ast::Function, arguments: &[Expr], order_by: &mut Vec<SortKey>) -> Result<()> {
    for (key, written) in order_by.iter().zip(&call.order_by) {
        if !arguments.iter().any(|argument| same(argument, &key.expression)) {
            let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
            return Err(Error::new("42P10", message).at(written.expr.at));
        }
    }
    if !call.name.name.value.ends_with("_agg") {
        return Ok(());
    }
    for argument in arguments {
        if !order_by.iter().any(|key| same(argument, &key.expression)) {
            let expression = argument.clone();
            order_by.push(SortKey { expression, descending: false, nulls_first: false });
        }
    }
    Ok(())
}
