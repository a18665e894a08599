//! LIMIT, OFFSET, and the ties of the last row.

use expr::casts::CastContext;
use expr::functions::{Body, FunctionId};
use expr::{Datum, Expr, TypeKind, resolve};

use super::Binder;
use super::bound::BoundQuery;
use super::level::{Clause, Level, PutAside};
use super::placeholder::{Stands, slot, slot_index};
use super::scope::Scope;
use super::select::first_columns;
use crate::error::{Error, Result};
use crate::parse::ast;
use crate::plan::{
    Binding, Exclude, Filter, Frame, FrameBound, FrameMode, Join, JoinKind, JoinStrategy, Limit, Node,
    Project, SortKey, Values, Window, WindowCall, WindowKind,
};

/// The OID of `rank()`.
const RANK_OID: u32 = 3101;

/// A number of rows, and the subqueries in it.
type Count = (Expr, Vec<PutAside>);

impl Binder<'_> {
    /// LIMIT and OFFSET; `lateral` says whether the query sees the items of FROM before it.
    pub(super) fn limited(
        &mut self,
        bound: BoundQuery,
        query: &ast::Query,
        scope: Scope,
        lateral: bool,
    ) -> Result<BoundQuery> {
        let limit = query.limit.as_ref().filter(|_| !query.ties);
        if limit.is_none() && query.offset.is_none() {
            return Ok(bound);
        }
        let limit = limit.map(|limit| self.count(limit, "LIMIT", &scope, lateral)).transpose()?;
        let offset = query.offset.as_ref();
        let offset = offset.map(|offset| self.count(offset, "OFFSET", &scope, lateral)).transpose()?;
        let asks = limit.iter().chain(&offset).any(|(_, asides)| !asides.is_empty());
        let BoundQuery { node, columns } = bound;
        let node = match asks {
            true => self.limited_by_queries(node, limit, offset),
            false => Node::Limit(Limit {
                input: Box::new(node),
                limit: limit.map(|(limit, _)| limit),
                offset: offset.map(|(offset, _)| offset),
            }),
        };
        Ok(BoundQuery { node, columns })
    }

    /// What subqueries answer comes first, as a row; it is read through slots.
    fn limited_by_queries(&mut self, node: Node, limit: Option<Count>, offset: Option<Count>) -> Node {
        let mut left = Node::Values(Values::one_row());
        let mut counts = Vec::new();
        let mut bindings = Vec::new();
        let mut through = |binder: &mut Self, (mut count, asides): Count| {
            let before = std::mem::replace(&mut left, Node::Values(Values::one_row()));
            left = binder.apply(before, asides, &mut [&mut count]);
            let (ty, number) = (count.ty(), binder.slots);
            binder.slots = number.saturating_add(1);
            let value = Expr::Column { index: counts.len(), ty };
            bindings.push(Binding { slot: slot_index(number), value });
            counts.push(count);
            slot(number, ty)
        };
        let limit = limit.map(|limit| through(self, limit));
        let offset = offset.map(|offset| through(self, offset));
        let left = Node::Project(Project { input: Box::new(left), expressions: counts });
        let (before, types) = (left.width(), node.types());
        let right = Node::Limit(Limit { input: Box::new(node), limit, offset });
        let join = Node::Join(Join {
            kind: JoinKind::Inner,
            left: Box::new(left),
            right: Box::new(right),
            strategy: JoinStrategy::Dependent { bindings },
            condition: None,
            left_rows: 1.0,
        });
        let kept = types.into_iter().enumerate();
        let expressions =
            kept.map(|(index, ty)| Expr::Column { index: index.saturating_add(before), ty }).collect();
        Node::Project(Project { input: Box::new(join), expressions })
    }

    /// A number of rows. `scope` is there only to tell that its columns cannot be meant.
    fn count(
        &mut self,
        expr: &ast::Expr,
        clause: &'static str,
        scope: &Scope,
        lateral: bool,
    ) -> Result<Count> {
        let variables = |at: usize| {
            let message = format!("argument of {clause} must not contain variables");
            Error::new("42P10", message).at(at)
        };
        let level = Level::query(scope.clone(), Clause::plain(clause), lateral);
        let (bound, level) = self.at_level(level, |binder| {
            let bound = binder.expression(expr)?;
            if let Some((_, at)) = binder.level()?.references.first() {
                return Err(variables(*at));
            }
            let kind = bound.ty().kind;
            if !resolve::can_coerce(kind, TypeKind::Int8, CastContext::Assignment) {
                let message =
                    format!("argument of {clause} must be type bigint, not type {}", kind.display_name());
                return Err(Error::new("42804", message).at(expr.at));
            }
            binder.coerce(bound, TypeKind::Int8.into(), CastContext::Assignment, expr.at)
        })?;
        let mut asides = level.subqueries;
        let reads_row = |part: &mut Expr| {
            part.columns().into_iter().any(|column| matches!(Stands::of(column), Stands::Column(_)))
        };
        if asides.iter_mut().flat_map(PutAside::expressions).any(reads_row) {
            return Err(variables(expr.at));
        }
        Ok((bound, asides))
    }

    /// Of rows in the order of these keys the first, and those that are alike in order to the last of them: all that have
    /// no more rows before them than are wanted.
    pub(super) fn with_ties(
        &mut self,
        node: Node,
        keys: Vec<SortKey>,
        query: &ast::Query,
        scope: &Scope,
        lateral: bool,
    ) -> Result<Node> {
        let Some(limit) = &query.limit else { return Ok(node) };
        let at = limit.at;
        if let ast::ExprKind::Null = limit.kind {
            let message = "row count cannot be null in FETCH FIRST ... WITH TIES clause";
            return Err(Error::new("2201W", message));
        }
        let (limit, asides) = self.count(limit, "LIMIT", scope, lateral)?;
        let (wanted, more) = match &query.offset {
            None => (limit.clone(), Vec::new()),
            Some(offset) => {
                let (skipped, more) = self.count(offset, "OFFSET", scope, lateral)?;
                let none = Expr::literal(Datum::Int8(0), TypeKind::Int8);
                let skipped = Expr::Coalesce { args: vec![skipped, none], ty: TypeKind::Int8.into() };
                (self.operator("+", Some((limit.clone(), at)), (skipped, at), at)?, more)
            }
        };
        if !asides.is_empty() || !more.is_empty() {
            return Err(Error::unsupported("a subquery in FETCH WITH TIES").at(at));
        }
        if let Expr::Literal { value: Datum::Int8(rows), .. } = &limit
            && *rows < 0
        {
            return Err(Error::new("2201W", "LIMIT must not be negative"));
        }
        let rank = FunctionId::from_oid(RANK_OID)
            .and_then(|function| match function.body {
                Body::Window(kind) => Some(WindowKind::Function(function, kind)),
                _ => None,
            })
            .ok_or_else(|| Error::internal("there is no rank()"))?;
        let width = node.width();
        let frame = Frame {
            mode: FrameMode::Range,
            start: FrameBound::First,
            end: FrameBound::Current,
            exclude: Exclude::Nothing,
        };
        let ty = TypeKind::Int8.into();
        let ranked = Node::Window(Window {
            input: Box::new(node),
            partition_by: Vec::new(),
            order_by: keys,
            calls: vec![WindowCall { function: rank, arguments: Vec::new(), filter: None, frame, ty }],
        });
        let place = Expr::Column { index: width, ty };
        let is_among = self.operator("<=", Some((place, at)), (wanted, at), at)?;
        let all = Expr::IsNull { operand: Box::new(limit), negated: false };
        let predicate = Expr::Or(vec![all, is_among]);
        Ok(first_columns(Node::Filter(Filter { input: Box::new(ranked), predicate, barrier: false }), width))
    }
}
