//! Calls of made functions within expressions.

use std::sync::Arc;

use expr::functions::{self, FunctionKind, Volatility};
use expr::{Expr, Type, TypeKind, resolve};

use super::body::FunctionQuery;
use super::frame::Argument;
use crate::bind::Binder;
use crate::bind::level::{Aggregates, Clause, Windows};
use crate::bind::nesting;
use crate::bind::subquery::aside;
use crate::catalog::called;
use crate::catalog::object::ObjectDescriptor;
use crate::error::{Error, Result};
use crate::parse::ast;
use crate::plan::same::same;
use crate::plan::{ApplyKind, Limit, Node, walk};

/// So deep in others a body is tried as an expression though that may turn out to be impossible.
const TRIED_DEEP_MAX: usize = 4;

/// What becomes of a call.
pub(in crate::bind) enum MadeCall {
    /// It is of a function that was made, which answers this.
    Value(Expr),
    /// It is not; its arguments, if that had to be asked: nothing is bound twice.
    Other(Option<Vec<(Expr, usize)>>),
}

impl Binder<'_> {
    /// What a call answers, if it is of a function that was made.
    pub(in crate::bind) fn made_call(&mut self, call: &ast::Function, at: usize) -> Result<MadeCall> {
        let name = call.name.name.value.as_str();
        let built_in = functions::by_name(name);
        let is_of_rows = built_in.iter().any(|function| function.kind != FunctionKind::Scalar);
        if call.in_words || is_of_rows || call.variadic.is_some() || !self.may_be_made(call) {
            return Ok(MadeCall::Other(None));
        }
        refuse_words_of_aggregates(call, at)?;
        let arguments = self.arguments(&call.arguments)?;
        let kinds: Vec<TypeKind> = arguments.iter().map(|(argument, _)| argument.ty().kind).collect();
        let Some(chosen) = self.chosen(call, &kinds, at)? else {
            return Ok(MadeCall::Other(Some(arguments)));
        };
        let given = self.arguments_of(&chosen, arguments)?;
        if self.level()?.clause.without_queries.is_some() {
            self.columns_given.extend(given.iter().flat_map(Expr::columns));
        }
        if self.written.is_some() {
            let ty = self.type_returned(&chosen.object)?;
            let name = called::kept(chosen.object.oid, &chosen.object.name);
            return Ok(MadeCall::Value(self.call_in_words(&name, &given, &call.named, ty)));
        }
        if chosen.function()?.is_set {
            let what = format!("set-returning function {} outside of FROM", chosen.object.name);
            return Err(Error::unsupported(what)
                .hint("You might be able to move the set-returning function into a LATERAL FROM item.")
                .at(at));
        }
        let body = FunctionQuery::of(chosen.function()?)?;
        let values = self.inputs(&chosen, given)?;
        let arguments = Argument::of(&chosen.object, values);
        // What is tried in vain is bound twice, and what it calls then four times: not for long.
        let must_be_tried = self.level()?.clause.without_queries.is_some();
        let is_tried = must_be_tried || self.functions.len() < TRIED_DEEP_MAX || !body.may_repeat(&arguments);
        if is_tried
            && let Some(items) = self.row_wise(&body)
            && let Some(value) = self.as_expression(&chosen.object, (&body, &items), &arguments, at)?
        {
            return Ok(MadeCall::Value(value));
        }
        self.as_subquery(&chosen.object, &body, arguments, at).map(MadeCall::Value)
    }

    /// The body in the call's place; `None`: it would compute a volatile argument more than once.
    fn as_expression(
        &mut self,
        object: &Arc<ObjectDescriptor>,
        (body, items): (&FunctionQuery, &[&ast::Expr]),
        arguments: &[Argument],
        at: usize,
    ) -> Result<Option<Expr>> {
        let level = self.level()?;
        let (asides, pending) = (level.subqueries.len(), level.pending.len());
        let clause = Clause {
            aggregates: Aggregates::Refused,
            windows: Windows::Refused,
            sets: false,
            ..level.clause
        };
        let (value, used) = self.within(clause, |binder| {
            let given = (arguments.to_vec(), at);
            binder.in_body(object, body, given, |binder| binder.plain_value(object, items))
        })?;
        nesting::check_value(&value)?;
        let is_strict = object.function().is_some_and(|function| function.strict) && !arguments.is_empty();
        let asks_for_null = is_strict && !answers_null(&value, &used);
        let is_once = |own: &Argument| {
            let uses = own.uses.saturating_add(usize::from(asks_for_null));
            // What the body does not name is not computed, as with PostgreSQL's `inline_function`.
            let is_as_written = uses == 0 || uses == 1 && !own.is_asked_below;
            own.value.volatility() != Volatility::Volatile || is_as_written
        };
        if !used.iter().all(is_once) {
            let level = self.level()?;
            level.subqueries.truncate(asides);
            level.pending.truncate(pending);
            return Ok(None);
        }
        if !asks_for_null {
            return Ok(Some(value));
        }
        let ty = value.ty();
        let mut tests = Vec::with_capacity(used.len());
        for argument in used {
            self.budget.take_copy(&argument.value)?;
            tests.push(resolve::is_missing(argument.value));
        }
        let test = match tests.pop() {
            Some(only) if tests.is_empty() => only,
            last => Expr::Or(tests.into_iter().chain(last).collect()),
        };
        let branches = vec![(test, Expr::null(ty))];
        Ok(Some(Expr::Case { operand: None, branches, otherwise: Some(Box::new(value)), ty }))
    }

    /// The first row of the body, as a subquery of the call.
    fn as_subquery(
        &mut self,
        object: &Arc<ObjectDescriptor>,
        body: &FunctionQuery,
        arguments: Vec<Argument>,
        at: usize,
    ) -> Result<Expr> {
        let name = &object.name;
        if let Some(clause) = self.level()?.clause.without_queries {
            let what = format!("function {name}, which has to be asked as a query, in {clause}");
            return Err(Error::unsupported(what).at(at));
        }
        let before = std::mem::take(&mut self.level()?.pending);
        let node = self.barred("a subquery", |binder| binder.body_rows(object, body, arguments, (at, false)));
        let level = self.level()?;
        let bindings = std::mem::replace(&mut level.pending, before);
        let has_rows = !level.scope.relations.is_empty();
        let mut node = node?;
        if bindings.is_empty() && has_rows && is_volatile(&mut node) {
            // Of nothing that changes from row to row it would be asked once.
            let what = format!(
                "a query that calls volatile function {name} for each row, without anything of the row,"
            );
            return Err(Error::unsupported(what).at(at));
        }
        if !is_one_row(&node) {
            let limit = Some(Expr::literal(1_i64, TypeKind::Int8));
            node = Node::Limit(Limit { input: Box::new(node), limit, offset: None });
        }
        let ty = node.types().first().copied().unwrap_or(Type::plain(TypeKind::Unknown));
        self.put_aside(aside(node, bindings, ApplyKind::Scalar(ty)), ty)
    }
}

