//! Window functions: put aside while an expression is bound, computed by [`Window`] nodes above groups and HAVING.

use std::collections::HashMap;
use std::sync::Arc;

use expr::aggregate::Aggregate;
use expr::casts::CastContext;
use expr::functions::{self, Body, FunctionKind, Volatility};
use expr::resolve::Callee;
use expr::types::Order;
use expr::{Expr, TypeKind, range, resolve};

use super::Binder;
use super::coerce::placed;
use super::level::{Clause, Windows};
use super::placeholder::{Stands, WINDOW};
use super::query::sort_key;
use super::query_windows::{Defined, UsedWindow, begins_with};
use super::select::check_columns;
use super::types::comparable;
use crate::error::{Error, Result};
use crate::parse::ast::{self, Exclude, FrameMode, Over};
use crate::plan::same::same;
use crate::plan::{Frame, FrameBound, Node, Project, Sort, SortKey, Window, WindowCall, WindowKind};

impl Binder<'_> {
    /// A call with OVER.
    pub(super) fn window_call(&mut self, call: &ast::Function, over: &Over, at: usize) -> Result<Expr> {
        let clause = self.level()?.clause;
        let refused = |sqlstate, message: String| Err(Error::new(sqlstate, message).at(at));
        match clause.windows {
            Windows::Allowed => {}
            Windows::Refused => {
                let name =
                    if clause.name.starts_with("window ") { "window definitions" } else { clause.name };
                return refused("42P20", format!("window functions are not allowed in {name}"));
            }
            Windows::Nested => return refused("42P20", "window function calls cannot be nested".to_owned()),
            Windows::Aggregated => {
                let message = "aggregate function calls cannot contain window function calls";
                return refused("42803", message.to_owned());
            }
        }
        let name = call.name.name.value.as_str();
        let arguments = self.within(Clause { windows: Windows::Nested, ..clause }, |binder| {
            binder.arguments(&call.arguments)
        })?;
        let kinds: Vec<TypeKind> = arguments.iter().map(|(argument, _)| argument.ty().kind).collect();
        let known = functions::by_name(name);
        let is_parameterless = name == "count" && call.arguments.is_empty() && !call.star;
        let is_star = call.star && known.iter().all(|known| !known.args.is_empty());
        let resolved = match resolve::function(name, &kinds).map_err(placed(at)) {
            Ok(Callee::Function(resolved))
                if matches!(resolved.function.kind, FunctionKind::Aggregate | FunctionKind::Window) =>
            {
                resolved
            }
            Ok(_) => {
                let message =
                    format!("OVER specified, but {name} is not a window function nor an aggregate function");
                return refused("42809", message);
            }
            Err(error) => return Err(error),
        };
        if matches!(resolved.function.body, Body::OrderedSet(_)) {
            let message = format!("WITHIN GROUP is required for ordered-set aggregate {name}");
            return refused("42809", message);
        }
        let is_aggregate = resolved.function.kind == FunctionKind::Aggregate;
        for (there, message) in [
            (call.distinct, "DISTINCT is not implemented for window functions"),
            (!call.order_by.is_empty(), "aggregate ORDER BY is not implemented for window functions"),
            (
                call.filter.is_some() && !is_aggregate,
                "FILTER is not implemented for non-aggregate window functions",
            ),
        ] {
            if there {
                return refused("0A000", message.to_owned());
            }
        }
        if is_parameterless {
            let message = "count(*) must be used to call a parameterless aggregate function";
            return refused("42809", message.to_owned());
        }
        if is_star {
            return refused("42883", format!("function {name}(*) does not exist"));
        }
        let mut arguments = self.fit(&resolved, arguments)?;
        if self.is_shown() {
            return self.window_in_words(call, over, &arguments, resolved.result.into());
        }
        let function = match resolved.function.body {
            Body::Window(window) => WindowKind::Function(resolved.function, window),
            _ => {
                let aggregate = Aggregate::from_function(resolved.function).map_err(placed(at))?;
                arguments = self.prepared(&aggregate, arguments, at)?;
                WindowKind::Aggregate(aggregate)
            }
        };
        let filter = match &call.filter {
            None => None,
            Some(filter) => Some(self.within(Clause::plain("FILTER"), |binder| {
                let bound = binder.expression(filter)?;
                binder.condition(bound, "FILTER", filter.at)
            })?),
        };
        let defined = self.over(over)?;
        let frame = self.frame(&defined)?;
        let ty = resolved.result.into();
        let call = WindowCall { function, arguments, filter, frame, ty };
        self.add_window_call(&defined, call)
    }

    fn add_window_call(&mut self, defined: &Defined, call: WindowCall) -> Result<Expr> {
        let windows = &mut self.level()?.windows;
        let is_own = |used: &&UsedWindow| used.is_over(&defined.partition_by, &defined.order_by);
        let mut calls = windows.used.iter().filter(is_own).flat_map(|used| &used.calls);
        if let Some((number, known)) = calls.find(|(_, known)| alike(known, &call)) {
            return Ok(Expr::Column { index: WINDOW.saturating_add(*number), ty: known.ty });
        }
        let number = windows.count;
        windows.count = number.saturating_add(1);
        check_columns(windows.count)?;
        let ty = call.ty;
        let Defined { partition_by, order_by, .. } = defined;
        match windows.used.iter_mut().find(|used| used.is_over(partition_by, order_by)) {
            Some(used) => used.calls.push((number, call)),
            None => windows.used.push(UsedWindow {
                partition_by: partition_by.to_vec(),
                order_by: order_by.to_vec(),
                calls: vec![(number, call)],
            }),
        }
        Ok(Expr::Column { index: WINDOW.saturating_add(number), ty })
    }

    /// What stands behind OVER.
    pub(super) fn over(&mut self, over: &Over) -> Result<Arc<Defined>> {
        match over {
            Over::Definition(window) => self.defined(window, usize::MAX).map(Arc::new),
            Over::Name(name) => self.named_window(name, name.at, usize::MAX),
        }
    }

    /// Binds a window, which sees the first so many of WINDOW.
    fn defined(&mut self, window: &ast::Window, first: usize) -> Result<Defined> {
        let base = match &window.base {
            None => None,
            Some(name) => Some(self.named_window(name, window.at, first)?),
        };
        self.defined_of(window, base)
    }

    /// A window of this name among the first of WINDOW, bound when it is first named.
    pub(super) fn named_window(&mut self, name: &ast::Name, at: usize, first: usize) -> Result<Arc<Defined>> {
        // Those that go on from others come first.
        let mut unbound: Vec<(usize, ast::Window)> = Vec::new();
        let (mut name, mut at, mut first) = (name.clone(), at, first);
        let mut base = loop {
            self.budget.take_nodes(1)?;
            let windows = &self.level()?.windows;
            let place = windows.places.get(&name.value).copied().filter(|place| *place < first);
            let found = place.and_then(|place| Some((place, &windows.named.get(place)?.window)));
            let Some((place, window)) = found else {
                let message = format!("window \"{}\" does not exist", name.value);
                return Err(Error::new("42704", message).at(at));
            };
            if let Some(known) = windows.followed.get(&place) {
                break Some(known.clone());
            }
            let window = window.clone();
            let base = window.base.clone();
            (at, first) = (window.at, place);
            unbound.push((place, window));
            match base {
                Some(base) => name = base,
                None => break None,
            }
        };
        while let Some((place, window)) = unbound.pop() {
            let bound = Arc::new(self.defined_of(&window, base)?);
            self.level()?.windows.followed.insert(place, bound.clone());
            base = Some(bound);
        }
        base.ok_or_else(|| Error::internal("a window that is none"))
    }

    /// Binds a window that goes on from another.
    fn defined_of(&mut self, window: &ast::Window, base: Option<Arc<Defined>>) -> Result<Defined> {
        self.budget.take_nodes(1)?;
        let clause =
            Clause { aggregates: self.level()?.clause.aggregates, ..Clause::plain("window definitions") };
        let (partition_by, order_by) = self.within(clause, |binder| {
            let mut partition_by = Vec::with_capacity(window.partition_by.len());
            for key in &window.partition_by {
                let bound = binder.settled_expression(key)?;
                comparable(bound.ty(), "an equality", key.at)?;
                if bound.ty().kind.order() == Order::Hashed {
                    return Err(Error::unsupported_as("could not implement window PARTITION BY")
                        .detail("Window partitioning columns must be of sortable datatypes."));
                }
                partition_by.push(bound);
            }
            let mut order_by = Vec::with_capacity(window.order_by.len());
            for key in &window.order_by {
                let bound = binder.settled_expression(&key.expr)?;
                comparable(bound.ty(), "an ordering", key.expr.at)?;
                if !order_by.iter().any(|known: &SortKey| same(&known.expression, &bound)) {
                    order_by.push(sort_key(bound, key));
                }
            }
            Ok((partition_by, order_by))
        })?;
        let (mut partition_by, mut order_by): (Arc<[Expr]>, Arc<[SortKey]>) =
            (partition_by.into(), order_by.into());
        if let (Some(name), Some(base)) = (&window.base, base) {
            let name = &name.value;
            let refused = |message: String| Error::new("42P20", message).at(window.at);
            if !partition_by.is_empty() {
                return Err(refused(format!("cannot override PARTITION BY clause of window \"{name}\"")));
            }
            if !order_by.is_empty() && !base.order_by.is_empty() {
                return Err(refused(format!("cannot override ORDER BY clause of window \"{name}\"")));
            }
            if base.frame.is_some() {
                let message = format!("cannot copy window \"{name}\" because it has a frame clause");
                let error = refused(message);
                let is_bare = order_by.is_empty() && window.frame.is_none();
                return Err(if is_bare {
                    error.hint("Omit the parentheses in this OVER clause.")
                } else {
                    error
                });
            }
            partition_by = base.partition_by.clone();
            if order_by.is_empty() {
                order_by = base.order_by.clone();
            }
        }
        Ok(Defined { partition_by, order_by, frame: window.frame.clone(), at: window.at })
    }

    /// What stands in WINDOW has to make sense, whether it is used or not.
    pub(super) fn check_windows(&mut self) -> Result<()> {
        for place in 0..self.level()?.windows.named.len() {
            let windows = &self.level()?.windows;
            let Some(named) = windows.named.get(place) else { continue };
            if windows.places.get(&named.name.value) != Some(&place) {
                let message = format!("window \"{}\" is already defined", named.name.value);
                return Err(Error::new("42P20", message).at(named.window.at));
            }
            if windows.followed.contains_key(&place) {
                continue;
            }
            let name = named.name.clone();
            let defined = self.within(Clause::grouped("SELECT"), |binder| {
                binder.named_window(&name, name.at, usize::MAX)
            })?;
            self.frame(&defined)?;
        }
        Ok(())
    }

    pub(super) fn frame(&mut self, defined: &Defined) -> Result<Frame> {
        let Some(frame) = &defined.frame else {
            return Ok(Frame {
                mode: FrameMode::Range,
                start: FrameBound::First,
                end: FrameBound::Current,
                exclude: Exclude::Nothing,
            });
        };
        if frame.mode == FrameMode::Groups && defined.order_by.is_empty() {
            let message = "GROUPS mode requires an ORDER BY clause";
            return Err(Error::new("42P20", message).at(defined.at));
        }
        Ok(Frame {
            mode: frame.mode,
            start: self.frame_bound(&frame.start, frame.mode, defined)?,
            end: self.frame_bound(&frame.end, frame.mode, defined)?,
            exclude: frame.exclude,
        })
    }

    fn frame_bound(
        &mut self,
        bound: &ast::FrameBound,
        mode: FrameMode,
        defined: &Defined,
    ) -> Result<FrameBound> {
        Ok(match bound {
            ast::FrameBound::First => FrameBound::First,
            ast::FrameBound::Current => FrameBound::Current,
            ast::FrameBound::Last => FrameBound::Last,
            ast::FrameBound::Before(offset) => FrameBound::Before(self.frame_offset(offset, mode, defined)?),
            ast::FrameBound::After(offset) => FrameBound::After(self.frame_offset(offset, mode, defined)?),
        })
    }

    fn frame_offset(&mut self, offset: &ast::Expr, mode: FrameMode, defined: &Defined) -> Result<Expr> {
        let (word, clause) = match mode {
            FrameMode::Rows => ("ROWS", "window ROWS"),
            FrameMode::Range => ("RANGE", "window RANGE"),
            FrameMode::Groups => ("GROUPS", "window GROUPS"),
        };
        let column = match (mode, &*defined.order_by) {
            (FrameMode::Range, [key]) => Some(key.expression.ty().kind),
            (FrameMode::Range, _) => {
                let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
                return Err(Error::new("42P20", message).at(defined.at));
            }
            (FrameMode::Rows | FrameMode::Groups, _) => None,
        };
        let bound = self.within(Clause::plain(clause), |binder| binder.expression(offset))?;
        if let Some(index) = bound.columns().first().copied() {
            if matches!(Stands::of(index), Stands::Column(_)) {
                let message = format!("argument of {word} must not contain variables");
                let references = &self.level()?.references;
                let at = references.iter().rev().find(|(named, _)| *named == index);
                return Err(Error::new("42P10", message).at(at.map_or(offset.at, |(_, at)| *at)));
            }
            return Err(Error::unsupported("a subquery in the frame of a window").at(offset.at));
        }
        let given = bound.ty().kind;
        let Some(column) = column else {
            if !resolve::can_coerce(given, TypeKind::Int8, CastContext::Assignment) {
                let message =
                    format!("argument of {word} must be type bigint, not type {}", given.display_name());
                return Err(Error::new("42804", message).at(offset.at));
            }
            return self.coerce(bound, TypeKind::Int8.into(), CastContext::Assignment, offset.at);
        };
        let kind = range_offset(column, given).map_err(|error| error.at(offset.at))?;
        self.implicit(bound, kind, offset.at)
    }

    /// Adds what is computed of windows to the rows of `node`, and lets `expressions` name the columns that it ends up in.
    pub(super) fn windowed(
        &mut self,
        node: Node,
        mut windows: Vec<UsedWindow>,
        expressions: &mut [&mut Expr],
    ) -> Node {
        let mut node = node;
        let mut places = HashMap::new();
        let mut sorted: Vec<SortKey> = Vec::new();
        // Rows in the order of a window with more keys may be in that of one with fewer.
        windows.sort_by_key(|window| {
            std::cmp::Reverse(window.partition_by.len().saturating_add(window.order_by.len()))
        });
        for UsedWindow { partition_by, order_by, calls } in windows {
            let mut keys: Vec<SortKey> = partition_by.into_iter().map(ascending).collect();
            let partitions = keys.len();
            keys.extend(order_by);
            node = computed(node, &mut keys);
            if !begins_with(&sorted, &keys) {
                node = Node::Sort(Sort { input: Box::new(node), keys: keys.clone(), limit: None });
                sorted.clone_from(&keys);
            }
            let width = node.width();
            places.extend(
                calls.iter().enumerate().map(|(at, (number, _))| (*number, width.saturating_add(at))),
            );
            let order_by = keys.split_off(partitions);
            node = Node::Window(Window {
                input: Box::new(node),
                partition_by: keys.into_iter().map(|key| key.expression).collect(),
                order_by,
                calls: calls.into_iter().map(|(_, call)| call).collect(),
            });
        }
        for expression in expressions.iter_mut() {
            expression.rewrite(&mut |part| {
                if let Expr::Column { index, .. } = part
                    && let Stands::Window(number) = Stands::of(*index)
                    && let Some(place) = places.get(&number)
                {
                    *index = *place;
                }
            });
        }
        node
    }
}

