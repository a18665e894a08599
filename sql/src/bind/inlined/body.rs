//! A function's body: read, bound, and made to return what the function does.

use std::sync::Arc;

use expr::casts::CastContext;
use expr::functions::{self, FunctionKind, Volatility};
use expr::{Expr, Type, TypeKind, resolve};

use super::frame::{Argument, Frame};
use crate::bind::bound::BoundQuery;
use crate::bind::{Binder, placeholder};
use crate::catalog::called;
use crate::catalog::object::{FunctionBody, FunctionDescriptor, ObjectDescriptor};
use crate::error::{Error, Result};
use crate::parse;
use crate::parse::ast::{self, Body, ExprKind, QueryBody, SelectItem};
use crate::plan::{Acting, Binding, Filter, Join, JoinKind, JoinStrategy, Node, Project, Values};

/// How deep functions may stand in each other.
const FUNCTIONS_DEEP_MAX: usize = 32;

/// The clauses whose values are stored: they must mean the same for ever.
const STORED_CLAUSES: [&str; 3] = ["index expressions", "index predicates", "column generation expressions"];

/// The query that a function's body is.
pub(in crate::bind) struct FunctionQuery {
    query: ast::Query,
    /// How high its tree is.
    height: usize,
    /// What it calls, and perhaps more.
    calls: Vec<String>,
    /// The names in its text.
    names: Vec<String>,
}

impl FunctionQuery {
    /// Of a function that there is.
    ///
    /// # Errors
    /// It is no SQL, or not one query.
    pub(in crate::bind) fn of(function: &FunctionDescriptor) -> Result<Self> {
        match &function.body {
            FunctionBody::Text(text) => {
                Self::of_text(text)?.ok_or_else(|| ends_without_query(function, None))
            }
            FunctionBody::Query { query, .. } => {
                let (parsed, height) = parse::parse_measured_query(&query.query)?;
                Ok(Self::of_query(&query.query, parsed, height))
            }
        }
    }

    /// The query itself.
    pub(in crate::bind) fn query(&self) -> &ast::Query {
        &self.query
    }

    fn of_query(text: &str, query: ast::Query, height: usize) -> Self {
        Self { query, height, calls: parse::called_in(text), names: parse::names_in(text) }
    }

    /// Whether the text, by all appearance, names something volatile that it is given other than once.
    pub(super) fn may_repeat(&self, arguments: &[Argument]) -> bool {
        let times = |argument: &Argument, number: usize| {
            let by_number = format!("${number}");
            let is_meant = |name: &&String| **name == by_number || argument.is_called(name);
            self.names.iter().filter(is_meant).count()
        };
        let mut numbered = arguments.iter().zip(1..);
        numbered.any(|(argument, number)| {
            argument.value.volatility() == Volatility::Volatile && times(argument, number) != 1
        })
    }

    /// Of a text; `None`: there is nothing in it.
    pub(in crate::bind) fn of_text(text: &str) -> Result<Option<Self>> {
        let (statements, height) = parse::parse_measured(text)?;
        let mut statements = statements.into_iter();
        let Some(first) = statements.next() else { return Ok(None) };
        if statements.next().is_some() {
            return Err(Error::unsupported("a function whose body is several statements"));
        }
        match first.body {
            Body::Query(query) => Ok(Some(Self::of_query(text, *query, height))),
            Body::Insert(_) | Body::Update(_) | Body::Delete(_) | Body::Merge(_) => {
                Err(Error::unsupported("a function whose body changes rows"))
            }
            _ => Err(Error::unsupported("a function whose body is no query")),
        }
    }

    /// The expressions that it is, if it is nothing but one row of them.
    fn expressions(&self) -> Option<Vec<&ast::Expr>> {
        let query = &self.query;
        let QueryBody::Select(select) = &query.body else { return None };
        let is_bare = query.with.is_empty()
            && query.order_by.is_empty()
            && query.limit.is_none()
            && query.offset.is_none()
            && query.locks.is_empty()
            && matches!(select.distinct, ast::Distinct::No)
            && select.from.is_empty()
            && select.as_of.is_none()
            && select.filter.is_none()
            && select.group_by.is_none()
            && select.having.is_none()
            && select.windows.is_empty();
        if is_bare { select.items.iter().map(expression_of).collect() } else { None }
    }
}

/// The expression that an item of a select list is, if it is one.
fn expression_of(item: &SelectItem) -> Option<&ast::Expr> {
    match item {
        SelectItem::Expr { expr, .. } if !matches!(expr.kind, ExprKind::AllFields(_)) => Some(expr),
        _ => None,
    }
}