/// 42809 for what may be said in a call of aggregates alone.
pub(in crate::bind) fn refuse_words_of_aggregates(call: &ast::Function, at: usize) -> Result<()> {
    let name = &call.name.name.value;
    for (there, what) in [
        (call.star, "(*)"),
        (call.distinct, "DISTINCT"),
        (call.within_group.is_some(), "WITHIN GROUP"),
        (!call.order_by.is_empty(), "ORDER BY"),
        (call.filter.is_some(), "FILTER"),
    ] {
        if there {
            let message = format!("{what} specified, but {name} is not an aggregate function");
            return Err(Error::new("42809", message).at(at));
        }
    }
    if call.over.is_some() {
        let message =
            format!("OVER specified, but {name} is not a window function nor an aggregate function");
        return Err(Error::new("42809", message).at(at));
    }
    Ok(())
}

/// Whether a value is NULL by itself if any argument is: all are in it, and nothing but strict functions is around them.
fn answers_null(value: &Expr, used: &[Argument]) -> bool {
    used.iter().all(|argument| argument.uses > 0) && is_strict(value, used)
}

fn is_strict(value: &Expr, used: &[Argument]) -> bool {
    if used.iter().any(|argument| same(&argument.value, value)) {
        return true;
    }
    match value {
        Expr::Literal { value, .. } => !value.is_null(),
        Expr::Call { function, args, .. } => function.strict && args.iter().all(|arg| is_strict(arg, used)),
        Expr::Cast { operand, to, .. } => !to.kind.is_domain() && is_strict(operand, used),
        _ => false,
    }
}

/// Whether something in a tree answers anew each time it is asked.
fn is_volatile(node: &mut Node) -> bool {
    let mut found = false;
    walk::nodes_mut(node, &mut |node| {
        let mut expressions = walk::node_expressions(node).into_iter();
        found |= expressions.any(|expression| expression.volatility() == Volatility::Volatile);
    });
    found
}

/// Whether a tree has one row at most, as far as its shape tells.
fn is_one_row(node: &Node) -> bool {
    match node {
        Node::Project(project) => is_one_row(&project.input),
        Node::Filter(filter) => is_one_row(&filter.input),
        Node::Aggregate(aggregate) => aggregate.keys.is_empty() && aggregate.sets.is_empty(),
        Node::Values(values) => values.rows.len() <= 1,
        _ => false,
    }
}