/// Whether two calls compute the same of one window.
fn alike(left: &WindowCall, right: &WindowCall) -> bool {
    let bounds = |left: &FrameBound, right: &FrameBound| match (left, right) {
        (FrameBound::First, FrameBound::First)
        | (FrameBound::Current, FrameBound::Current)
        | (FrameBound::Last, FrameBound::Last) => true,
        (FrameBound::Before(left), FrameBound::Before(right))
        | (FrameBound::After(left), FrameBound::After(right)) => same(left, right),
        _ => false,
    };
    let all = |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    left.function.function() == right.function.function()
        && left.frame.mode == right.frame.mode
        && left.frame.exclude == right.frame.exclude
        && bounds(&left.frame.start, &right.frame.start)
        && bounds(&left.frame.end, &right.frame.end)
        && all(&left.arguments, &right.arguments)
        && all(left.filter.as_slice(), right.filter.as_slice())
        && left.arguments.iter().chain(&left.filter).all(|part| part.volatility() != Volatility::Volatile)
}

fn ascending(expression: Expr) -> SortKey {
    SortKey { expression, descending: false, nulls_first: false }
}

/// The rows with more columns for keys that are none, each computed once.
fn computed(node: Node, keys: &mut [SortKey]) -> Node {
    if keys.iter().all(|key| matches!(key.expression, Expr::Column { .. })) {
        return node;
    }
    let types = node.types();
    let mut expressions: Vec<Expr> =
        types.into_iter().enumerate().map(|(index, ty)| Expr::Column { index, ty }).collect();
    for key in keys {
        let ty = key.expression.ty();
        let place = expressions.iter().position(|known| same(known, &key.expression));
        let index = place.unwrap_or(expressions.len());
        let key = std::mem::replace(&mut key.expression, Expr::Column { index, ty });
        if place.is_none() {
            expressions.push(key);
        }
    }
    Node::Project(Project { input: Box::new(node), expressions })
}

/// The type of an offset of values of a type.
fn range_offset(column: TypeKind, given: TypeKind) -> Result<TypeKind> {
    let what = "RANGE with offset PRECEDING/FOLLOWING";
    let (shown, offset) = (column.display_name(), given.display_name());
    let candidates = range::offset_types(column);
    if candidates.is_empty() {
        return Err(Error::new("0A000", format!("{what} is not supported for column type {shown}")));
    }
    let fits = |kind: &TypeKind| {
        given == TypeKind::Unknown || resolve::can_coerce(given, *kind, CastContext::Implicit)
    };
    let fitting: Vec<TypeKind> = candidates.iter().copied().filter(fits).collect();
    let preferred = if given == TypeKind::Unknown { column } else { given };
    match fitting.as_slice() {
        [] => {
            let message = format!("{what} is not supported for column type {shown} and offset type {offset}");
            Err(Error::new("0A000", message).hint("Cast the offset value to an appropriate type."))
        }
        [only] => Ok(*only),
        several if several.contains(&preferred) => Ok(preferred),
        _ => {
            let message = format!(
                "{what} has multiple interpretations for column type {shown} and offset type {offset}"
            );
            Err(Error::new("0A000", message).hint("Cast the offset value to the exact intended type."))
        }
    }
}