impl Binder<'_> {
    /// The expressions that a body is, if each is computed of the caller's row by itself: no aggregate, no window, no set of
    /// rows is among them.
    pub(super) fn row_wise<'q>(&self, body: &'q FunctionQuery) -> Option<Vec<&'q ast::Expr>> {
        let is_row_wise = |name: &String| {
            let mut built_in = functions::by_name(name).iter();
            let mut made = self.catalog.objects().functions_named(name);
            let is_set = |object: &Arc<ObjectDescriptor>| object.function().is_some_and(|own| own.is_set);
            name != "grouping"
                && built_in.all(|function| function.kind == FunctionKind::Scalar)
                && !made.any(is_set)
        };
        if body.calls.iter().all(is_row_wise) { body.expressions() } else { None }
    }

    /// Binds within the body of a function that is called at a place; what became of its arguments is given back.
    pub(super) fn in_body<T>(
        &mut self,
        object: &Arc<ObjectDescriptor>,
        body: &FunctionQuery,
        (arguments, at): (Vec<Argument>, usize),
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Vec<Argument>)> {
        let before = self.enter_names(object);
        // What a body names is not what names the function names.
        let types = self.types_named.borrow().clone();
        let grouped_by = std::mem::take(&mut self.grouped_by);
        let bound = self.within_text(body.height, |binder| binder.within_body(object, arguments, bind));
        self.grouped_by = grouped_by;
        *self.types_named.borrow_mut() = types;
        self.within_view = before;
        let is_of_statement = self.frames.is_empty() && !self.reads_kept && !self.is_within_known();
        bound.map_err(|mut error| {
            error.position = if is_of_statement && error.sqlstate == "0A000" { Some(at) } else { None };
            if error.context.is_some() {
                return error;
            }
            error.context(format!("SQL function \"{}\" during inlining", object.name))
        })
    }

    /// Binds what stands in a function's body, whatever names mean there.
    pub(in crate::bind) fn within_body<T>(
        &mut self,
        object: &ObjectDescriptor,
        arguments: Vec<Argument>,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<(T, Vec<Argument>)> {
        if self.functions.contains(&object.oid) {
            return Err(Error::unsupported(format!("recursive call of function {}", object.name)));
        }
        if self.functions.len() >= FUNCTIONS_DEEP_MAX {
            let message = format!("functions stand more than {FUNCTIONS_DEEP_MAX} deep in each other");
            return Err(Error::new("54001", message));
        }
        let clause = self.levels.last().map_or("", |level| level.clause.name);
        let is_stored = STORED_CLAUSES.contains(&clause);
        if is_stored && !self.functions.is_empty() {
            return Err(Error::unsupported(format!(
                "a function that calls function {}, in {clause}",
                object.name
            )));
        }
        let is_kept = object.kept_query().is_some();
        let acting = Acting { owner: self.runs_as, within_view: is_kept || self.only_keeps };
        self.frames.push(Frame::new(&object.name, self.levels.len(), arguments));
        self.functions.push(object.oid);
        self.views_deep = self.views_deep.saturating_add(1);
        let common = std::mem::take(&mut self.common_tables);
        let unready = std::mem::take(&mut self.unready);
        let barriers = std::mem::take(&mut self.barriers);
        let as_of_at = self.as_of_at.take();
        let target = self.target.take();
        let locking = std::mem::take(&mut self.locking);
        let at_top = std::mem::take(&mut self.at_top);
        // What is stored means what it would to somebody who has changed no setting; and as it calls no function that was
        // made, it goes on to call what is built in.
        let reads_kept = std::mem::replace(&mut self.reads_kept, is_stored && !is_kept);
        let calls_stored = is_stored && self.calls_kept;
        let calls_kept = std::mem::replace(&mut self.calls_kept, calls_stored);
        let outer = self.needs.act(acting);
        let bound = self.without_parameters(bind);
        self.needs.act(outer);
        self.calls_kept = calls_kept;
        self.reads_kept = reads_kept;
        self.at_top = at_top;
        self.locking = locking;
        self.target = target;
        self.as_of_at = as_of_at;
        self.barriers = barriers;
        self.unready = unready;
        self.common_tables = common;
        self.views_deep = self.views_deep.saturating_sub(1);
        self.functions.pop();
        let frame = self.frames.pop().ok_or_else(|| Error::internal("a function's arguments were lost"))?;
        Ok((bound?, frame.arguments))
    }

    /// The rows of a body as the function returns them. `is_flat`: fields are columns; else each row is one value.
    pub(super) fn body_rows(
        &mut self,
        object: &Arc<ObjectDescriptor>,
        body: &FunctionQuery,
        mut arguments: Vec<Argument>,
        (at, is_flat): (usize, bool),
    ) -> Result<Node> {
        let once = self.computed_once(&mut arguments);
        let count = arguments.len();
        let is_strict = object.function().is_some_and(|function| function.strict);
        let (node, _) = self.in_body(object, body, (arguments, at), |binder| {
            let bound = binder.query_in(&body.query, false)?;
            let node = binder.as_returned(object, bound, is_flat)?;
            if !is_strict || count == 0 {
                return Ok(node);
            }
            let mut tests = Vec::with_capacity(count);
            for place in 0..count {
                tests.push(resolve::is_there(binder.argument(place, true)?));
            }
            Ok(Node::Filter(Filter { input: Box::new(node), predicate: Expr::all(tests), barrier: false }))
        })?;
        Ok(beside_values(node, once))
    }

    /// Volatile arguments are computed once, however often the body names them: the slots that hold them then.
    fn computed_once(&mut self, arguments: &mut [Argument]) -> Vec<(usize, Expr)> {
        let below = self.levels.len().checked_sub(1);
        let mut once = Vec::new();
        for argument in arguments.iter_mut().filter(|own| own.value.volatility() == Volatility::Volatile) {
            let number = self.slots;
            self.slots = number.saturating_add(1);
            let slot = placeholder::slot(number, argument.value.ty());
            let mut value = std::mem::replace(&mut argument.value, slot);
            value.rewrite(&mut |part| {
                if matches!(part, Expr::Column { .. })
                    && let Some(below) = below
                {
                    *part = self.outer(below, part.clone());
                }
            });
            once.push((placeholder::slot_index(number), value));
        }
        once
    }

    /// What a query returns, as the function does.
    pub(in crate::bind) fn as_returned(
        &mut self,
        object: &ObjectDescriptor,
        mut bound: BoundQuery,
        is_flat: bool,
    ) -> Result<Node> {
        let returned = self.returned_by(object)?;
        let types = bound.node.types();
        returned.check(&types)?;
        let context = CastContext::Assignment;
        let whole = Type::plain(returned.whole);
        if returned.columns.is_none() || returned.is_whole(&types) {
            self.retype(&mut bound.node, 0, whole, context, 0)?;
        } else {
            for (column, to) in returned.types().into_iter().enumerate() {
                self.retype(&mut bound.node, column, to, context, 0)?;
            }
        }
        let Some(columns) = returned.columns.as_ref().filter(|_| is_flat == returned.is_whole(&types)) else {
            return Ok(bound.node);
        };
        let expressions = match is_flat {
            true => {
                let record = Expr::Column { index: 0, ty: whole };
                let fields = (0..columns.len()).map(|place| self.field_at(record.clone(), place));
                fields.collect::<Result<Vec<Expr>>>()?
            }
            false => {
                let values = bound.node.types().into_iter().enumerate();
                let values = values.map(|(index, ty)| Expr::Column { index, ty }).collect();
                vec![self.as_row(&returned, values)?]
            }
        };
        Ok(Node::Project(Project { input: Box::new(bound.node), expressions }))
    }

    /// The values of the columns that a function returns, as one.
    fn as_row(&mut self, returned: &Returned, values: Vec<Expr>) -> Result<Expr> {
        let names = returned.columns.iter().flatten().map(|(name, _)| name.clone());
        let record = self.record(names.zip(values).collect());
        match returned.whole.is_composite() {
            true => Ok(self.convert(record, Type::plain(returned.whole), CastContext::Assignment)?),
            false => Ok(record),
        }
    }

    /// The value of a body that is nothing but these expressions.
    pub(super) fn plain_value(&mut self, object: &ObjectDescriptor, items: &[&ast::Expr]) -> Result<Expr> {
        let returned = self.returned_by(object)?;
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push((self.expression(item)?, item.at));
        }
        let types: Vec<Type> = values.iter().map(|(value, _)| value.ty()).collect();
        returned.check(&types)?;
        let is_one = returned.columns.is_none() || returned.is_whole(&types);
        let wanted = if is_one { vec![Type::plain(returned.whole)] } else { returned.types() };
        let mut coerced = Vec::with_capacity(values.len());
        for ((value, at), to) in values.into_iter().zip(wanted) {
            coerced.push(self.coerce(value, to, CastContext::Assignment, at)?);
        }
        match (is_one, coerced.pop()) {
            (true, Some(value)) => Ok(value),
            (true, None) => Err(Error::internal("a function without a value")),
            (false, last) => {
                coerced.extend(last);
                self.as_row(&returned, coerced)
            }
        }
    }

    /// What a call of a function is of.
    pub(super) fn type_returned(&mut self, object: &ObjectDescriptor) -> Result<Type> {
        let returned = self.returned_by(object)?;
        Ok(match returned.columns {
            Some(columns) if !returned.whole.is_composite() => {
                self.record_type(&Arc::new(expr::Shape::new(columns)))
            }
            _ => Type::plain(returned.whole),
        })
    }

    /// What messages call that which a function returns.
    pub(in crate::bind) fn returned_shown(&self, object: &ObjectDescriptor) -> Result<String> {
        Ok(self.returned_by(object)?.shown)
    }

    /// What a function returns, as its types are called now.
    pub(super) fn returned_by(&self, object: &ObjectDescriptor) -> Result<Returned> {
        let function = object.function().ok_or_else(|| Error::internal("a function that is none"))?;
        let whole = called::now(self.catalog, function.returns);
        let relation = function.row_of.and_then(|oid| self.catalog.table_by_oid(oid));
        let shown = relation.map_or_else(|| whole.display_name().to_owned(), |table| table.name.clone());
        Ok(Returned { whole, shown, columns: called::columns(self.catalog, function) })
    }
}

/// What a function returns.
pub(super) struct Returned {
    /// Each row, as one value.
    pub(super) whole: TypeKind,
    /// What messages call it.
    shown: String,
    /// The columns of each row, unless it is one value.
    pub(super) columns: Option<Vec<(String, Type)>>,
}

impl Returned {
    fn types(&self) -> Vec<Type> {
        self.columns.iter().flatten().map(|(_, ty)| *ty).collect()
    }

    /// Whether columns of these types are one, and that is the whole row.
    fn is_whole(&self, types: &[Type]) -> bool {
        let is_own = |kind: TypeKind| kind.oid() == self.whole.oid() || kind == TypeKind::Record;
        self.whole.is_composite() && matches!(types, [only] if is_own(only.kind))
    }

    /// 42P13 unless columns of these types can become what is returned.
    fn check(&self, types: &[Type]) -> Result<()> {
        let becomes =
            |from: &Type, to: TypeKind| resolve::can_coerce(from.kind, to.base(), CastContext::Assignment);
        let wrong = |detail: String| {
            let message = format!("return type mismatch in function declared to return {}", self.shown);
            Err(Error::new("42P13", message).detail(detail))
        };
        let Some(columns) = self.columns.as_ref().filter(|_| !self.is_whole(types)) else {
            return match types {
                [only] if becomes(only, self.whole) => Ok(()),
                [only] => wrong(format!("Actual return type is {}.", only.kind.display_name())),
                _ => wrong("Final statement must return exactly one column.".to_owned()),
            };
        };
        for (number, ((_, to), from)) in (1..).zip(columns.iter().zip(types)) {
            if !becomes(from, to.kind) {
                let (from, to) = (from.kind.display_name(), to.kind.display_name());
                return wrong(format!("Final statement returns {from} instead of {to} at column {number}."));
            }
        }
        match types.len().cmp(&columns.len()) {
            std::cmp::Ordering::Less => wrong("Final statement returns too few columns.".to_owned()),
            std::cmp::Ordering::Greater => wrong("Final statement returns too many columns.".to_owned()),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }
}

/// 42P13: a body ends without a query. `shown`: what the function returns is called so.
pub(in crate::bind) fn ends_without_query(function: &FunctionDescriptor, shown: Option<&str>) -> Error {
    let shown = shown.unwrap_or_else(|| function.returns.display_name());
    Error::new("42P13", format!("return type mismatch in function declared to return {shown}"))
        .detail("Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.")
}

/// The rows of a node that reads slots, beside the values that these hold.
fn beside_values(node: Node, once: Vec<(usize, Expr)>) -> Node {
    if once.is_empty() {
        return node;
    }
    let (slots, expressions): (Vec<usize>, Vec<Expr>) = once.into_iter().unzip();
    let width = slots.len();
    let types: Vec<Type> = expressions.iter().map(Expr::ty).collect();
    let bindings = slots.into_iter().zip(types).enumerate();
    let bindings = bindings.map(|(index, (slot, ty))| Binding { slot, value: Expr::Column { index, ty } });
    let kept = node.types().into_iter().enumerate();
    let kept = kept.map(|(place, ty)| Expr::Column { index: width.saturating_add(place), ty }).collect();
    let values = Node::Project(Project { input: Box::new(Node::Values(Values::one_row())), expressions });
    let joined = Node::Join(Join {
        kind: JoinKind::Inner,
        left: Box::new(values),
        strategy: JoinStrategy::Dependent { bindings: bindings.collect() },
        right: Box::new(node),
        condition: None,
        left_rows: 0.0,
    });
    Node::Project(Project { input: Box::new(joined), expressions: kept })
}
